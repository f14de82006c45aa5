"""``argonaut install-service``: the daemon as a systemd service of this installation, and retraining."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text, note
from bot.config import HostKind, load_host
from bot.exit_codes import ExitCode
from bot.service_unit import (
    RETRAIN_TIMER,
    UNIT,
    Installation,
    render_retrain,
    render_unit,
    unreachable,
    user_unit_dir,
)
from strategies.errors import ConfigError

_CONFIG = Path("/etc/argonaut/host.toml")


def install_service(
    config: Annotated[Path, typer.Option("--config", help="Host file that the service runs.")] = _CONFIG,
    prefix: Annotated[
        Path, typer.Option("--prefix", help="Write below this folder, as for an image; system units only.")
    ] = Path("/"),
    user: Annotated[
        bool, typer.Option("--user", help="A service of this user, without root; less sandboxed.")
    ] = False,
    credential: Annotated[
        list[str] | None,
        typer.Option("--credential", metavar="NAME:FILE", help="A secret that only the service may read."),
    ] = None,
    network: Annotated[
        bool,
        typer.Option("--network", help="It may reach other machines; a credential `alerts` implies it."),
    ] = False,
    train: Annotated[
        Path | None,
        typer.Option("--train", metavar="FILE", help="Also a service and a timer that train it every night."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the unit and write nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a unit that differs, whatever else was found wrong.")
    ] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Write the systemd unit of this installation, and say what to run next.

    The service keeps its state in /var/lib/argonaut, or, with --user, where systemd puts a user's state;
    pass that as --state-dir to the other commands.

    Examples:
      argonaut install-service --config /etc/argonaut/host.toml --dry-run

      argonaut install-service --credential alerts:/etc/argonaut/alerts.urls

      sudo /opt/argonaut/.venv/bin/argonaut install-service --config /etc/argonaut/host.toml

      argonaut install-service --train /etc/argonaut/training.toml --dry-run

    Exit codes: 0 written, or there already; 1 a dry run found what would keep the service from working;
    74 the disk refused; 78 the host file is wrong, the service could not read something, or another unit is
    there.
    """
    config = config.absolute()
    host = load_host(config)
    if host.settings.kind is HostKind.BACKTEST:
        raise ConfigError(f"{config}: kind is backtest, and only a daemon is a service")
    program = Path(sys.executable).parent / "argonaut"
    given = [_credential(one) for one in credential or ()]
    needed = [program, Path(sys.executable), config, *(loaded.path for loaded in host.strategies)]
    needed += [] if train is None else [train.absolute()]
    problems = [f"{path}: expected it to be there, found nothing" for path in needed if not path.exists()]
    if not (user or problems):
        problems = unreachable([*needed, *([host.catalog_path] if host.catalog_path.exists() else [])])
    if train is not None and find_spec("torch") is None:
        problems.append("training needs more than trading does: make learn")
    try:
        is_online = network or host.settings.kind is HostKind.LIVE or "alerts" in dict(given)
        installation = Installation(program, config, Path(sys.prefix).parent, given, is_online)
        units = {UNIT: render_unit(installation, user=user)}
        units |= {} if train is None else render_retrain(installation, train.absolute(), user=user)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder = user_unit_dir(os.environ) if user else prefix / "etc" / "systemd" / "system"
    if not dry_run:
        _refuse(folder, units, problems, force=force)
        for name, text in units.items():
            _write(folder / name, text)
    _tell(folder, units, problems, user=user, dry_run=dry_run, as_json=as_json)
    return ExitCode.FINDINGS if problems and dry_run else ExitCode.OK


def _credential(given: str) -> tuple[str, Path]:
    name, _, path = given.partition(":")
    if not name.replace(".", "").replace("-", "").replace("_", "").isalnum() or not path.startswith("/"):
        raise typer.BadParameter(f"expected NAME:/absolute/file, found {given}", param_hint="--credential")
    return name, Path(path)


def _refuse(folder: Path, units: Mapping[str, str], problems: list[str], *, force: bool) -> None:
    if force:
        return
    if problems:
        raise ConfigError(
            "\n".join(problems) + "\ninstall below /opt, say, or use --user; --force writes the unit anyway"
        )
    for name, text in units.items():
        path = folder / name
        if path.exists() and path.read_text() != text:
            raise ConfigError(
                f"{path}: expected no unit or the same, found another; compare it with --dry-run, "
                "then replace it with --force"
            )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.replace(path)


def _tell(
    folder: Path, units: Mapping[str, str], problems: list[str], *, user: bool, dry_run: bool, as_json: bool
) -> None:
    manager = "systemctl --user" if user else "sudo systemctl"
    enabled = [UNIT.removesuffix(".service"), *(name for name in units if name == RETRAIN_TIMER)]
    following = [f"{manager} daemon-reload", f"{manager} enable --now {' '.join(enabled)}"]
    document: dict[str, Any] = {"path": str(folder / UNIT), "is_written": not dry_run, "unit": units[UNIT]}
    document["units"] = {str(folder / name): text for name, text in units.items()}
    if as_json:
        emit_json(document | {"problems": problems, "next": following})
        return
    for problem in problems:
        note(f"argonaut: {problem}")
    if dry_run:
        emit_text("\n".join(f"# would be written to {folder / name}\n{text}" for name, text in units.items()))
    else:
        written = ", ".join(str(folder / name) for name in units)
        emit_text(f"{written}: written; now run:\n  " + "\n  ".join(following))
