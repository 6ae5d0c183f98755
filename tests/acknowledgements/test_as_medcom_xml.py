"""XCTL02 and XCTL03: parties swapped, original ids quoted, every fault named, valid by MedCom's own schema."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gtgateway.acknowledgements.as_medcom_xml import NAMESPACE, fault_line, receipt_name, receipt_xml
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.findings import Bilingual, Finding, Layer, Severity

SENT = datetime(2025, 3, 14, 10, 7, 59, tzinfo=UTC)
NS = {"m": NAMESPACE}


def _fault(rule: str, da: str, basis: str | None = None) -> Finding:
    return Finding(rule, Severity.ERROR, Layer.LAW, "level", Bilingual(da, "In English."), basis=basis)


LEVEL = _fault("GOP-CONTENT-01", "Planen mangler niveau.", "§ 2, stk. 1")
DEADLINE = _fault("GOP-DATE-05", "Fristen – 1. maj – ligger før udskrivningen.")


def _acknowledgement(*letters: LetterAnswer, envelope_id: str = "KUV20250314001") -> Acknowledgement:
    accepted = all(letter.accepted for letter in letters)
    code = AcknowledgementCode.OK if accepted else AcknowledgementCode.FATAL_ERROR
    return Acknowledgement(code, "5790001354145", "5790000121441", envelope_id, letters, True)


POSITIVE = _acknowledgement(LetterAnswer("BRV20250314001", "GGOP100", True))


def _refused(*findings: Finding, code: str = "ikke_specificeret") -> Acknowledgement:
    return _acknowledgement(LetterAnswer("BRV20250314002", "GGOP101", False, code, findings))


def _receipt(acknowledgement: Acknowledgement) -> bytes:
    return receipt_xml(acknowledgement, receipt_id="KVT00000000001", letter_id="KVB00000000001", sent_at=SENT)


@pytest.fixture(scope="module")
def official(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(file=str(shared / "data" / "xsd-official" / "2005" / "08" / "07" / "EMessage.xsd"))


def _canonical(body: bytes) -> bytes:
    return etree.tostring(etree.fromstring(body, etree.XMLParser(remove_blank_text=True)), method="c14n")


def test_the_positive_receipt_is_the_reference_sample(shared: Path) -> None:
    sample = (shared / "data" / "samples" / "xctl03-positive-receipt.xml").read_bytes()
    assert _canonical(_receipt(POSITIVE)) == _canonical(sample)


def test_the_negative_receipt_is_the_reference_sample(shared: Path) -> None:
    sample = (shared / "data" / "samples" / "xctl02-negative-receipt.xml").read_bytes()
    acknowledgement = _acknowledgement(
        LetterAnswer("BRV20250314002", "GGOP101", False, "problem_med_version", (LEVEL,)), envelope_id="KUV20250314002"
    )
    ours = etree.fromstring(
        receipt_xml(acknowledgement, receipt_id="KVT00000000002", letter_id="KVB00000000002", sent_at=SENT)
    )
    theirs = etree.fromstring(sample, etree.XMLParser(remove_blank_text=True))
    for document in (ours, theirs):
        (text,) = document.iterfind(".//m:RefuseText", NS)
        text.clear()
    assert etree.tostring(ours, method="c14n") == etree.tostring(theirs, method="c14n")


def _found(body: bytes, path: str) -> list[str | None]:
    return [element.text for element in etree.fromstring(body).iterfind(path, NS)]


def test_parties_are_swapped_and_the_originals_quoted() -> None:
    body = _receipt(POSITIVE)
    assert _found(body, "m:PositiveReceipt/m:Sender/m:EANIdentifier") == ["5790000121441"]
    assert _found(body, "m:PositiveReceipt/m:Receiver/m:EANIdentifier") == ["5790001354145"]
    assert _found(body, ".//m:OriginalSender/m:EANIdentifier") == ["5790001354145"]
    assert _found(body, ".//m:OriginalReceiver/m:EANIdentifier") == ["5790000121441"]
    assert _found(body, ".//m:OriginalEnvelopeIdentifier") == ["KUV20250314001"]
    assert _found(body, ".//m:OriginalLetterIdentifier") == ["BRV20250314001"]
    assert _found(body, ".//m:OriginalVersionCode") == ["GGOP100"]


def test_a_receipt_asks_for_no_receipt() -> None:
    assert _found(_receipt(POSITIVE), "m:Envelope/m:AcknowledgementCode") == ["minuspositivkvitt"]


@pytest.mark.parametrize(
    "sent_at, date, time",
    [
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "2027-01-01", "00:30"),
        (datetime(2027, 7, 1, 10, 5, tzinfo=UTC), "2027-07-01", "12:05"),
    ],
)
def test_sent_in_danish_local_time(sent_at: datetime, date: str, time: str) -> None:
    body = receipt_xml(POSITIVE, receipt_id="A", letter_id="B", sent_at=sent_at)
    assert _found(body, "m:Envelope/m:Sent/m:Date") == [date]
    assert _found(body, "m:Envelope/m:Sent/m:Time") == [time]


def test_names() -> None:
    assert receipt_name(POSITIVE) == ("XCTL03", "XC0330Q")
    assert receipt_name(_refused(LEVEL)) == ("XCTL02", "XC0230Q")


def test_every_fault_is_named_with_breaks_between_in_iso_8859_1() -> None:
    body = _receipt(_refused(LEVEL, DEADLINE, LEVEL))
    assert body.startswith(b"<?xml version='1.0' encoding='ISO-8859-1'?>")
    expected = (
        "<RefuseCode>ikke_specificeret</RefuseCode><RefuseText>"
        "GOP-CONTENT-01: Planen mangler niveau. (§ 2, stk. 1)<Break/>"
        "GOP-DATE-05: Fristen &#8211; 1. maj &#8211; ligger før udskrivningen.</RefuseText>"
    )
    assert expected.encode("iso-8859-1") in body


def test_a_fault_is_one_line() -> None:
    assert fault_line(_fault("GOP-MAP-01", " To\n linjer.\t")) == "GOP-MAP-01: To linjer."


def test_several_letters() -> None:
    neighbour = _fault("GOP-MSG-08", "Ikke behandlet.")
    body = _receipt(
        _acknowledgement(
            LetterAnswer("A", "GGOP100", False, "syntaksfejl", (LEVEL,)),
            LetterAnswer("B", "GGOP100", False, "ikke_specificeret", (neighbour,)),
        )
    )
    assert _found(body, ".//m:OriginalLetterIdentifier") == ["A", "B"]
    assert _found(body, ".//m:OriginalLetter/m:RefuseCode") == ["syntaksfejl", "ikke_specificeret"]
    assert _found(body, "m:NegativeReceipt/m:OriginalEmessage/m:RefuseCode") == []
    assert [text and text.split(":")[0] for text in _found(body, ".//m:RefuseText")] == ["GOP-CONTENT-01", "GOP-MSG-08"]


def test_ninety_nine_letters_fit(official: etree.XMLSchema) -> None:
    letters = tuple(
        LetterAnswer(f"BRV{number}", "GGOP100", False, "ikke_specificeret", (LEVEL,)) for number in range(120)
    )
    body = _receipt(_acknowledgement(*letters))
    assert len(_found(body, ".//m:OriginalLetter")) == 99
    official.assertValid(etree.fromstring(body))


def test_lengths_are_those_of_the_schema(official: etree.XMLSchema) -> None:
    long = Acknowledgement(
        AcknowledgementCode.FATAL_ERROR,
        "5" * 50,
        "",
        "K" * 20,
        (LetterAnswer("B" * 20, "", False, "syntaksfejl"),),
        True,
    )
    body = _receipt(long)
    official.assertValid(etree.fromstring(body))
    assert _found(body, ".//m:OriginalEnvelopeIdentifier") == ["K" * 14]
    assert _found(body, ".//m:OriginalLetterIdentifier") == ["B" * 14]
    assert _found(body, ".//m:OriginalVersionCode") == ["ukendt"]
    assert _found(body, ".//m:OriginalSender/m:EANIdentifier") == ["5" * 35]
    assert _found(body, ".//m:OriginalReceiver/m:EANIdentifier") == ["ukendt"]
    assert _found(body, ".//m:RefuseText") == []


@pytest.mark.parametrize("acknowledgement", [POSITIVE, _refused(LEVEL, DEADLINE), _refused(code="syntaksfejl")])
def test_valid_by_the_official_schema(official: etree.XMLSchema, acknowledgement: Acknowledgement) -> None:
    official.assertValid(etree.fromstring(_receipt(acknowledgement)))


@given(st.lists(st.text(), max_size=5))
def test_any_text_of_a_finding_comes_through(texts: list[str]) -> None:
    faults = tuple(_fault("GOP-MAP-02", text) for text in texts)
    body = _receipt(_refused(*faults))
    lines = [element.xpath("string()") for element in etree.fromstring(body).iterfind(".//m:RefuseText", NS)]
    assert "".join(map(str, lines)) == "".join(dict.fromkeys(fault_line(fault) for fault in faults))
