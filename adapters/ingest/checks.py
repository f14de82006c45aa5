"""What a source of bars must satisfy before any of it is stored.

Flow: sources → **checks** → importer → catalog.

The engine takes bars that are wrong and then, without a word, never trades on them (a price finer than
the tick) or trades nonsense (a high below the low). Each kind of fault is therefore refused here, with its
first row, that row's value, and what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from adapters.bars import PRICE_FIELDS, VALUE_FIELDS, BarColumns, Floats, Ints, as_floats, as_units
from adapters.errors import BadBarsError, RowProblem
from adapters.ingest.sources import SourceBars
from adapters.instruments import InstrumentSpec

type Mask = npt.NDArray[np.bool_]

_EARLIEST_NS = -2_208_988_800_000_000_000  # 1900-01-01
_LATEST_NS = 4_102_444_800_000_000_000  # 2100-01-01
_LARGEST_UNITS = 2**53
# Floats parsed from decimals are exact to half a unit in the last place; arithmetic costs a few more.
_TOLERATED_ULPS = 4.0


@dataclass(frozen=True, slots=True)
class CheckedBars:
    """Bars that may be stored."""

    columns: BarColumns
    prices_rounded: int
    """Prices that lay between ticks and were moved to the nearest."""
    volumes_rounded: int
    """Volumes with more decimals than the lot, rounded to it; sums of old, finer lots are common."""


def check_bars(
    parts: Sequence[SourceBars], spec: InstrumentSpec, interval_ns: int, *, round_prices: bool = False
) -> CheckedBars:
    """Check the bars of one series and convert them to exact integers, close-stamped.

    Args:
        parts: Files of the series; they are joined in the order of their first bars.
        spec: Trading rules of the instrument.
        interval_ns: Length of a bar, nanoseconds.
        round_prices: Move prices between ticks to the nearest tick instead of refusing them.

    Raises:
        BadBarsError: If any row is wrong; it lists every kind of fault.
    """
    rows = _Rows(sorted(parts, key=lambda part: int(part.ts_open[0])))
    _check_times(rows, interval_ns)
    _check_values(rows)
    _check_range(rows)
    prices, prices_rounded = _to_ticks(rows, spec, round_prices=round_prices)
    volume, volumes_rounded = _to_lots(rows, spec)
    rows.raise_problems()
    columns = BarColumns(
        rows.ts_open + interval_ns,
        prices["open"],
        prices["high"],
        prices["low"],
        prices["close"],
        volume,
        spec.price_precision,
        spec.size_precision,
    )
    return CheckedBars(columns, prices_rounded, volumes_rounded)


class _Rows:
    """Joined rows that remember their files, and the problems found in them."""

    def __init__(self, parts: Sequence[SourceBars]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(part.file.rows for part in parts)])
        self._problems: list[RowProblem] = []
        self.ts_open: Ints = np.concatenate([part.ts_open for part in parts])
        self.values: dict[str, Floats] = {
            name: np.concatenate([part.values[name] for part in parts]) for name in VALUE_FIELDS
        }

    def refuse(self, kind: str, wrong: Mask, *, column: str, expected: str, advice: str) -> None:
        """Note a kind of fault if any row is marked."""
        if not wrong.any():
            return
        at = int(wrong.argmax())
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        self._problems.append(
            RowProblem(
                kind=kind,
                source=self._parts[part].file.name,
                row=at - int(self._starts[part]) + 1,
                column=column,
                value=self._shown(column, at),
                count=int(wrong.sum()),
                expected=expected,
                advice=advice,
            )
        )

    def _shown(self, column: str, at: int) -> str:
        if column == "ts":
            return _shown_time(int(self.ts_open[at]))
        return repr(float(self.values[column][at]))

    def raise_problems(self) -> None:
        """Raise if any fault was noted."""
        if self._problems:
            raise BadBarsError(self._problems)


def _check_times(rows: _Rows, interval_ns: int) -> None:
    ts = rows.ts_open
    steps = np.diff(ts)
    first = np.zeros(1, dtype=np.bool_)
    rows.refuse(
        "time_absurd",
        (ts < _EARLIEST_NS) | (ts >= _LATEST_NS),
        column="ts",
        expected="a time from 1900 to 2100",
        advice="check the unit of the column",
    )
    rows.refuse(
        "out_of_order",
        np.concatenate((first, steps < 0)),
        column="ts",
        expected="a later time than the row before",
        advice="sort the rows by time",
    )
    rows.refuse(
        "duplicate",
        np.concatenate((first, steps == 0)),
        column="ts",
        expected="every time once",
        advice="drop the repeated rows, or the file that repeats another's",
    )
    rows.refuse(
        "off_grid",
        ts % interval_ns != 0,
        column="ts",
        expected=f"a multiple of the interval of {interval_ns // 10**9} s",
        advice="check --interval, and that times are of the open",
    )
    rows.raise_problems()  # what follows presumes times that can be relied upon
    if len(steps) == 0:
        return
    lengths, counts = np.unique(steps, return_counts=True)
    usual = int(lengths[counts.argmax()])
    rows.refuse(
        "interval_mismatch",
        np.concatenate((first, steps == usual)) if usual != interval_ns else np.zeros(len(ts), np.bool_),
        column="ts",
        expected=f"most bars {interval_ns // 10**9} s after the one before, found {usual // 10**9} s",
        advice="give the true interval with --interval",
    )


def _check_values(rows: _Rows) -> None:
    for name in PRICE_FIELDS:
        values = rows.values[name]
        unknown = ~np.isfinite(values)
        rows.refuse(
            "price_not_finite",
            unknown,
            column=name,
            expected="a number",
            advice="drop the row or get it from another source",
        )
        rows.refuse(
            "price_not_positive",
            ~unknown & (values <= 0.0),
            column=name,
            expected="a price above 0",
            advice="drop the row or get it from another source",
        )
    volume = rows.values["volume"]
    rows.refuse(
        "volume_not_finite",
        ~np.isfinite(volume),
        column="volume",
        expected="a number",
        advice="write 0 where the source has no volume",
    )
    rows.refuse(
        "volume_negative",
        volume < 0.0,
        column="volume",
        expected="0 or more",
        advice="drop the row or get it from another source",
    )


def _check_range(rows: _Rows) -> None:
    opened, high, low, close = (rows.values[name] for name in PRICE_FIELDS)
    advice = "drop the row or get it from another source"
    rows.refuse(
        "high_too_low",
        high < np.maximum(np.maximum(opened, close), low),
        column="high",
        expected="at least open, low and close",
        advice=advice,
    )
    rows.refuse(
        "low_too_high",
        low > np.minimum(opened, close),
        column="low",
        expected="at most open and close",
        advice=advice,
    )


def _to_ticks(rows: _Rows, spec: InstrumentSpec, *, round_prices: bool) -> tuple[dict[str, Ints], int]:
    scale = 10**spec.price_precision
    tick = int(spec.tick_size * scale)
    ticks: dict[str, Ints] = {}
    rounded = 0
    for name in PRICE_FIELDS:
        values = rows.values[name]
        fits = np.abs(values) * scale < _LARGEST_UNITS  # false for NaN too, which is refused already
        units = as_units(np.where(fits, values, 0.0), spec.price_precision)
        off = fits & (_deviates(values, as_floats(units, spec.price_precision)) | (units % tick != 0))
        rows.refuse(
            "price_too_large",
            ~fits & np.isfinite(values),
            column=name,
            expected="a price of at most 2^53 ticks",
            advice="check the instrument's tick_size",
        )
        if round_prices:
            units = as_units(np.where(fits, values / float(spec.tick_size), 0.0), 0) * tick
            rounded += int(off.sum())
            rows.refuse(
                "price_below_tick",
                fits & (units <= 0) & (values > 0.0),
                column=name,
                expected=f"a price of at least one tick of {spec.tick_size}",
                advice="give a finer --tick-size",
            )
        else:
            rows.refuse(
                "price_off_tick",
                off,
                column=name,
                expected=f"a multiple of the tick {spec.tick_size} of {spec.instrument_id}",
                advice="round with --round-prices, or give the true tick with --tick-size",
            )
        ticks[name] = units
    return ticks, rounded


def _to_lots(rows: _Rows, spec: InstrumentSpec) -> tuple[Ints, int]:
    values = rows.values["volume"]
    fits = np.abs(values) * 10**spec.size_precision < _LARGEST_UNITS
    rows.refuse(
        "volume_too_large",
        ~fits & np.isfinite(values),
        column="volume",
        expected="a volume of at most 2^53 lots",
        advice="check the instrument's lot_size",
    )
    units = as_units(np.where(fits, values, 0.0), spec.size_precision)
    moved = fits & _deviates(values, as_floats(units, spec.size_precision))
    # A bar that traded must not come out as one that did not.
    units = np.where(moved & (units == 0) & (values > 0.0), 1, units)
    return units, int(moved.sum())


def _deviates(values: Floats, rounded: Floats) -> Mask:
    with np.errstate(invalid="ignore"):
        deviates: Mask = np.abs(values - rounded) > _TOLERATED_ULPS * np.spacing(np.abs(values))
    return deviates


def _shown_time(ns: int) -> str:
    if not _EARLIEST_NS <= ns < _LATEST_NS:
        return str(ns)
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
