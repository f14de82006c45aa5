"""The paper account: balances, positions, and what open orders reserve of them.

Cash: every currency is a balance; buying moves quote into base, selling back; nothing can be sold that is
not held and not reserved. Margin: one balance per quote currency takes realised profit and commissions,
and positions tie up ``notional * margin_init_frac / leverage``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from adapters.errors import StateError
from adapters.paper.orders import Contingency, Kind, Order, Side, VenueInstrument

_ZERO = Decimal(0)


class AccountKind(StrEnum):
    """What the account may do."""

    CASH = "CASH"
    """Spot: no borrowing, no short sales."""
    MARGIN = "MARGIN"


@dataclass(slots=True)
class Position:
    """What one owner holds of one instrument, in venue units."""

    quantity: int = 0
    """Signed."""
    average: Decimal = _ZERO
    """Average entry price, quote currency; 0 when flat."""
    ts_last: int = 0
    """Time of the last fill."""


@dataclass(slots=True)
class Ledger:
    """Balances and positions of the one account of a venue."""

    kind: AccountKind
    leverage: Decimal
    instruments: Mapping[str, VenueInstrument]
    balances: dict[str, Decimal]
    """Total per currency, reserved or not."""
    positions: dict[str, dict[str, Position]] = field(default_factory=dict)
    """By instrument id, then by owner."""

    def position(self, instrument_id: str, owner: str) -> Position:
        """Find what an owner holds; a flat position where it never held any."""
        return self.positions.get(instrument_id, {}).get(owner) or Position()

    def net_quantity(self, instrument_id: str) -> int:
        """Sum what all owners hold of an instrument, signed venue units."""
        return sum(position.quantity for position in self.positions.get(instrument_id, {}).values())

    def reducible(self, order: Order) -> int:
        """Tell how much of a reduce-only order would make its owner's position smaller, venue units."""
        return max(0, -order.sign * self.position(order.instrument_id, order.owner).quantity)

    def apply(self, order: Order, quantity: int, price: int, commission: Decimal, ts_event: int) -> None:
        """Book one fill."""
        instrument = self.instruments[order.instrument_id]
        position = self.positions.setdefault(order.instrument_id, {}).setdefault(order.owner, Position())
        realised = _move(position, order.sign * quantity, instrument.price(price), instrument)
        position.ts_last = ts_event
        quote = instrument.quote_currency
        if self.kind is AccountKind.MARGIN:
            self._add(quote, instrument.amount(realised) - commission)
            return
        self._add(quote, -order.sign * instrument.amount(instrument.notional(quantity, price)) - commission)
        if instrument.base_currency is not None:
            self._add(instrument.base_currency, order.sign * instrument.quantity(quantity))

    def entrust(self, instrument_id: str, owner: str, quantity: int, ours: frozenset[str]) -> bool:
        """Move shares of the account's position between owners; balances stay as they are.

        Args:
            owner: Who gets them; flat before, or already has what it is to get.
            quantity: What it holds afterwards, signed venue units.
            ours: Owners from whom nothing is taken.

        Returns:
            Whether anything moved.

        Raises:
            StateError: If the others do not hold as much.
        """
        owners = self.positions.setdefault(instrument_id, {})
        mine = owners.setdefault(owner, Position())
        missing = quantity - mine.quantity
        others = [
            held for name, held in sorted(owners.items()) if name not in ours and held.quantity * missing > 0
        ]
        if abs(missing) > abs(sum(held.quantity for held in others)):
            raise StateError(
                f"{instrument_id}: expected {missing} units beside ours for {owner} to take over, found "
                f"{sum(held.quantity for held in others)}; `argonaut reconcile` shows what differs"
            )
        for held in others:
            moved = min(abs(missing), abs(held.quantity)) * (1 if missing > 0 else -1)
            _move(mine, moved, held.average, self.instruments[instrument_id])
            mine.ts_last = max(mine.ts_last, held.ts_last)
            held.quantity -= moved
            missing -= moved
            if not held.quantity:
                held.average = _ZERO
        return bool(others)

    def locked(self, orders: Iterable[Order], but_group_of: Order | None = None) -> dict[str, Decimal]:
        """Sum what open orders and, on margin, positions reserve, by currency.

        Orders of one linked group exclude each other, so the largest counts. Reduce-only orders reserve
        nothing, as in the backtest engine; a spot venue would lock what they are to sell.

        Args:
            orders: Open orders.
            but_group_of: Leave out this order and those linked to it.
        """
        largest: dict[tuple[str, str], Decimal] = {}
        for order in orders:
            if but_group_of is not None and _group(order) == _group(but_group_of):
                continue
            currency, amount = self._reserved_by(order)
            key = (_group(order), currency)
            largest[key] = max(largest.get(key, _ZERO), amount)
        totals: dict[str, Decimal] = {}
        for (_, currency), amount in largest.items():
            totals[currency] = totals.get(currency, _ZERO) + amount
        if self.kind is AccountKind.MARGIN:
            for currency, amount in self.margins().items():
                totals[currency] = totals.get(currency, _ZERO) + amount
        return totals

    def margins(self) -> dict[str, Decimal]:
        """Sum what open positions tie up, by currency; nothing on a cash account."""
        totals: dict[str, Decimal] = {}
        if self.kind is AccountKind.CASH:
            return totals
        for instrument_id, owners in self.positions.items():
            instrument = self.instruments[instrument_id]
            notional = sum(
                (abs(instrument.quantity(p.quantity)) * p.average for p in owners.values()), start=_ZERO
            )
            if notional:
                currency = instrument.quote_currency
                margin = notional * instrument.margin_init_frac / self.leverage
                totals[currency] = totals.get(currency, _ZERO) + margin
        return totals

    def shortfall(
        self, order: Order, pieces: Iterable[tuple[int, int]], commission: Decimal, others: Iterable[Order]
    ) -> str:
        """Tell why the account cannot carry an order; empty where it can.

        Args:
            order: The order that asks.
            pieces: Prices and quantities that it would fill at, venue units.
            commission: Quote currency, over all pieces.
            others: Open orders, whose reservations come first.
        """
        instrument = self.instruments[order.instrument_id]
        pieces = list(pieces)
        quantity = sum(size for _, size in pieces)
        value = sum((instrument.notional(size, price) for price, size in pieces), start=_ZERO)
        others = list(others)
        if self.kind is AccountKind.CASH and order.side is Side.SELL:
            return self._short_of_base(order, instrument, quantity, others)
        if self.kind is AccountKind.MARGIN:
            opening = quantity - min(quantity, self.reducible(order))
            value = value * opening / quantity * instrument.margin_init_frac / self.leverage
            if not opening:
                return ""
        quote = instrument.quote_currency
        free = self.balances.get(quote, _ZERO) - self.locked(others, but_group_of=order).get(quote, _ZERO)
        needed = value + max(commission, _ZERO)
        if needed <= free:
            return ""
        return f"INSUFFICIENT_BALANCE: needs {_plain(needed)} {quote}, free {_plain(free)} {quote}"

    def _short_of_base(
        self, order: Order, instrument: VenueInstrument, quantity: int, others: list[Order]
    ) -> str:
        base = instrument.base_currency
        key = base or instrument.instrument_id
        held = (
            self.balances.get(base, _ZERO)
            if base is not None
            else instrument.quantity(self.net_quantity(order.instrument_id))
        )
        free = held - self.locked(others, but_group_of=order).get(key, _ZERO)
        if instrument.quantity(quantity) <= free:
            return ""
        needed = instrument.quantity(quantity)
        return f"INSUFFICIENT_BALANCE: needs {_plain(needed)} {key}, free {_plain(free)} {key}"

    def _reserved_by(self, order: Order) -> tuple[str, Decimal]:
        instrument = self.instruments[order.instrument_id]
        quote = instrument.quote_currency
        # An exit must never keep another exit of the same position from being sent.
        if order.reduce_only:
            return quote, _ZERO
        if self.kind is AccountKind.CASH and order.side is Side.SELL:
            return instrument.base_currency or instrument.instrument_id, instrument.quantity(order.leaves)
        level = order.price if order.kind is Kind.LIMIT else order.trigger_price
        value = instrument.notional(order.leaves, level or 0)
        if self.kind is AccountKind.MARGIN:
            value = value * instrument.margin_init_frac / self.leverage
        return quote, value

    def _add(self, currency: str, amount: Decimal) -> None:
        self.balances[currency] = self.balances.get(currency, _ZERO) + amount


def _move(position: Position, change: int, price: Decimal, instrument: VenueInstrument) -> Decimal:
    """Change a position at a price and return the profit that this realises, quote currency."""
    before = position.quantity
    position.quantity += change
    if before * change >= 0:
        held = abs(before) + abs(change)
        position.average = (position.average * abs(before) + price * abs(change)) / held
        return _ZERO
    closed = min(abs(before), abs(change))
    profit = (price - position.average) * instrument.quantity(closed) * (1 if before > 0 else -1)
    if position.quantity == 0:
        position.average = _ZERO
    elif before * position.quantity < 0:
        position.average = price
    return profit


def _group(order: Order) -> str:
    exclusive = order.contingency in (Contingency.OCO, Contingency.OUO)
    return min((order.client_order_id, *order.linked_ids)) if exclusive else order.client_order_id


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
