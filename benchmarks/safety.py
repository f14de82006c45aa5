"""How long stopping takes: a kill until its last cancel, a latch until it is on the disk; and how late the
loop runs while the disk stands still.
"""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.ingest.importer import Origin, store_bars
from adapters.instruments import find_spec
from adapters.synthetic import SyntheticConfig, generate_market
from benchmarks.daemon_process import ARGONAUT
from benchmarks.figures import QUICK, ROOT, Figure, percentile, report
from ops.disk import DiskFile, LocalDisk
from ops.journal import Journal, Kind, Record, SigningKey, WriterThread
from ops.journal.reading import StoredLine, read_chain
from ops.journal.records import decode
from ops.latch import LATCH, TradingLatch
from ops.outbox import Outbox
from ops.state_dir import JOURNAL
from strategies.delivery import Written
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.orders import OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.restrictions import Origin as Imposed
from strategies.restrictions import Restriction, Scope, ScopeKind
from tests.support.bots import BREAKOUT, HOST

INSTRUMENTS = 100
"""Each with a stop and a target at the venue."""
RESTING = 100
KILLS = 2 if QUICK else 10
LATCHES = 50 if QUICK else 500
LAG_SECS = 5.0 if QUICK else 60.0
QUOTES_PER_SEC, ORDERS_PER_SEC = 200, 20
STALL_SECS, STALL_EVERY = 0.25, 20
PATIENCE_SECS = 240.0
SPEED = 300


def measure() -> list[Figure]:
    """All of it, on the disk that holds temporary files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kills = kill_secs(folder)
        latches = latch_ms(folder)
        calm, _ = asyncio.run(lag_ms(folder / "calm", stalls=False))
        stalled, dropped = asyncio.run(lag_ms(folder / "stalled", stalls=True))
    load = f"{QUOTES_PER_SEC} quotes and {ORDERS_PER_SEC} orders a second for {LAG_SECS:g} s"
    return [
        Figure(
            f"flatten until the last of {RESTING} orders is cancelled, worst",
            max(kills),
            "s",
            f"paper daemon on {INSTRUMENTS} instruments, {len(kills)} times; by the journal, with answers",
            1.0,
        ),
        Figure(
            "a restriction until it is durable, p99",
            percentile(latches, 0.99),
            "ms",
            f"`TradingLatch.hold` of {LATCHES} restrictions, one by one",
            50.0,
        ),
        Figure(
            f"loop lag while every {STALL_EVERY}th sync takes {STALL_SECS * 1e3:.0f} ms, p99",
            percentile(stalled, 0.99),
            "ms",
            f"{load}, each through outbox and journal; {dropped} orders dropped for want of the disk",
            10.0,
            percentile(calm, 0.99),
            "without stalls",
            is_absolute=True,
        ),
    ]


# -- a kill ------------------------------------------------------------------------------------------


def kill_secs(folder: Path) -> list[float]:
    """Seconds from the record of each flatten to the last answer that an order of ours is cancelled."""
    host = write_many(folder / "many")
    state = folder / "many" / "var"
    with _daemon(host, state):
        for _ in range(KILLS):
            _wait_until_resting(state)
            _command(state, "flatten", "--reason", "measured")
            _command(state, "resume", "--scope", "all", "--reason", "measured")
    taken: list[float] = []
    begun = last = 0

    def visit(line: StoredLine) -> None:
        nonlocal begun, last
        record: Record = decode(line.content)
        if record.kind is Kind.CONTROL and record.body["command"] == "kill":
            begun = last = record.ts_ns
        elif record.kind is Kind.CONTROL and record.body["command"] == "resume":
            taken.append((last - begun) / 1e9)
        elif record.kind is Kind.OUTCOME and record.body["status"] == "CANCELED":
            last = record.ts_ns

    read_chain(LocalDisk(), state / JOURNAL, None, visit)
    if len(taken) != KILLS:
        raise RuntimeError(f"expected {KILLS} kills in the journal, found {len(taken)}")
    return taken


def write_many(folder: Path) -> Path:
    """A paper host with one strategy on many instruments, each position with a stop and a target."""
    names: list[str] = []
    for seed in range(INSTRUMENTS // 2):
        market = generate_market(SyntheticConfig(seed=seed, days=3))
        for bar_type, columns in market.bars.items():
            name = f"C{len(names):02d}USDT.DEMO"
            spec = replace(find_spec(market.specs[bar_type].instrument_id), instrument_id=name, base=name[:3])
            series = name + bar_type[bar_type.index("-") :]
            store_bars(folder / "catalog", spec, series, columns, Origin("benchmark"))
            names.append(name)
    strategy = BREAKOUT.replace('["ALPHAUSDT.DEMO", "BETAUSDT.DEMO"]', json.dumps(names))
    strategy = strategy.replace('"ALPHAUSDT.DEMO"', json.dumps(names[0]))
    for old, new in (
        ("max_step_change = 2.0", "max_step_change = 2.0\nrebalance_eps = 0.001"),
        ("time_stop_bars = 12", "time_stop_bars = 2_000"),
        ("blocked_states = [2]", "blocked_states = []"),
        ("max_gross_quote = 100_000.0", "max_gross_quote = 10_000_000.0\nmax_net_quote = 10_000_000.0"),
    ):
        assert old in strategy
        strategy = strategy.replace(old, new)
    (folder / "breakout.toml").write_text(strategy)
    host = folder / "paper.toml"
    text = HOST.format(kind="paper", strategies='"breakout.toml"', catalog="catalog", span="")
    host.write_text(text + "\n[guardian]\nresume_cooldown_secs = 0.0\nmax_orders_per_minute = 10_000\n")
    return host


@contextmanager
def _daemon(host: Path, state: Path) -> Iterator[None]:
    state.mkdir()
    with (state / "console.log").open("wb") as log:
        command = [*ARGONAUT, "run", str(host), "--state-dir", str(state), "--speed", str(SPEED)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_resting(state: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECS
    found: Any = []
    while time.monotonic() < deadline:
        done = subprocess.run(
            [*ARGONAUT, "orders", "--json", "--state-dir", str(state)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = json.loads(done.stdout) if done.returncode == 0 and done.stdout else []
        if len(found) >= RESTING:
            return
    words = (state / "console.log").read_text(errors="replace")[-1_000:]
    raise RuntimeError(f"expected {RESTING} resting orders, found {len(found)}: {words}")


def _command(state: Path, *arguments: str) -> None:
    subprocess.run(
        [*ARGONAUT, *arguments, "--state-dir", str(state)], cwd=ROOT, capture_output=True, check=True
    )


# -- a latch -----------------------------------------------------------------------------------------


def latch_ms(folder: Path) -> list[float]:
    """Milliseconds until each of many restrictions was on the disk."""
    latch = TradingLatch(
        folder / LATCH,
        LocalDisk(),
        TradingGate(armed=True, now=time.time_ns),
        record=_ignore,
        now=time.time_ns,
    )
    latch.load()
    taken = []
    for number in range(LATCHES):
        scope = Scope(ScopeKind.STRATEGY, f"strategy-{number % 20}")
        restriction = Restriction(
            scope, TradingState.HALTED, f"kill {number}", "bench", number, Imposed.OPERATOR
        )
        begun = time.perf_counter()
        latch.hold(restriction)
        taken.append((time.perf_counter() - begun) * 1e3)
        if not latch.is_durable:
            raise RuntimeError(latch.fault)
        if number % 20 == 19:
            for at in range(20):
                latch.lift(Scope(ScopeKind.STRATEGY, f"strategy-{at}"), {Imposed.OPERATOR})
    return taken


def _ignore(_kind: str, _fields: dict[str, Any]) -> None:
    pass


# -- the loop beside a disk that stands still --------------------------------------------------------


class _SlowFile:
    """A file whose syncs stand still now and then; only the writer's thread waits for it."""

    def __init__(self, file: DiskFile, syncs: list[int]) -> None:
        self._file = file
        self._syncs = syncs

    def write_at(self, offset: int, content: bytes) -> int:
        return self._file.write_at(offset, content)

    def sync(self) -> None:
        self._syncs[0] += 1
        if self._syncs[0] % STALL_EVERY == 0:
            time.sleep(STALL_SECS)
        self._file.sync()

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


