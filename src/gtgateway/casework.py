"""What is said of a case, for real: who may say it → what the order says → what it does → keep it.

An event and all that it does are one transaction. Whoever judged by a record that has changed meanwhile judges again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

import orjson

from gtgateway.bootstrap import Gateway
from gtgateway.cases.events import WHO_MAY_POST, EventEntry, event_of, organisation_named, posters
from gtgateway.cases.guards import Office, facts_of, guard
from gtgateway.errors import GatewayError
from gtgateway.logs import log
from gtgateway.lookup import look_up
from gtgateway.model.case import Case, CaseEvent, EventKind
from gtgateway.model.delivery import DeliveryState
from gtgateway.model.findings import Finding, Severity
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Letter, Reading
from gtgateway.model.outcome import Rerouted, Verdict
from gtgateway.model.plan import danish_day
from gtgateway.model.reasons import CAPACITY, CAPACITY_OWN_REGION
from gtgateway.model.route import Organisation, Role
from gtgateway.pipeline import judge_corrected, plan_now
from gtgateway.security.identity import Caller
from gtgateway.store.base import AddedEvent, KeptEvent, NewEvent, Rerouting, StoredCase

EVERY_SECONDS = 60.0


class Why(StrEnum):
    """Why an event is not taken."""

    UNKNOWN = "unknown"  #: there is no such record, for this caller
    NOT_YOURS = "not_yours"  #: the caller may not say this
    STALE = "stale"  #: the record has changed since the caller looked at it
    ID_USED = "id_used"  #: another event has this id
    WITHDRAWN = "withdrawn"  #: the plan was taken back
    NO_HOSPITAL = "no_hospital"  #: what is named is no hospital, or the plan goes to none
    FORBIDDEN = "forbidden"  #: the order forbids it; the findings say why


class EventRefusedError(Exception):
    """The event is not taken."""

    def __init__(self, why: Why, findings: tuple[Finding, ...] = ()) -> None:
        self.why = why
        self.findings = findings
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class _Open:
    """A case with what it is judged from."""

    stored: StoredCase
    case: Case
    reading: Reading
    letter: Letter


async def post_event(
    record_id: str, entry: EventEntry, gateway: Gateway, caller: Caller, received_at: datetime, if_match: int | None
) -> AddedEvent:
    """Add what a caller says of a case. `if_match`: the version of the record that it looked at, where it says so.

    Raises EventRefusedError and StoreUnavailable.
    """
    directory = gateway.tools.directory
    by = organisation_named(entry.by, directory)
    if by is None or by.id not in caller.organisations:
        raise EventRefusedError(Why.NOT_YOURS)
    hospital = organisation_named(entry.hospital, directory) if entry.hospital else None
    event = event_of(entry, by, hospital)
    while True:
        stored = await gateway.store.case(record_id)
        if stored is None:
            raise EventRefusedError(Why.UNKNOWN)
        _check_poster(event, by, stored, gateway)
        if earlier := next((kept for kept in stored.events if kept.event.id == event.id), None):
            return _repeated(earlier, event)
        if if_match not in (None, stored.version):
            raise EventRefusedError(Why.STALE)
        if stored.state == "withdrawn" and event.kind is not EventKind.ACKNOWLEDGED:
            raise EventRefusedError(Why.WITHDRAWN)
        added = await gateway.store.add_event(await _judged(event, stored, gateway, received_at, caller.name))
        if added.kept is not None:
            return _repeated(added.kept, event) if added.repeated else added


def _check_poster(event: CaseEvent, by: Organisation, stored: StoredCase, gateway: Gateway) -> None:
    directory = gateway.tools.directory
    capacities = posters(
        by,
        directory,
        recipients=_recipients(stored),
        sender=directory.find(IdentifierKind.GLN, stored.sender_gln),
        municipality=_residence(stored, gateway)[0],
    )
    if not capacities:
        raise EventRefusedError(Why.UNKNOWN)
    if capacities.isdisjoint(WHO_MAY_POST[event.kind]):
        raise EventRefusedError(Why.NOT_YOURS)


def _repeated(kept: KeptEvent, event: CaseEvent) -> AddedEvent:
    """The same event again changes nothing; another one under its id is refused."""
    if kept.event != event:
        raise EventRefusedError(Why.ID_USED)
    return AddedEvent(kept, repeated=True)


# --- what an event does -----------------------------------------------------------------------------------------------


async def _judged(
    event: CaseEvent, stored: StoredCase, gateway: Gateway, received_at: datetime, client: str
) -> NewEvent:
    """An event with what is found in it and what it does. Raises EventRefusedError when the order forbids it."""
    tools = gateway.tools
    opened = await _opened(stored, gateway)
    office = Office(tools.orders, tools.directory, tools.calendar)
    findings = guard(opened.case, event, office)
    _refuse_errors(findings)
    new = NewEvent(stored.record_id, stored.version, opened.case.added(event), findings, received_at, client)
    if event.kind is EventKind.ACKNOWLEDGED:
        # No feed entry: two recipients that acknowledge every entry would never come to an end.
        recipient = _recipient(event.by, stored, gateway)
        return replace(new, recipient=recipient, settles=DeliveryState.DELIVERED, shown=False)
    if event.kind is EventKind.REFUSED_CAPACITY:
        recipient = _recipient(event.by, stored, gateway, Role.ACTION)
        if not _is_hospital(recipient, gateway):
            return new
        own = facts_of(opened.case, event, event.on, office).in_own_region
        return replace(
            new,
            recipient=recipient,
            settles=DeliveryState.REFUSED,
            reason=CAPACITY_OWN_REGION if own else CAPACITY,
            hospital_needed=True,
        )
    rerouting = await _rerouting(event, opened, gateway)
    if rerouting is not None:
        known = {(each["rule"], each["text"]["da"]) for each in orjson.loads(stored.record)["findings"]}
        noted = tuple(each for each in rerouting.letter.findings if (each.rule, each.text.da) not in known)
        new = replace(new, findings=(*findings, *noted), rerouting=rerouting)
    return new


async def _rerouting(event: CaseEvent, opened: _Open, gateway: Gateway) -> Rerouting | None:
    """The plan judged anew with the hospital that was chosen; None when it goes there already and was not refused."""
    stored, directory = opened.stored, gateway.tools.directory
    hospital = directory.by_id(event.provider_id) if event.provider_id else None
    current = next(
        (
            each
            for each in stored.deliveries
            if each.organisation_id in stored.organisations
            and Role.ACTION in each.roles
            and _is_hospital(each.organisation_id, gateway)
        ),
        None,
    )
    if hospital is None or not hospital.is_hospital or current is None:
        raise EventRefusedError(Why.NO_HOSPITAL)
    if hospital.id == current.organisation_id and current.state is not DeliveryState.REFUSED:
        return None
    to = Rerouted(hospital.id, stored.rerouted.instead_of if stored.rerouted else current.organisation_id)
    letter_id = stored.letter_id
    known = replace(
        await look_up(opened.reading, gateway, stored.received_at),
        stored_plans={letter_id: stored.plan_version - 1},
        corrected_from={},
        rerouted={letter_id: to},
    )
    stated = opened.letter.plan.discharged_on if opened.letter.plan else None
    discharged_on = stored.discharged_on if stored.discharged_on != stated else None
    judged = judge_corrected(opened.letter, opened.reading, discharged_on, known, gateway.tools, stored.received_at)
    if judged.verdict is not Verdict.ACCEPTED:
        _refuse_errors(judged.findings)
    return Rerouting(to, judged)


def _refuse_errors(findings: tuple[Finding, ...]) -> None:
    if errors := tuple(each for each in findings if each.severity is Severity.ERROR):
        raise EventRefusedError(Why.FORBIDDEN, errors)


async def _opened(stored: StoredCase, gateway: Gateway) -> _Open:
    """The case with its plan, read from the bytes that were received, as it is known now."""
    if (reading := await gateway.read_again(stored.message_id)) is None:
        raise EventRefusedError(Why.UNKNOWN)
    letter = reading.letter(stored.letter_id)
    assert letter is not None  # it was accepted
    assert letter.plan is not None
    plan = plan_now(
        letter.plan,
        reading,
        gateway.tools.directory,
        stored.received_at,
        discharged_on=stored.discharged_on,
        rerouted=stored.rerouted,
    )
    events = tuple(kept.event for kept in stored.events)
    municipality, region = _residence(stored, gateway)
    received_on = danish_day(stored.received_at)
    return _Open(stored, Case(stored.record_id, plan, received_on, municipality, region, events), reading, letter)


def _residence(stored: StoredCase, gateway: Gateway) -> tuple[Organisation | None, Organisation | None]:
    """Municipality and region of residence, as the record says."""
    record, directory = orjson.loads(stored.record), gateway.tools.directory

    def known(kind: IdentifierKind, field: str) -> Organisation | None:
        named = record.get(field)
        return directory.find(kind, named["code"]) if named and named["code"] else None

    return (
        known(IdentifierKind.KOMMUNEKODE, "residence_municipality"),
        known(IdentifierKind.REGIONSKODE, "residence_region"),
    )


def _recipients(stored: StoredCase) -> dict[str, tuple[str, ...]]:
    """The roles of whoever is sent the plan now."""
    return {
        each.organisation_id: each.roles for each in stored.deliveries if each.organisation_id in stored.organisations
    }


def _recipient(by: str, stored: StoredCase, gateway: Gateway, role: Role | None = None) -> str:
    """The recipient that an organisation speaks for: itself, else one of its units."""
    line = gateway.tools.directory.subtree(by)
    mine = [id for id, roles in _recipients(stored).items() if id in line and role in (None, *roles)]
    return by if by in mine else mine[0]


def _is_hospital(id: str, gateway: Gateway) -> bool:
    found = gateway.tools.directory.by_id(id)
    return found is not None and found.is_hospital


# --- refusals that come as receipts -----------------------------------------------------------------------------------


async def take_up_refusals(gateway: Gateway, now: datetime) -> None:
    """Tell the cases of refusals for capacity that came as receipts, whichever way; each one once."""
    for refused in await gateway.store.capacity_refusals():
        stored = await gateway.store.case(refused.record_id)
        if stored is None or Role.ACTION not in _recipients(stored).get(refused.organisation_id, ()):
            continue  # whoever does not train has no room to lack
        id = str(uuid5(NAMESPACE_URL, f"receipt {refused.delivery_id} {refused.since.isoformat()}"))
        event = CaseEvent(id, EventKind.REFUSED_CAPACITY, refused.since, refused.organisation_id)
        try:
            await gateway.store.add_event(await _judged(event, stored, gateway, now, "receipt"))
        except EventRefusedError as error:
            log.warning("refusal_not_taken_up", record_id=refused.record_id, reason=str(error.why))


async def keep_taking_up(gateway: Gateway) -> None:
    """Look every minute, for as long as the gateway runs: a process may be killed between a receipt and its event."""
    while True:
        try:
            await take_up_refusals(gateway, datetime.now(UTC))
        except GatewayError as error:
            log.warning("refusals_not_taken_up", reason=type(error).__name__)
        await asyncio.sleep(EVERY_SECONDS)
