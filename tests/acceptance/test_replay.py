"""A session of the daemon, decided again from its journal: everything must come out the same."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bot.exit_codes import ExitCode
from bot.sessions.replay import replay_records, replay_session
from ops.journal import Kind, Record
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut
from tests.support.crashes import journal_of
from tests.support.markets import ALPHA, store_market

BOTS = ("wanderer", "breakout", "holder")
BRISK = 3_600
NO_COOLDOWN = "\n[guardian]\nresume_cooldown_secs = 0.0\n"
END = "2024-01-01T10:30"


@pytest.fixture(scope="module")
def recorded(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a host, ``paper.toml``, and ``var``, the state of the one session that it had."""
    place = tmp_path_factory.mktemp("recorded")
    host = write_bot(place, market, BOTS, kind="paper", end=END, more="\n[daemon]\nsession_files = true\n")
    with DaemonProcess(host, place / "var", "--speed", "max") as daemon:
        assert daemon.wait(120.0) == ExitCode.OK
    return place


def replayed(state_dir: Path, session: str = "latest", **instead: Path) -> dict[str, Any]:
    return replay_session(state_dir, session, **instead).as_json()


def recorded_kinds(state_dir: Path, session: str) -> dict[str, int]:
    """How many records of each kind a session wrote, of those that a replay has to meet."""
    counts = dict.fromkeys(("decision", "verdict"), 0)
    current = ""
    for record in journal_of(state_dir):
        current = record.body["session"] if record.kind is Kind.SESSION_START else current
        if current == session and record.kind.value in counts:
            counts[record.kind.value] += 1
    return counts


def sessions(state_dir: Path) -> list[str]:
    return [one.body["session"] for one in journal_of(state_dir) if one.kind is Kind.SESSION_START]


def session_losses_count_from(state_dir: Path) -> list[list[float]]:
    """Equity from which the account's session loss counts, of each session."""
    found: list[list[float]] = []
    for record in journal_of(state_dir):
        if record.kind is Kind.SESSION_START:
            found.append([])
        elif record.kind is Kind.STATE and "account" in record.body:
            equity = record.body["account"]["session_start_equity"]
            if equity not in found[-1]:
                found[-1].append(equity)
    return found


def test_recorded_session_is_decided_again_to_the_bit(recorded: Path) -> None:
    found = replayed(recorded / "var")

    assert (found["causes"], found["differences"], found["refused"]) == ({}, [], [])
    assert "the data ended" in (recorded / "var" / "sessions" / "latest" / "session.md").read_text()
    engine_log = (recorded / "var" / "logs" / "engine.jsonl").read_text()
    assert "QueryAccount" not in engine_log, "a line at every bar would fill the disk"
    assert [found[f"is_{what}"] for what in ("identical", "complete", "same_config", "same_code")] == [
        True
    ] * 4
    counts = recorded_kinds(recorded / "var", found["session"])
    assert {kind: found["compared"][kind] for kind in counts} == counts
    assert counts["decision"] > 1_500
    assert counts["verdict"] > 100


def test_session_is_decided_again_on_the_catalog_that_it_was_played_from(
    recorded: Path, market: Path
) -> None:
    found = replayed(recorded / "var", catalog=market)

    assert found["is_identical"], found["differences"][:3]


def test_sessions_before_and_after_a_kill_are_decided_again_to_the_bit(market: Path, tmp_path: Path) -> None:
    host, state_dir = write_bot(tmp_path, market, BOTS, kind="paper"), tmp_path / "var"
    for _ in range(2):
        with DaemonProcess(host, state_dir, "--speed", BRISK) as daemon:
            daemon.ready()
            daemon.until(lambda: daemon.said.count(" BUY ") >= 6)
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
    for _ in range(2):
        with DaemonProcess(host, state_dir, "--speed", BRISK) as daemon:
            daemon.until(lambda: daemon.said.count(" BUY ") >= 3)
            daemon.stop()

    found = [replayed(state_dir, session) for session in sessions(state_dir)]

    assert [one["is_identical"] for one in found] == [True] * 4, [one["differences"][:3] for one in found]
    assert [one["is_complete"] for one in found] == [False, False, True, True]
    *before, after = session_losses_count_from(state_dir)
    assert before == [[250_000.0]] * 3, "a kill wins back no loss"
    assert len(after) == 1
    assert after != before[0]
    for one in found:
        counts = recorded_kinds(state_dir, one["session"])
        assert {kind: one["compared"][kind] for kind in counts} == counts
        assert counts["decision"] > 0


