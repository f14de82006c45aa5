"""How an order is cut, when its parts leave, and how it ends."""

from decimal import Decimal

import pytest

from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.slices import Pace, SlicingCourier

MINUTE = 60_000_000_000
NAME = "ALPHAUSDT.DEMO"
RULES = Instrument(
    instrument_id=NAME,
    base_currency="ALPHA",
    quote_currency="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.1"),
    min_quantity=Decimal("0.1"),
    min_notional=Decimal(10),
    maker_fee_bps=1.0,
    taker_fee_bps=1.0,
    shortable=False,
)


class Desk:
    """A courier that takes note, and the door's and the gate's part of it."""

    def __init__(self, *, parts: int = 4, price: float = 100.0) -> None:
        self.sent: list[tuple[str, float]] = []
        self.cancelled: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.objection = ""
        self.slices = SlicingCourier(
            [RULES],
            {NAME: Pace(parts, MINUTE)},
            self,
            price_of=lambda _: price,
            objection=lambda _: self.objection,
            ended=lambda own_id, _, reason: self.ended.append((own_id, reason)),
        )

    def submit(self, planned: OrderIntent | Bracket) -> None:
        intent = planned.entry if isinstance(planned, Bracket) else planned
        self.sent.append((intent.client_order_id, intent.quantity))

    def cancel(self, client_order_id: str) -> None:
        self.cancelled.append(client_order_id)


def order(quantity: float, kind: OrderKind = OrderKind.MARKET) -> OrderIntent:
    return OrderIntent(
        decision_id="d",
        client_order_id="A",
        strategy="one",
        instrument_id=NAME,
        ts_event=MINUTE,
        side=OrderSide.BUY,
        quantity=quantity,
        kind=kind,
        price=None,
        trigger_price=None,
        reduce_only=False,
        role=OrderRole.OPEN,
    )


def test_slices_leave_one_a_bar_and_sum_to_the_order_to_the_lot() -> None:
    desk = Desk()

    desk.slices.submit(order(1.0))
    sent_at = [len(desk.sent)]
    for minute in range(1, 6):
        desk.slices.send_due(minute * MINUTE)
        sent_at.append(len(desk.sent))

    # Ten lots in four parts: two parts of three, two of two.
    assert desk.sent == [("A.1", 0.3), ("A.2", 0.3), ("A.3", 0.2), ("A.4", 0.2)]
    # Decided at the close of minute 1: the next leave at the closes of 2, 3 and 4.
    assert sent_at == [1, 1, 2, 3, 4, 4]


def test_slices_that_were_due_in_a_silence_leave_together_after_it() -> None:
    desk = Desk()
    desk.slices.submit(order(1.0))

    desk.slices.send_due(3 * MINUTE)

    assert [name for name, _ in desk.sent] == ["A.1", "A.2", "A.3"]


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        (0.3, 1_000.0, 3),  # no more parts than lots
        (0.9, 50.0, 2),  # a part is worth 15 at least, which is four lots: eight and no more
        (0.1, 1_000.0, 1),
    ],
)
def test_slices_are_never_too_small_for_the_venue(quantity: float, price: float, expected: int) -> None:
    desk = Desk(price=price)

    desk.slices.submit(order(quantity))
    desk.slices.send_due(100 * MINUTE)

    assert len(desk.sent) == expected
    assert sum(size for _, size in desk.sent) == pytest.approx(quantity)
    if expected == 1:
        assert desk.sent[0][0] == "A", "a whole order keeps its name"


def test_limit_order_goes_whole() -> None:
    desk = Desk()

    desk.slices.submit(order(1.0, OrderKind.LIMIT_IOC))

    assert desk.sent == [("A", 1.0)]


def test_slices_of_an_order_that_is_taken_back_end_with_what_is_under_way() -> None:
    desk = Desk()
    desk.slices.submit(order(1.0))
    desk.slices.cancel("A")

    assert desk.cancelled == ["A.1"]
    assert desk.ended == []
    desk.slices.note_filled("A.1", 2 * MINUTE)
    assert [own_id for own_id, _ in desk.ended] == ["A"]
    desk.slices.send_due(9 * MINUTE)
    assert len(desk.sent) == 1


def test_slices_of_an_order_between_two_parts_end_at_once() -> None:
    desk = Desk()
    desk.slices.submit(order(1.0))
    desk.slices.note_filled("A.1", MINUTE + 1)
    desk.slices.cancel("A")

    assert (desk.cancelled, [own_id for own_id, _ in desk.ended]) == ([], ["A"])


def test_slices_stop_where_the_gate_objects() -> None:
    desk = Desk()
    desk.slices.submit(order(1.0))
    desk.slices.note_filled("A.1", MINUTE + 1)
    desk.objection = "trading state HALTED"
    desk.slices.send_due(2 * MINUTE)

    assert desk.ended == [("A", "trading state HALTED")]
    assert len(desk.sent) == 1


def test_slices_stop_after_one_that_came_to_nothing() -> None:
    desk = Desk()
    desk.slices.submit(order(1.0))

    assert desk.slices.note_refused("A.1") == "A"
    desk.slices.send_due(9 * MINUTE)
    assert len(desk.sent) == 1


def test_whole_order_that_fills_after_its_last_part_has_no_other_end() -> None:
    desk = Desk(parts=2)
    desk.slices.submit(order(1.0))
    desk.slices.send_due(2 * MINUTE)
    desk.slices.note_filled("A.1", 2 * MINUTE)
    desk.slices.note_filled("A.2", 3 * MINUTE)

    assert desk.ended == []
