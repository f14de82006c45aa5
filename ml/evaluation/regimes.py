"""What each regime was worth: time spent, moves between states, profit made under each belief.

Profit from one bar to the next is credited to the state believed at the first of the two, which is the
state that the decision knew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.curve import EquityCurve
from strategies.tape import DecisionRecord


@dataclass(frozen=True, slots=True)
class StateMetrics:
    """One state of one strategy's regime model."""

    state: int
    bars: int
    share_frac: float
    """Of all bars with a belief."""
    average_stay_bars: float | None
    """Mean length of an unbroken stay; None where the state never was most probable."""
    mean_probability: float
    """Mean belief in the state over all bars."""
    pnl_quote: float
    """Net, from each bar in the state to the next."""


@dataclass(frozen=True, slots=True)
class RegimeMetrics:
    """A strategy's regimes over a run."""

    states: tuple[StateMetrics, ...]
    transitions: tuple[tuple[int, ...], ...]
    """Bars at which the most probable state went from row to column, shape (K, K)."""


def regime_metrics(decisions: Sequence[DecisionRecord], curve: EquityCurve) -> RegimeMetrics | None:
    """Summarise the regimes of one strategy.

    Args:
        decisions: Of one strategy, in order of time.
        curve: Its equity.

    Returns:
        None where the strategy has no regime model.
    """
    believed = [d for d in decisions if d.regime_state >= 0]
    if not believed:
        return None
    num_states = max(len(believed[0].regime_probs), max(d.regime_state for d in believed) + 1)
    state = np.array([d.regime_state for d in believed], dtype=np.int64)
    transitions = np.zeros((num_states, num_states), dtype=np.int64)
    np.add.at(transitions, (state[:-1], state[1:]), 1)
    bars = np.bincount(state, minlength=num_states)
    changes = np.diff(state, prepend=-1) != 0
    stays = np.bincount(state[changes], minlength=num_states)
    probs = np.zeros(num_states)
    for decision in believed:
        probs[: len(decision.regime_probs)] += decision.regime_probs
    pnl = _pnl_by_state(believed, state, num_states, curve)
    states = tuple(
        StateMetrics(
            state=k,
            bars=int(bars[k]),
            share_frac=float(bars[k] / len(state)),
            average_stay_bars=float(bars[k] / stays[k]) if stays[k] else None,
            mean_probability=float(probs[k] / len(state)),
            pnl_quote=float(pnl[k]),
        )
        for k in range(num_states)
    )
    return RegimeMetrics(states, tuple(tuple(int(n) for n in row) for row in transitions))


def joined_regimes(found: Sequence[RegimeMetrics]) -> RegimeMetrics | None:
    """Regimes of several spans together, state by state.

    Args:
        found: One for each span; a state number means the same in all.

    Returns:
        None where there is none, or the numbers of states differ.
    """
    counts = {len(metrics.states) for metrics in found}
    if len(counts) != 1:
        return None
    weights = [sum(state.bars for state in metrics.states) for metrics in found]
    states = [
        _joined_state(spans, weights) for spans in zip(*(metrics.states for metrics in found), strict=True)
    ]
    transitions = np.sum([metrics.transitions for metrics in found], axis=0)
    return RegimeMetrics(tuple(states), tuple(tuple(int(n) for n in row) for row in transitions))


def _joined_state(spans: Sequence[StateMetrics], weights: Sequence[int]) -> StateMetrics:
    bars, total = sum(span.bars for span in spans), sum(weights)
    stays = sum(span.bars / span.average_stay_bars for span in spans if span.average_stay_bars)
    belief = sum(span.mean_probability * weight for span, weight in zip(spans, weights, strict=True))
    return StateMetrics(
        state=spans[0].state,
        bars=bars,
        share_frac=bars / total,
        average_stay_bars=bars / stays if stays else None,
        mean_probability=belief / total,
        pnl_quote=sum(span.pnl_quote for span in spans),
    )


def _pnl_by_state(
    believed: Sequence[DecisionRecord], state: np.ndarray, num_states: int, curve: EquityCurve
) -> np.ndarray:
    ts = np.array([d.ts_event for d in believed], dtype=np.int64)
    known_at = np.searchsorted(ts, curve.ts_event[:-1], side="right") - 1
    gains = np.diff(curve.equity)
    covered = known_at >= 0
    return np.bincount(state[known_at[covered]], weights=gains[covered], minlength=num_states)
