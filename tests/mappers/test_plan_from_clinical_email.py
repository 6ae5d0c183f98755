"""Clinical e-mail to plan: our own mails come back whole, those of MedCom's converter as far as they say it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from ggop import ggop
from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan
from gtgateway.mappers.plan_from_clinical_email import plan_from_clinical_email
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.mappers.table import Mapped
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.message import Format
from gtgateway.model.plan import (
    Address,
    Coded,
    Confidence,
    Consent,
    Level,
    LocalMoment,
    OtherContent,
    Party,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Telephone,
)
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.parsers.medcom_xml import NS_XDIS91
from plans import plans, prose, without_reading

AT = datetime(2026, 11, 6, 9, 59, 30, tzinfo=UTC)

#: A mail as MedCom's converter (GGOP2XDIS91) makes it: values without labels, indented XML.
TEXT = """<Bold>Kopimodtagere</Bold><Break/>Kopi til egen læge: EAN: 5790000121526, ydernummer: 024015, \
Lægehuset Havnen, Almen praksis, Slotsbryggen 18, 2. tv, 5000 Odense C<Break/>\
EAN: 5790001354145, sygehusafdelingsnummer: 4202360, Odense Universitetshospital<Break/><Break/>\
<Bold>Underskrivere</Bold><Break/>Ellinor Strøm, Terapeut, +4566136421, Neurologisk Afdeling N2<Break/>\
Peter Andresen, Læge, amt: 34, 88 88 88 88, Administration<Break/><Break/>\
<Bold>Yderligere patientoplysninger</Bold><Break/>mobil: +4523321234, fastnet: +4523321235, nancy@eksempel.dk<Break/> \
c/o adresse: Rosa Andersen, Skovgård 3, Hjallese, 5220 Odense SØ<Break/>Informeret samtykke: ja<Break/><Break/>\
<Bold>Pårørende</Bold><Break/>Irene Petersen, aegtefaelle, Hindbærvej 23, Hjallese, 5260 Odense S<Break/>\
fastnet: +4565335376, irene@eksempel.dk<Break/>Mads Jensen, uspec_paaroerende, Hindbærvej 21, 5260 Odense S<Break/>\
<Break/><Bold>Praktiske oplysninger</Bold><Break/>Ingen tolk.<Break/><Break/>\
<Bold>Tidsfrist for start af genoptræning</Bold><Break/>Opstart tidligst 2026-11-20.<Break/><Break/>\
<Bold>Aktuel sygehuskontakt</Bold><Break/>Start: 2026-11-01 Kl. 12:34<Break/>\
Forventet Afslutning: 2026-11-06 Kl. 13:45<Break/><Break/>\
<Bold>Aftaler om kontrol og opfølgning</Bold><Break/>Dato for kontrol: Om ca. 3 måneder, indkaldes pr. brev<Break/>\
EAN: 5790002012272, region: 1083, Region Syddanmark, Ældrecenter Øst, Grøn stue, Gyvelbakken 13, 5240 Odense NØ<Break/>\
<Break/><Bold>Helbredsrelateret funktionsevne på udskrivningstidspunktet - Sammenfatning</Bold><Break/>
            <Bold>Gang:</Bold> 50 m med
                stok.<Break/>
            <Italic>Trapper</Italic> med støtte.<Break/><Break/>\
