"""Runs a backtest engine as a plan says, and prints its decisions and worth as JSON.

A process of its own, because two engines must not share one.
"""

import json
import sys
from pathlib import Path
from typing import Any

from adapters.catalog import Catalog
from bot.backtest import run_engine
from bot.config import load_host


def main(plan: dict[str, Any]) -> dict[str, Any]:
    host = load_host(Path(plan["host"]))
    run = run_engine(host, Catalog(host.catalog_path))
    return {
        "faults": [end.fault for end in run.strategies if end.fault is not None],
        "refusals": [list(verdict) for verdict in run.tape.verdicts if verdict.reason != "ok"],
        "decisions": [[record.ts_event, *record.action] for record in run.tape.decisions],
        "equity": [[record.ts_event, record.equity] for record in run.tape.equity],
        "fills": len(run.tape.fills),
    }


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
