"""What reading a FHIR message shares: the state of one reading, parties, people, ways to reach them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gtgateway.mappers.fhir_codes import (
    CONTACTPOINT_COMMENT,
    RELATION_ROWS,
    TELEPHONE_USES,
)
from gtgateway.mappers.narrative import words_in
from gtgateway.model import faults
from gtgateway.model.findings import Fault, Finding
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import TraceRow
from gtgateway.model.plan import (
    ContactDetails,
    OtherContent,
    Party,
    Professional,
    Telephone,
)
from gtgateway.parsers.fhir import (
    NOWHERE,
    Place,
    codings,
    extension,
    identifier_of,
    items,
    moment,
    obj,
    party_of,
    string,
    value_of,
    words_of,
)
from gtgateway.parsers.fhir_message import plan_request

Json = Mapping[str, Any]
#: A value of the plan and the place that it came from.
Hit = tuple[object, str]


class Reading:
    """What was read so far. `values` by plan path; the rows of the trace in the order of reading."""

    def __init__(self, bundle: Json, known: Mapping[str, frozenset[str]]) -> None:
        """`known` names the elements of a resource type that are read (see `rest`)."""
        self.known = known
        self.entries, self.header, self.request = plan_request(bundle)
        self.values: dict[str, Any] = {}
        self.rows: list[TraceRow] = []
        self.findings: list[Finding] = []
        self.other: list[OtherContent] = []
        self.used: set[str] = {self.header.path, self.request.path}

    @property
    def patient(self) -> Place:
        return self.find(self.request.resource.get("subject"), "Patient") or self.entries.first("Patient")

    @property
    def encounter(self) -> Place:
        return self.find(self.request.resource.get("encounter"), "Encounter") or self.entries.first("Encounter")

    def find(self, reference: object, type_: str | None = None) -> Place | None:
        """What a reference means, marked as read."""
        found = self.entries.find(reference, type_)
        if found is not None:
            self.used.add(found.path)
        return found

    def put(self, target: str, value: object, path: str) -> None:
        self.values[target] = value
        self.trace(target, path)

    def trace(self, target: str, path: str) -> None:
        self.rows.append(TraceRow(target, path, None))

    def tell(self, fault: Fault, target: str, path: str, **filling: object) -> None:
        self.findings.append(fault.at(target, path, None, **filling))

    def keep(self, path: str, value: object) -> None:
        """Keep what no field holds readable."""
        if text := words_in(value):
            self.other.append(OtherContent(path, text))

    def rest(self, place: Place) -> None:
        """Keep the elements of a resource that are not read."""
        known = self.known[place.type or ""]
        if not place.resource.keys() <= known:
            for name, value in place.resource.items():
                if name not in known:
                    self.keep(f"{place.path}.{name}", value)

    def party(self, reference: object, target: str, path: str) -> Party | None:
        """The Organization that a reference means; without one in the message, what the reference itself says."""
        found = self.find(reference, "Organization")
        if found is not None:
            party = party_of(found.resource)
            for part in ("gln", "identifiers", "name", "telephone"):
                if getattr(party, part):
                    place = "identifier" if part in ("gln", "identifiers") else part
                    self.trace(f"{target}.{part}", f"{found.path}.{'contact' if part == 'telephone' else place}")
            return party
        stated = obj(reference)
        if string(stated.get("reference")):
            self.tell(faults.FHIR_UNRESOLVED, target, path, element=path.rpartition(".")[2])
        known = identifier_of(obj(stated.get("identifier")))
        name = string(stated.get("display"))
        if known is None and name is None:
            return None
        self.trace(target, path)
        gln = known.value if known and known.kind is IdentifierKind.GLN else None
        return Party(gln=gln, identifiers=(known,) if known and not gln else (), name=name)

    def professional(self, reference: object, target: str, path: str) -> Professional | None:
        """The PractitionerRole (or Practitioner) that a reference means."""
        found = self.find(reference)
        if found is None:
            if string(obj(reference).get("reference")):
                self.tell(faults.FHIR_UNRESOLVED, target, path, element=path.rpartition(".")[2])
            display = string(obj(reference).get("display"))
            return Professional(family=display) if display else None
        if found.type not in ("PractitionerRole", "Practitioner"):
            return None
        role = found.resource if found.type == "PractitionerRole" else {}
        person = (self.find(role.get("practitioner"), "Practitioner") or NOWHERE) if role else found
        name = official_name(person.resource.get("name"))
        given, family = name_parts(name)
        telecoms = (*items(role.get("telecom")), *items(person.resource.get("telecom")))
        identifiers = map(identifier_of, map(obj, items(person.resource.get("identifier"))))
        self.trace(f"{target}.family", f"{person.path}.name[0]" if person.path else found.path)
        if role.get("code"):
            self.trace(f"{target}.title", f"{found.path}.code[0]")
        return Professional(
            given,
            family,
            title=next(filter(None, map(words_of, items(role.get("code")))), None),
            identifier=next(filter(None, identifiers), None),
            telephone=next((string(obj(each).get("value")) for each in telecoms if _is(each, "phone")), None),
            department=string(obj(role.get("organization")).get("display")),
        )


def _is(telecom: object, system: str) -> bool:
    return obj(telecom).get("system") == system


def official_name(names: object) -> Json:
    """The official HumanName, else the first."""
    stated = [obj(each) for each in items(names)]
    return next((each for each in stated if each.get("use") == "official"), next(iter(stated), {}))


def name_parts(name: Json) -> tuple[str | None, str | None]:
    given = " ".join(filter(None, map(string, items(name.get("given"))))) or None
    family = string(name.get("family"))
    return given, family or (string(name.get("text")) if given is None else None)


def contact_details(telecoms: object) -> ContactDetails:
    """Telephones with their kind, e-mail, and why there is no telephone."""
    telephones: list[Telephone] = []
    reason = email = None
    for telecom in map(obj, items(telecoms)):
        number, system = string(telecom.get("value")), string(telecom.get("system"))
        comment = string(value_of(extension(telecom, CONTACTPOINT_COMMENT)))
        if number is None:
            reason = reason or comment
        elif system == "email" and email is None:
            email = number
        else:
            use = TELEPHONE_USES.get(string(telecom.get("use")) or "")
            telephones.append(Telephone(number, comment or use or (None if system == "phone" else system)))
    return ContactDetails(tuple(telephones), reason, email)


def relation_of(relationships: object) -> str | None:
    for concept in items(relationships):
        if text := string(obj(concept).get("text")):
            return text
        stated = (RELATION_ROWS.get((code or "").casefold(), {}).get("relation") for _, code, _ in codings(concept))
        if known := next(filter(None, stated), None) or words_of(concept):
            return known
    return None


def instant_of(value: object) -> datetime | None:
    stated = moment(value)
    return stated.aware() if stated else None
