"""How many bars make a year: the one place where annualisation is decided."""

from dataclasses import dataclass

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Calendar:
    """Trading time of a market, said explicitly rather than guessed from the data."""

    bar_interval_ns: int
    days_per_year: float
    """Sessions a year: 365 where trading never stops, 252 for US equities."""
    session_hours: float = 24.0
    """Trading hours of one session."""

    def __post_init__(self) -> None:
        if self.bar_interval_ns <= 0 or self.days_per_year <= 0 or not 0 < self.session_hours <= 24:
            raise ValueError(
                "calendar: expected a positive bar interval, positive days a year and hours a day up to 24, "
                f"found {self.bar_interval_ns} ns, {self.days_per_year} and {self.session_hours}"
            )

    @classmethod
    def crypto(cls, bar_interval_ns: int) -> "Calendar":
        """Every hour of 365 days."""
        return cls(bar_interval_ns, days_per_year=365.0)

    @classmethod
    def us_equity(cls, bar_interval_ns: int) -> "Calendar":
        """252 sessions of six and a half hours."""
        return cls(bar_interval_ns, days_per_year=252.0, session_hours=6.5)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of this market; a daily bar is one a session, however long the session is."""
        if self.bar_interval_ns >= DAY_NS:
            return self.days_per_year * DAY_NS / self.bar_interval_ns
        return self.days_per_year * self.session_hours * HOUR_NS / self.bar_interval_ns
