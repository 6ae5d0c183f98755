"""A FHIR message Bundle: who sends what to whom, under which ids; the counterpart of a MedCom Emessage.

A plan, an acknowledgement (never answered), a HospitalNotification, or a message of another kind (refused, answered).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from gtgateway.model import faults
from gtgateway.model.findings import Finding
from gtgateway.model.identifiers import Cpr, IdentifierKind, ReplacementNumber, gln_check_digit_ok
from gtgateway.model.message import Action, Envelope, FhirEnvelope, HospitalNotification, LetterHead, OriginalRef
from gtgateway.model.plan import Party
from gtgateway.parsers.fhir import (
    ACTIVITIES,
    CPR,
    DEFINITION,
    DEFINITION_VERSION,
    NOWHERE,
    PLAN_EVENT,
    REFERRAL_EVENT,
    Entries,
    Place,
    code_of,
    codings,
    items,
    moment,
    obj,
    party_of,
    string,
    use_of,
    words_of,
)
from gtgateway.parsers.refusals import refusal_text

TYPE_CODE = "FHIR"
PLAN_EVENTS = frozenset((PLAN_EVENT, REFERRAL_EVENT))
_ACKNOWLEDGEMENT, _NOTIFICATION = "acknowledgement-message", "hospital-notification-message"
_COPY = "carboncopy-message"
_FORWARD = "forward-message"
_ACTIONS = {
    "modified-message": Action.CORRECTION,
    "retract-message": Action.WITHDRAWAL,
    _COPY: Action.COPY,
    "acknowledgement": Action.RECEIPT,
}
_WITHDRAWN = frozenset(("revoked", "entered-in-error"))
#: What differs between two sendings of the same content.
_OF_THE_BUNDLE = frozenset(("id", "meta", "timestamp"))
_OF_A_PROVENANCE = frozenset(("occurredDateTime", "occurredPeriod", "recorded"))


@dataclass(frozen=True, slots=True)
class FhirMessage:
    """What the envelope of a FHIR message tells.

    `envelope` None: nobody to answer to, or the message is an acknowledgement; `findings` says why. Otherwise they are
    the letter's: an error refuses it and is answered. `head` None: there is no letter (notification, acknowledgement).
    """

    envelope: Envelope | None = None
    fhir: FhirEnvelope | None = None
    head: LetterHead | None = None
    action: Action = Action.NEW
    digest: str = ""  #: SHA-256 (hex) of the sorted JSON without what differs between two sendings
    path: str = ""  #: of the ServiceRequest
    receipt: OriginalRef | None = None
    notification: HospitalNotification | None = None
    findings: tuple[Finding, ...] = ()


def read_fhir_message(bundle: Mapping[str, Any], media_type: str = "application/fhir+json") -> FhirMessage:
    """The envelope of a Bundle that was read from JSON or XML. Faults are findings; nothing is raised."""
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        stated = " ".join(filter(None, (string(bundle.get("resourceType")), string(bundle.get("type")))))
        return FhirMessage(findings=(faults.MSG_UNKNOWN_ROOT.at("format", "Bundle.type", name=stated or "FHIR"),))
    entries = Entries(bundle)
    header = entries.first("MessageHeader")
    sender = entries.find(header.resource.get("sender"), "Organization")
    party = party_of(sender.resource) if sender else Party()
    fhir = _fhir_envelope(bundle, entries, header, media_type)
    if fhir.event == _ACKNOWLEDGEMENT:
        return _acknowledgement(entries, header, party, fhir)
    missing = [
        faults.MSG_FIELD_MISSING.at(path, place, field=field)
        for path, place, field, stated in (
            ("envelope_id", header.path and f"{header.path}.id", "MessageHeader.id", fhir.message_id),
            ("sender.gln", header.path and f"{header.path}.sender", "MessageHeader.sender", _number(party)),
        )
        if not stated
    ]
    if missing:
        return FhirMessage(fhir=fhir, findings=tuple(missing))
    receiver = next((place for use, place in destinations(entries, header) if use == "primary" and place), None)
    sent = fhir.occurred_at or bundle.get("timestamp")
    envelope = Envelope(
        party,
        party_of(receiver.resource) if receiver else Party(),
        fhir.message_id,
        moment(sent),
        # "Every time a system receives a MedCom FHIR message it shall be acknowledged"
        wants_positive_receipt=True,
    )
    digest = content_digest(bundle)
    if fhir.event == _NOTIFICATION:
        return FhirMessage(envelope, fhir, digest=digest, notification=_notification(entries, fhir, digest))
    request = _focus(entries, header)
    return FhirMessage(
        envelope,
        fhir,
        LetterHead(plan_id_of(request.resource, party) or fhir.message_id, fhir.event, TYPE_CODE),
        _action(_done_first(entries, header, fhir), request),
        digest,
        request.path or "Bundle",
        findings=_letter_findings(fhir, header, party),
    )


def _done_first(entries: Entries, header: Place, fhir: FhirEnvelope) -> str | None:
    """What is done with the plan: a forwarded message does what the message before it did, as its Provenance says."""
    if fhir.activity != _FORWARD:
        return fhir.activity
    ours = provenance_of(entries, header)
    before = {f"MessageHeader/{each}" for each in fhir.earlier}
    for place in entries.of("Provenance"):
        targets = {string(obj(each).get("reference")) for each in items(place.resource.get("target"))}
        if place is not ours and before & targets:
            return activity_of(place.resource)
    return fhir.activity


def _action(activity: str | None, request: Place) -> Action:
    """What Provenance says; a plan that is revoked or entered in error is withdrawn, whatever else it is called."""
    stated = _ACTIONS.get(activity or "", Action.NEW)
    if stated is not Action.COPY and string(request.resource.get("status")) in _WITHDRAWN:
        return Action.WITHDRAWAL
    return stated


def _number(party: Party) -> str | None:
    return party.gln or party.identifier(IdentifierKind.SOR)


def _letter_findings(fhir: FhirEnvelope, header: Place, sender: Party) -> tuple[Finding, ...]:
    findings = []
    if fhir.event not in PLAN_EVENTS:
        place = f"{header.path}.eventCoding.code"
        findings.append(faults.MSG_UNKNOWN_ROOT.at("format", place, name=fhir.event or "?"))
    definition, _, version = (string(header.resource.get("definition")) or "").partition("|")
    if definition == DEFINITION and version and version != DEFINITION_VERSION:
        expected, place = f"gop-message {DEFINITION_VERSION}", f"{header.path}.definition"
        findings.append(faults.MSG_VERSION.at("format", place, expected=expected, stated=version))
    if sender.gln and not gln_check_digit_ok(sender.gln):
        findings.append(faults.MSG_GLN_CHECK_DIGIT.at("sender.gln", f"{header.path}.sender", gln=sender.gln))
    return tuple(findings)


def destinations(entries: Entries, header: Place) -> list[tuple[str | None, Place | None]]:
    """Use (`primary`, `cc`) and Organization of each destination, in their order."""
    return [
        (
            use_of(each),
            entries.find(obj(each).get("receiver"), "Organization"),
        )
        for each in items(header.resource.get("destination"))
    ]


def _focus(entries: Entries, header: Place) -> Place:
    """The plan: the ServiceRequest in focus, else the only one there is."""
    for reference in items(header.resource.get("focus")):
        if found := entries.find(reference, "ServiceRequest"):
            return found
    return entries.first("ServiceRequest")


def plan_request(bundle: Mapping[str, Any]) -> tuple[Entries, Place, Place]:
    """Entries, MessageHeader and ServiceRequest of a plan message; NOWHERE for what is missing."""
    entries = Entries(bundle)
    header = entries.first("MessageHeader")
    return entries, header, _focus(entries, header)


def plan_id_of(request: Mapping[str, Any], sender: Party) -> str | None:
    """The plan's id, the same in every version: the first identifier.

    `[GLN]#[brevid]` with the sender's own location number is the id of a GGOP letter.
    """
    for identifier in items(request.get("identifier")):
        if value := string(obj(identifier).get("value")):
            return value.removeprefix(f"{sender.gln}#") if sender.gln else value
    return None


def content_digest(bundle: Mapping[str, Any]) -> str:
    """The same for JSON and XML, and for a message that is sent again."""
    content = {key: value for key, value in bundle.items() if key not in _OF_THE_BUNDLE}
    content["entry"] = [_timeless(entry) for entry in items(bundle.get("entry"))]
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _timeless(entry: object) -> object:
    resource = obj(obj(entry).get("resource"))
    if resource.get("resourceType") != "Provenance":
        return entry
    kept = {key: value for key, value in resource.items() if key not in _OF_A_PROVENANCE}
    return dict(obj(entry)) | {"resource": kept}


# --- header and provenance --------------------------------------------------------------------------------------------


def _fhir_envelope(bundle: Mapping[str, Any], entries: Entries, header: Place, media_type: str) -> FhirEnvelope:
    provenance = provenance_of(entries, header)
    own = provenance.resource
    activity = activity_of(own)
    copied = destinations(entries, header) if activity == _COPY else ()
    return FhirEnvelope(
        message_id=string(header.resource.get("id")) or "",
        bundle_id=string(bundle.get("id")),
        event=string(obj(header.resource.get("eventCoding")).get("code")) or "",
        activity=activity,
        occurred_at=string(own.get("occurredDateTime")) or string(bundle.get("timestamp")),
        media_type=media_type,
        earlier=tuple(filter(None, map(_earlier, items(own.get("entity"))))),
        copy_receivers=tuple(party_of(place.resource) for use, place in copied if use == "cc" and place),
    )


def provenance_of(entries: Entries, header: Place) -> Place:
    """The Provenance whose target is this message's header; NOWHERE when there is none."""
    for place in entries.of("Provenance"):
        if header.resource and any(entries.find(each) is header for each in items(place.resource.get("target"))):
            return place
    return NOWHERE


