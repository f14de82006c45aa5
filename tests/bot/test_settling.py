"""A settlement is asked when it wants to be, and its result is what comes back."""

import asyncio
from collections.abc import Generator

import pytest

from bot.settling import see_through
from strategies.errors import TransientError


def _three_asks() -> Generator[float, str, list[str]]:
    first = yield 0.0
    second = yield 3.0
    return [first, second, (yield 1.5)]


def test_each_answer_is_asked_for_after_its_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def sleep(secs: float) -> None:
        done.append(f"waited {secs}")

    def ask() -> str:
        done.append("asked")
        return f"answer {done.count('asked')}"

    monkeypatch.setattr(asyncio, "sleep", sleep)

    assert asyncio.run(see_through(_three_asks(), ask)) == ["answer 1", "answer 2", "answer 3"]
    assert done == ["waited 0.0", "asked", "waited 3.0", "asked", "waited 1.5", "asked"]


def test_venue_that_never_answers_ends_it() -> None:
    def ask() -> str:
        raise TransientError("silence")

    with pytest.raises(TransientError, match="silence"):
        asyncio.run(see_through(_three_asks(), ask))
