"""A TOML file as a document of plain values: read, validated, hashed.

Flow: TOML → **document** → frozen models → `loading`.
"""

import hashlib
import json
import os
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bot.config.problems import Problem, problems_of, suggestion

type Document = dict[str, Any]


def read_document(path: Path) -> tuple[Document | None, list[Problem]]:
    """Read a TOML file; None with a problem where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except tomllib.TOMLDecodeError as error:
        text = str(error).replace("Cannot overwrite a value", "a key is given twice")
        return None, [Problem(str(path), "", f"not valid TOML: {text}")]
    except UnicodeDecodeError as error:
        return None, [
            Problem(str(path), "", f"not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}")
        ]
    except FileNotFoundError:
        return None, [Problem(str(path), "", f"no such file{near_file(path)}")]
    except OSError as error:
        return None, [Problem(str(path), "", f"cannot be read: {error.strerror}")]


def validate[M: BaseModel](
    path: Path, document: Document | None, model: type[M]
) -> tuple[M | None, list[Problem]]:
    """Turn a document into its model; None with all problems where it does not fit."""
    if document is None:
        return None, []
    try:
        # From JSON rather than from Python's values: strict, yet a list may be a tuple and a text an enum.
        return model.model_validate_json(canonical_json(document)), []
    except ValidationError as error:
        return None, problems_of(str(path), model, error)


def canonical_json(document: object) -> bytes:
    """The one way to write a document: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_time_text
    ).encode()


def document_sha256(document: Document) -> str:
    """Hash of a document, whatever the order of its keys."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def beside(file: Path, name: str) -> Path:
    """The file that another one names, relative to it."""
    return Path(os.path.normpath(file.parent / name))


def near_file(path: Path, folder: str = "") -> str:
    """A hint at a file of nearly this name, where there is one."""
    try:
        return suggestion(
            f"{folder}{path.name}", [f"{folder}{one.name}" for one in path.parent.glob("*.toml")]
        )
    except OSError:
        return ""


def _time_text(value: object) -> str:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a configuration")
