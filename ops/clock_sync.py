"""Does anything vouch for this machine's clock? Asked of the kernel, which is told by whatever sets it.

Source: adjtimex(2); ``STA_UNSYNC``, ``maxerror``.
"""

import ctypes
from typing import NamedTuple

_TIME_ERROR = 5
_RESERVED_BYTES = 512


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
