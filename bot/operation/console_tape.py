"""What a person sees while the daemon runs: fills, halts, refused orders, and equity now and then."""

from collections.abc import Callable
from datetime import UTC, datetime

from strategies.tape import EquityRecord, FillRecord, HaltRecord, OrderRecord, Record

_EQUITY_EVERY_NS = 3_600_000_000_000
_REFUSED = frozenset({"REJECTED", "DENIED"})


class ConsoleTape:
    """Turns the records that matter to a watching person into lines.

    Args:
        say: Takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last_equity_ts: dict[str, int] = {}

    def write(self, record: Record) -> None:
        """Show one record, if it is worth a line."""
        if isinstance(record, FillRecord):
            self._say(
                f"{_time(record.ts_event)} {record.strategy}: {record.side} {record.quantity:g} "
                f"{record.instrument_id} at {record.price:,.6g}, costs {record.fee:,.2f}"
            )
        elif isinstance(record, HaltRecord):
            self._say(
                f"{_time(record.ts_event)} {record.strategy}: "
                f"{record.state}, {record.reason}: {record.detail}"
            )
        elif isinstance(record, OrderRecord):
            if record.status in _REFUSED:
                self._say(
                    f"{_time(record.ts_event)} {record.strategy}: order {record.client_order_id} "
                    f"{record.status}: {record.reason}"
                )
        elif isinstance(record, EquityRecord):
            last = self._last_equity_ts.get(record.strategy, 0)
            if record.ts_event - last >= _EQUITY_EVERY_NS:
                self._last_equity_ts[record.strategy] = record.ts_event
                self._say(
                    f"{_time(record.ts_event)} {record.strategy}: equity {record.equity:,.2f}, "
                    f"exposure {record.gross_exposure:,.2f}, drawdown {record.drawdown:.2%}"
                )


def _time(ts_event: int) -> str:
    return f"{datetime.fromtimestamp(ts_event // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
