"""The market environment as a function that gradients flow through, for a trainer that wants them.

Flow: environment → **smooth_market** → pathwise.

Prices do not depend on what a portfolio holds, so its worth is a differentiable function of its actions:
maps, caps, throttle, cash, costs with square-root impact and borrow fees are smooth almost everywhere. Two
things are not, and are treated so:

- Whole lots and the venue's smallest order are ignored: a position is a real number.
- The gate ``rebalance_eps`` drops a small change as it should, but lets its gradient through, costs aside; a
  policy whose every wish lies under the gate would learn nothing otherwise.

The definitions are those of `ml.market_step`; a test plays both and compares.
"""

import numpy as np
import torch
from torch import Tensor

from ml.environment import MarketEnvironment
from ml.market_state import DELTA_NAV, DIFFERENTIAL_SHARPE, LOG_NAV, SIMPLEX_CASH, TANH_LEVERAGE, WEIGHTS
from ml.views import MarketView
from strategies.costs import YEAR_NS
from strategies.errors import ConfigError
from strategies.portfolio import VOLATILITY_HALFLIFE_BARS

type State = dict[str, Tensor]
"""What changes from step to step, each of shape (E, ...)."""

_DECAY = 0.5 ** (1.0 / VOLATILITY_HALFLIFE_BARS)
_BPS = 1e-4
_SMALLEST_GROWTH = 1e-6


