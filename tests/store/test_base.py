"""The contract of every archive: what is kept, who may read it, what happens to repeats and races."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import orjson
import pytest
from outcomes import (
    AARHUS,
    AARHUS_GLN,
    CPR,
    GP,
    ODENSE,
    ODENSE_GLN,
    OTHER_CPR,
    RECEIVED_AT,
    SENDER,
    accepted,
    letter_of,
    notified,
    reading_of,
    rejected,
    route_to,
    unreadable,
)

from gtgateway.errors import StoreUnavailable
from gtgateway.model.delivery import DeliveryState
from gtgateway.model.message import Action, FhirEnvelope, Format, Letter, Reading
from gtgateway.model.outcome import ActivePlan, Outcome, Repeat
from gtgateway.model.route import Role
from gtgateway.store.base import FeedPage, Store, StoredPlan

pytestmark = pytest.mark.anyio

BODY = bytes(range(256)) * 4


def changes(page: FeedPage) -> list[tuple[str, int, str]]:
    return [(entry.change, entry.version, entry.organisation) for entry in page.entries]


# --- what is kept -----------------------------------------------------------------------------------------------------


async def test_accepted_message_is_kept_whole(store: Store) -> None:
    reading = reading_of(letter_of("L1"), letter_of("L2"), vans_id="V1")
    outcome = accepted(reading)
    saved = await store.save(outcome, BODY, "ouh")
    assert saved.earlier is None
    assert len(set(saved.record_ids)) == 2
    message = await store.message(saved.message_id)
    assert message is not None
    assert (message.sender_gln, message.receiver_gln) == (SENDER, ODENSE_GLN)
    assert (message.format, message.verdict, message.client) == ("vans+ggop", "accepted", "ouh")
    assert message.received_at == RECEIVED_AT
    assert message.envelope_id == "envelope-1"
    assert message.letter_ids == ("L1", "L2")
    assert message.record_ids == saved.record_ids
    assert (message.content_digest, message.body_digest) == (reading.content_digest, reading.digest)
    assert message.summary == b'[{"verdict":"accepted"}]'
    assert await store.body(saved.message_id) == BODY
    assert await store.answer(saved.message_id) == outcome.reply
    assert await store.answer(saved.message_id, "envelope") == outcome.envelope_receipt


async def test_record_and_access(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"), letter_of("L2"))), BODY, "ouh")
    record = await store.record(saved.record_ids[1])
    assert record is not None
    assert (record.record_id, record.version, record.state) == (saved.record_ids[1], 1, "active")
    assert (record.message_id, record.letter_id) == (saved.message_id, "L2")
    assert record.organisations == {ODENSE.id, GP.id}  # the region is named by law but sent nothing
    assert orjson.loads(record.record) == {
        "record_id": saved.record_ids[1],
        "version": 1,
        "plan_id": "L2",
        "plan_version": 1,
    }


async def test_deliveries_are_pending_with_their_roles(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    message = await store.message(saved.message_id)
    assert message is not None
    assert [
        (each.organisation_id, each.organisation_name, each.roles, each.state, each.attempts, each.version)
        for each in message.deliveries
    ] == [
        ("odense-kommune", "Odense Kommune", ("action", "authority"), DeliveryState.PENDING, 0, 1),
        ("laegerne-torvet", "Lægerne på Torvet", ("copy",), DeliveryState.PENDING, 0, 1),
    ]
    assert {each.record_id for each in message.deliveries} == set(saved.record_ids)


async def test_refused_message_is_kept_without_its_body(store: Store) -> None:
    outcome = rejected(reading_of(letter_of("L1")))
    saved = await store.save(outcome, BODY, "ouh")
    assert saved.record_ids == ()
    assert await store.body(saved.message_id) is None
    assert await store.answer(saved.message_id) == outcome.reply
    assert await store.answer(saved.message_id, "envelope") is None
    message = await store.message(saved.message_id)
    assert message is not None
    assert (message.verdict, message.letter_ids, message.record_ids) == ("rejected", ("L1",), ())
    assert await store.newest([ODENSE.id, GP.id]) == 0


async def test_unreadable_message_has_no_parties_and_no_key(store: Store) -> None:
    outcome = unreadable(reading_of(letter_of("L1"), vans_id="V1"))
    saved = await store.save(outcome, BODY, "ouh")
    message = await store.message(saved.message_id)
    assert message is not None
    assert (message.verdict, message.sender_gln, message.letter_ids) == ("unreadable", "", ())
    assert await store.body(saved.message_id) is None
    # Sent again as it was, the id is not reused; with other bytes it is.
    assert not (await store.known(outcome.reading)).vans_id_used
    assert (await store.known(replace(outcome.reading, digest="0" * 64))).vans_id_used


async def test_unknown_ids_are_none(store: Store) -> None:
    assert await store.message("no") is None
    assert await store.record("no") is None
    assert await store.body("no") is None
    assert await store.answer("no") is None
    assert await store.answer("no", "envelope") is None


async def test_ready_and_closed(store: Store) -> None:
    assert await store.ready()
    await store.close()
    assert not await store.ready()
    with pytest.raises(StoreUnavailable):
        await store.known(reading_of(letter_of("L1")))


# --- repeats (house.md 4) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [accepted, rejected])
async def test_same_message_gets_the_stored_answer(store: Store, made: Callable[[Reading], Outcome]) -> None:
    first = made(reading_of(letter_of("L1"), letter_of("L2")))
    saved = await store.save(first, BODY, "ouh")
    again = reading_of(letter_of("L1"), letter_of("L2"), envelope_id="envelope-2")
    known = await store.known(again)
    assert known.answer is not None
    assert known.answer.message_id == saved.message_id
    assert known.answer.content_digest == again.content_digest
    assert known.answer.accepted == (made is accepted)
    assert known.answer.status == first.reply.status
    assert known.answer.acknowledgement == first.acknowledgement


async def test_replay_writes_nothing(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    newest = await store.newest([ODENSE.id])
    again = await store.save(
        accepted(reading_of(letter_of("L1"), envelope_id="envelope-2"), repeat=Repeat.REPLAY), b"other", "ouh"
    )
    assert again == saved
    assert await store.newest([ODENSE.id]) == newest
    assert await store.body(saved.message_id) == BODY


async def test_changed_content_after_acceptance_leaves_the_first_in_force(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    changed = reading_of(letter_of("L1", "second"), envelope_id="envelope-2")
    refused = await store.save(rejected(changed, repeat=Repeat.CHANGED_AFTER_OK), b"changed", "ouh")
    assert refused.earlier is None
    assert refused.message_id != saved.message_id
    kept = await store.message(refused.message_id)
    assert kept is not None
    assert kept.verdict == "rejected"
    answer = (await store.known(changed)).answer
    assert answer is not None
    assert (answer.message_id, answer.accepted) == (saved.message_id, True)


async def test_changed_content_after_refusal_takes_over(store: Store) -> None:
    refused = await store.save(rejected(reading_of(letter_of("L1"))), BODY, "ouh")
    better = reading_of(letter_of("L1", "better"), envelope_id="envelope-2")
    saved = await store.save(accepted(better, repeat=Repeat.CHANGED_AFTER_REFUSAL), b"better", "ouh")
    assert saved.earlier is None
    answer = (await store.known(better)).answer
    assert answer is not None
    assert answer.message_id == saved.message_id
    assert await store.answer(refused.message_id) is not None  # what was answered stays on record


async def test_an_accepted_message_is_never_superseded(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    late = accepted(reading_of(letter_of("L1", "late")), repeat=Repeat.CHANGED_AFTER_REFUSAL)
    lost = await store.save(late, b"late", "ouh")
    assert lost.earlier is not None
    assert lost.earlier.message_id == lost.message_id == saved.message_id


async def test_vans_id_on_another_message(store: Store) -> None:
    first = reading_of(letter_of("L1"), vans_id="V1")
    await store.save(accepted(first), BODY, "ouh")
    assert not (await store.known(first)).vans_id_used
    other = reading_of(letter_of("L2"), vans_id="V1")
    known = await store.known(other)
    assert known.vans_id_used
    assert known.answer is None
    refused = await store.save(rejected(other, repeat=Repeat.VANS_ID_REUSED), b"x", "ouh")
    assert refused.earlier is None
    # The letter itself stays free for an envelope of its own.
    assert await store.known(reading_of(letter_of("L2"), vans_id="V2")) == replace(known, vans_id_used=False)
    # Ids are compared case-sensitively.
    assert not (await store.known(reading_of(letter_of("L2"), vans_id="v1"))).vans_id_used


async def test_vans_id_taken_meanwhile_is_to_be_sent_again(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1"), vans_id="V1")), BODY, "ouh")
    with pytest.raises(StoreUnavailable):
        await store.save(accepted(reading_of(letter_of("L2"), vans_id="V1")), BODY, "ouh")
    assert (await store.known(reading_of(letter_of("L2")))).answer is None


async def test_letter_in_another_grouping_is_answered_by_its_first_message(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    regrouped = reading_of(letter_of("L1"), letter_of("L2"))
    answer = (await store.known(regrouped)).answer
    assert answer is not None
    assert answer.message_id == saved.message_id
    lost = await store.save(accepted(regrouped), BODY, "ouh")  # as if it had been judged before
    assert lost.earlier is not None
    assert lost.earlier.message_id == saved.message_id
    assert (await store.known(reading_of(letter_of("L2")))).answer is None  # nothing of the loser is kept


# --- races ------------------------------------------------------------------------------------------------------------


async def test_one_of_many_equal_messages_wins(store: Store) -> None:
    outcome = accepted(reading_of(letter_of("L1"), vans_id="V1"))
    all_saved = await asyncio.gather(*(store.save(outcome, BODY, "ouh") for _ in range(8)))
    (winner,) = (saved for saved in all_saved if saved.earlier is None)
    for saved in all_saved:
        assert saved.message_id == winner.message_id
        if saved is not winner:
            assert saved.earlier is not None
            assert saved.earlier.acknowledgement == outcome.acknowledgement
    page = await store.feed([ODENSE.id], 0, 10)
    assert changes(page) == [("new", 1, ODENSE.id)]


async def test_racing_contents_of_one_key(store: Store) -> None:
    outcomes = [rejected(reading_of(letter_of("L1", content))) for content in ("a", "b")]
    first, second = await asyncio.gather(*(store.save(outcome, BODY, "ouh") for outcome in outcomes))
    assert first.earlier is None
    assert second.earlier is not None
    assert second.earlier.content_digest == outcomes[0].reading.content_digest
    assert not second.earlier.accepted


async def test_racing_takeovers_of_a_refused_message(store: Store) -> None:
    await store.save(rejected(reading_of(letter_of("L1"))), BODY, "ouh")
    better = accepted(reading_of(letter_of("L1", "better")), repeat=Repeat.CHANGED_AFTER_REFUSAL)
    all_saved = await asyncio.gather(*(store.save(better, BODY, "ouh") for _ in range(4)))
    assert [saved.earlier is None for saved in all_saved].count(True) == 1
    assert len((await store.feed([ODENSE.id], 0, 10)).entries) == 1


async def test_a_failing_outcome_fails_alone(store: Store) -> None:
    good = [accepted(reading_of(letter_of(f"L{number}"))) for number in range(4)]
    bad = accepted(reading_of(letter_of("never-sent")), action=Action.CORRECTION)
    results = await asyncio.gather(
        *(store.save(outcome, BODY, "ouh") for outcome in (*good[:2], bad, *good[2:])), return_exceptions=True
    )
    assert isinstance(results.pop(2), StoreUnavailable)
    for saved in results:
        assert not isinstance(saved, BaseException)
        assert await store.body(saved.message_id) == BODY
    assert (await store.known(bad.reading)).answer is None


# --- copies, open plans, versions -------------------------------------------------------------------------------------


async def test_copy_that_the_sender_sends_itself(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    copy = reading_of(letter_of("L1", "other receiver"), envelope_id="envelope-2", receiver=AARHUS_GLN)
    known = await store.known(copy)
    assert known.answer is None
    assert known.copy_of == saved.record_ids[0]
    copied = await store.save(accepted(copy, action=Action.COPY), b"copy", "ouh")
    assert copied.record_ids == saved.record_ids
    assert await store.body(copied.message_id) == b"copy"
    record = await store.record(saved.record_ids[0])
    assert record is not None
    assert (record.version, record.message_id) == (1, saved.message_id)
    assert len((await store.feed([ODENSE.id], 0, 10)).entries) == 1
    message = await store.message(copied.message_id)
    assert message is not None
    assert message.deliveries == ()
    again = await store.known(copy)
    assert again.answer is not None
    assert again.answer.message_id == copied.message_id


async def test_copy_judged_before_its_original_was_stored(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    raced = await store.save(accepted(reading_of(letter_of("L1"), receiver=AARHUS_GLN)), BODY, "ouh")
    assert raced.earlier is None
    assert raced.record_ids == saved.record_ids
    assert len((await store.feed([ODENSE.id], 0, 10)).entries) == 1


def fhir_reading(letter: Letter, message_id: str, earlier: tuple[str, ...] = ()) -> Reading:
    reading = reading_of(letter, envelope_id=message_id)
    fhir = FhirEnvelope(message_id, None, "gop", None, None, "application/fhir+json", earlier)
    return replace(reading, format=Format.FHIR, fhir=fhir)


def copied_to(organisation: str, reading: Reading) -> Outcome:
    outcome = accepted(reading, action=Action.COPY)
    return replace(outcome, letters=tuple(replace(each, served=(organisation,)) for each in outcome.letters))


async def test_copy_before_and_after_its_plan(store: Store) -> None:
    to_gp = copied_to(GP.id, fhir_reading(letter_of("L1"), "copy-1", ("first",)))
    early = await store.save(to_gp, b"copy", "ouh")
    assert early.record_ids == ()
    assert await store.waiting_copies(RECEIVED_AT) == ()
    assert await store.waiting_copies(RECEIVED_AT + timedelta(seconds=1)) == ((early.message_id, RECEIVED_AT),)
    saved = await store.save(accepted(fhir_reading(letter_of("L1"), "first")), BODY, "ouh")
    assert await states(store, saved.message_id) == {
        ODENSE.id: DeliveryState.PENDING,
        GP.id: DeliveryState.SERVED_BY_SENDER,
    }
    linked = await store.message(early.message_id)
    assert linked is not None
    assert linked.record_ids == saved.record_ids
    late = await store.save(copied_to(ODENSE.id, fhir_reading(letter_of("L1"), "copy-2", ("first",))), b"copy", "ouh")
    assert late.record_ids == saved.record_ids
    assert set((await states(store, saved.message_id)).values()) == {DeliveryState.SERVED_BY_SENDER}
    # what is served goes nowhere else when the recipient fetches
    await store.mark_sent([GP.id], await store.newest([GP.id]))
    assert (await states(store, saved.message_id))[GP.id] is DeliveryState.SERVED_BY_SENDER
    assert await store.waiting_copies(RECEIVED_AT + timedelta(days=2)) == ()


async def test_copy_of_a_message_that_has_not_come_waits_beside_its_plan(store: Store) -> None:
    saved = await store.save(accepted(fhir_reading(letter_of("L1"), "first")), BODY, "ouh")
    copy = copied_to(GP.id, fhir_reading(letter_of("L1"), "copy-1", ("second",)))
    early = await store.save(copy, b"copy", "ouh")
    assert early.record_ids == saved.record_ids
    await store.link_copies()
    assert (await states(store, saved.message_id))[GP.id] is DeliveryState.PENDING
    assert len(await store.waiting_copies(RECEIVED_AT + timedelta(days=2))) == 1
    correction = accepted(fhir_reading(letter_of("L1", "new"), "second"), action=Action.CORRECTION, plan_version=2)
    second = await store.save(correction, BODY, "ouh")
    assert (await states(store, second.message_id))[GP.id] is DeliveryState.SERVED_BY_SENDER


async def test_several_letters_are_copies_only_together(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    mixed = reading_of(letter_of("L1"), letter_of("L2"), receiver=AARHUS_GLN)
    assert (await store.known(mixed)).copy_of is None
    kept = await store.save(accepted(mixed), BODY, "ouh")
    assert kept.record_ids[0] == saved.record_ids[0]
    assert kept.record_ids[1] != saved.record_ids[0]


async def test_refused_message_has_no_copies(store: Store) -> None:
    await store.save(rejected(reading_of(letter_of("L1"))), BODY, "ouh")
    assert (await store.known(reading_of(letter_of("L1"), receiver=AARHUS_GLN))).copy_of is None


async def test_open_plans_of_the_same_patient(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await store.save(accepted(reading_of(letter_of("L2", cpr=OTHER_CPR))), BODY, "ouh")
    await store.save(rejected(reading_of(letter_of("L3"))), BODY, "ouh")
    known = await store.known(reading_of(letter_of("L1"), letter_of("L4"), letter_of("L5", cpr=OTHER_CPR)))
    first = ActivePlan(f"{SENDER}|L1", "2026-11-06", "episode-L1", "DS72")
    second = ActivePlan(f"{SENDER}|L2", "2026-11-06", "episode-L2", "DS72")
    assert known.active_plans == {"L1": (), "L4": (first,), "L5": (second,)}


async def test_correction_moves_access(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    (record_id,) = saved.record_ids
    before = await store.newest([ODENSE.id, GP.id])
    await store.mark_sent([GP.id], before)
    correction = reading_of(letter_of("L2", plan_id="L1"))
    route = route_to((AARHUS, Role.ACTION), (GP, Role.COPY))
    corrected = await store.save(accepted(correction, action=Action.CORRECTION, route=route, plan_version=2), BODY, "o")
    assert corrected.record_ids == (record_id,)
    record = await store.record(record_id)
    assert record is not None
    assert (record.version, record.message_id, record.letter_id) == (2, corrected.message_id, "L2")
    assert record.organisations == {AARHUS.id, GP.id}
    page = await store.feed([ODENSE.id], before, 10)
    assert changes(page) == [("access_ended", 2, ODENSE.id)]
    assert page.entries[0].record is None
    assert changes(await store.feed([GP.id], before, 10)) == [("corrected", 2, GP.id)]
    assert changes(await store.feed([AARHUS.id], 0, 10)) == [("new", 2, AARHUS.id)]
    first, second = await store.message(saved.message_id), await store.message(corrected.message_id)
    assert first is not None
    assert second is not None
    # What has gone out is not called back.
    assert [each.state for each in first.deliveries] == [DeliveryState.CANCELLED, DeliveryState.SENT]
    assert [(each.organisation_id, each.version, each.state) for each in second.deliveries] == [
        (AARHUS.id, 2, DeliveryState.PENDING),
        (GP.id, 2, DeliveryState.PENDING),
    ]


async def test_correction_of_a_plan_that_moved_on(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    second = accepted(reading_of(letter_of("L2", plan_id="L1")), action=Action.CORRECTION, plan_version=2)
    await store.save(second, BODY, "ouh")
    raced = accepted(reading_of(letter_of("L3", plan_id="L1")), action=Action.CORRECTION, plan_version=2)
    with pytest.raises(StoreUnavailable):
        await store.save(raced, BODY, "ouh")


async def test_active_plans_of_a_patient(store: Store) -> None:
    first = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await store.save(accepted(reading_of(letter_of("L2", cpr=OTHER_CPR))), BODY, "ouh")
    third = await store.save(accepted(reading_of(letter_of("L3"))), BODY, "ouh")
    withdrawal = reading_of(letter_of("L4", plan_id="L3"))
    assert [(each.plan_id, each.message_id) for each in await store.plans_of(CPR)] == [
        ("L1", first.message_id),
        ("L3", third.message_id),
    ]
    await store.save(accepted(withdrawal, action=Action.WITHDRAWAL, plan_version=2), BODY, "ouh")
    assert await store.plans_of(CPR) == (
        StoredPlan(SENDER, "L1", 1, date(2026, 11, 6), "episode-L1", first.message_id, "L1", RECEIVED_AT),
    )


async def test_notification_that_corrects_a_plan(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    told = notified(letter_of("L1"))
    corrected = await store.save(told, b"notification", "ouh")
    assert corrected.record_ids == saved.record_ids
    record = await store.record(saved.record_ids[0])
    assert record is not None
    # the record is read from the plan's own message as before
    assert (record.version, record.message_id, record.letter_id) == (2, saved.message_id, "L1")
    assert orjson.loads(record.record)["plan_version"] == 2
    assert changes(await store.feed([ODENSE.id], 0, 10)) == [("corrected", 2, ODENSE.id)]
    message = await store.message(corrected.message_id)
    assert message is not None
    assert message.letter_ids == ("notification-1",)
    assert message.record_ids == saved.record_ids
    assert {(each.version, each.state) for each in message.deliveries} == {(2, DeliveryState.PENDING)}
    assert await store.body(corrected.message_id) == b"notification"
    known = await store.known(told.reading)
    assert known.answer is not None
    assert known.answer.message_id == corrected.message_id
    with pytest.raises(StoreUnavailable):  # judged for the version that was just replaced
        await store.save(notified(letter_of("L1"), message_id="notification-2"), BODY, "ouh")


async def test_notification_that_corrects_nothing_is_kept_without_its_body(store: Store) -> None:
    saved = await store.save(notified(), b"notification", "ouh")
    assert saved.record_ids == ()
    assert await store.body(saved.message_id) is None


async def test_withdrawal_reaches_whoever_has_the_plan(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    withdrawal = accepted(reading_of(letter_of("L2", plan_id="L1")), action=Action.WITHDRAWAL)
    (letter,) = withdrawal.letters
    withdrawn = await store.save(replace(withdrawal, letters=(replace(letter, route=None, record=None),)), BODY, "ouh")
    record = await store.record(saved.record_ids[0])
    assert record is not None
    assert (record.version, record.state, record.organisations) == (2, "withdrawn", {ODENSE.id, GP.id})
    assert orjson.loads(record.record)["plan_id"] == "L1"
    assert changes(await store.feed([ODENSE.id], 0, 10)) == [("withdrawn", 2, ODENSE.id)]
    message = await store.message(withdrawn.message_id)
    assert message is not None
    assert [(each.organisation_id, each.roles) for each in message.deliveries] == [
        (ODENSE.id, ("action", "authority")),
        (GP.id, ("copy",)),
    ]
    assert (await store.known(reading_of(letter_of("L9")))).active_plans == {"L9": ()}


# --- feed -------------------------------------------------------------------------------------------------------------


async def test_feed_pages_in_order(store: Store) -> None:
    for number in range(5):
        await store.save(accepted(reading_of(letter_of(f"L{number}"))), BODY, "ouh")
    seen: list[str] = []
    after, more = 0, True
    while more:
        page = await store.feed([ODENSE.id], after, 2)
        assert len(page.entries) <= 2
        assert all(entry.position > after for entry in page.entries)
        seen += [orjson.loads(entry.record or b"")["plan_id"] for entry in page.entries]
        after, more = page.next, page.more
    assert seen == ["L0", "L1", "L2", "L3", "L4"]
    assert await store.feed([ODENSE.id], after, 2) == FeedPage((), after, False)


async def test_feed_shows_only_the_organisations_asked_for(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1")), route=route_to((ODENSE, Role.ACTION))), BODY, "ouh")
    await store.save(accepted(reading_of(letter_of("L2")), route=route_to((AARHUS, Role.ACTION))), BODY, "ouh")
    assert changes(await store.feed([AARHUS.id], 0, 10)) == [("new", 1, AARHUS.id)]
    both = await store.feed([AARHUS.id, ODENSE.id], 0, 10)
    assert changes(both) == [("new", 1, ODENSE.id), ("new", 1, AARHUS.id)]
    assert (await store.feed([GP.id], 0, 10)).entries == ()
    assert (await store.feed([], 0, 10)).entries == ()
    assert await store.newest([ODENSE.id]) < await store.newest([AARHUS.id]) == await store.newest([AARHUS.id, GP.id])


async def test_entries_of_one_record_are_folded_into_the_latest(store: Store) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await store.save(accepted(reading_of(letter_of("L2"))), BODY, "ouh")
    correction = accepted(reading_of(letter_of("L3", plan_id="L1")), action=Action.CORRECTION, plan_version=2)
    await store.save(correction, BODY, "ouh")
    page = await store.feed([ODENSE.id], 0, 10)
    assert [entry.change for entry in page.entries] == ["new", "corrected"]
    assert page.entries[1].record_id == saved.record_ids[0]
    positions = [entry.position for entry in page.entries]
    assert positions == sorted(positions)


async def test_lost_access_shows_no_content_on_any_page(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    correction = reading_of(letter_of("L2", plan_id="L1"))
    route = route_to((AARHUS, Role.ACTION))
    await store.save(accepted(correction, action=Action.CORRECTION, route=route, plan_version=2), BODY, "ouh")
    first = await store.feed([ODENSE.id], 0, 1)
    assert (first.entries, first.more) == ((), True)
    last = await store.feed([ODENSE.id], first.next, 1)
    assert [(entry.change, entry.record) for entry in last.entries] == [("access_ended", None)]
    # A caller that acts for both still reads it.
    both = await store.feed([ODENSE.id, AARHUS.id], 0, 10)
    assert changes(both) == [("new", 2, AARHUS.id)]


async def test_reader_beside_many_writers_misses_nothing(store: Store) -> None:
    positions: list[int] = []

    async def read_all() -> None:
        after = 0
        while len(positions) < 60:
            await store.wait_for_feed(after, 5)
            page = await store.feed([ODENSE.id], after, 7)
            positions.extend(entry.position for entry in page.entries)
            after = page.next

    outcomes = [accepted(reading_of(letter_of(f"L{number}"))) for number in range(60)]
    async with asyncio.timeout(20):
        await asyncio.gather(read_all(), *(store.save(outcome, BODY, "ouh") for outcome in outcomes))
    assert len(set(positions)) == 60
    assert positions == sorted(positions)


async def test_waiting_for_the_feed(store: Store) -> None:
    waiting = asyncio.create_task(store.wait_for_feed(0, 10))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await store.save(rejected(reading_of(letter_of("L0"))), BODY, "ouh")
    await asyncio.sleep(0.02)
    assert not waiting.done()  # a refused message changes no feed
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(store.wait_for_feed(0, 10), 1)  # what is there already needs no waiting


async def test_waiting_ends_in_time_at_the_end_of_the_feed(store: Store) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    page = await store.feed([ODENSE.id], 0, 10)  # the last entry is the GP's: `next` lies past it
    started = time.monotonic()
    await store.wait_for_feed(page.next, 0.05)
    assert 0.04 < time.monotonic() - started < 1


# --- deliveries -------------------------------------------------------------------------------------------------------


async def states(store: Store, message_id: str) -> dict[str, DeliveryState]:
    message = await store.message(message_id)
    assert message is not None
    return {each.organisation_id: each.state for each in message.deliveries}


async def test_pull_moves_deliveries(store: Store) -> None:
    first = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    page = await store.feed([ODENSE.id], 0, 10)
    later = await store.save(accepted(reading_of(letter_of("L2"))), BODY, "ouh")
    at = RECEIVED_AT + timedelta(minutes=1)

    await store.mark_delivered([ODENSE.id], page.next, at)  # nothing was sent yet
    assert (await states(store, first.message_id))[ODENSE.id] == "pending"
    await store.mark_sent([ODENSE.id], page.next)
    assert await states(store, first.message_id) == {ODENSE.id: "sent", GP.id: "pending"}
    assert await states(store, later.message_id) == {ODENSE.id: "pending", GP.id: "pending"}
    await store.mark_delivered([ODENSE.id], page.next - 2, at)  # asked again from before
    assert (await states(store, first.message_id))[ODENSE.id] == "sent"
    await store.mark_delivered([ODENSE.id], page.next, at)
    assert await states(store, first.message_id) == {ODENSE.id: "delivered", GP.id: "pending"}
    await store.mark_sent([ODENSE.id], page.next)  # the same page again changes nothing
    assert (await states(store, first.message_id))[ODENSE.id] == "delivered"
    message = await store.message(first.message_id)
    assert message is not None
    assert message.deliveries[0].updated_at == at
    assert message.deliveries[0].attempts == 0
