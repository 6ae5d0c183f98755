"""FHIR JSON: systems and codes, look-up that tolerates any JSON, references inside a Bundle, and the parties.

What is read here may have any shape: the validator says what is wrong with it, the reading takes what it can and raises
nothing. Places are FHIRPath as far as it names one element: `Bundle.entry[2].resource.category[0]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gtgateway.model.identifiers import Identifier, IdentifierKind, kommunekode
from gtgateway.model.plan import COPENHAGEN, Address, LocalMoment, Party

Json = dict[str, Any]

#: Where our own definitions live: `canonical` in profiles/source/guide.toml.
CANONICAL = "https://gtgateway.example/fhir"
EVENTS = f"{CANONICAL}/CodeSystem/gop-message-events"
PLAN_EVENT = "rehabilitation-plan-message"
REFERRAL_EVENT = "new-referral"  #: of MedCom's draft referral model, read as a plan
DEFINITION = f"{CANONICAL}/MessageDefinition/gop-message"
DEFINITION_VERSION = "1.0"

MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging"
DESTINATION_USE = f"{MESSAGING}-destinationUseExtension"
MEDCOM_CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem"
DESTINATION_USES = f"{MEDCOM_CODES}/medcom-messaging-destinationUse"
ACTIVITIES = f"{MEDCOM_CODES}/medcom-messaging-activityCodes"
SOR_URL = "https://sor2.sum.dsdn.dk/#id="

GLN = "https://www.gs1.org/gln"  #: as MedCom and EHMI want it; dk-core 3.5.0 and later say http
SOR = "urn:oid:1.2.208.176.1.1"
CPR = "urn:oid:1.2.208.176.1.2"
REGIONS = "urn:iso:std:iso:3166:-2"
MUNICIPALITIES = "http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes"
YDERNUMMER = "urn:oid:1.2.208.176.1.4"
#: Systems of an organisation's identifiers, http and https alike, old and new.
ORGANISATION_SYSTEMS = {
    GLN: IdentifierKind.GLN,
    "http://www.gs1.org/gln": IdentifierKind.GLN,
    SOR: IdentifierKind.SOR,
    MUNICIPALITIES: IdentifierKind.KOMMUNEKODE,
    REGIONS: IdentifierKind.REGIONSKODE,
    "http://hl7.dk/fhir/core/CodeSystem/dk-core-regional-subdivision-codes": IdentifierKind.REGIONSKODE,
    YDERNUMMER: IdentifierKind.YDERNUMMER,
}
_GLN_SYSTEMS = frozenset(system for system, kind in ORGANISATION_SYSTEMS.items() if kind is IdentifierKind.GLN)
ORGANISATION_NAMES = f"{CANONICAL}/StructureDefinition/gop-organisation-names"
#: The regions of 2007 have the codes DK-81 to DK-85, regionskode 1081 to 1085; later ones are not published.
_REGION = re.compile(r"DK-(8[1-5])", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.\d+)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)


# --- look-up ----------------------------------------------------------------------------------------------------------


def obj(value: object) -> Mapping[str, Any]:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The items of a list; anything else counts as the only one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def string(value: object) -> str | None:
    """A text that says something, without the white space of XML around it; other Unicode spaces stay."""
    return value.strip(" \t\r\n") or None if isinstance(value, str) else None


def codings(concept: object) -> Iterator[tuple[str | None, str | None, str | None]]:
    """System, code and display of each coding of a CodeableConcept."""
    for coding in items(obj(concept).get("coding")):
        stated = obj(coding)
        yield string(stated.get("system")), string(stated.get("code")), string(stated.get("display"))


def code_of(concept: object, system: str) -> str | None:
    """The code of a system, or None."""
    return next((code for stated, code, _ in codings(concept) if stated == system), None)


def words_of(concept: object) -> str | None:
    """What a CodeableConcept says to people: its text, else a display, else a code."""
    stated = string(obj(concept).get("text"))
    return stated or next((display or code for _, code, display in codings(concept) if display or code), None)


def value_of(extension: object) -> Any:
    """The value of an extension, whatever its type."""
    return next((value for key, value in obj(extension).items() if key.startswith("value")), None)


def extension(element: object, url: str) -> Any:
    """The first extension of a url, or None."""
    return next((each for each in items(obj(element).get("extension")) if obj(each).get("url") == url), None)


def destination(use: str, sor: str | None, receiver: Json) -> Json:
    """A MessageHeader.destination: use (`primary`, `cc`), end-point by SOR code, and a reference to the receiver."""
    return {"extension": [used_as(use)], "endpoint": sor_endpoint(sor), "receiver": receiver}


def used_as(use: str) -> Json:
    """The extension that says what a destination is used as."""
    return {"url": DESTINATION_USE, "valueCoding": {"system": DESTINATION_USES, "code": use}}


def use_of(destination: object) -> str | None:
    """What a destination is used as."""
    return string(obj(value_of(extension(destination, DESTINATION_USE))).get("code"))


def sor_endpoint(sor: str | None) -> str:
    """The address of a party in MedCom's messages: its entry in SOR."""
    return f"{SOR_URL}{sor or 'ukendt'}"


