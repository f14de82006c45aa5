"""Pipelines that know their future, each in its own way, and their twins that do not.

One market of one instrument; every pipeline is a function from its bars to claims (`ml.leaks`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from hmmlearn.hmm import GaussianHMM
from scipy import signal
from sklearn.ensemble import RandomForestClassifier

from ml.datasets import Bars, Ints
from ml.labels import Labels, forward_return, return_sign, triple_barrier
from ml.leaks import Claim, Market, Pipeline
from ml.leaks.learning import combinatorial_claims, label_claim, mean_and_spread, walk_forward_claims
from ml.splits import Split, combinatorial_purged, rolling_walk_forward
from strategies.market import Floats
from strategies.regime import fold
from strategies.regime_params import RegimeParams

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000
NAME = "A.X"
HORIZON = 8
EMBARGO = 12
"""More than the horizon, or purging alone would be enough."""
BLOCK = 12

type Stream = Callable[[Bars], Any]


def walk(rows: int = 360, seed: int = 1) -> Bars:
    """Minutes of a random walk."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.001 * rng.standard_normal(rows)))
    opening = np.concatenate([[100.0], close[:-1]]) * np.exp(1e-4 * rng.standard_normal(rows))
    high = np.maximum(opening, close) * 1.0002
    low = np.minimum(opening, close) * 0.9998
    times = START_NS + MINUTE_NS * np.arange(1, rows + 1)
    return Bars(times, opening, high, low, close, rng.exponential(10.0, rows))


def stream(values: Stream, stage: str = "features") -> Pipeline:
    """A value a bar, which claims to know the bars up to its own."""

    def claims(market: Market) -> Iterator[Claim]:
        bars = market[NAME]
        yield Claim(stage, "x", bars.ts_event, bars.ts_event, np.asarray(values(bars), dtype=np.float64))

    return claims


def log_returns(bars: Bars) -> Floats:
    """The first is nil."""
    moves: Floats = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
    return moves


def lags(bars: Bars, count: int = 10) -> Floats:
    """Returns of the last bars, shape (T, count)."""
    padded = np.concatenate([np.zeros(count - 1), log_returns(bars)])
    return np.lib.stride_tricks.sliding_window_view(padded, count)


def _series(bars: Bars) -> "pd.Series[float]":
    return pd.Series(bars.close)


def _holes(bars: Bars) -> "pd.Series[float]":
    return _series(bars).where(np.arange(len(bars.close)) % 3 == 0)


