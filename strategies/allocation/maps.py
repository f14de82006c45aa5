"""Action maps: what the numbers of an action mean, and how far a portfolio may lean.

Flow: action → **maps** → turnover.
"""

import math
from collections.abc import Sequence

from strategies.config import ActionMap, AllocationConfig
from strategies.errors import DataError


def wanted_weights(
    values: Sequence[float], action_map: ActionMap, num_instruments: int, config: AllocationConfig
) -> list[float]:
    """Map an action to the weights it asks for, before any cap.

    Returns:
        N signed fractions of equity; NaN leaves an instrument as it is.

    Raises:
        ValueError: If the action has the wrong length for its map.
        DataError: If a logit is not finite or a weight infinite.
    """
    expected = num_instruments + (action_map is ActionMap.SIMPLEX_CASH)
    if len(values) != expected:
        raise ValueError(f"a {action_map} action has {expected} values here, found {len(values)}")
    if action_map is ActionMap.WEIGHTS:
        if any(map(math.isinf, values)):
            raise DataError(
                f"expected weights that are finite or NaN, found {list(values)}; check the policy"
            )
        return list(values)
    if not all(map(math.isfinite, values)):
        raise DataError(f"expected finite logits, found {list(values)}; check the policy")
    if action_map is ActionMap.SIMPLEX_CASH:
        return simplex_cash(values, config.invest_max)
    return [math.tanh(value) for value in values]


def simplex_cash(logits: Sequence[float], invest_max: float) -> list[float]:
    """Long-only weights with a rest in cash.

        w = invest_max · sigmoid(gate) · softmax(logits of the instruments)

    Args:
        logits: N + 1 finite numbers; the last one is the gate.
        invest_max: Largest sum of the weights.
    """
    *scores, gate = logits
    top = max(scores)
    shares = [math.exp(score - top) for score in scores]
    invested = invest_max * _sigmoid(gate) / sum(shares)
    return [invested * share for share in shares]


def cap_weights(weights: list[float], action_map: ActionMap, config: AllocationConfig) -> list[float]:
    """Hold each name, then the sum of absolute weights, under its cap; NaN stays NaN.

    The sum is capped for the maps that choose every weight: at ``invest_max`` for simplex_cash, at
    ``gross_leverage_cap`` for tanh_leverage. A lower gross shrinks all names alike.
    """
    cap = config.name_cap_frac
    # NaN compares false and so comes through both bounds.
    capped = [cap if weight > cap else -cap if weight < -cap else weight for weight in weights]  # noqa: FURB136
    if action_map is ActionMap.WEIGHTS:
        return capped
    limit = config.invest_max if action_map is ActionMap.SIMPLEX_CASH else config.gross_leverage_cap
    gross = math.fsum(map(abs, capped))
    if math.isnan(gross):
        gross = math.fsum([abs(weight) for weight in capped if not math.isnan(weight)])
    if gross <= limit:
        return capped
    return [weight * (limit / gross) for weight in capped]


def _sigmoid(x: float) -> float:
    # The exponent is never positive, so no logit overflows.
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)
