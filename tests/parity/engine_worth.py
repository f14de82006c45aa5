"""Runs a backtest engine without guardrails, as a plan says, and prints its decisions and worth as JSON.

A process of its own, because two engines must not share one.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.catalog import Catalog
from bot.backtest import run_engine
from bot.config import load_host


def main(plan: dict[str, Any]) -> dict[str, Any]:
    host = load_host(Path(plan["host"]))
    # A file cannot say that there is no limit.
    limits = dict.fromkeys(("max_participation_frac", "price_collar_bps", "max_gross_quote"))
    loaded = host.strategies[0]
    guardrails = loaded.config.guardrails.model_copy(update=limits)
    config = loaded.config.model_copy(update={"guardrails": guardrails})
    host = replace(host, strategies=(replace(loaded, config=config),))
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
