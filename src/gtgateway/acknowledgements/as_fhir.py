"""MedCom Acknowledgement 2.0.3: the answer to a FHIR message, as JSON or XML.

The parties are those of the message, swapped; `response.identifier` is its MessageHeader.id; two Provenances, one for
the message and one for the answer. A fault is an issue whose text and diagnostics name our rule; its coding is one of
the nine codes that every version of MedCom's terminology has, where one says what the fault is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any

import orjson

from gtgateway.acknowledgements.as_medcom_xml import fault_line
from gtgateway.acknowledgements.elements import xml_text
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode
from gtgateway.model.findings import Finding, Layer
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Envelope, FhirEnvelope
from gtgateway.model.plan import COPENHAGEN, Party
from gtgateway.parsers.fhir import (
    ACTIVITIES,
    CANONICAL,
    GLN,
    MEDCOM_CODES,
    MESSAGING,
    SOR,
    Json,
    destination,
    moment,
    sor_endpoint,
)
from gtgateway.parsers.fhir_codec import to_xml

FHIR_JSON, FHIR_XML = "application/fhir+json", "application/fhir+xml"
_ACKNOWLEDGEMENT = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition"
_ERROR_CODES = f"{MEDCOM_CODES}/medcom-acknowledgement-error-codes"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
#: Activities of the messages that we answer; another one is told as a new message.
_ACTIVITY = re.compile(
    r"(?:new|forward|reply|retract|modified|carboncopy)-message"
    r"|(?:revise-|cancel-)?(?:admit-(?:emergency|inpatient)|(?:start|end)-leave-inpatient|discharge-\w+-home)"
)

#: Our rule -> MedCom's code for the kind of fault.
_MEDCOM_CODES = {
    faults.MSG_UNKNOWN_ROOT.rule: "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE",
    faults.MSG_VERSION.rule: "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE",
    faults.MSG_RECEIVER_UNKNOWN.rule: "MSG_Receiver_Identifier_UNKNOWN",
    faults.MSG_RECEIVER_ID.rule: "MSG_Receiver_Identifier_UNKNOWN",
    faults.MSG_TOO_LONG.rule: "MSG_Element_To_Long",
    faults.FHIR_CODE.rule: "MSG_VALUESET_VALUE_UNKNOWN",
    faults.FHIR_FORMAT.rule: "MSG_Datatype_Wrong",
    faults.FHIR_JSON_TYPE.rule: "MSG_Datatype_Wrong",
}
_ISSUE_TYPES = {
    Layer.ENVELOPE: "invalid",
    Layer.STRUCTURE: "structure",
    Layer.MAPPING: "value",
    Layer.LAW: "business-rule",
    Layer.ROUTING: "business-rule",
}
_UNAVAILABLE = "Meddelelsen kunne ikke modtages lige nu; send den uændret igen senere."


def fhir_acknowledgement(
    ack: Acknowledgement, envelope: Envelope, fhir: FhirEnvelope, *, new_id: Callable[[str], str], sent_at: datetime
) -> bytes:
    """The acknowledgement of the message with this envelope, in the message's own form (JSON or XML).

    `new_id` makes the UUID for a purpose: `bundle` with every sending, the others the same for the same answer.
    `sent_at` is an aware instant, written in Danish time.
    """
    bundle = acknowledgement_bundle(ack, envelope, fhir, new_id=new_id, sent_at=sent_at)
    return to_xml(bundle) if fhir.media_type == FHIR_XML else orjson.dumps(bundle)


def acknowledgement_bundle(
    ack: Acknowledgement, envelope: Envelope, fhir: FhirEnvelope, *, new_id: Callable[[str], str], sent_at: datetime
) -> Json:
    """The same as JSON data."""
    message = _Message(new_id)
    sent = sent_at.astimezone(COPENHAGEN).isoformat(timespec="seconds")
    us, them = message.reference("Organization", "receiver"), message.reference("Organization", "sender")
    _header(message, ack, envelope, fhir, us, them)
    _provenances(message, fhir, sent, us, them)
    _organization(message, "sender", envelope.sender)
    _organization(message, "receiver", envelope.receiver)
    if ack.code is not AcknowledgementCode.OK:
        _outcome(message, ack)
    return {
        "resourceType": "Bundle",
        "id": new_id("bundle"),
        "meta": {"profile": [f"{_ACKNOWLEDGEMENT}/medcom-messaging-acknowledgement"]},
        "type": "message",
        "timestamp": sent,
        "entry": message.entries,
    }


class _Message:
    """The entries of the answer, with ids and references by type and purpose."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.new_id = new_id
        self.entries: list[Json] = []

    def reference(self, type_: str, purpose: str = "") -> Json:
        return {"reference": f"{type_}/{self.new_id(type_ + purpose)}"}

    def add(self, type_: str, purpose: str, profile: str, lines: tuple[str, ...], content: Json) -> None:
        id_ = self.new_id(type_ + purpose)
        paragraphs = "".join(f"<p>{escape(xml_text(line), quote=False)}</p>" for line in (f"Id: {id_}", *lines))
        narrative = {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>',
        }
        resource = {"resourceType": type_, "id": id_, "meta": {"profile": [profile]}, "text": narrative} | content
        self.entries.append({"fullUrl": f"{CANONICAL}/{type_}/{id_}", "resource": resource})


