"""The corridor: bytes in, everything that follows from them out. Read it from top to bottom.

    read      1 read_envelope    parsers/                    bytes → envelope, letters (hardened)
              2 check_structure  validators/structure        tree → findings
              3 plan_from        mappers/                    tree → RehabilitationPlan + findings
    judge     4 govern           law/                        discharge date → Order
              5 find_residence   residence/                  plan, directory → municipality and region
              6 route            routing/                    plan, Order, directory → recipients
              7 compute_deadlines law/                       plan, Order → Deadlines
              8 check_rules      validators/rules            all of the above → findings
              9 record_from_plan mappers/                    → MunicipalRecord
             10 decide, reply    acknowledgements/           findings → the answer

`read` and `judge` touch nothing: no clock, store, network or global state. `assess` is both in a row; `check`,
`convert` and the benchmarks call it, so that an integrator tests exactly what production runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from gtgateway.acknowledgements.decide import decide
from gtgateway.acknowledgements.reply import make_reply
from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.explained import deadline_steps
from gtgateway.law.governing import Governing, govern
from gtgateway.law.orders import Order, Orders
from gtgateway.mappers.plan_from_clinical_email import plan_from_clinical_email
from gtgateway.mappers.plan_from_fhir import plan_from_fhir
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml, understood_deadline
from gtgateway.mappers.record_from_plan import record_from_plan
from gtgateway.mappers.table import Mapped
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Reply
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Bilingual, Fault, Finding, Layer, LayerResult, Severity, Validity
from gtgateway.model.message import Action, Envelope, FhirEnvelope, Format, Letter, LetterHead, Reading
from gtgateway.model.outcome import Known, LetterOutcome, Outcome, Repeat, Rerouted, Verdict
from gtgateway.model.plan import LocalMoment, Party, RehabilitationPlan, danish_day
from gtgateway.model.route import Organisation, Route
from gtgateway.parsers.envelope import ParsedLetter, read_envelope
from gtgateway.parsers.fhir_message import PLAN_EVENTS
from gtgateway.parsers.hardened import Limits
from gtgateway.residence.evidence import Postcodes, find_residence
from gtgateway.routing.directory import Directory
from gtgateway.routing.receiver import check_receiver
from gtgateway.routing.rerouting import rerouted_plan
from gtgateway.routing.route import route
from gtgateway.validators.quality import quality
from gtgateway.validators.registry import Facts, Policy, check_rules
from gtgateway.validators.structure.message_rules import check_message
from gtgateway.validators.structure.profile import Profiles
from gtgateway.validators.structure.xsd import Schemas, check_structure


@dataclass(frozen=True, slots=True)
class Tools:
    """What reading and judging need, compiled once at start-up."""

    limits: Limits
    schemas: Schemas
    orders: Orders
    directory: Directory
    calendar: Calendar
    postcodes: Postcodes
    policy: Policy
    profiles: Profiles
    identity: Party  #: the gateway's own, for an answer in the name of a receiver that the message does not tell
    shadow_order: str | None = None  #: id of an order not yet in force that judges as well, for information


class Regard(StrEnum):
    """How earlier orders are regarded: `live` refuses them (GOP-REGIME-02), `archive` judges by them."""

    LIVE = "live"
    ARCHIVE = "archive"


PLAN_FROM: dict[Format, Callable[[ParsedLetter], Mapped]] = {
    Format.GGOP: plan_from_medcom_xml,
    Format.XDIS91: plan_from_clinical_email,
    Format.FHIR: plan_from_fhir,
}


#: A letter of another standard or version: what its elements mean is not known.
_OTHER_STANDARD = frozenset((faults.MSG_VERSION.rule, faults.MSG_UNKNOWN_ROOT.rule))


# --- read -------------------------------------------------------------------------------------------------------------


def read(body: bytes, tools: Tools) -> Reading:
    """What the bytes say. Faults are findings; nothing is raised for a faulty document."""
    parsed = read_envelope(body, tools.limits)
    findings = parsed.findings
    if parsed.document is not None:
        profiled = _profiled(parsed.document, parsed.fhir, tools.profiles)
        structure: tuple[tuple[Finding, ...], ...] = (profiled,) if parsed.letters else ()
        if not parsed.letters:
            findings = (*findings, *profiled)
    else:
        structure = check_structure(parsed, tools.schemas)
    letters = tuple(
        _read_letter(parsed.format, letter, found) for letter, found in zip(parsed.letters, structure, strict=True)
    )
    return Reading(
        parsed.digest,
        parsed.size,
        parsed.format,
        parsed.vans,
        parsed.envelope,
        letters,
        findings,
        parsed.receipt,
        parsed.fhir,
        parsed.notification,
    )


def _profiled(document: dict[str, Any], fhir: FhirEnvelope | None, profiles: Profiles) -> tuple[Finding, ...]:
    """What profiles and message rules find: the fast yes first, the explaining path for the rest."""
    findings = () if profiles.accepts(document) else profiles.check(document)
    if document.get("type") == "message":
        # MedCom's message rules; where a profile says the same of the same place, once is enough.
        said = {finding.source_path for finding in findings if finding.severity is Severity.ERROR}
        findings = (*findings, *(each for each in check_message(document) if each.source_path not in said))
    if fhir is None or fhir.event not in PLAN_EVENTS:
        return findings
    # MedCom's Provenance wants a header with one of MedCom's five events, and none of them is a plan's.
    return tuple(
        replace(finding, severity=Severity.INFORMATION)
        if finding.rule == faults.FHIR_TARGET.rule and finding.path.endswith(".target.reference")
        else finding
        for finding in findings
    )


def _read_letter(format: Format | None, letter: ParsedLetter, structure: tuple[Finding, ...]) -> Letter:
    identity = LayerResult.of(Layer.ENVELOPE, letter.findings)
    plan_from = PLAN_FROM.get(format) if format else None
    if plan_from is None or any(finding.rule in _OTHER_STANDARD for finding in letter.findings):
        # A FHIR message of another kind says itself by which profiles it is to be judged.
        by_profile = LayerResult.of(Layer.STRUCTURE, structure) if format is Format.FHIR else None
        layers = (
            identity,
            by_profile or LayerResult(Layer.STRUCTURE, Validity.SKIPPED),
            LayerResult(Layer.MAPPING, Validity.SKIPPED),
        )
        return Letter(letter.head, letter.digest, None, layers, source_path=letter.source_path, line=letter.line)
    mapped = plan_from(letter)
    layers = (
        identity,
        LayerResult.of(Layer.STRUCTURE, (*structure, *(f for f in mapped.findings if f.layer is Layer.STRUCTURE))),
        LayerResult.of(Layer.MAPPING, (f for f in mapped.findings if f.layer is not Layer.STRUCTURE)),
    )
    return Letter(
        letter.head, letter.digest, mapped.plan, layers, mapped.trace, letter.source_path, letter.line, letter.action
    )


# --- judge ------------------------------------------------------------------------------------------------------------


def judge(
    reading: Reading,
    known: Known,
    tools: Tools,
    received_at: datetime,
    *,
    regard: Regard = Regard.LIVE,
    order_id: str | None = None,
) -> Outcome:
    """Everything that follows from a reading, received at an instant. `order_id` judges by that order (the bench)."""
    envelope = reading.envelope
    if reading.receipt is not None or envelope is None or not (reading.letters or reading.notification):
        verdict = Verdict.ACCEPTED if reading.receipt is not None else Verdict.UNREADABLE
        reply, envelope_receipt = make_reply(reading, None, received_at)
        return Outcome(reading, verdict, Repeat.NONE, (), reading.findings, None, reply, envelope_receipt, received_at)
    if reading.fhir is not None and not (envelope.receiver.gln or envelope.receiver.identifiers):
        envelope = replace(envelope, receiver=tools.identity)
        reading = replace(reading, envelope=envelope)
    repeat = repeat_of(reading, known)
    if repeat is Repeat.REPLAY and known.answer is not None:
        return _replayed(reading, envelope, known, received_at)
    if reading.notification is not None:
        return _notified(reading, envelope, repeat, received_at)
    if repeat in _REFUSED_REPEATS:
        letters = tuple(_refused(letter, _REFUSED_REPEATS[repeat], reading) for letter in reading.letters)
    elif known.copy_of is not None or any(letter.action is Action.COPY for letter in reading.letters):
        letters = tuple(_copy(letter, reading, tools, received_at) for letter in reading.letters)
    else:
        letters = tuple(
            _judge_letter(letter, reading, known, tools, received_at, regard, order_id) for letter in reading.letters
        )
        if repeat is Repeat.CHANGED_AFTER_REFUSAL:
            letters = tuple(_with(letter, faults.MSG_CHANGED_AFTER_REFUSAL) for letter in letters)
    # All or nothing: several plans in one Emessage are one message (readings no. 16).
    if any(letter.verdict is Verdict.REJECTED for letter in letters):
        letters = tuple(
            letter if letter.verdict is Verdict.REJECTED else _with(letter, faults.MSG_OTHER_LETTER_REFUSED)
            for letter in letters
        )
        verdict = Verdict.REJECTED
    else:
        verdict = Verdict.ACCEPTED
    acknowledgement = decide(
        envelope, [(each.letter.head, each.verdict is Verdict.ACCEPTED, each.findings) for each in letters]
    )
    reply, envelope_receipt = make_reply(reading, acknowledgement, received_at)
    return Outcome(
        reading, verdict, repeat, letters, reading.findings, acknowledgement, reply, envelope_receipt, received_at
    )


def assess(
    body: bytes,
    tools: Tools,
    received_at: datetime,
    *,
    known: Known | None = None,
    regard: Regard = Regard.LIVE,
    order_id: str | None = None,
) -> Outcome:
    """`read` and `judge` in a row: the full assessment of a message, nothing stored.

    FHIR that is no plan is judged by its profiles alone.
    """
    reading = read(body, tools)
    return validated(reading, received_at) or judge(
        reading, known or Known(), tools, received_at, regard=regard, order_id=order_id
    )


def repeat_of(reading: Reading, known: Known) -> Repeat:
    """The duplicate table of house.md 4, in its order."""
    answer = known.answer
    if answer is not None:
        if answer.content_digest == reading.content_digest:
            return Repeat.REPLAY
        return Repeat.CHANGED_AFTER_OK if answer.accepted else Repeat.CHANGED_AFTER_REFUSAL
    return Repeat.VANS_ID_REUSED if known.vans_id_used else Repeat.NONE


_REFUSED_REPEATS = {
    Repeat.CHANGED_AFTER_OK: faults.MSG_CHANGED_CONTENT,
    Repeat.VANS_ID_REUSED: faults.VANS_ID_REUSED,
}


def _replayed(reading: Reading, envelope: Envelope, known: Known, received_at: datetime) -> Outcome:
    """The first answer again, quoting the envelope that it answers now."""
    assert known.answer is not None
    first = known.answer
    acknowledgement = replace(first.acknowledgement, envelope_id=envelope.envelope_id)
    reply, envelope_receipt = make_reply(reading, acknowledgement, received_at, status=first.status)
    verdict = Verdict.ACCEPTED if first.accepted else Verdict.REJECTED
    return Outcome(
        reading,
        verdict,
        Repeat.REPLAY,
        (),
        reading.findings,
        acknowledgement,
        reply,
        envelope_receipt,
        received_at,
    )


def _judge_letter(
    letter: Letter,
    reading: Reading,
    known: Known,
    tools: Tools,
    received_at: datetime,
    regard: Regard,
    order_id: str | None,
) -> LetterOutcome:
    plan = letter.plan
    if plan is None or reading.format is None:
        layers = (*letter.layers, *(LayerResult(layer, Validity.SKIPPED) for layer in (Layer.LAW, Layer.ROUTING)))
        return LetterOutcome(letter, Verdict.REJECTED, Action.NEW, None, None, layers)
    version = known.stored_plans.get(letter.head.letter_id, 0)
    letter = replace(letter, action=_action(letter.action, version, reading.format))
    received_on = danish_day(received_at)
    if (rerouted := known.rerouted.get(letter.head.letter_id)) is not None:
        plan = rerouted_plan(plan, rerouted, tools.directory, received_on)
        letter = replace(letter, plan=plan)
    governing = govern(plan, received_on, tools.orders, archive=regard is Regard.ARCHIVE, order_id=order_id)
    recipients, deadlines, legal = _judge_by(governing, plan, letter, reading.format, known, tools, received_at)
    found = (*check_receiver(plan, tools.directory, governing.day, letter.trace), *legal)
    if letter.action is Action.WITHDRAWAL:
        # What is taken back need not be a lawful plan: only whether there is one to take back.
        found = tuple(finding for finding in legal if finding.rule == WITHDRAWN)
    layers = (
        *letter.layers,
        *((known.external,) if known.external else ()),
        *(LayerResult.of(layer, (f for f in found if f.layer is layer)) for layer in (Layer.LAW, Layer.ROUTING)),
    )
    findings = letter.trace.in_document_order(tuple(finding for layer in layers for finding in layer.findings))
    accepted = all(layer.validity is not Validity.INVALID for layer in layers)
    hints = quality(plan, findings)
    record = (
        record_from_plan(
            letter,
            format=reading.format_name or str(reading.format),
            digest=reading.digest,
            received_at=received_at,
            governing=governing,
            deadlines=deadlines,
            route=recipients,
            findings=findings,
            quality=hints,
            plan_version=version + 1,
        )
        if accepted and letter.action is not Action.WITHDRAWAL
        else None
    )
    if (coming := _coming_order(tools, governing, received_on)) is not None:
        under_it = replace(governing, order=coming)
        *_, foreseen = _judge_by(under_it, plan, letter, reading.format, known, tools, received_at)
        notes = _shadow_findings(coming, legal, foreseen)
        layers = tuple(
            replace(layer, findings=(*layer.findings, *notes)) if layer.layer is Layer.LAW else layer
            for layer in layers
        )
    return LetterOutcome(
        letter,
        Verdict.ACCEPTED if accepted else Verdict.REJECTED,
        letter.action,
        governing.order.id,
        governing.basis,
        layers,
        deadlines,
        recipients,
        record,
        hints,
        partial(deadline_steps, plan, governing, received_on, deadlines),
    )


def _judge_by(
    governing: Governing,
    plan: RehabilitationPlan,
    letter: Letter,
    format: Format,
    known: Known,
    tools: Tools,
    received_at: datetime,
) -> tuple[Route, Deadlines, tuple[Finding, ...]]:
    """Recipients, deadlines and findings of a plan by one order."""
    received_on = danish_day(received_at)
    register = known.residence.get(letter.head.letter_id)
    residence = find_residence(plan, tools.directory, governing.organisations_on, register, tools.postcodes)
    gp_is_copied = format is not Format.FHIR
    recipients = route(plan, governing, tools.directory, residence, received_on, gp_is_copied=gp_is_copied)
    deadlines = compute_deadlines(plan, governing, received_on, tools.calendar, residence.municipality)
    facts = Facts(
        plan=plan,
        governing=governing,
        received_at=received_at,
        format=format,
        route=recipients,
        deadlines=deadlines,
        known=known,
        letter_id=letter.head.letter_id,
        policy=tools.policy,
        action=letter.action,
    )
    return recipients, deadlines, check_rules(facts, letter.trace)


def judge_corrected(
    letter: Letter, reading: Reading, discharged_on: date | None, known: Known, tools: Tools, received_at: datetime
) -> LetterOutcome:
    """A letter judged anew with another discharge date: order, recipients, deadlines and record (GOP-DATE-11).

    `discharged_on` None: its own date, with what else is known now (`known.rerouted`). `received_at` is the instant of
    the first receipt, so that lateness does not change. `known.corrected_from` names the date that is corrected where
    it is not the one in the letter.
    """
    plan = letter.plan
    if plan is not None and discharged_on is not None:
        if plan.discharged_on is not None and not known.corrected_from:
            known = replace(known, corrected_from={letter.head.letter_id: plan.discharged_on})
        plan = with_discharge(plan, reading, discharged_on)
    return _judge_letter(replace(letter, plan=plan), reading, known, tools, received_at, Regard.LIVE, None)


def plan_now(
    plan: RehabilitationPlan,
    reading: Reading,
    directory: Directory,
    received_at: datetime,
    *,
    discharged_on: date | None,
    rerouted: Rerouted | None,
) -> RehabilitationPlan:
    """A plan of a reading as it is known now: with its corrected discharge date and the hospital chosen since."""
    if discharged_on not in (None, plan.discharged_on):
        plan = with_discharge(plan, reading, discharged_on)
    return rerouted_plan(plan, rerouted, directory, danish_day(received_at)) if rerouted else plan


def with_discharge(plan: RehabilitationPlan, reading: Reading, discharged_on: date) -> RehabilitationPlan:
    """A plan of a reading with another discharge date; of the end of the contact only the day is then known."""
    deadline, contact = plan.start_deadline, plan.hospital_contact
    if reading.format is not Format.FHIR:  # words count from the day of discharge
        deadline = understood_deadline(deadline, discharged_on)
    if contact is not None and contact.expected_end is not None:
        contact = replace(contact, expected_end=LocalMoment(discharged_on))
    return replace(
        plan,
        discharged_on=discharged_on,
        discharge_read_from_text=False,
        start_deadline=deadline,
        hospital_contact=contact,
    )


# --- shadow mode: an order that is not yet in force -------------------------------------------------------------------


def _coming_order(tools: Tools, governing: Governing, received_on: date) -> Order | None:
    """The order that judges in shadow, while it is not in force and judges nothing for real."""
    if tools.shadow_order is None:
        return None
    coming = tools.orders.by_id(tools.shadow_order)
    return coming if received_on < coming.in_force_from and coming is not governing.order else None


_GRAVITY = {Severity.INFORMATION: 0, Severity.WARNING: 1, Severity.ERROR: 2}
_GRAVE = {Severity.WARNING: Bilingual("en advarsel", "a warning"), Severity.ERROR: Bilingual("en fejl", "an error")}


def _shadow_findings(coming: Order, now: tuple[Finding, ...], then: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What the coming order will warn of or refuse and today's does not, as information at the same place."""
    known = {(finding.rule, finding.path): _GRAVITY[finding.severity] for finding in now}
    notes = []
    for finding in then:
        gravity = _GRAVITY[finding.severity]
        if gravity > known.get((finding.rule, finding.path), 0):
            note = faults.SHADOW.at(
                finding.path,
                finding.source_path,
                finding.line,
                day=coming.in_force_from,
                order=coming.id,
                severity=_GRAVE[finding.severity],
                rule=finding.rule,
            )
            text = Bilingual(f"{note.text.da} {finding.text.da}", f"{note.text.en} {finding.text.en}")
            notes.append(replace(note, text=text, basis=finding.basis))
    return tuple(notes)


