"""After a restart: each strategy gets back what the paper venue holds for it, before it starts.

The node asks every execution client for a mass status, one client after the other, before the strategies
start, and gives an order it does not know to the strategy that claims its instrument. Only one strategy may
claim an instrument at a time, so there is one `RecoveryClient` a strategy: on its turn it lets its strategy
claim, and reports that strategy's orders and position. Nobody's callbacks run; commands for those orders go
to the venue's main client, because the venue's name routes them.

What else was tried with rc7: one client that reports everything leaves all to EXTERNAL, as does reporting
while it connects; reporting after the start, with claims in turns, works but runs the strategies' callbacks
for what is long known; the cache takes no orders from outside; two clients for one venue are refused.

A position comes back as one execution at its average price, so that reports do not grow with history; what
was realised before is not the node's to know. Executions of orders that still work come back as they were.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

from nautilus_trader.common import Clock
from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.live import ClientCache
from nautilus_trader.live.clients import ExecutionClientFactory
from nautilus_trader.model import ExecutionMassStatus, InstrumentId, TraderId, Venue

from adapters.paper import translate
from adapters.paper.claims import OrderClaims
from adapters.paper.client import PaperExecutionClient, PaperExecutionClientConfig
from adapters.paper.gateway import PaperGateway
from adapters.paper.intake import new_order
from adapters.paper.orders import Fill, Order, RefusalError, Side, VenueInstrument
from adapters.paper.venue import PaperVenue


class RecoveryClientConfig(PaperExecutionClientConfig):
    """How a recovery client is wired.

    Args:
        gateway: The line to the venue.
        owner: Engine's id of the strategy whose orders and positions it reports.
        claims: Who claims.
    """

    def __init__(self, *, gateway: PaperGateway, owner: str, claims: OrderClaims, **_: object) -> None:
        super().__init__(gateway=gateway)
        self.owner = owner
        self.turns = claims


class RecoveryClient(PaperExecutionClient):
    """Reports one strategy's share of the account at the start; hears and sends nothing afterwards."""

    config: RecoveryClientConfig

    async def _connect(self) -> None: ...

    async def _disconnect(self) -> None: ...

    async def _generate_mass_status(self, lookback_mins: int | None) -> ExecutionMassStatus:  # noqa: ARG002
        owner, venue = self.config.owner, self._paper
        self.config.turns.give_to(owner, [InstrumentId.from_str(name) for name in sorted(venue.instruments)])
        living = [*_living(venue, owner), *_travelling(venue, owner)]
        fills = [fill for order in living for fill in venue.fills_of(order.client_order_id)]
        reported = ExecutionMassStatus(
            self.client_id, self.account_id, Venue(self.client_id.value), self._now()
        )
        for name in sorted(venue.instruments):
            opening = _opening(venue, name, owner, [one for one in fills if one.instrument_id == name])
            if opening is not None:
                # Trade ids are short, names of strategies and instruments need not be.
                digest = hashlib.blake2b(f"{owner} {name}".encode(), digest_size=8).hexdigest()
                order_report, fill_report = translate.opening_reports(
                    *opening, f"OPENING-{digest}", self.account_id, self._now()
                )
                reported.add_order_reports([order_report])
                reported.add_fill_reports([fill_report])
        reported.add_order_reports([self._status(order) for order in living])
        reported.add_fill_reports([self._fill(fill) for fill in fills])
        return reported


class RecoveryClientFactory(ExecutionClientFactory):
    """Makes the client for a node under construction."""

    @staticmethod
    def create(
        *,
        name: str,
        config: ExecutionClientConfig,
        cache: ClientCache,
        clock: Clock,
        trader_id: TraderId,
    ) -> RecoveryClient:
        """Make the client; it reports when the node starts."""
        if not isinstance(config, RecoveryClientConfig):
            raise TypeError(f"expected RecoveryClientConfig, found {type(config).__name__}")
        return RecoveryClient(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            trader_id=trader_id,
            venue=Venue(name),  # of its own: the venue's name routes to the main client
            **config.account_parts,
        )


def owners(venue: PaperVenue) -> list[str]:
    """List those who have a living order or a position, sorted."""
    living = {order.owner for order in venue.state.orders.values() if not order.state.is_closed}
    sent = {request.owner for request in venue.travelling()}
    holders = {
        owner
        for held in venue.state.ledger.positions.values()
        for owner, position in held.items()
        if position.quantity
    }
    return sorted(living | sent | holders)


def _living(venue: PaperVenue, owner: str) -> list[Order]:
    return [one for one in venue.state.orders.values() if one.owner == owner and not one.state.is_closed]


def _travelling(venue: PaperVenue, owner: str) -> Iterator[Order]:
    for request in venue.travelling():
        # One that will be refused on arrival needs no owner: its refusal concerns nobody any more.
        with contextlib.suppress(RefusalError, KeyError):
            rules = venue.instruments[request.instrument_id]
            if request.owner == owner and venue.order(request.client_order_id) is None:
                yield new_order(request, rules, venue.config.venue, venue.state.ts, 0)


def _opening(
    venue: PaperVenue, name: str, owner: str, reported: Sequence[Fill]
) -> tuple[VenueInstrument, Side, Decimal, Decimal, int] | None:
    """Find what an owner held before the executions that are reported as they were: side, quantity, price."""
    position, rules = venue.state.ledger.position(name, owner), venue.instruments[name]
    held = rules.quantity(position.quantity)
    value = held * position.average
    for fill in reported:
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        held, value = held - signed, value - signed * fill.price
    if not held:
        return None
    # Executions that made the position smaller left its average as it was.
    mixed = value / held <= 0 or any((fill.side is Side.BUY) != (held > 0) for fill in reported)
    price = position.average if mixed else value / held
    return rules, Side.BUY if held > 0 else Side.SELL, abs(held), price, position.ts_last
