"""What a policy sees: one definition, used when trading and when training.

Flow: features, regime, portfolio → **observation** → policies.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strategies.belief_summary import BeliefSummary
from strategies.features import FeatureVector
from strategies.market import Float32s, Floats
from strategies.portfolio import Ledger
from strategies.regime import RegimeBelief

PORTFOLIO_FIELDS = (
    "cash_frac",
    "margin_used",
    "drawdown",
    "unrealised",
    "realised",
    "rolling_vol",
    "turnover",
)
"""Entries of the portfolio vector before the weights, in order (mission SB-122)."""


@dataclass(slots=True, eq=False)
class Observation:
    """Everything that is known at the close of one bar time.

    Arrays are read-only by agreement. ``window`` and ``features`` are views that the next bar
    overwrites: whoever keeps an observation copies them.
    """

    ts_event: int
    """Close time of the newest bar, UTC nanoseconds."""
    window: Float32s
    """Feature rows, oldest first, shape (L, N, F)."""
    portfolio: Float32s
    """Shape (7 + N,): `PORTFOLIO_FIELDS`, then the weight of each instrument.

    cash_frac, margin_used (gross exposure) and the weights are fractions of equity; unrealised and
    realised (gross of fees) are fractions of the strategy's capital; drawdown is 0..1 from the peak;
    rolling_vol is the standard deviation of the book's return per bar; turnover is what the last bar
    traded, as a fraction of equity.
    """
    beliefs: Float32s
    """Filtered regime probabilities, shape (K,), or their summary, shape (5,); empty where the policy is
    shown neither."""
    features: Floats
    """Newest feature row in full precision, shape (N, F)."""
    closes: tuple[float, ...]
    """Last close of each instrument, quote currency."""
    columns: tuple[str, ...]
    """Names of the F features."""
    positions: tuple[float, ...]
    """Signed base units of each instrument."""

    bars_held: tuple[int, ...]
    """Bars since each position was opened; 0 where there is none."""
    belief: RegimeBelief | None
    """The belief in full precision; None without a regime model or where it is not shown."""

    def sha256(self) -> str:
        """Hash of all that the policy is newly shown: feature row, portfolio vector, beliefs."""
        return hashlib.sha256(b"".join((self.features, self.portfolio, self.beliefs))).hexdigest()


class ObservationBuilder:
    """Keeps the feature window and joins it with the book and the regime belief.

    The window is a ring stored twice, so that the last L rows always lie in one piece and are handed
    out without a copy.

    Args:
        lookback: Rows of the window, L.
        num_instruments: N.
        num_features: F.
        num_states: K states of the belief that the policy is shown; 0 shows none.
        columns: Names of the features; they are passed on in the observation.
        summary: What sums the belief up for the policy; None shows it the belief.

    Raises:
        ValueError: If ``columns`` are given and are not F.
    """

    __slots__ = (
        "_columns",
        "_filled",
        "_latest",
        "_lookback",
        "_num_states",
        "_position",
        "_rows",
        "_summary",
        "_windows",
    )

    def __init__(
        self,
        lookback: int,
        num_instruments: int,
        num_features: int,
        num_states: int,
        columns: tuple[str, ...] = (),
        summary: BeliefSummary | None = None,
    ) -> None:
        if columns and len(columns) != num_features:
            raise ValueError(f"expected {num_features} column names, found {len(columns)}: {list(columns)}")
        ring = np.zeros((2 * lookback, num_instruments, num_features), dtype=np.float32)
        twice = ring.reshape(2, lookback, num_instruments, num_features)
        self._lookback = lookback
        self._num_states = num_states
        self._columns = columns
        self._summary = summary
        # Both copies of each row, and the window that ends with it: made once, so a push allocates nothing.
        self._rows = [twice[:, position] for position in range(lookback)]
        self._windows = [ring[position + 1 : position + 1 + lookback] for position in range(lookback)]
        self.reset()

    @property
    def ready(self) -> bool:
        """Whether the window is full of rows that were ready."""
        return self._filled >= self._lookback

    @property
    def latest(self) -> FeatureVector | None:
        """The newest row; None before the first."""
        return self._latest

    def reset(self) -> None:
        """Forget all rows."""
        self._filled = 0
        self._position = -1
        self._latest: FeatureVector | None = None

    def push(self, features: FeatureVector) -> None:
        """Append the newest feature row.

        A row that is not ready empties the window: a policy must never see a gap or a NaN.

        Args:
            features: Values of shape (N, F).

        Raises:
            ValueError: If the shape differs. The window is unchanged.
        """
        if not features.ready:
            self.reset()
            return
        position = self._position + 1
        if position == self._lookback:
            position = 0
        rows = self._rows[position]
        if features.values.shape != rows.shape[1:]:
            raise ValueError(f"expected features of shape {rows.shape[1:]}, found {features.values.shape}")
        rows[...] = features.values
        self._position = position
        self._latest = features
        self._filled += 1

    def build(self, ledger: Ledger, closes: tuple[float, ...], belief: RegimeBelief | None) -> Observation:
        """Join the window with the book and the belief, all as of the newest row.

        Args:
            ledger: The strategy's book, marked at ``closes``.
            closes: Last close of each instrument, quote currency.
            belief: Regime belief after the newest row.

        Raises:
            ValueError: If no row was pushed, or the belief has not the number of states that the
                policy is to be shown.
        """
        latest = self._latest
        if latest is None:
            raise ValueError("expected at least one pushed feature row, found none; push before build")
        if not self._num_states:
            belief = None
        elif belief is None or len(belief.probs) != self._num_states:
            raise ValueError(f"expected a belief over {self._num_states} states, found {belief}")
        return Observation(
            latest.ts_event,
            self._windows[self._position],
            portfolio_vector(ledger),
            _NO_BELIEFS if belief is None else belief_vector(belief.probs, self._summary),
            latest.values,
            closes,
            self._columns,
            tuple(ledger.positions),
            tuple(ledger.bars_held),
            belief,
        )


def belief_vector(probs: Sequence[float], summary: BeliefSummary | None) -> Float32s:
    """A belief as a network reads it, shape (K,) or (5,).

    Args:
        probs: Filtered regime probabilities, shape (K,).
        summary: What sums them up; None shows them as they are.
    """
    return np.array(probs if summary is None else summary(probs), dtype=np.float32)


def portfolio_vector(ledger: Ledger) -> Float32s:
    """State of a book as a network reads it, shape (7 + N,); see `Observation.portfolio`.

    Args:
        ledger: A strategy's book, marked at the newest closes.
    """
    equity, capital = ledger.equity, ledger.capital
    per_equity = 1.0 / equity if equity > 0.0 else 0.0
    return np.array(
        [
            ledger.cash * per_equity,
            ledger.gross_exposure * per_equity,
            ledger.drawdown,
            ledger.unrealised / capital,
            ledger.realised / capital,
            ledger.rolling_volatility,
            ledger.turnover,
            *ledger.weights(),
        ],
        dtype=np.float32,
    )


_NO_BELIEFS: Float32s = np.zeros(0, dtype=np.float32)
