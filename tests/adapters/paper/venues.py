"""A small paper venue for tests, and orders for it."""

from decimal import Decimal

from adapters.paper.ledger import AccountKind
from adapters.paper.orders import Kind, OrderRequest, Side, VenueInstrument
from adapters.paper.state import Archive, Submit, VenueConfig
from adapters.paper.venue import PaperVenue

BTC = "BTCUSDT.DEMO"


def make_venue(
    account: AccountKind = AccountKind.MARGIN,
    archive: Archive | None = None,
    name: str = BTC,
    price_precision: int = 2,
) -> PaperVenue:
    instrument = VenueInstrument(
        name, "BTC", "USDT", price_precision, 3, Decimal(1).scaleb(-price_precision), Decimal("0.001")
    )
    config = VenueConfig("DEMO", account, {"USDT": Decimal(1_000)})
    return PaperVenue(
        config, [instrument], lambda _, quantity, price, *__: quantity * price * 0.001, archive=archive
    )


def market(name: str, side: Side, quantity: str, owner: str = "A", **more: object) -> Submit:
    order = OrderRequest(name, BTC, side, Kind.MARKET, Decimal(quantity), owner=owner, **more)  # type: ignore[arg-type]
    return Submit((order,))


def limit(name: str, side: Side, quantity: str, price: str, owner: str = "A") -> Submit:
    order = OrderRequest(name, BTC, side, Kind.LIMIT, Decimal(quantity), Decimal(price), owner=owner)
    return Submit((order,))


def stop(name: str, side: Side, quantity: str, trigger: str, owner: str = "A") -> Submit:
    order = OrderRequest(
        name, BTC, side, Kind.STOP_MARKET, Decimal(quantity), None, Decimal(trigger), owner=owner
    )
    return Submit((order,))
