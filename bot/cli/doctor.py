"""``argonaut doctor``: what is the matter, and what to do?"""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from bot.checks.findings import Finding, Level
from bot.cli.ask import get
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, note
from bot.cli.tables import print_findings
from bot.exit_codes import ExitCode
from bot.service_unit import UNIT
from ops.state_dir import IDENTITY
from strategies.errors import TransientError


def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Host file; default: the newest session's.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also what is well.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Say what is wrong with the daemon of a state directory, why, and what to do about it.

    It asks the running daemon, or reads what the newest session has left: how it ended, what restricts
    trading, incidents, jobs, drills, the log, the service; then it does what `argonaut preflight` does.

    Examples:
      argonaut doctor

      argonaut doctor --all --state-dir /var/lib/argonaut

    Exit codes: 0 nothing is wrong; 1 something is.
    """
    from bot.checks.doctor import Doctor, ask_service
    from bot.checks.preflight import Preflight, Wanted  # loads the engine

    findings: list[Finding] = []
    try:
        status = get(state_dir, "/v1/status")
    except TransientError as error:
        status, advice = None, "argonaut kill works all the same; the watchdog of the service ends it"
        findings.append(Finding("daemon", Level.BAD, str(error), advice))
    findings += Doctor(state_dir, status, ask_service(UNIT), time.time()).look()
    path = config or _config_of(state_dir)
    if path is not None and path.exists():
        is_running, now_ns = status is not None, time.time_ns()
        look = Preflight(path, {}, state_dir, is_running=is_running, wanted=Wanted(), now_ns=now_ns)
        findings += [one for one in look.run() if one.subject != "trading state"]
    else:
        note(
            f"argonaut: {'no host file is known' if path is None else path}: give CONFIG to have it looked at"
        )
    bad = [one for one in findings if one.level is Level.BAD]
    if as_json:
        emit_json({"is_well": not bad, "findings": [one.as_json() for one in findings]})
    else:
        order = list(Level)[::-1]
        shown = [one for one in findings if show_all or one.level is not Level.OK]
        print_findings(sorted(shown, key=lambda one: order.index(one.level)))
        note(f"{len(bad)} things are wrong" if bad else "nothing is wrong")
    return ExitCode.FINDINGS if bad else ExitCode.OK


def _config_of(state_dir: Path) -> Path | None:
    """Host file that the state directory was made with."""
    try:
        return Path(json.loads((state_dir / IDENTITY).read_text())["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
