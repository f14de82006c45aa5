"""What is wrong with a configuration, said so that the person who wrote it can mend it.

One line a problem: ``file: key = value: expected …``. All problems of all files come at once.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.config.schema import Schema, choices, describe, schema_of, step, table, tags
from strategies.errors import ConfigError

REDACTED = "[redacted]"
_SECRET_WORDS = ("key", "secret", "token", "password")
_LONGEST_VALUE = 60


class Problem(NamedTuple):
    """One thing that is wrong in one file."""

    file: str
    key: str
    """Dotted, with positions in lists: ``features.columns[0].kind``; empty where the whole file is meant."""
    message: str
    """What stands after the key: its value, and what was expected."""

    def __str__(self) -> str:
        text = f"{self.key}{self.message}" if self.key else self.message.lstrip(": ")
        return f"{self.file}: {_printable(text)}"


def _printable(text: str) -> str:
    """One line that a terminal shows and does not obey, whatever was written in the file."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise one error that names all problems; do nothing where there are none.

    Raises:
        ConfigError: If there is a problem.
    """
    lines = [str(problem) for problem in problems]
    if lines:
        raise ConfigError("\n".join(lines))


def problems_of(file: str, model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Put a refusal of the model into words, one problem for each key."""
    schema = schema_of(model)
    found: dict[str, Problem] = {}
    for one in error.errors(include_url=False):
        problem = _problem(file, schema, one)
        found.setdefault(problem.key, problem)
    # A list that lacks an entry only because the entry is wrong is not a second problem.
    return [
        problem
        for key, problem in found.items()
        if not any(other.startswith((f"{key}[", f"{key}.")) for other in found)
    ]


def is_secret(name: str) -> bool:
    """Whether a key's name says that its value must not be shown."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def redact(document: Any) -> Any:
    """Copy of a document in which whatever is named like a secret is hidden."""
    if isinstance(document, dict):
        return {
            # Whether there are any is no secret.
            name: REDACTED if is_secret(name) and not isinstance(value, bool | None) else redact(value)
            for name, value in document.items()
        }
    if isinstance(document, list):
        return [redact(value) for value in document]
    return document


def suggestion(written: str, known: Iterable[str]) -> str:
    """The words ``; did you mean "…"?``, or nothing where no known name is close."""
    close = get_close_matches(written, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def shown(value: Any, name: str = "", longest: int | None = _LONGEST_VALUE) -> str:
    """A value as people may see it: cut where it is long, and hidden where its name says so."""
    if is_secret(name):
        return REDACTED
    text = json.dumps(redact(value), ensure_ascii=False, default=str)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def _problem(file: str, root: Schema, error: ErrorDetails) -> Problem:
    location, kind = error["loc"], error["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        key, parent = _walk(root, location[:-1])
        return Problem(file, _join(key, str(location[-1])), _unknown(str(location[-1]), parent, root))
    key, schema = _walk(root, location)
    name = key.rpartition(".")[2]
    context = error.get("ctx", {})
    match kind:
        case "missing":
            return Problem(file, key, f": missing; expected {describe(schema)}")
        case "union_tag_not_found":
            return Problem(file, f"{key}.kind", f": missing; expected one of {_quoted(tags(schema))}")
        case "union_tag_invalid":
            tag = str(context["tag"])
            expected = f"expected one of {_quoted(tags(schema))}"
            return Problem(file, f"{key}.kind", f" = {shown(tag)}: {expected}{suggestion(tag, tags(schema))}")
        case "value_error" if isinstance(error["input"], dict):
            return Problem(file, key, f": {context['error']}")
        case "value_error":
            return Problem(file, key, f" = {shown(error['input'], name)}: {context['error']}")
    value = error["input"]
    near = suggestion(value, choices(schema)) if isinstance(value, str) else ""
    return Problem(file, key, f" = {shown(value, name)}: expected {describe(schema)}{near}")


def _walk(schema: Schema, location: Sequence[str | int]) -> tuple[str, Schema]:
    """Key as a person writes it, and the schema that stands there."""
    key = ""
    for part in location:
        below, is_written = step(schema, part)
        if below is None:
            break
        schema = below
        if is_written:
            key = f"{key}[{part}]" if isinstance(part, int) else _join(key, part)
    return key, schema


def _unknown(name: str, parent: Schema, root: Schema) -> str:
    known = table(parent).get("properties", {})
    near = suggestion(name, known)
    if near:
        return f": unknown key{near}"
    if is_secret(name):
        return ": unknown key; a configuration never holds a secret: use a credential or the environment"
    elsewhere = [section for section, below in root.get("properties", {}).items() if name in _keys(below)]
    if elsewhere:
        return f": unknown key here; it belongs in [{elsewhere[0]}]"
    return f": unknown key; known here: {', '.join(known)}" if known else ": unknown key"


def _keys(schema: Schema) -> Iterable[str]:
    return list(table(schema).get("properties", {}))


def _join(key: str, part: str) -> str:
    return f"{key}.{part}" if key else part


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def flat(key: str, value: Any) -> Iterator[str]:
    """Lines such as ``host.venue.name = "BINANCE"``, easy to search and to compare."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from flat(f"{key}.{name}" if key else name, below)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for at, below in enumerate(value):
            yield from flat(f"{key}[{at}]", below)
    else:
        yield f"{key} = {shown(value, longest=None)}"
