"""What leaves as the answer, bare and in a VANSEnvelope."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from gtgateway.acknowledgements.reply import PROBLEM, XML, make_reply
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer, Reply
from gtgateway.model.message import Format, OriginalRef, Reading, VansDocument, VansEnvelope

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
VANS = VansEnvelope(
    "5790001354145",
    "EAN",
    "5790000121441",
    "EAN",
    "0b0a3d52-5b58-4d0b-9d0d-6f0f1d8a1c11",
    "2026-11-23T09:00:00",
    VansDocument("7d1f8f0e-5c2a-4a53-8c36-2f1a5f0f3b22", "XML", "MCM:GGOP1", "GGOP100", 4880),
)
BARE = Reading(digest="a" * 64, size=4880, format=Format.GGOP)
WRAPPED = replace(BARE, vans=VANS)
ACCEPTED = Acknowledgement(
    AcknowledgementCode.OK, "5790001354145", "5790000121441", "KUV1", (LetterAnswer("BRV1", "GGOP100", True),), due=True
)
NOT_DUE = replace(ACCEPTED, due=False)
REFUSED = replace(
    ACCEPTED,
    code=AcknowledgementCode.FATAL_ERROR,
    letters=(LetterAnswer("BRV1", "GGOP100", False, "syntaksfejl", (faults.MSG_NO_LETTER.at("letters"),)),),
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _names(reply: Reply | None) -> set[str]:
    assert reply is not None
    assert reply.body is not None
    return {etree.QName(element).localname for element in etree.fromstring(reply.body).iter()}


def _text(body: bytes | None, name: str) -> list[str | None]:
    assert body is not None
    return [element.text for element in etree.fromstring(body).iter(f"{{*}}{name}")]


# --- bare -------------------------------------------------------------------------------------------------------------


def test_bare_accepted() -> None:
    reply, envelope_receipt = make_reply(BARE, ACCEPTED, AT)
    assert (reply.status, reply.media_type, envelope_receipt) == (201, XML, None)
    assert "PositiveReceipt" in _names(reply)


def test_bare_accepted_without_a_receipt_asked_for() -> None:
    assert make_reply(BARE, NOT_DUE, AT) == (Reply(204, XML, None), None)


def test_bare_refused() -> None:
    reply, envelope_receipt = make_reply(BARE, REFUSED, AT)
    assert (reply.status, reply.media_type, envelope_receipt) == (422, XML, None)
    assert "NegativeReceipt" in _names(reply)


def test_bare_unreadable() -> None:
    assert make_reply(BARE, None, AT) == (Reply(400, PROBLEM, None), None)


@pytest.mark.parametrize("reading", [BARE, WRAPPED])
def test_a_receipt_is_never_answered(reading: Reading) -> None:
    receipt = OriginalRef("KUV1", ("BRV1",), "5790000121441", "5790001354145", positive=True)
    assert make_reply(replace(reading, receipt=receipt), None, AT) == (Reply(204, XML, None), None)


# --- in a VANSEnvelope ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "acknowledgement, status, name, version, root",
    [
        (ACCEPTED, 201, "MCM:XCTL03", "XC0330Q", "PositiveReceipt"),
        (REFUSED, 422, "MCM:XCTL02", "XC0230Q", "NegativeReceipt"),
    ],
)
def test_wrapped_letter_receipt(
    acknowledgement: Acknowledgement, status: int, name: str, version: str, root: str
) -> None:
    reply, envelope_receipt = make_reply(WRAPPED, acknowledgement, AT)
    assert (reply.status, reply.media_type) == (status, XML)
    assert _text(reply.body, "Name") == [name]
    assert _text(reply.body, "Version") == [version]
    (data,) = _text(reply.body, "Data")
    payload = b64decode(data or "")
    assert _text(reply.body, "SizeInBytes") == [str(len(payload))]
    assert root in _names(Reply(0, XML, payload))
    # The envelope was fine, so its own receipt is positive; it is kept beside the answer.
    assert envelope_receipt is not None
    assert envelope_receipt.status == 201
    assert "PositiveMessage" in _names(envelope_receipt)
    assert _text(envelope_receipt.body, "OriginalEnvelopeIdentifier") == [VANS.envelope_id]


def test_wrapped_and_no_letter_receipt_due() -> None:
    reply, envelope_receipt = make_reply(WRAPPED, NOT_DUE, AT)
    assert reply == envelope_receipt
    assert reply.status == 201
    assert {"Receipt", "PositiveMessage"} <= _names(reply)


def test_wrapped_and_broken() -> None:
    findings = (
        faults.VANS_NAME.at("vans", stated="MCM:X", actual="GGOP100"),
        faults.VANS_SIZE.at("vans", stated=1, actual=2),
        faults.XML_DOCTYPE.at("body"),
    )
    reply, envelope_receipt = make_reply(replace(WRAPPED, findings=findings), None, AT)
    assert reply == envelope_receipt
    assert (reply.status, reply.media_type) == (422, XML)
    assert _text(reply.body, "Description") == [
        "GOP-VANS-03: VANS-kuvertens SizeInBytes er 1, men indholdet fylder 2 byte; ret kuverten. (VANSEnvelope 1.0.4) "
        "GOP-XML-02: Dokumentet indeholder en DTD eller entiteter, som ikke modtages; fjern dem. (MedCom XML)"
    ]


def test_wrapped_and_broken_without_a_finding_still_says_something() -> None:
    reply, _ = make_reply(WRAPPED, None, AT)
    assert _text(reply.body, "Description") == ["Indholdet kan ikke læses."]


# --- again ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", [BARE, WRAPPED])
def test_a_replay_has_the_first_status_and_new_ids(reading: Reading) -> None:
    first, _ = make_reply(reading, ACCEPTED, AT)
    again, _ = make_reply(reading, ACCEPTED, AT + timedelta(minutes=30), status=200)
    assert again.status == 200
    name = "EnvelopeIdentifier" if reading.vans else "Identifier"
    assert not set(_text(first.body, name)) & set(_text(again.body, name))


def test_the_same_judgement_gives_the_same_bytes() -> None:
    assert make_reply(WRAPPED, REFUSED, AT) == make_reply(WRAPPED, REFUSED, AT)
    other = make_reply(replace(WRAPPED, digest="b" * 64), REFUSED, AT)
    assert other != make_reply(WRAPPED, REFUSED, AT)


def test_ids_have_the_form_that_medcom_expects() -> None:
    bare, _ = make_reply(BARE, ACCEPTED, AT)
    ids = _text(bare.body, "Identifier")
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[A-Z0-9]{14}", each or "") for each in ids)
    wrapped, envelope_receipt = make_reply(WRAPPED, ACCEPTED, AT)
    assert envelope_receipt is not None
    uuids = [
        *_text(wrapped.body, "EnvelopeIdentifier"),
        *_text(wrapped.body, "Identifier"),
        *_text(envelope_receipt.body, "EnvelopeIdentifier"),
    ]
    assert len(set(uuids)) == 3
    assert all(_UUID.fullmatch(each or "") for each in uuids)
