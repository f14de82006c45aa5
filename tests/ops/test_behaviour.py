"""Regime timelines and action histograms of the report, by hand."""

import re

from ops.report.behaviour import MAX_STRETCHES, NUM_BINS, action_histograms, regime_timelines
from strategies.tape import DecisionRecord

MINUTE_NS = 60 * 10**9


def decision(at: int, state: int, belief: float = 0.8, action: tuple[float, ...] = (0.5,)) -> DecisionRecord:
    probs = tuple(belief if one == state else 1.0 - belief for one in range(2)) if state >= 0 else ()
    return DecisionRecord(at * MINUTE_NS, "alpha", "", state, probs, (1.0,), action, 0.9, (0.5,), (1.0,))


def test_timeline_has_the_colour_of_each_state_as_pale_as_its_belief() -> None:
    page = regime_timelines([decision(1, 0, 0.75), decision(2, 1, 0.6)])

    found = re.findall(r'<rect x="([\d.]+)"[^>]*fill:var\(--state(\d)\)" opacity="([\d.]+)"', page)
    assert found == [("0.00", "0", "0.75"), ("500.00", "1", "0.60")]


def test_long_timeline_is_drawn_in_stretches_of_the_commonest_state() -> None:
    page = regime_timelines([decision(at, int(at % 10 == 0)) for at in range(10 * MAX_STRETCHES)])

    assert page.count("<rect") == MAX_STRETCHES
    assert '--state1)" opacity' not in page


def test_strategy_without_a_regime_model_has_no_timeline() -> None:
    assert regime_timelines([decision(1, -1)]) == ""


def test_histogram_of_each_answer_and_of_confidence() -> None:
    actions = [(-1.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (1.0, float("nan"))]
    page = action_histograms(
        [decision(at, 0, action=one) for at, one in enumerate(actions)], {"alpha": ("A.X",)}
    )

    parts = page.split('class="label"')[1:]
    # Two at either end of as many bins; then a spike of nils; then a spike of confidences.
    assert [part.count("<rect") for part in parts] == [2, 1, 1]
    assert "A.X" in parts[0]
    assert f'x="{(NUM_BINS - 1) * 300.0 / NUM_BINS:.2f}"' in parts[0]
    assert "answer 2" in parts[1]
    assert "confidence" in parts[2]


def test_run_without_decisions_says_so() -> None:
    assert "No decision was made." in action_histograms([], {"alpha": ("A.X",)})
