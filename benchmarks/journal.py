"""Cost of the durable journal: time on the loop, time to the disk, checking, making the index again."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import QUICK, Figure, percentile, report
from ops.disk import LocalDisk
from ops.journal import Journal, Kind, SigningKey, StepWriter, Ticket, WriterThread
from ops.journal.index import JournalIndex
from ops.journal.records import encode_body, seal
from ops.journal.verifying import verify

DECISIONS = 500 if QUICK else 3_000
LATENCIES = 200 if QUICK else 2_000
RECORDS = 20_000 if QUICK else 1_000_000
KEY = SigningKey.from_seed(bytes(32))
NAN = float("nan")


def measure() -> list[Figure]:
    """All four, on the disk that holds temporary files."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        loop_us = asyncio.run(decision_us(folder / "loop"))
        durable, bare = asyncio.run(durable_us(folder / "durable")), bare_us(folder / "bare")
        fill(folder / "long")
        verify_secs = best_of(3, lambda: verify(LocalDisk(), folder / "long", KEY.verify_key))
        index_rate = rebuild_rate(folder)
    how = f"{LATENCIES:,} records one after another, where temporary files lie; append until told on the loop"
    beside = "bare write and fdatasync"
    return [
        Figure(
            "time on the loop of one decision's records, median",
            percentile(loop_us, 0.5),
            "µs",
            f"2 bars, decision, 2 verdicts, intent, submit, outcome, fill; {DECISIONS:,} times",
            200.0,
        ),
        Figure("the same, 99th percentile", percentile(loop_us, 0.99), "µs", "likewise"),
        Figure(
            "a record until durable, median", percentile(durable, 0.5), "µs", how,
            reference=percentile(bare, 0.5), reference_name=beside,
        ),
        Figure(
            "a record until durable, 99th percentile", percentile(durable, 0.99), "µs", how,
            reference=percentile(bare, 0.99), reference_name=beside,
        ),
        Figure(
            "checking 1,000,000 records",
            verify_secs / RECORDS * 1e6,
            "s",
            f"links, Merkle roots and signatures of {RECORDS:,} records, one core, best of 3",
            5.0,
        ),
        Figure(
            "making the index again",
            index_rate,
            "records a second",
            f"first {min(RECORDS, 100_000):,} records of the same kinds into SQLite",
            is_at_least=True,
        ),
    ]  # fmt: skip


async def decision_us(folder: Path) -> list[float]:
    """Microseconds that the records of one decision take on the loop."""
    journal = opened(folder, WriterThread(asyncio.get_running_loop()))
    taken = []
    for number in range(DECISIONS):
        begin = time.perf_counter_ns()
        for kind, body in decision(number):
            journal.append(kind, body, begin)
        taken.append((time.perf_counter_ns() - begin) / 1e3)
        await asyncio.sleep(0.001)
    journal.close(0)
    return taken


async def durable_us(folder: Path) -> list[float]:
    """Microseconds from appending a record to hearing on the loop that it is durable."""
    journal = opened(folder, WriterThread(asyncio.get_running_loop()))
    taken = []
    for number in range(LATENCIES):
        done = asyncio.Event()

        def tell(_: Ticket, done: asyncio.Event = done) -> None:
            done.set()

        begin = time.perf_counter_ns()
        journal.append(Kind.INTENT, intent(number), begin).then(tell)
        await done.wait()
        taken.append((time.perf_counter_ns() - begin) / 1e3)
    journal.close(0)
    return taken


def bare_us(folder: Path) -> list[float]:
    """Microseconds of writing an equal line into reserved room and syncing it."""
    folder.mkdir()
    file = LocalDisk().create(folder / "bare", 64 * 2**20)
    taken, offset = [], 0
    for number in range(LATENCIES):
        line, _ = seal(number + 1, number, Kind.INTENT, encode_body(intent(number)), bytes(32))
        begin = time.perf_counter_ns()
        file.write_at(offset, line)
        file.sync()
        taken.append((time.perf_counter_ns() - begin) / 1e3)
        offset += len(line)
    file.close()
    return taken


def fill(folder: Path, records: int = RECORDS) -> None:
    """Write a long journal."""
    writer = StepWriter()
    journal = opened(folder, writer)
    for number in range(records):
        for kind, body in decision(number):
            journal.append(kind, body, number)
        if number % 100 == 0:
            while writer.step():
                pass
        if journal.seq >= records:
            break
    journal.close(0, timeout_secs=60.0)


def rebuild_rate(scratch: Path) -> float:
    """Records a second of making an index from nothing."""
    fill(scratch / "short", min(RECORDS, 100_000))
    index = JournalIndex(LocalDisk(), scratch / "short", scratch / "index.sqlite")
    begin = time.perf_counter()
    records = index.update()
    taken = time.perf_counter() - begin
    index.close()
    return records / taken


def best_of(times: int, work: Any) -> float:
    """Seconds of CPU time, the least of several runs: the disk's cache is warm and one core does it all."""
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def opened(folder: Path, writer: Any) -> Journal:
    """A journal without checkpoints by time."""
    return Journal.open(LocalDisk(), folder, KEY, writer, ts_ns=0, on_fault=_fail)


def decision(number: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """What one decision of one strategy over two instruments leaves behind when it trades one of them."""
    names = ("BTCUSDT.BINANCE", "ETHUSDT.BINANCE")
    bar = (68123.4, 68150.2, 68101.7, 68123.4, 12.345)
    yield Kind.INPUT, {"ts_event": number, "bars": {f"{name}-1-MINUTE-LAST-EXTERNAL": bar for name in names}}
    yield (
        Kind.DECISION,
        {
            "ts_event": number, "strategy": "ppo_hmm", "observation_sha256": "0" * 64, "regime_state": 2,
            "regime_probs": (0.1, 0.2, 0.7), "closes": (68123.4, 2512.7), "action": (0.31, -0.12),
            "confidence": 0.81, "weights": (0.3, NAN), "targets": (0.0123, NAN),
        },
    )  # fmt: skip
    for name in names:
        yield (
            Kind.VERDICT,
            {
                "ts_event": number, "strategy": "ppo_hmm", "instrument_id": name, "requested": 0.0123,
                "approved": 0.01, "reason": "ok", "limit": NAN, "value": NAN,
            },
        )  # fmt: skip
    yield Kind.INTENT, intent(number)
    order = intent(number)["intents"][0]
    yield Kind.SUBMIT, order | {"status": "SUBMITTED", "reason": ""}
    yield Kind.OUTCOME, order | {"status": "FILLED", "reason": ""}
    yield Kind.FILL, order | {"trade_id": f"T-{number}", "price": 68124.1, "fee": 0.068, "liquidity": "TAKER"}


def intent(number: int) -> dict[str, Any]:
    """The record of one order's intent."""
    order = {
        "decision_id": "d" * 64, "client_order_id": f"AR{number:030d}", "strategy": "ppo_hmm",
        "instrument_id": "BTCUSDT.BINANCE", "ts_event": number, "side": "BUY", "quantity": 0.01,
        "kind": "LIMIT_IOC", "price": 68130.2, "trigger_price": None, "reduce_only": False, "role": "OPEN",
    }  # fmt: skip
    return {"strategy": "ppo_hmm", "intents": [order]}


def _fail(fault: OSError) -> None:
    print(f"benchmarks: the disk refused: {fault}")
    os._exit(1)


if __name__ == "__main__":
    report(measure)
