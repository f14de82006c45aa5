"""``argonaut compare``: finished backtests beside each other."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    print_table,
)
from bot.cli.tables import statistic_text
from bot.exit_codes import ExitCode
from strategies.errors import DataError

if TYPE_CHECKING:
    from ml.evaluation import EquityCurve
    from ops.run_records import RecordedRun


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN…", help="Two or more: path, id, or the beginning of an id."),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(metavar="SESSION", help="Instead: a session of the daemon; latest for the newest."),
    ] = None,
    backtest: Annotated[
        bool, typer.Option("--backtest", help="Of the session: lay it beside a backtest over its bars.")
    ] = False,
    catalog: Annotated[
        Path | None, typer.Option(help="Of the session: where the bars lie, if not where it had them.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Also compare with the baselines of the first run.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Where the page goes; default: comparisons/ of the state.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Put finished backtests beside each other, or a session beside a backtest of it.

    Each run is compared with the first, over the time that they share, paired period by period, with
    block-bootstrap intervals. How much of the best is luck is answered by its deflated Sharpe ratio and, from
    three runs on, by the probability that choosing it was overfitting. A session is compared decision by
    decision and execution by execution: prices, fees, timing.

    Examples:
      argonaut compare 3f2a 9bc1

      argonaut compare var/runs/3f2a9c var/runs/9bc1e7 var/runs/77ab20 --baselines --json

      argonaut compare --session latest --backtest

    Exit codes: 0 done, and a session is what its backtest says; 1 it is not; 64 there is nothing to compare;
    65 a run or bars are missing, damaged, or share no time; 70 the journal is damaged; 78 there is no such
    session.
    """
    if session is not None and backtest and not runs:
        from bot.cli.session_comparison import show_comparison

        return show_comparison(session, catalog, state_dir, as_json=as_json)
    if not runs or session is not None or backtest:
        raise typer.BadParameter("expected runs to compare, or --session SESSION --backtest")
    from ml.evaluation.contest import hold_contest
    from ops.report.contest import render_contest
    from ops.run_records import find_run, read_run

    found = [read_run(find_run(name, state_dir / "runs")) for name in runs]
    _require_one_calendar(found)
    contest = hold_contest(_curves(found, with_baselines=baselines), found[0].calendar)
    name = hashlib.sha256("\n".join(contest.entrants).encode()).hexdigest()[:12]
    page = html or state_dir / "comparisons" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    partial = page.with_name(f".{page.name}.partial")
    partial.write_text(render_contest(contest), encoding="utf-8")
    partial.replace(page)
    document = contest.as_json()
    if as_json:
        emit_json(document | {"html": str(page)})
    else:
        _print(document)
        note(f"page: {page}")
    return ExitCode.OK


def _curves(runs: "list[RecordedRun]", *, with_baselines: bool) -> "dict[str, EquityCurve]":
    curves = {run.run_id: run.account for run in runs}
    if len(curves) != len(runs):
        raise DataError(f"expected runs with different ids, found {[run.run_id for run in runs]}")
    return curves | (dict(runs[0].baselines) if with_baselines else {})


def _require_one_calendar(runs: "list[RecordedRun]") -> None:
    years = {(run.calendar.days_per_year, run.calendar.session_hours) for run in runs}
    if len(years) != 1:
        raise DataError(
            f"expected runs of markets that trade the same days and hours a year, found {sorted(years)}: "
            "their ratios are not annualised alike"
        )


def _print(document: dict[str, Any]) -> None:
    table = Table(title="Net of costs, over the shared time; brackets hold the 95 % interval")
    for heading in ("", "return", "max drawdown", "Sharpe", "return less the first", "Sharpe less the first"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, run in document["runs"].items():
        versus = document["versus"].get(name)
        table.add_row(
            name,
            statistic_text(run["total_return_frac"], percent=True),
            statistic_text(run["max_drawdown_frac"], percent=True),
            statistic_text(run["sharpe"], percent=False),
            "" if versus is None else statistic_text(versus["excess_return_frac"], percent=True),
            "" if versus is None else statistic_text(versus["sharpe_difference"], percent=False),
        )
    print_table(table)
    deflated, overfitting = document["deflated_sharpe"], document["overfitting"]
    if deflated is not None:
        emit_text(
            f"best: {document['best']}; probability that its Sharpe ratio is more than the luck of the best "
            f"of {deflated['trials']}: {deflated['prob']:.1%}"
        )
    if overfitting is not None:
        emit_text(f"probability of backtest overfitting: {overfitting['probability']:.1%}")
