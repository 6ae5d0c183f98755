"""FHIR GOP message to a rehabilitation plan: the same plan as from MedCom XML, from one table of elements.

Read is our own profile (profiles/) and what stands in for it: the end of the hospital contact for the discharge date,
KL's extension for the consent, http and https for location numbers, old and new region codes, `order` and `plan`. An
element that no row names stays readable in `other`, and so does a resource that nothing refers to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gtgateway.mappers import fhir_elements as elements
from gtgateway.mappers import fhir_resources as resources
from gtgateway.mappers.fhir_codes import (
    CAPACITY,
    CONSENT_TO_LIAISING,
    FINAL_RESULT,
    FUNDING,
    HANDED_OUT,
    MUNICIPAL_HELP,
    OCCUPATION,
    PAYING_MUNICIPALITY,
    PHASE2_FROM,
    PRECONDITION_DATE,
    SECTION_FIELDS,
    START,
)
from gtgateway.mappers.fhir_reading import Hit, Reading
from gtgateway.mappers.narrative import readable, words_in
from gtgateway.mappers.plan_from_medcom_xml import check_contact, check_diagnoses
from gtgateway.mappers.table import Mapped
from gtgateway.model import faults
from gtgateway.model.message import Trace
from gtgateway.model.plan import (
    HospitalContact,
    OtherContent,
    Patient,
    RehabilitationPlan,
)
from gtgateway.parsers.envelope import ParsedLetter
from gtgateway.parsers.fhir import (
    Place,
    items,
    obj,
    string,
)

# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """An element of the message, the fields of the plan that it fills, or the reason why it fills none."""

    source: str  #: `ServiceRequest.category`; an extension by its url: `ServiceRequest.extension(https://…)`
    target: str | None = None
    read: Callable[[Reading, Any, str], Iterator[tuple[str, Hit]]] | None = None
    reason: str | None = None


_ENVELOPE = "of the message, not of the plan: the envelope has it"
_ALWAYS = "the same in every plan"
_REFERRED = "read with the resource that refers to it"

ROWS: tuple[Row, ...] = (
    Row("MessageHeader.sender", "sender", elements.sender),
    Row("MessageHeader.destination", "receiver", elements.receivers),
    *(
        Row(f"MessageHeader.{name}", reason=_ENVELOPE)
        for name in ("eventCoding", "source", "focus", "definition", "response")
    ),
    *(
        Row(f"Provenance.{name}", reason=_ENVELOPE)
        for name in ("target", "occurredDateTime", "recorded", "activity", "agent", "entity")
    ),
    # ServiceRequest
    Row("ServiceRequest.identifier", "plan_id", elements.plan_id),
    Row("ServiceRequest.replaces", "replaces", elements.replaces),
    Row(
        "ServiceRequest.status",
        None,
        elements.on_hold,
        reason="Provenance says what is done; on hold is kept in `other`",
    ),
    Row("ServiceRequest.intent", reason=_ALWAYS),
    Row("ServiceRequest.category", "level", elements.categories),
    Row("ServiceRequest.priority", None, elements.priority, reason="routine; another one is kept in `other`"),
    Row("ServiceRequest.code", reason=_ALWAYS),
    Row("ServiceRequest.subject", reason="the patient: Patient"),
    Row("ServiceRequest.encounter", reason="the hospital contact: Encounter"),
    Row("ServiceRequest.authoredOn", "written_at", elements.written_at),
    Row("ServiceRequest.requester", "author", elements.requester),
    Row("ServiceRequest.performer", "chosen_hospital", elements.performers),
    Row("ServiceRequest.reasonReference", reason="the diagnoses: Condition"),
    Row(
        "ServiceRequest.supportingInfo",
        None,
        elements.supporting,
        reason="sections, consent and region: read on their own",
    ),
    Row("ServiceRequest.note", "practical_information", elements.notes),
    Row("ServiceRequest.patientInstruction", "information_for_patient", elements.instruction),
    Row(f"ServiceRequest.extension({PRECONDITION_DATE})", "discharged_on", elements.discharge),
    Row(f"ServiceRequest.extension({START})", "start_deadline", elements.start),
    Row(f"ServiceRequest.extension({HANDED_OUT})", "handed_out_at", elements.handed_out),
    Row(f"ServiceRequest.extension({FUNDING})", "funding", elements.funding),
    Row(f"ServiceRequest.extension({PHASE2_FROM})", "phase2_from", elements.phase2),
    Row(f"ServiceRequest.extension({MUNICIPAL_HELP})", "municipal_help", elements.municipal_help),
    Row(f"ServiceRequest.extension({FINAL_RESULT})", "final_result_receivers", elements.final_result),
    Row(f"ServiceRequest.extension({CONSENT_TO_LIAISING})", "consent", elements.liaising),
    # Patient
    Row("Patient.meta", "patient.address_protected", elements.patient_meta),
    Row("Patient.identifier", "patient.identifier", elements.identifiers),
    Row("Patient.name", "patient.family", elements.patient_name),
    Row("Patient.telecom", "patient.contact", elements.patient_telecom),
    Row("Patient.gender", "patient.gender", elements.gender),
    Row("Patient.birthDate", "patient.birth_date", elements.birth_date),
    Row("Patient.address", "patient.address", elements.patient_address),
    Row("Patient.contact", "relatives", elements.contacts),
    Row("Patient.generalPractitioner", "gp", elements.gp),
    Row(f"Patient.extension({PAYING_MUNICIPALITY})", "patient.paying_municipality", elements.paying),
    Row(f"Patient.extension({OCCUPATION})", "patient.occupation", elements.occupation),
    # Encounter
    Row("Encounter.status", reason="whether the contact has ended: its end tells"),
    Row("Encounter.class", "hospital_contact.kind", elements.contact_class),
    Row("Encounter.subject", reason="the patient: Patient"),
    Row("Encounter.episodeOfCare", "episode_of_care_id", elements.episode),
    Row("Encounter.participant", "care_team", elements.participants),
    Row("Encounter.period", "hospital_contact", elements.period),
    Row("Encounter.diagnosis", reason="which Condition is the main diagnosis: Condition"),
    Row("Encounter.serviceProvider", None, elements.provider, reason="the sender; another unit is kept in `other`"),
    # by whole resources
    Row("Condition.code", "diagnoses"),
    *(
        Row(f"Condition.{name}", reason=_ALWAYS)
        for name in ("clinicalStatus", "verificationStatus", "category", "subject", "encounter")
    ),
    *(Row("Observation.valueString", field) for field in SECTION_FIELDS.values()),
    Row("Observation.valueString", "function_extended"),
    Row("Observation.valueString", "journal_excerpts"),
    Row("Observation.component", "icf"),
    Row("Observation.performer", "co_authors"),
    Row("Observation.effectiveDateTime", "journal_excerpts[].signed_on"),
    Row("Observation.code", reason="which section it is"),
    *(Row(f"Observation.{name}", reason=_ALWAYS) for name in ("status", "category", "subject", "encounter")),
    Row("Consent.provision", "consent.given"),
    Row("Consent.performer", "consent.given_by"),
    Row("Consent.dateTime", "consent.given_at"),
    Row(f"Consent.extension({CAPACITY})", "consent.permanently_lacks_capacity"),
    *(Row(f"Consent.{name}", reason=_ALWAYS) for name in ("status", "scope", "category", "patient", "policyRule")),
    Row("Appointment", "control"),
    Row("Location", reason=_REFERRED),
    Row("DocumentReference", "references"),
    Row("Organization", "contact_municipality"),
    Row("Organization", "contact_region"),
    Row("PractitionerRole", reason=_REFERRED),
    Row("Practitioner", reason=_REFERRED),
    Row("RelatedPerson", "relatives"),
)

#: Properties of every resource that say nothing of the plan.
_TECHNICAL = frozenset(("resourceType", "id", "meta", "text", "implicitRules", "language"))


def _rows_of(type_: str) -> dict[str, Row]:
    """Rows by element, or by the url of an extension."""
    rows = {}
    for row in ROWS:
        resource, _, element = row.source.partition(".")
        if resource == type_:
            rows[element.removeprefix("extension(").removesuffix(")")] = row
    return rows


_HEADER, _REQUEST, _PATIENT, _ENCOUNTER = map(_rows_of, ("MessageHeader", "ServiceRequest", "Patient", "Encounter"))
_KNOWN = {
    type_: frozenset(_rows_of(type_)) | _TECHNICAL | {"extension"} for type_ in ("Condition", "Observation", "Consent")
}
#: Read on their own or with what refers to them; their words are no news.
_READ_ELSEWHERE = frozenset(("Provenance", "Organization", "PractitionerRole", "Practitioner", "Location"))


def _read(reading: Reading, place: Place, rows: Mapping[str, Row]) -> None:
    """Each element of a resource by its row; what has none is kept."""
    reading.used.add(place.path)
    for name, value in place.resource.items():
        path = f"{place.path}.{name}"
        if name == "extension":
            for number, each in enumerate(items(value)):
                row = rows.get(string(obj(each).get("url")) or "")
                _apply(reading, row, each, f"{path}[{number}]")
        elif name in rows or name not in _TECHNICAL:
            _apply(reading, rows.get(name), value, path)


def _apply(reading: Reading, row: Row | None, value: Any, path: str) -> None:
    if row is None:
        reading.keep(path, value)
    elif row.read is not None:
        for target, (read, place) in row.read(reading, value, path):
            reading.put(target, read, place)


def _unread(reading: Reading) -> None:
    """Resources that nothing has read: their narrative, else their words."""
    for place in reading.entries.all:
        if place.path not in reading.used and place.type not in _READ_ELSEWHERE:
            words = readable(place.resource.get("text")) or words_in(dict(place.resource))
            if words:
                reading.other.append(OtherContent(place.path, words))


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan_from_fhir(letter: ParsedLetter) -> Mapped:
    """The plan in a Bundle (`letter.element`, read from JSON or XML). Raises nothing, whatever the Bundle holds."""
    reading = Reading(letter.element, _KNOWN)
    _read(reading, reading.header, _HEADER)
    _read(reading, reading.request, _REQUEST)
    _read(reading, reading.patient, _PATIENT)
    _read(reading, reading.encounter, _ENCOUNTER)
    resources.diagnoses(reading)
    resources.sections(reading)
    resources.consent(reading)
    resources.control(reading)
    resources.references(reading)
    resources.contact_points(reading)
    resources.further_relatives(reading)
    _unread(reading)
    values = reading.values
    contact = _hospital_contact(values)
    if "discharged_on" not in values and contact and contact.expected_end:
        reading.put("discharged_on", contact.expected_end.day, f"{reading.encounter.path}.period.end")
    places = {row.target: row.source_path for row in reading.rows}
    remarks = [*check_contact(contact), *check_diagnoses(values.get("diagnoses", ()))]
    for target, (fault, filling) in remarks:
        if fault is faults.MAP_SKS_FORM and "+" in str(filling["value"]):
            continue  # a combined code (DS721+TUL1) is in SKS form
        place = places.get(target) or places.get(target.removesuffix(".day"))
        reading.findings.append(fault.at(target, place, None, **filling))
    patient = {
        target.removeprefix("patient."): value for target, value in values.items() if target.startswith("patient.")
    }
    plan = RehabilitationPlan(
        patient=Patient(**patient),
        hospital_contact=contact,
        other=tuple(reading.other),
        **{target: value for target, value in values.items() if "." not in target},
    )
    return Mapped(plan, tuple(reading.findings), Trace(tuple(reading.rows), _expected()))


def _hospital_contact(values: Mapping[str, Any]) -> HospitalContact | None:
    parts = {
        target.removeprefix("hospital_contact."): value
        for target, value in values.items()
        if target.startswith("hospital_contact.")
    }
    return HospitalContact(**parts) if parts else None


@lru_cache(maxsize=1)
def _expected() -> tuple[tuple[str, str], ...]:
    """Where a field that is missing belongs."""
    return tuple(
        (row.target, "Bundle.entry.resource.ofType({}){}".format(*_split(row.source))) for row in ROWS if row.target
    )


def _split(source: str) -> tuple[str, str]:
    type_, dot, element = source.partition(".")
    return type_, re.sub(r"extension\((.*)\)", r"extension('\1')", dot + element)
