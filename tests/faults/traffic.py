"""What hospitals send in a fault run: plans of all levels and forms, refused ones, corrections and withdrawals."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import orjson

from gtgateway.convert import Target, fhir_message
from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan
from gtgateway.mappers.medcom_xml_from_plan import letter_id, medcom_xml_from_plan
from gtgateway.model.identifiers import Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.message import Envelope
from gtgateway.model.plan import COPENHAGEN, Consent, Level, Party, RehabilitationPlan
from gtgateway.parsers.fhir_codec import to_xml
from gtgateway.routing.directory import Directory
from gtgateway.samples import later_message, sample_plan, sent_at

NYBORG = Party(gln="5790999104500", identifiers=(Identifier(IdentifierKind.KOMMUNEKODE, "450"),), name="Nyborg Kommune")
_NAMESPACE = UUID("6f0d2f0e-7a44-4d0e-9a2c-0d6a3e4f7c11")


#: Plan id, and the number of the message among those of the plan.
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sending:
    """One message that must be answered; `version` counts the messages of its plan."""

    plan: RehabilitationPlan
    version: int
    action: str
    body: bytes
    media_type: str
    lawful: bool

    @property
    def key(self) -> Key:
        return self.plan.plan_id or "", self.version

    @property
    def letter_ids(self) -> frozenset[str]:
        """Every letter id that the gateway may send this version under, by the form of the recipient."""
        plan_id = self.plan.plan_id or ""
        if self.version == 1:
            return frozenset({plan_id, letter_id(self.plan) or ""})
        return frozenset({letter_id(replace(self.plan, plan_id=f"{plan_id}#{self.version}")) or ""})


def courses(count: int, seed: int, directory: Directory) -> list[tuple[Sending, ...]]:
    """`count` plans; each with the messages that are sent of it, one after another."""
    return [_course(number, random.Random(f"{seed}/{number}"), directory) for number in range(count)]


def _course(number: int, chance: random.Random, directory: Directory) -> tuple[Sending, ...]:
    day = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    level = chance.choice(list(Level))
    target = chance.choice([Target.GGOP, Target.GGOP, Target.XDIS91, Target.FHIR, Target.FHIR, Target.FHIR_XML])
    plan = sample_plan(level, day, number=number % 10_000, seed=number // 10_000)
    plan = replace(plan, plan_id=f"F{number:013d}", patient=replace(plan.patient, identifier=_patient(number)))
    if level is not Level.SPECIALISERET and chance.random() < 0.5:
        nyborg = replace(NYBORG, department="Genoptræning", telephone="+4563337000")
        plan = replace(plan, receiver=NYBORG, contact_municipality=nyborg)
    lawful = chance.random() > 0.05
    if not lawful:
        plan = replace(plan, consent=Consent(given=False, stated="nej"))
    body, media_type = _written(plan, target, directory)
    sendings = [Sending(plan, 1, "new", body, media_type, lawful)]
    later = ["modified-message", "retract-message"] if chance.random() < 0.3 else ["retract-message"]
    if lawful and target is Target.FHIR and chance.random() < 0.3:
        for activity in later[: chance.choice([1, 2])]:
            version = len(sendings) + 1
            message_id = str(uuid5(_NAMESPACE, f"{number}/{version}"))
            body = later_message(sendings[-1].body, message_id, activity)
            action = "withdrawal" if activity == "retract-message" else "correction"
            sendings.append(Sending(plan, version, action, body, media_type, lawful))
    return tuple(sendings)


def _patient(number: int) -> ReplacementNumber:
    """A replacement number with letters (x-eCPR), never a CPR number; two plans a patient."""
    number //= 2
    letters, rest = "ABCDEFGHJKLMNPRSTUVWXYZ", number
    rest, last = divmod(rest, 10)
    rest, second = divmod(rest, len(letters))
    rest, first = divmod(rest, len(letters))
    return ReplacementNumber(f"{1 + rest % 28:02d}0180{'17'[rest // 28 % 2]}{letters[first]}{letters[second]}{last}")


def _written(plan: RehabilitationPlan, target: Target, directory: Directory) -> tuple[bytes, str]:
    envelope_id = f"E{plan.plan_id}"[:14]
    match target:
        case Target.GGOP:
            return medcom_xml_from_plan(plan, envelope_id=envelope_id, sent_at=sent_at(plan)), "application/xml"
        case Target.XDIS91:
            return clinical_email_from_plan(plan, envelope_id=envelope_id, sent_at=sent_at(plan)), "application/xml"
    assert plan.written_at is not None
    plan = replace(plan, rehabilitation_focus=plan.rehabilitation_need, handed_out_at=plan.written_at.aware())
    envelope = Envelope(plan.sender, plan.receiver or NYBORG, envelope_id, None, wants_positive_receipt=True)
    bundle = fhir_message(plan, envelope, sent_at(plan), directory)
    if target is Target.FHIR:
        return orjson.dumps(bundle), "application/fhir+json"
    return to_xml(bundle), "application/fhir+xml"
