"""Our books beside the venue's: before anything trades, every difference has a name or trading is halted.

Flow: recall, venue → **reconciliation** → READY, or HALTED with a report.

    1 executions   the venue's that we have not booked are booked, once, to the strategy that sent the order
    2 orders       of each order without an end the venue is asked: it works, it ended, or it never arrived.
                   What never arrived, and no longer can, is given up, not sent again: the price has moved.
                   What the venue had taken and does not know any more halts, and so does
                   what works though our books say that it ended, or though nobody remembers it
    3 holdings     what the account holds must be what was there beside ours, plus what our books say
    4 cash         likewise

Orders and executions of others are shown and never touched.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from ops.recall import CLOSED
from ops.refusals import RefusedError
from strategies.delivery import Fill, WorkingOrder
from strategies.door import OrderDoor
from strategies.errors import SafetyError, TransientError
from strategies.orders import CLIENT_ORDER_ID_LENGTH, CLIENT_ORDER_ID_PREFIX

_CASH_FRAC = 1e-6
"""Largest difference in cash, as a fraction of what is expected, that arithmetic explains."""

DUST = 1e-9
"""Base units below every venue's lot."""


class VenueOrder(Protocol):
    """An order as the venue sees it."""

    @property
    def client_order_id(self) -> str: ...
    @property
    def instrument_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def filled(self) -> Decimal: ...
    @property
    def reason(self) -> str: ...
    @property
    def ts_last(self) -> int: ...


