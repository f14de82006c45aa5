"""A policy, or a constant weight, through a stretch of the market once: what it earned, and how.

Flow: environment, ppo → **playing** → training (which network is best), scorecard.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ml.environment import MarketEnvironment
from ml.evaluation.statistics import sharpe, sortino
from ml.networks import Policy
from ml.views import MarketView, as_asked
from strategies.market import Floats

_ROWS_AT_ONCE = 2_048
_TURNOVER, _GROSS = 6, 1
"""Places in the portfolio vector; see `strategies.observation.PORTFOLIO_FIELDS`."""


class Play(NamedTuple):
    """One life, S bars long."""

    equity: Floats
    """At the close of each bar, quote currency, shape (S + 1,)."""
    turnover: Floats
    """Traded in each bar, as a fraction of equity, shape (S,)."""
    gross: Floats
    """Gross exposure after each bar, as a fraction of equity, shape (S,)."""
    reward: float
    """Sum of rewards."""

    def metrics(self, bars_per_year: float) -> dict[str, float | None]:
        """Figures of the life, net of costs; None where one is not defined."""
        returns = np.diff(self.equity) / self.equity[:-1]
        peak = np.maximum.accumulate(self.equity)
        found = {
            "total_return_frac": float(self.equity[-1] / self.equity[0] - 1.0),
            "max_drawdown_frac": float((1.0 - self.equity / peak).max()),
            "sharpe": float(sharpe(returns, bars_per_year)),
            "sortino": float(sortino(returns, bars_per_year)),
            "turnover_per_bar_frac": float(self.turnover.mean()),
            "mean_gross_frac": float(self.gross.mean()),
            "reward": self.reward,
        }
        return {name: value if np.isfinite(value) else None for name, value in found.items()}


def play_policy(policy: Policy, environment: MarketEnvironment) -> Play:
    """Live once with the most likely action at every bar.

    Args:
        policy: What decides; it is left in evaluation mode.
        environment: Of one portfolio, with ``observe_rows``.
    """
    device = policy.log_std.device
    view = MarketView(environment, device, policy.scaling)
    policy.eval()
    with torch.no_grad():
        codes = _codes(policy, view, len(environment.dataset))

        def act(observation: Any) -> Any:
            seen = view.read(observation)
            mean, _ = policy(codes[seen.rows], seen.vector)
            if policy.shapes.discrete_dims:
                mean = mean.reshape(1, policy.shapes.discrete_dims, -1).argmax(dim=-1)
            return as_asked(mean, environment)

        return _play(environment, act)


def play_weights(environment: MarketEnvironment, weights: Floats) -> Play:
    """Buy once and hold.

    Args:
        environment: Of one portfolio, with the action map ``weights``.
        weights: Shape (N,).
    """
    held = np.full_like(weights, np.nan)
    answers = iter([weights[None]])
    return _play(environment, lambda _: next(answers, held[None]))


def play_rows(environment: MarketEnvironment, weights: Floats) -> Play:
    """Ask for what was decided of each row before.

    Args:
        environment: Of one portfolio, with the action map ``weights`` and ``observe_rows``.
        weights: By row of its dataset, shape (T, N).
    """
    return _play(environment, lambda observation: weights[observation["row"]])


def _codes(policy: Policy, view: MarketView, rows: int) -> Tensor:
    """Code of every window; the first L - 1 rows have none and are nil."""
    first, device = view.shapes.lookback - 1, policy.log_std.device
    found = [torch.zeros((first, policy.code_width), device=device)]
    for start in range(first, rows, _ROWS_AT_ONCE):
        at = torch.arange(start, min(start + _ROWS_AT_ONCE, rows), device=device)
        found.append(policy.encode(view.windows(at)))
    return torch.cat(found)


def _play(environment: MarketEnvironment, act: Callable[[Any], Any]) -> Play:
    observation, _ = environment.reset(seed=0)
    equity, turnover, gross = [float(environment.equity[0])], [], []
    total, is_over = 0.0, False
    while not is_over:
        observation, rewards, terminated, truncated, infos = environment.step(act(observation))
        total += float(rewards[0])
        is_over = bool(terminated[0] or truncated[0])
        last = infos["final_obs"] if is_over else observation
        worth = infos["final_equity"] if is_over else environment.equity
        equity.append(float(worth[0]))
        turnover.append(float(last["portfolio"][0, _TURNOVER]))
        gross.append(float(last["portfolio"][0, _GROSS]))
    return Play(np.array(equity), np.array(turnover), np.array(gross), total)
