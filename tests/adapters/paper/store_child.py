"""Trades at a paper venue on disk and says on standard output what was acknowledged, until it is killed.

``python store_child.py FILE FIRST`` sends orders named FIRST, FIRST + 1, ...; a line is written only once the
venue has answered, so whoever reads it may rely on the file.
"""

import os
import sys
from itertools import count
from pathlib import Path

from adapters.paper.book import MarketQuote
from adapters.paper.gateway import PaperGateway
from adapters.paper.orders import Side, VenueEvent
from adapters.paper.store import VenueStore
from tests.adapters.paper.venues import BTC, limit, make_venue, market


def main(path: Path, first: int) -> None:
    store = VenueStore(path)
    venue = make_venue(archive=store)
    store.restore(venue)
    gateway = PaperGateway(venue, store)
    gateway.connect(_acknowledge)
    ts = venue.state.ts
    for number in count(first):
        name = f"N-{number}"
        # Purchases and sales in turn fill at once; every third order rests, and fills some orders later.
        rests = number % 3 == 2
        side = Side.BUY if number % 2 else Side.SELL
        gateway.send(limit(name, Side.BUY, "0.002", "50.00") if rests else market(name, side, "0.002"))
        for price in (100.0, 50.0) if number % 7 == 6 else (100.0,):
            ts += 1_000
            gateway.on_quote(BTC, MarketQuote(ts, price, price, 1e6, 1e6))
            gateway.settle(ts)


def _acknowledge(events: list[VenueEvent]) -> None:
    lines = (
        f"{event.kind} {event.client_order_id} {event.fill.trade_id if event.fill else '-'}\n"
        for event in events
    )
    os.write(1, "".join(lines).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
