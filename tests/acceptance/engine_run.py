"""Runs one backtest engine, or one command, as a plan says and prints what came of it as JSON.

A process of its own, because two engines must not share one.
"""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bot.assembly
import strategies.policies
from adapters.catalog import Catalog
from adapters.playback import STRETCH_ROWS
from bot.backtest import run_engine
from bot.cli.app import main as run_command
from bot.config import load_host
from ops.journal.records import encode_body
from strategies.observation import Observation
from strategies.policies import Action, Policy
from strategies.tape import MemoryTape, records_sha256


class Failing:
    """A policy that answers as the one it stands for, until it breaks."""

    def __init__(self, policy: Policy, healthy_calls: int) -> None:
        self.name, self.required_columns, self.policy_id = (
            policy.name,
            policy.required_columns,
            policy.policy_id,
        )
        self._policy, self._left = policy, healthy_calls

    def act(self, observation: Observation) -> Action:
        if self._left == 0:
            raise ZeroDivisionError("the policy broke")
        self._left -= 1
        return self._policy.act(observation)

    def reset(self) -> None:
        self._policy.reset()


def plant_failure(kind: str, healthy_calls: int) -> None:
    """Let the policy of a kind break after as many answers."""
    original = strategies.policies.make_policy

    def make(config: Any, **parts: Any) -> Policy:
        policy = original(config, **parts)
        return Failing(policy, healthy_calls) if config.kind == kind else policy

    setattr(bot.assembly, "make_policy", make)  # noqa: B010 - a fault, planted where no door is


def write_records(tape: MemoryTape, path: Path) -> None:
    """Write the tape in the form in which a journal holds its records."""
    kinds: dict[str, Sequence[Any]] = {
        "decision": tape.decisions,
        "verdict": tape.verdicts,
        "order": tape.orders,
        "fill": tape.fills,
        "equity": tape.equity,
        "halt": tape.halts,
    }
    rows = {
        name: [json.loads(encode_body(record._asdict())) for record in records]
        for name, records in kinds.items()
    }
    path.write_text(json.dumps(rows))


def main(plan: dict[str, Any]) -> dict[str, Any]:
    if "fail" in plan:
        plant_failure(plan["fail"]["kind"], plan["fail"]["healthy_calls"])
    if "command" in plan:
        err, out = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
            code = run_command([*plan["command"], "--state-dir", plan["state_dir"]])
        return {"code": code, "err": err.getvalue(), "out": out.getvalue(), "modules": sorted(sys.modules)}
    host = load_host(Path(plan["host"]), plan.get("overrides", {}))
    stretches: list[int] = []
    run = run_engine(
        host,
        Catalog(host.catalog_path),
        lambda done, _: stretches.append(done),
        stretch_rows=plan.get("stretch_rows", STRETCH_ROWS),
    )
    if "records" in plan:
        write_records(run.tape, Path(plan["records"]))
    return {
        "stretches": len(stretches),
        "decisions_sha256": records_sha256(run.tape.decisions),
        "orders_sha256": records_sha256(run.tape.orders),
        "fills_sha256": records_sha256(run.tape.fills),
        "decisions": [[record.ts_event, record.strategy] for record in run.tape.decisions],
        "fills": [[record.ts_event, record.strategy] for record in run.tape.fills],
        "halts": [list(record) for record in run.tape.halts],
        "faults": {end.name: end.fault for end in run.strategies if end.fault is not None},
        "profits": {end.name: end.equity - end.capital for end in run.strategies},
        "account_profit": run.account_profit,
        "incomplete_panels": run.incomplete_panels,
        "late_bars": run.late_bars,
    }


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