def test_session_with_everything_that_an_operator_may_do_is_decided_again_to_the_bit(
    long_market: Path, tmp_path: Path
) -> None:
    host = write_bot(tmp_path, long_market, BOTS, kind="paper", more=NO_COOLDOWN)
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.until(lambda: daemon.said.count(" BUY ") >= 4)
        for command in (
            ("pause", "wanderer"),
            ("kill", "--scope", "strategy:breakout"),
            ("unpause", "wanderer"),
            ("resume", "--scope", "strategy:breakout"),
            ("reconcile",),
            ("flatten", "--strategy", "wanderer"),
            ("resume", "--scope", "strategy:wanderer"),
            ("kill", "--mode", "reduce-only", "--scope", "instrument:BETAUSDT.DEMO"),
        ):
            daemon.pass_time(0.3)
            reason = () if command == ("reconcile",) else ("--reason", "a rehearsal")
            assert daemon.ask(*command, *reason).code == ExitCode.OK, command
        fills = daemon.said.count(" BUY ")
        daemon.until(lambda: daemon.said.count(" BUY ") >= fills + 3)
        beside = argonaut("replay", "--state-dir", tmp_path / "var", "--json")
        daemon.stop()

    found = replayed(tmp_path / "var")

    assert beside.code == ExitCode.OK, beside
    assert found["is_identical"], found["differences"][:3]


def test_changed_configuration_is_the_cause_of_what_it_changes(recorded: Path, tmp_path: Path) -> None:
    for path in recorded.glob("*.toml"):
        shutil.copy(path, tmp_path)
    strategy = tmp_path / "wanderer.toml"
    strategy.write_text(
        strategy.read_text().replace("max_notional_quote = 60_000.0", "max_notional_quote = 5_000.0")
    )

    found = replayed(recorded / "var", config=tmp_path / "paper.toml")

    assert not found["is_same_config"]
    assert list(found["causes"]) == ["config"]
    verdicts = [one for one in found["differences"] if one["what"] == "verdict"]
    assert {(one["strategy"], one["field"]) for one in verdicts} >= {("wanderer", "reason")}


