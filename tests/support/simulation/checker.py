"""Whether the promises were kept: judged by the venue's ledger and the journal's bytes, by nothing else.

What the operator was told counts as the venue's side: it is known outside the bot, too.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ops.journal import BrokenChainError, Kind, Record, read_chain
from ops.journal.reading import StoredLine
from ops.journal.records import decode
from strategies.delivery import intent_from
from strategies.orders import OrderIntent, OrderRole
from tests.support.simulation.disk import SimDisk
from tests.support.simulation.market import INDEX, Market
from tests.support.simulation.trader import DAILY_NOTIONAL
from tests.support.simulation.venue import CASH, SimVenue, VenueOrder

_DAY_NS = 86_400_000_000_000
_COUNTED = (OrderRole.OPEN, OrderRole.REDUCE, OrderRole.CLOSE)


class Operator(Protocol):
    """Who was told of halts."""

    def is_halted(self, ts_ns: int) -> bool:
        """Whether a halt was confirmed before a time, and no resume asked for since."""


class _Evidence:
    """Both ledgers, side by side."""

    def __init__(self, records: list[Record], venue: SimVenue, market: Market, operator: Operator) -> None:
        self.records = records
        self.venue = venue
        self.market = market
        self.operator = operator
        self.intents: dict[str, tuple[int, OrderIntent]] = {}
        """Number of the record, and the order, by client order id."""
        self.lost: set[str] = set()
        """Reducing orders that left before their record was durable, and whose record a crash took."""
        written_ns: dict[str, int] = {}
        for record in records:
            if record.kind is Kind.INTENT:
                for fields in record.body["intents"]:
                    intent = intent_from(fields)
                    self.intents[intent.client_order_id] = (record.seq, intent)
                    written_ns[intent.client_order_id] = record.ts_ns
        for name, order in venue.orders.items():
            is_late = name not in written_ns or written_ns[name] > order.first_sent_ns
            if is_late and order.intent.reduce_only:
                self.lost.add(name)

    def notional(self, order: VenueOrder) -> float:
        """As the bot counts it: at the close that it decided on."""
        intent = order.intent
        return intent.quantity * self.market.price(INDEX[intent.instrument_id], intent.ts_event)

    def counted(self, strategy: str, ts_event: int, before_seq: int) -> float:
        """Notional of a day's orders that the venue saw, among those written down before a record."""
        total = 0.0
        for name, order in self.venue.orders.items():
            one = order.intent
            if (
                one.strategy == strategy
                and one.role in _COUNTED
                and one.ts_event // _DAY_NS == ts_event // _DAY_NS
                and name in self.intents
                and self.intents[name][0] < before_seq
            ):
                total += self.notional(order)
        return total


def check(disk: SimDisk, folder: Path, venue: SimVenue, market: Market, operator: Operator) -> list[str]:
    """Everything that is wrong, in words; empty where nothing is."""
    records: list[Record] = []

    def visit(line: StoredLine) -> None:
        records.append(decode(line.content))

    try:
        read_chain(disk, folder, None, visit)
    except BrokenChainError as error:
        return [f"the chain is broken in the end: {error}"]
    evidence = _Evidence(records, venue, market, operator)
    rules = (_orders, _halts, _sessions, _endings, _fills, _holdings, _budgets)
    return [what for rule in rules for what in rule(evidence)]


def _orders(evidence: _Evidence) -> Iterator[str]:
    decisions = Counter(order.intent.decision_id for order in evidence.venue.orders.values())
    for decision, count in decisions.items():
        if count > 1:
            yield f"decision {decision[:8]} has {count} orders at the venue"
    for name, order in evidence.venue.orders.items():
        if len(order.requests) > 1 and name not in evidence.lost:
            yield f"order {name[:8]} was sent {len(order.requests)} times"
        if name not in evidence.intents and name not in evidence.lost:
            yield f"order {name[:8]} is at the venue, and nobody wrote it down"


