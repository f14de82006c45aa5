"""The live host: what would go live, and why it does not yet.

Nothing leaves for a real venue unless the file says so, a flag says so again, and everything that live
trading needs is there. Today the venue clients are not, so every start is refused, with the list.
"""

from adapters.venues import dead_man_switch
from bot.config import HostConfig
from strategies.errors import ConfigError


def refuse_live(host: HostConfig) -> None:
    """Print the plan as an error that says what is missing.

    Raises:
        ConfigError: Always, as long as something is missing.
    """
    plan = [f"{host.path}: this would trade live:", f"  venue {_venue(host.settings.venue.name)}"]
    for loaded in host.strategies:
        config = loaded.config
        plan.append(
            f"  {config.name}: {', '.join(config.instruments)}, capital {config.capital_quote:,.2f} "
            f"{host.settings.venue.currency}, policy {config.policy.kind}, config {loaded.sha256[:12]}"
        )
    plan.append("refused; missing:")
    plan += [f"  - {item}" for item in missing_for_live(host)]
    raise ConfigError("\n".join(plan))


def _venue(name: str) -> str:
    """The venue, and what it does with our orders when it does not hear from us any more."""
    switch = dead_man_switch(name)
    if switch is None:
        return f"{name}, which cancels nothing by itself if this daemon falls silent: stops have to lie there"
    longest = switch.timeout_secs(switch.max_timeout_secs)
    return f"{name}, which cancels the orders of a {switch.reach} {longest:g} s after this daemon fell silent"


def missing_for_live(host: HostConfig) -> list[str]:
    """What keeps a host from going live, a line each."""
    live = host.settings.live
    missing = []
    if not live.armed:
        missing.append("live.armed = true (the file does not arm it)")
    if live.adapter is None:
        missing.append("live.adapter (no venue client is named)")
    else:
        missing.append(f"the venue client {live.adapter!r}: this version has none; trade on paper")
    if host.settings.account.daily_loss_quote is None:
        missing.append("account.daily_loss_quote (a live account needs a loss limit over all strategies)")
    return missing