def activity_of(provenance: Mapping[str, Any]) -> str | None:
    """MedCom's activity code, else any code."""
    activity = provenance.get("activity")
    return code_of(activity, ACTIVITIES) or next((code for _, code, _ in codings(activity) if code), None)


def _earlier(entity: object) -> str | None:
    what = obj(obj(entity).get("what"))
    reference = string(what.get("reference"))
    return reference.rpartition("/")[2] if reference else string(obj(what.get("identifier")).get("value"))


def _acknowledgement(entries: Entries, header: Place, sender: Party, fhir: FhirEnvelope) -> FhirMessage:
    """An answer to what we sent: its sender is the receiver of the original."""
    response = obj(header.resource.get("response"))
    original, code = string(response.get("identifier")), string(response.get("code"))
    if original is None:
        place = f"{header.path}.response.identifier"
        missing = faults.MSG_FIELD_MISSING.at("receipt", place, field="MessageHeader.response.identifier")
        return FhirMessage(fhir=fhir, findings=(missing,))
    receiver = next((place for use, place in destinations(entries, header) if use == "primary" and place), NOWHERE)
    reference = OriginalRef(
        envelope_id=original,
        letter_ids=(),
        sender_gln=party_of(receiver.resource).gln,
        receiver_gln=sender.gln,
        positive=code == "ok",
        refuse_code=None if code == "ok" else code,
        refuse_text=None if code == "ok" else refusal_text(_issue_words(entries)),
        transient=code == "transient-error",
    )
    return FhirMessage(fhir=fhir, receipt=reference)


