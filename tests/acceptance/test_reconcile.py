"""Books that do not agree with the venue's: what the operator is told, and what ends it."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.paper.store import VenueStore
from bot.exit_codes import ExitCode
from ops.state_dir import JOURNAL
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut
from tests.support.journals import recorded

BRISK = 1_800
"""Market seconds a second."""
NO_COOLDOWN = "\n[guardian]\nresume_cooldown_secs = 0.0\n"


def write(market: Path, directory: Path, *strategies: str) -> Path:
    directory.mkdir()
    return write_bot(directory, market, strategies, kind="paper", more=NO_COOLDOWN)


def status(daemon: DaemonProcess) -> dict[str, Any]:
    document: dict[str, Any] = daemon.ask("status", "--json").document()
    return document


@pytest.fixture
def abandoned(long_market: Path, tmp_path: Path) -> Path:
    """State in which a strategy holds something that the configuration of the next start does not name."""
    host = write(long_market, tmp_path / "first", "wanderer", "holder")
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.until(lambda: "holder: BUY" in daemon.said)
        daemon.stop("--keep")
    return tmp_path / "var"


def test_holdings_of_a_strategy_that_is_not_named_any_more_halt_until_an_operator_accepts_them(
    long_market: Path, tmp_path: Path, abandoned: Path
) -> None:
    host = write(long_market, tmp_path / "second", "wanderer")
    with DaemonProcess(host, abandoned, "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.until(lambda: status(daemon)["trading_state"] == "HALTED")
        found = status(daemon)
        shown, as_json = daemon.ask("reconcile"), daemon.ask("reconcile", "--json")
        without_reason = daemon.ask("reconcile", "--accept")
        resumed = daemon.ask("resume", "--scope", "all", "--reason", "too early")
        daemon.until(lambda: status(daemon)["trading_state"] == "HALTED")  # it is found again
        accepted = daemon.ask("reconcile", "--accept", "--reason", "kept by hand")
        daemon.ask("resume", "--scope", "all", "--reason", "accepted")
        after = status(daemon)
        daemon.until(lambda: "wanderer: BUY" in daemon.said or "wanderer: SELL" in daemon.said)
        daemon.stop()

    assert "NOT RECONCILED: strategy holder is not in the configuration any more" in daemon.said
    assert found["reconciled"] is False
    assert any("cash" in line for line in found["unexplained"])
    assert shown.code == as_json.code == ExitCode.UNRECONCILED
    assert "holder is not in the configuration" in shown.out
    assert as_json.document()["is_clean"] is False
    assert without_reason.code == ExitCode.USAGE
    assert resumed.code == ExitCode.OK
    assert accepted.code == ExitCode.OK, accepted.err
    assert (after["reconciled"], after["trading_state"]) == (True, "ACTIVE")
    with DaemonProcess(host, abandoned, "--speed", BRISK) as again:
        again.ready()
        assert (status(again)["reconciled"], status(again)["trading_state"]) == (True, "ACTIVE")


def test_position_that_is_configured_to_be_adopted_is_a_strategys_over_a_crash_and_can_be_closed(
    long_market: Path, tmp_path: Path, abandoned: Path
) -> None:
    """The position was left by a strategy that is gone, and accepted as somebody else's."""
    host = write(long_market, tmp_path / "second", "wanderer", "breakout")
    with DaemonProcess(host, abandoned, "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.ask("pause", "wanderer", "--reason", "it is to stay flat in what it adopts")
        daemon.ask("flatten", "--strategy", "wanderer", "--reason", "likewise")
        daemon.ask("reconcile", "--accept", "--reason", "adopted at the next start")
        beside = daemon.ask("reconcile", "--json").document()["report"]["baseline"]["positions"]
        daemon.stop("--keep")
    adopt = ", ".join(f'"{name}" = "wanderer"' for name in beside)
    before = host.read_text()
    host.write_text(f"{before}\n[reconciliation]\nadopt = {{ {adopt} }}\n")
    venue = {path.name: path.read_bytes() for path in abandoned.glob("paper-venue*")}

    # So slow that no bar passes: the venue is where it was, but for who owns what.
    with DaemonProcess(host, abandoned, "--speed", 1) as daemon:
        daemon.ready()
        first = status(daemon)
        said, adopted = daemon.said, daemon.ask("positions", "--json").document()
        daemon.process.kill()
        daemon.wait()
    # As if it had been killed when the journal had the adoption, but no execution, and the venue nothing.
    for path in abandoned.glob("paper-venue*"):
        path.unlink()
    for name, content in venue.items():
        (abandoned / name).write_bytes(content)
    booked = [row for row in recorded(abandoned, "fill") if row["trade_id"].startswith("ADOPT-")]
    host.write_text(before)  # what was adopted stays so without the setting
    replayed = argonaut("replay", first["session"], "--json", "--state-dir", abandoned)
    _cut_after_adoption(abandoned)
    with DaemonProcess(host, abandoned, "--speed", BRISK) as daemon:
        daemon.ready()
        second = status(daemon)
        kept = daemon.ask("positions", "--json").document()
        flattened = daemon.ask("flatten", "--strategy", "wanderer", "--reason", "sell what was adopted")
        after = daemon.ask("reconcile", "--json")
        daemon.stop()

    assert beside
    assert said.count("wanderer adopted") == len(beside)
    assert "adopted" not in daemon.said
    assert [row["trade_id"] for row in recorded(abandoned, "fill")][: len(booked)] == [
        row["trade_id"] for row in booked
    ]
    assert replayed.code == ExitCode.OK, replayed
    assert (first["reconciled"], second["reconciled"]) == (True, True)
    assert {row["instrument_id"]: row["quantity"] for row in booked} == pytest.approx(beside)
    assert len(booked) == len(beside)
    first_held, held = (
        {row["instrument_id"]: row["quantity"] for row in rows if row["strategy"] == "wanderer"}
        for rows in (adopted, kept)
    )
    assert first_held == pytest.approx(beside)
    # A halted strategy may reduce what it holds, and by now bars have passed.
    assert all(0.0 <= quantity <= beside[name] * (1.0 + 1e-9) for name, quantity in held.items())
    assert flattened.code == ExitCode.OK, flattened
    assert after.code == ExitCode.OK, after
    assert after.document()["report"]["baseline"]["positions"] == {}
    with closing(VenueStore(abandoned / "paper-venue.sqlite")) as store:
        owners = store._plain["positions"]
    assert not any(one["quantity"] for held in owners.values() for one in held.values())


def _cut_after_adoption(state_dir: Path) -> None:
    """Leave of the journal what was written up to the record that says that something is adopted."""
    segments = sorted((state_dir / JOURNAL).glob("segment-*.jsonl"))
    at = next(at for at, one in enumerate(segments) if b'"role":"ADOPT"' in one.read_bytes())
    content = segments[at].read_bytes()
    end = content.index(b"\n", content.index(b'"role":"ADOPT"')) + 1
    after = content[end:] + b"".join(one.read_bytes() for one in segments[at + 1 :])
    assert b'"ADOPT-' not in content[:end]
    assert b'"ADOPT-' in after
    segments[at].write_bytes(content[:end])
    for one in segments[at + 1 :]:
        one.unlink()


def test_a_flat_strategy_may_go_and_a_new_one_come_without_a_word(long_market: Path, tmp_path: Path) -> None:
    first, second = (
        write(long_market, tmp_path / "a", "wanderer"),
        write(long_market, tmp_path / "b", "holder"),
    )
    with DaemonProcess(first, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.until(lambda: "wanderer: BUY" in daemon.said)
        daemon.stop("--flatten")
    with DaemonProcess(second, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.until(lambda: "holder: BUY" in daemon.said)
        first_status = status(daemon)
        daemon.stop()
    with DaemonProcess(second, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        second_status = status(daemon)

    for one in (first_status, second_status):
        assert (one["reconciled"], one["unexplained"], one["trading_state"]) == (True, [], "ACTIVE")
    assert [one["name"] for one in second_status["strategies"]] == ["holder"]


def test_a_strategy_whose_capital_the_account_does_not_hold_does_not_trade(
    long_market: Path, tmp_path: Path
) -> None:
    first = write(long_market, tmp_path / "a", "wanderer")
    second = write(long_market, tmp_path / "b", "wanderer", "holder")
    strategy = next(path for path in (tmp_path / "b").rglob("*.toml") if "holder" in path.name)
    strategy.write_text(re.sub("capital_quote = .*", "capital_quote = 900_000.0", strategy.read_text()))
    # The account remembers what it began with, whatever the configuration says by now.
    second.write_text(
        second.read_text().replace("starting_balance = 300_000", "starting_balance = 2_000_000")
    )
    with DaemonProcess(first, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.stop()
    with DaemonProcess(second, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        found = status(daemon)

    assert found["reconciled"] is False
    assert "lower their capital_quote to what is there" in found["unexplained"][0]


def test_reconcile_without_a_daemon_shows_what_was_found_last(abandoned: Path, tmp_path: Path) -> None:
    answer = argonaut("reconcile", "--json", "--state-dir", abandoned)
    nothing = argonaut("reconcile", "--json", "--state-dir", tmp_path / "never")

    assert answer.code == nothing.code == ExitCode.UNAVAILABLE
    assert (answer.document()["is_clean"], nothing.document()) == (True, {"is_clean": None, "report": None})
    assert "nothing was compared now" in answer.err
