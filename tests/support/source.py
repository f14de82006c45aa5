"""The source of this project as data, for tests of what must stay true of the tree."""

import ast
from functools import cache
from pathlib import Path

from tests.support.data import ROOT

PACKAGES = ("adapters", "bot", "ml", "ops", "strategies")


def modules(*packages: str) -> list[Path]:
    """Python files of the packages (all five where none is named), relative to the root, sorted."""
    return sorted(
        path.relative_to(ROOT) for package in packages or PACKAGES for path in (ROOT / package).rglob("*.py")
    )


@cache
def parse(module: Path) -> ast.Module:
    """Syntax tree of a module, given relative to the root."""
    return ast.parse((ROOT / module).read_text(), filename=str(module))


def import_name(module: Path) -> str:
    """Dotted name under which a module is imported."""
    return ".".join(module.with_suffix("").parts).removesuffix(".__init__")
