"""Where alerts may go: secrets that nobody else can read, and hosts that are allowed."""

from pathlib import Path

import pytest

from ops.alerts.channels import CREDENTIAL, FILE, read_channels
from strategies.errors import ConfigError

SECRET = "123456789:hunter2"  # noqa: S105 - planted, to be looked for


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / FILE
    path.write_text(text)
    path.chmod(mode)
    return folder


def test_addresses_are_read_in_order_and_named_without_their_secrets(tmp_path: Path) -> None:
    text = f"# who is on call\ntgram://{SECRET}/42\n\n  discord://1/{SECRET}\njsons://alerts.example/x\n"

    channels = read_channels(None, write(tmp_path, text), ["alerts.example"])

    assert [one.name for one in channels] == ["tgram-1", "discord-2", "jsons-3"]
    assert channels[0].url == f"tgram://{SECRET}/42"
    assert not any(SECRET in one.name for one in channels)


def test_no_file_is_no_channel(tmp_path: Path) -> None:
    assert read_channels(None, tmp_path, []) == []
    assert read_channels(tmp_path, tmp_path, []) == []


def test_credential_of_the_service_goes_before_the_file(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    state.mkdir()
    (credentials / CREDENTIAL).write_text("tgram://1/2\n")
    write(state, "discord://1/2\n")

    assert [one.name for one in read_channels(credentials, state, [])] == ["tgram-1"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=rf"found mode {mode:04o}; chmod 600"):
        read_channels(None, write(tmp_path, "tgram://1/2", mode), [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"ftp://{SECRET}@host/", "expected an address of one of tgram, .* found ftp"),
        (f"{SECRET}", "found something else"),
        (f"jsons://{SECRET.replace(':', '')}.example/", "expected a host that alerts.hosts .* allows"),
        (f"jsons://allowed.example.evil.example/{SECRET}", "expected a host"),
        (f"jsons://user:{SECRET}@evil.example/allowed.example", "expected a host"),
        (f"json://allowed.example/{SECRET}", "expected an encrypted channel, found json; use jsons"),
        (f"mailto://user:{SECRET}@allowed.example", "use mailtos"),
        (f"mailtos://user:{SECRET}@allowed.example?smtp=evil.example", "expected a host"),
        (f"file:///etc/passwd?{SECRET}", "found file"),
    ],
)
def test_address_that_is_not_allowed_is_refused_by_line_and_not_shown(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        read_channels(None, write(tmp_path, f"tgram://1/2\n{line}\n"), ["allowed.example"])

    assert "line 2" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_mail_may_name_a_server_that_is_allowed(tmp_path: Path) -> None:
    folder = write(tmp_path, "mailtos://user:pass@a.example?smtp=mail.a.example\n")

    assert len(read_channels(None, folder, ["a.example", "mail.a.example"])) == 1


def test_this_machine_needs_no_permission(tmp_path: Path) -> None:
    folder = write(tmp_path, "json://127.0.0.1:8090/x\nmailto://localhost\n")

    assert [one.name for one in read_channels(None, folder, [])] == ["json-1", "mailto-2"]
