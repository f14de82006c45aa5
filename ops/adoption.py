"""What the account holds beside ours goes into a strategy's book, where the configuration says so.

Flow: reconciliation → **adoption** → strategies, venue.

Only at a start, before anything trades, and only once every difference has a name. An adoption is booked as
an order of role ADOPT that never leaves: one record names it together with what the account holds beside
ours from then on, so a crash leaves it whole or undone. Its execution is at the price of entry that the
venue knows: what the position has won or lost since then counts as the strategy's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ops.reconciliation import DUST, Holdings
from strategies.delivery import Fill
from strategies.door import OrderDoor
from strategies.market import Instrument
from strategies.orders import (
    Identity,
    OrderIntent,
    OrderKind,
    OrderRole,
    OrderSide,
    client_order_id,
    decision_id,
)
from strategies.portfolio import Ledger


@dataclass(frozen=True, slots=True)
class Adopter:
    """A strategy that takes something over."""

    identity: Identity
    door: OrderDoor
    ledger: Ledger
    index: int
    """Of the instrument, in the strategy's order."""
    rules: Instrument


def plan_adoption(
    adopter: Adopter, others: float, price: float | None, ts_event: int, *, is_cash: bool
) -> OrderIntent | str:
    """Make the order by which a strategy takes over what the account holds beside ours.

    Args:
        adopter: The strategy; restored, its books agreed on.
        others: Signed base units beside ours.
        price: Of entry, quote currency; None where the venue does not know it.
        ts_event: The venue's time, UTC nanoseconds.
        is_cash: Whether the strategy has to pay the whole value.

    Returns:
        The order, or why nothing is taken over.
    """
    rules, held = adopter.rules, adopter.ledger.positions[adopter.index]
    name = rules.instrument_id
    quantity = rules.floor_quantity(abs(others))
    own = decision_id(adopter.identity, name, ts_event, OrderRole.ADOPT)
    if held or any(one.intent.instrument_id == name for one in adopter.door.working()):
        return f"expected a strategy that is flat there, found one that holds {held:.12g}; flatten it first"
    if quantity < float(rules.min_quantity):
        return f"{others:.12g} is less than the smallest order, {rules.min_quantity}"
    if price is None:
        return "the venue does not say at which price it was entered"
    if is_cash and quantity * price > adopter.ledger.cash:
        return (
            f"expected a strategy that can pay {quantity * price:,.2f}, found one with "
            f"{adopter.ledger.cash:,.2f}; give it a larger capital_quote under another name"
        )
    if adopter.door.knows(client_order_id(own)):
        return "something was adopted there at this very time; start again once the market has moved on"
    return OrderIntent(
        decision_id=own,
        client_order_id=client_order_id(own),
        strategy=adopter.identity.strategy,
        instrument_id=name,
        ts_event=ts_event,
        side=OrderSide.BUY if others > 0.0 else OrderSide.SELL,
        quantity=quantity,
        kind=OrderKind.MARKET,
        price=price,
        trigger_price=None,
        reduce_only=False,
        role=OrderRole.ADOPT,
    )


def without(baseline: Holdings, adopted: OrderIntent, *, is_cash: bool) -> Holdings:
    """What the account holds beside ours once an adoption is booked; the account itself has not changed."""
    assert adopted.price is not None
    signed = adopted.quantity if adopted.side is OrderSide.BUY else -adopted.quantity
    left = baseline.positions[adopted.instrument_id] - signed
    positions = dict(baseline.positions) | {adopted.instrument_id: left if abs(left) > DUST else 0.0}
    return Holdings(positions, baseline.cash + (signed * adopted.price if is_cash else 0.0))


def book_adoption(door: OrderDoor, adopted: OrderIntent) -> None:
    """Book an adoption that was written down; again after a crash, and still once."""
    if not door.knows(adopted.client_order_id):
        door.resume(adopted, filled=0.0, is_working=True)
    assert adopted.price is not None
    door.filled(
        Fill(
            client_order_id=adopted.client_order_id,
            trade_id=f"ADOPT-{adopted.client_order_id}",
            ts_event=adopted.ts_event,
            quantity=adopted.quantity,
            price=adopted.price,
            fee=0.0,
            liquidity="",
        )
    )


def complete_adoptions(doors: Iterable[OrderDoor]) -> None:
    """Book what a crash left written down and not booked."""
    for door in doors:
        for order in door.working():
            if order.intent.role is OrderRole.ADOPT:
                book_adoption(door, order.intent)


def adopt_each(
    adopters: Mapping[str, Adopter],
    baseline: Holdings,
    entry_price: Callable[[str], float | None],
    ts_event: int,
    *,
    is_cash: bool,
    write: Callable[[OrderIntent, Holdings], None],
    note: Callable[[str], None],
) -> Holdings:
    """Take over what is configured.

    Args:
        adopters: By instrument.
        baseline: What the account holds beside ours.
        entry_price: Of what is beside ours, quote currency, by instrument; None where it is not known.
        ts_event: The venue's time, UTC nanoseconds.
        is_cash: Whether a purchase takes its whole value from the account.
        write: Writes an adoption down, with what is beside ours afterwards.
        note: Told of each, and of what was not taken over and why.

    Returns:
        What the account holds beside ours afterwards.
    """
    for name, adopter in adopters.items():
        others = baseline.positions.get(name, 0.0)
        if abs(others) <= DUST:
            continue
        planned = plan_adoption(adopter, others, entry_price(name), ts_event, is_cash=is_cash)
        if isinstance(planned, str):
            note(f"{others:.12g} {name} stays beside ours, not adopted: {planned}")
            continue
        baseline = without(baseline, planned, is_cash=is_cash)
        write(planned, baseline)
        book_adoption(adopter.door, planned)
        note(
            f"{planned.strategy} adopted {others:.12g} {name}, entered at {planned.price:,.10g}; "
            "what it has won or lost since counts as the strategy's"
        )
    return baseline
