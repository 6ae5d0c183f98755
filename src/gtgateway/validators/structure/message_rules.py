"""MedCom's rules of a FHIR message that no profile holds, or holds only in vain (messaging, acknowledgement).

Header first and in focus, parties with SOR code and GLN, one patient, the chain of Provenances, narratives, ids, time
zones, and the discharge date where FHIRPath knows no Danish calendar. What a profile's cardinality says is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Finding
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.parsers.fhir import (
    Entries,
    Place,
    day_of,
    extension,
    items,
    obj,
    party_of,
    string,
    value_of,
)
from gtgateway.parsers.fhir_message import activity_of, destinations

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_ZONED = re.compile(r"(?:Z|[+-]\d\d:\d\d)$", re.ASCII)
_EMBEDDED = re.compile(r"data:[^\"']*base64", re.IGNORECASE)
_WORDS = re.compile(r">[^<]*[^\s<]")
_NARRATIVE_STATUS = frozenset(("generated", "extensions"))
_DISCHARGE = "http://fhir.kl.dk/rehab/StructureDefinition/PreconditionDate"
_ERRORS = frozenset(("error", "fatal"))
#: Activity -> role of the entity that names the earlier message.
_EARLIER = {"modified-message": "revision", "retract-message": "removal"}

_SENDER = Bilingual("Afsenderen", "The sender")
_RECEIVER = Bilingual("Den primære modtager", "The primary receiver")


def check_message(bundle: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What breaks a message rule in a Bundle of type message. One walk over its entries; raises nothing."""
    entries = Entries(bundle)
    header = entries.first("MessageHeader")
    if not header.path:
        return (faults.FHIR_HEADER_FIRST.at("MessageHeader", "Bundle.entry"),)
    rules = RULES if "response" not in header.resource else ACKNOWLEDGEMENT_RULES
    return tuple(finding for rule in rules for finding in rule(bundle, entries, header))


Rule = Callable[[Mapping[str, Any], Entries, Place], Iterator[Finding]]