<Bold>Patientens genoptræningsbehov og potentiale</Bold><Break/>Styrke og balance.<Break/><Break/>\
<Bold>Diagnoser</Bold><Break/>Hofteledsartrose UNS (DM169)<Break/>Fraktur af lårbenshals (DS720)<Break/>\
Kendt slidgigt (højre knæ)<Break/><Break/>\
<Bold>ICF-koder</Bold><Break/>Bevægeapparatet (FB799)<Break/><Break/>\
<Bold>Uddrag fra journal: Operationsbeskrivelse</Bold><Break/>2026-11-02, Preben Elkjær, Prof. med.<Break/>\
Ukompliceret.<Break/><Break/>\
<Bold>Uddrag fra journal: Uden struktur</Bold><Break/>2026-11-03, patienten oppe, går godt.<Break/><Break/>\
<Bold>Spørgsmål til Regionen</Bold><Break/>EAN: 5790001231231, Region Syddanmark, Damhaven 12, 7100 Vejle, \
88 88 88 88<Break/><Break/>\
<Bold>Spørgsmål til Kommunen</Bold><Break/>Odense Kommune, Genoptræning, +4522222222<Break/><Break/>\
<Bold>Behandlende team under indlæggelse</Bold><Break/>Trine Lund, Terapeut, Neurologisk Afdeling N2, amt: 34, \
+4566136421<Break/><Break/><Bold>Slutstatusmodtager</Bold><Break/>Fravalgt<Break/>"""


def mail(
    text: str,
    *,
    subject: str = "Genoptræningsplan (almen)",
    statistical: str = "GGOP1",
    status: str = "nytbrev",
    more: str = "",
) -> bytes:
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="{NS_XDIS91}">
  <Envelope><Sent><Date>2026-11-06</Date><Time>10:43</Time></Sent><Identifier>KUV1</Identifier>
    <AcknowledgementCode>pluspositivkvitt</AcknowledgementCode></Envelope>
  <ClinicalEmail>
    <Letter><Identifier>BRV1</Identifier><VersionCode>XD9134L</VersionCode>
      <StatisticalCode>{statistical}</StatisticalCode>
      <Authorisation>
        <Date>2026-11-06</Date>
        <Time>09:26</Time>
      </Authorisation><TypeCode>XDIS91</TypeCode><StatusCode>{status}</StatusCode></Letter>
    <Sender><EANIdentifier>5790001354145</EANIdentifier><Identifier>4202360</Identifier>
      <IdentifierCode>sygehusafdelingsnummer</IdentifierCode><OrganisationName>Testby Sygehus</OrganisationName>
      <TelephoneSubscriberIdentifier>+4512345678</TelephoneSubscriberIdentifier></Sender>
    <Receiver><EANIdentifier>5790000121441</EANIdentifier><Identifier>461</Identifier>
      <IdentifierCode>kommunenummer</IdentifierCode></Receiver>
    <Patient><CivilRegistrationNumber>2512489996</CivilRegistrationNumber>
      <PersonSurnameName>Berggren</PersonSurnameName><PersonGivenName>Nancy Ann</PersonGivenName>
      <StreetName>Testparken 48</StreetName><OccupancyText>Tømrer</OccupancyText>
      <EpisodeOfCareStatusCode>inaktiv</EpisodeOfCareStatusCode></Patient>
    <AdditionalInformation><Priority>rutine</Priority><Subject>{subject}</Subject></AdditionalInformation>
    <ClinicalInformation>
      <Text01>{text}</Text01>
    </ClinicalInformation>{more}
  </ClinicalEmail>
</Emessage>""".encode("iso-8859-1")


def read(body: bytes) -> Mapped:
    message = read_envelope(body, Limits())
    assert message.format is Format.XDIS91
    return plan_from_clinical_email(message.letters[0])


def through_mail(plan: RehabilitationPlan) -> RehabilitationPlan:
    return read(clinical_email_from_plan(plan, envelope_id="KUV1", sent_at=AT)).plan


@given(plans(prose))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
def test_our_own_mail_comes_back_whole(plan: RehabilitationPlan) -> None:
    """Whatever is in the names, as long as they do not look like a label of a line."""
    assert without_reading(through_mail(plan)) == replace(plan, reconstructed=True)


def test_the_official_sample_comes_back_whole(shared: Path) -> None:
    message = read_envelope((shared / "data" / "ggop-official-sample.xml").read_bytes(), Limits())
    plan = plan_from_medcom_xml(message.letters[0]).plan
    assert through_mail(plan) == replace(plan, reconstructed=True)


def test_names_and_streets_may_hold_commas() -> None:
    plan = plan_from_medcom_xml(read_envelope(ggop(region="Region Test, Sundhedsaftaler"), Limits()).letters[0]).plan
    assert plan.contact_region is not None
    plan = replace(plan, contact_region=replace(plan.contact_region, address=Address("Testparken 48, 2. tv")))
    assert through_mail(plan).contact_region == plan.contact_region


def test_a_mail_of_medcoms_converter() -> None:
    plan = read(mail(TEXT)).plan
    assert plan.reconstructed
    assert (plan.plan_id, plan.statistical_code, plan.written_at) == (
        "BRV1",
        "GGOP1",
        LocalMoment(date(2026, 11, 6), time(9, 26)),
    )
    assert (plan.level, plan.level_stated, plan.plan_type) == (Level.ALMEN, "almen", PlanType.GENOPTRAENING)
    assert plan.sender.label == "Testby Sygehus"
    assert plan.sender.telephone == "+4512345678"
    assert plan.sender.identifiers == (Identifier(IdentifierKind.SHAK, "4202360"),)
    assert plan.receiver == Party("5790000121441", (Identifier(IdentifierKind.KOMMUNEKODE, "461"),))
    assert plan.gp == Party(
        "5790000121526",
        (Identifier(IdentifierKind.YDERNUMMER, "024015"),),
        "Lægehuset Havnen",
        "Almen praksis",
        address=Address("Slotsbryggen 18, 2. tv", None, "Odense C", "5000"),
    )
    assert [copy.name for copy in plan.copy_receivers] == ["Odense Universitetshospital"]
    assert plan.author == Professional("Ellinor", "Strøm", "Terapeut", None, "+4566136421", "Neurologisk Afdeling N2")
    assert plan.co_authors[0].identifier == Identifier(IdentifierKind.AMT, "34")
    assert plan.consent == Consent(True, "ja")
    assert plan.patient.identifier == Cpr("2512489996")
    assert plan.patient.name == "Nancy Ann Berggren"
    assert plan.patient.occupation == "Tømrer"
    assert plan.patient.contact.telephones == (Telephone("+4523321234", "mobil"), Telephone("+4523321235", "fastnet"))
    assert plan.patient.contact.email == "nancy@eksempel.dk"
    assert plan.patient.co_address is not None
    assert plan.patient.co_address.address == Address("Skovgård 3", "Hjallese", "Odense SØ", "5220")
    assert [(relative.family, relative.relation, relative.contact.email) for relative in plan.relatives] == [
        ("Petersen", "aegtefaelle", "irene@eksempel.dk"),
        ("Jensen", "uspec_paaroerende", None),
    ]


