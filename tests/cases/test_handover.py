"""Who acts for the citizen, on both sides of New Year."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from courses import DISCHARGED, ORDERS, case_of, event

from gtgateway.cases.clocks import governing_of
from gtgateway.cases.handover import authority_of, handover_of
from gtgateway.model.case import Case, EventKind, Handover
from gtgateway.model.plan import Level, PlanType

OLD, NEW = DISCHARGED["BEK-918-2018"], DISCHARGED["BEK-2027"]
EVE, NEW_YEAR = date(2026, 12, 31), date(2027, 1, 1)


def authority(case: Case, day: date) -> str | None:
    return authority_of(case, governing_of(case, ORDERS).order, day)


def handover(case: Case, day: date) -> Handover | None:
    return handover_of(case, governing_of(case, ORDERS).order, day)


@pytest.mark.parametrize(
    "level, discharged, expected",
    [
        (Level.ALMEN, OLD, "municipality"),
        (Level.SPECIALISERET, OLD, "municipality"),
        (Level.REHABILITERING, OLD, "municipality"),
        (Level.ALMEN, NEW, "municipality"),
        (Level.SPECIALISERET, NEW, "region"),
        (Level.REHABILITERING, NEW, "region"),
    ],
)
def test_the_authority_of_each_level(level: Level, discharged: date, expected: str) -> None:
    case = case_of(level, discharged)
    assert authority(case, discharged) == expected
    assert handover(case, discharged) is None


def test_rehabilitation_is_the_municipalitys_until_the_region_accepts() -> None:
    case = case_of(Level.REHABILITERING, OLD)
    assert handover(case, EVE) is None
    assert handover(case, NEW_YEAR) == Handover(NEW_YEAR, "region", released=False, accepted=False)
    released = case.with_event(event(EventKind.HANDOVER_RELEASED, NEW_YEAR))
    assert handover(released, NEW_YEAR) == Handover(NEW_YEAR, "region", released=True, accepted=False)
    assert authority(released, NEW_YEAR) == "municipality"
    accepted = released.with_event(event(EventKind.HANDOVER_ACCEPTED, NEW_YEAR, by="region-syddanmark"))
    assert handover(accepted, NEW_YEAR) == Handover(NEW_YEAR, "region", released=True, accepted=True)
    assert authority(accepted, NEW_YEAR) == "region"


def test_training_at_a_hospital_passes_by_notice() -> None:
    case = case_of(Level.SPECIALISERET, OLD)
    assert (authority(case, EVE), authority(case, NEW_YEAR)) == ("municipality", "region")


def test_general_training_and_ended_cases_stay() -> None:
    assert handover(case_of(Level.ALMEN, OLD), NEW_YEAR) is None
    ended = case_of(Level.REHABILITERING, OLD, event(EventKind.CLOSED, EVE))
    assert handover(ended, NEW_YEAR) is None


def test_the_second_phase_of_a_combined_plan_is_the_municipalitys() -> None:
    for discharged in (OLD, NEW):
        shift = event(EventKind.PHASE_SHIFT, date(2027, 3, 1))
        case = case_of(Level.SPECIALISERET, discharged, shift, next_level=Level.ALMEN)
        assert authority(case, date(2027, 3, 2)) == "municipality"


def test_self_training_gives_nobody_a_duty() -> None:
    case = case_of()
    assert authority(replace(case, plan=replace(case.plan, plan_type=PlanType.EGENTRAENING)), NEW) is None
