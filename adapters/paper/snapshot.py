"""A venue's memory as plain JSON values, and back."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from decimal import Decimal
from typing import Any

from adapters.paper.book import Book
from adapters.paper.ledger import Ledger, Position
from adapters.paper.orders import (
    Contingency,
    Fill,
    Kind,
    Order,
    OrderRequest,
    OrderState,
    Side,
    TimeInForce,
)
from adapters.paper.state import Cancel, CancelAll, Command, Counters, Modify, Submit, VenueState
from adapters.paper.venue import PaperVenue

type Plain = dict[str, Any]

VERSION = 1

_COMMANDS: Mapping[str, type[Command]] = {t.__name__: t for t in (Submit, Cancel, CancelAll, Modify)}
_ENUMS = {"side": Side, "kind": Kind, "time_in_force": TimeInForce, "contingency": Contingency}
_DECIMALS = frozenset({"quantity", "price", "trigger_price", "commission"})


def snapshot(venue: PaperVenue) -> Plain:
    """Write down all that a venue remembers; ``json.dumps`` of it is deterministic."""
    state = venue.state
    return {
        "version": VERSION,
        "venue": venue.config.venue,
        "ts": state.ts,
        "counters": asdict(state.counters),
        "balances": {name: str(total) for name, total in state.ledger.balances.items()},
        "positions": {
            name: {
                owner: {"quantity": p.quantity, "average": str(p.average), "ts_last": p.ts_last}
                for owner, p in owners.items()
            }
            for name, owners in state.ledger.positions.items()
        },
        "books": {name: asdict(book) for name, book in state.books.items()},
        "orders": [_plain(order) for order in state.orders.values()],
        "fills": [_plain(fill) for fill in state.fills],
        "travelling": [[ts, type(command).__name__, _plain(command)] for ts, command in state.travelling],
        "seen": dict(state.seen),
        "barred": sorted(state.barred),
        "rules": _rules(venue),
    }


def restore(venue: PaperVenue, plain: Plain) -> None:
    """Let a venue continue from a snapshot.

    Raises:
        ValueError: If the snapshot is of another format or another venue, or holds a position or an order
            that the venue's configuration has no place for. The venue is unchanged.
    """
    found = (plain.get("version"), plain.get("venue"))
    expected = (VERSION, venue.config.venue)
    if found != expected:
        raise ValueError(f"paper venue: expected a snapshot of (version, venue) {expected}, found {found}")
    orders = [_order(row) for row in plain["orders"]]
    travelling = deque((ts, _command(name, row)) for ts, name, row in plain["travelling"])
    _check_rules(venue, plain, _in_use(plain, orders, travelling))
    ledger = Ledger(
        venue.config.account,
        venue.config.leverage,
        venue.instruments,
        {name: Decimal(total) for name, total in plain["balances"].items()},
        {
            name: {
                owner: Position(p["quantity"], Decimal(p["average"]), p["ts_last"])
                for owner, p in owners.items()
            }
            for name, owners in plain["positions"].items()
            if name in venue.instruments
        },
    )
    venue.adopt(
        VenueState(
            ledger=ledger,
            ts=plain["ts"],
            orders={order.client_order_id: order for order in orders},
            fills=[fill_of(row) for row in plain["fills"]],
            books={name: Book(**row) for name, row in plain["books"].items() if name in venue.instruments},
            travelling=travelling,
            counters=Counters(**plain["counters"]),
            seen=dict(plain["seen"]),
            barred=set(plain["barred"]),
        )
    )


def plain_of(value: Order | Fill) -> Plain:
    """Write down one order or execution."""
    written: Plain = _plain(value)
    return written


def order_of(plain: Plain) -> Order:
    """Read an order that `plain_of` wrote."""
    return _order(plain)


def fill_of(plain: Plain) -> Fill:
    """Read an execution that `plain_of` wrote."""
    return Fill(**_typed(plain))


def _rules(venue: PaperVenue) -> Plain:
    # What the numbers of a snapshot mean; under other rules they would be other amounts.
    return {
        "account": str(venue.config.account),
        "instruments": {
            name: [i.base_currency, i.quote_currency, i.price_precision, i.size_precision]
            for name, i in venue.instruments.items()
        },
    }


def _in_use(plain: Plain, orders: list[Order], travelling: deque[tuple[int, Command]]) -> set[str]:
    held = {
        name
        for name, owners in plain["positions"].items()
        if any(position["quantity"] for position in owners.values())
    }
    living = {order.instrument_id for order in orders if not order.state.is_closed}
    sent = {
        request.instrument_id
        for _, command in travelling
        if isinstance(command, Submit)
        for request in command.orders
    }
    return held | living | sent


def _check_rules(venue: PaperVenue, plain: Plain, in_use: set[str]) -> None:
    before, now = plain["rules"], _rules(venue)
    if before["account"] != now["account"]:
        raise ValueError(
            f"paper venue: expected a snapshot of a {now['account']} account, found {before['account']}"
        )
    for name in sorted(in_use - set(now["instruments"])):
        raise ValueError(
            f"paper venue: the snapshot has a position or orders in {name}, which the venue does not trade; "
            "trade it until it is flat"
        )
    for name, rules in now["instruments"].items():
        if before["instruments"].get(name, rules) != rules:
            raise ValueError(
                f"paper venue: the snapshot counts {name} by (base, quote, price decimals, size decimals) "
                f"{before['instruments'][name]}, the venue by {rules}; give it the instrument as it was"
            )


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Decimal | Side | Kind | TimeInForce | OrderState) else value


def _typed(row: Plain) -> Plain:
    typed: Plain = {}
    for name, value in row.items():
        if value is not None and name in _ENUMS:
            value = _ENUMS[name](value)  # noqa: PLW2901 - the same value in its own type
        elif value is not None and name in _DECIMALS:
            value = Decimal(value)  # noqa: PLW2901
        elif name == "linked_ids":
            value = tuple(value)  # noqa: PLW2901
        typed[name] = value
    return typed


def _order(row: Plain) -> Order:
    # The venue's own orders count in integers, so their numbers stay as they are.
    numbers = {name: row[name] for name in ("quantity", "price", "trigger_price")}
    return Order(**{**_typed(row), **numbers, "state": OrderState(row["state"])})


def _command(name: str, row: Plain) -> Command:
    if name == Submit.__name__:
        return Submit(tuple(OrderRequest(**_typed(order)) for order in row["orders"]))
    return _COMMANDS[name](**_typed(row))