def _block_close(bars: Bars) -> Floats:
    """The close of the block of bars that a bar lies in, as a join by time gives it."""
    last = np.minimum((np.arange(len(bars.close)) // BLOCK + 1) * BLOCK - 1, len(bars.close) - 1)
    return bars.close[last]


def _finished_block_close(bars: Bars) -> Floats:
    at = (np.arange(len(bars.close)) + 1) // BLOCK * BLOCK - 1
    return np.where(at >= 0, bars.close[at], np.nan)


def _component(rows: Floats, fitted_on: Floats) -> Floats:
    axis = np.linalg.svd(fitted_on - fitted_on.mean(axis=0), full_matrices=False)[2][0]
    found: Floats = rows @ (axis * np.sign(axis[0]))
    return found


def _two_states() -> GaussianHMM:
    model = GaussianHMM(n_components=2, covariance_type="diag")
    model.startprob_ = np.array([0.5, 0.5])
    model.transmat_ = np.array([[0.95, 0.05], [0.05, 0.95]])
    model.means_ = np.zeros((2, 1))
    model.covars_ = np.array([[0.5e-6], [2e-6]])
    return model


def _params() -> RegimeParams:
    model = _two_states()
    variances = np.array([[0.5e-6], [2e-6]])
    return RegimeParams(model.startprob_, model.transmat_, model.means_, variances)


def _above_quantile(bars: Bars, known: int | None) -> Floats:
    moves = np.abs(log_returns(bars))
    above: Floats = (moves > np.quantile(moves[:known], 0.7)).astype(np.float64)
    return above


def _next(values: Floats) -> Floats:
    return np.append(values[1:], np.nan)


def _labels(bars: Bars) -> Labels:
    return forward_return(bars.close, HORIZON)


def _folds(labels: Labels, embargo_bars: int = EMBARGO) -> list[Split]:
    if len(labels.ends) < 160:
        return []  # data that were cut off early have no fold
    return rolling_walk_forward(labels.ends, train_bars=100, test_bars=60, embargo_bars=embargo_bars)


def label(make: Callable[[Bars], Labels]) -> Pipeline:
    """A label, which claims to know the bars up to its end."""

    def claims(market: Market) -> Iterator[Claim]:
        yield label_claim("y", market[NAME].ts_event, make(market[NAME]))

    return claims


def folds(make: Callable[[Labels], list[Split]]) -> Pipeline:
    """What each fold trains on."""

    def claims(market: Market) -> Iterator[Claim]:
        labels = _labels(market[NAME])
        yield from walk_forward_claims(
            make(labels), market[NAME].ts_event, lags(market[NAME]), labels, EMBARGO
        )

    return claims


def per_fold(fit: Callable[[Floats, Labels, Split], Any], stage: str = "normaliser") -> Pipeline:
    """Something fitted for each fold, which claims to know the bars before the test span."""

    def claims(market: Market) -> Iterator[Claim]:
        bars = market[NAME]
        labels, rows = _labels(bars), lags(bars)
        splits = _folds(labels)
        if splits:
            starts = np.array([split.test[0] for split in splits])
            values = np.array([fit(rows, labels, split) for split in splits], dtype=np.float64)
            yield Claim(stage, "per fold", bars.ts_event[starts], bars.ts_event[starts - 1], values)

    return claims


def _unpurged(labels: Labels) -> list[Split]:
    return [
        Split(split.name, np.arange(split.test[0] - 100, split.test[0]), split.test)
        for split in _folds(labels)
    ]


def _shuffled(labels: Labels) -> list[Split]:
    if len(labels.ends) < 300:
        return []
    order = np.random.default_rng(3).permutation(300)
    return [
        Split(f"fold {at}", np.sort(np.setdiff1d(order, order[at::5])), np.sort(order[at::5]))
        for at in range(3)
    ]


def _best_column(rows: Floats, labels: Labels, known: Ints) -> float:
    y = labels.values[known]
    seen = np.isfinite(y)
    scores = [abs(np.corrcoef(column[known][seen], y[seen])[0, 1]) for column in rows.T]
    return float(np.argmax(scores))


def _forest(market: Market) -> Iterator[Claim]:
    """Predictions of a model that is fitted before each test span."""
    bars = market[NAME]
    rows, labels = lags(bars), return_sign(bars.close, HORIZON, 0.0)
    for split in _folds(labels)[:1]:
        model = RandomForestClassifier(5, random_state=1)
        model.fit(rows[split.train], labels.values[split.train] > 0)
        times = bars.ts_event[split.test]
        yield Claim("decisions", split.name, times, times, model.predict_proba(rows[split.test])[:, 1])


def combined(purge: bool) -> Pipeline:
    """Labels that combinatorial splits train on."""

    def claims(market: Market) -> Iterator[Claim]:
        labels = _labels(market[NAME])
        ends = labels.ends if purge else np.arange(len(labels.ends))
        splits = combinatorial_purged(ends, num_folds=4, num_test_folds=1, embargo_bars=0)
        yield from combinatorial_claims(splits, market[NAME].ts_event, labels)

    return claims


def windows(late: int) -> Pipeline:
    """The last returns as a policy sees them, so many bars late."""

    def rows(bars: Bars) -> Floats:
        found = lags(bars)
        return np.concatenate([found[late:], np.full((late, found.shape[1]), np.nan)])

    return stream(rows, "observation")


def _winsorised(bars: Bars) -> Labels:
    labels = _labels(bars)
    return Labels(np.minimum(labels.values, np.nanquantile(labels.values, 0.6)), labels.ends)


def _short(labels: Labels, by: int) -> Labels:
    return Labels(labels.values, np.maximum(labels.ends - by, np.arange(len(labels.ends))))


def _barriers(bars: Bars) -> Labels:
    width = np.full(len(bars.close), 0.002)
    return triple_barrier(bars.high, bars.low, bars.close, width=width, horizon=HORIZON)


LEAKY: dict[str, Pipeline] = {
    "centred mean": stream(lambda b: _series(b).rolling(11, center=True).mean()),
    "next close": stream(lambda b: _next(b.close)),
    "gap to the next open": stream(lambda b: _next(b.open) / b.close),
    "maximum of the next bars": stream(lambda b: _series(b)[::-1].rolling(5).max()[::-1]),
    "z-score over all rows": stream(lambda b: (b.close - b.close.mean()) / b.close.std()),
    "rank among all rows": stream(lambda b: _series(b).rank(pct=True)),
    "component fitted on all rows": stream(lambda b: _component(lags(b), lags(b))),
    "price in units of the last": stream(lambda b: b.close / b.close[-1]),
    "share of the history that is over": stream(lambda b: np.arange(len(b.close)) / len(b.close)),
    "close of the unfinished hour": stream(_block_close),
    "filled backwards": stream(lambda b: _holes(b).bfill()),
    "interpolated": stream(lambda b: _holes(b).interpolate()),
    "central difference": stream(lambda b: np.gradient(b.close)),
    "filter without phase": stream(lambda b: signal.filtfilt([0.2], [1.0, -0.8], np.log(b.close))),
    "smoothing polynomial": stream(lambda b: signal.savgol_filter(b.close, 9, 2)),
    "trend taken out of all": stream(lambda b: signal.detrend(np.log(b.close))),
    "normaliser of all rows": per_fold(lambda rows, y, split: mean_and_spread(rows)),
    "normaliser of train and test": per_fold(
        lambda rows, y, split: mean_and_spread(rows[: split.test[-1] + 1])
    ),
    "label that ends a bar later": label(lambda b: _short(_labels(b), 1)),
    "barriers that say they end at once": label(lambda b: _short(_barriers(b), HORIZON)),
    "label cut by a quantile of all": label(_winsorised),
    "smoothed regime": stream(lambda b: _two_states().predict_proba(log_returns(b)[:, None])[:, 1], "regime"),
    "most probable path": stream(lambda b: _two_states().predict(log_returns(b)[:, None]), "regime"),
    "regime cut on all rows": stream(lambda b: _above_quantile(b, None), "regime"),
    "window that is a bar late": windows(1),
    "book marked at the next close": stream(lambda b: 3.0 * _next(b.close), "observation"),
    "labels that reach into the test": folds(_unpurged),
    "shuffled folds": folds(_shuffled),
    "no embargo": folds(lambda labels: _folds(labels, 0)),
    "columns chosen on all rows": per_fold(
        lambda rows, y, split: _best_column(rows, y, np.arange(len(rows))), "splits"
    ),
    "combinations without purging": combined(purge=False),
}
"""Every one knows its future."""

CLEAN: dict[str, Pipeline] = {
    "trailing mean": stream(lambda b: _series(b).rolling(11).mean()),
    "close before": stream(lambda b: _series(b).shift(1)),
    "gap from the close before": stream(lambda b: b.open / _series(b).shift(1)),
    "maximum of the last bars": stream(lambda b: _series(b).rolling(5).max()),
    "z-score over what was": stream(lambda b: (_series(b) - _series(b).expanding().mean()) / 2.0),
    "rank among what was": stream(lambda b: _series(b).expanding().rank(pct=True)),
    "component fitted on the first rows": stream(lambda b: _component(lags(b), lags(b)[:100])),
    "price in units of the first": stream(lambda b: b.close / b.close[0]),
    "number of the bar": stream(lambda b: np.arange(len(b.close))),
    "close of the finished hour": stream(_finished_block_close),
    "filled forwards": stream(lambda b: _holes(b).ffill()),
    "exponential average": stream(lambda b: _series(b).ewm(span=12).mean()),
    "backward difference": stream(log_returns),
    "filter with phase": stream(lambda b: signal.lfilter([0.2], [1.0, -0.8], np.log(b.close))),
    "convolution by Fourier": stream(
        lambda b: signal.fftconvolve(b.close, np.full(7, 1.0 / 7.0))[: len(b.close)]
    ),
    "normaliser of the training rows": per_fold(lambda rows, y, split: mean_and_spread(rows[split.train])),
    "forward return": label(_labels),
    "barriers": label(_barriers),
    "filtered regime": stream(lambda b: fold(_params(), log_returns(b)[:, None]), "regime"),
    "regime cut on the first rows": stream(lambda b: _above_quantile(b, 100), "regime"),
    "window": windows(0),
    "book marked at the close": stream(lambda b: 3.0 * b.close, "observation"),
    "purged walk-forward": folds(_folds),
    "columns chosen on the training rows": per_fold(
        lambda rows, y, split: _best_column(rows, y, split.train), "splits"
    ),
    "purged combinations": combined(purge=True),
    "forest fitted on the training rows": _forest,
}
"""None knows its future."""
