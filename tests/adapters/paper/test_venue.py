"""The paper venue's rules, one at a time; every number by hand."""

from decimal import Decimal

import pytest

from adapters.errors import StateError
from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.ledger import AccountKind
from adapters.paper.orders import (
    Contingency,
    EventKind,
    Kind,
    OrderRequest,
    OrderState,
    Side,
    TimeInForce,
    VenueEvent,
    VenueInstrument,
)
from adapters.paper.state import Cancel, CancelAll, Modify, Submit, VenueConfig
from adapters.paper.venue import PaperVenue

BTC = "BTCUSDT.DEMO"
MINUTE = 60_000_000_000


def make_venue(account: AccountKind = AccountKind.CASH, usdt: str = "1000", **config: object) -> PaperVenue:
    instrument = VenueInstrument(
        BTC,
        "BTC",
        "USDT",
        2,
        3,
        Decimal("0.01"),
        Decimal("0.001"),
        min_quantity=Decimal("0.002"),
        min_notional=Decimal(10),
    )
    settings = VenueConfig("DEMO", account, {"USDT": Decimal(usdt)}, **config)  # type: ignore[arg-type]
    # A thousandth of the notional, so that commissions can be seen in every balance.
    return PaperVenue(settings, [instrument], lambda _, quantity, price, *__: quantity * price * 0.001)


def quote(venue: PaperVenue, ts: int, price: float, size: float = 1e6) -> list[VenueEvent]:
    venue.on_quote(BTC, MarketQuote(ts, price, price, size, size))
    venue.settle(ts)
    return venue.take_events()


def bar(venue: PaperVenue, ts: int, path: tuple[float, float, float, float], volume: float = 400.0) -> None:
    venue.on_bar(BTC, MarketBar(ts, *path, volume))
    venue.settle(ts)


def market(name: str, side: Side, quantity: str, **more: object) -> Submit:
    order = OrderRequest(name, BTC, side, Kind.MARKET, Decimal(quantity), owner="A", **more)  # type: ignore[arg-type]
    return Submit((order,))


def limit(name: str, side: Side, quantity: str, price: str, **more: object) -> Submit:
    order = OrderRequest(
        name,
        BTC,
        side,
        Kind.LIMIT,
        Decimal(quantity),
        Decimal(price),
        owner="A",
        **more,  # type: ignore[arg-type]
    )
    return Submit((order,))


def bracket(side: Side, quantity: str, target: str, stop: str, entry: str | None = None) -> Submit:
    out, size = (Side.SELL if side is Side.BUY else Side.BUY), Decimal(quantity)
    kind = Kind.MARKET if entry is None else Kind.LIMIT
    price = None if entry is None else Decimal(entry)
    return Submit(
        (
            OrderRequest(
                "E",
                BTC,
                side,
                kind,
                size,
                price,
                owner="A",
                contingency=Contingency.OTO,
                linked_ids=("S", "T"),
            ),
            OrderRequest(
                "S",
                BTC,
                out,
                Kind.STOP_MARKET,
                size,
                None,
                Decimal(stop),
                reduce_only=True,
                owner="A",
                parent_id="E",
                contingency=Contingency.OUO,
                linked_ids=("T",),
            ),
            OrderRequest(
                "T",
                BTC,
                out,
                Kind.LIMIT,
                size,
                Decimal(target),
                reduce_only=True,
                owner="A",
                parent_id="E",
                contingency=Contingency.OUO,
                linked_ids=("S",),
            ),
        )
    )


def seen(events: list[VenueEvent]) -> list[tuple[str, str]]:
    return [(event.client_order_id, str(event.kind)) for event in events]


def fills(venue: PaperVenue) -> list[tuple[str, str, str, int]]:
    return [(f.client_order_id, str(f.quantity), str(f.price), f.ts_event) for f in venue.state.fills]


def reasons(events: list[VenueEvent]) -> list[str]:
    return [event.reason.split(":", maxsplit=1)[0] for event in events]


