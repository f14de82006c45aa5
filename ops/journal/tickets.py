"""Tickets: what a caller holds until its record is on the disk."""

from collections.abc import Callable


class Ticket:
    """The fate of one record. Lives on the loop, as its callbacks do."""

    __slots__ = ("_callbacks", "fault", "is_durable", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        """The record's number; 0 where the journal had failed before and took no record."""
        self.is_durable = False
        """Whether it is on the disk."""
        self.fault: OSError | None = None
        """Why it is not known to be on the disk; it may be there all the same."""
        self._callbacks: list[Callable[[Ticket], None]] = []

    @property
    def is_settled(self) -> bool:
        """Whether its fate is known."""
        return self.is_durable or self.fault is not None

    def then(self, callback: Callable[["Ticket"], None]) -> None:
        """Call back on the loop, exactly once, when the fate is known; at once where it is known already.

        A stalled disk settles nothing, so whoever cannot wait needs a deadline of its own.
        """
        if self.is_settled:
            callback(self)
        else:
            self._callbacks.append(callback)

    def settle(self, fault: OSError | None) -> list[Exception]:
        """Say what became of the record; for the journal only, once.

        Returns:
            What the callbacks raised: each is called whatever the others do.
        """
        self.fault, self.is_durable = fault, fault is None
        callbacks, self._callbacks = self._callbacks, []
        raised = []
        for callback in callbacks:
            try:
                callback(self)
            except Exception as error:  # noqa: BLE001 - handed to the caller, which raises it
                raised.append(error)
        return raised
