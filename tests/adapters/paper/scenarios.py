"""Random order streams over random bars, and the paper venue's run of one.

A scenario is plain JSON, so that `engine_run.py` can put the same one through the backtest engine. Limit
orders and brackets stay below the quarter of a bar's volume that is displayed at one time, because what is
left of a partly filled limit order is where the two differ by intent (see `adapters.paper.venue`).
"""

import random
from decimal import Decimal
from typing import Any

from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.ledger import AccountKind
from adapters.paper.orders import (
    Contingency,
    Kind,
    OrderRequest,
    Side,
    TimeInForce,
    VenueInstrument,
)
from adapters.paper.state import Archive, Cancel, Submit, VenueConfig
from adapters.paper.venue import PaperVenue

type Scenario = dict[str, Any]

MINUTE = 60_000_000_000
START = 1_700_000_040_000_000_000
NAMES = ("BTCUSDT.DEMO", "ETHUSDT.DEMO")


def random_scenario(seed: int, account: str = "MARGIN", num_bars: int = 150) -> Scenario:
    rng = random.Random(seed)
    bars = {name: _random_bars(rng, 10_000 + 5_000 * k, num_bars) for k, name in enumerate(NAMES)}
    actions: dict[str, list[dict[str, Any]]] = {}
    sent: list[str] = []
    for number in range(num_bars - 1):
        for name in NAMES:
            if rng.random() < 0.25:
                close = round(bars[name][number][3] * 100)
                action = _random_action(rng, f"O-{seed}-{len(sent)}", name, close, account, sent)
                actions.setdefault(str(number), []).append(action)
                sent.append(action["id"])
                if action["do"] == "bracket":
                    sent += [action["id"] + "-SL", action["id"] + "-TP"]
    return {
        "bars": bars,
        "actions": actions,
        "start": START,
        "quote_size": rng.choice([1e6, 5.0]),
        "account": account,
        "balances": ["100000000 USDT"],
        "nearest_extreme_first": bool(seed % 2),
    }


def _random_bars(rng: random.Random, price: int, num_bars: int) -> list[list[float]]:
    rows = []
    for _ in range(num_bars):
        opened = price + rng.choice([0, 0, 0, 1, -1, rng.randint(-80, 80)])
        closed = max(1_000, opened + rng.randint(-60, 60))
        high = max(opened, closed) + rng.choice([0, rng.randint(0, 60)])
        low = min(opened, closed) - rng.choice([0, rng.randint(0, 60)])
        volume = 0 if rng.random() < 0.05 else rng.randint(4_000, 40_000)
        rows.append([opened / 100, high / 100, low / 100, closed / 100, volume / 1_000])
        price = closed
    return rows


def _random_action(
    rng: random.Random, name: str, instrument_id: str, close: int, account: str, sent: list[str]
) -> dict[str, Any]:
    do = rng.choice(["market", "limit", "stop", "bracket", "bracket", "cancel"])
    if do == "cancel" and sent:
        return {"do": "cancel", "id": rng.choice(sent)}
    # A cash account holds what it sells: it buys freely and sells to reduce.
    reduce_only = do == "market" and rng.random() < (0.6 if account == "CASH" else 0.3)
    buys = rng.random() < 0.5 if account == "MARGIN" else not reduce_only
    sign = 1 if buys else -1
    size = rng.randint(1, 500)
    if do in ("market", "stop") and rng.random() < 0.5:
        size = rng.randint(1_000, 12_000)
    action: dict[str, Any] = {
        "do": do,
        "id": name,
        "instrument_id": instrument_id,
        "side": "BUY" if buys else "SELL",
        "quantity": size / 1_000,
        "reduce_only": reduce_only,
        "time_in_force": rng.choice(["GTC", "GTC", "IOC", "FOK"]),
    }
    if do == "limit":
        action["price"] = (close + sign * rng.randint(-90, 30)) / 100
    elif do == "stop":
        action["trigger"] = (close + sign * rng.randint(-15, 90)) / 100
    elif do == "bracket":
        entry = close + sign * rng.randint(-60, 20) if rng.random() < 0.5 else None
        level = entry or close
        action["entry"] = None if entry is None else entry / 100
        action["target"] = (level + sign * rng.randint(5, 120)) / 100
        action["stop"] = (level - sign * rng.randint(5, 120)) / 100
    elif do == "cancel":
        action["do"] = "market"
    return action


