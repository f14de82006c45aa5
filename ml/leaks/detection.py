"""Changes bars that must not matter, runs a pipeline again, and says what moved.

Four changes are made behind each of several moments: another random walk, a jump up, a jump down, and no
bars at all. What is rounding moves by less than a billionth of the values' size; what leaks does not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ml.datasets import Bars, Bools, Ints
from ml.leaks.claims import FOREVER, Claim, Market, Pipeline, rows_of
from strategies.errors import ConfigError, DataError
from strategies.market import Floats

FEWEST_BARS = 50
"""Bars below which a check would prove nothing."""

_WILDER = 3.0
_UP, _DOWN = 1.7, 0.6


@dataclass(frozen=True, slots=True)
class LeakSettings:
    """How hard is looked; equal settings and bars give equal findings."""

    num_cuts: int = 6
    """Moments, spread over the data, behind which the future is changed. Spans that few values have, such as
    those of folds, are all tried beside."""
    earliest_frac: float = 0.3
    """Share of the data before the first moment, for pipelines to warm up."""
    tolerance: float = 1e-9
    """Relative to the largest of the values: what moves less is rounding."""
    seed: int = 7

    def __post_init__(self) -> None:
        if not (self.num_cuts >= 1 and 0.0 < self.earliest_frac < 1.0 and self.tolerance >= 0.0):
            raise ConfigError(
                "leak check: expected num_cuts >= 1, earliest_frac between 0 and 1 and tolerance >= 0, "
                f"found {self}"
            )


@dataclass(frozen=True, slots=True)
class Leak:
    """Values that moved although only bars that must not matter were changed."""

    stage: str
    name: str
    changes: tuple[str, ...]
    """Which changes of the bars moved it: walk, up, down, absent."""
    values: int
    """How many moved at the most, of those that a change must not reach."""
    first_key: int
    """The first that moved, mostly its close time in UTC nanoseconds."""
    least_reach_bars: int
    """How far beyond what it may know it reads at the least: 1 is the next bar."""


@dataclass(frozen=True, slots=True)
class _Moved:
    change: str
    keys: Ints
    reach: int


def find_leaks(
    pipeline: Pipeline,
    market: Market,
    settings: LeakSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Leak, ...]:
    """Run a pipeline on the market and on markets with another future, and compare.

    Args:
        pipeline: From bars to claims; it must not draw at random without a seed.
        market: Bars by instrument id.
        settings: See `LeakSettings`.
        progress: Told how many runs are done and how many there are.

    Returns:
        One finding for each claim that was broken, in the order of the claims.

    Raises:
        DataError: If there are too few bars, or the pipeline answers differently to the same bars.
    """
    settings = settings or LeakSettings()
    times = np.unique(np.concatenate([bars.ts_event for bars in market.values()]))
    if len(times) < FEWEST_BARS:
        raise DataError(f"leak check: expected at least {FEWEST_BARS} bar times, found {len(times)}")
    base = list(pipeline(market))
    _require_repeatable(base, list(pipeline(market)), settings.tolerance)
    probes = [
        (span, name, change)
        for span in _spans(base, times, settings)
        for name, change in CHANGES.items()
        # Only the end of the data may be missing: a hole is another story.
        if name != "absent" or span[1] == FOREVER
    ]
    moved: dict[tuple[str, str], list[_Moved]] = {(claim.stage, claim.name): [] for claim in base}
    for done, (span, name, change) in enumerate(probes, start=1):
        generator = np.random.Generator(np.random.PCG64([settings.seed, done]))
        changed = {one: change(bars, _within(bars, span), generator) for one, bars in market.items()}
        for claim, again in _paired(base, _claims(pipeline, changed, may_refuse=name == "absent")):
            keys, reach = _compare(claim, again, span, times, settings.tolerance, is_cut=name == "absent")
            if len(keys):
                moved[claim.stage, claim.name].append(_Moved(name, keys, reach))
        if progress is not None:
            progress(done, len(probes))
    return tuple(_leak(*which, found) for which, found in moved.items() if found)


def _leak(stage: str, name: str, found: list[_Moved]) -> Leak:
    return Leak(
        stage=stage,
        name=name,
        changes=tuple(change for change in CHANGES if any(one.change == change for one in found)),
        values=max(len(one.keys) for one in found),
        first_key=int(min(one.keys[0] for one in found)),
        least_reach_bars=max(one.reach for one in found),
    )


def _spans(claims: list[Claim], times: Ints, settings: LeakSettings) -> list[tuple[int, int]]:
    generator = np.random.Generator(np.random.PCG64(settings.seed))
    first = int(settings.earliest_frac * len(times))
    # One moment in each stretch of equal length, never the last bar: nothing would be behind it.
    edges = np.linspace(first, len(times) - 1, settings.num_cuts + 1)
    rows = (edges[:-1] + generator.random(settings.num_cuts) * np.diff(edges)).astype(np.int64)
    spans = {(int(time), FOREVER) for time in times[rows]}
    for claim in claims:
        own = claim.spans
        if len(own) <= settings.num_cuts:
            spans |= {span for span in own if times[0] <= span[0] < times[-1]}
    return sorted(spans)


def _within(bars: Bars, span: tuple[int, int]) -> Bools:
    return np.asarray((bars.ts_event > span[0]) & (bars.ts_event <= span[1]))


def _claims(pipeline: Pipeline, market: Market, *, may_refuse: bool) -> list[Claim]:
    try:
        return list(pipeline(market))
    except DataError:
        if may_refuse:  # too few bars are left for it
            return []
        raise


def _paired(base: list[Claim], again: Iterable[Claim]) -> Iterable[tuple[Claim, Claim]]:
    found = {(claim.stage, claim.name): claim for claim in again}
    for claim in base:
        # What vanished altogether, such as a fold behind the end of the data, cannot be compared.
        if (claim.stage, claim.name) in found:
            yield claim, found[claim.stage, claim.name]


def _compare(
    claim: Claim, again: Claim, span: tuple[int, int], times: Ints, tolerance: float, *, is_cut: bool
) -> tuple[Ints, int]:
    """Keys of the values that moved, and how far the farthest of them reads."""
    rows = np.flatnonzero(claim.hides(*span))
    known, partner = _partners(claim.keys[rows], again.keys)
    # A value that is there with one future and not with another is a leak, unless the data just end.
    moved = np.zeros(len(rows), dtype=np.bool_) if is_cut else ~known
    differs = _differs(
        claim, claim.values[rows[known]], again.values[partner[known]], tolerance, is_cut=is_cut
    )
    moved[np.flatnonzero(known)[differs]] = True
    broken = rows[moved]
    if not len(broken):
        return np.zeros(0, dtype=np.int64), 0
    own = np.searchsorted(times, claim.hidden_after[broken], side="right")
    behind = int(np.searchsorted(times, span[0], side="right"))
    return np.sort(claim.keys[broken]), int((behind - own).max()) + 1


def _partners(keys: Ints, among: Ints) -> tuple[Bools, Ints]:
    """Whether each key is there, and where; the place means nothing where it is not."""
    if not len(among):
        return np.zeros(len(keys), dtype=np.bool_), np.zeros(len(keys), dtype=np.int64)
    order = np.argsort(among)
    places = order[np.minimum(np.searchsorted(among, keys, sorter=order), len(among) - 1)]
    return np.asarray(among[places] == keys), places


def _differs(claim: Claim, left: Floats, right: Floats, tolerance: float, *, is_cut: bool) -> Bools:
    count = len(left)
    if not count or left.shape != right.shape:  # not even the same columns
        return np.ones(count, dtype=np.bool_)
    left, right = left.reshape(count, -1), right.reshape(count, -1)
    one_absent = np.isnan(left) != np.isnan(right)
    finite = np.abs(claim.values[np.isfinite(claim.values)])
    scale = float(finite.max()) if len(finite) else 0.0
    with np.errstate(invalid="ignore"):  # infinity less infinity: equal, and caught by the first test
        apart = (left != right) & ~(np.abs(left - right) <= tolerance * scale)
    apart &= ~(np.isnan(left) | np.isnan(right))
    if not (is_cut and claim.may_be_absent):
        apart |= one_absent
    return np.asarray(apart.any(axis=1))


def _require_repeatable(base: list[Claim], again: list[Claim], tolerance: float) -> None:
    for claim, other in _paired(base, again):
        is_same = np.array_equal(claim.keys, other.keys) and claim.values.shape == other.values.shape
        if not is_same or _differs(claim, claim.values, other.values, tolerance, is_cut=False).any():
            raise DataError(
                f"leak check: {claim.stage}, {claim.name}: expected equal values from equal bars, found "
                "different ones; give whatever draws at random a seed"
            )


def _walk(bars: Bars, changed: Bools, generator: np.random.Generator) -> Bars:
    count = int(changed.sum())
    if not count:
        return bars
    start = int(np.argmax(changed))
    moves = np.diff(np.log(bars.close))
    scale = _WILDER * float(np.std(moves)) if len(moves) else 0.0
    before = bars.close[start - 1] if start else bars.open[0]
    closes = before * np.exp(np.cumsum(generator.normal(0.0, scale or 0.01, count)))
    opens = np.concatenate([[before], closes[:-1]])
    reach = np.exp(np.abs(generator.normal(0.0, scale or 0.01, (2, count))))
    return _replaced(
        bars,
        changed,
        opens,
        np.maximum(opens, closes) * reach[0],
        np.minimum(opens, closes) / reach[1],
        closes,
        bars.volume[changed] * np.exp(generator.normal(0.0, 1.0, count)),
    )


def _scaled(bars: Bars, changed: Bools, factor: float) -> Bars:
    prices = [getattr(bars, name)[changed] * factor for name in ("open", "high", "low", "close")]
    return _replaced(bars, changed, *prices, bars.volume[changed] * factor**3)


def _up(bars: Bars, changed: Bools, generator: np.random.Generator) -> Bars:  # noqa: ARG001 - one signature
    return _scaled(bars, changed, _UP)


def _down(bars: Bars, changed: Bools, generator: np.random.Generator) -> Bars:  # noqa: ARG001 - likewise
    return _scaled(bars, changed, _DOWN)


def _absent(bars: Bars, changed: Bools, generator: np.random.Generator) -> Bars:  # noqa: ARG001 - likewise
    return bars if changed.all() else rows_of(bars, ~changed)


def _replaced(bars: Bars, changed: Bools, *prices_and_volume: Floats) -> Bars:
    columns = [bars.open.copy(), bars.high.copy(), bars.low.copy(), bars.close.copy(), bars.volume.copy()]
    for column, values in zip(columns, prices_and_volume, strict=True):
        column[changed] = values
    return Bars(bars.ts_event, *columns)


CHANGES: dict[str, Callable[[Bars, Bools, np.random.Generator], Bars]] = {
    "walk": _walk,
    "up": _up,
    "down": _down,
    "absent": _absent,
}
"""What is done to bars that must not matter."""
