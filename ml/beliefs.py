"""What a regime model reads of a dataset, and what its filter believes at each of its bars.

Flow: datasets → **beliefs** → hmm, training.
"""

import numpy as np

from ml.datasets import Dataset
from strategies.belief_summary import summary_for
from strategies.config import RegimeConfig, StrategyConfig
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.observation import belief_vector
from strategies.regime import fold
from strategies.regime_params import RegimeParams


def regime_rows(dataset: Dataset, regime: RegimeConfig) -> Floats:
    """What the regime model reads, bar by bar, as `strategies.decision` makes it; shape (T, D).

    Raises:
        ConfigError: If a column or the instrument is not there.
    """
    missing = [name for name in regime.columns if name not in dataset.columns]
    if missing or (regime.instrument_id is not None and regime.instrument_id not in dataset.instruments):
        raise ConfigError(
            f"regime: expected columns of {list(dataset.columns)} and an instrument of "
            f"{list(dataset.instruments)}, found {list(regime.columns)} and {regime.instrument_id!r}"
        )
    places = [dataset.columns.index(name) for name in regime.columns]
    values = dataset.features[:, :, places].astype(np.float64)
    if regime.instrument_id is not None:
        return values[:, dataset.instruments.index(regime.instrument_id)]
    return np.asarray(values.mean(axis=1))


def filtered(dataset: Dataset, regime: RegimeConfig, params: RegimeParams) -> Floats:
    """Filtered beliefs of a model, shape (T, K); NaN before the features are warm."""
    rows = regime_rows(dataset, regime)
    first = first_warm(dataset)
    beliefs = np.full((len(dataset), params.num_states), np.nan)
    beliefs[first:] = fold(params, rows[first:])
    return beliefs


def with_beliefs(
    dataset: Dataset, strategy: StrategyConfig, params: RegimeParams, beliefs: Floats
) -> Dataset:
    """Add what the strategy shows its policy of filtered beliefs, shape (T, K)."""
    if not strategy.shows_beliefs:
        return dataset
    summary = summary_for(strategy, params)
    if summary is None:
        return dataset.with_beliefs(beliefs)
    return dataset.with_beliefs(np.array([belief_vector(probs, summary) for probs in beliefs.tolist()]))


def first_warm(dataset: Dataset) -> int:
    """First row from which on every feature is there.

    Raises:
        DataError: If there is none.
    """
    warm = np.isfinite(dataset.features).all(axis=(1, 2))
    cold = np.flatnonzero(~warm)
    first = int(cold[-1]) + 1 if len(cold) else 0
    if first >= len(dataset) - 1:
        raise DataError(
            f"features are not warm before row {first} of {len(dataset)}; take a longer span, or run "
            "`argonaut data verify`"
        )
    return first
