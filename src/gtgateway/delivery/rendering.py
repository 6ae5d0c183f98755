"""The gateway's own message to one recipient, in the form that the recipient takes.

The gateway is the end-point of the hospital's message; what it delivers is a new message that it sends itself. What the
recipient takes in the form that the hospital wrote is the received document with another envelope; everything else, and
a plan that has changed since (another discharge date, another hospital), is written anew from the plan.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import orjson

from gtgateway.acknowledgements.as_vans import vans_message
from gtgateway.delivery.as_fhir import forwarded_message, message_from_plan
from gtgateway.delivery.as_medcom_xml import changed_plan, forwarded_letter, party_of_organisation
from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan, withdrawal_email
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan, statistical_code
from gtgateway.model.delivery import DueDelivery, Endpoint, Outgoing
from gtgateway.model.message import Action, Format, Letter, Reading, VansDocument, VansEnvelope
from gtgateway.model.plan import Party, RehabilitationPlan
from gtgateway.model.route import Organisation, Receives
from gtgateway.parsers.envelope import ParsedMessage, read_envelope
from gtgateway.parsers.fhir_codec import to_xml
from gtgateway.parsers.hardened import Limits
from gtgateway.routing.directory import Directory

_LIMITS = Limits()
_XML = "application/xml"
#: What a VANSEnvelope says of a payload: Name and Version.
_FHIR_DOCUMENT = ("MCM:FGGOP", "1.0")
_MAIL_DOCUMENT = ("MCM:XDIS91", "XD9134L")


@dataclass(frozen=True, slots=True)
class Original:
    """The received message that a delivery is made from."""

    body: bytes
    reading: Reading
    letter: Letter
    plan: RehabilitationPlan  #: with the discharge date and the hospital as they are known now


def render(
    original: Original,
    due: DueDelivery,
    receiver: Organisation,
    endpoint: Endpoint,
    identity: Party,
    url: str,
    directory: Directory,
    at: datetime,
) -> Outgoing:
    """One try's message. `identity` and `url` are the gateway's own, `at` is an aware instant.

    Its envelope ids are new with every call; its message id is the delivery's (FHIR), its letter id the plan version's.
    """
    if receiver.receives is Receives.FHIR:
        outgoing, document = _fhir(original, due, receiver, endpoint, identity, url, directory, at), _FHIR_DOCUMENT
    elif receiver.receives is Receives.XDIS91 or due.action is Action.WITHDRAWAL:
        outgoing, document = _mail(original, due, receiver, at), _MAIL_DOCUMENT
    else:
        outgoing = _ggop(original, due, receiver, at)
        document = (f"MCM:{statistical_code(original.plan)}", "GGOP100")
    return _enveloped(outgoing, document, receiver, identity, at) if receiver.vans else outgoing


def _as_received(original: Original, form: Format) -> ParsedMessage | None:
    """The received document in a form, when the plan in it is the plan as it is known now."""
    if original.reading.format is not form or original.plan != original.letter.plan:
        return None
    return read_envelope(original.body, _LIMITS)


def _fhir(
    original: Original,
    due: DueDelivery,
    receiver: Organisation,
    endpoint: Endpoint,
    identity: Party,
    url: str,
    directory: Directory,
    at: datetime,
) -> Outgoing:
    received = _as_received(original, Format.FHIR)
    document = received.document if received else None
    if document is None:
        document = message_from_plan(original.plan, original.reading, due, directory, at)
    bundle_id = str(uuid4())
    bundle = forwarded_message(
        document, original.reading, due, receiver, identity, bundle_id=bundle_id, receipts=f"{url}/receipts", at=at
    )
    body, kind = (to_xml(bundle), "xml") if endpoint.fhir_xml else (orjson.dumps(bundle), "json")
    return Outgoing(body, f"application/fhir+{kind}", bundle_id, message_id=due.message_uuid)


def _ggop(original: Original, due: DueDelivery, receiver: Organisation, at: datetime) -> Outgoing:
    envelope_id, to = _new_envelope_id(), party_of_organisation(receiver)
    if received := _as_received(original, Format.GGOP):
        return Outgoing(forwarded_letter(received, due.letter_id, to, envelope_id, at), _XML, envelope_id)
    plan = changed_plan(original.plan, due, to)
    return Outgoing(medcom_xml_from_plan(plan, envelope_id=envelope_id, sent_at=at, receiver=to), _XML, envelope_id)


def _mail(original: Original, due: DueDelivery, receiver: Organisation, at: datetime) -> Outgoing:
    envelope_id, to = _new_envelope_id(), party_of_organisation(receiver)
    if due.action is Action.WITHDRAWAL:
        plan = changed_plan(original.plan, due, to)
        return Outgoing(withdrawal_email(plan, envelope_id=envelope_id, sent_at=at, receiver=to), _XML, envelope_id)
    if received := _as_received(original, Format.XDIS91):
        return Outgoing(forwarded_letter(received, due.letter_id, to, envelope_id, at), _XML, envelope_id)
    plan = changed_plan(original.plan, due, to)
    corrects = due.action is Action.CORRECTION
    body = clinical_email_from_plan(plan, envelope_id=envelope_id, sent_at=at, receiver=to, corrects=corrects)
    return Outgoing(body, _XML, envelope_id)


def _new_envelope_id() -> str:
    """Envelope/Identifier: 14 characters, which many systems have room for and no more."""
    return secrets.token_hex(7)


def _enveloped(
    outgoing: Outgoing, document: tuple[str, str], receiver: Organisation, identity: Party, at: datetime
) -> Outgoing:
    """The message in a VANSEnvelope from us to the recipient; a receipt of the envelope is due as well."""
    name, version = document
    vans_id, message_id = str(uuid4()), str(uuid4())
    fhir = "fhir" in outgoing.media_type
    route = VansEnvelope(  # as if it were answered: the parties are swapped
        sender_id=receiver.gln or "",
        sender_type="EAN",
        receiver_id=identity.gln or "",
        receiver_type="EAN",
        envelope_id=vans_id,
        sent_at="",
        document=VansDocument(message_id, "HL7" if fhir else "XML", name, version, len(outgoing.body)),
    )
    body = vans_message(
        route,
        outgoing.body,
        name=name,
        version=version,
        envelope_id=vans_id,
        message_id=message_id,
        sent_at=at,
        fhir_type=outgoing.media_type if fhir else None,
    )
    return replace(outgoing, body=body, media_type=_XML, vans_id=vans_id)
