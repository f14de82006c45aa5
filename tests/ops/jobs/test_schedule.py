"""Slots by the calendar, and what is refused."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ops.jobs.schedule import parse_schedule


def at(text: str) -> int:
    """Seconds since 1970 of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is put forward on 2026-03-29 and back on 2026-10-25."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "now", "newest", "following"),
    [
        # 2026-11-26 is a Thursday.
        ("30 2 * * *", "2026-11-26T02:29:59", "2026-11-25T02:30:00", "2026-11-26T02:30:00"),
        ("30 2 * * *", "2026-11-26T02:30:00", "2026-11-26T02:30:00", "2026-11-27T02:30:00"),
        ("0 3 * * sun", "2026-11-26T12:00:00", "2026-11-22T03:00:00", "2026-11-29T03:00:00"),
        ("0 3 * * mon-fri", "2026-11-28T12:00:00", "2026-11-27T03:00:00", "2026-11-30T03:00:00"),
        ("0 0 1 * *", "2026-11-26T12:00:00", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("0 0 29 2 *", "2026-11-26T12:00:00", "2024-02-29T00:00:00", "2028-02-29T00:00:00"),
        ("*/20 * * * *", "2026-11-26T12:30:00", "2026-11-26T12:20:00", "2026-11-26T12:40:00"),
        ("every 6h", "2026-11-26T13:00:00", "2026-11-26T12:00:00", "2026-11-26T18:00:00"),
        ("every 90s", "1970-01-01T00:04:00", "1970-01-01T00:03:00", "1970-01-01T00:04:30"),
    ],
)
def test_slots_are_those_of_the_calendar_in_utc(text: str, now: str, newest: str, following: str) -> None:
    schedule = parse_schedule(text)

    assert schedule.newest_by(at(now)) == at(newest)
    assert schedule.next_after(at(now)) == at(following)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_day_on_which_clocks_change_has_each_slot_once(day: str) -> None:
    assert time.localtime(at(f"{day}T12:00:00")).tm_isdst != time.localtime(at(f"{day}T00:30:00")).tm_isdst

    for text in ("30 0 * * *", "30 1 * * *", "30 2 * * *"):
        schedule, moment, slots = parse_schedule(text), at(f"{day}T00:00:00") - 1, []
        while (following := schedule.next_after(moment)) is not None and following < at(day) + 86_400:
            slots.append(following)
            moment = following
        assert slots == [at(f"{day}T0{text.split()[1]}:30:00")]
    hours = [parse_schedule("every 1h").next_after(at(day) + 3600 * hour - 1) for hour in range(24)]
    assert hours == [at(day) + 3600 * hour for hour in range(24)]


def test_schedule_that_is_off_has_no_slot() -> None:
    assert parse_schedule("off").newest_by(at("2026-11-26")) is None
    assert parse_schedule("off").next_after(at("2026-11-26")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found 0 fields"),
        ("daily", "found 1 fields"),
        ("60 2 * * *", "'60'"),
        ("30 2 * * foo", '"foo"'),
        ("0 5-2 * * *", "minimum"),
        ("*/0 * * * *", "Increment"),
        ("0 0 31 2 *", "no calendar has"),
        ("30 2 * * 0", "by name"),
        ("30 2 1 * mon", "not both"),
        ("every 6", "one number of s, m, h or d"),
        ("every 6 h", "one number of s, m, h or d"),
        ("every 6w", "one number of s, m, h or d"),
        ("every 9s", "from 10 s to 366 d"),
        ("every 367d", "from 10 s to 366 d"),
    ],
)
def test_schedule_that_makes_no_sense_is_refused_and_says_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        parse_schedule(text)

    assert expected in str(refused.value)
