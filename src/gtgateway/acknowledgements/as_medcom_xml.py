"""MedCom's letter receipts: XCTL03 (positive) and XCTL02 (negative), namespace 2005/08/07, ISO-8859-1."""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from gtgateway.acknowledgements.elements import add, start, written, xml_text
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.findings import Finding
from gtgateway.model.plan import COPENHAGEN

NAMESPACE = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"
_ID_LENGTH, _VERSION_LENGTH, _EAN_LENGTH, _MOST_LETTERS = 14, 7, 35, 99
#: Stands where the original left out what a receipt must quote.
_UNSTATED = "ukendt"


def receipt_name(ack: Acknowledgement) -> tuple[str, str]:
    """Name and version of the receipt: XCTL03 and XC0330Q when positive, XCTL02 and XC0230Q when negative."""
    return ("XCTL03", "XC0330Q") if ack.code is AcknowledgementCode.OK else ("XCTL02", "XC0230Q")


def receipt_xml(ack: Acknowledgement, *, receipt_id: str, letter_id: str, sent_at: datetime) -> bytes:
    """The receipt as a whole Emessage. `receipt_id` names its envelope, `letter_id` itself, both 1 to 14 characters.

    `sent_at` is an aware instant; it is stated in Danish local time. A receipt never asks for a receipt.
    """
    name, version = receipt_name(ack)
    local = sent_at.astimezone(COPENHAGEN)
    root = start(NAMESPACE, "Emessage")
    envelope = add(root, "Envelope")
    sent = add(envelope, "Sent")
    add(sent, "Date", local.date().isoformat())
    add(sent, "Time", local.time().isoformat("minutes"))
    add(envelope, "Identifier", receipt_id)
    add(envelope, "AcknowledgementCode", "minuspositivkvitt")

    receipt = add(root, "PositiveReceipt" if name == "XCTL03" else "NegativeReceipt")
    letter = add(receipt, "Letter")
    add(letter, "Identifier", letter_id)
    add(letter, "VersionCode", version)
    add(letter, "StatisticalCode", name)
    _party(receipt, "Sender", ack.receiver_gln)
    _party(receipt, "Receiver", ack.sender_gln)
    original = add(receipt, "OriginalEmessage")
    add(original, "OriginalEnvelopeIdentifier", _fit(ack.envelope_id, _ID_LENGTH))
    _party(original, "OriginalSender", ack.sender_gln)
    _party(original, "OriginalReceiver", ack.receiver_gln)
    for answer in ack.letters[:_MOST_LETTERS]:
        _original_letter(original, answer)
    return written(root, "ISO-8859-1")


def _original_letter(parent: etree._Element, answer: LetterAnswer) -> None:
    letter = add(parent, "OriginalLetter")
    add(letter, "OriginalLetterIdentifier", _fit(answer.letter_id, _ID_LENGTH))
    add(letter, "OriginalVersionCode", _fit(answer.version_code, _VERSION_LENGTH))
    if answer.refuse_code:
        add(letter, "RefuseCode", answer.refuse_code)
    # The same fault at several places is said once: the text has no room for places.
    if lines := tuple(dict.fromkeys(map(fault_line, answer.findings))):
        first, *others = lines
        text = add(letter, "RefuseText", first)
        for line in others:
            add(text, "Break").tail = line


def fault_line(finding: Finding) -> str:
    """A fault on one line, in Danish: `GOP-CONTENT-01: Planen mangler niveau; … (§ 2, stk. 1)`."""
    basis = f" ({finding.basis})" if finding.basis else ""
    return xml_text(" ".join(f"{finding.rule}: {finding.text.da}{basis}".split()))


def _party(parent: etree._Element, name: str, gln: str) -> None:
    add(add(parent, name), "EANIdentifier", _fit(gln, _EAN_LENGTH))


def _fit(value: str, length: int) -> str:
    return value[:length] or _UNSTATED
