"""How much of the way to the wanted weights is gone in one decision.

Flow: maps → **turnover** → sizing.
"""

import math
from collections.abc import Collection, Sequence

from strategies.config import AllocationConfig


def limit_turnover(
    wanted: Sequence[float],
    current: Sequence[float],
    config: AllocationConfig,
    leaving: Collection[int] = (),
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
        leaving: Positions of instruments that are left at once: neither gated nor throttled, and no part of
            the turnover that is.

    Returns:
        N weights, NaN where nothing changes; None when nothing changes at all.
    """
    eps = config.rebalance_eps
    turnover = 0.0
    weights = []
    for index, want in enumerate(wanted):
        if index in leaving:
            weights.append(0.0)
            continue
        change = abs(want - current[index])
        if change > 0.0 and (change >= eps or want == 0.0):
            turnover += change
            weights.append(want)
        else:
            weights.append(math.nan)
    if turnover == 0.0 and not leaving:
        return None
    if turnover <= config.max_step_change:
        return weights
    step = config.max_step_change / turnover
    return [
        0.0 if index in leaving else have + (want - have) * step
        for index, (want, have) in enumerate(zip(weights, current, strict=True))
    ]
