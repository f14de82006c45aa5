"""Everything that could keep a daemon from trading, each with an exit code of its own; nothing is changed."""

import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bot.checks.preflight
from bot.checks.findings import Finding, Level
from bot.checks.preflight import Preflight, Wanted
from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.clock_sync import ClockSync
from ops.disk import LocalDisk
from ops.journal import Kind, load_or_create_key
from ops.journal.segments import segment_path
from ops.state_dir import IDENTITY, JOURNAL, JOURNAL_KEY, Purpose, take_state_dir
from tests.support.bots import write_bot
from tests.support.journals import open_journal
from tests.support.markets import market

__all__ = ["market"]

NOW = 200 * 10**9
KEPT = ClockSync(is_synchronised=True, max_error_secs=0.02)


class Place:
    """A host, its catalog, and the state of a daemon that has run."""

    def __init__(self, folder: Path, catalog: Path) -> None:
        self.host = write_bot(folder, catalog, ("holder",), kind="paper")
        self.state_dir = folder / "var"
        take_state_dir(
            self.state_dir, Purpose("paper", "DEMO"), LocalDisk(), config="paper.toml", created="then"
        ).release()
        key = load_or_create_key(LocalDisk(), self.state_dir / JOURNAL_KEY)
        journal, _ = open_journal(LocalDisk(), folder=self.state_dir / JOURNAL, key=key, ts_ns=100 * 10**9)
        journal.append(Kind.SESSION_START, {"config_sha256": "0" * 64}, 110 * 10**9)
        journal.append(Kind.INTENT, {"client_order_id": "AR1"}, 120 * 10**9)
        journal.close(150 * 10**9)

    def look(self, now_ns: int = NOW, clock: ClockSync | None = KEPT, **wanted: Any) -> list[Finding]:
        look = Preflight(
            self.host,
            {},
            self.state_dir,
            is_running=False,
            wanted=Wanted(**wanted),
            now_ns=now_ns,
            environment={},
            read_clock=lambda: clock,
        )
        return list(look.run())

    def of(self, subject: str, **options: Any) -> Finding:
        return next(one for one in self.look(**options) if one.subject == subject)

    def files(self) -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.state_dir.rglob("*")
            if path.is_file()
        }

    def edit(self, before: str, after: str) -> None:
        self.host.write_text(self.host.read_text().replace(before, after))


