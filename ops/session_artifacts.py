"""Writes what a session leaves for people and spreadsheets.

    sessions/<session>/  session.md equity.svg drawdown.svg
                         orders.csv fills.csv trades.csv positions.csv account.csv equity.csv
                         decisions.csv verdicts.csv halts.csv config.json pins.json
                         argonaut.jsonl engine.jsonl
    sessions/latest      points to the newest one that was written

The journal is the truth; a folder here may be deleted, and is made again from it. Equal journals give equal
bytes; of the logs there is what they still hold. Of what is very long the newest part is there, and
``session.md`` says so.
"""

import csv
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from ml.evaluation import PositionRow, RoundTrip, match_fills
from ops.log_reading import Part
from ops.session_tape import SessionTape
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    VerdictRecord,
)

SESSIONS = "sessions"
LATEST = "latest"

MOST_ROWS = 200_000
"""Of a table; what is older is in the journal."""

_WIDTH, _HEIGHT, _POINTS = 900, 240, 900


class AccountRow(NamedTuple):
    """All strategies together at the close of a bar."""

    ts_event: int
    equity: float
    """Quote currency."""
    cash: float
    gross_exposure: float
    net_exposure: float
    drawdown: float
    """From the session's peak, 0..1."""


def write_session(parent: Path, found: SessionTape, logs: Mapping[str, Part] | None = None) -> Path:
    """Write a session's folder; it is whole or not there, and one that is there is replaced.

    Args:
        parent: Holds the folders.
        found: A session that was found.
        logs: What was logged while it ran, by name of the file.

    Raises:
        OSError: If the disk refuses; nothing is left behind.
    """
    name = str(found.pins["session"])
    parent.mkdir(parents=True, exist_ok=True)
    place, draft = parent / name, parent / f".{name}.{os.getpid()}.partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        _write_files(draft, found, logs or {})
        if place.exists():
            shutil.rmtree(place)
        draft.rename(place)
        pointer = parent / f".{LATEST}.{os.getpid()}"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(name)
        pointer.rename(parent / LATEST)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _write_files(draft: Path, found: SessionTape, logs: Mapping[str, Part]) -> None:
    tape = found.tape
    matched = match_fills([*found.fills_before, *tape.fills], tape.orders)
    own = {fill.client_order_id for fill in tape.fills}
    trades = [one for one in matched.trades if one.exit_order_id in own]
    positions = matched.positions[len(found.fills_before) :]
    account = account_rows(tape.equity)
    tables: tuple[tuple[str, type, Sequence[Sequence[Any]]], ...] = (
        ("orders", OrderRecord, tape.orders),
        ("fills", FillRecord, tape.fills),
        ("trades", RoundTrip, trades),
        ("positions", PositionRow, positions),
        ("account", AccountRow, account),
        ("equity", EquityRecord, tape.equity),
        ("decisions", DecisionRecord, tape.decisions),
        ("verdicts", VerdictRecord, tape.verdicts),
        ("halts", HaltRecord, tape.halts),
    )
    for file, kind, rows in tables:
        _csv(draft / f"{file}.csv", kind, rows[-MOST_ROWS:])
    for name, part in logs.items():
        (draft / name).write_bytes(part.text)
    pins = dict(found.pins)
    _text(draft / "config.json", _pretty(pins.pop("settings", {})))
    _text(draft / "pins.json", _pretty(pins))
    times = [row.ts_event for row in account]
    _text(draft / "equity.svg", plot(times, [row.equity for row in account], "equity"))
    _text(draft / "drawdown.svg", plot(times, [-row.drawdown for row in account], "drawdown"))
    cut = [
        f"{file}.csv has the newest {MOST_ROWS:,} rows of {len(rows):,}"
        for file, _, rows in tables
        if len(rows) > MOST_ROWS
    ]
    cut += [f"{name} has the newest part alone" for name, part in logs.items() if not part.is_whole]
    _text(draft / "session.md", summary(found, trades, account, cut))


def account_rows(equity: Iterable[EquityRecord]) -> list[AccountRow]:
    """Sum the strategies' books bar by bar; one that has no bar at a time counts as it stood last."""
    newest: dict[str, EquityRecord] = {}
    rows: list[AccountRow] = []
    peak = -math.inf
    for one in equity:
        newest[one.strategy] = one
        total = sum(book.equity for book in newest.values())
        row = AccountRow(
            one.ts_event,
            total,
            sum(book.cash for book in newest.values()),
            sum(book.gross_exposure for book in newest.values()),
            sum(book.net_exposure for book in newest.values()),
            0.0,
        )
        if rows and rows[-1].ts_event == one.ts_event:
            rows[-1] = row
        else:
            rows.append(row)
    for at, row in enumerate(rows):
        peak = max(peak, row.equity)
        rows[at] = row._replace(drawdown=1.0 - row.equity / peak if peak > 0.0 else 0.0)
    return rows


