"""Working days in Denmark. They decide operational dates only: weekends and holidays never extend a legal limit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache

import holidays

from gtgateway.errors import ConfigurationError


class Calendar:
    """Monday to Friday except public holidays and the days (MM-DD) that are closed by custom."""

    def __init__(self, closed_by_custom: Iterable[str] = ()) -> None:
        """Raises ConfigurationError that names every day that is no MM-DD."""
        days = tuple(closed_by_custom)
        if wrong := [day for day in days if not _is_month_day(day)]:
            raise ConfigurationError(f"Closed days are written MM-DD: {', '.join(wrong)}.")
        self._custom = frozenset((int(day[:2]), int(day[3:])) for day in days)

    def is_working_day(self, day: date) -> bool:
        return (
            day.weekday() < 5
            and (day.month, day.day) not in self._custom
            and (day.month, day.day) not in _public_holidays(day.year)
        )

    def last_working_day(self, first: date, legal: date) -> date | None:
        """The last working day from `first` to `legal`, both included; None when there is none."""
        day = legal
        while day >= first:
            if self.is_working_day(day):
                return day
            day -= timedelta(days=1)
        return None

    def working_days(self, after: date, until: date) -> int:
        """How many working days lie after a day, up to and including another."""
        days = range(after.toordinal() + 1, until.toordinal() + 1)
        return sum(self.is_working_day(date.fromordinal(day)) for day in days)


@cache
def _public_holidays(year: int) -> frozenset[tuple[int, int]]:
    """Month and day of the public holidays of a year (store bededag until 2023)."""
    return frozenset((day.month, day.day) for day in holidays.country_holidays("DK", years=year))


def _is_month_day(text: str) -> bool:
    try:
        date.fromisoformat(f"2024-{text}")  # a leap year: 02-29 is a day
    except ValueError:
        return False
    return len(text) == 5