def test_sections_of_medcoms_converter() -> None:
    plan = read(mail(TEXT)).plan
    assert plan.practical_information is not None
    assert plan.practical_information.plain == "Ingen tolk."
    assert plan.function_at_discharge is not None
    assert plan.function_at_discharge.html == "<strong>Gang:</strong> 50 m med stok.<br><em>Trapper</em> med støtte."
    assert plan.discharged_on == date(2026, 11, 6)
    assert plan.hospital_contact is not None
    assert plan.hospital_contact.start == LocalMoment(date(2026, 11, 1), time(12, 34))
    assert plan.start_deadline.earliest == date(2026, 11, 20)
    assert plan.start_deadline.confidence is Confidence.HIGH
    assert plan.control is not None
    assert plan.control.expected_start_text == "Om ca. 3 måneder, indkaldes pr. brev"
    assert plan.control.location is not None
    assert plan.control.location.unit == "Grøn stue"
    assert plan.primary_diagnosis == Coded("DM169", None, "Hofteledsartrose UNS")
    assert [code.code for code in plan.all_diagnoses] == ["DM169", "DS720"]
    assert plan.diagnosis_texts == ("Kendt slidgigt (højre knæ)",)
    assert plan.icf[0].code == Coded("FB799", None, "Bevægeapparatet")
    operation, loose = plan.journal_excerpts
    assert (operation.kind, operation.comment.plain, operation.signed_on) == (
        "Operationsbeskrivelse",
        "Ukompliceret.",
        date(2026, 11, 2),
    )
    assert operation.signer == Professional("Preben", "Elkjær", "Prof. med.")
    assert (loose.comment.plain, loose.signer) == ("2026-11-03, patienten oppe, går godt.", None)
    assert plan.contact_region is not None
    assert (plan.contact_region.name, plan.contact_region.telephone) == ("Region Syddanmark", "88 88 88 88")
    assert plan.contact_municipality == Party(name="Odense Kommune", department="Genoptræning", telephone="+4522222222")
    assert plan.care_team[0].department == "Neurologisk Afdeling N2"
    assert plan.final_result_deselected
    assert plan.other == ()


def test_it_says_that_it_was_reconstructed_and_where_from() -> None:
    mapped = read(mail(TEXT))
    assert [finding.rule for finding in mapped.findings] == ["GOP-MAP-07"]
    text = "/Emessage/ClinicalEmail/ClinicalInformation/Text01"
    assert mapped.trace.locate("rehabilitation_need")[0] == text
    assert mapped.trace.locate("health_summary")[0] == text
    assert mapped.trace.locate("patient.identifier") == ("/Emessage/ClinicalEmail/Patient/CivilRegistrationNumber", 17)
    assert mapped.trace.locate("level")[0] == "/Emessage/ClinicalEmail/AdditionalInformation/Subject"
    assert mapped.trace.locate("hospital_contact.expected_end")[0] == text


def test_headings_in_another_spelling() -> None:
    text = "<Bold>PATIENTENS  genoptræningsbehov og potentiale :</Bold><Break/>A<Break/><Bold>diagnoser:</Bold> Artrose"
    plan = read(mail(text)).plan
    assert plan.rehabilitation_need is not None
    assert plan.rehabilitation_need.plain == "A"
    assert plan.diagnosis_texts == ("Artrose",)


def test_a_section_that_comes_twice_is_one_text() -> None:
    text = "<Bold>Praktiske oplysninger</Bold><Break/>A<Break/><Bold>Praktiske oplysninger</Bold><Break/>B"
    plan = read(mail(text)).plan
    assert plan.practical_information is not None
    assert plan.practical_information.plain == "A\nB"


