"""``argonaut models``: which trained models there are, and which of them is to trade."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    print_table,
)
from bot.config.problems import flat
from bot.exit_codes import ExitCode
from ops.model_store import Entry, ModelStore, contents_of
from strategies.bundle import Bundle, open_bundle

app = typer.Typer(no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="Name of the strategy that it was trained for.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="First digits of its id, or active, latest, previous.")]


@app.command("list")
def list_models(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """List all models.

    Exit codes: 0 done; 1 one is damaged.
    """
    entries = ModelStore(state_dir).entries()
    if as_json:
        emit_json({"models": [entry.as_json() for entry in entries]})
    elif not entries:
        emit_text("no models yet: `argonaut train` makes one, `argonaut models import` takes one over")
    else:
        _print(entries)
    for entry in entries:
        if entry.problem:
            note(entry.problem)
    return ExitCode.FINDINGS if any(entry.problem for entry in entries) else ExitCode.OK


@app.command()
def show(
    name: Name, bundle_id: Id, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Show how a model was trained, on what, and how well it did.

    Example:
      argonaut models show ppo_hmm_demo latest

    Exit codes: 0 done; 78 there is no such model, or it is damaged.
    """
    bundle = ModelStore(state_dir).find(name, bundle_id)
    document = contents_of(bundle)
    if as_json:
        emit_json(document)
    else:
        emit_text("\n".join(flat("", document)))
    return ExitCode.OK


@app.command("import")
def import_model(
    source: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="A bundle.")],
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Copy a bundle into the store, once every byte of it was checked.

    Exit codes: 0 done; 74 the disk refused; 78 it is no bundle, or damaged.
    """
    return _answer("imported", ModelStore(state_dir).add(open_bundle(source)), as_json=as_json)


@app.command()
def promote(
    name: Name, bundle_id: Id, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Make a model the one that `models/STRATEGY/active` leads to; a daemon takes it when it starts.

    Example:
      argonaut models promote ppo_hmm_demo latest

    Exit codes: 0 done; 78 there is no such model, or it is damaged; nothing has changed then.
    """
    return _answer("active", ModelStore(state_dir).promote(name, bundle_id), as_json=as_json)


@app.command()
def rollback(
    name: Name, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Go back to the model that was active before.

    Exit codes: 0 done; 78 there is none, or it is damaged; nothing has changed then.
    """
    return _answer("active", ModelStore(state_dir).rollback(name), as_json=as_json)


def _answer(what: str, bundle: Bundle, *, as_json: bool) -> ExitCode:
    if as_json:
        emit_json({"name": bundle.name, "bundle_id": bundle.bundle_id, "path": str(bundle.path)})
    else:
        emit_text(f"{what}: {bundle.name} {bundle.bundle_id[:12]} ({bundle.path})")
    return ExitCode.OK


def _print(entries: list[Entry]) -> None:
    table = Table(title="Figures of bars that were never seen, in the training environment, net of costs")
    for heading in ("strategy", "id", "is", "return", "max drawdown", "Sharpe"):
        table.add_column(heading, justify="left" if heading in ("strategy", "id", "is") else "right")
    for entry in entries:
        judged = entry.as_json()["judged"] or {}
        state = "damaged" if entry.problem else ", ".join(entry.pointers)
        shown = [
            "–" if judged.get(name) is None else f"{judged[name]:{form}}"
            for name, form in (("total_return_frac", ".2%"), ("max_drawdown_frac", ".2%"), ("sharpe", ".2f"))
        ]
        table.add_row(entry.name, entry.path.name, state, *shown)
    print_table(table)
