"""The table of answers: each row, receipts in every form, and what of an answer is kept for people."""

from __future__ import annotations

import base64
import json

import pytest

from gtgateway.delivery.answers import (
    CLASSES,
    LATER,
    RECEIPTS,
    STATUSES,
    TROUBLES,
    Verdict,
    classify,
    read_receipt_of,
)
from gtgateway.model.delivery import Answer, Conclusion, Outgoing, Trouble
from gtgateway.model.reasons import words_of_reason

ENVELOPE, VANS = "Ab3", "1f0c6c6e-9b0a-4d55-9d3c-0a4e3ef1a001"
BUNDLE, MESSAGE = "0b6b5a1e-0000-4000-8000-000000000001", "0b6b5a1e-0000-4000-8000-000000000002"
XML = Outgoing(b"<Emessage/>", "application/xml", ENVELOPE, VANS)
FHIR = Outgoing(b"{}", "application/fhir+json", BUNDLE, message_id=MESSAGE)

NS = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"


def xctl(kind: str, envelope: str = ENVELOPE, code: str = "", text: str = "") -> bytes:
    refusal = f"<RefuseCode>{code}</RefuseCode><RefuseText>{text}</RefuseText>" if code else ""
    return f"""<Emessage xmlns="{NS}"><Envelope/><{kind}><OriginalEmessage>
      <OriginalEnvelopeIdentifier>{envelope}</OriginalEnvelopeIdentifier>
      <OriginalLetter><OriginalLetterIdentifier>L1</OriginalLetterIdentifier>{refusal}</OriginalLetter>
    </OriginalEmessage></{kind}></Emessage>""".encode()


def carried(payload: bytes) -> bytes:
    """A payload in a VANSEnvelope of the peer's."""
    return f"""<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4">
      <SenderID EndPointType="EAN">5790000121526</SenderID><ReceiverID EndPointType="EAN">5790000000012</ReceiverID>
      <EnvelopeIdentifier>9d8c7b6a-0000-4000-8000-00000000000a</EnvelopeIdentifier>
      <SentDateTime>2026-11-25T10:00:00</SentDateTime>
      <Message><MetaInformation><Identifier>9d8c7b6a-0000-4000-8000-00000000000b</Identifier>
        <Document><Format>XML</Format><Name>MCM:XCTL03</Name><SizeInBytes>{len(payload)}</SizeInBytes></Document>
      </MetaInformation><Data>{base64.b64encode(payload).decode()}</Data></Message></VANSEnvelope>""".encode()


def vans(kind: str, envelope: str = VANS, error: str = "") -> bytes:
    said = f"<Error><Description>{error}</Description></Error>" if error else ""
    return f"""<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4">
      <SenderID EndPointType="EAN">5790000121526</SenderID><ReceiverID EndPointType="EAN">5790000000012</ReceiverID>
      <EnvelopeIdentifier>9d8c7b6a-0000-4000-8000-00000000000c</EnvelopeIdentifier>
      <SentDateTime>2026-11-25T10:00:00</SentDateTime>
      <Receipt><{kind}>{said}<OriginalEnvelopeIdentifier>{envelope}</OriginalEnvelopeIdentifier></{kind}></Receipt>
    </VANSEnvelope>""".encode()


def acknowledgement(code: str, original: str = MESSAGE, text: str = "") -> bytes:
    outcome = {"resourceType": "OperationOutcome", "id": "o", "issue": [{"details": {"text": text}}]}
    header = {
        "resourceType": "MessageHeader",
        "id": "h",
        "eventCoding": {"code": "acknowledgement-message"},
        "response": {"identifier": original, "code": code, "details": {"reference": "OperationOutcome/o"}},
    }
    entries = [{"fullUrl": f"{each['resourceType']}/{each['id']}", "resource": each} for each in (header, outcome)]
    return json.dumps({"resourceType": "Bundle", "type": "message", "entry": entries}).encode()


def acknowledgement_xml(code: str) -> bytes:
    return f"""<Bundle xmlns="http://hl7.org/fhir"><type value="message"/><entry><resource><MessageHeader>
      <id value="h"/><eventCoding><code value="acknowledgement-message"/></eventCoding>
      <response><identifier value="{MESSAGE}"/><code value="{code}"/></response>
    </MessageHeader></resource></entry></Bundle>""".encode()


def judged(answer: Answer, outgoing: Outgoing = XML) -> Verdict:
    return classify(answer, read_receipt_of(answer), outgoing)


