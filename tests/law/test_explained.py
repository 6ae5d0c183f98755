"""Each date by itself: the steps agree with the dates, in both languages, with a paragraph."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.explained import deadline_steps
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.model.deadlines import Deadlines, DeadlineStep
from gtgateway.model.plan import Level, LocalMoment, PlanType, RehabilitationPlan, StartDeadline
from gtgateway.model.route import Organisation, OrganisationKind

ORDERS, CALENDAR = Orders.load(), Calendar(("12-24", "12-31", "06-05"))
MUNICIPALITY = Organisation(
    "odense-kommune", OrganisationKind.MUNICIPALITY, "Odense Kommune", (), local_contact_days=4, local_start_days=7
)


def _explained(
    plan: RehabilitationPlan, received_on: date, residence: Organisation | None = None
) -> tuple[Deadlines, tuple[DeadlineStep, ...]]:
    governing = govern(plan, received_on, ORDERS)
    found = compute_deadlines(plan, governing, received_on, CALENDAR, residence)
    return found, deadline_steps(plan, governing, received_on, found)


def test_a_plan_with_everything() -> None:
    deadline = StartDeadline(earliest=date(2027, 4, 12), latest=date(2027, 4, 15))
    plan = RehabilitationPlan(level=Level.REHABILITERING, discharged_on=date(2027, 4, 5), start_deadline=deadline)
    _, steps = _explained(plan, date(2027, 4, 5), MUNICIPALITY)
    assert [(step.field, str(step.day), step.text.da, step.basis) for step in steps] == [
        ("day_zero", "2027-04-05", "Dag nul er udskrivningsdagen 2027-04-05.", "§ 7, stk. 3"),
        ("notify_by", "2027-04-09", "Besked til patienten: 2027-04-05 + 4 dage = 2027-04-09.", "§ 6, stk. 1 og 2"),
        (
            "notify_effective",
            "2027-04-09",
            "Ingen frist fra sygehuset kommer før beskeden, som skal være givet senest 2027-04-09.",
            "§ 6, stk. 1 og 2",
        ),
        (
            "notify_by_operational",
            "2027-04-09",
            "Sidste arbejdsdag fra 2027-04-05 til 2027-04-09 (er der ingen: 2027-04-09 selv) = 2027-04-09.",
            "Arbejdsdage; en fridag flytter aldrig den lovbestemte frist",
        ),
        (
            "earliest_start",
            "2027-04-12",
            "Træningen er udskudt: det seneste af udskrivningen 2027-04-05 og udskydelsen 2027-04-12 = 2027-04-12.",
            "§ 3, stk. 2; sundhedsloven § 140",
        ),
        ("seven_day", "2027-04-19", "Opstart: 2027-04-12 + 7 dage = 2027-04-19.", "§ 7, stk. 3"),
        (
            "start_by",
            "2027-04-15",
            "Det tidligste af 2027-04-19 og sygehusets frist 2027-04-15 = 2027-04-15.",
            "§ 3, stk. 1",
        ),
        (
            "start_by_operational",
            "2027-04-15",
            "Sidste arbejdsdag fra 2027-04-12 til 2027-04-15 (er der ingen: 2027-04-15 selv) = 2027-04-15.",
            "Arbejdsdage; en fridag flytter aldrig den lovbestemte frist",
        ),
        (
            "free_choice_from",
            "2027-04-20",
            "Frit valg, hvis intet er tilbudt til og med 2027-04-19: fra dagen efter, 2027-04-20.",
            "§ 7, stk. 3",
        ),
        (
            "local.contact_by",
            "2027-04-09",
            "Modtaget 2027-04-05 + 4 dage = 2027-04-09.",
            "Kommunens eget servicemål; aldrig den lovbestemte frist",
        ),
        (
            "local.start_by",
            "2027-04-12",
            "Modtaget 2027-04-05 + 7 dage = 2027-04-12.",
            "Kommunens eget servicemål; aldrig den lovbestemte frist",
        ),
    ]


def test_hospital_training_has_only_the_hospitals_deadline() -> None:
    deadline = StartDeadline(latest=date(2026, 11, 20))
    plan = RehabilitationPlan(level=Level.SPECIALISERET, discharged_on=date(2026, 11, 6), start_deadline=deadline)
    _, steps = _explained(plan, date(2026, 11, 6))
    assert [step.field for step in steps] == ["day_zero", "earliest_start", "start_by", "start_by_operational"]
    assert steps[2].text.en == "The seven days do not apply, only the hospital's deadline 2026-11-20."


def test_what_starts_no_clock_has_no_steps() -> None:
    for plan in (
        RehabilitationPlan(level=Level.SPECIALISERET, discharged_on=date(2026, 11, 6)),
        RehabilitationPlan(plan_type=PlanType.EGENTRAENING, discharged_on=date(2026, 11, 6)),
    ):
        assert _explained(plan, date(2026, 11, 6))[1] == ()


@pytest.mark.parametrize(
    "written, danish",
    [
        (date(2026, 11, 5), "Udskrivningsdatoen mangler; dag nul er skønnet til plandatoen 2026-11-05."),
        (None, "Udskrivningsdatoen mangler; dag nul er skønnet til modtagelsen 2026-11-06."),
    ],
)
def test_an_estimated_day_zero_says_so(written: date | None, danish: str) -> None:
    plan = RehabilitationPlan(level=Level.ALMEN, written_at=LocalMoment(written) if written else None)
    assert _explained(plan, date(2026, 11, 6))[1][0].text.da == danish


_OFFSETS = st.none() | st.integers(-30, 200)
_SUM = re.compile(r"(\S+) \+ (\d+) (?:dage|days) = (\S+)\.")


@given(
    st.dates(date(2018, 7, 1), date(2035, 12, 31)), _OFFSETS, _OFFSETS, st.integers(-60, 400), st.sampled_from([*Level])
)
def test_steps_are_the_dates_and_their_sums_are_right(
    discharged: date, earliest: int | None, latest: int | None, received: int, level: Level
) -> None:
    later = [None if days is None else discharged + timedelta(days) for days in (earliest, latest)]
    deadline = StartDeadline(earliest=later[0], latest=later[1])
    plan = RehabilitationPlan(level=level, discharged_on=discharged, start_deadline=deadline)
    found, steps = _explained(plan, discharged + timedelta(received), MUNICIPALITY)
    dates = {step.field: step.day for step in steps}
    names = [name for name in Deadlines.__dataclass_fields__ if isinstance(getattr(found, name), date)]
    assert {name: dates[name] for name in names} == {name: getattr(found, name) for name in names}
    for step in steps:
        assert step.basis
        for text in (step.text.da, step.text.en):
            assert text.endswith(f"{step.day}.")
            assert "None" not in text
            for first, days, last in _SUM.findall(text):
                assert date.fromisoformat(first) + timedelta(int(days)) == date.fromisoformat(last)
