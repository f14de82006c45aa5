"""How things stand, and what has come of each strategy since the message before: the daily summary's text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_COUNTED = ("equity", "fees", "decisions")


class DaySummary:
    """Writes one summary after the other.

    A summary compares with the one before, whatever the hour, and the first one with the start: no trading
    day has to end for it, and a daemon that was restarted says since when it counts.

    Args:
        status: The daemon's state when it began to trade.
        now: When that was, UTC.
    """

    def __init__(self, status: Mapping[str, Any], now: datetime) -> None:
        self._since, self._then = f"the start at {now:%Y-%m-%d %H:%M} UTC", _counted(status)

    def next(self, status: Mapping[str, Any], now: datetime) -> str:
        """The text of the summary that is due."""
        lines = [f"{status['state']}, trading {status['trading_state']} {status['reason']}".rstrip()]
        lines.append(f"since {self._since}:")
        lines += [
            _line(one, self._then.get(one["name"], dict.fromkeys(_COUNTED, 0.0)))
            for one in status["strategies"]
        ]
        account = status["account"]
        lines.append(
            f"account: profit in all {account['profit']:+,.2f}, "
            f"this trading day so far {account['day_profit']:+,.2f}, "
            f"{account['drawdown_frac']:.2%} below its peak"
        )
        journal = status["journal"]
        lines.append(f"journal: {journal['records']} records, head {journal['head']}")
        self._since, self._then = f"{now:%Y-%m-%d %H:%M} UTC", _counted(status)
        return "\n".join(lines)


def _counted(status: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {one["name"]: {key: one[key] for key in _COUNTED} for one in status["strategies"]}


def _line(one: Mapping[str, Any], then: Mapping[str, float]) -> str:
    gain, costs, decisions = (one[key] - then[key] for key in _COUNTED)
    return (
        f"{one['name']}: {gain:+,.2f} after costs of {costs:,.2f}, {decisions} decisions; "
        f"equity {one['equity']:,.2f}, profit in all {one['profit']:+,.2f}, "
        f"{one['drawdown_frac']:.2%} below its peak, {one['trading_state']}"
    )
