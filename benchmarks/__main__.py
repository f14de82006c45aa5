"""Run all benchmarks, write ``results.json`` and the table in ``README.md``: ``python -m benchmarks``.

Each runs in a process of its own. ``python -m benchmarks sma memory`` measures these and keeps what is there
of the others. ``BENCH_QUICK=1`` takes small samples (under two minutes), prints the table and writes nothing.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import QUICK, Figure, in_fresh_process

PARTS = (
    "decision",
    "backtest",
    "sma",
    "features",
    "policy",
    "hmm",
    "memory",
    "journal",
    "safety",
    "snapshot",
    "api",
    "daemon",
    "daemon_asked",
    "dashboard",
    "ppo",
    "known_answers",
)
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- results: begin, written by python -m benchmarks -->", "<!-- results: end -->"


def main() -> int:
    """Measure the parts named, or all; 1 if one of them failed."""
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        print(f"benchmarks: expected some of {', '.join(PARTS)}, found {sorted(unknown)}", file=sys.stderr)
        return 64
    results = {} if QUICK or not RESULTS.exists() else json.loads(RESULTS.read_text())["results"]
    failed = []
    for part in wanted:
        print(f"benchmarks: {part} …", file=sys.stderr, flush=True)
        try:
            measured = in_fresh_process(f"benchmarks.{part}")
        except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
            print(f"benchmarks: {part} failed: {error}", file=sys.stderr)
            failed.append(part)
            continue
        results[part] = {"machine": machine(), "figures": measured}
        if not QUICK:  # after each part, so that an interruption costs no more than one
            save({name: results[name] for name in PARTS if name in results})
    if QUICK:
        print(render(results))
    return 1 if failed else 0


def save(results: dict[str, Any]) -> None:
    """Write the results and the table made of them."""
    RESULTS.write_text(json.dumps({"results": results}, indent=2, ensure_ascii=False) + "\n")
    write_table(HERE / "README.md", render(results))


def machine() -> str:
    """What it ran on, in general words."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} virtual cores ({platform.machine()}), {memory_gib:.0f} GiB memory, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def render(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    kind = "Small samples: figures are rough. " if QUICK else ""
    machines = dict.fromkeys(part["machine"] for part in results.values())
    lines = [
        f"{kind}Measured on {'; '.join(machines)}.",
        "",
        "| figure | measured | beside, in the same run | ratio | target | met | how |",
        "|---|---:|---|---:|---:|---|---|",
    ]
    for part in results.values():
        lines += map(_row, part["figures"])
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
    faster = " faster" if figure.is_at_least and not figure.is_absolute else ""
    shown = "" if ratio is None else f"{_number(ratio)}x{faster}"
    return f"| {figure.name} | {measured} | {beside} | {shown} | {target} | {met} | {figure.how} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


if __name__ == "__main__":
    sys.exit(main())
