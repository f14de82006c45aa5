"""Other people's packages in a throwaway place, for one run of a benchmark."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECS = 900.0


def environment_with(directory: Path, packages: Sequence[str]) -> Path:
    """A fresh environment with these packages and what they need; its Python."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, capture_output=True, text=True)
    python = directory / "bin" / "python"
    _install(python, packages)
    return python


def beside_ours(directory: Path, packages: Sequence[str]) -> Path:
    """A folder with these packages alone; what they need, our environment has."""
    python = environment_with(directory / "installer", ())
    folder = directory / "packages"
    _install(python, packages, "--no-deps", "--target", str(folder))
    return folder


def run_beside_ours(folder: Path, script: str, *arguments: str) -> dict[str, Any]:
    """Run a script of this folder in our environment with the others' packages; the JSON it prints last."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name(script)), *arguments]
    path = os.pathsep.join((str(ROOT), str(folder)))
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        timeout=LIMIT_SECS,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _install(python: Path, packages: Sequence[str], *options: str) -> None:
    if packages:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*command, *options, *packages], check=True, capture_output=True, text=True, timeout=LIMIT_SECS
        )