def _refused(letter: Letter, fault: Fault, reading: Reading) -> LetterOutcome:
    """Refused for what the message is, not for what the plan says: later layers are skipped."""
    envelope_id = reading.vans.envelope_id if reading.vans else ""
    finding = fault.at(
        "letter_id", letter.source_path, letter.line, letter_id=letter.head.letter_id, envelope_id=envelope_id
    )
    layers = (
        LayerResult.of(Layer.ENVELOPE, (finding,)),
        *(LayerResult(layer, Validity.SKIPPED) for layer in Layer if layer is not Layer.ENVELOPE),
    )
    return LetterOutcome(letter, Verdict.REJECTED, Action.NEW, None, None, layers)


#: The rule of a plan that its sender takes back.
WITHDRAWN = "GOP-SCOPE-08"


def _action(stated: Action, version: int, format: Format) -> Action:
    """What a FHIR message does to its plan, which the archive may know better than its sender.

    A correction of a plan that never came is a new plan; a new message with the id of a stored plan is its correction.
    MedCom XML has no corrections: its letters are new plans until a person says otherwise.
    """
    if format is not Format.FHIR or stated not in (Action.NEW, Action.CORRECTION):
        return stated
    return Action.CORRECTION if version else Action.NEW


def _notified(reading: Reading, envelope: Envelope, repeat: Repeat, received_at: datetime) -> Outcome:
    """The answer to a HospitalNotification: ok, unless its structure or its ids are wrong."""
    assert reading.fhir is not None
    head = LetterHead(reading.fhir.message_id, reading.fhir.event, "FHIR")
    findings = reading.findings
    if (fault := _REFUSED_REPEATS.get(repeat)) is not None:
        findings = (*findings, fault.at("letter_id", letter_id=head.letter_id, envelope_id=envelope.envelope_id))
    accepted = all(finding.severity is not Severity.ERROR for finding in findings)
    acknowledgement = decide(envelope, [(head, accepted, findings)])
    reply, envelope_receipt = make_reply(reading, acknowledgement, received_at)
    verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
    return Outcome(reading, verdict, repeat, (), findings, acknowledgement, reply, envelope_receipt, received_at)