def test_what_is_not_recognised_stays_readable() -> None:
    text = "Kære kollega<Break/><Bold>Aktuel sygehuskontakt</Bold><Break/>Start: i går<Break/>Stue 4<Break/>"
    plan = read(mail(text, status="rettetbrev", subject="Vedr. Nancy")).plan
    place = "/Emessage/ClinicalEmail"
    assert set(plan.other) == {
        OtherContent(f"{place}/ClinicalInformation/Text01", "Kære kollega"),
        OtherContent(f"{place}/ClinicalInformation/Text01", "Start: i går"),
        OtherContent(f"{place}/ClinicalInformation/Text01", "Stue 4"),
        OtherContent(f"{place}/Letter/StatusCode", "rettetbrev"),
        OtherContent(f"{place}/AdditionalInformation/Subject", "Vedr. Nancy"),
    }


def test_a_line_that_is_read_only_in_part_stays_readable() -> None:
    text = (
        "<Bold>Yderligere patientoplysninger</Bold><Break/>Bor alene, mobil: +4523321234<Break/><Break/>"
        "<Bold>Spørgsmål til Kommunen</Bold><Break/>Odense Kommune, mobil: +4522222222<Break/><Break/>"
        "<Bold>ICF-koder</Bold><Break/>ingen<Break/><Break/><Bold>Referencer</Bold><Break/>Se vejledningen<Break/>"
    )
    plan = read(mail(text)).plan
    assert plan.patient.contact.telephones == (Telephone("+4523321234", "mobil"),)
    assert plan.contact_municipality == Party(name="Odense Kommune")
    assert [content.text for content in plan.other] == [
        "Bor alene, mobil: +4523321234",
        "Odense Kommune, mobil: +4522222222",
        "ingen",
        "Se vejledningen",
    ]


def test_what_a_mail_demands_and_a_plan_does_not_say_is_not_read() -> None:
    plan = through_mail(RehabilitationPlan(plan_id="BRV1", written_at=LocalMoment(date(2026, 11, 6), time(9, 26))))
    assert (plan.sender, plan.receiver, plan.patient.identifier, plan.patient.family) == (Party(), Party(), None, None)
    assert plan.other == ()


def test_level_from_the_statistical_code_when_the_subject_names_none() -> None:
    mapped = read(mail("", subject="Genoptræningsplan", statistical="GGOP3"))
    assert mapped.plan.level is Level.REHABILITERING
    assert mapped.trace.locate("level")[0] == "/Emessage/ClinicalEmail/Letter/StatisticalCode"


def test_consent_in_other_words_warns() -> None:
    text = "<Bold>Yderligere patientoplysninger</Bold><Break/>Informeret samtykke: måske<Break/>"
    mapped = read(mail(text))
    assert mapped.plan.consent == Consent(None, "måske")
    assert "GOP-MAP-03" in [finding.rule for finding in mapped.findings]


def test_copy_receivers_without_a_heading_as_the_converter_prints_them_when_there_is_no_gp() -> None:
    plan = read(mail("EAN: 5790001354145, sygehusafdelingsnummer: 4202360, OUH<Break/><Break/>")).plan
    assert [(copy.gln, copy.name) for copy in plan.copy_receivers] == [("5790001354145", "OUH")]


def test_discharge_read_from_words() -> None:
    text = "<Bold>Aktuel sygehuskontakt</Bold><Break/>Forventet Afslutning: udskrives den 6. november 2026<Break/>"
    plan = read(mail(text)).plan
    assert (plan.discharged_on, plan.discharge_read_from_text) == (date(2026, 11, 6), True)


def test_links_of_the_mail_are_read() -> None:
    more = "<Reference><RefDescription>Se her</RefDescription><URL>https://eksempel.dk</URL></Reference>"
    assert read(mail("", more=more)).plan.references == (Reference("Se her", "url", "https://eksempel.dk"),)


@given(
    st.text(st.sampled_from("<Bold>/BreakKDiagnoser: ,()EAN1\n"), max_size=80),
    st.lists(st.sampled_from(TEXT.split("<Break/>"))),
)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_read(words: str, lines: list[str]) -> None:
    escaped = words.replace("<", "&lt;")
    body = mail(f"{escaped}<Break/>" + "<Break/>".join(lines))
    assert etree.fromstring(body) is not None
    assert read(body).plan.reconstructed


def test_values_are_checked_as_in_medcom_xml() -> None:
    text = (
        "<Bold>Aktuel sygehuskontakt</Bold><Break/>Start: 2026-11-06<Break/>Forventet Afslutning: 2026-11-01<Break/>"
        "<Break/><Bold>Diagnoser</Bold><Break/>Aktionsdiagnose: Artrose (M16.9, ICD10kode)<Break/>"
    )
    mapped = read(mail(text))
    assert [(finding.rule, finding.path) for finding in mapped.findings[1:]] == [
        ("GOP-MAP-06", "hospital_contact.expected_end.day"),
        ("GOP-MAP-04", "diagnoses[0].primary.code"),
    ]
    assert {finding.line for finding in mapped.findings[1:]} == {23}
