"""``argonaut data``: what bars are there, where they come from, and whether they can be relied upon."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from adapters.catalog import Catalog, format_time, interval_ns_of
from adapters.ingest.importer import (
    Adjustment,
    ImportResult,
    Origin,
    Progress,
    bar_type_of,
    import_files,
    store_bars,
)
from adapters.ingest.manifest import SeriesManifest, build_manifest
from adapters.ingest.naming import group_by_series, parse_interval
from adapters.ingest.sources import read_source, usual_interval
from adapters.ingest.verification import (
    SeriesReport,
    VerificationLimits,
    verify_catalog,
    verify_source,
)
from adapters.instruments import find_spec, load_instruments, with_steps
from adapters.synthetic import SyntheticConfig, generate_market
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, note, progress_bar
from bot.cli.resample import resample
from bot.exit_codes import ExitCode

app = typer.Typer(no_args_is_help=True)
app.command("resample")(resample)

_SHOWN_FINDINGS = 20
_PIPE_COLUMNS = 160

CatalogOption = Annotated[
    Path, typer.Option("--catalog", envvar="ARGONAUT_CATALOG", help="Directory of the catalog.")
]
BarTypeOption = Annotated[
    list[str] | None, typer.Option("--bar-type", help="Only this series; may be given several times.")
]
DEFAULT_CATALOG = Path("catalog")


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Parquet, CSV or zipped CSV.")],
    catalog: CatalogOption = DEFAULT_CATALOG,
    symbol: Annotated[str | None, typer.Option(help="Default: from the file's name.")] = None,
    venue: Annotated[str | None, typer.Option(help="Default: from the file's name.")] = None,
    interval: Annotated[str | None, typer.Option(help="Default: from the name, else from the data.")] = None,
    vendor: Annotated[str, typer.Option(help="Whom the bars come from; noted in the manifest.")] = "",
    adjustment: Annotated[Adjustment, typer.Option(help="Of prices.")] = Adjustment.NONE,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite bars that differ.")] = False,
    round_prices: Annotated[
        bool, typer.Option("--round-prices", help="Move prices between ticks to the nearest tick.")
    ] = False,
    tick_size: Annotated[str | None, typer.Option(help="Instead of the instrument's own.")] = None,
    lot_size: Annotated[str | None, typer.Option(help="Instead of the instrument's own.")] = None,
    instruments: Annotated[Path | None, typer.Option(help="Table of more instruments, TOML.")] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Import bars; several files of one instrument are parts of one series.

    The columns are ts (when the bar opened, UTC), open, high, low, close and volume. Bars already there are
    left alone if they are the same, and refused if they differ. An import that is cut off leaves nothing.

    Examples:
      argonaut data import BINANCE_BTCUSDT_1m_2023.parquet

      argonaut data import jan.csv feb.csv --symbol BTCUSDT --venue BINANCE --interval 1-MINUTE

    Exit codes: 0 imported or already there; 65 a file, its bars or the catalog are refused.
    """
    table = load_instruments(instruments)
    wanted = None if interval is None else parse_interval(interval)
    results = []
    for (name, found_interval), paths in group_by_series(
        files, symbol=symbol, venue=venue, interval=wanted
    ).items():
        spec = with_steps(
            find_spec(name, table), _decimal(tick_size, "--tick-size"), _decimal(lot_size, "--lot-size")
        )
        with progress_bar(f"importing {name}") as advance:
            result = import_files(
                paths,
                catalog,
                spec,
                interval=found_interval,
                vendor=vendor,
                adjustment=adjustment,
                replace=replace,
                round_prices=round_prices,
                on_progress=_any_step(advance),
            )
        note(_summary(result))
        results.append(result)
    if as_json:
        emit_json({"catalog": str(catalog), "series": [_imported(result) for result in results]})
    return ExitCode.OK