def test_market_order_at_close_fills_at_the_next_open() -> None:
    venue = make_venue()
    bar(venue, MINUTE, (100.0, 101.0, 99.0, 100.5))
    venue.send(market("A", Side.BUY, "2.000"))

    events = quote(venue, MINUTE + 1, 100.75)

    assert seen(events) == [("A", "FILLED")]
    assert fills(venue) == [("A", "2.000", "100.75", MINUTE + 1)]
    # 1000 - 201.50 - 0.2015
    assert venue.balances()["USDT"] == (Decimal("798.29850000"), Decimal(0))
    assert venue.balances()["BTC"][0] == 2


def test_market_order_larger_than_displayed_fills_the_rest_one_tick_worse() -> None:
    venue = make_venue()
    venue.send(market("A", Side.BUY, "3.000"))

    quote(venue, 1, 100.0, size=2.0)

    assert fills(venue) == [("A", "2.000", "100.00", 1), ("A", "1.000", "100.01", 1)]


def test_market_order_of_unlimited_venue_fills_at_one_price() -> None:
    venue = make_venue(unlimited_size=True)
    venue.send(market("A", Side.BUY, "3.000"))

    quote(venue, 1, 100.0, size=2.0)

    assert fills(venue) == [("A", "3.000", "100.00", 1)]


@pytest.mark.parametrize(
    ("force", "expected"),
    [
        (TimeInForce.IOC, [("A", "ACCEPTED"), ("A", "FILLED"), ("A", "CANCELED")]),
        (TimeInForce.FOK, [("A", "ACCEPTED"), ("A", "CANCELED")]),
        (TimeInForce.GTC, [("A", "ACCEPTED"), ("A", "FILLED")]),
    ],
)
def test_limit_order_larger_than_displayed_lives_as_its_time_in_force_says(
    force: TimeInForce, expected: list[tuple[str, str]]
) -> None:
    venue = make_venue()
    venue.send(limit("A", Side.BUY, "3.000", "100.10", time_in_force=force))

    events = quote(venue, 1, 100.0, size=2.0)

    assert seen(events) == expected
    assert fills(venue) == ([] if force is TimeInForce.FOK else [("A", "2.000", "100.00", 1)])


def test_immediate_limit_order_that_does_not_cross_is_canceled() -> None:
    venue = make_venue()
    venue.send(limit("A", Side.BUY, "1.000", "99.00", time_in_force=TimeInForce.IOC))

    assert seen(quote(venue, 1, 100.0)) == [("A", "ACCEPTED"), ("A", "CANCELED")]


def test_resting_limit_order_fills_at_its_own_price_as_maker() -> None:
    venue = make_venue()
    venue.send(limit("A", Side.BUY, "1.000", "99.00"))
    quote(venue, 1, 100.0)

    bar(venue, MINUTE, (100.0, 100.5, 98.0, 98.5))

    assert fills(venue) == [("A", "1.000", "99.00", MINUTE)]
    assert venue.state.fills[0].is_maker


def test_post_only_order_that_would_take_is_rejected() -> None:
    venue = make_venue()
    venue.send(limit("A", Side.BUY, "1.000", "101.00", post_only=True))

    assert reasons(quote(venue, 1, 100.0)) == ["POST_ONLY"]


def test_stop_moved_through_fills_at_trigger_and_gapped_fills_at_open() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="110.00", stop="98.00"))
    quote(venue, 1, 100.0)
    bar(venue, MINUTE, (100.0, 100.5, 97.0, 97.5))
    moved_through = fills(venue)[-1]

    gapped = make_venue()
    gapped.send(bracket(Side.BUY, "1.000", target="110.00", stop="98.00"))
    quote(gapped, 1, 100.0)
    quote(gapped, MINUTE + 1, 95.0)

    assert moved_through == ("S", "1.000", "98.00", MINUTE)
    assert fills(gapped)[-1] == ("S", "1.000", "95.00", MINUTE + 1)


