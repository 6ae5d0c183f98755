"""The dates of a case after its events: what moves a clock, what switches it off, and from when it is a breach.

The arithmetic is that of `law/deadlines`. What happens in a case changes only what goes into it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.governing import Governing, govern
from gtgateway.law.orders import Orders
from gtgateway.model.case import Case, CaseEvent, ChoiceKind, Clocks, EventKind
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Bilingual
from gtgateway.model.plan import RehabilitationPlan, StartDeadline

_A_DAY = timedelta(days=1)

_SECOND_PHASE = Bilingual(
    "Anden fase begyndte {day:%d.%m.%Y}, som tæller som dag nul. Ingen regel sætter en frist for skiftet; sådan regner "
    "gatewayen.",
    "The second phase began on {day:%Y-%m-%d}, which counts as day zero. No rule sets a limit for the shift; this is "
    "how the gateway counts.",
)


def governing_of(case: Case, orders: Orders) -> Governing:
    """The order that judges a case: that of its discharge date, as corrected."""
    return govern(_plan_of(case), case.received_on, orders)


def clocks_of(case: Case, governing: Governing, calendar: Calendar) -> Clocks:
    """The dates of the phase that runs. Off: everything once the case ended; the start once the citizen postponed it
    or chose another municipality."""
    start, deadlines = case.started, _deadlines(case, governing, calendar)
    stopped_by = case.ended or _start_stopped_by(case)
    if stopped_by:
        deadlines = _without_start(deadlines)
    if case.ended:
        deadlines = replace(deadlines, notify_by=None, notify_effective=None, notify_by_operational=None)

    notify_by, start_by = deadlines.notify_by, deadlines.start_by
    overdue = _next_day(notify_by)
    in_time = case.notice is not None and notify_by is not None and case.notice.on <= notify_by
    started_in_time = start is not None and start_by is not None and start.on <= start_by
    chooses = not (case.free_choice_declined or case.report or start)
    return Clocks(
        deadlines=deadlines,
        stopped_by=stopped_by,
        remind_notice_on=notify_by - _A_DAY if notify_by and case.notice is None else None,
        notice_overdue_from=None if in_time else overdue,
        start_overdue_from=None if started_in_time else _next_day(start_by),
        free_choice_from=deadlines.free_choice_from if chooses else None,
    )


def _plan_of(case: Case) -> RehabilitationPlan:
    """The plan with the discharge date and the deferral that the case's events say."""
    plan, deferral = case.plan, case.deferred
    if case.discharged_on != plan.discharged_on:
        plan = replace(plan, discharged_on=case.discharged_on, discharge_read_from_text=False)
    if deferral:
        plan = replace(plan, start_deadline=replace(plan.start_deadline, earliest=deferral.deferred_until))
    return plan


def _deadlines(case: Case, governing: Governing, calendar: Calendar) -> Deadlines:
    plan, shift, offer = _plan_of(case), case.shift, case.offer
    offered_start, offered_on = (offer.offered_start, offer.on) if offer else (None, None)
    if shift is None:
        accepted = case.last(EventKind.HANDOVER_ACCEPTED)
        return compute_deadlines(
            plan,
            governing,
            case.received_on,
            calendar,
            case.municipality,
            offered_start,
            offered_on,
            accepted.on if accepted else None,
        )
    # The shift is day zero of the second phase (legal-rules 4.3); the hospital's deadline was for the first.
    deferred_until = case.deferred.deferred_until if case.deferred else None
    plan = replace(plan, level=plan.next_level, next_level=None, start_deadline=StartDeadline(earliest=deferred_until))
    begun = max(governing.day, shift.on)
    deadlines = compute_deadlines(
        plan, replace(governing, day=begun), begun, calendar, offered_start=offered_start, notified_on=offered_on
    )
    text = Bilingual(_SECOND_PHASE.da.format(day=begun), _SECOND_PHASE.en.format(day=begun))
    return replace(deadlines, explanation=text)


def _start_stopped_by(case: Case) -> CaseEvent | None:
    """What switched the seven-day clock off for good in this phase."""
    choice = case.choice
    elsewhere = choice if choice and choice.choice_kind is ChoiceKind.OTHER_PUBLIC else None
    return case.postponed or elsewhere


def _without_start(deadlines: Deadlines) -> Deadlines:
    return replace(
        deadlines, earliest_start=None, seven_day=None, start_by=None, start_by_operational=None, free_choice_from=None
    )


def _next_day(day: date | None) -> date | None:
    return day + _A_DAY if day and day < date.max else None
