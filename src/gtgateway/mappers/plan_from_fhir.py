"""FHIR GOP message to a rehabilitation plan: the same plan as from MedCom XML, from one table of elements.

Read is our own profile (profiles/) and what stands in for it: the end of the hospital contact for the discharge date,
KL's extension for the consent, http and https for location numbers, old and new region codes, `order` and `plan`. An
element that no row names stays readable in `other`, and so does a resource that nothing refers to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, cast

from gtgateway.mappers.codes import codes
from gtgateway.mappers.deadline_text import read_deadline
from gtgateway.mappers.fhir_codes import (
    CAPACITY,
    CARE_CODES,
    CARE_OF,
    CONSENT_TO_LIAISING,
    CONTACTPOINT_COMMENT,
    DESELECTED,
    EGENTRAENING,
    EXTENDED,
    FINAL_RESULT,
    FUNDING,
    GP_REFUSED,
    HANDED_OUT,
    ICF,
    JOURNAL_EXCERPT,
    LEVELS,
    LIAISING_AGREED,
    LIAISING_REFUSED,
    MUNICIPAL_HELP,
    MUNICIPALITY_CODE,
    OCCUPATION,
    ORIGINAL_TEXT,
    PAYING_MUNICIPALITY,
    PHASE2_FROM,
    PLAN_TYPE,
    PRECONDITION_DATE,
    RELATION_ROWS,
    SECTION_FIELDS,
    SECTIONS,
    SKS,
    SKS_DIAGNOSES,
    START,
    SUGGESTIONS,
    TELEPHONE_USES,
    UNDIVIDED,
)
from gtgateway.mappers.narrative import formatted, normalised, readable, words_in
from gtgateway.mappers.plan_from_medcom_xml import check_contact, check_diagnoses
from gtgateway.mappers.table import Mapped
from gtgateway.model import faults
from gtgateway.model.findings import Fault, Finding
from gtgateway.model.identifiers import IdentifierKind, kommunekode
from gtgateway.model.message import Trace, TraceRow
from gtgateway.model.plan import (
    Address,
    CoAddress,
    Coded,
    Confidence,
    Consent,
    ContactDetails,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    HospitalControl,
    IcfClassification,
    JournalExcerpt,
    Level,
    OtherContent,
    Party,
    Patient,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Relative,
    StartDeadline,
    Telephone,
)
from gtgateway.parsers.envelope import ParsedLetter
from gtgateway.parsers.fhir import (
    MUNICIPALITIES,
    NOWHERE,
    Place,
    address_of,
    code_of,
    codings,
    day_of,
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
from gtgateway.parsers.fhir_message import destinations, episode_of_care_id, patient_number, plan_id_of, plan_request

Json = Mapping[str, Any]
#: A value of the plan and the place that it came from.
Hit = tuple[object, str]
_LEVEL_WORDS = codes("levels")
_RESTRICTED = frozenset(("R", "V"))
#: In what an Organization is asked for, and in its name. Bornholms Regionskommune is a municipality.
_RESIDENCE_WORDS = (("kommune", "contact_municipality"), ("region", "contact_region"))


# --- the state of one reading -----------------------------------------------------------------------------------------


class _Reading:
    """What was read so far. `values` by plan path; the rows of the trace in the order of reading."""

    def __init__(self, bundle: Json) -> None:
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
        name = _official(person.resource.get("name"))
        given, family = _name(name)
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


def _official(names: object) -> Json:
    """The official HumanName, else the first."""
    stated = [obj(each) for each in items(names)]
    return next((each for each in stated if each.get("use") == "official"), next(iter(stated), {}))


def _name(name: Json) -> tuple[str | None, str | None]:
    given = " ".join(filter(None, map(string, items(name.get("given"))))) or None
    family = string(name.get("family"))
    return given, family or (string(name.get("text")) if given is None else None)


# --- ServiceRequest ---------------------------------------------------------------------------------------------------


def _written_at(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    stated = moment(value)
    if stated is None:
        reading.tell(faults.MAP_DATE, "written_at", path, value=value)
    else:
        yield "written_at", (stated, path)


def _categories(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """Level, plan type and the second phase; a word that is no level is kept as stated."""
    levels: list[Level] = []
    for number, category in enumerate(items(value)):
        place = f"{path}[{number}]"
        care = code_of(category, CARE_CODES)
        word = string(obj(category).get("text"))
        if code_of(category, PLAN_TYPE) == EGENTRAENING:
            yield "plan_type", (PlanType.EGENTRAENING, place)
            if word:
                yield "level_stated", (word, place)
            continue
        level = LEVELS.get(care or "")
        suggestion = SUGGESTIONS.get(care or "")
        if suggestion is None and word:
            suggestion = _LEVEL_WORDS.get(word.casefold(), {}).get("hospital_suggestion") or None
        if suggestion:
            yield "hospital_suggestion", (suggestion, place)
            if level is None and Level.ALMEN not in levels:
                level = Level.ALMEN
        if level is None:
            if care or not obj(category).get("coding"):  # another system says something else, e.g. the setting
                yield "level_stated", (words_of(category), place)
            continue
        if not levels:
            yield "level", (level, place)
            if word or suggestion:
                yield "level_stated", (word or suggestion, place)
        elif len(levels) == 1:
            yield "next_level", (level, place)
        levels.append(level)


def _performers(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """The chosen hospital where the plan asks for specialised training; else the receiver says who acts."""
    levels = {code_of(each, CARE_CODES) for each in items(reading.request.resource.get("category"))}
    parties = [
        (reading.party(each, "chosen_hospital", f"{path}[{number}]"), f"{path}[{number}]")
        for number, each in enumerate(items(value))
    ]
    if Level.SPECIALISERET in {LEVELS.get(code or "") for code in levels} and parties and parties[0][0]:
        yield "chosen_hospital", parties[0]
        parties = parties[1:]


def _requester(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if author := reading.professional(value, "author", path):
        yield "author", (author, path)


def _notes(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    texts = [text for each in items(value) if (text := obj(each).get("text")) and isinstance(text, str)]
    if texts:
        text = formatted("\n".join(texts), reading.request.resource.get("text"), "practical_information")
        yield "practical_information", (text, f"{path}[0].text")


def _instruction(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if isinstance(value, str) and value:
        narrative = reading.request.resource.get("text")
        yield "information_for_patient", (formatted(value, narrative, "information_for_patient"), path)


def _replaces(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    reference = obj(next(iter(items(value)), None))
    stated = string(obj(reference.get("identifier")).get("value")) or string(reference.get("reference"))
    if stated:
        gln = reading.values["sender"].gln if "sender" in reading.values else None
        yield "replaces", (stated.removeprefix(f"{gln}#"), f"{path}[0]")


def _supporting(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """Named here and read on their own; what is not in the message is told."""
    for number, reference in enumerate(items(value)):
        if reading.entries.find(reference) is None:
            reading.tell(faults.FHIR_UNRESOLVED, "other", f"{path}[{number}]", element=f"supportingInfo[{number}]")
    yield from ()


def _plan_id(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    sender = reading.values.get("sender", Party())
    if plan_id := plan_id_of({"identifier": value}, sender):
        yield "plan_id", (plan_id, f"{path}[0].value")


def _on_hold(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """`active`, `revoked`, `entered-in-error` say what Provenance says; on hold is news."""
    if value == "on-hold":
        reading.keep(path, "Planen er sat i bero")
    yield from ()


def _priority(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if value != "routine":
        reading.keep(path, value)
    yield from ()


def _discharge(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    stated = value_of(value)
    if (day := day_of(stated)) is None:
        reading.tell(faults.MAP_DATE, "discharged_on", path, value=stated)
    else:
        yield "discharged_on", (day, f"{path}.value")


def _start(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    found: dict[str, date | None] = {}
    for name in ("earliest", "latest", "latestFirstContact"):
        stated = value_of(extension(value, name))
        found[name] = day_of(stated)
        if stated is not None and found[name] is None:
            reading.tell(faults.MAP_DATE, "start_deadline", path, value=stated)
    reason = value_of(extension(value, "reason"))
    words = reason if isinstance(reason, str) and reason else None
    narrative = reading.request.resource.get("text")
    kept = isinstance(obj(narrative).get("div"), str) and 'class="gop-start_deadline"' in obj(narrative)["div"]
    days = {"earliest": found["earliest"], "latest": found["latest"]}
    for name, day in days.items():
        if day:
            reading.trace(f"start_deadline.{name}", path)
    first_contact = found["latestFirstContact"]
    if words and kept:
        yield "start_deadline", (_translated_deadline(words, narrative, days, first_contact, reading), path)
        return
    deadline = StartDeadline(
        None,
        latest=days["latest"],
        earliest=days["earliest"],
        reason=words.strip() if words else None,
        deferral_stated=days["earliest"] is not None,
        confidence=Confidence.HIGH if any(days.values()) else Confidence.NONE,
        latest_first_contact=first_contact,
    )
    yield "start_deadline", (deadline, path)


def _translated_deadline(
    words: str, narrative: object, days: Mapping[str, date | None], first_contact: date | None, reading: _Reading
) -> StartDeadline:
    """The free text of a GGOP that was translated: read again as free text; the stated dates decide."""
    read = read_deadline(words, day_of(value_of(extension(reading.request.resource, PRECONDITION_DATE))))
    return StartDeadline(
        formatted(words, narrative, "start_deadline"),
        latest=days["latest"],
        earliest=days["earliest"],
        deferral_stated=read.deferral_stated,
        understood=read.understood,
        confidence=read.confidence,
        latest_first_contact=first_contact,
    )


def _handed_out(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if at := _instant(value_of(value)):
        yield "handed_out_at", (at, path)
    else:
        reading.tell(faults.MAP_DATE, "handed_out_at", path, value=value_of(value))


def _instant(value: object) -> datetime | None:
    stated = moment(value)
    return stated.aware() if stated else None


def _funding(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if funding := string(value_of(value)):
        yield "funding", (funding, path)


def _phase2(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if day := day_of(value_of(value)):
        yield "phase2_from", (day, path)
    else:
        reading.tell(faults.MAP_DATE, "phase2_from", path, value=value_of(value))


def _municipal_help(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if isinstance(stated := value_of(value), bool):
        yield "municipal_help", (stated, path)


def _final_result(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    reference = value_of(value)
    known = reading.values.get("final_result_receivers", ())
    if obj(reference).get("display") == DESELECTED:
        yield "final_result_deselected", (True, path)
    elif party := reading.party(reference, f"final_result_receivers[{len(known)}]", path):
        yield "final_result_receivers", ((*known, party), path)


def _liaising(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """KL's extension stands in for a Consent that is not there."""
    code = code_of(value_of(value), CARE_CODES)
    if code in (LIAISING_AGREED, LIAISING_REFUSED) and not reading.entries.of("Consent"):
        agreed = code == LIAISING_AGREED
        yield "consent", (Consent(given=agreed, send_agreed=agreed), path)


