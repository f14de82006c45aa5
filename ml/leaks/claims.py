"""What a pipeline promises about its values: which bars each of them may depend on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ml.datasets import BarColumns, Bars, Bools, Ints
from strategies.errors import DataError
from strategies.market import Floats

FOREVER = int(np.iinfo(np.int64).max)
"""Later than any bar, UTC nanoseconds."""

type Market = Mapping[str, Bars]
"""Bars by instrument id."""


def rows_of(bars: BarColumns, rows: Bools) -> Bars:
    """Some of the bars.

    Args:
        bars: Shape (T,).
        rows: Which, shape (T,).
    """
    return Bars(
        bars.ts_event[rows],
        bars.open[rows],
        bars.high[rows],
        bars.low[rows],
        bars.close[rows],
        bars.volume[rows],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Values of one kind, and the bars that must not matter to each.

    A feature at the close of a bar claims ``hidden_after`` = that close; a label, the close of the last bar
    that it looks at; what is fitted for a test span, the last close before that span.

    Raises:
        DataError: If shapes disagree, or a key stands there twice.
    """

    stage: str
    """features, normaliser, labels, regime, observation, decisions or splits."""
    name: str
    keys: Ints
    """What each value is of, mostly a close time; unique, shape (n,)."""
    hidden_after: Ints
    """Bars that close after this must not matter, UTC nanoseconds, shape (n,)."""
    values: Floats
    """Shape (n, ...); NaN is none."""
    hidden_until: Ints | None = None
    """Bars that close after this may matter again, shape (n,); None hides all of the future."""
    may_be_absent: bool = False
    """Whether NaN where the data end too early is what it should be, as for a label."""

    def __post_init__(self) -> None:
        count = len(self.keys)
        lengths = {len(self.hidden_after), len(self.values), len(self.until)}
        if lengths != {count} or len(np.unique(self.keys)) != count:
            raise DataError(
                f"{self.stage}, {self.name}: expected a time and a value for each of {count} unique keys, "
                f"found "
                f"found {len(self.hidden_after)} times, {len(self.values)} values and "
                f"{len(np.unique(self.keys))} different keys"
            )

    @property
    def until(self) -> Ints:
        """``hidden_until``, `FOREVER` where it is not given."""
        if self.hidden_until is None:
            return np.full(len(self.keys), FOREVER)
        return self.hidden_until

    @property
    def spans(self) -> set[tuple[int, int]]:
        """Each stretch of time that is hidden from some value: after the first, up to the second."""
        return set(zip(self.hidden_after.tolist(), self.until.tolist(), strict=True))

    def hides(self, after: int, until: int) -> Bools:
        """Of which values the whole stretch is hidden, shape (n,)."""
        return np.asarray((self.hidden_after <= after) & (self.until >= until))


type Pipeline = Callable[[Market], Iterable[Claim]]
"""From bars to all that is made of them; the same bars must give the same values."""