def _header_first(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    if header is not entries.all[0]:
        yield faults.FHIR_HEADER_FIRST.at("MessageHeader", header.path)
    for other in entries.of("MessageHeader")[1:]:
        yield faults.FHIR_HEADER_FIRST.at("MessageHeader", other.path)


def _focus(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    """A message has one resource in focus, and it is in the message; a plan's is the ServiceRequest."""
    focus = items(header.resource.get("focus"))
    found = [entries.find(each) for each in focus]
    if len(focus) != 1 or found[0] is None:
        expected = Bilingual("én ressource", "one resource")
        yield faults.FHIR_FOCUS.at("MessageHeader.focus", f"{header.path}.focus", expected=expected)


def _parties(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    sender = entries.find(header.resource.get("sender"), "Organization")
    receivers = [
        (number, place) for number, (use, place) in enumerate(destinations(entries, header)) if use == "primary"
    ]
    yield from _party(sender, "sender", f"{header.path}.sender", _SENDER)
    if not receivers:
        yield from _party(None, "receiver", f"{header.path}.destination", _RECEIVER)
    for number, place in receivers:
        yield from _party(place, "receiver", f"{header.path}.destination[{number}].receiver", _RECEIVER)


def _party(place: Place | None, target: str, path: str, role: Bilingual) -> Iterator[Finding]:
    party = party_of(place.resource) if place else None
    if party is None or not party.gln or not party.identifier(IdentifierKind.SOR):
        yield faults.FHIR_PARTY.at(target, f"{place.path}.identifier" if place else path, role=role)


def _one_patient(_bundle: Mapping[str, Any], entries: Entries, _header: Place) -> Iterator[Finding]:
    patients = entries.of("Patient")
    if len(patients) != 1:
        place = patients[1].path if patients else "Bundle.entry"
        yield faults.FHIR_ONE_PATIENT.at("patient", place, count=len(patients))


def _provenance(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    """One Provenance is this message's; a correction or withdrawal names the message before it."""
    own = [
        place
        for place in entries.of("Provenance")
        if any(entries.find(each) is header for each in items(place.resource.get("target")))
    ]
    if len(own) != 1:
        path = own[1].path if own else "Bundle.entry"
        yield faults.FHIR_PROVENANCE.at("Provenance", path, count=len(own))
    for place in own:
        activity = activity_of(place.resource) or ""
        role = _EARLIER.get(activity)
        if role and all(obj(each).get("role") != role for each in items(place.resource.get("entity"))):
            yield faults.FHIR_PROVENANCE_CHAIN.at("Provenance.entity", place.path, activity=activity, role=role)


def _narratives(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    for place in entries.all:
        if place.type and not _is_readable(place.resource.get("text")):
            if place is header:
                yield faults.FHIR_HEADER_NARRATIVE.at("MessageHeader.text", place.path)
            else:
                yield faults.FHIR_NARRATIVE.at(f"{place.type}.text", place.path, resource=place.type)


def _is_readable(text: object) -> bool:
    div = string(obj(text).get("div"))
    return (
        string(obj(text).get("status")) in _NARRATIVE_STATUS
        and div is not None
        and _WORDS.search(div) is not None
        and ("base64" not in div or not _EMBEDDED.search(div))
    )


def _ids(bundle: Mapping[str, Any], _entries: Entries, header: Place) -> Iterator[Finding]:
    for element, path, value in (
        ("Bundle.id", "Bundle.id", bundle.get("id")),
        ("MessageHeader.id", f"{header.path}.id", header.resource.get("id")),
    ):
        if isinstance(value, str) and not _UUID.fullmatch(value):
            yield faults.FHIR_UUID.at(element, path, element=element)


def _time_zones(bundle: Mapping[str, Any], entries: Entries, _header: Place) -> Iterator[Finding]:
    stated = [("Bundle.timestamp", "Bundle.timestamp", bundle.get("timestamp"))]
    stated += [
        (f"Provenance.{name}", f"{place.path}.{name}", place.resource.get(name))
        for place in entries.of("Provenance")
        for name in ("occurredDateTime", "recorded")
    ]
    for element, path, value in stated:
        if isinstance(value, str) and "T" in value and not _ZONED.search(value):
            yield faults.FHIR_TIME_ZONE.at(element, path, element=element)


def _discharge(_bundle: Mapping[str, Any], entries: Entries, _header: Place) -> Iterator[Finding]:
    """A finished contact ends on the discharge date, in Denmark; the profile compares the dates as they are written."""
    request, encounter = entries.first("ServiceRequest"), entries.first("Encounter")
    end = obj(encounter.resource.get("period")).get("end")
    stated = value_of(extension(request.resource, _DISCHARGE))
    if encounter.resource.get("status") != "finished" or not isinstance(end, str) or not isinstance(stated, str):
        return
    seen_by_profile = not end.endswith("Z") and end[:10] != stated
    ended, discharged = day_of(end), day_of(stated)
    if ended and discharged and ended != discharged and not seen_by_profile:
        yield faults.FHIR_DISCHARGE.at("discharged_on", f"{encounter.path}.period.end", stated=discharged, ended=ended)


def _answer(_bundle: Mapping[str, Any], entries: Entries, header: Place) -> Iterator[Finding]:
    """What an acknowledgement says agrees with itself."""
    response = obj(header.resource.get("response"))
    ok = response.get("code") == "ok"
    outcome = entries.find(response.get("details"), "OperationOutcome")
    issues = items((outcome or entries.first("OperationOutcome")).resource.get("issue"))
    wrong = any(string(obj(issue).get("severity")) in _ERRORS for issue in issues)
    checks = (
        (response.get("identifier") == header.resource.get("id"), _QUOTES_ITSELF, ".response.identifier"),
        ("details" in response and outcome is None, _DANGLING, ".response.details"),
        (ok and wrong, _OK_WITH_ERROR, ".response.code"),
        (not ok and bool(issues) and not wrong, _ERROR_WITHOUT, ".response.code"),
        (len(entries.of("Provenance")) != 2, _TWO_PROVENANCES, ""),
    )
    for hit, reason, place in checks:
        if hit:
            yield faults.FHIR_ACKNOWLEDGEMENT.at("MessageHeader.response", f"{header.path}{place}", reason=reason)


_QUOTES_ITSELF = Bilingual("response.identifier er dens eget id", "response.identifier is its own id")
_DANGLING = Bilingual("response.details peger ikke på en OperationOutcome", "response.details is no OperationOutcome")
_OK_WITH_ERROR = Bilingual("koden er ok, men den nævner en fejl", "the code is ok, but it names an error")
_ERROR_WITHOUT = Bilingual("koden er en fejl, men den nævner ingen", "the code is an error, but it names none")
_TWO_PROVENANCES = Bilingual("den skal have to Provenance", "it must have two Provenances")

_EVERY_MESSAGE: tuple[Rule, ...] = (_header_first, _parties, _provenance, _narratives, _ids, _time_zones)
RULES: tuple[Rule, ...] = (*_EVERY_MESSAGE, _focus, _one_patient, _discharge)
ACKNOWLEDGEMENT_RULES: tuple[Rule, ...] = (*_EVERY_MESSAGE, _answer)
