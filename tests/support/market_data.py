"""Made-up markets and trading rules for the learning plane."""

from decimal import Decimal

import numpy as np

from ml.datasets import Bars, Dataset, Provenance, make_dataset
from strategies.config import FeatureConfig, FeaturesConfig
from strategies.market import Floats, Instrument

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC."""


def random_dataset(
    num_assets: int,
    rows: int,
    seed: int = 0,
    *,
    lookback: int = 4,
    volatility: float = 0.002,
    drift: float = 0.0,
    missing_frac: float = 0.0,
) -> Dataset:
    """Random walks whose opens differ from the closes before, some bars missing, with one feature."""
    rng = np.random.default_rng(seed)
    series = {}
    for asset in range(num_assets):
        close = 100.0 * (asset + 1) * np.exp(np.cumsum(drift + volatility * rng.standard_normal(rows)))
        opening = np.concatenate([[close[0]], close[:-1]]) * np.exp(0.0003 * rng.standard_normal(rows))
        kept = rng.random(rows) >= missing_frac
        kept[0] = True
        series[name_of(asset)] = Bars(
            START_NS + MINUTE_NS * np.flatnonzero(kept) + MINUTE_NS,
            opening[kept],
            (np.maximum(opening, close) * 1.0001)[kept],
            (np.minimum(opening, close) * 0.9999)[kept],
            close[kept],
            (rng.exponential(5e3, rows) * (rng.random(rows) > 0.05))[kept],
        )
    features = FeaturesConfig(lookback=lookback, columns=(FeatureConfig(kind="log_return"),))
    return make_dataset(series, features, Provenance("1-MINUTE"))


def priced_dataset(opens: Floats, closes: Floats, *, volume: float = 1e9, lookback: int = 1) -> Dataset:
    """A market with given prices, shape (T, N) each; the first row only warms the feature up."""
    series = {}
    for asset in range(closes.shape[1]):
        opening, close = opens[:, asset], closes[:, asset]
        ts_event = START_NS + MINUTE_NS * np.arange(1, len(close) + 1)
        high, low = np.maximum(opening, close), np.minimum(opening, close)
        series[name_of(asset)] = Bars(ts_event, opening, high, low, close, np.full(len(close), volume))
    features = FeaturesConfig(lookback=lookback, columns=(FeatureConfig(kind="log_return"),))
    return make_dataset(series, features, Provenance("1-MINUTE"))


def rules_for(
    num_assets: int, *, shortable: bool = True, lot_size: str = "0.001", min_notional: str = "5"
) -> list[Instrument]:
    """Rules of a venue that takes small orders."""
    return [
        Instrument(
            instrument_id=name_of(asset),
            base_currency=f"ASSET{asset}",
            quote_currency="USD",
            tick_size=Decimal("0.01"),
            lot_size=Decimal(lot_size),
            min_quantity=Decimal(lot_size),
            min_notional=Decimal(min_notional),
            maker_fee_bps=1.0,
            taker_fee_bps=5.0,
            shortable=shortable,
        )
        for asset in range(num_assets)
    ]


def name_of(asset: int) -> str:
    """Instrument id of an asset."""
    return f"ASSET{asset}.X"
