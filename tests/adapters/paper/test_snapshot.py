"""A venue that is written down and read back is the same venue."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.paper.snapshot import restore, snapshot
from tests.adapters.paper.scenarios import make_venue, play, random_scenario

HELD_ELSEWHERE = {"X.DEMO": {"T-001": {"quantity": 1, "average": "5", "ts_last": 0}}}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 60), account=st.sampled_from(["CASH", "MARGIN"]))
def test_venue_restored_at_any_bar_continues_as_if_nothing_had_happened(
    seed: int, cut: int, account: str
) -> None:
    scenario = random_scenario(seed, account, num_bars=60)
    straight, first, second = (make_venue(scenario) for _ in range(3))
    whole = play(straight, scenario, 0, 60)

    before = play(first, scenario, 0, cut)
    restore(second, json.loads(json.dumps(snapshot(first))))
    after = play(second, scenario, cut, 60)

    assert before + after == whole
    assert snapshot(second) == snapshot(straight)


@pytest.mark.parametrize("change", [{"version": 2}, {"venue": "OTHER"}, {"positions": HELD_ELSEWHERE}])
def test_snapshot_of_something_else_is_refused_and_changes_nothing(change: dict[str, object]) -> None:
    scenario = random_scenario(1, num_bars=60)
    venue = make_venue(scenario)
    play(venue, scenario, 0, 60)
    before = snapshot(venue)

    with pytest.raises(ValueError, match="paper venue"):
        restore(venue, before | change)

    assert snapshot(venue) == before


def test_same_scenario_twice_gives_the_same_memory_to_the_byte() -> None:
    scenario = random_scenario(7)
    venues = [make_venue(scenario) for _ in range(2)]
    for venue in venues:
        play(venue, scenario, 0, 150)

    first, second = (json.dumps(snapshot(venue)) for venue in venues)

    assert first == second
