"""What a run leaves behind: every decision, verdict, order, fill and reading of equity, in order.

Flow: decision → **tape** → journal, artifacts, replay.

The tape only gathers. Who writes it where (Parquet for a backtest, the journal for a daemon) is decided
by the sink that is passed in. A record's bytes are canonical, so one hash pins a whole run.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from strategies.portfolio import Ledger


class DecisionRecord(NamedTuple):
    """One decision of one strategy at one bar time."""

    ts_event: int
    """Close time of the bars, UTC nanoseconds."""
    strategy: str
    observation_sha256: str
    """Hash of all that the policy saw: newest feature rows, portfolio vector, belief."""
    regime_state: int
    """Most probable state; -1 where the strategy has no regime model."""
    regime_probs: tuple[float, ...]
    closes: tuple[float, ...]
    """One per instrument, in configuration order."""
    action: tuple[float, ...]
    """What the policy answered, before the action map."""
    confidence: float
    weights: tuple[float, ...]
    """After the action map; NaN leaves an instrument as it is."""
    targets: tuple[float, ...]
    """Signed quantities wanted, base units; NaN leaves an instrument as it is."""


class VerdictRecord(NamedTuple):
    """What the guardrails said about one trade."""

    ts_event: int
    strategy: str
    instrument_id: str
    requested: float
    """Signed base units."""
    approved: float
    """Signed base units; 0 is a veto."""
    reason: str
    limit: float
    value: float


class OrderRecord(NamedTuple):
    """One order at one moment of its life; the last record of an id is its present state."""

    ts_event: int
    """Time of the event, UTC nanoseconds."""
    strategy: str
    instrument_id: str
    decision_id: str
    client_order_id: str
    side: str
    """BUY or SELL."""
    quantity: float
    kind: str
    """MARKET, LIMIT_IOC, LIMIT or STOP_MARKET."""
    role: str
    """OPEN, REDUCE, CLOSE, FLATTEN, STOP or TARGET."""
    price: float
    """Limit price; NaN where there is none."""
    trigger_price: float
    """Stop price; NaN where there is none."""
    status: str
    """SUBMITTED, ACCEPTED, FILLED, PARTIALLY_FILLED, CANCELED, REJECTED, DENIED or EXPIRED."""
    reason: str
    """Why it was rejected, denied or canceled; empty otherwise."""


class FillRecord(NamedTuple):
    """One execution."""

    ts_event: int
    strategy: str
    instrument_id: str
    client_order_id: str
    trade_id: str
    side: str
    quantity: float
    price: float
    fee: float
    """Everything charged, quote currency: commission, fee, spread and impact."""
    liquidity: str
    """MAKER or TAKER."""


class EquityRecord(NamedTuple):
    """A strategy's book, marked at the close of a bar."""

    ts_event: int
    strategy: str
    equity: float
    """Quote currency, net of all costs."""
    cash: float
    gross_exposure: float
    net_exposure: float
    realised: float
    """Gross of fees."""
    unrealised: float
    fees: float
    """Paid so far."""
    drawdown: float
    """From the peak, 0..1."""


def equity_record(ts_event: int, strategy: str, ledger: Ledger) -> EquityRecord:
    """A book as it stands."""
    return EquityRecord(
        ts_event,
        strategy,
        ledger.equity,
        ledger.cash,
        ledger.gross_exposure,
        ledger.net_exposure,
        ledger.realised,
        ledger.unrealised,
        ledger.fees,
        ledger.drawdown,
    )


class HaltRecord(NamedTuple):
    """A strategy was halted, or a loss limit latched."""

    ts_event: int
    strategy: str
    state: str
    """REDUCING or HALTED."""
    reason: str
    detail: str


type Record = DecisionRecord | VerdictRecord | OrderRecord | FillRecord | EquityRecord | HaltRecord


class TapeSink(Protocol):
    """Where records go."""

    def write(self, record: Record) -> None:
        """Take one record; must neither block nor raise."""


class MemoryTape:
    """Keeps a run's records in memory, by kind, in the order in which they came."""

    __slots__ = ("_by_type", "decisions", "equity", "fills", "halts", "orders", "verdicts")

    def __init__(self) -> None:
        self.decisions: list[DecisionRecord] = []
        self.verdicts: list[VerdictRecord] = []
        self.orders: list[OrderRecord] = []
        self.fills: list[FillRecord] = []
        self.equity: list[EquityRecord] = []
        self.halts: list[HaltRecord] = []
        self._by_type: dict[type, Callable[[Any], None]] = {
            DecisionRecord: self.decisions.append,
            VerdictRecord: self.verdicts.append,
            OrderRecord: self.orders.append,
            FillRecord: self.fills.append,
            EquityRecord: self.equity.append,
            HaltRecord: self.halts.append,
        }

    def write(self, record: Record) -> None:
        """Append the record to the list of its kind."""
        self._by_type[type(record)](record)


def canonical_bytes(record: Record) -> bytes:
    """The one byte form of a record: type name, then each field with its length or as eight bytes.

    Floats are written as IEEE 754, so equal bytes mean equal bits, and NaN equals itself.
    """
    parts = [type(record).__name__.encode()]
    for value in record:
        if isinstance(value, str):
            raw = value.encode()
            parts.append(struct.pack("<I", len(raw)) + raw)
        elif isinstance(value, tuple):
            parts.append(struct.pack(f"<I{len(value)}d", len(value), *value))
        elif isinstance(value, int):
            parts.append(struct.pack("<q", value))
        else:
            parts.append(struct.pack("<d", value))
    return b"".join(parts)


def records_sha256(records: list[DecisionRecord] | list[OrderRecord] | list[FillRecord]) -> str:
    """Hash a run's records of one kind, in order."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_bytes(record))
    return digest.hexdigest()
