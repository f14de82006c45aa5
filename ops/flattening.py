"""Closing positions on command: ask, look whether it is done, ask again, and say when it takes too long."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from strategies.restrictions import EVERYTHING, Scope

_LOG = logging.getLogger(__name__)

_POLL_SECS = 0.02
_SLOWER = 1.5
_SLOWEST_SECS = 2.0


class Desk(Protocol):
    """One strategy as these commands see it."""

    name: str

    def cancel_entries(self, instrument_ids: Sequence[str]) -> int:
        """Send a cancel for every working order that could add risk, and say for how many."""

    def flatten(self, instrument_ids: Sequence[str]) -> None:
        """Cancel everything, and close what is held with exact reduce-only orders; called until flat."""

    def is_flat(self, instrument_ids: Sequence[str]) -> bool:
        """Whether nothing is held and nothing works."""

    @property
    def fault(self) -> str:
        """Why this process cannot trade the strategy again; empty while it can."""

    def release(self) -> tuple[str, ...]:
        """Release the loss latches of the strategy's own book, and name those that only time ends."""


class Flattening:
    """Closes positions until there are none, or until it has taken too long and somebody is paged.

    Args:
        timeout_secs: Counted anew from every scope that is added.
        monotonic: Seconds.
        reached: Strategies in a scope, each with its instruments there.
        report: Told of the end.
    """

    def __init__(
        self,
        timeout_secs: float,
        monotonic: Callable[[], float],
        reached: Callable[[Scope], Sequence[tuple[Desk, Sequence[str]]]],
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        self._timeout_secs = timeout_secs
        self._monotonic = monotonic
        self._reached = reached
        self._report = report
        self._scopes: list[Scope] = []
        self._deadline = 0.0
        self._task: asyncio.Task[None] | None = None
        self.nudge: Callable[[], None] = lambda: None
        self.state = "IDLE"
        """IDLE, FLATTENING, FLAT, or NOT_FLAT where it gave up."""
        self.detail = ""

    def begin(self, scope: Scope) -> None:
        """Close what a scope holds; must be called on the loop."""
        if not self.is_working:
            self._scopes = []
        if scope not in self._scopes:
            self._scopes.append(scope)
        self._deadline = self._monotonic() + self._timeout_secs
        self.state, self.detail = "FLATTENING", ""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    @property
    def is_working(self) -> bool:
        """Whether positions are being closed."""
        return self.state == "FLATTENING"

    def is_working_on(self, scope: Scope) -> bool:
        """Whether positions of a scope, or of part of it, may be being closed."""
        return self.is_working and (
            scope == EVERYTHING or EVERYTHING in self._scopes or scope in self._scopes
        )

    def status(self) -> dict[str, Any]:
        """How far it is, as plain JSON values."""
        return {"state": self.state, "scopes": [str(one) for one in self._scopes], "detail": self.detail}

    async def _work(self) -> None:
        pause = _POLL_SECS
        try:
            while (held := self._push()) and self._monotonic() < self._deadline:
                await asyncio.sleep(pause)
                # A close that the venue refuses is tried again, but not as fast as it can refuse.
                pause = min(pause * _SLOWER, _SLOWEST_SECS)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody has to hear of it
            _LOG.exception("the flatten failed")
            held = [f"unknown: {type(error).__name__}: {error}"]
        self.state = "NOT_FLAT" if held else "FLAT"
        if held:
            self.detail = f"still holding or working: {', '.join(held)}"
            _LOG.critical("not flat after %g s: %s", self._timeout_secs, self.detail)
        self._report(self.status())

    def _push(self) -> list[str]:
        """Ask once more for what is not flat yet, and name it."""
        held: dict[str, None] = {}
        for scope in self._scopes:
            for desk, instruments in self._reached(scope):
                if not desk.is_flat(instruments):
                    desk.flatten(instruments)
                    held |= dict.fromkeys(
                        f"{desk.name} {one}" for one in instruments if not desk.is_flat((one,))
                    )
        if held:
            self.nudge()
        return list(held)
