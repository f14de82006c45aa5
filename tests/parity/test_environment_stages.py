"""The compiled training environment against the streaming stages that trade, on random markets."""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from ml.datasets import Dataset
from ml.environment import EpisodeConfig, MarketEnvironment, RewardConfig
from ml.market_state import market_of
from strategies.allocation import allocate
from strategies.config import ActionMap, AllocationConfig, CostConfig, SizingConfig
from strategies.costs import CostModel
from strategies.market import Floats, Instrument
from strategies.observation import portfolio_vector
from strategies.policies.protocol import Action
from strategies.portfolio import Ledger
from strategies.sizing import Sizer, SizingContext, fit_to_cash, plan_trades
from tests.support.market_data import random_dataset, rules_for

COSTS = CostConfig(commission_per_unit=0.002, half_spread_bps=1.5, impact_k=20.0, borrow_annual_frac=0.5)
CAPITAL = 50_000.0
BUFFER = 0.01


class StreamingBook:
    """One portfolio, a bar at a time, by the stages that trade."""

    def __init__(self, dataset: Dataset, instruments: list[Instrument], allocation: AllocationConfig) -> None:
        self.dataset, self.instruments, self.allocation = dataset, instruments, allocation
        self.ledger = Ledger(instruments, CAPITAL)
        self.costs = CostModel(COSTS, instruments)
        self.sizer = Sizer(SizingConfig(cash_buffer_frac=BUFFER), instruments, 1.0)
        self.quotes = market_of(dataset)

    def step(self, row: int, values: Floats) -> float:
        ledger, closes = self.ledger, tuple(self.dataset.close[row].tolist())
        action = Action(tuple(values.tolist()), self.allocation.action_map)
        weights = allocate(action, ledger.weights(), self.allocation)
        target = self.sizer.size(
            weights, SizingContext(ledger.equity, closes, ledger.weights(), action, None)
        )
        trades = plan_trades(target, ledger.positions, closes, self.instruments)
        spendable = ledger.cash - BUFFER * ledger.equity
        for trade in fit_to_cash(trades, spendable, self.instruments):
            quote = self.quotes[row, trade.index]
            price, volume = float(quote["fill"]), float(quote["volume"])
            cost = self.costs.trade_cost(trade.index, trade.quantity, price, volume, is_maker=False)
            ledger.apply_fill(trade.index, trade.quantity, price, cost.total)
        ledger.mark(self.dataset.close[row + 1].tolist())
        short = (ledger.gross_exposure - ledger.net_exposure) / 2.0
        elapsed = int(self.dataset.ts_event[row + 1] - self.dataset.ts_event[row])
        ledger.charge(self.costs.borrow_cost(max(short, 0.0), elapsed))
        return ledger.equity


def actions_of(rng: np.random.Generator, action_map: ActionMap, count: int) -> Iterator[Floats]:
    """Wishes that move slowly, jump, ask for nothing, or leave an instrument alone."""
    width = count + (action_map is ActionMap.SIMPLEX_CASH)
    wish = rng.standard_normal(width)
    while True:
        if rng.random() < 0.2:
            wish = 2.0 * rng.standard_normal(width)
        asked = wish + 0.1 * rng.standard_normal(width)
        if action_map is ActionMap.WEIGHTS:
            asked[rng.random(width) < 0.2] = math.nan
            asked[rng.random(width) < 0.2] = 0.0
        yield asked


@pytest.mark.parametrize(
    ("action_map", "shortable", "step"),
    list(product(ActionMap, (False, True), (0.08, 3.0))),
)
def test_environment_is_the_streaming_stages(action_map: ActionMap, shortable: bool, step: float) -> None:
    count, rows = 3, 300
    dataset = random_dataset(count, rows, seed=3 + shortable, missing_frac=0.1)
    instruments = rules_for(count, shortable=shortable, lot_size="0.01", min_notional="20")
    allocation = AllocationConfig(action_map=action_map, max_step_change=step, name_cap_frac=0.6)
    environment = MarketEnvironment(
        dataset,
        instruments,
        allocation=allocation,
        costs=COSTS,
        reward=RewardConfig(w_drawdown=0.0, w_turnover=0.0),
        episode=EpisodeConfig(start_cash=CAPITAL, randomize_start=False, ruin_frac=-math.inf),
        num_envs=2,
        cash_buffer_frac=BUFFER,
    )
    seen, _ = environment.reset(seed=1)
    rng = np.random.default_rng(5)
    wishes = [actions_of(rng, action_map, count) for _ in range(2)]
    books = [StreamingBook(dataset, instruments, allocation) for _ in range(2)]
    trades = 0

    for row in range(int(environment.rows[0]), len(dataset) - 2):
        actions = np.array([next(wish) for wish in wishes])
        seen, rewards, *_ = environment.step(actions)
        for e, book in enumerate(books):
            before, positions = book.ledger.equity, list(book.ledger.positions)
            after = book.step(row, actions[e])
            trades += positions != book.ledger.positions
            assert environment.positions[e] == pytest.approx(book.ledger.positions, abs=1e-9)
            assert environment.equity[e] == pytest.approx(after, rel=1e-12)
            assert rewards[e] == pytest.approx(math.log(after / before), abs=1e-12)
            np.testing.assert_allclose(
                seen["portfolio"][e], portfolio_vector(book.ledger), rtol=1e-5, atol=1e-8
            )
    assert trades > 100
