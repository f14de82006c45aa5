"""Run all benchmarks, write ``results.json`` and the table in ``README.md``: ``python -m benchmarks``.

Each runs in a process of its own. ``BENCH_QUICK=1`` takes small samples (under two minutes) and leaves the
committed results alone, unless ``--write`` asks for them.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import QUICK, ROOT, Figure, in_fresh_process

PARTS = ("decision", "backtest", "sma", "features", "policy", "memory", "daemon")
HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- results: begin, written by python -m benchmarks -->", "<!-- results: end -->"


def main() -> int:
    """Measure every part; 1 if one of them failed."""
    results: dict[str, list[dict[str, Any]]] = {}
    failed = []
    for part in PARTS:
        print(f"benchmarks: {part} …", file=sys.stderr, flush=True)
        try:
            results[part] = in_fresh_process(f"benchmarks.{part}")
        except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
            print(f"benchmarks: {part} failed: {error}", file=sys.stderr)
            failed.append(part)
    document = {"machine": machine(), "is_quick": QUICK, "failed": failed, "results": results}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    table = render(document)
    if QUICK and "--write" not in sys.argv:
        print(table)
    else:
        (HERE / "results.json").write_text(text)
        write_table(HERE / "README.md", table)
    return 1 if failed else 0


def machine() -> str:
    """What it ran on, in general words."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} virtual cores ({platform.machine()}), {memory_gib:.0f} GiB memory, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def render(document: dict[str, Any]) -> str:
    """The results as Markdown."""
    kind = "Small samples: figures are rough. " if document["is_quick"] else ""
    failed = f"Failed: {', '.join(document['failed'])}. " if document["failed"] else ""
    lines = [
        f"{kind}{failed}Measured on {document['machine']}.",
        "",
        "| figure | measured | beside, in the same run | ratio | target | met | how |",
        "|---|---:|---|---:|---:|---|---|",
    ]
    for part in document["results"].values():
        for entry in part:
            lines.append(_row(entry))
    return "\n".join(lines)


def write_table(path: Path, table: str) -> None:
    """Put the table between its marks."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def _row(entry: dict[str, Any]) -> str:
    ratio, is_met = entry["ratio"], entry["is_met"]
    figure = Figure(**{key: value for key, value in entry.items() if key not in ("ratio", "is_met")})
    beside = target = met = ""
    if figure.reference is not None:
        beside = f"{figure.reference_name}: {_number(figure.reference)} {figure.unit}"
    if figure.target is not None:
        bound = "≥" if figure.is_at_least else "≤"
        is_ratio = figure.reference is not None and not figure.is_absolute
        target = f"{bound} {_number(figure.target)}{'x' if is_ratio else ' ' + figure.unit}"
        met = "" if is_met is None else "yes" if is_met else "**no**"
    measured = "not measured" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
    shown = "" if ratio is None else f"{_number(ratio)}x{' faster' if figure.is_at_least else ''}"
    return f"| {figure.name} | {measured} | {beside} | {shown} | {target} | {met} | {figure.how} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


if __name__ == "__main__":
    sys.exit(main())
