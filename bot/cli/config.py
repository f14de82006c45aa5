"""``argonaut config``: is this configuration good, what does it amount to, and what could it say?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text, note
from bot.config.host import HostSettings
from bot.config.loading import is_host, is_training, load_host, load_strategy
from bot.config.problems import flat, redact
from bot.config.reference import reference_toml
from bot.exit_codes import ExitCode
from bot.learning.extra import require_trainer
from strategies.config import StrategyConfig
from strategies.errors import ConfigError

app = typer.Typer(no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Host, strategy or training files.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A host, strategy or training file.")]


@app.command()
def check(
    files: Files, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Say all that is wrong with the files.

    Examples:
      argonaut config check configs/paper.toml configs/training.toml

    Exit codes: 0 they are good; 78 one is not.
    """
    reports = [_report(path) for path in files]
    is_good = not any(report["problems"] for report in reports)
    for report in reports:
        if report["problems"]:
            note("\n".join(report["problems"]))
        elif not as_json:
            emit_text(f"{report['path']}: good, sha256 {report['sha256']}")
    if as_json:
        emit_json({"good": is_good, "files": reports})
    return ExitCode.OK if is_good else ExitCode.CONFIG


@app.command()
def show(file: File, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Show every value in force, defaults included, and the hash that pins the run.

    Examples:
      argonaut config show configs/paper.toml --json

    Exit codes: 0 done; 78 the file is not good.
    """
    document, sha256 = _load(file)
    document = redact(document)
    if as_json:
        emit_json({"path": str(file), "sha256": sha256, **document})
    else:
        emit_text("\n".join([f"# {file}, sha256 {sha256}", *flat("", document)]))
    return ExitCode.OK


@app.command()
def schema(
    training: Annotated[
        bool, typer.Option("--training", help="Of training files (configs/training_reference.toml).")
    ] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Print every setting with its meaning and default (configs/reference.toml), or as JSON Schema.

    Examples:
      argonaut config schema

      argonaut config schema --training --json

    Exit codes: 0 done; 78 what learns is not installed.
    """
    if training:
        require_trainer()
        from bot.learning.training import training_reference, training_schema

        if as_json:
            emit_json({"training": training_schema()})
        else:
            emit_text(training_reference().rstrip("\n"))
    elif as_json:
        emit_json({"host": HostSettings.model_json_schema(), "strategy": StrategyConfig.model_json_schema()})
    else:
        emit_text(reference_toml().rstrip("\n"))
    return ExitCode.OK


def _load(path: Path) -> tuple[dict[str, Any], str]:
    if is_host(path):
        host = load_host(path)
        return host.document(), host.sha256
    if is_training(path):
        require_trainer()
        from bot.learning.training import load_training

        loaded = load_training(path)
        return {"training": loaded.config.model_dump(mode="json")}, loaded.sha256
    strategy = load_strategy(path)
    return {"strategy": strategy.config.model_dump(mode="json")}, strategy.sha256


def _report(path: Path) -> dict[str, Any]:
    try:
        _, sha256 = _load(path)
    except ConfigError as error:
        return {"path": str(path), "sha256": None, "problems": str(error).splitlines()}
    return {"path": str(path), "sha256": sha256, "problems": []}