def summary(
    found: SessionTape,
    trades: Sequence[RoundTrip],
    account: Sequence[AccountRow],
    cut: Sequence[str] = (),
) -> str:
    """``session.md``: what the session was, how it ended, and what came of it."""
    pins, end, tape = found.pins, found.end, found.tape
    decided = [one.ts_event for one in tape.decisions]
    span = f"{_utc(decided[0])} to {_utc(decided[-1])}" if decided else "no decision"
    ended = (
        f"{end['reason']} (exit code {end['exit_code']})" if end else "not in order: it was killed, or runs"
    )
    lines = [
        f"# Session {pins['session']}",
        "",
        f"- Started {pins['started_at']} with `{Path(pins['config']).name}`, configuration "
        f"`{pins['config_sha256'][:12]}`, code `{pins['code_sha256'][:12]}`",
        f"- Market time: {span}",
        f"- Ended: {ended}",
        f"- {len(tape.decisions)} decisions, {len(tape.fills)} executions, {len(trades)} round trips, "
        f"{found.records} records",
        "",
        "| strategy | equity at first | at last | profit | costs | worst drawdown | round trips | won |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(one.strategy for one in tape.equity):
        book = [one for one in tape.equity if one.strategy == name]
        own = [one for one in trades if one.strategy == name]
        lines.append(
            f"| {name} | {book[0].equity:,.2f} | {book[-1].equity:,.2f} | "
            f"{book[-1].equity - book[0].equity:+,.2f} | {book[-1].fees - book[0].fees:,.2f} | "
            f"{max(one.drawdown for one in book):.2%} | {len(own)} | {sum(one.net_pnl > 0 for one in own)} |"
        )
    if account:
        lines.append(
            f"| all | {account[0].equity:,.2f} | {account[-1].equity:,.2f} | "
            f"{account[-1].equity - account[0].equity:+,.2f} | | {max(one.drawdown for one in account):.2%} "
            f"| {len(trades)} | {sum(one.net_pnl > 0 for one in trades)} |"
        )
        lines += ["", "![equity](equity.svg)", "", "![drawdown](drawdown.svg)"]
    for title, rows in (
        (
            "Held back",
            [f"{_utc(one.ts_event)} {one.strategy}: {one.reason}, {one.detail}" for one in tape.halts],
        ),
        (
            "Commands",
            [_command(one) for one in _answered(found.commands)],
        ),
        ("Left out, and in the journal or under logs/", cut),
    ):
        if rows:
            lines += ["", f"## {title}", "", *(f"- {' '.join(row.split())}" for row in rows[:200])]
    return "\n".join(lines) + "\n"


def _answered(commands: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each command once: as it was carried out, or, where nothing says that it was, as it was asked."""
    open_: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    told: list[Mapping[str, Any]] = []
    for one in commands:
        key = one["command"], one["who"], one["reason"]
        if one.get("stage") == "asked":
            open_[key] = one
        elif (asked := open_.pop(key, None)) is not None:
            told = [other for other in told if other is not asked]
        told.append(one)
    return told


def _command(one: Mapping[str, Any]) -> str:
    asked = one.get("asked") or {}
    what = (
        one["scope"]
        if "scope" in one
        else ", ".join(f"{key} {asked[key]}" for key in sorted(asked) if asked[key])
    )
    return f"{' '.join((one['command'], what)).strip()} by {one['who']}: {one['reason']}"


def plot(times: Sequence[int], values: Sequence[float], title: str) -> str:
    """A line as SVG: of every stretch of the curve the first, lowest, highest and last point."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="12">'
    )
    if not values:
        return f'{head}<text x="10" y="20">{title}: no bar</text></svg>\n'
    low, high, first, last = min(values), max(values), times[0], times[-1]
    points = []
    for at in _extremes(values):
        x = 70 + (times[at] - first) / max(1, last - first) * (_WIDTH - 80)
        y = 25 + (high - values[at]) / ((high - low) or 1.0) * (_HEIGHT - 55)
        points.append(f"{x:.1f},{y:.1f}")
    return (
        f'{head}<text x="70" y="15">{title}</text><text x="2" y="30">{high:,.4g}</text>'
        f'<text x="2" y="{_HEIGHT - 30}">{low:,.4g}</text><text x="70" y="{_HEIGHT - 8}">{_utc(first)}</text>'
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 8}" text-anchor="end">{_utc(last)}</text>'
        f'<polyline fill="none" stroke="#2563eb" stroke-width="1.5" points="{" ".join(points)}"/></svg>\n'
    )


def _extremes(values: Sequence[float]) -> list[int]:
    size = max(1, math.ceil(len(values) * 4 / _POINTS))
    kept: set[int] = set()
    for start in range(0, len(values), size):
        part = range(start, min(start + size, len(values)))
        kept |= {part[0], part[-1], min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
    return sorted(kept)


def _csv(path: Path, record_type: type, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(get_type_hints(record_type))
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return ";".join(str(_cell(one)) for one in value) if isinstance(value, tuple) else value


def _pretty(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _utc(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
