"""The contract of the cases' part of every archive: events, what they do, and another hospital for a plan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from outcomes import CPR, GP, ODENSE, RECEIVED_AT, SENDER, accepted, letter_of, postgres_store, reading_of, route_to

from gtgateway.model.case import CaseEvent, EventKind
from gtgateway.model.delivery import AttemptResult, Conclusion, Delivery, DeliveryState, DueDelivery, NewAttempt
from gtgateway.model.findings import Bilingual, Finding, Layer, Severity
from gtgateway.model.message import Action, FhirEnvelope, Format, OriginalRef, Reading
from gtgateway.model.outcome import Rerouted
from gtgateway.model.route import Organisation, OrganisationKind, Role, Route
from gtgateway.store.base import AddedEvent, NewEvent, Rerouting, Saved, Store

pytestmark = pytest.mark.anyio

NOW = RECEIVED_AT + timedelta(hours=1)
FIRST = Organisation("first-hospital", OrganisationKind.HOSPITAL, "First", (), endpoint="first-net")
SECOND = Organisation("second-hospital", OrganisationKind.HOSPITAL, "Second", (), endpoint="second-net")
PULLS = replace(SECOND, id="third-hospital", name="Third", endpoint=None)
FINDING = Finding("GOP-CHOICE-13", Severity.WARNING, Layer.LAW, "kind", Bilingual("da", "en"), basis="§ 86")


def to(hospital: Organisation) -> Route:
    return replace(route_to((hospital, Role.ACTION), (ODENSE, Role.AUTHORITY)), chosen_hospital=hospital)


def reading(letter_id: str = "L1") -> Reading:
    """A FHIR message: only such a one speaks of a plan that came before."""
    fhir = FhirEnvelope(letter_id, None, "e", None, None, "application/fhir+json")
    letter = letter_of(letter_id, plan_id="P1")
    return replace(reading_of(letter, envelope_id=letter_id), format=Format.FHIR, fhir=fhir)


async def keep(store: Store, letter_id: str = "L1", route: Route | None = None, version: int = 1) -> Saved:
    action = Action.NEW if version == 1 else Action.CORRECTION
    outcome = accepted(reading(letter_id), action=action, route=route or to(FIRST), plan_version=version)
    return await store.save(outcome, b"body", "ouh")


def new(saved: Saved, kind: EventKind = EventKind.ACKNOWLEDGED, *, version: int = 1, **more: object) -> NewEvent:
    event = CaseEvent(str(uuid4()), kind, NOW, ODENSE.id)
    return replace(NewEvent(saved.record_ids[0], version, event, (), NOW, "client"), **more)  # type: ignore[arg-type]


def refusal(saved: Saved, version: int = 1) -> NewEvent:
    event = CaseEvent(str(uuid4()), EventKind.REFUSED_CAPACITY, NOW, FIRST.id)
    return new(
        saved,
        version=version,
        event=event,
        findings=(FINDING,),
        recipient=FIRST.id,
        settles=DeliveryState.REFUSED,
        reason="capacity",
        hospital_needed=True,
    )


def choice(saved: Saved, hospital: Organisation, version: int = 1) -> NewEvent:
    event = CaseEvent(str(uuid4()), EventKind.HOSPITAL_CHOSEN, NOW, ODENSE.id, provider_id=hospital.id)
    (letter,) = accepted(reading(), route=to(hospital)).letters
    return new(saved, version=version, event=event, rerouting=Rerouting(Rerouted(hospital.id, FIRST.id), letter))


async def states(store: Store, saved: Saved) -> dict[str, tuple[str, str | None]]:
    message = await store.message(saved.message_id)
    assert message is not None
    return {each.organisation_id: (str(each.state), each.reason) for each in message.deliveries}


async def delivery(store: Store, saved: Saved, organisation: Organisation) -> Delivery:
    message = await store.message(saved.message_id)
    assert message is not None
    return next(each for each in message.deliveries if each.organisation_id == organisation.id)


async def claim(store: Store) -> tuple[DueDelivery, ...]:
    later = NOW + timedelta(minutes=1)
    return await store.claim("w", {"first-net": 5, "second-net": 5}, later, later + timedelta(seconds=60))


async def sent(store: Store) -> DueDelivery:
    """The one delivery that is due, taken without a receipt yet."""
    (due,) = await claim(store)
    await store.begin("w", [NewAttempt(due.delivery_id, NOW, "ours-1", None, NOW)])
    taken = AttemptResult(due.delivery_id, "ours-1", NOW, Conclusion.SENT, "sent", None, DeliveryState.SENT, NOW)
    await store.conclude("w", [taken])
    return due


async def told(store: Store) -> list[tuple[str, str | None, str | None]]:
    page = await store.events([SENDER], 0, 100)
    return [(each.kind, each.organisation_id, each.reason) for each in page.entries]


async def feed_of(store: Store, organisation: Organisation, after: int = 0) -> list[tuple[str, int]]:
    page = await store.feed([organisation.id], after, 100)
    return [(each.change, each.version) for each in page.entries]


# --- events -----------------------------------------------------------------------------------------------------------


async def test_a_case_has_what_it_is_judged_from(store: Store) -> None:
    saved = await keep(store)
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert (case.record_id, case.version, case.state) == (saved.record_ids[0], 1, "active")
    assert (case.message_id, case.letter_id, case.received_at) == (saved.message_id, "L1", RECEIVED_AT)
    assert (case.sender_gln, case.plan_id, case.plan_version) == (SENDER, "P1", 1)
    assert (case.rerouted, case.events) == (None, ())
    assert case.organisations == {FIRST.id, ODENSE.id}
    assert [(each.organisation_id, each.roles) for each in case.deliveries] == [
        (FIRST.id, ("action",)),
        (ODENSE.id, ("authority",)),
    ]
    assert orjson.loads(case.record)["record_id"] == saved.record_ids[0]
    assert await store.case("none") is None


async def test_an_event_is_kept_whole_and_counts_a_version(store: Store) -> None:
    saved = await keep(store)
    event = refusal(saved)
    added = await store.add_event(event)
    assert added.kept is not None
    assert (added.kept.event, added.kept.findings, added.kept.version, added.repeated) == (
        event.event,
        (FINDING,),
        2,
        False,
    )
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert (case.version, case.events) == (2, (added.kept,))
    record = await store.record(saved.record_ids[0])
    assert record is not None
    assert record.version == 2
    shown = orjson.loads(record.record)
    assert shown["events"] == [
        {"id": event.event.id, "kind": "refused_capacity", "at": "2026-11-06T10:30:00Z"} | {"by": FIRST.id}
    ]
    assert list(shown)[:3] == ["record_id", "version", "events"]
    page = await store.feed([ODENSE.id], 0, 10)
    assert page.entries[0].record == record.record


async def test_the_same_event_again_is_found(store: Store) -> None:
    saved = await keep(store)
    event = new(saved)
    first = await store.add_event(event)
    again = await store.add_event(replace(event, version=2))
    assert again == AddedEvent(first.kept, repeated=True)
    assert [kind for kind, *_ in await told(store)] == ["answered"]
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert (case.version, len(case.events)) == (2, 1)


async def test_judged_by_an_older_version_nothing_is_written(store: Store) -> None:
    saved = await keep(store)
    await store.add_event(new(saved))
    assert await store.add_event(refusal(saved, version=1)) == AddedEvent(None)
    assert (await states(store, saved))[FIRST.id] == ("pending", None)
    assert await feed_of(store, ODENSE) == [("case", 2)]


async def test_of_many_at_once_one_wins_each_version(store: Store) -> None:
    saved = await keep(store)
    added = await asyncio.gather(*(store.add_event(new(saved)) for _ in range(10)))
    assert [each.kept.version for each in added if each.kept] == [2]
    same = new(saved, version=2)
    repeated = await asyncio.gather(*(store.add_event(same) for _ in range(10)))
    assert {each.kept.event.id for each in repeated if each.kept} == {same.event.id}
    assert [each.repeated for each in repeated].count(False) == 1


async def test_who_may_read_is_shown_the_change_unless_it_is_an_acknowledgement(store: Store) -> None:
    saved = await keep(store)
    newest = await store.newest([ODENSE.id, FIRST.id])
    await store.add_event(new(saved, shown=False))
    assert await feed_of(store, ODENSE, newest) == []
    await store.add_event(refusal(saved, version=2))
    assert await feed_of(store, ODENSE, newest) == [("case", 3)]
    assert await feed_of(store, FIRST, newest) == [("case", 3)]
    assert await feed_of(store, GP) == []


async def test_acknowledged_is_as_good_as_a_receipt(store: Store) -> None:
    saved = await keep(store)
    await sent(store)
    acknowledged = new(saved, recipient=FIRST.id, settles=DeliveryState.DELIVERED)
    await store.add_event(acknowledged)
    assert await states(store, saved) == {FIRST.id: ("delivered", None), ODENSE.id: ("pending", None)}
    assert await claim(store) == ()
    assert await told(store) == [("answered", None, "accepted"), ("delivered", FIRST.id, None)]
    # Once is enough.
    await store.add_event(replace(acknowledged, version=2, event=replace(acknowledged.event, id="other")))
    assert len(await told(store)) == 2


async def test_a_refusal_takes_back_that_it_arrived_and_stands(store: Store) -> None:
    saved = await keep(store)
    await store.add_event(new(saved, recipient=FIRST.id, settles=DeliveryState.DELIVERED))
    await store.add_event(refusal(saved, version=2))
    assert (await states(store, saved))[FIRST.id] == ("refused", "capacity")
    assert (await told(store))[-2:] == [
        ("refused", FIRST.id, "capacity"),
        ("new_hospital_needed", FIRST.id, "capacity"),
    ]
    await store.add_event(new(saved, version=3, recipient=FIRST.id, settles=DeliveryState.DELIVERED))
    assert (await states(store, saved))[FIRST.id] == ("refused", "capacity")


# --- another hospital -------------------------------------------------------------------------------------------------


async def test_another_hospital_is_sent_the_same_version(store: Store) -> None:
    saved = await keep(store)
    before = await store.newest([ODENSE.id, FIRST.id])
    added = await store.add_event(choice(saved, SECOND))
    assert added.kept is not None
    assert added.kept.version == 2
    assert await states(store, saved) == {
        FIRST.id: ("cancelled", "rerouted"),
        ODENSE.id: ("pending", None),
        SECOND.id: ("pending", None),
    }
    assert await feed_of(store, FIRST, before) == [("access_ended", 2)]
    assert await feed_of(store, ODENSE, before) == [("case", 2)]
    assert await feed_of(store, SECOND) == [("new", 2)]
    (due,) = await claim(store)
    assert (due.organisation_id, due.plan_version, due.action) == (SECOND.id, 1, Action.NEW)
    assert (due.message_id, due.letter_id, due.roles) == (saved.message_id, "L1", ("action",))
    assert due.rerouted == Rerouted(SECOND.id, FIRST.id)
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert (case.rerouted, case.organisations) == (Rerouted(SECOND.id, FIRST.id), {SECOND.id, ODENSE.id})
    (plan,) = await store.plans_of(CPR)
    assert plan.rerouted == Rerouted(SECOND.id, FIRST.id)
    assert (await store.known(reading("L2"))).rerouted == {"L2": Rerouted(SECOND.id, FIRST.id)}


async def test_whoever_waits_for_a_receipt_of_the_first_hospital_does_not_send_again(store: Store) -> None:
    saved = await keep(store)
    await sent(store)
    await store.add_event(choice(saved, PULLS))
    assert await claim(store) == ()
    assert (await states(store, saved))[FIRST.id] == ("cancelled", "rerouted")


async def test_what_arrived_at_the_first_hospital_has_arrived(store: Store) -> None:
    saved = await keep(store)
    await store.add_event(new(saved, recipient=FIRST.id, settles=DeliveryState.DELIVERED))
    await store.add_event(choice(saved, PULLS, version=2))
    assert (await states(store, saved))[FIRST.id] == ("delivered", None)


async def test_a_hospital_that_pulls_finds_it_and_delivers_it(store: Store) -> None:
    saved = await keep(store)
    await store.add_event(choice(saved, PULLS))
    position = await store.newest([PULLS.id])
    await store.mark_sent([PULLS.id], position)
    await store.mark_delivered([PULLS.id], position, NOW)
    assert (await states(store, saved))[PULLS.id] == ("delivered", None)


async def test_back_to_a_hospital_that_was_left_it_is_another_message(store: Store) -> None:
    saved = await keep(store)
    first = await sent(store)
    await store.add_event(refusal(saved))
    await store.add_event(choice(saved, SECOND, version=2))
    await store.add_event(choice(saved, FIRST, version=3))
    assert (await states(store, saved)) == {
        FIRST.id: ("pending", None),
        ODENSE.id: ("pending", None),
        SECOND.id: ("cancelled", "rerouted"),
    }
    (due,) = await claim(store)
    assert due.delivery_id == first.delivery_id
    assert due.message_uuid != first.message_uuid
    # The receipt of the message that it took the place of says nothing of this one.
    await store.save_receipt(OriginalRef("ours-1", (), "1", "2", False), "d", NOW, "c", [FIRST.id])
    assert (await delivery(store, saved, FIRST)).state is DeliveryState.CLAIMED


async def test_the_senders_new_version_keeps_the_hospital_or_makes_its_own_choice_known(store: Store) -> None:
    saved = await keep(store)
    await store.add_event(choice(saved, SECOND))
    await keep(store, "L2", to(SECOND), version=2)
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert case.rerouted == Rerouted(SECOND.id, FIRST.id)
    await keep(store, "L3", to(PULLS), version=3)
    case = await store.case(saved.record_ids[0])
    assert case is not None
    assert (case.rerouted, case.organisations) == (None, {PULLS.id, ODENSE.id})


# --- refusals by receipt ----------------------------------------------------------------------------------------------


async def test_a_receipt_that_refuses_for_capacity_waits_until_the_case_tells_of_it(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    text = "GOP-CHOICE-13: Der er ikke plads."
    receipt = OriginalRef("ours-1", (), "1", "2", False, "ikke_specificeret", text)
    await store.save_receipt(receipt, "d", NOW, "c", [FIRST.id])
    assert (await states(store, saved))[FIRST.id] == ("refused", "capacity")
    (refused,) = await store.capacity_refusals()
    assert (refused.delivery_id, refused.record_id, refused.organisation_id, refused.since) == (
        due.delivery_id,
        saved.record_ids[0],
        FIRST.id,
        NOW,
    )
    await store.add_event(refusal(saved))
    assert await store.capacity_refusals() == ()
    assert [kind for kind, *_ in await told(store)] == ["answered", "refused", "new_hospital_needed"]


async def test_so_does_one_that_came_with_the_answer(store: Store) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    await store.begin("w", [NewAttempt(due.delivery_id, NOW, "ours-1", None, NOW)])
    refused = AttemptResult(
        due.delivery_id, "ours-1", NOW, Conclusion.REFUSED, "capacity", "text", DeliveryState.REFUSED, None, "digest"
    )
    await store.conclude("w", [refused])
    assert (await states(store, saved))[FIRST.id] == ("refused", "capacity")
    assert [each.delivery_id for each in await store.capacity_refusals()] == [due.delivery_id]


async def test_another_refusal_is_none_for_capacity(store: Store) -> None:
    await keep(store)
    await sent(store)
    await store.save_receipt(
        OriginalRef("ours-1", (), "1", "2", False, "syntaksfejl", "Nej."), "d", NOW, "c", [FIRST.id]
    )
    assert await store.capacity_refusals() == ()


# --- several processes ------------------------------------------------------------------------------------------------


async def test_events_and_new_versions_from_two_processes_take_turns(database: str) -> None:
    """Every version of the record is one change's, and no event is judged by what another process has changed."""
    stores = [postgres_store(database) for _ in range(2)]
    for each in stores:
        await each.open()
    try:
        one, other = stores
        saved = await keep(one)

        async def tell(store: Store, count: int) -> list[int]:
            versions = []
            while len(versions) < count:
                case = await store.case(saved.record_ids[0])
                assert case is not None
                added = await store.add_event(new(saved, version=case.version))
                if added.kept:
                    versions.append(added.kept.version)
            return versions

        async def correct() -> None:
            for number in range(2, 7):
                await keep(one, f"L{number}", version=number)

        told_by_one, told_by_other, _ = await asyncio.gather(tell(one, 5), tell(other, 5), correct())
        case = await one.case(saved.record_ids[0])
        assert case is not None
        assert (case.version, case.plan_version, len(case.events)) == (16, 6, 10)
        assert len({*told_by_one, *told_by_other}) == 10
    finally:
        for each in stores:
            await each.close()
