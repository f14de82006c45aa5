"""``argonaut api``: what the HTTP interface takes and answers."""

import json
from typing import Any, cast

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_text
from bot.exit_codes import ExitCode

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, though of one."""


@app.command()
def schema(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Print the OpenAPI description (docs/openapi.json), JSON either way.

    Examples:
      argonaut api schema > docs/openapi.json

    Exit codes: 0 done.
    """
    emit_text(schema_text())
    return ExitCode.OK


def schema_text() -> str:
    """The description of all routes that a port with tokens has."""
    from ops.api.app import make_app
    from ops.api.runs import RunRoutes

    nothing = cast(Any, None)  # routes are described, not asked
    described = make_app(
        nothing, probe=nothing, jobs=nothing, models=nothing, runs=RunRoutes(nothing, nothing)
    ).openapi()
    return json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False)
