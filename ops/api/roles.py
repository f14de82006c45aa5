"""Who asks, and what they may do.

    viewer < operator < admin

A viewer looks. An operator also restricts trading, lifts what was restricted, and starts work beside it. An
admin also stops the daemon, arms it, says which model is to trade, and takes what an account holds as
somebody else's. Whoever may write to the unix socket is
an admin: the permission of the file says so, and the kernel says who it is.
"""

from enum import IntEnum
from typing import Any, NamedTuple

CALLER = "argonaut.caller"
"""Where a request's scope says who asks."""


class Role(IntEnum):
    """What somebody may do; a higher one may all that a lower one may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Its name for people and files."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Role":
        """Read a word.

        Raises:
            ValueError: If it is none.
        """
        for role in cls:
            if role.word == word:
                return role
        raise ValueError(f"expected one of {[role.word for role in cls]}, found {word!r}")


class Caller(NamedTuple):
    """Whoever has sent a request, as far as that was proved."""

    who: str
    """For the record, for example ``uid 1000`` or ``token operator-1f0c9a7e``; never a token."""
    role: Role

    def named(self, claimed: str | None) -> str:
        """For the record: the name that the request claims, if any, beside what was proved."""
        return self.who if claimed is None else f"{claimed} ({self.who})"


ANYBODY = Caller("anybody on this machine", Role.VIEWER)
"""Who asks without a token where that is allowed."""


def caller_of(scope: Any) -> Caller | None:
    """Who asks; None where nobody proved to be anybody."""
    caller: Caller | None = scope.get(CALLER)
    return caller
