"""FHIR to plan: every element of the profile, its stand-ins, the trace, and nothing dropped."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtgateway.data import packaged
from gtgateway.mappers.plan_from_fhir import ROWS, plan_from_fhir
from gtgateway.mappers.table import Mapped
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.message import LetterHead
from gtgateway.model.plan import (
    COPENHAGEN,
    Coded,
    Confidence,
    DiagnosisGroup,
    IcfClassification,
    Level,
    LocalMoment,
    PlanType,
    RehabilitationPlan,
    StartDeadline,
    Telephone,
)
from gtgateway.parsers.envelope import ParsedLetter

Json = dict[str, Any]
OWN = "https://gtgateway.example/fhir/StructureDefinition"
CARE = "http://fhir.kl.dk/term/CodeSystem/CareSocialCodes"
BASAL, ALMEN = "8b962281-2ab6-4b10-9c91-4bac592d6d49", "ffd81f78-352e-4589-a195-5350dd1df2a4"


def example(case: str = "almen-2026-hofte") -> Json:
    bundle: Json = json.loads(packaged("samples", "messages", case, "message.json").read_bytes())
    return bundle


def of(bundle: Json, type_: str) -> Json:
    return next(each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == type_)


def mapped(bundle: Json) -> Mapped:
    return plan_from_fhir(ParsedLetter(LetterHead("", "", "FHIR"), bundle, "", "Bundle", None))


def changed(change: Callable[[Json], object], case: str = "almen-2026-hofte") -> Mapped:
    bundle = example(case)
    change(bundle)
    return mapped(bundle)


@pytest.fixture(scope="module")
def almen() -> Mapped:
    return mapped(example())


def test_an_example_leaves_nothing_over(almen: Mapped) -> None:
    assert almen.findings == ()
    assert almen.plan.other == ()


def test_who_and_when(almen: Mapped) -> None:
    plan = almen.plan
    assert plan.plan_id == "urn:uuid:f2da7f66-044c-536b-b24c-e3804f72b970"
    assert plan.written_at == LocalMoment(date(2026, 11, 16), time(10, 5))
    assert plan.sender.gln == "5790001348120"
    assert plan.author is not None
    assert (plan.author.given, plan.author.family, plan.author.title) == ("Ann Marie", "Wounds", "fysioterapeut")
    assert plan.receiver is not None
    assert plan.receiver.identifiers == (
        Identifier(IdentifierKind.KOMMUNEKODE, "0219"),
        Identifier(IdentifierKind.SOR, "265161000016000"),
    )
    assert plan.gp is not None
    assert plan.gp.identifier(IdentifierKind.YDERNUMMER)
    assert plan.copy_receivers == ()  # the only copy is the GP's
    assert plan.patient.identifier == Cpr("2512489996")
    assert (plan.patient.given, plan.patient.family) == ("Nancy Ann Test", "Berggren")
    assert plan.patient.address.kommunekode == "0219"
    assert plan.patient.birth_date == date(1948, 12, 25)


def test_what(almen: Mapped) -> None:
    plan = almen.plan
    assert (plan.level, plan.plan_type, plan.level_stated) == (Level.ALMEN, PlanType.GENOPTRAENING, None)
    assert plan.discharged_on == date(2026, 11, 16)
    assert plan.hospital_contact is not None
    assert (plan.hospital_contact.kind, plan.hospital_contact.expected_end) == (
        "IMP",
        LocalMoment(date(2026, 11, 16), time(11)),
    )
    assert (plan.consent.given, plan.consent.send_agreed, plan.consent.given_by) == (True, True, "patient")
    assert plan.consent.given_at == datetime(2026, 11, 16, 10, 5, tzinfo=COPENHAGEN)
    assert plan.diagnoses == (
        DiagnosisGroup(
            Coded("DS721", "SKSdiagnosekode", "Pertrokantær femurfraktur"),
            (Coded("DE119", "SKSdiagnosekode", "Type 2-diabetes uden komplikationer"),),
        ),
    )
    assert plan.rehabilitation_focus is not None
    assert plan.rehabilitation_focus.plain.startswith("Nedsat styrke over hoften")
    assert plan.function_prior is not None
    assert plan.contact_region is not None
    assert plan.contact_region.identifiers == (Identifier(IdentifierKind.REGIONSKODE, "1084"),)
    assert plan.contact_region.telephone
    assert plan.contact_municipality is not None
    assert plan.contact_municipality.telephone
    assert plan.handed_out_at == datetime(2026, 11, 16, 10, 30, tzinfo=COPENHAGEN)
    assert plan.chosen_hospital is None


def test_icf_in_its_sks_form() -> None:
    first = mapped(example()).plan.icf[0]
    assert first.code.code.startswith("F")
    assert first.code.system == "ICFKode"
    assert first.gradient is not None
    assert first.gradient.code in "0123489"


def test_the_chosen_hospital_is_the_performer_of_specialised_training() -> None:
    plan = mapped(example("specialiseret-2026-haand")).plan
    assert plan.level is Level.SPECIALISERET
    assert plan.chosen_hospital == plan.receiver
    assert [party.name for party in plan.copy_receivers] == ["Odense Kommune"]


def test_a_combined_plan() -> None:
    plan = mapped(example("kombineret-2027-knae")).plan
    assert (plan.level, plan.next_level, plan.phase2_from) == (Level.SPECIALISERET, Level.ALMEN, date(2027, 3, 15))


def test_a_parent_consents() -> None:
    plan = mapped(example("rehabilitering-2026-barn")).plan
    assert (plan.consent.given_by, plan.consent.given_by_name) == ("parent", "Brita Test Berggren")
    assert [(each.relation, each.given) for each in plan.relatives] == [
        ("Mor, forældremyndighedens indehaver", "Brita Test")
    ]


def test_a_refused_receiver() -> None:
    plan = mapped(example("almen-2026-knae")).plan
    assert [party.name for party in plan.consent.refused] == ["Lægehuset Odense Midtby"]


def test_start_and_deferral(almen: Mapped) -> None:
    assert almen.plan.start_deadline == StartDeadline(
        latest=date(2026, 12, 7),
        earliest=date(2026, 11, 30),
        reason="Operationssåret skal være helet, før benet belastes i træning.",
        deferral_stated=True,
        confidence=Confidence.HIGH,
    )
    only_a_deadline = mapped(example("almen-2027-ryg")).plan.start_deadline
    assert (only_a_deadline.latest, only_a_deadline.deferral_stated) == (date(2027, 2, 16), False)


# --- what stands in ---------------------------------------------------------------------------------------------------


def no_discharge_extension(bundle: Json) -> None:
    of(bundle, "ServiceRequest")["extension"] = []


def test_the_end_of_the_contact_stands_in_for_the_discharge_date() -> None:
    found = changed(no_discharge_extension)
    assert found.plan.discharged_on == date(2026, 11, 16)
    assert found.trace.locate("discharged_on")[0] == "Bundle.entry[4].resource.period.end"


def test_the_discharge_is_the_danish_day() -> None:
    def late(bundle: Json) -> None:
        no_discharge_extension(bundle)
        of(bundle, "Encounter")["period"]["end"] = "2026-11-16T23:30:00Z"

    assert changed(late).plan.discharged_on == date(2026, 11, 17)


def test_no_discharge_at_all() -> None:
    def none(bundle: Json) -> None:
        no_discharge_extension(bundle)
        del of(bundle, "Encounter")["period"]["end"]

    assert changed(none).plan.discharged_on is None


@pytest.mark.parametrize(
    ("code", "given"),
    [("e67035da-9179-466b-99ad-ea86835d38c9", True), ("54aeeba6-6aa2-4165-a5a8-bbd6f2f3b1eb", False)],
)
def test_kls_extension_stands_in_for_a_consent(code: str, given: bool) -> None:
    def by_extension(bundle: Json) -> None:
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Consent"]
        of(bundle, "ServiceRequest")["extension"].append(
            {
                "url": "http://fhir.kl.dk/core/StructureDefinition/SubjectConsentToLiaising",
                "valueCodeableConcept": {"coding": [{"system": CARE, "code": code}]},
            }
        )

    consent = changed(by_extension).plan.consent
    assert (consent.given, consent.send_agreed) == (given, given)


def test_permission_without_receivers_agrees_to_no_sending() -> None:
    consent = changed(lambda bundle: of(bundle, "Consent")["provision"].pop("actor")).plan.consent
    assert (consent.given, consent.send_agreed) == (True, None)


def test_denied() -> None:
    consent = changed(lambda bundle: of(bundle, "Consent")["provision"].update(type="deny")).plan.consent
    assert (consent.given, consent.send_agreed) == (False, False)


def categories(*codings: Json) -> Callable[[Json], None]:
    def change(bundle: Json) -> None:
        of(bundle, "ServiceRequest")["category"] = list(codings)

    return change


def care(code: str, text: str | None = None) -> Json:
    return {"coding": [{"system": CARE, "code": code}]} | ({"text": text} if text else {})


def test_basal_is_the_municipalitys_word() -> None:
    for change in (categories(care(BASAL)), categories(care(ALMEN), care(BASAL)), categories(care(ALMEN, "Basal"))):
        plan = changed(change).plan
        assert (plan.level, plan.hospital_suggestion, plan.next_level) == (Level.ALMEN, "basal", None)


def test_egentraening_is_no_level() -> None:
    own = {
        "coding": [
            {"system": f"{OWN.removesuffix('StructureDefinition')}CodeSystem/gop-plan-type", "code": "egentraening"}
        ]
    }
    plan = changed(categories(own)).plan
    assert (plan.level, plan.plan_type) == (None, PlanType.EGENTRAENING)


def test_an_unknown_level_is_kept_as_stated() -> None:
    assert changed(categories(care("0000"))).plan.level_stated == "0000"
    plan = changed(categories({"text": "højt niveau"})).plan
    assert (plan.level, plan.level_stated) == (None, "højt niveau")


def test_main_diagnosis_without_ranks_is_the_first_reason() -> None:
    def unranked(bundle: Json) -> None:
        of(bundle, "Encounter").pop("diagnosis")
        of(bundle, "ServiceRequest")["reasonReference"].reverse()

    (group,) = changed(unranked).plan.diagnoses
    assert group.primary is not None
    assert (group.primary.code, [each.code for each in group.secondary]) == ("DE119", ["DS721"])


def test_a_diagnosis_in_words_and_a_combined_code() -> None:
    def odd(bundle: Json) -> None:
        of(bundle, "Condition")["code"] = {"text": "Brud på hoften"}
        conditions = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Condition"]
        conditions[1]["code"]["coding"][0]["code"] = "DS721+TUL1"

    found = changed(odd)
    assert found.plan.diagnosis_texts == ("Brud på hoften",)
    assert found.plan.diagnoses[0].secondary[0].code == "DS721+TUL1"
    assert found.findings == ()


def test_three_parts_become_one_description_and_one_part_stays_alone() -> None:
    plan = mapped(example("rehabilitering-2027-apopleksi")).plan
    assert plan.function_extended is not None
    lines = plan.function_extended.plain.split("\n")
    headings = [line for line in lines if line[:3] in ("8a.", "8b.", "8c.")]
    assert headings == ["8a. Kroppens funktioner og anatomi", "8b. Aktiviteter og Deltagelse", "8c. Omgivelsesfaktorer"]
    assert plan.function_extended.html.startswith("<strong>8a. Kroppens funktioner og anatomi</strong><br>")


def test_telephones_and_their_absence() -> None:
    comment = [{"url": "http://hl7.org/fhir/StructureDefinition/contactpoint-comment", "valueString": "Har ingen"}]

    def telecoms(bundle: Json) -> None:
        of(bundle, "Patient")["telecom"] = [
            {"system": "phone", "value": "12345678", "use": "mobile"},
            {"system": "phone", "value": "87654321"},
            {"system": "sms", "value": "11111111"},
            {"system": "email", "value": "nancy@eksempel.dk"},
            {"system": "phone", "extension": comment},
        ]

    contact = changed(telecoms).plan.patient.contact
    assert contact.telephones == (
        Telephone("12345678", "mobil"),
        Telephone("87654321"),
        Telephone("11111111", "sms"),
    )
    assert (contact.email, contact.no_telephone_reason) == ("nancy@eksempel.dk", "Har ingen")


def test_a_protected_address() -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    assert changed(lambda bundle: of(bundle, "Patient")["meta"].update(security=[label])).plan.patient.address_protected


@pytest.mark.parametrize(
    ("url", "value", "field", "expected"),
    [
        (f"{OWN}/gop-funding", {"valueCode": "self-paid"}, "funding", "self-paid"),
        (f"{OWN}/gop-municipal-help", {"valueBoolean": False}, "municipal_help", False),
        (f"{OWN}/gop-phase2-from", {"valueDate": "2027-01-04"}, "phase2_from", date(2027, 1, 4)),
    ],
)
def test_own_extensions(url: str, value: Json, field: str, expected: object) -> None:
    found = changed(lambda bundle: of(bundle, "ServiceRequest")["extension"].append({"url": url} | value))
    assert getattr(found.plan, field) == expected
    assert found.trace.locate(field)[0] is not None


def test_capacity_and_the_paying_municipality() -> None:
    def extend(bundle: Json) -> None:
        of(bundle, "Consent")["extension"] = [{"url": f"{OWN}/gop-capacity", "valueCode": "permanently-lacking"}]
        of(bundle, "Patient")["extension"] = [{"url": f"{OWN}/gop-paying-municipality", "valueCode": "461"}]

    plan = changed(extend).plan
    assert plan.consent.permanently_lacks_capacity
    assert plan.patient.paying_municipality == "0461"


# --- nothing dropped, everything located ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (
            lambda b: of(b, "ServiceRequest").update(bodySite=[{"text": "Højre hofte"}]),
            "Bundle.entry[2].resource.bodySite",
            "Højre hofte",
        ),
        (
            lambda b: of(b, "Patient").update(maritalStatus={"text": "Gift"}),
            "Bundle.entry[3].resource.maritalStatus",
            "Gift",
        ),
        (
            lambda b: of(b, "Condition").update(note=[{"text": "Opereret"}]),
            "Bundle.entry[5].resource.note",
            "Opereret",
        ),
        (lambda b: of(b, "ServiceRequest").update(priority="asap"), "Bundle.entry[2].resource.priority", "asap"),
        (
            lambda b: of(b, "ServiceRequest")["extension"].append({"url": "urn:x", "valueString": "Husk krykker"}),
            None,
            "Husk krykker",
        ),
        (
            lambda b: b["entry"].append({"resource": {"resourceType": "Goal", "description": {"text": "Gå selv"}}}),
            None,
            "Gå selv",
        ),
    ],
)
def test_what_has_no_field_stays_readable(change: Callable[[Json], object], path: str | None, words: str) -> None:
    (kept,) = changed(change).plan.other
    assert kept.text == words
    if path:
        assert kept.source_path == path


def test_a_section_of_another_kind_is_an_excerpt() -> None:
    def other(bundle: Json) -> None:
        section = deepcopy(of(bundle, "Observation")) | {"id": "anden"}
        section["code"] = {"coding": [{"system": "urn:x", "code": "smerte", "display": "Smerte"}]}
        section["valueString"] = "VAS 4"
        bundle["entry"].append({"resource": section})

    (excerpt,) = changed(other).plan.journal_excerpts
    assert (excerpt.kind, excerpt.comment.plain, excerpt.signer) == ("Smerte", "VAS 4", None)


def unreadable(bundle: Json) -> None:
    request = of(bundle, "ServiceRequest")
    request["authoredOn"] = "i går"
    request["extension"][0]["valueDate"] = "2026-02-30"
    of(bundle, "Patient")["birthDate"] = "25-12-48"


def test_dates_that_cannot_be_read_are_told_where_they_stand() -> None:
    found = changed(unreadable).findings
    assert [(each.rule, each.path, each.source_path) for each in found] == [
        ("GOP-MAP-01", "discharged_on", "Bundle.entry[2].resource.extension[0]"),
        ("GOP-MAP-01", "written_at", "Bundle.entry[2].resource.authoredOn"),
        ("GOP-MAP-01", "patient.birth_date", "Bundle.entry[3].resource.birthDate"),
    ]


def test_a_reference_that_leads_nowhere_is_told() -> None:
    def dangling(bundle: Json) -> None:
        of(bundle, "ServiceRequest")["supportingInfo"].append({"reference": "Observation/ukendt"})

    (finding,) = changed(dangling).findings
    assert (finding.rule, finding.path) == ("GOP-FHIR-62", "other")


def test_a_contact_that_ends_before_it_starts() -> None:
    (finding,) = changed(lambda bundle: of(bundle, "Encounter")["period"].update(start="2026-12-01")).findings
    assert (finding.rule, finding.source_path) == ("GOP-MAP-06", "Bundle.entry[4].resource.period.end")


def test_the_trace(almen: Mapped) -> None:
    locate = almen.trace.locate
    assert locate("level") == ("Bundle.entry[2].resource.category[0]", None)
    assert locate("patient.identifier") == ("Bundle.entry[3].resource.identifier[0].value", None)
    assert locate("diagnoses[0].secondary[0].code") == ("Bundle.entry[6].resource.code.coding[0].code", None)
    assert locate("function_at_discharge")[0] == "Bundle.entry[7].resource.valueString"
    assert locate("hospital_contact.expected_end") == ("Bundle.entry[4].resource.period.end", None)


def test_a_missing_field_is_located_where_it_belongs() -> None:
    bundle = example()
    bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Consent"]
    del of(bundle, "ServiceRequest")["category"]
    locate = mapped(bundle).trace.locate
    assert locate("consent.given") == ("Bundle.entry.resource.ofType(Consent).provision", None)
    assert locate("level") == ("Bundle.entry.resource.ofType(ServiceRequest).category", None)
    assert locate("funding")[0] == f"Bundle.entry.resource.ofType(ServiceRequest).extension('{OWN}/gop-funding')"


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_row_fills_a_field_or_says_why_not() -> None:
    known = {each.name for each in fields(RehabilitationPlan)}
    for row in ROWS:
        assert (row.target is None) == (row.reason is not None), row
        if row.target:
            assert row.target.partition(".")[0].partition("[")[0] in known, row


CHOICES = {
    "MessageHeader.event": "MessageHeader.eventCoding",
    "Observation.effective": "Observation.effectiveDateTime",
    "Observation.value": "Observation.valueString",
    "Provenance.occurred": "Provenance.occurredDateTime",
}


def test_every_element_that_the_profile_constrains_has_a_row() -> None:
    sources = {row.source.partition("(")[0] for row in ROWS} | {row.source.partition(".")[0] for row in ROWS}
    missing = set()
    for path in packaged("profiles").glob("StructureDefinition-gop-*.json"):
        definition = json.loads(path.read_bytes())
        if definition["type"] in ("Bundle", "Extension", "Organization", "PractitionerRole"):
            continue
        for element in definition["differential"]["element"]:
            name = ".".join(element["path"].split(".")[:2]).replace("[x]", "")
            name = CHOICES.get(name, name)
            forbidden = element.get("max") == "0"
            if "." in name and not forbidden and name.partition(".")[2] not in ("id", "meta", "text", "extension"):
                missing |= {name} - sources
    assert missing == set()


def test_every_own_extension_has_a_row() -> None:
    stated = " ".join(row.source for row in ROWS)
    parts = {"gop-organisation-names"}  # of a party, wherever one stands
    for path in packaged("profiles").glob("StructureDefinition-gop-*.json"):
        definition = json.loads(path.read_bytes())
        if definition["type"] == "Extension" and definition["id"] not in parts:
            assert definition["url"] in stated


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_raised_for_any_json(data: st.DataObject) -> None:
    bundle = example(data.draw(st.sampled_from(("almen-2026-hofte", "rehabilitering-2026-barn"))))
    for _ in range(data.draw(st.integers(1, 4))):
        value: Any = bundle
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(value[key], (dict, list)) or not value[key] or data.draw(st.integers(0, 5)) == 0:
                value[key] = data.draw(NONSENSE)
                break
            value = value[key]
    mapped(bundle)


def test_an_empty_bundle_is_an_empty_plan() -> None:
    assert mapped({}).plan == RehabilitationPlan()
    assert (
        IcfClassification(Coded("?", "ICFKode"))
        == mapped({"entry": [{"resource": {"resourceType": "Observation", "component": [{}]}}]}).plan.icf[0]
    )
