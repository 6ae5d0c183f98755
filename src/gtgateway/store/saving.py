"""Keeping one judged message: what goes into which table. Runs in the writer's transaction, inside a savepoint."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import orjson
from pydantic import TypeAdapter

from gtgateway.errors import StoreUnavailable
from gtgateway.model.acknowledgement import Acknowledgement
from gtgateway.model.findings import Finding
from gtgateway.model.message import Action, Letter, Reading
from gtgateway.model.outcome import EarlierAnswer, LetterOutcome, Outcome, Repeat, Verdict
from gtgateway.model.record import MunicipalRecord
from gtgateway.store.base import Saved
from gtgateway.store.queries import SQL

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
    copy: bool = False  #: an accepted copy: linked to the record of its original
    plan_version: int | None = None  #: the version that the record was made for
    document: bytes | None = None
    recipients: Mapping[str, Recipient] | None = None  #: None: no route, whoever was sent the plan before


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A judged message, ready to be written."""

    message: Row
    findings: tuple[Row, ...]
    vans: Row | None
    letters: tuple[LetterRows, ...]


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
) -> MessageRows:
    """Everything that will be written for an outcome; a body only when it was accepted (GOP-DATA-04)."""
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
        "body": body if accepted else None,
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
        _letter_rows(ordinal, each, message, accepted, key, record_document)
        for ordinal, each in enumerate(outcome.letters)
    )
    return MessageRows(message, findings, vans, letters)


def _letter_rows(
    ordinal: int,
    outcome: LetterOutcome,
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
        return LetterRows(row, copy=accepted and outcome.action is Action.COPY)
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


def fetch(db: apsw.Connection, query: str, values: Row) -> list[tuple[Any, ...]]:
    """All rows of a named query."""
    return db.execute(SQL[query], values).fetchall()


def write_message(db: apsw.Connection, rows: MessageRows, *, supersede: bool) -> Saved:
    """Keep a message. `supersede`: it may take over its key from a refused message with other content.

    Raises LostRaceError when another request was faster with the same message, and StoreUnavailable when the plan or
    the VANS envelope id was taken by another message meanwhile; the caller rolls back.
    """
    head = rows.message
    db.execute(SQL["insert_message"], head)
    message = db.last_insert_rowid()
    if head["message_key"] is not None:
        _take_key(db, head, message, supersede)
    if rows.vans is not None:
        _take_vans_id(db, rows.vans, head, message)
    db.executemany(SQL["insert_finding"], [{**row, "message": message} for row in rows.findings])
    records: list[str] = []
    for letter in rows.letters:
        record = None
        if letter.plan is not None:
            record_id, record = _keep_plan(db, letter, letter.plan, head, message)
            records.append(record_id)
        elif letter.copy:
            record_id, record = _original(db, letter.letter["letter_id"], head)
            records.append(record_id)
        db.execute(SQL["insert_letter"], {**letter.letter, "message": message, "record": record})
    event = {"sender_gln": head["sender_gln"], "message": message, "kind": "answered", "detail": None}
    db.execute(SQL["insert_message_event"], event)
    return Saved(head["message_id"], tuple(records))


def _take_key(db: apsw.Connection, head: Row, message: int, supersede: bool) -> None:
    db.execute(SQL["take_message_key"], {**head, "message": message, "supersede": supersede})
    if not db.changes():
        raise LostRaceError(earlier_answer(*fetch(db, "earlier_by_key", head)[0]))


def _take_vans_id(db: apsw.Connection, vans: Row, head: Row, message: int) -> None:
    db.execute(SQL["insert_vans_envelope"], {**vans, "message": message})
    if db.changes() or head["repeat"] in _WITHOUT_KEY:
        return
    if fetch(db, "vans_id_used", {**head, **vans})[0][0]:
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


def _keep_plan(db: apsw.Connection, letter: LetterRows, plan: Row, head: Row, message: int) -> tuple[str, int]:
    """The next version of a plan with its record, deliveries and feed entries; record id and key of the record."""
    action = letter.letter["action"]
    if action == Action.NEW:
        db.execute(SQL["insert_plan"], plan)
        if not db.changes():
            return _original(db, letter.letter["letter_id"], head)
        state, version, record_version = "active", 1, 1
        place = {"plan": db.last_insert_rowid(), "message": message, "letter_id": letter.letter["letter_id"]}
        record_id = str(uuid.uuid4())
        db.execute(SQL["insert_record"], {**place, "record_id": record_id, "document": letter.document})
        record = db.last_insert_rowid()
    else:
        found = fetch(db, "plan_to_change", plan)
        if not found:
            raise StoreUnavailable("The plan to change is not stored.")
        ((plan_key, version, record, record_id, record_version),) = found
        state = "withdrawn" if action == Action.WITHDRAWAL else "active"
        version, record_version = version + 1, record_version + 1
        if letter.plan_version not in (None, version):
            raise StoreUnavailable("The plan was changed by another message meanwhile.")
        place = {"plan": plan_key, "message": message, "letter_id": letter.letter["letter_id"]}
        db.execute(SQL["update_plan"], {**plan, **place, "state": state, "version": version})
        change = {"record": record, "version": record_version, "state": state, "document": letter.document}
        db.execute(SQL["update_record"], {**place, **change})
    received_at = head["received_at"]
    db.execute(SQL["insert_plan_version"], {**place, "version": version, "action": action, "received_at": received_at})
    _send(db, letter, {**place, "record": record, "plan_version": version, "updated_at": received_at}, record_version)
    return record_id, record


def _send(db: apsw.Connection, letter: LetterRows, delivery: Row, version: int) -> None:
    """Access, feed entries and deliveries of a plan version for everybody that gains, keeps or loses it."""
    record = delivery["record"]
    had = {organisation for (organisation,) in fetch(db, "access", delivery)}
    if had:
        db.execute(SQL["cancel_deliveries"], delivery)
    recipients = letter.recipients
    if recipients is None:  # a withdrawal without a route reaches whoever has the plan
        recipients = {
            organisation: Recipient(name, tuple(orjson.loads(roles)))
            for organisation, name, roles in fetch(db, "last_recipients", delivery)
        }
    for organisation in sorted(had - recipients.keys()):
        entry = {"organisation": organisation, "record": record, "version": version, "change": "access_ended"}
        db.execute(SQL["end_access"], entry)
        db.execute(SQL["insert_feed_entry"], entry)
    kept = "withdrawn" if letter.letter["action"] == Action.WITHDRAWAL else "corrected"
    for organisation, recipient in recipients.items():
        change = kept if organisation in had else "new"
        entry = {"organisation": organisation, "record": record, "version": version, "change": change}
        db.execute(SQL["grant_access"], entry)
        db.execute(SQL["insert_feed_entry"], entry)
        db.execute(
            SQL["insert_delivery"],
            {
                **delivery,
                "organisation": organisation,
                "organisation_name": recipient.name,
                "roles": orjson.dumps(recipient.roles).decode(),
                "position": db.last_insert_rowid(),
            },
        )


def _original(db: apsw.Connection, letter_id: str, head: Row) -> tuple[str, int]:
    """Record id and key of the record that a copy belongs to.

    Raises LostRaceError when the letter came before to the same receiver, in another message: its answer stands.
    """
    found = fetch(db, "earlier_by_letter", {**head, "letter_id": letter_id})
    if not found:
        raise StoreUnavailable("The plan was stored by another message meanwhile.")
    for *earlier, copy, _, _ in found:
        if not copy:
            raise LostRaceError(earlier_answer(*earlier))
    *_, record_id, record = found[0]
    return record_id, record
