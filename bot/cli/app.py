"""The console script: finds the command, runs it, and turns every ending into an exit code.

Only the module of the command that is called is imported, so that ``argonaut --help`` answers at once and
``argonaut status`` loads no engine.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer
from typer.exceptions import TyperException

from bot.cli.console import emit_json, emit_text, note
from bot.exit_codes import ExitCode, ending_of


class Command(NamedTuple):
    """Where a command is, and what it is for."""

    target: str
    """Module and attribute: a `typer.Typer` for a group of commands, a function for a single one."""
    help: str

    def load(self) -> Any:
        """Import the command."""
        module, attribute = self.target.split(":")
        return getattr(importlib.import_module(module), attribute)


COMMANDS = {
    "api": Command("bot.cli.api:app", "Describe the HTTP interface."),
    "audit": Command("bot.cli.audit:app", "Check, prove and show what the daemon recorded."),
    "backtest": Command("bot.cli.backtest:backtest", "Run strategies over the catalog and write a report."),
    "backup": Command("bot.cli.backup:backup", "Copy the daemon's state, also while it runs."),
    "cleanup": Command(
        "bot.cli.cleanup:cleanup", "Delete old backtests, reports and logs; says which first."
    ),
    "compare": Command("bot.cli.compare:compare", "Put backtests, or a session and one, beside each other."),
    "config": Command("bot.cli.config:app", "Check, show and explain configuration files."),
    "dashboard": Command("bot.cli.dashboard:dashboard", "Say where the page for browsers is, and open it."),
    "data": Command("bot.cli.data:app", "Import, list, verify and generate market data."),
    "decisions": Command("bot.cli.records:decisions", "Show what was decided."),
    "doctor": Command("bot.cli.doctor:doctor", "What is the matter, and what to do?"),
    "drill": Command("bot.cli.drill:app", "Rehearse what must work when it is needed."),
    "evaluate": Command("bot.cli.evaluate:evaluate", "Backtest a model on bars that it did not learn from."),
    "fills": Command("bot.cli.records:fills", "Show executions."),
    "flatten": Command("bot.cli.control:flatten", "Close all positions, and halt."),
    "install-service": Command("bot.cli.service:install_service", "Write the systemd unit."),
    "jobs": Command("bot.cli.jobs:app", "List, run and cancel what is done beside trading."),
    "kill": Command("bot.cli.control:kill", "Stop trading now, until it is resumed."),
    "leak-check": Command("bot.cli.leak_check:leak_check", "Look for knowledge of the future in a strategy."),
    "limits": Command("bot.cli.standing:limits", "Show limits beside what is used of them."),
    "logs": Command("bot.cli.logs:logs", "Show what the daemon has logged."),
    "models": Command("bot.cli.models:app", "List, show, import, promote and roll back trained models."),
    "notify": Command("bot.cli.notify:notify", "Send a message to every alert channel."),
    "orders": Command("bot.cli.records:orders", "Show orders as they stand."),
    "pause": Command("bot.cli.control:pause", "Let a strategy add no risk."),
    "pnl": Command("bot.cli.records:pnl", "Show profit by day."),
    "positions": Command("bot.cli.daemon:positions", "Show what each strategy holds."),
    "preflight": Command("bot.cli.preflight:preflight", "Could a daemon start here, and trade?"),
    "quickcheck": Command("bot.cli.quickcheck:quickcheck", "Does the whole of it work on this machine?"),
    "reconcile": Command("bot.cli.reconcile:reconcile", "Compare our books with the venue's."),
    "regimes": Command("bot.cli.records:regimes", "Show stays in regime states."),
    "replay": Command("bot.cli.replay:replay", "Decide a recorded session again, and compare."),
    "report": Command("bot.cli.report:report", "List backtests, or show the figures of one."),
    "restore": Command("bot.cli.backup:restore", "Make a state directory of a backup."),
    "resume": Command("bot.cli.control:resume", "Lift what a kill or a limit imposed."),
    "run": Command("bot.cli.run:run", "Run the daemon."),
    "runs": Command("bot.cli.runs:app", "List, show, cancel and delete what was asked for over HTTP."),
    "session": Command("bot.cli.session:session", "Write down what a session left, for people."),
    "status": Command("bot.cli.daemon:status", "Say what the daemon is doing."),
    "stop": Command("bot.cli.daemon:stop", "Stop the daemon in order."),
    "strategies": Command("bot.cli.standing:strategies", "Show what trades, and how it stands."),
    "token": Command("bot.cli.token:app", "Make, list and revoke tokens of the HTTP interface."),
    "trades": Command("bot.cli.records:trades", "Show round trips and what they earned."),
    "train": Command("bot.cli.train:train", "Train a model and pack it into a bundle."),
    "unpause": Command("bot.cli.control:unpause", "End a pause."),
    "version": Command("bot.cli.version:version", "Say what exactly is installed here."),
    "walk-forward": Command("bot.cli.walk_forward:walk_forward", "Train and test, fold after fold."),
}

GROUPS = {
    "Run": ("run", "status", "stop", "session", "logs", "doctor", "preflight"),
    "Look": (
        "positions",
        "orders",
        "fills",
        "trades",
        "pnl",
        "decisions",
        "regimes",
        "strategies",
        "limits",
    ),
    "Stop and let go on": ("kill", "pause", "unpause", "flatten", "resume", "reconcile"),
    "Data and research": ("data", "backtest", "report", "compare", "replay", "leak-check", "config"),
    "Learn": ("train", "evaluate", "walk-forward", "models", "runs"),
    "Keep it well": ("jobs", "backup", "restore", "cleanup", "drill", "notify", "audit"),
    "Install": ("install-service", "token", "quickcheck", "version"),
}
"""How the help shows them; one in no group is shown last."""

_MORE = "More"
_EXAMPLES = """\
Examples:

  argonaut run configs/paper.toml

  argonaut status --json

  argonaut kill --reason "why"

