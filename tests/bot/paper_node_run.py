"""Runs a paper node as a plan says, a life of a bot, and prints what came of it as JSON.

A process of its own (``python paper_node_run.py < plan.json``), because it may end in SIGKILL.
"""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bot.config import load_host
from bot.paper import PaperNode, make_paper_node, open_store
from strategies.gate import TradingGate
from strategies.tape import MemoryTape


async def live(plan: dict[str, Any], paper: PaperNode, tape: MemoryTape) -> dict[str, Any]:
    held = [[one.owner, one.instrument_id, str(one.quantity)] for one in paper.queries.positions()]
    waiting = [[one.client_order_id, one.owner] for one in paper.queries.open_orders()]
    handle, cache = paper.node.handle(), paper.node.cache
    running = asyncio.create_task(paper.node.run_async())
    while not paper.wired.hub.is_running():
        if running.done():
            running.result()
        await asyncio.sleep(0.001)
    believed = [[str(p.strategy_id), str(p.instrument_id), str(p.quantity)] for p in cache.positions_open()]
    named = [[str(o.client_order_id), str(o.strategy_id)] for o in cache.orders() if not o.is_closed]
    paper.started.set()
    while not paper.replay.is_finished:
        if running.done():
            running.result()
        if plan["kill_after_fills"] and len(paper.queries.fills(0)) >= plan["kill_after_fills"]:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0.001)
    handle.stop()
    await running
    decisions = [record.ts_event for record in tape.decisions]
    return {
        "resume_ns": paper.resume_ns,
        "held": sorted(held),
        "waiting": sorted(waiting),
        "believed": sorted(believed),
        "named": sorted(named),
        "first_decision_ns": decisions[0],
        "warm_up": paper.replay.is_warm_up(paper.resume_ns)
        and not paper.replay.is_warm_up(paper.resume_ns + 1),
        "restarts": paper.replay.restarts,
        "fills": [
            [f.trade_id, f.client_order_id, f.owner, f.ts_event, str(f.price)] for f in paper.queries.fills(0)
        ],
        "balances": [[one.currency, str(one.total)] for one in paper.queries.balances()],
    }


def main() -> None:
    plan = json.load(sys.stdin)
    tape, gate = MemoryTape(), TradingGate(armed=True)
    host = load_host(Path(plan["host"]), {"replay": {"speed": "max"}})
    parts: dict[str, Any] = {"tape": tape, "gate": gate, "monotonic": time.perf_counter}
    state_dir = Path(plan["state_dir"])

    async def run() -> dict[str, Any]:
        if not plan["remember"]:
            return await live(plan, make_paper_node(host, log_dir=state_dir, **parts), tape)
        with closing(open_store(state_dir)) as store:
            paper = make_paper_node(host, log_dir=state_dir, store=store, **parts)
            answer = await live(plan, paper, tape)
            paper.close()
            return answer

    json.dump(asyncio.run(run()), sys.stdout)


if __name__ == "__main__":
    main()
