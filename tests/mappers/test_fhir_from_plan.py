"""Plan to FHIR and back: nothing is lost that both can carry, and what is lost is listed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gtgateway.mappers.fhir_from_plan import fhir_from_plan
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.mappers.plan_from_fhir import plan_from_fhir
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.model.identifiers import Identifier, IdentifierKind, kommunekode
from gtgateway.model.message import LetterHead
from gtgateway.model.plan import Coded, Consent, RehabilitationPlan
from gtgateway.parsers.envelope import ParsedLetter, read_envelope
from gtgateway.parsers.fhir_codec import from_xml, to_xml
from gtgateway.parsers.hardened import Limits, parse_xml
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
