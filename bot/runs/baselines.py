"""The same host with a policy that knows nothing: what every result has to beat."""

from dataclasses import replace

from bot.config import HostConfig, LoadedStrategy
from strategies.config import (
    AllocationConfig,
    BaselinePolicyConfig,
    FeatureConfig,
    FeaturesConfig,
    GuardrailConfig,
    StrategyConfig,
)

BASELINES = ("flat", "equal", "first_long", "random", "buy_and_hold")

_ROOM = 1.25
"""Account of a baseline over its capital, so that being fully invested and paying costs is not refused."""

_NO_LIMITS = GuardrailConfig(
    min_confidence=0.0,
    max_spread_bps=None,
    state_drawdown_quote=None,
    daily_loss_quote=None,
    max_daily_notional_quote=None,
    min_notional_quote=0.0,
    max_notional_quote=None,
    cooldown_secs=0.0,
    max_reject_rate=1.0,
    max_orders_per_minute=1_000_000,
    price_collar_bps=None,
    max_participation_frac=None,
    max_gross_quote=None,
)


def baseline_host(host: HostConfig, kind: str, seed: int = 0) -> HostConfig:
    """Replace the host's strategies by one baseline over all their instruments and all their capital.

    Venue, costs, data and fill policy stay, so the difference is the strategies' alone. The random
    baseline draws once a day: drawing at every bar would only measure costs.

    Args:
        host: The host whose result is to be compared.
        kind: One of `BASELINES`.
        seed: Of the random baseline.
    """
    first = host.strategies[0]
    configs = [loaded.config for loaded in host.strategies if loaded.config.interval == first.config.interval]
    capital = sum(config.capital_quote for config in configs)
    config = StrategyConfig(
        name=kind,
        description=f"Baseline: {kind}",
        instruments=tuple(dict.fromkeys(name for config in configs for name in config.instruments)),
        interval=first.config.interval,
        capital_quote=capital,
        features=FeaturesConfig(lookback=1, columns=(FeatureConfig(kind="log_return"),)),
        policy=BaselinePolicyConfig.model_validate(
            {"kind": kind, "seed": seed, "rebalance_bars": _bars_per_day(host, first.config.interval)}
        ),
        allocation=AllocationConfig(max_step_change=10.0),
        guardrails=_NO_LIMITS,
    )
    venue = host.settings.venue.model_copy(update={"starting_balance": capital * _ROOM})
    loaded = LoadedStrategy(path=first.path.with_name(f"{kind}.toml"), config=config, sha256=host.sha256)
    settings = host.settings.model_copy(update={"venue": venue})
    return replace(host, settings=settings, strategies=(loaded,))


def _bars_per_day(host: HostConfig, interval: str) -> int:
    venue = host.settings.venue
    return max(1, round(venue.bars_per_year(interval) / venue.trading_days_per_year))
