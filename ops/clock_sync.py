"""Does anything vouch for this machine's clock? Asked of the kernel, which is told by whatever sets it.

Source: adjtimex(2); ``STA_UNSYNC``, ``maxerror``.
"""

import ctypes
from collections.abc import Callable
from typing import NamedTuple

ADVICE = "look after the time service: timedatectl timesync-status, chronyc tracking; or start one"

_TIME_ERROR = 5
_RESERVED_BYTES = 512
_LOOK_SECS = 10.0


class ClockSync(NamedTuple):
    """What the kernel knows about its clock."""

    is_synchronised: bool
    """Whether a time service keeps it."""
    max_error_secs: float
    """Bound of its error, as that service says."""


class _Timex(ctypes.Structure):
    # Up to what is read here; the kernel fills in more behind it.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("reserved", ctypes.c_char * _RESERVED_BYTES),
    )


def read_clock_sync() -> ClockSync | None:
    """Ask the kernel; None where it does not say (another system, a sandbox)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return None
    found = _Timex()
    state = libc.adjtimex(ctypes.byref(found))
    if state < 0:
        return None
    return ClockSync(state != _TIME_ERROR, found.maxerror / 1e6)


def doubt(sync: ClockSync | None, max_error_secs: float) -> str:
    """Why a clock must not be believed; empty where it may be."""
    if sync is None or not sync.is_synchronised:
        return "no time service vouches for the clock"
    if sync.max_error_secs > max_error_secs:
        return f"the clock may be off by {sync.max_error_secs:.3f} s, {max_error_secs:g} allowed"
    return ""


class ClockWatch:
    """Whether the clock can still be believed, asked of the kernel every ten seconds.

    A clock that drifts makes no step; but the time service that keeps it says how far off it may be, and
    one that has lost its servers says more from minute to minute.

    Args:
        max_error_secs: How far off the clock may be; None does not look.
        read: Asks the kernel.
    """

    def __init__(
        self, max_error_secs: float | None, read: Callable[[], ClockSync | None] = read_clock_sync
    ) -> None:
        self._max_error_secs = max_error_secs
        self._read = read
        self._looked_at = float("-inf")
        self._fault = ""

    def fault(self, monotonic_secs: float) -> str:
        """Why the clock must not be believed; empty while it may be."""
        if self._max_error_secs is not None and monotonic_secs - self._looked_at >= _LOOK_SECS:
            self._looked_at = monotonic_secs
            found = doubt(self._read(), self._max_error_secs)
            self._fault = found and f"{found}; {ADVICE}"
        return self._fault
