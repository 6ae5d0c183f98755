"""Makes the example messages in `samples/messages` from `plans.toml` there: run `python -m profiles.examples`.

Every plan becomes `<case>/message.json` and the same message as `<case>/message.xml`. Organisations are those of the
sample directory, persons official test persons. Nothing is random: ids are derived from the case and the resource.
"""

from __future__ import annotations

import json
import tomllib
import uuid
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import Any

from lxml import etree

from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.route import Organisation
from gtgateway.routing.directory import Directory

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "messages"
CANONICAL: str = tomllib.loads((ROOT / "profiles/source/guide.toml").read_text("utf-8"))["canonical"]
FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
CARE = "http://fhir.kl.dk/term/CodeSystem/CareSocialCodes"
LEVELS = {
    "almen": ("ffd81f78-352e-4589-a195-5350dd1df2a4", "Almen"),
    "specialiseret": ("0c8e2bfc-1350-45d1-90da-c07e2645d073", "Specialiseret"),
    "rehabilitering": ("83c89857-8fb8-4163-97b1-eb1a56345c29", "Rehabilitering"),
}
SYSTEMS = {
    IdentifierKind.GLN: "https://www.gs1.org/gln",
    IdentifierKind.SOR: "urn:oid:1.2.208.176.1.1",
    IdentifierKind.KOMMUNEKODE: "http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes",
    IdentifierKind.YDERNUMMER: "urn:oid:1.2.208.176.1.4",
}
SECTIONS: dict[str, str] = {
    entry["code"]: entry["display"]
    for entry in json.loads((ROOT / "profiles/CodeSystem-gop-section.json").read_text("utf-8"))["concept"]
}


def _own(kind: str, id: str) -> str:
    return f"{CANONICAL}/{kind}/{id}"


def _concept(system: str, code: str, display: str | None = None, text: str | None = None) -> Json:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]} | ({"text": text} if text else {})


