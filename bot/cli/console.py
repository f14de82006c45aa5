"""What every command shares: its two options, and who reads which stream.

With ``--json`` standard output carries one JSON document and nothing else. Without it, standard output
carries the result as text. Notes and progress always go to standard error.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

StateDirOption = Annotated[
    Path,
    typer.Option(
        "--state-dir", envvar="ARGONAUT_STATE_DIR", help="Where runs and the daemon keep their state."
    ),
]

DEFAULT_STATE_DIR = Path("var")


def note(text: str) -> None:
    """Tell a person something that is not the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing happens


def emit_text(text: str) -> None:
    """Print the result for a person."""
    print(text)  # noqa: T201 - this is where printing happens


def emit_json(document: Any) -> None:
    """Print the result as the one JSON document of this command.

    Raises:
        ValueError: If the document holds NaN or infinity, which are not JSON.
    """
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201 - see above