def _issue_words(entries: Entries) -> Iterator[str | None]:
    """What the OperationOutcome of an acknowledgement says to people."""
    for issue in items(entries.first("OperationOutcome").resource.get("issue")):
        yield words_of(obj(issue).get("details"))
        yield string(obj(issue).get("diagnostics"))


# --- patient and contact ----------------------------------------------------------------------------------------------


def patient_number(patient: Mapping[str, Any]) -> tuple[Cpr | None, int]:
    """The CPR number, else a replacement number (x-eCPR, d-eCPR), and which identifier of the Patient it is."""
    stated = [
        (string(obj(each).get("system")), string(obj(each).get("value"))) for each in items(patient.get("identifier"))
    ]
    for number, (system, value) in enumerate(stated):
        if system == CPR and value:
            return Cpr(value), number
    for number, (_, value) in enumerate(stated):
        if value:
            return ReplacementNumber(value), number
    return None, 0


def episode_of_care_id(encounter: Mapping[str, Any]) -> str | None:
    """A locally defined id wins over LPR3's (`urn:uuid:`). UUIDs without hyphens, as in MedCom XML."""
    values = [
        value
        for each in items(encounter.get("episodeOfCare"))
        if (value := string(obj(obj(each).get("identifier")).get("value")))
    ]
    chosen = next((value for value in values if not value.startswith("urn:uuid:")), next(iter(values), None))
    if chosen is None:
        return None
    bare = chosen.removeprefix("urn:uuid:")
    return bare.replace("-", "") if len(bare) == 36 and bare.count("-") == 4 else bare


def _notification(entries: Entries, fhir: FhirEnvelope, digest: str) -> HospitalNotification:
    encounter = entries.first("Encounter").resource
    period = obj(encounter.get("period"))
    patient, _ = patient_number(entries.first("Patient").resource)
    return HospitalNotification(
        fhir.activity,
        patient,
        episode_of_care_id(encounter),
        moment(period.get("start")),
        moment(period.get("end")),
        digest,
    )