class Message:
    """One message in the making: its entries in order, and ids and references by key (`organization:ouh`)."""

    def __init__(self, case: str) -> None:
        self.case = case
        self.entries: list[Json] = []

    def id(self, key: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{CANONICAL}/{self.case}/{key}"))

    def ref(self, type_: str, key: str = "") -> Json:
        return {"reference": f"{type_}/{self.id(f'{type_}:{key}')}"}

    def add(self, type_: str, key: str, profiles: list[str], text: str, content: Json) -> None:
        id = self.id(f"{type_}:{key}")
        div = f'<div xmlns="{XHTML}"><p>Id: {id}</p><p>{escape(text, quote=False)}</p></div>'
        narrative = {"status": "generated", "div": div}
        meta = {"profile": [_own("StructureDefinition", p) if p.startswith("gop-") else p for p in profiles]}
        resource = {"resourceType": type_, "id": id, "meta": meta, "text": narrative} | content
        self.entries.append({"fullUrl": f"{CANONICAL}/{type_}/{id}", "resource": resource})


def _organisation(message: Message, organisation: Organisation, contact: Json | None, *, party: bool) -> None:
    """A party with its numbers, or (`party` False) a region that is only named for questions."""
    identifiers = [
        {"use": "official", "system": system, "value": value}
        if kind in (IdentifierKind.GLN, IdentifierKind.SOR)
        else {"system": system, "value": value}
        for kind, system in SYSTEMS.items()
        if party and (value := organisation.identifier(kind))
    ]
    if region := organisation.identifier(IdentifierKind.REGIONSKODE):
        identifiers.append({"system": "urn:iso:std:iso:3166:-2", "value": f"DK-{region[2:]}"})
    content: Json = ({"identifier": identifiers} if identifiers else {}) | {"name": organisation.name}
    if contact:
        telecom = [{"system": system, "value": contact[system]} for system in ("phone", "email") if system in contact]
        content["contact"] = [{"purpose": {"text": contact["purpose"]}, "telecom": telecom}]
    messaging = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-organization"
    profiles = [messaging, "gop-organization"] if party else ["gop-contact-organization"]
    message.add("Organization", organisation.id, profiles, f"{organisation.name}.", content)


def _provenances(message: Message, plan: Json, sent: str) -> None:
    """This message's provenance and, of a correction or withdrawal, the provenance of the message before it."""
    activity = plan.get("activity", "new-message")
    steps = [(message, activity, sent)]
    if earlier := plan.get("earlier"):
        steps.append((Message(earlier["case"]), "new-message", earlier["sent"]))
    for sender, code, at in steps:
        system = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-activityCodes"
        content: Json = {
            "target": [sender.ref("MessageHeader")],
            "occurredDateTime": at,
            "recorded": at,
            "activity": _concept(system, code),
            "agent": [{"who": message.ref("Organization", plan["sender"])}],
        }
        if earlier and sender is message:
            role = "removal" if code == "retract-message" else "revision"
            content["entity"] = [{"role": role, "what": Message(earlier["case"]).ref("MessageHeader")}]
        message.add("Provenance", sender.case, ["gop-provenance"], f"{code}, sendt {at}.", content)


def _service_request(message: Message, plan: Json) -> None:
    def extension(name: str, **value: Any) -> Json:
        return {"url": _own("StructureDefinition", name)} | value

    discharge = "http://fhir.kl.dk/rehab/StructureDefinition/PreconditionDate"
    extensions: list[Json] = [{"url": discharge, "valueDate": plan["discharged"]}]
    if start := plan.get("start"):
        parts = [
            {"url": name, ("valueString" if name == "reason" else "valueDate"): start[name]}
            for name in ("earliest", "latest", "reason")
            if name in start
        ]
        extensions.append({"extension": parts} | extension("gop-start"))
    if "handed_out" in plan:
        extensions.append(extension("gop-handed-out", valueDateTime=plan["handed_out"]))
    if "phase2_from" in plan:
        extensions.append(extension("gop-phase2-from", valueDate=plan["phase2_from"]))
    snomed = _concept("http://snomed.info/sct", "658141000005108", "genoptræning efter hospitalsophold")
    supporting = [message.ref("Observation", section) for section in plan["sections"]]
    content = {
        "extension": extensions,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{Message(plan['plan']).id('plan')}"}],
        "status": plan.get("status", "active"),
        "intent": "order",
        "category": [*(_concept(CARE, *LEVELS[level]) for level in plan["levels"]), snomed],
        "priority": "routine",
        "code": _concept(CARE, "7fc66c15-0cb3-4c89-9e18-f3a01e6a6592", "Kommunal genoptræning efter sygehusophold"),
        "subject": message.ref("Patient"),
        "encounter": message.ref("Encounter"),
        "authoredOn": plan["written"],
        "requester": message.ref("PractitionerRole"),
        "performer": [message.ref("Organization", plan["primary"])],
        "reasonReference": [message.ref("Condition", code) for code, _ in plan["diagnoses"]],
        "supportingInfo": [*supporting, message.ref("Consent"), message.ref("Organization", plan["region"])],
    }
    if "note" in plan:
        content["note"] = [{"text": plan["note"]}]
    if "instruction" in plan:
        content["patientInstruction"] = plan["instruction"]
    levels = ", derefter ".join(plan["levels"])
    text = f"Genoptræningsplan ({levels}); udskrivning {plan['discharged']}."
    message.add("ServiceRequest", "", ["gop-servicerequest"], text, content)


def _patient(message: Message, plan: Json, person: Json, gp: Organisation | None) -> None:
    municipality = {
        "url": "http://hl7.dk/fhir/core/StructureDefinition/dk-core-municipalityCodes",
        "valueCodeableConcept": _concept(SYSTEMS[IdentifierKind.KOMMUNEKODE], person["municipality"]),
    }
    content: Json = {
        "identifier": [{"use": "official", "system": "urn:oid:1.2.208.176.1.2", "value": person["cpr"]}],
        "name": [{"use": "official", "family": person["family"], "given": person["given"]}],
        "gender": person["gender"],
        "birthDate": person["birth"],
        "address": [
            {"extension": [municipality], "line": [person["street"]]}
            | {"city": person["city"], "postalCode": person["postcode"]}
        ],
    }
    if relative := plan.get("relative"):
        role = _concept(
            "http://terminology.hl7.org/CodeSystem/v3-RoleCode", relative["code"], text=relative["relation"]
        )
        name = {"family": relative["family"], "given": relative["given"]}
        phone = {"system": "phone", "value": relative["phone"]}
        content["contact"] = [{"relationship": [role], "name": name, "telecom": [phone]}]
        if relative.get("consents"):
            related = {"patient": message.ref("Patient"), "relationship": [role], "name": [{"use": "official"} | name]}
            profile = "http://hl7.dk/fhir/core/StructureDefinition/dk-core-related-person"
            message.add("RelatedPerson", "", [profile], f"{relative['relation']} til patienten.", related)
    if gp:
        sor = {"use": "official", "system": SYSTEMS[IdentifierKind.SOR], "value": gp.identifier(IdentifierKind.SOR)}
        content["generalPractitioner"] = [message.ref("Organization", gp.id) | {"identifier": sor}]
    text = f"{' '.join(person['given'])} {person['family']}, CPR {person['cpr']}."
    message.add("Patient", "", ["gop-patient"], text, content)


def _encounter_and_conditions(message: Message, plan: Json) -> None:
    episode = uuid.uuid5(uuid.NAMESPACE_URL, f"{plan['plan']}/episode")
    use = {"system": "http://terminology.hl7.org/CodeSystem/diagnosis-role", "code": "DD"}
    content = {
        "status": plan.get("contact_status", "finished"),
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": plan.get("contact_class", "IMP"),
        },
        "subject": message.ref("Patient"),
        "episodeOfCare": [
            {
                "identifier": {
                    "system": "https://www.esundhed.dk/Registre/Landspatientregisteret",
                    "value": f"urn:uuid:{episode}",
                }
            }
        ],
        "period": {"start": plan["admitted"], "end": plan["ended"]},
        "diagnosis": [
            {"condition": message.ref("Condition", code), "use": {"coding": [use]}, "rank": rank}
            for rank, (code, _) in enumerate(plan["diagnoses"], start=1)
        ],
        "serviceProvider": message.ref("Organization", plan["sender"]),
    }
    text = f"Sygehuskontakt fra {plan['admitted'][:10]} til {plan['ended'][:10]}."
    message.add("Encounter", "", ["gop-encounter"], text, content)
    hl7 = "http://terminology.hl7.org/CodeSystem/"
    for code, display in plan["diagnoses"]:
        content = {
            "clinicalStatus": _concept(hl7 + "condition-clinical", "active"),
            "verificationStatus": _concept(hl7 + "condition-ver-status", "confirmed"),
            "category": [_concept(hl7 + "condition-category", "encounter-diagnosis")],
            "code": _concept("urn:oid:1.2.208.176.2.4.12", code, display, display),
            "subject": message.ref("Patient"),
            "encounter": message.ref("Encounter"),
        }
        message.add("Condition", code, ["gop-condition"], f"{code} {display}", content)


