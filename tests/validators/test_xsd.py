"""Our schemas beside the official ones, and what is said of a message that differs from them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from ggop import CPR, emessage, ggop, letter
from gtgateway.acknowledgements.as_medcom_xml import receipt_xml
from gtgateway.acknowledgements.as_vans import vans_message, vans_receipt
from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.faults import MSG_VERSION
from gtgateway.model.findings import Finding, Severity
from gtgateway.model.message import VansDocument, VansEnvelope
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.validators.structure.xsd import MOST, Schemas, check_structure

ADVISE, STRICT = Schemas.load(), Schemas.load(mode="strict")
RECEIPTS, EMAIL = "2005/08/07/EMessage.xsd", "2006/07/01/EMessage.xsd"
VANS, PLAN = "vans-envelope-1.0.4/VANSEnvelope.xsd", "municipality/1.0.4/EMessage.xsd"
SENT = datetime(2026, 11, 6, 10, 7, tzinfo=UTC)
UUID = "0b0a3d52-5b58-4d0b-9d0d-6f0f1d8a1c11"


def found(body: bytes, schemas: Schemas = ADVISE) -> list[Finding]:
    """Findings of a message with one letter."""
    (findings,) = check_structure(read_envelope(body, Limits()), schemas)
    return list(findings)


def changed(old: str, new: str, body: bytes | None = None) -> bytes:
    text = (body or ggop()).decode()
    assert old in text
    return text.replace(old, new).encode()


# --- what we say ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schemas", [ADVISE, STRICT], ids=["advise", "strict"])
def test_a_lawful_message_has_no_fault(schemas: Schemas) -> None:
    assert found(ggop(), schemas) == []


@pytest.mark.parametrize("schemas", [ADVISE, STRICT], ids=["advise", "strict"])
@pytest.mark.parametrize("sample", ["ggop-official-sample.xml", "samples/ggop-synthetic-almen.xml"])
def test_the_samples_have_no_fault(shared: Path, sample: str, schemas: Schemas) -> None:
    """Appendix E 1: the official sample follows the schema."""
    assert found((shared / "data" / sample).read_bytes(), schemas) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "danish", "english"),
    [
        (
            "<Date>2026-11-02</Date>",
            "<Date>2026-13-02</Date>",
            "CurrentHospitalContact/Start/Date",
            "Date er ikke en gyldig xs:date",
            "Date is not a valid xs:date",
        ),
        (
            "Odense Universitetshospital",
            "x" * 36,
            "Sender/OrganisationName",
            "OrganisationName er længere end 35 tegn",
            "OrganisationName is longer than 35 characters",
        ),
        (
            CPR,
            "251248-9996",
            "Patient/CivilRegistrationNumber",
            "CivilRegistrationNumber har ikke den rette form",
            "CivilRegistrationNumber has not the right form",
        ),
        (
            "<m:Date>2026-11-06</m:Date><m:Time>10:58</m:Time></Authorisation>",
            "<m:Date>2026-11-06</m:Date></Authorisation>",
            "Letter/Authorisation",
            "Time mangler i Authorisation",
            "Time is missing in Authorisation",
        ),
        (
            "<TypeOfRehabilitationPlan>almen</TypeOfRehabilitationPlan>",
            "",
            "InformationForPatientAndRelatives",
            "TypeOfRehabilitationPlan mangler før InformationForPatientAndRelatives",
            "TypeOfRehabilitationPlan is missing before InformationForPatientAndRelatives",
        ),
        (
            "<ConsentInformed>",
            "<ConsentInformed>ja</ConsentInformed><ConsentInformed>",
            "ConsentInformed[2]",
            "ConsentInformed står for mange gange",
            "ConsentInformed occurs too often",
        ),
        (
            "<m:Break/>Går med",
            "<m:Break>x</m:Break>Går med",
            "AbilityAtDischargeExtended/Break[3]",
            "Break skal være tom",
            "Break must be empty",
        ),
        (
            "<Code>DM169</Code>",
            "<Code><m:Bold>DM169</m:Bold></Code>",
            "ICD10Diagnoses/ICD10Diagnose/PrimaryDiagnosis/Code",
            "Code må kun indeholde tekst",
            "Code must hold only text",
        ),
        ("<Letter>", "<Letter>x", "Letter", "Letter må ikke indeholde tekst", "Letter must not hold text"),
        (
            "<Letter>",
            '<Letter x="1">',
            "Letter",
            "Letter har en ukendt attribut",
            "Letter has an unknown attribute",
        ),
    ],
)
def test_our_own_words_with_path_and_line(old: str, new: str, path: str, danish: str, english: str) -> None:
    body = changed(old, new)
    for schemas, rule, severity, before in (
        (ADVISE, "GOP-SCHEMA-01", Severity.WARNING, "Afviger fra skemaet: "),
        (STRICT, "GOP-SCHEMA-02", Severity.ERROR, "Overholder ikke skemaet: "),
    ):
        (finding,) = found(body, schemas)
        assert (finding.rule, finding.severity) == (rule, severity)
        assert finding.source_path == f"/Emessage/RehabilitationPlan/{path}"
        assert finding.text.da.startswith(before + danish)
        assert english in finding.text.en
        element = path.rpartition("/")[2].partition("[")[0]
        assert finding.line is not None
        assert element in body.decode().splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    ("moved", "before"),
    [
        pytest.param("<ConsentInformed>ja</ConsentInformed>", "<TypeOfRehabilitationPlan>", id="too early"),
        pytest.param(
            "<PatientSafetyAspects>Faldrisiko de første uger.</PatientSafetyAspects>", "<ICD10D", id="too late"
        ),
    ],
)
def test_an_order_slip_is_a_warning_of_its_own(moved: str, before: str) -> None:
    """Appendix E 6: ConsentInformed before TypeOfRehabilitationPlan."""
    body = ggop(sections={"PatientHealthSummary": "<m:PatientHealthSummary>x</m:PatientHealthSummary>"})
    body = changed(before, moved + before, changed(moved, "", body))
    name = moved[1 : moved.index(">")].removeprefix("m:")
    (finding,) = found(body)
    assert (finding.rule, finding.severity) == ("GOP-SCHEMA-03", Severity.WARNING)
    assert finding.source_path == f"/Emessage/RehabilitationPlan/{name}"
    (finding,) = found(body, STRICT)
    assert finding.rule == "GOP-SCHEMA-02"
    assert f"{name} står ikke på sin plads" in finding.text.da


@pytest.mark.parametrize(
    ("old", "new", "danish"),
    [
        ("m:PersonSurnameName>", "PersonSurnameName>", "PersonSurnameName står i et forkert navnerum"),
        ("<ConsentInformed>", "<Nyt>x</Nyt><ConsentInformed>", "Nyt hører ikke til her"),
    ],
)
def test_what_the_mapper_tells_is_only_refused_here(old: str, new: str, danish: str) -> None:
    """Appendix E 5: a namespace slip is GOP-SCHEMA-04 from the mapper, which sees all of them."""
    body = changed(old, new)
    assert found(body) == []
    assert any(danish in finding.text.da for finding in found(body, STRICT))


@pytest.mark.parametrize(
    ("old", "new", "element"),
    [
        ("almen</Type", "egentræning</Type", "TypeOfRehabilitationPlan"),
        ("GGOP1</Stat", "GGOP4</Stat", "StatisticalCode"),
        ("ja</Consent", "måske</Consent", "ConsentInformed"),
        ("<GPCCReceiver><Deselected/></GPCCReceiver>", "", "GPCCReceiver"),
        ("<m:OrganisationName>Odense Universitetshospital</m:OrganisationName>", "", "OrganisationName"),
        (
            "</m:PostCodeIdentifier>\n</Patient>",
            f"</m:PostCodeIdentifier><m:Occupation>{'x' * 26}</m:Occupation></Patient>",
            "Occupation",
        ),
        (
            "</Patient>",
            "<TelephoneSubscriber><m:TelephoneSubscriberIdentifier>1</m:TelephoneSubscriberIdentifier>"
            "<TelephoneSubscriberCode>fax</TelephoneSubscriberCode></TelephoneSubscriber></Patient>",
            "TelephoneSubscriberCode",
        ),
        ("</Patient>", f"</Patient><Relatives>{'<Relative/>' * 6}</Relatives>", "Relative"),
    ],
)
def test_what_only_the_strict_schema_minds(old: str, new: str, element: str) -> None:
    body = ggop(sections={"Patient": PATIENT})
    body = changed(old, new, body)
    assert found(body) == []
    assert any(element in finding.text.en for finding in found(body, STRICT))


PATIENT = (
    f"<Patient><m:CivilRegistrationNumber>{CPR}</m:CivilRegistrationNumber><m:PersonSurnameName>Berggren"
    "</m:PersonSurnameName><m:PostCodeIdentifier>5000</m:PostCodeIdentifier>\n</Patient>"
)


def test_the_hospital_contact_may_be_missing_but_not_strictly() -> None:
    body = ggop(sections={"CurrentHospitalContact": None})
    assert found(body) == []
    assert "CurrentHospitalContact" in found(body, STRICT)[0].text.en


def test_findings_stand_on_their_letter_and_the_envelopes_on_the_first() -> None:
    body = emessage(letter(letter_id="A"), letter(letter_id="B", district=("5000", "x" * 36)))
    body = changed("<m:Time>11:05</m:Time>", "<m:Time>11.05</m:Time>", body)
    first, second = check_structure(read_envelope(body, Limits()), ADVISE)
    assert [each.source_path for each in first] == ["/Emessage/Envelope/Sent/Time"]
    assert [each.source_path for each in second] == ["/Emessage/RehabilitationPlan[2]/Patient/DistrictName"]


def test_a_giant_of_faults_is_cut() -> None:
    excerpts = "<JournalExcerpt/>" * 2_000
    assert len(found(ggop(sections={"JournalExcerpt": excerpts}))) == MOST


def test_a_crowd_is_not_validated_one_by_one() -> None:
    (finding,) = found(ggop(sections={"JournalExcerpt": "<JournalExcerpt/>" * 40_000}))
    assert finding.text.en == "Differs from the schema: RehabilitationPlan has more than 5000 elements."
    assert found(ggop(sections={"JournalExcerpt": "<JournalExcerpt/>" * 40_000}), STRICT)[0].severity is Severity.ERROR


def test_no_finding_quotes_the_document() -> None:
    body = ggop(cpr="2512489996 hemmelig", level="hemmelig", end_text="hemmelig", district=("hemmelig 123", "hemmelig"))
    for schemas in (ADVISE, STRICT):
        findings = found(body, schemas)
        assert findings
        assert not re.search(r"hemmelig|2512", "".join(each.text.da + each.text.en for each in findings))


def test_what_is_no_plan_is_not_validated() -> None:
    unknown = read_envelope(changed("RehabilitationPlan>", "DischargeLetter>"), Limits())
    assert check_structure(unknown, STRICT) == ((),)
    assert check_structure(read_envelope(b"<a/>", Limits()), STRICT) == ()
    assert MSG_VERSION.rule in {
        each.rule for each in read_envelope(ggop(version="GGOP101"), Limits()).letters[0].findings
    }


# --- official schemas in our place ------------------------------------------------------------------------------------


def test_an_operator_drops_schemas_in(tmp_path: Path) -> None:
    entry = tmp_path / PLAN
    entry.parent.mkdir(parents=True)
    entry.write_text(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:oio:medcom:municipality:1.0.4">'
        '<xs:element name="Emessage" type="xs:int"/></xs:schema>'
    )
    assert found(ggop(), Schemas.load(tmp_path))[0].rule == "GOP-SCHEMA-01"
    assert found(ggop(), Schemas.load(tmp_path, "strict"))[0].rule == "GOP-SCHEMA-02"


def test_a_schema_that_does_not_compile_stops_the_start(tmp_path: Path) -> None:
    entry = tmp_path / EMAIL
    entry.parent.mkdir(parents=True)
    entry.write_text('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element type="x"/></xs:schema>')
    with pytest.raises(ConfigurationError, match=r"2006.07.01"):
        Schemas.load(tmp_path)
    entry.write_text("no schema at all")
    with pytest.raises(ConfigurationError, match="does not compile"):
        Schemas.load(tmp_path)


def test_the_official_folder_as_it_is(shared: Path) -> None:
    schemas = Schemas.load(shared / "data" / "xsd-official")
    assert found(EMAIL_SAMPLE.encode(), schemas) == []
    (finding,) = found(EMAIL_SAMPLE.replace("inaktiv", "hemmelig").encode(), schemas)
    assert finding.text.da == "Afviger fra skemaet: EpisodeOfCareStatusCode er ikke på listen."


# --- ours beside the official ones ------------------------------------------------------------------------------------

EMAIL_SAMPLE = (
    '<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2006/07/01/"><Envelope><Sent><Date>2026-11-06'
    "</Date><Time>11:05</Time></Sent><Identifier>KUV1</Identifier><AcknowledgementCode>pluspositivkvitt"
    "</AcknowledgementCode></Envelope><ClinicalEmail><Letter><Identifier>BRV1</Identifier><VersionCode>XD9134L"
    "</VersionCode><StatisticalCode>GGOP1</StatisticalCode><Authorisation><Date>2026-11-06</Date><Time>10:58</Time>"
    "</Authorisation><TypeCode>XDIS91</TypeCode><StatusCode>nytbrev</StatusCode></Letter><Sender><EANIdentifier>"
    "5790001354145</EANIdentifier><Identifier>4202360</Identifier><IdentifierCode>sygehusafdelingsnummer"
    "</IdentifierCode><OrganisationName>Testby Sygehus</OrganisationName></Sender><Receiver><EANIdentifier>"
    "5790000121441</EANIdentifier><Identifier>461</Identifier><IdentifierCode>kommunenummer</IdentifierCode></Receiver>"
    f"<Patient><CivilRegistrationNumber>{CPR}</CivilRegistrationNumber><PersonSurnameName>Berggren</PersonSurnameName>"
    "<PostCodeIdentifier>5000</PostCodeIdentifier><OccupancyText>Tømrer</OccupancyText><EpisodeOfCareStatusCode>inaktiv"
    "</EpisodeOfCareStatusCode></Patient><AdditionalInformation><Priority>rutine</Priority><Subject>Genoptræningsplan "
    "(almen)</Subject></AdditionalInformation><ClinicalInformation><Text01><Bold>Diagnoser</Bold><Break/>DM169<Space/>"
    "<FixedFont>Hofte<Italic>ledsartrose</Italic></FixedFont></Text01></ClinicalInformation><Reference><RefDescription>"
    "Se her</RefDescription><URL>http://example.org</URL></Reference></ClinicalEmail></Emessage>"
)
ORIGINAL = VansEnvelope(
    "5790001354145",
    "EAN",
    "5790000121441",
    "EAN",
    UUID,
    "2026-11-06T11:05:30",
    VansDocument(UUID, "XML", "MCM:GGOP1", "GGOP100", 4880),
)


def xctl(accepted: bool) -> str:
    """A receipt as we build it."""
    findings = (MSG_VERSION.at("version_code", expected="GGOP100", stated="GGOP101"),)
    answer = LetterAnswer(
        "BRV1", "GGOP100", accepted, None if accepted else "syntaksfejl", () if accepted else findings
    )
    code = AcknowledgementCode.OK if accepted else AcknowledgementCode.FATAL_ERROR
    ack = Acknowledgement(code, "5790001354145", "5790000121441", "KUV1", (answer, answer), True)
    return receipt_xml(ack, receipt_id="KVT1", letter_id="KVB1", sent_at=SENT).decode("iso-8859-1")


def vans(error: str | None) -> str:
    return vans_receipt(ORIGINAL, error=error, envelope_id=UUID, sent_at=SENT).decode()


def vans_around() -> str:
    payload = xctl(True).encode("iso-8859-1")
    names = {"name": "MCM:XCTL03", "version": "XC0330Q"}
    return vans_message(ORIGINAL, payload, **names, envelope_id=UUID, message_id=UUID, sent_at=SENT).decode()


DOCUMENTS: list[tuple[str, Callable[[], str]]] = [
    (RECEIPTS, lambda: xctl(True)),
    (RECEIPTS, lambda: xctl(False)),
    (RECEIPTS, lambda: re.sub("NegativeReceipt", "NegativeVansReceipt", xctl(False)).replace("XC0230Q", "XC0130Q")),
    (EMAIL, lambda: EMAIL_SAMPLE),
    (VANS, lambda: vans(None)),
    (VANS, lambda: vans("Dokumentet kan ikke valideres")),
    (VANS, vans_around),
]


def accepts(folder: Path, entry: str, xml: str) -> bool:
    schema = etree.XMLSchema(etree.parse(str(folder / entry)))
    return schema.validate(etree.fromstring(re.sub(r"^<\?xml.*?\?>", "", xml)))


@pytest.mark.parametrize(("entry", "document"), DOCUMENTS)
def test_ours_accept_what_the_official_ones_accept(shared: Path, entry: str, document: Callable[[], str]) -> None:
    assert accepts(shared / "data" / "xsd-official", entry, document())
    assert accepts(packaged("xsd"), entry, document())


@pytest.mark.parametrize("sample", ["xctl02-negative-receipt", "xctl03-positive-receipt"])
def test_ours_accept_the_sample_receipts(shared: Path, sample: str) -> None:
    xml = (shared / f"data/samples/{sample}.xml").read_text("iso-8859-1")
    assert accepts(packaged("xsd"), RECEIPTS, xml)


@pytest.mark.parametrize("sample", ["vans-message-ggop", "vans-receipt-negative", "vans-receipt-positive"])
def test_ours_accept_the_sample_envelopes(shared: Path, sample: str) -> None:
    assert accepts(packaged("xsd"), VANS, (shared / f"data/samples/{sample}.xml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("entry", "document", "old", "new"),
    [
        (RECEIPTS, lambda: xctl(True), "XC0330Q", "XC0230Q"),
        (RECEIPTS, lambda: xctl(True), "KVB1", "K" * 15),
        (RECEIPTS, lambda: xctl(True), "GGOP100", "GGOP1000"),
        (RECEIPTS, lambda: xctl(True), "minuspositivkvitt", "nej"),
        (RECEIPTS, lambda: xctl(True), "<Date>2026-11-06", "<Date>2026-11-06Z"),
        (RECEIPTS, lambda: xctl(True), "11:07", "11:07:00"),
        (RECEIPTS, lambda: xctl(True), "OriginalSender>", "OriginalParty>"),
        (RECEIPTS, lambda: xctl(False), "syntaksfejl", "fejl"),
        (RECEIPTS, lambda: xctl(False), "<RefuseText>", "<RefuseText><Bold>x</Bold>"),
        (RECEIPTS, lambda: xctl(False), "</NegativeReceipt>", "<TypeCode>XCTL02</TypeCode></NegativeReceipt>"),
        (EMAIL, lambda: EMAIL_SAMPLE, "XD9134L", "XD9133L"),
        (EMAIL, lambda: EMAIL_SAMPLE, "<StatusCode>nytbrev</StatusCode>", ""),
        (EMAIL, lambda: EMAIL_SAMPLE, "nytbrev", "annulleretbrev"),
        (EMAIL, lambda: EMAIL_SAMPLE, "<OrganisationName>Testby Sygehus</OrganisationName>", ""),
        (EMAIL, lambda: EMAIL_SAMPLE, "kommunenummer", "kommune"),
        (EMAIL, lambda: EMAIL_SAMPLE, CPR, "251248-9996"),
        (EMAIL, lambda: EMAIL_SAMPLE, "inaktiv", "ukendt"),
        (EMAIL, lambda: EMAIL_SAMPLE, "rutine", "haster"),
        (EMAIL, lambda: EMAIL_SAMPLE, "(almen)", "x" * 70),
        (EMAIL, lambda: EMAIL_SAMPLE, "<Bold>Diagnoser", "<Bold><Italic>x</Italic>Diagnoser"),
        (EMAIL, lambda: EMAIL_SAMPLE, "<Italic>", "<Italic><FixedFont/>"),
        (EMAIL, lambda: EMAIL_SAMPLE, "<URL>http://example.org</URL>", "<SUP>false</SUP>"),
        (EMAIL, lambda: EMAIL_SAMPLE, "<PostCodeIdentifier>5000", "<PostCodeIdentifier>"),
        (VANS, lambda: vans(None), UUID, "KUV1"),
        (VANS, lambda: vans(None), "<PositiveMessage>", "<PositiveMessage><Error/>"),
        (VANS, lambda: vans("Fejl"), "<Description>Fejl</Description>", ""),
        (VANS, lambda: vans("Fejl"), "NegativeMessage>", "NegativeLetter>"),
        (VANS, vans_around, 'EndPointType="EAN"', 'EndPointType="SOR"'),
        (VANS, vans_around, "<Format>XML", "<Format>JSON"),
        (VANS, vans_around, "<Data>", "<Data>A"),
        (VANS, vans_around, "<SizeInBytes>", "<SizeInBytes>x"),
    ],
)
def test_ours_refuse_what_the_official_ones_refuse(
    shared: Path, entry: str, document: Callable[[], str], old: str, new: str
) -> None:
    xml = document()
    assert old in xml
    mutant = xml.replace(old, new)
    assert not accepts(shared / "data" / "xsd-official", entry, mutant)
    assert not accepts(packaged("xsd"), entry, mutant)