def test_bracket_whose_bar_touches_both_exits_takes_the_target_and_cancels_the_stop() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="102.00", stop="98.00"))
    quote(venue, 1, 100.0)

    bar(venue, MINUTE, (100.0, 103.0, 97.0, 100.0))

    assert fills(venue)[-1] == ("T", "1.000", "102.00", MINUTE)
    assert venue.state.orders["S"].state is OrderState.CANCELED
    assert venue.open_orders() == []


def test_bracket_visiting_the_nearer_extreme_first_takes_the_stop() -> None:
    venue = make_venue(nearest_extreme_first=True)
    venue.send(bracket(Side.BUY, "1.000", target="102.00", stop="98.00"))
    quote(venue, 1, 100.0)

    bar(venue, MINUTE, (100.0, 104.0, 97.0, 100.0))

    assert fills(venue)[-1] == ("S", "1.000", "98.00", MINUTE)


def test_bracket_exits_wait_for_the_entry_and_are_canceled_with_it() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="102.00", stop="98.00", entry="99.00"))
    events = quote(venue, 1, 100.0)
    waiting = {name: venue.state.orders[name].state for name in ("S", "T")}
    venue.send(Cancel("E"))

    ended = quote(venue, 2, 100.0)

    assert seen(events) == [("E", "ACCEPTED")]
    assert waiting == {"S": OrderState.HELD, "T": OrderState.HELD}
    assert seen(ended) == [("E", "CANCELED"), ("S", "CANCELED"), ("T", "CANCELED")]


def test_bracket_whose_stop_is_passed_at_the_entry_is_stopped_out_at_once() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="110.00", stop="98.00"))

    events = quote(venue, 1, 97.0)

    assert seen(events) == [("E", "FILLED"), ("S", "FILLED"), ("T", "REJECTED")]
    assert venue.state.ledger.net_quantity(BTC) == 0


def test_target_that_fills_in_part_leaves_the_stop_with_the_remainder() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "2.000", target="101.00", stop="98.00"))
    quote(venue, 1, 100.0)

    bar(venue, MINUTE, (100.0, 101.0, 98.0, 99.0), volume=4.0)  # 1.000 at each point of the path

    assert fills(venue)[1:] == [("T", "1.000", "101.00", MINUTE), ("S", "1.000", "98.00", MINUTE)]
    assert venue.state.ledger.net_quantity(BTC) == 0


def test_reduce_only_order_is_cut_to_the_position_and_never_turns_it() -> None:
    venue = make_venue()
    venue.send(market("A", Side.BUY, "1.000"))
    quote(venue, 1, 100.0)
    venue.send(market("B", Side.SELL, "5.000", reduce_only=True))
    venue.send(market("C", Side.SELL, "1.000", reduce_only=True))

    events = quote(venue, 2, 100.0)

    assert seen(events) == [("B", "UPDATED"), ("B", "FILLED"), ("C", "REJECTED")]
    assert venue.state.ledger.net_quantity(BTC) == 0


def test_exits_of_a_position_closed_otherwise_are_canceled() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="110.00", stop="90.00"))
    quote(venue, 1, 100.0)
    venue.send(market("X", Side.SELL, "1.000", reduce_only=True))

    events = quote(venue, 2, 100.0)

    assert seen(events) == [("X", "FILLED"), ("S", "CANCELED"), ("T", "CANCELED")]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (market("A", Side.BUY, "10.000"), "INSUFFICIENT_BALANCE"),  # 1000 and the commission of 1
        (market("A", Side.SELL, "1.000"), "INSUFFICIENT_BALANCE"),
        (market("A", Side.BUY, "0.0015"), "INVALID_QUANTITY"),
        (market("A", Side.BUY, "0.001"), "MIN_QUANTITY"),
        (market("A", Side.BUY, "0.050"), "MIN_NOTIONAL"),
        (limit("A", Side.BUY, "1.000", "99.005"), "INVALID_PRICE"),
        (limit("A", Side.BUY, "1.000", "-1.00"), "INVALID_PRICE"),
        (limit("A", Side.BUY, "1.000", "NaN"), "INVALID_PRICE"),
        (limit("A", Side.BUY, "20.000", "99.00"), "INSUFFICIENT_BALANCE"),
        (market("A", Side.SELL, "1.000", reduce_only=True), "REDUCE_ONLY"),
        (Submit((OrderRequest("A", "X.DEMO", Side.BUY, Kind.MARKET, Decimal(1)),)), "UNKNOWN_INSTRUMENT"),
        (Submit((OrderRequest("A", BTC, Side.BUY, Kind.LIMIT, Decimal(1)),)), "INVALID_PRICE"),
    ],
)
def test_order_that_breaks_a_rule_is_rejected_and_changes_nothing(command: Submit, reason: str) -> None:
    venue = make_venue()
    quote(venue, 1, 100.0)
    venue.send(command)

    events = quote(venue, 2, 100.0)

    assert seen(events) == [("A", "REJECTED")]
    assert reasons(events) == [reason]
    assert venue.balances() == {"USDT": (Decimal(1000), Decimal(0))}


