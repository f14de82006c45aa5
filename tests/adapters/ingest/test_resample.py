"""Longer bars against a hand calculation."""

import numpy as np
import pytest

from adapters.bars import BarColumns
from adapters.errors import IngestError
from adapters.ingest.resample import resample

_MINUTE = 60_000_000_000
_MIDNIGHT = 19_000 * 86_400_000_000_000


def _bars(closes_at: list[int]) -> BarColumns:
    prices = np.arange(len(closes_at), dtype=np.int64) + 100
    return BarColumns(
        ts_event=_MIDNIGHT + np.array(closes_at, dtype=np.int64) * _MINUTE,
        open=prices,
        high=prices + 5,
        low=prices - 5,
        close=prices + 1,
        volume=np.full(len(closes_at), 10, dtype=np.int64),
        price_precision=2,
        size_precision=3,
    )


def test_resample_takes_first_open_extremes_last_close_and_sum() -> None:
    longer = resample(_bars([1, 2, 3, 4, 5, 6]), _MINUTE, 3 * _MINUTE)

    assert ((longer.ts_event - _MIDNIGHT) // _MINUTE).tolist() == [3, 6]
    assert longer.open.tolist() == [100, 103]
    assert longer.high.tolist() == [107, 110]
    assert longer.low.tolist() == [95, 98]
    assert longer.close.tolist() == [103, 106]
    assert longer.volume.tolist() == [30, 30]


def test_resample_keeps_a_bar_in_its_place_when_minutes_are_absent() -> None:
    longer = resample(_bars([1, 5, 6]), _MINUTE, 3 * _MINUTE)

    assert ((longer.ts_event - _MIDNIGHT) // _MINUTE).tolist() == [3, 6]
    assert longer.volume.tolist() == [10, 20]


def test_resample_leaves_out_a_bar_that_is_not_over() -> None:
    longer = resample(_bars([1, 2, 3, 4]), _MINUTE, 3 * _MINUTE)

    assert ((longer.ts_event - _MIDNIGHT) // _MINUTE).tolist() == [3]


@pytest.mark.parametrize("minutes", [7, 1441])
def test_resample_refuses_a_length_that_does_not_divide_a_day(minutes: int) -> None:
    with pytest.raises(IngestError, match="divides a day"):
        resample(_bars([1, 2, 3]), _MINUTE, minutes * _MINUTE)
