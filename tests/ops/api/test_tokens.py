"""Tokens: a file of hashes, two of a role at a time, and failures that are bounded."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.api.roles import Caller, Role
from ops.api.tokens import FILE, FailureThrottle, TokenBook, read_tokens, write_tokens
from ops.disk import LocalDisk
from strategies.errors import ConfigError
from tests.support.operators import make_tokens

type Captured = pytest.CaptureFixture[str]


def run(state_dir: Path, *args: str) -> int:
    return main(["token", *args, "--state-dir", str(state_dir)])


def test_token_is_printed_once_and_only_its_hash_is_kept(tmp_path: Path, capsys: Captured) -> None:
    code = run(tmp_path, "new", "operator", "--json")
    made = json.loads(capsys.readouterr().out)
    content = (tmp_path / FILE).read_text()

    assert code == ExitCode.OK
    assert made["token"] not in content
    assert hashlib.sha256(made["token"].encode()).hexdigest() in content
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert len(made["token"]) >= 43  # 32 random bytes in base 64
    found = TokenBook(tmp_path / FILE).caller(made["token"])
    assert found == Caller(f"token {made['id']}", Role.OPERATOR)


def test_two_of_a_role_are_valid_at_a_time_and_a_third_is_refused(tmp_path: Path, capsys: Captured) -> None:
    codes = [run(tmp_path, "new", "viewer") for _ in range(3)]
    first, second = (line for line in capsys.readouterr().out.split() if line.startswith("argo_"))

    assert codes == [ExitCode.OK, ExitCode.OK, ExitCode.CONFIG]
    book = TokenBook(tmp_path / FILE)
    assert book.caller(first) is not None
    assert book.caller(second) is not None
    assert run(tmp_path, "new", "admin") == ExitCode.OK


def test_revoked_token_is_refused_by_a_book_that_is_open(tmp_path: Path, capsys: Captured) -> None:
    (old, new), book = make_tokens(tmp_path, Role.VIEWER, Role.VIEWER)
    run(tmp_path, "list", "--json")
    listed = [one["id"] for one in json.loads(capsys.readouterr().out)]
    assert book.caller(old) is not None

    assert run(tmp_path, "revoke", listed[0]) == ExitCode.OK

    assert book.caller(old) is None
    assert book.caller(new) == Caller(f"token {listed[1]}", Role.VIEWER)
    assert run(tmp_path, "revoke", listed[0]) == ExitCode.CONFIG


@pytest.mark.parametrize("given", ["", "argo_", "argo_" + "A" * 43, "\ud800", "x" * 10_000])
def test_what_is_no_token_is_nobody(tmp_path: Path, given: str) -> None:
    _, book = make_tokens(tmp_path, Role.ADMIN)

    assert book.caller(given) is None


def test_every_hash_is_compared_whichever_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, book = make_tokens(tmp_path, Role.VIEWER, Role.OPERATOR, Role.ADMIN)
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr("ops.api.tokens.hmac.compare_digest", compare)
    for token in [*tokens, "none"]:
        book.caller(token)

    assert len(compared) == 4 * 3


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_can_read_is_refused_and_makes_an_open_book_refuse_all(
    tmp_path: Path, mode: int
) -> None:
    (token,), book = make_tokens(tmp_path, Role.ADMIN)
    (tmp_path / FILE).chmod(mode)

    with pytest.raises(ConfigError, match=rf"only its owner may read, found mode {mode:04o}"):
        read_tokens(tmp_path / FILE)
    assert book.caller(token) is None
    (tmp_path / FILE).chmod(0o600)
    assert book.caller(token) is not None


def _cut(content: bytes) -> bytes:
    return content[:-20]


def _another_format(content: bytes) -> bytes:
    return content.replace(b'"format": 1', b'"format": 2')


def _another_role(content: bytes) -> bytes:
    return content.replace(b'"admin"', b'"root"')


def _short_hash(content: bytes) -> bytes:
    return content.replace(b'"sha256": "', b'"sha256": "00')


@pytest.mark.parametrize("damage", [_cut, _another_format, _another_role, _short_hash])
def test_damaged_file_is_refused_and_makes_an_open_book_refuse_all(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    (token,), book = make_tokens(tmp_path, Role.ADMIN)
    path = tmp_path / FILE
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ConfigError, match="expected what `argonaut token new` writes"):
        read_tokens(path)
    assert book.caller(token) is None
    assert run(tmp_path, "new", "viewer") == ExitCode.CONFIG


def test_daemon_that_wants_tokens_and_has_none_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected at least one token"):
        TokenBook.find(None, tmp_path)
    write_tokens(LocalDisk(), tmp_path / FILE, [])
    with pytest.raises(ConfigError, match="expected at least one token"):
        TokenBook.find(None, tmp_path)


def test_credential_of_systemd_goes_first_whatever_its_mode(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    state.mkdir()
    (token,), _ = make_tokens(credentials, Role.VIEWER)
    (other,), _ = make_tokens(state, Role.ADMIN)
    (credentials / FILE).rename(credentials / "api-tokens")
    (credentials / "api-tokens").chmod(0o440)

    book = TokenBook.find(credentials, state)

    assert book.caller(token) is not None
    assert book.caller(other) is None


def test_failures_of_a_peer_are_answered_briefly_after_ten_and_in_full_a_minute_later() -> None:
    now = 0.0
    throttle = FailureThrottle(lambda: now)

    waits = [throttle.fail("a") for _ in range(12)]
    assert waits == [0.0] * 10 + [60.0] * 2
    assert throttle.fail("b") == 0.0
    now = 59.0
    assert throttle.fail("a") == 1.0
    now = 60.0
    assert throttle.fail("a") == 0.0


def test_unknown_role_is_a_usage_error(tmp_path: Path) -> None:
    assert run(tmp_path, "new", "root") == ExitCode.USAGE
    assert not (tmp_path / FILE).exists()
