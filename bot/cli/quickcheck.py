"""``argonaut quickcheck``: does the whole of it work on this machine?"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot.cli.ask import get
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, note, print_table
from bot.exit_codes import ExitCode


def quickcheck(
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Work in this new folder; it stays."),
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Go through the whole stack once, in a folder of its own, within two minutes.

    Makes a market, lets a trained network and a rule trade on it in a backtest and a paper daemon, opens its
    page, halts it, resumes, kills it with -9, starts it again, stops it, checks its journal, decides the
    session again, and brings its state back from a backup. Your own state is not touched, --state-dir is not
    read. What a failed pass has left is kept.

    Examples:
      argonaut quickcheck

      argonaut quickcheck --keep look --json

    Exit codes: 0 all of it works; 1 a step failed; 64 the folder is there already.
    """
    from bot.checks.quickcheck import Quickcheck

    if keep is not None and keep.exists():
        raise typer.BadParameter(f"expected a new folder, found {keep}", param_hint="--keep")
    folder = (keep or Path(tempfile.mkdtemp(prefix="argonaut-quickcheck-"))).resolve()
    began, steps = time.monotonic(), []
    for step in Quickcheck(folder, lambda place: get(place, "/v1/status")).run():
        steps.append(step)
        note(f"{step.name}: {'ok' if step.passed else 'FAILED'} ({step.secs:.1f} s)")
    passed = all(step.passed for step in steps)
    if keep is None and passed:
        shutil.rmtree(folder)
    elsewhere = None if keep is None and passed else str(folder)
    if as_json:
        document = {"passed": passed, "secs": round(time.monotonic() - began, 1), "folder": elsewhere}
        emit_json(document | {"steps": [step._asdict() for step in steps]})
    else:
        table = Table()
        for column in ("", "step", "seconds", "what it showed"):
            table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
        for step in steps:
            word = Text("ok", "green") if step.passed else Text("FAILED", "bold red")
            table.add_row(word, step.name, f"{step.secs:.1f}", Text(step.detail))
        print_table(table)
        note(f"{'all of it works' if passed else 'it does not work'}; {time.monotonic() - began:.0f} s")
    if elsewhere is not None:
        note(f"everything is in {elsewhere}")
    return ExitCode.OK if passed else ExitCode.FINDINGS
