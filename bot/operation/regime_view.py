"""The states of a regime model as people may call them: a model knows only their numbers."""

import math
from typing import Any

from strategies.regime import RegimeFilter

_ENDS = ("calm", "wild")


def regime_states(regime: RegimeFilter | None) -> list[dict[str, Any]]:
    """One row a state, in the model's order; none without a model.

    A state's name says only where it stands when all are ordered by the standard deviation of the model's
    first feature: calm moves least, wild most, and those between are middle. Calm is not good, nor wild bad.
    """
    if regime is None:
        return []
    covariances = regime.params.covariances
    first = covariances[:, 0] if covariances.ndim == 2 else covariances[:, 0, 0]
    deviations = [math.sqrt(one) for one in first]
    ranks = {
        state: rank for rank, state in enumerate(sorted(range(len(deviations)), key=deviations.__getitem__))
    }
    return [
        {"state": state, "name": _name(ranks[state], len(deviations)), "deviation": deviation}
        for state, deviation in enumerate(deviations)
    ]


def _name(rank: int, count: int) -> str:
    if count == 1:
        return "only"
    if rank in (0, count - 1):
        return _ENDS[rank > 0]
    return "middle" if count == 3 else f"middle {rank}"
