"""The paper venue's file: what was acknowledged is in it after any kill, and damage is never overlooked."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.errors import StateError, StateWriteError
from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.gateway import PaperGateway
from adapters.paper.orders import EventKind, Side, VenueEvent
from adapters.paper.queries import PaperQueries
from adapters.paper.snapshot import snapshot
from adapters.paper.state import Cancel, Submit
from adapters.paper.store import VenueStore
from adapters.paper.venue import PaperVenue
from tests.adapters.paper.scenarios import make_venue as make_scenario_venue
from tests.adapters.paper.scenarios import play, random_scenario
from tests.adapters.paper.venues import BTC, limit, make_venue, market, stop

_ROOT = Path(__file__).parents[3]
_CHILD = Path(__file__).with_name("store_child.py")


@contextmanager
def opened(path: Path) -> Iterator[tuple[PaperGateway, list[VenueEvent]]]:
    """A venue on its file, and all that it answers."""
    with closing(VenueStore(path)) as store:
        venue = make_venue(archive=store)
        store.restore(venue)
        gateway, answers = PaperGateway(venue, store), list[VenueEvent]()
        gateway.connect(answers.extend)
        yield gateway, answers


def quote(gateway: PaperGateway, ts: int, price: float, size: float = 1e6) -> None:
    gateway.on_quote(BTC, MarketQuote(ts, price, price, size, size))
    gateway.settle(ts)


def trade(gateway: PaperGateway) -> None:
    """One position of 2.000 by A, one of -1.000 by B, a resting stop each, and a canceled order."""
    quote(gateway, 1_000, 100.0)
    gateway.send(market("A1", Side.BUY, "2.000"))
    gateway.send(market("B1", Side.SELL, "1.000", owner="B"))
    quote(gateway, 2_000, 100.0)
    gateway.send(stop("A2", Side.SELL, "2.000", "90.00"))
    gateway.send(stop("B2", Side.BUY, "1.000", "110.00", owner="B"))
    gateway.send(limit("A3", Side.BUY, "1.000", "95.00"))
    quote(gateway, 3_000, 100.0)
    gateway.send(Cancel("A3"))
    quote(gateway, 4_000, 100.0)


def test_store_after_a_restart_has_orders_positions_and_money_as_before(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)
        before = PaperQueries(gateway.venue)
        views = before.open_orders(), before.fills(0), before.positions(), before.balances()
        whole = snapshot(gateway.venue)

    with opened(tmp_path / "v.sqlite") as (gateway, _):
        after = PaperQueries(gateway.venue)

        assert (after.open_orders(), after.fills(0), after.positions(), after.balances()) == views
        assert snapshot(gateway.venue) == whole
        assert [(one.client_order_id, one.owner) for one in views[0]] == [("A2", "A"), ("B2", "B")]
        assert [(one.owner, str(one.quantity)) for one in views[2]] == [("A", "2.000"), ("B", "-1.000")]


def test_stops_of_two_owners_placed_before_a_restart_fill_after_it_with_new_trade_ids(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)

    with opened(tmp_path / "v.sqlite") as (gateway, answers):
        quote(gateway, 5_000, 89.0)
        quote(gateway, 6_000, 111.0)

        fills = [event.fill for event in answers if event.fill is not None]
        assert [(f.client_order_id, f.owner, f.trade_id) for f in fills] == [
            ("A2", "A", "DEMO-T3"),
            ("B2", "B", "DEMO-T4"),
        ]
        assert PaperQueries(gateway.venue).positions() == []


@pytest.mark.parametrize("name", ["A1", "A2", "A3"])
def test_client_order_id_used_before_a_restart_is_never_taken_again(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)

    with opened(tmp_path / "v.sqlite") as (gateway, answers):
        before = PaperQueries(gateway.venue).order(name)
        gateway.send(market(name, Side.BUY, "2.000"))
        quote(gateway, 5_000, 100.0)

        assert [(event.kind, event.reason) for event in answers] == [
            (EventKind.REJECTED, f"DUPLICATE_CLIENT_ORDER_ID: {name}")
        ]
        assert PaperQueries(gateway.venue).order(name) == before


def test_id_that_was_reported_as_never_seen_stays_refused_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        gateway.bar("LATE")

    with opened(tmp_path / "v.sqlite") as (gateway, answers):
        gateway.send(market("LATE", Side.BUY, "2.000"))
        quote(gateway, 1_000, 100.0)

        assert [event.reason for event in answers] == ["TOO_LATE: LATE was reported as never seen"]


def test_query_tells_closed_open_under_way_and_never_seen_apart(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)
        gateway.send(limit("A4", Side.BUY, "1.000", "95.00"))

        found = {name: PaperQueries(gateway.venue).order(name) for name in ("A1", "A2", "A3", "A4", "X")}

        statuses = {name: None if view is None else str(view.status) for name, view in found.items()}
        assert statuses == {"A1": "FILLED", "A2": "ACCEPTED", "A3": "CANCELED", "A4": "SUBMITTED", "X": None}


def test_fills_since_a_time_are_those_at_it_and_after(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)
        quote(gateway, 5_000, 89.0)

        times = [
            [f.ts_event for f in PaperQueries(gateway.venue).fills(since)] for since in (0, 5_000, 5_001)
        ]

        assert times == [[2_000, 2_000, 5_000], [5_000], []]


def test_closed_orders_and_fills_leave_memory_but_not_what_a_living_order_refers_to(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        trade(gateway)

        assert list(gateway.venue.state.orders) == ["A2", "B2"]
        assert gateway.venue.state.fills == []


@pytest.mark.parametrize("account", ["MARGIN", "CASH"])
def test_brackets_over_many_restarts_fill_as_in_one_life(tmp_path: Path, account: str) -> None:
    scenario = random_scenario(11, account, num_bars=60)
    whole = play(make_scenario_venue(scenario), scenario, 0, 60)

    pieces = []
    for number in range(60):
        with closing(VenueStore(tmp_path / "v.sqlite")) as store:
            venue = make_scenario_venue(scenario, store)
            store.restore(venue)
            pieces += play(venue, scenario, number, number + 1)
            store.save(venue, lasting=False)

    assert pieces == whole
    assert len(whole) > 15


def test_answer_to_a_resting_order_leaves_only_once_it_is_on_the_disk(tmp_path: Path) -> None:
    happened = list[str]()

    class Watched(VenueStore):
        def save(self, venue: PaperVenue, *, lasting: bool = True) -> None:
            super().save(venue, lasting=lasting)
            happened.append(f"saved {len(self.fills_since(0))} {'lasting' if lasting else 'fleeting'}")

    with closing(Watched(tmp_path / "v.sqlite")) as store:
        gateway = PaperGateway(make_venue(archive=store), store)
        gateway.connect(lambda events: happened.extend(str(event.kind) for event in events))
        quote(gateway, 1_000, 100.0)
        gateway.send(limit("L", Side.BUY, "1.000", "99.00"))
        quote(gateway, 2_000, 100.0)
        happened.clear()
        gateway.on_quote(BTC, MarketQuote(3_000, 99.0, 99.0, 1e6, 1e6))

    assert happened == ["saved 1 lasting", "FILLED"]


def test_market_without_orders_waits_for_the_disk_never(tmp_path: Path) -> None:
    with closing(VenueStore(tmp_path / "v.sqlite")) as store:
        gateway = PaperGateway(make_venue(archive=store), store)
        gateway.connect(lambda events: None)
        for number in range(1, 1_000):
            quote(gateway, number, 100.0)

        assert store.saves == 0


def test_market_played_again_after_a_restart_counts_once_and_ends_the_same(tmp_path: Path) -> None:
    quotes = [(number * 1_000, 100.0 - number, 0.5) for number in range(1, 40)]

    def feed(gateway: PaperGateway, first: int, last: int) -> None:
        for ts, price, size in quotes[first:last]:
            quote(gateway, ts, price, size)

    with opened(tmp_path / "a.sqlite") as (straight, _):
        straight.send(limit("L", Side.BUY, "5.000", "80.00"))
        feed(straight, 0, 39)
        expected = snapshot(straight.venue)
    with opened(tmp_path / "b.sqlite") as (gateway, _):
        gateway.send(limit("L", Side.BUY, "5.000", "80.00"))
        feed(gateway, 0, 25)
    with opened(tmp_path / "b.sqlite") as (gateway, _):
        feed(gateway, 0, 39)

        assert snapshot(gateway.venue) == expected
        assert len(gateway.venue.fills_of("L")) == 10


def test_restart_between_two_events_of_one_time_takes_only_the_second(tmp_path: Path) -> None:
    # The first bar of the time fills the order; the kill comes before the second bar of the same time.
    first, second = (
        MarketBar(60_000, 99.0, 99.0, 95.0, 96.0, 8.0),
        MarketBar(60_000, 96.0, 97.0, 94.0, 96.0, 8.0),
    )
    with opened(tmp_path / "a.sqlite") as (straight, _):
        straight.send(limit("L", Side.BUY, "9.000", "95.50"))
        quote(straight, 1_000, 100.0)
        straight.on_bar(BTC, first)
        straight.on_bar(BTC, second)
        straight.settle(60_000)
        expected = snapshot(straight.venue)
    with opened(tmp_path / "b.sqlite") as (gateway, _):
        gateway.send(limit("L", Side.BUY, "9.000", "95.50"))
        quote(gateway, 1_000, 100.0)
        gateway.on_bar(BTC, first)
    with opened(tmp_path / "b.sqlite") as (gateway, _):
        quote(gateway, 1_000, 100.0)
        gateway.on_bar(BTC, first)
        gateway.on_bar(BTC, second)
        gateway.settle(60_000)

        assert snapshot(gateway.venue) == expected


def test_time_on_disk_lags_by_a_bounded_number_of_events(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        for number in range(1, 1_000):
            quote(gateway, number, 100.0)

    with opened(tmp_path / "v.sqlite") as (gateway, _):
        assert 1_000 - 65 <= gateway.venue.state.ts < 1_000


# ---- kills


def test_store_killed_at_random_has_all_that_was_acknowledged_and_nothing_by_halves(tmp_path: Path) -> None:
    path, rng, acknowledged = tmp_path / "v.sqlite", random.Random(5), list[tuple[str, ...]]()
    for round_ in range(40):
        child = subprocess.Popen(
            [sys.executable, str(_CHILD), str(path), str(round_ * 100_000)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
        assert child.stdout is not None
        with child:
            lines = [child.stdout.readline() for _ in range(rng.randrange(12))]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
        whole = [line.decode().split() for line in lines if line.endswith(b"\n")]
        acknowledged += [(*words,) for words in whole if len(words) == 3]

        with opened(path) as (gateway, _):
            _check_books(gateway.venue, acknowledged)

    assert len(acknowledged) > 100


def _check_books(venue: PaperVenue, acknowledged: list[tuple[str, ...]]) -> None:
    queries = PaperQueries(venue)
    fills = queries.fills(0)
    trade_ids = [fill.trade_id for fill in fills]
    orders = {name: queries.order(name) for _, name, _ in acknowledged}
    assert trade_ids == [f"DEMO-T{number}" for number in range(1, len(fills) + 1)]
    assert {trade for kind, _, trade in acknowledged if kind == "FILLED"} <= set(trade_ids)
    assert all(view is not None for view in orders.values())
    # Every execution is in its order, in the position and in the money, or in none of them.
    held = sum(fill.quantity if fill.side == "BUY" else -fill.quantity for fill in fills)
    assert held == sum(position.quantity for position in queries.positions())
    for fill in fills:
        view = queries.order(fill.client_order_id)
        assert view is not None
        assert view.filled == fill.quantity
    # Margin: realised profit and fees are all that moves the money, and what is open is worth its price.
    paid = sum(fill.quantity * fill.price * (1 if fill.side == "BUY" else -1) for fill in fills)
    open_cost = sum(position.quantity * position.average_price for position in queries.positions())
    fees = sum(fill.fee for fill in fills)
    assert abs(queries.balances()[0].total - (1_000 - fees - paid + open_cost)) < Decimal("0.000001")


# ---- damage


def _file_with_trades(path: Path) -> None:
    with opened(path) as (gateway, _):
        trade(gateway)


@pytest.mark.parametrize("keep", [0, 1, 100, 4_096, 8_000])
def test_truncated_file_is_refused_with_what_to_do(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "v.sqlite"
    _file_with_trades(path)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(StateError, match="restore it from a backup"):
        VenueStore(path)


def test_any_changed_byte_of_what_is_remembered_is_found(tmp_path: Path) -> None:
    path, rng = tmp_path / "v.sqlite", random.Random(3)
    _file_with_trades(path)
    with opened(path) as (gateway, _):
        expected = snapshot(gateway.venue), PaperQueries(gateway.venue).fills(0)
    whole = path.read_bytes()
    found = 0
    for _ in range(300):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        try:
            with opened(path) as (gateway, _):
                # In free space a byte means nothing.
                assert (snapshot(gateway.venue), PaperQueries(gateway.venue).fills(0)) == expected
        except StateError:
            found += 1

    assert found > 30


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute("CREATE TABLE t (a)")

    with pytest.raises(StateError, match="expected a paper venue's memory of format 3"):
        VenueStore(path)


def test_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="expected a file that can be opened"):
        VenueStore(tmp_path)


def copied(source: Path, target: Path, *, log: bytes | None) -> Path:
    """A file as a kill at this instant leaves it, with a log of one's choice beside it."""
    target.write_bytes(source.read_bytes())
    if log is not None:
        target.with_name(f"{target.name}-wal").write_bytes(log)
    return target


