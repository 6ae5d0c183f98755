"""Keeping one judged message: what goes into which table, whatever database stands behind the transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Protocol

import orjson
from pydantic import TypeAdapter

from gtgateway.errors import StoreUnavailable
from gtgateway.model.acknowledgement import Acknowledgement
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Finding
from gtgateway.model.message import Action, Letter, Reading
from gtgateway.model.outcome import Correction, EarlierAnswer, LetterOutcome, Outcome, Repeat, Verdict
from gtgateway.model.plan import COPENHAGEN
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
    endpoint: str | None = None  #: where it is sent to; None: the recipient pulls
    by_sender: bool = False  #: the sender serves it itself


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a delivery is tried."""

    after_start: timedelta  #: after the day that training should start on
    after_receipt: timedelta  #: where no start is due

    def gives_up_at(self, deadlines: Deadlines | None, received_at: datetime) -> datetime:
        """At the end of a day in Copenhagen; a plan that comes late is tried as long as one of its last day."""
        if deadlines is None or deadlines.start_by is None:
            return received_at + self.after_receipt
        last = datetime.combine(deadlines.start_by, time.max, COPENHAGEN)
        return max(last, received_at) + self.after_start


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
    give_up_at: str = ""


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A judged message, ready to be written."""

    message: Row
    findings: tuple[Row, ...]
    vans: Row | None
    letters: tuple[LetterRows, ...]
    counted: str | None  #: findings by severity, for the sender's feed


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

    async def ask_each(self, query: str, *rows: Row) -> Sequence[Sequence[Any]]:
        """The rows of all answers, of a query that is run once for each row."""
        ...

    def publish(self, entry: Row, delivery: Row | None = None) -> None:
        """Write a feed entry, with its delivery, when its position can be given: as the transaction's last act."""
        ...

    def tell(self, query: str, event: Row) -> None:
        """Write an entry of a sender's feed likewise."""
        ...


class LostRaceError(Exception):
    """Another request with the same message won; what this one wrote is rolled back."""

    def __init__(self, earlier: EarlierAnswer) -> None:
        self.earlier = earlier
        super().__init__(earlier.message_id)


def instant(at: datetime) -> str:
    """As it is kept: texts of one zone sort by time."""
    return at.astimezone(UTC).isoformat()


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
    patience: Patience,
    packed: Callable[[bytes], bytes] = bytes,
) -> MessageRows:
    """Everything that will be written for an outcome; a body only when it was accepted (GOP-DATA-04).

    `patience` says how long its deliveries are tried; `packed` compresses the body for a database that does not do it
    well.
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
        "received_at": instant(outcome.received_at),
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
        _letter_rows(ordinal, each, reading, message, accepted, key, record_document, patience)
        for ordinal, each in enumerate(outcome.letters)
    )
    corrections = tuple(
        _correction_rows(ordinal, each, reading, message, key, record_document, patience)
        for ordinal, each in enumerate(outcome.corrections)
    )
    return MessageRows(message, findings, vans, (*letters, *corrections), outcome.counted or None)


def _correction_rows(
    ordinal: int,
    correction: Correction,
    reading: Reading,
    message: Row,
    key: bytes,
    record_document: Callable[[MunicipalRecord], bytes],
    patience: Patience,
) -> LetterRows:
    """A plan that a notification corrects; what came under the plan's record is the notification, by its own id."""
    of_the_plan = {**message, "sender_gln": correction.sender_gln}
    rows = _letter_rows(ordinal, correction.letter, reading, of_the_plan, True, key, record_document, patience)
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
    patience: Patience,
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
        "hospital": outcome.route.chosen_hospital.id if outcome.route and outcome.route.chosen_hospital else None,
    }
    record = outcome.record
    return LetterRows(
        row,
        plan_row,
        plan_version=record.plan_version if record else None,
        document=record_document(record) if record else None,
        recipients=recipients_of(outcome),
        give_up_at=instant(
            patience.gives_up_at(outcome.deadlines, datetime.fromisoformat(message["received_at"])),
        ),
    )


