"""The answer that leaves for a message, in the sender's own format and envelope, and the envelope's own receipt."""

from __future__ import annotations

from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from gtgateway.acknowledgements.as_fhir import fhir_acknowledgement
from gtgateway.acknowledgements.as_medcom_xml import fault_line, receipt_name, receipt_xml
from gtgateway.acknowledgements.as_vans import vans_message, vans_receipt
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, Reply
from gtgateway.model.findings import Severity
from gtgateway.model.message import Reading

XML = "application/xml"
PROBLEM = "application/problem+json"
_STATUS = {
    AcknowledgementCode.OK: 201,
    AcknowledgementCode.FATAL_ERROR: 422,
    AcknowledgementCode.TRANSIENT_ERROR: 503,
}


def make_reply(
    reading: Reading, acknowledgement: Acknowledgement | None, at: datetime, *, status: int | None = None
) -> tuple[Reply, Reply | None]:
    """The answer and, for a message in a VANSEnvelope, the receipt of that envelope (the same when that is the answer).

    `acknowledgement` None: the letters could not be read, or the message is itself a receipt, which is never answered.
    Unreadable without a VANSEnvelope gives 400 without a body; the HTTP layer describes the problem. `at` is an aware
    instant; all ids follow from it and the message, so that the same judgement gives the same bytes. `status` is the
    first answer's when it is sent again.
    """
    if reading.receipt is not None:
        return Reply(204, XML, None), None
    if acknowledgement is None:
        if reading.vans is None:
            return Reply(400, PROBLEM, None), None
        refused = Reply(422, XML, _envelope_receipt(reading, at, broken=True))
        return refused, refused

    letter_status = status or _STATUS[acknowledgement.code]
    fhir_type = reading.fhir.media_type if reading.fhir else None
    if reading.vans is None:
        if not acknowledgement.due:
            return Reply(204, XML, None), None
        return Reply(letter_status, fhir_type or XML, _letter_answer(reading, acknowledgement, at)), None

    envelope_receipt = Reply(201, XML, _envelope_receipt(reading, at, broken=False))
    if not acknowledgement.due:
        return envelope_receipt, envelope_receipt
    name, version = (f"FCTL#{acknowledgement.code}", "2.0.0") if fhir_type else receipt_name(acknowledgement)
    body = vans_message(
        reading.vans,
        _letter_answer(reading, acknowledgement, at),
        name=f"MCM:{name}",
        version=version,
        envelope_id=_uuid(reading, at, "vans envelope"),
        message_id=_uuid(reading, at, "vans message"),
        sent_at=at,
        fhir_type=fhir_type,
    )
    return Reply(letter_status, XML, body), envelope_receipt


def unavailable_reply(reading: Reading, at: datetime) -> Reply | None:
    """What a FHIR message gets while it cannot be kept: a `transient-error` acknowledgement; others get a problem."""
    if reading.fhir is None or reading.envelope is None or reading.receipt is not None:
        return None
    sender, receiver = reading.envelope.sender.gln or "", reading.envelope.receiver.gln or ""
    acknowledgement = Acknowledgement(
        AcknowledgementCode.TRANSIENT_ERROR, sender, receiver, reading.envelope.envelope_id, (), due=True
    )
    reply, _ = make_reply(reading, acknowledgement, at)
    return reply


def _letter_answer(reading: Reading, acknowledgement: Acknowledgement, at: datetime) -> bytes:
    if reading.fhir is None or reading.envelope is None:
        return _letter_receipt(reading, acknowledgement, at)

    def new_id(purpose: str) -> str:
        if purpose == "bundle":
            return _uuid(reading, at, "bundle")
        stable = sha256(f"{reading.message_key} {reading.content_digest} {acknowledgement.code} {purpose}".encode())
        return str(UUID(bytes=stable.digest()[:16], version=5))

    return fhir_acknowledgement(acknowledgement, reading.envelope, reading.fhir, new_id=new_id, sent_at=at)


def _letter_receipt(reading: Reading, acknowledgement: Acknowledgement, at: datetime) -> bytes:
    # Ids of MedCom have room for 14 characters; these are A-Z and 2-7.
    letters = b32encode(_seed(reading, at, "letter receipt")[:20]).decode("ascii")
    return receipt_xml(acknowledgement, receipt_id=letters[:14], letter_id=letters[14:28], sent_at=at)


def _envelope_receipt(reading: Reading, at: datetime, *, broken: bool) -> bytes:
    assert reading.vans is not None
    errors = (fault_line(each) for each in reading.findings if each.severity is Severity.ERROR)
    error = (" ".join(errors) or "Indholdet kan ikke læses.") if broken else None
    return vans_receipt(reading.vans, error=error, envelope_id=_uuid(reading, at, "vans receipt"), sent_at=at)


def _seed(reading: Reading, at: datetime, purpose: str) -> bytes:
    return sha256(f"{reading.digest} {at.isoformat()} {purpose}".encode()).digest()


def _uuid(reading: Reading, at: datetime, purpose: str) -> str:
    return str(UUID(bytes=_seed(reading, at, purpose)[:16], version=5))
