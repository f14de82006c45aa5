"""Errors of the outer edge, each named by its consequence.

    AdapterError
    ├── InstrumentError   an instrument or its table cannot be used; nothing was written
    ├── CatalogError      the catalog cannot be read; the run that needs it does not start
    ├── StateError        a paper venue's memory cannot be used; nothing trades
    │   └── StateWriteError  the disk refused it; what was not written was not answered
    └── IngestError       a source was refused; the catalog is as it was
        ├── BadBarsError  some rows are wrong; each kind is named with its first row
        └── OverlapError  the catalog already holds other bars for the same time

Every message says what was expected, what was found, and what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AdapterError(Exception):
    """Base of every error that the edges raise on purpose."""


class InstrumentError(AdapterError):
    """An instrument is unknown, or a table of instruments is malformed."""


class CatalogError(AdapterError):
    """A catalog is missing, empty or damaged, or does not hold what was asked for."""


class StateError(AdapterError):
    """A paper venue's memory is damaged, of another venue, or in use; the venue does not start."""


class StateWriteError(StateError):
    """The disk refused a paper venue's memory; no answer that depends on it has left the venue."""


class IngestError(AdapterError):
    """A source of bars was refused; the catalog is as it was."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One kind of wrong row in a source of bars."""

    kind: str
    """What is wrong, for example ``price_not_positive``."""
    source: str
    """Name of the file."""
    row: int
    """First row concerned, counted from 1 without the header."""
    column: str
    value: str
    """What the first row concerned holds."""
    count: int
    """How many rows are concerned."""
    expected: str
    advice: str

    def __str__(self) -> str:
        more = "" if self.count == 1 else f" (and {self.count - 1:,} more)"
        return (
            f"{self.source}: row {self.row:,}: {self.column} = {self.value}{more}: "
            f"expected {self.expected}; {self.advice}"
        )


class BadBarsError(IngestError):
    """Rows of a source are wrong; nothing was imported.

    Args:
        problems: One per kind, at least one.
    """

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class OverlapError(IngestError):
    """The catalog holds different bars for a time that the source covers; nothing was imported.

    Args:
        message: What a person reads.
        first_ns: Close of the first bar that differs.
        last_ns: Close of the last bar that differs.
    """

    def __init__(self, message: str, *, first_ns: int, last_ns: int) -> None:
        self.first_ns = first_ns
        self.last_ns = last_ns
        super().__init__(message)
