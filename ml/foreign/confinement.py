"""A process gives up the world: from here on it computes, reads what it has, and answers.

No file can be opened, no socket made, no process started or signalled, and nothing of it undone: the filter
lists what is allowed, and the kernel refuses the rest with EPERM, whatever code runs.

Source: seccomp(2), Linux; its filter is written by libseccomp.
"""

import errno
import os
import resource
from importlib import import_module
from typing import Any

from strategies.errors import ConfigError

LARGEST_ARCHIVE = 256 << 20
"""Bytes of an archive that is read."""
LARGEST_ANSWER = 128 << 20
"""Bytes that a confined process may answer."""

_ALLOWED = (
    # Memory of its own, and what the interpreter's and the allocator's locks need.
    *("brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "futex", "sched_yield", "sched_getaffinity"),
    # What is open already: the pipes to whoever asked.
    *("read", "write", "lseek", "fstat", "close", "poll"),
    *("getrandom", "clock_gettime", "clock_getres", "gettimeofday", "getrusage", "getpid", "gettid"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("exit", "exit_group"),
)


def require_confinement() -> None:
    """Make sure that this machine can confine a process.

    Raises:
        ConfigError: If it cannot.
    """
    _library()


def confine(*, memory_bytes: int, processor_secs: int) -> None:
    """Give up files, network and processes, for good; limit memory, time and what it may answer.

    Descriptors beyond the standard three are closed.

    Args:
        memory_bytes: Most data that the process may hold from now on.
        processor_secs: Most processor time; the kernel ends the process after it.

    Raises:
        ConfigError: If this machine cannot do it.
        OSError: If the kernel refuses.
    """
    library = _library()
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for limit, value in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, processor_secs),
        (resource.RLIMIT_FSIZE, LARGEST_ANSWER),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    rules = library.SyscallFilter(library.ERRNO(errno.EPERM))
    for name in _ALLOWED:
        rules.add_rule(library.ALLOW, name)
    # All threads, those that libraries started too: one that is free could be made to act for the others.
    rules.set_attr(library.Attr.CTL_TSYNC, 1)
    # A mapping with a descriptor needs one, and none but the standard three is left.
    rules.load()


def _library() -> Any:
    """Pyseccomp; it has no annotations, and fails while it is imported where libseccomp is not there."""
    try:
        return import_module("pyseccomp")
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            "expected Linux with libseccomp (Debian: libseccomp2) and pyseccomp (`make learn`), to read an "
            f"archive that holds code without running it in the open; found none: {error}"
        ) from error
