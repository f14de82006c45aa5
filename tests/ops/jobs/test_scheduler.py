"""Jobs over days, crashes and restarts, by a clock that goes by hand."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import apscheduler.schedulers.base
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.jobs.job import Command, Job
from ops.jobs.ledger import LEDGER, Run, RunState, read_runs
from ops.jobs.schedule import parse_schedule
from ops.jobs.scheduler import JobScheduler
from ops.refusals import RefusedError

DAY = 86_400
NOON = 20_000 * DAY + DAY // 2
"""A noon, seconds since 1970."""


class Bench:
    """One daemon after the other over one state directory.

    Args:
        state_dir: Of them all.
        more: Jobs beside the daily backup at 02:00.
    """

    def __init__(self, state_dir: Path, *more: Job) -> None:
        self.state_dir = state_dir
        self.now = float(NOON)
        self.jobs = [Job("backup", parse_schedule("0 2 * * *"), Command(("backup",)), "A copy."), *more]
        self.launched: list[str] = []
        self.ended: list[Run] = []
        self.exit_codes: dict[str, int] = {}
        self.held: asyncio.Event | None = None
        """Commands do not end before it is set."""

    def scheduler(self) -> JobScheduler:
        return JobScheduler(
            self.jobs, self.state_dir, now=lambda: self.now, told=self.ended.append, launch=self._launch
        )

    async def settled(self, scheduler: JobScheduler) -> None:
        while scheduler.running():
            await asyncio.sleep(0.001)

    async def begun(self, count: int) -> None:
        while len(self.launched) < count:
            await asyncio.sleep(0.001)

    async def day(self) -> None:
        """A start, work, and a stop in order."""
        scheduler = self.scheduler()
        await scheduler.start()
        await self.settled(scheduler)
        await scheduler.close()

    async def crash(self, *, launched: int = 1) -> None:
        """A start that ends in the middle of what it has begun."""
        self.held = asyncio.Event()
        scheduler = self.scheduler()
        before = len(self.launched)
        await scheduler.start()
        await self.begun(before + launched)
        await scheduler.close()
        self.held = None

    async def _launch(self, command: Command, log: Path) -> int:
        self.launched.append(command.args[0])
        log.write_text(f"doing {command.args[0]}\n")
        if self.held is not None:
            await self.held.wait()
        return self.exit_codes.get(command.args[0], 0)

    @property
    def history(self) -> list[tuple[str, int | None, int, str]]:
        """Job, days since the first noon, attempt and state of all runs, oldest first."""
        return [
            (
                run.job,
                None if run.slot is None else round((run.slot - NOON) / DAY),
                run.attempt,
                run.state.value,
            )
            for run in reversed(read_runs(self.state_dir / LEDGER, 1000))
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_slots_before_a_job_was_known_are_not_due_and_those_after_are_each_once(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        assert bench.history == []
        for _ in range(2):
            bench.now += DAY
            await bench.day()
            await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 1, 1, "SUCCEEDED"), ("backup", 2, 1, "SUCCEEDED")]
    assert len(bench.launched) == 2


def test_slots_that_were_missed_while_it_was_down_are_one_run_of_the_newest(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += 5 * DAY
        await bench.day()
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 5, 1, "SUCCEEDED")]


def test_run_that_was_cut_off_is_run_once_more_and_no_third_time(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        await bench.crash()
        await bench.crash()
        await bench.day()
        bench.now += DAY
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [
        ("backup", 1, 1, "INTERRUPTED"),
        ("backup", 1, 2, "INTERRUPTED"),
        ("backup", 2, 1, "SUCCEEDED"),
    ]
    assert len(bench.launched) == 3


def test_run_that_was_cut_off_long_ago_is_covered_by_the_one_that_is_due(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        await bench.crash()
        bench.now += 2 * DAY
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 1, 1, "INTERRUPTED"), ("backup", 3, 1, "SUCCEEDED")]


def test_run_of_an_operator_that_was_cut_off_is_run_once_more_and_no_third_time(bench: Bench) -> None:
    async def scenario() -> None:
        bench.held = asyncio.Event()
        scheduler = bench.scheduler()
        await scheduler.start()
        await scheduler.run_now("backup", "cli ada")
        await bench.begun(1)
        await scheduler.close()
        await bench.crash()
        await bench.day()
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", None, 1, "INTERRUPTED"), ("backup", None, 2, "INTERRUPTED")]
    assert read_runs(bench.state_dir / LEDGER, 1)[0].who == "cli ada"


def test_slot_that_comes_while_the_job_runs_follows_it(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        bench.held = asyncio.Event()
        scheduler = bench.scheduler()
        await scheduler.start()
        await bench.begun(1)
        bench.now += DAY
        await scheduler.look()
        assert (len(bench.launched), len(scheduler.running())) == (1, 1)
        bench.held.set()
        await bench.begun(2)
        await bench.settled(scheduler)
        await scheduler.close()

    asyncio.run(scenario())

    assert bench.history == [("backup", 1, 1, "SUCCEEDED"), ("backup", 2, 1, "SUCCEEDED")]


def test_clock_that_is_set_back_repeats_nothing(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        await bench.day()
        bench.now -= 3 * DAY
        await bench.day()
        bench.now += 3 * DAY
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 1, 1, "SUCCEEDED")]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_clock_that_jumped_ahead_and_is_right_again_holds_no_job_up(bench: Bench, is_restarted: bool) -> None:
    async def scenario() -> None:
        scheduler = bench.scheduler()
        await scheduler.start()
        for days in (1, 200, 1, 2, 3):
            bench.now = float(NOON + days * DAY)
            await scheduler.look()
            await bench.settled(scheduler)
            assert scheduler.due_at["backup"] > bench.now
            assert scheduler.due_at["backup"] <= bench.now + DAY
            if is_restarted:
                await scheduler.close()
                scheduler = bench.scheduler()
                await scheduler.start()
                await bench.settled(scheduler)
        await scheduler.close()

    asyncio.run(scenario())

    assert [slot for _, slot, _, _ in bench.history] == [1, 200, 2, 3]


def test_schedule_that_was_changed_counts_from_the_change(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        bench.jobs = [Job("backup", parse_schedule("0 3 * * *"), Command(("backup",)), "A copy.")]
        await bench.day()
        assert bench.history == []
        bench.now += DAY
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 2, 1, "SUCCEEDED")]


def test_clock_of_apscheduler_brings_a_run_about_when_its_slot_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ByHand(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(bench.now, tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", ByHand)

    async def woken(scheduler: JobScheduler) -> None:
        """Let its clockwork look at the time, and see through what comes of that."""
        scheduler._clockwork.wakeup()
        for _ in range(10):
            await asyncio.sleep(0)
        async with scheduler._looking:
            pass

    async def scenario() -> None:
        scheduler = bench.scheduler()
        await scheduler.start()
        await woken(scheduler)
        assert bench.launched == []
        at_two = NOON + 14 * 3600
        assert scheduler.due_at == {"backup": at_two}
        assert scheduler._clockwork.get_job("backup").next_run_time == datetime.fromtimestamp(at_two, UTC)
        for later in (at_two - 1, at_two, at_two + 1, at_two + 30):
            bench.now = later
            await woken(scheduler)
            await bench.settled(scheduler)
            assert len(bench.launched) == (later >= at_two)
        assert scheduler.due_at == {"backup": at_two + DAY}
        await scheduler.close()

    asyncio.run(scenario())


def test_commands_wait_for_each_other_and_work_on_the_loop_for_nobody(tmp_path: Path) -> None:
    async def summarise() -> str:
        return "all is well"

    off = parse_schedule("off")
    bench = Bench(
        tmp_path,
        Job("verify", off, Command(("verify",)), "A check."),
        Job("summary", off, summarise, "A message."),
    )

    async def scenario() -> None:
        bench.held = asyncio.Event()
        scheduler = bench.scheduler()
        await scheduler.start()
        for name in ("backup", "verify", "summary"):
            await scheduler.run_now(name, "cli ada")
        await bench.begun(1)
        while not bench.ended or len(scheduler.running()) > 2:
            await asyncio.sleep(0.001)
        assert [run.state.value for run in scheduler.running()] == ["RUNNING", "QUEUED"]
        assert bench.launched == ["backup"]
        bench.held.set()
        await bench.settled(scheduler)
        await scheduler.close()

    asyncio.run(scenario())

    assert bench.launched == ["backup", "verify"]
    assert [(run.job, run.state, run.detail) for run in bench.ended] == [
        ("summary", RunState.SUCCEEDED, "all is well"),
        ("backup", RunState.SUCCEEDED, ""),
        ("verify", RunState.SUCCEEDED, ""),
    ]


def test_job_that_fails_is_told_with_why_and_comes_again(tmp_path: Path) -> None:
    async def breaks() -> str:
        raise ZeroDivisionError("by zero")

    bench = Bench(tmp_path, Job("summary", parse_schedule("0 3 * * *"), breaks, "A message."))
    bench.exit_codes["backup"] = 74

    async def scenario() -> None:
        await bench.day()
        for _ in range(2):
            bench.now += DAY
            await bench.day()

    asyncio.run(scenario())

    told = sorted((run.job, run.state.value, run.exit_code, run.detail) for run in bench.ended)
    assert told == [
        ("backup", "FAILED", 74, "exit code 74"),
        ("backup", "FAILED", 74, "exit code 74"),
        ("summary", "FAILED", None, "ZeroDivisionError: by zero"),
        ("summary", "FAILED", None, "ZeroDivisionError: by zero"),
    ]


def with_a_started_one(bench: Bench, scenario: Callable[[JobScheduler], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        scheduler = bench.scheduler()
        await scheduler.start()
        try:
            await scenario(scheduler)
        finally:
            await scheduler.close()

    asyncio.run(play())


def test_operator_is_refused_what_runs_and_what_there_is_not(bench: Bench) -> None:
    async def scenario(scheduler: JobScheduler) -> None:
        bench.held = asyncio.Event()
        run = await scheduler.run_now("backup", "cli ada")
        with pytest.raises(RefusedError, match=f"run {run.run_id}"):
            await scheduler.run_now("backup", "cli ada")
        with pytest.raises(RefusedError, match="expected one of backup"):
            await scheduler.run_now("backpu", "cli ada")
        with pytest.raises(RefusedError, match="run 99 is not under way"):
            await scheduler.cancel(99, "cli ada")
        with pytest.raises(RefusedError, match="no run 99"):
            await scheduler.log(99)

    with_a_started_one(bench, scenario)


@pytest.mark.parametrize("wait", [False, True], ids=["at once", "under way"])
def test_cancelled_run_is_over_and_names_who_did_it_and_what_it_said(bench: Bench, wait: bool) -> None:
    async def scenario(scheduler: JobScheduler) -> None:
        bench.held = asyncio.Event()
        run = await scheduler.run_now("backup", "cli ada")
        if wait:
            await bench.begun(1)
        done = await scheduler.cancel(run.run_id, "cli bob")
        assert (done.state, done.detail) == (RunState.CANCELLED, "cancelled by cli bob")
        assert scheduler.running() == []
        assert (await scheduler.log(run.run_id))["log"] == ("doing backup\n" if wait else "")
        assert scheduler.outcomes == {("backup", RunState.CANCELLED): 1}
        assert bench.ended == [done]

    with_a_started_one(bench, scenario)
    asyncio.run(bench.day())

    assert [state for *_, state in bench.history] == ["CANCELLED"]


def test_jobs_say_what_is_next_what_was_last_and_how_far_they_are(bench: Bench) -> None:
    async def scenario(scheduler: JobScheduler) -> None:
        (idle,) = await scheduler.jobs()
        assert (idle["newest"], idle["progress"], idle["due_at"]) == (None, "", NOON + 14 * 3600)
        bench.held = asyncio.Event()
        run = await scheduler.run_now("backup", "cli ada")
        await bench.begun(1)
        (busy,) = await scheduler.jobs()
        assert (busy["newest"]["state"], busy["progress"]) == ("RUNNING", "doing backup")
        assert [one["run_id"] for one in await scheduler.runs(9)] == [run.run_id]

    with_a_started_one(bench, scenario)


def test_damaged_ledger_is_kept_aside_and_jobs_begin_anew(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.day()
        bench.now += DAY
        await bench.day()
        (bench.state_dir / LEDGER).write_bytes(b"no database" * 1000)
        await bench.day()
        bench.now += DAY
        await bench.day()

    asyncio.run(scenario())

    assert bench.history == [("backup", 2, 1, "SUCCEEDED")]
    assert (bench.state_dir / f"{LEDGER}.damaged").read_bytes().startswith(b"no database")


def test_disk_that_refuses_the_ledger_is_said(bench: Bench) -> None:
    (bench.state_dir / LEDGER).mkdir()

    with pytest.raises(sqlite3.OperationalError):
        asyncio.run(bench.day())


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_no_slot_is_dropped_or_run_to_its_end_twice_whatever_happens(days: list[tuple[int, bool]]) -> None:
    """Days that pass, and whether the start after them is cut off in the middle of what it does."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))

        async def scenario() -> None:
            await bench.day()
            for passed, crashes in days:
                bench.now += passed * DAY
                is_cut_off = bench.history[-1:] and bench.history[-1][2:] == (1, "RUNNING")
                if crashes and (passed or is_cut_off):
                    await bench.crash()
                else:
                    await bench.day()
            await bench.day()

        asyncio.run(scenario())

        total = sum(passed for passed, _ in days)
        done = [slot for _, slot, _, state in bench.history if state == "SUCCEEDED"]
        assert len(done) == len(set(done))
        claimed = [slot for _, slot, _, _ in bench.history if slot is not None]
        assert max(claimed, default=0) == total
        assert all(claimed.count(slot) <= 2 for slot in claimed)
        assert len(bench.launched) == len(bench.history)
