"""Regime models over the catalog, apart from trading: a new one, and what one believes about the past.

Flow: catalog → research → ml.beliefs → **fit**, or **infer** → JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from adapters.catalog import Catalog
from bot.config import HostConfig, LoadedStrategy
from bot.config.loading import load_strategy
from bot.learning.research import dataset_of
from bot.market_data import bar_type
from ml.beliefs import first_warm, regime_rows
from ml.datasets import Dataset
from strategies.belief_summary import probs_above_zero
from strategies.bundle import STRATEGY, Bundle
from strategies.config import RegimeConfig
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.regime import fold
from strategies.regime_params import RegimeParams, load_regime_params

PARAMS, REPORT = "regime.npz", "report.json"
MOST_BARS = 200_000
"""That beliefs are asked over; a filter needs no more to forget where it began."""


def fit_regime(host: HostConfig, directory: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fit a regime model on the bars of a host's span, and write it down.

    Args:
        host: Its catalog and span, with the one strategy whose columns are fitted on.
        directory: Where ``regime.npz`` goes, which a strategy file may name, and ``report.json``; made.
        options: ``num_states``, ``covariance``, ``stay_bars`` and ``seed`` of `ml.hmm.HmmSettings`.

    Returns:
        The report.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If the strategy has no regime model.
        DataError: If there are too few bars.
    """
    from ml.hmm import Covariance, HmmSettings, fit_hmm

    loaded = host.strategies[0]
    regime = _regime_of(loaded)
    data = host.settings.data
    dataset = dataset_of(loaded, Catalog(host.catalog_path), data.start_ns, data.end_ns)
    first = first_warm(dataset)
    rows = regime_rows(dataset, regime)[first:]
    settings = HmmSettings(
        num_states=options["num_states"],
        covariance=Covariance(options["covariance"]),
        stay_bars=options["stay_bars"],
        seed=options["seed"],
    )
    fit = fit_hmm(rows, settings, columns=regime.columns)
    report = {
        "strategy": loaded.config.name,
        "columns": list(regime.columns),
        "settings": asdict(settings),
        "bars": len(rows),
        "first_ns": int(dataset.ts_event[first]),
        "last_ns": int(dataset.ts_event[-1]),
        "data_sha256": dataset.content_sha256(),
        "params_sha256": fit.params.sha256,
        "log_likelihood": fit.log_likelihood,
        "bic": fit.bic,
        "start": fit.start,
        "iterations": fit.iterations,
        "initial_probs": fit.params.initial_probs.tolist(),
        "transition_matrix": fit.params.transition_matrix.tolist(),
        "means": fit.params.means.tolist(),
        "covariances": fit.params.covariances.tolist(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    fit.params.save(directory / PARAMS)
    (directory / REPORT).write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return report


def infer_regimes(
    bundle: Bundle, catalog: Catalog, *, start_ns: int | None, end_ns: int | None, limit: int
) -> dict[str, Any]:
    """What a bundle's regime model believes at each bar, from that bar and those before it alone.

    ``expected`` and ``variance`` are those of the next bar's columns, in their own units, and ``p_up`` is the
    probability that a column is above 0 then: a mixture of the states by ``predicted_probs``.

    Args:
        bundle: Whose model, features and instruments.
        catalog: Where the bars lie.
        start_ns: Bars that close after this, UTC nanoseconds; features and filter begin there. None takes
            the newest `MOST_BARS`.
        end_ns: Bars that close by this.
        limit: So many of the newest beliefs.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If the bundle has no regime model.
        DataError: If there are too few bars, or more than `MOST_BARS`.
    """
    loaded = load_strategy(bundle.path / STRATEGY)
    regime = _regime_of(loaded)
    if bundle.regime_path is None:
        raise ConfigError(f"{bundle.path}: expected a bundle with a regime model, found none")
    params = load_regime_params(bundle.regime_path)
    dataset = _read(loaded, catalog, start_ns, end_ns)
    first = first_warm(dataset)
    rows = regime_rows(dataset, regime)[first:]
    filtered = fold(params, rows)[-limit:]
    predicted = filtered @ params.transition_matrix
    expected, variance, p_up = _moments(params, predicted)
    return {
        "name": bundle.name,
        "bundle_id": bundle.bundle_id,
        "columns": list(regime.columns),
        "bars": len(rows),
        "first_ns": int(dataset.ts_event[first]),
        "beliefs": [
            {
                "ts_event": int(ts_event),
                "state": int(np.argmax(probs)),
                "filtered_probs": probs.tolist(),
                "predicted_probs": ahead.tolist(),
                "expected": mean.tolist(),
                "variance": spread.tolist(),
                "p_up": up.tolist(),
            }
            for ts_event, probs, ahead, mean, spread, up in zip(
                dataset.ts_event[-len(filtered) :], filtered, predicted, expected, variance, p_up, strict=True
            )
        ],
    }


def _regime_of(loaded: LoadedStrategy) -> RegimeConfig:
    regime = loaded.config.regime
    if regime is None:
        raise ConfigError(f"{loaded.path}: expected a section [regime] that names columns, found none")
    return regime


def _read(loaded: LoadedStrategy, catalog: Catalog, start_ns: int | None, end_ns: int | None) -> Dataset:
    """The bars of a span; without a start, the newest that are not too many."""
    config = loaded.config
    for name in config.instruments:
        times = catalog.read_arrays(bar_type(name, config.interval), start_ns, end_ns).ts_event
        if len(times) <= MOST_BARS:
            continue
        if start_ns is not None:
            raise DataError(
                f"expected at most {MOST_BARS} bars of {name}, found {len(times)}; ask for a shorter span"
            )
        start_ns = int(times[-MOST_BARS - 1])
    return dataset_of(loaded, catalog, start_ns, end_ns)


def _moments(params: RegimeParams, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and variance of the mixture, and how probable it is to lie above 0; each of shape (T, D)."""
    expected = predicted @ params.means
    # Around the mean, not around 0: nothing cancels where the states lie far off and close together.
    around = params.variances + (params.means - expected[:, None]) ** 2
    variance = np.einsum("tk,tkd->td", predicted, around)
    return expected, variance, predicted @ probs_above_zero(params.means, params.variances)
