"""The leak check finds what knows its future and lets alone what does not; warm-ups are measured."""

import numpy as np
import pytest

from ml.datasets import Bars
from ml.leaks import Claim, FoldSettings, LeakSettings, find_leaks, learning_claims, warm_up
from strategies.config import FeatureConfig, FeaturesConfig
from strategies.errors import ConfigError, DataError
from strategies.features import kernel_types
from tests.support.pipelines import CLEAN, LEAKY, NAME, stream, walk

QUICK = LeakSettings(num_cuts=4, earliest_frac=0.5)
MARKET = {NAME: walk()}


def test_there_are_twenty_of_each_at_the_least() -> None:
    assert len(LEAKY) >= 20
    assert len(CLEAN) >= 20


@pytest.mark.parametrize("name", LEAKY)
def test_planted_leak_is_found(name: str) -> None:
    assert find_leaks(LEAKY[name], MARKET, QUICK)


@pytest.mark.parametrize("name", CLEAN)
def test_clean_pipeline_raises_no_alarm(name: str) -> None:
    assert find_leaks(CLEAN[name], MARKET, QUICK) == ()


def test_all_kernels_labels_and_splits_of_ours_are_clean() -> None:
    features = FeaturesConfig(lookback=4, columns=tuple(FeatureConfig(kind=kind) for kind in kernel_types()))
    market = {"A.X": walk(330, 1), "B.X": walk(330, 2)}
    folds = FoldSettings(train_bars=100, test_bars=60)

    assert find_leaks(learning_claims(features, folds), market, LeakSettings(num_cuts=1)) == ()


@pytest.mark.parametrize(("name", "bars"), [("next close", 1), ("maximum of the next bars", 4)])
def test_reach_of_a_leak_is_how_far_it_looks_at_the_least(name: str, bars: int) -> None:
    (leak,) = find_leaks(LEAKY[name], MARKET, QUICK)

    assert (leak.stage, leak.least_reach_bars) == ("features", bars)


def test_unseeded_pipeline_is_refused_rather_than_called_leaky() -> None:
    drawn = np.random.default_rng()

    with pytest.raises(DataError, match="give whatever draws at random a seed"):
        find_leaks(stream(lambda bars: drawn.normal(size=len(bars.close))), MARKET, QUICK)


def test_too_few_bars_are_refused() -> None:
    with pytest.raises(DataError, match="expected at least 50 bar times, found 40"):
        find_leaks(CLEAN["window"], {NAME: walk(40)}, QUICK)


def test_claim_with_a_repeated_key_is_refused() -> None:
    with pytest.raises(DataError, match="3 unique keys"):
        Claim("features", "x", np.array([1, 2, 2]), np.arange(3), np.zeros(3))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_cuts >= 1"):
        LeakSettings(num_cuts=0)


# ---- warm-up


def features_of(*kinds: tuple[str, dict[str, int]]) -> FeaturesConfig:
    columns = tuple(FeatureConfig.model_validate({"kind": kind, "params": params}) for kind, params in kinds)
    return FeaturesConfig(lookback=4, columns=columns)


def test_windowed_feature_settles_when_its_window_is_full() -> None:
    (row,) = warm_up(features_of(("sma", {"period": 20})), MARKET)

    assert (row.first_bar, row.settle_bars, row.finding) == (20, 20, "")


def test_recursive_feature_settles_when_its_start_weighs_nothing() -> None:
    # A weight of 1/5 forgets its start by (4/5)^n. The tolerance is a hundred-thousandth of a spread, and the
    # start lies a fraction of one to a few away: between ln 1e-4 / ln 0.8 and ln 1e-6 / ln 0.8.
    (row,) = warm_up(features_of(("ema", {"period": 9})), MARKET)

    assert row.settle_bars is not None
    assert 41 <= row.settle_bars <= row.declared_settle_bars
    assert row.finding == ""


def test_session_average_is_found_to_depend_on_where_the_data_began() -> None:
    # From midnight, for a day and a half: streams that begin later agree from the next midnight on.
    bars = walk(2_160)

    rows = warm_up(features_of(("session_vwap", {})), {NAME: bars})

    assert [row.settle_bars for row in rows] == [1441 - 270, 1441 - 270]
    assert rows[0].finding == "depends on where the data began for 1171 bars"


def test_warm_up_counts_the_bars_of_an_instrument_not_the_rows_it_missed() -> None:
    whole, torn = walk(300, 1), walk(300, 2)
    kept = np.arange(300) % 3 != 1
    columns = (torn.ts_event, torn.open, torn.high, torn.low, torn.close, torn.volume)
    market = {"A.X": whole, "B.X": Bars(*(column[kept] for column in columns))}

    (row,) = warm_up(features_of(("sma", {"period": 20})), market)

    assert (row.first_bar, row.settle_bars, row.finding) == (20, 20, "")


def test_feature_without_a_value_is_a_finding() -> None:
    (row,) = warm_up(features_of(("sma", {"period": 400})), MARKET)

    assert row.finding == "no value at all: take a longer span"
