"""The daemon's end of a reader: questions go out, answers come back, and the loop only passes bytes on.

Flow: route → **archive** → reader process → index, or what runs have left.

The reader is given one question at a time, and none whose asker has given up.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ops.api.problems import ProblemError
from ops.journal.questions import Question

PATIENCE_SECS = 10.0
"""How long a question may take before the answer is to come later."""
MOST_WAITING = 8
"""Questions at a time."""
IDLE_SECS = 300.0
"""After so long without a question the process ends; the next one starts it again."""
_SPAWN_SECS = 5.0
_END_SECS = 2.0
_ROOT = Path(__file__).resolve().parent.parent.parent


class Archive:
    """Answers questions about the past of one state directory.

    Args:
        state_dir: Where the journal lies.
        monotonic: Clock, seconds.
        patience_secs: See `PATIENCE_SECS`.
        command: Starts the reader; None is that of the journal.
        why_slow: Said where an answer takes longer.
    """

    def __init__(
        self,
        state_dir: Path,
        monotonic: Callable[[], float],
        *,
        patience_secs: float = PATIENCE_SECS,
        command: Sequence[str] | None = None,
        why_slow: str = "the index is being made from a long journal; ask again",
    ) -> None:
        ours = (sys.executable, "-P", "-m", "ops.api.reader", str(state_dir.resolve()))
        self._command = tuple(command or ours)
        self._monotonic = monotonic
        self._why_slow = why_slow
        self._patience_secs = patience_secs
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._started_at = -_SPAWN_SECS
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._lines: deque[tuple[int, bytes]] = deque()
        self._is_busy = False
        self._number = 0
        self._idle: asyncio.TimerHandle | None = None

    async def page(self, question: Question, asked: dict[str, Any]) -> bytes:
        """Answer a question with a page, as JSON.

        Args:
            asked: Fields of `ops.journal.questions.Filter`; the cursor as text.

        Raises:
            ProblemError: If it cannot be answered now.
        """
        return await self.ask({"question": question.value, "filter": asked})

    async def ask(self, asked: dict[str, Any]) -> bytes:
        """Pass a question on.

        Args:
            asked: What the reader takes.

        Returns:
            What the reader answers, as JSON.

        Raises:
            ProblemError: If it cannot be answered now, or the reader says that it never can.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise ProblemError(503, "too many questions about the past", retry_after_secs=1.0)
        self._number += 1
        number, future = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await asyncio.shield(self._running())  # whoever gives up ends no start that others wait for
            self._lines.append((number, json.dumps({"id": number, **asked}).encode() + b"\n"))
            self._pass_on()
            return await asyncio.wait_for(future, self._patience_secs)
        except TimeoutError:
            raise ProblemError(503, self._why_slow, retry_after_secs=5.0) from None
        finally:
            self._waiting.pop(number, None)
            self._wait_for_more()

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        process, listening = self._process, self._listening
        if process is None or listening is None:
            return
        self._hang_up()
        try:
            await asyncio.wait_for(process.wait(), _END_SECS)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening

    def _pass_on(self) -> None:
        """Give the reader the next question that somebody still waits for, unless it works on one."""
        process = self._process
        while self._lines and not self._is_busy and process is not None and process.stdin is not None:
            number, line = self._lines.popleft()
            if number in self._waiting:
                self._is_busy = True
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(line)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            if self._monotonic() - self._started_at < _SPAWN_SECS:
                raise ProblemError(503, "the reader has just ended", retry_after_secs=_SPAWN_SECS)
            self._started_at = self._monotonic()
            self._is_busy = False
            # Neither our environment's secrets nor our working directory are its business.
            paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
            )
            self._listening = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while header := await process.stdout.readline():
                number, status, length = map(int, header.split())
                body = await process.stdout.readexactly(length)
                self._is_busy = False
                self._pass_on()
                future = self._waiting.get(number)
                if future is None or future.done():
                    continue  # whoever asked has given up
                if status == 200:
                    future.set_result(body)
                else:
                    future.set_exception(ProblemError(status, body.decode(errors="replace")))
        await process.wait()
        if self._process not in (process, None):
            return  # it rested, and another one answers
        self._is_busy = False
        self._lines.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ProblemError(503, "the reader ended", retry_after_secs=_SPAWN_SECS))

    def _wait_for_more(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECS, self._rest)

    def _rest(self) -> None:
        if not self._waiting:
            self._hang_up()
            self._started_at = self._monotonic() - _SPAWN_SECS

    def _hang_up(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
