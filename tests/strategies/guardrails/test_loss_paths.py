"""What is lost beyond a limit: over thousands of markets with gaps, never more than one bar's gap and costs.

The real pipeline decides at each close, and what it asks for fills at the next open, wherever that is. The
policy wants as much risk as it can get, in a direction that changes; when a limit is reached it gives up its
position once, and from then on asks for risk again at every bar. Profit and loss are reckoned here, from
prices and fills alone, with none of the code under test.
"""

import math
import os
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest

from strategies.config import StrategyConfig
from strategies.decision import Conditions, DecisionPipeline, Stages
from strategies.features import FeaturePipeline
from strategies.guardrails import GuardrailChain, RiskBook, TradingState
from strategies.guardrails.losses import LossLatch, Watermark
from strategies.market import BarRow, Instrument, Panel
from strategies.observation import Observation, ObservationBuilder
from strategies.orders import Bracket, Identity, OrderSide
from strategies.policies import Action
from strategies.portfolio import Ledger
from strategies.sizing import Sizer

PATHS = int(os.environ.get("ARGONAUT_LOSS_PATHS", "10000"))
PARTS = 4
MINUTE, DAY = 60_000_000_000, 86_400_000_000_000
BARS = 12
MIDNIGHT_BAR = 8
"""The bar that begins the second day, so that a limit must hold for a day and may let go after it."""
START = 19_723 * DAY - MIDNIGHT_BAR * MINUTE
CAPITAL, MAX_GROSS = 10_000.0, 10_000.0
DAILY_LOSS, DRAWDOWN_FRAC = 300.0, 0.05
FEE_FRAC, HALF_SPREAD_FRAC = 0.001, 0.0005
LOT = 0.001

RULES = Instrument(
    instrument_id="ALPHAUSDT.DEMO", base_currency="ALPHA", quote_currency="USDT", tick_size=Decimal("0.01"),
    lot_size=Decimal(str(LOT)), min_quantity=Decimal(str(LOT)), min_notional=Decimal(1), maker_fee_bps=1.0,
    taker_fee_bps=2.0, shortable=True,
)  # fmt: skip


def config(**limits: Any) -> StrategyConfig:
    guardrails: dict[str, Any] = {
        "min_confidence": 0.0, "daily_loss_quote": None, "drawdown_frac": None, "state_drawdown_quote": None,
        "max_daily_notional_quote": None, "max_notional_quote": None, "max_gross_quote": MAX_GROSS,
        "max_participation_frac": None, "cooldown_secs": 0.0, "max_orders_per_minute": 1_000,
        "max_spread_bps": None, "price_collar_bps": None, "allow_short": True,
    }  # fmt: skip
    document: dict[str, Any] = {
        "name": "one",
        "instruments": (RULES.instrument_id,),
        "capital_quote": CAPITAL,
        "features": {"lookback": 1, "columns": ({"kind": "log_return", "params": {"period": 1}},)},
        "policy": {"kind": "flat"},
        "allocation": {"max_step_change": 10.0, "rebalance_eps": 0.0},
        "sizing": {"cash_buffer_frac": 0.0},
        "guardrails": guardrails | limits,
    }
    return StrategyConfig(**document)


DAILY = config(daily_loss_quote=DAILY_LOSS, loss_readings=3)
PEAK = config(drawdown_frac=DRAWDOWN_FRAC, loss_readings=1)
CLOSED_DAILY = config(daily_loss_quote=DAILY_LOSS, loss_readings=1, close_at_loss_limit=True)
CLOSED_PEAK = config(drawdown_frac=DRAWDOWN_FRAC, loss_readings=1, close_at_loss_limit=True)
"""With these the policy never gives up by itself."""


class Wanting:
    """Wants what it was told last."""

    name = "wanting"
    required_columns: tuple[str, ...] = ()
    policy_id = "p" * 64
    weight = 0.0

    def act(self, observation: Observation) -> Action:
        return Action((self.weight,))

    def reset(self) -> None: ...


class Market(NamedTuple):
    """One path: opens and closes of each bar, and what the policy wants at each close."""

    opens: list[float]
    closes: list[float]
    wants: list[float]


