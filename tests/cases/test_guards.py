"""Guards over whole courses. What each rule finds, case by case, is in `samples/rules`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from courses import DIRECTORY, DISCHARGED, OFFICE, ORDERS, PROVIDER, case_of, event, informed, level_set, started
from hypothesis import given, settings
from hypothesis import strategies as st

from gtgateway.cases.clocks import clocks_of, governing_of
from gtgateway.cases.guards import Office, guard, standing
from gtgateway.cases.status import status_of
from gtgateway.model.case import (
    Case,
    CaseEvent,
    CaseStatus,
    ChoiceKind,
    ClosedReason,
    EventKind,
    Meeting,
    MunicipalLevel,
    StaffRole,
)
from gtgateway.model.findings import Severity
from gtgateway.model.plan import Level
from gtgateway.routing.directory import Directory


def rules(findings: Any) -> set[str]:
    return {finding.rule for finding in findings}


@pytest.mark.parametrize("order", DISCHARGED)
def test_nothing_is_found_in_a_course_that_keeps_the_order(order: str) -> None:
    day = DISCHARGED[order]
    case = case_of(Level.ALMEN, day)
    for each in (
        level_set(day + timedelta(1)),
        informed(day + timedelta(3), day + timedelta(6), reply_by=day + timedelta(5)),
        event(EventKind.OFFER_ACCEPTED, day + timedelta(4)),
        started(day + timedelta(6)),
        event(EventKind.CLOSED, day + timedelta(60), closed_reason=ClosedReason.COMPLETED),
    ):
        assert guard(case, each, OFFICE) == (), each.kind
        case = case.with_event(each)
        assert standing(case, each.on, OFFICE) == (), each.kind


def test_every_fault_of_an_event_is_said_at_once_with_paragraph_and_field() -> None:
    day = DISCHARGED["BEK-2027"] + timedelta(9)
    found = guard(case_of(), event(EventKind.INFORMED, day, offered_start=day, reply_by=day), OFFICE)
    assert [(each.rule, each.severity, each.path, each.basis) for each in found] == [
        ("GOP-LEVEL-03", Severity.ERROR, "municipal_level", "§ 5, stk. 3; § 6, stk. 1"),
        ("GOP-NOTIFY-01", Severity.WARNING, "notify_by", "§ 6, stk. 1"),
        ("GOP-NOTIFY-03", Severity.ERROR, "place", "§ 6, stk. 1"),
        ("GOP-NOTIFY-04", Severity.WARNING, "reply_by", "§ 6, stk. 3"),
        ("GOP-CHOICE-01", Severity.WARNING, "free_choice_info_at", "§ 7, stk. 4"),
        ("GOP-CHOICE-02", Severity.WARNING, "offered_start", "§ 7, stk. 3"),
    ]
    assert found[1].text.en == "The citizen should have been informed by 09.02.2027."


def test_a_corrected_discharge_can_change_the_order() -> None:
    case = case_of(Level.ALMEN, date(2027, 1, 4))
    forward = event(EventKind.FORWARDED, date(2027, 1, 12), provider_id=PROVIDER)
    assert rules(guard(case, forward, OFFICE)) == {"GOP-CHOICE-07"}
    corrected = event(EventKind.DISCHARGE_CORRECTED, date(2027, 1, 5), discharged_on=date(2026, 12, 31))
    assert guard(case.with_event(corrected), forward, OFFICE) == ()


def test_an_event_at_half_past_eleven_utc_is_on_the_next_danish_day() -> None:
    late = CaseEvent("1", EventKind.INFORMED, datetime(2027, 2, 9, 23, 30, tzinfo=UTC), "odense-kommune")
    assert late.on == date(2027, 2, 10)
    assert "GOP-NOTIFY-01" in rules(guard(case_of(), late, OFFICE))


def test_free_choice_from_trigger_to_start() -> None:
    day = DISCHARGED["BEK-2027"]
    case = case_of(Level.ALMEN, day, level_set(day), informed(day + timedelta(3), day + timedelta(12)))
    wish = event(EventKind.CHOICE, day + timedelta(4), choice_kind=ChoiceKind.PRIVATE, provider_id=PROVIDER)
    report = event(
        EventKind.CITIZEN_REPORTED,
        day + timedelta(5),
        provider_id=PROVIDER,
        private_start=day + timedelta(11),
        documentation_ref="Aftale",
    )
    forward = event(EventKind.FORWARDED, day + timedelta(5), provider_id=PROVIDER)
    assert rules(guard(case, forward, OFFICE)) == {"GOP-CHOICE-07"}
    for each in (wish, report, forward):
        assert guard(case, each, OFFICE) == (), each.kind
        case = case.with_event(each)
    assert standing(case, day + timedelta(10), OFFICE) == ()


def test_the_lists_of_the_directory_say_who_may_be_chosen() -> None:
    office = Office(ORDERS, Directory.load(), OFFICE.calendar)
    chosen = {"choice_kind": ChoiceKind.PRIVATE, "provider_id": "klinik-for-fysioterapi-soeerne"}
    for discharged, refused in ((date(2027, 2, 5), set()), (date(2027, 7, 2), {"GOP-CHOICE-04"})):
        choice = event(EventKind.CHOICE, discharged + timedelta(9), **chosen)
        assert rules(guard(case_of(Level.ALMEN, discharged), choice, office)) == refused


# --- whatever is posted -----------------------------------------------------------------------------------------------

_LEVELS = st.sampled_from(
    [
        (Level.ALMEN, None),
        (Level.REHABILITERING, None),
        (Level.SPECIALISERET, None),
        (Level.SPECIALISERET, Level.ALMEN),
        (Level.REHABILITERING, Level.ALMEN),
    ]
)
_ORGANISATIONS = st.sampled_from(
    ["odense-kommune", "region-syddanmark", "ouh", "sygehus-limfjorden", "holbaek-genoptraening", PROVIDER, "ukendt"]
)


@st.composite
def sequences(draw: st.DrawFn) -> tuple[Case, list[CaseEvent]]:
    """A case on either side of New Year and events of every kind, with any fields, in order of time."""
    level, next_level = draw(_LEVELS)
    discharged = draw(st.dates(date(2026, 10, 1), date(2027, 3, 1)))
    case = case_of(level, discharged, next_level=next_level)
    days = sorted(draw(st.lists(st.integers(0, 60), max_size=12)))
    near = st.none() | st.integers(0, 60).map(lambda days: discharged + timedelta(days))
    events = []
    for number, after in enumerate(days):
        day = discharged + timedelta(after)
        kind = draw(st.sampled_from(list(EventKind)))
        posted = event(
            kind,
            day,
            by=draw(_ORGANISATIONS),
            hospital_level=draw(st.none() | st.sampled_from(Level)),
            municipal_level=draw(st.none() | st.sampled_from(MunicipalLevel)),
            assessor_role=draw(st.none() | st.sampled_from(StaffRole)),
            place=draw(st.sampled_from([None, " ", "Træningscentret"])),
            offered_start=draw(near),
            reply_by=draw(near),
            choice_kind=draw(st.none() | st.sampled_from(ChoiceKind)),
            provider_id=draw(st.none() | _ORGANISATIONS),
            private_start=draw(near),
            deferred_until=draw(near),
            deferral_reason=draw(st.sampled_from([None, "Sårheling", "ferie"])),
            performer_role=draw(st.none() | st.sampled_from(StaffRole)),
            meeting=draw(st.none() | st.sampled_from(Meeting)),
            closed_reason=draw(st.none() | st.sampled_from(ClosedReason)),
            discharged_on=draw(near),
        )
        events.append(CaseEvent(**{name: getattr(posted, name) for name in CaseEvent.__slots__} | {"id": str(number)}))
    return case, events


@settings(max_examples=150, deadline=None)
@given(sequences())
def test_no_sequence_of_events_leaves_the_law(sequence: tuple[Case, list[CaseEvent]]) -> None:
    case, events = sequence
    for each in events:
        found = guard(case, each, OFFICE)
        if not any(finding.severity is Severity.ERROR for finding in found):
            _is_lawful(case, each)
            case = case.with_event(each)
        _stands_lawfully(case, each.on)


def _is_lawful(case: Case, each: CaseEvent) -> None:
    """What holds of every event that no guard forbade; `case` is the one before it."""
    order = governing_of(case, ORDERS).order.id
    actor = DIRECTORY.by_id(each.by)
    if each.hospital_level and each.hospital_level is not case.level:
        assert actor
        assert actor.is_hospital
    if each.kind is EventKind.LEVEL_SET and each.municipal_level:
        assert Level.ALMEN in (case.plan.level, case.plan.next_level)
    if each.kind is EventKind.INFORMED:
        assert each.offered_start
        assert each.place
        assert each.place.strip()
        assert case.level is not Level.ALMEN or any(past.municipal_level for past in case.events)
    if each.kind is EventKind.STARTED:
        assert each.performer_role not in (None, StaffRole.ANDEN)
        assert each.meeting is not Meeting.BOOKING_CALL
    if each.kind is EventKind.CITIZEN_REPORTED and each.provider_id and case.level is not None:
        assert each.provider_id == PROVIDER
        offers = [past.offered_start for past in case.phase_events if past.offered_start and past.kind in _OFFERS]
        assert not (each.private_start and offers) or each.private_start <= offers[-1]
    if each.kind is EventKind.FORWARDED and order == "BEK-2027":
        earlier = [past.provider_id for past in case.phase_events if past.kind in _NAMING]
        assert each.provider_id in earlier


_OFFERS = (EventKind.INFORMED, EventKind.OFFERED)
_NAMING = (EventKind.CHOICE, EventKind.CITIZEN_REPORTED)


def _stands_lawfully(case: Case, day: date) -> None:
    clocks = clocks_of(case, governing_of(case, ORDERS), OFFICE.calendar)
    status, found = status_of(case, clocks, day), rules(standing(case, day, OFFICE))
    kinds = [past.kind for past in case.phase_events]
    if status is CaseStatus.FREE_CHOICE:
        assert case.level in (Level.ALMEN, Level.REHABILITERING)
        assert EventKind.PATIENT_POSTPONED not in kinds
        assert EventKind.FREE_CHOICE_DECLINED not in kinds
        assert EventKind.STARTED not in kinds
        assert "GOP-CHOICE-02" in found
    if status is CaseStatus.PRIVATE_AGREED:
        assert EventKind.CITIZEN_REPORTED in kinds
    if status is CaseStatus.INFORMED:
        assert "GOP-NOTIFY-01" not in found
    if case.ended:
        assert status in (CaseStatus.CLOSED, CaseStatus.REPLACED)
        assert not found
    if case.level is Level.SPECIALISERET:
        assert clocks.deadlines.notify_by is None
        assert clocks.deadlines.seven_day is None
    dates = clocks.deadlines
    if dates.seven_day and dates.earliest_start and dates.notify_by:
        assert dates.seven_day == dates.earliest_start + timedelta(7)
        assert dates.start_by is not None
        assert dates.start_by <= dates.seven_day
    if clocks.free_choice_from and dates.seven_day:
        assert clocks.free_choice_from <= dates.seven_day + timedelta(1)
