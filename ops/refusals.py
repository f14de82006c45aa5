"""How a command is turned down. Imports nothing, for commands that have to answer at once."""


class RefusedError(Exception):
    """A command was not carried out; the text says why and what to do.

    Args:
        message: For the operator.
        retry_after_secs: When it may be asked for again; None where time alone changes nothing.
        is_unknown: Whether the command names something that there is not, or is none at all.
    """

    def __init__(
        self, message: str, *, retry_after_secs: float | None = None, is_unknown: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_secs = retry_after_secs
        self.is_unknown = is_unknown
