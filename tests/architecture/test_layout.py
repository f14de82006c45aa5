"""Sizes and names: what keeps the tree readable."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.data import ROOT
from tests.support.source import PACKAGES, modules, parse

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
DRAWERS = {
    "base",
    "common",
    "core",
    "engine",
    "handler",
    "helper",
    "helpers",
    "lib",
    "manager",
    "misc",
    "processor",
    "shared",
    "util",
    "utils",
}
MILESTONE = re.compile(r"(^|_)(m|p|v|phase|milestone|sprint|step)_?\d+($|_)|(^|_)20\d\d($|_)")


def long_functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and length of functions that are too long; a docstring does not count."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = node.body[0] if ast.get_docstring(node) is not None else None
        length = _lines(node) - (_lines(docstring) if docstring else 0)
        if length > LONGEST_FUNCTION:
            yield node.name, length


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_short_enough_to_be_read_at_a_sitting() -> None:
    lengths = {str(module): len((ROOT / module).read_text().splitlines()) for module in modules()}

    assert {module: length for module, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_functions_are_short_enough_to_be_seen_at_once() -> None:
    too_long = {str(module): list(long_functions(parse(module))) for module in modules()}

    assert {module: functions for module, functions in too_long.items() if functions} == {}


def test_planted_long_function_is_found_and_a_long_docstring_is_not() -> None:
    body = "    x = 1\n"
    long, longest = body * LONGEST_FUNCTION, body * (LONGEST_FUNCTION - 1)
    documented = f'def f():\n    """{"a\n" * 50}"""\n{longest}'

    assert list(long_functions(ast.parse(f"def f():\n{long}"))) == [("f", LONGEST_FUNCTION + 1)]
    assert list(long_functions(ast.parse(documented))) == []


def test_modules_are_named_after_what_they_are() -> None:
    drawers = [str(module) for module in modules() if {*module.with_suffix("").parts} & DRAWERS]
    milestones = [
        str(module) for module in modules() if any(map(MILESTONE.search, module.with_suffix("").parts))
    ]

    assert drawers == []
    assert milestones == []


def test_folders_of_modules_are_packages() -> None:
    without = {
        str(module.parent) for module in modules() if not (ROOT / module).with_name("__init__.py").exists()
    }

    assert without == set(), "without an __init__.py a folder is left out of an install"


def test_tests_are_no_package() -> None:
    # A tests/strategies/__init__.py would shadow the real package, and the tests would still pass.
    assert sorted((ROOT / "tests").rglob("__init__.py")) == []


def test_every_folder_of_tests_is_run(pytestconfig: pytest.Config) -> None:
    folders = {f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/test_*.py")}
    folders |= {f"tests/{path.parts[-3]}" for path in (ROOT / "tests").glob("*/*/test_*.py")}

    assert folders == set(pytestconfig.getini("testpaths"))


def test_test_folders_mirror_the_packages() -> None:
    beside = {"acceptance", "architecture", "parity", "simulation", "support"}

    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}

    assert folders <= beside | set(PACKAGES)
