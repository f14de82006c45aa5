"""The restrictions that outlive the process: a small file, replaced whole, that no damage makes ACTIVE.

Flow: command or limit → gate → **latch** → disk, journal.

A restriction acts in memory first, for that cannot fail; then it is written, and only when the write has
returned does anybody act on it (cancel, flatten). A lifted one goes from the file first. So whatever
crashes in between leaves the stricter of the two behind. A file that is damaged or cannot be read means
HALTED. No file means that nothing was ever restricted here; whether that can be true, the journal knows.

Every change has a serial number, which the file and the records of the change carry: a journal that knows
a higher one than the file has seen what the file forgot (it was deleted, or put back from a backup), and
`adopt` holds what the journal knows.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from ops.disk import Disk
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import (
    EVERYTHING,
    Origin,
    Restriction,
    RestrictionSet,
    Scope,
)

_LOG = logging.getLogger(__name__)

LATCH = "latch.json"
"""Name of the file in the state directory."""
_FORMAT = 1

type Recorder = Callable[[str, dict[str, Any]], None]
"""``record(kind, fields)``: takes note of what happened, kind ``latch`` or ``control``."""


class TradingLatch:
    """Keeps a gate's restrictions on the disk.

    Args:
        path: The file; its folder must exist.
        disk: Where it lies.
        gate: What acts on the restrictions; it tells the latch of new ones from now on.
        record: Told of every change, after it was written.
        now: Wall clock, UTC nanoseconds.
    """

    def __init__(
        self, path: Path, disk: Disk, gate: TradingGate, *, record: Recorder, now: Callable[[], int]
    ) -> None:
        self._path = path
        self._disk = disk
        self._gate = gate
        self._record = record
        self._now = now
        self._kept = RestrictionSet()
        self.fault = ""
        """Why the file does not say what holds; empty while it does."""
        self.is_fresh = False
        """Whether there was no file at `load`."""
        self.serial = 0
        """Number of the last change; 0 before the first, and where the file was absent or damaged."""
        gate.on_hold = self._keep

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """What the next process will find, in the order in which it came."""
        return tuple(self._kept)

    @property
    def is_durable(self) -> bool:
        """Whether the file says what holds."""
        return not self.fault

    def load(self) -> None:
        """Let everything hold that the file names; HALTED where it cannot be believed."""
        try:
            content = self._disk.read(self._path)
        except FileNotFoundError:
            self.is_fresh = True
            return
        except OSError as error:
            self._halt_damaged(f"latch file damaged: {self._path} cannot be read: {error}")
            return
        try:
            self.serial, restrictions = decode(content)
        except ValueError as error:
            self._keep_aside(content)
            self._halt_damaged(f"latch file damaged: {self._path}: {error}")
            return
        for one in restrictions:
            self._kept.hold(one)
        for one in restrictions:
            self._gate.hold(one)

    def adopt(self, serial: int, restrictions: Iterable[Restriction]) -> None:
        """Hold what another record knows as well; of both, the stricter stays.

        Args:
            serial: Number of the last change that the record knows; to be adopted where it is higher than
                the file's.
            restrictions: What held after it.
        """
        self.serial = max(self.serial, serial)
        for one in restrictions:
            self.hold(one)

    def hold(self, restriction: Restriction) -> bool:
        """Restrict trading, durably if the disk lets us; when this returns, it may be acted on.

        Returns:
            Whether anything changed. A refusal of the disk is in ``fault``; the restriction holds anyway.
        """
        changed = self._gate.hold(restriction)
        if changed is False and not self.is_durable:
            self.retry()
        return changed

    def note(self, restriction: Restriction) -> bool:
        """Make durable what something else enforces in this process: the next one holds it in its gate.

        Returns:
            Whether anything changed.
        """
        if not self._kept.hold(restriction):
            return False
        self._write_and_record("note", restriction)
        return True

    def lift(self, scope: Scope, origins: Collection[Origin]) -> tuple[Restriction, ...]:
        """Take away what is held for exactly this scope; only ever called for an operator's command.

        Returns:
            What was taken away; what only time ends stays.

        Raises:
            SafetyError: If the disk refuses. Everything holds on.
        """
        left = self._kept.copy()
        lifted = left.lift(scope, origins)
        if lifted or not self.is_durable:
            self.serial += 1
            try:
                self._disk.replace(self._path, encode(self.serial, left))
            except OSError as error:
                self._write()  # the refusal may have come after the replacement
                raise SafetyError(
                    f"{self._path}: expected a disk that takes the latch, found: {error}; nothing was "
                    "resumed; free space or repair the disk, and resume again"
                ) from error
        self.fault = ""
        self._kept = left
        for one in lifted:
            self._tell("lift", one)
        self._gate.lift(scope, origins)
        return lifted

    def expire(self, market_ts: int) -> tuple[Restriction, ...]:
        """Take away what a market time has ended.

        Returns:
            What was taken away. Where the disk refuses, the file keeps it, and the next process with it.
        """
        expired = self._kept.expire(market_ts)
        for one in expired:
            self._write_and_record("expire", one)
        if expired:
            self._gate.expire(market_ts)
        return expired

    def retry(self) -> bool:
        """Write again after a refusal of the disk.

        Returns:
            Whether the file now says what holds.
        """
        if not self.is_durable:
            self._write()
        return self.is_durable

    def _keep(self, restriction: Restriction) -> None:
        if restriction.origin is not Origin.SESSION and self._kept.hold(restriction):
            self._write_and_record("hold", restriction)

    def _write_and_record(self, action: str, restriction: Restriction) -> None:
        self._write()
        self._tell(action, restriction)

    def _write(self) -> None:
        self.serial += 1
        try:
            self._disk.replace(self._path, encode(self.serial, self._kept))
        except OSError as error:
            fault = f"the latch is not durable: {self._path}: {error}"
            if fault != self.fault:
                _LOG.critical(fault)
            self.fault = fault
        else:
            self.fault = ""

    def _tell(self, action: str, restriction: Restriction) -> None:
        fields = {
            "action": action,
            "restriction": as_fields(restriction),
            "serial": self.serial,
            "durable": self.is_durable,
            "holding": [as_fields(one) for one in self._kept],
        }
        try:
            self._record("latch", fields)
        except Exception:  # noqa: BLE001 - whatever it is
            # A record that cannot be taken must not stand in the way of a halt.
            _LOG.exception("a record of the latch was not taken: %s", fields)

    def _halt_damaged(self, reason: str) -> None:
        _LOG.critical(reason)
        self._gate.hold(Restriction(EVERYTHING, TradingState.HALTED, reason, "latch", self._now()))

    def _keep_aside(self, content: bytes) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            self._disk.replace(aside, content)
        except OSError as error:
            _LOG.warning("the damaged latch file was not kept aside: %s", error)


def as_fields(one: Restriction) -> dict[str, Any]:
    """A restriction as plain JSON values."""
    return {
        "scope": str(one.scope),
        "state": one.state.value,
        "reason": one.reason,
        "who": one.who,
        "ts_ns": one.ts_ns,
        "origin": one.origin.value,
        "automatic": one.automatic,
        "until_ts": one.until_ts,
    }


def from_fields(fields: dict[str, Any]) -> Restriction:
    """Read what `as_fields` gave.

    Raises:
        ValueError: If it did not.
    """
    try:
        one = Restriction(
            scope=Scope.parse(fields["scope"]),
            state=TradingState(fields["state"]),
            reason=fields["reason"],
            who=fields["who"],
            ts_ns=fields["ts_ns"],
            origin=Origin(fields["origin"]),
            until_ts=fields["until_ts"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a restriction, found {fields!r}") from error
    if as_fields(one) != fields:
        raise ValueError(f"expected a restriction, found {fields!r}")
    return one


def encode(serial: int, restrictions: Iterable[Restriction]) -> bytes:
    """The one form of the file: canonical JSON with a checksum over the rest."""
    held = {"format": _FORMAT, "restrictions": [as_fields(one) for one in restrictions], "serial": serial}
    return _canonical(held | {"checksum": hashlib.sha256(_canonical(held)).hexdigest()}) + b"\n"


def decode(content: bytes) -> tuple[int, tuple[Restriction, ...]]:
    """Read a file that `encode` gave, to the byte.

    Raises:
        ValueError: If it is anything else.
    """
    try:
        document = json.loads(content)
        serial = document["serial"]
        restrictions = tuple(from_fields(fields) for fields in document["restrictions"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"expected a latch file, found {content[:60]!r}") from error
    if encode(serial, restrictions) != content:
        raise ValueError("expected the bytes that the checksum was taken of, found others")
    return serial, restrictions


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