def validated(reading: Reading, received_at: datetime) -> Outcome | None:
    """A FHIR resource, or a message of another kind, judged by its profiles alone; None for what `judge` is for.

    `check` is thereby a FHIR validator of its own: nothing here is received or answered.
    """
    letters = reading.letters
    of_another_kind = letters and all(letter.plan is None for letter in letters)
    if not (reading.format is Format.FHIR or reading.fhir) or (letters and not of_another_kind):
        return None
    found = (*reading.findings, *(finding for letter in letters for finding in letter.findings))
    findings = tuple(finding for finding in found if finding.rule != faults.MSG_UNKNOWN_ROOT.rule)
    if any(finding.rule in _UNREADABLE for finding in findings):
        return None
    good = all(finding.severity is not Severity.ERROR for finding in findings)
    verdict = Verdict.ACCEPTED if good else Verdict.REJECTED
    reply = Reply(200 if good else 422, "application/fhir+json", None)
    return Outcome(reading, verdict, Repeat.NONE, (), findings, None, reply, None, received_at)


_UNREADABLE = frozenset(fault.rule for fault in (faults.FHIR_JSON, faults.FHIR_KEY_REPEATED, faults.FHIR_TOO_LARGE))


def _copy(letter: Letter, reading: Reading, tools: Tools, received_at: datetime) -> LetterOutcome:
    """A copy that the sender itself sends: accepted as it can be read, linked to its plan, no second record."""
    sound = all(layer.validity is not Validity.INVALID for layer in letter.layers)
    receiver = _copied_to(reading)
    served = tools.directory.resolve(receiver, danish_day(received_at)) if receiver else None
    ids = (served.id, *_same_above(served, tools.directory)) if served and sound else ()
    verdict = Verdict.ACCEPTED if sound else Verdict.REJECTED
    return LetterOutcome(letter, verdict, Action.COPY, None, None, letter.layers, served=ids)


