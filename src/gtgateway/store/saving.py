"""Keeping one judged message: what goes into which table, whatever database stands behind the transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
from pydantic import TypeAdapter

from gtgateway.errors import StoreUnavailable
from gtgateway.model.acknowledgement import Acknowledgement
from gtgateway.model.findings import Finding
from gtgateway.model.message import Action, Letter, Reading
from gtgateway.model.outcome import Correction, EarlierAnswer, LetterOutcome, Outcome, Repeat, Verdict
from gtgateway.model.record import MunicipalRecord
from gtgateway.store.base import Saved

ACKNOWLEDGEMENT = TypeAdapter(Acknowledgement)

#: These repeats are kept as refused messages and never become the message that decides for their key.
_WITHOUT_KEY = (Repeat.CHANGED_AFTER_OK, Repeat.VANS_ID_REUSED)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """An organisation that is sent a plan, and in which roles."""

    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LetterRows:
    """One letter, ready to be written. `plan` is None when the letter changes no plan (refused, or a copy)."""

    letter: Row
    plan: Row | None = None
    copy: Row | None = None  #: an accepted copy: of which plan and message
    names_plan: bool = False  #: a FHIR message names its plan; a MedCom letter is one
    served: tuple[str, ...] = ()  #: organisations that a copy went to
    plan_version: int | None = None  #: the version that the record was made for
    document: bytes | None = None
    recipients: Mapping[str, Recipient] | None = None  #: None: no route, whoever was sent the plan before
    by_notification: bool = False  #: the record goes on to be read from the plan's own message


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A judged message, ready to be written."""

    message: Row
    findings: tuple[Row, ...]
    vans: Row | None
    letters: tuple[LetterRows, ...]


class Transaction(Protocol):
    """An open transaction, spoken to in named queries and their values by name.

    Its methods are coroutines for the sake of a database that is a network away.
    """

    async def ask(self, query: str, values: Row) -> Sequence[Sequence[Any]]:
        """All rows of the answer."""
        ...

    async def insert(self, query: str, values: Row) -> int | None:
        """Key of the new row; the database gives the value `id`. None when the row was there already."""
        ...

    async def put(self, query: str, *rows: Row) -> None:
        """Run a query that answers nothing, once for each row."""
        ...

    def publish(self, entry: Row, delivery: Row | None = None) -> None:
        """Write a feed entry, with its delivery, when its position can be given: as the transaction's last act."""
        ...


class LostRaceError(Exception):
    """Another request with the same message won; what this one wrote is rolled back."""

    def __init__(self, earlier: EarlierAnswer) -> None:
        self.earlier = earlier
        super().__init__(earlier.message_id)


# --- before the transaction -------------------------------------------------------------------------------------------


def plan_id_of(letter: Letter) -> str:
    """The plan's own id, or the letter's where the plan could not be read."""
    return (letter.plan.plan_id if letter.plan else None) or letter.head.letter_id


def sender_gln_of(reading: Reading) -> str:
    return (reading.envelope.sender.gln if reading.envelope else None) or ""


def receiver_gln_of(reading: Reading) -> str:
    return (reading.envelope.receiver.gln if reading.envelope else None) or ""


def patient_of(letter: Letter, key: bytes) -> bytes | None:
    """Keyed pseudonym of the patient, or None when the letter names none."""
    number = letter.plan.patient.identifier if letter.plan else None
    return number.pseudonym(key) if number else None


