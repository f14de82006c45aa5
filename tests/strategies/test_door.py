"""The door with a disk, a venue and a courier that do what the test says."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from strategies.config import GuardrailConfig
from strategies.delivery import REMEMBERED, Fill, Written, intent_from
from strategies.door import OrderDoor
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import RiskBook, TradingState
from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.portfolio import Ledger
from strategies.tape import MemoryTape

MINUTE = 60_000_000_000
NAME = "ALPHAUSDT.DEMO"


class SlowDisk:
    """Keeps what was to be written until the test says what became of it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[Written], None]] = []
        self.refuses: Exception | None = None

    def record(self, _intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.waiting.append(then)

    def answer(self, written: Written) -> None:
        self.waiting.pop(0)(written)


class Notebook:
    """A courier that writes down what it would carry."""

    def __init__(self) -> None:
        self.sent: list[OrderIntent | Bracket] = []
        self.cancelled: list[str] = []
        self.unsent: frozenset[str] = frozenset()
        """Orders that the engine does not know; it breaks where one of them is to be cancelled."""

    def submit(self, planned: OrderIntent | Bracket) -> None:
        self.sent.append(planned)

    def cancel(self, client_order_id: str) -> None:
        if client_order_id in self.unsent:
            raise RuntimeError(f"Cannot cancel order: order not found in cache: {client_order_id}")
        self.cancelled.append(client_order_id)


class Bench:
    """A door and everything around it."""

    def __init__(self) -> None:
        rules = [
            Instrument(
                instrument_id=NAME,
                base_currency="ALPHA",
                quote_currency="USDT",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.001"),
                min_quantity=Decimal("0.001"),
                min_notional=Decimal(10),
                maker_fee_bps=1.0,
                taker_fee_bps=2.0,
                shortable=False,
            )
        ]
        self.disk, self.courier, self.tape = SlowDisk(), Notebook(), MemoryTape()
        self.gate = TradingGate(armed=True)
        self.ledger = Ledger(rules, 10_000.0)
        self.book = RiskBook(GuardrailConfig(), 1, 10_000.0)
        self.ledger.mark([100.0])
        self.door = OrderDoor(
            "one",
            rules,
            ledger=self.ledger,
            book=self.book,
            gate=self.gate,
            tape=self.tape,
            log=self.disk,
            courier=self.courier,
        )
        self.door.last_bar_ts = MINUTE

    def statuses(self, own_id: str) -> list[str]:
        return [order.status for order in self.tape.orders if order.client_order_id == own_id]


def intent(role: OrderRole = OrderRole.OPEN, name: str = "AR1", quantity: float = 2.0) -> OrderIntent:
    kind = OrderKind.STOP_MARKET if role is OrderRole.STOP else OrderKind.MARKET
    side = OrderSide.BUY if role is OrderRole.OPEN else OrderSide.SELL
    return OrderIntent(
        decision_id=f"decision of {name}",
        client_order_id=name,
        strategy="one",
        instrument_id=NAME,
        ts_event=MINUTE,
        side=side,
        quantity=quantity,
        kind=kind,
        price=None,
        trigger_price=90.0 if role is OrderRole.STOP else None,
        reduce_only=role is not OrderRole.OPEN,
        role=role,
    )


def fill(name: str = "AR1", quantity: float = 2.0, price: float = 100.0, trade_id: str = "T1") -> Fill:
    return Fill(name, trade_id, MINUTE + 1, quantity, price, 0.1, "TAKER")


def bought(bench: Bench) -> None:
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)
    bench.door.filled(fill())


def test_order_leaves_only_once_its_intent_is_durable() -> None:
    bench = Bench()

    bench.door.send(intent())
    before = list(bench.courier.sent)
    bench.disk.answer(Written.DURABLE)

    assert before == []
    assert bench.courier.sent == [intent()]
    assert bench.statuses("AR1") == ["SUBMITTED"]


