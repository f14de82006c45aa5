"""Guarded engine callbacks.

The engine logs an exception that a Python callback raises and goes on as if all was well (even for
``KeyboardInterrupt``), so a strategy could keep trading on half-updated state. Every callback of ours
is wrapped: the first exception is kept and the owner's ``contain`` is called. From then on its `guarded`
callbacks do nothing; its `contained` ones go on, for the venue fills orders whether we are well or not.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol


class Guarded(Protocol):
    """Something whose callbacks are wrapped by `guarded`."""

    failure: BaseException | None
    """The first exception that escaped a callback; None while all is well."""

    def contain(self, where: str, error: BaseException) -> None:
        """React to the first fault: stop trading and say so. Must not raise."""


def guarded[**P, R](callback: Callable[P, R]) -> Callable[P, R | None]:
    """Wrap a method so that an exception is contained rather than swallowed."""

    @functools.wraps(callback)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        owner: Any = args[0]
        if owner.failure is not None:
            return None
        try:
            return callback(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt too: the engine would swallow it
            owner.failure = error
            owner.contain(callback.__name__, error)
            return None

    return wrapper


def contained[**P, R](callback: Callable[P, R]) -> Callable[P, R | None]:
    """Wrap a method that must go on after a fault: booking what the venue did, obeying an operator."""

    @functools.wraps(callback)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        owner: Any = args[0]
        try:
            return callback(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - as above
            if owner.failure is None:
                owner.failure = error
            owner.contain(callback.__name__, error)
            return None

    return wrapper
