"""Commands on strategies that are plain values, with clocks that stand still until they are moved."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ops.commands import ControlLimits, TradingCommands
from ops.latch import TradingLatch
from strategies.gate import TradingGate
from tests.support.latch_disk import RefusingDisk

PATH = Path("state/latch.json")
SECOND = 1_000_000_000
STRATEGIES = {"one": ("A.X", "B.X"), "two": ("B.X", "C.Y")}


class FakeDesk:
    """A strategy that closes what it holds after being asked a number of times."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.entries: set[str] = set()
        """Instruments with an order that could add risk."""
        self.held: dict[str, int] = {}
        """How often a flatten has still to be asked for, by instrument."""
        self.fault = ""
        self.breaks = False
        self.released = 0
        self.latched: tuple[str, ...] = ()

    def cancel_entries(self, instrument_ids: Sequence[str]) -> int:
        if self.breaks:
            raise ZeroDivisionError("this strategy cannot cancel")
        gone = self.entries.intersection(instrument_ids)
        self.entries -= gone
        self.log += [f"cancel {self.name} {one}" for one in sorted(gone)]
        return len(gone)

    def flatten(self, instrument_ids: Sequence[str]) -> None:
        self.log.append(f"flatten {self.name} {' '.join(instrument_ids)}")
        self.entries.difference_update(instrument_ids)
        for one in instrument_ids:
            if self.held.get(one, 0) > 0:
                self.held[one] -= 1

    def is_flat(self, instrument_ids: Sequence[str]) -> bool:
        return not any(self.held.get(one) or one in self.entries for one in instrument_ids)

    def release(self) -> tuple[str, ...]:
        self.released += 1
        return self.latched


class ControlRoom:
    """Gate, latch and commands on a disk in memory; `restart` makes a new process of it."""

    def __init__(self, cooldown_secs: float = 300.0, flatten_timeout_secs: float = 10.0) -> None:
        self.disk = RefusingDisk()
        self.now_ns = 1_000 * SECOND
        self.seconds = 0.0
        self.switched_off = False
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.log: list[str] = []
        self.limits = ControlLimits(cooldown_secs, flatten_timeout_secs)
        self.restart()

    def restart(self, *, attached: bool = True) -> None:
        """Begin a new process on the same disk."""
        self.gate = TradingGate(armed=True, now=lambda: self.now_ns)
        self.latch = TradingLatch(PATH, self.disk, self.gate, record=self._note, now=lambda: self.now_ns)
        self.latch.load()
        self.later: list[Callable[[], None]] = []
        self.commands = TradingCommands(
            self.latch,
            STRATEGIES,
            limits=self.limits,
            now=lambda: self.now_ns,
            monotonic=self._monotonic,
            soon=self.later.append,
            record=self._note,
            is_switched_off=lambda: self.switched_off,
        )
        self.desks = {name: FakeDesk(name, self.log) for name in STRATEGIES}
        if attached:
            self.attach()

    def attach(self, **more: Any) -> None:
        self.commands.attach(list(self.desks.values()), **more)

    def kinds(self) -> Iterable[str]:
        """Kinds of what was recorded, in order."""
        return [kind for kind, _ in self.records]

    def _monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def _note(self, kind: str, fields: dict[str, Any]) -> None:
        self.log.append(f"record {kind}")
        self.records.append((kind, fields))
