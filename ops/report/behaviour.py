"""What the regime model believed and what the policy answered, drawn without a script."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ops.report.markup import Markup, element, joined
from ops.report.sampling import Ints
from ops.report.wording import instant, number
from strategies.market import Floats
from strategies.tape import DecisionRecord

MAX_STRETCHES = 600
NUM_STATE_COLOURS = 6
NUM_BINS = 31
_STRIP_HEIGHT = 28.0
_BAR_HEIGHT = 70.0

type Answers = Mapping[str, Mapping[str, Any]]
"""How each answer of a policy is spread; see `answers_of`."""


def regime_timelines(decisions: Sequence[DecisionRecord]) -> Markup:
    """Per strategy with a regime model: the most probable state over time, paler where belief was less."""
    believed: dict[str, list[DecisionRecord]] = {}
    for decision in decisions:
        if decision.regime_state >= 0:
            believed.setdefault(decision.strategy, []).append(decision)
    return joined(_timeline(name, records) for name, records in believed.items())


def _timeline(name: str, records: Sequence[DecisionRecord]) -> Markup:
    times: Ints = np.array([record.ts_event for record in records], dtype=np.int64)
    states = np.array([record.regime_state for record in records])
    beliefs = np.array([record.regime_probs[record.regime_state] for record in records])
    edges = np.unique(np.linspace(0, len(records), min(MAX_STRETCHES, len(records)) + 1).astype(np.int64))
    stretches = [
        _rectangle(first, stop, len(records), states[first:stop], beliefs[first:stop])
        for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    count = int(states.max()) + 1
    legend = [
        element("span", element("i", class_=f"swatch state{state % NUM_STATE_COLOURS}"), f" state {state}")
        for state in range(count)
    ]
    picture = element(
        "svg",
        *stretches,
        viewBox=f"0 0 1000 {_STRIP_HEIGHT:g}",
        preserveAspectRatio="none",
        style="width:100%;height:28px;display:block",
        role="img",
        aria_label=f"Regimes of {name} over time",
    )
    span = f"{instant(int(times[0]))} to {instant(int(times[-1]))} UTC, decision by decision; pale is unsure"
    return joined(
        [
            element("h3", f"Timeline of {name}"),
            picture,
            element("p", *legend, class_="facts"),
            element("p", span, class_="note"),
        ]
    )


def _rectangle(first: int, stop: int, count: int, states: Ints, beliefs: Floats) -> Markup:
    """A stretch in the colour of its commonest state."""
    state = int(np.bincount(states).argmax())
    return element(
        "rect",
        x=f"{1000.0 * first / count:.2f}",
        width=f"{1000.0 * (stop - first) / count + 0.2:.2f}",
        y=0,
        height=_STRIP_HEIGHT,
        style=f"fill:var(--state{state % NUM_STATE_COLOURS})",
        opacity=f"{float(beliefs[states == state].mean()):.2f}",
    )


def action_histograms(
    decisions: Sequence[DecisionRecord], instruments: Mapping[str, Sequence[str]]
) -> Markup:
    """How the policies' answers are spread, before the action map, and how sure they were.

    Args:
        decisions: Of all strategies.
        instruments: Of each strategy, in configuration order.
    """
    parts: list[Markup] = []
    for strategy, names in instruments.items():
        own = [decision for decision in decisions if decision.strategy == strategy]
        if own:
            found = answers_of([one.action for one in own], [one.confidence for one in own], names)
            parts += [element("h4", strategy), answer_drawings(found)]
    return joined(parts) if parts else element("p", "No decision was made.", class_="note")


def answers_of(
    actions: Sequence[Sequence[float]], confidences: Sequence[float], names: Sequence[str]
) -> Answers:
    """How answers are spread, before the action map, and how sure they were.

    Args:
        actions: One row a decision.
        confidences: Likewise.
        names: Instruments, in configuration order.

    Returns:
        For each instrument, for whatever else was answered, and for the confidence: lowest, median and
        highest, and the counts of equal bins between the bounds. Nulls where no value is finite.
    """
    columns = np.array(actions, dtype=np.float64).reshape(len(actions), -1)
    answers = {label: columns[:, at] for at, label in enumerate(_labels(names, columns.shape[1]))}
    answers["confidence"] = np.array(confidences, dtype=np.float64)
    return {label: _spread(values) for label, values in answers.items()}


def answer_drawings(answers: Answers) -> Markup:
    """A histogram of each answer."""
    return element(
        "div", *(_histogram(label, found) for label, found in answers.items()), class_="histograms"
    )


def _labels(names: Sequence[str], width: int) -> list[str]:
    """An answer for each instrument may come with more: cash, or whatever the network has."""
    return [*names[:width], *(f"answer {at + 1}" for at in range(len(names), width))]


def _spread(values: Floats) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return {"low": None, "median": None, "high": None, "bounds": None, "counts": []}
    low, high = float(finite.min()), float(finite.max())
    # One value is a spike in the middle.
    bounds = (low - 0.5, high + 0.5) if low == high else (low, high)
    counts, _ = np.histogram(finite, bins=NUM_BINS, range=bounds)
    middle = float(np.median(finite))
    return {"low": low, "median": middle, "high": high, "bounds": list(bounds), "counts": counts.tolist()}


def _histogram(label: str, found: Mapping[str, Any]) -> Markup:
    counts = found["counts"]
    if not counts:
        return element("div", element("div", label, class_="label"), element("p", "none", class_="note"))
    width = 300.0 / NUM_BINS
    bars = [
        element(
            "rect",
            x=f"{at * width:.2f}",
            width=f"{width - 1.0:.2f}",
            y=f"{_BAR_HEIGHT * (1.0 - count / max(counts)):.2f}",
            height=f"{_BAR_HEIGHT * count / max(counts):.2f}",
            style="fill:var(--accent)",
        )
        for at, count in enumerate(counts)
        if count
    ]
    picture = element(
        "svg",
        *bars,
        viewBox=f"0 0 300 {_BAR_HEIGHT:g}",
        preserveAspectRatio="none",
        style="width:100%;height:70px;display:block",
        role="img",
        aria_label=f"Histogram of {label}",
    )
    low, high, middle = (number(found[name], 3) for name in ("low", "high", "median"))
    note = f"{low} to {high}, median {middle}"
    return element("div", element("div", label, class_="label"), picture, element("p", note, class_="note"))
