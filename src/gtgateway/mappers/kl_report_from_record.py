"""KL's § 140 delivery report (KL Gateway rehab 2.2.0) as far as a received plan tells it.

At receipt the report holds the citizen, the hospital, the diagnoses and the plan itself. Courses, interventions,
contacts and the therapist's findings are the municipality's own, and are listed as left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gtgateway.mappers.codes import codes
from gtgateway.mappers.fhir_codes import (
    CARE_CODES,
    CONDITION_CLINICAL,
    CONDITION_VERIFICATION,
    LEVEL_CATEGORIES,
    PRECONDITION_DATE,
    SERVICE,
    SKS_DIAGNOSES,
)
from gtgateway.mappers.fhir_from_plan import Known
from gtgateway.mappers.json_from_model import to_data
from gtgateway.mappers.narrative import narrative
from gtgateway.model.findings import Bilingual
from gtgateway.model.identifiers import Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.plan import COPENHAGEN, Coded, Level, Party, RehabilitationPlan
from gtgateway.model.record import MunicipalRecord
from gtgateway.parsers.fhir import CANONICAL, CPR, SOR, Json

_PROFILE = "http://fhir.kl.dk/rehab/StructureDefinition/klgateway-140"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An element of the report that a received plan cannot fill, and why. `blocking`: no report without it."""

    element: str
    reason: Bilingual
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class KlReport:
    """The report as JSON data (None when what it must have is not known), and what is not in it."""

    bundle: Json | None
    left_out: tuple[LeftOut, ...]


_MUNICIPAL = Bilingual("afgøres og registreres af kommunen", "decided and recorded by the municipality")
_NO_CPR = Bilingual("kun borgere med CPR-nummer kan indberettes", "only a citizen with a CPR number can be reported")
_NO_MUNICIPALITY = Bilingual("kommunens SOR-kode kendes ikke", "the municipality's SOR code is not known")
_NO_HOSPITAL = Bilingual("sygehusafdelingens SOR-kode kendes ikke", "the hospital unit's SOR code is not known")
_NO_DISCHARGE = Bilingual("udskrivningsdatoen kendes ikke", "the discharge date is not known")
_NO_LEVEL = Bilingual("planen har intet niveau", "the plan has no level")
_REPLACED = Bilingual("den erstattede plan er ikke i rapporten", "the replaced plan is not in the report")
#: What a plan never tells.
LATER = (
    LeftOut("ServiceRequest.category: basal, avanceret", _MUNICIPAL),
    LeftOut("ServiceRequest.occurrencePeriod.start", Bilingual("dagen tilbydes senere", "the day is offered later")),
    LeftOut("ServiceRequest.extension: statusReason", _MUNICIPAL),
    LeftOut("Patient.active", _MUNICIPAL),
    LeftOut("Organization: udførende enhed", _MUNICIPAL),
    LeftOut("CarePlan: forløb og indsatser", _MUNICIPAL),
    LeftOut("Condition: FSIII-tilstande", _MUNICIPAL),
    LeftOut("Encounter: leverede kontakter", _MUNICIPAL),
)


def kl_report_from_record(
    plan: RehabilitationPlan,
    record: MunicipalRecord | Mapping[str, Any],
    *,
    known: Known,
    bundle_id: str,
    at: datetime,
) -> KlReport:
    """The report of a plan at receipt, made at an aware instant; `record` itself or its JSON, as the archive keeps it.

    `known` finds the directory's entry of a party, for the SOR codes that KL wants. Ids of resources are those of the
    plan, the same in every report; deceasedBoolean is assumed to be false.
    """
    data = to_data(record) if isinstance(record, MunicipalRecord) else record
    number = plan.patient.identifier
    cpr = None if number is None or isinstance(number, ReplacementNumber) else number
    municipality = _sor(_party(data["residence_municipality"]), known)
    hospital = _sor(plan.sender, known)
    missing = tuple(
        LeftOut(element, reason, blocking=True)
        for value, element, reason in (
            (cpr, "Patient.identifier", _NO_CPR),
            (municipality, "Patient.managingOrganization", _NO_MUNICIPALITY),
            (hospital, "ServiceRequest.requester", _NO_HOSPITAL),
            (plan.discharged_on, "ServiceRequest.extension: dischargeDate", _NO_DISCHARGE),
            (plan.level, "ServiceRequest.category", _NO_LEVEL),
        )
        if value is None
    )
    replaced = (LeftOut("ServiceRequest.replaces", _REPLACED),) if plan.replaces else ()
    left_out = (*LATER, *replaced, *missing)
    if cpr is None or municipality is None or hospital is None or plan.discharged_on is None or plan.level is None:
        return KlReport(None, left_out)
    entries = _Entries(f"{plan.sender.gln}/{plan.plan_id}")
    citizen = {
        "identifier": [{"use": "official", "system": CPR, "value": cpr.reveal()}],
        "deceasedBoolean": False,
        "managingOrganization": {"identifier": _sor_identifier(municipality)},
    }
    entries.add("Patient", "", "citizen", "Borger med genoptræningsplan.", citizen)
    sender = {"identifier": [_sor_identifier(hospital)]}
    entries.add("Organization", "", "organization", f"{plan.sender.label}.", sender)
    diagnoses = {coded.code: coded for coded in plan.all_diagnoses}.values()
    stated: list[Coded | str] = [*diagnoses, *plan.diagnosis_texts]
    conditions = [_condition(entries, str(key), each) for key, each in enumerate(stated)]
    received_at = datetime.fromisoformat(data["received_at"])
    _request(entries, received_at, plan.discharged_on, plan.level, conditions)
    bundle = {
        "resourceType": "Bundle",
        "id": bundle_id,
        "meta": {"profile": [f"{_PROFILE}-delivery-report"]},
        "type": "collection",
        "timestamp": _instant(at),
        "entry": entries.all,
    }
    return KlReport(bundle, left_out)


