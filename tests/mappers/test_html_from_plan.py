"""The page of a plan: everything readable under its heading, nothing that can run, no person in the title."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from lxml import html

from gtgateway.mappers.headings import HEADINGS
from gtgateway.mappers.html_from_plan import html_from_plan
from gtgateway.mappers.json_from_model import to_data
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.model.deadlines import ClockOwner, Deadlines
from gtgateway.model.findings import Bilingual, Finding, Layer, Severity
from gtgateway.model.identifiers import Cpr
from gtgateway.model.plan import (
    Confidence,
    Consent,
    FormattedText,
    HospitalContact,
    Level,
    Party,
    Patient,
    Professional,
    Reference,
    RehabilitationPlan,
    StartDeadline,
    UnderstoodDate,
)
from gtgateway.model.record import (
    MunicipalRecord,
    RecordConsent,
    RecordOrganisation,
    RecordPatient,
    RecordRecipient,
)
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits

ATTACK = "<script>alert(1)</script>\"'&"


def page(plan: RehabilitationPlan, record: MunicipalRecord | None = None) -> html.HtmlElement:
    return html.document_fromstring(html_from_plan(plan, record))


def words(node: html.HtmlElement) -> str:
    return " ".join(node.text_content().split())


def section(root: html.HtmlElement, key: str) -> str:
    (found,) = root.xpath("//section[@aria-labelledby=$key]", key=key)
    return words(found)


PLAN = RehabilitationPlan(
    patient=Patient(Cpr("2512484916"), "Berggren", "Nancy Ann"),
    level=Level.ALMEN,
    discharged_on=date(2026, 11, 6),
    function_at_discharge=FormattedText("Går 50 m", "Går <strong>50 m</strong>"),
)
RECORD = MunicipalRecord(
    **{
        **{field.name: None for field in fields(MunicipalRecord) if field.name != "phases"},
        "phases": (),
        "patient": RecordPatient(**{field.name: None for field in fields(RecordPatient)}),  # type: ignore[arg-type]
        "consent": RecordConsent(True, None, None, ()),
        "received_at": datetime(2026, 11, 8, 23, 15, tzinfo=UTC),
        "late_days": 3,
        "order": "BEK-918-2018",
        "deadlines": Deadlines(
            notify_effective=date(2026, 11, 10),
            start_by=date(2026, 11, 13),
            owners=(ClockOwner("municipality", date(2026, 11, 6)),),
            explanation=Bilingual("Regnet fra udskrivningen.", "Counted from discharge."),
        ),
        "flags": ("minor",),
        "transport_need": True,
        "route": (
            RecordRecipient(
                "action", "municipality", RecordOrganisation(None, "0461", "Odense Kommune"), True, None, "§ 4, stk. 2"
            ),
            RecordRecipient(
                "information", "region", RecordOrganisation(None, None, "Region Syddanmark"), False, None, "§ 4"
            ),
        ),
        "findings": (
            Finding("GOP-DATE-03", Severity.WARNING, Layer.LAW, "x", Bilingual("For sent.", "Late."), basis="§ 4"),
        ),
    }
)


def test_title_names_no_person() -> None:
    title = page(PLAN).findtext(".//title")
    assert title == "Genoptræningsplan – almen genoptræning"


def test_language_and_headings() -> None:
    root = page(PLAN, RECORD)
    assert root.get("lang") == "da"
    assert [words(heading) for heading in root.iter("h1")] == ["Almen genoptræning"]
    for labelled in root.xpath("//section"):
        (heading,) = labelled.xpath("./h2[@id=$key]", key=labelled.get("aria-labelledby"))
        assert words(heading)
    identifiers = root.xpath("//@id")
    assert len(identifiers) == len(set(identifiers))


def test_formatted_text_keeps_its_format() -> None:
    (text,) = page(PLAN).xpath("//section[@aria-labelledby='function_at_discharge']//strong")
    assert text.text == "50 m"


def terms(root: html.HtmlElement) -> dict[str, str]:
    return {words(term): words(term.getnext()) for term in root.iter("dt")}


def test_patient_stands_in_the_header() -> None:
    header = terms(page(PLAN).find(".//header"))
    assert header == {
        "Patient": "Nancy Ann Berggren",
        "CPR-nummer": "251248-4916",
        "Født": "25.12.1948",
        "Udskrevet": "06.11.2026",
    }


@pytest.mark.parametrize("record", [RECORD, to_data(RECORD)], ids=["record", "as the archive keeps it"])
def test_record_adds_deadlines_flags_recipients_and_findings(record: MunicipalRecord) -> None:
    root = page(PLAN, record)
    shown = terms(root)
    assert shown["Borgeren skal have besked senest"] == "10.11.2026"
    assert shown["Træningen skal være begyndt senest"] == "13.11.2026"
    assert shown["Ansvarlig fra 06.11.2026"] == "Kommunen"
    assert shown["Modtaget"] == "09.11.2026 kl. 00.15"
    assert shown["Modtaget efter udskrivningen"] == "3 dage"
    assert shown["Behov for kørsel"] == "nævnt i planen"
    assert [words(flag) for flag in root.xpath("//ul[@class='flags']/li")] == ["Patienten er under 18 år."]
    assert "Odense Kommune Skal handle § 4, stk. 2" in _spaced(root, "route")
    assert "Region Syddanmark Til orientering (får ikke planen)" in _spaced(root, "route")
    assert section(root, "findings") == "Bemærkninger til planen For sent. GOP-DATE-03, § 4"


def _spaced(root: html.HtmlElement, key: str) -> str:
    cells = root.xpath("//section[@aria-labelledby=$key]//tbody//*[self::th or self::td]", key=key)
    return " ".join(filter(None, map(words, cells)))


def test_without_record_nothing_is_said_of_the_law() -> None:
    root = page(PLAN)
    assert not root.xpath("//*[@id='deadlines' or @id='route' or @id='findings' or @class='flags']")


def test_deadline_shows_what_was_understood() -> None:
    understood = UnderstoodDate("latest", date(2026, 11, 10), "senest 10/11", Confidence.HIGH)
    text = FormattedText("senest 10/11", "senest 10/11")
    root = page(replace(PLAN, start_deadline=StartDeadline(text, understood=(understood,))))
    assert "Forstået som senest 10.11.2026 af »senest 10/11« (sikkert læst)" in section(root, "start_deadline")


def test_structured_deadline_without_text_is_shown() -> None:
    root = page(replace(PLAN, start_deadline=StartDeadline(earliest=date(2026, 12, 1), reason="Sårheling")))
    assert section(root, "start_deadline").endswith("Tidligst01.12.2026 BegrundelseSårheling")


def test_only_web_addresses_are_links() -> None:
    root = page(
        replace(
            PLAN,
            references=(
                Reference("Anbefalinger", "url", "https://www.sst.dk/?a=1&b=2"),
                Reference(None, "url", "javascript:alert(1)"),
                Reference(None, "url", "http://[broken"),
                Reference("Billede", "bin", "12345"),
            ),
        )
    )
    (link,) = root.iter("a")
    assert (link.get("href"), link.get("rel")) == ("https://www.sst.dk/?a=1&b=2", "noreferrer")
    for value in ("javascript:alert(1)", "http://[broken", "Billede: 12345"):
        assert value in section(root, "references")


def _filled(kind: type, value: str) -> dict[str, str]:
    """Every plain text field of a dataclass, filled."""
    assert is_dataclass(kind)
    return {field.name: value for field in fields(kind) if field.type in ("str", "str | None")}


def test_nothing_that_a_sender_writes_becomes_markup() -> None:
    party = Party(**_filled(Party, ATTACK))  # type: ignore[arg-type]
    plan = replace(
        PLAN,
        patient=Patient(Cpr("2512484916"), **_filled(Patient, ATTACK)),  # type: ignore[arg-type]
        level=None,
        level_stated=ATTACK,
        sender=party,
        receiver=party,
        author=Professional(**_filled(Professional, ATTACK)),  # type: ignore[arg-type]
        diagnosis_texts=(ATTACK,),
        consent=Consent(stated=ATTACK),
        hospital_contact=HospitalContact(expected_end_text=ATTACK),
        references=(Reference(ATTACK, "url", f'https://x.dk/"{ATTACK}'),),
    )
    root = page(plan)
    assert not root.xpath("//script | //@onclick | //img | //link | //iframe | //form")
    assert words(root).count("<script>alert(1)</script>") > 15
    assert "alert" not in "".join(root.xpath("//@*[not(name() = 'href')]"))


def test_official_sample_shows_every_text_of_the_plan(shared: Path) -> None:
    body = (shared / "data" / "ggop-official-sample.xml").read_bytes()
    plan = plan_from_medcom_xml(read_envelope(body, Limits()).letters[0]).plan
    root = page(plan)
    shown = " ".join(root.itertext())
    shown = " ".join(shown.split())
    for piece in _texts(plan):
        assert piece in shown
    shown_headings = {words(heading).partition(":")[0] for heading in root.iter("h2")}
    assert set(HEADINGS.values()) - shown_headings == {
        HEADINGS[absent]
        for absent in (
            "patient",
            "level",
            "function_prior",
            "rehabilitation_focus",
            "other",
        )  # in the header, or FHIR only
    }


def _texts(value: object) -> set[str]:
    """Texts of a plan as the page must show them."""
    if isinstance(value, FormattedText):
        return {" ".join(line.split()) for line in value.plain.splitlines()}
    if isinstance(value, tuple):
        return {text for part in value for text in _texts(part)}
    if is_dataclass(value):
        coded = {"kind", "relation", "system", "statistical_code", "level_stated", "given", "family"}
        return {
            text for field in fields(value) if field.name not in coded for text in _texts(getattr(value, field.name))
        }
    return {" ".join(value.split())} if type(value) is str else set()
