"""``argonaut run``: the daemon itself, in the foreground."""

import asyncio
import contextlib
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    HostCatalogOption,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
)
from bot.config import HostConfig, HostKind, LogsConfig, load_host
from bot.exit_codes import ExitCode
from bot.interrupts import Interrupts
from bot.program import PROGRAM
from ops.log_files import LogFiles
from strategies.errors import ConfigError

_MOST_LEAVING_SECS = 20.0
"""How long the end may wait until what the session left is written down."""


def run(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Host file, for example configs/paper.toml.")
    ],
    catalog: HostCatalogOption = None,
    start: Annotated[str | None, typer.Option("--start", help="ISO date or time, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="ISO date or time, UTC.")] = None,
    speed: Annotated[str | None, typer.Option("--speed", help='Replay speed, a number or "max".')] = None,
    adopt_state: Annotated[
        bool,
        typer.Option(
            "--adopt-state", help="Take over state of another machine or venue that nothing else uses."
        ),
    ] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Run the daemon in the foreground until it is stopped (Ctrl-C, SIGTERM or `argonaut stop`).

    Examples:
      argonaut run configs/paper.toml

      argonaut run configs/paper.toml --speed max --start 2024-01-01 --end 2024-01-08

    Exit codes: 0 stopped in order; 1 a strategy halted on a fault, or was not flat in time; 65 bars are
    missing; 72 the engine failed; 74 the disk refused; 75 the feed gave up; 78 bad configuration, a state
    directory in use, or live not armed.
    """
    # Its default is the end of the process: it waits until there is somebody to answer it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    overrides: dict[str, Any] = {"data.start": start, "data.end": end}
    overrides["data.catalog"] = None if catalog is None else str(catalog.resolve())
    if speed is not None:
        overrides["replay.speed"] = speed if speed == "max" else _number(speed)

    def say(line: str) -> None:
        # Whoever read our output may be gone; that is no reason to stop trading in order.
        with contextlib.suppress(OSError, ValueError):
            (note if as_json else emit_text)(line)
            sys.stdout.flush()

    with Interrupts().remembered() as interrupts:
        host = load_daemon_host(config, {key: value for key, value in overrides.items() if value is not None})
        from bot.daemon import Daemon
        from bot.embedded_data import ensure_catalog

        try:
            ensure_catalog(host, say)
        finally:
            interrupts.check()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _log_to(state_dir / "logs", host.settings.logs)
    where = f" --state-dir {state_dir}" if state_dir != DEFAULT_STATE_DIR else ""
    say(f"starting {config}; records, logs and the control socket lie in {state_dir}/")
    say(f"watch it from another shell: argonaut status{where} | positions | orders | stop (or Ctrl-C here)")
    code = asyncio.run(Daemon(host, state_dir, say, adopt_state=adopt_state).run())
    if host.settings.daemon.session_files:
        _leave_session(state_dir, say)
    if as_json:
        emit_json({"exit_code": int(code)})
    return code


def _leave_session(state_dir: Path, say: Callable[[str], None]) -> None:
    """Write the session down for people; the daemon has ended, and nothing that fails here changes how.

    It takes a process of its own: what matches trades is no part of a daemon.
    """
    command = [*PROGRAM, "session", "--state-dir", str(state_dir)]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=False, timeout=_MOST_LEAVING_SECS
        )
        found = (done.stdout if done.returncode == 0 else done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        done, found = None, str(error)
    if done is not None and done.returncode == 0:
        say(f"what it left: {found}")
    else:
        say(f"what it left was not written down: {found}; argonaut session tries again")


def load_daemon_host(config: Path, overrides: dict[str, Any]) -> HostConfig:
    """Read the host file of a daemon; what may not run as one goes no further.

    Raises:
        ConfigError: If it is wrong, is of a backtest, or would trade live and is not armed.
    """
    host = load_host(config, overrides)
    if host.settings.kind is HostKind.BACKTEST:
        raise ConfigError(f"{config}: kind is backtest; use `argonaut backtest {config}`")
    if host.settings.kind is HostKind.LIVE:
        from bot.live import refuse_live

        refuse_live(host)
    return host


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f'--speed {text}: expected a number above 0 or "max"') from None


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime", "taskName"}
        entry |= {key: value for key, value in record.__dict__.items() if key not in known}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _log_to(directory: Path, config: LogsConfig) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    handler = LogFiles(
        directory / "argonaut.jsonl",
        file_bytes=int(config.file_mib * 2**20),
        files_kept=config.files_kept,
    )
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
