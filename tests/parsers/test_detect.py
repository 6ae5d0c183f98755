"""The content decides what a document is."""

from __future__ import annotations

import pytest
from lxml import etree

from gtgateway.parsers.detect import Content, content_of, is_fhir_json, letter_type
from gtgateway.parsers.medcom_xml import CLINICAL_EMAIL, GGOP, NS_XDIS91, RECEIPT_NAMESPACES, LetterType


@pytest.mark.parametrize(
    ("xml", "content"),
    [
        ('<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4"/>', Content.VANS),
        ('<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.3"/>', Content.VANS),
        ("<Emessage><RehabilitationPlan/></Emessage>", Content.EMESSAGE),
        ("<Emessage/>", Content.EMESSAGE),
        *((f'<Emessage xmlns="{each}"><PositiveReceipt/></Emessage>', Content.RECEIPT) for each in RECEIPT_NAMESPACES),
        ("<Emessage><NegativeVansReceipt/><NegativeReceipt/></Emessage>", Content.RECEIPT),
        ("<Emessage><NegativeReceipt/><RehabilitationPlan/></Emessage>", Content.EMESSAGE),
        ('<Bundle xmlns="http://hl7.org/fhir"/>', Content.FHIR),
        ("<html/>", Content.UNKNOWN),
    ],
)
def test_content(xml: str, content: Content) -> None:
    assert content_of(etree.fromstring(xml)) is content


@pytest.mark.parametrize(
    ("code", "subject", "kind"),
    [
        ("GGOP2", "Svar", CLINICAL_EMAIL),
        ("ggop1", "Svar", CLINICAL_EMAIL),
        ("KORR", "Genoptræningsplan (almen)", CLINICAL_EMAIL),
        ("KORR", "genoptræningsplan", CLINICAL_EMAIL),
        ("KORR", "Vedr. genoptræningsplan", None),
        ("GGOP", "", None),
        ("GGOP12", "", None),
    ],
)
def test_a_clinical_email_that_carries_a_plan(code: str, subject: str, kind: LetterType | None) -> None:
    """Appendix E 13: XDIS91-converted plan."""
    email = etree.fromstring(
        f'<ClinicalEmail xmlns="{NS_XDIS91}"><Letter><StatisticalCode>{code}</StatisticalCode></Letter>'
        f"<AdditionalInformation><Subject>{subject}</Subject></AdditionalInformation></ClinicalEmail>"
    )
    assert letter_type(email) is kind


def test_a_plan_is_a_plan_by_its_name() -> None:
    assert letter_type(etree.fromstring("<RehabilitationPlan/>")) is GGOP
    assert letter_type(etree.fromstring("<DischargeLetter/>")) is None


@pytest.mark.parametrize(
    ("body", "fhir"),
    [
        (b'{"resourceType": "Bundle"}', True),
        (b'\xef\xbb\xbf\n {"id": "1", "resourceType": "Bundle"}', True),
        (b'{"a": 1}', False),
        (b'["resourceType"]', False),
        (b'<a>{"resourceType"}</a>', False),
    ],
)
def test_fhir_as_json(body: bytes, fhir: bool) -> None:
    assert is_fhir_json(body) is fhir
