"""Runs from a request to their end: one after the other, over cancels, crashes and disks that refuse."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ops.jobs.job import Command
from ops.jobs.ledger import JobLedger, RunState
from ops.refusals import RefusedError
from ops.runs.folder import FOLDER, LEDGER, PLACE, REQUEST, RESULT, RunFolder
from ops.runs.queue import MOST_WAITING, RunQueue
from ops.state_lock import try_lock

ASKED = {"options": {"config": "paper.toml"}}


class Machine:
    """Processes that end when they are told to.

    Args:
        state_dir: Where the runs lie.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.codes: dict[int, asyncio.Future[int]] = {}
        self.queue = self.new()

    def new(self, **more: Any) -> RunQueue:
        self.queue = RunQueue(
            self.state_dir,
            lambda folder: Command((folder.name,)),
            now=lambda: 1_000.0,
            launch=self._launch,
            **more,
        )
        return self.queue

    async def _launch(self, command: Command, log: Path) -> int:
        number = int(command.args[0])
        assert log == self.state_dir / FOLDER / command.args[0] / "run.log"
        self.begun.append(number)
        self.codes[number] = asyncio.get_running_loop().create_future()
        try:
            return await self.codes[number]
        finally:
            self.ended.append(number)

    async def ask(self, *kinds: str) -> list[int]:
        return [(await self.queue.create(kind, ASKED, "ada"))["run_id"] for kind in kinds]

    async def end(self, number: int, code: int = 0) -> None:
        await self.until(lambda: number in self.codes)
        self.codes[number].set_result(code)
        while True:
            run = await self.queue.run(number)
            if run.ended_at is not None:
                return
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not condition():
                await asyncio.sleep(0)

    async def states(self) -> list[str]:
        return [run["state"] for run in reversed(await self.queue.runs(100))]


def using[T](state_dir: Path, use: Callable[[Machine], Awaitable[T]], **more: Any) -> T:
    async def run() -> T:
        machine = Machine(state_dir)
        machine.new(**more)
        await machine.queue.start()
        try:
            return await use(machine)
        finally:
            await machine.queue.close()

    return asyncio.run(run())


def folder(state_dir: Path, number: int) -> RunFolder:
    return RunFolder.of(state_dir, number)


