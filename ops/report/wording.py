"""Numbers as people read them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ops.report.markup import Markup, element, joined

ABSENT = "–"


def instant(ts_ns: int) -> str:
    """UTC time to the minute."""
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction in percent."""
    return ABSENT if value is None else f"{_plain(100.0 * value, digits)} %"


def signed_percent(value: float | None, digits: int = 2) -> str:
    """A fraction in percent, its sign always shown."""
    return ABSENT if value is None else f"{_signed(100.0 * value, digits)} %"


def number(value: float | None, digits: int = 2) -> str:
    """A number with thousands separated."""
    return ABSENT if value is None else _plain(value, digits)


def signed_number(value: float | None, digits: int = 2) -> str:
    """A number with its sign always shown."""
    return ABSENT if value is None else _signed(value, digits)


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return ABSENT
    left, parts = round(seconds), []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def statistic(found: Mapping[str, Any] | None, wording: Any, **options: Any) -> Markup:
    """A value with its interval beneath."""
    if found is None or found["value"] is None:
        return element("span", ABSENT, class_="absent")
    value = element("span", wording(found["value"], **options), class_=tone(found["value"]))
    if found["ci_low"] is None:
        return value
    low, high = (wording(found[key], **options).removesuffix(" %") for key in ("ci_low", "ci_high"))
    return joined([value, element("span", f"{low} … {high}", class_="ci")])


def tone(value: float) -> str | None:
    """Class of a gain or a loss."""
    if value == 0:
        return None
    return "up" if value > 0 else "down"


def _plain(value: float, digits: int) -> str:
    written = f"{value:,.{digits}f}"
    # Minus nil is nil; a true minus lines up with the plus.
    if float(written.replace(",", "")) == 0:
        written = written.lstrip("-")
    return written.replace("-", "−")


def _signed(value: float, digits: int) -> str:
    written = _plain(value, digits)
    nil = not any(digit in written for digit in "123456789")
    return written if written.startswith("−") or nil else f"+{written}"
