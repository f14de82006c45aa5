"""The claims of the learning plane: what training sees, and what it must not have seen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ml.datasets import Bars, Dataset, Ints, Provenance, make_dataset
from ml.labels import Labels, forward_return, return_sign, triple_barrier
from ml.leaks.claims import Claim, Market, Pipeline
from ml.splits import Split, combinatorial_purged, rolling_walk_forward
from strategies.config import FeaturesConfig
from strategies.market import Floats

type FitNormaliser = Callable[[Floats], Floats]
"""From training rows, shape (R, F), to what scales them, any shape."""


def mean_and_spread(rows: Floats) -> Floats:
    """Mean and standard deviation of each column, shape (2, F)."""
    return np.stack([rows.mean(axis=0), rows.std(axis=0)])


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """Labels and splits that are checked."""

    horizon_bars: int = 12
    train_bars: int = 1_000
    test_bars: int = 500
    embargo_bars: int = 5
    num_blocks: int = 4
    """Of the combinatorial splits."""


def learning_claims(
    features: FeaturesConfig,
    settings: FoldSettings | None = None,
    fit_normaliser: FitNormaliser = mean_and_spread,
) -> Pipeline:
    """Features, labels, splits and the normaliser of each fold, as claims about bars.

    Args:
        features: The strategy's feature section.
        settings: See `FoldSettings`.
        fit_normaliser: What scales features in training.
    """
    chosen = settings or FoldSettings()

    def claims(market: Market) -> Iterator[Claim]:
        dataset = make_dataset(market, features, Provenance("leak check"))
        for at, column in enumerate(dataset.columns):
            values = dataset.features[:, :, at].astype(np.float64)
            yield Claim("features", column, dataset.ts_event, dataset.ts_event, values)
        for name, bars in market.items():
            yield from _labels(name, bars, chosen.horizon_bars)
        yield from _folds(dataset, chosen, fit_normaliser)

    return claims


def _labels(name: str, bars: Bars, horizon: int) -> Iterator[Claim]:
    width = (bars.high - bars.low) / bars.close + 1e-4
    found = {
        "forward_return": forward_return(bars.close, horizon),
        "return_sign": return_sign(bars.close, horizon, 0.0005),
        "triple_barrier": triple_barrier(bars.high, bars.low, bars.close, width=width, horizon=horizon),
    }
    for kind, labels in found.items():
        yield label_claim(f"{kind} of {name}", bars.ts_event, labels)


def label_claim(name: str, ts_event: Ints, labels: Labels) -> Claim:
    """What a label says of itself: it knows no bar beyond the one that ``ends`` names."""
    return Claim("labels", name, ts_event, ts_event[labels.ends], labels.values, may_be_absent=True)


def _folds(dataset: Dataset, settings: FoldSettings, fit_normaliser: FitNormaliser) -> Iterator[Claim]:
    known = np.flatnonzero(np.isfinite(dataset.close).all(axis=1) & dataset.decidable)
    dataset = dataset.slice(int(known[0]) if len(known) else len(dataset), len(dataset))
    if len(dataset) < settings.train_bars + settings.test_bars:
        return  # data that were cut off early have no fold
    labels = forward_return(dataset.close[:, 0], settings.horizon_bars)
    rows = dataset.features.reshape(len(dataset), -1).astype(np.float64)
    folds = rolling_walk_forward(
        labels.ends,
        train_bars=settings.train_bars,
        test_bars=settings.test_bars,
        embargo_bars=settings.embargo_bars,
    )
    yield from walk_forward_claims(folds, dataset.ts_event, rows, labels, settings.embargo_bars)
    scales = [fit_normaliser(rows[split.train]) for split in folds]
    starts = np.array([split.test[0] for split in folds])
    yield Claim(
        "normaliser", "per fold", dataset.ts_event[starts], dataset.ts_event[starts - 1], np.stack(scales)
    )
    combined = combinatorial_purged(
        labels.ends, num_folds=settings.num_blocks, num_test_folds=1, embargo_bars=settings.embargo_bars
    )
    yield from combinatorial_claims(combined, dataset.ts_event, labels)


def walk_forward_claims(
    folds: Sequence[Split], ts_event: Ints, rows: Floats, labels: Labels, embargo_bars: int
) -> Iterator[Claim]:
    """What each fold trains on knows nothing of its test span, and its features nothing of the embargo.

    Args:
        folds: Splits that test after they train.
        ts_event: Close times, shape (T,).
        rows: Features, shape (T, F).
        labels: Of all rows.
        embargo_bars: Bars before the test span that features must not have seen either.
    """
    for split in folds:
        start, keys = int(split.test[0]), ts_event[split.train]
        for what, values, last in (
            ("labels", labels.values, start - 1),
            ("features", rows, max(0, start - 1 - embargo_bars)),
        ):
            hidden_after = np.full(len(keys), ts_event[last])
            yield Claim("splits", f"{split.name}, training {what}", keys, hidden_after, values[split.train])


def combinatorial_claims(splits: Iterable[Split], ts_event: Ints, labels: Labels) -> Iterator[Claim]:
    """No label that is trained on knows a bar that a test label knows; what is after the test may be known.

    Args:
        splits: Each with one run of test rows.
        ts_event: Close times, shape (T,).
        labels: Of all rows.
    """
    for split in splits:
        count, last = len(split.train), int(labels.ends[split.test].max())
        before = ts_event[split.test[0]] - 1
        yield Claim(
            "splits",
            f"{split.name}, training labels",
            ts_event[split.train],
            np.full(count, before),
            labels.values[split.train],
            hidden_until=np.full(count, ts_event[last]),
            may_be_absent=True,
        )
