"""What a kernel is: one streaming computation that writes a few columns of a feature row.

The keyword arguments of a kernel's constructor *are* its parameters, their defaults are the manifest's
defaults, and the type of a default is the type that the manifest must give.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from strategies.market import BarRow

NAN = math.nan
MAX_WINDOW_BARS = 100_000
"""Longest window of any kernel; a typing error must not become a bot that never warms up."""

SEED_WEIGHT = 2.0**-80
"""Weight that the first value of a recursive average may still have when it counts as settled.

Two averages that began at different values are one last bit apart at 2⁻⁵³; each further bar rounds that bit
away with a probability of alpha, so that 27 halvings later they are the same number.
"""


class Kernel(ABC):
    """A feature of one instrument. The value at *t* depends on bars up to and including *t* only.

    Windowed kernels depend on the bars of their window and nothing else, so after the warm-up they are the
    same to the bit wherever the stream began. Recursive ones (EMA, Wilder) forget where it began over
    ``settle_bars``, to the bit as well.

    Args:
        columns: Names of the columns, unique to kind and parameters.
        warmup_bars: Number (from 1) of the first bar whose value is valid.
        settle_bars: Bars after which the start of the stream weighs less than `SEED_WEIGHT`; left out, the
            warm-up.
    """

    KIND: ClassVar[str]
    """Name in the manifest."""
    REVISION: ClassVar[int] = 1
    """Counted up when the definition changes, so that what was trained on the old one is refused."""

    __slots__ = ("columns", "settle_bars", "warmup_bars")

    def __init__(self, columns: tuple[str, ...], warmup_bars: int, settle_bars: int = 0) -> None:
        self.columns = columns
        self.warmup_bars = warmup_bars
        self.settle_bars = max(warmup_bars, settle_bars)

    @abstractmethod
    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        """Take in one valid bar and write the columns into ``row[at:at + len(columns)]``.

        Before the warm-up nothing is written: the row comes with NaN there. Must not raise, for the kernels
        before it have already moved on.
        """


class CrossKernel(ABC):
    """A feature of the whole panel; every instrument's row gets the same value.

    Args:
        columns: Names of the columns, unique to kind and parameters.
        warmup_bars: Number (from 1) of the first panel whose value is valid.
    """

    KIND: ClassVar[str]
    """Name in the manifest."""
    REVISION: ClassVar[int] = 1
    """Counted up when the definition changes, so that what was trained on the old one is refused."""

    __slots__ = ("columns", "settle_bars", "warmup_bars")

    def __init__(self, columns: tuple[str, ...], warmup_bars: int) -> None:
        self.columns = columns
        self.warmup_bars = warmup_bars
        self.settle_bars = warmup_bars

    @abstractmethod
    def update_panel(self, bars: Sequence[BarRow], rows: Sequence[list[float]], at: int) -> None:
        """Take in the last known bar of every instrument and write the columns into the given rows.

        Args:
            bars: One bar per instrument; a missing one is its last known, so its price stands still.
            rows: Rows of the instruments that have a new bar.
            at: First column to write.
        """


def check_bars(name: str, value: int, minimum: int = 1) -> int:
    """Return a window length, or say what was expected of it.

    Raises:
        ValueError: If it is not within ``minimum`` and `MAX_WINDOW_BARS`.
    """
    if not minimum <= value <= MAX_WINDOW_BARS:
        raise ValueError(f"{name} = {value}: expected a whole number from {minimum} to {MAX_WINDOW_BARS}")
    return value


def settled_after(decay: float) -> int:
    """Bars until a weight that shrinks by the factor ``decay`` a bar is below `SEED_WEIGHT`."""
    return math.ceil(math.log(SEED_WEIGHT) / math.log(decay)) if decay > 0.0 else 0


def label(value: float) -> str:
    """Shortest text of a number that tells it from every other, for a column name: 2.0 is ``2``."""
    return repr(int(value)) if value == int(value) else repr(value)
