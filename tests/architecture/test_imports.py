"""Who may import what, beyond the contracts that import-linter checks (see pyproject.toml)."""

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.data import ROOT
from tests.support.source import PACKAGES, import_name, modules, parse

TRAINERS = ("hmmlearn", "skfolio", "sklearn", "torch")

PURE = {
    "abc",
    "array",
    "bisect",
    "collections",
    "contextlib",
    "dataclasses",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "numbers",
    "numpy",
    "operator",
    "statistics",
    "strategies",
    "struct",
    "types",
    "typing",
}
"""What a stage may import: no clock, randomness, environment, I/O, logging, threads or engine."""

ENGINE_SIDE = {"engine_config", "engine_orders", "gate", "guards", "hub", "strategy"}
"""Modules of `strategies` that speak to the engine; the rest are stages."""

EXCEPTIONS = {
    "strategies/bundle.py": {"pathlib"},  # artefacts are read once, when the host is put together
    "strategies/config.py": {"pydantic"},  # a configuration is data
    "strategies/features/registry.py": {
        "difflib",
        "importlib",
        "inspect",
        "pkgutil",
    },  # finds kernels by file
    "strategies/policies/baselines.py": {"random"},  # the random baseline, from its own seed
    "strategies/policies/factory.py": {"pathlib"},  # likewise
    "strategies/policies/onnx.py": {
        "onnxruntime",
        "os",
        "pathlib",
    },  # telemetry is switched off before import
    "strategies/regime_params.py": {"pathlib", "zipfile"},  # likewise
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def stages() -> list[Path]:
    return [module for module in modules("strategies") if module.stem not in ENGINE_SIDE]


def test_stages_import_nothing_that_makes_them_impure() -> None:
    impure = {
        str(module): set(imported(parse(module))) - PURE - EXCEPTIONS.get(module.as_posix(), set())
        for module in stages()
    }

    assert {module: names for module, names in impure.items() if names} == {}


def test_exceptions_for_stages_are_all_needed() -> None:
    unused = {name: allowed - set(imported(parse(Path(name)))) for name, allowed in EXCEPTIONS.items()}

    assert {name: names for name, names in unused.items() if names} == {}


@pytest.mark.parametrize("name", PACKAGES)
def test_import_name_has_one_owner(name: str) -> None:
    # Canonical's `ops` and AdapterHub's `adapters` on the index would silently overwrite ours.
    owners = set(packages_distributions().get(name, []))
    spec = importlib.util.find_spec(name)

    assert owners <= {"argonaut"}
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")


def test_tests_are_shadowed_by_no_installed_package() -> None:
    spec = importlib.util.find_spec("tests")

    assert spec is not None
    # Twice where the path has our directory under two names; never another one.
    assert set(spec.submodule_search_locations or ()) == {str(ROOT / "tests")}


def test_started_daemon_has_loaded_no_trainer() -> None:
    # All that a daemon could load: everything but the learning plane, and what commands start it with.
    names = [import_name(module) for module in modules("adapters", "bot", "ops", "strategies")]
    starts_learning = ("bot.learning.importing", "bot.learning.research", "bot.learning.training")
    daemon = [
        name for name in names if not name.startswith(starts_learning) and not name.endswith("__main__")
    ]
    program = (
        "import importlib, json, sys\n"
        f"for name in {daemon!r}: importlib.import_module(name)\n"
        f"print(json.dumps(sorted(set({TRAINERS!r}) & set(sys.modules))))"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == []
