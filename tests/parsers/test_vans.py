"""The VANSEnvelope around a message: strict about its own words, loose about what it says of the payload."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from ggop import emessage, ggop, letter
from gtgateway.model.message import Format
from gtgateway.parsers.envelope import ParsedMessage, read_envelope
from gtgateway.parsers.hardened import Limits

ENVELOPE_ID, MESSAGE_ID = "0b0a3d52-5b58-4d0b-9d0d-6f0f1d8a1c11", "7d1f8f0e-5c2a-4a53-8c36-2f1a5f0f3b22"


def vans(payload: bytes, *, name: str = "MCM:GGOP1", version: str | None = "GGOP100", size: object = None) -> str:
    return (
        '<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4">\n'
        '<SenderID EndPointType="EAN">5790001354145</SenderID>\n'
        '<ReceiverID EndPointType="EAN">5790000121441</ReceiverID>\n'
        f"<EnvelopeIdentifier>{ENVELOPE_ID}</EnvelopeIdentifier>\n"
        "<SentDateTime>2026-11-06T11:05:30</SentDateTime>\n"
        f"<Message><MetaInformation><Identifier>{MESSAGE_ID}</Identifier><Document><Format>XML</Format>"
        f"<Name>{name}</Name>{f'<Version>{version}</Version>' if version else ''}"
        f"<SizeInBytes>{len(payload) if size is None else size}</SizeInBytes></Document></MetaInformation>"
        f"<Data>{b64encode(payload).decode()}</Data></Message>\n</VANSEnvelope>"
    )


def read(xml: str) -> ParsedMessage:
    return read_envelope(xml.encode(), Limits())


def rules(message: ParsedMessage) -> list[str]:
    return [finding.rule for finding in message.findings]


def test_payload_and_four_ids_kept_apart() -> None:
    message = read(vans(ggop()))
    assert (message.format, message.findings) == (Format.GGOP, ())
    assert message.vans is not None
    assert message.envelope is not None
    assert (message.vans.envelope_id, message.vans.document.message_id) == (ENVELOPE_ID, MESSAGE_ID)
    assert (message.envelope.envelope_id, message.letters[0].head.letter_id) == ("KUV20261106001", "BRV20261106001")
    assert message.vans.sent_at == "2026-11-06T11:05:30"
    assert message.vans.reliable
    assert message.letters[0].digest == read_envelope(ggop(), Limits()).letters[0].digest
    assert message.size == len(vans(ggop()).encode())


def test_the_official_shape(shared: Path) -> None:
    body = (shared / "data/samples/vans-message-ggop.xml").read_bytes()
    message = read_envelope(body, Limits())
    assert (message.format, message.findings, len(message.letters)) == (Format.GGOP, (), 1)


def test_unreliable_is_said() -> None:
    unreliable = "<Transport><Type>unreliable</Type><TransformMessage>true</TransformMessage></Transport>"
    message = read(vans(ggop()).replace("</MetaInformation>", f"{unreliable}</MetaInformation>"))
    assert message.vans is not None
    assert not message.vans.reliable


def test_line_breaks_in_base64_are_none_of_its_faults() -> None:
    broken = b64encode(ggop()).decode()
    wrapped = "\n".join(broken[start : start + 76] for start in range(0, len(broken), 76))
    assert read(vans(ggop()).replace(broken, wrapped)).format is Format.GGOP


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        pytest.param("<Data>", "<Data>!", "GOP-VANS-02", id="no base64"),
        pytest.param("<Data>", "<Data>A", "GOP-VANS-02", id="wrong padding"),
        pytest.param("<Data>", "<Data>Zg==", "GOP-VANS-02", id="padding in the middle"),
        pytest.param("<SizeInBytes>", "<SizeInBytes>1", "GOP-VANS-03", id="a lie about the size"),
        pytest.param("<SizeInBytes>", "<SizeInBytes>x", "GOP-VANS-01", id="no size"),
        pytest.param("SentDateTime>", "SentAt>", "GOP-VANS-01", id="no time"),
    ],
)
def test_broken_with_readable_ids(old: str, new: str, rule: str) -> None:
    """Appendix E 14: base64 that is not, SizeInBytes lie. A negative VANS receipt can be formed, no other."""
    message = read(vans(ggop()).replace(old, new))
    assert rules(message) == [rule]
    assert message.vans is not None
    assert (message.vans.envelope_id, message.envelope, message.letters) == (ENVELOPE_ID, None, ())


def test_broken_payload_with_readable_ids() -> None:
    message = read(vans(ggop()[:500]))
    assert rules(message) == ["GOP-XML-01"]
    assert message.vans is not None
    assert (message.format, message.envelope) == (None, None)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("SenderID", "Sender", "SenderID"),
        ("ReceiverID", "Receiver", "ReceiverID"),
        (' EndPointType="EAN">5790001354145', ">5790001354145", "SenderID/@EndPointType"),
        (ENVELOPE_ID, "KUV1", "EnvelopeIdentifier"),
        (MESSAGE_ID, "", "Message/MetaInformation/Identifier"),
        ("<Name>MCM:GGOP1</Name>", "", "Message/MetaInformation/Document/Name"),
        ("<Format>XML</Format>", "", "Message/MetaInformation/Document/Format"),
    ],
)
def test_without_an_id_no_receipt_can_be_formed(old: str, new: str, field: str) -> None:
    message = read(vans(ggop()).replace(old, new))
    assert (message.vans, message.envelope) == (None, None)
    assert f"/VANSEnvelope/{field}" in [finding.source_path for finding in message.findings]
    assert set(rules(message)) == {"GOP-VANS-01"}


def test_every_missing_field_at_once() -> None:
    message = read('<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4"><Message/></VANSEnvelope>')
    assert len(message.findings) == 8


def test_neither_message_nor_receipt() -> None:
    assert rules(read('<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4"/>')) == ["GOP-VANS-07"]


def test_another_version_of_the_envelope() -> None:
    message = read(vans(ggop()).replace("1.0.4", "1.0.3"))
    assert (rules(message), message.vans) == (["GOP-MSG-02"], None)


def test_an_envelope_in_an_envelope_is_refused() -> None:
    message = read(vans(vans(ggop()).encode()))
    assert (rules(message), message.format, message.envelope) == (["GOP-MSG-01"], None, None)
    assert message.vans is not None


@pytest.mark.parametrize(
    ("name", "version", "warned"),
    [
        ("MCM:GGOP", "GGOP100", False),
        ("MCM:GGOP2", "GGOP100", False),
        ("ggop", None, False),
        ("MCM:XDIS91", "XD9134L", True),
        ("MCM:GGOP1", "GGOP101", True),
    ],
)
def test_name_and_version_are_compared_loosely(name: str, version: str | None, warned: bool) -> None:
    message = read(vans(ggop(), name=name, version=version))
    assert rules(message) == (["GOP-VANS-04"] if warned else [])
    assert message.envelope is not None
    if warned:
        assert f"siger {name} {version}, men indholdet er GGOP GGOP100" in message.findings[0].text.da


def test_other_parties_than_the_letter() -> None:
    message = read(vans(emessage(letter(receiver=("5790000123117", "751")))))
    assert rules(message) == ["GOP-VANS-06"]
    assert message.findings[0].source_path == "/VANSEnvelope/ReceiverID"
    assert message.envelope is not None


def test_an_end_point_that_is_no_ean_is_not_compared() -> None:
    xml = vans(ggop()).replace('EndPointType="EAN">5790001354145', 'EndPointType="CVR">29190909')
    assert rules(read(xml)) == []


def test_fhir_and_receipts_inside() -> None:
    fhir = read(vans(b'{"resourceType": "Bundle"}', name="MCM:FDIS91"))
    assert (fhir.format, rules(fhir), fhir.envelope) == (Format.FHIR, ["GOP-MSG-01"], None)


@pytest.mark.parametrize(("name", "positive"), [("negative", False), ("positive", True)])
def test_receipts_of_the_envelope_layer(shared: Path, name: str, positive: bool) -> None:
    message = read_envelope((shared / f"data/samples/vans-receipt-{name}.xml").read_bytes(), Limits())
    assert (message.format, message.findings, message.envelope, message.vans) == (Format.RECEIPT, (), None, None)
    assert message.receipt is not None
    assert (message.receipt.envelope_id, message.receipt.positive) == (ENVELOPE_ID, positive)
    assert (message.receipt.sender_gln, message.receipt.receiver_gln) == ("5790001354145", "5790000121441")


def test_a_receipt_that_points_to_nothing() -> None:
    xml = vans(b"")
    start, end = xml.index("<Message>"), xml.index("</Message>") + len("</Message>")
    message = read(xml[:start] + "<Receipt><NegativeVans/></Receipt>" + xml[end:])
    assert (message.format, message.receipt, rules(message)) == (None, None, ["GOP-VANS-01"])
    assert message.findings[0].source_path == "/VANSEnvelope/Receipt/NegativeVans/OriginalEnvelopeIdentifier"
