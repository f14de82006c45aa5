"""Time of one feature update: all kernels of one instrument, and eight typical ones of two."""

import gc
import math
import time
import tracemalloc
from collections.abc import Callable, Iterator

from benchmarks.figures import QUICK, Figure, report
from strategies.config import FeatureConfig, FeaturesConfig
from strategies.features import FeaturePipeline, kernel_types
from strategies.market import BarRow, Panel

TYPICAL = ("log_return", "rsi", "atr", "ema_distance", "close_zscore", "volume_zscore", "ewma_volatility")
MINUTE_NS = 60 * 10**9
REPEATS = 3 if QUICK else 7
PANELS = 4_000
GROWTH_BARS = 20_000 if QUICK else 100_000


def measure() -> list[Figure]:
    """Time whole pipelines, and look for growth."""
    every = manifest(*kernel_types())
    columns = FeaturePipeline(every, 1).num_features
    typical = FeaturesConfig(columns=(*manifest(*TYPICAL).columns, FeatureConfig(kind="dispersion")))
    how = f"`FeaturePipeline.update`, best of {REPEATS} passes of {PANELS:,} panels"
    return [
        Figure(
            f"feature update, all {len(every.columns)} kernels ({columns} columns), one instrument",
            pipeline_us(every, 1),
            "µs a bar",
            how,
            50.0,
        ),
        Figure(
            "feature update, 8 features, two instruments", pipeline_us(typical, 2), "µs a panel", how, 12.0
        ),
        Figure(
            "memory that the kernels hold more after further bars",
            memory_growth_bytes(every),
            "bytes",
            f"tracemalloc, all kernels, {GROWTH_BARS:,} bars after the windows were full",
            4096.0,
        ),
    ]


def manifest(*kinds: str) -> FeaturesConfig:
    """Kernels with their default parameters."""
    return FeaturesConfig(columns=tuple(FeatureConfig(kind=kind) for kind in kinds))


def pipeline_us(config: FeaturesConfig, num_instruments: int) -> float:
    """Microseconds of one update of a pipeline."""
    return call_us(FeaturePipeline(config, num_instruments).update, num_instruments)


def call_us(update: Callable[[Panel], object], num_instruments: int) -> float:
    """Microseconds of one call, the best of several passes, after a pass to warm up."""
    stream = panels(num_instruments)
    for _, panel in zip(range(PANELS), stream, strict=False):
        update(panel)
    best = math.inf
    for _ in range(REPEATS):
        batch = [panel for _, panel in zip(range(PANELS), stream, strict=False)]
        gc.collect()
        start = time.perf_counter_ns()
        for panel in batch:
            update(panel)
        best = min(best, (time.perf_counter_ns() - start) / PANELS / 1e3)
    return best


def memory_growth_bytes(config: FeaturesConfig) -> int:
    """Bytes that are held more after further bars, once the windows are full."""
    tracemalloc.start()  # before anything is made: what takes its place later is no growth
    pipeline = FeaturePipeline(config, 1)
    stream = panels(1)
    for _ in range(5_000):
        pipeline.update(next(stream))
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(GROWTH_BARS):
        pipeline.update(next(stream))
    gc.collect()
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return growth


def panels(num_instruments: int) -> Iterator[Panel]:
    """An endless market that never repeats and needs no random numbers."""
    step = 0
    while True:
        step += 1
        ts_event = step * MINUTE_NS
        yield Panel(ts_event, tuple(_bar(ts_event, step, index) for index in range(num_instruments)))


def _bar(ts_event: int, step: int, index: int) -> BarRow:
    open_, close = (
        100.0 + index + 5.0 * math.sin(0.01 * s) + 0.5 * math.sin(1.7 * s + index) for s in (step - 1, step)
    )
    wick = 0.1 + 0.05 * math.sin(2.3 * step)
    volume = 10.0 + 5.0 * math.cos(step)
    return BarRow(ts_event, open_, max(open_, close) + wick, min(open_, close) - wick, close, volume)


if __name__ == "__main__":
    report(measure)