def outcome(answer: Answer, outgoing: Outgoing = XML) -> tuple[str, str]:
    verdict = judged(answer, outgoing)
    return str(verdict.conclusion), verdict.reason


# --- without a receipt ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("trouble", "conclusion"),
    [
        ("no_connection", "transient"),
        ("name", "endpoint"),
        ("certificate", "endpoint"),
        ("forbidden_address", "endpoint"),
        ("no_token", "endpoint"),
        ("cut", "ambiguous"),
        ("timed_out", "ambiguous"),
        ("too_large", "ambiguous"),
    ],
)
def test_troubles(trouble: str, conclusion: str) -> None:
    assert outcome(Answer(trouble=Trouble(trouble))) == (conclusion, trouble)


def test_every_trouble_is_in_the_table() -> None:
    assert TROUBLES.keys() == set(Trouble)


@pytest.mark.parametrize(
    ("conclusion", "statuses"),
    [
        ("refused", (400, 409, 413, 415, 422, 402, 411, 412, 414, 416, 418, 424, 428, 431, 451, 499)),
        ("endpoint", (401, 403, 404, 405, 406, 407, 410, 421, 426, 300, 301, 302, 303, 304, 307, 308)),
        ("transient", (408, 425, 429, 500, 501, 502, 503, 504, 507, 599)),
        ("ambiguous", (101, 600, 999)),
    ],
)
def test_statuses(conclusion: str, statuses: tuple[int, ...]) -> None:
    for status in statuses:
        assert outcome(Answer(status)) == (conclusion, f"http_{status}")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", ("sent", "http_200")),
        (201, b" \r\n", ("sent", "http_201")),
        (204, b"", ("sent", "http_204")),
        (202, b'{"status": "queued"}', ("sent", "http_202")),
        (200, b"ok", ("ambiguous", "no_receipt")),
        (200, b"<html><body>Welcome</body></html>", ("ambiguous", "no_receipt")),
        (200, b"{", ("ambiguous", "no_receipt")),
        (200, b'{"resourceType": "OperationOutcome", "issue": []}', ("ambiguous", "no_receipt")),
        (201, b"<!DOCTYPE a [<!ENTITY b 'c'>]><Emessage>&b;</Emessage>", ("ambiguous", "no_receipt")),
    ],
)
def test_2xx_without_a_receipt(status: int, body: bytes, expected: tuple[str, str]) -> None:
    assert outcome(Answer(status, "", body)) == expected


def test_2xx_where_no_receipt_is_due() -> None:
    undue = Outgoing(b"x", "text/plain", ENVELOPE, receipt_due=False)
    assert outcome(Answer(200), undue) == outcome(Answer(202, "", b"ok"), undue) == ("delivered", "taken")
    assert outcome(Answer(503), undue) == ("transient", "http_503")


# --- receipts ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("outgoing", "body", "expected"),
    [
        (XML, xctl("PositiveReceipt"), ("delivered", "positive_receipt")),
        (XML, carried(xctl("PositiveReceipt")), ("delivered", "positive_receipt")),
        (XML, xctl("NegativeReceipt", code="syntaksfejl", text="Nej"), ("refused", "syntaksfejl")),
        (
            XML,
            carried(xctl("NegativeVansReceipt", code="ukendt_lokationsnummer")),
            ("refused", "ukendt_lokationsnummer"),
        ),
        (XML, xctl("NegativeReceipt", code="Nancy Ann Berggren"), ("refused", "negative_receipt")),
        (XML, xctl("NegativeReceipt"), ("refused", "negative_receipt")),
        (XML, xctl("NegativeReceipt", code="ikke_specificeret", text="GOP-CHOICE-13"), ("refused", "capacity")),
        (XML, vans("PositiveMessage"), ("sent", "envelope_receipt")),
        (XML, vans("NegativeMessage", error="Ukendt"), ("refused", "negative_receipt")),
        (XML, vans("NegativeVans", error="Ukendt"), ("refused", "negative_receipt")),
        (FHIR, acknowledgement("ok"), ("delivered", "positive_receipt")),
        (FHIR, acknowledgement("fatal-error"), ("refused", "fatal-error")),
        (FHIR, acknowledgement("transient-error"), ("transient", "transient-error")),
        (FHIR, acknowledgement_xml("ok"), ("delivered", "positive_receipt")),
        (FHIR, acknowledgement_xml("fatal-error"), ("refused", "fatal-error")),
        (FHIR, acknowledgement("ok", BUNDLE), ("delivered", "positive_receipt")),
    ],
)
@pytest.mark.parametrize("status", [200, 202, 302, 401, 422, 500])
def test_a_receipt_of_ours_decides_whatever_the_status(
    outgoing: Outgoing, body: bytes, expected: tuple[str, str], status: int
) -> None:
    assert outcome(Answer(status, "text/plain", body), outgoing) == expected


