"""Machine quality of a plan: what a therapist would miss. A hint to the hospital, never a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gtgateway.model.findings import Finding, Severity
from gtgateway.model.outcome import QualityHints
from gtgateway.model.plan import FormattedText, RehabilitationPlan
from gtgateway.validators.phrases import DOMAINS, EMPTY, RESTRICTION, UNNAMED, has_letters
from gtgateway.validators.rules.content import describes_usual_ability, domains, extended_filled

#: A description of ability with fewer letters is a keyword, not a picture of the patient.
_FULL_DESCRIPTION = 100


def quality(plan: RehabilitationPlan, findings: Sequence[Finding]) -> QualityHints:
    """One point for each of ten things that a good plan holds, with the Danish names of the missing ones."""
    noted = frozenset(finding.rule for finding in findings if finding.severity is not Severity.INFORMATION)
    missing = tuple(name for name, holds in _TEN if not holds(plan, noted))
    return QualityHints(len(_TEN) - len(missing), missing)


def _ability(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    return extended_filled(plan) or _says_something(plan.function_at_discharge)


def _says_something(text: FormattedText | None) -> bool:
    return text is not None and not EMPTY.cover(text.plain)


def _fully_described(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    texts = [text.plain for text in (plan.function_at_discharge,) if text]
    if plan.function_extended and extended_filled(plan):
        texts.append(plan.function_extended.plain)
    return has_letters(" ".join(texts), _FULL_DESCRIPTION)


def _need(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    return _says_something(plan.rehabilitation_need)


def _targets(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    texts = (plan.rehabilitation_focus, plan.rehabilitation_need)
    return any(text is not None and not UNNAMED.cover(text.plain) for text in texts)


def _all_domains(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    return len(domains(plan)) == len(DOMAINS)


def _restrictions(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    texts = (plan.rehabilitation_need, plan.practical_information, plan.information_for_patient)
    stated = plan.patient_safety is not None and not plan.patient_safety.blank
    return stated or any(text is not None and RESTRICTION.find(text.plain) for text in texts)


def _deadline_read(_: RehabilitationPlan, noted: frozenset[str]) -> bool:
    return "GOP-DATE-04" not in noted


def _diagnosis(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    return plan.primary_diagnosis is not None


def _contacts(plan: RehabilitationPlan, noted: frozenset[str]) -> bool:
    contacts = (plan.contact_region, plan.contact_municipality)
    return all(contact is not None and contact.reachable for contact in contacts) and "GOP-CONTENT-12" not in noted


def _usual_ability(plan: RehabilitationPlan, _: frozenset[str]) -> bool:
    return describes_usual_ability(plan)


_TEN: tuple[tuple[str, Callable[[RehabilitationPlan, frozenset[str]], bool]], ...] = (
    ("funktionsevne", _ability),
    ("fyldig beskrivelse af funktionsevnen", _fully_described),
    ("genoptræningsbehov", _need),
    ("funktionsevnenedsættelser, som træningen skal rette sig imod", _targets),
    ("krop, aktivitet og deltagelse", _all_domains),
    ("restriktioner", _restrictions),
    ("læsbar frist", _deadline_read),
    ("hoveddiagnose", _diagnosis),
    ("kontaktoplysninger", _contacts),
    ("vanlig funktionsevne", _usual_ability),
)
