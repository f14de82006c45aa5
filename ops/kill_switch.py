"""The kill switch that needs no program: a file named ``KILL_SWITCH`` in the state directory.

Its appearance kills, at once and not at the next look; its content may name a mode (``halt``,
``reduce-only``, ``flatten``), and anything else halts. Its removal resumes nothing: it only allows a resume.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from asyncinotify import Inotify, Mask

from ops.kill_mode import KillMode

_LOG = logging.getLogger(__name__)

KILL_SWITCH = "KILL_SWITCH"
"""Name of the file in the state directory."""

_CONTENT_SECS = 0.03
"""Time for whoever creates the file to write into it; a kill waits no longer."""
_LONGEST = 100
_APPEARS = Mask.CREATE | Mask.MOVED_TO | Mask.CLOSE_WRITE
_ENDS = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT | Mask.IGNORED | Mask.Q_OVERFLOW


class KillSwitch:
    """Watches the state directory for the file.

    Args:
        folder: The state directory.
        kill: Called with the mode and a reason when the file is there, or when it can no longer be seen.
    """

    def __init__(self, folder: Path, kill: Callable[[KillMode, str], None]) -> None:
        self._path = folder / KILL_SWITCH
        self._kill = kill
        self._inotify: Inotify | None = None

    @property
    def is_present(self) -> bool:
        """Whether the file is there; also where the disk does not tell."""
        return is_present(self._path.parent)

    def open(self) -> None:
        """Begin to watch, and kill if the file is there already.

        Raises:
            OSError: If the system refuses to watch; then nobody would notice the file.
        """
        self._inotify = Inotify()
        try:
            self._inotify.add_watch(self._path.parent, _APPEARS | Mask.DELETE_SELF | Mask.MOVE_SELF)
        except OSError:
            self.close()
            raise
        if self.is_present:
            self._kill(self._mode(), f"{self._path} was there at the start")

    async def watch(self) -> None:
        """Kill whenever the file appears or is written to; until `close` or cancellation.

        A fault of the watch itself kills, too: from then on the file would go unnoticed.
        """
        assert self._inotify is not None, "open it first"
        try:
            while True:
                event = await self._inotify.get()
                if event.mask & _ENDS:
                    self._kill(KillMode.HALT, f"{self._path} cannot be watched any more ({event.mask!r})")
                    return
                if event.name is not None and os.fspath(event.name) == KILL_SWITCH:
                    if event.mask & Mask.CREATE:
                        await asyncio.sleep(_CONTENT_SECS)
                    self._kill(self._mode(), f"{self._path} appeared")
        except Exception as error:  # noqa: BLE001 - fail closed
            _LOG.exception("the kill switch is not watched any more")
            self._kill(KillMode.HALT, f"{self._path} cannot be watched any more: {error}")

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _mode(self) -> KillMode:
        try:
            with self._path.open("rb") as file:
                word = file.read(_LONGEST).decode().strip()
            return KillMode(word) if word else KillMode.HALT
        except (OSError, ValueError):
            _LOG.warning("%s names no mode; it halts", self._path)
            return KillMode.HALT


def is_present(folder: Path) -> bool:
    """Whether a state directory has the file; also where the disk does not tell."""
    try:
        (folder / KILL_SWITCH).lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
