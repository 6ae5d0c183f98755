"""Working days in Denmark."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.law.calendar import Calendar

CALENDAR = Calendar(("12-24", "12-31", "06-05"))


def test_closed_weekdays_of_2026_and_2027() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365 * 2)]
    closed = {day.isoformat() for day in days if day.weekday() < 5 and not CALENDAR.is_working_day(day)}
    assert closed == {
        *("2026-01-01", "2026-04-02", "2026-04-03", "2026-04-06", "2026-05-14", "2026-05-25", "2026-06-05"),
        *("2026-12-24", "2026-12-25", "2026-12-31"),
        *("2027-01-01", "2027-03-25", "2027-03-26", "2027-03-29", "2027-05-06", "2027-05-17"),
        *("2027-12-24", "2027-12-31"),
    }
    assert not any(CALENDAR.is_working_day(day) for day in days if day.weekday() >= 5)


def test_store_bededag_is_a_holiday_until_2023() -> None:
    assert not CALENDAR.is_working_day(date(2023, 5, 5))
    assert CALENDAR.is_working_day(date(2024, 4, 26))


def test_custom_days_are_the_operators_choice() -> None:
    assert Calendar().is_working_day(date(2026, 12, 24))
    assert not Calendar(("12-24",)).is_working_day(date(2026, 12, 24))
    assert not Calendar(("02-29",)).is_working_day(date(2028, 2, 29))


@pytest.mark.parametrize("days", [("24-12", "12-24"), ("1-1",), ("jul",), ("",), ("12-24 ",)])
def test_a_day_that_is_none_is_refused_by_name(days: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Calendar(days)
    assert days[0] in str(raised.value)


@pytest.mark.parametrize(
    "first, legal, expected",
    [
        (date(2026, 12, 18), date(2026, 12, 25), date(2026, 12, 23)),
        (date(2026, 12, 23), date(2026, 12, 27), date(2026, 12, 23)),
        (date(2027, 3, 25), date(2027, 3, 29), None),
        (date(2027, 6, 12), date(2027, 6, 13), None),
        (date(2026, 11, 6), date(2026, 11, 6), date(2026, 11, 6)),
        (date(9999, 12, 25), date.max, date(9999, 12, 30)),
    ],
)
def test_last_working_day(first: date, legal: date, expected: date | None) -> None:
    assert CALENDAR.last_working_day(first, legal) == expected