def _observations(message: Message, plan: Json) -> None:
    icf: dict[str, list[Json]] = {}
    for section, code, display, qualifier, problem in plan.get("icf", []):
        both = [
            {"system": "http://hl7.org/fhir/sid/icf", "code": code, "display": display},
            {"system": "urn:oid:1.2.208.176.2.4", "code": "F" + code.upper(), "display": display},
        ]
        value = _concept(_own("CodeSystem", "icf-qualifier"), qualifier, problem)
        icf.setdefault(section, []).append({"code": {"coding": both}, "valueCodeableConcept": value})
    for section, text in plan["sections"].items():
        content: Json = {
            "status": "final",
            "category": [_concept(_own("CodeSystem", "gop-observation-category"), "functioning")],
            "code": _concept(_own("CodeSystem", "gop-section"), section, SECTIONS[section]),
            "subject": message.ref("Patient"),
            "encounter": message.ref("Encounter"),
            "effectiveDateTime": plan["written"],
            "performer": [message.ref("PractitionerRole")],
            "valueString": text,
        }
        if section in icf:
            content["component"] = icf[section]
        message.add("Observation", section, ["gop-functioning"], f"{SECTIONS[section]}: {text}", content)


def _consent(message: Message, plan: Json) -> None:
    role = _concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")

    def actors(names: list[str]) -> list[Json]:
        return [{"role": role, "reference": message.ref("Organization", name)} for name in names]

    refused = plan.get("refused", [])
    permitted = [name for name in (plan["primary"], *plan["copies"]) if name not in refused]
    provision: Json = {"type": "permit", "actor": actors(permitted)}
    if refused:
        provision["provision"] = [{"type": "deny", "actor": actors(refused)}]
    by_relative = plan.get("relative", {}).get("consents")
    content = {
        "status": "active",
        "scope": _concept("http://terminology.hl7.org/CodeSystem/consentscope", "treatment"),
        "category": [
            _concept(
                _own("CodeSystem", "gop-consent-category"),
                "gop-plan-and-sending",
                "Samtykke til genoptræningsplan og videresendelse",
            )
        ],
        "patient": message.ref("Patient"),
        "dateTime": plan["written"],
        "performer": [message.ref("RelatedPerson" if by_relative else "Patient")],
        "policyRule": {"text": "Sundhedsloven § 15 og § 41"},
        "provision": provision,
    }
    text = "Informeret samtykke til planen og til, at den sendes til de nævnte modtagere."
    message.add("Consent", "", ["gop-consent"], text, content)


def _author(message: Message, plan: Json) -> None:
    author = plan["author"]
    core = "http://medcomfhir.dk/ig/core/StructureDefinition/"
    system = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-core-PractitionerRolesAutorisationsregistret"
    role = {
        "practitioner": message.ref("Practitioner"),
        "organization": message.ref("Organization", plan["sender"]),
        "code": [_concept(system, author["role"], text=author["role"])],
        "telecom": [{"system": "phone", "value": author["phone"]}],
    }
    name = f"{' '.join(author['given'])} {author['family']}"
    message.add("PractitionerRole", "", ["gop-practitionerrole"], f"{name}, {author['role']}.", role)
    person = {"name": [{"family": author["family"], "given": author["given"]}]}
    message.add("Practitioner", "", [core + "medcom-core-practitioner"], f"{name}.", person)


