"""The systemd units of the daemon and of retraining: texts, filled in with where an installation lies.

``systemd/`` has these texts for an installation in ``/opt/argonaut``. Retraining is a service of its own: it
needs what the daemon's sandbox forbids (code made at run time, memory), and its end is not the daemon's.

Source:
    systemd.exec(5), systemd.service(5); ``systemd-analyze security`` rates it.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.exit_codes import NEEDS_PERSON

UNIT = "argonaut.service"
"""Name of the daemon's unit."""
RETRAIN_UNIT = "argonaut-retrain.service"
RETRAIN_TIMER = "argonaut-retrain.timer"

_TEMPLATE = """\
# The paper daemon as a service. `argonaut install-service` writes it with the paths of an installation.
[Unit]
Description=Argonaut trading bot daemon
Wants=network-online.target
After=network-online.target time-sync.target
# What keeps failing is not to trade in between: after five starts in ten minutes a person has to look.
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run {config}
WorkingDirectory={home}
Environment=ARGONAUT_STATE_DIR=%S/argonaut
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 ORT_DISABLE_TELEMETRY=1

Restart=on-failure
RestartSec=5s
# A strategy halted, wrong usage, bad data, broken audit chain, unreconciled books, halted, bad configuration:
# starting again would find the same, and a person has to look first.
RestartPreventExitStatus={needs_person}
# Checking a long journal takes its time; the daemon asks for more where it needs it.
TimeoutStartSec=180s
TimeoutStopSec=60s
# Fed by the trading loop itself.
WatchdogSec=15s
WatchdogSignal=SIGABRT
KillMode=mixed
KillSignal=SIGTERM
# A job that takes too much memory goes first, and trading goes on.
OOMPolicy=continue
OOMScoreAdjust=-500

DynamicUser=yes
StateDirectory=argonaut
StateDirectoryMode=0700
ConfigurationDirectory=argonaut
{credentials}UMask=0077
LimitCORE=0
TasksMax=256
MemoryMax=2G

{sandbox}{network}
[Install]
WantedBy=multi-user.target
"""

_RETRAIN = """\
# Trains a new model beside the daemon, which goes on; nothing trades it before it is promoted.
[Unit]
Description=Argonaut retraining

[Service]
Type=oneshot
ExecStart={program} train {training}
WorkingDirectory={home}
Environment=ARGONAUT_STATE_DIR=%S/argonaut
Environment=NUMBA_CACHE_DIR=%C/argonaut-retrain
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 ORT_DISABLE_TELEMETRY=1
# One that was cut off goes on where it was, the next time.
TimeoutStartSec=12h

# Trading comes first.
Nice=15
CPUWeight=20
IOWeight=20
IOSchedulingClass=idle
OOMScoreAdjust=500
MemoryMax=8G
TasksMax=256

# The daemon's own user: they share the state directory.
User=argonaut
DynamicUser=yes
StateDirectory=argonaut
StateDirectoryMode=0700
CacheDirectory=argonaut-retrain
ConfigurationDirectory=argonaut
UMask=0077
LimitCORE=0

PrivateNetwork=yes
ProtectClock=yes
{sandbox}"""

_TIMER = """\
# A night that was missed is made up for.
[Unit]
Description=Argonaut retraining, every night

[Timer]
OnCalendar=*-*-* 04:00:00 UTC
RandomizedDelaySec=15min
Persistent=true

[Install]
WantedBy=timers.target
"""

_SANDBOX = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateIPC=yes
PrivateMounts=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
DevicePolicy=closed
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""

_OF_THE_DAEMON = """\
MemoryDenyWriteExecute=yes
# Jobs make way for trading. What keeps the clock is asked of the kernel by a call that could set it, too, for
# which the capability is lacking; ProtectClock= would forbid to ask.
SystemCallFilter=setpriority adjtimex
"""

_NO_NETWORK = """\
# Paper trading needs no network but this machine's own.
IPAddressDeny=any
IPAddressAllow=localhost
"""

