import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

import bot.cli.service
from bot.cli.app import main
from bot.config.host import LEAST_SILENCE_SECS, GuardianConfig
from bot.exit_codes import ExitCode
from bot.service_unit import (
    RETRAIN_TIMER,
    RETRAIN_UNIT,
    UNIT,
    Installation,
    render_retrain,
    render_unit,
    unreachable,
)
from tests.support.bots import write_bot
from tests.support.data import ROOT

type Captured = pytest.CaptureFixture[str]

OPT = Installation(
    Path("/opt/argonaut/.venv/bin/argonaut"), Path("/etc/argonaut/host.toml"), Path("/opt/argonaut")
)
MOST_EXPOSURE = 1.5


def analyze(*args: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine, which rates and checks the unit")
    command = [program, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def analyzable(tmp_path: Path, text: str) -> Path:
    """A unit whose program is there, as `verify` wants it."""
    path = tmp_path / UNIT
    path.write_text(text)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_bot(tmp_path / "host", tmp_path / "catalog", ("holder",), kind="paper")


def test_unit_in_the_repository_is_the_one_that_is_written() -> None:
    assert (ROOT / "systemd" / UNIT).read_text() == render_unit(OPT)


def test_daemon_that_ends_for_a_silent_feed_is_started_again_without_end() -> None:
    # systemd counts the starts of an interval: between two of these, one is over.
    (interval,) = re.findall(r"^StartLimitIntervalSec=(\d+)$", render_unit(OPT), re.MULTILINE)

    assert float(interval) <= LEAST_SILENCE_SECS
    with pytest.raises(ValidationError):
        GuardianConfig(restart_after_silence_secs=LEAST_SILENCE_SECS - 1.0)
    assert GuardianConfig().restart_after_silence_secs is None


TRAINING = Path("/etc/argonaut/training.toml")


@pytest.mark.parametrize("name", [RETRAIN_UNIT, RETRAIN_TIMER])
def test_units_of_retraining_in_the_repository_are_those_that_are_written(name: str) -> None:
    assert (ROOT / "systemd" / name).read_text() == render_retrain(OPT, TRAINING)[name]


@pytest.mark.parametrize("user", [False, True])
def test_units_of_retraining_verify_clean(tmp_path: Path, user: bool) -> None:
    here = Installation(Path("/bin/true"), Path("/etc/hostname"), Path("/"))
    for name, text in render_retrain(here, Path("/etc/hostname"), user=user).items():
        (tmp_path / name).write_text(text)

    done = analyze("verify", "--man=no", tmp_path / RETRAIN_TIMER, tmp_path / RETRAIN_UNIT)

    assert (done.returncode, done.stderr) == (0, "")


def test_retraining_exposes_little_makes_way_for_trading_and_is_the_daemon_s_user(tmp_path: Path) -> None:
    text = render_retrain(OPT, TRAINING)[RETRAIN_UNIT]
    (tmp_path / RETRAIN_UNIT).write_text(text)

    done = analyze("security", "--offline=true", "--no-pager", tmp_path / RETRAIN_UNIT)

    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSURE
    assert "MemoryDenyWriteExecute" not in text  # numba and torch make code
    assert {"Nice=15", "User=argonaut", "PrivateNetwork=yes"} <= set(text.splitlines())


def test_install_service_with_a_training_file_writes_its_timer_too(
    config: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.cli.service, "find_spec", lambda _: object())
    training = tmp_path / "training.toml"
    command = ["install-service", "--config", str(config), "--prefix", str(tmp_path), "--force", "--json"]

    assert main([*command, "--train", str(training), "--dry-run"]) == ExitCode.FINDINGS
    assert "expected it to be there" in str(json.loads(capsys.readouterr().out)["problems"])
    training.touch()
    assert main([*command, "--train", str(training)]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)

    folder = tmp_path / "etc" / "systemd" / "system"
    assert sorted(path.name for path in folder.iterdir()) == sorted([UNIT, RETRAIN_UNIT, RETRAIN_TIMER])
    assert document["next"][1] == "sudo systemctl enable --now argonaut argonaut-retrain.timer"
    assert f" train {training}\n" in (folder / RETRAIN_UNIT).read_text()


def test_unit_verifies_clean(tmp_path: Path) -> None:
    here = Installation(Path("/bin/true"), Path("/etc/hostname"), Path("/"))

    done = analyze("verify", "--man=no", analyzable(tmp_path, render_unit(here)))

    assert (done.returncode, done.stderr) == (0, "")


def test_users_unit_verifies_clean(tmp_path: Path) -> None:
    here = Installation(Path("/bin/true"), Path("/etc/hostname"), Path("/"))

    done = analyze("verify", "--man=no", analyzable(tmp_path, render_unit(here, user=True)))

    assert (done.returncode, done.stderr) == (0, "")
    assert "ProtectHome" not in render_unit(here, user=True)
    assert "NoNewPrivileges=yes" in render_unit(here, user=True)


@pytest.mark.parametrize("network", [False, True])
def test_unit_exposes_little(tmp_path: Path, network: bool) -> None:
    unit = analyzable(tmp_path, render_unit(replace(OPT, network=network)))

    done = analyze("security", "--offline=true", "--no-pager", unit)

    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSURE


def test_unit_leaves_down_what_needs_a_person_and_starts_the_rest_again() -> None:
    (line,) = re.findall(r"^RestartPreventExitStatus=(.*)$", render_unit(OPT), re.MULTILINE)

    prevented = {int(code) for code in line.split()}
    assert prevented >= {1, 64, 70, 71, 77, 78}
    assert prevented.isdisjoint({ExitCode.INTERNAL, ExitCode.IO, ExitCode.TEMPORARY})


def test_unit_loads_the_credentials_that_are_named() -> None:
    given = Installation(OPT.program, OPT.config, OPT.home, [("venue.key", Path("/etc/argonaut/key"))])

    assert "\nLoadCredential=venue.key:/etc/argonaut/key\n" in render_unit(given)


@pytest.mark.parametrize("config", ["/etc/my host.toml", "/etc/100%.toml", "host.toml", "/etc/a$b"])
def test_unit_with_a_path_that_systemd_would_read_otherwise_is_refused(config: str) -> None:
    with pytest.raises(ValueError, match="plain characters"):
        render_unit(Installation(OPT.program, Path(config), OPT.home))


def test_unreachable_names_what_is_closed_or_hidden(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "host.toml").touch(mode=0o644)

    found = unreachable([closed / "host.toml", Path("/root/x"), Path("/bin/sh")])

    assert len(found) == 2
    assert "closed" in found[0]
    assert found[1].endswith("found it below /root")


def test_install_service_dry_run_writes_nothing(config: Path, tmp_path: Path, capsys: Captured) -> None:
    main(["install-service", "--config", str(config), "--prefix", str(tmp_path), "--dry-run", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "etc").exists()
    assert document["is_written"] is False
    program = Path(sys.executable).parent / "argonaut"
    assert f"ExecStart={program} run {config}\n" in document["unit"]


@pytest.mark.parametrize(("more", "is_closed"), [([], True), (["--network"], False)])
def test_install_service_keeps_a_paper_bot_on_its_machine_unless_told_otherwise(
    config: Path, capsys: Captured, more: list[str], is_closed: bool
) -> None:
    main(["install-service", "--config", str(config), "--dry-run", "--json", *more])

    assert ("IPAddressDeny=any\n" in json.loads(capsys.readouterr().out)["unit"]) is is_closed


def test_install_service_with_messages_to_people_may_reach_them(config: Path, capsys: Captured) -> None:
    given = ["--credential", "alerts:/etc/argonaut/alerts.urls"]
    main(["install-service", "--config", str(config), "--dry-run", "--json", *given])

    unit = json.loads(capsys.readouterr().out)["unit"]
    assert "LoadCredential=alerts:/etc/argonaut/alerts.urls\n" in unit
    assert "IPAddressDeny" not in unit


def test_install_service_writes_once_and_refuses_to_replace_a_changed_unit(
    config: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    command = ["install-service", "--user", "--config", str(config)]
    unit = tmp_path / "systemd" / "user" / UNIT

    assert [main(command), main(command)] == [ExitCode.OK, ExitCode.OK]
    assert "systemctl --user enable --now argonaut" in capsys.readouterr().out
    written = unit.read_text()
    unit.write_text(written.replace("RestartSec=5s", "RestartSec=9s"))
    assert main(command) == ExitCode.CONFIG
    assert "RestartSec=9s" in unit.read_text()
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == ExitCode.OK
    assert unit.read_text() == written
    assert list(unit.parent.iterdir()) == [unit]


def test_install_service_that_could_not_read_its_host_file_is_refused(
    config: Path, tmp_path: Path, capsys: Captured
) -> None:
    config.chmod(0o600)

    code = main(["install-service", "--config", str(config), "--prefix", str(tmp_path / "image")])

    assert code == ExitCode.CONFIG
    assert not (tmp_path / "image").exists()


def test_install_service_of_a_backtest_is_refused(tmp_path: Path, capsys: Captured) -> None:
    host = write_bot(tmp_path, tmp_path / "catalog", ("holder",))

    assert main(["install-service", "--config", str(host)]) == ExitCode.CONFIG
    assert "only a daemon is a service" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["key", "a b:/x", "key:relative"])
def test_install_service_with_a_credential_that_is_none_is_a_usage_error(
    config: Path, given: str, capsys: Captured
) -> None:
    assert main(["install-service", "--config", str(config), "--credential", given]) == ExitCode.USAGE
