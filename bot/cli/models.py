"""``argonaut models``: which trained models there are, and which of them is to trade."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from bot.cli.ask import operator_name, post
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    ReasonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    print_table,
    refuse,
)
from bot.config.host import to_ns
from bot.config.loading import load_strategy
from bot.config.problems import flat
from bot.exit_codes import ExitCode
from bot.learning.extra import require_trainer
from ops.model_store import Entry, ModelStore, contents_of
from ops.refusals import RefusedError
from strategies.bundle import Bundle, open_bundle
from strategies.errors import ConfigError

app = typer.Typer(no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="Name of the strategy that it was trained for.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="First digits of its id, or active, latest, previous.")]


@app.command("list")
def list_models(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """List all models.

    Examples:
      argonaut models list

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

    Examples:
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
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Directory of a bundle, or a .zip of stable-baselines3.")
    ],
    strategy: Annotated[
        Path | None,
        typer.Option("--strategy", help="Strategy file that the .zip was trained for.", show_default=False),
    ] = None,
    regime: Annotated[
        Path | None,
        typer.Option(
            "--regime", help="Parameters (.npz) of the strategy's regime model.", show_default=False
        ),
    ] = None,
    learned_until: Annotated[
        str | None,
        typer.Option(
            "--learned-until",
            help="ISO date or time, UTC: the last bar that the .zip has seen; evaluate begins after it.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Take over a bundle, or a PPO policy that stable-baselines3 saved.

    Of a bundle every byte is checked. The pickles in a .zip run in a process that can open no file and no
    connection, and what comes out is taken only if it answers as the original does. Its observations are
    ours: window, portfolio and beliefs, as parts with these names or one after the other.

    Examples:
      argonaut models import var/trainings/RUN/bundle

      argonaut models import ppo.zip --strategy mine.toml --regime regime.npz --learned-until 2023-01-01

    Exit codes: 0 done; 74 the disk refused; 78 it is neither, it is damaged, does not fit the strategy, or
    cannot be read safely here. Nothing is in the store then.
    """
    store = ModelStore(state_dir)
    if source.is_dir() and any((strategy, regime, learned_until)):
        raise ConfigError(
            f"{source}: a bundle says by itself what it was trained for; leave --strategy, --regime and "
            "--learned-until out"
        )
    if source.is_file() and strategy is None:
        raise ConfigError(
            f"{source}: expected the directory of a bundle; for a .zip of stable-baselines3 name the "
            "strategy that it was trained for with --strategy"
        )
    if strategy is None or source.is_dir():
        return _answer("imported", store.add(open_bundle(source)), as_json=as_json)
    require_trainer()
    from bot.learning.importing import import_archive

    config = load_strategy(strategy).config
    bundle = import_archive(
        source,
        config,
        store.directory(config.name),
        regime_path=regime,
        learned_until_ns=None if learned_until is None else _moment_ns(learned_until),
    )
    return _answer("imported", bundle, as_json=as_json)


def _moment_ns(text: str) -> int:
    try:
        return to_ns(text)
    except ValueError as error:
        raise typer.BadParameter(f'--learned-until "{text}": {error}') from error


@app.command()
def promote(
    name: Name,
    bundle_id: Id,
    reason: ReasonOption = "argonaut models promote",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make a model the one that `models/STRATEGY/active` leads to; a daemon takes it when it starts.

    A daemon that runs records who did it and why, before it is done.

    Examples:
      argonaut models promote ppo_hmm_demo latest --reason "won the walk-forward"

    Exit codes: 0 done; 1 the daemon refuses; 78 there is no such model, or it is damaged. Nothing has changed
    then.
    """
    asked = {"name": name, "bundle_id": bundle_id}
    return _decide("promote", asked, reason, lambda store: store.promote(name, bundle_id), as_json, state_dir)


@app.command()
def rollback(
    name: Name,
    away_from: Annotated[
        str, typer.Argument(metavar="ID", help="First digits of the model that is to trade no more.")
    ],
    reason: ReasonOption = "argonaut models rollback",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Go back from a model to the one that was active before it; asked twice, it stays there.

    A daemon that runs records who did it and why, before it is done.

    Examples:
      argonaut models rollback ppo_hmm_demo d5ed0eb0 --reason "loses on every spike"

    Exit codes: 0 done; 1 the daemon refuses; 78 there is none to go back to, another is active, or it is
    damaged. Nothing has changed then.
    """
    asked = {"name": name, "away_from": away_from}

    def back(store: ModelStore) -> Bundle:
        return store.rollback(name, away_from=away_from)

    return _decide("rollback", asked, reason, back, as_json, state_dir)


def _decide(
    what: str,
    asked: dict[str, Any],
    reason: str,
    alone: Callable[[ModelStore], Bundle],
    as_json: bool,
    state_dir: Path,
) -> ExitCode:
    """Have the daemon decide on a model, which records it; do it here where none runs."""
    try:
        body = asked | {"reason": reason, "who": operator_name()}
        answer = post(state_dir, f"/v1/models/{what}", body)
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if answer is None:
        return _answer("active", alone(ModelStore(state_dir)), as_json=as_json)
    name, bundle_id, path = (answer[key] for key in ("name", "bundle_id", "path"))
    emit_json(answer) if as_json else emit_text(
        f"active: {name} {bundle_id[:12]} ({path})\n{answer['effect']}"
    )
    return ExitCode.OK


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