def rows_from(
    outcome: Outcome,
    body: bytes,
    client: str,
    key: bytes,
    summary: bytes,
    record_document: Callable[[MunicipalRecord], bytes],
    packed: Callable[[bytes], bytes] = bytes,
) -> MessageRows:
    """Everything that will be written for an outcome; a body only when it was accepted (GOP-DATA-04).

    `packed` compresses the body for a database that does not do it well.
    """
    reading, reply, receipt = outcome.reading, outcome.reply, outcome.envelope_receipt
    accepted = outcome.verdict is Verdict.ACCEPTED
    acknowledgement = outcome.acknowledgement
    takes_key = acknowledgement is not None and outcome.repeat not in _WITHOUT_KEY
    message = {
        "message_id": str(uuid.uuid4()),
        "message_key": reading.message_key if takes_key else None,
        "sender_gln": sender_gln_of(reading),
        "receiver_gln": receiver_gln_of(reading),
        "envelope_id": reading.envelope.envelope_id if reading.envelope else "",
        "format": reading.format_name or "",
        "verdict": outcome.verdict,
        "repeat": outcome.repeat,
        "received_at": outcome.received_at.isoformat(),
        "client": client,
        "content_digest": reading.content_digest,
        "body_digest": reading.digest,
        "size": reading.size,
        "acknowledgement": ACKNOWLEDGEMENT.dump_json(acknowledgement) if acknowledgement else None,
        "answer_status": reply.status,
        "answer_type": reply.media_type,
        "answer_body": reply.body,
        "receipt_status": receipt.status if receipt else None,
        "receipt_type": receipt.media_type if receipt else None,
        "receipt_body": receipt.body if receipt else None,
        "summary": summary,
        "body": packed(body) if accepted and (reading.notification is None or outcome.corrections) else None,
    }
    found: list[tuple[str | None, Finding]] = [(None, finding) for finding in outcome.findings]
    found += [(each.letter.head.letter_id, finding) for each in outcome.letters for finding in each.findings]
    findings = tuple(
        {
            "ordinal": ordinal,
            "letter_id": letter_id,
            "rule": finding.rule,
            "severity": finding.severity,
            "layer": finding.layer,
            "path": finding.path,
        }
        for ordinal, (letter_id, finding) in enumerate(found)
    )
    vans = {"sender_id": reading.vans.sender_id, "envelope_id": reading.vans.envelope_id} if reading.vans else None
    letters = tuple(
        _letter_rows(ordinal, each, reading, message, accepted, key, record_document)
        for ordinal, each in enumerate(outcome.letters)
    )
    corrections = tuple(
        _correction_rows(ordinal, each, reading, message, key, record_document)
        for ordinal, each in enumerate(outcome.corrections)
    )
    return MessageRows(message, findings, vans, (*letters, *corrections))


def _correction_rows(
    ordinal: int,
    correction: Correction,
    reading: Reading,
    message: Row,
    key: bytes,
    record_document: Callable[[MunicipalRecord], bytes],
) -> LetterRows:
    """A plan that a notification corrects; what came under the plan's record is the notification, by its own id."""
    of_the_plan = {**message, "sender_gln": correction.sender_gln}
    rows = _letter_rows(ordinal, correction.letter, reading, of_the_plan, True, key, record_document)
    letter = {
        **rows.letter,
        "letter_id": reading.fhir.message_id if reading.fhir else "",
        "content_digest": reading.content_digest,
    }
    return replace(rows, letter=letter, by_notification=True)


def _copied(letter: Letter, reading: Reading, message: Row) -> Row:
    """What a copy is a copy of; a MedCom letter is the first of its plan, a FHIR message may name its original."""
    row = {"sender_gln": message["sender_gln"], "plan_id": plan_id_of(letter), "original": None}
    fhir = reading.fhir
    for named in fhir.earlier if fhir else ():
        if fhir and "#" not in named:
            original = replace(reading, fhir=replace(fhir, message_id=named))
            return {**row, "original": original.message_key}
    return row


def _letter_rows(
    ordinal: int,
    outcome: LetterOutcome,
    reading: Reading,
    message: Row,
    accepted: bool,
    key: bytes,
    record_document: Callable[[MunicipalRecord], bytes],
) -> LetterRows:
    letter = outcome.letter
    row = {
        "ordinal": ordinal,
        "letter_id": letter.head.letter_id,
        "version_code": letter.head.version_code,
        "content_digest": letter.digest,
        "verdict": outcome.verdict,
        "action": outcome.action,
        "order_id": outcome.order_id,
        "order_basis": outcome.order_basis,
    }
    plan = letter.plan
    if not accepted or plan is None or outcome.action is Action.COPY:
        copied = accepted and outcome.action is Action.COPY
        return LetterRows(
            row,
            copy=_copied(letter, reading, message) if copied else None,
            names_plan=reading.fhir is not None,
            served=outcome.served,
        )
    diagnosis = plan.primary_diagnosis
    plan_row = {
        "sender_gln": message["sender_gln"],
        "plan_id": plan_id_of(letter),
        "patient": patient_of(letter, key),
        "discharged_on": plan.discharged_on.isoformat() if plan.discharged_on else None,
        "episode_of_care_id": plan.episode_of_care_id,
        "main_diagnosis": diagnosis.code if diagnosis else None,
    }
    record = outcome.record
    return LetterRows(
        row,
        plan_row,
        plan_version=record.plan_version if record else None,
        document=record_document(record) if record else None,
        recipients=_recipients(outcome),
    )


