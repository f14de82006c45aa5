"""The kill-switch file on a real disk: nobody polls, so what is tested is that the system tells us."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.kill_mode import KillMode
from ops.kill_switch import KILL_SWITCH, KillSwitch, is_present


async def kills(folder: Path, act: Callable[[], object], count: int = 1) -> list[KillMode]:
    """What is killed when something is done to a watched folder."""
    seen: list[KillMode] = []
    enough = asyncio.Event()

    def kill(mode: KillMode, reason: str) -> None:
        seen.append(mode)
        if len(seen) >= count:
            enough.set()

    switch = KillSwitch(folder, kill)
    switch.open()
    task = asyncio.create_task(switch.watch())
    await asyncio.sleep(0)
    act()
    try:
        await asyncio.wait_for(enough.wait(), 5.0)
    finally:
        task.cancel()
        switch.close()
    return seen


def test_kill_switch_that_is_touched_halts(tmp_path: Path) -> None:
    seen = asyncio.run(kills(tmp_path, (tmp_path / KILL_SWITCH).touch))

    assert seen[0] is KillMode.HALT


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ("flatten\n", KillMode.FLATTEN),
        ("reduce-only", KillMode.REDUCE_ONLY),
        (" halt ", KillMode.HALT),
        ("flaten", KillMode.HALT),
        ("x" * 10_000, KillMode.HALT),
    ],
)
def test_kill_switch_content_names_the_mode_and_anything_else_halts(
    tmp_path: Path, content: str, mode: KillMode
) -> None:
    seen = asyncio.run(kills(tmp_path, lambda: (tmp_path / KILL_SWITCH).write_text(content)))

    assert seen[0] is mode


def test_kill_switch_that_is_moved_into_place_is_seen(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_text("flatten")

    assert asyncio.run(kills(tmp_path, lambda: staged.rename(tmp_path / KILL_SWITCH)))[0] is KillMode.FLATTEN


def test_kill_switch_that_is_a_dead_link_halts(tmp_path: Path) -> None:
    link = tmp_path / KILL_SWITCH

    assert asyncio.run(kills(tmp_path, lambda: link.symlink_to("nowhere")))[0] is KillMode.HALT
    assert is_present(tmp_path)


def test_kill_switch_that_is_written_to_later_goes_further(tmp_path: Path) -> None:
    async def run() -> list[KillMode]:
        path = tmp_path / KILL_SWITCH
        loop = asyncio.get_running_loop()

        def act() -> None:
            path.touch()
            loop.call_later(0.1, lambda: path.write_text("flatten"))

        return await kills(tmp_path, act, count=3)

    seen = asyncio.run(run())

    assert seen[0] is KillMode.HALT
    assert seen[-1] is KillMode.FLATTEN


def test_kill_switch_does_not_heed_other_files(tmp_path: Path) -> None:
    def act() -> None:
        (tmp_path / "KILL_SWITCH.bak").touch()
        (tmp_path / "latch.json").touch()
        (tmp_path / KILL_SWITCH).write_text("flatten")

    assert set(asyncio.run(kills(tmp_path, act))) == {KillMode.FLATTEN}


def test_kill_switch_that_is_there_at_the_start_kills_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / KILL_SWITCH).touch()
    seen: list[str] = []
    switch = KillSwitch(tmp_path, lambda _, reason: seen.append(reason))

    switch.open()
    switch.close()

    assert seen == [f"{tmp_path / KILL_SWITCH} was there at the start"]


def test_kill_switch_whose_folder_goes_away_halts(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()

    assert asyncio.run(kills(folder, folder.rmdir)) == [KillMode.HALT]


def test_kill_switch_that_cannot_be_watched_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        KillSwitch(tmp_path / "missing", lambda *_: None).open()


def test_kill_switch_is_taken_to_be_there_where_the_disk_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert is_present(tmp_path / "file")  # no folder: the system refuses to look
    assert not is_present(tmp_path)
