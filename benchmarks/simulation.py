"""The simulator for long: many seeds, over all cores, until one breaks a promise.

``python -m benchmarks.simulation --seeds 50000`` (``make soak`` runs it first; ``SEEDS=n`` says how many).
``--seed n`` runs one and prints every event. Exits 1 where a promise was broken.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.support.simulation.rerun import in_words, run_seed

_SHARE = 100
"""Seeds that a worker takes at a time."""
_ALL_EVENTS = 1_000_000


class _Share(NamedTuple):
    seeds: int
    crashes: int
    orders: int
    fills: int
    cpu_secs: float
    failures: list[str]


def _sum(one: _Share, other: _Share) -> _Share:
    return _Share(
        one.seeds + other.seeds,
        one.crashes + other.crashes,
        one.orders + other.orders,
        one.fills + other.fills,
        one.cpu_secs + other.cpu_secs,
        one.failures + other.failures,
    )


def main() -> int:
    """Run, count, report."""
    options = _options()
    logging.disable(logging.CRITICAL)
    if options.seed is not None:
        outcome = run_seed(options.seed, keep=_ALL_EVENTS)
        print(in_words(outcome) if outcome.violations else "\n".join(outcome.trace))
        return 1 if outcome.violations else 0
    began, done = time.monotonic(), _Share(0, 0, 0, 0, 0.0, [])
    starts = range(options.first, options.first + options.seeds, _SHARE)
    with ProcessPoolExecutor(max_workers=options.workers) as pool:
        for share in pool.map(_run, _shares(starts, options.first + options.seeds)):
            done = _sum(done, share)
            for failure in share.failures:
                print(failure)
    print(
        f"{done.seeds} seeds, {done.crashes} crashes, {done.orders} orders, {done.fills} executions: "
        f"{len(done.failures)} broke a promise; {done.cpu_secs:.0f} s of processor time, "
        f"{time.monotonic() - began:.0f} s in all"
    )
    return 1 if done.failures else 0


def _shares(starts: range, end: int) -> Iterator[range]:
    for start in starts:
        yield range(start, min(start + _SHARE, end))


def _run(seeds: range) -> _Share:
    logging.disable(logging.CRITICAL)
    began = time.process_time()
    outcomes = [run_seed(seed) for seed in seeds]
    return _Share(
        len(outcomes),
        sum(one.crashes for one in outcomes),
        sum(one.orders for one in outcomes),
        sum(one.fills for one in outcomes),
        time.process_time() - began,
        [in_words(one) for one in outcomes if one.violations],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="run only this one, and print every event")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
