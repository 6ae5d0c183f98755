"""What every archive in SQL does, whatever the database: looking up, saving, showing, the feed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta

from gtgateway.errors import GatewayError
from gtgateway.model.acknowledgement import Reply
from gtgateway.model.delivery import DeliveryState
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import Letter, Reading
from gtgateway.model.outcome import ActivePlan, EarlierAnswer, Known, Outcome, Repeat, Rerouted
from gtgateway.model.record import MunicipalRecord
from gtgateway.store.base import FeedEntry, FeedPage, Saved, StoredMessage, StoredPlan, StoredRecord
from gtgateway.store.cases import CaseArchive
from gtgateway.store.posting import delivery_of, tell
from gtgateway.store.saving import (
    LostRaceError,
    Patience,
    Transaction,
    earlier_answer,
    end_waiting,
    instant,
    patient_of,
    plan_id_of,
    receiver_gln_of,
    rows_from,
    sender_gln_of,
    write_message,
)
from gtgateway.store.searching import SearchArchive
from gtgateway.store.webhooks import WebhookArchive


class SqlArchive(CaseArchive, SearchArchive, WebhookArchive):
    """A `Store` on an SQL database."""

    def __init__(
        self,
        *,
        record_document: Callable[[MunicipalRecord], bytes],
        summary_document: Callable[[Outcome], bytes],
        queue: int = 256,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        give_up_days_after_start: int = 7,
        give_up_days: int = 30,
    ) -> None:
        """`queue`: most writes that may wait.

        `record_document` and `summary_document` make the JSON that is kept of a record and of an outcome: objects, in
        UTF-8. A delivery is tried for `give_up_days_after_start` days after the training should have started, or for
        `give_up_days` after receipt where no start is due.
        """
        patience = Patience(timedelta(give_up_days_after_start), timedelta(give_up_days))
        super().__init__(queue, clock, patience, record_document)
        self._summary_document = summary_document

    # --- the database -------------------------------------------------------------------------------------------------

    async def ready(self) -> bool:
        """True when a write would succeed: one was just made."""
        now = {"now": self._clock().isoformat().encode()}
        try:
            await self._write(lambda db: db.put("prove_writable", now))
        except GatewayError:
            return False
        return True

    async def _keep_patient_key(self) -> None:
        """Read the key of the patients' pseudonyms, made at the first opening."""
        key = {"name": "patient_key", "value": secrets.token_bytes(32)}
        await self._write(lambda db: db.put("insert_meta", key))
        self._patient_key = (await self._read("meta", name="patient_key"))[0][0]

    # --- judging and saving -------------------------------------------------------------------------------------------

    async def known(self, reading: Reading) -> Known:
        """What the archive knows of a reading: earlier answer, VANS id, copy, the patient's open plans."""
        answer = await self._by_key(reading)
        copy_of = None
        # A MedCom letter is a plan of its own: its id says that it came before. A FHIR message names its plan.
        if answer is None and reading.letters and reading.fhir is None and sender_gln_of(reading):
            answer, copy_of = await self._by_letters(reading)
        stored = await self._stored_plans(reading) if reading.fhir is not None else {}
        return Known(
            answer=answer,
            vans_id_used=await self._vans_id_used(reading),
            copy_of=copy_of,
            active_plans={
                letter.head.letter_id: await self._active_plans(reading, letter) for letter in reading.letters
            },
            stored_plans={letter_id: version for letter_id, (version, *_) in stored.items()},
            corrected_from={
                letter.head.letter_id: date.fromisoformat(before)
                for letter in reading.letters
                if (before := stored.get(letter.head.letter_id, (0, None, None))[1]) and letter.plan
                if letter.plan.discharged_on not in (None, date.fromisoformat(before))
            },
            rerouted={letter_id: rerouted for letter_id, (*_, rerouted) in stored.items() if rerouted},
        )

    async def _stored_plans(self, reading: Reading) -> dict[str, tuple[int, str | None, Rerouted | None]]:
        """Version, discharge date and hospital chosen since of the plans that a FHIR message speaks of."""
        found = {}
        for letter in reading.letters:
            rows = await self._read("stored_plan", sender_gln=sender_gln_of(reading), plan_id=plan_id_of(letter))
            if rows:
                version, discharged_on, *rerouted = rows[0]
                found[letter.head.letter_id] = version, discharged_on, Rerouted(*rerouted) if rerouted[0] else None
        return found

    async def _by_key(self, reading: Reading) -> EarlierAnswer | None:
        found = await self._read("earlier_by_key", message_key=reading.message_key)
        return earlier_answer(*found[0]) if found else None

    async def _by_letters(self, reading: Reading) -> tuple[EarlierAnswer | None, str | None]:
        """The answer to a letter that came before to this receiver, or the record when all came to others (copies).

        The first happens when a letter comes again in another grouping: then only the key of the message is new.
        """
        originals = []
        for letter in reading.letters:
            found = await self._read(
                "earlier_by_letter",
                letter_id=letter.head.letter_id,
                sender_gln=sender_gln_of(reading),
                receiver_gln=receiver_gln_of(reading),
            )
            for *earlier, copy, record_id, _ in found:
                if not copy:
                    return earlier_answer(*earlier), None
                originals.append((letter, record_id))
        all_copies = {id(letter) for letter, _ in originals} == {id(letter) for letter in reading.letters}
        return None, originals[0][1] if all_copies else None

    async def _vans_id_used(self, reading: Reading) -> bool:
        vans = reading.vans
        return vans is not None and bool(
            (
                await self._read(
                    "vans_id_used",
                    sender_id=vans.sender_id,
                    envelope_id=vans.envelope_id,
                    message_key=reading.message_key,
                    body_digest=reading.digest,
                )
            )[0][0]
        )

    async def _active_plans(self, reading: Reading, letter: Letter) -> tuple[ActivePlan, ...]:
        patient = patient_of(letter, self._patient_key)
        if patient is None:
            return ()
        found = await self._read(
            "active_plans", patient=patient, sender_gln=sender_gln_of(reading), plan_id=plan_id_of(letter)
        )
        return tuple(ActivePlan(f"{sender_gln}|{plan_id}", *facts) for sender_gln, plan_id, *facts in found)

    async def plans_of(self, patient: Cpr) -> tuple[StoredPlan, ...]:
        """The active plans of a patient, oldest first."""
        found = await self._read("plans_of", patient=patient.pseudonym(self._patient_key))
        return tuple(
            StoredPlan(
                sender_gln,
                plan_id,
                version,
                date.fromisoformat(discharged_on) if discharged_on else None,
                episode_of_care_id,
                message_id,
                letter_id,
                datetime.fromisoformat(at),
                Rerouted(*rerouted) if rerouted[0] else None,
            )
            for (
                sender_gln,
                plan_id,
                version,
                discharged_on,
                episode_of_care_id,
                message_id,
                letter_id,
                at,
                *rerouted,
            ) in found
        )

    async def save(self, outcome: Outcome, body: bytes, client: str) -> Saved:
        """Keep a judged message in one transaction; see `Store.save`."""
        if outcome.repeat is Repeat.REPLAY:
            return await self._replayed(outcome.reading)
        rows = rows_from(
            outcome,
            body,
            client,
            self._patient_key,
            self._summary_document(outcome),
            self._record_document,
            self._patience,
            self._packed,
        )
        supersede = outcome.repeat is Repeat.CHANGED_AFTER_REFUSAL
        try:
            saved = await self._write(lambda db: write_message(db, rows, supersede=supersede))
        except LostRaceError as lost:
            return Saved(lost.earlier.message_id, earlier=lost.earlier)
        if outcome.reading.fhir is not None:
            for letter in rows.letters:
                if letter.plan is not None and (await self._read("copies_wait", **letter.plan))[0][0]:
                    await self.link_copies()
        return saved

    async def link_copies(self) -> None:
        """Link copies whose plan has come meanwhile; who was sent one is served."""

        async def link(db: Transaction) -> None:
            await db.put("link_copies", {})
            await end_waiting(db, self._clock().isoformat())

        await self._write(link)

    async def waiting_copies(self, before: datetime) -> tuple[tuple[str, datetime], ...]:
        """Message id and time of the copies received before an instant that still wait for their plan."""
        found = await self._read("waiting_copies", before=instant(before))
        return tuple((message_id, datetime.fromisoformat(at)) for _, message_id, at in found)

    async def _replayed(self, reading: Reading) -> Saved:
        found = await self._read("records_of_key", message_key=reading.message_key)
        return Saved(found[0][0], tuple(record_id for _, record_id in found if record_id is not None))

    # --- showing ------------------------------------------------------------------------------------------------------

    async def message(self, message_id: str) -> StoredMessage | None:
        """A received message as its sender may see it."""
        found = await self._read("message", message_id=message_id)
        if not found:
            return None
        ((message, sender, receiver, format, verdict, received_at, envelope_id, content, body, client, summary),) = (
            found
        )
        letters = await self._read("letters_of_message", message=message)
        return StoredMessage(
            message_id,
            sender,
            receiver,
            format,
            verdict,
            datetime.fromisoformat(received_at),
            envelope_id,
            tuple(letter_id for letter_id, _ in letters),
            content,
            body,
            client,
            summary,
            tuple(record_id for _, record_id in letters if record_id is not None),
            tuple([delivery_of(*row) for row in await self._read("deliveries_of_message", message=message)]),
        )

    async def answer(self, message_id: str, layer: str = "letter") -> Reply | None:
        """The stored answer of a layer, `letter` or `envelope`."""
        found = await self._read("envelope_answer" if layer == "envelope" else "letter_answer", message_id=message_id)
        return Reply(*found[0]) if found else None

    async def body(self, message_id: str) -> bytes | None:
        """The received bytes, exactly; None for a refused message."""
        found = await self._read("body", message_id=message_id)
        return self._unpacked(found[0][0]) if found and found[0][0] is not None else None

    async def record(self, record_id: str) -> StoredRecord | None:
        """A record with who may read it now."""
        found = await self._read("record", record_id=record_id)
        if not found:
            return None
        record, version, document, message_id, letter_id, state, eventful, *rerouted = found[0]
        organisations = frozenset(organisation for (organisation,) in await self._read("access", record=record))
        shown = await self._shown(record, record_id, version, document, eventful)
        return StoredRecord(
            record_id,
            version,
            shown,
            message_id,
            organisations,
            letter_id,
            state,
            Rerouted(*rerouted) if rerouted[0] else None,
        )

    # --- feed ---------------------------------------------------------------------------------------------------------

    async def feed(self, organisations: Collection[str], after: int, limit: int) -> FeedPage:
        """Entries after a position, those of one record folded into the latest.

        At the end of the feed `next` is the newest position of all: nothing smaller can come later, and whoever waits
        from there is woken by new entries only.
        """
        newest = (await self._read("newest"))[0][0]  # before the page: what it counts is then in the page
        asking = self._several(organisations)
        rows = await self._read("feed", organisations=asking, after=after, limit=limit + 1)
        page = rows[:limit]
        folded: dict[int, tuple[int, str, str]] = {}
        for position, organisation, change, record, readable in page:
            # Lost here but readable through another of the organisations, or lost on a later page: no change to show.
            if readable == (change != "access_ended"):
                folded.pop(record, None)
                folded[record] = (position, organisation, change)
        entries = tuple([await self._entry(record, *entry) for record, entry in folded.items()])
        more = len(rows) > limit
        last = page[-1][0] if page else after
        return FeedPage(entries, last if more else max(last, newest), more)

    async def _entry(self, record: int, position: int, organisation: str, change: str) -> FeedEntry:
        ((record_id, version, document, eventful),) = await self._read("feed_record", record=record)
        ended = change == "access_ended"
        content = None if ended else await self._shown(record, record_id, version, document, eventful)
        return FeedEntry(position, organisation, change, record_id, version, content)

    async def newest(self, organisations: Collection[str]) -> int:
        """Position of the newest entry for any of them, 0 when there is none."""
        newest: int = (await self._read("newest_for", organisations=self._several(organisations)))[0][0]
        return newest

    async def wait_for_feed(self, after: int, seconds: float) -> None:
        """Return when an entry past `after` was committed, or after `seconds`."""
        await self._until(lambda: self._newest > after, seconds)

    async def mark_sent(self, organisations: Collection[str], position: int) -> None:
        """Pending deliveries up to `position` become sent."""
        await self._move(organisations, position, DeliveryState.PENDING, DeliveryState.SENT, self._clock())

    async def mark_delivered(self, organisations: Collection[str], position: int, at: datetime) -> None:
        """Sent deliveries up to `position` become delivered; those never sent stay as they are."""
        await self._move(organisations, position, DeliveryState.SENT, DeliveryState.DELIVERED, at)

    async def _move(
        self, organisations: Collection[str], position: int, before: DeliveryState, after: DeliveryState, at: datetime
    ) -> None:
        values = {
            "organisations": self._several(organisations),
            "position": position,
            "before": before,
            "after": after,
            "at": instant(at),
        }
        # Most pages and cursors change nothing, and then nothing is written.
        if not (await self._read("deliveries_to_move", **values))[0][0]:
            return

        async def move(db: Transaction) -> None:
            if after is DeliveryState.SENT:
                await db.put("move_deliveries", values)
                return
            for (delivery,) in await db.ask("move_deliveries", values):
                tell(db, delivery, after, values["at"])
            await db.put("move_pull_cursors", values)

        await self._write(move)
