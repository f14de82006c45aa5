"""A classifier from a dataset to a policy: labels, purged rows, fit, file, and how good it is.

Flow: datasets, labels → fitting, metrics, export → **learning** → training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.beliefs import first_warm
from ml.classifiers.export import classifier_onnx
from ml.classifiers.fitting import ClassifierFit, ClassifierSettings, fit_classifier
from ml.classifiers.metrics import evaluate_classifier
from ml.datasets import Dataset, Ints
from ml.environment import MarketEnvironment
from ml.playing import Play, play_rows
from strategies.errors import DataError
from strategies.policies.onnx import open_session

_ASKED = 1_000
_ROUNDING, _AT_THE_EDGE = 1e-4, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class LearnedClassifier:
    """A fitted classifier as a policy."""

    fit: ClassifierFit
    content: bytes
    """ONNX."""
    metrics: Mapping[str, Any]
    """On the rows that chose and on those that judged; see `ml.classifiers.metrics.ClassifierMetrics`."""
    parity_error: float
    """Largest difference between a weight of the file and one of the model."""

    def play(self, environment: MarketEnvironment) -> Play:
        """Live once by its weights."""
        values = environment.dataset.features
        is_warm = np.isfinite(values).all(axis=(1, 2))  # nobody decides on the others
        weights = np.zeros(values.shape[:2])
        probs = self.fit.probs(values[is_warm].astype(np.float64))
        weights[is_warm] = self.fit.settings.signal.weights(probs)
        return play_rows(environment, weights)


def learn_classifier(
    dataset: Dataset,
    settings: ClassifierSettings,
    *,
    learn: tuple[int, int],
    judged: Mapping[str, tuple[int, int]],
    embargo_bars: int,
    bars_per_year: float,
) -> LearnedClassifier:
    """Fit on one span and judge on others; a label that reaches out of its span is not used.

    Args:
        dataset: Bars and features.
        settings: What is fitted.
        learn: Rows from and to before.
        judged: Spans by name, likewise, none of which was learned from.
        embargo_bars: Rows between a judged label and a training row after it.
        bars_per_year: For annualising.

    Raises:
        DataError: If a span is too short for a label, or rows leak into each other.
    """
    horizon = settings.horizon_bars
    rows = np.arange(len(dataset))
    ends = np.minimum(rows + horizon, len(dataset) - 1)
    returns = np.full(dataset.close.shape, np.nan)
    returns[:-horizon] = dataset.close[horizon:] / dataset.close[:-horizon] - 1.0
    values = dataset.features.astype(np.float64)
    train = _inside(dataset, learn, horizon, "learn")
    fit = fit_classifier(values, returns > 0.0, train, settings, columns=dataset.columns)
    metrics = {
        name: asdict(
            evaluate_classifier(
                fit,
                values,
                returns,
                ends,
                train,
                _inside(dataset, span, horizon, name),
                embargo_bars=embargo_bars,
                horizon_bars=horizon,
                bars_per_year=bars_per_year,
            )
        )
        for name, span in judged.items()
    }
    content = classifier_onnx(
        fit,
        lookback=dataset.lookback,
        num_instruments=dataset.num_instruments,
        schema_sha256=dataset.schema_sha256,
    )
    return LearnedClassifier(fit, content, metrics, _parity_error(content, fit, dataset, train))


def _inside(dataset: Dataset, span: tuple[int, int], horizon: int, name: str) -> Ints:
    """Rows of a span that a policy could decide on and whose label ends in it."""
    found = np.arange(max(span[0], first_warm(dataset)), span[1] - horizon, dtype=np.int64)
    if not len(found):
        raise DataError(
            f"classifier: expected more than {horizon} bars of {name} after the warm-up, found none; take a "
            "longer span or a shorter horizon_bars"
        )
    return found


def _parity_error(content: bytes, fit: ClassifierFit, dataset: Dataset, rows: Ints) -> float:
    """Largest difference of a weight; at the edge of the dead zone rounding alone may decide.

    Raises:
        DataError: If it is more than rounding on more than one row in a hundred: the file must not trade.
    """
    session = open_session(Path("policy.onnx"), content)
    asked = rows[rows >= dataset.lookback - 1]
    asked = asked[:: max(1, len(asked) // _ASKED)]
    wanted = fit.settings.signal.weights(fit.probs(dataset.features[asked].astype(np.float64)))
    portfolio = np.zeros((1, session.get_inputs()[1].shape[1]), dtype=np.float32)
    apart = np.zeros(len(asked))
    for at, row in enumerate(asked):
        window = np.ascontiguousarray(dataset.windows[row - dataset.lookback + 1][None])
        found = session.run(["action"], {"window": window, "portfolio": portfolio})[0]
        apart[at] = np.abs(found[0] - wanted[at]).max()
    if np.mean(apart > _ROUNDING) > _AT_THE_EDGE:
        raise DataError(
            f"the exported classifier answers otherwise than the fitted one, by {apart.max():.2g}; it is not "
            "written; report this as a fault of the exporter"
        )
    return float(apart.max(initial=0.0))
