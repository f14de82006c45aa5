"""Orders leave from one module. A second door would be a way around the guardrails."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import modules, parse

DOOR = Path("strategies/strategy.py")

ORDER_COMMANDS = {
    "submit_order",
    "submit_order_list",
    "modify_order",
    "modify_orders",
    "cancel_order",
    "cancel_orders",
    "cancel_all_orders",
    "close_position",
    "close_all_positions",
    "market_exit",
}
"""What Nautilus's Strategy offers to send, change or take back an order."""


def order_commands(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every use of an order command, by attribute or by a text that may become one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ORDER_COMMANDS:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Constant) and node.value in ORDER_COMMANDS:
            yield node.lineno, str(node.value)


# The adapters stand behind the door: a venue's client is what carries an order on.
def test_order_commands_are_used_in_no_module_but_the_door() -> None:
    uses = {
        module: list(order_commands(parse(module))) for module in modules("bot", "ml", "ops", "strategies")
    }

    assert [module for module, found in uses.items() if found] == [DOOR]


def test_door_sends_and_cancels_orders() -> None:
    used = {name for _, name in order_commands(parse(DOOR))}

    assert "submit_order" in used
    assert used & {"cancel_order", "cancel_all_orders"}


@pytest.mark.parametrize(
    "source",
    [
        "strategy.submit_order(order)",
        "send = self.submit_order_list",
        "getattr(strategy, 'cancel_all_orders')()",
        "def later():\n    class A:\n        go = lambda s: s.close_position(p)",
    ],
)
def test_planted_second_door_is_found(source: str) -> None:
    assert list(order_commands(ast.parse(source)))
