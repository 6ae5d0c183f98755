"""KL's § 140 report at receipt: valid by KL's own package, and honest about what it lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from gtgateway.data import packaged
from gtgateway.mappers.kl_report_from_record import LATER, KlReport, kl_report_from_record
from gtgateway.mappers.plan_from_fhir import plan_from_fhir
from gtgateway.model.identifiers import Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.message import LetterHead
from gtgateway.model.plan import Coded, Party, RehabilitationPlan
from gtgateway.model.route import Organisation, OrganisationKind
from gtgateway.parsers.envelope import ParsedLetter
from gtgateway.validators.structure.profile import Profiles

AT = datetime(2026, 11, 16, 10, 20, tzinfo=UTC)
BUNDLE = "6f2b1c1e-52f1-4c55-9b1c-0c6c7a3a9d10"
#: The part of a stored record that the report reads.
RECORD = {
    "residence_municipality": {"gln": "5790000209354", "code": "0219", "name": "Hillerød Kommune"},
    "received_at": "2026-11-16T10:15:03+01:00",
}
HILLEROED = Organisation(
    "hilleroed-kommune",
    OrganisationKind.MUNICIPALITY,
    "Hillerød Kommune",
    (Identifier(IdentifierKind.SOR, "265161000016000"),),
)


def known(party: Party) -> Organisation | None:
    return HILLEROED if party.gln == "5790000209354" else None


@pytest.fixture
def plan() -> RehabilitationPlan:
    bundle = json.loads(packaged("samples", "messages", "almen-2026-hofte", "message.json").read_bytes())
    return plan_from_fhir(ParsedLetter(LetterHead("", "", "FHIR"), bundle, "", "Bundle", None)).plan


def report(plan: RehabilitationPlan, record: dict[str, Any] = RECORD) -> KlReport:
    return kl_report_from_record(plan, record, known=known, bundle_id=BUNDLE, at=AT)


def of(bundle: dict[str, Any] | None, type_: str) -> list[dict[str, Any]]:
    assert bundle is not None
    Bundle.model_validate(bundle)
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type_]


def test_what_the_plan_tells_is_in_the_report(plan: RehabilitationPlan) -> None:
    bundle = report(plan).bundle
    (citizen,), (request,), (hospital,) = (of(bundle, each) for each in ("Patient", "ServiceRequest", "Organization"))
    assert citizen["identifier"][0]["value"] == "2512489996"
    assert citizen["managingOrganization"]["identifier"]["value"] == "265161000016000"
    assert citizen["deceasedBoolean"] is False
    assert hospital["identifier"][0]["value"] == "953741000016009"
    assert request["extension"][0]["valueDate"] == "2026-11-16"
    assert request["authoredOn"] == "2026-11-16T10:15:03+01:00"
    assert request["category"][0]["coding"][0]["code"] == "ffd81f78-352e-4589-a195-5350dd1df2a4"
    assert request["intent"] == "plan"
    conditions = of(bundle, "Condition")
    assert [each["code"]["coding"][0]["code"] for each in conditions] == ["DS721", "DE119"]
    assert [each["reference"] for each in request["reasonReference"]] == [f"Condition/{c['id']}" for c in conditions]


def test_it_is_valid_by_kls_own_package(shared: Path, plan: RehabilitationPlan) -> None:
    profiles = Profiles.load([shared / "data" / "fhir" / "packages"])
    texts = replace(plan, diagnosis_texts=("Fald på trappe",))
    for each in (plan, texts, replace(plan, diagnoses=())):
        bundle = report(each).bundle
        assert bundle is not None
        assert profiles.check(bundle) == ()
    del bundle["entry"][-1]["resource"]["extension"]
    assert profiles.check(bundle) != ()


def test_what_only_the_municipality_knows_is_listed(plan: RehabilitationPlan) -> None:
    assert report(plan).left_out == LATER
    assert not any(each.blocking for each in LATER)
    replacing = report(replace(plan, replaces="PLAN-1"))
    assert [each.element for each in replacing.left_out[len(LATER) :]] == ["ServiceRequest.replaces"]
    assert replacing.bundle is not None


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"patient": None}, "Patient.identifier"),
        ({"sender": Party("5790001354145")}, "ServiceRequest.requester"),
        ({"discharged_on": None}, "ServiceRequest.extension: dischargeDate"),
        ({"level": None}, "ServiceRequest.category"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_report_without_what_it_must_have(plan: RehabilitationPlan, changes: dict[str, Any], element: str) -> None:
    if "patient" in changes:
        changes = {"patient": replace(plan.patient, identifier=ReplacementNumber("0703921VJ4"))}
    made = report(replace(plan, **changes))
    assert made.bundle is None
    assert [each.element for each in made.left_out if each.blocking] == [element]


def test_no_report_without_the_municipality(plan: RehabilitationPlan) -> None:
    made = report(plan, RECORD | {"residence_municipality": None})
    assert [each.element for each in made.left_out if each.blocking] == ["Patient.managingOrganization"]


def test_a_code_that_is_no_sks_diagnosis_is_text_and_a_repeat_is_told_once(plan: RehabilitationPlan) -> None:
    group = plan.diagnoses[0]
    odd = replace(group, secondary=(Coded("F29", "ICPC2kode", "Andet"), group.primary))  # type: ignore[arg-type]
    conditions = of(report(replace(plan, diagnoses=(odd,))).bundle, "Condition")
    assert [each["code"].get("text") for each in conditions] == [None, "F29 Andet"]


def test_ids_are_the_plans_and_the_same_in_every_report(plan: RehabilitationPlan) -> None:
    first = report(plan).bundle
    later = kl_report_from_record(
        replace(plan, discharged_on=date(2026, 11, 17)), RECORD, known=known, bundle_id="x", at=AT
    ).bundle
    assert first is not None
    assert later is not None
    assert [each["fullUrl"] for each in first["entry"]] == [each["fullUrl"] for each in later["entry"]]
