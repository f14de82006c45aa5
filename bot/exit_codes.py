"""Exit codes of the console script: what a supervisor or a script may rely on.

From 64 on the numbers follow ``sysexits.h`` where it has a fitting one. After those in `NEEDS_PERSON`
systemd must not start the daemon again: it would find the same, and a person has to look first.
"""

from enum import IntEnum

from adapters.errors import AdapterError, StateWriteError
from strategies.errors import ArgonautError, AuditError, ConfigError, DataError, SafetyError, TransientError


class ExitCode(IntEnum):
    """Why the program ended."""

    OK = 0
    """Done; for a daemon, stopped in order."""
    FINDINGS = 1
    """The command worked and found something wrong, for example a gap in the data."""
    USAGE = 64
    """The command line is wrong."""
    DATA = 65
    """Market data is missing or wrong."""
    UNAVAILABLE = 69
    """No daemon answers."""
    AUDIT_CHAIN = 70
    """The audit chain is broken."""
    UNRECONCILED = 71
    """Our books and the venue's cannot be reconciled."""
    INTERNAL = 72
    """A fault of this program; ARGONAUT_DEBUG=1 shows where."""
    IO = 74
    """A file or the disk refused."""
    TEMPORARY = 75
    """Something outside failed in a way that a retry may mend."""
    HALTED = 77
    """An invariant that protects money is broken; trading halted."""
    CONFIG = 78
    """The configuration, or an artefact that it names, cannot be used; nothing was started."""
    PACKAGES = 80
    """Preflight: one of our five import names has another owner, or none."""
    CREDENTIALS = 81
    """Preflight: a secret is missing, unreadable, or open to others."""
    PERMISSIONS = 82
    """Preflight: the state directory or the catalog cannot be used by this user."""
    CLOCK = 83
    """Preflight: the clock is wrong, or nobody vouches for it."""
    DISK = 84
    """Preflight: too little space."""
    PIN = 85
    """Preflight: the configuration is not the one that was asked for."""
    ARTIFACT = 86
    """Preflight: a policy or a regime model cannot be loaded, or is not the one that was asked for."""
    VENUE = 87
    """Preflight: the venue cannot be reached."""
    INTERRUPTED = 130
    """Ctrl-C."""


NEEDS_PERSON = frozenset(
    {
        ExitCode.FINDINGS,  # of a daemon: it was stopped in order, and something is not as it was to be
        ExitCode.USAGE,
        ExitCode.DATA,
        ExitCode.AUDIT_CHAIN,
        ExitCode.UNRECONCILED,
        ExitCode.HALTED,
        ExitCode.CONFIG,
    }
)
"""After these a supervisor leaves the daemon down."""

_OF_ERRORS: tuple[tuple[type[ArgonautError], ExitCode], ...] = (
    (ConfigError, ExitCode.CONFIG),
    (DataError, ExitCode.DATA),
    (TransientError, ExitCode.TEMPORARY),
    (SafetyError, ExitCode.HALTED),
    (AuditError, ExitCode.AUDIT_CHAIN),
)


def exit_code_of(error: ArgonautError) -> ExitCode:
    """Exit code that an error stands for."""
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), ExitCode.INTERNAL)


def ending_of(error: Exception) -> tuple[ExitCode, str]:
    """Exit code of a program that ended with an error, and what a person is told."""
    if isinstance(error, ArgonautError):
        return exit_code_of(error), str(error)
    if isinstance(error, AdapterError):
        return ExitCode.IO if isinstance(error, StateWriteError) else ExitCode.DATA, str(error)
    if isinstance(error, OSError):
        return ExitCode.IO, f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return ExitCode.INTERNAL, (
        f"a fault of this program: {type(error).__name__}: {error}\n"
        "run it again with ARGONAUT_DEBUG=1 to see where, and report it"
    )
