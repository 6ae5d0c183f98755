"""What hospitals send in a fault run: plans of all levels and forms, refused ones, corrections and withdrawals."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from gtgateway.convert import Target
from gtgateway.mappers.medcom_xml_from_plan import letter_id
from gtgateway.model.identifiers import ReplacementNumber
from gtgateway.model.plan import COPENHAGEN, Consent, Level, RehabilitationPlan
from gtgateway.routing.directory import Directory
from gtgateway.samples import NYBORG, later_message, sample_plan, written

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
    body, media_type = written(plan, target, directory), target.media_type
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
