"""One market environment for reinforcement learning: E portfolios, a bar a step, all in one call.

Flow: datasets → **environment** → ppo.

A portfolio environment; a single asset is N = 1. It sees what `strategies.observation` shows, acts through
the action maps of `strategies.allocation`, trades whole lots and pays `strategies.costs`: what is decided
at the close of a bar fills at the next open (`ml.market_step`). Guardrails are not in it: they are there
to stop a policy, not to be learned around.

Portfolios share clocks: with ``num_clocks`` fewer than E, groups of them live through the same
bars at the same time, so that a trainer computes the expensive part of the network, which depends on the
bars alone, once for the group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import ConfigDict, Field

from ml import market_step
from ml.datasets import Dataset, Ints
from ml.market_state import (
    SIMPLEX_CASH,
    TERMS,
    WEIGHTS,
    Records,
    market_of,
    names_of,
    new_books,
    reset_books,
    rules_of,
)
from strategies.config import ActionMap, AllocationConfig, CostConfig, NonNegative, Section
from strategies.errors import ConfigError, DataError
from strategies.market import Float32s, Floats, Instrument
from strategies.observation import PORTFOLIO_FIELDS

type Observation = dict[str, Any]


class BaseReward(StrEnum):
    """What a step earns before penalties."""

    LOG_NAV = "log_nav"
    """log(equity / equity before)."""
    DELTA_NAV = "delta_nav"
    """(equity - equity before) / capital at the start."""
    DIFFERENTIAL_SHARPE = "differential_sharpe"
    """What the step adds to a running Sharpe ratio."""


class DrawdownTerm(StrEnum):
    """What the drawdown penalty is on."""

    INCREMENT = "increment"
    """The change of the drawdown: over an episode it adds up to weight · last drawdown."""
    LEVEL = "level"
    """The drawdown itself, again at every step. Even at a small weight it makes cash optimal."""


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """reward = base - Σ weight · term, per bar."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    base: BaseReward = BaseReward.LOG_NAV
    w_drawdown: NonNegative = 0.10
    drawdown_term: DrawdownTerm = DrawdownTerm.INCREMENT
    w_turnover: NonNegative = 0.001
    """Of what was traded, as a fraction of equity; on top of costs."""
    w_volatility: NonNegative = 0.0
    """Of the running standard deviation of the portfolio's return per bar."""
    w_leverage: NonNegative = 0.0
    """Of gross exposure, as a fraction of equity."""
    sharpe_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Step of the running moments of the differential Sharpe ratio."""

    def terms(self) -> Records:
        """As one record of `market_state.TERMS`, shape (1,)."""
        terms = np.zeros(1, TERMS)
        terms["base"] = list(BaseReward).index(self.base)
        terms["drawdown_on_level"] = self.drawdown_term is DrawdownTerm.LEVEL
        terms["drawdown"], terms["turnover"] = self.w_drawdown, self.w_turnover
        terms["volatility"], terms["leverage"] = self.w_volatility, self.w_leverage
        terms["sharpe_rate"] = self.sharpe_rate
        return terms


@dataclass(frozen=True, slots=True)
class EpisodeConfig:
    """How long a life is and where it begins."""

    start_cash: float = 100_000.0
    """Quote currency."""
    horizon_bars: int | None = None
    """Steps of an episode; None runs to the end of the data."""
    randomize_start: bool = True
    """Whether episodes begin anywhere; else all begin at the first row."""
    min_hold_bars: int = 0
    """Bars for which a position is left alone after it was opened."""
    ruin_frac: float = 0.05
    """Share of the start at which an episode ends for good."""


class MarketEnvironment(VectorEnv[Observation, Any, Any]):
    """E portfolios on one market, in Gymnasium's vector interface with same-step resets.

    The observation holds ``window`` (E, L, N, F), ``portfolio`` (E, 7 + N) and, with a regime model,
    ``beliefs`` (E, K), float32. With ``observe_rows`` it holds ``row`` (E,) instead of window and
    beliefs: rows of the dataset, which a trainer looks up itself, once for all that share one.
    Arrays are overwritten by the next step.

    Args:
        dataset: Bars and features.
        instruments: Trading rules, in the order of the dataset.
        allocation: Action map, caps and turnover limits.
        costs: The cost model.
        reward: What a step is paid.
        episode: Length and start.
        num_envs: E.
        num_clocks: Different market times at once; it divides E. None gives each portfolio its own.
        is_discrete: Actions are short, flat, long (0, 1, 2) per instrument instead of numbers; long is a
            weight of 1 / N.
        observe_rows: Hand out rows instead of windows.
        cash_buffer_frac: As `strategies.config.SizingConfig`.

    Raises:
        ConfigError: If the parts do not fit each other.
        DataError: If the data are too short for an episode, or no policy could decide on all of an episode.
    """

    def __init__(
        self,
        dataset: Dataset,
        instruments: Sequence[Instrument],
        *,
        allocation: AllocationConfig,
        costs: CostConfig,
        reward: RewardConfig | None = None,
        episode: EpisodeConfig | None = None,
        num_envs: int = 1,
        num_clocks: int | None = None,
        is_discrete: bool = False,
        observe_rows: bool = False,
        cash_buffer_frac: float = 0.01,
    ) -> None:
        self.dataset, self.episode = dataset, episode or EpisodeConfig()
        self.num_envs, self.num_clocks = num_envs, num_clocks or num_envs
        self._check(instruments, allocation, is_discrete=is_discrete)
        # What `ml.smooth_market` is made of, too: one market, one set of rules.
        self.names = names_of(instruments, costs)
        self.rules = rules_of(
            allocation,
            costs,
            min_hold_bars=self.episode.min_hold_bars,
            cash_buffer_frac=cash_buffer_frac,
        )
        self.terms = (reward or RewardConfig()).terms()
        self.quotes = market_of(dataset)
        self.starts = _starts(dataset, self.episode)
        self.is_discrete, self._observe_rows = is_discrete, observe_rows
        count = dataset.num_instruments
        self.windows = dataset.windows
        """Shape (T - L + 1, L, N, F), a view; the window of a row is at ``row - L + 1``."""
        self._books, self._holdings = new_books(num_envs, count, self.episode.start_cash)
        self._clock = np.zeros(self.num_clocks, dtype=np.int64)
        self._end = np.zeros(self.num_clocks, dtype=np.int64)
        self._group = np.repeat(np.arange(self.num_clocks), num_envs // self.num_clocks)
        self._rewards: Floats = np.zeros(num_envs)
        self._portfolio: Float32s = np.zeros((num_envs, len(PORTFOLIO_FIELDS) + count), dtype=np.float32)
        self._set_spaces(allocation.action_map)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    @property
    def rows(self) -> Ints:
        """Row of the dataset at which each portfolio stands, shape (E,)."""
        return self._clock[self._group]

    @property
    def equity(self) -> Floats:
        """Worth of each portfolio, quote currency, shape (E,)."""
        return self._books["equity"].copy()

    @property
    def positions(self) -> Floats:
        """Signed base units, shape (E, N)."""
        return self._holdings["position"].copy()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all episodes anew; equal seeds, equal starts.

        Args:
            seed: One number for all; None goes on with the generator.
            options: None are known.

        Raises:
            ConfigError: If a list of seeds or an option is given.
        """
        if options or not (seed is None or isinstance(seed, int)):
            raise ConfigError("expected one seed for all portfolios and no options")
        if seed is not None:
            self._np_random, self._np_random_seed = gymnasium.utils.seeding.np_random(seed)
        self._restart(np.ones(self.num_clocks, dtype=np.bool_))
        reset_books(self._books, self._holdings, np.ones(self.num_envs, dtype=np.bool_))
        return self._observe(), {}

    def step(self, actions: Any) -> tuple[Observation, Floats, Any, Any, dict[str, Any]]:
        """Live through one bar.

        Args:
            actions: Shape (E, A); A = N, or N + 1 for simplex_cash. Discrete: (E,) or (E, N) of 0, 1, 2.

        Returns:
            Observations, rewards (E,), whether an episode ended in ruin (E,), or for lack of time (E,), and
            where either is so, ``final_obs`` and the masks ``_final_obs``.

        Raises:
            DataError: If an action is not a number; nothing has moved then.
        """
        books = self._books
        market_step.step(
            books,
            self._holdings,
            self.quotes,
            self.dataset.ts_event,
            self.names,
            self.rules,
            self.terms,
            self.rows,
            self._read_actions(actions),
            self._rewards,
        )
        self._clock += 1
        terminated = books["equity"] <= self.episode.ruin_frac * books["capital"]
        truncated = (self._clock >= self._end)[self._group] & ~terminated
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        if ended.any():
            final = self._observe()
            infos = {"final_obs": {key: value.copy() for key, value in final.items()}, "_final_obs": ended}
            infos["final_equity"] = books["equity"].copy()
            self._restart(self._clock >= self._end)
            reset_books(books, self._holdings, ended)
        return self._observe(), self._rewards.copy(), terminated, truncated, infos

    def snapshot(self) -> dict[str, Any]:
        """All that changes, as arrays and plain values, so that a run can go on bit for bit."""
        return {
            "books": self._books.copy(),
            "holdings": self._holdings.copy(),
            "clock": self._clock.copy(),
            "end": self._end.copy(),
            "generator": self.np_random.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> Observation:
        """Take over what `snapshot` gave, and return what is observed then."""
        self._books[...], self._holdings[...] = state["books"], state["holdings"]
        self._clock[...], self._end[...] = state["clock"], state["end"]
        self.np_random.bit_generator.state = state["generator"]
        return self._observe()

    def _check(
        self, instruments: Sequence[Instrument], allocation: AllocationConfig, *, is_discrete: bool
    ) -> None:
        names = tuple(instrument.instrument_id for instrument in instruments)
        if names != self.dataset.instruments:
            raise ConfigError(f"expected the rules of {list(self.dataset.instruments)}, found {list(names)}")
        if self.num_envs < 1 or self.num_envs % self.num_clocks:
            raise ConfigError(
                f"num_clocks = {self.num_clocks}: expected a divisor of num_envs = {self.num_envs}"
            )
        if is_discrete and allocation.action_map is not ActionMap.WEIGHTS:
            raise ConfigError(
                f"discrete actions are weights: expected the map 'weights', found {allocation.action_map}"
            )

    def _set_spaces(self, action_map: ActionMap) -> None:
        dataset, count = self.dataset, self.dataset.num_instruments
        wide = float("inf")
        seen: dict[str, spaces.Space[Any]] = {
            "portfolio": spaces.Box(-wide, wide, self._portfolio.shape[1:], np.float32)
        }
        if self._observe_rows:
            seen["row"] = spaces.Box(0, len(dataset) - 1, (), np.int64)
        else:
            shape = (dataset.lookback, count, dataset.num_features)
            seen["window"] = spaces.Box(-wide, wide, shape, np.float32)
            if dataset.num_beliefs:
                seen["beliefs"] = spaces.Box(-wide, wide, (dataset.num_beliefs,), np.float32)
        self.single_observation_space = spaces.Dict(seen)
        if self.is_discrete:
            self.single_action_space = spaces.Discrete(3) if count == 1 else spaces.MultiDiscrete([3] * count)
        elif action_map is ActionMap.WEIGHTS:
            self.single_action_space = spaces.Box(-1.0, 1.0, (count,), np.float32)
        else:
            width = count + (action_map is ActionMap.SIMPLEX_CASH)
            self.single_action_space = spaces.Box(-wide, wide, (width,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def _read_actions(self, actions: Any) -> Floats:
        count = self.dataset.num_instruments
        if self.is_discrete:
            chosen = np.asarray(actions).reshape(self.num_envs, count)
            if not ((chosen >= 0) & (chosen <= 2)).all():
                raise DataError(f"expected actions 0, 1 or 2, found {chosen.min()} to {chosen.max()}")
            return np.asarray((chosen - 1.0) / count)
        width = count + (int(self.rules["action_map"][0]) == SIMPLEX_CASH)
        values = np.ascontiguousarray(actions, dtype=np.float64)
        if values.shape != (self.num_envs, width):
            raise DataError(f"expected actions of shape {(self.num_envs, width)}, found {values.shape}")
        weights = int(self.rules["action_map"][0]) == WEIGHTS
        if np.isinf(values).any() or not (weights or np.isfinite(values).all()):
            raise DataError("expected finite actions, found NaN or infinity; check the policy")
        return values

    def _restart(self, clocks: Any) -> None:
        """Give clocks new times."""
        number = int(clocks.sum())
        if self.episode.randomize_start:
            starts = self.starts[self.np_random.integers(0, len(self.starts), number)]
        else:
            starts = np.full(number, self.starts[0])
        self._clock[clocks] = starts
        horizon = self.episode.horizon_bars
        self._end[clocks] = len(self.dataset) - 1 if horizon is None else starts + horizon

    def _observe(self) -> Observation:
        rows = self.rows
        market_step.portfolio_vectors(self._books, self._holdings, self.quotes, rows, self._portfolio)
        if self._observe_rows:
            return {"row": rows, "portfolio": self._portfolio.copy()}
        seen: Observation = {
            "portfolio": self._portfolio.copy(),
            "window": self.windows[rows - self.dataset.lookback + 1],
        }
        if self.dataset.num_beliefs:
            seen["beliefs"] = self.dataset.beliefs[rows]
        return seen


def _starts(dataset: Dataset, episode: EpisodeConfig) -> Ints:
    """Rows at which an episode may begin: a policy can decide on every bar of it."""
    decidable = np.flatnonzero(dataset.decidable)
    if not len(decidable):
        raise DataError("no row has a full window of warm features; take a longer span or a shorter lookback")
    last = len(dataset) - 1
    horizon = episode.horizon_bars or last - int(decidable[0])
    # Decisions are taken at the first `horizon` rows of an episode.
    blocked = np.concatenate([[0], np.cumsum(~dataset.decidable)])
    starts = decidable[decidable + horizon <= last]
    starts = np.asarray(starts[blocked[starts + horizon] == blocked[starts]])
    if horizon < 1 or not len(starts):
        raise DataError(
            f"expected {horizon} bars in a row on which a policy can decide, found fewer; "
            "take a longer span, a shorter horizon, or data without gaps in the features"
        )
    return starts