def _recipients(outcome: LetterOutcome) -> dict[str, Recipient] | None:
    """Who is sent the plan, by organisation id, in the order of the route."""
    if outcome.route is None:
        return None
    recipients: dict[str, Recipient] = {}
    for entry in outcome.route.entries:
        if entry.deliver:
            known = recipients.get(entry.organisation.id)
            roles = (*(known.roles if known else ()), str(entry.role))
            recipients[entry.organisation.id] = Recipient(entry.organisation.name, roles)
    return recipients


# --- inside the transaction -------------------------------------------------------------------------------------------


async def write_message(db: Transaction, rows: MessageRows, *, supersede: bool) -> Saved:
    """Keep a message. `supersede`: it may take over its key from a refused message with other content.

    Raises LostRaceError when another request was faster with the same message, and StoreUnavailable when the plan or
    the VANS envelope id was taken by another message meanwhile; the caller rolls back.
    """
    head = rows.message
    message = await db.insert("insert_message", head)
    if head["message_key"] is not None:
        await _take_key(db, {**head, "message": message, "supersede": supersede})
    if rows.vans is not None:
        await _take_vans_id(db, {**head, **rows.vans, "message": message})
    await db.put("insert_finding", *({**row, "message": message} for row in rows.findings))
    records: list[str] = []
    for letter in rows.letters:
        record = None
        if letter.plan is not None:
            record_id, record = await _keep_plan(db, letter, letter.plan, head, message)
            records.append(record_id)
        elif letter.copy is not None and (found := await _copied_record(db, letter, letter.copy, head)):
            record_id, record = found
            records.append(record_id)
        await db.put("insert_letter", {**letter.letter, "message": message, "record": record})
        if letter.copy is not None:
            waiting = {**head, **letter.copy, "message": message}
            # Also a copy for nobody that we know waits: its plan may stay away.
            await db.put("insert_waiting_copy", *({**waiting, "organisation": each} for each in letter.served or ("",)))
            await end_waiting(db, head["received_at"])
    event = {"sender_gln": head["sender_gln"], "message": message, "kind": "answered", "detail": None}
    await db.put("insert_message_event", event)
    return Saved(head["message_id"], tuple(records))


async def _take_key(db: Transaction, key: Row) -> None:
    if await db.insert("take_message_key", key) is None:
        raise LostRaceError(earlier_answer(*(await db.ask("earlier_by_key", key))[0]))


async def _take_vans_id(db: Transaction, vans: Row) -> None:
    # A refused repeat never holds the id; the query would be asked in vain.
    if await db.insert("insert_vans_envelope", vans) is not None or vans["repeat"] in _WITHOUT_KEY:
        return
    if (await db.ask("vans_id_used", vans))[0][0]:
        raise StoreUnavailable("The VANS envelope id was taken by another message meanwhile.")


def earlier_answer(
    message_id: str, content_digest: str, verdict: str, status: int, acknowledgement: bytes
) -> EarlierAnswer:
    """The answer that stands in a row of `earlier_by_key` or `earlier_by_letter`."""
    return EarlierAnswer(
        message_id,
        content_digest,
        verdict == Verdict.ACCEPTED,
        status,
        ACKNOWLEDGEMENT.validate_json(acknowledgement),
    )


