"""Below `bot/` nothing knows whether it runs in a backtest, on paper or live."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.source import modules, parse

BELOW_COMPOSITION = ("adapters", "ml", "ops", "strategies")
_MODES = {"backtest", "live", "paper"}
_MODE_NAME = re.compile(
    r"(is_)?(backtest|live|paper)(ing|_?mode)?|host_?kind|(run|trading)_mode", re.IGNORECASE
)


def mode_checks(tree: ast.AST) -> Iterator[int]:
    """Line of every branch that asks for the mode."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            asked: list[ast.AST] = [node.test]
        elif isinstance(node, ast.Match):
            asked = [node.subject, *(case.pattern for case in node.cases)]
        else:
            continue
        if any(_names_a_mode(one) for one in asked):
            yield node.lineno


def _names_a_mode(condition: ast.AST) -> bool:
    nodes = list(ast.walk(condition))
    # In `paper.Kind.LIMIT` the first name is a module, not a question.
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    names = [node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in owners]
    names += [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return any(map(_MODE_NAME.fullmatch, names)) or any(text in _MODES for text in texts)


def test_no_module_below_composition_asks_for_the_mode() -> None:
    checks = {str(module): list(mode_checks(parse(module))) for module in modules(*BELOW_COMPOSITION)}

    assert {module: lines for module, lines in checks.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "if live: pass",
        "if config.is_live: pass",
        "fee = 0 if mode == 'paper' else 1",
        "while not self.backtest: pass",
        "match kind:\n    case 'live': pass",
        "if host.kind is HostKind.LIVE: pass",
    ],
)
def test_planted_mode_check_is_found(source: str) -> None:
    assert list(mode_checks(ast.parse(source)))


def test_module_of_that_name_is_no_mode_check() -> None:
    assert list(mode_checks(ast.parse("if order.kind is paper.Kind.LIMIT: pass"))) == []
