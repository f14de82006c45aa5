"""``argonaut token``: who may ask the HTTP interface on its port, and what they may do."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    print_rows,
)
from bot.exit_codes import ExitCode
from ops.api.roles import Role
from ops.api.tokens import FILE, new_token, read_tokens, write_tokens
from ops.disk import LocalDisk
from strategies.errors import ConfigError

app = typer.Typer(no_args_is_help=True)

FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="File of the tokens; default: api-tokens.json in the state directory."),
]


@app.command()
def new(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    file: FileOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make a token and print it, once; only its hash is kept. Two of each role may be valid at a time.

    A viewer looks, an operator also restricts and resumes trading, an admin may do everything. A running
    daemon takes it at once; it needs `tokens = true` under [api] in its host file.

    Examples:
      argonaut token new operator

    Exit codes: 0 done; 64 there is no such role; 74 the file cannot be written; 78 two of the role are valid
    already, or the file is damaged or can be read by others.
    """
    try:
        given = Role.parse(role)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ROLE") from None
    path, disk = file or state_dir / FILE, LocalDisk()
    tokens = read_tokens(path)
    token, kept = new_token(tokens, given, datetime.now(UTC).isoformat(timespec="seconds"))
    disk.make_folder(path.parent)
    write_tokens(disk, path, [*tokens, kept])
    if as_json:
        emit_json({"id": kept.id, "role": kept.role.word, "token": token, "file": str(path)})
    else:
        emit_text(token)
        note(f"{kept.id}, of which {path} keeps the hash; this is the only time that it is shown")
    return ExitCode.OK


@app.command("list")
def list_(
    file: FileOption = None, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """List the tokens that are valid, by the names under which their requests are recorded.

    Examples:
      argonaut token list

    Exit codes: 0 done; 78 the file is damaged or can be read by others.
    """
    rows = [
        {"id": one.id, "role": one.role.word, "created": one.created}
        for one in read_tokens(file or state_dir / FILE)
    ]
    emit_json(rows) if as_json else print_rows(rows, ("id", "role", "created"), "no tokens")
    return ExitCode.OK


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `argonaut token list` shows it.")],
    file: FileOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make a token invalid; a running daemon refuses it from its next request on.

    Examples:
      argonaut token revoke ID

    Exit codes: 0 done; 74 the file cannot be written; 78 there is no such token, or the file is damaged.
    """
    path = file or state_dir / FILE
    tokens = read_tokens(path)
    left = [one for one in tokens if one.id != token_id]
    if len(left) == len(tokens):
        raise ConfigError(f"{path}: expected one of {[one.id for one in tokens]}, found no {token_id!r}")
    write_tokens(LocalDisk(), path, left)
    emit_json({"id": token_id, "revoked": True}) if as_json else emit_text(
        f"{token_id} is not valid any more"
    )
    return ExitCode.OK
