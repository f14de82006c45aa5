"""What must hold after any crash, seen from outside: by the venue's file and the journal's bytes."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from adapters.paper.orders import Fill
from adapters.paper.store import VenueStore
from ops.disk import LocalDisk
from ops.journal import Kind, Record, load_verify_key, public_path, read_chain
from ops.journal.records import decode
from ops.state_dir import JOURNAL, JOURNAL_KEY
from tests.support.command import DaemonProcess

READY_SECS = 10.0
"""Of processor time: what a daemon may take until it is ready, however busy the machine is."""


def journal_of(state_dir: Path) -> list[Record]:
    """Every record, from a chain that verifies; none where the journal was never begun."""
    disk = LocalDisk()
    if not (state_dir / JOURNAL).is_dir():
        return []
    key = load_verify_key(disk, public_path(state_dir / JOURNAL_KEY))
    records: list[Record] = []
    read_chain(disk, state_dir / JOURNAL, key, lambda line: records.append(decode(line.content)))
    return records


def fills_at_venue(state_dir: Path) -> list[Fill]:
    """What the venue executed; only while no daemon runs."""
    with closing(VenueStore(state_dir / "paper-venue.sqlite")) as store:
        return store.fills_since(0)


def check_well(daemon: DaemonProcess) -> None:
    """A daemon that is ready, or has ended, found nothing wrong and halted nothing."""
    assert "NOT RECONCILED" not in daemon.said, daemon.said
    assert "HALTED" not in daemon.said, daemon.said
    assert " was halted" not in daemon.said, daemon.said


def check_books(state_dir: Path) -> None:
    """Nothing doubled, nothing lost: of a daemon that came back after its crashes and ended in order."""
    records, fills = journal_of(state_dir), fills_at_venue(state_dir)
    intents: dict[str, dict[str, Any]] = {}
    for record in records:
        for intent in record.body["intents"] if record.kind is Kind.INTENT else ():
            assert intent["client_order_id"] not in intents, "one decision was written down twice"
            intents[intent["client_order_id"]] = intent
    booked = [record.body for record in records if record.kind is Kind.FILL]
    executed: Counter[str] = Counter()
    for fill in fills:
        executed[fill.client_order_id] += float(fill.quantity)  # type: ignore[assignment]

    assert set(executed) <= set(intents), "an order left without an intent"
    assert Counter(fill.trade_id for fill in fills) == Counter(body["trade_id"] for body in booked)
    assert [
        own_id for own_id, quantity in executed.items() if quantity > intents[own_id]["quantity"] + 1e-9
    ] == []
    assert _held([(f.instrument_id, str(f.side), float(f.quantity)) for f in fills]) == _held(
        [(body["instrument_id"], body["side"], body["quantity"]) for body in booked]
    )


def _held(fills: list[tuple[str, str, float]]) -> dict[str, float]:
    positions: Counter[str] = Counter()
    for instrument_id, side, quantity in fills:
        positions[instrument_id] += quantity if side == "BUY" else -quantity  # type: ignore[assignment]
    return {name: round(quantity, 8) for name, quantity in positions.items() if abs(quantity) > 1e-9}
