"""Plan to clinical e-mail: valid by MedCom's schema, and every text of the plan under its Danish heading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lxml import etree

from ggop import ggop
from gtgateway.data import packaged
from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan
from gtgateway.mappers.formatted_text import collapse, plain_text
from gtgateway.mappers.headings import field_of_heading
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.plan import (
    Consent,
    FormattedText,
    LocalMoment,
    OtherContent,
    Party,
    Patient,
    Professional,
    Reference,
    RehabilitationPlan,
)
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.parsers.medcom_xml import NS_XDIS91, local_name
from plans import plans

AT = datetime(2026, 11, 6, 9, 59, 30, tzinfo=UTC)
N = f"{{{NS_XDIS91}}}"

#: Sections of GGOP and the heading that their texts must stand under; None: in fields of the mail.
PLACES = {
    "Letter": None,
    "Sender": None,
    "Receiver": None,
    "Patient": None,
    "SignedBy": "Underskrivere",
    "CoWriter": "Underskrivere",
    "GPCCReceiver": "Kopimodtagere",
    "CCReceiver": "Kopimodtagere",
    "TelephoneSubscriber": "Yderligere patientoplysninger",
    "EmailAddressIdentifier": "Yderligere patientoplysninger",
    "CoAddress": "Yderligere patientoplysninger",
    "ConsentInformed": "Yderligere patientoplysninger",
    "TypeOfRehabilitationPlan": None,
    "Relatives": "Pårørende",
    "InformationForPatientAndRelatives": "Information om behandling til patient og pårørende",
    "PracticalInformation": "Praktiske oplysninger",
    "PatientSafetyAspects": "Patientsikkerhedsmæssige forhold",
    "RehabilitationDeadline": "Tidsfrist for start af genoptræning",
    "CurrentHospitalContact": "Aktuel sygehuskontakt",
    "HospitalAmbulatoryControl": "Aftaler om kontrol og opfølgning",
    "PatientHealthSummary": "Helbredsforhold inkl. beskrivelse af behandlingsforløb - Sammenfatning",
    "AbilityAtDischargeSummary": "Helbredsrelateret funktionsevne på udskrivningstidspunktet - Sammenfatning",
    "AbilityAtDischargeExtended": "Udvidet beskrivelse af helbredsrelateret funktionsevne på udskrivningstidspunktet",
    "RehabilitationNeedAndPotential": "Patientens genoptræningsbehov og potentiale",
    "ICD10Diagnoses": "Diagnoser",
    "ICFClassifications": "ICF-koder",
    "ContactCounty": "Spørgsmål til Regionen",
    "ContactMunicipality": "Spørgsmål til Kommunen",
    "HealthCareTeam": "Behandlende team under indlæggelse",
    "FinalResult": "Slutstatusmodtager",
    "Reference": "Referencer",
}


def plan_of(body: bytes) -> RehabilitationPlan:
    return plan_from_medcom_xml(read_envelope(body, Limits()).letters[0]).plan


def write(plan: RehabilitationPlan) -> bytes:
    return clinical_email_from_plan(plan, envelope_id="KUV1", sent_at=AT)


def sections(mail: etree._Element) -> dict[str, str]:
    """Heading -> its text, one line per Break."""
    found: dict[str, str] = {"": ""}
    heading = ""
    text = mail.find(f".//{N}Text01")
    assert text is not None
    for element in text:
        if local_name(element) == "Bold" and field_of_heading("".join(element.itertext())):
            heading = "".join(element.itertext())
            found[heading] = ""
        else:
            found[heading] += "\n" if local_name(element) == "Break" else "".join(element.itertext())
        found[heading] += element.tail or ""
    return found


@pytest.fixture(scope="module")
def ours() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(packaged("xsd", "2006", "07", "01", "EMessage.xsd")))


def test_every_text_of_the_official_sample_stands_under_its_heading(shared: Path) -> None:
    original = etree.fromstring((shared / "data" / "ggop-official-sample.xml").read_bytes())
    mail = etree.fromstring(write(plan_of((shared / "data" / "ggop-official-sample.xml").read_bytes())))
    under = sections(mail)
    fields = {
        collapse(text)
        for element in mail[1]
        if local_name(element) != "ClinicalInformation"
        for text in element.itertext()
    }
    subject = mail.findtext(f".//{N}Subject")
    checked = 0
    for element in original[1].iter("*"):
        for text in filter(None, (collapse(element.text), *(collapse(child.tail) for child in element))):
            path = [local_name(step) for step in (*reversed(list(element.iterancestors())), element)][2:]
            within = path[1:] if path[0] in ("Sender", "Patient") else path
            place = next((name for name in within if name in PLACES or name == "JournalExcerpt"), path[0])
            if path in (["Letter", "VersionCode"], ["Letter", "TypeCode"]):
                continue
            if place == "JournalExcerpt":
                excerpt = next(step for step in (element, *element.iterancestors()) if local_name(step) == place)
                kind = excerpt.findtext("{*}TypeOfExcerpt")
                assert text == kind or text in under[f"Uddrag fra journal: {kind}"]
            elif heading := PLACES[place]:
                assert text in under[heading], path
            elif path == ["TypeOfRehabilitationPlan"]:
                assert subject == f"Genoptræningsplan ({text})"
            else:
                assert text in fields, path
            checked += 1
    assert checked > 200


@pytest.mark.parametrize("sample", ["ggop-official-sample.xml", "samples/ggop-synthetic-almen.xml"])
def test_samples_are_valid_by_the_official_schema(shared: Path, sample: str) -> None:
    official = etree.XMLSchema(etree.parse(shared / "data" / "xsd-official" / "2006" / "07" / "01" / "EMessage.xsd"))
    body = write(plan_of((shared / "data" / sample).read_bytes()))
    assert b"encoding='ISO-8859-1'" in body.partition(b"\n")[0]
    official.assertValid(etree.fromstring(body))


@given(plans())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
def test_any_plan_is_valid(shared: Path, plan: RehabilitationPlan) -> None:
    official = _official(shared)
    official.assertValid(etree.fromstring(write(plan)))


_SCHEMAS: dict[Path, etree.XMLSchema] = {}


def _official(shared: Path) -> etree.XMLSchema:
    path = shared / "data" / "xsd-official" / "2006" / "07" / "01" / "EMessage.xsd"
    return _SCHEMAS.setdefault(path, etree.XMLSchema(etree.parse(path)))


@pytest.mark.parametrize(
    "plan",
    [
        RehabilitationPlan(),
        RehabilitationPlan(
            plan_id="0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4",
            statistical_code="GGOP1234567",
            episode_of_care_id="x" * 40,
            written_at=LocalMoment(date(2026, 11, 6)),
            level_stated="et meget langt ord for niveauet, som slet ikke kan stå i emnefeltet i en klinisk e-mail",
            sender=Party(None, (Identifier(IdentifierKind.REGIONSKODE, "1083"),), "Sygehuset " * 9, telephone="1" * 30),
            receiver=Party("5790000121441" * 4, (Identifier(IdentifierKind.OTHER, "9" * 20, "andet"),)),
            patient=Patient(
                Cpr("251248-9996"), "Berggren" * 10, occupation="Tømrer og snedker med eget værksted i byen"
            ),
            references=(Reference("Se her", "url", "x" * 400), Reference("Bilag", "sup", "true")),
        ),
        RehabilitationPlan(
            health_summary=FormattedText("a b", '<strong>a <span class="fixed"><em>b</em></span></strong>')
        ),
        RehabilitationPlan(
            health_summary=FormattedText("a b", '<span class="fixed">a <span class="fixed">b</span></span>')
        ),
    ],
    ids=["empty", "nothing fits", "nested", "fixed in fixed"],
)
def test_what_the_schema_does_not_take_is_still_valid(ours: etree.XMLSchema, plan: RehabilitationPlan) -> None:
    ours.assertValid(etree.fromstring(write(plan)))


def test_what_is_cut_in_the_fields_stands_whole_in_the_text() -> None:
    name = "Bevægelsesorganernes Genoptræningscenter Odense Universitetshospital"
    plan = plan_of(ggop())
    plan = replace(
        plan,
        sender=replace(plan.sender, name=name),
        patient=replace(plan.patient, occupation="Tømrer og snedker med eget værksted i byen"),
    )
    mail = etree.fromstring(write(plan))
    assert mail.findtext(f".//{N}Sender/{N}OrganisationName") == name[:35]
    assert f"Navn: {name}, Afdeling: Ortopædkirurgisk Afdeling" in sections(mail)["Afsender"]
    assert "Stilling: Tømrer og snedker med eget værksted i byen" in sections(mail)["Yderligere patientoplysninger"]


def test_a_plan_that_fits_repeats_nobody_in_the_text() -> None:
    under = sections(etree.fromstring(write(plan_of(ggop()))))
    assert "Afsender" not in under
    assert "Modtager" not in under
    assert "Øvrige oplysninger" not in under


def test_letter_is_the_plans_letter() -> None:
    mail = etree.fromstring(write(plan_of(ggop(letter_id="BRV7", level="specialiseret"))))
    letter = {local_name(element): element.text for element in mail.find(f".//{N}Letter")}  # type: ignore[union-attr]
    assert letter == {
        "Identifier": "BRV7",
        "VersionCode": "XD9134L",
        "StatisticalCode": "GGOP2",
        "Authorisation": None,
        "TypeCode": "XDIS91",
        "StatusCode": "nytbrev",
    }
    assert mail.findtext(f".//{N}Subject") == "Genoptræningsplan (specialiseret)"


def test_bold_words_that_read_like_a_heading_do_not_begin_a_section() -> None:
    text = FormattedText("Før\nDiagnoser\nefter", "Før<br><strong>Diagnoser</strong><br>efter")
    under = sections(etree.fromstring(write(replace(plan_of(ggop()), rehabilitation_need=text))))
    assert under["Patientens genoptræningsbehov og potentiale"].strip() == "Før\nDiagnoser\nefter"


def test_what_has_no_heading_stands_among_other_matters() -> None:
    plan = replace(
        plan_of(ggop()),
        other=(OtherContent("/Emessage/RehabilitationPlan/Diaet", "Sukkerfri\nkost"),),
        funding="public",
        consent=Consent(True, "ja", given_by="guardian"),
        co_authors=(Professional("Bo", "Holm"),),
        function_prior=plain_text("Gik frit."),
    )
    under = sections(etree.fromstring(write(plan)))
    lines = under["Øvrige oplysninger"].strip().split("\n")
    assert lines == ["Samtykke givet af: guardian", "Finansiering: public", "Diaet: Sukkerfri", "kost"]
    assert under["Funktionsevne før aktuelle sygdom"].strip() == "Gik frit."
