"""What a benchmark says: one figure at a time, with its target and how it was taken."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
"""Whether to take small samples: the whole run then stays under two minutes."""

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    name: str
    value: float | None
    """None where it was not measured; ``how`` then says why."""
    unit: str
    how: str
    target: float | None = None
    """Largest value that is good enough; of the ratio where there is a reference, unless `is_absolute`."""
    reference: float | None = None
    """What it is beside, in the same unit and from the same run."""
    reference_name: str = ""
    is_at_least: bool = False
    """Whether the target is the smallest ratio, reference over value, rather than the largest."""
    is_absolute: bool = False
    """Whether the target is of the value although there is a reference."""

    @property
    def ratio(self) -> float | None:
        """How many times the reference it takes; or, ``is_at_least``, how many times faster it is."""
        if self.value is None or self.reference is None:
            return None
        return self.reference / self.value if self.is_at_least else self.value / self.reference

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target or a measurement."""
        judged = self.value if self.reference is None or self.is_absolute else self.ratio
        if self.target is None or judged is None:
            return None
        return judged >= self.target if self.is_at_least else judged <= self.target


def report(measure: Callable[[], Sequence[Figure]]) -> None:
    """Measure and print one JSON document."""
    figures = [asdict(figure) | {"ratio": figure.ratio, "is_met": figure.is_met} for figure in measure()]
    json.dump(figures, sys.stdout, indent=2)
    print()


def in_fresh_process(module: str, *arguments: str) -> Any:
    """Run a module of ours and read the JSON document that it prints last: one engine a process."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def rss_mb(pid: int | None = None) -> float:
    """Memory of a process that is in RAM now, MiB; of this one, its peak, where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
