"""Answers in a VANSEnvelope: parties swapped, the original quoted, valid by MedCom's own schema."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gtgateway.acknowledgements.as_vans import NAMESPACE, vans_message, vans_receipt
from gtgateway.model.message import VansDocument, VansEnvelope

SENT = datetime(2025, 3, 14, 10, 7, 2, 999, tzinfo=UTC)
ENVELOPE_ID, MESSAGE_ID = "c0ffee00-1111-4222-8333-444455556666", "c0ffee00-1111-4222-8333-444455556668"
NS = {"v": NAMESPACE}
VANS = VansEnvelope(
    sender_id="5790001354145",
    sender_type="EAN",
    receiver_id="27365000",
    receiver_type="CVR",
    envelope_id="0b0a3d52-5b58-4d0b-9d0d-6f0f1d8a1c11",
    sent_at="2025-03-14T11:05:30+01:00",
    document=VansDocument("7d1f8f0e-5c2a-4a53-8c36-2f1a5f0f3b22", "XML", "MCM:GGOP1", "GGOP100", 4880),
)


@pytest.fixture(scope="module")
def official(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(file=str(shared / "data" / "xsd-official" / "vans-envelope-1.0.4" / "VANSEnvelope.xsd"))


def _message(payload: bytes = "<å/>".encode("iso-8859-1")) -> bytes:
    return vans_message(
        VANS,
        payload,
        name="MCM:XCTL03",
        version="XC0330Q",
        envelope_id=ENVELOPE_ID,
        message_id=MESSAGE_ID,
        sent_at=SENT,
    )


def _found(body: bytes, path: str) -> list[str | None]:
    return [element.text for element in etree.fromstring(body).iterfind(path, NS)]


def test_a_message_carries_the_payload() -> None:
    payload = "<å/>".encode("iso-8859-1")
    body = _message(payload)
    assert [b64decode(text or "") for text in _found(body, "v:Message/v:Data")] == [payload]
    document = etree.fromstring(body).find("v:Message/v:MetaInformation/v:Document", NS)
    assert document is not None
    assert [element.text for element in document] == ["XML", "MCM:XCTL03", "XC0330Q", "4"]
    assert _found(body, "v:EnvelopeIdentifier") == [ENVELOPE_ID]
    assert _found(body, "v:Message/v:MetaInformation/v:Identifier") == [MESSAGE_ID]


def test_parties_are_swapped_with_their_types() -> None:
    for body in (_message(), vans_receipt(VANS, error=None, envelope_id=ENVELOPE_ID, sent_at=SENT)):
        root = etree.fromstring(body)
        ends = [(root[place].text, root[place].get("EndPointType")) for place in (0, 1)]
        assert ends == [("27365000", "CVR"), ("5790001354145", "EAN")]


def test_sent_in_danish_local_time_with_its_zone() -> None:
    assert _found(_message(), "v:SentDateTime") == ["2025-03-14T11:07:02+01:00"]


@pytest.mark.parametrize(
    "sample, error",
    [("vans-receipt-positive.xml", None), ("vans-receipt-negative.xml", "Dokumentet kan ikke valideres")],
)
def test_receipts_are_the_reference_samples(shared: Path, sample: str, error: str | None) -> None:
    theirs = etree.parse(str(shared / "data" / "samples" / sample), etree.XMLParser(remove_blank_text=True)).getroot()
    for code in theirs.findall(".//v:Code", NS):  # optional, and ours has no numbers for faults
        parent = code.getparent()
        assert parent is not None
        parent.remove(code)
    (envelope_id,) = (element.text or "" for element in theirs.iterfind("v:EnvelopeIdentifier", NS))
    vans = VansEnvelope(VANS.sender_id, "EAN", "5790000121441", "EAN", VANS.envelope_id, VANS.sent_at, VANS.document)
    ours = vans_receipt(vans, error=error, envelope_id=envelope_id, sent_at=SENT)
    assert etree.tostring(etree.fromstring(ours), method="c14n") == etree.tostring(theirs, method="c14n")


def test_a_version_that_was_not_stated_is_not_quoted() -> None:
    document = VansDocument(VANS.document.message_id, "XML", "MCM:GGOP1", None, 4880)
    vans = VansEnvelope("1", "EAN", "2", "VANS", VANS.envelope_id, VANS.sent_at, document)
    body = vans_receipt(vans, error=None, envelope_id=ENVELOPE_ID, sent_at=SENT)
    assert _found(body, ".//v:Version") == []


def test_valid_by_the_official_schema(official: etree.XMLSchema) -> None:
    official.assertValid(etree.fromstring(_message()))
    for error in (None, "kort", "æ" * 513):
        body = vans_receipt(VANS, error=error, envelope_id=ENVELOPE_ID, sent_at=SENT)
        official.assertValid(etree.fromstring(body))


def test_a_long_error_is_cut_visibly() -> None:
    def description(error: str) -> list[str | None]:
        body = vans_receipt(VANS, error=error, envelope_id=ENVELOPE_ID, sent_at=SENT)
        return _found(body, "v:Receipt/v:NegativeMessage/v:Error/v:Description")

    assert description("æ" * 512) == ["æ" * 512]
    assert description("æ" * 513) == ["æ" * 511 + "…"]


@given(st.text(min_size=1))
def test_any_error_gives_a_well_formed_receipt(error: str) -> None:
    body = vans_receipt(VANS, error=error, envelope_id=ENVELOPE_ID, sent_at=SENT)
    (text,) = _found(body, ".//v:Description")
    assert text is not None
    assert 1 <= len(text) <= 512