def recipients_of(outcome: LetterOutcome) -> dict[str, Recipient] | None:
    """Who gets the plan, by organisation id, in the order of the route."""
    if outcome.route is None:
        return None
    recipients: dict[str, Recipient] = {}
    for entry in outcome.route.entries:
        if entry.deliver or entry.by_sender:
            organisation = entry.organisation
            known = recipients.get(organisation.id)
            roles = (*(known.roles if known else ()), str(entry.role))
            by_sender = entry.by_sender and (known is None or known.by_sender)
            recipients[organisation.id] = Recipient(organisation.name, roles, organisation.endpoint, by_sender)
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
    event = {"sender_gln": head["sender_gln"], "message": message, "at": head["received_at"], "kind": "answered"}
    db.tell("insert_message_event", {**event, "reason": head["verdict"], "detail": rows.counted})
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
    waited: dict[str, str] = {}
    source = (message, letter_id)
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
        ((plan_key, version, record, record_id, record_version, *kept_source),) = found
        state = "withdrawn" if action == Action.WITHDRAWAL else "active"
        version, record_version = version + 1, record_version + 1
        if letter.plan_version not in (None, version):
            raise StoreUnavailable("The plan was changed by another message meanwhile.")
        place = {"plan": plan_key, "message": message, "letter_id": letter_id}
        await db.put("update_plan", {**plan, **place, "state": state, "version": version})
        change = {"record": record, "version": record_version, "state": state, "document": letter.document}
        if letter.by_notification:
            source = tuple(kept_source)
        await db.put("end_rerouted", {**plan, **place})
        await db.put("update_record", {**change, "message": source[0], "letter_id": source[1]})
        had = {organisation for (organisation,) in await db.ask("access", change)}
        cancelled = await db.ask("cancel_deliveries", {**place, "updated_at": received_at})
        for organisation, since in cancelled:
            waited[organisation] = min(since, waited.get(organisation, since))
        if action == Action.WITHDRAWAL:
            withdrawn = {"sender_gln": plan["sender_gln"], "message": kept_source[0], "at": received_at}
            db.tell("insert_message_event", {**withdrawn, "kind": "withdrawn", "reason": None, "detail": None})
    await db.put("insert_plan_version", {**place, "version": version, "action": action, "received_at": received_at})
    delivery = {
        "record": record,
        "plan": plan_key,
        "plan_version": version,
        "updated_at": received_at,
        "source": source[0],
        "source_letter": source[1],
        "give_up_at": letter.give_up_at,
    }
    await _send(db, letter, delivery, record_version, had, waited)
    return record_id, record


async def _send(
    db: Transaction, letter: LetterRows, delivery: Row, version: int, had: Set[str], waited: Mapping[str, str]
) -> None:
    """Access, feed entries and deliveries of a plan version for everybody that gains, keeps or loses it.

    `waited`: since when those have waited whose delivery of the version before was cancelled.
    """
    recipients = letter.recipients
    if recipients is None:  # a withdrawal without a route reaches whoever has the plan
        recipients = {
            organisation: Recipient(name, tuple(orjson.loads(roles)), endpoint)
            for organisation, name, roles, endpoint in await db.ask("last_recipients", delivery)
        }
    entry = {"record": delivery["record"], "version": version}
    for organisation in sorted(had - recipients.keys()):
        await db.put("end_access", {**entry, "organisation": organisation})
        db.publish({**entry, "organisation": organisation, "change": "access_ended"})
    await db.put("grant_access", *({**entry, "organisation": organisation} for organisation in recipients))
    withdrawal = letter.letter["action"] == Action.WITHDRAWAL
    reached = {each for (each,) in await db.ask("recipients_reached", delivery)} if withdrawal else set()
    kept = "withdrawn" if withdrawal else "corrected"
    at = delivery["updated_at"]
    for organisation, recipient in recipients.items():
        if recipient.by_sender:
            state, reason = "served_by_sender", None
        elif withdrawal and organisation not in reached:
            state, reason = "cancelled", "never_sent"
        else:
            state, reason = "pending", None
        new = new_delivery(organisation, recipient, state, at)
        db.publish(
            {**entry, "organisation": organisation, "change": kept if organisation in had else "new"},
            {**delivery, **new, "reason": reason, "since": waited.get(organisation, at)},
        )


def new_delivery(organisation: str, recipient: Recipient, state: str, at: str) -> Row:
    """How a delivery to a recipient begins: what is pending for an end-point is due at once."""
    return {
        "organisation": organisation,
        "organisation_name": recipient.name,
        "roles": orjson.dumps(recipient.roles).decode(),
        "state": state,
        "reason": None,
        "endpoint": recipient.endpoint,
        "message_uuid": str(uuid.uuid4()),
        "since": at,
        "next_at": at if state == "pending" and recipient.endpoint else None,
    }


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