# --- MessageHeader ----------------------------------------------------------------------------------------------------


def _sender(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if party := reading.party(value, "sender", path):
        yield "sender", (party, path)


def _destinations(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """The primary receiver, and the copies without the GP."""
    gp = {
        found.path
        for each in items(reading.patient.resource.get("generalPractitioner"))
        if (found := reading.entries.find(each))
    }
    copies: list[Party] = []
    for number, (destination, (use, found)) in enumerate(
        zip(items(value), destinations(reading.entries, reading.header), strict=True)
    ):
        place = f"{path}[{number}].receiver"
        if found is not None and found.path in gp and use != "primary":
            continue
        target = "receiver" if use == "primary" else f"copy_receivers[{len(copies)}]"
        party = reading.party(obj(destination).get("receiver"), target, place)
        if party is None:
            continue
        if use == "primary" and "receiver" not in reading.values:
            yield "receiver", (party, place)
        else:
            copies.append(party)
    if copies:
        yield "copy_receivers", (tuple(copies), path)


# --- Patient ----------------------------------------------------------------------------------------------------------


def _identifiers(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    number, index = patient_number({"identifier": value})
    if number is not None:
        yield "patient.identifier", (number, f"{path}[{index}].value")
    for place, each in enumerate(items(value)):
        if place != index:
            reading.keep(f"{path}[{place}]", each)


def _patient_name(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    official = _official(value)
    given, family = _name(official)
    for place, each in enumerate(items(value)):
        if obj(each) is official:
            if given:
                yield "patient.given", (given, f"{path}[{place}].given")
            if family:
                yield "patient.family", (family, f"{path}[{place}].family")
        else:
            reading.keep(f"{path}[{place}]", each)


_ADDRESS_PARTS = (("street", "line"), ("suburb", "district"), ("district", "city"), ("postcode", "postalCode"))


def _patient_address(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    stated = items(value)
    chosen = next((each for each in stated if obj(each).get("use") != "old"), None)
    for place, each in enumerate(stated):
        if each is not chosen:
            reading.keep(f"{path}[{place}]", each)
            continue
        code = code_of(value_of(extension(each, MUNICIPALITY_CODE)), MUNICIPALITIES)
        read = address_of(each)
        address = Address(read.street, read.suburb, read.district, read.postcode, kommunekode(code) if code else None)
        for part, name in (
            ("street", "line"),
            ("suburb", "district"),
            ("district", "city"),
            ("postcode", "postalCode"),
        ):
            if getattr(address, part):
                reading.trace(f"patient.address.{part}", f"{path}[{place}].{name}")
        if code:
            reading.trace("patient.address.kommunekode", f"{path}[{place}].extension")
        yield "patient.address", (address, f"{path}[{place}]")


def _patient_telecom(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    yield "patient.contact", (contact_details(value), path)


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


def _birth_date(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if day := day_of(value):
        yield "patient.birth_date", (day, path)
    else:
        reading.tell(faults.MAP_DATE, "patient.birth_date", path, value=value)


def _gender(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if gender := string(value):
        yield "patient.gender", (gender, path)


def _patient_meta(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    for label in items(obj(value).get("security")):
        if string(obj(label).get("code")) in _RESTRICTED:
            yield "patient.address_protected", (True, f"{path}.security")


def _gp(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    for number, reference in enumerate(items(value)):
        place = f"{path}[{number}]"
        if number:
            reading.keep(place, reference)
        elif party := reading.party(reference, "gp", place):
            yield "gp", (party, place)


def _contacts(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """Relatives, and whom the patient lives with (c/o)."""
    relatives: list[Relative] = []
    for number, contact in enumerate(map(obj, items(value))):
        given, family = _name(obj(contact.get("name")))
        address = address_of(contact.get("address"))
        relation = _relation(contact.get("relationship"))
        if relation == CARE_OF:
            yield "patient.co_address", (CoAddress(family, given, address), f"{path}[{number}]")
            continue
        reading.trace(f"relatives[{len(relatives)}].family", f"{path}[{number}].name")
        relatives.append(Relative(relation, family, given, address, contact_details(contact.get("telecom"))))
    if relatives:
        yield "relatives", (tuple(relatives), path)


def _relation(relationships: object) -> str | None:
    for concept in items(relationships):
        if text := string(obj(concept).get("text")):
            return text
        stated = (RELATION_ROWS.get((code or "").casefold(), {}).get("relation") for _, code, _ in codings(concept))
        if known := next(filter(None, stated), None) or words_of(concept):
            return known
    return None


def _paying(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if code := string(value_of(value)):
        yield "patient.paying_municipality", (kommunekode(code), path)


def _occupation(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if stated := string(value_of(value)):
        yield "patient.occupation", (stated, path)


# --- Encounter and Condition ------------------------------------------------------------------------------------------


def _class(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """The kind of contact, unless a translation had to choose one (`userSelected` false)."""
    if obj(value).get("userSelected") is not False and (kind := string(obj(value).get("code"))):
        yield "hospital_contact.kind", (kind, path)


def _period(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    for name, target in (("start", "hospital_contact.start"), ("end", "hospital_contact.expected_end")):
        stated = obj(value).get(name)
        if stated is None:
            continue
        if read := moment(stated):
            yield target, (read, f"{path}.{name}")
        else:
            reading.tell(faults.MAP_DATE, target, f"{path}.{name}", value=stated)
    if words := string(value_of(extension(obj(value).get("_end"), ORIGINAL_TEXT))):
        yield "hospital_contact.expected_end_text", (words, f"{path}.end")


def _episode(_reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    if episode := episode_of_care_id({"episodeOfCare": value}):
        yield "episode_of_care_id", (episode, path)


def _participants(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    team: list[Professional] = []
    for number, participant in enumerate(items(value)):
        place = f"{path}[{number}].individual"
        if member := reading.professional(obj(participant).get("individual"), f"care_team[{len(team)}]", place):
            team.append(member)
    if team:
        yield "care_team", (tuple(team), path)


def _provider(reading: _Reading, value: object, path: str) -> Iterator[tuple[str, Hit]]:
    """The hospital unit: the sender; another one is kept."""
    found = reading.entries.find(value, "Organization")
    if found is not None and found is not reading.entries.find(reading.header.resource.get("sender")):
        reading.keep(path, party_of(found.resource).label)
        reading.used.add(found.path)
    yield from ()


def _diagnoses(reading: _Reading) -> None:
    """Conditions, coded ones in groups: rank 1 begins a group; without ranks the first reason is the main diagnosis."""
    ranks = {
        found.path: rank
        for each in items(reading.encounter.resource.get("diagnosis"))
        if (found := reading.entries.find(obj(each).get("condition"), "Condition"))
        and isinstance(rank := obj(each).get("rank"), int)
    }
    reasons = [
        found
        for each in items(reading.request.resource.get("reasonReference"))
        if (found := reading.entries.find(each, "Condition"))
    ]
    order = [
        found
        for each in items(reading.encounter.resource.get("diagnosis"))
        if (found := reading.entries.find(obj(each).get("condition"), "Condition"))
    ]
    conditions = list({each.path: each for each in (*order, *reasons, *reading.entries.of("Condition"))}.values())
    if not ranks and reasons:
        ranks = {reasons[0].path: 1}
        conditions.sort(key=lambda each: each is not reasons[0])
    groups: list[tuple[Coded | None, list[Coded]]] = []
    texts: list[str] = []
    for place in conditions:
        reading.used.add(place.path)
        coded, path = _coded(place)
        if coded is None:
            words = string(obj(place.resource.get("code")).get("text")) or readable(place.resource.get("text"))
            if words:
                reading.trace(f"diagnosis_texts[{len(texts)}]", path)
                texts.append(words)
            continue
        if ranks.get(place.path) == 1:
            groups.append((coded, []))
            reading.trace(f"diagnoses[{len(groups) - 1}].primary.code", path)
        else:
            if not groups:
                groups.append((None, []))
            groups[-1][1].append(coded)
            reading.trace(f"diagnoses[{len(groups) - 1}].secondary[{len(groups[-1][1]) - 1}].code", path)
        _rest(reading, place, _CONDITION_ELEMENTS)
    if groups:
        reading.values["diagnoses"] = tuple(DiagnosisGroup(primary, tuple(others)) for primary, others in groups)
    if texts:
        reading.values["diagnosis_texts"] = tuple(texts)


def _coded(place: Place) -> tuple[Coded | None, str]:
    code = place.resource.get("code")
    path = f"{place.path}.code"
    text = string(obj(code).get("text"))
    stated = list(codings(code))
    chosen = next((number for number, (system, each, _) in enumerate(stated) if system == SKS_DIAGNOSES and each), None)
    if chosen is None:
        chosen = next((number for number, (_, each, _) in enumerate(stated) if each), None)
    if chosen is None:
        return None, path
    system, value, display = stated[chosen]
    word = "SKSdiagnosekode" if system == SKS_DIAGNOSES else system
    return Coded(value or "", word, display or text), f"{path}.coding[{chosen}].code"


# --- Observation ------------------------------------------------------------------------------------------------------


def _sections(reading: _Reading) -> None:
    """Each section to its field; the three of 8a to 8c to one; what has no field of its own is an excerpt."""
    extended: dict[str, tuple[FormattedText, str]] = {}
    excerpts: list[JournalExcerpt] = []
    icf: list[IcfClassification] = []
    authors: dict[str, None] = {}
    author = string(obj(reading.request.resource.get("requester")).get("reference"))
    for place in reading.entries.of("Observation"):
        reading.used.add(place.path)
        resource = place.resource
        section = code_of(resource.get("code"), SECTIONS)
        words = resource.get("valueString")
        text = formatted(words, resource.get("text")) if isinstance(words, str) and words else None
        path = f"{place.path}.valueString"
        performers = [
            reference
            for each in items(resource.get("performer"))
            if (reference := string(obj(each).get("reference"))) and reference != author
        ]
        field = SECTION_FIELDS.get(section or "")
        if section in EXTENDED and section not in extended:
            authors |= dict.fromkeys(performers)
            if text:
                extended[section] = (text, path)
        elif field and field not in reading.values:
            authors |= dict.fromkeys(performers)
            if text:
                reading.put(field, text, path)
        else:
            _excerpt(reading, place, section, text, performers, excerpts)
        for number, component in enumerate(items(resource.get("component"))):
            reading.trace(f"icf[{len(icf)}].code.code", f"{place.path}.component[{number}].code")
            icf.append(_classification(obj(component)))
        _rest(reading, place, _OBSERVATION_ELEMENTS)
    if extended:
        path = next(iter(extended.values()))[1]
        reading.put("function_extended", _joined({name: text for name, (text, _) in extended.items()}), path)
    if excerpts:
        reading.values["journal_excerpts"] = tuple(excerpts)
    if icf:
        reading.values["icf"] = tuple(icf)
    writers = [
        writer
        for number, reference in enumerate(authors)
        if (writer := reading.professional({"reference": reference}, f"co_authors[{number}]", "Observation.performer"))
    ]
    if writers:
        reading.values["co_authors"] = tuple(writers)


def _joined(texts: Mapping[str, FormattedText]) -> FormattedText:
    """The parts in the order 8a, 8b, 8c, each under its heading; a description that is not divided stays as it is."""
    if set(texts) == {UNDIVIDED}:
        return texts[UNDIVIDED]
    html = ""
    for section, (letter, heading) in EXTENDED.items():
        if section in texts:
            text = texts[section]
            if html and not html.endswith("<br>"):
                html += "<br>"
            headed = text.plain.lstrip().startswith(letter)
            html += text.html if headed else f"<strong>{heading}</strong><br>{text.html}"
    return normalised(html)


def _excerpt(
    reading: _Reading,
    place: Place,
    section: str | None,
    text: FormattedText | None,
    performers: list[str],
    excerpts: list[JournalExcerpt],
) -> None:
    resource = place.resource
    code = resource.get("code")
    kind = string(obj(code).get("text")) if section == JOURNAL_EXCERPT else words_of(code)
    if text is None:
        values = {key: value for key, value in resource.items() if key.startswith("value") and key != "valueString"}
        if not (words := words_in(list(values.values()))):
            return
        text = formatted(words, None)
    target = f"journal_excerpts[{len(excerpts)}]"
    signer = None
    if performers:
        signer = reading.professional({"reference": performers[0]}, f"{target}.signer", f"{place.path}.performer")
    effective = resource.get("effectiveDateTime")
    signed_on = day_of(effective) if effective != reading.request.resource.get("authoredOn") else None
    reading.trace(f"{target}.comment", f"{place.path}.valueString")
    excerpts.append(JournalExcerpt(kind or _display(code), text, signer, signed_on))


def _display(concept: object) -> str | None:
    return next((display for _, _, display in codings(concept) if display), None)


def _classification(component: Json) -> IcfClassification:
    """The SKS form (FB730) of an ICF code; the qualifier as its gradient."""
    code = component.get("code")
    icf, sks = code_of(code, ICF), code_of(code, SKS)
    stated = sks or (f"F{icf.upper()}" if icf else None) or words_of(code) or "?"
    value = component.get("valueCodeableConcept")
    gradient = next(((each, display) for _, each, display in codings(value) if each), None)
    words = words_of(value)
    return IcfClassification(
        Coded(stated, "ICFKode", _display(code) or string(obj(code).get("text"))),
        Coded(gradient[0], "ICFKode", gradient[1] or string(obj(value).get("text")))
        if gradient
        else Coded(words, "ICFKode")
        if words
        else None,
    )


# --- Consent ----------------------------------------------------------------------------------------------------------


def _consent(reading: _Reading) -> None:
    """The consent: permit with receivers agrees to the sending as well."""
    consents = reading.entries.of("Consent")
    if not consents:
        return
    place = next((each for each in consents if each.resource.get("status") == "active"), consents[0])
    reading.used.add(place.path)
    resource = place.resource
    provision = obj(resource.get("provision"))
    active, permit = resource.get("status") == "active", provision.get("type")
    given = {"permit": True, "deny": False}.get(permit if isinstance(permit, str) else "") if active else None
    if resource.get("status") == "rejected":
        given = False
    refused: list[Party] = []
    for number, inner in enumerate(items(provision.get("provision"))):
        if obj(inner).get("type") != "deny":
            continue
        for actor in items(obj(inner).get("actor")):
            reference = obj(actor).get("reference")
            path = f"{place.path}.provision.provision[{number}]"
            if obj(reference).get("display") == GP_REFUSED:
                reading.put("gp_deselected", True, path)
            elif party := reading.party(reference, f"consent.refused[{len(refused)}]", path):
                refused.append(party)
    given_by, name = _consenter(reading, resource.get("performer"))
    at = _instant(resource.get("dateTime"))
    if resource.get("dateTime") is not None and at is None:
        reading.tell(faults.MAP_DATE, "consent.given_at", f"{place.path}.dateTime", value=resource.get("dateTime"))
    agreed = given if given is False or provision.get("actor") else None
    capacity = value_of(extension(resource, CAPACITY))
    reading.put(
        "consent",
        Consent(
            given=given,
            send_agreed=agreed,
            given_by=given_by,
            given_by_name=name,
            given_at=at,
            permanently_lacks_capacity=capacity == "permanently-lacking",
            refused=tuple(refused),
        ),
        f"{place.path}.provision",
    )
    reading.trace("consent.given", f"{place.path}.provision.type")
    if given_by:
        reading.trace("consent.given_by", f"{place.path}.performer")
    _rest(reading, place, _CONSENT_ELEMENTS)


def _consenter(reading: _Reading, performers: object) -> tuple[str | None, str | None]:
    for reference in items(performers):
        found = reading.find(reference)
        if found is not None and found.type == "Patient":
            return "patient", None
        if found is not None and found.type == "RelatedPerson":
            stated = (code for each in items(found.resource.get("relationship")) for _, code, _ in codings(each))
            known = (RELATION_ROWS.get((code or "").casefold(), {}).get("given_by") for code in stated)
            by = next(filter(None, known), "relative")
            given, family = _name(_official(found.resource.get("name")))
            return by, " ".join(filter(None, (given, family))) or None
    return None, None


# --- what stands beside the plan --------------------------------------------------------------------------------------


def _control(reading: _Reading) -> None:
    """The first Appointment: control at the hospital. Others are kept."""
    for number, place in enumerate(reading.entries.of("Appointment")):
        reading.used.add(place.path)
        resource = place.resource
        if number:
            reading.keep(place.path, readable(resource.get("text")))
            continue
        asked = obj(next(iter(items(resource.get("requestedPeriod"))), None)).get("start")
        stated = resource.get("start") or asked
        start = moment(stated)
        if stated is not None and start is None:
            reading.tell(faults.MAP_DATE, "control.expected_start", f"{place.path}.start", value=stated)
        location = None
        for participant in items(resource.get("participant")):
            actor = obj(participant).get("actor")
            found = reading.find(actor)
            if found is not None and found.type == "Location":
                managing = found.resource.get("managingOrganization")
                name = string(found.resource.get("name"))
                location = reading.party(managing, "control.location", found.path) or Party(name=name)
        words = string(resource.get("description"))
        reading.put("control", HospitalControl(start, words, location), place.path)


def _references(reading: _Reading) -> None:
    """Links are listed and never fetched; embedded documents are named only."""
    found: list[Reference] = []
    for place in reading.entries.of("DocumentReference"):
        reading.used.add(place.path)
        resource = place.resource
        description = string(resource.get("description"))
        kind = {"sup": "sup", "bin": "bin"}.get((words_of(resource.get("type")) or "").casefold(), "url")
        for number, content in enumerate(items(resource.get("content"))):
            attachment = obj(obj(content).get("attachment"))
            stated = string(attachment.get("title" if kind != "url" else "url"))
            path = f"{place.path}.content[{number}].attachment"
            if stated is None:
                reading.keep(path, description or string(attachment.get("title")) or readable(resource.get("text")))
                continue
            reading.trace(f"references[{len(found)}].value", path)
            found.append(Reference(description, kind, stated))
    if found:
        reading.values["references"] = tuple(found)


def _contact_points(reading: _Reading) -> None:
    """Region and municipality of residence: the Organizations that say how they can be asked, or are named for it."""
    named = [
        found
        for each in items(reading.request.resource.get("supportingInfo"))
        if (found := reading.entries.find(each, "Organization"))
    ]
    asked = [each for each in reading.entries.of("Organization") if each.resource.get("contact")]
    for place in {each.path: each for each in (*named, *asked)}.values():
        party = party_of(place.resource)
        target = _residence(place.resource, party)
        if target is None or target in reading.values:
            continue
        reading.used.add(place.path)
        reading.put(target, party, place.path)
        if party.telephone or party.email:
            reading.trace(f"{target}.telephone", f"{place.path}.contact")


def _residence(organisation: Json, party: Party) -> str | None:
    purposes = [words_of(obj(each).get("purpose")) for each in items(organisation.get("contact"))]
    for words in (*purposes, party.name):
        for word, target in _RESIDENCE_WORDS:
            if word in (words or "").casefold():
                return target
    if party.identifier(IdentifierKind.REGIONSKODE):
        return "contact_region"
    return "contact_municipality" if party.identifier(IdentifierKind.KOMMUNEKODE) else None


def _further_relatives(reading: _Reading) -> None:
    """RelatedPersons that are not among the patient's contacts."""
    relatives: tuple[Relative, ...] = reading.values.get("relatives", ())
    names = {(each.given, each.family) for each in relatives}
    for place in reading.entries.of("RelatedPerson"):
        reading.used.add(place.path)
        given, family = _name(_official(place.resource.get("name")))
        if (given, family) not in names:
            reading.trace(f"relatives[{len(relatives)}].family", f"{place.path}.name")
            address = address_of(next(iter(items(place.resource.get("address"))), None))
            contact = contact_details(place.resource.get("telecom"))
            relation = _relation(place.resource.get("relationship"))
            relatives = (*relatives, Relative(relation, family, given, address, contact))
    if relatives:
        reading.values["relatives"] = relatives


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """An element of the message, the fields of the plan that it fills, or the reason why it fills none."""

    source: str  #: `ServiceRequest.category`; an extension by its url: `ServiceRequest.extension(https://…)`
    target: str | None = None
    read: Callable[[_Reading, Any, str], Iterator[tuple[str, Hit]]] | None = None
    reason: str | None = None


_ENVELOPE = "of the message, not of the plan: the envelope has it"
_ALWAYS = "the same in every plan"
_REFERRED = "read with the resource that refers to it"

ROWS: tuple[Row, ...] = (
    Row("MessageHeader.sender", "sender", _sender),
    Row("MessageHeader.destination", "receiver", _destinations),
    *(
        Row(f"MessageHeader.{name}", reason=_ENVELOPE)
        for name in ("eventCoding", "source", "focus", "definition", "response")
    ),
    *(
        Row(f"Provenance.{name}", reason=_ENVELOPE)
        for name in ("target", "occurredDateTime", "recorded", "activity", "agent", "entity")
    ),
    # ServiceRequest
    Row("ServiceRequest.identifier", "plan_id", _plan_id),
    Row("ServiceRequest.replaces", "replaces", _replaces),
    Row("ServiceRequest.status", None, _on_hold, reason="Provenance says what is done; on hold is kept in `other`"),
    Row("ServiceRequest.intent", reason=_ALWAYS),
    Row("ServiceRequest.category", "level", _categories),
    Row("ServiceRequest.priority", None, _priority, reason="routine; another one is kept in `other`"),
    Row("ServiceRequest.code", reason=_ALWAYS),
    Row("ServiceRequest.subject", reason="the patient: Patient"),
    Row("ServiceRequest.encounter", reason="the hospital contact: Encounter"),
    Row("ServiceRequest.authoredOn", "written_at", _written_at),
    Row("ServiceRequest.requester", "author", _requester),
    Row("ServiceRequest.performer", "chosen_hospital", _performers),
    Row("ServiceRequest.reasonReference", reason="the diagnoses: Condition"),
    Row("ServiceRequest.supportingInfo", None, _supporting, reason="sections, consent and region: read on their own"),
    Row("ServiceRequest.note", "practical_information", _notes),
    Row("ServiceRequest.patientInstruction", "information_for_patient", _instruction),
    Row(f"ServiceRequest.extension({PRECONDITION_DATE})", "discharged_on", _discharge),
    Row(f"ServiceRequest.extension({START})", "start_deadline", _start),
    Row(f"ServiceRequest.extension({HANDED_OUT})", "handed_out_at", _handed_out),
    Row(f"ServiceRequest.extension({FUNDING})", "funding", _funding),
    Row(f"ServiceRequest.extension({PHASE2_FROM})", "phase2_from", _phase2),
    Row(f"ServiceRequest.extension({MUNICIPAL_HELP})", "municipal_help", _municipal_help),
    Row(f"ServiceRequest.extension({FINAL_RESULT})", "final_result_receivers", _final_result),
    Row(f"ServiceRequest.extension({CONSENT_TO_LIAISING})", "consent", _liaising),
    # Patient
    Row("Patient.meta", "patient.address_protected", _patient_meta),
    Row("Patient.identifier", "patient.identifier", _identifiers),
    Row("Patient.name", "patient.family", _patient_name),
    Row("Patient.telecom", "patient.contact", _patient_telecom),
    Row("Patient.gender", "patient.gender", _gender),
    Row("Patient.birthDate", "patient.birth_date", _birth_date),
    Row("Patient.address", "patient.address", _patient_address),
    Row("Patient.contact", "relatives", _contacts),
    Row("Patient.generalPractitioner", "gp", _gp),
    Row(f"Patient.extension({PAYING_MUNICIPALITY})", "patient.paying_municipality", _paying),
    Row(f"Patient.extension({OCCUPATION})", "patient.occupation", _occupation),
    # Encounter
    Row("Encounter.status", reason="whether the contact has ended: its end tells"),
    Row("Encounter.class", "hospital_contact.kind", _class),
    Row("Encounter.subject", reason="the patient: Patient"),
    Row("Encounter.episodeOfCare", "episode_of_care_id", _episode),
    Row("Encounter.participant", "care_team", _participants),
    Row("Encounter.period", "hospital_contact", _period),
    Row("Encounter.diagnosis", reason="which Condition is the main diagnosis: Condition"),
    Row("Encounter.serviceProvider", None, _provider, reason="the sender; another unit is kept in `other`"),
    # by whole resources
    Row("Condition.code", "diagnoses"),
    *(
        Row(f"Condition.{name}", reason=_ALWAYS)
        for name in ("clinicalStatus", "verificationStatus", "category", "subject", "encounter")
    ),
    *(Row("Observation.valueString", field) for field in SECTION_FIELDS.values()),
    Row("Observation.valueString", "function_extended"),
    Row("Observation.valueString", "journal_excerpts"),
    Row("Observation.component", "icf"),
    Row("Observation.performer", "co_authors"),
    Row("Observation.effectiveDateTime", "journal_excerpts[].signed_on"),
    Row("Observation.code", reason="which section it is"),
    *(Row(f"Observation.{name}", reason=_ALWAYS) for name in ("status", "category", "subject", "encounter")),
    Row("Consent.provision", "consent.given"),
    Row("Consent.performer", "consent.given_by"),
    Row("Consent.dateTime", "consent.given_at"),
    Row(f"Consent.extension({CAPACITY})", "consent.permanently_lacks_capacity"),
    *(Row(f"Consent.{name}", reason=_ALWAYS) for name in ("status", "scope", "category", "patient", "policyRule")),
    Row("Appointment", "control"),
    Row("Location", reason=_REFERRED),
    Row("DocumentReference", "references"),
    Row("Organization", "contact_municipality"),
    Row("Organization", "contact_region"),
    Row("PractitionerRole", reason=_REFERRED),
    Row("Practitioner", reason=_REFERRED),
    Row("RelatedPerson", "relatives"),
)

#: Properties of every resource that say nothing of the plan.
_TECHNICAL = frozenset(("resourceType", "id", "meta", "text", "implicitRules", "language"))


def _rows_of(type_: str) -> dict[str, Row]:
    """Rows by element, or by the url of an extension."""
    rows = {}
    for row in ROWS:
        resource, _, element = row.source.partition(".")
        if resource == type_:
            rows[element.removeprefix("extension(").removesuffix(")")] = row
    return rows


_HEADER, _REQUEST, _PATIENT, _ENCOUNTER = map(_rows_of, ("MessageHeader", "ServiceRequest", "Patient", "Encounter"))
_CONDITION_ELEMENTS, _OBSERVATION_ELEMENTS, _CONSENT_ELEMENTS = (
    frozenset(_rows_of(type_)) | _TECHNICAL | {"extension"} for type_ in ("Condition", "Observation", "Consent")
)
#: Read on their own or with what refers to them; their words are no news.
_READ_ELSEWHERE = frozenset(("Provenance", "Organization", "PractitionerRole", "Practitioner", "Location"))


def _read(reading: _Reading, place: Place, rows: Mapping[str, Row]) -> None:
    """Each element of a resource by its row; what has none is kept."""
    reading.used.add(place.path)
    for name, value in place.resource.items():
        path = f"{place.path}.{name}"
        if name == "extension":
            for number, each in enumerate(items(value)):
                row = rows.get(string(obj(each).get("url")) or "")
                _apply(reading, row, each, f"{path}[{number}]")
        elif name in rows or name not in _TECHNICAL:
            _apply(reading, rows.get(name), value, path)


def _apply(reading: _Reading, row: Row | None, value: Any, path: str) -> None:
    if row is None:
        reading.keep(path, value)
    elif row.read is not None:
        for target, (read, place) in row.read(reading, value, path):
            reading.put(target, read, place)


def _rest(reading: _Reading, place: Place, known: frozenset[str]) -> None:
    """Keep the elements of a resource that are not read."""
    if not place.resource.keys() <= known:
        for name, value in place.resource.items():
            if name not in known:
                reading.keep(f"{place.path}.{name}", value)


def _unread(reading: _Reading) -> None:
    """Resources that nothing has read: their narrative, else their words."""
    for place in reading.entries.all:
        if place.path not in reading.used and place.type not in _READ_ELSEWHERE:
            words = readable(place.resource.get("text")) or words_in(dict(place.resource))
            if words:
                reading.other.append(OtherContent(place.path, words))


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan_from_fhir(letter: ParsedLetter) -> Mapped:
    """The plan in a Bundle (`letter.element`, read from JSON or XML). Raises nothing, whatever the Bundle holds."""
    reading = _Reading(cast(Json, letter.element))
    _read(reading, reading.header, _HEADER)
    _read(reading, reading.request, _REQUEST)
    _read(reading, reading.patient, _PATIENT)
    _read(reading, reading.encounter, _ENCOUNTER)
    for read in (_diagnoses, _sections, _consent, _control, _references, _contact_points, _further_relatives, _unread):
        read(reading)
    values = reading.values
    contact = _hospital_contact(values)
    if "discharged_on" not in values and contact and contact.expected_end:
        reading.put("discharged_on", contact.expected_end.day, f"{reading.encounter.path}.period.end")
    places = {row.target: row.source_path for row in reading.rows}
    remarks = [*check_contact(contact), *check_diagnoses(values.get("diagnoses", ()))]
    for target, (fault, filling) in remarks:
        if fault is faults.MAP_SKS_FORM and "+" in str(filling["value"]):
            continue  # a combined code (DS721+TUL1) is in SKS form
        place = places.get(target) or places.get(target.removesuffix(".day"))
        reading.findings.append(fault.at(target, place, None, **filling))
    patient = {
        target.removeprefix("patient."): value for target, value in values.items() if target.startswith("patient.")
    }
    plan = RehabilitationPlan(
        patient=Patient(**patient),
        hospital_contact=contact,
        other=tuple(reading.other),
        **{target: value for target, value in values.items() if "." not in target},
    )
    return Mapped(plan, tuple(reading.findings), Trace(tuple(reading.rows), _expected()))


def _hospital_contact(values: Mapping[str, Any]) -> HospitalContact | None:
    parts = {
        target.removeprefix("hospital_contact."): value
        for target, value in values.items()
        if target.startswith("hospital_contact.")
    }
    return HospitalContact(**parts) if parts else None


@lru_cache(maxsize=1)
def _expected() -> tuple[tuple[str, str], ...]:
    """Where a field that is missing belongs."""
    return tuple(
        (row.target, "Bundle.entry.resource.ofType({}){}".format(*_split(row.source))) for row in ROWS if row.target
    )


def _split(source: str) -> tuple[str, str]:
    type_, dot, element = source.partition(".")
    return type_, re.sub(r"extension\((.*)\)", r"extension('\1')", dot + element)
