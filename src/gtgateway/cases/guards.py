"""Guards: what the order says of an event before it is added to a case, and of a case as it stands on a day.

The rules are declared with all others (`validators/rules/level.py`, `notice.py`, `choice.py`); here they get the facts.
An error forbids the event; warnings and information are recorded with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gtgateway.cases.clocks import clocks_of, governing_of
from gtgateway.cases.handover import authority_of, handover_of
from gtgateway.law.calendar import Calendar
from gtgateway.law.orders import Orders
from gtgateway.model.case import Case, CaseEvent
from gtgateway.model.delivery import Delivery
from gtgateway.model.findings import Finding
from gtgateway.model.route import Organisation, OrganisationKind
from gtgateway.routing.directory import Directory
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.registry import check_case


@dataclass(frozen=True, slots=True)
class Office:
    """What cases are judged with, the same for all of them."""

    orders: Orders
    directory: Directory
    calendar: Calendar


def guard(case: Case, event: CaseEvent, office: Office) -> tuple[Finding, ...]:
    """What is found in an event that is about to be added to a case. An error forbids it."""
    return check_case(facts_of(case, event, event.on, office))


def standing(case: Case, day: date, office: Office, deliveries: Sequence[Delivery] = ()) -> tuple[Finding, ...]:
    """What is found in a case as it stands on a day: duties missed, rights that opened, a handover not yet accepted."""
    return check_case(facts_of(case, None, day, office, deliveries))


def facts_of(
    case: Case, event: CaseEvent | None, day: date, office: Office, deliveries: Sequence[Delivery] = ()
) -> CaseFacts:
    """All that a guard may look at. `day` is the event's local date, or the day asked about."""
    governing, directory = governing_of(case, office.orders), office.directory
    actor = directory.by_id(event.by) if event else None
    provider = directory.by_id(event.provider_id) if event and event.provider_id else None
    region = directory.region_of(case.region, day) if case.region else None
    return CaseFacts(
        case=case,
        event=event,
        day=day,
        order=governing.order,
        clocks=clocks_of(case, governing, office.calendar),
        calendar=office.calendar,
        authority=authority_of(case, governing.order, day),
        handover=handover_of(case, governing.order, day),
        actor=actor,
        region=region,
        in_own_region=bool(actor and region and directory.region_of(actor, day) == region),
        provider=provider,
        provider_is_public=provider is not None and _is_public(provider, directory, day),
        agreements=directory.agreements,
        deliveries=deliveries,
    )


_PUBLIC = (OrganisationKind.MUNICIPALITY, OrganisationKind.REGION, OrganisationKind.HOSPITAL)


def _is_public(organisation: Organisation, directory: Directory, day: date) -> bool:
    """True for a municipality, a region, a public hospital and the units below them, unless it is on a private list."""
    if any(each.provider_id == organisation.id and each.valid_on(day) for each in directory.agreements):
        return False
    return any(each.kind in _PUBLIC for each in (organisation, *directory.ancestors(organisation.id)))
