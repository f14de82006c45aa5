"""How long the trading loop stands still while the paper account is copied for a backup."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

from adapters.paper.copying import copy_store
from adapters.paper.store import VenueStore
from benchmarks.figures import QUICK, Figure, report

ROWS = 20_000 if QUICK else 200_000
"""Closed orders, and as many executions."""
COPIES = 3
TICK_SECS = 0.001
_BODY = "x" * 420
"""As long as one is."""


def measure() -> list[Figure]:
    """On the disk that holds temporary files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(VenueStore(folder / "venue.sqlite")) as store:
            fill(store)
            beside = [worst_lag_ms(lambda: copy_store(store, folder / "copy")) for _ in range(COPIES)]
            on_loop = [worst_lag_ms(lambda: _at_once(store, folder / "whole")) for _ in range(COPIES)]
    return [
        Figure(
            "loop lag while the paper account is copied, worst",
            max(beside),
            "ms",
            f"{ROWS:,} orders and as many executions, {COPIES} copies, a task that wants to run every ms",
            100.0,
            max(on_loop),
            "the same copy on the loop",
            is_absolute=True,
        )
    ]


def fill(store: VenueStore) -> None:
    """Make the file as long as one that has traded for long."""
    db = store._db  # noqa: SLF001 - its digests are not checked again while it is open
    db.execute("BEGIN")
    db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", _orders())
    db.executemany(
        "INSERT INTO fills (trade_id, client_order_id, ts_event, body, digest) VALUES (?, ?, ?, ?, ?)",
        ((f"T{n}", f"AR{n:030d}", n, _BODY, "d" * 32) for n in range(ROWS)),
    )
    db.execute("COMMIT")


def worst_lag_ms(copy: Callable[[], Awaitable[None]]) -> float:
    """Longest time by which a task that runs all the time was late."""

    async def run() -> float:
        late = 0.0

        async def tick() -> None:
            nonlocal late
            while True:
                due = time.perf_counter() + TICK_SECS
                await asyncio.sleep(TICK_SECS)
                late = max(late, time.perf_counter() - due)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.2)
        late = 0.0
        await copy()
        await asyncio.sleep(10 * TICK_SECS)
        ticking.cancel()
        return late * 1e3

    return asyncio.run(run())


async def _at_once(store: VenueStore, path: Path) -> None:
    store.copy_to(path)


def _orders() -> Iterator[tuple[str, str, str, str]]:
    for number in range(ROWS):
        yield f"AR{number:030d}", f"DEMO-AR{number:030d}", _BODY, "d" * 32


if __name__ == "__main__":
    report(measure)