def test_runs_are_carried_out_one_after_the_other_in_the_order_of_the_requests(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        numbers = await machine.ask("backtest", "train", "walk-forward")
        await machine.until(lambda: machine.begun == [1])
        assert numbers == [1, 2, 3]
        assert await machine.states() == ["RUNNING", "QUEUED", "QUEUED"]

        await machine.end(1)
        await machine.until(lambda: machine.begun == [1, 2])
        await machine.end(2, 65)
        await machine.end(3)

        assert await machine.states() == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
        assert (await machine.queue.run(2)).detail == "exit code 65"

    using(tmp_path, use)


def test_as_many_are_carried_out_at_a_time_as_are_allowed(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await machine.ask("train", "train", "train")
        await machine.until(lambda: len(machine.begun) == 2)

        assert await machine.states() == ["RUNNING", "RUNNING", "QUEUED"]

    using(tmp_path, use, at_a_time=2)


def test_request_is_kept_and_the_words_of_a_failure_are_those_of_its_process(tmp_path: Path) -> None:
    async def use(machine: Machine) -> Any:
        await machine.ask("backtest")
        await machine.until(lambda: machine.begun == [1])
        folder(tmp_path, 1).write(RESULT, {"error": {"message": "no bars", "exit_code": 65}})
        await machine.end(1, 65)
        return await machine.queue.show(1)

    shown = using(tmp_path, use)

    assert shown["request"] == {"kind": "backtest"} | ASKED
    assert (shown["run"]["state"], shown["run"]["detail"]) == ("FAILED", "no bars")
    assert len(shown["request_sha256"]) == 64


def test_run_that_waits_is_cancelled_before_it_begins_and_the_next_takes_its_turn(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await machine.ask("train", "train", "train")
        cancelled = await machine.queue.cancel(2, "bob")
        await machine.end(1)
        await machine.until(lambda: machine.begun == [1, 3])

        assert (cancelled["state"], cancelled["detail"]) == ("CANCELLED", "cancelled by bob")
        assert await machine.states() == ["SUCCEEDED", "CANCELLED", "RUNNING"]

    using(tmp_path, use)


def test_run_that_is_under_way_has_ended_when_its_cancel_is_answered(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await machine.ask("train", "train")
        await machine.until(lambda: machine.begun == [1])

        await machine.queue.cancel(1, "bob")

        assert machine.ended == [1]
        await machine.until(lambda: machine.begun == [1, 2])
        with pytest.raises(RefusedError, match="run 1 has ended: CANCELLED"):
            await machine.queue.cancel(1, "bob")

    using(tmp_path, use)


@pytest.mark.parametrize("ask", ["show", "run", "delete"])
def test_run_that_is_not_there_is_unknown(tmp_path: Path, ask: str) -> None:
    async def use(machine: Machine) -> None:
        with pytest.raises(RefusedError) as refused:
            await getattr(machine.queue, ask)(9)
        assert refused.value.is_unknown

    using(tmp_path, use)


def test_no_more_wait_than_may(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await machine.ask(*["train"] * (MOST_WAITING + 1))

        with pytest.raises(RefusedError, match=f"at most {MOST_WAITING} runs") as refused:
            await machine.ask("train")
        assert refused.value.retry_after_secs == 60.0
        assert len(await machine.queue.runs(100)) == MOST_WAITING + 1

    using(tmp_path, use)


def test_restart_says_what_was_cut_off_and_goes_on_with_what_was_waiting(tmp_path: Path) -> None:
    async def first(machine: Machine) -> None:
        await machine.ask("train", "backtest")
        await machine.until(lambda: machine.begun == [1])

    async def second(machine: Machine) -> None:
        await machine.until(lambda: machine.begun == [2])
        assert await machine.states() == ["INTERRUPTED", "RUNNING"]
        assert (await machine.queue.run(1)).detail == "the daemon ended in the middle of it"
        await machine.end(2)
        assert await machine.ask("train") == [3]

    using(tmp_path, first)
    with_state = JobLedger(tmp_path / LEDGER)
    assert [run.state for run in with_state.unfinished()] == [RunState.RUNNING, RunState.QUEUED]
    with_state.close()
    using(tmp_path, second)


def test_run_whose_request_was_never_written_fails_at_the_restart(tmp_path: Path) -> None:
    ledger = JobLedger(tmp_path / LEDGER)
    ledger.claim("train", None, 1, "ada", 1.0)
    ledger.close()

    async def use(machine: Machine) -> None:
        assert await machine.states() == ["FAILED"]
        assert "ask again" in (await machine.queue.run(1)).detail

    using(tmp_path, use)


def test_damaged_ledger_is_kept_aside_and_another_is_begun(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"no ledger at all" * 100)

    async def use(machine: Machine) -> None:
        assert await machine.ask("train") == [1]

    using(tmp_path, use)
    assert (tmp_path / f"{LEDGER}.damaged").is_file()


def test_request_that_the_disk_refuses_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")

    async def use(machine: Machine) -> None:
        with pytest.raises(RefusedError, match="the disk refused"):
            await machine.ask("train")
        assert await machine.states() == ["FAILED"]
        assert machine.begun == []

    using(tmp_path, use)


def test_question_of_the_first_moments_is_answered_once_the_queue_is_up(tmp_path: Path) -> None:
    async def run() -> Any:
        queue = Machine(tmp_path).queue
        asking = asyncio.create_task(queue.create("train", ASKED, "ada"))
        await asyncio.sleep(0)
        assert not asking.done()
        await queue.start()
        found = await asking
        await queue.close()
        return found

    assert asyncio.run(run())["state"] == "QUEUED"


def test_queue_whose_ledger_the_disk_refuses_says_so(tmp_path: Path) -> None:
    (tmp_path / LEDGER).mkdir()

    async def use(machine: Machine) -> None:
        with pytest.raises(RefusedError, match="no run can be kept: OperationalError"):
            await machine.ask("train")

    using(tmp_path, use)


async def finished(machine: Machine, *outputs: str) -> None:
    """One run after another, each with its output."""
    for output in outputs:
        (number,) = await machine.ask("backtest")
        await machine.until(lambda number=number: number in machine.codes)  # type: ignore[misc]
        place = machine.state_dir / output
        place.mkdir(parents=True, exist_ok=True)
        (place / "report.html").write_text("<html>")
        kind = "model" if output.startswith("models") else "output"
        folder(machine.state_dir, number).write(PLACE, {kind: output})
        await machine.end(number)


def test_deleted_run_is_gone_with_its_output_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await finished(machine, "runs/a", "runs/b")
        await machine.queue.delete(1)

        assert await machine.states() == ["SUCCEEDED"]
        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["b"]
        assert not folder(tmp_path, 1).path.exists()
        await machine.queue.delete(2)
        assert await machine.ask("train") == [3]

    using(tmp_path, use)


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING"])
def test_run_that_has_not_ended_is_not_deleted(tmp_path: Path, state: str) -> None:
    async def use(machine: Machine) -> None:
        await machine.ask("train", "train")
        await machine.until(lambda: machine.begun == [1])

        with pytest.raises(RefusedError, match="cancel it first"):
            await machine.queue.delete(1 if state == "RUNNING" else 2)
        assert await machine.states() == ["RUNNING", "QUEUED"]

    using(tmp_path, use)


def test_output_that_another_run_or_a_link_has_stays(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await finished(machine, "runs/a", "runs/a", "runs/b")
        (tmp_path / "runs" / "latest").symlink_to("b")
        await machine.queue.delete(1)
        await machine.queue.delete(3)

        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["a", "b", "latest"]
        await machine.queue.delete(2)
        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["b", "latest"]

    using(tmp_path, use)


def test_model_is_never_deleted_with_its_run(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await finished(machine, "models/one/abc")
        await machine.queue.delete(1)

        assert (tmp_path / "models/one/abc/report.html").is_file()

    using(tmp_path, use)


def test_output_that_another_process_writes_is_not_deleted(tmp_path: Path) -> None:
    async def use(machine: Machine) -> None:
        await finished(machine, "training/a")
        lock = try_lock(tmp_path / "training/a")
        assert lock is not None
        with lock, pytest.raises(RefusedError, match="another process"):
            await machine.queue.delete(1)
        assert await machine.states() == ["SUCCEEDED"]
        await machine.queue.delete(1)
        assert not (tmp_path / "training/a").exists()

    using(tmp_path, use)


@pytest.mark.parametrize(
    "elsewhere", ["../outside", "journal", "runs", "supervised/000001", "/etc", "runs/../journal"]
)
def test_place_outside_of_the_folders_for_output_is_none(tmp_path: Path, elsewhere: str) -> None:
    state_dir = tmp_path / "state"
    for name in ("journal", "runs"):
        (state_dir / name).mkdir(parents=True)
    (tmp_path / "outside").mkdir()

    async def use(machine: Machine) -> None:
        await finished(machine, "runs/a")
        folder(state_dir, 1).write(PLACE, {"output": elsewhere})
        assert (await machine.queue.show(1))["outputs"] == {}
        await machine.queue.delete(1)

        assert (state_dir / "journal").is_dir()
        assert (state_dir / "runs" / "a").is_dir()
        assert (tmp_path / "outside").is_dir()

    using(state_dir, use)


def test_runs_of_long_ago_are_forgotten_at_the_start(tmp_path: Path) -> None:
    ledger = JobLedger(tmp_path / LEDGER)
    for ended in (-500 * 86_400.0, 900.0):
        run = ledger.claim("train", None, 1, "ada", 1.0)
        assert run is not None
        folder(tmp_path, run.run_id).path.mkdir(parents=True)
        (folder(tmp_path, run.run_id).path / REQUEST).write_text(json.dumps({}))
        ledger.end(run.run_id, RunState.SUCCEEDED, ended, 0, "")
    ledger.close()

    async def use(machine: Machine) -> None:
        assert [run["run_id"] for run in await machine.queue.runs(10)] == [2]

    using(tmp_path, use)
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["000002"]


def test_run_that_could_only_fail_here_is_refused_with_the_reason_and_others_are_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Machine(tmp_path)
        queue = bench.new(impossible={"train": "no code may be made here"})
        await queue.start()
        with pytest.raises(RefusedError, match="no code may be made here"):
            await bench.ask("train")
        assert await bench.ask("backtest") == [1]
        await queue.close()

    asyncio.run(scenario())
