"""A HospitalNotification of a discharge: the date of the patient's plans of that stay is confirmed or corrected."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gtgateway.bootstrap import Gateway
from gtgateway.lookup import look_up
from gtgateway.model import faults
from gtgateway.model.findings import Finding, Severity
from gtgateway.model.message import Action, HospitalNotification, Letter, Reading
from gtgateway.model.outcome import Correction, LetterOutcome, Outcome, Repeat, Verdict
from gtgateway.pipeline import judge_corrected
from gtgateway.store.base import StoredPlan


async def with_corrections(outcome: Outcome, gateway: Gateway) -> Outcome:
    """The outcome of a notification with the plans that it corrects, judged anew with their new date.

    A plan that would be unlawful with that date stays as it is, and a warning says so. Any other outcome, and a
    notification of the date that a plan has, comes back as it is.
    """
    notification = outcome.reading.notification
    if notification is None or outcome.verdict is not Verdict.ACCEPTED or outcome.repeat is Repeat.REPLAY:
        return outcome
    if notification.discharged is None or notification.patient is None:
        return outcome
    day = notification.discharged.day
    corrections: list[Correction] = []
    findings: list[Finding] = []
    for plan, reading, letter in await _plans_of_stay(outcome, notification, gateway):
        if plan.discharged_on == day:
            continue
        known = replace(
            await look_up(reading, gateway, plan.received_at),
            stored_plans={letter.head.letter_id: plan.version},
            corrected_from={letter.head.letter_id: plan.discharged_on} if plan.discharged_on else {},
            rerouted={letter.head.letter_id: plan.rerouted} if plan.rerouted else {},
        )
        stated = replace(letter, action=Action.CORRECTION)
        judged = judge_corrected(stated, reading, day, known, gateway.tools, plan.received_at)
        if judged.verdict is Verdict.ACCEPTED:
            corrections.append(Correction(plan.sender_gln, judged))
        else:
            findings.append(
                faults.MSG_DISCHARGE_NOT_USED.at("discharged_on", plan_id=plan.plan_id, rules=_errors(judged))
            )
    return replace(outcome, corrections=tuple(corrections), findings=(*outcome.findings, *findings))


def _errors(judged: LetterOutcome) -> str:
    return ", ".join(sorted({each.rule for each in judged.findings if each.severity is Severity.ERROR}))


async def _plans_of_stay(
    outcome: Outcome, notification: HospitalNotification, gateway: Gateway
) -> list[tuple[StoredPlan, Reading, Letter]]:
    """The patient's active plans of the same episode of care; else of the same sender and start of the contact.

    Each with the message that it was read from.
    """
    assert notification.patient is not None
    assert outcome.reading.envelope is not None
    plans = await gateway.store.plans_of(notification.patient)
    episode = _bare(notification.episode_of_care_id)
    if same_episode := [plan for plan in plans if episode and _bare(plan.episode_of_care_id) == episode]:
        return [read for plan in same_episode if (read := await _read_again(plan, gateway))]
    sender, start = outcome.reading.envelope.sender.gln, notification.start
    found = [read for plan in plans if plan.sender_gln == sender and (read := await _read_again(plan, gateway))]
    return [read for read in found if start is not None and _started_on(read[2]) == start.day]


def _bare(episode_of_care_id: str | None) -> str:
    """Ids are UUIDs: in any case, with or without hyphens."""
    return (episode_of_care_id or "").replace("-", "").lower()


def _started_on(letter: Letter) -> date | None:
    contact = letter.plan.hospital_contact if letter.plan else None
    return contact.start.day if contact and contact.start else None


async def _read_again(plan: StoredPlan, gateway: Gateway) -> tuple[StoredPlan, Reading, Letter] | None:
    """The plan from the bytes that were received; None when they are kept no longer."""
    if (reading := await gateway.read_again(plan.message_id)) is None:
        return None
    letter = reading.letter(plan.letter_id)
    return (plan, reading, letter) if letter else None
