"""The post room's part of the archive: what is due, each try, receipts, what persons do, and the sender's feed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from gtgateway.model.delivery import (
    Attempt,
    AttemptResult,
    Circuit,
    Conclusion,
    Delivery,
    DeliveryState,
    DueDelivery,
    MessageEvent,
    NewAttempt,
)
from gtgateway.model.message import Action, OriginalRef
from gtgateway.model.outcome import Rerouted
from gtgateway.model.reasons import refusal_reason
from gtgateway.store.base import EventPage, KeptReceipt, Unserved
from gtgateway.store.database import Database
from gtgateway.store.saving import Patience, Row, Transaction, instant

#: Codes of deliveries that are abandoned here, by the clock and by a person.
GAVE_UP = "gave_up"
BY_PERSON = "by_person"

#: When it is sent again to a recipient whose receipt says that it could not take it for now.
_NOT_TAKEN_PAUSE = timedelta(minutes=5)

_FINAL = (DeliveryState.DELIVERED, DeliveryState.REFUSED)
_TOLD = (*_FINAL, DeliveryState.ABANDONED)  #: to the sender


def tell(
    db: Transaction, delivery: int, kind: str, at: str, reason: str | None = None, detail: str | None = None
) -> None:
    """Tell a plan's sender what became of a delivery."""
    event = {"delivery": delivery, "kind": kind, "at": at, "reason": reason, "detail": detail}
    db.tell("insert_delivery_event", event)


