"""The corridor as a whole: all faults at once in the order of the document, shadow mode, corrected discharge."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime

import orjson
import pytest

from ggop import SENDER_GLN, Role, ggop
from gtgateway.bootstrap import tools_from
from gtgateway.errors import ConfigurationError
from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.mappers.fhir_from_plan import fhir_from_plan
from gtgateway.model.findings import Severity
from gtgateway.model.message import Reading
from gtgateway.model.outcome import Known, LetterOutcome, Outcome, Verdict
from gtgateway.model.plan import COPENHAGEN
from gtgateway.pipeline import Tools, assess, judge, judge_corrected, read
from gtgateway.settings import load_settings

TOOLS = tools_from(load_settings({}))
SHADOW = replace(TOOLS, shadow_order="BEK-2027")


def at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), COPENHAGEN).replace(hour=14)


# --- twenty faults ----------------------------------------------------------------------------------------------------


def _twenty_faults() -> bytes:
    sender = Role(SENDER_GLN, "4202360", "sygehusafdelingsnummer", "Odense Universitetshospital").xml()
    return ggop(
        discharged=date(2026, 9, 1),
        level="superspecialiseret",
        cpr="3213489996",  # the 32nd of a month
        consent="nej",
        deadline="når såret er helet",
        ability="Se journal",
        need="Genoptræning anbefales",
        region="Region Hovedstaden",
        sections={
            "Sender": f"<Sender>{sender}<SignedBy><PersonGivenName>Ane</PersonGivenName><PersonSurnameName>Prøve"
            "</PersonSurnameName><PersonTitle> </PersonTitle></SignedBy></Sender>",
            "Relatives": "<Relatives><Relative><m:RelationCode>mor</m:RelationCode>"
            "<m:PersonSurnameName>Prøve</m:PersonSurnameName></Relative></Relatives>",
            "PracticalInformation": "<PracticalInformation>Har behov for kørsel til træning.</PracticalInformation>",
            "PatientSafetyAspects": "<PatientSafetyAspects>Pas på &lt;b&gt;fald&lt;/b&gt;</PatientSafetyAspects>",
            "AbilityAtDischargeExtended": None,
            "ICD10Diagnoses": "<ICD10Diagnoses><ICD10Diagnose><PrimaryDiagnosis><Code>M16.9</Code>"
            "<TypeCode>SKSdiagnosekode</TypeCode><Text>Artrose</Text></PrimaryDiagnosis></ICD10Diagnose>"
            "</ICD10Diagnoses>",
            "CurrentHospitalContact": "<CurrentHospitalContact><Start><Date>2026-09-03</Date><Time>08:15</Time></Start>"
            "\n<ExpectedEnd><Date>2026-09-01</Date><Time>13:00</Time></ExpectedEnd></CurrentHospitalContact>",
            "ContactMunicipality": "<ContactMunicipality><m:OrganisationName>Aarhus Kommune</m:OrganisationName>"
            "</ContactMunicipality>",
        },
    )


#: In the order of the document: rule and the element that it stands at. What is missing stands where the letter begins.
TWENTY = [
    ("GOP-CONTENT-18", "RehabilitationPlan"),
    ("GOP-SCOPE-04", "Sender"),
    ("GOP-ROUTE-08", "Receiver"),
    ("GOP-PAT-01", "CivilRegistrationNumber"),
    ("GOP-PAT-10", "Relatives"),
    ("GOP-CONTENT-02", "TypeOfRehabilitationPlan"),
    ("GOP-PAT-05", "ConsentInformed"),
    ("GOP-TRANS-01", "PracticalInformation"),
    ("GOP-MAP-05", "PatientSafetyAspects"),
    ("GOP-DATE-04", "RehabilitationDeadline"),
    ("GOP-DATE-07", "RehabilitationDeadline"),
    ("GOP-MAP-06", "ExpectedEnd"),
    ("GOP-DATE-02", "ExpectedEnd"),
    ("GOP-DATE-03", "ExpectedEnd"),
    ("GOP-CONTENT-07", "AbilityAtDischargeSummary"),
    ("GOP-CONTENT-07", "RehabilitationNeedAndPotential"),
    ("GOP-MAP-04", "ICD10Diagnoses"),
    ("GOP-CONTENT-12", "ContactCounty"),
    ("GOP-CONTENT-11", "ContactMunicipality"),
    ("GOP-CONTENT-12", "ContactMunicipality"),
]
#: No faults: by which order it was judged, who declined a copy, a tip.
NOTES = {"GOP-REGIME-01", "GOP-PAT-06", "GOP-CONTENT-13"}


def test_twenty_faults_are_twenty_findings_in_the_order_of_the_document() -> None:
    body = _twenty_faults()
    outcome = assess(body, TOOLS, at(date(2026, 11, 20)))
    found = [each for each in outcome.all_findings if each.rule not in NOTES]
    lines = body.decode().splitlines()
    assert [each.rule for each in found] == [rule for rule, _ in TWENTY]
    for finding, (rule, element) in zip(found, TWENTY, strict=True):
        assert finding.line is not None, rule
        assert element in lines[finding.line - 1], rule
        assert finding.path, rule
        assert finding.source_path, rule
        assert finding.source_path.startswith("/Emessage/RehabilitationPlan/"), rule
        assert finding.basis, rule
        assert re.search(r"[.;!)]$|\.$", finding.text.da), finding.text.da
        assert finding.text.en, rule


def test_the_receipt_names_the_errors_in_the_same_order() -> None:
    outcome = assess(_twenty_faults(), TOOLS, at(date(2026, 11, 20)))
    errors = [each.rule for each in outcome.all_findings if each.severity is Severity.ERROR]
    assert errors == ["GOP-PAT-01", "GOP-CONTENT-02", "GOP-PAT-05", "GOP-CONTENT-07", "GOP-CONTENT-07"]
    assert outcome.reply.body
    assert re.findall(r"GOP-[A-Z]+-\d\d", outcome.reply.body.decode("iso-8859-1")) == errors


def test_on_one_line_the_order_is_the_same() -> None:
    body = _twenty_faults().replace(b"\n", b"")
    outcome = assess(body, TOOLS, at(date(2026, 11, 20)))
    found = [each for each in outcome.all_findings if each.rule not in NOTES]
    assert {each.line for each in found} == {1}
    assert [each.rule for each in found] == [rule for rule, _ in TWENTY]


def test_the_same_faults_in_fhir_are_the_same_rules_in_the_order_of_the_entries() -> None:
    received_at = at(date(2026, 11, 20))
    [letter] = read(_twenty_faults(), TOOLS).letters
    assert letter.plan
    ids = {"message_id": "3f0b7b1e-6f5b-4a3c-9c1f-1f7d3b8d2a10", "bundle_id": "5d9b9a52-1d0e-4a52-8a52-7a0f6ad0c111"}
    bundle = orjson.dumps(fhir_from_plan(letter.plan, sent_at=received_at, **ids))
    found = assess(bundle, TOOLS, received_at).all_findings
    # formatting written as text is a fault of MedCom XML alone
    expected = [rule for rule, _ in TWENTY if rule != "GOP-MAP-05"]
    counted = Counter(each.rule for each in found)
    assert {rule: counted[rule] for rule in expected} == Counter(expected)
    entries = []
    for finding in found:
        assert finding.source_path
        assert finding.source_path.startswith("Bundle"), finding
        if index := re.match(r"Bundle\.entry\[(\d+)\]", finding.source_path):
            entries.append(int(index[1]))
    assert len(entries) > 19
    assert entries == sorted(entries)


# --- shadow mode ------------------------------------------------------------------------------------------------------

NOVEMBER = date(2026, 11, 20)
HILLEROED = ("5790000209354", "219")


def _judged(tools: Tools, day: date = NOVEMBER, **changes: object) -> Outcome:
    return assess(ggop(discharged=day, **changes), tools, at(day))


def test_what_a_coming_order_would_warn_of_is_information_at_the_same_place() -> None:
    live, shadow = (_judged(tools, region="Region Hovedstaden", receiver=HILLEROED) for tools in (TOOLS, SHADOW))
    [extra] = [each for each in shadow.all_findings if each not in live.all_findings]
    assert (extra.rule, extra.severity, extra.path) == ("GOP-SHADOW-01", "information", "contact_region")
    assert extra.source_path == "/Emessage/RehabilitationPlan/ContactCounty/OrganisationName"
    assert extra.line
    assert extra.basis == "Lov nr. 699 af 20/06/2025, § 126"
    assert extra.text.da == (
        "Fra 2027-01-01 (BEK-2027) er dette en advarsel efter GOP-ROUTE-09: Region Hovedstaden er fra 1. januar 2027 "
        "en del af Region Østdanmark; ret kontaktoplysningerne."
    )
    assert extra.text.en.startswith("From 2027-01-01 (BEK-2027) this is a warning by GOP-ROUTE-09: Region Hovedstaden")


@pytest.mark.parametrize("level", ["almen", "specialiseret", "rehabilitering", "noget andet"])
def test_shadow_changes_neither_verdict_nor_what_follows(level: str) -> None:
    live, shadow = (_judged(tools, level=level, region="Region Hovedstaden") for tools in (TOOLS, SHADOW))
    for name in ("verdict", "order_id", "route", "deadlines", "record", "quality"):
        assert getattr(live.letters[0], name) == getattr(shadow.letters[0], name), name
    assert live.reply == shadow.reply
    assert live.acknowledgement == shadow.acknowledgement
    kept = [each for each in shadow.all_findings if each.rule != "GOP-SHADOW-01"]
    assert kept == list(live.all_findings)


def test_an_error_to_come_does_not_refuse_today() -> None:
    """A rehabilitation plan whose region cannot be found: no matter today, refused from New Year."""
    reading = read(ggop(discharged=NOVEMBER, level="rehabilitering"), SHADOW)
    homeless = replace(SHADOW, directory=Regionless())  # type: ignore[arg-type]
    [letter] = judge(reading, Known(), homeless, at(NOVEMBER)).letters
    notes = [each for each in letter.findings if each.rule == "GOP-SHADOW-01"]
    assert [note.text.en.split(":")[0] for note in notes] == [
        "From 2027-01-01 (BEK-2027) this is an error by GOP-ROUTE-02"
    ]
    assert letter.verdict is Verdict.ACCEPTED


class Regionless:
    """The sample directory, in which no organisation lies in a region."""

    def __getattr__(self, name: str) -> object:
        return (lambda *_: None) if name == "region_of" else getattr(TOOLS.directory, name)


def test_shadow_is_silent_once_the_order_is_in_force() -> None:
    new_year = _judged(SHADOW, date(2027, 1, 4), region="Region Hovedstaden")
    assert new_year.letters[0].order_id == "BEK-2027"
    assert not [each for each in new_year.all_findings if each.rule == "GOP-SHADOW-01"]
    # a plan of the old order that arrives late is not judged by the new one
    late = assess(ggop(discharged=date(2026, 12, 30), region="Region Hovedstaden"), SHADOW, at(date(2027, 1, 4)))
    assert not [each for each in late.all_findings if each.rule == "GOP-SHADOW-01"]


def test_the_setting_names_an_order_that_exists() -> None:
    assert tools_from(load_settings({"GTGATEWAY_SHADOW_ORDER": "BEK-2027"})).shadow_order == "BEK-2027"
    with pytest.raises(ConfigurationError, match="Unknown order BEK-2099"):
        tools_from(load_settings({"GTGATEWAY_SHADOW_ORDER": "BEK-2099"}))


def test_judging_by_a_coming_order_sends_to_the_region_that_will_exist() -> None:
    """`check --order BEK-2027`: recipients as under that order, dates from the real discharge."""
    body = ggop(discharged=NOVEMBER, level="rehabilitering", receiver=HILLEROED, region="Region Hovedstaden")
    [letter] = assess(body, TOOLS, at(NOVEMBER), order_id="BEK-2027").letters
    assert (letter.order_id, letter.order_basis) == ("BEK-2027", "discharge")
    assert letter.route
    assert [(each.role, each.organisation.name) for each in letter.route.entries] == [
        ("action", "Region Østdanmark"),
        ("authority", "Region Østdanmark"),
        ("information", "Hillerød Kommune"),
    ]
    assert letter.deadlines
    assert (letter.deadlines.notify_by, letter.deadlines.start_by) == (date(2026, 11, 24), date(2026, 11, 27))
    assert letter.deadlines.owners[0].kind == "region"
    assert "GOP-ROUTE-09" in {each.rule for each in letter.findings}


# --- a corrected discharge date ---------------------------------------------------------------------------------------


def _corrected(reading: Reading, day: date, received_on: date) -> LetterOutcome:
    return judge_corrected(reading.letters[0], reading, day, Known(), TOOLS, at(received_on))


def test_a_corrected_discharge_over_new_year_is_judged_routed_and_clocked_anew() -> None:
    """Written 30 December, expected 4 January; the patient leaves on 31 December after all."""
    body = ggop(discharged=date(2027, 1, 4), written=date(2026, 12, 30), level="rehabilitering")
    reading = read(body, TOOLS)
    [before] = judge(reading, Known(), TOOLS, at(date(2026, 12, 30))).letters
    after = _corrected(reading, date(2026, 12, 31), date(2026, 12, 30))
    assert (before.order_id, after.order_id) == ("BEK-2027", "BEK-918-2018")
    assert before.route
    assert after.route
    assert {each.organisation.name for each in before.route.entries if each.role == "action"} == {"Region Syddanmark"}
    assert {each.organisation.name for each in after.route.entries if each.role == "action"} == {"Odense Kommune"}
    assert after.deadlines
    assert (after.deadlines.notify_by, after.deadlines.start_by) == (date(2027, 1, 4), date(2027, 1, 7))
    [said] = [each for each in after.findings if each.rule == "GOP-DATE-11"]
    assert said.severity is Severity.INFORMATION
    assert said.text.da == ("Udskrivningsdatoen er rettet fra 04.01.2027 til 31.12.2026; fristerne er beregnet på ny.")
    assert after.record
    assert after.record.discharged_on == date(2026, 12, 31)
    assert not [each for each in before.findings if each.rule == "GOP-DATE-11"]


def test_words_that_count_from_discharge_count_from_the_corrected_one() -> None:
    body = ggop(discharged=NOVEMBER, deadline="Opstart senest 3 dage efter udskrivelsen på grund af såret")
    after = _corrected(read(body, TOOLS), date(2026, 11, 23), NOVEMBER)
    assert after.deadlines
    assert after.deadlines.start_by == date(2026, 11, 26)


# --- what callers see -------------------------------------------------------------------------------------------------


def test_each_date_is_explained_where_the_content_is_shown() -> None:
    outcome = _judged(TOOLS)
    [shown], [stored] = assessments(outcome), assessments(outcome, content=False)
    steps = shown["deadlines"]["steps"]
    assert [step["field"] for step in steps][:2] == ["day_zero", "notify_by"]
    assert steps[1] == {
        "field": "notify_by",
        "day": "2026-11-24",
        "text": {
            "da": "Besked til patienten: 2026-11-20 + 4 dage = 2026-11-24.",
            "en": "Notice to the patient: 2026-11-20 + 4 days = 2026-11-24.",
        },
        "basis": "BEK nr. 918 af 22/06/2018",
    }
    assert "steps" not in stored["deadlines"]