def test_order_with_a_used_client_id_is_rejected() -> None:
    venue = make_venue()
    venue.send(market("A", Side.BUY, "1.000"))
    venue.send(market("A", Side.BUY, "1.000"))

    events = quote(venue, 1, 100.0)

    assert seen(events) == [("A", "FILLED"), ("A", "REJECTED")]
    assert reasons(events)[1] == "DUPLICATE_CLIENT_ORDER_ID"


def test_bracket_with_one_bad_order_is_refused_whole() -> None:
    venue = make_venue()
    venue.send(bracket(Side.BUY, "1.000", target="102.001", stop="98.00"))

    events = quote(venue, 1, 100.0)

    assert seen(events) == [("E", "REJECTED"), ("S", "REJECTED"), ("T", "REJECTED")]
    assert venue.state.orders == {}


def test_market_order_without_a_market_is_rejected() -> None:
    venue = make_venue()
    venue.send(market("A", Side.BUY, "1.000"))

    venue.settle(1)

    assert reasons(venue.take_events()) == ["NO_MARKET"]


def test_open_orders_reserve_what_they_would_spend() -> None:
    venue = make_venue()
    quote(venue, 1, 100.0)
    venue.send(limit("A", Side.BUY, "6.000", "99.00"))
    venue.send(limit("B", Side.BUY, "5.000", "99.00"))

    events = quote(venue, 2, 100.0)

    assert seen(events) == [("A", "ACCEPTED"), ("B", "REJECTED")]
    assert venue.balances()["USDT"] == (Decimal(1000), Decimal("594.00000"))


def test_order_meets_only_the_market_after_its_arrival() -> None:
    venue = make_venue(latency_ns=2 * MINUTE)
    quote(venue, 1, 100.0)
    venue.send(market("A", Side.BUY, "1.000"))

    early = quote(venue, 2 * MINUTE, 101.0)
    due = quote(venue, 2 * MINUTE + 1, 102.0)

    assert early == []
    assert seen(due) == [("A", "FILLED")]
    assert fills(venue)[0][2] == "102.00"


def test_cancel_all_takes_one_side_only_when_asked() -> None:
    venue = make_venue(AccountKind.MARGIN)
    quote(venue, 1, 100.0)
    venue.send(limit("A", Side.BUY, "1.000", "99.00"))
    venue.send(limit("B", Side.SELL, "1.000", "101.00"))
    quote(venue, 2, 100.0)
    venue.send(CancelAll(BTC, Side.SELL))

    assert seen(quote(venue, 3, 100.0)) == [("B", "CANCELED")]


def test_modified_order_fills_at_its_new_price() -> None:
    venue = make_venue()
    venue.send(limit("A", Side.BUY, "1.000", "90.00"))
    quote(venue, 1, 100.0)
    venue.send(Modify("A", Decimal("2.000"), Decimal("99.00")))
    events = quote(venue, 2, 100.0)

    bar(venue, MINUTE, (100.0, 100.0, 98.0, 99.0))

    assert seen(events) == [("A", "UPDATED")]
    assert fills(venue) == [("A", "2.000", "99.00", MINUTE)]


