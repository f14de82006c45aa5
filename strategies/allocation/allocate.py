"""The one composition of map, caps, scale and turnover limit.

Flow: policies → **allocate** → sizing.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from strategies.allocation.maps import cap_weights, wanted_weights
from strategies.allocation.turnover import limit_turnover
from strategies.config import AllocationConfig
from strategies.market import Floats
from strategies.policies.protocol import Action

type Scale = Callable[[list[float]], list[float]]
"""Takes wanted weights, NaN = leave, to the weights that the sizing rules allow; see `Sizer.scale`."""


def allocate(
    action: Action,
    current_weights: Floats | Sequence[float],
    config: AllocationConfig,
    scale: Scale | None = None,
) -> Floats:
    """Turn an action into the weights to hold after this decision.

    Caps bound what is asked for, not what drift has made of a position: one that has outgrown its cap
    comes back under it at the pace of ``max_step_change``.

    Args:
        action: The policy's answer.
        current_weights: Shape (N,), signed fractions of equity.
        config: Map parameters, caps and limits.
        scale: The sizing rules; None applies none.

    Returns:
        Shape (N,), signed fractions of equity; NaN leaves an instrument as it is.

    Raises:
        ValueError: If the action has the wrong length for its map.
        DataError: If a logit is not finite or a weight infinite.
    """
    current = current_weights.tolist() if isinstance(current_weights, np.ndarray) else current_weights
    count = len(current)
    wanted = wanted_weights(action.values.tolist(), action.action_map, count, config)
    if all(map(math.isnan, wanted)):
        return np.array(wanted)
    wanted = cap_weights(wanted, action.action_map, config)
    if scale is not None:
        wanted = cap_weights(scale(wanted), action.action_map, config)
    weights = limit_turnover(wanted, current, config)
    return np.array([math.nan] * count if weights is None else weights)
