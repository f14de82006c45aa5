"""Errors, each named by its consequence.

    ArgonautError
    ├── ConfigError      refuse to start (exit 78; systemd must not restart)
    ├── DataError        skip this decision and count it
    ├── TransientError   retry with back-off
    ├── SafetyError      TradingState.HALTED
    └── AuditError       refuse to start until a person has looked (exit 70)

A guardrail's refusal is not an exception: it is a `Verdict` with a reason, and it is recorded.
Every message says what was expected, what was found, and what to do.
"""


class ArgonautError(Exception):
    """Base of every error that Argonaut raises on purpose."""


class ConfigError(ArgonautError):
    """The configuration or an artefact it names cannot be used; nothing was started."""


class DataError(ArgonautError):
    """Market data is missing or wrong; the decision that needed it is skipped."""


class TransientError(ArgonautError):
    """Something outside failed in a way that a retry may mend."""


class SafetyError(ArgonautError):
    """An invariant that protects money is broken; trading halts."""


class AuditError(ArgonautError):
    """The journal is not what was written; nothing was started and nothing was repaired."""