def _header(
    message: _Message, ack: Acknowledgement, envelope: Envelope, fhir: FhirEnvelope, us: Json, them: Json
) -> None:
    response: Json = {"identifier": fhir.message_id, "code": str(ack.code)}
    if ack.code is not AcknowledgementCode.OK:
        response["details"] = message.reference("OperationOutcome")
    content = {
        "eventCoding": {
            "system": f"{MEDCOM_CODES}/medcom-messaging-eventCodes",
            "code": "acknowledgement-message",
        },
        "destination": [destination("primary", envelope.sender.identifier(IdentifierKind.SOR), them)],
        "sender": us,
        "source": {"endpoint": sor_endpoint(envelope.receiver.identifier(IdentifierKind.SOR))},
        "response": response,
    }
    lines = (f"Kvittering {ack.code} på meddelelse {fhir.message_id}.",)
    message.add("MessageHeader", "", f"{_ACKNOWLEDGEMENT}/medcom-messaging-acknowledgementHeader", lines, content)


def _provenances(message: _Message, fhir: FhirEnvelope, sent: str, us: Json, them: Json) -> None:
    original = {"reference": f"MessageHeader/{fhir.message_id}"}
    stated = fhir.occurred_at or ""
    occurred = stated if _INSTANT.fullmatch(stated) and moment(stated) else sent
    activity = fhir.activity if fhir.activity and _ACTIVITY.fullmatch(fhir.activity) else "new-message"
    steps: tuple[tuple[str, Json, str, str, Json, Json], ...] = (
        ("original", original, occurred, activity, them, {}),
        (
            "answer",
            message.reference("MessageHeader"),
            sent,
            "acknowledgement",
            us,
            {"entity": [{"role": "revision", "what": original}]},
        ),
    )
    for purpose, target, at, code, who, entity in steps:
        content = {
            "target": [target],
            "occurredDateTime": at,
            "recorded": at,
            "activity": {"coding": [{"system": ACTIVITIES, "code": code}]},
            "agent": [{"who": who}],
        } | entity
        words = "Kvittering sendt" if purpose == "answer" else f"Meddelelse ({activity}) sendt"
        message.add("Provenance", purpose, f"{MESSAGING}-provenance", (f"{words} {at}.",), content)


def _organization(message: _Message, purpose: str, party: Party) -> None:
    numbers = ((GLN, party.gln), (SOR, party.identifier(IdentifierKind.SOR)))
    stated = [{"use": "official", "system": system, "value": value} for system, value in numbers if value]
    content: Json = {"name": party.label}
    if stated:
        content = {"identifier": stated} | content
    message.add("Organization", purpose, f"{MESSAGING}-organization", (party.label,), content)


def _outcome(message: _Message, ack: Acknowledgement) -> None:
    found = list(dict.fromkeys(finding for letter in ack.letters for finding in letter.findings))
    issues = [issue_of(finding) for finding in found] or [_unavailable()]
    lines = tuple(issue["details"]["text"] for issue in issues)
    profile = f"{_ACKNOWLEDGEMENT}/medcom-acknowledgement-operationoutcome"
    message.add("OperationOutcome", "", profile, lines, {"issue": issues})


def issue_of(finding: Finding) -> Json:
    """One issue of an OperationOutcome: our sentence in Danish, our rule in the diagnostics."""
    details: dict[str, Any] = {"text": fault_line(finding)}
    if code := _MEDCOM_CODES.get(finding.rule):
        details["coding"] = [{"system": _ERROR_CODES, "code": code}]
    issue: Json = {
        "severity": str(finding.severity),
        "code": _ISSUE_TYPES.get(finding.layer, "processing"),
        "details": details,
        "diagnostics": f"{finding.rule}: {' '.join(finding.text.en.split())}",
    }
    return issue | ({"expression": [finding.source_path]} if finding.source_path else {})


def _unavailable() -> Json:
    return {
        "severity": "error",
        "code": "transient",
        "details": {
            "coding": [{"system": _ERROR_CODES, "code": "MSG_Mailbox_Out_Of_Operation"}],
            "text": _UNAVAILABLE,
        },
        "diagnostics": "The message could not be received just now; send it again, unchanged, later.",
    }