@pytest.fixture
def place(tmp_path: Path, market: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    # Asking every installed package takes long; test_import_name_has_one_owner does.
    owners = {name: ["argonaut"] for name in bot.checks.preflight.PACKAGES}
    monkeypatch.setattr(bot.checks.preflight, "packages_distributions", lambda: owners)
    return Place(tmp_path, market)


def test_place_where_all_is_well_is_said_to_be_so_and_left_as_it_was(place: Place) -> None:
    before = place.files()

    findings = place.look()

    assert [one for one in findings if one.level is Level.BAD] == []
    assert [one.subject for one in findings] == [
        "packages", "configuration", "pin", "credentials", "permissions", "clock", "disk", "chain", "catalog",
        "artefacts", "venue", "port", "trading state",
    ]  # fmt: skip
    assert place.files() == before
    assert place.of("chain").found.startswith("whole: ")
    assert "the last session ran 000000000000" in place.of("pin").found


def test_place_where_no_daemon_ever_ran_is_well_too_and_nothing_is_made(place: Place, tmp_path: Path) -> None:
    place.state_dir = tmp_path / "never"

    assert [one for one in place.look() if one.level is Level.BAD] == []
    assert not place.state_dir.exists()


def test_file_of_anchors_that_cannot_be_written_is_said(place: Place) -> None:
    place.edit("[journal]", '[journal]\nanchor_file = "absent/anchors.jsonl"')

    found = place.of("permissions")

    assert (found.level, "may not write there" in found.found) == (Level.NOTE, True)


def flip_a_byte(place: Place) -> None:
    path = segment_path(place.state_dir / JOURNAL, 1)
    path.write_bytes(path.read_bytes().replace(b'"AR1"', b'"AR7"'))


def of_another_venue(place: Place) -> None:
    path = place.state_dir / IDENTITY
    path.write_text(path.read_text().replace("DEMO", "KRAKEN"))


def open_alerts(place: Place) -> None:
    (place.state_dir / "alerts.urls").write_text("tgram://1:a/2\n")
    (place.state_dir / "alerts.urls").chmod(0o644)


def certificate_that_is_none(place: Place) -> None:
    for name in ("cert.pem", "key.pem"):
        (place.state_dir / name).touch(mode=0o600)
    files = "".join(f'tls_{name} = "{place.state_dir / name}.pem"\n' for name in ("cert", "key"))
    place.edit("[api]\n", f"[api]\n{files}")


@pytest.mark.parametrize(
    ("subject", "code", "spoil"),
    [
        ("configuration", ExitCode.CONFIG, lambda place: place.edit("DEMO", "demo")),
        ("configuration", ExitCode.CONFIG, lambda place: place.edit('kind = "paper"', 'kind = "backtest"')),
        ("credentials", ExitCode.CREDENTIALS, open_alerts),
        ("credentials", ExitCode.CREDENTIALS, lambda place: place.edit("[api]", "[api]\ntokens = true")),
        ("credentials", ExitCode.CREDENTIALS, certificate_that_is_none),
        ("credentials", ExitCode.CREDENTIALS, lambda place: (place.state_dir / JOURNAL_KEY).chmod(0o640)),
        ("permissions", ExitCode.PERMISSIONS, lambda place: place.state_dir.chmod(0o777)),
        ("permissions", ExitCode.PERMISSIONS, of_another_venue),
        ("permissions", ExitCode.PERMISSIONS, lambda place: (place.state_dir / IDENTITY).unlink()),
        ("chain", ExitCode.AUDIT_CHAIN, flip_a_byte),
        ("chain", ExitCode.AUDIT_CHAIN, lambda place: (place.state_dir / "keys" / "journal.pub").unlink()),
        ("catalog", ExitCode.DATA, lambda place: place.edit("[data]", '[data]\nstart = "2030-01-01"')),
        ("trading state", ExitCode.HALTED, lambda place: (place.state_dir / "latch.json").write_text("{")),
    ],
)
def test_each_cause_is_found_and_has_its_exit_code(
    place: Place, subject: str, code: ExitCode, spoil: Callable[[Place], None]
) -> None:
    spoil(place)

    bad = [one for one in place.look() if one.level is Level.BAD]

    assert [(one.subject, one.exit_code) for one in bad] == [(subject, code)]


@pytest.mark.parametrize(
    ("wanted", "subject", "code"),
    [
        ({"config_sha256": "deadbeef"}, "pin", ExitCode.PIN),
        ({"policies": {"holder": "deadbeef"}}, "artefacts", ExitCode.ARTIFACT),
        ({"policies": {"nobody": "deadbeef"}}, "artefacts", ExitCode.ARTIFACT),
    ],
)
def test_what_was_asked_for_and_is_not_so_is_bad(
    place: Place, wanted: dict[str, Any], subject: str, code: ExitCode
) -> None:
    finding = place.of(subject, **wanted)

    assert (finding.level, finding.exit_code) == (Level.BAD, code)
    assert "deadbeef" in finding.found


def test_what_was_asked_for_and_is_so_is_well(place: Place) -> None:
    config = place.of("pin").found[:12]
    policy = place.of("artefacts").found.split()[-1]

    found = place.look(config_sha256=config, policies={"holder": policy})

    assert [one for one in found if one.level is Level.BAD] == []


def test_clock_behind_the_newest_record_is_wrong(place: Place) -> None:
    finding = place.of("clock", now_ns=144 * 10**9)

    assert (finding.level, finding.exit_code) == (Level.BAD, ExitCode.CLOCK)
    assert "1970-01-01 00:02:30" in finding.found


def test_clock_a_little_behind_the_newest_record_is_taken_as_a_start_takes_it(place: Place) -> None:
    assert place.of("clock", now_ns=146 * 10**9).level is Level.OK


@pytest.mark.parametrize("clock", [None, ClockSync(False, 0.0), ClockSync(True, 2.0)])
def test_clock_that_nobody_vouches_for_is_noted_on_paper(place: Place, clock: ClockSync | None) -> None:
    assert place.of("clock", clock=clock).level is Level.NOTE


def test_clock_that_is_kept_too_badly_for_the_configuration_is_wrong(place: Place) -> None:
    place.edit("[data]", "[guardian]\nmax_clock_error_secs = 0.25\n\n[data]")

    assert place.of("clock", clock=ClockSync(True, 0.2)).level is Level.OK
    finding = place.of("clock", clock=ClockSync(True, 0.3))
    assert (finding.level, finding.exit_code) == (Level.BAD, ExitCode.CLOCK)
    assert finding.found == "the clock may be off by 0.300 s, 0.25 allowed"


def test_live_host_is_refused_for_its_venue_and_its_clock(place: Place) -> None:
    place.edit('kind = "paper"', 'kind = "live"')
    of_another_venue(place)
    (place.state_dir / IDENTITY).unlink()

    bad = {one.subject: one.exit_code for one in place.look(clock=None) if one.level is Level.BAD}

    assert bad["clock"] is ExitCode.CLOCK
    assert bad["venue"] is ExitCode.VENUE


def test_full_disk_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalDisk, "free_bytes", lambda *_: 100 << 20)

    finding = place.of("disk")

    assert (finding.level, finding.exit_code) == (Level.BAD, ExitCode.DISK)