async def _keep_plan(
    db: Transaction, letter: LetterRows, plan: Row, head: Row, message: int | None
) -> tuple[str, int | None]:
    """The next version of a plan with its record, deliveries and feed entries; record id and key of the record."""
    action = letter.letter["action"]
    letter_id, received_at = letter.letter["letter_id"], head["received_at"]
    had: set[str] = set()
    if action == Action.NEW:
        plan_key = await db.insert("insert_plan", plan)
        if plan_key is None:
            return await _original(db, letter_id, head)
        version = record_version = 1
        place = {"plan": plan_key, "message": message, "letter_id": letter_id}
        record_id = str(uuid.uuid4())
        record = await db.insert("insert_record", {**place, "record_id": record_id, "document": letter.document})
    else:
        found = await db.ask("plan_to_change", plan)
        if not found:
            raise StoreUnavailable("The plan to change is not stored.")
        ((plan_key, version, record, record_id, record_version),) = found
        state = "withdrawn" if action == Action.WITHDRAWAL else "active"
        version, record_version = version + 1, record_version + 1
        if letter.plan_version not in (None, version):
            raise StoreUnavailable("The plan was changed by another message meanwhile.")
        place = {"plan": plan_key, "message": message, "letter_id": letter_id}
        await db.put("update_plan", {**plan, **place, "state": state, "version": version})
        change = {"record": record, "version": record_version, "state": state, "document": letter.document}
        source = {"message": None, "letter_id": None} if letter.by_notification else place
        await db.put("update_record", {**source, **change})
        had = {organisation for (organisation,) in await db.ask("access", change)}
        await db.put("cancel_deliveries", {**place, "updated_at": received_at})
    await db.put("insert_plan_version", {**place, "version": version, "action": action, "received_at": received_at})
    delivery = {**place, "record": record, "plan_version": version, "updated_at": received_at}
    await _send(db, letter, delivery, record_version, had)
    return record_id, record


async def _send(db: Transaction, letter: LetterRows, delivery: Row, version: int, had: Set[str]) -> None:
    """Access, feed entries and deliveries of a plan version for everybody that gains, keeps or loses it."""
    recipients = letter.recipients
    if recipients is None:  # a withdrawal without a route reaches whoever has the plan
        recipients = {
            organisation: Recipient(name, tuple(orjson.loads(roles)))
            for organisation, name, roles in await db.ask("last_recipients", delivery)
        }
    entry = {"record": delivery["record"], "version": version}
    for organisation in sorted(had - recipients.keys()):
        await db.put("end_access", {**entry, "organisation": organisation})
        db.publish({**entry, "organisation": organisation, "change": "access_ended"})
    await db.put("grant_access", *({**entry, "organisation": organisation} for organisation in recipients))
    kept = "withdrawn" if letter.letter["action"] == Action.WITHDRAWAL else "corrected"
    for organisation, recipient in recipients.items():
        change = kept if organisation in had else "new"
        roles = orjson.dumps(recipient.roles).decode()
        db.publish(
            {**entry, "organisation": organisation, "change": change},
            {**delivery, "organisation": organisation, "organisation_name": recipient.name, "roles": roles},
        )


async def end_waiting(db: Transaction, at: str) -> None:
    """Whoever was sent a copy of a plan version that is here now is not sent it again."""
    await db.put("serve_copies", {"updated_at": at})
    await db.put("end_waiting", {})


async def _copied_record(db: Transaction, letter: LetterRows, plan: Row, head: Row) -> tuple[str, int] | None:
    """Record id and key of the record that a copy belongs to; None when its plan has not come (FHIR)."""
    if not letter.names_plan:
        return await _original(db, letter.letter["letter_id"], head)
    found = await db.ask("plan_to_change", plan)
    return (found[0][3], found[0][2]) if found else None


async def _original(db: Transaction, letter_id: str, head: Row) -> tuple[str, int]:
    """Record id and key of the record that a copy belongs to.

    Raises LostRaceError when the letter came before to the same receiver, in another message: its answer stands.
    """
    found = await db.ask("earlier_by_letter", {**head, "letter_id": letter_id})
    if not found:
        raise StoreUnavailable("The plan was stored by another message meanwhile.")
    for *earlier, copy, _, _ in found:
        if not copy:
            raise LostRaceError(earlier_answer(*earlier))
    *_, record_id, record = found[0]
    return record_id, record
