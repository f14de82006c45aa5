"""A quiet market of three instruments in which nothing objects, to be changed one thing at a time."""

from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from strategies.config import GuardrailConfig
from strategies.guardrails import (
    AccountGuard,
    GuardrailChain,
    GuardrailContext,
    RiskBook,
    TradingState,
    Verdict,
)
from strategies.market import Instrument
from strategies.sizing import Trade

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = 19_500 * DAY + 12 * HOUR
CAPITAL = 10_000.0
CLOSES = (100.0, 50.0, 10.0)

_OFF: dict[str, Any] = {
    "min_confidence": 0.0,
    "max_spread_bps": None,
    "state_drawdown_quote": None,
    "daily_loss_quote": None,
    "max_daily_notional_quote": None,
    "min_notional_quote": 0.0,
    "max_notional_quote": None,
    "allow_short": True,
    "cooldown_secs": 0.0,
    "max_reject_rate": 1.0,
    "max_orders_per_minute": 1_000,
    "price_collar_bps": None,
    "max_participation_frac": None,
    "max_gross_quote": None,
}


def limits(**changed: Any) -> GuardrailConfig:
    """Every limit off, but for those that are named."""
    return GuardrailConfig(**(_OFF | changed))


def instrument(number: int = 0, **changed: Any) -> Instrument:
    """A hundredth of a unit is the lot; shortable; the first two share a sector."""
    values: dict[str, Any] = {
        "instrument_id": f"I{number}.SIM",
        "base_currency": f"I{number}",
        "quote_currency": "USDT",
        "tick_size": Decimal("0.01"),
        "lot_size": Decimal("0.01"),
        "min_quantity": Decimal("0.01"),
        "min_notional": Decimal(0),
        "maker_fee_bps": 1.0,
        "taker_fee_bps": 1.0,
        "shortable": True,
        "sector": "layer1" if number < 2 else "",
    }
    return Instrument(**(values | changed))


def trade(quantity: float, index: int = 0, **changed: Any) -> Trade:
    """A trade at the close."""
    values: dict[str, Any] = {"instrument_id": f"I{index}.SIM", "price": CLOSES[index]}
    return Trade(index=index, quantity=quantity, **(values | changed))


def context(**changed: Any) -> GuardrailContext:
    """Noon, flat, tight quotes, deep volume."""
    ts_event = changed.get("ts_event", NOON)
    values: dict[str, Any] = {
        "ts_event": ts_event,
        "now_ns": ts_event,
        "trading_state": TradingState.ACTIVE,
        "armed": True,
        "reconciled": True,
        "doubtful": frozenset(),
        "equity": CAPITAL,
        "cash": CAPITAL,
        "positions": [0.0, 0.0, 0.0],
        "closes": list(CLOSES),
        "bid": list(CLOSES),
        "ask": list(CLOSES),
        "bar_volumes": [1e6, 1e6, 1e6],
        "last_bar_ts": [ts_event] * 3,
        "confidence": 1.0,
        "regime_state": None,
    }
    return GuardrailContext(**(values | changed))


def with_changes(original: GuardrailContext, **changed: Any) -> GuardrailContext:
    """The same moment, but for what is named."""
    values = {part.name: getattr(original, part.name) for part in fields(original)}
    return GuardrailContext(**(values | changed))


@dataclass
class Desk:
    """A chain and a book under the same limits."""

    config: GuardrailConfig = field(default_factory=limits)
    instruments: tuple[Instrument, ...] = field(
        default_factory=lambda: tuple(instrument(n) for n in range(3))
    )
    account: AccountGuard | None = None
    marked: bool = True

    def __post_init__(self) -> None:
        self.chain = GuardrailChain(self.config, self.instruments, self.account)
        self.book = RiskBook(self.config, len(self.instruments), CAPITAL)
        if self.marked:
            self.book.mark(NOON, CAPITAL, None)

    def check(self, asked: Trade, moment: GuardrailContext | None = None, **changed: Any) -> Verdict:
        """Check a trade; what is named differs from a quiet noon."""
        return self.chain.check(asked, moment or context(**changed), self.book)


def desk(**changed: Any) -> Desk:
    """A desk with the named limits and no others."""
    return Desk(limits(**changed))
