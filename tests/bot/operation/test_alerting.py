"""What a daemon tells people: every change of the latch, how it ended; and nothing that stops it."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.config import load_host
from bot.daemon import Daemon
from bot.exit_codes import ExitCode
from bot.operation.alerting import INCIDENTS, Alerting
from ops.alerts import Channel, Outcome
from ops.alerts.desk import Alert
from strategies.delivery import Written
from tests.support.bots import write_bot


def latch(action: str, serial: int, state: str = "HALTED") -> dict[str, Any]:
    restriction = {"scope": "all", "state": state, "reason": "a test", "who": "cli", "origin": "operator"}
    return {"action": action, "serial": serial, "restriction": restriction}


class Bench:
    """Alerting whose messages are kept."""

    def __init__(self, folder: Path, status: Mapping[str, Any] | Exception) -> None:
        self.status = status
        host = load_host(write_bot(folder, folder / "catalog", ("holder",), kind="paper"))
        channels = [Channel("json-1", "json://127.0.0.1:9/")]
        self.alerting = Alerting(host, folder, channels, self._status)
        self.taken: list[Alert] = []
        self.alerting.desk.take = self.taken.append  # type: ignore[method-assign, assignment]
        self.alerting.desk._deliver = self._deliver

    @property
    def said(self) -> list[tuple[str, str]]:
        """Severity and title of all that was taken."""
        return [(one.severity.value, one.title) for one in self.taken]

    def _status(self) -> dict[str, Any]:
        if isinstance(self.status, Exception):
            raise self.status
        return dict(self.status)

    async def _deliver(self, _title: str, _body: str) -> Sequence[Outcome]:
        return []

    def notes(self, *changes: dict[str, Any]) -> None:
        """Changes of the latch, on a loop, and the end of what they set off."""

        async def run() -> None:
            for fields in changes:
                self.alerting.note("latch", fields)
            await asyncio.sleep(0)
            await self.alerting.close()

        asyncio.run(run())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, {"state": "READY", "trading_state": "HALTED"})


def test_flatten_that_leaves_something_pages_and_one_that_does_not_is_quiet(bench: Bench) -> None:
    for state, detail in (("FLAT", ""), ("NOT_FLAT", "still holding or working: one BTCUSDT.X")):
        ended = {"command": "flatten", "answer": {"state": state, "scopes": ["all"], "detail": detail}}
        bench.alerting.note("control", ended)

    (alert,) = bench.taken
    assert (alert.severity.value, alert.title) == ("page", "NOT FLAT")
    assert "one BTCUSDT.X; look at the venue" in alert.text


def test_halt_that_comes_again_after_a_resume_is_told_again_and_so_is_a_stricter_one(bench: Bench) -> None:
    bench.notes(
        latch("hold", 1, "REDUCING"), latch("hold", 2), latch("lift", 3), latch("hold", 4), latch("note", 5)
    )

    assert bench.said == [
        ("page", "all is REDUCING"),
        ("page", "all is HALTED"),
        ("info", "all was resumed"),
        ("page", "all is HALTED"),
        ("page", "all is HALTED"),
    ]
    assert len({one.key for one in bench.taken}) == 5, "one key is sent once in five minutes"


@pytest.mark.parametrize("disk", ["takes it", "refuses"])
def test_change_is_recorded_though_nobody_can_count_it_and_told_though_it_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    host = load_host(write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper"))
    daemon, recorded, told = Daemon(host, tmp_path, lambda _: None), list[str](), list[str]()

    def record(kind: str, _fields: dict[str, Any]) -> None:
        if disk == "refuses":
            raise TypeError("it has no JSON form")
        recorded.append(kind)

    def fail(*_: object) -> None:
        raise RuntimeError("it broke")

    daemon._chronicle = SimpleNamespace(record=record)  # type: ignore[assignment]
    monkeypatch.setattr(daemon._events, "note", fail)
    monkeypatch.setattr(daemon._alerting, "note", lambda kind, _: told.append(kind))

    with pytest.raises(TypeError) if disk == "refuses" else contextlib.nullcontext():
        daemon._note_control("latch", latch("hold", 1))

    assert (recorded, told) == ([] if disk == "refuses" else ["latch"], ["latch"])


def test_every_halt_files_how_things_stood_where_the_message_says(bench: Bench, tmp_path: Path) -> None:
    bench.notes(latch("hold", 1))

    (report,) = (tmp_path / INCIDENTS).iterdir()
    assert str(report) in bench.taken[0].text
    assert json.loads(report.read_text().split("```json")[1].split("```")[0]) == bench.status


def test_disk_that_takes_no_report_is_logged_and_the_message_goes_out(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / INCIDENTS).write_text("a file where the folder should be")

    bench.notes(latch("hold", 1))

    assert bench.said == [("page", "all is HALTED")]
    assert "no report of the incident could be filed" in caplog.text


@pytest.mark.parametrize(
    ("code", "holdings", "severity", "text"),
    [
        (ExitCode.OK, {"holder": {}}, "info", "signal SIGTERM; exit code 0 (OK), flat"),
        (ExitCode.OK, {"holder": {"B": 2.0}}, "info", "holds {'holder': {'B': 2.0}}"),
        (ExitCode.IO, {"holder": {"B": 2.0}}, "page", "exit code 74 (IO), holds"),
        (ExitCode.FINDINGS, {}, "page", "exit code 1 (FINDINGS), flat"),
    ],
)
def test_end_that_is_not_as_it_should_be_is_urgent(
    bench: Bench, code: ExitCode, holdings: dict[str, dict[str, float]], severity: str, text: str
) -> None:
    bench.alerting.say_end("S", "signal SIGTERM", code, holdings)

    assert bench.said == [(severity, "stopped")]
    assert text in bench.taken[0].text


def _standing(equity: float, fees: float, decisions: int) -> dict[str, Any]:
    strategy = {
        "name": "holder", "equity": equity, "profit": equity - 50_000.0, "fees": fees, "decisions": decisions,
        "drawdown_frac": 0.0125, "trading_state": "ACTIVE",
    }  # fmt: skip
    return {
        "state": "READY", "trading_state": "ACTIVE", "reason": "", "strategies": [strategy],
        "account": {"profit": equity - 50_000.0, "day_profit": -3.0, "drawdown_frac": 0.0125},
        "journal": {"records": 12, "head": "f" * 64},
    }  # fmt: skip


def test_summary_says_what_came_of_it_since_the_one_before_and_how_things_stand(bench: Bench) -> None:
    async def two_days() -> tuple[str, str]:
        bench.status = _standing(50_040.0, 10.0, 5)
        bench.alerting.start()
        bench.status = _standing(50_100.0, 12.5, 7)
        first = await bench.alerting.summarise()
        bench.status = _standing(50_090.0, 12.75, 8)
        second = await bench.alerting.summarise()
        await bench.alerting.close()
        return first, second

    first, second = asyncio.run(two_days())

    assert bench.said == [("info", "daily summary")] * 2
    assert [one.text for one in bench.taken] == [first, second]
    assert "since the start at 20" in first
    assert "holder: +60.00 after costs of 2.50, 2 decisions; equity 50,100.00, profit in all +100.00" in first
    assert "holder: -10.00 after costs of 0.25, 1 decisions; equity 50,090.00, profit in all +90.00" in second
    assert "1.25% below its peak, ACTIVE" in second
    assert "account: profit in all +90.00, this trading day so far -3.00" in second
    assert second.endswith(f"head {'f' * 64}")


def test_summary_that_cannot_be_made_is_not_sent(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="before the daemon was ready"):
        asyncio.run(bench.alerting.summarise())

    async def broken() -> None:
        bench.status = _standing(50_000.0, 0.0, 0)
        bench.alerting.start()
        bench.status = RuntimeError("it broke")
        try:
            await bench.alerting.summarise()
        finally:
            bench.status = _standing(50_000.0, 0.0, 0)
            await bench.alerting.close()

    with pytest.raises(RuntimeError, match="it broke"):
        asyncio.run(broken())
    assert bench.said == []


def test_orders_that_the_disk_was_too_slow_for_page_once_for_each_strategy(bench: Bench) -> None:
    del bench.alerting.desk.take  # back to the desk's own, which lets each cause in once
    sent: list[str] = []

    async def deliver(title: str, _body: str) -> Sequence[Outcome]:
        sent.append(title)
        return []

    async def run() -> None:
        bench.alerting.desk._deliver = deliver
        for written, strategy in (
            ("EXPIRED", "one"),
            ("EXPIRED", "one"),
            ("EXPIRED", "two"),
            ("LATE", "one"),
        ):
            bench.alerting.say_missed(Written[written], strategy)
        await bench.alerting.desk.flush()

    asyncio.run(run())

    assert sent == ["[PAGE] argonaut paper DEMO: disk too slow and 2 more"]
