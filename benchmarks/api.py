"""What whoever asks costs the trading loop: how late it runs while clients ask as fast as they are let."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import QUICK, ROOT, Figure, percentile, report
from benchmarks.journal import fill
from bot.operation.serving import Serving
from ops.api.archive import Archive
from ops.api.stream import LiveStream
from ops.journal.questions import Question
from ops.state_dir import JOURNAL
from strategies.tape import FillRecord
from tests.support.operators import FakeOperator, on_socket

SECS = 5.0 if QUICK else 60.0
RECORDS = 10_000 if QUICK else 100_000
QUOTES_PER_SEC = 200
ASKERS, LISTENERS = 4, 2
INDEX_SECS = 300.0
_OF_A_DAEMON = ("/v1/decisions?limit=1000", "/v1/status")


class _Operator(FakeOperator):
    """Answers what is asked about the past as a daemon does."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self._archive = archive

    async def page(self, question: Question, asked: dict[str, Any]) -> bytes:
        return await self._archive.page(question, asked)


def measure() -> list[Figure]:
    """The loop alone, then with everybody at it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / JOURNAL, RECORDS)
        calm, busy, answers = asyncio.run(lags_ms(folder))
    how = (
        f"{QUOTES_PER_SEC} quotes a second for {SECS:g} s, each told to {LISTENERS} streams; "
        f"{ASKERS} clients in a process of their own got {answers / SECS:,.0f} answers a second of "
        "`/v1/orders?limit=1000`"
    )
    return [
        Figure(
            "loop lag while clients ask and listen, p99",
            percentile(busy, 0.99),
            "ms",
            how,
            10.0,
            percentile(calm, 0.99),
            "nobody asks",
            is_absolute=True,
        )
    ]


async def lags_ms(folder: Path) -> tuple[list[float], list[float], int]:
    """Milliseconds that each quote came late to the loop, calm and busy, and the answers given meanwhile."""
    archive, live, serving = (
        Archive(folder, time.monotonic, patience_secs=INDEX_SECS),
        LiveStream(),
        Serving(),
    )
    serving.serve_socket(on_socket(_Operator(archive), live), folder / "s")
    await serving.until_started()
    await archive.page(Question.ORDERS, {"limit": 1})  # the index is made once
    calm = await _quotes(live)
    command = [sys.executable, "-m", "benchmarks.api", str(folder / "s"), str(SECS + 2.0)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()  # they are all there
    busy = await _quotes(live)
    told = json.loads(await process.stdout.read())
    await process.wait()
    await live.close()
    await serving.close()
    await archive.close()
    return calm, busy, told["answers"]


async def _quotes(live: LiveStream) -> list[float]:
    loop, lags = asyncio.get_running_loop(), []
    begun = loop.time()
    for number in range(int(SECS * QUOTES_PER_SEC)):
        due = begun + number / QUOTES_PER_SEC
        await asyncio.sleep(max(0.0, due - loop.time()))
        lags.append((loop.time() - due) * 1e3)
        live.write(FillRecord(number, "one", "A.X", "AR1", f"T{number}", "BUY", 1.0, 10.0, 0.1, "TAKER"))
    return lags


async def _besiege(socket: str, secs: float, paths: Sequence[str]) -> int:
    answers, until = 0, time.monotonic() + secs

    async def listen(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/v1/stream") as told:
            async for _ in told.aiter_lines():
                if time.monotonic() > until:
                    return

    async def ask(client: httpx.AsyncClient) -> None:
        nonlocal answers
        for path in cycle(paths):
            answer = await client.get(path)
            answers += answer.status_code == 200  # read after the wait: others count meanwhile
            if time.monotonic() > until:
                return

    transport = httpx.AsyncHTTPTransport(uds=socket)
    async with httpx.AsyncClient(transport=transport, base_url="http://argonaut", timeout=60.0) as client:
        await client.get("/v1/status")
        print("here", flush=True)
        works = [listen(client) for _ in range(LISTENERS)] + [ask(client) for _ in range(ASKERS)]
        await asyncio.gather(*works)
    return answers


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asked = _OF_A_DAEMON if sys.argv[3:] else ("/v1/orders?limit=1000",)
        print(json.dumps({"answers": asyncio.run(_besiege(sys.argv[1], float(sys.argv[2]), asked))}))
    else:
        report(measure)