class _Entries:
    """The entries of a report; ids by type and key."""

    def __init__(self, plan: str) -> None:
        self.plan = plan
        self.all: list[Json] = []

    def id(self, type_: str, key: str = "") -> str:
        return str(uuid5(NAMESPACE_URL, f"{CANONICAL}/kl-report/{self.plan}/{type_}/{key}"))

    def reference(self, type_: str, key: str = "") -> Json:
        return {"reference": f"{type_}/{self.id(type_, key)}"}

    def add(self, type_: str, key: str, profile: str, words: str, content: Json) -> None:
        id_ = self.id(type_, key)
        head: Json = {"resourceType": type_, "id": id_, "meta": {"profile": [f"{_PROFILE}-{profile}"]}}
        head["text"] = narrative((words,))
        self.all.append({"fullUrl": f"{CANONICAL}/{type_}/{id_}", "resource": head | content})


def _party(organisation: Mapping[str, Any] | None) -> Party | None:
    if organisation is None:
        return None
    code = organisation["code"]
    kommune = (Identifier(IdentifierKind.KOMMUNEKODE, code),) if code else ()
    return Party(organisation["gln"], kommune, organisation["name"])


def _sor(party: Party | None, known: Known) -> str | None:
    if party is None:
        return None
    if stated := party.identifier(IdentifierKind.SOR):
        return stated
    found = known(party)
    return found.identifier(IdentifierKind.SOR) if found else None


def _sor_identifier(value: str) -> Json:
    return {"use": "official", "system": SOR, "value": value}


def _instant(at: datetime) -> str:
    return at.astimezone(COPENHAGEN).isoformat(timespec="seconds")


def _condition(entries: _Entries, key: str, diagnosis: Coded | str) -> Json:
    """One Condition a code or free text; a code that is no SKS diagnosis is told as text."""
    words = diagnosis if isinstance(diagnosis, str) else " ".join(filter(None, (diagnosis.code, diagnosis.text)))
    code: Json = {"text": words}
    if not isinstance(diagnosis, str) and (diagnosis.system or "").casefold() in ("", *codes("diagnosis_systems")):
        named = {"display": diagnosis.text} if diagnosis.text else {}
        code = {"coding": [{"system": SKS_DIAGNOSES, "code": diagnosis.code} | named]}
    content = {
        "clinicalStatus": {"coding": [{"system": CONDITION_CLINICAL, "code": "active"}]},
        "verificationStatus": {"coding": [{"system": CONDITION_VERIFICATION, "code": "confirmed"}]},
        "code": code,
        "subject": entries.reference("Patient"),
    }
    entries.add("Condition", key, "focus-condition", words, content)
    return entries.reference("Condition", key)


def _request(entries: _Entries, received_at: datetime, discharged: date, level: Level, conditions: list[Json]) -> None:
    code, display = LEVEL_CATEGORIES[level]
    service, service_name = SERVICE
    content: Json = {
        "extension": [{"url": PRECONDITION_DATE, "valueDate": discharged.isoformat()}],
        "status": "active",
        "intent": "plan",
        "category": [{"coding": [{"system": CARE_CODES, "code": code, "display": display}]}],
        "code": {"coding": [{"system": CARE_CODES, "code": service, "display": service_name}]},
        "subject": entries.reference("Patient"),
        "authoredOn": _instant(received_at),  # KL: when the municipality got the plan
        "requester": entries.reference("Organization"),
    }
    if conditions:
        content["reasonReference"] = conditions
    words = f"Genoptræningsplan ({level}); udskrivning {discharged}."
    entries.add("ServiceRequest", "", "servicerequest", words, content)
