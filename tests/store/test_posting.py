"""The contract of the post room's part of every archive: what is due, tries, receipts, persons, the sender's feed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, timedelta

import psycopg
import pytest
from outcomes import (
    AARHUS,
    GP,
    ODENSE,
    RECEIVED_AT,
    SENDER,
    accepted,
    letter_of,
    notified,
    postgres_store,
    reading_of,
    rejected,
    route_to,
)

from gtgateway.model.deadlines import Deadlines
from gtgateway.model.delivery import (
    Attempt,
    AttemptResult,
    Circuit,
    Conclusion,
    Delivery,
    DeliveryState,
    DueDelivery,
    NewAttempt,
)
from gtgateway.model.message import Action, OriginalRef
from gtgateway.model.route import Role, Route, RouteEntry
from gtgateway.store.base import KeptReceipt, Saved, Store
from gtgateway.store.postgres_writer import FEED_LOCK

pytestmark = pytest.mark.anyio

BODY = b"body"
PUSHED = replace(ODENSE, endpoint="odense-net")
OTHER = replace(AARHUS, endpoint="aarhus-net")
TO_PUSHED_AND_GP = route_to((PUSHED, Role.ACTION), (GP, Role.COPY))
NOW = RECEIVED_AT + timedelta(seconds=1)
LEASE = timedelta(seconds=60)
RECEIPT_WAIT = timedelta(minutes=30)
SLOTS = {"odense-net": 10, "aarhus-net": 10}


# --- what the post room does ------------------------------------------------------------------------------------------


async def keep(
    store: Store,
    letter_id: str = "L1",
    *,
    route: Route = TO_PUSHED_AND_GP,
    action: Action = Action.NEW,
    version: int = 1,
    plan_id: str = "P1",
    at: datetime = RECEIVED_AT,
) -> Saved:
    """A version of a plan; each message is one of its own."""
    letter = letter_of(letter_id, plan_id=plan_id)
    reading = reading_of(letter, envelope_id=f"envelope-{letter_id}")
    outcome = replace(accepted(reading, action=action, route=route, plan_version=version), received_at=at)
    return await store.save(outcome, BODY, "ouh")


async def claim(store: Store, worker: str = "w", at: datetime = NOW, most: int = 10) -> tuple[DueDelivery, ...]:
    return await store.claim(worker, dict.fromkeys(SLOTS, most), at, at + LEASE)


async def send(
    store: Store, due: DueDelivery, at: datetime = NOW, envelope_id: str = "ours-1", worker: str = "w"
) -> None:
    attempt = NewAttempt(due.delivery_id, at, envelope_id, f"vans-{envelope_id}", at + RECEIPT_WAIT)
    assert await store.begin(worker, [attempt]) == {due.delivery_id}


def result_of(
    due: DueDelivery,
    conclusion: Conclusion,
    state: DeliveryState,
    *,
    envelope_id: str = "ours-1",
    at: datetime = NOW,
    next_at: datetime | None = None,
    receipt_digest: str | None = None,
) -> AttemptResult:
    return AttemptResult(
        due.delivery_id, envelope_id, at, conclusion, f"r_{conclusion}", "for a person", state, next_at, receipt_digest
    )


async def sent(store: Store, envelope_id: str = "ours-1", at: datetime = NOW) -> DueDelivery:
    """The one delivery that is due, taken by its recipient without a receipt yet."""
    (due,) = await claim(store, at=at)
    await send(store, due, at, envelope_id)
    next_at = at + RECEIPT_WAIT
    taken = result_of(due, Conclusion.SENT, DeliveryState.SENT, envelope_id=envelope_id, at=at, next_at=next_at)
    await store.conclude("w", [taken])
    return due


async def receipt(
    store: Store,
    quoted: str,
    *,
    positive: bool = True,
    digest: str = "d1",
    by: Collection[str] = (ODENSE.id,),
    **said: str | bool,
) -> KeptReceipt:
    original = OriginalRef(quoted, (), "1", "2", positive, **said)  # type: ignore[arg-type]
    return await store.save_receipt(original, digest, NOW, "client", by)


async def delivery(store: Store, saved: Saved, organisation: str = ODENSE.id) -> Delivery:
    message = await store.message(saved.message_id)
    assert message is not None
    return next(each for each in message.deliveries if each.organisation_id == organisation)


async def told(store: Store, after: int = 0) -> list[tuple[str, str, str | None, str | None]]:
    """Message id, kind, organisation and reason of every event."""
    page = await store.events([SENDER], after, 100)
    return [(each.message_id, each.kind, each.organisation_id, each.reason) for each in page.entries]


# --- saving -----------------------------------------------------------------------------------------------------------


async def test_what_is_sent_and_what_is_pulled(store: Store) -> None:
    saved = await keep(store)
    pushed, pulled = await delivery(store, saved), await delivery(store, saved, GP.id)
    assert (pushed.endpoint, pushed.next_at, pushed.state) == ("odense-net", RECEIVED_AT, DeliveryState.PENDING)
    assert (pulled.endpoint, pulled.next_at, pulled.state) == (None, None, DeliveryState.PENDING)
    newest = await store.newest([ODENSE.id, GP.id])
    await store.mark_sent([ODENSE.id, GP.id], newest)
    await store.mark_delivered([ODENSE.id, GP.id], newest, NOW)
    assert (await delivery(store, saved)).state is DeliveryState.PENDING  # its own reading of the feed is no receipt
    assert (await delivery(store, saved, GP.id)).state is DeliveryState.DELIVERED


async def test_all_that_is_needed_to_send(store: Store) -> None:
    deadlines = Deadlines(start_by=date(2026, 11, 13))
    outcome = accepted(reading_of(letter_of("L1", plan_id="P1")), route=TO_PUSHED_AND_GP)
    outcome = replace(outcome, letters=tuple(replace(each, deadlines=deadlines) for each in outcome.letters))
    saved = await store.save(outcome, BODY, "ouh")
    (due,) = await claim(store)
    assert due == DueDelivery(
        delivery_id=(await delivery(store, saved)).delivery_id,
        message_uuid=due.message_uuid,
        endpoint="odense-net",
        organisation_id=ODENSE.id,
        record_id=saved.record_ids[0],
        plan_id="P1",
        sender_gln=SENDER,
        plan_version=1,
        action=Action.NEW,
        message_id=saved.message_id,
        letter_id="L1",
        received_at=RECEIVED_AT,
        discharged_on=date(2026, 11, 6),
        roles=("action",),
        attempts=0,
        resends=0,
        give_up_at=datetime.fromisoformat("2026-11-20T22:59:59.999999+00:00"),
        ambiguous=False,
    )
    assert len(due.message_uuid) == 36


async def test_whom_the_sender_serves_itself_is_sent_nothing(store: Store) -> None:
    entry = RouteEntry(Role.COPY, "municipality", OTHER, True, "§ 4, stk. 2", by_sender=True)
    route = replace(TO_PUSHED_AND_GP, entries=(*TO_PUSHED_AND_GP.entries, entry))
    saved = await keep(store, route=route)
    served = await delivery(store, saved, AARHUS.id)
    assert (served.state, served.next_at) == (DeliveryState.SERVED_BY_SENDER, None)
    assert [each.organisation_id for each in await claim(store)] == [ODENSE.id]
    record = await store.record(saved.record_ids[0])
    assert record is not None
    assert AARHUS.id in record.organisations


async def test_a_correction_takes_the_place_of_what_was_never_sent(store: Store) -> None:
    first = await keep(store)
    later = RECEIVED_AT + timedelta(hours=1)
    second = await keep(store, "L2", action=Action.CORRECTION, version=2, at=later)
    assert (await delivery(store, first)).state is DeliveryState.CANCELLED
    (due,) = await claim(store, at=later)
    assert (due.plan_version, due.action, due.message_id) == (2, Action.CORRECTION, second.message_id)
    waiting = await store.unserved(later, RECEIVED_AT)
    assert [(each.delivery_id, each.since) for each in waiting] == [(due.delivery_id, RECEIVED_AT)]


async def test_a_correction_takes_the_place_of_what_is_claimed(store: Store) -> None:
    first = await keep(store)
    (old,) = await claim(store)
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    assert await store.begin("w", [NewAttempt(old.delivery_id, NOW, "ours", None, NOW + RECEIPT_WAIT)]) == frozenset()
    assert (await delivery(store, first)).state is DeliveryState.CANCELLED
    assert [each.plan_version for each in await claim(store)] == [2]


async def test_a_correction_waits_for_the_version_before_it(store: Store) -> None:
    first = await keep(store)
    await sent(store)
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    assert await claim(store) == ()
    assert (await delivery(store, first)).next_at == NOW + RECEIPT_WAIT
    before = NOW + RECEIPT_WAIT - timedelta(seconds=1)  # the second is not due before the first
    assert await store.claim("w", SLOTS, before, before + LEASE) == ()
    assert (await receipt(store, "ours-1")).ours
    assert (await delivery(store, first)).state is DeliveryState.DELIVERED
    assert [each.plan_version for each in await claim(store)] == [2]


async def test_what_may_have_arrived_is_not_cancelled(store: Store) -> None:
    """A try that nobody knows of, then one that was certainly not taken: the first may have arrived."""
    first = await keep(store)
    (due,) = await claim(store)
    await send(store, due)
    await store.conclude("w", [result_of(due, Conclusion.AMBIGUOUS, DeliveryState.INFLIGHT, next_at=NOW)])
    (again,) = await claim(store)
    assert again.ambiguous
    await send(store, again, envelope_id="ours-2")
    busy = result_of(again, Conclusion.TRANSIENT, DeliveryState.PENDING, envelope_id="ours-2", next_at=NOW)
    await store.conclude("w", [busy])
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    assert (await delivery(store, first)).state is DeliveryState.PENDING
    assert [(each.plan_version, each.resends) for each in await claim(store)] == [(1, 1)]


async def test_a_withdrawal_of_what_was_never_sent_is_not_sent(store: Store) -> None:
    first = await keep(store)
    withdrawal = await keep(store, "L2", action=Action.WITHDRAWAL, version=2)
    assert (await delivery(store, first)).state is DeliveryState.CANCELLED
    never = await delivery(store, withdrawal)
    assert (never.state, never.reason, never.next_at) == (DeliveryState.CANCELLED, "never_sent", None)
    assert await claim(store) == ()
    assert await told(store) == [
        (first.message_id, "answered", None, "accepted"),
        (first.message_id, "withdrawn", None, None),
        (withdrawal.message_id, "answered", None, "accepted"),
    ]


async def test_a_withdrawal_reaches_who_may_have_the_plan(store: Store) -> None:
    await keep(store)
    due = await sent(store)
    await store.abandon([due.delivery_id], NOW, "anne", "no receipt")
    withdrawal = await keep(store, "L2", action=Action.WITHDRAWAL, version=2)
    assert (await delivery(store, withdrawal)).state is DeliveryState.PENDING
    assert (await delivery(store, withdrawal, GP.id)).state is DeliveryState.CANCELLED
    assert [(each.plan_version, each.action) for each in await claim(store)] == [(2, Action.WITHDRAWAL)]


async def test_what_a_notification_corrects_is_rendered_from_its_own_message(store: Store) -> None:
    first = await keep(store, plan_id="L1")
    outcome = notified(letter_of("L1"))
    corrected = outcome.corrections[0]
    plan = replace(corrected.letter.letter.plan, discharged_on=date(2026, 11, 9))  # type: ignore[type-var]
    letter = replace(corrected.letter, letter=replace(corrected.letter.letter, plan=plan), route=TO_PUSHED_AND_GP)
    await store.save(replace(outcome, corrections=(replace(corrected, letter=letter),)), BODY, "ouh")
    (due,) = await claim(store)
    assert (due.plan_version, due.message_id, due.letter_id) == (2, first.message_id, "L1")
    assert due.discharged_on == date(2026, 11, 9)


# --- claiming ---------------------------------------------------------------------------------------------------------


async def test_two_workers_never_share(store: Store) -> None:
    for number in range(20):
        await keep(store, f"L{number}", plan_id=f"P{number}", route=route_to((PUSHED, Role.ACTION)))
    taken = await asyncio.gather(*(claim(store, f"w{number}", most=4) for number in range(8)))
    ids = [each.delivery_id for of_one in taken for each in of_one]
    assert len(ids) == len(set(ids)) == 20
    assert max(map(len, taken)) == 4


async def test_each_end_point_has_its_slots_and_the_oldest_goes_first(store: Store) -> None:
    for number in range(4):
        at = RECEIVED_AT - timedelta(minutes=number)
        route = route_to((PUSHED, Role.ACTION), (OTHER, Role.COPY))
        await keep(store, f"L{number}", plan_id=f"P{number}", route=route, at=at)
    due = await store.claim("w", {"odense-net": 2, "aarhus-net": 1, "nobody": 5}, NOW, NOW + LEASE)
    assert sorted((each.endpoint, each.plan_id) for each in due) == [
        ("aarhus-net", "P3"),
        ("odense-net", "P2"),
        ("odense-net", "P3"),
    ]
    assert await store.claim("w", {}, NOW, NOW + LEASE) == ()


async def test_a_lease_ends(store: Store) -> None:
    saved = await keep(store)
    (first,) = await claim(store, "w1")
    assert await claim(store, "w2", NOW + LEASE - timedelta(seconds=1)) == ()
    assert (await delivery(store, saved)).next_at == NOW + LEASE
    (second,) = await claim(store, "w2", NOW + LEASE)
    assert second == first
    attempt = NewAttempt(first.delivery_id, NOW, "ours-1", None, NOW + RECEIPT_WAIT)
    assert await store.begin("w1", [attempt]) == frozenset()
    assert await store.attempts(first.delivery_id) == ()
    await store.release("w1", [first.delivery_id], NOW, "late")
    assert await store.begin("w2", [attempt]) == {first.delivery_id}


async def test_given_back_it_is_what_it_was(store: Store) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    later = NOW + timedelta(seconds=5)
    await store.release("w", [due.delivery_id], later, "overloaded")
    back = await delivery(store, saved)
    assert (back.state, back.next_at, back.reason) == (DeliveryState.PENDING, later, "overloaded")
    assert await claim(store) == ()
    await sent(store, at=later)
    due_again = later + RECEIPT_WAIT
    (ambiguous,) = await claim(store, at=due_again)
    await store.release("w", [ambiguous.delivery_id], due_again, "overloaded")
    assert (await delivery(store, saved)).state is DeliveryState.SENT
    for _ in range(3):  # also after leases that were not used
        (ambiguous,) = await claim(store, "dies", due_again)
        due_again += LEASE
    assert (ambiguous.ambiguous, ambiguous.attempts, ambiguous.resends) == (True, 1, 0)


async def test_without_a_word_it_is_sent_again_as_the_same_message(store: Store) -> None:
    saved = await keep(store)
    (first,) = await claim(store)
    await send(store, first)
    assert (await delivery(store, saved)).state is DeliveryState.INFLIGHT
    assert await claim(store, at=NOW + RECEIPT_WAIT - timedelta(seconds=1)) == ()
    (again,) = await claim(store, "w2", NOW + RECEIPT_WAIT)
    assert again == replace(first, ambiguous=True, attempts=1)
    await send(store, again, NOW + RECEIPT_WAIT, "ours-2", "w2")
    (third,) = await claim(store, "w3", NOW + RECEIPT_WAIT * 2)
    assert (third.message_uuid, third.attempts, third.resends) == (first.message_uuid, 2, 1)


# --- concluding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conclusion", "state", "event"),
    [
        (Conclusion.DELIVERED, DeliveryState.DELIVERED, "delivered"),
        (Conclusion.REFUSED, DeliveryState.REFUSED, "refused"),
        (Conclusion.SENT, DeliveryState.SENT, None),
        (Conclusion.TRANSIENT, DeliveryState.PENDING, None),
        (Conclusion.AMBIGUOUS, DeliveryState.INFLIGHT, None),
    ],
)
async def test_what_a_try_came_to(
    store: Store, conclusion: Conclusion, state: DeliveryState, event: str | None
) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    await send(store, due)
    next_at = None if event else NOW + RECEIPT_WAIT
    await store.conclude("w", [result_of(due, conclusion, state, next_at=next_at)])
    after = await delivery(store, saved)
    assert (after.state, after.next_at, after.reason, after.attempts) == (state, next_at, f"r_{conclusion}", 1)
    assert await store.attempts(due.delivery_id) == (
        Attempt(NOW, NOW, "ours-1", str(conclusion), f"r_{conclusion}", "for a person"),
    )
    expected = [(saved.message_id, event, ODENSE.id, f"r_{conclusion}")] if event else []
    assert (await told(store))[1:] == expected


async def test_a_fault_of_the_end_point_costs_no_try(store: Store) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    await send(store, due)
    await store.conclude("w", [result_of(due, Conclusion.ENDPOINT, DeliveryState.PENDING, next_at=NOW)])
    assert (await delivery(store, saved)).attempts == 0
    assert len(await store.attempts(due.delivery_id)) == 1


async def test_given_up_without_a_try(store: Store) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    await store.conclude("w", [result_of(due, Conclusion.REFUSED, DeliveryState.ABANDONED, envelope_id="")])
    assert (await delivery(store, saved)).state is DeliveryState.ABANDONED
    assert (await told(store))[1:] == [(saved.message_id, "abandoned", ODENSE.id, "r_refused")]


async def test_a_receipt_that_came_first_stands(store: Store) -> None:
    saved = await keep(store)
    (due,) = await claim(store)
    await send(store, due)
    assert (await receipt(store, "ours-1")).ours
    await store.conclude("w", [result_of(due, Conclusion.AMBIGUOUS, DeliveryState.INFLIGHT, next_at=NOW)])
    after = await delivery(store, saved)
    assert (after.state, after.next_at) == (DeliveryState.DELIVERED, None)
    assert (await store.attempts(due.delivery_id))[0].result == "ambiguous"
    assert [kind for _, kind, *_ in await told(store)] == ["answered", "delivered"]


async def test_who_was_slow_decides_nothing_but_by_a_receipt(store: Store) -> None:
    saved = await keep(store)
    (slow,) = await claim(store, "slow")
    await send(store, slow, worker="slow")
    (quick,) = await claim(store, "quick", NOW + RECEIPT_WAIT)
    await store.conclude("slow", [result_of(slow, Conclusion.TRANSIENT, DeliveryState.PENDING, next_at=NOW)])
    await store.conclude("slow", [result_of(slow, Conclusion.REFUSED, DeliveryState.REFUSED)])  # http 400
    assert (await delivery(store, saved)).state is DeliveryState.CLAIMED
    await store.conclude("slow", [result_of(slow, Conclusion.DELIVERED, DeliveryState.DELIVERED, receipt_digest="d1")])
    assert (await delivery(store, saved)).state is DeliveryState.DELIVERED
    attempt = NewAttempt(quick.delivery_id, NOW, "ours-2", None, NOW)
    assert await store.begin("quick", [attempt]) == frozenset()


async def test_many_at_once(store: Store) -> None:
    for number in range(30):
        await keep(store, f"L{number}", plan_id=f"P{number}", route=route_to((PUSHED, Role.ACTION)))
    due = await claim(store, most=30)
    attempts = [NewAttempt(each.delivery_id, NOW, f"ours-{each.delivery_id}", None, NOW) for each in due]
    assert await store.begin("w", attempts) == {each.delivery_id for each in due}
    results = [
        result_of(each, Conclusion.DELIVERED, DeliveryState.DELIVERED, envelope_id=f"ours-{each.delivery_id}")
        for each in due
    ]
    await store.conclude("w", results)
    assert [kind for _, kind, *_ in await told(store)].count("delivered") == 30
    assert await store.delivery_counts() == {}


# --- receipts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quoted", ["envelope", "message"])
async def test_a_receipt_closes_its_delivery(store: Store, quoted: str) -> None:
    saved = await keep(store)
    due = await sent(store)
    kept = await receipt(store, "ours-1" if quoted == "envelope" else due.message_uuid)
    assert kept == KeptReceipt(ours=True, delivery_id=due.delivery_id)
    after = await delivery(store, saved)
    assert (after.state, after.next_at) == (DeliveryState.DELIVERED, None)
    assert (await told(store))[1:] == [(saved.message_id, "delivered", ODENSE.id, None)]


async def test_a_refusal_is_told_with_its_reason(store: Store) -> None:
    saved = await keep(store)
    await sent(store)
    await receipt(store, "ours-1", positive=False, refuse_code="ukendt_lokationsnummer", refuse_text="Ukendt modtager")
    after = await delivery(store, saved)
    assert (after.state, after.reason) == (DeliveryState.REFUSED, "ukendt_lokationsnummer")
    page = await store.events([SENDER], 0, 10)
    assert page.entries[1].detail == "Ukendt modtager"
    assert page.entries[1].organisation_name == "Odense Kommune"
    assert page.entries[1].at == NOW


async def test_the_first_final_answer_stands(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    await receipt(store, "ours-1")
    same = await receipt(store, "ours-1")
    assert same == KeptReceipt(ours=True, delivery_id=due.delivery_id, repeated=True)
    other = await receipt(store, "ours-1", positive=False, digest="d2")
    assert other == KeptReceipt(ours=True, delivery_id=due.delivery_id)
    assert (await delivery(store, saved)).state is DeliveryState.DELIVERED
    assert [kind for _, kind, *_ in await told(store)] == ["answered", "delivered"]


async def test_the_receipt_of_the_answer_again_is_a_repeated_one(store: Store) -> None:
    await keep(store)
    (due,) = await claim(store)
    await send(store, due)
    answer = result_of(due, Conclusion.DELIVERED, DeliveryState.DELIVERED, receipt_digest="d1")
    await store.conclude("w", [answer])
    assert (await receipt(store, "ours-1")).repeated


@pytest.mark.parametrize("positive", [True, False])
async def test_a_late_receipt(store: Store, positive: bool) -> None:
    saved = await keep(store)
    due = await sent(store)
    assert await store.abandon([due.delivery_id], NOW, "anne", "no receipt") == {due.delivery_id}
    assert await receipt(store, "ours-1", positive=positive) == KeptReceipt(True, due.delivery_id, refused=not positive)
    expected = DeliveryState.DELIVERED if positive else DeliveryState.REFUSED
    assert (await delivery(store, saved)).state is expected


async def test_another_recipient_cannot_answer(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    assert await receipt(store, "ours-1", by=(GP.id,)) == KeptReceipt(ours=False)
    assert (await delivery(store, saved)).state is DeliveryState.SENT
    # The same bytes from the recipient itself count.
    assert await receipt(store, "ours-1", by=(GP.id, ODENSE.id)) == KeptReceipt(True, due.delivery_id)
    assert (await delivery(store, saved)).state is DeliveryState.DELIVERED


async def test_receipts_for_nothing_of_ours_are_kept_once(store: Store) -> None:
    assert await receipt(store, "unknown") == KeptReceipt(ours=False)
    assert await receipt(store, "unknown") == KeptReceipt(ours=False, repeated=True)


async def test_not_taken_for_now(store: Store) -> None:
    saved = await keep(store)
    await sent(store)
    await receipt(store, "ours-1", positive=False, refuse_code="transient-error", transient=True)
    after = await delivery(store, saved)
    assert (after.state, after.reason) == (DeliveryState.PENDING, "transient-error")
    assert after.next_at is not None
    assert after.next_at > NOW
    # It has certainly not arrived: a correction takes its place.
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    assert (await delivery(store, saved)).state is DeliveryState.CANCELLED


async def test_a_receipt_of_the_envelope_moves_nothing_unless_negative(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    assert await receipt(store, "vans-ours-1", vans=True) == KeptReceipt(True, due.delivery_id)
    assert (await delivery(store, saved)).state is DeliveryState.SENT
    await receipt(store, "vans-ours-1", positive=False, digest="d2", vans=True)
    assert (await delivery(store, saved)).state is DeliveryState.REFUSED


# --- the directory and the clock --------------------------------------------------------------------------------------


async def test_deliveries_follow_the_directory(store: Store) -> None:
    saved = await keep(store)
    assert await store.repoint({ODENSE.id: "odense-net", GP.id: None, "unknown": "x"}) == 0
    assert await store.repoint({ODENSE.id: "new-net", GP.id: None}) == 1
    assert await store.claim("w", {"odense-net": 1}, NOW, NOW + LEASE) == ()
    moved = await delivery(store, saved)
    assert (moved.endpoint, moved.next_at) == ("new-net", RECEIVED_AT)
    assert await store.repoint({ODENSE.id: None, GP.id: "gp-net"}) == 2
    pulled, pushed = await delivery(store, saved), await delivery(store, saved, GP.id)
    assert (pulled.endpoint, pulled.state, pulled.next_at) == (None, DeliveryState.PENDING, None)
    assert (pushed.endpoint, pushed.next_at) == ("gp-net", RECEIVED_AT)  # the clock of the tests stands still


async def test_what_is_past_its_time_is_given_up(store: Store) -> None:
    saved = await keep(store)
    limit = RECEIVED_AT + timedelta(days=30)
    assert await store.give_up(limit - timedelta(seconds=1)) == ()
    (gone,) = await store.give_up(limit)
    assert (gone.organisation_id, gone.record_id, gone.message_id) == (ODENSE.id, *saved.record_ids, saved.message_id)
    assert (gone.state, gone.reason) == ("abandoned", "gave_up")
    assert (await delivery(store, saved)).state is DeliveryState.ABANDONED
    assert (await delivery(store, saved, GP.id)).state is DeliveryState.PENDING  # what is pulled lies ready
    assert await store.give_up(limit) == ()
    assert (await told(store))[1:] == [(saved.message_id, "abandoned", ODENSE.id, "gave_up")]


async def test_what_is_under_way_is_not_given_up(store: Store) -> None:
    saved = await keep(store)
    limit = RECEIVED_AT + timedelta(days=30)
    due = await sent(store, at=limit)
    assert await store.give_up(limit + RECEIPT_WAIT - timedelta(seconds=1)) == ()
    (gone,) = await store.give_up(limit + RECEIPT_WAIT)
    assert gone.delivery_id == due.delivery_id
    assert (await delivery(store, saved)).state is DeliveryState.ABANDONED


async def test_who_is_not_served(store: Store) -> None:
    saved = await keep(store)
    assert await store.unserved(RECEIVED_AT, RECEIVED_AT) == ()
    later = RECEIVED_AT + timedelta(seconds=1)
    assert [each.organisation_id for each in await store.unserved(later, RECEIVED_AT)] == [ODENSE.id]
    assert [each.organisation_id for each in await store.unserved(later, later)] == [ODENSE.id, GP.id]
    await sent(store)
    await receipt(store, "ours-1", positive=False, refuse_code="syntaksfejl")
    (refused,) = await store.unserved(later, RECEIVED_AT)
    assert (refused.state, refused.reason, refused.since) == ("refused", "syntaksfejl", RECEIVED_AT)
    # A refused version is no matter any more when there is a newer one that arrived.
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    due = await sent(store, "ours-2")
    await receipt(store, "ours-2", digest="d2")
    assert await store.unserved(later, RECEIVED_AT) == ()
    assert due.plan_version == 2
    assert (await delivery(store, saved)).state is DeliveryState.REFUSED


async def test_circuits_are_shared(store: Store) -> None:
    opened = Circuit("odense-net", "http_401", 1, NOW, NOW + timedelta(seconds=5), alarmed=True)
    await store.set_circuit("odense-net", opened)
    assert await store.circuits() == (opened,)
    again = replace(opened, failures=2, probe_at=NOW + timedelta(seconds=10))
    await store.set_circuit("odense-net", again)
    assert await store.circuits() == (again,)
    await store.set_circuit("odense-net", None)
    assert await store.circuits() == ()


# --- persons ----------------------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_tried_again(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    await receipt(store, "ours-1", positive=False)
    late = RECEIVED_AT + timedelta(days=40)
    assert await store.resend([due.delivery_id, 999], late, "anne", "fixed", new=False) == {due.delivery_id}
    (again,) = await claim(store, at=late)
    assert (again.message_uuid, again.resends, again.ambiguous) == (due.message_uuid, 0, False)
    assert again.give_up_at == late + timedelta(days=7)
    assert await store.resend([due.delivery_id], late, "anne", "fixed", new=False) == frozenset()
    assert (await delivery(store, saved)).attempts == 1


async def test_sent_again_as_a_new_message(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    await receipt(store, "ours-1")
    assert await store.resend([due.delivery_id], NOW, "anne", "lost there", new=False) == frozenset()
    assert await store.resend([due.delivery_id], NOW, "anne", "lost there", new=True) == {due.delivery_id}
    (again,) = await claim(store)
    assert again.message_uuid != due.message_uuid
    # The old message's refusal says nothing of the new one.
    await send(store, again, envelope_id="ours-2")
    assert (await receipt(store, "ours-1", positive=False, digest="d2")).ours
    assert (await delivery(store, saved)).state is DeliveryState.INFLIGHT
    await receipt(store, again.message_uuid, digest="d3")
    assert (await delivery(store, saved)).state is DeliveryState.DELIVERED


async def test_only_the_newest_version_is_sent_again(store: Store) -> None:
    await keep(store)
    old = await sent(store)
    await receipt(store, "ours-1", positive=False)
    await keep(store, "L2", action=Action.CORRECTION, version=2)
    new = await sent(store, "ours-2")
    await receipt(store, "ours-2", positive=False, digest="d2")
    both = [old.delivery_id, new.delivery_id]
    assert await store.resend(both, NOW, "anne", "fixed", new=False) == {new.delivery_id}
    assert await store.resend([old.delivery_id], NOW, "anne", "fixed", new=True) == frozenset()


async def test_a_person_gives_up(store: Store) -> None:
    saved = await keep(store)
    due = await sent(store)
    assert await store.abandon([due.delivery_id, 999], NOW, "anne", "telephoned") == {due.delivery_id}
    assert await store.abandon([due.delivery_id], NOW, "anne", "telephoned") == frozenset()
    assert await claim(store, at=NOW + timedelta(days=1)) == ()
    assert (await told(store))[1:] == [(saved.message_id, "abandoned", ODENSE.id, "by_person")]


async def test_counts(store: Store) -> None:
    await keep(store)
    await keep(store, "L2", plan_id="P2", route=route_to((PUSHED, Role.ACTION)))
    assert await store.delivery_counts() == {("odense-net", "pending"): 2, ("pull", "pending"): 1}
    due, other = await claim(store)
    await send(store, due)
    await store.abandon([other.delivery_id], NOW, "anne", "why")
    counts = {("odense-net", "inflight"): 1, ("odense-net", "abandoned"): 1, ("pull", "pending"): 1}
    assert await store.delivery_counts() == counts


# --- the sender's feed ------------------------------------------------------------------------------------------------


async def test_a_page_of_events(store: Store) -> None:
    assert await store.events([SENDER], 0, 10) == await store.events(["another"], 0, 10)
    first = await keep(store)
    second = await store.save(rejected(reading_of(letter_of("L9"))), BODY, "ouh")
    page = await store.events([SENDER, "another"], 0, 1)
    assert [(each.message_id, each.kind, each.at) for each in page.entries] == [
        (first.message_id, "answered", RECEIVED_AT)
    ]
    assert page.more
    rest = await store.events([SENDER], page.next, 10)
    assert [each.message_id for each in rest.entries] == [second.message_id]
    assert not rest.more
    assert (await store.events(["another"], 0, 10)).entries == ()
    assert (await store.events(["another"], 0, 10)).next == rest.next


async def test_a_pulled_delivery_is_told(store: Store) -> None:
    saved = await keep(store)
    newest = await store.newest([GP.id])
    await store.mark_sent([GP.id], newest)
    await store.mark_delivered([GP.id], newest, NOW)
    await store.mark_delivered([GP.id], newest, NOW)
    assert (await told(store))[1:] == [(saved.message_id, "delivered", GP.id, None)]


async def test_who_waits_for_events_is_woken(store: Store) -> None:
    saved = await keep(store)
    page = await store.events([SENDER], 0, 10)
    waiting = asyncio.create_task(store.wait_for_events(page.next, 30))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await store.abandon([(await delivery(store, saved)).delivery_id], NOW, "anne", "why")
    await asyncio.wait_for(waiting, 5)
    await store.wait_for_events(page.next + 100, 0.01)


async def test_events_are_in_the_order_of_commits(database: str) -> None:
    """Another process is in the middle of its commit: nothing passes it, also what has no entry for recipients."""
    store = postgres_store(database)
    await store.open()
    await keep(store)
    after = (await store.events([SENDER], 0, 10)).next
    with psycopg.connect(database) as opened:
        opened.execute("SELECT pg_advisory_xact_lock(%s)", (FEED_LOCK,))
        opened.execute(
            "INSERT INTO message_event (position, sender_gln, message, kind, at) "
            "SELECT nextval('feed_position'), sender_gln, id, 'delivered', received_at FROM message"
        )
        saving = asyncio.create_task(store.save(rejected(reading_of(letter_of("L9"))), BODY, "ouh"))
        await asyncio.sleep(0.1)
        assert not saving.done()
        assert await told(store, after) == []
        opened.commit()
    await saving
    assert [kind for _, kind, *_ in await told(store, after)] == ["delivered", "answered"]
    await store.close()
