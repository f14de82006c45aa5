"""Fits logistic regression, a random forest or gradient boosting to whether prices rise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.classifiers.leakage import Bools, Ints
from ml.rows import require_usable
from strategies.config import Bars, Positive, Section
from strategies.errors import ConfigError, DataError
from strategies.market import Floats

_FEWEST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Signal:
    """How the probability of a rise becomes a weight: gain · (2 p - 1), nothing where that is too little."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    gain: Positive = 5.0
    dead_zone: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Smallest |2 p - 1| that is acted on."""
    allow_short: bool = False

    def weights(self, probs: Floats) -> Floats:
        """Weight of each of N instruments, each at most 1 / N of equity.

        Args:
            probs: Probabilities of a rise, shape (..., N).
        """
        edge = 2.0 * probs - 1.0
        acted = np.where(np.abs(edge) < self.dead_zone, 0.0, edge)
        weights: Floats = np.clip(self.gain * acted, -1.0 if self.allow_short else 0.0, 1.0) / probs.shape[-1]
        return weights


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """What is fitted; equal settings and rows give equal models."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    kind: Literal["logistic", "forest", "boosting"] = "logistic"
    horizon_bars: Bars = 1
    """Whether a price rises is asked over so many bars."""
    inverse_penalty: Positive = 0.1
    """logistic: the smaller, the closer to nil are the coefficients of standardised features."""
    num_trees: Bars = 100
    max_depth: Bars = 4
    min_leaf_frac: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """Smallest share of the training rows in a leaf."""
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    """boosting: share of each tree that is added."""
    subsample_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """boosting: share of the rows that each tree sees."""
    seed: int = 7
    signal: Signal = Signal()

    def __post_init__(self) -> None:
        is_valid = (
            self.kind in ("logistic", "forest", "boosting")
            and self.horizon_bars >= 1
            and self.inverse_penalty > 0.0
            and self.num_trees >= 1
            and self.max_depth >= 1
            and 0.0 < self.min_leaf_frac <= 0.5
            and 0.0 < self.learning_rate <= 1.0
            and 0.0 < self.subsample_frac <= 1.0
            and self.signal.gain > 0.0
            and 0.0 <= self.signal.dead_zone < 1.0
        )
        if not is_valid:
            raise ConfigError(
                "classifier: expected kind logistic, forest or boosting, inverse_penalty and gain > 0, "
                "horizon_bars, num_trees and max_depth >= 1, min_leaf_frac from 0 to 0.5, learning_rate and "
                "subsample_frac from 0 to 1, "
                f"dead_zone from 0 to below 1, found {self}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierFit:
    """A fitted model; it answers for every instrument alike."""

    pipeline: Pipeline
    settings: ClassifierSettings
    columns: tuple[str, ...]
    """Names of the F features."""

    def probs(self, values: Floats) -> Floats:
        """Probability of a rise.

        Args:
            values: Feature rows, shape (..., F).

        Returns:
            Shape (...); of each row by itself, so it knows no other.
        """
        flat = as_seen(values).reshape(-1, values.shape[-1])
        probs: Floats = self.pipeline.predict_proba(flat)[:, 1].reshape(values.shape[:-1])
        return probs


def fit_classifier(
    values: Floats,
    rises: Bools | Floats,
    train: Ints,
    settings: ClassifierSettings | None = None,
    *,
    columns: Sequence[str] = (),
) -> ClassifierFit:
    """Fit a model to the training rows of all instruments together; it sees no other rows.

    Args:
        values: Features, shape (T, N, F).
        rises: 1 where the instrument rises over the horizon, else 0, shape (T, N).
        train: Rows to learn from, ascending.
        settings: See `ClassifierSettings`.
        columns: Names of the features.

    Raises:
        DataError: If shapes disagree, training rows are not finite, too few, of one kind only, or a feature
            is constant in them.
    """
    settings = settings or ClassifierSettings()
    if values.ndim != 3 or rises.shape != values.shape[:2]:
        raise DataError(
            "classifier: expected values of shape (T, N, F) and rises of shape (T, N), "
            f"found {values.shape} and {rises.shape}"
        )
    names = tuple(columns) or tuple(f"feature {at}" for at in range(values.shape[2]))
    x = as_seen(values[train]).reshape(-1, values.shape[2])
    y = rises[train].reshape(-1)
    _check(x, y, names)
    pipeline = _pipeline(settings)
    pipeline.fit(x, y.astype(np.int64))
    return ClassifierFit(pipeline, settings, names)


def as_seen(values: Floats) -> Any:
    """Features as a policy sees them: in single precision."""
    return np.ascontiguousarray(values, dtype=np.float32)


def _pipeline(settings: ClassifierSettings) -> Pipeline:
    match settings.kind:
        case "logistic":
            model = LogisticRegression(C=settings.inverse_penalty, max_iter=1_000, tol=1e-8)
            return make_pipeline(StandardScaler(), model)
        case "forest":
            return make_pipeline(
                RandomForestClassifier(
                    n_estimators=settings.num_trees,
                    max_depth=settings.max_depth,
                    min_samples_leaf=settings.min_leaf_frac,
                    random_state=settings.seed,
                    n_jobs=1,
                )
            )
        case "boosting":
            return make_pipeline(
                GradientBoostingClassifier(
                    n_estimators=settings.num_trees,
                    max_depth=settings.max_depth,
                    min_samples_leaf=settings.min_leaf_frac,
                    learning_rate=settings.learning_rate,
                    subsample=settings.subsample_frac,
                    random_state=settings.seed,
                )
            )


def _check(x: Floats, y: Bools | Floats, names: Sequence[str]) -> None:
    if len(x) < _FEWEST_ROWS:
        raise DataError(
            f"classifier: expected at least {_FEWEST_ROWS} training rows over all instruments, "
            f"found {len(x)}; take a longer span"
        )
    require_usable("classifier", x, names)
    kinds = np.unique(y)
    if not np.array_equal(kinds, [0.0, 1.0]):
        raise DataError(
            "classifier: expected labels 0 and 1, both among the training rows, "
            f"found {kinds[:5].tolist()}; take a longer span"
        )