Every command explains itself, with its exit codes: argonaut COMMAND --help. State lies in var/, or where
--state-dir or ARGONAUT_STATE_DIR says."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: Command line without the program's name; None takes that of the process.

    Returns:
        The exit code; see `bot.exit_codes`.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        command = typer.main.get_command(_app(called=_command_of(args)))
        result = command(args, prog_name="argonaut", standalone_mode=False)
        if result == ExitCode.INTERRUPTED:  # how typer says KeyboardInterrupt
            return _end(args, "Interrupted", "interrupted", ExitCode.INTERRUPTED)
        return int(result) if isinstance(result, int) else ExitCode.OK
    except TyperException as error:
        return _refuse_usage(error, args)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        if os.environ.get("ARGONAUT_DEBUG"):
            raise
        code, message = ending_of(error)
        return _end(args, type(error).__name__, message, code)


def _app(called: str | None) -> typer.Typer:
    app = typer.Typer(
        name="argonaut",
        help="A live trading bot on NautilusTrader.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name, group in _in_order():
        command, is_called = COMMANDS[name], name == called
        target = command.load() if is_called else _not_called
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=command.help, rich_help_panel=group)
        else:
            # Its own docstring has examples and exit codes.
            text = None if is_called else command.help
            app.command(name, help=text, short_help=command.help, rich_help_panel=group)(target)
    return app


def _in_order() -> list[tuple[str, str]]:
    """Names of commands and their groups, as the help shows them."""
    grouped = [(name, group) for group, names in GROUPS.items() for name in names]
    known = {name for name, _ in grouped}
    return grouped + [(name, _MORE) for name in COMMANDS if name not in known]


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda given: _print_version(given=given))
    ] = False,
) -> None:
    """Options that stand before the command."""


def _print_version(*, given: bool) -> None:
    if given:
        emit_text(f"argonaut {version('argonaut')}")
        raise typer.Exit


def _not_called() -> None:
    raise AssertionError("only listed, never called")


def _command_of(args: Sequence[str]) -> str | None:
    if "_ARGONAUT_COMPLETE" in os.environ:  # a shell asks how its line could go on
        args = os.environ.get("_TYPER_COMPLETE_ARGS", os.environ.get("COMP_WORDS", "")).split()[1:]
    return next((arg for arg in args if not arg.startswith("-")), None)


def _refuse_usage(error: TyperException, args: Sequence[str]) -> int:
    if "--json" in args:
        return _end(args, "UsageError", error.format_message(), ExitCode.USAGE)
    show: Callable[[], None] = getattr(error, "show", lambda: note(f"argonaut: {error.format_message()}"))
    show()
    return ExitCode.USAGE


def _end(args: Sequence[str], kind: str, message: str, code: ExitCode) -> int:
    note("\n".join(f"argonaut: {line}" for line in message.splitlines()))
    if "--json" in args:
        emit_json({"error": {"kind": kind, "message": message, "exit_code": int(code)}})
    return code


if __name__ == "__main__":
    sys.exit(main())
