"""The dates of a case after its events."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from courses import CALENDAR, DISCHARGED, ORDERS, case_of, event, informed, started

from gtgateway.cases.clocks import clocks_of, governing_of
from gtgateway.model.case import Case, ChoiceKind, Clocks, EventKind
from gtgateway.model.plan import Level, StartDeadline

DAY = DISCHARGED["BEK-2027"]  # Friday 5 February 2027


def clocks(case: Case) -> Clocks:
    return clocks_of(case, governing_of(case, ORDERS), CALENDAR)


def after(days: int) -> date:
    return DAY + timedelta(days)


def test_a_case_without_events_has_the_dates_of_its_plan() -> None:
    found = clocks(case_of())
    assert (found.deadlines.notify_by, found.deadlines.start_by) == (after(4), after(7))
    assert (found.remind_notice_on, found.notice_overdue_from) == (after(3), after(5))
    assert (found.start_overdue_from, found.free_choice_from) == (after(8), after(8))
    assert found.stopped_by is None


def test_what_was_done_in_time_is_no_breach() -> None:
    found = clocks(case_of(Level.ALMEN, DAY, informed(after(4), after(7)), started(after(7))))
    assert found.deadlines.start_by == after(7)
    assert (found.remind_notice_on, found.notice_overdue_from, found.start_overdue_from) == (None, None, None)
    assert found.free_choice_from is None


def test_what_was_done_late_stays_a_breach() -> None:
    found = clocks(case_of(Level.ALMEN, DAY, informed(after(5), after(8)), started(after(8))))
    assert (found.remind_notice_on, found.notice_overdue_from, found.start_overdue_from) == (None, after(5), after(8))


def test_a_late_offer_opens_the_free_choice_on_the_day_of_the_offer() -> None:
    case = case_of(Level.ALMEN, DAY, informed(after(3), after(12)))
    assert clocks(case).free_choice_from == after(3)
    better = event(EventKind.OFFERED, after(4), offered_start=after(7))
    assert clocks(case.with_event(better)).free_choice_from is None
    declined = event(EventKind.FREE_CHOICE_DECLINED, after(4))
    assert clocks(case.with_event(declined)).free_choice_from is None
    reported = event(EventKind.CITIZEN_REPORTED, after(4))
    assert clocks(case.with_event(reported)).free_choice_from is None
    refused = event(EventKind.REFUSED_CAPACITY, after(5), by="fysioterapien-stranden")
    assert clocks(case.with_event(reported).with_event(refused)).free_choice_from == after(3)


@pytest.mark.parametrize("kind", [EventKind.DIED, EventKind.REPLACED, EventKind.CLOSED, EventKind.AGREEMENT_WITHDRAWN])
def test_the_end_of_a_case_stops_every_clock(kind: EventKind) -> None:
    end = event(kind, after(1))
    found = clocks(case_of(Level.REHABILITERING, DAY, end))
    assert found.stopped_by == end
    dates = found.deadlines
    assert (dates.notify_by, dates.notify_by_operational, dates.seven_day, dates.start_by) == (None, None, None, None)
    assert (found.notice_overdue_from, found.start_overdue_from, found.free_choice_from) == (None, None, None)


def test_the_citizens_own_postponement_stops_the_start_and_not_the_notice() -> None:
    postponed = event(EventKind.PATIENT_POSTPONED, after(1))
    case = case_of(Level.ALMEN, DAY, postponed, event(EventKind.RESUMED, after(20)))
    found = clocks(case)
    assert found.stopped_by == postponed
    assert found.deadlines.notify_by == after(4)
    assert (found.deadlines.seven_day, found.deadlines.start_by, found.free_choice_from) == (None, None, None)


def test_another_municipality_stops_the_start_until_it_refuses() -> None:
    chosen = event(EventKind.CHOICE, after(1), choice_kind=ChoiceKind.OTHER_PUBLIC, provider_id="holbaek-genoptraening")
    case = case_of(Level.ALMEN, DAY, chosen)
    assert clocks(case).deadlines.seven_day is None
    refused = event(EventKind.REFUSED_CAPACITY, after(2), by="holbaek-genoptraening")
    assert clocks(case.with_event(refused)).deadlines.seven_day == after(7)


def test_a_deferral_moves_the_start_and_not_the_notice() -> None:
    deferred = event(EventKind.DEFERRED, after(1), deferred_until=after(30), deferral_reason="Sårheling")
    found = clocks(case_of(Level.ALMEN, DAY, deferred)).deadlines
    assert (found.notify_by, found.earliest_start, found.seven_day) == (after(4), after(30), after(37))


def test_a_corrected_discharge_moves_everything() -> None:
    corrected = event(EventKind.DISCHARGE_CORRECTED, after(1), discharged_on=after(3))
    found = clocks(case_of(Level.ALMEN, DAY, corrected)).deadlines
    assert (found.notify_by, found.seven_day) == (after(7), after(10))


def test_a_later_version_of_the_plan_wins_over_a_corrected_discharge_unless_it_repeats_the_date() -> None:
    case = case_of().with_event(event(EventKind.DISCHARGE_CORRECTED, after(1), discharged_on=after(3)))
    repeated = replace(case, plan=replace(case.plan, plan_id="P2"))
    assert clocks(repeated).deadlines.seven_day == after(10)
    other = replace(case, plan=replace(case.plan, discharged_on=after(5)))
    assert clocks(other).deadlines.seven_day == after(12)
    again = other.with_event(event(EventKind.DISCHARGE_CORRECTED, after(6), discharged_on=after(4)))
    assert clocks(again).deadlines.seven_day == after(11)
    # a new version can bring the case under another order
    old = replace(case, plan=replace(case.plan, discharged_on=date(2026, 12, 31)))
    assert governing_of(old, ORDERS).order.id == "BEK-918-2018"


def test_training_at_a_hospital_has_the_hospitals_deadline_alone() -> None:
    found = clocks(case_of(Level.SPECIALISERET, DAY, deadline=StartDeadline(latest=after(10))))
    assert (found.deadlines.notify_by, found.deadlines.seven_day, found.deadlines.start_by) == (None, None, after(10))
    assert (found.notice_overdue_from, found.start_overdue_from) == (None, after(11))


@pytest.mark.parametrize("first", [Level.SPECIALISERET, Level.REHABILITERING])
def test_the_shift_is_day_zero_of_the_second_phase(first: Level) -> None:
    earlier = (informed(after(2), after(5)), started(after(5)))
    shift = event(EventKind.PHASE_SHIFT, after(30))
    found = clocks(case_of(first, DAY, *earlier, shift, next_level=Level.ALMEN))
    assert (found.deadlines.notify_by, found.deadlines.seven_day) == (after(34), after(37))
    assert (found.notice_overdue_from, found.start_overdue_from) == (after(35), after(38))
    assert [owner.kind for owner in found.deadlines.owners] == ["municipality"]
    assert found.deadlines.explanation.da.startswith("Anden fase begyndte 07.03.2027, som tæller som dag nul.")
    assert found.deadlines.explanation.en.startswith("The second phase began on 2027-03-07")


def test_rehabilitation_over_new_year_is_the_regions_once_it_has_accepted() -> None:
    case = case_of(Level.REHABILITERING, date(2026, 12, 30))
    assert [owner.kind for owner in clocks(case).deadlines.owners] == ["municipality"]
    accepted = event(EventKind.HANDOVER_ACCEPTED, date(2027, 1, 4), by="region-syddanmark")
    owners = clocks(case.with_event(accepted)).deadlines.owners
    assert [(owner.kind, owner.since) for owner in owners[1:]] == [("region", date(2027, 1, 4))]
