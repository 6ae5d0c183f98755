"""VANSEnvelope 1.0.4: the network envelope around a message, and its receipts.

Four ids are kept apart: envelope and message here, envelope and letter inside the payload.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from gtgateway.model import faults
from gtgateway.model.findings import Finding
from gtgateway.model.message import Envelope, Format, LetterHead, OriginalRef, VansDocument, VansEnvelope
from gtgateway.parsers.hardened import NS_VANS, line_of
from gtgateway.parsers.medcom_xml import Index, child, index, local_name, namespace_of, source_path, text
from gtgateway.parsers.refusals import refusal_text

_DOCUMENT = "Message/MetaInformation/Document"
_ANY, _SIZE = re.compile(r".+", re.DOTALL), re.compile(r"[0-9]{1,10}")
_UUID = re.compile(r"[aA-fF0-9]{8}-[aA-fF0-9]{4}-[aA-fF0-9]{4}-[aA-fF0-9]{4}-[aA-fF0-9]{12}")
#: How `Document/Name` may begin after `MCM:`. A clinical e-mail may still be called by the plan it was made from.
_NAMES = {
    Format.GGOP: ("ggop",),
    Format.XDIS91: ("xdis91", "dis91", "ggop"),
    Format.RECEIPT: ("xctl", "ctl"),
}


@dataclass(frozen=True, slots=True)
class VansReading:
    """What a VANSEnvelope holds: a payload, a receipt, or neither with the findings that say why."""

    envelope: VansEnvelope | None = None  #: None: a receipt, or ids that no receipt could quote
    payload: bytes | None = None
    receipt: OriginalRef | None = None
    findings: tuple[Finding, ...] = ()


def read_vans(root: etree._Element) -> VansReading:
    """The envelope, strictly: base64 as it should be and SizeInBytes the size of the decoded payload."""
    if namespace_of(root) != NS_VANS:
        stated = namespace_of(root) or local_name(root)
        return VansReading(findings=(faults.MSG_VERSION.at("vans", expected="VANSEnvelope 1.0.4", stated=stated),))
    parts = index(root)
    receipt, message = child(parts, NS_VANS, "Receipt"), child(parts, NS_VANS, "Message")
    if receipt is not None and len(receipt):
        return _read_receipt(parts, receipt[0])
    if message is None:
        return VansReading(findings=(faults.VANS_NO_MESSAGE.at("vans", source_path(root), line_of(root)),))
    return _read_message(parts, index(message), line_of(message))


def _read_message(root: Index, message: Index, line: int | None) -> VansReading:
    findings: list[Finding] = []

    def missing(place: str) -> str:
        field = place.rpartition("/VANSEnvelope/")[2]
        findings.append(faults.VANS_FIELD_MISSING.at("vans", place, line, field=field))
        return ""

    def stated(block: Index, place: str, pattern: re.Pattern[str] = _ANY) -> str:
        value = text(child(block, NS_VANS, place.rpartition("/")[2]))
        return value if value is not None and pattern.fullmatch(value) else missing(f"/VANSEnvelope/{place}")

    def end_point(name: str) -> tuple[str, str]:
        element = child(root, NS_VANS, name)
        kind = element.get("EndPointType") if element is not None else None
        return stated(root, name), kind or missing(f"/VANSEnvelope/{name}/@EndPointType")

    meta = index(child(message, NS_VANS, "MetaInformation"))
    document = index(child(meta, NS_VANS, "Document"))
    (sender_id, sender_type), (receiver_id, receiver_type) = end_point("SenderID"), end_point("ReceiverID")
    envelope_id = stated(root, "EnvelopeIdentifier", _UUID)
    message_id = stated(meta, "Message/MetaInformation/Identifier", _UUID)
    format_name = stated(document, f"{_DOCUMENT}/Format")
    name = stated(document, f"{_DOCUMENT}/Name")
    if findings:
        return VansReading(findings=tuple(findings))
    size = stated(document, f"{_DOCUMENT}/SizeInBytes", _SIZE)
    sent_at = stated(root, "SentDateTime")
    data = stated(message, "Message/Data")
    version = text(child(document, NS_VANS, "Version"))
    transport = text(child(index(child(meta, NS_VANS, "Transport")), NS_VANS, "Type"))
    envelope = VansEnvelope(
        sender_id,
        sender_type,
        receiver_id,
        receiver_type,
        envelope_id,
        sent_at,
        VansDocument(message_id, format_name, name, version, int(size or 0)),
        reliable=transport != "unreliable",
    )
    if findings:
        return VansReading(envelope, findings=tuple(findings))
    try:
        payload = binascii.a2b_base64("".join(data.split()), strict_mode=True)
    except ValueError:
        return VansReading(envelope, findings=(faults.VANS_BASE64.at("vans", "/VANSEnvelope/Message/Data", line),))
    if len(payload) != envelope.document.size_in_bytes:
        place = f"/VANSEnvelope/{_DOCUMENT}/SizeInBytes"
        wrong = faults.VANS_SIZE.at("vans", place, line, stated=size, actual=len(payload))
        return VansReading(envelope, findings=(wrong,))
    return VansReading(envelope, payload)


def _read_receipt(root: Index, receipt: etree._Element) -> VansReading:
    """NegativeVans, NegativeMessage or PositiveMessage; its sender is the receiver of the original."""
    stated = index(receipt)
    original = text(child(stated, NS_VANS, "OriginalEnvelopeIdentifier"))
    error = index(child(stated, NS_VANS, "Error"))
    if original is None:
        place = f"{source_path(receipt)}/OriginalEnvelopeIdentifier"
        field = place.rpartition("/VANSEnvelope/")[2]
        return VansReading(findings=(faults.VANS_FIELD_MISSING.at("vans", place, line_of(receipt), field=field),))
    return VansReading(
        receipt=OriginalRef(
            envelope_id=original,
            letter_ids=(),
            sender_gln=text(child(root, NS_VANS, "ReceiverID")),
            receiver_gln=text(child(root, NS_VANS, "SenderID")),
            positive=local_name(receipt) == "PositiveMessage",
            refuse_code=text(child(error, NS_VANS, "Code")),
            refuse_text=refusal_text((text(child(error, NS_VANS, "Description")),)),
            vans=True,
        )
    )


def differences(
    vans: VansEnvelope, format: Format | None, head: LetterHead | None, envelope: Envelope | None
) -> Iterator[Finding]:
    """Warnings where the envelope says other than its payload. The payload decides."""
    document = vans.document
    name = document.name.casefold().rpartition(":")[2]
    wrong_name = format in _NAMES and not name.startswith(_NAMES[format])
    stated_version = document.version if head is not None and format is not Format.FHIR else None
    wrong_version = head is not None and stated_version is not None and stated_version != head.version_code
    if wrong_name or wrong_version:
        stated = " ".join(filter(None, (document.name, document.version)))
        actual = f"{head.type_code} {head.version_code}" if head else str(format)
        yield faults.VANS_NAME.at("vans", f"/VANSEnvelope/{_DOCUMENT}/Name", stated=stated, actual=actual)
    if envelope is not None:
        ends = (
            (vans.sender_type, vans.sender_id, envelope.sender.gln, "SenderID"),
            (vans.receiver_type, vans.receiver_id, envelope.receiver.gln, "ReceiverID"),
        )
        other = next((place for kind, stated, gln, place in ends if kind == "EAN" and stated != gln), None)
        if other is not None:
            yield faults.VANS_PARTIES.at("vans", f"/VANSEnvelope/{other}")