@pytest.mark.parametrize("log", [None, b""])
def test_file_whose_log_is_lost_is_refused_however_little_was_written(
    tmp_path: Path, log: bytes | None
) -> None:
    path = tmp_path / "v.sqlite"
    with opened(path) as (gateway, _):
        copies = [copied(path, tmp_path / "new", log=log)]
        trade(gateway)
        copies.append(copied(path, tmp_path / "traded", log=log))
    with opened(path) as (gateway, _):
        copies.append(copied(path, tmp_path / "again", log=log))

    for copy in copies:
        before = copy.read_bytes()
        with pytest.raises(StateError, match=rf"expected {copy.name}-wal beside it"):
            VenueStore(copy)
        assert copy.read_bytes() == before


def test_file_that_was_given_back_in_order_needs_no_log(tmp_path: Path) -> None:
    _file_with_trades(tmp_path / "v.sqlite")
    copy = copied(tmp_path / "v.sqlite", tmp_path / "copy", log=None)

    with opened(copy) as (gateway, _):
        assert len(PaperQueries(gateway.venue).fills(0)) == 2
    assert not (tmp_path / "v.sqlite-wal").exists()


def test_log_that_is_cut_or_changed_gives_a_state_that_was_or_is_refused(tmp_path: Path) -> None:
    path, dice, states = tmp_path / "v.sqlite", random.Random(4), list[object]()

    class Remembering(VenueStore):
        def save(self, venue: PaperVenue, *, lasting: bool = True) -> None:
            super().save(venue, lasting=lasting)
            states.append(snapshot(venue))

    with closing(Remembering(path)) as store:
        venue = make_venue(archive=store)
        states.append(snapshot(venue))
        trade(PaperGateway(venue, store))
        file, log = path.read_bytes(), path.with_name("v.sqlite-wal").read_bytes()
    frames = [32 + number * (24 + 4_096) for number in range((len(log) - 32) // (24 + 4_096) + 1)]
    cuts = sorted({*frames, *(at - 1 for at in frames[1:]), *dice.sample(range(1, len(log)), 60)})
    damaged = [log[:at] for at in cuts]
    damaged += [
        log[:at] + bytes([log[at] ^ 1 << at % 8]) + log[at + 1 :] for at in dice.sample(range(len(log)), 100)
    ]

    reached = set[int]()
    for content in damaged:
        path.write_bytes(file)
        path.with_name("v.sqlite-wal").write_bytes(content)
        with opened(path) as (gateway, _):
            reached.add(states.index(snapshot(gateway.venue)))

    assert reached >= {0, 1, len(states) - 2}


def test_log_without_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.sqlite-wal").write_bytes(b"x")

    with pytest.raises(StateError, match="found only that"):
        VenueStore(tmp_path / "v.sqlite")


def test_file_with_a_position_in_what_is_not_traded_any_more_is_refused(tmp_path: Path) -> None:
    _file_with_trades(tmp_path / "v.sqlite")

    with closing(VenueStore(tmp_path / "v.sqlite")) as store:
        venue = make_venue(archive=store, name="ETHUSDT.DEMO")

        with pytest.raises(StateError, match="trade it until it is flat"):
            store.restore(venue)
        assert venue.state.ts == 0


def test_file_that_counts_prices_otherwise_is_refused(tmp_path: Path) -> None:
    _file_with_trades(tmp_path / "v.sqlite")

    with closing(VenueStore(tmp_path / "v.sqlite")) as store:
        venue = make_venue(archive=store, price_precision=3)

        with pytest.raises(StateError, match="give it the instrument as it was"):
            store.restore(venue)


def test_second_process_on_the_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    program = (
        "import sys; from pathlib import Path; from adapters.errors import StateError\n"
        "from adapters.paper.store import VenueStore\n"
        "try: VenueStore(Path(sys.argv[1]))\n"
        "except StateError as error: print(error)\n"
    )
    with opened(path) as (gateway, _):
        trade(gateway)
        second = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
        quote(gateway, 5_000, 89.0)

        assert "open in another process; stop that one" in second.stdout
        assert len(PaperQueries(gateway.venue).fills(0)) == 3


# ---- a disk that refuses


def test_answer_does_not_leave_when_the_disk_refuses_and_leaves_once_it_takes_it(tmp_path: Path) -> None:
    with closing(VenueStore(tmp_path / "v.sqlite")) as store:
        venue = make_venue(archive=store)
        gateway, answers = PaperGateway(venue, store), list[VenueEvent]()
        gateway.connect(answers.extend)
        quote(gateway, 1_000, 100.0)
        gateway.send(market("A1", Side.BUY, "2.000"))
        _refuse_writes(store, refuse=True)
        with pytest.raises(StateWriteError, match="free space and start again"):
            quote(gateway, 2_000, 100.0)
        refused = list(answers)
        known = [view and str(view.status) for view in [PaperQueries(venue).order("A1")]]
        _refuse_writes(store, refuse=False)
        quote(gateway, 3_000, 100.0)

        assert refused == []
        assert known == ["FILLED"]
        assert [event.kind for event in answers] == [EventKind.FILLED]
    with opened(tmp_path / "v.sqlite") as (gateway, _):
        assert [fill.trade_id for fill in PaperQueries(gateway.venue).fills(0)] == ["DEMO-T1"]


def _refuse_writes(store: VenueStore, *, refuse: bool) -> None:
    store._db.execute(f"PRAGMA query_only = {'ON' if refuse else 'OFF'}")


def test_snapshot_in_the_file_is_the_venue_to_the_byte(tmp_path: Path) -> None:
    bodies = []
    for name in ("a", "b"):
        _file_with_trades(tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name)) as db:
            bodies.append(db.execute("SELECT body FROM venue").fetchone()[0])

    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["rows"] == [3, 2]


def test_list_of_orders_sent_twice_is_refused_whole_and_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "v.sqlite") as (gateway, answers):
        trade(gateway)
        before = snapshot(gateway.venue)["orders"]
        answers.clear()
        new, old = market("A9", Side.BUY, "1.000").orders, market("A1", Side.BUY, "1.000").orders
        gateway.send(Submit(new + old))
        quote(gateway, 5_000, 100.0)

        assert [(event.kind, event.client_order_id) for event in answers] == [
            (EventKind.REJECTED, "A9"),
            (EventKind.REJECTED, "A1"),
        ]
        assert snapshot(gateway.venue)["orders"] == before
