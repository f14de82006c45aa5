"""What must hold of every kernel and of the pipeline that runs them."""

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.config import FeatureConfig, FeaturesConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline, fold, kernel_types
from strategies.features.kernel import CrossKernel, Kernel
from strategies.market import BarRow, Panel
from tests.strategies.features.panels import (
    MINUTE_NS,
    RECURSIVE,
    SMALL,
    START_NS,
    bar_streams,
    manifest,
    market,
    one,
    panels,
    values_of,
)

EVERYTHING = manifest(sorted(SMALL))
GOOD = BarRow(START_NS, 10.0, 12.0, 9.0, 11.0, 5.0)


def _kernels(defaults: bool) -> list[tuple[str, Kernel | CrossKernel]]:
    kernels: list[tuple[str, Kernel | CrossKernel]] = []
    for kind, kernel_type in kernel_types().items():
        params = {} if defaults else SMALL[kind]
        arguments = (2,) if issubclass(kernel_type, CrossKernel) else ()
        kernels.append((kind, kernel_type(*arguments, **params)))  # type: ignore[arg-type]
    return kernels


def test_small_parameters_cover_every_kernel() -> None:
    assert set(SMALL) == set(kernel_types())


@given(stream=bar_streams(st.integers(1, 40)), cut=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_features_of_a_prefix_equal_the_prefix_of_features(stream: list[Panel], cut: int) -> None:
    prefix = stream[: max(1, cut)]

    np.testing.assert_array_equal(fold(EVERYTHING, prefix), fold(EVERYTHING, stream)[: len(prefix)])


@given(stream=bar_streams(st.integers(1, 30)))
@settings(max_examples=40, deadline=None)
def test_fold_equals_the_stream_to_the_bit(stream: list[Panel]) -> None:
    pipeline = FeaturePipeline(EVERYTHING, 2)

    streamed = [pipeline.update(panel).values for panel in stream]

    assert np.array(streamed).tobytes() == fold(EVERYTHING, stream).tobytes()


@given(stream=bar_streams(st.integers(1, 60)))
@settings(max_examples=80, deadline=None)
def test_features_of_any_valid_bars_are_finite_once_warm(stream: list[Panel]) -> None:
    pipeline = FeaturePipeline(EVERYTHING, 2)
    seen = [0, 0]
    both_seen = 0

    for panel in stream:
        features = pipeline.update(panel)
        seen = [count + (bar is not None) for count, bar in zip(seen, panel.bars, strict=True)]
        both_seen += min(seen) > 0 and any(bar is not None for bar in panel.bars)

        if min(seen) >= pipeline.warmup_bars and both_seen > 2 * pipeline.warmup_bars:
            assert features.ready
        assert features.ready == bool(np.isfinite(features.values).all())
        assert not np.isinf(features.values).any()


@given(stream=bar_streams(st.integers(2, 30)))
@settings(max_examples=40, deadline=None)
def test_missing_bar_keeps_the_previous_row_to_the_bit(stream: list[Panel]) -> None:
    pipeline = FeaturePipeline(EVERYTHING, 2)
    before = np.full((2, pipeline.num_features), np.nan)

    for panel in stream:
        after = pipeline.update(panel).values
        for index, bar in enumerate(panel.bars):
            if bar is None:
                assert after[index].tobytes() == before[index].tobytes()
        before = after


@pytest.mark.parametrize("kind", sorted(set(SMALL) - {"breadth", "dispersion", "session_vwap"}))
def test_missing_bars_of_one_instrument_do_not_advance_its_kernels(kind: str) -> None:
    bars, other = market(seed=5, length=40), market(seed=6, length=80)
    stretched: list[BarRow | None] = []
    for step, bar in enumerate(bars):
        stretched += [bar._replace(ts_event=other[2 * step].ts_event), None]
    config = manifest([kind])

    rows = fold(config, panels(stretched, other))[::2, 0]

    np.testing.assert_array_equal(rows, values_of(config, bars))


def test_cross_kernel_takes_a_missing_instrument_at_its_last_price() -> None:
    first = [GOOD._replace(ts_event=START_NS + step * MINUTE_NS) for step in (1, 2, 3)]
    second = [first[0], None, first[2]]
    rising = [first[0], first[1]._replace(close=12.0), first[2]]
    held = [first[0], first[1]._replace(close=11.0), first[2]]

    missing = fold(one("dispersion"), panels(rising, second))
    present = fold(one("dispersion"), panels(rising, held))

    np.testing.assert_array_equal(missing[1:, 0], present[1:, 0])
    assert np.isnan(missing[1, 1, 0])


@given(
    before=bar_streams(st.integers(0, 20)),
    after=bar_streams(st.integers(1, 20)),
)
@settings(max_examples=30, deadline=None)
def test_reset_pipeline_equals_a_fresh_one(before: list[Panel], after: list[Panel]) -> None:
    pipeline = FeaturePipeline(EVERYTHING, 2)
    for panel in before:
        pipeline.update(panel)

    pipeline.reset()

    values = np.array([pipeline.update(panel).values for panel in after])
    assert values.tobytes() == fold(EVERYTHING, after).tobytes()


@pytest.mark.parametrize("defaults", [True, False])
def test_every_column_is_valid_from_the_declared_bar_on(defaults: bool) -> None:
    streams = (market(seed=1, length=90), market(seed=2, length=90, start=40.0))

    for kind, kernel in _kernels(defaults):
        config = one(kind, **({} if defaults else SMALL[kind]))
        valid = np.isfinite(fold(config, panels(*streams))).all(axis=(1, 2))

        assert int(valid.argmax()) + 1 == kernel.warmup_bars, kind
        assert valid[kernel.warmup_bars - 1 :].all(), kind


def test_pipeline_is_ready_at_its_warmup_and_not_before() -> None:
    pipeline = FeaturePipeline(EVERYTHING, 1)

    ready = [pipeline.update(panel).ready for panel in panels(market(seed=1, length=30))]

    assert ready.index(True) + 1 == pipeline.warmup_bars
    assert all(ready[pipeline.warmup_bars :])


def test_pipeline_waits_for_its_last_instrument() -> None:
    pipeline = FeaturePipeline(one("ohlcv"), 2)
    bars = market(seed=1, length=2)

    first = pipeline.update(Panel(bars[0].ts_event, (bars[0], None)))
    second = pipeline.update(Panel(bars[1].ts_event, (None, bars[1])))

    assert (first.ready, second.ready) == (False, True)


@pytest.mark.parametrize("kind", sorted(set(SMALL) - set(RECURSIVE)))
@given(start=st.integers(0, 60), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_windowed_kernel_is_the_same_to_the_bit_wherever_it_began(kind: str, start: int, seed: int) -> None:
    streams = (market(seed=seed, length=90), market(seed=seed + 100, length=90))
    stream = panels(*streams)
    config = manifest([kind])
    warm = FeaturePipeline(config, 2).warmup_bars - 1

    late = fold(config, stream[start:])[warm:]

    assert late.tobytes() == fold(config, stream)[start + warm :].tobytes()


@pytest.mark.parametrize("kind", sorted(set(RECURSIVE) - {"session_vwap"}))
def test_recursive_kernel_forgets_to_the_bit_where_it_began_over_its_settling_bars(kind: str) -> None:
    config = manifest([kind])
    settle_bars = FeaturePipeline(config, 1).settle_bars
    for seed in range(5):
        bars = market(seed=seed, length=settle_bars + 400)
        whole = values_of(config, bars)
        for start in (1, 57, 200):
            late = values_of(config, bars[start:])[settle_bars:]
            assert late.tobytes() == whole[start + settle_bars :].tobytes()


def test_session_vwap_is_exact_from_the_first_session_that_was_seen_whole() -> None:
    bars = [bar for bar in market(seed=4, length=3_000) if bar.ts_event % (7 * MINUTE_NS) == 0]
    config = one("session_vwap")
    start = 50
    session = next(t for t in range(start, len(bars)) if bars[t].ts_event > START_NS + 1_440 * MINUTE_NS)
    stream = [Panel(bar.ts_event, (bar,)) for bar in bars]

    late = fold(config, stream[start:])[session - start :]

    assert late.tobytes() == fold(config, stream)[session:].tobytes()


BAD = [
    ({"open": math.nan}, "bar.open = nan"),
    ({"close": 0.0}, "bar.close = 0.0"),
    ({"low": -1.0}, "bar.low = -1.0"),
    ({"high": math.inf}, "bar.high = inf"),
    ({"high": 1e16}, "bar.high = 1e+16"),
    ({"high": 8.0}, "bar.high = 8.0: expected at least the low, 9.0"),
    ({"open": 12.5}, "bar.open = 12.5: expected from the low 9.0 to the high 12.0"),
    ({"close": 8.5}, "bar.close = 8.5: expected from the low 9.0 to the high 12.0"),
    ({"close": 12.5}, "bar.close = 12.5: expected from the low 9.0 to the high 12.0"),
    ({"low": 1e-13}, "bar.low = 1e-13: expected a price from 1e-12 to 1e+15"),
    ({"volume": 1e21}, "bar.volume = 1e+21: expected a volume from 0 to 1e+20"),
    ({"volume": math.inf}, "bar.volume = inf"),
    ({"volume": -1.0}, "bar.volume = -1.0"),
    ({"volume": math.nan}, "bar.volume = nan"),
    ({"ts_event": START_NS}, "bar.ts_event = "),
]


@pytest.mark.parametrize(("change", "complaint"), BAD, ids=[complaint for _, complaint in BAD])
def test_bad_bar_is_refused_and_leaves_the_pipeline_as_it_was(
    change: dict[str, float], complaint: str
) -> None:
    stream = panels(market(seed=1, length=40), market(seed=2, length=40))
    pipeline = FeaturePipeline(EVERYTHING, 2)
    for panel in stream[:30]:
        pipeline.update(panel)
    ts_event = stream[30].ts_event
    bad = GOOD._replace(ts_event=ts_event)._replace(**change)  # type: ignore[arg-type]

    with pytest.raises(DataError, match=r"^instrument 1: ") as refusal:
        pipeline.update(Panel(ts_event, (stream[30].bars[0], bad)))

    assert complaint in str(refusal.value)
    rest = np.array([pipeline.update(panel).values for panel in stream[30:]])
    assert rest.tobytes() == fold(EVERYTHING, stream)[30:].tobytes()


@pytest.mark.parametrize("minutes", [0, -1])
def test_repeated_or_late_panel_is_refused(minutes: int) -> None:
    pipeline = FeaturePipeline(one("ohlcv"), 1)
    pipeline.update(Panel(START_NS, (GOOD,)))
    ts_event = START_NS + minutes * MINUTE_NS

    with pytest.raises(DataError, match="bars must arrive in order of time, once each"):
        pipeline.update(Panel(ts_event, (GOOD._replace(ts_event=ts_event),)))


def test_panel_of_another_width_is_refused() -> None:
    pipeline = FeaturePipeline(one("ohlcv"), 2)

    with pytest.raises(DataError, match="1 entries: expected 2"):
        pipeline.update(Panel(START_NS, (GOOD,)))


def test_fold_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="expected at least one"):
        fold(one("ohlcv"), [])


def test_feature_values_cannot_be_written_to() -> None:
    features = FeaturePipeline(one("ohlcv"), 1).update(Panel(START_NS, (GOOD,)))

    with pytest.raises(ValueError, match="read-only"):
        features.values[0, 0] = 1.0


def test_feature_values_of_one_panel_survive_the_next() -> None:
    pipeline = FeaturePipeline(one("ohlcv"), 1)
    first = pipeline.update(Panel(START_NS, (GOOD,)))

    pipeline.update(Panel(START_NS + 1, (BarRow(START_NS + 1, 1.0, 1.0, 1.0, 1.0, 1.0),)))

    assert first.values.tolist() == [list(GOOD[1:])]


def test_memory_does_not_grow_with_the_length_of_the_stream() -> None:
    config = FeaturesConfig(columns=tuple(FeatureConfig(kind=kind) for kind in kernel_types()))
    stream = panels(market(seed=1, length=6_000))
    tracemalloc.start()  # before anything is kept: what takes its place later is no growth
    pipeline = FeaturePipeline(config, 1)
    for panel in stream[:1_000]:
        pipeline.update(panel)
    gc.collect()

    before = tracemalloc.get_traced_memory()[0]
    for panel in stream[1_000:]:
        pipeline.update(panel)
    gc.collect()
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    # One float a bar that is kept would be 120 kB.
    assert growth < 10_000