def market(seed: int) -> Market:
    """Bars that move by 1 % or so, and gaps between them of which one in six is up to 30 %."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(BARS) < 1 / 6, rng.uniform(-0.3, 0.3, BARS), rng.normal(0.0, 0.002, BARS))
    moves = rng.normal(0.0, 0.01, BARS)
    closes = 100.0 * np.cumprod((1.0 + gaps) * np.exp(moves))
    wants = np.where(rng.random(BARS) < 0.5, -1.0, 1.0) * rng.choice([0.5, 1.0, 3.0], BARS)
    return Market((closes / np.exp(moves)).tolist(), closes.tolist(), wants.tolist())


class Account:
    """Money and units as a stranger reckons them."""

    def __init__(self) -> None:
        self.cash, self.units, self.paid = CAPITAL, 0.0, 0.0

    def worth(self, price: float) -> float:
        return self.cash + self.units * price

    def trade(self, quantity: float, open_price: float) -> tuple[float, float]:
        """Fill at the open; price and fee."""
        price = open_price * (1.0 + math.copysign(HALF_SPREAD_FRAC, quantity))
        fee = abs(quantity) * price * FEE_FRAC
        self.cash -= quantity * price + fee
        self.units = round(self.units + quantity, 3)
        self.paid += abs(quantity) * (abs(price - open_price)) + fee
        return price, fee


def make_pipeline(settings: StrategyConfig) -> tuple[DecisionPipeline, Wanting]:
    features, policy = FeaturePipeline(settings.features, 1), Wanting()
    stages = Stages(
        features=features,
        regime=None,
        observation=ObservationBuilder(
            lookback=1, num_instruments=1, num_features=1, num_states=0, columns=features.columns
        ),
        policy=policy,
        sizer=Sizer(settings.sizing, [RULES], 525_600.0),
        guardrails=GuardrailChain(settings.guardrails, [RULES], None),
        book=RiskBook(settings.guardrails, 1, settings.capital_quote),
        ledger=Ledger([RULES], settings.capital_quote),
    )
    return DecisionPipeline(settings, [RULES], stages, Identity("one", Wanting.policy_id, "c" * 64)), policy


class Watch:
    """The limit as a stranger reckons it: when it is reached, and what may be lost beyond it then.

    Args:
        limit_of: The limit, by the equity that losses count from.
        readings: Closes in a row at the limit that make it hold for good.
    """

    def __init__(self, limit_of: Callable[[float], float], readings: int) -> None:
        self._limit_of, self._readings = limit_of, readings
        self.times = 0
        """How often it was reached."""
        self.worst = -math.inf
        """By how much the loss went beyond what may be, at the worst."""
        self.restart(CAPITAL)

    def restart(self, reference: float) -> None:
        self.reference, self.allowed, self._in_a_row, self.gives_up = reference, math.inf, 0, False

    def read(self, worth: float, at_risk: float, costs: float) -> None:
        """Take the equity at a close, and what may come on top of the limit if it is reached only now."""
        loss, limit = self.reference - worth, self._limit_of(self.reference)
        self.gives_up = False
        if loss >= limit:
            self._in_a_row += 1
            if self.allowed == math.inf:
                self.allowed, self.gives_up, self.times = limit + at_risk + costs, True, self.times + 1
        elif self._in_a_row < self._readings:
            self._in_a_row, self.allowed = 0, math.inf
        self.worst = max(self.worst, loss - self.allowed)


def play(settings: StrategyConfig, seed: int) -> Watch:
    """Play one path."""
    pipeline, policy = make_pipeline(settings)
    path, account, is_daily = market(seed), Account(), settings.guardrails.daily_loss_quote is not None
    gives_up_itself = not settings.guardrails.close_at_loss_limit
    limit_of = (lambda _: DAILY_LOSS) if is_daily else (lambda peak: DRAWDOWN_FRAC * peak)
    watch = Watch(limit_of, settings.guardrails.loss_readings)
    sent: list[float] = []
    worth, last = CAPITAL, path.opens[0]
    for bar, (open_price, close) in enumerate(zip(path.opens, path.closes, strict=True)):
        before, held, paid = worth, abs(account.units), account.paid
        for quantity in sent:
            pipeline.stages.ledger.apply_fill(0, quantity, *account.trade(quantity, open_price))
        worth, held = account.worth(close), max(held, abs(account.units))
        if is_daily and bar == MIDNIGHT_BAR:
            watch.restart(before)
        elif not is_daily and watch.allowed == math.inf:
            watch.reference = max(watch.reference, worth)
        # From the last close within the limit to the open at which the position is given up.
        later = path.opens[bar + 1] if bar + 1 < BARS else close
        moved = abs(open_price - last) + abs(close - open_price) + abs(later - close)
        costs = account.paid - paid + held * later * (FEE_FRAC + HALF_SPREAD_FRAC)
        watch.read(worth, held * moved, costs)
        policy.weight = 0.0 if watch.gives_up and gives_up_itself else path.wants[bar]
        sent, last = decide(pipeline, START + bar * MINUTE, close), close
    return watch


def decide(pipeline: DecisionPipeline, ts_event: int, close: float) -> list[float]:
    """What is sent at a close, signed base units."""
    if not pipeline.observe(Panel(ts_event, (BarRow(ts_event, close, close, close, close, 1e9),))):
        return []
    conditions = Conditions(
        TradingState.ACTIVE, True, ts_event, True, frozenset(), frozenset(), None, (), (), 0.0
    )
    orders = pipeline.decide(conditions).orders
    entries = [order.entry if isinstance(order, Bracket) else order for order in orders]
    return [order.quantity if order.side is OrderSide.BUY else -order.quantity for order in entries]


def first_breach(settings: StrategyConfig, seeds: Iterable[int]) -> tuple[int | None, int]:
    """The first path on which more was lost than may be, and on how many before it a limit was reached."""
    count = 0
    for seed in seeds:
        watch = play(settings, seed)
        count += watch.times > 0
        if watch.worst > 1e-6:
            return seed, count
    return None, count


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    "settings",
    [DAILY, PEAK, CLOSED_DAILY, CLOSED_PEAK],
    ids=["daily_loss", "drawdown", "daily_loss closed", "drawdown closed"],
)
def test_loss_beyond_a_limit_is_at_most_one_bars_gap_and_costs(settings: StrategyConfig, part: int) -> None:
    seeds = range(part, PATHS // 4, PARTS)

    breach, reached = first_breach(settings, seeds)

    assert breach is None
    assert reached > len(seeds) // 3


def _deaf_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LossLatch, "read", lambda self, loss: False)


def _latch_that_lets_go(patch: pytest.MonkeyPatch) -> None:
    read = LossLatch.read

    def forgetful(self: LossLatch, loss: float) -> bool:
        latched = read(self, loss)
        self.blocking = loss >= self.limit and not self.latched
        return latched

    patch.setattr(LossLatch, "read", forgetful)


def _day_at_every_bar(patch: pytest.MonkeyPatch) -> None:
    mark = RiskBook.mark

    def restarting(self: RiskBook, ts_event: int, equity: float, regime_state: int | None) -> Any:
        self._begin_day()
        return mark(self, ts_event, equity, regime_state)

    patch.setattr(RiskBook, "mark", restarting)


def _peak_that_follows_down(patch: pytest.MonkeyPatch) -> None:
    def update(self: Watermark, value: float) -> float:
        self.peak = value
        return value

    patch.setattr(Watermark, "update", update)


def _close_that_is_left_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GuardrailChain, "given_up", lambda self, target, book: target)


def _limit_twice_as_wide(patch: pytest.MonkeyPatch) -> None:
    init = LossLatch.__init__

    def generous(self: LossLatch, limit: float | None, readings: int) -> None:
        init(self, None if limit is None else 2.0 * limit, readings)

    patch.setattr(LossLatch, "__init__", generous)


@pytest.mark.parametrize(
    ("plant", "settings"),
    [
        (_deaf_guard, DAILY),
        (_deaf_guard, PEAK),
        (_latch_that_lets_go, DAILY),
        (_latch_that_lets_go, PEAK),
        (_day_at_every_bar, DAILY),
        (_peak_that_follows_down, PEAK),
        (_close_that_is_left_out, CLOSED_DAILY),
        (_close_that_is_left_out, CLOSED_PEAK),
        (_limit_twice_as_wide, DAILY),
        (_limit_twice_as_wide, PEAK),
    ],
)
def test_planted_bug_in_a_loss_limit_is_caught(
    plant: Any, settings: StrategyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    breach, _ = first_breach(settings, range(500))

    assert breach is not None
