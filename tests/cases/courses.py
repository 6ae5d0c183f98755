"""Cases and events for the tests of the office."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from gtgateway.cases.guards import Office
from gtgateway.law.calendar import Calendar
from gtgateway.law.orders import Orders
from gtgateway.model.case import (
    Agreement,
    Case,
    CaseEvent,
    EventKind,
    Meeting,
    MunicipalLevel,
    StaffRole,
)
from gtgateway.model.plan import COPENHAGEN, Level, RehabilitationPlan, StartDeadline
from gtgateway.routing.directory import Directory

#: With lists of providers that hold under either order.
DIRECTORY = replace(
    Directory.load(),
    agreements=(
        Agreement("fysioterapien-stranden", "KL"),
        Agreement("rehabiliteringscenter-heden", "Danske Regioner"),
    ),
)
ORDERS = Orders.load()
CALENDAR = Calendar(("12-24", "12-31", "06-05"))
PROVIDER = "fysioterapien-stranden"
OFFICE = Office(ORDERS, DIRECTORY, CALENDAR)
#: A day of discharge under each live order: a Friday.
DISCHARGED = {"BEK-918-2018": date(2026, 11, 6), "BEK-2027": date(2027, 2, 5)}


def case_of(
    level: Level = Level.ALMEN,
    discharged: date = DISCHARGED["BEK-2027"],
    *events: CaseEvent,
    next_level: Level | None = None,
    deadline: StartDeadline | None = None,
) -> Case:
    plan = RehabilitationPlan(
        level=level, next_level=next_level, discharged_on=discharged, start_deadline=deadline or StartDeadline()
    )
    return Case("R1", plan, discharged, DIRECTORY.by_id("odense-kommune"), DIRECTORY.by_id("region-syddanmark"), events)


def event(kind: EventKind, day: date, **more: Any) -> CaseEvent:
    """An event at noon that day; of Odense Kommune unless `by` says otherwise."""
    more = {"by": "odense-kommune"} | more
    return CaseEvent(f"{kind}-{day}", kind, datetime.combine(day, time(12), COPENHAGEN), **more)


def level_set(day: date, level: MunicipalLevel = MunicipalLevel.BASAL) -> CaseEvent:
    assessed_at = datetime.combine(day, time(9), COPENHAGEN)
    return event(
        EventKind.LEVEL_SET,
        day,
        municipal_level=level,
        assessor_role=StaffRole.FYSIOTERAPEUT,
        assessed_at=assessed_at,
    )


def informed(day: date, start: date | None, **more: Any) -> CaseEvent:
    told = datetime.combine(day, time(12), COPENHAGEN)
    return event(
        EventKind.INFORMED, day, place="Træningscentret", offered_start=start, free_choice_info_at=told, **more
    )


def started(day: date) -> CaseEvent:
    return event(EventKind.STARTED, day, performer_role=StaffRole.FYSIOTERAPEUT, meeting=Meeting.INDIVIDUAL)