class PostRoomArchive(Database):
    """What `Store` says of the post room and of the sender's feed."""

    def __init__(self, queue: int, clock: Callable[[], datetime], patience: Patience) -> None:
        super().__init__(queue, clock)
        self._patience = patience

    # --- tries --------------------------------------------------------------------------------------------------------

    async def claim(
        self, worker: str, slots: Mapping[str, int], now: datetime, until: datetime
    ) -> tuple[DueDelivery, ...]:
        """Take what is due; see `Store.claim`. Nothing is written when nothing is due."""
        at = instant(now)
        due = await self._read("due_endpoints", endpoints=self._several(slots), now=at)
        wanted = {endpoint: slots[endpoint] for (endpoint,) in due}
        if not wanted:
            return ()

        async def take(db: Transaction) -> Sequence[Sequence[Any]]:
            asked = {"slots": orjson.dumps(wanted).decode(), "most": max(wanted.values()), "now": at}
            found = await db.ask("due", asked)
            lease = {"worker": worker, "until": instant(until), "now": at}
            await db.put("claim", *({**lease, "delivery": row[0]} for row in found))
            return found

        return tuple(_due(*row) for row in await self._write_apart(take))

    async def begin(self, worker: str, attempts: Sequence[NewAttempt]) -> frozenset[int]:
        """Note tries before they are made; see `Store.begin`."""
        rows: dict[int, Row] = {
            each.delivery_id: {
                "worker": worker,
                "delivery": each.delivery_id,
                "started_at": instant(each.started_at),
                "envelope_id": each.envelope_id,
                "vans_id": each.vans_id,
                "unknown_until": instant(each.unknown_until),
            }
            for each in attempts
        }

        async def note(db: Transaction) -> frozenset[int]:
            begun = frozenset(delivery for (delivery,) in await db.ask_each("begin", *rows.values()))
            await db.put("insert_attempt", *(rows[delivery] for delivery in sorted(begun)))
            return begun

        return await self._write_apart(note)

    async def conclude(self, worker: str, results: Sequence[AttemptResult]) -> None:
        """Note what tries came to; see `Store.conclude`. A result without envelope id is of no try."""
        rows: dict[int, Row] = {
            each.delivery_id: {
                "worker": worker,
                "delivery": each.delivery_id,
                "envelope_id": each.envelope_id,
                "finished_at": instant(each.finished_at),
                "result": each.conclusion,
                "reason": each.reason,
                "detail": each.detail,
                "receipt_digest": each.receipt_digest,
                "state": each.state,
                "next_at": instant(each.next_at) if each.next_at else None,
                "untried": int(each.conclusion is Conclusion.ENDPOINT),
                "final": each.state in _FINAL and each.receipt_digest is not None,
            }
            for each in sorted(results, key=lambda each: each.delivery_id)  # one order for everybody: no deadlock
        }

        async def note(db: Transaction) -> None:
            moved = await db.ask_each("conclude", *rows.values())
            await db.put("end_attempt", *(row for row in rows.values() if row["envelope_id"]))
            for (delivery,) in moved:
                row = rows[delivery]
                if row["state"] in _TOLD:
                    tell(db, delivery, row["state"], row["finished_at"], row["reason"], row["detail"])

        await self._write_apart(note)

    async def release(self, worker: str, delivery_ids: Collection[int], next_at: datetime, reason: str) -> None:
        """Give claimed deliveries back unsent, as what they were before."""
        row = {"worker": worker, "next_at": instant(next_at), "reason": reason}
        await self._write(lambda db: db.put("release", *({**row, "delivery": each} for each in sorted(delivery_ids))))

    async def attempts(self, delivery_id: int) -> tuple[Attempt, ...]:
        """The tries of a delivery, oldest first."""
        return tuple(
            Attempt(
                datetime.fromisoformat(started_at), datetime.fromisoformat(finished_at) if finished_at else None, *rest
            )
            for started_at, finished_at, *rest in await self._read("attempts", delivery=delivery_id)
        )

    # --- receipts -----------------------------------------------------------------------------------------------------

    async def save_receipt(
        self, original: OriginalRef, digest: str, received_at: datetime, client: str, organisations: Collection[str]
    ) -> KeptReceipt:
        """Keep a received receipt and move the delivery that it answers; see `Store.save_receipt`."""
        row = {
            "body_digest": digest,
            "envelope_id": original.envelope_id,
            "letter_ids": orjson.dumps(original.letter_ids).decode(),
            "sender_gln": original.sender_gln,
            "receiver_gln": original.receiver_gln,
            "positive": original.positive,
            "refuse_code": original.refuse_code,
            "received_at": instant(received_at),
            "client": client,
        }

        async def keep(db: Transaction) -> KeptReceipt:
            tries = await db.ask("tries_of_receipt", {"quoted": original.envelope_id})
            ours = next((each for each in tries if each[2] in organisations), None)
            kept = await db.ask("keep_receipt", {**row, "attempt": ours[0] if ours else None})
            if ours is None:
                return KeptReceipt(ours=False, repeated=not kept)
            attempt, delivery, _, in_answer, current = ours
            if not kept or in_answer == digest:
                return KeptReceipt(ours=True, delivery_id=delivery, repeated=True)
            # What a message was refused for that another took the place of, says nothing of that one.
            state = None
            if current or original.positive:
                state = await _answered(db, original, attempt, delivery, received_at)
            return KeptReceipt(ours=True, delivery_id=delivery, refused=state is DeliveryState.REFUSED)

        return await self._write(keep)

    # --- the directory and the clock ----------------------------------------------------------------------------------

    async def repoint(self, endpoints: Mapping[str, str | None]) -> int:
        """Unsettled deliveries follow the directory; see `Store.repoint`."""
        now = instant(self._clock())
        rows = [
            {"organisation": organisation, "endpoint": endpoints[organisation], "now": now}
            for organisation, endpoint in await self._read("unsettled_endpoints")
            if organisation in endpoints and endpoints[organisation] != endpoint
        ]
        if not rows:
            return 0
        return len(await self._write(lambda db: db.ask_each("repoint", *rows)))

    async def give_up(self, now: datetime) -> tuple[Unserved, ...]:
        """Abandon what is past its `give_up_at`; what was abandoned."""
        late = [unserved_of(*row) for row in await self._read("to_give_up", now=instant(now))]
        moved = await self._abandon([each.delivery_id for each in late], now, GAVE_UP) if late else frozenset()
        return tuple(
            replace(each, state=DeliveryState.ABANDONED, reason=each.reason or GAVE_UP)
            for each in late
            if each.delivery_id in moved
        )

    async def unserved(self, pushed_before: datetime, pulled_before: datetime) -> tuple[Unserved, ...]:
        """Lawful recipients not reached since a time, longest waiting first."""
        found = await self._read("unserved", pushed_before=instant(pushed_before), pulled_before=instant(pulled_before))
        return tuple(unserved_of(*row) for row in found)

    async def circuits(self) -> tuple[Circuit, ...]:
        """The end-points at fault."""
        return tuple(
            Circuit(
                endpoint, reason, failures, datetime.fromisoformat(opened), datetime.fromisoformat(probe), bool(alarmed)
            )
            for endpoint, reason, failures, opened, probe, alarmed in await self._read("circuits")
        )

    async def set_circuit(self, endpoint: str, circuit: Circuit | None) -> None:
        """Open an end-point's circuit, or close it (None)."""
        if circuit is None:
            await self._write(lambda db: db.put("close_circuit", {"endpoint": endpoint}))
            return
        row = {
            "endpoint": endpoint,
            "reason": circuit.reason,
            "failures": circuit.failures,
            "opened_at": instant(circuit.opened_at),
            "probe_at": instant(circuit.probe_at),
            "alarmed": circuit.alarmed,
        }
        await self._write(lambda db: db.put("open_circuit", row))

    # --- persons ------------------------------------------------------------------------------------------------------

    async def resend(
        self, delivery_ids: Collection[int], now: datetime, who: str, why: str, *, new: bool
    ) -> frozenset[int]:
        """Send dead letters again; see `Store.resend`. Only of a plan's newest version."""
        row = {"now": instant(now), "new": new, "give_up_at": instant(now + self._patience.after_start)}

        async def again(db: Transaction) -> frozenset[int]:
            rows = ({**row, "delivery": each, "message_uuid": str(uuid.uuid4())} for each in sorted(delivery_ids))
            moved = frozenset(delivery for (delivery,) in await db.ask_each("send_again", *rows))
            await _note_intervention(db, moved, now, who, why, "resent" if new else "retried")
            return moved

        return await self._write(again)

    async def abandon(self, delivery_ids: Collection[int], now: datetime, who: str, why: str) -> frozenset[int]:
        """A person gives deliveries up; those that were unsettled."""
        return await self._abandon(delivery_ids, now, BY_PERSON, (who, why))

    async def _abandon(
        self, delivery_ids: Collection[int], now: datetime, reason: str, person: tuple[str, str] | None = None
    ) -> frozenset[int]:
        row = {"now": instant(now), "reason": reason}

        async def give_up(db: Transaction) -> frozenset[int]:
            rows = ({**row, "delivery": each} for each in sorted(delivery_ids))
            moved = frozenset(delivery for (delivery,) in await db.ask_each("abandon", *rows))
            for delivery in sorted(moved):
                tell(db, delivery, DeliveryState.ABANDONED, row["now"], reason)
            if person is not None:
                await _note_intervention(db, moved, now, *person, DeliveryState.ABANDONED)
            return moved

        return await self._write(give_up)

    async def delivery_counts(self) -> Mapping[tuple[str, str], int]:
        """(end-point or `pull`, state) -> deliveries that are unsettled, refused or abandoned."""
        return {(endpoint, state): count for endpoint, state, count in await self._read("delivery_counts")}

    # --- the sender's feed --------------------------------------------------------------------------------------------

    async def events(self, sender_glns: Collection[str], after: int, limit: int) -> EventPage:
        """A page of the feed of senders; at its end `next` is the newest position of all, as in `Store.feed`."""
        newest = (await self._read("newest"))[0][1]  # before the page: what it counts is then in the page
        rows = await self._read("events", sender_glns=self._several(sender_glns), after=after, limit=limit + 1)
        page = tuple(
            MessageEvent(position, message_id, kind, datetime.fromisoformat(at), *rest)
            for position, message_id, kind, at, *rest in rows[:limit]
        )
        more = len(rows) > limit
        last = page[-1].position if page else after
        return EventPage(page, last if more else max(last, newest), more)

    async def wait_for_events(self, after: int, seconds: float) -> None:
        """Return when an event past `after` was committed, or after `seconds`."""
        await self._until(lambda: self._newest_event > after, seconds)