def _copied_to(reading: Reading) -> Party | None:
    """Whom a copy went to, or None where it does not say: a FHIR message names every receiver of every copy."""
    if reading.fhir is None:
        return reading.envelope.receiver if reading.envelope else None
    if reading.vans is not None and reading.vans.receiver_type == "EAN":
        return Party(gln=reading.vans.receiver_id)
    return reading.fhir.copy_receivers[0] if len(reading.fhir.copy_receivers) == 1 else None


def _same_above(organisation: Organisation, directory: Directory) -> tuple[str, ...]:
    """The wholes that a unit is part of; a region is another organisation than the hospitals that it owns."""
    return tuple(each.id for each in directory.ancestors(organisation.id) if each.kind is organisation.kind)


def _with(outcome: LetterOutcome, fault: Fault) -> LetterOutcome:
    """The outcome with one more finding of the envelope layer; an error takes the record away."""
    letter = outcome.letter
    finding = fault.at("letter_id", letter.source_path, letter.line, letter_id=letter.head.letter_id)
    first, *rest = outcome.layers
    layers = (LayerResult.of(first.layer, (*first.findings, finding)), *rest)
    if fault.severity is not Severity.ERROR:
        return replace(outcome, layers=layers)
    return replace(outcome, layers=layers, verdict=Verdict.REJECTED, record=None)