def test_order_that_was_not_durable_in_time_never_leaves_and_never_comes_back() -> None:
    bench = Bench()
    bench.door.send(intent())

    bench.disk.answer(Written.EXPIRED)

    assert bench.courier.sent == []
    assert bench.statuses("AR1") == ["EXPIRED"]
    assert bench.door.working() == ()
    with pytest.raises(SafetyError, match="was not sent before"):
        bench.door.send(intent())


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_latch_that_closes_while_the_intent_is_on_its_way_stops_the_order(state: TradingState) -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.gate.restrict(state, "operator")

    bench.disk.answer(Written.DURABLE)

    assert bench.courier.sent == []
    assert bench.statuses("AR1") == ["DENIED"]
    assert "operator" in bench.tape.orders[-1].reason


def test_books_that_stop_agreeing_while_the_intent_is_on_its_way_stop_the_order() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.gate.reconciled = False

    bench.disk.answer(Written.DURABLE)

    assert bench.courier.sent == []


def test_doubt_that_comes_while_a_reduction_is_on_its_way_stops_it_and_no_flatten() -> None:
    bench = Bench()
    bought(bench)
    close, flatten = intent(OrderRole.CLOSE, "AR2"), intent(OrderRole.FLATTEN, "AR3")
    bench.door.send(close)
    bench.gate.doubtful = frozenset({NAME})
    bench.disk.answer(Written.DURABLE)
    bench.door.send(flatten)
    bench.disk.answer(Written.DURABLE)

    assert bench.statuses("AR2") == ["DENIED"]
    assert bench.courier.sent[1:] == [flatten]


def test_reduction_waits_while_an_order_of_its_instrument_is_unknown() -> None:
    bench = Bench()
    bought(bench)
    bench.door.resume(intent(OrderRole.STOP, "AR2"), filled=0.0, is_working=True)
    bench.door.mark_unknown("AR2")
    for name in ("AR3", "AR4"):
        bench.door.send(intent(OrderRole.REDUCE, name))
        bench.disk.answer(Written.DURABLE)
        bench.door.accepted("AR2", MINUTE + 1)

    assert [bench.statuses(name) for name in ("AR3", "AR4")] == [["DENIED"], ["SUBMITTED"]]


@pytest.mark.parametrize("written", [Written.DURABLE, Written.LATE])
def test_reduction_leaves_in_a_halt_and_without_waiting_for_the_disk(written: Written) -> None:
    bench = Bench()
    bought(bench)
    bench.gate.restrict(TradingState.HALTED, "operator")
    close = intent(OrderRole.CLOSE, "AR2")

    bench.door.send(close)
    bench.disk.answer(written)

    assert bench.courier.sent[-1] == close
    (submitted,) = [one for one in bench.tape.orders if one.client_order_id == "AR2"]
    assert submitted.reason == ("late_record" if written is Written.LATE else "")


def test_halt_takes_back_what_could_add_risk_and_leaves_protection_at_the_venue_which_a_flatten_takes() -> (
    None
):
    bench = Bench()
    bought(bench)
    for role, name in ((OrderRole.STOP, "AR2"), (OrderRole.TARGET, "AR3"), (OrderRole.OPEN, "AR4")):
        bench.door.send(intent(role, name))
        bench.disk.answer(Written.DURABLE)

    bench.door.cancel_entries()
    halted = list(bench.courier.cancelled)
    bench.door.flatten([])

    assert halted == ["AR4"]
    assert set(bench.courier.cancelled[1:]) == {"AR2", "AR3", "AR4"}


def test_decision_that_a_later_bar_has_overtaken_is_dropped() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.door.last_bar_ts = 2 * MINUTE

    bench.disk.answer(Written.DURABLE)

    assert bench.courier.sent == []
    assert bench.door.is_flat


@pytest.mark.parametrize("role", [OrderRole.OPEN, OrderRole.REDUCE])
def test_order_that_is_taken_back_on_its_way_to_the_disk_never_leaves_and_nobody_is_asked_to_cancel_it(
    role: OrderRole,
) -> None:
    bench = Bench()
    bought(bench)
    bench.door.send(intent(role, "AR2", quantity=1.0))

    bench.door.cancel_entries()
    bench.disk.answer(Written.DURABLE)

    # The engine does not know the order: a cancel of it would raise, and halt the strategy.
    assert bench.courier.cancelled == []
    assert [one.client_order_id for one in bench.courier.sent if isinstance(one, OrderIntent)] == ["AR1"]
    assert bench.statuses("AR2") == ["DENIED"]


