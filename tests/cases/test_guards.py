"""Guards of the authority's side: events that the order forbids, that it records with a warning, and that are fine.

Each guarded rule is to get its file of cases in samples/rules; until then these are the ones that are held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from gtgateway.cases.guards import Office, guard, standing
from gtgateway.law.calendar import Calendar
from gtgateway.law.orders import Orders
from gtgateway.model.case import (
    Case,
    CaseEvent,
    ChoiceKind,
    ClosedReason,
    EventKind,
    Meeting,
    MunicipalLevel,
    StaffRole,
)
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.routing.directory import Directory
from gtgateway.samples import sample_plan

DIRECTORY = Directory.load()
OFFICE = Office(Orders.load(), DIRECTORY, Calendar(("12-24",)))
ODENSE = DIRECTORY.find(IdentifierKind.KOMMUNEKODE, "0461")
DISCHARGED = {"BEK-918-2018": date(2026, 11, 6), "BEK-2027": date(2027, 2, 5)}


def case_of(level: Level = Level.ALMEN, order: str = "BEK-918-2018") -> Case:
    assert ODENSE is not None
    day = DISCHARGED[order]
    region = DIRECTORY.region_of(ODENSE, day)
    return Case("record-1", sample_plan(level, day), day, ODENSE, region)


def event(kind: EventKind, day: date, **more: Any) -> CaseEvent:
    assert ODENSE is not None
    at = datetime(day.year, day.month, day.day, 10, tzinfo=COPENHAGEN)
    return CaseEvent(str(uuid4()), kind, at, ODENSE.id, **more)


def found(case: Case, added: CaseEvent) -> dict[str, str]:
    return {finding.rule: str(finding.severity) for finding in guard(case, added, OFFICE)}


def level_set(day: date, level: MunicipalLevel = MunicipalLevel.BASAL) -> CaseEvent:
    at = datetime(day.year, day.month, day.day, 9, tzinfo=COPENHAGEN)
    return event(EventKind.LEVEL_SET, day, municipal_level=level, assessor_role=StaffRole.FYSIOTERAPEUT, assessed_at=at)


def informed(day: date, start: date | None, **more: Any) -> CaseEvent:
    at = datetime(day.year, day.month, day.day, 10, tzinfo=COPENHAGEN)
    return event(
        EventKind.INFORMED,
        day,
        place="Træningscenteret",
        offered_start=start,
        free_choice_info_at=at,
        municipal_level=MunicipalLevel.BASAL,
        **more,
    )


@pytest.fixture(params=DISCHARGED)
def order(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_course_that_keeps_the_order_has_no_error_and_no_warning(order: str) -> None:
    day = DISCHARGED[order]
    case = case_of(order=order)
    course = [
        level_set(day + timedelta(days=1)),
        informed(day + timedelta(days=3), day + timedelta(days=6)),
        event(EventKind.OFFER_ACCEPTED, day + timedelta(days=4)),
        event(
            EventKind.STARTED,
            day + timedelta(days=6),
            performer_role=StaffRole.FYSIOTERAPEUT,
            meeting=Meeting.INDIVIDUAL,
        ),
        event(EventKind.CLOSED, day + timedelta(days=60), closed_reason=ClosedReason.COMPLETED),
    ]
    for each in course:
        assert not {rule for rule, severity in found(case, each).items() if severity != "information"}, each.kind
        case = case.with_event(each)


def test_level_01_the_hospitals_level_stands(order: str) -> None:
    change = event(EventKind.LEVEL_SET, DISCHARGED[order], hospital_level=Level.SPECIALISERET)
    assert found(case_of(order=order), change)["GOP-LEVEL-01"] == "error"


def test_level_02_basal_and_avanceret_only_for_almen(order: str) -> None:
    added = level_set(DISCHARGED[order])
    assert found(case_of(Level.REHABILITERING, order), added)["GOP-LEVEL-02"] == "error"
    assert "GOP-LEVEL-02" not in found(case_of(order=order), added)


def test_level_03_the_level_comes_before_the_notice(order: str) -> None:
    day = DISCHARGED[order] + timedelta(days=2)
    case = case_of(order=order)
    notice = informed(day, day + timedelta(days=3))
    assert found(case, notice)["GOP-LEVEL-03"] == "error"
    assert "GOP-LEVEL-03" not in found(case.with_event(level_set(day)), notice)


def test_level_04_a_health_person_assesses(order: str) -> None:
    added = replace(level_set(DISCHARGED[order]), assessor_role=StaffRole.ANDEN)
    assert found(case_of(order=order), added)["GOP-LEVEL-04"] == "warning"


def test_level_05_a_change_of_level_is_history(order: str) -> None:
    day = DISCHARGED[order]
    case = case_of(order=order).with_event(level_set(day))
    assert found(case, level_set(day, MunicipalLevel.AVANCERET))["GOP-LEVEL-05"] == "information"
    assert "GOP-LEVEL-05" not in found(case, level_set(day))


def test_level_06_self_training_is_no_offer(order: str) -> None:
    added = event(EventKind.CLOSED, DISCHARGED[order], closed_reason=ClosedReason.SELF_TRAINING)
    assert found(case_of(order=order), added)["GOP-LEVEL-06"] == "warning"


@pytest.mark.parametrize("late", [0, 1])
def test_notify_01_four_days_for_almen(order: str, late: int) -> None:
    day = DISCHARGED[order] + timedelta(days=4 + late)
    case = case_of(order=order).with_event(level_set(day))
    assert ("GOP-NOTIFY-01" in found(case, informed(day, day))) == bool(late)
    rules = {finding.rule for finding in standing(case, day, OFFICE)}
    assert ("GOP-NOTIFY-01" in rules) == bool(late)


@pytest.mark.parametrize("late", [0, 1])
def test_notify_02_four_days_for_rehabilitation(order: str, late: int) -> None:
    day = DISCHARGED[order] + timedelta(days=4 + late)
    assert ("GOP-NOTIFY-02" in found(case_of(Level.REHABILITERING, order), informed(day, day))) == bool(late)


def test_notify_03_place_and_time_are_told(order: str) -> None:
    day = DISCHARGED[order]
    case = case_of(order=order).with_event(level_set(day))
    assert found(case, informed(day, None))["GOP-NOTIFY-03"] == "error"
    assert found(case, replace(informed(day, day), place=" "))["GOP-NOTIFY-03"] == "error"


def test_notify_04_two_working_days_to_reply_under_the_new_order() -> None:
    day = DISCHARGED["BEK-2027"]  # a Friday
    case = case_of(order="BEK-2027").with_event(level_set(day))
    assert found(case, informed(day, day, reply_by=day + timedelta(days=3)))["GOP-NOTIFY-04"] == "warning"
    assert "GOP-NOTIFY-04" not in found(case, informed(day, day, reply_by=day + timedelta(days=4)))


def test_notify_05_a_booking_call_is_no_start(order: str) -> None:
    day = DISCHARGED[order]
    call = event(EventKind.STARTED, day, performer_role=StaffRole.FYSIOTERAPEUT, meeting=Meeting.BOOKING_CALL)
    assert found(case_of(order=order), call)["GOP-NOTIFY-05"] == "error"
    nobody = event(EventKind.STARTED, day, meeting=Meeting.VIDEO)
    assert found(case_of(order=order), nobody)["GOP-NOTIFY-05"] == "error"
    assert "GOP-NOTIFY-05" not in found(case_of(order=order), replace(call, meeting=Meeting.VIDEO))


def test_notify_06_no_limits_for_training_at_hospital(order: str) -> None:
    case = case_of(Level.SPECIALISERET, order)
    rules = {finding.rule for finding in standing(case, DISCHARGED[order] + timedelta(days=30), OFFICE)}
    assert "GOP-NOTIFY-06" in rules
    assert not rules & {"GOP-NOTIFY-01", "GOP-NOTIFY-02", "GOP-CHOICE-02"}


@pytest.mark.parametrize("days, opens", [(7, False), (8, True)])
def test_choice_02_seven_days_then_the_right_to_a_private_provider(order: str, days: int, opens: bool) -> None:
    day = DISCHARGED[order]
    case = case_of(order=order).with_event(level_set(day))
    notice = informed(day + timedelta(days=2), day + timedelta(days=days))
    assert ("GOP-CHOICE-02" in found(case, notice)) == opens


def test_choice_07_a_plan_is_forwarded_after_the_citizens_report() -> None:
    day = DISCHARGED["BEK-2027"]
    case = case_of(order="BEK-2027").with_event(level_set(day))
    case = case.with_event(event(EventKind.CHOICE, day, choice_kind=ChoiceKind.PRIVATE, provider_id="none"))
    assert found(case, event(EventKind.FORWARDED, day, provider_id="none"))["GOP-CHOICE-07"] == "error"
