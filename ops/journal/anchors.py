"""Anchors: the newest head, said in a place that the daemon cannot rewrite.

The journal is tamper-evident up to the last anchor, nothing more: whoever holds the signing key can write
another history after it.
"""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import NamedTuple, Protocol

from strategies.errors import ConfigError

_LOG = logging.getLogger("argonaut.journal.anchor")
_PATIENCE_SECS = 1.0
_BEGINNING = '{"seq": '


class AnchoredHead(NamedTuple):
    """A record that must be in the journal."""

    seq: int
    """Number of the record; 0 where only the hash is known."""
    head: str
    """Its hash, 64 hex digits."""


class Anchor(Protocol):
    """A place outside."""

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        """Say that a record is durable; called on the loop and must not wait for long.

        Args:
            seq: Number of the record.
            head: Its hash, 64 hex digits.
            ts_ns: Time of the record, UTC nanoseconds.

        Raises:
            OSError: If it, or one before it, could not be said; the journal goes on.
        """

    def close(self) -> None:
        """Say what still waits, in a second at most; called last."""


class LogAnchor:
    """A line in the log, which systemd's journal keeps apart from the state directory."""

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        _LOG.info("journal anchor: record %d has hash %s", seq, head, extra={"ts_ns": ts_ns})

    def close(self) -> None:
        """Nothing waits."""


class FileAnchor:
    """Lines of JSON in a file, best on another disk or a mount that only allows appending."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        line = json.dumps({"seq": seq, "head": head, "ts_ns": ts_ns}) + "\n"
        with self._path.open("ab") as file:
            file.write((b"\n" if self._is_torn() else b"") + line.encode("ascii"))

    def _is_torn(self) -> bool:
        """Whether the last line has no end: a crash or a full disk cut it short."""
        with self._path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def close(self) -> None:
        """Nothing waits."""


class ThreadedAnchor:
    """Another anchor, asked from a thread: a place that hangs, such as a network mount, holds up nobody.

    Args:
        anchor: Where heads are said.
        most_waiting: Heads that may wait for it; one more is refused.
    """

    def __init__(self, anchor: Anchor, most_waiting: int = 1_000) -> None:
        self._anchor = anchor
        self._waiting: Queue[tuple[int, str, int] | None] = Queue(most_waiting)
        self._fault: OSError | None = None
        # Of the kind that a process does not wait for when it ends.
        self._thread = Thread(target=self._work, name="journal-anchor", daemon=True)
        self._thread.start()

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        fault, self._fault = self._fault, None
        try:
            self._waiting.put_nowait((seq, head, ts_ns))
        except Full:
            raise TimeoutError(f"{self._waiting.maxsize} heads wait already, the place takes none") from fault
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Say what still waits, in a second at most."""
        with suppress(Full):
            self._waiting.put_nowait(None)
        self._thread.join(_PATIENCE_SECS)
        if self._thread.is_alive() or self._fault is not None:
            _LOG.error(
                "journal anchor: the newest heads could not be anchored: %s", self._fault or "no answer"
            )

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            try:
                self._anchor.publish(*one)
            except OSError as error:
                self._fault = error


def read_anchors(path: Path) -> list[AnchoredHead]:
    """The heads in a file that `FileAnchor` wrote; a line that a crash cut short holds none.

    Raises:
        ConfigError: If a line is something else.
        OSError: If it cannot be read.
    """
    heads = []
    for number, line in enumerate(path.read_text("ascii").splitlines(), start=1):
        try:
            fields = json.loads(line)
            heads.append(AnchoredHead(int(fields["seq"]), str(fields["head"])))
        except (ValueError, KeyError, TypeError):
            if line.startswith(_BEGINNING[: len(line)]) and not line.endswith("}"):
                continue
            raise ConfigError(
                f"{path}:{number}: expected an anchor with seq and head, found {line[:80]!r}"
            ) from None
    return heads
