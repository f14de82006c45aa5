"""Ctrl-C that cannot get lost.

The engine logs and forgets a ``KeyboardInterrupt`` that lands in a callback, and so does compiled code that
happens to be importing a module or looking up an attribute. So the signal is also remembered, and whoever
runs long asks between two steps whether it came.
"""

import contextlib
import signal
from collections.abc import Iterator


class Interrupts:
    """Remembers that Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def check(self) -> None:
        """End here if Ctrl-C was pressed, wherever it was swallowed.

        Raises:
            KeyboardInterrupt: If it was.
        """
        if self.pressed:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def remembered(self, number: signal.Signals = signal.SIGINT) -> Iterator["Interrupts"]:
        """Remember Ctrl-C while the block runs, and interrupt what runs as ever. On the main thread only.

        Args:
            number: Signal that is taken for it.
        """
        before = signal.signal(number, self._on_signal)
        try:
            yield self
        finally:
            signal.signal(number, before)

    def _on_signal(self, *_: object) -> None:
        self.pressed = True
        raise KeyboardInterrupt