def changed_market(root: Path, minute: int, *, is_dropped: bool) -> Path:
    """The market of the session, but for one bar of one instrument."""

    def keep(name: str, minutes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        kept: npt.NDArray[np.bool_] = minutes != (minute if is_dropped and name == ALPHA else -1)
        return kept

    store_market(root, days=2, keep=keep)
    return root


@pytest.mark.parametrize(("minute", "cause"), [(400, "late_data"), (5, "warm_up")])
def test_bar_that_is_missing_is_the_cause_of_what_it_changes(
    recorded: Path, tmp_path: Path, minute: int, cause: str
) -> None:
    catalog = changed_market(tmp_path / "catalog", minute, is_dropped=True)

    found = replayed(recorded / "var", catalog=catalog)

    assert list(found["causes"]) == [cause]
    opened = 1_704_067_200_000_000_000 + minute * 60_000_000_000
    assert min(one["ts_event"] for one in found["differences"]) >= opened


def test_bar_that_came_too_late_for_the_session_is_the_cause_of_what_it_changes(
    market: Path, tmp_path: Path
) -> None:
    catalog = changed_market(tmp_path / "catalog", 400, is_dropped=True)
    host = write_bot(tmp_path, catalog, ("wanderer",), kind="paper", end="2024-01-01T07:30")
    with DaemonProcess(host, tmp_path / "var", "--speed", "max") as daemon:
        assert daemon.wait(120.0) == ExitCode.OK

    assert replayed(tmp_path / "var")["is_identical"]
    assert list(replayed(tmp_path / "var", catalog=market)["causes"]) == ["late_data"]


def test_replay_command_says_by_its_exit_code_whether_anything_differs(
    recorded: Path, tmp_path: Path
) -> None:
    catalog = changed_market(tmp_path / "catalog", 5, is_dropped=True)

    same = argonaut("replay", "--state-dir", recorded / "var", "--json")
    other = argonaut("replay", "--state-dir", recorded / "var", "--catalog", catalog)
    unknown = argonaut("replay", "1999", "--state-dir", recorded / "var")
    nothing = argonaut("replay", "--state-dir", tmp_path / "never")

    assert (same.code, same.document()["is_identical"]) == (ExitCode.OK, True)
    assert (other.code, "differences: warm_up" in other.out) == (ExitCode.FINDINGS, True)
    assert unknown.code == nothing.code == ExitCode.CONFIG
    assert sessions(recorded / "var")[0] in unknown.err


def test_session_is_what_a_backtest_says_and_on_other_bars_it_is_not(recorded: Path, tmp_path: Path) -> None:
    catalog = changed_market(tmp_path / "catalog", 400, is_dropped=True)

    same = argonaut("compare", "--session", "latest", "--backtest", "--state-dir", recorded / "var", "--json")
    other = argonaut(
        "compare",
        "--session",
        "2",
        "--backtest",
        "--state-dir",
        recorded / "var",
        "--catalog",
        catalog,
        "--json",
    )

    assert same.code == ExitCode.OK, same
    found = {one["strategy"]: one for one in same.document()["strategies"]}
    assert list(found) == list(BOTS)
    assert all(one["decisions"] == one["same_decisions"] > 500 for one in found.values())
    assert found["wanderer"]["fills"] > 20
    assert other.code == ExitCode.FINDINGS
    first = min(one["first_other_ts"] or 2**63 for one in other.document()["strategies"])
    assert first >= 1_704_067_200_000_000_000 + 400 * 60_000_000_000


def altered(
    state_dir: Path, kind: Kind, change: Callable[[dict[str, Any]], dict[str, Any]], at: int = 40
) -> list[Record]:
    """The journal's records, one of which says something else."""
    records = journal_of(state_dir)
    place = [n for n, one in enumerate(records) if one.kind is kind][at]
    records[place] = records[place]._replace(body=change(records[place].body))
    return records


def test_execution_at_another_price_is_found_in_the_books(recorded: Path) -> None:
    records = altered(recorded / "var", Kind.FILL, lambda fill: fill | {"price": fill["price"] + 1.0})

    found = replay_records(records, "2")

    assert list(found.causes) == ["fill"]
    first = found.differences[0].ts_event
    fields = {one.field for one in found.differences if one.ts_event == first}
    assert {"observation_sha256", "state.ledger.cash"} <= fields


def test_execution_that_the_books_do_not_take_is_found(recorded: Path) -> None:
    records = altered(recorded / "var", Kind.FILL, lambda fill: fill | {"client_order_id": "AR" + "0" * 30})

    found = replay_records(records, "2")

    assert "it never sent" in found.refused[0]
    assert not found.is_identical


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Kind.DECISION, {"observation_sha256": "0" * 64}),
        (Kind.DECISION, {"confidence": 0.123}),
        (Kind.DECISION, {"regime_probs": [1.0, 0.0, 0.0]}),
        (Kind.VERDICT, {"reason": "spread"}),
        (Kind.VERDICT, {"approved": 0.0}),
    ],
)
def test_record_that_says_something_else_is_found_and_nothing_explains_it(
    recorded: Path, kind: Kind, change: dict[str, Any]
) -> None:
    records = altered(recorded / "var", kind, lambda body: body | change)

    found = replay_records(records, "2")

    (only,) = found.differences
    assert (only.what, only.field, only.recorded) == (kind.value, *next(iter(change.items())))
    assert list(found.causes) == ["unexplained"]


def test_decision_that_is_missing_is_found(recorded: Path) -> None:
    records = journal_of(recorded / "var")
    del records[[n for n, one in enumerate(records) if one.kind is Kind.DECISION][-1]]

    found = replay_records(records, "2")

    assert [(one.what, one.recorded) for one in found.differences] == [("decision", "nothing")]


def test_other_code_is_the_cause_where_nothing_else_is(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sessions.replay.code_sha256", lambda: "0" * 64)
    assert replay_records(journal_of(recorded / "var"), "2").is_identical

    records = altered(recorded / "var", Kind.DECISION, lambda body: body | {"confidence": 0.123})

    assert list(replay_records(records, "2").causes) == ["code"]
