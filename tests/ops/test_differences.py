import math
from typing import Any

import pytest

from ops.differences import compare_outcomes
from ops.journal import Kind

ONE = {"strategy": "one"}


def verdict(instrument: str, approved: float) -> tuple[Kind, dict[str, object]]:
    return Kind.VERDICT, {**ONE, "instrument_id": instrument, "approved": approved}


def test_equal_outcomes_have_no_difference_however_they_are_spelled() -> None:
    recorded = [(Kind.DECISION, {**ONE, "targets": [None, 0.1], "regime_state": -1})]
    replayed = [(Kind.DECISION, {**ONE, "targets": (math.nan, 0.1), "regime_state": -1})]

    assert compare_outcomes(recorded, replayed, is_whole=True) == ({"decision": 1}, [])


def test_values_that_differ_in_the_last_bit_differ() -> None:
    recorded, replayed = [verdict("A", 0.3)], [verdict("A", 0.1 + 0.2)]

    _, (found,) = compare_outcomes(recorded, replayed, is_whole=True)

    assert found == (Kind.VERDICT, "one", "A", "approved", 0.3, 0.30000000000000004)


def test_order_between_instruments_does_not_matter_and_among_one_it_does() -> None:
    recorded = [verdict("A", 1.0), verdict("A", 2.0), verdict("B", 3.0)]

    assert compare_outcomes(recorded, [recorded[2], *recorded[:2]], is_whole=True)[1] == []
    assert len(compare_outcomes(recorded, recorded[1::-1] + recorded[2:], is_whole=True)[1]) == 2


@pytest.mark.parametrize(("is_whole", "expected"), [(True, [("nothing", "B")]), (False, [])])
def test_what_a_crash_may_have_kept_from_the_disk_is_no_difference(
    is_whole: bool, expected: list[tuple[str, str]]
) -> None:
    _, findings = compare_outcomes(
        [verdict("A", 1.0)], [verdict("A", 1.0), verdict("B", 1.0)], is_whole=is_whole
    )

    assert [(one.recorded, one.instrument_id) for one in findings] == expected


def test_record_that_would_not_be_made_any_more_is_a_difference() -> None:
    _, (found,) = compare_outcomes([verdict("A", 1.0)], [], is_whole=False)

    assert (found.recorded, found.replayed) == (
        {"strategy": "one", "instrument_id": "A", "approved": 1.0},
        "nothing",
    )


type Outcomes = list[tuple[Kind, dict[str, Any]]]


def test_intents_are_compared_one_by_one_and_states_field_by_field() -> None:
    recorded: Outcomes = [
        (Kind.INTENT, {**ONE, "intents": [{"instrument_id": "A", "quantity": 1.0}]}),
        (Kind.STATE, {**ONE, "state": {"ledger": {"cash": 1.0}, "book": {"fault": ""}}}),
    ]
    replayed: Outcomes = [
        (Kind.INTENT, {**ONE, "intents": [{"instrument_id": "A", "quantity": 2.0}]}),
        (Kind.STATE, {**ONE, "state": {"ledger": {"cash": 2.0}, "book": {"fault": "x"}}}),
    ]

    _, findings = compare_outcomes(recorded, replayed, is_whole=True)

    assert [(one.field, one.is_of_books) for one in findings] == [
        ("quantity", False),
        ("state.ledger.cash", True),
        ("state.book.fault", False),
    ]
