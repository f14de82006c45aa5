"""Writing a configuration down so that it can be read again: TOML, of which Python's library only reads."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(document: Mapping[str, Any]) -> str:
    """Write a document of plain JSON values as TOML; what is None is left out, for TOML has no such value.

    Args:
        document: Numbers are finite.
    """
    return "\n".join(_lines((), document)).lstrip("\n") + "\n"


def _lines(place: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    below = {name: value for name, value in table.items() if _is_table(value) or _is_tables(value)}
    for name, value in table.items():
        if value is not None and name not in below:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in below.items():
        own = (*place, name)
        path = ".".join(map(_key, own))
        for one in [value] if _is_table(value) else value:
            yield from ("", f"[{path}]" if _is_table(value) else f"[[{path}]]")
            yield from _lines(own, one)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(name)} = {_value(one)}' for name, one in value.items())} }}"
    # A JSON text is a TOML text, but that TOML wants DEL escaped, too.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
