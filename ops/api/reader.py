"""The process that reads the journal's index, so that no question costs the trading loop anything.

It is the daemon's child: it answers lines on its standard input, and ends when that does. Each line is a JSON
object with an id, a question and its filter; each answer is a line of id, status and length, then a body.
"""

import contextlib
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import IO, Any

from pydantic_core import to_json

from ops.journal.index import JournalIndex, open_index
from ops.journal.questions import Cursor, Filter, Question
from ops.journal.reading import BrokenChainError
from ops.state_dir import INDEX, JOURNAL

_NICENESS = 10


def answer(index: JournalIndex, asked: dict[str, Any]) -> tuple[int, bytes]:
    """Answer one question.

    Returns:
        HTTP status, and the body: a page, or what is wrong as text.
    """
    chosen = dict(asked["filter"])
    if chosen.get("before") is not None:
        chosen["before"] = Cursor.parse(chosen["before"])
    try:
        index.update()
    except (BrokenChainError, OSError) as error:
        return 503, str(error).encode()
    page = index.page(Question(asked["question"]), Filter(**chosen))
    return 200, to_json(page._asdict(), inf_nan_mode="null")


def serve(state_dir: Path, lines: IO[bytes], out: IO[bytes]) -> None:
    """Answer questions until there are no more.

    Where the index's file cannot be used any more, it is opened again, in memory if need be.
    """
    held: list[dict[str, Any]] = []
    while True:
        try:
            with open_index(state_dir / JOURNAL, state_dir / INDEX) as index:
                for asked in _asked(held, lines):
                    held[:] = [asked]
                    status, body = answer(index, asked)
                    held.clear()
                    out.write(b"%d %d %d\n%b" % (asked["id"], status, len(body), body))
                    out.flush()
            return
        except sqlite3.Error as error:
            if not held or held[0].get("again"):
                raise
            held[0]["again"] = True
            sys.stderr.write(f"the index is opened again: {error}\n")
        except BrokenChainError as error:
            if held:
                body = str(error).encode()
                out.write(b"%d 503 %d\n%b" % (held.pop()["id"], len(body), body))
                out.flush()
            line = lines.readline()
            if not line:
                return
            held.append(json.loads(line))  # it may be mended by now: look again for whoever asks


def _asked(held: list[dict[str, Any]], lines: IO[bytes]) -> Any:
    yield from tuple(held)
    for line in lines:
        yield json.loads(line)


def main() -> None:
    """Serve the state directory that the command line names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon says when to end
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
