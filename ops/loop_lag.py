"""How late the trading loop has lately been, for people who look; Prometheus keeps the history."""

from collections import deque
from typing import Any

KEPT_BEATS = 600
"""A minute of them."""


class LoopLag:
    """The newest delays of a loop that beats.

    Args:
        beat_secs: Time between two beats of a loop that is never late.
    """

    def __init__(self, beat_secs: float) -> None:
        self._beat_secs = beat_secs
        self._beaten_at: float | None = None
        self._late: deque[float] = deque(maxlen=KEPT_BEATS)

    def beat(self, monotonic_secs: float) -> None:
        """Take a beat."""
        if self._beaten_at is not None:
            self._late.append(max(0.0, monotonic_secs - self._beaten_at - self._beat_secs))
        self._beaten_at = monotonic_secs

    def status(self) -> dict[str, Any]:
        """Milliseconds over the newest beats, nearest rank; None before the second one."""
        late = sorted(self._late)
        return {
            f"lag_{name}_ms": round(late[-(-len(late) * percent // 100) - 1] * 1e3, 2) if late else None
            for name, percent in (("p50", 50), ("p99", 99), ("max", 100))
        }