_SYSTEM_ONLY = frozenset(
    {
        "After",
        "Wants",
        "DynamicUser",
        "ConfigurationDirectory",
        "OOMScoreAdjust",
        "MemoryMax",
        "TasksMax",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "ProtectSystem",
        "ProtectHome",
        "ProtectProc",
        "ProcSubset",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateUsers",
        "PrivateIPC",
        "PrivateMounts",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "RemoveIPC",
        "KeyringMode",
        "DevicePolicy",
        "IPAddressDeny",
        "IPAddressAllow",
        "User",
        "PrivateNetwork",
        "CPUWeight",
        "IOWeight",
    }
)
"""Settings that a user's own manager has no right to."""

_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ``ProtectHome=`` hides."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the unit has to name."""

    program: Path
    """The console script."""
    config: Path
    """The host file."""
    home: Path
    """Where the process starts."""
    credentials: Sequence[tuple[str, Path]] = ()
    """Names and files that systemd reads as root and gives to the daemon alone."""
    network: bool = False
    """Whether it may reach more than this machine, for messages to people or a venue."""


def render_unit(installation: Installation, *, user: bool = False) -> str:
    """The unit's text.

    Args:
        installation: What it names.
        user: For a user's own manager, which may sandbox less.

    Raises:
        ValueError: If a path cannot stand in a unit: it holds white space, quotes, a backslash, $ or %.
    """
    paths = [installation.program, installation.config, installation.home]
    paths += [path for _, path in installation.credentials]
    _refuse_odd(paths)
    text = _TEMPLATE.format(
        program=installation.program,
        config=installation.config,
        home=installation.home,
        needs_person=" ".join(str(int(code)) for code in sorted(NEEDS_PERSON)),
        sandbox=_SANDBOX + _OF_THE_DAEMON,
        network="" if installation.network else _NO_NETWORK,
        credentials="".join(f"LoadCredential={name}:{path}\n" for name, path in installation.credentials),
    )
    return "".join(_for_user(text)) if user else text


def render_retrain(installation: Installation, training: Path, *, user: bool = False) -> dict[str, str]:
    """Texts of the unit that retrains and of its timer, by name.

    Args:
        installation: Where the program is; its host file and credentials do not matter.
        training: The training file.
        user: For a user's own manager, which may sandbox less.

    Raises:
        ValueError: If a path cannot stand in a unit.
    """
    program, home = installation.program, installation.home
    _refuse_odd([program, home, training])
    unit = _RETRAIN.format(program=program, home=home, training=training, sandbox=_SANDBOX)
    return {RETRAIN_UNIT: "".join(_for_user(unit)) if user else unit, RETRAIN_TIMER: _TIMER}


def _refuse_odd(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.is_absolute() or set(str(path)) & set(" \t\n\"'\\%$"):
            raise ValueError(f"{path}: expected an absolute path of plain characters; move or link it")


def _for_user(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if line.startswith("WantedBy="):
            yield "WantedBy=default.target\n"
        elif line.partition("=")[0] not in _SYSTEM_ONLY and "no network but" not in line:
            yield line


def unreachable(paths: Sequence[Path]) -> list[str]:
    """Why a service with a user of its own could not read some paths; empty where it can.

    Args:
        paths: Files and folders that must exist.
    """
    problems = []
    for path in dict.fromkeys(one for given in paths for one in (given, given.resolve())):
        if hidden := next((place for place in _HIDDEN if path.is_relative_to(place)), None):
            problems.append(f"{path}: expected a place that services may see, found it below {hidden}")
        elif closed := next((one for one in (path, *path.parents) if not _is_open(one)), None):
            problems.append(f"{path}: expected a path that everybody may read, found {closed} closed")
    return problems


def _is_open(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))


def user_unit_dir(environ: Mapping[str, str]) -> Path:
    """Where a user's own units lie."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
