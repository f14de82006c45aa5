"""The kernel's word on its clock, and what is made of it."""

import pytest

from ops.clock_sync import ClockSync, ClockWatch, read_clock_sync


def test_kernel_says_how_well_its_clock_is_kept() -> None:
    found = read_clock_sync()

    # Twice its own bound: STA_UNSYNC is set from 16 s on.
    assert found is None or 0.0 <= found.max_error_secs <= 32.0


@pytest.mark.parametrize(
    ("sync", "says"),
    [
        (ClockSync(True, 0.2), ""),
        (ClockSync(True, 0.26), "may be off by 0.260 s, 0.25 allowed"),
        (ClockSync(False, 0.0), "no time service vouches"),
        (None, "no time service vouches"),
    ],
)
def test_clock_is_doubted_beyond_its_limit_and_where_nobody_keeps_it(
    sync: ClockSync | None, says: str
) -> None:
    fault = ClockWatch(0.25, lambda: sync).fault(0.0)

    assert says in fault
    assert bool(fault) == bool(says)


def test_clock_that_drifts_is_doubted_within_ten_seconds_and_believed_once_it_is_kept_again() -> None:
    kept = [ClockSync(True, 0.1)]
    asked: list[float] = []

    def read() -> ClockSync:
        asked.append(kept[0].max_error_secs)
        return kept[0]

    watch = ClockWatch(0.25, read)
    faults = []
    for tenth in range(301):
        kept[0] = ClockSync(True, 0.3 if 50 <= tenth < 150 else 0.1)
        faults.append(bool(watch.fault(tenth / 10)))

    assert faults == [False] * 100 + [True] * 100 + [False] * 101
    assert len(asked) == 4


def test_clock_that_nothing_depends_on_is_not_asked_about() -> None:
    def read() -> ClockSync:
        raise AssertionError

    assert ClockWatch(None, read).fault(0.0) == ""
