"""What was looked at, how it was found, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.exit_codes import ExitCode


class Level(StrEnum):
    """How bad something is."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong, and it should be known."""
    BAD = "bad"
    """It has to be mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer."""

    subject: str
    """What was looked at, in a word or two."""
    level: Level
    found: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""
    exit_code: ExitCode = ExitCode.FINDINGS
    """What a command that finds it bad ends with."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "subject": self.subject,
            "level": self.level.value,
            "found": self.found,
            "advice": self.advice,
            "exit_code": int(self.exit_code) if self.level is Level.BAD else 0,
        }


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """That of the first thing that is bad."""
    return next((one.exit_code for one in findings if one.level is Level.BAD), ExitCode.OK)
