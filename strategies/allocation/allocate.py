"""The one composition of map, caps, scale and turnover limit.

Flow: policies → **allocate** → sizing.
"""

import math
from collections.abc import Callable, Sequence

from strategies.allocation.maps import cap_weights, wanted_weights
from strategies.allocation.time_stop import timed_out
from strategies.allocation.turnover import limit_turnover
from strategies.config import AllocationConfig
from strategies.market import Vector
from strategies.policies.protocol import Action

type Scale = Callable[[list[float]], list[float]]
"""Takes wanted weights, NaN = leave, to the weights that the sizing rules allow; see `Sizer.scale`."""


def allocate(
    action: Action,
    current_weights: Vector,
    config: AllocationConfig,
    scale: Scale | None = None,
    bars_held: Sequence[int] = (),
) -> tuple[float, ...]:
    """Turn an action into the weights to hold after this decision.

    Caps bound what is asked for, not what drift has made of a position: one that has outgrown its cap
    comes back under it at the pace of ``max_step_change``.

    Args:
        action: The policy's answer.
        current_weights: N signed fractions of equity.
        config: Map parameters, caps and limits.
        scale: The sizing rules; None applies none.
        bars_held: Age of each position in bars, N; what has reached the action's time stop is left at once,
            whatever ``max_step_change`` says. Without them there is no time stop.

    Returns:
        N signed fractions of equity; NaN leaves an instrument as it is.

    Raises:
        ValueError: If the action has the wrong length for its map.
        DataError: If a logit is not finite or a weight infinite.
    """
    count, action_map = len(current_weights), action.action_map
    wanted = wanted_weights(action.values, action_map, count, config)
    due = timed_out(action, bars_held)
    for index in due:
        wanted[index] = 0.0
    if all(map(math.isnan, wanted)):
        return tuple(wanted)
    wanted = cap_weights(wanted, action_map, config)
    if scale is not None:
        wanted = cap_weights(scale(wanted), action_map, config)
    weights = limit_turnover(wanted, current_weights, config, due)
    return (math.nan,) * count if weights is None else tuple(weights)
