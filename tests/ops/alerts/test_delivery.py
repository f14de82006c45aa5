"""Messages over real HTTP to a receiver on this machine, through the real library in its own process."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ops.alerts import Channel, deliver
from tests.support.receiver import Receiver

SECRET = "hunter2"  # noqa: S105 - planted, to be looked for


@contextmanager
def receiver(*codes: int) -> Iterator[Receiver]:
    found = Receiver(codes)
    try:
        yield found
    finally:
        found.close()


def to(found: Receiver, name: str = "json-1") -> Channel:
    return Channel(name, f"json://127.0.0.1:{found.port}/{SECRET}")


def test_message_arrives_as_it_was_written() -> None:
    with receiver() as found:
        (outcome,) = asyncio.run(deliver([to(found)], "all is HALTED", "Ümläute → and <b>marks</b>\nsecond"))

    assert (outcome.channel, outcome.is_sent, outcome.error) == ("json-1", True, "")
    (message,) = map(json.loads, found.bodies)
    assert message["title"] == "all is HALTED"
    assert message["message"] == "Ümläute → and <b>marks</b>\nsecond"


def test_channel_that_fails_is_tried_again_and_no_other() -> None:
    waits: list[float] = []

    async def sleep(secs: float) -> None:
        waits.append(secs)

    with receiver(503, 503) as flaky, receiver() as steady:
        channels = [to(flaky, "json-1"), to(steady, "json-2")]
        outcomes = asyncio.run(deliver(channels, "t", "b", sleep=sleep))

    assert [(one.channel, one.is_sent) for one in outcomes] == [("json-1", True), ("json-2", True)]
    assert waits == [2.0, 8.0]
    assert (len(flaky.bodies), len(steady.bodies)) == (3, 1)


@pytest.mark.parametrize("kind", ["refused", "no listener", "unreadable"])
def test_channel_that_stays_down_is_said_to_be_without_its_address(kind: str) -> None:
    with receiver(*[500] * 9) as found, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        url = {
            "refused": to(found).url,
            "no listener": f"json://127.0.0.1:{port}/{SECRET}",
            "unreadable": f"tgram://{SECRET}",
        }[kind]
        (outcome,) = asyncio.run(deliver([Channel("one", url)], "t", "b", retries_secs=()))

    assert not outcome.is_sent
    assert outcome.error
    assert SECRET not in outcome.error
    assert "127.0.0.1" not in outcome.error
