"""Anchors: the newest head, said in a place that the daemon cannot rewrite.

The journal is tamper-evident up to the last anchor, nothing more: whoever holds the signing key can write
another history after it.
"""

import json
import logging
from pathlib import Path
from typing import NamedTuple, Protocol

from strategies.errors import ConfigError

_LOG = logging.getLogger("argonaut.journal.anchor")


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
            OSError: If it could not be said; the journal goes on.
        """


class LogAnchor:
    """A line in the log, which systemd's journal keeps apart from the state directory."""

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        _LOG.info("journal anchor: record %d has hash %s", seq, head, extra={"ts_ns": ts_ns})


class FileAnchor:
    """Lines of JSON in a file, best on another disk or a mount that only allows appending."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        with self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps({"seq": seq, "head": head, "ts_ns": ts_ns}) + "\n")


def read_anchors(path: Path) -> list[AnchoredHead]:
    """The heads in a file that `FileAnchor` wrote.

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
            raise ConfigError(
                f"{path}:{number}: expected an anchor with seq and head, found {line[:80]!r}"
            ) from None
    return heads