def test_flatten_stops_what_is_still_on_its_way_to_the_disk_and_goes_itself() -> None:
    bench = Bench()
    bought(bench)
    bench.door.send(intent(name="AR2", quantity=1.0))
    flatten = intent(OrderRole.FLATTEN, "AR3")
    bench.courier.unsent = frozenset({"AR2"})

    bench.door.flatten([flatten])
    bench.disk.answer(Written.DURABLE)
    bench.disk.answer(Written.LATE)

    assert bench.courier.sent[1:] == [flatten]
    assert bench.courier.cancelled == []


def test_entry_that_is_cancelled_before_it_left_never_leaves_and_those_that_have_are_cancelled_too() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.door.resume(intent(name="AR2"), filled=0.0, is_working=True)
    bench.courier.unsent = frozenset({"AR1"})

    bench.door.cancel_entries()
    bench.disk.answer(Written.DURABLE)

    assert bench.courier.cancelled == ["AR2"]
    assert bench.courier.sent == []
    assert bench.statuses("AR1") == ["DENIED"]
    assert not bench.door.is_working("AR1")


def test_close_takes_its_protection_back_when_it_leaves_not_before() -> None:
    bench = Bench()
    bought(bench)
    bench.door.resume(intent(OrderRole.STOP, "AR-stop"), filled=0.0, is_working=True)

    bench.door.send(intent(OrderRole.CLOSE, "AR2"))
    before = list(bench.courier.cancelled)
    bench.disk.answer(Written.DURABLE)

    assert before == []
    assert bench.courier.cancelled == ["AR-stop"]


def test_same_decision_is_never_sent_twice() -> None:
    bench = Bench()
    bench.door.send(intent())

    with pytest.raises(SafetyError, match="nothing was sent twice"):
        bench.door.send(intent())

    assert len(bench.disk.waiting) == 1


def test_same_decision_is_not_sent_after_a_restart_that_knows_it() -> None:
    bench = Bench()
    bench.door.resume(intent(), filled=2.0, is_working=False)

    with pytest.raises(SafetyError, match="was not sent before"):
        bench.door.send(intent())


def test_fill_that_comes_twice_is_booked_once() -> None:
    bench = Bench()
    bought(bench)

    bench.door.filled(fill())

    assert bench.ledger.positions == [2.0]
    assert len(bench.tape.fills) == 1


def test_fill_that_an_earlier_process_booked_is_not_booked_again() -> None:
    bench = Bench()
    bench.door.resume(intent(), filled=2.0, is_working=False)
    bench.door.mark_booked("AR1", "T1", MINUTE)

    bench.door.filled(fill())

    assert bench.ledger.positions == [0.0]


def test_fill_of_an_order_that_was_never_ours_is_refused_and_not_booked() -> None:
    bench = Bench()

    with pytest.raises(SafetyError, match="never sent"):
        bench.door.filled(fill("FOREIGN"))

    assert bench.ledger.positions == [0.0]
    assert bench.tape.fills == []


@pytest.mark.parametrize(
    ("quantity", "price"),
    [(0.0, 100.0), (-1.0, 100.0), (float("inf"), 100.0), (1.0, 0.0), (1.0, float("nan"))],
)
def test_fill_that_is_no_execution_is_refused_and_not_booked(quantity: float, price: float) -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)

    with pytest.raises(SafetyError, match="above 0"):
        bench.door.filled(fill(quantity=quantity, price=price))

    assert bench.ledger.positions == [0.0]


def test_fill_whose_fee_is_no_number_is_refused_and_not_booked() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)

    with pytest.raises(SafetyError, match="fee nan"):
        bench.door.filled(fill()._replace(fee=float("nan")))

    assert bench.ledger.cash == 10_000.0
    assert not bench.door.has_booked("AR1", "T1")


def test_fill_beyond_the_order_is_booked_and_reported() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)

    with pytest.raises(SafetyError, match="at most 2"):
        bench.door.filled(fill(quantity=3.0))

    assert bench.ledger.positions == [3.0]


def test_fill_beyond_an_order_that_is_filled_already_is_booked_and_reported() -> None:
    bench = Bench()
    bought(bench)

    with pytest.raises(SafetyError, match="at most 2"):
        bench.door.filled(fill(quantity=1.0, trade_id="T2"))

    assert bench.ledger.positions == [3.0]


