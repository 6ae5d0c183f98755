"""GGOP100 to a plan: the official sample whole, every fault of a value, and nothing dropped whatever stands there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ggop import NS100, NS104, Role, emessage, ggop, letter
from gtgateway.mappers.plan_from_medcom_xml import ROWS, plan_from_medcom_xml
from gtgateway.mappers.table import Mapped
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.message import LetterHead
from gtgateway.model.plan import (
    Address,
    CoAddress,
    Coded,
    Confidence,
    ContactDetails,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    HospitalControl,
    IcfClassification,
    JournalExcerpt,
    Level,
    LocalMoment,
    OtherContent,
    Party,
    Patient,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Relative,
    Telephone,
)
from gtgateway.parsers.envelope import ParsedLetter, read_envelope
from gtgateway.parsers.hardened import Limits

PLAN = "/Emessage/RehabilitationPlan"


def read(body: bytes, number: int = 0) -> Mapped:
    return plan_from_medcom_xml(read_envelope(body, Limits()).letters[number])


def plan_of(**changes: Any) -> RehabilitationPlan:
    return read(ggop(**changes)).plan


def rules(mapped: Mapped) -> list[str]:
    return [finding.rule for finding in mapped.findings]


def section(name: str, inner: str) -> dict[str, dict[str, str | None]]:
    return {"sections": {name: f"<{name}>{inner}</{name}>"}}


# --- the official sample (Appendix E 1) -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official(shared: Path) -> Mapped:
    return read((shared / "data" / "ggop-official-sample.xml").read_bytes())


def test_official_sample_leaves_nothing_over(official: Mapped) -> None:
    assert official.findings == ()
    assert official.plan.other == ()


def test_official_sample_letter_and_parties(official: Mapped) -> None:
    plan = official.plan
    assert (plan.plan_id, plan.statistical_code, plan.episode_of_care_id) == ("45249877239313", "GGOP2", None)
    assert plan.written_at == LocalMoment(date(2015, 3, 4), time(9, 26))
    assert plan.sender == Party(
        gln="5790001354145",
        identifiers=(Identifier(IdentifierKind.SHAK, "4202360"),),
        name="Odense Universitetshospital",
        department="Ortopædkirurgisk Afdeling",
        unit="Q",
        address=Address("Sdr. Boulevard 29", None, "Odense C", "5000"),
        telephone="+4566131372",
    )
    assert plan.author == Professional(
        "Ellinor", "Strøm", "Terapeut", telephone="+4566136421", department="Neurologisk Afdeling N2"
    )
    assert plan.co_authors == (
        Professional(
            "Peter",
            "Andresen",
            "Pedel",
            Identifier(IdentifierKind.AMT, "34"),
            "88 88 88 88",
            "Bygningsadministration",
        ),
    )
    assert plan.receiver == Party(
        gln="5790000121441",
        identifiers=(Identifier(IdentifierKind.KOMMUNEKODE, "461"),),
        name="Odense kommune",
        department="Hjemmeplejen",
        unit="Æbleblomsten",
        address=Address("Flakhaven 2", None, "Odense C", "5000"),
    )
    assert plan.gp == Party(
        gln="5790002012274",
        identifiers=(Identifier(IdentifierKind.YDERNUMMER, "024015"),),
        name="Arta Masoumi",
        department="Almen Lægehjælp",
        address=Address("Slotsbryggen 18", None, "Nykøbing Falster", "5120"),
    )
    copy = Party(
        gln="5790002012276",
        identifiers=(Identifier(IdentifierKind.YDERNUMMER, "037974"),),
        name="Arne Agertoft & Hanne Petersen",
    )
    assert plan.gp_deselected is False
    assert plan.copy_receivers == (copy,)
    assert plan.final_result_receivers == (copy,)
    assert plan.final_result_deselected is False
    assert plan.contact_region == Party(
        gln="57001231231",
        department="Region Øst",
        address=Address("Hovedvej 10", None, "Østerslev", "5678"),
        telephone="88 88 88 88",
    )
    assert plan.contact_municipality == Party(
        department="Odder kommune", address=Address("Dæmningvej 10", None, "Søby", "1234"), telephone="88 88 88 88"
    )


def test_official_sample_patient_and_relatives(official: Mapped) -> None:
    number = "+4523321234"
    assert official.plan.patient == Patient(
        identifier=Cpr("2512484916"),
        family="Ann Berggren",
        given="Nancy",
        address=Address("Hindbærvej 23", "Hjallese", "Odense S", "5260"),
        occupation="Tømrer",
        contact=ContactDetails(
            (Telephone(number, "mobil"), Telephone(number, "fastnet"), Telephone(number, "arbejde")),
            email="nancy@berggren.dk",
        ),
        co_address=CoAddress("Andersen", "Rosa", Address("Skovgård 3", "Hjallese", "Odense SØ", "5220")),
    )
    assert official.plan.relatives == (
        Relative(
            "aegtefaelle",
            "Petersen",
            "Irene",
            Address("Hindbærvej 23", "Hjallese", "Odense S", "5260"),
            ContactDetails(
                (
                    Telephone("+4565335376", "fastnet"),
                    Telephone("+4565335375", "arbejde"),
                    Telephone("+4565335374", "mobil"),
                ),
                email="irene_p12@gmail.com",
            ),
        ),
        Relative("uspec_paaroerende", "Jensen", "Mads", Address("Hindbærvej 21", "Hjallese", "Odense S", "5260")),
    )


def test_official_sample_plan_and_stay(official: Mapped) -> None:
    plan = official.plan
    assert (plan.level, plan.level_stated, plan.plan_type) == (
        Level.SPECIALISERET,
        "specialiseret",
        PlanType.GENOPTRAENING,
    )
    assert (plan.consent.given, plan.consent.stated) == (True, "ja")
    assert plan.hospital_contact == HospitalContact(
        LocalMoment(date(2014, 12, 13), time(12, 34)), LocalMoment(date(2014, 12, 20), time(13, 45))
    )
    assert (plan.discharged_on, plan.discharge_read_from_text) == (date(2014, 12, 20), False)
    assert plan.control == HospitalControl(
        LocalMoment(date(2014, 12, 20), time(13, 45)),
        location=Party(
            gln="5790002012272",
            identifiers=(Identifier(IdentifierKind.REGIONSKODE, "465"),),
            name="Region Syddanmark",
            department="Ældrecenter ØST",
            unit="Grøn stue",
            address=Address("Gyvelbakken 13", "Voldsmose", "Odense NØ", "5120"),
        ),
    )


def test_official_sample_texts(official: Mapped) -> None:
    plan = official.plan
    free = FormattedText("Fri tekst", "Fri tekst")
    assert plan.information_for_patient == free
    assert plan.practical_information == free
    assert plan.patient_safety == free
    assert plan.start_deadline.text == free
    assert plan.start_deadline.confidence is Confidence.NONE
    assert plan.health_summary == free
    assert plan.function_at_discharge == free
    assert plan.rehabilitation_need == free
    assert plan.function_extended is not None
    lines = plan.function_extended.plain.split("\n")
    assert lines[:3] == ["8a. Kroppens funktioner og anatomi", "- Mentale funktioner", ""]
    assert "- Kardiovaskulære, hæmatologiske, immunologiske og respiratoriske funktioner" in lines
    assert plan.function_extended.html.startswith(
        "<strong>8a. Kroppens funktioner og anatomi</strong><br><em>- Mentale funktioner</em><br><br>"
    )
    preben, karl = Professional("Preben", "Elkjær", "Prof. med."), Professional("Karl", "Møller", "Doktor Psyk")
    ended = FormattedText("Fri tekst\n", "Fri tekst<br>")
    last = "Skrevet af: Alm med 1. reservelæge Bjarne Goldbæk den 27. februar 2013"
    assert plan.journal_excerpts == (
        JournalExcerpt("Tilbud om kage", ended, preben, date(2012, 3, 23)),
        JournalExcerpt("Uddrag af operationsbeskrivelse", ended, preben, date(2012, 3, 23)),
        JournalExcerpt("Uddrag af journalnotat neurologisk tilsyn", ended, karl, date(2013, 5, 31)),
        JournalExcerpt("Uddrag uden struktur", FormattedText(f"Fri tekst\n{last}", f"Fri tekst<br>{last}")),
    )


def test_official_sample_codes_team_and_reference(official: Mapped) -> None:
    plan = official.plan
    assert plan.diagnoses == (
        DiagnosisGroup(
            Coded("DC189", "ICD10kode", "Kræft i tyktarmen"), (Coded("DS720", "ICD10kode", "Fraktur af lårbenshals"),)
        ),
    )
    icf = Coded("FB799", "ICFKode", "Funktioner relateret til bevægeapparat uden specifikation")
    assert plan.icf == (IcfClassification(icf, icf), IcfClassification(icf, icf))
    assert [member.name for member in plan.care_team] == [
        "Ellinor Strøm",
        "Arne Bævermose",
        "Trine Lund",
        "Vagn Andersen",
        "Ole Vedel",
    ]
    assert plan.care_team[0].identifier == Identifier(IdentifierKind.AMT, "34")
    assert plan.references == (Reference("Se de gældende anbefalinger her", "url", "http://sundhedsstyrelsen.dk"),)


def test_official_sample_trace(official: Mapped) -> None:
    locate = official.trace.locate
    assert locate("level") == (f"{PLAN}/TypeOfRehabilitationPlan", 147)
    assert locate("patient.identifier") == (f"{PLAN}/Patient/CivilRegistrationNumber", 84)
    assert locate("journal_excerpts[1].comment") == (f"{PLAN}/JournalExcerpt[2]/Comment", 279)
    assert locate("patient.contact.telephones[2].kind") == (
        f"{PLAN}/Patient/TelephoneSubscriber[3]/TelephoneSubscriberCode",
        102,
    )
    assert locate("diagnoses[0].secondary[0].code")[0] == (
        f"{PLAN}/ICD10Diagnoses/ICD10Diagnose/SecondaryDiagnosis/Code"
    )
    assert locate("discharged_on") == (f"{PLAN}/CurrentHospitalContact/ExpectedEnd/Date", 159)


def test_a_missing_field_is_located_where_it_belongs() -> None:
    trace = read(ggop(consent=None, discharged=None, sections={"PatientSafetyAspects": None})).trace
    root = trace.root_line
    assert trace.locate("consent.given") == (f"{PLAN}/ConsentInformed", root)
    assert trace.locate("consent") == (f"{PLAN}/ConsentInformed", root)
    assert trace.locate("patient_safety") == (f"{PLAN}/PatientSafetyAspects", root)
    assert trace.locate("discharged_on") == (f"{PLAN}/CurrentHospitalContact/ExpectedEnd/Date", root)
    assert trace.locate("relatives") == (f"{PLAN}/Relatives/Relative", root)
    # What is missing belongs in an element that the sender did write: its line, as far as something was read in it.
    assert trace.locate("chosen_hospital") == (f"{PLAN}/Receiver", trace.locate("receiver.gln")[1])


def test_the_second_letter_has_its_own_paths_and_lines() -> None:
    body = emessage(letter(letter_id="A"), letter(letter_id="B", level="rehabilitering"))
    mapped = read(body, 1)
    path, line = mapped.trace.locate("level")
    assert mapped.plan.level is Level.REHABILITERING
    assert path == "/Emessage/RehabilitationPlan[2]/TypeOfRehabilitationPlan"
    assert line is not None
    assert "rehabilitering" in body.decode().splitlines()[line - 1]


def test_the_builder_of_samples_is_read_without_a_word() -> None:
    mapped = read(ggop(gp=Role("5790000121526", "024015", "ydernummer"), copies=[Role("5790001998486", "751")]))
    assert mapped.findings == ()
    assert mapped.plan.other == ()
    assert mapped.plan.gp == Party("5790000121526", (Identifier(IdentifierKind.YDERNUMMER, "024015"),))


# --- type of plan (Appendix E 3) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word, level, plan_type, suggestion",
    [
        ("almen", Level.ALMEN, PlanType.GENOPTRAENING, None),
        ("ALMINDELIG", Level.ALMEN, PlanType.GENOPTRAENING, None),
        ("Specialiseret", Level.SPECIALISERET, PlanType.GENOPTRAENING, None),
        ("rehabilitering", Level.REHABILITERING, PlanType.GENOPTRAENING, None),
        ("specialiseret rehabilitering", Level.REHABILITERING, PlanType.GENOPTRAENING, None),
        ("basal", Level.ALMEN, PlanType.GENOPTRAENING, "basal"),
        ("basalt", Level.ALMEN, PlanType.GENOPTRAENING, "basal"),
        ("Avanceret", Level.ALMEN, PlanType.GENOPTRAENING, "avanceret"),
        ("Egentræning", None, PlanType.EGENTRAENING, None),
        ("egentraening", None, PlanType.EGENTRAENING, None),
        ("vidtgående", None, PlanType.GENOPTRAENING, None),
    ],
)
def test_type_of_plan(word: str, level: Level | None, plan_type: PlanType, suggestion: str | None) -> None:
    mapped = read(ggop(level=word))
    plan = mapped.plan
    assert (plan.level, plan.plan_type, plan.hospital_suggestion) == (level, plan_type, suggestion)
    assert plan.level_stated == word
    assert mapped.findings == ()
    assert mapped.trace.locate("level")[0] == f"{PLAN}/TypeOfRehabilitationPlan"
    assert mapped.trace.locate("level")[1] != mapped.trace.root_line


# --- patient (Appendix E 4) -------------------------------------------------------------------------------------------


def test_a_replacement_number_is_kept_apart_from_a_cpr_number() -> None:
    assert plan_of(replacement="010190ABCD").patient.identifier == ReplacementNumber("010190ABCD")
    assert plan_of(cpr="2911829996").patient.identifier == Cpr("2911829996")


@pytest.mark.parametrize("stated", ["251248-9996", "9912489996", "123"])
def test_an_impossible_cpr_number_is_kept_as_stated(stated: str) -> None:
    mapped = read(ggop(cpr=stated))
    assert mapped.plan.patient.identifier == Cpr(stated)
    assert mapped.findings == ()


def test_both_branches_of_a_choice() -> None:
    """The first decides; the other is kept."""
    inner = (
        "<m:CivilRegistrationNumber>2512489996</m:CivilRegistrationNumber>"
        "<m:AlternativeIdentifier>010190ABCD</m:AlternativeIdentifier>"
    )
    mapped = read(ggop(**section("Patient", inner)))
    assert mapped.plan.patient.identifier == Cpr("2512489996")
    assert mapped.plan.other == (OtherContent(f"{PLAN}/Patient/AlternativeIdentifier", "010190ABCD"),)
    assert rules(mapped) == ["GOP-SCHEMA-06"]


# --- namespaces and order (Appendix E 5, 6) ---------------------------------------------------------------------------


def test_namespace_slips_are_read_and_named() -> None:
    body = ggop()
    for right, wrong in (
        (b"<m:PersonSurnameName>Berggren</m:PersonSurnameName>", b"<PersonSurnameName>Berggren</PersonSurnameName>"),
        (
            b"<IdentifierCode>sygehusafdelingsnummer</IdentifierCode>",
            b"<m:IdentifierCode>sygehusafdelingsnummer</m:IdentifierCode>",
        ),
        (b"<m:Date>2026-11-06</m:Date><m:Time>10:58</m:Time>", b"<Date>2026-11-06</Date><Time>10:58</Time>"),
        (b"</Start><ExpectedEnd><Date>2026-11-06</Date>", b"</Start><ExpectedEnd><m:Date>2026-11-06</m:Date>"),
        (b"<m:Bold>8a.", b"<Bold>8a."),
        (b"anatomi</m:Bold>", b"anatomi</Bold>"),
    ):
        assert body.count(right) == 1
        body = body.replace(right, wrong)
    mapped = read(body)
    assert mapped.plan == plan_of()
    assert [(finding.rule, finding.source_path) for finding in mapped.findings] == [
        ("GOP-SCHEMA-04", f"{PLAN}/Letter/Authorisation/Date"),
        ("GOP-SCHEMA-04", f"{PLAN}/Letter/Authorisation/Time"),
        ("GOP-SCHEMA-04", f"{PLAN}/Sender/IdentifierCode"),
        ("GOP-SCHEMA-04", f"{PLAN}/Patient/PersonSurnameName"),
        ("GOP-SCHEMA-04", f"{PLAN}/CurrentHospitalContact/ExpectedEnd/Date"),
        ("GOP-SCHEMA-04", f"{PLAN}/AbilityAtDischargeExtended"),
    ]
    assert all("navnerum" in finding.text.da for finding in mapped.findings)


def test_a_slip_that_repeats_is_told_once() -> None:
    member = "<Member><m:PersonGivenName>Ole</m:PersonGivenName></Member>"
    mapped = read(ggop(**section("HealthCareTeam", member + member)))
    assert mapped.plan.care_team == (Professional("Ole"), Professional("Ole"))
    assert [finding.source_path for finding in mapped.findings] == [f"{PLAN}/HealthCareTeam/Member/PersonGivenName"]
    slips = read(ggop(**section("PatientSafetyAspects", "a<Break/><Break/><Bold>b</Bold>")))
    assert slips.plan.patient_safety == FormattedText("a\n\nb", "a<br><br><strong>b</strong>")
    assert [finding.text.en.split()[0] for finding in slips.findings] == ["Break", "Bold"]


def test_thousands_of_strange_elements_are_told_once_and_take_no_time() -> None:
    """Each stays readable; counting the siblings of every one of them would take minutes."""
    code = "<SecondaryDiagnosis><{0}>x{1}</{0}></SecondaryDiagnosis>"
    many = "".join(code.format(name, number) for number in range(6000) for name in ("Text", "Code"))
    mapped = read(
        ggop(
            more="".join(f'<Extra a="b{number}">c{number}</Extra>' for number in range(6000)),
            **section("ICD10Diagnoses", f"<ICD10Diagnose>{many}</ICD10Diagnose>"),
        )
    )
    assert len(mapped.plan.other) == 18_000
    assert mapped.plan.other[-1] == OtherContent(f"{PLAN}/Extra[6000]/@a", "b5999")
    structure = [finding.source_path for finding in mapped.findings if finding.rule == "GOP-SCHEMA-05"]
    assert structure == [f"{PLAN}/Extra", f"{PLAN}/Extra/@a"]


def test_any_order_reads_the_same() -> None:
    tree = etree.fromstring(ggop())
    plan = tree[1]
    for child in reversed(list(plan)):
        plan.append(child)
    assert read(etree.tostring(tree)).plan == plan_of()


# --- diagnoses (Appendix E 7) -----------------------------------------------------------------------------------------


def _code(name: str, code: str, system: str = "ICD10kode") -> str:
    return f"<{name}><Code>{code}</Code><TypeCode>{system}</TypeCode></{name}>"


def test_no_diagnoses_and_only_free_text() -> None:
    assert plan_of(sections={"ICD10Diagnoses": None}).diagnoses == ()
    plan = plan_of(**section("ICD10Diagnoses", "<Text>Brækket hofte</Text><Text>Svimmelhed</Text>"))
    assert plan.diagnoses == ()
    assert plan.diagnosis_texts == ("Brækket hofte", "Svimmelhed")


def test_a_primary_and_ten_secondary_diagnoses() -> None:
    codes = [f"DS7{number:02}" for number in range(10)]
    inner = "".join(_code("SecondaryDiagnosis", code, "icd10kode") for code in codes)
    mapped = read(
        ggop(
            **section(
                "ICD10Diagnoses",
                f"<ICD10Diagnose>{_code('PrimaryDiagnosis', 'DM169', 'SKSdiagnosekode')}{inner}</ICD10Diagnose>",
            )
        )
    )
    assert mapped.findings == ()
    assert mapped.plan.primary_diagnosis == Coded("DM169", "SKSdiagnosekode")
    assert [code.code for code in mapped.plan.all_diagnoses] == ["DM169", *codes]
    assert mapped.trace.locate("diagnoses[0].secondary[9].code")[0] == (
        f"{PLAN}/ICD10Diagnoses/ICD10Diagnose/SecondaryDiagnosis[10]/Code"
    )


def test_odd_codes_are_kept_as_stated_and_named() -> None:
    first = f"<ICD10Diagnose>{_code('PrimaryDiagnosis', 'M16.9')}{_code('SecondaryDiagnosis', 'DS720')}</ICD10Diagnose>"
    second = f"<ICD10Diagnose>{_code('PrimaryDiagnosis', 'ds720')}{_code('SecondaryDiagnosis', 'X', 'ICPC')}"
    mapped = read(ggop(**section("ICD10Diagnoses", f"{first}{second}</ICD10Diagnose>")))
    assert [code.code for code in mapped.plan.all_diagnoses] == ["M16.9", "DS720", "ds720", "X"]
    assert [(finding.rule, finding.path) for finding in mapped.findings] == [
        ("GOP-MAP-03", "diagnoses[1].secondary[0].system"),
        ("GOP-MAP-04", "diagnoses[0].primary.code"),
        ("GOP-MAP-04", "diagnoses[1].primary.code"),
        ("GOP-MAP-08", "diagnoses[1].primary.code"),
    ]
    assert mapped.findings[1].source_path == f"{PLAN}/ICD10Diagnoses/ICD10Diagnose/PrimaryDiagnosis/Code"
    assert mapped.findings[3].source_path == f"{PLAN}/ICD10Diagnoses/ICD10Diagnose[2]/PrimaryDiagnosis/Code"


def test_a_diagnosis_without_a_code_stays_readable() -> None:
    inner = "<ICD10Diagnose><SecondaryDiagnosis><Text>Svimmel</Text></SecondaryDiagnosis>"
    mapped = read(ggop(**section("ICD10Diagnoses", f"{inner}{_code('SecondaryDiagnosis', 'DS720')}</ICD10Diagnose>")))
    path = f"{PLAN}/ICD10Diagnoses/ICD10Diagnose/SecondaryDiagnosis"
    assert mapped.plan.all_diagnoses == (Coded("DS720", "ICD10kode"),)
    assert mapped.plan.other == (OtherContent(f"{path}/Text", "Svimmel"),)
    assert mapped.trace.locate("diagnoses[0].secondary[0].code")[0] == f"{path}[2]/Code"


# --- deadline (Appendix E 8) ------------------------------------------------------------------------------------------


def test_deadline_texts_move_a_clock_only_when_certain() -> None:
    certain = plan_of(deadline="senest 14.03.2027").start_deadline
    assert (certain.latest, certain.earliest, certain.confidence) == (date(2027, 3, 14), None, Confidence.HIGH)
    assert certain.text == FormattedText("senest 14.03.2027", "senest 14.03.2027")
    counted = plan_of(deadline="tidligst om 6 uger").start_deadline
    assert (counted.earliest, counted.deferral_stated) == (date(2026, 12, 18), True)
    vague = plan_of(deadline="hurtigst muligt").start_deadline
    assert (vague.latest, vague.earliest) == (None, None)
    assert vague.confidence is not Confidence.HIGH
    assert plan_of(**section("RehabilitationDeadline", "")).start_deadline.text is None


def test_a_deadline_is_counted_from_a_discharge_read_in_text() -> None:
    plan = plan_of(end_text="Forventes udskrevet d. 6. november 2026", deadline="tidligst om 6 uger")
    assert plan.start_deadline.earliest == date(2026, 12, 18)


# --- the stay (Appendix E 9) ------------------------------------------------------------------------------------------


def test_a_certain_date_in_the_end_text_is_the_discharge() -> None:
    mapped = read(ggop(end_text="Forventes udskrevet d. 20. december 2027 kl. 10"))
    assert (mapped.plan.discharged_on, mapped.plan.discharge_read_from_text) == (date(2027, 12, 20), True)
    assert mapped.plan.hospital_contact is not None
    assert mapped.plan.hospital_contact.expected_end_text == "Forventes udskrevet d. 20. december 2027 kl. 10"
    assert mapped.trace.locate("discharged_on")[0] == f"{PLAN}/CurrentHospitalContact/ExpectedEndText"


def test_a_vague_end_text_is_no_discharge() -> None:
    plan = plan_of(end_text="ultimo måneden")
    assert (plan.discharged_on, plan.discharge_read_from_text) == (None, False)


def test_end_before_start() -> None:
    inner = "<Start><Date>2026-11-06</Date>{}</Start><ExpectedEnd><Date>{}</Date>{}</ExpectedEnd>"
    early = read(ggop(**section("CurrentHospitalContact", inner.format("", "2026-11-05", ""))))
    assert rules(early) == ["GOP-MAP-06"]
    assert early.findings[0].source_path == f"{PLAN}/CurrentHospitalContact/ExpectedEnd/Date"
    assert early.plan.discharged_on == date(2026, 11, 5)
    clocks = ("<Time>10:00</Time>", "2026-11-06", "<Time>09:59</Time>")
    assert rules(read(ggop(**section("CurrentHospitalContact", inner.format(*clocks))))) == ["GOP-MAP-06"]
    same_day = read(ggop(**section("CurrentHospitalContact", inner.format("<Time>10:00</Time>", "2026-11-06", ""))))
    assert rules(same_day) == []


def test_no_hospital_contact() -> None:
    plan = plan_of(sections={"CurrentHospitalContact": None})
    assert (plan.hospital_contact, plan.discharged_on) == (None, None)


@pytest.mark.parametrize("stated", ["06.11.2026", "2026-13-01", "2026-11-06T10:00", "i dag"])
def test_a_date_that_cannot_be_read_is_shown(stated: str) -> None:
    inner = f"<Start><Date>2026-11-01</Date></Start><ExpectedEnd><Date>{stated}</Date><Time>13:00</Time></ExpectedEnd>"
    mapped = read(ggop(**section("CurrentHospitalContact", inner)))
    path = f"{PLAN}/CurrentHospitalContact/ExpectedEnd"
    assert mapped.plan.discharged_on is None
    assert mapped.plan.hospital_contact == HospitalContact(LocalMoment(date(2026, 11, 1)))
    assert mapped.plan.other == (OtherContent(f"{path}/Date", stated), OtherContent(f"{path}/Time", "13:00"))
    assert [(finding.rule, finding.source_path) for finding in mapped.findings] == [("GOP-MAP-01", f"{path}/Date")]
    assert stated in mapped.findings[0].text.da


def test_a_date_with_a_time_zone_is_that_day() -> None:
    inner = "<ExpectedEnd><Date>2026-11-06+01:00</Date></ExpectedEnd>"
    assert plan_of(**section("CurrentHospitalContact", inner)).discharged_on == date(2026, 11, 6)


def test_a_time_that_cannot_be_read_leaves_the_date() -> None:
    inner = "<Start><Date>2026-11-01</Date><Time>kl. 8</Time></Start>"
    mapped = read(ggop(**section("CurrentHospitalContact", inner)))
    assert mapped.plan.hospital_contact == HospitalContact(LocalMoment(date(2026, 11, 1)))
    assert rules(mapped) == ["GOP-MAP-02"]
    assert mapped.plan.other == (OtherContent(f"{PLAN}/CurrentHospitalContact/Start/Time", "kl. 8"),)


# --- receivers (Appendix E 10) ----------------------------------------------------------------------------------------


def test_gp_copy_missing_deselected_or_named() -> None:
    missing = plan_of(sections={"GPCCReceiver": None})
    assert (missing.gp, missing.gp_deselected) == (None, False)
    deselected = plan_of()
    assert (deselected.gp, deselected.gp_deselected) == (None, True)
    named = plan_of(gp=Role("5790000121526", "024015", "ydernummer", "Lægehuset"))
    assert named.gp_deselected is False
    assert named.gp == Party("5790000121526", (Identifier(IdentifierKind.YDERNUMMER, "024015"),), "Lægehuset")


def test_five_receivers_of_the_final_result() -> None:
    roles = [Role("5790000121526", f"02401{number}", "ydernummer") for number in range(5)]
    plan = plan_of(
        **section("FinalResult", "".join(f"<ResultReceiver>{role.xml()}</ResultReceiver>" for role in roles))
    )
    assert [party.identifier(IdentifierKind.YDERNUMMER) for party in plan.final_result_receivers] == [
        role.number for role in roles
    ]
    assert plan_of().final_result_deselected is True


@pytest.mark.parametrize(
    "word, kind",
    [
        ("sygehusafdelingsnummer", IdentifierKind.SHAK),
        ("Kommunenummer", IdentifierKind.KOMMUNEKODE),
        ("ydernummer", IdentifierKind.YDERNUMMER),
        ("region", IdentifierKind.REGIONSKODE),
        ("lokationsnummer", IdentifierKind.GLN),
        ("sorkode", IdentifierKind.SOR),
        ("amt", IdentifierKind.AMT),
    ],
)
def test_kinds_of_identifier(word: str, kind: IdentifierKind) -> None:
    mapped = read(ggop(copies=[Role("5790000121526", "1234", word)]))
    assert mapped.plan.copy_receivers[0].identifiers == (Identifier(kind, "1234"),)
    assert mapped.findings == ()


def test_an_unknown_or_missing_kind_of_identifier() -> None:
    mapped = read(ggop(copies=[Role("5790000121526", "1234", "CVR")]))
    assert mapped.plan.copy_receivers[0].identifiers == (Identifier(IdentifierKind.OTHER, "1234", "CVR"),)
    assert [(finding.rule, finding.path) for finding in mapped.findings] == [
        ("GOP-MAP-03", "copy_receivers[0].identifiers[0].kind")
    ]
    assert "CVR" in mapped.findings[0].text.da
    assert "IdentifierCode" in mapped.findings[0].text.da
    bare = plan_of(**section("ContactCounty", "<m:Identifier>77</m:Identifier>"))
    assert bare.contact_region == Party(identifiers=(Identifier(IdentifierKind.OTHER, "77"),))


# --- codes that are not known -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("word, given", [("ja", True), ("JA", True), ("Nej", False), ("måske", None)])
def test_consent(word: str, given: bool | None) -> None:
    mapped = read(ggop(consent=word))
    assert (mapped.plan.consent.given, mapped.plan.consent.stated) == (given, word)
    assert rules(mapped) == ([] if given is not None else ["GOP-MAP-03"])


def test_unknown_relation_and_telephone_kind_are_kept() -> None:
    inner = (
        "<Relative><m:RelationCode>kusine</m:RelationCode><TelephoneSubscriber><m:TelephoneSubscriberIdentifier>1"
        "</m:TelephoneSubscriberIdentifier><TelephoneSubscriberCode>fax</TelephoneSubscriberCode></TelephoneSubscriber>"
        "</Relative>"
    )
    mapped = read(ggop(**section("Relatives", inner)))
    assert mapped.plan.relatives == (Relative("kusine", contact=ContactDetails((Telephone("1", "fax"),))),)
    assert [(finding.rule, finding.path) for finding in mapped.findings] == [
        ("GOP-MAP-03", "relatives[0].relation"),
        ("GOP-MAP-03", "relatives[0].contact.telephones[0].kind"),
    ]


# --- texts ------------------------------------------------------------------------------------------------------------


def test_markup_written_as_text_is_shown_as_text() -> None:
    mapped = read(ggop(need="Gang&balance<Break/>og trapper"))
    assert mapped.plan.rehabilitation_need == FormattedText(
        "Gang&balance<Break/>og trapper", "Gang&amp;balance&lt;Break/&gt;og trapper"
    )
    assert [(finding.rule, finding.path) for finding in mapped.findings] == [("GOP-MAP-05", "rehabilitation_need")]
    assert "<Break/>" in mapped.findings[0].text.da
    assert rules(read(ggop(need="Smerter < 3 og > 1, <BMI>"))) == []


def test_unknown_elements_in_a_text_keep_their_words() -> None:
    mapped = read(ggop(**section("PracticalInformation", "Tolk: <Sprog>tysk</Sprog>, kørsel")))
    assert mapped.plan.practical_information == FormattedText("Tolk: tysk, kørsel", "Tolk: tysk, kørsel")
    assert rules(mapped) == ["GOP-SCHEMA-05"]


def test_formatting_in_a_plain_field_keeps_its_words() -> None:
    plan = plan_of(**section("ICD10Diagnoses", "<Text>Brud <m:Bold>hofte</m:Bold><m:Break/>venstre</Text>"))
    assert plan.diagnosis_texts == ("Brud hofte\nvenstre",)


def test_every_kind_of_reference() -> None:
    inner = "<Reference><RefDescription>{}</RefDescription>{}</Reference>"
    xml = (
        inner.format("Vejledning", "<URL>https://example.dk/?a=1&amp;b=2</URL>")
        + inner.format("Beskrivelse", "<SUP>true</SUP>")
        + inner.format("Billede", '<BIN>a &lt;<x xmlns="urn:b" y="1">iVBO</x></BIN>')
        + inner.format("Uden indhold", "<URL/>")
    )
    mapped = read(ggop(sections={"Reference": xml}))
    assert mapped.plan.references == (
        Reference("Vejledning", "url", "https://example.dk/?a=1&b=2"),
        Reference("Beskrivelse", "sup", "true"),
        Reference(
            "Billede", "bin", 'a &lt;<x xmlns="urn:b" xmlns:m="urn:oio:medcom:municipality:1.0.0" y="1">iVBO</x>'
        ),
    )
    assert OtherContent(f"{PLAN}/Reference[4]/RefDescription", "Uden indhold") in mapped.plan.other


# --- nothing is dropped -----------------------------------------------------------------------------------------------


def test_unknown_elements_attributes_and_stray_text_are_kept() -> None:
    mapped = read(
        ggop(
            more='<Extra><A>et</A><B>to</B></Extra><Tom/><TypeOfPlan kode="7"/>',
            **section("HealthCareTeam", '<Member note="vikar">hej<PersonGivenName>Ole</PersonGivenName>dér</Member>'),
        )
    )
    member = f"{PLAN}/HealthCareTeam/Member"
    assert mapped.plan.care_team == (Professional("Ole"),)
    assert mapped.plan.other == (
        OtherContent(f"{member}/text()", "hej\ndér"),
        OtherContent(f"{PLAN}/Extra", "et\nto"),
        OtherContent(f"{member}/@note", "vikar"),
        OtherContent(f"{PLAN}/TypeOfPlan/@kode", "7"),
    )
    assert [(finding.rule, finding.source_path, finding.path) for finding in mapped.findings] == [
        ("GOP-SCHEMA-05", f"{member}/text()", "other[0]"),
        ("GOP-SCHEMA-05", f"{PLAN}/Extra", "other[1]"),
        ("GOP-SCHEMA-05", f"{PLAN}/Tom", "other"),
        ("GOP-SCHEMA-05", f"{PLAN}/TypeOfPlan", "other"),
        ("GOP-SCHEMA-05", f"{member}/@note", "other[2]"),
        ("GOP-SCHEMA-05", f"{PLAN}/TypeOfPlan/@kode", "other[3]"),
    ]


def test_a_repeated_single_element_is_kept_whole() -> None:
    gln = "<m:EANIdentifier>5790000121441</m:EANIdentifier>"
    xml = f"<Receiver>{gln}<m:OrganisationName>En</m:OrganisationName></Receiver>"
    mapped = read(
        ggop(sections={"Receiver": xml + xml.replace("En", "To")}, more="<ConsentInformed>nej</ConsentInformed>")
    )
    assert mapped.plan.receiver == Party("5790000121441", name="En")
    assert (mapped.plan.consent.given, mapped.plan.consent.stated) == (True, "ja")
    assert mapped.plan.other == (
        OtherContent(f"{PLAN}/Receiver[2]", "5790000121441\nTo"),
        OtherContent(f"{PLAN}/ConsentInformed[2]", "nej"),
    )
    assert rules(mapped) == ["GOP-SCHEMA-06", "GOP-SCHEMA-06"]


def test_words_in_an_element_that_should_be_empty_are_kept() -> None:
    mapped = read(ggop(**section("GPCCReceiver", "<Deselected>efter aftale</Deselected>")))
    assert mapped.plan.gp_deselected is True
    assert mapped.plan.other == (OtherContent(f"{PLAN}/GPCCReceiver/Deselected", "efter aftale"),)


def test_repeated_containers_of_lists_are_read_together() -> None:
    relatives = "<Relatives><Relative><m:PersonGivenName>{}</m:PersonGivenName></Relative></Relatives>"
    mapped = read(ggop(sections={"Relatives": relatives.format("Otto") + relatives.format("Ida")}))
    assert [relative.given for relative in mapped.plan.relatives] == ["Otto", "Ida"]
    assert mapped.trace.locate("relatives[1].given")[0] == f"{PLAN}/Relatives[2]/Relative/PersonGivenName"


def test_no_plan_at_all() -> None:
    assert _read_tree(etree.fromstring(f'<RehabilitationPlan xmlns="{NS104}"/>')).plan == RehabilitationPlan()


def _read_tree(element: etree._Element) -> Mapped:
    return plan_from_medcom_xml(ParsedLetter(LetterHead("", "", ""), element, "", "/RehabilitationPlan", 1))


KNOWN: dict[str, Any] = {}
for each_row in ROWS:
    here = KNOWN
    for step in each_row.source.split("/"):
        here = here.setdefault(step.removesuffix("[]").rpartition(":")[2], {})

WORDS = st.sampled_from(
    ["", " ", "ja", "nej", "almen", "2026-11-06", "08:15", "kommunenummer", "ICD10kode", "DM169", "<Break/>", "x \n"]
)


@st.composite
def trees(draw: st.DrawFn, name: str, below: dict[str, Any], counter: Iterator[int], depth: int = 5) -> etree._Element:
    """A tree of known and unknown elements in any namespace and order, a word of its own in many places."""
    element = etree.Element(f"{{{draw(st.sampled_from((NS104, NS100, 'urn:x')))}}}{name}")
    element.text = _word(draw, counter)
    if draw(st.integers(0, 9)) == 0:
        element.set("extra", _word(draw, counter))
    names = st.sampled_from([*below, "Unknown", "Bold", "Break"])
    for child_name in draw(st.lists(names, max_size=4 if depth else 0)):
        child = draw(trees(child_name, below.get(child_name, {}), counter, depth - 1))
        child.tail = _word(draw, counter)
        element.append(child)
    return element


def _word(draw: st.DrawFn, counter: Iterator[int]) -> str:
    return f"w{next(counter)}w" if draw(st.booleans()) else draw(WORDS)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_tree_raises_and_no_word_is_dropped(data: st.DataObject) -> None:
    tree = data.draw(trees("RehabilitationPlan", KNOWN, iter(range(1, 10**6))))
    mapped = _read_tree(tree)
    for head in tree.iter("{*}VersionCode", "{*}TypeCode"):  # the letter's head holds these
        if etree.QName(head.getparent()).localname == "Letter":
            head.text = None
            for child in list(head):
                head.remove(child)
    patient = mapped.plan.patient.identifier
    kept = repr(mapped.plan) + (patient.reveal() if patient else "")
    said = [*tree.itertext(), *(value for element in tree.iter() for value in element.attrib.values())]
    for word in (word for text in said for word in str(text).split() if word.endswith("w")):
        assert word in kept
