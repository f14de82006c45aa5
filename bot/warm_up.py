"""How far back a paper daemon begins to replay: after a restart it decides as if it had never stopped."""

from collections.abc import Sequence

from adapters.catalog import Catalog, interval_ns_of
from adapters.replay import ReplayConfig
from bot.config import HostConfig
from strategies.strategy import PolicyStrategy


def plan_warm_up(
    replay: ReplayConfig,
    host: HostConfig,
    catalog: Catalog,
    strategies: Sequence[PolicyStrategy],
    first_ns: int,
) -> None:
    """Set when a replay begins and from when on it keeps to its speed; what was played is not decided again.

    Args:
        replay: Its ``start_ns`` and ``paced_from_ns`` are set.
        host: Its ``replay.warmup_bars`` counts.
        catalog: Where the bars lie.
        strategies: As they were wired.
        first_ns: Close of the first bar, UTC nanoseconds.

    Raises:
        CatalogError: If bars are missing or damaged.
    """
    resume_ns = replay.status.resume_ns
    replay.start_ns = replay_start_ns(host, catalog, strategies, resume_ns)
    replay.paced_from_ns = paced_from_ns(host, strategies, first_ns, resume_ns)
    for strategy in strategies:
        strategy.decide_only_after(resume_ns)


def replay_start_ns(
    host: HostConfig, catalog: Catalog, strategies: Sequence[PolicyStrategy], resume_ns: int
) -> int:
    """Time after which events are played: early enough for every strategy to be warm where the venue stands.

    Bars that are there count, never the time that they would take: after a silence of the market that time
    holds too few.

    Args:
        host: Its ``replay.warmup_bars`` may ask for more.
        catalog: Where the bars lie.
        strategies: As they were wired.
        resume_ns: Market time that the venue had reached, UTC nanoseconds; 0 plays from the beginning.

    Returns:
        UTC nanoseconds; 0 is the beginning.

    Raises:
        CatalogError: If bars are missing or damaged.
    """
    if not resume_ns:
        return 0
    at_least = host.settings.replay.warmup_bars or 0
    return min(
        catalog.close_back(name, max(strategy.pipeline.history_bars, at_least), resume_ns) - 1
        for strategy in strategies
        for name in strategy.bar_types
    )


def paced_from_ns(
    host: HostConfig, strategies: Sequence[PolicyStrategy], first_ns: int, resume_ns: int
) -> int:
    """Time from which the replay keeps to its speed: before it nothing is decided for the first time.

    Args:
        host: Its ``replay.warmup_bars``, where given, replaces the strategies' own warm-up.
        strategies: As they were wired.
        first_ns: Close of the first bar, UTC nanoseconds.
        resume_ns: Market time that the venue had reached; 0 in its first life.

    Returns:
        UTC nanoseconds.
    """
    bars = host.settings.replay.warmup_bars
    longest_ns = max(
        (strategy.pipeline.warmup_bars if bars is None else bars) * interval_ns_of(strategy.bar_types[0])
        for strategy in strategies
    )
    return max(first_ns + longest_ns, resume_ns)
