"""How good a classifier is on rows that it has not seen."""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from ml.classifiers.fitting import ClassifierFit
from ml.classifiers.leakage import Ints, check_split
from ml.evaluation.statistics import sharpe
from strategies.errors import DataError
from strategies.market import Floats

_SHUFFLES = 5


@dataclass(frozen=True, slots=True)
class ClassifierMetrics:
    """On the test rows of all instruments; None where a number is undefined."""

    rows: int
    base_rate_frac: float
    """Share of rises among the test rows: the accuracy of always saying rise."""
    auc: float | None
    """Area under the receiver operating characteristic; 0.5 knows nothing. None if all rows are of a kind."""
    accuracy_frac: float
    """Share of rows on which the more probable of rise and fall came true."""
    information_coefficient: float | None
    """Rank correlation of the probability with the forward return."""
    signal_sharpe_annual: float | None
    """Of the signal's weights times forward returns, before costs; one row a horizon: none overlap."""
    importance: dict[str, float]
    """Loss of AUC when a feature is shuffled among the test rows; empty without an AUC."""


def evaluate_classifier(
    fit: ClassifierFit,
    values: Floats,
    forward_returns: Floats,
    ends: Ints,
    train: Ints,
    test: Ints,
    *,
    embargo_bars: int,
    horizon_bars: int,
    bars_per_year: float,
) -> ClassifierMetrics:
    """Judge a model on test rows, after checking that it cannot have seen them.

    Args:
        fit: The model.
        values: Features, shape (T, N, F).
        forward_returns: Simple return of each instrument over the horizon, shape (T, N); a rise is above nil.
        ends: Last row that the label of each row depends on, shape (T,).
        train: Rows that the model was fitted to.
        test: Rows to judge it on.
        embargo_bars: Rows that must lie between a test label and a training row after it.
        horizon_bars: Bars that a forward return covers.
        bars_per_year: For annualising.

    Raises:
        DataError: If training rows leak into the test rows, or test rows are not finite.
    """
    check_split(ends, train, test, embargo_bars=embargo_bars)
    x, returns = values[test], forward_returns[test]
    if not (np.isfinite(x).all() and np.isfinite(returns).all()):
        raise DataError(
            "classifier: expected finite features and forward returns in the test rows; repair the data"
        )
    probs = fit.probs(x)
    rises = returns > 0.0
    pnl = (fit.settings.signal.weights(probs) * returns).sum(axis=1)[::horizon_bars]
    auc = _auc(rises, probs)
    return ClassifierMetrics(
        rows=rises.size,
        base_rate_frac=float(rises.mean()),
        auc=auc,
        accuracy_frac=float(((probs > 0.5) == rises).mean()),
        information_coefficient=_rank_correlation(probs.reshape(-1), returns.reshape(-1)),
        signal_sharpe_annual=_finite(sharpe(pnl, bars_per_year / horizon_bars)) if len(pnl) > 1 else None,
        importance={} if auc is None else _importance(fit, x, rises, auc),
    )


def _importance(fit: ClassifierFit, x: Floats, rises: np.ndarray, auc: float) -> dict[str, float]:
    generator = np.random.Generator(np.random.PCG64(fit.settings.seed))
    importance = {}
    for at, name in enumerate(fit.columns):
        losses = []
        for _ in range(_SHUFFLES):
            shuffled = x.copy()
            shuffled[:, :, at] = generator.permutation(x[:, :, at])
            losses.append(auc - float(roc_auc_score(rises.reshape(-1), fit.probs(shuffled).reshape(-1))))
        importance[name] = float(np.mean(losses))
    return importance


def _auc(rises: np.ndarray, probs: Floats) -> float | None:
    if rises.all() or not rises.any():
        return None
    return float(roc_auc_score(rises.reshape(-1), probs.reshape(-1)))


def _rank_correlation(left: Floats, right: Floats) -> float | None:
    if left.min() == left.max() or right.min() == right.max():
        return None
    return float(spearmanr(left, right).statistic)


def _finite(value: Floats) -> float | None:
    number = float(value)
    return number if isfinite(number) else None