class VenueFill(Protocol):
    """An execution as the venue booked it."""

    @property
    def trade_id(self) -> str: ...
    @property
    def client_order_id(self) -> str: ...
    @property
    def instrument_id(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def fee(self) -> Decimal: ...
    @property
    def is_maker(self) -> bool: ...
    @property
    def ts_event(self) -> int: ...


class VenueView(Protocol):
    """Answers about one account at one venue, all of one state; see `adapters.queries`."""

    def order(self, client_order_id: str) -> VenueOrder | None:
        """Find an order; None if the venue never had it. TransientError where no answer can be had."""

    def open_orders(self) -> Sequence[VenueOrder]:
        """Orders that something can still happen to."""

    def fills(self, since_ns: int) -> Sequence[VenueFill]:
        """Executions at or after a venue time, oldest first."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account holds: the venue's side of step 3 and 4, or ours."""

    positions: Mapping[str, float]
    """Signed base units by instrument; what is not listed is 0."""
    cash: float
    """Quote currency."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"positions": {name: held for name, held in self.positions.items() if held}, "cash": self.cash}


NOTHING_ELSE = Holdings({}, 0.0)


@dataclass(slots=True)
class Report:
    """What was found, in plain values."""

    booked: list[str] = field(default_factory=list)
    """Executions that we had not heard of, booked now."""
    working: list[str] = field(default_factory=list)
    """Orders of ours that the venue still works."""
    ended: dict[str, str] = field(default_factory=dict)
    """Orders that ended unheard, with their status."""
    waiting: list[str] = field(default_factory=list)
    """Orders that the venue does not know, and that may still be on their way to it."""
    abandoned: list[str] = field(default_factory=list)
    """Orders that never arrived; their decisions are stale and are not sent again."""
    unknown: list[str] = field(default_factory=list)
    """Orders about which no answer can be had; their instruments are left alone."""
    foreign_orders: list[str] = field(default_factory=list)
    """Orders at the venue that are not ours."""
    foreign_fills: list[str] = field(default_factory=list)
    """Executions that are not ours."""
    unexplained: list[str] = field(default_factory=list)
    """Differences without a name; while there is one, trading is halted."""
    doubtful: set[str] = field(default_factory=set)
    """Instruments of which a difference leaves open what is held: not even a reduction is sent there."""
    baseline: Holdings = NOTHING_ELSE
    """What the account holds beside ours."""

    def doubt(self, instrument_id: str, why: str) -> None:
        """Note a difference that leaves open what is held of an instrument."""
        self.unexplained.append(why)
        self.doubtful.add(instrument_id)

    @property
    def is_clean(self) -> bool:
        """Whether every difference has a name."""
        return not self.unexplained

    def as_json(self) -> dict[str, Any]:
        """What is recorded, and what ``argonaut reconcile`` shows; a baseline only where it was agreed on."""
        baseline = {"baseline": self.baseline.as_json()} if self.is_clean else {}
        return {
            "booked": self.booked,
            "working": self.working,
            "ended": self.ended,
            "waiting": self.waiting,
            "abandoned": self.abandoned,
            "unknown": self.unknown,
            "foreign_orders": self.foreign_orders,
            "foreign_fills": self.foreign_fills,
            "unexplained": self.unexplained,
            "doubtful": sorted(self.doubtful),
            **baseline,
        }


def settle_orders(doors: Iterable[OrderDoor], venue: VenueView, *, since_ns: int, is_final: bool) -> Report:
    """Book what we missed and find out what became of every order: steps 1 and 2.

    Args:
        doors: Of all strategies, restored.
        venue: The venue's answers.
        since_ns: Venue time from which executions are asked for; earlier ones are booked.
        is_final: Whether an order that the venue does not know can no longer arrive. Otherwise it is left
            waiting; ask again when the longest time that an order may travel has passed.

    Raises:
        TransientError: If executions or open orders cannot be asked for; nothing may trade then.
    """
    report = Report()
    doors = tuple(doors)
    _book_fills(doors, venue.fills(since_ns), report)
    for door in doors:
        for order in door.working():
            if order.is_sent:  # otherwise it is on its way to the disk, and the venue cannot have it
                _settle_order(door, order, venue, report, is_final=is_final)
    for found in venue.open_orders():
        _place_open_order(doors, found, report)
    return report


def settle_for_good(
    doors: Sequence[OrderDoor], *, since_ns: int, in_flight_secs: float
) -> Generator[float, VenueView, Report]:
    """Leave no order without an end or a place at the venue; what a start does, whoever drives it.

    What the venue does not know may still be on its way: a crash stops no message. Only what it still does
    not know when nothing can arrive any more is given up. Errors are those of `settle_orders`.

    Args:
        doors, since_ns: As in `settle_orders`.
        in_flight_secs: Longest time that an order travels; 0 if none can be on its way.

    Yields:
        Seconds to wait; then send the venue's answers as they are.

    Returns:
        The last report, with what the first one booked and ended.
    """
    report = settle_orders(doors, (yield 0.0), since_ns=since_ns, is_final=not in_flight_secs)
    if report.waiting:
        early = report
        report = settle_orders(doors, (yield in_flight_secs), since_ns=since_ns, is_final=True)
        report.booked[:0] = early.booked
        report.ended = early.ended | report.ended
    return report


def compare_holdings(
    ours: Holdings,
    venue: Holdings,
    baseline: Holdings | None,
    report: Report,
    *,
    is_budget_new: bool = False,
) -> None:
    """Compare what is held: steps 3 and 4; differences go to ``report.unexplained``.

    Args:
        ours: What the strategies' books add up to.
        venue: What the account holds.
        baseline: What it held beside ours when that was last agreed on; None the first time, and then
            whatever is there beside ours is taken to be somebody else's, as long as it is not a debt.
        report: Of `settle_orders`; executions of others found there explain no difference.
        is_budget_new: Whether the baseline's cash was lowered for a new strategy, and has to be there.
    """
    if baseline is None:
        baseline, is_budget_new = beside(ours, venue), True
    if is_budget_new and baseline.cash < -_CASH_FRAC * max(1.0, abs(ours.cash)):
        report.unexplained.append(
            f"cash: our strategies count on {ours.cash:.8f}, the account holds {venue.cash:.8f}; lower "
            "their capital_quote to what is there, or fund the account"
        )
    report.baseline = baseline
    for name in sorted({*ours.positions, *venue.positions, *baseline.positions}):
        own, others = ours.positions.get(name, 0.0), baseline.positions.get(name, 0.0)
        expected, found = own + others, venue.positions.get(name, 0.0)
        if not _agree(expected, found, scale=max(abs(own), abs(others))):
            report.doubt(
                name, f"{name}: our books expect {expected:.12g} in the account, the venue says {found:.12g}"
            )
    expected = ours.cash + baseline.cash
    # Asked for agreement, not for a difference: what is no number agrees with nothing.
    if not abs(venue.cash - expected) <= _CASH_FRAC * max(1.0, abs(expected)):
        report.unexplained.append(
            f"cash: our books expect {expected:.8f} in the account, the venue says {venue.cash:.8f}"
        )


def beside(ours: Holdings, venue: Holdings) -> Holdings:
    """What an account holds beside ours; as a baseline it takes every difference as somebody else's."""
    positions = {
        name: others
        for name in sorted({*ours.positions, *venue.positions})
        if abs(others := venue.positions.get(name, 0.0) - ours.positions.get(name, 0.0)) > DUST
    }
    return Holdings(positions, venue.cash - ours.cash)


def require_others(ours: Holdings, baseline: Holdings, *, is_cash: bool) -> None:
    """See that what an operator calls somebody else's can be.

    Raises:
        RefusedError: If our books claim what a cash account, which cannot owe, does not hold: nobody else can
            have that, and the strategies would go on selling it.
    """
    claimed = [name for name, held in baseline.positions.items() if is_cash and held < 0.0]
    if claimed:
        raise RefusedError(
            "; ".join(
                f"{name}: our books claim {ours.positions.get(name, 0.0):.12g}, of which "
                f"{-baseline.positions[name]:.12g} is not in the account"
                for name in claimed
            )
            + "; that is nobody else's. Flatten, then give the strategy another name and accept: its old "
            "books are forgotten, and the new name begins with what capital_quote says"
        )


def baseline_from(stored: Mapping[str, Any] | None) -> Holdings | None:
    """What `Holdings.as_json` wrote; None where nothing was."""
    if stored is None:
        return None
    positions = {str(name): float(held) for name, held in stored["positions"].items()}
    return Holdings(positions, float(stored["cash"]))


def _book_fills(doors: Sequence[OrderDoor], fills: Iterable[VenueFill], report: Report) -> None:
    for fill in fills:
        door = _door_of(doors, fill.client_order_id)
        if door is None:
            report.foreign_fills.append(
                f"{fill.trade_id} of {fill.client_order_id}: {fill.side} {fill.quantity:f} "
                f"{fill.instrument_id} at {fill.price:f}"
            )
            continue
        if door.has_booked(fill.client_order_id, fill.trade_id):
            continue
        try:
            door.filled(
                Fill(
                    client_order_id=fill.client_order_id,
                    trade_id=fill.trade_id,
                    ts_event=fill.ts_event,
                    quantity=float(fill.quantity),
                    price=float(fill.price),
                    fee=float(fill.fee),
                    liquidity="MAKER" if fill.is_maker else "TAKER",
                )
            )
        except SafetyError as error:
            report.doubt(fill.instrument_id, str(error))
        else:
            report.booked.append(fill.trade_id)


def _settle_order(
    door: OrderDoor, order: WorkingOrder, venue: VenueView, report: Report, *, is_final: bool
) -> None:
    own_id = order.intent.client_order_id
    try:
        found = venue.order(own_id)
    except TransientError:
        report.unknown.append(own_id)
        door.mark_unknown(own_id)
        return
    if found is None and not is_final:
        report.waiting.append(own_id)
        door.mark_unknown(own_id)
    elif found is None:
        reason = "the venue never had it; its decision is stale"
        if order.is_taken or order.filled:
            reason = "the venue had taken it and has forgotten it"
            report.doubt(
                order.intent.instrument_id,
                f"{own_id}: {order.intent.side} {order.intent.quantity:.12g} {order.intent.instrument_id} "
                "was taken by the venue, which now says that it never had it: its memory is older than "
                "ours; put its newest state back if there is one, and look at what protects the positions",
            )
        report.abandoned.append(own_id)
        door.ended(own_id, door.last_bar_ts, "ABANDONED", reason)
    else:
        _follow(door, order, found, report)


def _follow(door: OrderDoor, order: WorkingOrder, found: VenueOrder, report: Report) -> None:
    """Bring an order to where the venue has it, once every execution that it tells of is booked."""
    own_id, status = order.intent.client_order_id, str(found.status)
    if not _agree(order.filled, float(found.filled)):
        report.doubt(
            order.intent.instrument_id,
            f"{own_id}: the venue says {status} with {found.filled:f} of {found.quantity:f} filled, its "
            f"executions add up to {order.filled:.12g}",
        )
    door.updated(own_id, float(found.quantity))
    if status in CLOSED:
        report.ended[own_id] = status
        door.ended(own_id, found.ts_last, status, found.reason)
    else:
        report.working.append(own_id)
        door.unknown.pop(own_id, None)


def _place_open_order(doors: Sequence[OrderDoor], found: VenueOrder, report: Report) -> None:
    """Name an order that the venue works: ours, somebody else's, or one that should not be there."""
    own_id = found.client_order_id
    what = f"{own_id}: {found.side} {found.quantity:f} {found.instrument_id}"
    door = _door_of(doors, own_id)
    if door is not None:
        if not door.is_working(own_id):
            report.doubt(
                found.instrument_id,
                f"{what} works at the venue, our books say that it ended; cancel it at the venue",
            )
    elif own_id.startswith(CLIENT_ORDER_ID_PREFIX) and len(own_id) == CLIENT_ORDER_ID_LENGTH:
        report.doubt(
            found.instrument_id,
            f"{what} works at the venue under a name of ours, but no strategy that runs has sent it; run the "
            "strategy that did, or cancel it at the venue",
        )
    else:
        report.foreign_orders.append(what)


def _door_of(doors: Sequence[OrderDoor], client_order_id: str) -> OrderDoor | None:
    return next((door for door in doors if door.knows(client_order_id)), None)


def _agree(one: float, other: float, scale: float = 0.0) -> bool:
    """Whether two quantities differ by no more than sums of floats of this size do."""
    return abs(one - other) <= max(DUST, 1e-12 * scale)
