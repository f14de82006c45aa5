"""``argonaut drill kill``: rehearse the kill path, and file the evidence."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bot.cli.ask import get, post
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.drill import WHO, KillDrill, plan_of
from ops.journal import Kind
from ops.journal.reading import newest_lines
from ops.journal.records import decode as decode_line
from ops.kill_mode import KillMode
from ops.latch import LATCH, decode
from ops.state_dir import JOURNAL
from strategies.errors import TransientError
from strategies.restrictions import Restriction

DRILLS = "drills"
_LINES = 10_000
"""Newest records of the journal that are looked at; a drill sees far fewer."""

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _drill() -> None:
    """Rehearse what must work when it is needed."""


@app.command("kill")
def kill(
    watch_secs: Annotated[
        float, typer.Option("--watch", help="Seconds to wait for cancels, and for decisions to be seen.")
    ] = 30.0,
    mode: Annotated[
        Literal["halt", "flatten"], typer.Option(help="What to rehearse; flatten closes what is held.")
    ] = "halt",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Halt the running paper daemon, check that nothing gets through, and resume; without one, show the plan.

    The evidence, with timings, is filed under the state directory. A drill that fails leaves trading halted.

    Examples:
      argonaut drill kill
      argonaut drill kill --mode flatten --watch 60

    Exit codes: 0 every step passed, or no daemon runs; 1 a step failed.
    """
    started_at, plan = datetime.now(UTC), plan_of(KillMode(mode))
    status = get(state_dir, "/v1/status")
    evidence: dict[str, Any] = {
        "drill": "kill",
        "mode": mode,
        "started_at": started_at.isoformat(timespec="milliseconds"),
        "dry": status is None,
        "session": None if status is None else status["session"],
        "config_sha256": None if status is None else status["config_sha256"],
    }
    if status is None:
        evidence |= {"passed": None, "plan": list(plan)}
    else:
        drill = KillDrill(
            lambda path, body: _answer(state_dir, path, body),
            lambda: _restrictions(state_dir),
            lambda: _sent_since_kill(state_dir),
            monotonic=time.monotonic,
            wait=time.sleep,
            watch_secs=watch_secs,
            mode=KillMode(mode),
        )
        steps = drill.run()
        passed = len(steps) == len(plan) and all(step.passed for step in steps)
        evidence |= {"passed": passed, "steps": [step._asdict() for step in steps]}
    evidence["file"] = str(_file(state_dir, started_at, evidence))
    emit_json(evidence) if as_json else emit_text(_text(evidence))
    return ExitCode.FINDINGS if evidence["passed"] is False else ExitCode.OK


def _answer(state_dir: Path, path: str, body: dict[str, Any] | None) -> Any:
    answer = get(state_dir, path) if body is None else post(state_dir, path, body)
    if answer is None:
        raise TransientError("the daemon has ended")
    return answer


def _restrictions(state_dir: Path) -> tuple[Restriction, ...]:
    return decode((state_dir / LATCH).read_bytes())[1]


def _sent_since_kill(state_dir: Path) -> list[str]:
    """Orders that add risk and left after the drill's kill, in the order of the journal."""
    kinds = (Kind.CONTROL, Kind.SUBMIT)
    lines = newest_lines(LocalDisk(), state_dir / JOURNAL, lambda line: line.kind in kinds, _LINES)
    sent: list[str] = []
    for body in (decode_line(line.content).body for line in lines):
        if body.get("command") == "kill" and body["who"].startswith(WHO):
            sent.clear()
        elif body.get("role") == "OPEN":
            sent.append(body["client_order_id"])
    return sent


def _file(state_dir: Path, started_at: datetime, evidence: dict[str, Any]) -> Path:
    folder = state_dir / DRILLS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{started_at:%Y%m%dT%H%M%S.%f}Z-kill.json"
    path.write_text(json.dumps(evidence, indent=2, sort_keys=True) + "\n")
    return path


def _text(evidence: dict[str, Any]) -> str:
    if evidence["dry"]:
        lines = ["no daemon runs; the plan:", *(f"  {step}" for step in evidence["plan"])]
    else:
        lines = [
            f"  {'ok' if step['passed'] else 'FAILED':6}  {step['name']:9} {step['elapsed_ms']:9.1f} ms  "
            f"{step['detail']}"
            for step in evidence["steps"]
        ]
        lines.append("passed" if evidence["passed"] else "failed; what was halted by then stays halted")
    return "\n".join([*lines, f"evidence: {evidence['file']}"])