def _halts(evidence: _Evidence) -> Iterator[str]:
    for name, order in evidence.venue.orders.items():
        if order.intent.role is OrderRole.OPEN and evidence.operator.is_halted(order.first_sent_ns):
            yield f"order {name[:8]} opened after a halt was confirmed"
    is_halted = False
    for record in evidence.records:
        body = record.body
        if record.kind is Kind.SESSION_START:
            is_halted = False  # the file says what holds now: a crash may have taken the record of its change
        elif record.kind is Kind.LATCH and body.get("restriction", {}).get("scope") == "all":
            is_halted = body["action"] == "hold" if body["action"] in {"hold", "lift"} else is_halted
        elif record.kind is Kind.SUBMIT and body["role"] == "OPEN" and is_halted:
            yield f"record {record.seq} submits an opening behind a halt's record"


def _sessions(evidence: _Evidence) -> Iterator[str]:
    may_open = False
    for record in evidence.records:
        body = record.body
        if record.kind is Kind.SESSION_START:
            may_open = False
        elif record.kind is Kind.RECONCILE:
            may_open = not body["unexplained"]
            if body["unexplained"] and not evidence.lost:
                yield f"record {record.seq} finds differences where there are none: {body['unexplained']}"
        elif record.kind is Kind.SUBMIT and body["role"] == "OPEN":
            if not may_open:
                yield f"record {record.seq} submits an opening before the books were compared"
            if body["reason"]:
                yield f"record {record.seq} submits an opening that was not durable: {body['reason']}"
            written = evidence.intents.get(body["client_order_id"])
            if written is None or written[0] > record.seq:
                yield f"record {record.seq} submits what was not written down before"


def _endings(evidence: _Evidence) -> Iterator[str]:
    for record in evidence.records:
        body = record.body
        if record.kind is Kind.OUTCOME and body["status"] in {"ABANDONED", "EXPIRED", "DENIED"}:
            order = evidence.venue.orders.get(body["client_order_id"])
            if order is not None:
                yield f"order {order.client_order_id[:8]} is at the venue though it was {body['status']}"


def _fills(evidence: _Evidence) -> Iterator[str]:
    booked = Counter(record.body["trade_id"] for record in evidence.records if record.kind is Kind.FILL)
    known = {fill.trade_id for fill in evidence.venue.fills}
    for fill in evidence.venue.fills:
        is_lost = fill.client_order_id in evidence.lost and not booked[fill.trade_id]
        if booked[fill.trade_id] != 1 and not is_lost:
            yield f"execution {fill.trade_id} is in the journal {booked[fill.trade_id]} times"
    for trade_id in booked.keys() - known:
        yield f"execution {trade_id} is in the journal and not at the venue"


def _holdings(evidence: _Evidence) -> Iterator[str]:
    lots, cash = [0] * len(INDEX), CASH
    known = {one.body["trade_id"] for one in evidence.records if one.kind is Kind.FILL}
    booked = [
        (
            one.body["instrument_id"],
            one.body["side"],
            one.body["quantity"],
            one.body["price"],
            one.body["fee"],
        )
        for one in evidence.records
        if one.kind is Kind.FILL
    ]
    lost = [
        (one.instrument_id, one.side, float(one.quantity), float(one.price), float(one.fee))
        for one in evidence.venue.fills
        if one.client_order_id in evidence.lost and one.trade_id not in known
    ]
    for name, side, quantity, price, fee in booked + lost:
        sign = 1 if side == "BUY" else -1
        lots[INDEX[name]] += sign * round(quantity * 1000)
        cash -= sign * quantity * price + fee
    books = evidence.venue.books
    if lots != books.lots or abs(cash - books.cash) > 1e-6:
        yield f"the journal says {lots} lots and {cash:.6f}, the venue {books.lots} and {books.cash:.6f}"


def _budgets(evidence: _Evidence) -> Iterator[str]:
    for record in evidence.records:
        if record.kind is Kind.STATE:
            state = record.body["state"]
            day, spent = state["ts_event"], state["book"]["daily_notional"]
            seen = evidence.counted(record.body["strategy"], day, record.seq)
            if spent < seen - 1e-6:
                yield f"record {record.seq} counts {spent:.2f} of the day, the venue saw {seen:.2f}"
    for name, order in evidence.venue.orders.items():
        if order.intent.role is OrderRole.OPEN and name in evidence.intents:
            seq, intent = evidence.intents[name]
            spent = evidence.counted(intent.strategy, intent.ts_event, seq)
            if spent + evidence.notional(order) > DAILY_NOTIONAL + 1e-6:
                yield f"order {name[:8]} opens beyond the day's budget: {spent:.2f} was spent before"
