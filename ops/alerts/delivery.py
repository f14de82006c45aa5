"""Takes a message to its channels, in a process of its own.

The library that knows the services loads plug-ins, blocks while it talks, and needs the secrets. Beside a
trading loop none of that is welcome, so each message is handed to ``python -m ops.alerts.send`` on standard
input, and what came of it is read back. A channel that fails is tried again.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ops.alerts.channels import Channel

TIMEOUT_SECS = 30.0
_RETRIES_SECS = (2.0, 8.0, 30.0)


class Outcome(NamedTuple):
    """What came of one message to one channel."""

    channel: str
    is_sent: bool
    error: str
    """Empty where it was sent; shows no secret."""


type Sleep = Callable[[float], Awaitable[None]]


async def deliver(
    channels: Sequence[Channel],
    title: str,
    body: str,
    *,
    retries_secs: Sequence[float] = _RETRIES_SECS,
    sleep: Sleep = asyncio.sleep,
) -> list[Outcome]:
    """Send a message to every channel; never raises but when cancelled.

    Args:
        retries_secs: Waits before each further attempt at what has failed.

    Returns:
        One outcome a channel, in their order.
    """
    outcomes = {
        one.name: outcome
        for one, outcome in zip(channels, await _attempt(channels, title, body), strict=True)
    }
    for wait_secs in retries_secs:
        failed = [one for one in channels if not outcomes[one.name].is_sent]
        if not failed:
            break
        await sleep(wait_secs)
        for outcome in await _attempt(failed, title, body):
            outcomes[outcome.channel] = outcome
    return [outcomes[one.name] for one in channels]


async def _attempt(channels: Sequence[Channel], title: str, body: str) -> list[Outcome]:
    if not channels:
        return []
    document = {"channels": [one._asdict() for one in channels], "title": title, "body": body}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ops.alerts.send",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        return [Outcome(one.name, False, f"no process could be started: {error}") for one in channels]
    try:
        said, _ = await asyncio.wait_for(process.communicate(json.dumps(document).encode()), TIMEOUT_SECS)
        return [Outcome(**one) for one in json.loads(said)]
    except TimeoutError:
        return [Outcome(one.name, False, f"no answer within {TIMEOUT_SECS:g} s") for one in channels]
    except (ValueError, TypeError):
        return [Outcome(one.name, False, "the sender broke; see its log") for one in channels]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