def make_venue(scenario: Scenario, archive: Archive | None = None) -> PaperVenue:
    instruments = [
        VenueInstrument(
            name, name[:3], "USDT", 2, 3, Decimal("0.01"), Decimal("0.001"), margin_init_frac=Decimal(0)
        )
        for name in scenario["bars"]
    ]
    balances = {text.split()[1]: Decimal(text.split()[0]) for text in scenario["balances"]}
    config = VenueConfig(
        "DEMO",
        AccountKind(scenario["account"]),
        balances,
        nearest_extreme_first=scenario["nearest_extreme_first"],
    )
    return PaperVenue(config, instruments, _maker_taker, archive)


def _maker_taker(
    instrument_id: str, quantity: float, price: float, is_maker: bool, bar_volume: float
) -> float:
    del instrument_id, bar_volume
    rate = Decimal("0.0002") if is_maker else Decimal("0.0005")
    return float(_decimal(quantity) * _decimal(price) * rate)


def play(venue: PaperVenue, scenario: Scenario, first: int, last: int) -> list[list[Any]]:
    """Run some bars of a scenario and give the fills in the form in which `engine_run` prints them."""
    fills: list[list[Any]] = []
    for number in range(first, last):
        opened = scenario["start"] + number * MINUTE
        size = scenario["quote_size"]
        for name, rows in scenario["bars"].items():
            venue.on_quote(name, MarketQuote(opened + 1, rows[number][0], rows[number][0], size, size))
        venue.settle(opened + 1)
        for name, rows in scenario["bars"].items():
            venue.on_bar(name, MarketBar(opened + MINUTE, *rows[number]))
        venue.settle(opened + MINUTE)
        for action in scenario["actions"].get(str(number), []):
            _send(venue, action)
        fills += [
            [
                event.fill.client_order_id,
                event.ts_event,
                str(event.fill.side),
                str(event.fill.quantity),
                str(event.fill.price),
                "MAKER" if event.fill.is_maker else "TAKER",
                f"{event.fill.commission:f}",
            ]
            for event in venue.take_events()
            if event.fill is not None
        ]
    return fills


def _send(venue: PaperVenue, action: dict[str, Any]) -> None:
    if action["do"] == "cancel":
        order = venue.order(action["id"])
        if order is not None and order.is_open:
            venue.send(Cancel(action["id"]))
    elif action["do"] == "bracket":
        venue.send(Submit(_bracket(action)))
    else:
        kind = {"market": Kind.MARKET, "limit": Kind.LIMIT, "stop": Kind.STOP_MARKET}[action["do"]]
        force = TimeInForce.GTC if kind is Kind.STOP_MARKET else TimeInForce(action["time_in_force"])
        venue.send(
            Submit(
                (
                    _request(
                        action,
                        action["id"],
                        Side(action["side"]),
                        kind,
                        price=action.get("price"),
                        trigger=action.get("trigger"),
                        time_in_force=force,
                        reduce_only=action["reduce_only"],
                    ),
                )
            )
        )


def _bracket(action: dict[str, Any]) -> tuple[OrderRequest, ...]:
    name, side = action["id"], Side(action["side"])
    out = Side.SELL if side is Side.BUY else Side.BUY
    stop, target, entry = f"{name}-SL", f"{name}-TP", action["entry"]
    exits = {"parent_id": name, "reduce_only": True, "contingency": Contingency.OUO}
    return (
        _request(
            action,
            name,
            side,
            Kind.MARKET if entry is None else Kind.LIMIT,
            price=entry,
            contingency=Contingency.OTO,
            linked_ids=(stop, target),
        ),
        _request(action, stop, out, Kind.STOP_MARKET, trigger=action["stop"], linked_ids=(target,), **exits),
        _request(action, target, out, Kind.LIMIT, price=action["target"], linked_ids=(stop,), **exits),
    )


def _request(
    action: dict[str, Any],
    name: str,
    side: Side,
    kind: Kind,
    price: float | None = None,
    trigger: float | None = None,
    **more: Any,
) -> OrderRequest:
    return OrderRequest(
        name,
        action["instrument_id"],
        side,
        kind,
        _decimal(action["quantity"]),
        None if price is None else _decimal(price),
        None if trigger is None else _decimal(trigger),
        owner="T-001",
        **more,
    )


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