@app.command("list")
def list_(
    catalog: CatalogOption = DEFAULT_CATALOG,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """List the series of a catalog.

    Examples:
      argonaut data list --catalog catalog/demo

    Exit codes: 0 done; 65 there is no catalog, or it is damaged.
    """
    opened = Catalog(catalog)
    rows = [_listed(opened, name) for name in opened.bar_types()]
    if as_json:
        emit_json({"catalog": str(catalog), "series": rows})
        return ExitCode.OK
    table = _table("series", "bars", "first day", "last day", "adjustment", "vendor")
    for name, row in zip(opened.bar_types(), rows, strict=True):
        span, interval_ns = opened.span(name), interval_ns_of(name)
        times = (_day_of(span.first_ns - interval_ns), _day_of(span.last_ns - interval_ns))
        table.add_row(_short(name), f"{span.rows:,}", *times, row["adjustment"], row["vendor"])
    _print(table)
    if not rows:
        note(f"{catalog} holds no bars yet; import some with `argonaut data import`")
    return ExitCode.OK


@app.command()
def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE…]", help="Files to verify instead of a catalog.")
    ] = None,
    catalog: CatalogOption = DEFAULT_CATALOG,
    bar_type: BarTypeOption = None,
    interval: Annotated[str | None, typer.Option(help="Of the files; default: from the data.")] = None,
    max_gap_bars: Annotated[
        int, typer.Option(min=0, help="Absent bars in a row that are normal (files).")
    ] = 0,
    min_zero_volume_bars: Annotated[
        int, typer.Option(min=1, help="Shortest run without a trade that is reported.")
    ] = 3,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Look for gaps, duplicates, disorder, impossible prices, runs without a trade, and damage.

    Examples:
      argonaut data verify --catalog catalog/demo --json

    Exit codes: 0 nothing was found; 1 something was; 65 there is no catalog or no such series.
    """
    if files:
        limits = VerificationLimits(max_gap_bars, min_zero_volume_bars)
        reports = [_verify_file(path, interval, limits) for path in files]
    else:
        reports = []
        opened = Catalog(catalog)
        total = len(bar_type or opened.bar_types())
        with progress_bar("verifying") as advance:
            for report in verify_catalog(opened, bar_type, min_zero_volume_bars=min_zero_volume_bars):
                reports.append(report)
                advance(len(reports), total)
    is_clean = all(report.is_clean for report in reports)
    if as_json:
        emit_json({"clean": is_clean, "series": [_verified(report) for report in reports]})
    else:
        _print_reports(reports)
    return ExitCode.OK if is_clean else ExitCode.FINDINGS


@app.command()
def manifest(
    catalog: CatalogOption = DEFAULT_CATALOG,
    bar_type: BarTypeOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Say which bars there are, and pin them by a hash of their content.

    The hash covers bars, interval and adjustment: the same data has the same hash in every catalog.

    Examples:
      argonaut data manifest --catalog catalog/demo

    Exit codes: 0 done; 65 there are no bars, or they are damaged.
    """
    with progress_bar("hashing"):
        built = build_manifest(Catalog(catalog), bar_type)
    if as_json:
        emit_json(
            {"content_sha256": built.content_sha256, "series": [_manifested(one) for one in built.series]}
        )
        return ExitCode.OK
    table = _table("series", "bars", "adjustment", "vendor", "content sha256")
    for one in built.series:
        digest = f"{one.content_sha256[:16]}…"
        table.add_row(_short(one.bar_type), f"{one.rows:,}", one.adjustment, one.vendor, digest)
    _print(table)
    _print(f"all: {built.content_sha256}")
    return ExitCode.OK


