"""How much of the way to the wanted weights is gone in one decision.

Flow: maps → **turnover** → sizing.
"""

import math
from collections.abc import Sequence

from strategies.config import AllocationConfig


def limit_turnover(
    wanted: Sequence[float], current: Sequence[float], config: AllocationConfig
) -> list[float] | None:
    """Leave small changes for later and spread large ones over several decisions.

    1. Gate: a change smaller than ``rebalance_eps`` is dropped, unless it leaves the instrument for good
       (a wanted weight of exactly 0).
    2. Throttle: if the sum of the absolute changes exceeds ``max_step_change``, all shrink in proportion.

    The gate comes first: behind the throttle, a broad portfolio whose steps are all throttled below the
    gate would never move.

    Args:
        wanted: N signed fractions of equity; NaN leaves an instrument as it is.
        current: N signed fractions of equity; NaN where unknown, which is left as it is.

    Returns:
        N weights, NaN where nothing changes; None when nothing changes at all.
    """
    eps = config.rebalance_eps
    turnover = 0.0
    weights = []
    for index, want in enumerate(wanted):
        change = abs(want - current[index])
        if change > 0.0 and (change >= eps or want == 0.0):
            turnover += change
            weights.append(want)
        else:
            weights.append(math.nan)
    if turnover == 0.0:
        return None
    if turnover <= config.max_step_change:
        return weights
    step = config.max_step_change / turnover
    return [have + (want - have) * step for want, have in zip(weights, current, strict=True)]
