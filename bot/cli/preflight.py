"""``argonaut preflight``: could a daemon start here, and trade?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.checks.findings import exit_code
from bot.cli.ask import get
from bot.cli.console import DEFAULT_STATE_DIR, HostCatalogOption, JsonOption, StateDirOption, emit_json
from bot.cli.tables import print_findings
from bot.exit_codes import ExitCode

_HEX = frozenset("0123456789abcdef")


def preflight(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Host file, for example configs/paper.toml.")
    ],
    catalog: HostCatalogOption = None,
    pin: Annotated[
        str,
        typer.Option("--pin", metavar="SHA256", help="Hash that the configuration must have; 8 digits do."),
    ] = "",
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="STRATEGY=SHA256", help="Policy that must be loaded; repeatable."),
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Look at all that a start needs, and change nothing: also while a daemon runs.

    The hash of --pin covers all that decides what is traded, and how; not the sections [api], [alerts],
    [jobs], [logs] and [runs], nor where the bars lie.

    Everything is looked at; the exit code is that of the first thing that is bad, in the order of the table.

    Examples:
      argonaut preflight configs/paper.toml

      argonaut preflight /etc/argonaut/host.toml --pin 5f2c90ab --state-dir /var/lib/argonaut

    Exit codes: 0 it could start; 80 an import name of ours has another owner; 78 the configuration is wrong,
    or its port is taken; 85 it is not the one of --pin; 81 a secret is missing or open to others; 82 the
    state directory cannot be used; 83 the clock is wrong; 84 too little space; 70 the journal is damaged;
    65 bars are missing or damaged; 86 a policy or model cannot be loaded, or is not the one of --policy;
    87 the venue cannot be reached; 77 the latch cannot be read.
    """
    from bot.checks.preflight import Preflight, Wanted  # loads the engine

    look = Preflight(
        config,
        {} if catalog is None else {"data.catalog": str(catalog.resolve())},
        state_dir,
        is_running=get(state_dir, "/v1/status") is not None,
        wanted=Wanted(_hash(pin, "--pin") if pin else "", dict(map(_policy, policy or ()))),
        now_ns=time.time_ns(),
    )
    findings = list(look.run())
    code = exit_code(findings)
    if as_json:
        document: dict[str, Any] = {"exit_code": int(code), "findings": [one.as_json() for one in findings]}
        emit_json(document)
    else:
        print_findings(findings)
    return code


def _policy(given: str) -> tuple[str, str]:
    name, found, sha256 = given.partition("=")
    if not found:
        raise typer.BadParameter(f"expected STRATEGY=SHA256, found {given}", param_hint="--policy")
    return name, _hash(sha256, "--policy")


def _hash(given: str, option: str) -> str:
    if len(given) < 8 or not set(given) <= _HEX:
        raise typer.BadParameter(f"expected 8 to 64 hex digits, found {given}", param_hint=option)
    return given
