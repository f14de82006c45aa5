"""``argonaut install-service``: the daemon as a systemd service of this installation."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text, note
from bot.config import HostKind, load_host
from bot.exit_codes import ExitCode
from bot.service_unit import UNIT, Installation, render_unit, unreachable, user_unit_dir
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
    problems = [f"{path}: expected it to be there, found nothing" for path in needed if not path.exists()]
    if not (user or problems):
        problems = unreachable([*needed, *([host.catalog_path] if host.catalog_path.exists() else [])])
    try:
        is_online = network or host.settings.kind is HostKind.LIVE or "alerts" in dict(given)
        installation = Installation(program, config, Path(sys.prefix).parent, given, is_online)
        text = render_unit(installation, user=user)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder = user_unit_dir(os.environ) if user else prefix / "etc" / "systemd" / "system"
    path = folder / UNIT
    if not dry_run:
        _refuse(path, text, problems, force=force)
        _write(path, text)
    _tell(path, text, problems, user=user, dry_run=dry_run, as_json=as_json)
    return ExitCode.FINDINGS if problems and dry_run else ExitCode.OK


def _credential(given: str) -> tuple[str, Path]:
    name, _, path = given.partition(":")
    if not name.replace(".", "").replace("-", "").replace("_", "").isalnum() or not path.startswith("/"):
        raise typer.BadParameter(f"expected NAME:/absolute/file, found {given}", param_hint="--credential")
    return name, Path(path)


def _refuse(path: Path, text: str, problems: list[str], *, force: bool) -> None:
    if force:
        return
    if problems:
        raise ConfigError(
            "\n".join(problems) + "\ninstall below /opt, say, or use --user; --force writes the unit anyway"
        )
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


def _tell(path: Path, text: str, problems: list[str], *, user: bool, dry_run: bool, as_json: bool) -> None:
    manager = "systemctl --user" if user else "sudo systemctl"
    following = [f"{manager} daemon-reload", f"{manager} enable --now {UNIT.removesuffix('.service')}"]
    document: dict[str, Any] = {"path": str(path), "is_written": not dry_run, "unit": text}
    if as_json:
        emit_json(document | {"problems": problems, "next": following})
        return
    for problem in problems:
        note(f"argonaut: {problem}")
    if dry_run:
        emit_text(f"# would be written to {path}\n{text}")
    else:
        emit_text(f"{path} is written; now run:\n  " + "\n  ".join(following))
