"""A start that need not read all that the journal says: what a later record replaces is not decoded.

Flow: lines of the journal → **quick recall** → recall.

Most of a journal is states, decisions on the way to them, and bars, and of these a restart needs the newest
alone. Lines wait undecoded until something shows that they count; the memory that comes out is the one that
all of them, taken one after the other, make.
"""

import re

from ops.journal import Kind
from ops.journal.reading import StoredLine
from ops.journal.records import LineError, decode
from ops.recall import Recall
from strategies.errors import SafetyError

_HEAD = re.compile(
    rb'\{"seq":\d+,"ts_ns":(-?\d+),"kind":"[a-z_]+","body":\{(?:"ts_event":\d+,)?'
    rb'(?:"strategy":"([^"\\]*)"|"account":)?'
)
_WAITING = frozenset({Kind.STATE, Kind.DECISION})
_SHARED = b""
"""Owner of the state that all strategies share; no strategy has an empty name."""


class QuickRecall:
    """Feeds a recall with the lines of a journal, oldest first.

    Args:
        recall: What it fills; whole after `settle`.
    """

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._waiting: dict[bytes, list[bytes]] = {}
        """By owner: the newest state, and decisions after it."""

    def take(self, line: StoredLine) -> None:
        """Take in the next line, whose hash was checked.

        Raises:
            SafetyError: If it is not what this version writes.
        """
        head = _HEAD.match(line.content)
        if head is None:
            self._take_whole(line)
            return
        self._recall.last_ts_ns = max(self._recall.last_ts_ns, int(head[1]))
        if not self._recall.remembers(line.kind):
            return
        owner = head[2]
        if line.kind in _WAITING and (owner or head[0].endswith(b'"account":')):
            self._wait(owner or _SHARED, line)
        elif owner:
            self._settle(owner)
            self._take(line.content)
        else:
            self._take_whole(line)

    def settle(self) -> None:
        """Decode what still waits: the recall is what the lines so far make of it.

        Raises:
            SafetyError: If one is not what this version writes.
        """
        for owner in list(self._waiting):
            self._settle(owner)

    def _wait(self, owner: bytes, line: StoredLine) -> None:
        if line.kind is Kind.STATE:
            self._waiting[owner] = [line.content]
        else:
            self._waiting.setdefault(owner, []).append(line.content)

    def _take_whole(self, line: StoredLine) -> None:
        self.settle()
        self._take(line.content)

    def _settle(self, owner: bytes) -> None:
        for content in self._waiting.pop(owner, ()):
            self._take(content)

    def _take(self, content: bytes) -> None:
        try:
            record = decode(content)
        except LineError as error:
            raise SafetyError(f"journal: {error}; nothing was started") from error
        self._recall.take(record)