async def _answered(
    db: Transaction, original: OriginalRef, attempt: int, delivery: int, received_at: datetime
) -> DeliveryState | None:
    """Move the delivery whose current message a receipt answers; the state that it ends in by that."""
    reason = None if original.positive else refusal_reason(original)
    row: Row = {"delivery": delivery, "attempt": attempt, "reason": reason, "at": instant(received_at)}
    if original.positive:
        state = DeliveryState.DELIVERED
        if original.vans:
            return None
    elif original.transient:
        if await db.ask("try_again", {**row, "next_at": instant(received_at + _NOT_TAKEN_PAUSE)}):
            await db.put("note_not_taken", row)
        return None
    else:
        state = DeliveryState.REFUSED
    if not await db.ask("answer_delivery", {**row, "state": state}):
        return None
    tell(db, delivery, state, row["at"], row["reason"], original.refuse_text)
    return state


async def _note_intervention(
    db: Transaction, deliveries: Collection[int], now: datetime, who: str, why: str, what: str
) -> None:
    row: Row = {"now": instant(now), "who": who, "why": why, "what": what}
    await db.put("insert_intervention", *({**row, "delivery": each} for each in sorted(deliveries)))


def unserved_of(
    delivery: int, record_id: str, message_id: str, organisation: str, state: str, reason: str | None, since: str
) -> Unserved:
    return Unserved(delivery, record_id, message_id, organisation, state, reason, datetime.fromisoformat(since))


