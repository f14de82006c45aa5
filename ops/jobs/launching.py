"""Starts a command under a warden (`ops.jobs.warden`) and waits for its end, costing the loop nothing."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from ops.jobs.job import Command
from ops.jobs.warden import BROKEN, NOT_STARTED, TIMED_OUT, Plan

type Launch = Callable[[Command, Path], Awaitable[int]]
"""``launch(command, log)``: its exit code; when cancelled, the command has ended."""

_WORDS = {
    TIMED_OUT: "took too long and was ended",
    BROKEN: "could not be watched over; see its log",
    NOT_STARTED: "could not be started",
}


async def launch(command: Command, log: Path) -> int:
    """Run a command to its end.

    Args:
        command: What to run, and what it may take.
        log: File for what it says.

    Raises:
        OSError: If no process can be started.
    """
    limits = command.limits
    plan = Plan(
        command=list(command.args),
        log=str(log),
        log_bytes=limits.log_bytes,
        timeout_secs=limits.timeout_secs,
        memory_mib=limits.memory_mib,
        nice=limits.nice,
        parent=os.getpid(),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a folder "ops" where we were started is not ours
        "-m",
        "ops.jobs.warden",
        json.dumps(plan._asdict()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise


def in_words(exit_code: int) -> str:
    """What an exit code of a command means."""
    if exit_code in _WORDS:
        return _WORDS[exit_code]
    number = exit_code - 128
    if number in list(signal.Signals):
        return f"was ended by {signal.Signals(number).name}"
    return f"exit code {exit_code}"
