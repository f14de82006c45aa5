"""Time of one decision, from bars to orders, beside the bare onnxruntime call on the same network.

Decisions and bare calls are timed one by one, in blocks that take turns, so that a change of the machine's
mood touches both alike; the bare call has the processor's caches to itself within its block.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.figures import QUICK, Figure, percentile, report
from benchmarks.scenario import FEATURES, INSTRUMENTS, LOOKBACK, make_pipeline, panels
from strategies.decision import Conditions, Decision, DecisionPipeline
from strategies.guardrails import TradingState
from strategies.market import Panel

BLOCK = 100
DAYS = 6 if QUICK else 60
NS_PER_US = 1_000.0


@dataclass(slots=True)
class Samples:
    """Microseconds of each decision, by what came of it, in order of time."""

    idle: list[float] = field(default_factory=list)
    """Without a trade."""
    one_trade: list[float] = field(default_factory=list)
    """With one trade that passed every guardrail."""
    bare: list[float] = field(default_factory=list)
    """Bare inferences between the decisions."""


def measure() -> list[Figure]:
    """Time decisions without a trade, and with one."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        idle = sample(make_pipeline(directory), bare_call(directory), leaves_open=False)
        trading = sample(make_pipeline(directory), bare_call(directory), leaves_open=True)
    figures = []
    for what, times, bare in (
        ("without a trade", idle.idle, idle.bare),
        ("with one approved trade", trading.one_trade, trading.bare),
    ):
        how = f"`DecisionPipeline.observe` and `decide`, {len(times):,} times, one by one"
        half = percentile(bare, 0.5)
        figures += [
            Figure(
                f"decision {what}, p50",
                percentile(times, 0.5),
                "µs",
                how,
                10.0,
                reference=half,
                reference_name="`InferenceSession.run`",
            ),
            Figure(f"decision {what}, p99", percentile(times, 0.99), "µs", how, 1_000.0),
        ]
    tenth = len(idle.idle) // 10
    early, late = idle.idle[:tenth], idle.idle[-tenth:]
    figures.append(
        Figure(
            "decision late in a long history",
            percentile(late, 0.5),
            "µs",
            f"p50 of the last {tenth:,} decisions beside that of the first {tenth:,}",
            1.15,
            percentile(early, 0.5),
            "early in it",
        )
    )
    return figures


def sample(pipeline: DecisionPipeline, bare: Callable[[], object], *, leaves_open: bool) -> Samples:
    """Decide on a market, bar after bar.

    Args:
        pipeline: What is timed.
        bare: The inference beside it.
        leaves_open: Whether orders in the first instrument are never filled, so that each bar asks for one.
    """
    samples = Samples()
    stream = panels(DAYS)
    for panel in islice(stream, pipeline.warmup_bars + 500):
        decide(pipeline, panel, leaves_open=leaves_open)
    while block := list(islice(stream, BLOCK)):
        for panel in block:
            started = time.perf_counter_ns()
            decision = think(pipeline, panel)
            spent = (time.perf_counter_ns() - started) / NS_PER_US
            fill(pipeline, decision, leaves_open=leaves_open)
            if not decision.verdicts:
                samples.idle.append(spent)
            elif len(decision.orders) == 1 == len(decision.verdicts):
                samples.one_trade.append(spent)
        samples.bare += time_each(bare, BLOCK)
    return samples


def decide(pipeline: DecisionPipeline, panel: Panel, *, leaves_open: bool) -> None:
    """One bar of the warm-up."""
    if pipeline.observe(panel):
        fill(pipeline, pipeline.decide(conditions(panel.ts_event)), leaves_open=leaves_open)


def think(pipeline: DecisionPipeline, panel: Panel) -> Decision:
    """What is timed: bars in, decision out."""
    if not pipeline.observe(panel):
        raise RuntimeError("expected a pipeline that is warm; lengthen the warm-up")
    return pipeline.decide(conditions(panel.ts_event))


def fill(pipeline: DecisionPipeline, decision: Decision, *, leaves_open: bool) -> None:
    """Fill what was approved at the close, as a venue would."""
    for verdict in decision.verdicts:
        index = INSTRUMENTS.index(verdict.instrument_id)
        if verdict.approved != 0.0 and not (leaves_open and index == 0):
            pipeline.stages.ledger.apply_fill(index, verdict.approved, decision.record.closes[index], 0.0)


def conditions(ts_event: int) -> Conditions:
    """A host with nothing against trading."""
    return Conditions(
        trading_state=TradingState.ACTIVE,
        armed=True,
        now_ns=ts_event,
        reconciled=True,
        busy=frozenset(),
        doubtful=frozenset(),
        free_base=None,
        working_buys=(),
        working_sells=(),
        spread_bps=1.0,
    )


def bare_call(directory: Path) -> Callable[[], object]:
    """``InferenceSession.run`` of the scenario's network on fixed inputs, one thread."""
    import onnxruntime as ort  # after our own module, which switches its telemetry off first

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(directory / "policy.onnx", options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    shapes = {
        "window": (1, LOOKBACK, len(INSTRUMENTS), len(FEATURES)),
        "portfolio": (1, 7 + len(INSTRUMENTS)),
        "beliefs": (1, 3),
    }
    feed = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    outputs = ["action"]
    return lambda: session.run(outputs, feed)


def time_each(call: Callable[[], object], times: int) -> Iterator[float]:
    """Microseconds of each call."""
    for _ in range(times):
        started = time.perf_counter_ns()
        call()
        yield (time.perf_counter_ns() - started) / NS_PER_US


if __name__ == "__main__":
    report(measure)
