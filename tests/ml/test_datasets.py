"""Datasets: bars in step, features by the pipeline that trades, windows as views, hashes over bytes."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.datasets import Bars, Dataset, Provenance, make_dataset
from strategies.config import FeatureConfig, FeaturesConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline
from strategies.market import BarRow, Panel

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000
FEATURES = FeaturesConfig(
    lookback=4,
    columns=(
        FeatureConfig(kind="log_return", params={"period": 1}),
        FeatureConfig(kind="atr", params={"period": 5}),
    ),
)
PROVENANCE = Provenance(interval="1-MINUTE", vendor="made up", files=("ab" * 32,))


def walk(seed: int, rows: int, keep: np.ndarray | None = None) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.001 * rng.standard_normal(rows)))
    opening = np.concatenate([[100.0], close[:-1]])
    kept = np.ones(rows, dtype=bool) if keep is None else keep
    columns = (
        START_NS + MINUTE_NS * np.arange(1, rows + 1),
        opening,
        np.maximum(opening, close) * 1.0002,
        np.minimum(opening, close) * 0.9998,
        close,
        rng.exponential(10.0, rows),
    )
    return Bars(*(column[kept] for column in columns))


def two_series(rows: int = 60) -> dict[str, Bars]:
    return {"A.X": walk(1, rows), "B.X": walk(2, rows, np.arange(rows) % 7 != 3)}


def test_features_of_a_dataset_are_the_stream_of_the_pipeline_bar_by_bar() -> None:
    series = two_series()
    pipeline = FeaturePipeline(FEATURES, 2)

    dataset = make_dataset(series, FEATURES, PROVENANCE)

    feeds = {name: {int(ts): at for at, ts in enumerate(bars.ts_event)} for name, bars in series.items()}
    for row, ts in enumerate(dataset.ts_event.tolist()):
        bars = tuple(
            BarRow(*(getattr(series[name], field)[at[ts]].item() for field in BarRow._fields))
            if ts in at
            else None
            for name, at in feeds.items()
        )
        expected = pipeline.update(Panel(ts, bars)).values
        np.testing.assert_array_equal(dataset.features[row], expected.astype(np.float32))


def test_price_of_a_missing_bar_stands_still_at_the_last_close() -> None:
    series = two_series()

    dataset = make_dataset(series, FEATURES, PROVENANCE)

    missing = np.flatnonzero(~dataset.present[:, 1])
    assert missing.tolist() == [row for row in range(60) if row % 7 == 3]
    np.testing.assert_array_equal(dataset.close[missing, 1], dataset.close[missing - 1, 1])
    np.testing.assert_array_equal(dataset.open[missing, 1], dataset.close[missing - 1, 1])
    assert (dataset.volume[missing, 1] == 0.0).all()


def test_features_before_a_time_do_not_change_when_the_future_does() -> None:
    whole = make_dataset(two_series(60), FEATURES, PROVENANCE)
    later = {name: replace(bars, close=bars.close.copy()) for name, bars in two_series(60).items()}
    for bars in later.values():
        bars.close[40:] = np.minimum(bars.high[40:], bars.close[40:] * 1.00001)

    changed = make_dataset(later, FEATURES, PROVENANCE)

    cut = int(np.searchsorted(whole.ts_event, later["B.X"].ts_event[40]))
    np.testing.assert_array_equal(whole.features[: min(cut, 40)], changed.features[: min(cut, 40)])
    assert not np.array_equal(whole.features[40:], changed.features[40:])


def test_windows_are_views_of_the_features_and_end_with_their_row() -> None:
    dataset = make_dataset(two_series(), FEATURES, PROVENANCE)

    windows = dataset.windows

    assert windows.shape == (57, 4, 2, 2)
    assert np.shares_memory(windows, dataset.features)
    np.testing.assert_array_equal(windows[10], dataset.features[10:14])


def test_windows_of_a_long_history_take_no_memory_of_their_own() -> None:
    dataset = make_dataset({"A.X": walk(1, 400)}, FEATURES.model_copy(update={"lookback": 256}), PROVENANCE)
    tracemalloc.start()

    windows = dataset.windows

    assert windows.nbytes > 50 * dataset.features.nbytes
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_decidable_rows_are_those_with_a_full_window_of_warm_features() -> None:
    # The average true range over 5 bars is warm from the 5th bar on (B.X misses its 4th, so from the 6th
    # row); three more rows fill a window of four.
    dataset = make_dataset(two_series(), FEATURES, PROVENANCE)

    first_warm = int(np.flatnonzero(np.isfinite(dataset.features).all(axis=(1, 2)))[0])
    assert np.flatnonzero(dataset.decidable).tolist() == list(range(first_warm + 3, 60))


def test_row_without_a_belief_is_not_decidable() -> None:
    beliefs = np.full((60, 2), 0.5)
    beliefs[30] = np.nan

    dataset = make_dataset(two_series(), FEATURES, PROVENANCE).with_beliefs(beliefs)

    assert not dataset.decidable[30:34].any()
    assert dataset.decidable[[29, 34]].all()


def test_hash_is_of_the_bytes_and_changes_with_each_of_them() -> None:
    dataset = make_dataset(two_series(), FEATURES, PROVENANCE)
    again = make_dataset(two_series(), FEATURES, PROVENANCE)
    hashes = {dataset.content_sha256()}

    assert again.content_sha256() in hashes
    for name in ("ts_event", "open", "close", "volume", "present", "features"):
        raw = getattr(dataset, name).copy()
        raw.view(np.uint8).reshape(-1)[raw.nbytes // 2] ^= 1
        hashes.add(replace(dataset, **{name: raw}).content_sha256())
    hashes.add(replace(dataset, provenance=replace(PROVENANCE, adjustment="split")).content_sha256())
    hashes.add(replace(dataset, instruments=("B.X", "A.X")).content_sha256())
    assert len(hashes) == 9


def test_dataset_is_the_same_after_saving_and_equal_data_are_equal_bytes(tmp_path: Path) -> None:
    dataset = make_dataset(two_series(), FEATURES, PROVENANCE).with_beliefs(np.full((60, 2), 0.5))
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    dataset.save(first)
    dataset.save(second)

    found = Dataset.load(first)

    assert found.manifest() == dataset.manifest()
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.npz", "second.npz"]


def test_file_with_a_changed_byte_is_refused_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    make_dataset(two_series(), FEATURES, PROVENANCE).save(path)
    content = path.read_bytes()
    for at in range(100, len(content) - 1_200, 997):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)

        with pytest.raises(DataError, match="build it again"):
            Dataset.load(path)


def test_manifest_says_what_is_in_the_data() -> None:
    manifest = make_dataset(two_series(), FEATURES, PROVENANCE).manifest()

    assert manifest["instruments"] == ["A.X", "B.X"]
    assert (manifest["first_ns"], manifest["last_ns"]) == (START_NS + MINUTE_NS, START_NS + 60 * MINUTE_NS)
    assert (manifest["rows"], manifest["interval"], manifest["adjustment"]) == (60, "1-MINUTE", "none")


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({}, "expected bars of every instrument"),
        ({"A.X": walk(1, 0)}, r"found none of \['A.X'\]"),
        ({"A.X": walk(1, 5, np.array([1, 0, 1, 0, 1], bool)), "B.X": walk(1, 0)}, r"\['B.X'\]"),
    ],
)
def test_missing_bars_are_refused(series: dict[str, Bars], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_dataset(series, FEATURES, PROVENANCE)


def test_bars_out_of_order_are_refused() -> None:
    bars = walk(1, 10)
    bars.ts_event[5] = bars.ts_event[4]

    with pytest.raises(DataError, match="in order of time"):
        make_dataset({"A.X": bars}, FEATURES, PROVENANCE)


def test_too_few_rows_for_a_window_and_beliefs_of_another_length_are_refused() -> None:
    dataset = make_dataset({"A.X": walk(1, 3)}, FEATURES, PROVENANCE)

    with pytest.raises(DataError, match="at least 4 rows"):
        _ = dataset.windows
    with pytest.raises(DataError, match=r"shape \(3, B\)"):
        dataset.with_beliefs(np.zeros((4, 2)))
