"""What was recorded of a bar beside what is decided on it today, and why the two differ.

Flow: recorded outcomes, replayed outcomes → **differences** → report of a replay.

Values are compared as the journal stores them: to the bit, for floats have their shortest form that reads
back to the same bits.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ops.journal import Kind
from ops.journal.records import encode_body

type Body = Mapping[str, Any]

_NOTHING = "nothing"


class Cause(StrEnum):
    """Why a replay comes out differently; the names are public."""

    WARM_UP = "warm_up"
    """The bars before the first decision are not those that the session saw."""
    LATE_DATA = "late_data"
    """A bar is there that the session did not see, or is another, or is missing."""
    CONFIG = "config"
    """Another configuration than the session's."""
    CODE = "code"
    """Other code than the session's."""
    FILL = "fill"
    """The books do not follow from the executions and answers that were recorded."""
    UNEXPLAINED = "unexplained"
    """None of these: a decision depends on something that is not recorded."""


class Difference(NamedTuple):
    """One value that came out differently."""

    ts_event: int
    """Close time of the bar, UTC nanoseconds."""
    what: str
    """decision, verdict, intent, note or state."""
    strategy: str
    instrument_id: str
    """Empty where it is about all of them."""
    field: str
    recorded: Any
    replayed: Any
    cause: Cause


class Finding(NamedTuple):
    """A difference whose cause nobody has looked for yet."""

    what: Kind
    strategy: str
    instrument_id: str
    field: str
    recorded: Any
    replayed: Any

    @property
    def is_of_books(self) -> bool:
        """Whether it is about what is held and what it is worth: no decision of this bar has changed that."""
        return self.what is Kind.STATE and self.field.startswith(("state.ledger", "equity"))


def compare_outcomes(
    recorded: Sequence[tuple[Kind, Body]], replayed: Sequence[tuple[Kind, Body]], *, is_whole: bool
) -> tuple[Counter[str], list[Finding]]:
    """Compare what was recorded of a bar with what a replay says.

    Args:
        recorded: Kinds and bodies, as they were read.
        replayed: Kinds and bodies, as they would be written.
        is_whole: Whether all of the bar was recorded; otherwise only what was is compared.

    Returns:
        How many records of each kind were compared, and every value that differs.
    """
    before, now = _by_key(recorded), _by_key(replayed)
    findings: list[Finding] = []
    for key in {**before, **now} if is_whole else before:
        one, other = before.get(key), now.get(key)
        kind, strategy, instrument_id, _ = key
        if one is None or other is None:
            findings.append(
                Finding(
                    kind, strategy, instrument_id, "", _NOTHING if one is None else one, other or _NOTHING
                )
            )
        else:
            findings += [
                Finding(kind, strategy, instrument_id, *found) for found in _differing("", one, other)
            ]
    return Counter(kind.value for kind, _, _, _ in before), findings


def _by_key(outcomes: Sequence[tuple[Kind, Body]]) -> dict[tuple[Kind, str, str, int], Any]:
    """Outcomes by what they are about; the last entry of a key tells the first from the second, and so on."""
    found: dict[tuple[Kind, str, str, int], Any] = {}
    for kind, body in outcomes:
        parts = body["intents"] if kind is Kind.INTENT else [body]
        for part in parts:
            strategy, instrument_id = body.get("strategy", ""), part.get("instrument_id", "")
            number = 0
            while (kind, strategy, instrument_id, number) in found:
                number += 1
            found[kind, strategy, instrument_id, number] = json.loads(encode_body(part))
    return found


def _differing(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {**one, **other}:
            yield from _differing(
                f"{path}.{name}" if path else name, one.get(name, _NOTHING), other.get(name, _NOTHING)
            )
    elif one != other or type(one) is not type(other):
        yield path, one, other
