"""The Danish headings of a rehabilitation plan, as MedCom's own converter prints them.

One table for everything that shows a plan to people: field of `RehabilitationPlan` -> heading, in document order.
Reading a clinical e-mail uses the same table the other way round.
"""

from __future__ import annotations

HEADINGS: dict[str, str] = {
    "sender": "Afsender",
    "receiver": "Modtager",
    "copy_receivers": "Kopimodtagere",
    "author": "Underskrivere",
    "patient": "Yderligere patientoplysninger",
    "relatives": "Pårørende",
    "level": "Type af genoptræningsplan",
    "information_for_patient": "Information om behandling til patient og pårørende",
    "practical_information": "Praktiske oplysninger",
    "patient_safety": "Patientsikkerhedsmæssige forhold",
    "start_deadline": "Tidsfrist for start af genoptræning",
    "hospital_contact": "Aktuel sygehuskontakt",
    "control": "Aftaler om kontrol og opfølgning",
    "health_summary": "Helbredsforhold inkl. beskrivelse af behandlingsforløb - Sammenfatning",
    "function_prior": "Funktionsevne før aktuelle sygdom",
    "function_at_discharge": "Helbredsrelateret funktionsevne på udskrivningstidspunktet - Sammenfatning",
    "function_extended": "Udvidet beskrivelse af helbredsrelateret funktionsevne på udskrivningstidspunktet",
    "rehabilitation_need": "Patientens genoptræningsbehov og potentiale",
    "rehabilitation_focus": "Genoptræningens fokus",
    "diagnoses": "Diagnoser",
    "icf": "ICF-koder",
    "journal_excerpts": "Uddrag fra journal",
    "contact_region": "Spørgsmål til Regionen",
    "contact_municipality": "Spørgsmål til Kommunen",
    "care_team": "Behandlende team under indlæggelse",
    "final_result_receivers": "Slutstatusmodtager",
    "references": "Referencer",
    "other": "Øvrige oplysninger",
}

#: Fields that hold one formatted text each, in document order (`start_deadline` stands for its `text`).
FORMATTED_SECTIONS: tuple[str, ...] = (
    "information_for_patient",
    "practical_information",
    "patient_safety",
    "start_deadline",
    "health_summary",
    "function_prior",
    "function_at_discharge",
    "function_extended",
    "rehabilitation_need",
    "rehabilitation_focus",
)

_FIELDS = {heading.casefold(): field for field, heading in HEADINGS.items()}


def field_of_heading(words: str) -> tuple[str, str] | None:
    """The field that a heading names, and what stands after its colon (the kind of a journal excerpt).

    Case, spacing and a last colon do not matter; None when it is no heading of a plan.
    """
    line = " ".join(words.split())
    title, _, more = line.partition(":")
    field = _FIELDS.get(title.strip().casefold())
    if field is None or (more.strip() and field != "journal_excerpts"):
        return None
    return field, more.strip()
