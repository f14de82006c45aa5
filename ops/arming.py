"""Arming in two steps: what would go live is shown, and goes live only if somebody says so soon after.

    request    a nonce and a summary of what goes live
    confirm    the nonce, within half a minute, and nothing has changed since: armed
    disarm     at once, in one step: no order leaves any more

A nonce works once, and a new request makes the one before worthless. Nothing of this outlives the process:
a daemon that trades live starts disarmed.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops.refusals import RefusedError
from strategies.gate import TradingGate

CONFIRM_SECS = 30.0
"""How long a request may be confirmed."""


@dataclass(frozen=True, slots=True)
class _Request:
    nonce: str
    deadline: float
    summary: str
    who: str


class Arming:
    """The arming of one host.

    Args:
        gate: What is armed; the door, the guardrails and the venue's client ask it.
        summary: What would go live, as plain JSON values.
        obstacles: Why it may not be armed now; empty where nothing is in the way.
        monotonic: Clock, seconds.
    """

    def __init__(
        self,
        gate: TradingGate,
        *,
        summary: Callable[[], dict[str, Any]],
        obstacles: Callable[[], list[str]],
        monotonic: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._summary = summary
        self._obstacles = obstacles
        self._monotonic = monotonic
        self._request: _Request | None = None

    def request(self, *, who: str) -> dict[str, Any]:
        """Ask to arm; nothing is armed by it.

        Raises:
            RefusedError: If something is in the way.
        """
        self._refuse_obstacles()
        summary = self._summary()
        deadline = self._monotonic() + CONFIRM_SECS
        self._request = _Request(secrets.token_urlsafe(16), deadline, _digest(summary), who)
        return {"nonce": self._request.nonce, "confirm_within_secs": CONFIRM_SECS, "summary": summary}

    def confirm(self, nonce: str, *, who: str) -> dict[str, Any]:
        """Arm what was asked for.

        Raises:
            RefusedError: If the nonce is not the newest one, is too old, was used or is somebody else's, if
                what would go live has changed since, or if something is in the way. Nothing was armed, and
                the request has to be made again.
        """
        asked, self._request = self._request, None
        if asked is None or not secrets.compare_digest(nonce.encode(), asked.nonce.encode()):
            raise RefusedError("expected the nonce of the newest request to arm, found another; ask again")
        if self._monotonic() > asked.deadline:
            raise RefusedError(
                f"expected a confirmation within {CONFIRM_SECS:g} s, found a later one; ask again"
            )
        if who != asked.who:
            raise RefusedError(f"expected a confirmation of {asked.who}, who asked, found one of {who}")
        self._refuse_obstacles()
        if _digest(self._summary()) != asked.summary:
            raise RefusedError("what would go live has changed since it was shown; ask again")
        was_armed, self._gate.armed = self._gate.armed, True
        return {"armed": True, "changed": not was_armed}

    def disarm(self) -> dict[str, Any]:
        """Let no order leave any more, not even one that reduces."""
        self._request = None
        was_armed, self._gate.armed = self._gate.armed, False
        return {"armed": False, "changed": was_armed}

    def _refuse_obstacles(self) -> None:
        if found := self._obstacles():
            raise RefusedError(f"not armed: {'; '.join(found)}")


def _digest(summary: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(summary, sort_keys=True, default=str).encode()).hexdigest()
