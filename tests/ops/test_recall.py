"""The way back from a journal, case by case."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops import recall as recall_module
from ops.disk import LocalDisk
from ops.journal import Kind, Record
from ops.journal.segments import segment_path
from ops.recall import Recall, StrategyMemory, restore
from strategies.errors import SafetyError
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import ALPHA, BETA, CAPITAL, MINUTE, NAMES, START, Bench, likeness, recalled

QUIET = (100.0, 50.0)
DAY_NS = 86_400 * 10**9


def bench_with_orders(**options: Any) -> Bench:
    """Two bars; an order on each instrument is sent and has not been answered."""
    bench = Bench(MemoryDisk(), **options)
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))
    bench.writer.step()
    bench.writer.step()
    assert len(bench.courier.sent) == 2
    return bench


def crash(bench: Bench, **options: Any) -> Recall:
    """Lose power and start again from what was synced."""
    while bench.writer.step():
        pass
    assert isinstance(bench.disk, MemoryDisk)
    bench.disk.crash()
    return bench.begin(**options)


def test_strategy_comes_back_from_a_real_disk_whose_last_segment_is_cut_at_every_byte_that_ends_a_record(
    tmp_path: Path,
) -> None:
    life = Bench(LocalDisk(), journal_options={"folder": tmp_path / "whole", "segment_bytes": 1 << 18})
    seen = {}
    life.bar(QUIET)
    life.bar(QUIET, (0.4, 0.4), stops=(90.0, 45.0))
    life.writer.step()
    life.writer.step()
    seen[life.journal.seq] = likeness(life.strategy)
    entry = life.strategy.door.working_entries()[0]
    life.fill(entry, 1.0, 101.0)
    seen[life.journal.seq] = likeness(life.strategy)
    life.fill(entry, entry.intent.quantity - 1.0, 102.0)
    life.strategy.flatten()
    life.pass_deadlines()
    seen[life.journal.seq] = likeness(life.strategy)
    life.bar((99.0, 51.0))
    seen[life.journal.seq] = likeness(life.strategy)
    life.journal.close(life.now_ns)
    [segment] = (tmp_path / "whole").iterdir()
    lines = segment.read_bytes().rstrip(b"\0").splitlines(keepends=True)
    came_back = 0

    for count in range(1, len(lines) + 1):
        folder = tmp_path / f"cut{count}"
        folder.mkdir()
        segment_path(folder, 1).write_bytes(b"".join(lines[:count]) + lines[0][:20])
        bench = Bench(LocalDisk(), journal_options={"folder": folder, "segment_bytes": 1 << 16})

        if count in seen:
            came_back += 1
            assert likeness(bench.strategy) == seen[count]

    assert came_back == len(seen) == 4


def test_execution_after_the_end_of_its_order_comes_back_though_the_state_knew_the_order_no_more() -> None:
    bench = bench_with_orders()
    order = bench.strategy.door.working()[0]
    bench.strategy.door.ended(order.intent.client_order_id, bench.now_ns, "CANCELED")
    bench.bar(QUIET)
    bench.fill(order, 0.5, 100.0)

    crash(bench)

    assert bench.strategy.pipeline.stages.ledger.positions == [0.5, 0.0]


def test_execution_beyond_its_order_does_not_keep_the_strategy_from_coming_back() -> None:
    bench = bench_with_orders()
    order = bench.strategy.door.working()[0]
    quantity = order.intent.quantity
    with pytest.raises(SafetyError, match="at most"):
        bench.fill(order, quantity + 1.0, 100.0)

    crash(bench)

    assert bench.strategy.pipeline.stages.ledger.positions == [quantity + 1.0, 0.0]


@pytest.mark.parametrize("with_state", [False, True])
def test_order_that_the_venue_had_taken_is_known_as_taken_after_a_restart(with_state: bool) -> None:
    bench = bench_with_orders()
    first, second = bench.strategy.door.working()
    bench.strategy.door.accepted(first.intent.client_order_id, bench.now_ns)
    if with_state:
        bench.write_state()
    written = bench.journal.seq

    crash(bench)

    taken = {order.intent.client_order_id: order.is_taken for order in bench.strategy.door.working()}
    assert taken == {first.intent.client_order_id: True, second.intent.client_order_id: False}
    assert bench.journal.seq - written <= 2, "a start records itself, not what was recorded before"


def test_order_that_the_door_dropped_is_no_rejection_after_a_restart_either() -> None:
    bench = Bench(MemoryDisk())
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))
    bench.pass_deadlines()
    rejects = bench.strategy.pipeline.stages.book.snapshot()["outcomes"]

    crash(bench)

    assert rejects == bench.strategy.pipeline.stages.book.snapshot()["outcomes"] == []
    assert bench.strategy.door.working() == ()


def test_order_whose_leaving_a_crash_forgot_counts_the_venues_answer_in_every_later_process() -> None:
    bench = Bench(MemoryDisk())
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))
    bench.writer.step()
    assert isinstance(bench.disk, MemoryDisk)
    bench.disk.crash()
    bench.begin()
    bench.strategy.door.ended(
        bench.strategy.door.working()[0].intent.client_order_id, bench.now_ns, "EXPIRED", "said the venue"
    )
    outcomes = bench.strategy.pipeline.stages.book.snapshot()["outcomes"]

    crash(bench)

    assert bench.strategy.pipeline.stages.book.snapshot()["outcomes"] == outcomes == [False]


def test_bar_whose_orders_were_written_down_without_its_state_is_not_decided_on_again() -> None:
    bench = Bench(MemoryDisk())
    bench.bar(QUIET)

    def sync_without_state() -> None:
        bench.writer.step()

    bench.before_state = sync_without_state
    bench.bar(QUIET, (0.4, 0.4))
    assert isinstance(bench.disk, MemoryDisk)
    bench.disk.crash()

    # With another configuration the same decision has another name: nothing but the time tells.
    bench.begin(config_sha256="d" * 64)
    for panel in bench.panels:
        bench.policy.answer = bench.policy.answer._replace(values=(0.4, 0.4))
        bench.strategy.observe(panel)
        bench.strategy.decide()

    assert bench.strategy.last_ts_event == START + 2 * MINUTE
    assert len(bench.strategy.door.working()) == 2
    assert bench.courier.sent == []


def test_decision_of_an_earlier_configuration_is_remembered_under_its_own_name() -> None:
    bench = bench_with_orders()
    names = {order.intent.client_order_id for order in bench.strategy.door.working()}

    crash(bench, config_sha256="d" * 64)
    bench.rewarm()
    bench.bar(QUIET, (0.8, 0.8))

    assert {order.intent.client_order_id for order in bench.strategy.door.working()} == names
    assert bench.strategy.failure is None


@pytest.mark.parametrize("instruments", [(BETA, ALPHA), (ALPHA,), (*NAMES, "GAMMAUSDT.DEMO")])
def test_state_of_other_instruments_is_refused_before_anything_is_taken_from_it(
    instruments: tuple[str, ...],
) -> None:
    bench = bench_with_orders()
    bench.fill(bench.strategy.door.working()[0], 1.0, 100.0)
    bench.write_state()

    with pytest.raises(SafetyError, match="name those again, in this order"):
        crash(bench, instruments=instruments)

    assert bench.strategy.pipeline.stages.ledger.positions == [0.0] * len(instruments)
    assert bench.strategy.door.working() == ()


def test_order_of_an_instrument_that_was_removed_before_the_first_state_is_refused() -> None:
    bench = Bench(MemoryDisk())
    bench.write_state = lambda: None  # type: ignore[method-assign]
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))

    with pytest.raises(SafetyError, match="run it with the instruments that it had"):
        crash(bench, instruments=(ALPHA,))


def test_records_that_recovery_itself_wrote_come_back_after_a_second_crash() -> None:
    bench = bench_with_orders()
    crash(bench)
    first, second = bench.strategy.door.working()
    bench.fill(first, 1.0, 100.0)
    bench.strategy.door.ended(second.intent.client_order_id, bench.now_ns, "ABANDONED", "never arrived")
    before = likeness(bench.strategy)

    crash(bench)

    assert likeness(bench.strategy) == before


def test_strategy_without_a_state_comes_back_from_its_records_alone() -> None:
    bench = Bench(MemoryDisk())
    bench.write_state = lambda: None  # type: ignore[method-assign]
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))
    bench.writer.step()
    bench.writer.step()
    order = bench.strategy.door.working()[0]
    bench.fill(order, order.intent.quantity, 101.0)
    ledger = bench.strategy.pipeline.stages.ledger
    held, cash = list(ledger.positions), ledger.cash

    crash(bench)

    ledger = bench.strategy.pipeline.stages.ledger
    assert (ledger.positions, ledger.cash) == (held, cash)
    assert len(bench.strategy.door.working()) == 1


def test_restored_strategy_has_written_nothing_and_asks_for_nothing() -> None:
    bench = bench_with_orders()
    before = bench.journal.seq

    crash(bench)

    # What opening the journal writes (a checkpoint) and the start of the session; no record of a strategy.
    assert bench.journal.seq == before + 2
    assert (bench.courier.sent, bench.courier.cancelled) == ([], [])


def test_state_of_a_version_that_is_not_known_is_refused() -> None:
    bench = bench_with_orders()
    state = {**bench.strategy.snapshot(), "version": 2}
    bench.journal.append(Kind.STATE, {"strategy": "one", "state": state}, bench.now_ns)

    with pytest.raises(SafetyError, match="expected version 1, found 2"):
        crash(bench)


def _damage(path: str, value: Any) -> dict[str, Any]:
    bench = bench_with_orders()
    bench.fill(bench.strategy.door.working()[0], 1.0, 100.0)
    state: dict[str, Any] = json.loads(json.dumps(bench.strategy.snapshot()))
    *parents, last = path.split(".")
    place: Any = state
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return state


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ts_event", KeyError),
        ("ts_event", None),
        ("decisions", "many"),
        ("ledger", KeyError),
        ("ledger", []),
        ("ledger.cash", None),
        ("ledger.positions", [1.0]),
        ("ledger.positions", [None, 0.0]),
        ("ledger.drawdown", KeyError),
        ("book", KeyError),
        ("book", None),
        ("book.clock", KeyError),
        ("book.version", 7),
        ("book.equity", None),
        ("working", None),
        ("working.0.client_order_id", "AR of nobody"),
        ("working.0.filled", None),
        ("working.0.quantity", KeyError),
    ],
)
def test_damaged_state_is_refused_and_changes_neither_ledger_nor_book(path: str, value: Any) -> None:
    state = _damage(path, value)
    bench = bench_with_orders()
    intents = {order.intent.client_order_id: order.intent for order in bench.strategy.door.working()}
    before = likeness(bench.strategy)

    with pytest.raises(SafetyError, match="strategy one: expected its state as it was written down"):
        bench.strategy.restore(state, intents)

    assert likeness(bench.strategy) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.STATE, {}),
        (Kind.INTENT, {"strategy": "one"}),
        (Kind.INTENT, {"strategy": "one", "intents": [{"client_order_id": "AR1"}]}),
        (Kind.OUTCOME, {"strategy": "one"}),
        (Kind.FILL, {"strategy": "one", "client_order_id": "AR1", "ts_event": 1}),
        (Kind.DECISION, {}),
    ],
)
def test_record_of_another_version_is_refused_by_its_number(kind: Kind, body: dict[str, Any]) -> None:
    with pytest.raises(SafetyError, match="expected"):
        Recall().take(Record(7, 1, kind, body))


def test_clock_that_was_set_back_between_runs_reorders_nothing() -> None:
    bench = bench_with_orders()
    before = likeness(bench.strategy)
    newest = bench.now_ns
    bench.now_ns -= 3_600 * 10**9

    recall = crash(bench)
    again = likeness(bench.strategy)
    bench.fill(bench.strategy.door.working()[0], 1.0, 100.0)
    latest = likeness(bench.strategy)
    last = crash(bench)

    assert again == before
    assert likeness(bench.strategy) == latest
    assert recall.last_ts_ns == last.last_ts_ns == newest


def test_two_strategies_on_one_instrument_are_remembered_apart() -> None:
    disk = MemoryDisk()
    one = Bench(disk, name="one")
    one.bar(QUIET)
    one.bar(QUIET, (0.4, 0.0))
    one.writer.step()
    one.writer.step()
    one.fill(one.strategy.door.working()[0], 1.0, 100.0)
    crash(one, name="two")
    one.panels.clear()
    one.bar(QUIET)
    one.bar(QUIET, (0.4, 0.0))
    one.writer.step()
    one.writer.step()
    one.fill(one.strategy.door.working()[0], 2.0, 100.0)

    recall = crash(one, name="one")

    assert one.strategy.pipeline.stages.ledger.positions == [1.0, 0.0]
    assert recall.strategies["two"].positions() == {ALPHA: 2.0}
    names = [set(memory.orders) for memory in recall.strategies.values()]
    assert names[0].isdisjoint(names[1])


def test_strategy_that_no_longer_runs_is_named_with_what_it_holds_and_has_open() -> None:
    bench = bench_with_orders()
    first, second = bench.strategy.door.working()
    bench.fill(first, 1.0, 100.0)
    bench.bar(QUIET)
    bench.fill(first, 0.25, 100.0)

    recall = crash(bench, name="another")

    left = recall.strategies["one"]
    assert left.positions() == {ALPHA: 1.25}
    assert left.open_orders() == [first.intent.client_order_id, second.intent.client_order_id]
    assert recall.strategies.keys() == {"one"}


def test_cash_of_a_strategy_that_is_gone_is_known_only_once_nothing_can_happen_to_it_any_more() -> None:
    bench = bench_with_orders()
    first, second = bench.strategy.door.working()
    bench.fill(first, first.intent.quantity, 100.0, fee=0.5)
    bench.strategy.door.ended(second.intent.client_order_id, bench.now_ns, "CANCELED")
    bench.bar(QUIET)
    holding = crash(bench, name="another").strategies["one"]
    bench = bench_with_orders()
    order, other = bench.strategy.door.working()
    for one in (order, other):
        bench.strategy.door.ended(one.intent.client_order_id, bench.now_ns, "CANCELED")
    bench.bar(QUIET)
    flat = crash(bench, name="another").strategies["one"]

    assert holding.cash_left() is None
    assert flat.cash_left() == CAPITAL
    assert StrategyMemory().cash_left() is None


@pytest.mark.parametrize(
    ("held", "side", "cash", "expected"),
    [(1.0, "SELL", 900.0, 900.0 + 110.0 - 2.0), (-1.0, "BUY", 1_100.0, 1_100.0 - 110.0 - 2.0)],
)
def test_cash_of_a_strategy_that_was_flattened_after_its_last_bar_counts_what_that_brought(
    held: float, side: str, cash: float, expected: float
) -> None:
    state = {"instruments": ["A.X"], "ledger": {"positions": [held], "cash": cash}}
    parts = [
        {"instrument_id": "A.X", "side": side, "quantity": 0.25, "price": 110.0, "fee": 0.5},
        {"instrument_id": "A.X", "side": side, "quantity": 0.75, "price": 110.0, "fee": 1.5},
    ]
    memory = StrategyMemory(state=state, since=[Record(1, 1, Kind.FILL, one) for one in parts])
    partly = StrategyMemory(state=state, since=memory.since[:1])

    assert (memory.positions(), memory.cash_left()) == ({}, expected)
    assert partly.cash_left() is None


def test_strategy_that_was_added_begins_with_nothing() -> None:
    bench = bench_with_orders()

    crash(bench, name="another")

    assert bench.strategy.door.working() == ()
    assert bench.strategy.pipeline.stages.ledger.cash == 10_000.0


def test_executions_are_asked_for_from_a_day_before_the_oldest_open_order() -> None:
    bench = bench_with_orders()
    order = bench.strategy.door.working()[0]
    bench.fill(order, 1.0, 100.0)

    assert crash(bench).fills_since_ns == order.intent.ts_event - DAY_NS


def test_executions_are_asked_for_from_the_beginning_where_nothing_is_remembered() -> None:
    assert Recall().fills_since_ns == 0


def test_execution_that_is_remembered_no_more_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recall_module, "_REMEMBERED", 3)
    bench = bench_with_orders()
    order = bench.strategy.door.working()[0]
    fills = [bench.fill(order, 1.0, 100.0) for _ in range(5)]

    recall = crash(bench)

    assert recall.fills_since_ns == fills[1].ts_event + 1
    assert list(recall.strategies["one"].executions) == [fill.key for fill in fills[2:]]


def test_open_order_is_never_forgotten_however_many_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "_REMEMBERED", 3)
    bench = bench_with_orders()
    kept = bench.strategy.door.working()[1].intent.client_order_id
    for _ in range(6):
        [other] = {order.intent.client_order_id for order in bench.strategy.door.working()} - {kept}
        bench.strategy.door.ended(other, bench.now_ns, "CANCELED")
        bench.bar(QUIET, (0.4, 0.4))
        bench.writer.step()
        bench.writer.step()

    recall = crash(bench)

    assert len(recall.strategies["one"].orders) <= 4
    assert kept in recall.strategies["one"].orders
    assert kept in {order.intent.client_order_id for order in bench.strategy.door.working()}


@pytest.mark.parametrize(
    ("codes", "goes_on"),
    [
        ([], False),
        (["killed"], True),
        ([0], False),
        ([1], False),  # told to stop, with a strategy halted
        ([74], True),
        ([75], True),
        (["killed", None], True),  # what follows did not start: the session before it goes on
        ([0, None], False),
        ([75, "killed", 0], False),
    ],
)
def test_session_goes_on_unless_the_one_before_it_ended_as_it_was_told_to(
    codes: list[int | str | None], goes_on: bool
) -> None:
    recall = Recall()
    for number, code in enumerate(codes):
        recall.take(Record(1, 1, Kind.SESSION_START, {"pin": number}))
        if code != "killed":
            recall.take(Record(2, 2, Kind.STOP, {"exit_code": code}))

    assert recall.ended_in_order is not goes_on
    recall.take(Record(3, 3, Kind.SESSION_START, {"pin": "now"}))
    assert (recall.session, recall.ended_in_order) == ({"pin": "now"}, False)


def test_baseline_that_was_not_agreed_on_leaves_the_last_one() -> None:
    recall = Recall()
    recall.take(Record(1, 1, Kind.RECONCILE, {"baseline": {"positions": {}, "cash": 5.0}}))
    recall.take(Record(2, 2, Kind.RECONCILE, {"unexplained": ["cash"]}))

    assert recall.baseline == {"positions": {}, "cash": 5.0}


def test_strategy_that_was_let_go_is_forgotten() -> None:
    bench = bench_with_orders()
    recall = crash(bench, name="another")

    recall.take(Record(99, 9, Kind.RECONCILE, {"forgotten": ["one", "never there"]}))

    assert recall.strategies == {}


def test_memory_of_nothing_changes_nothing() -> None:
    bench = Bench(MemoryDisk())
    before = likeness(bench.strategy)

    restore(bench.strategy, StrategyMemory())

    assert likeness(bench.strategy) == before
    assert likeness(recalled([])) == before
