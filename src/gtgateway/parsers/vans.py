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
from gtgateway.parsers.medcom_xml import child, local_name, namespace_of, source_path, text

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
    receipt, message = child(root, NS_VANS, "Receipt"), child(root, NS_VANS, "Message")
    if receipt is not None and len(receipt):
        return _read_receipt(root, receipt[0])
    if message is None:
        return VansReading(findings=(faults.VANS_NO_MESSAGE.at("vans", source_path(root), line_of(root)),))
    return _read_message(root, message)


def _read_message(root: etree._Element, message: etree._Element) -> VansReading:
    findings: list[Finding] = []

    def stated(
        parent: etree._Element | None, name: str, above: str = "", pattern: re.Pattern[str] | None = None
    ) -> str:
        value = text(child(parent, NS_VANS, name))
        if value is None or (pattern and not pattern.fullmatch(value)):
            place = f"/VANSEnvelope/{above}{name}"
            line = line_of(root if parent is None else parent)
            findings.append(faults.VANS_FIELD_MISSING.at("vans", place, line, field=name))
            return ""
        return value

    def end_point(name: str) -> tuple[str, str]:
        kind = child(root, NS_VANS, name)
        end_point_type = None if kind is None else kind.get("EndPointType")
        if kind is not None and not end_point_type:
            place = f"/VANSEnvelope/{name}/@EndPointType"
            findings.append(faults.VANS_FIELD_MISSING.at("vans", place, line_of(kind), field=f"{name}/@EndPointType"))
        return stated(root, name), end_point_type or ""

    meta = child(message, NS_VANS, "MetaInformation")
    document = child(meta, NS_VANS, "Document")
    sender_id, sender_type = end_point("SenderID")
    receiver_id, receiver_type = end_point("ReceiverID")
    envelope_id = stated(root, "EnvelopeIdentifier", pattern=_UUID)
    message_id = stated(meta, "Identifier", "Message/MetaInformation/", _UUID)
    format_name = stated(document, "Format", "Message/MetaInformation/Document/")
    name = stated(document, "Name", "Message/MetaInformation/Document/")
    if findings:
        return VansReading(findings=tuple(findings))
    size = stated(document, "SizeInBytes", "Message/MetaInformation/Document/", _SIZE)
    sent_at = stated(root, "SentDateTime")
    data = stated(message, "Data", "Message/")
    version = text(child(document, NS_VANS, "Version"))
    transport = text(child(child(meta, NS_VANS, "Transport"), NS_VANS, "Type"))
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
    line = line_of(message)
    try:
        payload = binascii.a2b_base64("".join(data.split()), strict_mode=True)
    except ValueError:
        return VansReading(envelope, findings=(faults.VANS_BASE64.at("vans", "/VANSEnvelope/Message/Data", line),))
    if len(payload) != envelope.document.size_in_bytes:
        place = "/VANSEnvelope/Message/MetaInformation/Document/SizeInBytes"
        return VansReading(
            envelope, findings=(faults.VANS_SIZE.at("vans", place, line, stated=size, actual=len(payload)),)
        )
    return VansReading(envelope, payload)


def _read_receipt(root: etree._Element, receipt: etree._Element) -> VansReading:
    """NegativeVans, NegativeMessage or PositiveMessage; its sender is the receiver of the original."""
    original = text(child(receipt, NS_VANS, "OriginalEnvelopeIdentifier"))
    if original is None:
        field = "OriginalEnvelopeIdentifier"
        place = f"{source_path(receipt)}/{field}"
        return VansReading(findings=(faults.VANS_FIELD_MISSING.at("vans", place, line_of(receipt), field=field),))
    return VansReading(
        receipt=OriginalRef(
            envelope_id=original,
            letter_ids=(),
            sender_gln=text(child(root, NS_VANS, "ReceiverID")),
            receiver_gln=text(child(root, NS_VANS, "SenderID")),
            positive=local_name(receipt) == "PositiveMessage",
        )
    )


def differences(
    vans: VansEnvelope, format: Format | None, head: LetterHead | None, envelope: Envelope | None
) -> Iterator[Finding]:
    """Warnings where the envelope says other than its payload. The payload decides."""
    document = vans.document
    name = document.name.casefold().rpartition(":")[2]
    wrong_name = format in _NAMES and not name.startswith(_NAMES[format])
    wrong_version = head is not None and document.version is not None and document.version != head.version_code
    if wrong_name or wrong_version:
        stated = " ".join(filter(None, (document.name, document.version)))
        actual = f"{head.type_code} {head.version_code}" if head else str(format)
        place = "/VANSEnvelope/Message/MetaInformation/Document/Name"
        yield faults.VANS_NAME.at("vans", place, stated=stated, actual=actual)
    if envelope is not None:
        ends = (
            (vans.sender_type, vans.sender_id, envelope.sender.gln, "SenderID"),
            (vans.receiver_type, vans.receiver_id, envelope.receiver.gln, "ReceiverID"),
        )
        other = next((place for kind, stated, gln, place in ends if kind == "EAN" and stated != gln), None)
        if other is not None:
            yield faults.VANS_PARTIES.at("vans", f"/VANSEnvelope/{other}")