def test_fill_that_crosses_its_cancel_is_booked() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)
    bench.door.ended("AR1", MINUTE + 1, "CANCELED")

    bench.door.filled(fill(quantity=0.5))

    assert bench.ledger.positions == [0.5]


def test_instrument_of_an_unknown_order_is_unknown_until_the_venue_answers() -> None:
    bench = Bench()
    bench.door.resume(intent(), filled=0.0, is_working=True)
    bench.door.mark_unknown("AR1")
    during = dict(bench.door.unknown)

    bench.door.ended("AR1", MINUTE + 1, "REJECTED")

    assert during == {"AR1": 0}
    assert bench.door.unknown == {}


def test_order_is_the_same_after_it_was_written_down_and_read() -> None:
    stop = intent(OrderRole.STOP)

    read = intent_from(json.loads(json.dumps(stop._asdict())))

    assert read == stop
    assert isinstance(read.role, OrderRole)


def test_snapshot_holds_what_is_filled_and_the_size_that_the_venue_made_it() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.disk.answer(Written.DURABLE)
    bench.door.filled(fill(quantity=0.5))
    bench.door.updated("AR1", 1.5)

    written = bench.door.snapshot()

    assert written == [{"client_order_id": "AR1", "quantity": 1.5, "filled": 0.5}]


def test_same_trade_id_on_two_orders_is_two_executions() -> None:
    bench = Bench()
    bought(bench)
    bench.door.send(intent(OrderRole.CLOSE, "AR2"))
    bench.disk.answer(Written.DURABLE)

    bench.door.filled(fill("AR2", trade_id="T1"))

    assert bench.ledger.positions == [0.0]
    assert len(bench.tape.fills) == 2


def test_order_given_up_before_the_disk_answers_never_leaves() -> None:
    bench = Bench()
    bench.door.send(intent())
    bench.door.ended("AR1", MINUTE, "ABANDONED")

    bench.disk.answer(Written.DURABLE)

    assert bench.courier.sent == []
    assert bench.statuses("AR1") == ["ABANDONED"]


def test_order_that_the_log_does_not_take_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.disk.refuses = ValueError("too long")

    with pytest.raises(ValueError, match="too long"):
        bench.door.send(intent())

    assert bench.door.is_flat
    assert bench.door.knows("AR1")


@pytest.mark.parametrize("enter", ["resume", "recount"])
def test_order_of_an_instrument_that_was_removed_is_refused_with_what_to_do(enter: str) -> None:
    bench = Bench()
    other = intent()._replace(instrument_id="GONE.DEMO")
    enter_by = {
        "resume": lambda: bench.door.resume(other, filled=0.0, is_working=True),
        "recount": lambda: bench.door.recount(other),
    }

    with pytest.raises(SafetyError, match="name the instrument in strategy one again"):
        enter_by[enter]()

    assert bench.door.working() == ()
    assert bench.book.daily_notional == 0.0


def test_silent_door_books_what_exceeds_an_order_without_complaint_and_complains_again_after() -> None:
    bench = Bench()
    bench.door.resume(intent(), filled=0.0, is_working=True)
    recorded = len(bench.tape.fills)

    with bench.door.silenced():
        bench.door.filled(fill(quantity=3.0))

    assert bench.ledger.positions == [3.0]
    assert len(bench.tape.fills) == recorded
    with pytest.raises(SafetyError, match="at most 2"):
        bench.door.filled(fill(quantity=1.0, trade_id="T2"))


def test_damaged_intent_is_refused() -> None:
    with pytest.raises(SafetyError, match="as it was written down"):
        intent_from({"client_order_id": "AR1"})


def test_door_says_since_when_it_remembers_every_execution() -> None:
    bench = Bench()
    for number in range(REMEMBERED - 1):
        bench.door.mark_booked("AR1", f"T{number}", 1_000 + number)
    whole = bench.door.booked_since_ns
    bench.door.mark_booked("AR1", "T-last", 90_000)
    full = bench.door.booked_since_ns
    bench.door.mark_booked("AR1", "T-more", 90_001)

    assert whole == 0
    assert full == 1_001, "the next one pushes out that of 1,000"
    assert bench.door.booked_since_ns == 1_002