class _SlowDisk(LocalDisk):
    def __init__(self) -> None:
        super().__init__()
        self._syncs = [0]

    def create(self, path: Path, reserve_bytes: int = 0) -> DiskFile:
        return _SlowFile(super().create(path, reserve_bytes), self._syncs)


async def lag_ms(folder: Path, *, stalls: bool) -> tuple[list[float], int]:
    """Milliseconds that each quote came late to the loop, and the orders that were dropped."""
    loop = asyncio.get_running_loop()
    disk = _SlowDisk() if stalls else LocalDisk()
    key = SigningKey.from_seed(bytes(32))
    journal = Journal.open(disk, folder, key, WriterThread(loop), ts_ns=0, on_fault=_raise)
    outbox = Outbox(journal, time.time_ns, loop.call_later, opening_secs=0.25, reducing_secs=0.05)
    lags: list[float] = []
    begun = loop.time()
    for number in range(int(LAG_SECS * QUOTES_PER_SEC)):
        due = begun + number / QUOTES_PER_SEC
        await asyncio.sleep(max(0.0, due - loop.time()))
        lags.append((loop.time() - due) * 1e3)
        if number % (QUOTES_PER_SEC // ORDERS_PER_SEC) == 0:
            outbox.record([_intent(number)], _sent)
    await asyncio.sleep(STALL_SECS * 2)
    journal.close(0)
    return lags, outbox.expired


def _intent(number: int) -> OrderIntent:
    return OrderIntent(
        decision_id="d" * 64, client_order_id=f"AR{number:030d}", strategy="bench", instrument_id="A.X",
        ts_event=number, side=OrderSide.BUY, quantity=1.0, kind=OrderKind.MARKET, price=None,
        trigger_price=None, reduce_only=False, role=OrderRole.OPEN,
    )  # fmt: skip


def _sent(_written: Written) -> None:
    pass


def _raise(fault: OSError) -> None:
    raise fault


if __name__ == "__main__":
    report(measure)
