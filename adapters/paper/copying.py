"""A copy of a paper venue's file while the venue trades, made beside the loop.

Flow: store, held still → a process of its own copies the file → marked as at rest.

What the file holds does not change meanwhile: what the venue saves goes to the file's log.
"""

import asyncio
import sqlite3
from pathlib import Path

from adapters.errors import StateWriteError
from adapters.paper.store import VenueStore, put_at_rest


async def copy_store(store: VenueStore, path: Path) -> None:
    """Copy the file as it was saved last; the instant is that of the call, before anything is awaited.

    One copy at a time: a second one would change the file under the first.

    Args:
        path: Of the copy; what was there is replaced.

    Raises:
        StateWriteError: If the disk refuses; nothing is left behind.
    """
    try:
        with store.held_still():
            await asyncio.to_thread(_make_way, path)
            # Another process: see `VenueStore.held_still`.
            copying = await asyncio.create_subprocess_exec(
                "cp", "--", str(store.path), str(path), stderr=asyncio.subprocess.PIPE
            )
            _, said = await copying.communicate()
        if copying.returncode:
            raise OSError(said.decode(errors="replace").strip())
        await asyncio.to_thread(put_at_rest, path)
    except (sqlite3.Error, OSError) as error:
        path.unlink(missing_ok=True)
        raise StateWriteError(f"{path}: expected to copy the paper venue's memory, found: {error}") from error


def _make_way(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
