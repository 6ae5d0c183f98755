"""A judged letter in another format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan
from gtgateway.mappers.fhir_from_plan import fhir_from_plan
from gtgateway.mappers.html_from_plan import html_from_plan
from gtgateway.mappers.json_from_model import to_json
from gtgateway.mappers.kl_report_from_record import KlReport, kl_report_from_record
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.model.message import Envelope
from gtgateway.model.outcome import LetterOutcome, Outcome
from gtgateway.model.plan import RehabilitationPlan
from gtgateway.model.record import MunicipalRecord
from gtgateway.parsers.fhir_codec import to_xml
from gtgateway.routing.directory import Directory


class Target(StrEnum):
    """What a message can be converted to."""

    PLAN = "plan"  #: canonical plan, JSON
    RECORD = "record"  #: municipal record, JSON; only for an accepted message
    GGOP = "ggop"  #: MedCom XML
    XDIS91 = "xdis91"  #: clinical e-mail, MedCom XML
    FHIR = "fhir"  #: GOP message Bundle, JSON
    FHIR_XML = "fhir-xml"  #: the same as XML
    KL_REPORT = "kl-report"  #: KL's § 140 delivery report, JSON; only for an accepted message
    HTML = "html"  #: readable plan

    @property
    def media_type(self) -> str:
        match self:
            case Target.PLAN | Target.RECORD:
                return "application/json"
            case Target.GGOP | Target.XDIS91:
                return "application/xml"
            case Target.FHIR | Target.KL_REPORT:
                return "application/fhir+json"
            case Target.FHIR_XML:
                return "application/fhir+xml"
            case Target.HTML:
                return "text/html; charset=utf-8"


def converted(outcome: Outcome, to: Target, directory: Directory) -> bytes | None:
    """The first letter of a message in a format, or None when it cannot be made."""
    envelope = outcome.reading.envelope
    if envelope is None or not outcome.letters:
        return None
    return render(outcome.letters[0], envelope, to, outcome.received_at, directory)


def render(letter: LetterOutcome, envelope: Envelope, to: Target, at: datetime, directory: Directory) -> bytes | None:
    """One letter in a format, or None when it cannot be made.

    A plan that the law refuses can still be converted; a record needs acceptance.
    """
    plan = letter.letter.plan
    if plan is None:
        return None
    sent_at = envelope.sent_at.aware() if envelope.sent_at else at
    match to:
        case Target.PLAN:
            return to_json(plan)
        case Target.RECORD:
            return to_json(letter.record) if letter.record else None
        case Target.GGOP:
            return medcom_xml_from_plan(
                plan,
                envelope_id=envelope.envelope_id,
                sent_at=sent_at,
                wants_positive_receipt=envelope.wants_positive_receipt,
            )
        case Target.XDIS91:
            return clinical_email_from_plan(
                plan,
                envelope_id=envelope.envelope_id,
                sent_at=sent_at,
                wants_positive_receipt=envelope.wants_positive_receipt,
            )
        case Target.FHIR | Target.FHIR_XML:
            bundle = fhir_message(plan, envelope, sent_at, directory)
            return orjson.dumps(bundle) if to is Target.FHIR else to_xml(bundle)
        case Target.KL_REPORT:
            report = kl_report(plan, letter.record, envelope.envelope_id, at, directory) if letter.record else None
            return orjson.dumps(report.bundle) if report and report.bundle else None
        case Target.HTML:
            return html_from_plan(plan, letter.record).encode("utf-8")


def kl_report(
    plan: RehabilitationPlan,
    record: MunicipalRecord | Mapping[str, Any],
    version: str,
    at: datetime,
    directory: Directory,
) -> KlReport:
    """KL's § 140 report of an accepted plan; the same `version` of it gives the same ids."""
    return kl_report_from_record(
        plan,
        record,
        known=lambda party: directory.resolve(party, plan.discharged_on),
        bundle_id=str(uuid5(NAMESPACE_URL, f"{plan.sender.gln}#{plan.plan_id} {version} kl-report")),
        at=at,
    )


def fhir_message(
    plan: RehabilitationPlan, envelope: Envelope, sent_at: datetime, directory: Directory
) -> dict[str, Any]:
    """The plan as a GOP message Bundle. The same letter gives the same ids; `directory` knows SOR codes and GLNs."""
    name = f"{envelope.sender.gln}#{plan.plan_id}"
    return fhir_from_plan(
        plan,
        message_id=str(uuid5(NAMESPACE_URL, f"{name} message")),
        bundle_id=str(uuid5(NAMESPACE_URL, f"{name} {envelope.envelope_id}")),
        sent_at=sent_at,
        known=lambda party: directory.resolve(party, plan.discharged_on),
        earlier=name,
    )