@app.command()
def generate(
    catalog: CatalogOption = DEFAULT_CATALOG,
    seed: Annotated[int, typer.Option(min=0)] = SyntheticConfig().seed,
    days: Annotated[int, typer.Option(min=1, max=36_500)] = SyntheticConfig().days,
    start: Annotated[str, typer.Option(help="First day, UTC.")] = "2024-01-01",
    symbol: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    interval: Annotated[str, typer.Option()] = SyntheticConfig().interval,
    gaps_per_day: Annotated[float, typer.Option(min=0.0, max=100.0, help="Outages of the venue.")] = 0.0,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite bars that differ.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make a market: regimes of volatility and drift, correlated symbols, a daily course.

    The same options make the same bars, to the byte. Needs no network and no files.

    Examples:
      argonaut data generate --catalog catalog/demo --days 30 --seed 7

    Exit codes: 0 made or already there; 65 the catalog holds other bars, or an option is out of range.
    """
    config = SyntheticConfig(
        seed=seed,
        symbols=tuple(symbol) if symbol else SyntheticConfig().symbols,
        start=_day(start),
        days=days,
        interval=parse_interval(interval),
        gaps_per_day=gaps_per_day,
    )
    results = []
    with progress_bar("generating") as advance:
        market = generate_market(config)
        for name, bars in market.bars.items():
            origin = Origin(vendor=f"synthetic, seed {seed}")
            results.append(store_bars(catalog, market.specs[name], name, bars, origin, replace=replace))
            advance(len(results), len(market.bars))
    note("\n".join(map(_summary, results)))
    if as_json:
        emit_json({"catalog": str(catalog), "series": [_imported(result) for result in results]})
    return ExitCode.OK


def _any_step(advance: Callable[[int, int], None]) -> Progress:
    """Show every step of an import in one bar, without its name."""
    return lambda _step, done, total: advance(done, total)


def _verify_file(path: Path, interval: str | None, limits: VerificationLimits) -> SeriesReport:
    bars = read_source(path)
    wanted = usual_interval(bars) if interval is None else parse_interval(interval)
    return verify_source(bars, interval_ns_of(bar_type_of("FILE.FILE", wanted)), limits)


def _summary(result: ImportResult) -> str:
    first, last = format_time(result.first_ns), format_time(result.last_ns)
    what = result.status.value.replace("_", " ")
    text = f"{result.bar_type}: {what}, {result.rows_written:,} of {result.rows_read:,} bars written"
    text += f" (closes {first} to {last})"
    if result.prices_rounded:
        text += f"; {result.prices_rounded:,} prices rounded to the tick"
    if result.volumes_rounded:
        text += f"; {result.volumes_rounded:,} volumes rounded to the lot"
    return text


def _imported(result: ImportResult) -> dict[str, Any]:
    interval_ns = interval_ns_of(result.bar_type)
    document = asdict(result)
    first_ns, last_ns = document.pop("first_ns"), document.pop("last_ns")
    opens = {"first_open": _iso(first_ns - interval_ns), "last_open": _iso(last_ns - interval_ns)}
    return document | opens


def _listed(catalog: Catalog, bar_type: str) -> dict[str, Any]:
    span, note_ = catalog.span(bar_type), catalog.provenance(bar_type) or {}
    interval_ns = interval_ns_of(bar_type)
    return {
        "bar_type": bar_type,
        "rows": span.rows,
        "first_open": _iso(span.first_ns - interval_ns),
        "last_open": _iso(span.last_ns - interval_ns),
        "adjustment": note_.get("adjustment", "unknown"),
        "vendor": note_.get("vendor", ""),
    }


def _manifested(series: SeriesManifest) -> dict[str, Any]:
    document = asdict(series)
    first, last = _iso(document.pop("first_open_ns")), _iso(document.pop("last_open_ns"))
    return document | {"first_open": first, "last_open": last}


def _verified(report: SeriesReport) -> dict[str, Any]:
    return {
        "series": report.series,
        "clean": report.is_clean,
        "rows": report.rows,
        "first_open": _iso(report.first_open_ns),
        "last_open": _iso(report.last_open_ns),
        "absent_bars": report.absent_bars,
        "zero_volume_bars": report.zero_volume_bars,
        "findings": [
            {
                "kind": finding.kind.value,
                "first_open": _iso(finding.first_open_ns),
                "last_open": _iso(finding.last_open_ns),
                "bars": finding.bars,
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }


def _print_reports(reports: Sequence[SeriesReport]) -> None:
    for report in reports:
        kinds = f"{report.absent_bars:,} absent, {report.zero_volume_bars:,} without a trade"
        title = f"{_short(report.series)}: {report.rows:,} bars, {kinds}, {len(report.findings):,} findings"
        if report.is_clean:
            _print(title)
            continue
        table = _table("finding", "first open", "last open", "bars", "detail", title=title)
        # The longest say most; the JSON report has them all.
        longest = sorted(report.findings, key=lambda finding: -finding.bars)[:_SHOWN_FINDINGS]
        for finding in sorted(longest, key=lambda finding: finding.first_open_ns):
            times = (format_time(finding.first_open_ns), format_time(finding.last_open_ns))
            table.add_row(finding.kind.value, *times, f"{finding.bars:,}", finding.detail)
        _print(table)
        if len(report.findings) > _SHOWN_FINDINGS:
            note(f"{len(report.findings) - _SHOWN_FINDINGS:,} shorter ones are in the report of --json")


def _table(*headings: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for heading in headings:
        if heading == "bars":
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold", no_wrap=heading not in {"vendor", "detail"})
    return table


def _print(shown: Table | str) -> None:
    # A file or a pipe has no width to fit into; a terminal has.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(
        shown, soft_wrap=isinstance(shown, str)
    )


def _short(bar_type: str) -> str:
    # All series are of last prices made outside the engine; the name says so for the engine's sake.
    return bar_type.removesuffix("-LAST-EXTERNAL")


def _day_of(ns: int) -> str:
    return format_time(ns)[:10]


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise typer.BadParameter(f'--start "{text}": expected a day like 2024-01-01') from error


def _decimal(text: str | None, option: str) -> Decimal | None:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise typer.BadParameter(f'{option} "{text}": expected a number above 0, for example 0.01')
    return number
