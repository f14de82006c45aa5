"""Time of one feature update, beside an empty call in the same process; prints JSON.

Run it from the repository root: ``python -m benchmarks.features``. Targets: all kernels of one instrument
under 50 µs a bar, eight typical features of two instruments under 12 µs a panel, no growth of memory.
"""

import gc
import json
import math
import time
import tracemalloc
from collections.abc import Callable, Iterator

from strategies.config import FeatureConfig, FeaturesConfig
from strategies.features import FeaturePipeline, kernel_types
from strategies.market import BarRow, Panel

TYPICAL = ("log_return", "rsi", "atr", "ema_distance", "close_zscore", "volume_zscore", "ewma_volatility")
MINUTE_NS = 60 * 10**9
REPEATS = 7
PANELS = 4_000


def main() -> None:
    """Measure and print one JSON document."""
    empty_us = measure(nothing, 1)
    every = manifest(*kernel_types())
    typical = FeaturesConfig(columns=(*manifest(*TYPICAL).columns, FeatureConfig(kind="dispersion")))
    kernel_us = {kind: round(pipeline_us(manifest(kind), 1), 3) for kind in kernel_types()}
    document = {
        "empty_call_us": round(empty_us, 4),
        "all_kernels": {
            "kernels": len(every.columns),
            "columns": FeaturePipeline(every, 1).num_features,
            **figures(pipeline_us(every, 1), empty_us, 50.0),
        },
        "typical_8_features_2_instruments": figures(pipeline_us(typical, 2), empty_us, 12.0),
        "pipeline_of_one_kernel_us": {
            kind: round(us, 3) for kind, us in sorted(kernel_us.items(), key=lambda x: -x[1])
        },
        "memory_growth_bytes_per_100k_bars": memory_growth_bytes(every),
    }
    print(json.dumps(document, indent=2))


def nothing(_: Panel) -> None:
    """The empty call that everything is measured against."""


def manifest(*kinds: str) -> FeaturesConfig:
    """Kernels with their default parameters."""
    return FeaturesConfig(columns=tuple(FeatureConfig(kind=kind) for kind in kinds))


def figures(update_us: float, empty_us: float, target_us: float) -> dict[str, float | bool]:
    """One measurement as it is printed."""
    return {
        "update_us": round(update_us, 3),
        "ratio_to_empty_call": round(update_us / empty_us, 1),
        "target_us": target_us,
        "met": update_us < target_us,
    }


def pipeline_us(config: FeaturesConfig, num_instruments: int) -> float:
    """Microseconds of one update of a pipeline."""
    return measure(FeaturePipeline(config, num_instruments).update, num_instruments)


def measure(update: Callable[[Panel], object], num_instruments: int) -> float:
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
    """Bytes that are held more after 100,000 further bars, once the windows are full."""
    pipeline = FeaturePipeline(config, 1)
    stream = panels(1)
    for _ in range(5_000):
        pipeline.update(next(stream))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100_000):
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
    main()