def test_cancel_and_modify_of_what_is_not_open_are_rejected() -> None:
    venue = make_venue()
    venue.send(Cancel("A"))
    venue.send(Modify("A", Decimal(1)))

    events = quote(venue, 1, 100.0)

    assert [event.kind for event in events] == [EventKind.CANCEL_REJECTED, EventKind.MODIFY_REJECTED]


def test_margin_account_shorts_and_books_the_realised_profit() -> None:
    venue = make_venue(AccountKind.MARGIN)
    venue.send(market("A", Side.SELL, "2.000"))
    quote(venue, 1, 100.0)
    held = venue.balances()["USDT"]
    venue.send(market("B", Side.BUY, "2.000"))

    quote(venue, 2, 90.0)

    assert held == (Decimal("999.80000000"), Decimal("200.00000"))  # commission 0.20; margin at leverage 1
    # A profit of 2 times 10, less a commission of 0.18.
    assert venue.balances()["USDT"] == (Decimal("1019.62000000"), Decimal(0))


def test_margin_account_refuses_more_than_its_leverage_carries() -> None:
    venue = make_venue(AccountKind.MARGIN, leverage=Decimal(2))
    venue.send(market("A", Side.SELL, "19.000"))  # 1900 / 2 + 1.90
    venue.send(market("B", Side.SELL, "1.000"))

    events = quote(venue, 1, 100.0)

    assert seen(events) == [("A", "FILLED"), ("B", "REJECTED")]


def test_owners_positions_are_kept_apart() -> None:
    venue = make_venue(AccountKind.MARGIN)
    other = OrderRequest("B", BTC, Side.SELL, Kind.MARKET, Decimal(1), reduce_only=True, owner="B")
    venue.send(market("A", Side.BUY, "1.000"))
    venue.send(Submit((other,)))

    events = quote(venue, 1, 100.0)

    assert seen(events) == [("A", "FILLED"), ("B", "REJECTED")]


def test_owner_takes_over_what_others_hold_at_their_average_and_the_account_stays_as_it_was() -> None:
    venue = make_venue()
    for number, (owner, quantity, price) in enumerate(
        [("gone", "1", 100.0), ("lost", "3", 104.0), ("kept", "2", 90.0)]
    ):
        order = OrderRequest(f"O{number}", BTC, Side.BUY, Kind.MARKET, Decimal(quantity), owner=owner)
        venue.send(Submit((order,)))
        quote(venue, number + 1, price)
    balances = venue.balances()

    moved = venue.entrust(BTC, "new", 3.5, ours=frozenset({"new", "kept"}))
    again = venue.entrust(BTC, "new", 3.5, ours=frozenset({"new", "kept"}))

    held = {name: one.quantity for name, one in venue.state.ledger.positions[BTC].items()}
    assert held == {"gone": 0, "lost": 500, "kept": 2_000, "new": 3_500}
    # One bought at 100, two and a half at 104.
    assert venue.state.ledger.position(BTC, "new").average == (Decimal(100) + Decimal(260)) / Decimal("3.5")
    assert venue.balances() == balances
    assert (moved, again) == (True, False)
    with pytest.raises(StateError, match="expected 1500 units beside ours for new to take over, found 500"):
        venue.entrust(BTC, "new", 5.0, ours=frozenset({"new", "kept"}))


def test_market_data_older_than_the_venue_are_refused() -> None:
    venue = make_venue()
    quote(venue, 5, 100.0)

    with pytest.raises(ValueError, match="expected market data at or after 5, found 4"):
        quote(venue, 4, 99.0)

    assert venue.state.books[BTC].bid == 10_000


@pytest.mark.parametrize(("latency_ns", "leverage"), [(0, Decimal(1)), (1, Decimal(0))])
def test_config_that_would_look_ahead_or_divide_by_zero_is_refused(
    latency_ns: int, leverage: Decimal
) -> None:
    with pytest.raises(ValueError, match="expected"):
        VenueConfig("DEMO", AccountKind.CASH, {}, leverage, latency_ns)
