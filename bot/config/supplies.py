"""Rules switched on must get what they need, or they would refuse every trade in silence."""

from pathlib import Path

from bot.config.problems import Problem
from strategies.config import StrategyConfig


def check_supplies(path: Path, config: StrategyConfig) -> list[Problem]:
    """Name each rule that waits for what the strategy's policy never gives."""
    policy, sizing = config.policy, config.sizing
    kind = f'policy.kind = "{policy.kind}"'
    no_stop = f"{kind} gives no protective stops, so no position would ever be opened"
    rules = [
        ("orders.require_stop", config.orders.require_stop, policy.GIVES_STOPS, no_stop),
        ("sizing.risk_fraction.enabled", sizing.risk_fraction.enabled, policy.GIVES_STOPS, no_stop),
        (
            "sizing.edge.enabled",
            sizing.edge.enabled,
            policy.GIVES_EDGES,
            f"{kind} gives no expected returns, so no position would ever be opened",
        ),
        (
            "sizing.regime_exposure.enabled",
            sizing.regime_exposure.enabled,
            config.regime is not None,
            "there is no [regime], so no position would ever be opened",
        ),
    ]
    return [
        Problem(str(path), key, f" = true: {why}; switch it off, or name another policy or a regime model")
        for key, is_on, is_supplied, why in rules
        if is_on and not is_supplied
    ]
