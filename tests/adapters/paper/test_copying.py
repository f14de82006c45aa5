"""A copy of the venue's file that is made beside the loop."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.errors import StateError, StateWriteError
from adapters.paper.book import MarketQuote
from adapters.paper.copying import copy_store
from adapters.paper.gateway import PaperGateway
from adapters.paper.orders import Side
from adapters.paper.queries import PaperQueries
from adapters.paper.snapshot import snapshot
from adapters.paper.store import VenueStore
from tests.adapters.paper.venues import BTC, make_venue, market


@pytest.fixture
def used(tmp_path: Path) -> Iterator[tuple[PaperGateway, VenueStore]]:
    """A venue on its file, with a position."""
    with closing(VenueStore(tmp_path / "v.sqlite")) as store:
        venue = make_venue(archive=store)
        gateway = PaperGateway(venue, store)
        gateway.connect(lambda _: None)
        quote(gateway, 1_000)
        buy(gateway, "A1", 2_000)
        yield gateway, store


def quote(gateway: PaperGateway, ts: int) -> None:
    gateway.on_quote(BTC, MarketQuote(ts, 100.0, 100.0, 1e6, 1e6))
    gateway.settle(ts)


def buy(gateway: PaperGateway, name: str, ts: int) -> None:
    gateway.send(market(name, Side.BUY, "1.000"))
    quote(gateway, ts)


def read(path: Path) -> tuple[object, int]:
    """What a venue would go on from, and how many executions it knows."""
    with closing(VenueStore(path)) as store:
        venue = make_venue(archive=store)
        store.restore(venue)
        return snapshot(venue), len(PaperQueries(venue).fills(0))


def test_copy_is_of_the_instant_of_the_call_however_much_is_saved_meanwhile(
    used: tuple[PaperGateway, VenueStore], tmp_path: Path
) -> None:
    gateway, store = used
    then = snapshot(gateway.venue)
    (tmp_path / "copy.sqlite").write_bytes(b"an older one")

    async def run() -> None:
        copying = asyncio.create_task(copy_store(store, tmp_path / "copy.sqlite"))
        await asyncio.sleep(0)
        for number in range(2, 400):  # more than a log of the usual length
            buy(gateway, f"A{number}", 1_000 * number)
        await copying

    asyncio.run(run())

    assert read(tmp_path / "copy.sqlite") == (then, 1)
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.sqlite"]


def test_venue_goes_on_in_its_own_file_after_a_copy_and_is_locked_as_before(
    used: tuple[PaperGateway, VenueStore], tmp_path: Path
) -> None:
    gateway, store = used
    asyncio.run(copy_store(store, tmp_path / "copy.sqlite"))
    buy(gateway, "A2", 3_000)
    now = snapshot(gateway.venue)
    with pytest.raises(StateError, match="open in another process"):
        VenueStore(tmp_path / "v.sqlite")
    assert store._db.execute("PRAGMA wal_autocheckpoint").fetchone() == (1_000,)
    store.close()

    assert read(tmp_path / "v.sqlite") == (now, 2)


def test_copy_that_the_disk_refuses_leaves_nothing_and_the_venue_goes_on(
    used: tuple[PaperGateway, VenueStore], tmp_path: Path
) -> None:
    gateway, store = used
    with pytest.raises(StateWriteError, match="expected to copy the paper venue's memory"):
        asyncio.run(copy_store(store, tmp_path / "nowhere" / "copy.sqlite"))

    buy(gateway, "A2", 3_000)

    assert PaperQueries(gateway.venue).positions()[0].quantity == 2
    assert store._db.execute("PRAGMA wal_autocheckpoint").fetchone() == (1_000,)
