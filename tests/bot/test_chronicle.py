"""What a start does with the journal that it finds."""

import asyncio
import time
from pathlib import Path

import pytest

from bot.chronicle import Chronicle
from bot.config import JournalConfig
from ops.state_dir import JOURNAL
from strategies.errors import ConfigError

_HOUR_NS = 3_600 * 10**9


async def _open_and_close(state_dir: Path) -> None:
    chronicle = Chronicle.open(
        state_dir, JournalConfig(segment_mib=1), asyncio.get_running_loop(), lambda _: None
    )
    chronicle.begin({})
    chronicle.close({})


def test_start_under_a_clock_that_was_set_back_leaves_the_journal_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr("bot.chronicle.time.time_ns", lambda: now_ns() + _HOUR_NS)
        asyncio.run(_open_and_close(tmp_path))
    (segment,) = (tmp_path / JOURNAL).glob("segment-*.jsonl")
    with segment.open("ab") as torn:
        torn.write(b"half a reco")  # what a start that goes on would cut
    left = {path.name: path.read_bytes() for path in (tmp_path / JOURNAL).iterdir()}

    with pytest.raises(
        ConfigError, match=r"found one that stands 3\d{3} s before it; set it \(timedatectl\)"
    ):
        asyncio.run(_open_and_close(tmp_path))

    assert {path.name: path.read_bytes() for path in (tmp_path / JOURNAL).iterdir()} == left


def test_start_under_a_clock_that_lags_by_seconds_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr("bot.chronicle.time.time_ns", lambda: now_ns() + 3 * 10**9)
        asyncio.run(_open_and_close(tmp_path))

    asyncio.run(_open_and_close(tmp_path))

    assert len(list((tmp_path / JOURNAL).glob("segment-*.jsonl"))) == 2
