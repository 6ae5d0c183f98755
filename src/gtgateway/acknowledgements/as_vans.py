"""Answers in a VANSEnvelope 1.0.4: the letter receipt as a message, and the receipt of the envelope itself."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime

from lxml import etree

from gtgateway.acknowledgements.elements import add, start, written
from gtgateway.model.message import VansDocument, VansEnvelope
from gtgateway.model.plan import COPENHAGEN

NAMESPACE = "urn:oio:medcom:vans-envelope:1.0.4"
_DESCRIPTION_LENGTH = 512


def vans_message(
    vans: VansEnvelope,
    payload: bytes,
    *,
    name: str,
    version: str,
    envelope_id: str,
    message_id: str,
    sent_at: datetime,
    fhir_type: str | None = None,
) -> bytes:
    """A payload in an envelope back to the sender of `vans`, in UTF-8: MedCom XML, or FHIR of a media type.

    `name` and `version` are the payload's, e.g. `MCM:XCTL03` and `XC0330Q`. The ids are UUIDs, `sent_at` is an aware
    instant.
    """
    root = _envelope(vans, envelope_id, sent_at)
    message = add(root, "Message")
    meta = add(message, "MetaInformation")
    format = "HL7" if fhir_type else "XML"
    _describe(meta, VansDocument(message_id, format, name, version, len(payload)))
    if fhir_type:
        transport = add(meta, "Transport")
        add(transport, "TransformMessage", "false")
        add(transport, "ServiceTag", fhir_type).set("name", "MCM:MIME")
    add(message, "Data", b64encode(payload).decode("ascii"))
    return written(root, "UTF-8")


def vans_receipt(vans: VansEnvelope, *, error: str | None, envelope_id: str, sent_at: datetime) -> bytes:
    """The receipt of an envelope, in UTF-8: positive, or negative with the error (its first 512 characters)."""
    root = _envelope(vans, envelope_id, sent_at)
    receipt = add(add(root, "Receipt"), "PositiveMessage" if error is None else "NegativeMessage")
    if error is not None:
        short = error if len(error) <= _DESCRIPTION_LENGTH else error[: _DESCRIPTION_LENGTH - 1] + "…"
        add(add(receipt, "Error"), "Description", short)
    add(receipt, "OriginalEnvelopeIdentifier", vans.envelope_id)
    _describe(add(receipt, "OriginalMessage"), vans.document)
    return written(root, "UTF-8")


def _envelope(vans: VansEnvelope, envelope_id: str, sent_at: datetime) -> etree._Element:
    """The envelope without its content; the parties of `vans` swapped."""
    root = start(NAMESPACE, "VANSEnvelope")
    add(root, "SenderID", vans.receiver_id).set("EndPointType", vans.receiver_type)
    add(root, "ReceiverID", vans.sender_id).set("EndPointType", vans.sender_type)
    add(root, "EnvelopeIdentifier", envelope_id)
    add(root, "SentDateTime", sent_at.astimezone(COPENHAGEN).isoformat(timespec="seconds"))
    return root


def _describe(meta: etree._Element, stated: VansDocument) -> None:
    add(meta, "Identifier", stated.message_id)
    document = add(meta, "Document")
    add(document, "Format", stated.format)
    add(document, "Name", stated.name)
    if stated.version:
        add(document, "Version", stated.version)
    add(document, "SizeInBytes", str(stated.size_in_bytes))