def moment(value: object) -> LocalMoment | None:
    """A date, dateTime or instant as a Danish wall clock; None when it is none. Without a zone it is Danish time."""
    stated = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if stated is None:
        return None
    day, minutes, seconds, zone = stated.groups()
    try:
        if minutes is None:
            return LocalMoment(date.fromisoformat(day))
        read = datetime.fromisoformat(f"{day}T{minutes}{seconds or ''}{zone or ''}")
        local = read.astimezone(COPENHAGEN) if zone else read
    except (ValueError, OverflowError):
        return None
    return LocalMoment(local.date(), local.time())


def day_of(value: object) -> date | None:
    """The Danish calendar day of a date, dateTime or instant."""
    read = moment(value)
    return read.day if read else None


# --- references -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A resource of the Bundle and where it stands."""

    resource: Mapping[str, Any]
    path: str

    @property
    def type(self) -> str | None:
        return string(self.resource.get("resourceType"))


NOWHERE = Place({}, "")


class Entries:
    """The entries of a Bundle in order, by type and by reference."""

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        self.all: list[Place] = []
        self._by_reference: dict[str, Place] = {}
        self._by_type: dict[str, list[Place]] = {}
        for number, entry in enumerate(items(bundle.get("entry"))):
            resource = obj(obj(entry).get("resource"))
            place = Place(resource, f"Bundle.entry[{number}].resource")
            self.all.append(place)
            type_ = place.type or ""
            self._by_type.setdefault(type_, []).append(place)
            if id_ := string(resource.get("id")):
                self._by_reference.setdefault(f"{type_}/{id_}", place)
            if url := string(obj(entry).get("fullUrl")):
                self._by_reference.setdefault(url, place)

    def of(self, type_: str) -> list[Place]:
        """Every resource of a type."""
        return self._by_type.get(type_, [])

    def first(self, type_: str) -> Place:
        """The first resource of a type, NOWHERE when there is none."""
        return next(iter(self.of(type_)), NOWHERE)

    def find(self, reference: object, type_: str | None = None) -> Place | None:
        """What a Reference means, by fullUrl or by `Type/id`; None when it is not in the Bundle or of another type."""
        stated = string(obj(reference).get("reference"))
        if stated is None:
            return None
        found = self._by_reference.get(stated) or self._by_reference.get("/".join(stated.split("/")[-2:]))
        return found if found and type_ in (None, found.type) else None


# --- parties ----------------------------------------------------------------------------------------------------------


def identifier_of(stated: Mapping[str, Any]) -> Identifier | None:
    """An organisation's identifier, numbers in the form that the model knows (kommunekode 0461, regionskode 1083)."""
    value, system = string(stated.get("value")), string(stated.get("system"))
    if value is None:
        return None
    kind = ORGANISATION_SYSTEMS.get(system or "", IdentifierKind.OTHER)
    if kind is IdentifierKind.KOMMUNEKODE:
        value = kommunekode(value)
    elif kind is IdentifierKind.REGIONSKODE and (region := _REGION.fullmatch(value)):
        value = f"10{region[1]}"
    elif kind is IdentifierKind.OTHER:
        word = words_of(stated.get("type")) or system
        known = next((each for each in IdentifierKind if each == word), None)
        return Identifier(known, value) if known else Identifier(kind, value, word)
    return Identifier(kind, value)


def party_of(organisation: Mapping[str, Any]) -> Party:
    """An Organization as a party. Its telephone and e-mail are its own, else those of its contacts."""
    stated = [obj(each) for each in items(organisation.get("identifier"))]
    gln = next(
        (each for each in stated if ORGANISATION_SYSTEMS.get(string(each.get("system")) or "") is IdentifierKind.GLN),
        {},
    )
    others = [known for each in stated if each is not gln and (known := identifier_of(each))]
    names = extension(organisation, ORGANISATION_NAMES)
    telecoms = [obj(each) for each in items(organisation.get("telecom"))]
    for contact in items(organisation.get("contact")):
        telecoms += [obj(each) for each in items(obj(contact).get("telecom"))]
    return Party(
        gln=string(gln.get("value")),
        # What the sender calls it by comes first, the SOR code that every party has in FHIR last.
        identifiers=tuple(sorted(others, key=lambda each: each.kind is IdentifierKind.SOR)),
        name=string(organisation.get("name")) if names is None else string(value_of(extension(names, "organisation"))),
        department=string(value_of(extension(names, "department"))),
        unit=string(value_of(extension(names, "unit"))),
        address=address_of(next(iter(items(organisation.get("address"))), None)),
        telephone=_first(telecoms, "phone"),
        email=_first(telecoms, "email"),
        speciality=next(filter(None, map(words_of, items(organisation.get("type")))), None),
    )


def _first(telecoms: list[Mapping[str, Any]], system: str) -> str | None:
    stated = (string(each.get("value")) for each in telecoms if each.get("system") == system)
    return next(filter(None, stated), None)


def address_of(value: object) -> Address:
    """A postal address: lines are the street, `district` is the place (bynavn), `city` the postal district."""
    stated = obj(value)
    lines = ", ".join(line for line in map(string, items(stated.get("line"))) if line)
    return Address(
        street=lines or string(stated.get("text")),
        suburb=string(stated.get("district")),
        district=string(stated.get("city")),
        postcode=string(stated.get("postalCode")),
    )
