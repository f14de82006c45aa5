"""``argonaut notify``: does a message arrive?"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode


def notify(
    config: Annotated[Path, typer.Argument(help="Host file whose alerts.hosts allow where messages go.")],
    message: Annotated[str, typer.Option("--message", help="What to say.")] = "argonaut notify: a test",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Send a message to every channel, once, and say what came of it.

    Examples:
      argonaut notify configs/paper.toml --message "is anybody there?"

    Exit codes: 0 every channel took it; 1 one did not; 78 the file of addresses cannot be used.
    """
    from bot.config import load_host
    from bot.operation.alerting import channels_of
    from ops.alerts import deliver
    from ops.alerts.channels import CREDENTIAL, FILE

    channels = channels_of(load_host(config), state_dir, os.environ)
    outcomes = asyncio.run(deliver(channels, "argonaut", message, retries_secs=()))
    if as_json:
        emit_json([one._asdict() for one in outcomes])
    elif not outcomes:
        emit_text(f"no channel: write addresses into {state_dir / FILE} or the credential {CREDENTIAL!r}")
    else:
        for one in outcomes:
            emit_text(f"{one.channel}: {'sent' if one.is_sent else f'NOT SENT, {one.error}'}")
    return ExitCode.OK if all(one.is_sent for one in outcomes) else ExitCode.FINDINGS
