"""When a job is due: a crontab line or an interval, in UTC, as a set of slots.

A slot is a moment that the schedule names. Slots are a function of the schedule alone, never of when the
daemon was started, so that two starts agree on which run is which.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

OFF = "off"
"""A schedule without slots: the job runs on an operator's word only."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_SECS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SHORTEST_SECS = 10
_FIRST_LOOK_BACK_SECS = 3600
_EXPECTED = 'expected five crontab fields in UTC such as "30 2 * * mon", "every 6h", or "off"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """The slots of one job."""

    text: str
    """As it was written."""
    trigger: BaseTrigger | None
    """APScheduler's; None of a schedule that is off."""

    def next_after(self, at: int) -> int | None:
        """The first slot after a moment; None where there is none.

        Args:
            at: Seconds since 1970.
        """
        if self.trigger is None:
            return None
        found = self.trigger.get_next_fire_time(None, _EPOCH + timedelta(seconds=at + 1))
        return None if found is None else _secs(found)

    def newest_by(self, at: int) -> int | None:
        """The newest slot up to a moment: those before it have been missed together, and are one.

        Args:
            at: Seconds since 1970.
        """
        look_back = _FIRST_LOOK_BACK_SECS
        while self.trigger is not None:
            begin = max(-1, at - look_back)
            newest, following = None, self.next_after(begin)
            while following is not None and following <= at:
                newest, following = following, self.next_after(following)
            if newest is not None or begin == -1:
                return newest
            look_back *= 8
        return None


@cache
def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Args:
        text: Five crontab fields (minute, hour, day of month, month, day of week), ``every`` and a number of
            ``s``, ``m``, ``h`` or ``d``, or ``off``. Times are UTC, so no slot is skipped or comes twice when
            clocks change. Intervals count from 1970-01-01.

    Raises:
        ValueError: If it is something else; the text says what was expected.
    """
    words = text.split()
    if words == [OFF]:
        return Schedule(text, None)
    if words[:1] == ["every"]:
        return Schedule(text, _interval(words[1:]))
    return Schedule(text, _cron(words))


def _interval(words: list[str]) -> IntervalTrigger:
    number, unit = (words[0][:-1], words[0][-1:]) if len(words) == 1 else ("", "")
    if not (number.isascii() and number.isdigit()) or unit not in _UNIT_SECS:
        raise ValueError('expected "every" and one number of s, m, h or d, such as "every 6h"')
    secs = int(number) * _UNIT_SECS[unit]
    if secs < _SHORTEST_SECS or secs > 366 * _UNIT_SECS["d"]:
        raise ValueError(f"expected an interval from {_SHORTEST_SECS} s to 366 d")
    return IntervalTrigger(seconds=secs, start_date=_EPOCH, timezone=UTC)


def _cron(words: list[str]) -> CronTrigger:
    if len(words) != 5:
        raise ValueError(f"{_EXPECTED}; found {len(words)} fields")
    minute, hour, day, month, weekday = words
    if any(letter.isdigit() for letter in weekday):
        # Cron counts from Sunday, APScheduler from Monday (its issue 286): a number would be a trap.
        raise ValueError("expected days of the week by name, sun to sat, not by number")
    if day != "*" and weekday != "*":
        # Cron takes either, APScheduler only days that are both.
        raise ValueError("expected a day of the month or a day of the week, not both; write two as one or *")
    try:
        trigger = CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone=UTC
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_EXPECTED}; {error}") from None
    if trigger.get_next_fire_time(None, _EPOCH) is None:
        raise ValueError(f"{_EXPECTED}; found a day that no calendar has")
    return trigger


def _secs(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)
