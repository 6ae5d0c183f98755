"""The municipal record of a plan: what a municipality or region needs to act, in one object (legal-rules 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from gtgateway.law.governing import Governing
from gtgateway.mappers.headings import FORMATTED_SECTIONS, HEADINGS
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Finding, Severity
from gtgateway.model.identifiers import ReplacementNumber
from gtgateway.model.message import Letter
from gtgateway.model.outcome import OrderBasis, QualityHints
from gtgateway.model.plan import (
    COPENHAGEN,
    CoAddress,
    Coded,
    Confidence,
    FormattedText,
    Patient,
    RehabilitationPlan,
)
from gtgateway.model.record import (
    MunicipalRecord,
    RecordConsent,
    RecordDiagnosis,
    RecordOrganisation,
    RecordPatient,
    RecordRecipient,
    RecordSection,
)
from gtgateway.model.route import Organisation, OrganisationKind, Role, Route

SCHEMA_VERSION = "1"

#: What a person must see at a glance, in the order shown: the flag and what it says in Danish.
FLAGS: dict[str, str] = {
    "arrived_very_late": "Planen kom meget sent efter udskrivningen; se på den straks.",
    "late": "En frist var overskredet, da planen blev modtaget.",
    "lives_elsewhere": "Planen er adresseret til en anden kommune end bopælskommunen.",
    "residence_doubtful": "Noget taler imod den fundne bopælskommune.",
    "estimated_dates": "Udskrivningsdatoen mangler; fristerne er regnet fra plandatoen eller modtagelsen.",
    "expected_discharge": "Udskrivningsdatoen er forventet og kan blive ændret.",
    "unread_deadline_text": "Sygehusets tekst om tidsfrist for opstart skal læses af en person.",
    "deferral_without_date": "Planen siger udskudt opstart, men datoen mangler.",
    "no_working_day": "Der er ingen arbejdsdag inden fristen.",
    "missing_diagnosis": "Planen har ingen diagnosekode.",
    "minor": "Patienten er under 18 år.",
    "address_protected": "Patienten har adressebeskyttelse.",
    "reconstructed": "Planen er genskabt ud fra en klinisk e-mail.",
}


def record_from_plan(
    letter: Letter,
    *,
    format: str,
    digest: str,
    received_at: datetime,
    governing: Governing,
    deadlines: Deadlines,
    route: Route,
    findings: tuple[Finding, ...],
    quality: QualityHints,
    plan_version: int = 1,
) -> MunicipalRecord:
    """The record of a letter that was read, judged and accepted. The letter must hold a plan.

    `digest`: SHA-256 (hex) of the received bytes. `received_at`: aware.

    In the record: `flags` see `FLAGS`; `transport_need` where GOP-TRANS-01 found it mentioned; `late_days` counts from
    discharge to receipt (local dates), None when the plan came no later than the day of discharge.
    """
    plan = letter.plan
    assert plan is not None
    received_on = received_at.astimezone(COPENHAGEN).date()
    authority = next((entry.organisation for entry in route.entries if entry.role is Role.AUTHORITY), None)
    contact = plan.hospital_contact
    late_days = (received_on - plan.discharged_on).days if plan.discharged_on else 0
    return MunicipalRecord(
        schema_version=SCHEMA_VERSION,
        plan_id=plan.plan_id or letter.head.letter_id,
        plan_version=plan_version,
        replaces=plan.replaces,
        message_digest=digest,
        format=format,
        received_at=received_at,
        reconstructed=plan.reconstructed,
        order=governing.order.id,
        order_basis=governing.basis,
        authority=_organisation(authority),
        residence_municipality=_organisation(route.residence.municipality),
        residence_region=_organisation(route.residence.region),
        residence_evidence=route.residence.evidence,
        residence_doubtful=route.residence.doubtful,
        paying_municipality=plan.patient.paying_municipality,
        patient=_patient(plan.patient),
        relatives=plan.relatives,
        plan_type=plan.plan_type,
        level=plan.level,
        level_stated=plan.level_stated,
        hospital_suggestion=plan.hospital_suggestion,
        phases=tuple(level for level in (plan.level, plan.next_level) if level),
        phase2_from=plan.phase2_from,
        sender=plan.sender,
        author=plan.author,
        co_authors=plan.co_authors,
        plan_date=plan.written_at,
        sections=tuple(_sections(plan)),
        diagnoses=tuple(_diagnoses(plan)),
        icf=tuple(_icf(plan)),
        contact_region=plan.contact_region,
        contact_municipality=plan.contact_municipality,
        gp=plan.gp,
        gp_deselected=plan.gp_deselected,
        care_team=plan.care_team,
        final_result_receivers=plan.final_result_receivers,
        other=plan.other,
        consent=RecordConsent(
            given=plan.consent.given,
            given_by=plan.consent.given_by,
            given_at=plan.consent.given_at,
            refusals=tuple(party.label for party in plan.consent.refused),
            stated=plan.consent.stated,
            send_agreed=plan.consent.send_agreed,
        ),
        admitted_on=contact.start.day if contact and contact.start else None,
        discharged_on=plan.discharged_on,
        discharge_source=_discharge_source(plan),
        start_deadline=plan.start_deadline,
        hospital_control=plan.control,
        late_days=late_days if late_days > 0 else None,
        deadlines=deadlines,
        route=tuple(
            RecordRecipient(entry.role, entry.kind, named(entry.organisation), entry.deliver, entry.phase, entry.basis)
            for entry in route.entries
        ),
        findings=findings,
        quality_score=quality.score,
        quality_missing=quality.missing,
        flags=_flags(plan, governing, deadlines, route, findings, late_days),
        transport_need=any(finding.rule == "GOP-TRANS-01" for finding in findings),
        source_paths=letter.trace.rows,
        episode_of_care_id=plan.episode_of_care_id,
        receiver=plan.receiver,
        copy_receivers=plan.copy_receivers,
        final_result_deselected=plan.final_result_deselected,
        hospital_contact=contact,
        references=plan.references,
    )


def named(organisation: Organisation) -> RecordOrganisation:
    """An organisation of the directory as the record names it."""
    return RecordOrganisation(organisation.gln, organisation.code, organisation.name)


def _organisation(organisation: Organisation | None) -> RecordOrganisation | None:
    return named(organisation) if organisation else None


def _patient(patient: Patient) -> RecordPatient:
    return RecordPatient(
        identifier=patient.identifier,
        identifier_kind="replacement" if isinstance(patient.identifier, ReplacementNumber) else "cpr",
        given=patient.given,
        family=patient.family,
        birth_date=patient.born_on,
        street=patient.address.street,
        suburb=patient.address.suburb,
        district=patient.address.district,
        postcode=patient.address.postcode,
        co_address=_co_address(patient.co_address),
        contact=patient.contact,
        occupation=patient.occupation,
        address_protected=patient.address_protected,
        gender=patient.gender,
    )


def _co_address(co_address: CoAddress | None) -> str | None:
    """On one line: "Rosa Andersen, Skovgård 3, Hjallese, 5220 Odense SØ"."""
    if co_address is None:
        return None
    address = co_address.address
    name = " ".join(part for part in (co_address.given, co_address.family) if part)
    town = " ".join(part for part in (address.postcode, address.district) if part)
    return ", ".join(part for part in (name, address.street, address.suburb, town) if part) or None


def _sections(plan: RehabilitationPlan) -> Iterator[RecordSection]:
    for field in FORMATTED_SECTIONS:
        text: FormattedText | None = plan.start_deadline.text if field == "start_deadline" else getattr(plan, field)
        if text and not text.blank:
            yield RecordSection(field, HEADINGS[field], text)
    for index, excerpt in enumerate(plan.journal_excerpts):
        heading = HEADINGS["journal_excerpts"] + (f": {excerpt.kind}" if excerpt.kind else "")
        yield RecordSection(f"journal_excerpts[{index}]", heading, excerpt.comment, excerpt.signer, excerpt.signed_on)


def _diagnoses(plan: RehabilitationPlan) -> Iterator[RecordDiagnosis]:
    """Every code once (GGOP senders repeat them), the primary ones first, then the free texts."""
    coded = [
        *(_code("primary", group.primary) for group in plan.diagnoses if group.primary),
        *(_code("secondary", code) for group in plan.diagnoses for code in group.secondary),
    ]
    seen: set[tuple[str, str]] = set()
    for diagnosis in coded:
        key = ((diagnosis.code or "").casefold(), (diagnosis.system or "").casefold())
        if key not in seen:
            seen.add(key)
            yield diagnosis
    for text in dict.fromkeys(plan.diagnosis_texts):
        yield RecordDiagnosis("text", None, None, text)


def _icf(plan: RehabilitationPlan) -> Iterator[RecordDiagnosis]:
    for classification in plan.icf:
        yield _code("icf", classification.code)
        if classification.gradient:
            yield _code("gradient", classification.gradient)


def _code(rank: str, coded: Coded) -> RecordDiagnosis:
    return RecordDiagnosis(rank, coded.code, coded.system, coded.text)


def _discharge_source(plan: RehabilitationPlan) -> str:
    """Where day zero comes from, in the order in which it is looked for (GOP-DATE-01)."""
    if plan.discharged_on:
        return "text" if plan.discharge_read_from_text else "plan"
    return "plan_date" if plan.written_at else "receipt"


def _flags(
    plan: RehabilitationPlan,
    governing: Governing,
    deadlines: Deadlines,
    route: Route,
    findings: tuple[Finding, ...],
    late_days: int,
) -> tuple[str, ...]:
    deadline = plan.start_deadline
    doubtful = any(entry.confidence is Confidence.DOUBTFUL for entry in deadline.understood)
    warned = any(found.rule == "GOP-DATE-04" and found.severity is Severity.WARNING for found in findings)
    raised = {
        "arrived_very_late": late_days > governing.order.parameters.late_alert_days.value,
        "late": deadlines.late_at_receipt,
        "lives_elsewhere": _lives_elsewhere(route),
        "residence_doubtful": route.residence.doubtful,
        "estimated_dates": deadlines.estimated,
        "expected_discharge": governing.basis is OrderBasis.EXPECTED_DISCHARGE,
        "unread_deadline_text": doubtful or warned,
        "deferral_without_date": deadline.deferral_stated and deadline.earliest is None,
        "no_working_day": deadlines.no_working_day,
        "missing_diagnosis": not plan.all_diagnoses,
        "minor": _under_18(plan.patient.born_on, governing.day),
        "address_protected": plan.patient.address_protected,
        "reconstructed": plan.reconstructed,
    }
    return tuple(flag for flag in FLAGS if raised[flag])


def _lives_elsewhere(route: Route) -> bool:
    """The stated receiver is a municipality, or a unit of one, other than that of residence."""
    stated, residence = route.stated_receiver, route.residence.municipality
    if stated is None or residence is None or stated.kind is not OrganisationKind.MUNICIPALITY:
        return False
    return residence.id not in (stated.id, stated.parent)


def _under_18(born_on: date | None, day: date) -> bool:
    if born_on is None:
        return False
    return (day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))) < 18
