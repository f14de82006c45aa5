"""``argonaut report``: backtests that were run, and what came of one."""

import json
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    print_rows,
)
from bot.cli.tables import print_scorecard
from bot.exit_codes import ExitCode
from ops.artifacts import MANIFEST, is_whole

_COLUMNS = ("run", "written", "return", "max_drawdown", "sharpe", "trades")


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Name of a run or its beginning, or `latest`.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show report.html in a browser.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """List the backtests of a state directory, newest first; or show the figures of one, and where they lie.

    A run whose files are not what was written is not shown.

    Examples:
      argonaut report

      argonaut report latest --open

    Exit codes: 0 done; 1 files of the run were changed or are missing; 64 there is no such run.
    """
    runs = _runs(state_dir / "runs")
    if run is None:
        rows = [_row(path) for path in runs]
        emit_json(rows) if as_json else print_rows(rows, _COLUMNS, "no runs yet: argonaut backtest CONFIG")
        return ExitCode.OK
    path = _find(runs, run)
    if not is_whole(path):
        message = f"{path}: expected the files that {MANIFEST} names, found others; run the backtest again"
        if as_json:
            emit_json({"error": {"kind": "Changed", "message": message, "exit_code": int(ExitCode.FINDINGS)}})
        note(f"argonaut: {message}")
        return ExitCode.FINDINGS
    metrics = json.loads((path / "metrics.json").read_text())
    page = path / "report.html"
    if as_json:
        pins = json.loads((path / "pins.json").read_text())
        emit_json({"run": path.name, "report": str(page), "pins": pins, "metrics": metrics})
    else:
        print_scorecard(metrics, "")
        emit_text(f"{path.name}: {page}")
    if open_page and not webbrowser.open(page.resolve().as_uri()):
        note(f"no browser could be started; open {page}")
    return ExitCode.OK


def _runs(folder: Path) -> list[Path]:
    """Finished runs, newest first."""
    found = [path.parent for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")]
    return sorted((path for path in found if not path.is_symlink()), key=_age, reverse=True)


def _age(run_dir: Path) -> tuple[float, str]:
    return (run_dir / MANIFEST).stat().st_mtime, run_dir.name


def _find(runs: list[Path], name: str) -> Path:
    found = [path for path in runs if path.name.startswith(name)] if name != "latest" else runs[:1]
    exact = [path for path in found if path.name == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    what = f"found {len(found)} that begin so" if found else "found none"
    raise typer.BadParameter(
        f"{name}: expected one run, {what}; `argonaut report` lists them", param_hint="RUN"
    )


def _row(run_dir: Path) -> dict[str, Any]:
    metrics = json.loads((run_dir / "metrics.json").read_text())
    written = datetime.fromtimestamp(_age(run_dir)[0], UTC)
    return {
        "run": run_dir.name,
        "written": f"{written:%Y-%m-%d %H:%M:%S}",
        "return": _value(metrics["total_return_frac"]),
        "max_drawdown": _value(metrics["max_drawdown_frac"]),
        "sharpe": _value(metrics["sharpe"]),
        "trades": metrics.get("trade_count"),
        "path": str(run_dir),
    }


def _value(figure: Any) -> Any:
    """A figure that may come with its interval."""
    return figure["value"] if isinstance(figure, dict) else figure
