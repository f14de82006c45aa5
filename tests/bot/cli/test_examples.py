"""The help of every command: it has examples, and they are accepted as they stand."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from bot.cli import app


def _verbs(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    under = getattr(command, "commands", None)
    if under is None:
        yield path, command
        return
    for name, one in under.items():
        yield from _verbs(one, (*path, name))


def _command(name: str) -> Any:
    whole: Any = typer.main.get_command(app._app(called=name))
    return whole.commands[name]


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_verb_has_examples_that_it_accepts(name: str) -> None:
    for path, verb in _verbs(_command(name), (name,)):
        lines = [line.strip() for line in (verb.help or "").splitlines()]
        assert "Examples:" in lines, path
        examples = [line for line in lines if line.startswith("argonaut ")]
        assert examples, path
        for example in examples:
            words = shlex.split(example.partition(" > ")[0], comments=True)[1:]
            assert tuple(words[: len(path)]) == path, f"{path}: {example}"
            with verb.make_context(path[-1], words[len(path) :]):
                pass
