"""What all strategies together hold and may come to hold, for the limits of the account."""

from collections.abc import Iterable
from typing import NamedTuple

from strategies.delivery import still_to_fill
from strategies.strategy import PolicyStrategy


class Exposure(NamedTuple):
    """Sums over strategies and instruments at their last closes, quote currency."""

    gross: float
    """Absolute positions, each with whichever of its working orders make most of it."""
    net: float
    """Signed positions, working orders left out."""
    buying: float
    """Still to be bought by working orders; protective stops and targets are none."""
    selling: float
    """Likewise to be sold, positive."""


def exposure_of(strategies: Iterable[PolicyStrategy]) -> Exposure:
    """Add up what is held and what working orders have still to do."""
    gross = net = buying = selling = 0.0
    for strategy in strategies:
        pipeline = strategy.pipeline
        ledger = pipeline.stages.ledger
        gross += ledger.gross_exposure
        net += ledger.net_exposure
        working = strategy.door.working_entries()
        if not working:
            continue
        index_of = {one.instrument_id: at for at, one in enumerate(pipeline.instruments)}
        busy, buys, sells = still_to_fill(working, index_of)
        for at in busy:
            close, held = ledger.closes[at], ledger.positions[at]
            worst = max(abs(held), abs(held + buys[at]), abs(held - sells[at]))
            gross += (worst - abs(held)) * close
            buying += buys[at] * close
            selling += sells[at] * close
    return Exposure(gross, net, buying, selling)
