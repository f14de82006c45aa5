"""The backtest with every stage on, beside the same bars and open quotes in the same engine doing nothing."""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.bare_engine import EmptyStrategy, PlainConfig, play
from benchmarks.figures import QUICK, Figure, in_fresh_process, report, rss_mb
from benchmarks.scenario import INSTRUMENTS, write_host

DAYS = 15 if QUICK else 365
RUNS = 1 if QUICK else 2


def measure() -> list[Figure]:
    """Time both in processes of their own, in turns; the best run of each counts."""
    with tempfile.TemporaryDirectory() as name:
        host = str(write_host(Path(name), DAYS))
        full, empty = [], []
        for _ in range(RUNS):
            full.append(in_fresh_process(__spec__.name, "full", host))
            empty.append(in_fresh_process(__spec__.name, "empty", host))
    best_full = min(full, key=lambda run: run["cpu_secs"])
    best_empty = min(empty, key=lambda run: run["cpu_secs"])
    bars, decisions, trades = best_full["bars"], best_full["decisions"], best_full["trades"]
    what = f"{bars // 2:,} one-minute bars × 2 symbols, {decisions:,} decisions, {trades:,} trades"
    whole = f"{what}; processor time of `run_engine`, catalog reading included; best of {RUNS}"
    inside = f"{what}; the same less catalog reading and conversion, as timed in the empty run"
    reading = best_empty["cpu_secs"] - best_empty["engine_cpu_secs"]
    return [
        Figure(
            "backtest, full decision path",
            best_full["cpu_secs"] / bars * 1e6,
            "µs a bar",
            whole,
            12.0,
            best_empty["cpu_secs"] / bars * 1e6,
            "an empty Python strategy",
        ),
        Figure(
            "backtest, within the engine only",
            (best_full["cpu_secs"] - reading) / bars * 1e6,
            "µs a bar",
            inside,
            None,
            best_empty["engine_cpu_secs"] / bars * 1e6,
            "an empty Python strategy",
        ),
        Figure("backtest, memory at its end", best_full["rss_mb"], "MiB", what),
    ]


def run_full(host_path: Path) -> dict[str, float]:
    """The host's strategies through `run_engine`."""
    from adapters.catalog import Catalog
    from bot.backtest import run_engine
    from bot.config import load_host

    host = load_host(host_path)
    catalog = Catalog(host.catalog_path)
    started = time.process_time()
    run = run_engine(host, catalog)
    spent = time.process_time() - started
    faults = [one.fault for one in run.strategies if one.fault is not None]
    if faults:
        raise RuntimeError(f"a strategy halted, so the figure would lie: {faults}")
    return {
        "cpu_secs": spent,
        "bars": run.bars,
        "decisions": len(run.tape.decisions),
        "trades": len(run.tape.fills),
        "rss_mb": rss_mb(),
    }


def run_empty(host_path: Path) -> dict[str, float]:
    """The same bars and quotes, taken and ignored."""
    strategy = EmptyStrategy(PlainConfig(INSTRUMENTS))
    _, spent = play(host_path.parent / "catalog", INSTRUMENTS, lambda engine: engine.add_strategy(strategy))
    if strategy.bars != spent.bars:
        raise RuntimeError(f"expected {spent.bars} bars at the strategy, found {strategy.bars}")
    return asdict(spent)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kind, path = sys.argv[1:]
        print(json.dumps({"full": run_full, "empty": run_empty}[kind](Path(path))))
    else:
        report(measure)
