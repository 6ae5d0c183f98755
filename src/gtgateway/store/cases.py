"""The cases' part of the archive: events that are only ever added to, and another hospital for a plan that is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

from pydantic import TypeAdapter

from gtgateway.model.case import CaseEvent
from gtgateway.model.findings import Finding
from gtgateway.model.outcome import Rerouted
from gtgateway.model.record import MunicipalRecord
from gtgateway.store.base import AddedEvent, KeptEvent, NewEvent, StoredCase, Unserved
from gtgateway.store.posting import PostRoomArchive, delivery_of, tell, unserved_of
from gtgateway.store.saving import Patience, Row, Transaction, instant, new_delivery, recipients_of

_EVENT = TypeAdapter(CaseEvent)
_FINDINGS = TypeAdapter(tuple[Finding, ...])


class CaseArchive(PostRoomArchive):
    """What `Store` says of cases."""

    def __init__(
        self,
        queue: int,
        clock: Callable[[], datetime],
        patience: Patience,
        record_document: Callable[[MunicipalRecord], bytes],
    ) -> None:
        super().__init__(queue, clock, patience)
        self._record_document = record_document

    async def case(self, record_id: str) -> StoredCase | None:
        """A record with what its case is judged from; None when there is none."""
        found = await self._read("case", record_id=record_id)
        if not found:
            return None
        (
            (
                record,
                version,
                state,
                document,
                letter_id,
                message_id,
                received_at,
                _,
                sender_gln,
                plan_id,
                plan_version,
                discharged_on,
                *rerouted,
            ),
        ) = found
        events = await self._read("case_events", record=record)
        return StoredCase(
            record_id,
            version,
            state,
            with_case(document, record_id, version, [event for event, *_ in events]),
            message_id,
            letter_id,
            datetime.fromisoformat(received_at),
            sender_gln,
            plan_id,
            plan_version,
            date.fromisoformat(discharged_on) if discharged_on else None,
            Rerouted(*rerouted) if rerouted[0] else None,
            frozenset(organisation for (organisation,) in await self._read("access", record=record)),
            tuple(delivery_of(*row) for row in await self._read("case_deliveries", record=record)),
            tuple(_kept(*row) for row in events),
        )

    async def add_event(self, new: NewEvent) -> AddedEvent:
        """Add an event to a case with all that it does; see `Store.add_event`."""
        rerouting = new.rerouting
        record = rerouting.letter.record if rerouting else None
        key: Row = {"record_id": new.record_id, "event_id": new.event.id, "version": new.version}
        at = instant(new.received_at)
        row = {
            "event_id": new.event.id,
            "kind": new.event.kind,
            "organisation": new.event.by,
            "at": at,
            "received_at": at,
            "client": new.client,
            "event": _EVENT.dump_json(new.event, exclude_defaults=True),
            "findings": _FINDINGS.dump_json(new.findings),
        }

        async def add(db: Transaction) -> AddedEvent:
            earlier = await db.ask("earlier_event", key)
            changed = (
                ()
                if earlier
                else await db.ask(
                    "next_record_version", {**key, "document": self._record_document(record) if record else None}
                )
            )
            if not changed:
                # Also when the same event was added between the two questions.
                earlier = earlier or await db.ask("earlier_event", key)
                return AddedEvent(_kept(*earlier[0]) if earlier else None, repeated=bool(earlier))
            ((record_key, plan, version),) = changed
            await db.insert("insert_case_event", {**row, "record": record_key, "version": version})
            await self._settle(db, new, plan, at)
            if rerouting is not None:
                await self._reroute(db, new, record_key, plan, version)
            elif new.shown:
                for (organisation,) in await db.ask("access", {"record": record_key}):
                    entry = {"record": record_key, "version": version, "organisation": organisation}
                    db.publish({**entry, "change": "case"})
            return AddedEvent(KeptEvent(new.event, new.findings, version))

        return await self._write(add)

    async def _settle(self, db: Transaction, new: NewEvent, plan: int, at: str) -> None:
        """What an event says of the plan's way to a recipient, and what its sender is told."""
        row = {"plan": plan, "organisation": new.recipient, "state": new.settles, "reason": new.reason, "at": at}
        if new.settles is not None:
            for (delivery,) in await db.ask("settle_by_event", row):
                tell(db, delivery, new.settles, at, new.reason)
        if new.hospital_needed:
            for (delivery,) in await db.ask("delivery_of_event", row):
                tell(db, delivery, "new_hospital_needed", at, new.reason)

    async def _reroute(self, db: Transaction, new: NewEvent, record: int, plan: int, version: int) -> None:
        """Another hospital for a plan that is here: access, feeds and deliveries of its newest version."""
        assert new.rerouting is not None
        at = instant(new.received_at)
        letter, to = new.rerouting.letter, new.rerouting.to
        await db.put("keep_rerouted", {"plan": plan, "hospital": to.hospital, "instead_of": to.instead_of})
        had = {organisation for (organisation,) in await db.ask("access", {"record": record})}
        recipients = recipients_of(letter) or {}
        entry: Row = {"record": record, "version": version}
        for organisation in sorted(had - recipients.keys()):
            lost = {**entry, "organisation": organisation}
            await db.put("end_access", lost)
            await db.put("cancel_rerouted", {"plan": plan, "organisation": organisation, "at": at})
            db.publish({**lost, "change": "access_ended"})
        ((source, source_letter, plan_version),) = await db.ask("source_of_plan", {"record": record})
        for organisation, recipient in recipients.items():
            reader = {**entry, "organisation": organisation}
            # The hospital that was chosen may be the one that refused before: then it is sent the plan again.
            if organisation in had and organisation != to.hospital:
                db.publish({**reader, "change": "case"})
                continue
            state = "served_by_sender" if recipient.by_sender else "pending"
            await db.put("grant_access", reader)
            db.publish(
                {**reader, "change": "case" if organisation in had else "new"},
                {
                    **reader,
                    **new_delivery(organisation, recipient, state, at),
                    "plan": plan,
                    "plan_version": plan_version,
                    "source": source,
                    "source_letter": source_letter,
                    "give_up_at": instant(self._patience.gives_up_at(letter.deadlines, new.received_at)),
                    "updated_at": at,
                },
            )

    async def capacity_refusals(self) -> tuple[Unserved, ...]:
        """Deliveries refused for capacity by receipt, which no event of the case tells of."""
        return tuple(unserved_of(*row) for row in await self._read("capacity_refusals"))

    async def _shown(self, record: int, record_id: str, version: int, document: bytes, eventful: bool) -> bytes:
        """The record as it is shown, with the events of its case where it has any."""
        events = [event for event, *_ in await self._read("case_events", record=record)] if eventful else []
        return with_case(document, record_id, version, events)


def with_case(document: bytes, record_id: str, version: int, events: Sequence[bytes]) -> bytes:
    """The JSON object with `record_id`, `version` and, where there are any, `events` as its first members."""
    head = b'"events":[%s],' % b",".join(events) if events else b""
    return b'{"record_id":"%s","version":%d,' % (record_id.encode("ascii"), version) + head + document.lstrip()[1:]


def _kept(event: bytes, findings: bytes, version: int) -> KeptEvent:
    return KeptEvent(_EVENT.validate_json(event), _FINDINGS.validate_json(findings), version)
