"""Where a case stands, event by event."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from courses import CALENDAR, DISCHARGED, ORDERS, PROVIDER, case_of, event, informed, level_set, started

from gtgateway.cases.clocks import clocks_of, governing_of
from gtgateway.cases.status import status_of
from gtgateway.model.case import CaseEvent, CaseStatus, ChoiceKind, EventKind
from gtgateway.model.delivery import Delivery, DeliveryState
from gtgateway.model.plan import Level

DAY = DISCHARGED["BEK-2027"]


def after(days: int) -> date:
    return DAY + timedelta(days)


def status(*events: CaseEvent, day: int = 3, level: Level = Level.ALMEN, next_level: Level | None = None) -> CaseStatus:
    case = case_of(level, DAY, *events, next_level=next_level)
    return status_of(case, clocks_of(case, governing_of(case, ORDERS), CALENDAR), after(day))


def test_an_ordinary_course() -> None:
    course = (
        (event(EventKind.ACKNOWLEDGED, after(1)), CaseStatus.ACKNOWLEDGED),
        (level_set(after(1)), CaseStatus.LEVEL_SET),
        (informed(after(2), after(6)), CaseStatus.INFORMED),
        (event(EventKind.REPLY_DEADLINE_SET, after(2), reply_by=after(5)), CaseStatus.REPLY_PENDING),
        (event(EventKind.OFFER_ACCEPTED, after(3)), CaseStatus.OFFER_ACCEPTED),
        (started(after(6)), CaseStatus.STARTED),
        (event(EventKind.CLOSED, after(60)), CaseStatus.CLOSED),
    )
    assert status() is CaseStatus.RECEIVED
    for number, (_, expected) in enumerate(course, 1):
        assert status(*(each for each, _ in course[:number])) is expected


def test_free_choice() -> None:
    late = informed(after(2), after(12))
    wish = event(EventKind.CHOICE, after(3), choice_kind=ChoiceKind.PRIVATE, provider_id=PROVIDER)
    reported = event(EventKind.CITIZEN_REPORTED, after(3), provider_id=PROVIDER)
    forwarded = event(EventKind.FORWARDED, after(3), provider_id=PROVIDER)
    refused = event(EventKind.REFUSED_CAPACITY, after(4), by=PROVIDER)
    assert status(late) is CaseStatus.FREE_CHOICE
    assert status(late, wish) is CaseStatus.FREE_CHOICE
    assert status(late, reported) is CaseStatus.PRIVATE_AGREED
    assert status(late, reported, forwarded) is CaseStatus.FORWARDED
    assert status(late, reported, forwarded, refused) is CaseStatus.FREE_CHOICE
    assert status(late, event(EventKind.FREE_CHOICE_DECLINED, after(3))) is CaseStatus.FREE_CHOICE_DECLINED
    # accepting a late offer does not waive the right by itself
    assert status(late, event(EventKind.OFFER_ACCEPTED, after(3))) is CaseStatus.FREE_CHOICE


@pytest.mark.parametrize("day, expected", [(7, CaseStatus.RECEIVED), (8, CaseStatus.FREE_CHOICE)])
def test_free_choice_opens_when_nothing_was_offered(day: int, expected: CaseStatus) -> None:
    assert status(day=day) is expected
    assert status(day=day, level=Level.SPECIALISERET) is CaseStatus.RECEIVED


def test_on_hold() -> None:
    postponed, resumed = event(EventKind.PATIENT_POSTPONED, after(1)), event(EventKind.RESUMED, after(9))
    assert status(postponed, day=20) is CaseStatus.PATIENT_POSTPONED
    assert status(level_set(after(1)), postponed, resumed, day=20) is CaseStatus.LEVEL_SET
    deferred = event(EventKind.DEFERRED, after(1), deferred_until=after(30), deferral_reason="Sårheling")
    assert status(deferred, day=29) is CaseStatus.DEFERRED
    assert status(deferred, day=30) is CaseStatus.RECEIVED


def test_the_second_phase_begins_anew() -> None:
    shift = event(EventKind.PHASE_SHIFT, after(20))
    course = (level_set(after(1)), started(after(5)), shift)
    assert status(*course, day=21, level=Level.SPECIALISERET, next_level=Level.ALMEN) is CaseStatus.PHASE_SHIFT
    assert status(*course, day=21) is CaseStatus.STARTED  # a plan of one phase does not shift


def test_replaced_and_handed_over() -> None:
    assert status(event(EventKind.REPLACED, after(1))) is CaseStatus.REPLACED
    assert status(event(EventKind.HANDOVER_ACCEPTED, after(1))) is CaseStatus.HANDED_OVER


@pytest.mark.parametrize(
    "action, copy, expected",
    [
        (DeliveryState.DELIVERED, DeliveryState.PENDING, CaseStatus.DELIVERED),
        (DeliveryState.SENT, DeliveryState.DELIVERED, CaseStatus.RECEIVED),
    ],
)
def test_delivered_when_those_who_act_have_it(action: DeliveryState, copy: DeliveryState, expected: CaseStatus) -> None:
    at = datetime(2027, 2, 5, tzinfo=UTC)
    deliveries = [
        Delivery("R1", 1, "odense-kommune", "Odense Kommune", ("action", "authority"), action, 1, at),
        Delivery("R1", 1, "laegehuset", "Lægehuset", ("copy",), copy, 1, at),
    ]
    case = case_of()
    clocks = clocks_of(case, governing_of(case, ORDERS), CALENDAR)
    assert status_of(case, clocks, DAY, deliveries) is expected


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (DeliveryState.REFUSED, "capacity", CaseStatus.AWAITING_HOSPITAL),
        (DeliveryState.REFUSED, "capacity_own_region", CaseStatus.AWAITING_HOSPITAL),
        (DeliveryState.REFUSED, "syntaksfejl", CaseStatus.RECEIVED),
        (DeliveryState.CANCELLED, "rerouted", CaseStatus.RECEIVED),
    ],
)
def test_a_case_waits_for_another_hospital(state: DeliveryState, reason: str, expected: CaseStatus) -> None:
    at = datetime(2027, 2, 5, tzinfo=UTC)
    hospital = Delivery("R1", 1, "ouh", "OUH", ("action",), state, 1, at, reason=reason)
    case = case_of(Level.SPECIALISERET)
    clocks = clocks_of(case, governing_of(case, ORDERS), CALENDAR)
    assert status_of(case, clocks, DAY, [hospital]) is expected
