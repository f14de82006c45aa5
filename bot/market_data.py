"""Which bars a host trades on, and how they are played to it."""

from adapters.catalog import Catalog, interval_ns_of
from adapters.playback import STRETCH_ROWS, Playback, instrument_id_of
from bot.config import FillPolicy, HostConfig
from strategies.errors import ConfigError
from strategies.slices import Pace


def bar_type(instrument_id: str, interval: str) -> str:
    """Name of the bars that a strategy trades on, for example ``BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL``."""
    return f"{instrument_id}-{interval}-LAST-EXTERNAL"


def bar_types_of(host: HostConfig) -> tuple[str, ...]:
    """Series that the host's strategies trade on, each once, in configuration order."""
    names = (
        bar_type(name, loaded.config.interval)
        for loaded in host.strategies
        for name in loaded.config.instruments
    )
    return tuple(dict.fromkeys(names))


def matching_bar_types(host: HostConfig) -> frozenset[str]:
    """Of each instrument the series of the shortest interval: against it orders are matched and charged.

    A longer bar tells again what its shorter ones have told: a stop must not meet an hour's low that lies
    before the stop, and what an order costs must not depend on which bar closed last.
    """
    shortest: dict[str, str] = {}
    for name in sorted(bar_types_of(host), key=interval_ns_of):
        shortest.setdefault(instrument_id_of(name), name)
    return frozenset(shortest.values())


def make_playback(
    host: HostConfig, catalog: Catalog, after_ns: int = 0, *, stretch_rows: int = STRETCH_ROWS
) -> Playback:
    """Play the host's bars, with the quotes that fill its market orders.

    Args:
        host: Its strategies, span and fill policy count.
        catalog: Where the bars lie.
        after_ns: Leave out bars that close by then, UTC nanoseconds.
        stretch_rows: Bars of one series that are held at a time.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If the latency is not shorter than the shortest bar.
    """
    data = host.settings.data
    start_ns = max(data.start_ns or 0, after_ns) or None
    return Playback(
        catalog,
        bar_types_of(host),
        start_ns,
        data.end_ns,
        quote_delay_ns=latency_ns(host),
        stretch_rows=stretch_rows,
    )


def latency_ns(host: HostConfig) -> int:
    """Time from a decision to the simulated venue, nanoseconds; at least 1: no order meets its own close.

    Bars say nothing of what happens meanwhile: the order arrives later and still fills at the open.

    Raises:
        ConfigError: If it is not shorter than the shortest bar.
    """
    nanoseconds = max(1, int(host.settings.execution.latency_ms * 1_000_000))
    shortest = min(interval_ns_of(name) for name in bar_types_of(host))
    if nanoseconds >= shortest:
        raise ConfigError(
            f"{host.path}: execution.latency_ms = {host.settings.execution.latency_ms:g}: expected less than "
            f"the shortest bar, {shortest // 1_000_000} ms"
        )
    return nanoseconds


def paces_of(host: HostConfig) -> dict[str, Pace]:
    """How a backtest works orders to the market over time, by instrument id; empty where they fill at once.

    Raises:
        ConfigError: If a strategy rests stops at the venue: they would protect what is not there yet.
    """
    execution = host.settings.execution
    if execution.fill_policy is FillPolicy.NEXT_OPEN:
        return {}
    resting = [one.config.name for one in host.strategies if one.config.policy.GIVES_STOPS]
    if resting:
        raise ConfigError(
            f'{host.path}: execution.fill_policy = "vwap_window" cannot be used with {resting}: they rest '
            'stops at the venue, which would protect what has not been bought yet; use "next_open"'
        )
    window_ns = execution.vwap_minutes * 60_000_000_000
    intervals = {instrument_id_of(name): interval_ns_of(name) for name in matching_bar_types(host)}
    return {name: Pace(max(1, window_ns // length), length) for name, length in intervals.items()}