def _header(message: Message, plan: Json, directory: Directory, text: str) -> None:
    messaging = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-destinationUseExtension"
    use = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-destinationUse"

    def endpoint(name: str) -> str:
        organisation = directory.by_id(name)
        assert organisation is not None
        return f"https://sor2.sum.dsdn.dk/#id={organisation.identifier(IdentifierKind.SOR)}"

    destinations = [
        {
            "extension": [{"url": messaging, "valueCoding": {"system": use, "code": code}}],
            "endpoint": endpoint(name),
            "receiver": message.ref("Organization", name),
        }
        for code, name in [("primary", plan["primary"]), *(("cc", name) for name in plan["copies"])]
    ]
    content = {
        "eventCoding": {
            "system": _own("CodeSystem", "gop-message-events"),
            "code": "rehabilitation-plan-message",
            "display": "Genoptræningsplan",
        },
        "destination": destinations,
        "sender": message.ref("Organization", plan["sender"]),
        "source": {"endpoint": endpoint(plan["sender"])},
        "focus": [message.ref("ServiceRequest")],
        "definition": _own("MessageDefinition", "gop-message") + "|1.0",
    }
    message.add("MessageHeader", "", ["gop-message-header"], text, content)


def bundle(case: str, plan: Json, persons: Json, contacts: Json, directory: Directory) -> Json:
    """The message of one plan."""
    message = Message(case)
    sent = plan["sent"]
    _header(message, plan, directory, plan["title"])
    _provenances(message, plan, sent)
    _service_request(message, plan)
    parties = [plan["sender"], plan["primary"], *plan["copies"]]
    found = {name: directory.by_id(name) for name in (*parties, plan["region"])}
    gp = next((entry for entry in found.values() if entry and entry.kind == "gp"), None)
    _patient(message, plan, persons[plan["patient"]], gp)
    _encounter_and_conditions(message, plan)
    _observations(message, plan)
    _consent(message, plan)
    _author(message, plan)
    for name, organisation in found.items():
        assert organisation is not None, name
        _organisation(message, organisation, contacts.get(name), party=name in parties)
    return {
        "resourceType": "Bundle",
        "id": message.id("Bundle"),
        "meta": {"profile": [_own("StructureDefinition", "gop-message")]},
        "type": "message",
        "timestamp": sent,
        "entry": message.entries,
    }


# --- the same message as XML ------------------------------------------------------------------------------------------


def to_xml(resource: Json) -> bytes:
    """FHIR XML of a resource whose properties stand in the order of the definitions, as they do here."""
    root = etree.Element(f"{{{FHIR}}}{resource['resourceType']}", nsmap={None: FHIR})  # type: ignore[dict-item]
    _fill(root, resource)
    etree.indent(root)
    for div in root.iter(f"{{{XHTML}}}div"):  # white space in a narrative is content
        div.text = None
        for paragraph in div:
            paragraph.tail = None
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def _fill(element: Any, content: Json) -> None:
    is_resource = "resourceType" in content
    for name, value in content.items():
        if name == "resourceType":
            continue
        if name == "url" and etree.QName(element).localname == "extension":
            element.set("url", value)
            continue
        for item in value if isinstance(value, list) else [value]:
            if name == "div":
                element.append(etree.fromstring(item))
                continue
            child = etree.SubElement(element, f"{{{FHIR}}}{name}")
            if isinstance(item, dict):
                inner = (
                    etree.SubElement(child, f"{{{FHIR}}}{item['resourceType']}") if "resourceType" in item else child
                )
                _fill(inner, item)
            else:
                assert is_resource or name != "id", "ids of data types do not occur here"
                child.set("value", str(item))


def examples() -> dict[str, Json]:
    """Every example message by its case."""
    source = tomllib.loads((SAMPLES / "plans.toml").read_text("utf-8"))
    directory = Directory.load(None)
    plans = source["plan"]
    for plan in plans.values():
        if "like" in plan:
            plan |= {key: value for key, value in plans[plan["like"]].items() if key not in plan}
    return {
        case: bundle(case, _texts(plan), _texts(source["person"]), source["contact"], directory)
        for case, plan in plans.items()
    }


def _texts(value: Any) -> Any:
    """TOML dates and times as FHIR writes them."""
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def main() -> None:
    for case, message in examples().items():
        folder = SAMPLES / case
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "message.json").write_text(json.dumps(message, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (folder / "message.xml").write_bytes(to_xml(message))


if __name__ == "__main__":
    main()
