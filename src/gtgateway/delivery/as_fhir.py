"""GOP messages in FHIR that the gateway sends on: new ids, itself as sender, and a Provenance that says so.

All other entries are as received (MedCom, governance of copies: "Other entry.resources SHALL NOT be changed").
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gtgateway.mappers.fhir_from_plan import fhir_from_plan
from gtgateway.mappers.narrative import narrative
from gtgateway.model.delivery import DueDelivery
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Reading
from gtgateway.model.plan import COPENHAGEN, Party, RehabilitationPlan
from gtgateway.model.route import Organisation, Role
from gtgateway.parsers.fhir import (
    ACTIVITIES,
    CANONICAL,
    GLN,
    MESSAGING,
    SOR,
    Json,
    destination,
    items,
    obj,
    party_of,
    string,
    use_of,
    used_as,
)
from gtgateway.routing.directory import Directory

_FORWARD, _COPY = "forward-message", "carboncopy-message"
#: Entity.role by what is done (messaging IG, Provenance): a forwarding is a revision; a copy has a source.
_ENTITY_ROLE = {_FORWARD: "revision", _COPY: "source"}
_ACTING = frozenset({str(Role.ACTION), str(Role.AUTHORITY)})


def message_from_plan(
    plan: RehabilitationPlan, reading: Reading, due: DueDelivery, directory: Directory, at: datetime
) -> Json:
    """A GOP message of a plan that came in another form, or that has changed since. Its own Provenance is left out.

    The sender said it in a message of its own; ours says what we did with that.
    """
    sent = reading.envelope.sent_at if reading.envelope else None
    bundle = fhir_from_plan(
        plan,
        message_id=str(uuid5(NAMESPACE_URL, f"{due.sender_gln}#{due.plan_id} version {due.plan_version}")),
        bundle_id="",
        sent_at=sent.aware() if sent else at,
        known=lambda party: directory.resolve(party, plan.discharged_on),
        action=due.action,
    )
    kept = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] != "Provenance"]
    return {**bundle, "entry": kept}


def forwarded_message(
    bundle: Json,
    reading: Reading,
    due: DueDelivery,
    receiver: Organisation,
    identity: Party,
    *,
    bundle_id: str,
    receipts: str,
    at: datetime,
) -> Json:
    """The message as ours to a receiver; `bundle` is changed in place and is no longer the received one.

    `receipts` is the address that acknowledgements are sent to, `at` an aware instant, written in Danish time.
    """
    sent = at.astimezone(COPENHAGEN).isoformat(timespec="seconds")
    entries: list[Json] = bundle["entry"]
    place = next(entry for entry in entries if obj(entry.get("resource")).get("resourceType") == "MessageHeader")
    header: Json = place["resource"]
    old_id = str(header["id"])
    activity = _FORWARD if _ACTING.intersection(due.roles) else _COPY
    names = _Names(place, old_id)

    us = names.organisation(
        entries, identity.gln, identity.identifier(IdentifierKind.SOR), identity.name or "gtgateway"
    )
    them = names.organisation(entries, receiver.gln, receiver.identifier(IdentifierKind.SOR), receiver.name)
    for entry in entries if names.by_urn else ():
        _let_go(obj(entry.get("resource")), old_id)
    header["id"] = due.message_uuid
    place["fullUrl"] = names.url("MessageHeader", due.message_uuid)
    header["destination"] = _destinations(header, them, receiver, acts=str(Role.ACTION) in due.roles)
    header["sender"] = us
    header["source"] = {**obj(header.get("source")), "endpoint": receipts}
    header["text"] = _header_text(header, old_id, due.message_uuid, receiver)
    what = (
        {"reference": f"MessageHeader/{old_id}"}
        if reading.fhir is not None
        else {"identifier": {"value": f"{due.sender_gln}#{due.letter_id}"}}
    )
    provenance = {
        "target": [names.reference("MessageHeader", due.message_uuid)],
        "occurredDateTime": sent,
        "recorded": sent,
        "activity": {"coding": [{"system": ACTIVITIES, "code": activity}]},
        "agent": [{"who": us}],
        "entity": [{"role": _ENTITY_ROLE[activity], "what": what}],
    }
    # Without the time: a resend has the same content, or a recipient that compares would refuse it as changed.
    lines = (f"{activity}, sendt af {identity.name or 'gtgateway'} til {receiver.name}.",)
    profile = f"{CANONICAL}/StructureDefinition/gop-provenance"
    entries.append(names.entry("Provenance", due.message_uuid, profile, lines, provenance))
    return {**bundle, "id": bundle_id, "timestamp": sent}


class _Names:
    """How this Bundle names its entries: by `urn:uuid:` or by type and id. What is added does the same."""

    def __init__(self, place: Mapping[str, Any], old_id: str) -> None:
        full_url = str(place.get("fullUrl") or "")
        self.by_urn = full_url.startswith("urn:uuid:")
        base, found, _ = full_url.rpartition(f"MessageHeader/{old_id}")
        self._base = base if found else f"{CANONICAL}/"

    def url(self, type_: str, id_: str) -> str:
        return f"urn:uuid:{id_}" if self.by_urn else f"{self._base}{type_}/{id_}"

    def reference(self, type_: str, id_: str) -> Json:
        return {"reference": f"urn:uuid:{id_}" if self.by_urn else f"{type_}/{id_}"}

    def entry(self, type_: str, key: str, profile: str, lines: tuple[str, ...], content: Json) -> Json:
        """An entry of our own with its narrative; the same key gives the same id."""
        id_ = str(uuid5(NAMESPACE_URL, f"{CANONICAL}/{type_}/{key}"))
        resource = {
            "resourceType": type_,
            "id": id_,
            "meta": {"profile": [profile]},
            "text": narrative((f"Id: {id_}", *lines)),
            **content,
        }
        return {"fullUrl": self.url(type_, id_), "resource": resource}

    def organisation(self, entries: list[Json], gln: str | None, sor: str | None, name: str) -> Json:
        """A reference to the Organization with a location number, added where the Bundle has none."""
        for entry in entries:
            resource = obj(entry.get("resource"))
            if resource.get("resourceType") == "Organization" and gln and party_of(resource).gln == gln:
                return (
                    {"reference": entry["fullUrl"]} if self.by_urn else {"reference": f"Organization/{resource['id']}"}
                )
        stated = ((GLN, gln), (SOR, sor))
        numbers = [{"use": "official", "system": system, "value": value} for system, value in stated if value]
        content: Json = {**({"identifier": numbers} if numbers else {}), "active": True, "name": name}
        new = self.entry("Organization", f"{gln} {name}", f"{MESSAGING}-organization", (name,), content)
        entries.append(new)
        return self.reference("Organization", new["resource"]["id"])


def _let_go(resource: Mapping[str, Any], header_id: str) -> None:
    """An earlier Provenance speaks of a header that is not in this Bundle: a `urn:uuid:` must resolve inside it."""
    for target in items(resource.get("target")) if resource.get("resourceType") == "Provenance" else ():
        if target.get("reference") == f"urn:uuid:{header_id}":
            target["reference"] = f"MessageHeader/{header_id}"


def _destinations(header: Json, them: Json, receiver: Organisation, *, acts: bool) -> list[Json]:
    """Whoever acts is the primary destination; any other receiver stands beside the one that is (both visible)."""
    stated = [dict(obj(each)) for each in items(header.get("destination"))]
    others = [each for each in stated if string(obj(each.get("receiver")).get("reference")) != them["reference"]]
    primary = next((each for each in stated if use_of(each) == "primary"), None)
    named = len(others) < len(stated)
    if named and (not acts or primary not in others):
        return stated
    sor = receiver.identifier(IdentifierKind.SOR)
    if acts or primary is None:
        copies = [{**each, "extension": [used_as("cc")]} for each in others]
        return [destination("primary", sor, them), *copies]
    return [*stated, destination("cc", sor, them)]


def _header_text(header: Json, old_id: str, new_id: str, receiver: Organisation) -> Json:
    """The header's own narrative with its new id, and a line that says where it goes now."""
    stated = obj(header.get("text"))
    div = str(stated.get("div") or "").replace(old_id, new_id)
    line = narrative((f"Videresendt til {receiver.name}.",))
    head, end, _ = div.rpartition("</div>")
    inner = line["div"].partition(">")[2].rpartition("</div>")[0]
    return {**stated, "div": f"{head}{inner}{end}"} if end else line
