"""Plan to FHIR and back: nothing is lost that both can carry, and what is lost is listed."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import HealthCheck, Phase, given, settings

from ggop import ggop
from gtgateway.data import packaged
from gtgateway.mappers.fhir_from_plan import fhir_from_plan
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.mappers.plan_from_fhir import plan_from_fhir
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.mappers.remainder import WITHOUT_ELEMENT
from gtgateway.model.findings import Severity
from gtgateway.model.identifiers import Identifier, IdentifierKind, kommunekode
from gtgateway.model.message import Action, LetterHead
from gtgateway.model.plan import Coded, Consent, RehabilitationPlan
from gtgateway.parsers.envelope import ParsedLetter, read_envelope
from gtgateway.parsers.fhir_codec import from_xml, to_xml
from gtgateway.parsers.fhir_message import read_fhir_message
from gtgateway.parsers.hardened import Limits, parse_xml
from gtgateway.routing.directory import Directory
from gtgateway.validators.structure.message_rules import check_message
from gtgateway.validators.structure.profile import Profiles
from plans import plans, without_reading

AT = datetime(2026, 11, 6, 9, 59, 30, tzinfo=UTC)
MESSAGE, BUNDLE = "3f0b7b1e-6f5b-4a3c-9c1f-1f7d3b8d2a10", "5d9b9a52-1d0e-4a52-8a52-7a0f6ad0c111"


def write(plan: RehabilitationPlan, **options: Any) -> dict[str, Any]:
    return fhir_from_plan(plan, message_id=MESSAGE, bundle_id=BUNDLE, sent_at=AT, **options)


def read(bundle: dict[str, Any]) -> RehabilitationPlan:
    letter = ParsedLetter(LetterHead("", "", "FHIR"), bundle, "", "Bundle", None)  # type: ignore[arg-type]
    mapped = plan_from_fhir(letter)
    assert not [finding for finding in mapped.findings if finding.rule.startswith("GOP-FHIR")]
    return mapped.plan


def comparable(plan: RehabilitationPlan) -> RehabilitationPlan:
    """The plan without what docs/reference/format-losses.md says that FHIR does not keep."""
    sections = (plan.function_at_discharge, plan.function_extended, plan.rehabilitation_need, plan.health_summary)
    kept = replace(
        without_reading(plan),
        statistical_code=None,
        consent=Consent(plan.consent.given),
        chosen_hospital=None,
        co_authors=plan.co_authors if any((*sections, plan.patient_safety)) else (),
        copy_receivers=tuple(party for party in plan.copy_receivers if party != plan.gp),
        contact_region=plan.contact_region if plan.contact_region != plan.contact_municipality else None,
        journal_excerpts=tuple(each for each in plan.journal_excerpts if each.kind != "Øvrige oplysninger"),
    )
    made: RehabilitationPlan = in_fhir_form(kept)
    return made


def in_fhir_form(value: Any) -> Any:
    """Kommunekoder in four digits, diagnoses in the one system that FHIR has for them."""
    if isinstance(value, Identifier) and value.kind is IdentifierKind.KOMMUNEKODE:
        return replace(value, value=kommunekode(value.value))
    if isinstance(value, Coded) and value.system == "ICD10kode":
        return replace(value, system="SKSdiagnosekode")
    if isinstance(value, tuple):
        return tuple(map(in_fhir_form, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: in_fhir_form(getattr(value, each.name)) for each in fields(value)})
    return value


@given(plans())
@settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
def test_any_plan_reads_back_the_same_from_json_and_from_xml(plan: RehabilitationPlan) -> None:
    bundle = write(plan)
    assert comparable(read(bundle)) == comparable(plan)
    root, found = parse_xml(to_xml(bundle), Limits())
    assert root is not None, found
    assert from_xml(root) == bundle


def xml_of(plan: RehabilitationPlan) -> bytes:
    return medcom_xml_from_plan(plan, envelope_id="KUV1", sent_at=AT)


def plan_of(body: bytes) -> RehabilitationPlan:
    return plan_from_medcom_xml(read_envelope(body, Limits()).letters[0]).plan


@pytest.mark.parametrize("sample", ["ggop-official-sample.xml", "samples/ggop-synthetic-almen.xml"])
def test_a_sample_survives_the_way_through_fhir(shared: Path, sample: str) -> None:
    plan = plan_of((shared / "data" / sample).read_bytes())
    again = plan_of(xml_of(read(write(plan))))
    assert comparable(again) == comparable(plan)


# --- the page of losses, row by row -----------------------------------------------------------------------------------


def through_fhir(body: bytes) -> RehabilitationPlan:
    return plan_of(xml_of(read(write(plan_of(body)))))


def test_what_ggop_says_and_fhir_does_not() -> None:
    again = through_fhir(
        ggop(statistical="GGOP3", sections={"ConsentInformed": "<ConsentInformed>måske</ConsentInformed>"})
    )
    assert again.statistical_code == "GGOP1"
    assert again.consent == Consent()
    assert [(each.kind, each.comment.plain) for each in again.journal_excerpts] == [
        ("Øvrige oplysninger", "Samtykke: måske\nStatistikkode: GGOP3")
    ]


def test_unknown_elements_stay_readable() -> None:
    again = through_fhir(
        ggop(sections={"ConsentInformed": "<ConsentInformed>Ja</ConsentInformed><Diaet>Sukkerfri</Diaet>"})
    )
    assert again.consent.stated == "ja"
    assert again.journal_excerpts[-1].comment.plain == "Diaet: Sukkerfri"


def test_every_line_that_ggop_has_no_element_for_is_on_the_page(root: Path) -> None:
    page = (root / "docs" / "reference" / "format-losses.md").read_text("utf-8")
    labels = [label for label, _ in WITHOUT_ELEMENT]
    assert len(labels) > 20
    assert [label for label in labels if label not in page] == []


def test_what_ggop_does_not_say_is_not_made_up() -> None:
    bundle = write(plan_of(ggop()))
    resources = {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}
    assert resources["Patient"].keys().isdisjoint({"birthDate", "gender"})
    assert resources["Consent"].keys().isdisjoint({"performer", "dateTime"})
    assert resources["Encounter"]["class"]["userSelected"] is False
    plan = read(bundle)
    assert plan.hospital_contact is not None
    assert plan.hospital_contact.kind is None


# --- the message ------------------------------------------------------------------------------------------------------


def example(case: str) -> RehabilitationPlan:
    return read(json.loads(packaged("samples", "messages", case, "message.json").read_bytes()))


EXAMPLES = sorted(path.parent.name for path in packaged("samples", "messages").glob("*/message.json"))


@pytest.mark.parametrize("case", EXAMPLES)
def test_an_example_read_and_written_says_the_same(case: str) -> None:
    plan = example(case)
    bundle = write(plan)
    Bundle.model_validate(bundle)
    assert read(bundle) == plan
    assert check_message(bundle) == ()


@pytest.fixture(scope="module")
def profiles(shared: Path) -> Profiles:
    return Profiles.load([shared / "data" / "fhir" / "packages"])


@pytest.mark.parametrize("case", EXAMPLES)
def test_what_is_written_is_valid_by_our_profile_and_the_official_parents(profiles: Profiles, case: str) -> None:
    assert profiles.check(write(example(case))) == ()


def test_a_ggop_becomes_a_valid_message_when_the_directory_knows_the_parties(profiles: Profiles) -> None:
    directory = Directory.load(None)
    plan = plan_of(ggop())
    found = profiles.check(write(plan, known=lambda party: directory.resolve(party, date(2026, 11, 6))))
    assert [each for each in found if each.severity is Severity.ERROR] == []
    assert [each for each in profiles.check(write(plan)) if each.severity is Severity.ERROR] != []


def test_the_same_plan_and_id_give_the_same_message() -> None:
    plan = example("kombineret-2027-knae")
    assert write(plan) == write(plan)
    other = fhir_from_plan(plan, message_id=BUNDLE, bundle_id=BUNDLE, sent_at=AT)
    ids = [{entry["resource"]["id"] for entry in bundle["entry"]} for bundle in (write(plan), other)]
    assert ids[0].isdisjoint(ids[1])
    assert write(plan)["timestamp"] == "2026-11-06T10:59:30+01:00"


@pytest.mark.parametrize(
    ("action", "activity", "role", "status"),
    [
        (Action.NEW, "new-message", "source", "active"),
        (Action.CORRECTION, "modified-message", "revision", "active"),
        (Action.WITHDRAWAL, "retract-message", "removal", "revoked"),
    ],
)
def test_what_is_done_with_the_plan(action: Action, activity: str, role: str, status: str) -> None:
    bundle = write(example("almen-2026-hofte"), action=action, earlier="5790001354145#BRV1")
    message = read_fhir_message(bundle)
    provenance = bundle["entry"][1]["resource"]
    assert message.action is action
    assert message.fhir is not None
    assert (message.fhir.activity, message.fhir.earlier) == (activity, ("5790001354145#BRV1",))
    assert provenance["entity"] == [{"role": role, "what": {"identifier": {"value": "5790001354145#BRV1"}}}]
    assert bundle["entry"][2]["resource"]["status"] == status


def test_the_id_of_a_letter_carries_its_senders_location_number() -> None:
    plan = plan_of(ggop(letter_id="BRV20261106001"))
    request = write(plan)["entry"][2]["resource"]
    assert request["identifier"] == [{"value": "5790001354145#BRV20261106001"}]
    assert read_fhir_message(write(plan)).head == LetterHead("BRV20261106001", "rehabilitation-plan-message", "FHIR")


def test_formatting_comes_back_and_the_element_is_plain() -> None:
    words = "Går <m:Bold>ikke</m:Bold> på trapper.<m:Break/>Bor alene, på 2. sal."
    text = f"<RehabilitationNeedAndPotential>{words}</RehabilitationNeedAndPotential>"
    plan = plan_of(ggop(sections={"RehabilitationNeedAndPotential": text}))
    section = next(
        entry["resource"]
        for entry in write(plan)["entry"]
        if entry["resource"].get("code", {}).get("coding", [{}])[0].get("code") == "rehabilitation-need"
    )
    assert section["valueString"] == "Går ikke på trapper.\nBor alene, på 2. sal."
    assert read(write(plan)).rehabilitation_need == plan.rehabilitation_need
    assert "Går <strong>ikke</strong> på trapper.<br>" in (
        plan.rehabilitation_need.html if plan.rehabilitation_need else ""
    )


def test_the_extended_description_is_divided_by_its_headings() -> None:
    text = (
        "<AbilityAtDischargeExtended><m:Bold>8a. Kroppens funktioner</m:Bold><m:Break/>Svækket."
        "<m:Break/><m:Bold>8b. Aktiviteter</m:Bold><m:Break/>Går kort.</AbilityAtDischargeExtended>"
    )
    plan = plan_of(ggop(sections={"AbilityAtDischargeExtended": text}))
    sections = {
        entry["resource"]["code"]["coding"][0]["code"]: entry["resource"]["valueString"]
        for entry in write(plan)["entry"]
        if entry["resource"]["resourceType"] == "Observation"
    }
    assert sections["functioning-body"].startswith("8a. Kroppens funktioner\nSvækket.")
    assert sections["functioning-activity-participation"] == "8b. Aktiviteter\nGår kort."
    assert read(write(plan)).function_extended == plan.function_extended


def test_free_text_of_the_deadline_is_the_reason_and_only_certain_dates_are_dates() -> None:
    text = "<RehabilitationDeadline>Opstart senest 20-11-2026 pga. instabilt knæ</RehabilitationDeadline>"
    plan = plan_of(ggop(sections={"RehabilitationDeadline": text}))
    start = next(each for each in write(plan)["entry"][2]["resource"]["extension"] if each["url"].endswith("gop-start"))
    assert start["extension"] == [
        {"url": "latest", "valueDate": "2026-11-20"},
        {"url": "reason", "valueString": "Opstart senest 20-11-2026 pga. instabilt knæ"},
    ]
    assert read(write(plan)).start_deadline == plan.start_deadline
