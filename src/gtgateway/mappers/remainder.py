"""What a plan says that MedCom XML has no element for: one table, so that no translation drops it silently."""

from __future__ import annotations

from collections.abc import Callable

from gtgateway.mappers.headings import HEADINGS
from gtgateway.model.plan import JournalExcerpt, OtherContent, Party, PlanType, RehabilitationPlan

#: MedCom's limit for the id of a letter and of an envelope.
LETTER_ID_LIMIT = 14


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else "ja" if value else "nej"


def _consent_given_by(plan: RehabilitationPlan) -> str | None:
    return ", ".join(part for part in (plan.consent.given_by, plan.consent.given_by_name) if part) or None


def _second_phase(plan: RehabilitationPlan) -> str | None:
    if plan.next_level is None:
        return None
    return f"{plan.next_level} fra {plan.phase2_from}" if plan.phase2_from else str(plan.next_level)


def _chosen_hospital(plan: RehabilitationPlan) -> str | None:
    hospital = plan.chosen_hospital
    if hospital is None or hospital in plan.receivers:
        return None
    return _organisation(hospital)


def _organisation(party: Party) -> str:
    return f"{party.label} ({party.gln})" if party.gln and party.gln != party.label else party.label


def _deadline_reason(plan: RehabilitationPlan) -> str | None:
    return plan.start_deadline.reason if plan.start_deadline.text else None


def _stated_level(plan: RehabilitationPlan) -> str | None:
    stated = plan.level_stated
    return stated if plan.level and stated and stated.casefold() != plan.level else None


def _sending_apart(plan: RehabilitationPlan) -> str | None:
    """ConsentInformed covers both: said apart only where the two differ."""
    consent = plan.consent
    return None if consent.send_agreed == consent.given else _yes_no(consent.send_agreed)


#: Danish label -> what to print, or None where the plan does not say it.
WITHOUT_ELEMENT: tuple[tuple[str, Callable[[RehabilitationPlan], object]], ...] = (
    ("Plan-id", lambda plan: plan.plan_id if plan.plan_id and len(plan.plan_id) > LETTER_ID_LIMIT else None),
    ("Erstatter plan", lambda plan: plan.replaces),
    ("Niveau som skrevet af sygehuset", _stated_level),
    ("Niveau", lambda plan: plan.level if plan.plan_type is PlanType.EGENTRAENING else None),
    ("Derefter niveau", _second_phase),
    ("Begrundelse for tidsfrist", _deadline_reason),
    ("Seneste første kontakt", lambda plan: plan.start_deadline.latest_first_contact),
    ("Kontaktens art", lambda plan: plan.hospital_contact.kind if plan.hospital_contact else None),
    ("Samtykke givet af", _consent_given_by),
    ("Samtykke givet", lambda plan: plan.consent.given_at and plan.consent.given_at.isoformat(" ", "minutes")),
    ("Patienten kan varigt ikke give samtykke", lambda plan: "ja" if plan.consent.permanently_lacks_capacity else None),
    ("Patienten har sagt ja til afsendelse", _sending_apart),
    ("Ønskes ikke sendt til", lambda plan: ", ".join(map(_organisation, plan.consent.refused))),
    ("Patientens fødselsdato", lambda plan: plan.patient.birth_date),
    ("Patientens køn", lambda plan: plan.patient.gender),
    ("Patientens kommunekode", lambda plan: plan.patient.address.kommunekode),
    ("Adressebeskyttelse", lambda plan: "ja" if plan.patient.address_protected else None),
    ("Betalingskommune", lambda plan: plan.patient.paying_municipality),
    ("Finansiering", lambda plan: plan.funding),
    ("Modtager kommunal hjælp", lambda plan: _yes_no(plan.municipal_help)),
    ("Udleveret til patienten", lambda plan: plan.handed_out_at and plan.handed_out_at.isoformat(" ", "minutes")),
    ("Valgt sygehus", _chosen_hospital),
)


def remainder(plan: RehabilitationPlan) -> tuple[str, ...]:
    """One line `<Danish label>: <text>` per thing without an element of its own, `plan.other` last; mostly none."""
    stated = tuple(f"{label}: {value}" for label, say in WITHOUT_ELEMENT if (value := say(plan)) not in (None, ""))
    return stated + other_lines(plan)


def other_lines(plan: RehabilitationPlan) -> tuple[str, ...]:
    """One line for each thing that has no field in the plan."""
    return tuple(map(_other, plan.other))


def _other(content: OtherContent) -> str:
    """With the name of its element; a line of a clinical e-mail needs none."""
    name = content.source_path.rpartition("/")[2]
    return content.text if name == "Text01" else f"{name}: {content.text}"


def sections_without_element(plan: RehabilitationPlan) -> tuple[JournalExcerpt, ...]:
    """Formatted sections that only FHIR has, as excerpts under their own heading."""
    return tuple(
        JournalExcerpt(HEADINGS[field], text)
        for field, text in (
            ("function_prior", plan.function_prior),
            ("rehabilitation_focus", plan.rehabilitation_focus),
        )
        if text
    )
