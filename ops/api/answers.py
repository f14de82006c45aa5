"""The rows of pages, as they are described and checked; times are UTC nanoseconds."""

from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json


class Row(BaseModel):
    """What every row says."""

    model_config = ConfigDict(extra="forbid")

    seq: int
    """Number of the journal's record."""
    ts_ns: int
    """When that was written, wall clock."""
    strategy: str | None


class OrderRow(Row):
    """An order as it stands."""

    client_order_id: str
    last_seq: int
    last_ts_ns: int
    ts_event: int | None
    decision_id: str | None
    instrument_id: str | None
    side: str | None
    quantity: float | None
    kind: str | None
    role: str | None
    price: float | None
    trigger_price: float | None
    status: str
    reason: str | None
    filled_quantity: float


class FillRow(Row):
    """An execution."""

    instrument_id: str
    trade_id: str
    ts_event: int | None
    client_order_id: str | None
    side: str | None
    quantity: float | None
    price: float | None
    fee: float | None
    liquidity: str | None


class TradeRow(Row):
    """A round trip; see `ml.round_trips.RoundTrip`."""

    instrument_id: str
    side: str
    quantity: float
    entry_ts: int
    exit_ts: int
    entry_price: float
    exit_price: float
    gross_pnl: float
    fees: float
    net_pnl: float
    return_bps: float
    hold_secs: float
    exit_role: str
    exit_order_id: str


class DecisionRow(Row):
    """A decision; see `strategies.tape.DecisionRecord`."""

    model_config = ConfigDict(extra="allow")

    ts_event: int


class VerdictRow(Row):
    """What the guardrails said."""

    ts_event: int | None
    instrument_id: str | None
    requested: float | None
    approved: float | None
    reason: str | None
    limit: float | None
    value: float | None


class EquityRow(Row):
    """A book, marked at the close of a bar; quote currency."""

    ts_event: int | None
    equity: float | None
    cash: float | None
    gross_exposure: float | None
    net_exposure: float | None
    realised: float | None
    unrealised: float | None
    fees: float | None
    drawdown: float | None


class RegimeRow(Row):
    """An unbroken stay in a regime state."""

    state: int
    first_ts: int
    last_ts: int
    bars: int
    mean_probability: float


class PnlRow(Row):
    """A UTC day of a strategy; quote currency, net of costs."""

    day: str
    ts_event: int
    """Of the day's last mark."""
    profit: float | None
    """Equity since the day before; of a strategy's first day, since its first mark."""
    equity: float | None
    realised: float | None
    unrealised: float | None
    fees: float | None
    drawdown: float | None
    """The day's largest."""


class BarRow(BaseModel):
    """A bar as strategies saw it, or several joined into one."""

    model_config = ConfigDict(extra="forbid")

    seq: int
    """Number of the journal's record; of the newest bar."""
    ts_ns: int
    """When that was written, wall clock."""
    instrument_id: str
    bar_type: str
    ts_event: int
    """Close time."""
    open: float
    high: float
    low: float
    close: float
    volume: float
    bars: int
    """How many were joined."""


class CommandRow(BaseModel):
    """A command that was given, what became of it, or a change of what restricts trading."""

    model_config = ConfigDict(extra="forbid")

    seq: int
    ts_ns: int
    kind: str
    """``control`` or ``latch``."""
    command: str | None
    scope: str | None
    who: str | None
    reason: str | None
    body: dict[str, Any]
    """All of the record."""


class LimitRow(BaseModel):
    """A limit, and how much of it is used."""

    scope: str
    """Name of the strategy, or ``account``."""
    limit: str
    used: float
    allowed: float
    used_frac: float
    latched: bool
    """Whether it holds trading back until it is released."""


class Page[R: BaseModel](BaseModel):
    """Some rows, newest first."""

    rows: list[R]
    next_cursor: str | None
    """Where the next page goes on, as ``before``; null where there is none."""


type Document = dict[str, Any]


def as_answer(document: Any, status: int = 200) -> Response:
    """A document as it is sent; what is not finite has no JSON form, and is null."""
    return Response(to_json(document, inf_nan_mode="null"), status, media_type="application/json")