def _due(
    delivery: int,
    message_uuid: str,
    endpoint: str,
    organisation: str,
    record_id: str,
    plan_id: str,
    sender_gln: str,
    plan_version: int,
    action: str,
    message_id: str,
    letter_id: str,
    received_at: str,
    discharged_on: str | None,
    roles: str,
    attempts: int,
    resends: int,
    give_up_at: str,
    ambiguous: bool,
    hospital: str | None,
    instead_of: str | None,
) -> DueDelivery:
    return DueDelivery(
        delivery,
        message_uuid,
        endpoint,
        organisation,
        record_id,
        plan_id,
        sender_gln,
        plan_version,
        Action(action),
        message_id,
        letter_id,
        datetime.fromisoformat(received_at),
        date.fromisoformat(discharged_on) if discharged_on else None,
        tuple(orjson.loads(roles)),
        attempts,
        resends,
        datetime.fromisoformat(give_up_at),
        bool(ambiguous),
        Rerouted(hospital, instead_of) if (hospital and instead_of) else None,
    )


def delivery_of(
    record_id: str,
    version: int,
    organisation: str,
    name: str,
    roles: str,
    state: str,
    attempts: int,
    updated_at: str,
    delivery_id: int,
    endpoint: str | None,
    next_at: str | None,
    reason: str | None,
) -> Delivery:
    """A delivery that stands in a row of `deliveries_of_message` or `case_deliveries`."""
    return Delivery(
        record_id,
        version,
        organisation,
        name,
        tuple(orjson.loads(roles)),
        DeliveryState(state),
        attempts,
        datetime.fromisoformat(updated_at),
        delivery_id,
        endpoint,
        datetime.fromisoformat(next_at) if next_at else None,
        reason,
    )
