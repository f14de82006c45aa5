"""A daemon that is killed again and again loses nothing and doubles nothing.

The checker believes only the venue's file and the journal's bytes, never the bot.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.paper.orders import Fill
from adapters.paper.store import VenueStore
from ops.disk import LocalDisk
from ops.journal import Kind, Record, load_verify_key, public_path, read_chain
from ops.journal.records import decode
from ops.state_dir import JOURNAL, JOURNAL_KEY
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess

KILLS = int(os.environ.get("ARGONAUT_KILLS", "8"))
"""Per run of this test; ``make soak`` asks for more."""


def journal(state_dir: Path) -> list[Record]:
    """Every record, from a chain that verifies."""
    disk = LocalDisk()
    key = load_verify_key(disk, public_path(state_dir / JOURNAL_KEY))
    records: list[Record] = []
    read_chain(disk, state_dir / JOURNAL, key, lambda line: records.append(decode(line.content)))
    return records


def venue_fills(state_dir: Path) -> list[Fill]:
    with closing(VenueStore(state_dir / "paper-venue.sqlite")) as store:
        return store.fills_since(0)


def held(fills: list[tuple[str, str, float]]) -> dict[str, float]:
    positions: Counter[str] = Counter()
    for instrument_id, side, quantity in fills:
        positions[instrument_id] += quantity if side == "BUY" else -quantity  # type: ignore[assignment]
    return {name: round(quantity, 8) for name, quantity in positions.items() if abs(quantity) > 1e-9}


def check(state_dir: Path) -> None:
    records, fills = journal(state_dir), venue_fills(state_dir)
    intents: dict[str, dict[str, Any]] = {}
    for record in records:
        for intent in record.body["intents"] if record.kind is Kind.INTENT else ():
            assert intent["client_order_id"] not in intents, "one decision was written down twice"
            intents[intent["client_order_id"]] = intent
    booked = [record.body for record in records if record.kind is Kind.FILL]

    assert {fill.client_order_id for fill in fills} <= set(intents), "an order left without an intent"
    assert Counter(fill.trade_id for fill in fills) == Counter(body["trade_id"] for body in booked)
    assert all(
        sum(float(fill.quantity) for fill in fills if fill.client_order_id == own_id)
        <= intents[own_id]["quantity"] + 1e-9
        for own_id in {fill.client_order_id for fill in fills}
    )
    assert held([(f.instrument_id, str(f.side), float(f.quantity)) for f in fills]) == held(
        [(body["instrument_id"], body["side"], body["quantity"]) for body in booked]
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_daemon_that_is_killed_at_any_time_loses_nothing_and_doubles_nothing(
    market: Path, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    host, state_dir = write_bot(tmp_path, market, ("wanderer", "breakout"), kind="paper"), tmp_path / "var"
    reached: list[int] = []
    for _ in range(KILLS):
        with DaemonProcess(host, state_dir, "--speed", 3_600) as daemon:
            daemon.ready()
            said, wanted = len(daemon.said.splitlines()), dice.randrange(1, 12)
            daemon.until(_has_said_more(daemon, said + wanted))
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            assert "NOT RECONCILED" not in daemon.said, daemon.said
        records = journal(state_dir)
        decided = [one.body["ts_event"] for one in records if one.kind is Kind.DECISION]
        reached.append(max(decided, default=0))

    with DaemonProcess(host, state_dir, "--speed", 3_600) as daemon:
        daemon.ready()
        assert daemon.ask("stop").code == 0
        assert "NOT RECONCILED" not in daemon.said, daemon.said

    check(state_dir)
    assert len(venue_fills(state_dir)) > KILLS
    assert reached == sorted(reached), "each daemon goes on where the last one stood"


def _has_said_more(daemon: DaemonProcess, lines: int) -> Callable[[], bool]:
    return lambda: len(daemon.said.splitlines()) >= lines