class SmoothMarket:
    """Any number of portfolios on the market of an environment; a bar a step, in float64.

    Args:
        environment: Whose data, rules, costs, reward and episodes these are; with ``observe_rows``.
        device: Where tensors are.

    Raises:
        ConfigError: If its actions are choices, or its reward is the differential Sharpe ratio.
    """

    def __init__(self, environment: MarketEnvironment, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self.view = MarketView(environment, self._device)
        self.shapes, self.scaling = self.view.shapes, self.view.scaling
        if environment.is_discrete:
            raise ConfigError("gradients need actions that are numbers: set is_discrete = False")
        self.rules, self.terms = environment.rules[0], environment.terms[0]
        if self.terms["base"] == DIFFERENTIAL_SHARPE:
            raise ConfigError("expected the reward log_nav or delta_nav, found differential_sharpe")
        self.episode = environment.episode
        quotes = environment.quotes
        self._fill, self._close, self._volume = (self._tensor(quotes[n]) for n in ("fill", "close", "volume"))
        self._fee_bps = self._tensor(environment.names["taker_fee_bps"]) + float(
            self.rules["half_spread_bps"]
        )
        self._shortable = torch.as_tensor(environment.names["shortable"].copy(), device=self._device)
        self._years = self._tensor(np.diff(environment.dataset.ts_event) / YEAR_NS)
        self._starts = torch.as_tensor(environment.starts, device=self._device)

    def begin(self, count: int, generator: torch.Generator) -> State:
        """Portfolios of nothing but cash, where episodes begin."""
        names = self.shapes.num_instruments
        if self.episode.randomize_start:
            drawn = torch.randint(len(self._starts), (count,), generator=generator)
            row = self._starts[drawn.to(self._device)]
        else:
            row = self._starts[:1].repeat(count)
        horizon = self.episode.horizon_bars
        state = {
            "row": row,
            "end": torch.full_like(row, len(self._close) - 1) if horizon is None else row + horizon,
            "bars_held": torch.zeros((count, names), dtype=torch.int64, device=self._device),
        }
        for name in ("position", "average", "unrealised"):
            state[name] = torch.zeros((count, names), dtype=torch.float64, device=self._device)
        for name in ("drawdown", "variance", "turnover", "realised"):
            state[name] = torch.zeros(count, dtype=torch.float64, device=self._device)
        for name in ("cash", "equity", "peak", "last_equity"):
            state[name] = torch.full_like(state["realised"], self.episode.start_cash)
        return state

    def room(self, state: State) -> Tensor:
        """Steps that are left to each, shape (E,)."""
        return state["end"] - state["row"]

    def ahead(self, state: State, steps: int) -> Tensor:
        """Windows of scores of this and the next decisions, step by step: shape (steps · E, L, N, F)."""
        later = torch.arange(steps, device=self._device)[:, None]
        return self.view.windows((state["row"] + later).flatten())

    def vector(self, state: State) -> Tensor:
        """What is read beside the window, float32, shape (E, V)."""
        equity, capital = state["equity"], self.episode.start_cash
        inverse = torch.where(equity > 0.0, 1.0 / torch.where(equity > 0.0, equity, 1.0), 0.0)
        values = state["position"] * self._close[state["row"]]
        portfolio = torch.stack(
            (
                state["cash"] * inverse,
                values.abs().sum(dim=1) * inverse,
                state["drawdown"],
                state["unrealised"].sum(dim=1) / capital,
                state["realised"] / capital,
                _root(state["variance"]),
                state["turnover"],
            ),
            dim=1,
        )
        portfolio = torch.cat((portfolio, values * inverse[:, None]), dim=1).float()
        return self.view.read({"row": state["row"], "portfolio": portfolio}).vector

    def step(self, state: State, action: Tensor, _: torch.Generator) -> tuple[State, Tensor, Tensor]:
        """Decide at the close, fill at the next open, mark at the next close; nothing is drawn.

        Args:
            state: As `begin` or a step gave it.
            action: Shape (E, A).

        Returns:
            The next state; the reward, shape (E,); whether the portfolio is ruined, shape (E,).
        """
        after = state | self._traded(state, action.double())
        self._mark(after, state)
        reward = self._reward(after, state)
        return after, reward, after["equity"] <= self.episode.ruin_frac * self.episode.start_cash

    def wanted(self, action: Tensor) -> Tensor:
        """`ml.market_step.map_action`: capped weights, shape (E, N)."""
        rules = self.rules
        if rules["action_map"] == SIMPLEX_CASH:
            weights = simplex_cash(action, float(rules["invest_max"]))
        elif rules["action_map"] == TANH_LEVERAGE:
            weights = torch.tanh(action)
        else:
            weights = action.clamp(-1.0, 1.0)
        cap = float(rules["name_cap_frac"])
        weights = weights.clamp(-cap, cap)
        if rules["action_map"] == WEIGHTS:
            return weights
        name = "invest_max" if rules["action_map"] == SIMPLEX_CASH else "gross_leverage_cap"
        limit = float(rules[name])
        return weights * (limit / weights.abs().sum(dim=1, keepdim=True).clamp_min(limit))

    def _traded(self, state: State, action: Tensor) -> State:
        """Books after the fills of a decision."""
        position, equity = state["position"], state["equity"]
        close, can = self._close[state["row"]], (state["equity"] > 0.0)[:, None]
        held = position * close / torch.where(can, equity[:, None], 1.0)
        locked = (position != 0.0) & (state["bars_held"] < int(self.rules["min_hold_bars"]))
        change, moved = self._limited(self.wanted(action) - held, held, locked)
        goal = torch.where(can & ~locked, position + change * equity[:, None] / close, position)
        # A wanted weight of exactly zero leaves nothing behind, not a remainder of the arithmetic.
        goal = torch.where(moved & (held + change == 0.0), goal - goal.detach(), goal)
        goal = torch.where(self._shortable, goal, goal.clamp_min(0.0))
        middle = torch.where(
            position * goal > 0.0, position.sign() * torch.minimum(position.abs(), goal.abs()), 0.0
        )
        middle = torch.where(moved, middle, position)
        opening = self._affordable(goal - middle, state, close)
        quote = state["row"]
        spent = traded = fees = position.new_zeros(len(position))
        for quantity in (middle - position, opening):
            notional = quantity.abs() * self._fill[quote]
            fees = fees + self._cost(quantity, notional, quote).sum(dim=1)
            spent = spent + (quantity * self._fill[quote]).sum(dim=1)
            traded = traded + notional.sum(dim=1)
        books = {"position": middle + opening, "cash": state["cash"] - spent - fees, "traded": traded}
        return books | self._history(state, middle, opening)

    def _limited(self, change: Tensor, held: Tensor, locked: Tensor) -> tuple[Tensor, Tensor]:
        """`ml.market_step.limit_turnover`: how far the weights move, and which of them do."""
        size = change.abs()
        leaves = held + change == 0.0
        moved = (size > 0.0) & ((size >= float(self.rules["rebalance_eps"])) | leaves) & ~locked
        pace = float(self.rules["max_step_change"])
        turnover = torch.where(moved, size, 0.0).sum(dim=1, keepdim=True)
        throttled = change * (pace / turnover.clamp_min(pace))
        return torch.where(moved, throttled, change - change.detach()), moved

    def _affordable(self, opening: Tensor, state: State, close: Tensor) -> Tensor:
        """Purchases one after another as far as the cash before all trades goes, where one cannot borrow."""
        spendable = state["cash"] - float(self.rules["cash_buffer_frac"]) * state["equity"]
        asked = torch.where(self._shortable, 0.0, opening * close).cumsum(dim=1)
        spent = torch.minimum(asked, spendable.clamp_min(0.0)[:, None])
        bought = torch.diff(spent, dim=1, prepend=torch.zeros_like(spent[:, :1])) / close
        return torch.where(self._shortable | (asked == spent), opening, bought)

    def _cost(self, quantity: Tensor, notional: Tensor, row: Tensor) -> Tensor:
        """`strategies.costs` of a taker, quote currency."""
        volume = self._volume[row]
        size = quantity.abs()
        # |q| · sqrt(|q| / volume) as one power: the root alone has no slope at nothing.
        pushed = size**1.5 / torch.where(volume > 0.0, volume, 1.0).sqrt()
        impact = float(self.rules["impact_k"]) * torch.where(volume > 0.0, pushed, size) * self._fill[row]
        return (
            float(self.rules["commission_per_unit"]) * size + self._fee_bps * _BPS * notional + _BPS * impact
        )

    @torch.no_grad()
    def _history(self, state: State, middle: Tensor, opening: Tensor) -> State:
        """What is observed of the past, without gradients: average prices, profit taken, bars held."""
        fill = self._fill[state["row"]]
        reducing = middle - state["position"]
        realised = state["realised"] - (reducing * (fill - state["average"])).sum(dim=1)
        size = middle.abs() + opening.abs()
        average = (middle.abs() * state["average"] + opening.abs() * fill) / torch.where(
            size > 0.0, size, 1.0
        )
        held = torch.where(middle == 0.0, 0, state["bars_held"])
        return {"realised": realised, "average": average, "bars_held": held}

    def _mark(self, after: State, state: State) -> None:
        """`ml.market_step.mark` and `charge_borrow`, at the next row."""
        row = state["row"] + 1
        close, position, last = self._close[row], after["position"], state["last_equity"]
        values = position * close
        equity = after["cash"] + values.sum(dim=1)
        alive, divisor = last > 0.0, torch.where(last > 0.0, last, 1.0)
        change = torch.where(alive, equity / divisor - 1.0, 0.0)
        after["row"], after["last_equity"] = row, equity
        after["bars_held"] = after["bars_held"] + (position != 0.0)
        after["unrealised"] = (position * (close - after["average"])).detach()
        after["peak"] = torch.maximum(state["peak"], equity)
        after["drawdown"] = 1.0 - equity / after["peak"]
        after["variance"] = _DECAY * state["variance"] + (1.0 - _DECAY) * change**2
        after["turnover"] = torch.where(alive, after.pop("traded") / divisor, 0.0)
        short = (-values).clamp_min(0.0).sum(dim=1)
        fee = short * float(self.rules["borrow_annual_frac"]) * self._years[state["row"]]
        after["cash"], after["equity"] = after["cash"] - fee, equity - fee

    def _reward(self, after: State, state: State) -> Tensor:
        """`ml.market_step.reward`."""
        terms, equity, before = self.terms, after["equity"], state["equity"]
        if terms["base"] == LOG_NAV:
            growth = equity / torch.where(before > 0.0, before, 1.0)
            paid = torch.where(before > 0.0, growth.clamp_min(_SMALLEST_GROWTH).log(), 0.0)
        else:
            assert terms["base"] == DELTA_NAV
            paid = (equity - before) / self.episode.start_cash
        fallen = after["drawdown"]
        if not terms["drawdown_on_level"]:
            fallen = fallen - state["drawdown"]
        gross = (after["position"] * self._close[after["row"]]).abs().sum(dim=1)
        leverage = torch.where(equity > 0.0, gross / torch.where(equity > 0.0, equity, 1.0), 0.0)
        return (
            paid
            - float(terms["drawdown"]) * fallen
            - float(terms["turnover"]) * after["turnover"]
            - float(terms["volatility"]) * _root(after["variance"])
            - float(terms["leverage"]) * leverage
        )

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float64), device=self._device)


def simplex_cash(logits: Tensor, invest_max: float) -> Tensor:
    """`strategies.allocation.maps.simplex_cash` of rows, shape (E, N + 1) to (E, N)."""
    return torch.softmax(logits[:, :-1], dim=1) * (invest_max * torch.sigmoid(logits[:, -1:]))


def _root(variance: Tensor) -> Tensor:
    """Square root whose slope at nothing is nothing."""
    return variance.clamp_min(1e-30).sqrt()
