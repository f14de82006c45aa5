"""Whatever happens and wherever a crash cuts: the strategy that comes back is the one that wrote."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.journal import Kind, Record
from strategies.delivery import WorkingOrder
from strategies.portfolio import Ledger
from tests.support.journals import open_journal
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import NAMES, Bench, Likeness, likeness, prefixes, recalled, rules

CLOSES = (100.0, 50.0)
SEGMENT_BYTES = 1 << 22


class Life:
    """A bench that remembers what the strategy was like after each step, by number of the last record."""

    def __init__(self) -> None:
        self.bench = Bench(MemoryDisk(), journal_options={"segment_bytes": SEGMENT_BYTES})
        self.seen: dict[int, Likeness] = {}
        self.seen_mid_bar: dict[int, Likeness] = {}
        self._closes = list(CLOSES)
        self.bench.before_state = self._note_mid_bar
        self.note()

    def note(self) -> None:
        strategy = self.bench.strategy
        assert strategy.failure is None, strategy.failure
        self.seen[self.bench.journal.seq] = likeness(strategy)

    def _note_mid_bar(self) -> None:
        if self.bench.strategy.decisions:
            self.seen_mid_bar[self.bench.journal.seq] = likeness(self.bench.strategy, is_mid_bar=True)

    def live(self, step: "Step") -> None:
        getattr(self, step.name)(*step.arguments)
        self.note()

    def orders(self) -> list[WorkingOrder]:
        """What the venue may have."""
        return [order for order in self.bench.strategy.door.working() if order.is_sent]

    # -- steps ---------------------------------------------------------------------------------------

    def bar(
        self, moves: Sequence[float], weights: Sequence[float], with_stop: bool, is_disk_slow: bool
    ) -> None:
        self._closes = [round(close * move, 2) for close, move in zip(self._closes, moves, strict=True)]
        stops = tuple(round(close * 0.9, 2) for close in self._closes) if with_stop else None
        self.bench.bar(self._closes, weights, stops=stops)
        if not is_disk_slow:
            self.bench.writer.step()

    def answer(self, which: int, status: str) -> None:
        if orders := self.orders():
            own_id = orders[which % len(orders)].intent.client_order_id
            door, now = self.bench.strategy.door, self.bench.now_ns
            if status == "ACCEPTED":
                door.accepted(own_id, now)
            else:
                door.ended(own_id, now, status, "said the venue")

    def fill(self, which: int, part: float, price: float) -> None:
        if orders := self.orders():
            order = orders[which % len(orders)]
            rest = round(order.intent.quantity - order.filled, 3)
            self.bench.fill(order, max(0.001, round(rest * part, 3)), price, fee=price / 7.0)

    def fill_late(self, which: int) -> None:
        """An execution crosses the end of its order."""
        ended = list(self.bench.strategy.door._ended.values())
        unfilled = [one for one in ended if one.intent.quantity - one.filled >= 0.001]
        if unfilled:
            self.bench.fill(unfilled[which % len(unfilled)], 0.001, 77.7)

    def flatten(self) -> None:
        self.bench.strategy.flatten()

    def disk(self) -> None:
        self.bench.writer.step()

    def deadline(self) -> None:
        self.bench.pass_deadlines()

    def crash(self) -> None:
        """Power fails: what the disk had not synced is gone, and the next process goes on from the rest."""
        durable = self.bench.journal.durable_seq
        disk = self.bench.disk
        assert isinstance(disk, MemoryDisk)
        disk.crash()
        for seen in (self.seen, self.seen_mid_bar):
            for seq in [one for one in seen if one > durable]:
                del seen[seq]
        self.bench.begin()
        self.note()
        self.bench.rewarm()


class Step(NamedTuple):
    """A method of `Life` and what it is called with."""

    name: str
    arguments: tuple[Any, ...] = ()


def _steps() -> st.SearchStrategy[Step]:
    which = st.integers(0, 5)
    weight = st.sampled_from([0.0, 0.2, 0.5])
    move = st.sampled_from([0.9, 0.99, 1.0, 1.01, 1.1])

    def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
        return st.tuples(*arguments).map(lambda found: Step(name, found))

    bar = call("bar", st.tuples(move, move), st.tuples(weight, weight), st.booleans(), st.booleans())
    return st.one_of(
        bar,
        bar,
        bar,
        call("fill", which, st.sampled_from([0.3, 1.0]), st.floats(50.0, 150.0)),
        call("fill", which, st.just(1.0), st.floats(50.0, 150.0)),
        call("disk"),
        call("answer", which, st.sampled_from(["ACCEPTED", "CANCELED", "REJECTED", "EXPIRED", "DENIED"])),
        call("fill_late", which),
        call("flatten"),
        call("deadline"),
        call("crash"),
    )


def _records_of(life: Life) -> list[Record]:
    while life.bench.writer.step():
        pass
    records: list[Record] = []
    open_journal(life.bench.disk, replay=records.append, segment_bytes=SEGMENT_BYTES)
    return records


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(_steps(), min_size=8, max_size=30))
def test_strategy_comes_back_as_it_was_wherever_its_journal_is_cut(steps: list[Step]) -> None:
    life = Life()
    for weight in (0.0, 0.4):
        life.live(Step("bar", ((1.0, 1.0), (weight, weight), True, False)))
    for step in steps:
        life.live(step)

    for records in prefixes(_records_of(life)):
        strategy = recalled(records)

        _assert_booked_what_was_written(strategy.pipeline.stages.ledger, records)
        last = records[-1].seq if records else 0
        if last in life.seen:
            assert likeness(strategy) == life.seen[last], f"cut after record {last}"
        if last in life.seen_mid_bar:
            assert likeness(strategy, is_mid_bar=True) == life.seen_mid_bar[last], f"cut after record {last}"
        _assert_no_decision_comes_again(strategy, records)


def _assert_booked_what_was_written(ledger: Ledger, records: Sequence[Record]) -> None:
    positions = dict.fromkeys(NAMES, 0.0)
    for record in records:
        if record.kind is Kind.FILL:
            name, quantity = record.body["instrument_id"], record.body["quantity"]
            signed = quantity if record.body["side"] == "BUY" else -quantity
            positions[name] = round(positions[name] + signed, 3)
    assert dict(zip(NAMES, ledger.positions, strict=True)) == positions


def _assert_no_decision_comes_again(strategy: Any, records: Sequence[Record]) -> None:
    for record in records:
        for intent in record.body["intents"] if record.kind is Kind.INTENT else ():
            assert strategy.door.knows(intent["client_order_id"])
            assert strategy.pipeline.stages.book.has_seen(intent["decision_id"]) or intent["role"] in (
                "STOP",
                "TARGET",
            )


@given(
    fills=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(-5000, 5000).filter(bool),
            st.floats(0.01, 1e6),
            st.floats(-1.0, 1.0),
            st.floats(0.01, 1e6),
        ),
        max_size=20,
    )
)
def test_ledger_goes_on_from_its_snapshot_as_if_there_had_been_none(
    fills: list[tuple[int, int, float, float, float]],
) -> None:
    markets = [rules(name) for name in NAMES]
    whole, parted = Ledger(markets, 10_000.0), Ledger(markets, 10_000.0)

    for index, lots, price, fee, close in fills:
        for ledger in (whole, parted):
            ledger.apply_fill(index, lots / 1000.0, price, fee)
            ledger.mark([close, price])
        written = parted.snapshot()
        parted = Ledger(markets, 1.0)
        parted.restore(_through_json(written))

        assert parted.snapshot() == written == whole.snapshot()
        assert parted.weights() == whole.weights()
        assert parted.rolling_volatility == whole.rolling_volatility


def _through_json(snapshot: dict[str, Any]) -> dict[str, Any]:
    disk = MemoryDisk()
    read: list[Record] = []
    journal, writer = open_journal(disk)
    journal.append(Kind.STATE, {"account": 1, "state": snapshot}, 0)
    writer.step()
    open_journal(disk, replay=read.append)
    [record] = [one for one in read if one.kind is Kind.STATE]
    state: dict[str, Any] = record.body["state"]
    return state