@pytest.mark.parametrize(
    ("outgoing", "body"),
    [
        (XML, xctl("PositiveReceipt", "aB3")),
        (XML, xctl("NegativeReceipt", "other", "syntaksfejl", "Nej")),
        (XML, vans("PositiveMessage", VANS.upper())),
        (XML, vans("NegativeMessage", "other", "Nej")),
        (FHIR, acknowledgement("ok", "other")),
        (FHIR, acknowledgement("fatal-error", "other", "Nej")),
    ],
)
def test_a_receipt_for_something_else_is_none_of_ours(outgoing: Outgoing, body: bytes) -> None:
    assert judged(Answer(200, "", body), outgoing) == Verdict(Conclusion.AMBIGUOUS, "no_receipt")
    assert judged(Answer(422, "", body), outgoing) == Verdict(Conclusion.REFUSED, "http_422")
    assert judged(Answer(202, "", body), outgoing) == Verdict(Conclusion.SENT, "http_202")


def test_an_empty_id_matches_nothing() -> None:
    unnamed = Outgoing(b"x")
    assert judged(Answer(200, "", xctl("PositiveReceipt", " ")), unnamed).conclusion is Conclusion.AMBIGUOUS


# --- what is kept for people ------------------------------------------------------------------------------------------
def test_the_text_of_a_refusal_is_kept_without_numbers_of_citizens() -> None:
    said = "Borger 251248-9996 og 2512489996 har EAN 5790000121526"
    assert judged(Answer(422, "", xctl("NegativeReceipt", code="ikke_specificeret", text=said))) == Verdict(
        Conclusion.REFUSED, "ikke_specificeret", "Borger ••••••-•••• og ••••••-•••• har EAN 5790000121526"
    )
    assert judged(Answer(200, "", vans("NegativeVans", error="Ukendt modtager"))).detail == "Ukendt modtager"
    assert judged(Answer(200, "", acknowledgement("fatal-error", text=said)), FHIR).detail == (
        "Borger ••••••-•••• og ••••••-•••• har EAN 5790000121526"
    )


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (400, b'{"type": "about:blank", "title": "Bad", "detail": "Line 7 of 251248-9996"}', "Line 7 of ••••••-••••"),
        (503, b'{"title": "Closed for the night"}', "Closed for the night"),
        (
            422,
            b'{"resourceType": "OperationOutcome", "issue": [{"details": {"text": "A"}, "diagnostics": "B"}, 7]}',
            "A B",
        ),
        (
            500,
            b'<OperationOutcome xmlns="http://hl7.org/fhir"><issue><diagnostics value="C"/></issue></OperationOutcome>',
            "C",
        ),
        (400, b"<html><body>Nancy Ann Berggren</body></html>", None),
        (400, b"Nancy Ann Berggren", None),
        (400, b'{"resourceType": "Patient", "title": "Nancy"}', None),
        (400, b'{"detail": 7}', None),
        (400, b"[]", None),
        (400, b"\xff{", None),
        (400, b"", None),
    ],
)
def test_of_other_documents_only_problems_and_outcomes_are_read(status: int, body: bytes, detail: str | None) -> None:
    assert judged(Answer(status, "", body)).detail == detail


def test_a_long_text_is_cut() -> None:
    detail = judged(Answer(400, "", json.dumps({"detail": "x" * 9_000}).encode())).detail
    assert detail == "x" * 499 + "…"


# --- the table --------------------------------------------------------------------------------------------------------
def test_what_needs_a_person_has_words() -> None:
    reasons = {*map(str, TROUBLES), "negative_receipt", "transient-error", "no_receipt", "http_404"}
    assert all(words_of_reason(each) for each in reasons)


def test_the_table_has_no_row_that_says_nothing() -> None:
    assert all(CLASSES.get(status // 100) is not conclusion for status, conclusion in STATUSES.items())
    assert {202, 204} == LATER
    assert {conclusion for _, conclusion in RECEIPTS.values()} <= set(Conclusion)