def test_package_of_somebody_else_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.checks.preflight, "packages_distributions", lambda: {"ops": ["argonaut", "ops"]})

    finding = place.of("packages")

    assert (finding.level, finding.exit_code) == (Level.BAD, ExitCode.PACKAGES)
    assert "the package ops is of ops" in finding.found


def test_port_that_is_taken_is_found(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.edit("port = 0", f"port = {taken.getsockname()[1]}")
        finding = place.of("port")

    assert (finding.level, finding.exit_code) == (Level.BAD, ExitCode.CONFIG)
    assert place.of("port").level is Level.OK


def test_restriction_and_kill_switch_are_noted(place: Place) -> None:
    main(["kill", "--reason", "a holiday", "--state-dir", str(place.state_dir)])
    held = place.of("trading state")
    (place.state_dir / "KILL_SWITCH").touch()
    switched = place.of("trading state")

    assert (held.level, switched.level) == (Level.NOTE, Level.NOTE)
    assert "all is HALTED: a holiday" in held.found
    assert "KILL_SWITCH" in switched.found


def test_command_ends_with_the_code_of_the_first_that_is_bad(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    flip_a_byte(place)
    place.state_dir.chmod(0o777)
    command = ["preflight", str(place.host), "--state-dir", str(place.state_dir)]

    code = main([*command, "--json"])

    document = json.loads(capsys.readouterr().out)
    assert code == document["exit_code"] == ExitCode.PERMISSIONS
    bad = [one["exit_code"] for one in document["findings"] if one["level"] == "bad"]
    assert bad == [ExitCode.PERMISSIONS, ExitCode.AUDIT_CHAIN]
    assert main(command) == ExitCode.PERMISSIONS
    assert "chmod 700" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--pin", "beef"], ["--policy", "holder"], ["--policy", "holder=xyz"]])
def test_hash_that_is_none_is_refused(place: Place, option: list[str]) -> None:
    command = ["preflight", str(place.host), "--state-dir", str(place.state_dir)]

    assert main([*command, *option]) == ExitCode.USAGE
