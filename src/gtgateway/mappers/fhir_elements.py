"""Elements of header, request, patient and contact as fields of the plan: one function an element.

Each takes the element's value and place and yields fields of the plan, with the place that each came from. What is
wrong with a value is told, never raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from gtgateway.mappers.codes import codes
from gtgateway.mappers.deadline_text import read_deadline
from gtgateway.mappers.fhir_codes import (
    CARE_CODES,
    CARE_OF,
    DESELECTED,
    EGENTRAENING,
    LEVELS,
    LIAISING_AGREED,
    LIAISING_REFUSED,
    MUNICIPALITY_CODE,
    ORIGINAL_TEXT,
    PLAN_TYPE,
    PRECONDITION_DATE,
    SUGGESTIONS,
)
from gtgateway.mappers.fhir_reading import (
    Hit,
    Reading,
    contact_details,
    instant_of,
    name_parts,
    official_name,
    relation_of,
)
from gtgateway.mappers.narrative import formatted
from gtgateway.model import faults
from gtgateway.model.identifiers import kommunekode
from gtgateway.model.plan import (
    Address,
    CoAddress,
    Confidence,
    Consent,
    Level,
    Party,
    PlanType,
    Professional,
    Relative,
    StartDeadline,
)
from gtgateway.parsers.fhir import (
    MUNICIPALITIES,
    address_of,
    code_of,
    day_of,
    extension,
    items,
    moment,
    obj,
    party_of,
    string,
    value_of,
    words_of,
)
from gtgateway.parsers.fhir_message import destinations, episode_of_care_id, patient_number, plan_id_of

#: A field of the plan, its value, and the place that it came from.
Hits = Iterator[tuple[str, Hit]]

_LEVEL_WORDS = codes("levels")
_RESTRICTED = frozenset(("R", "V"))


# --- ServiceRequest ---------------------------------------------------------------------------------------------------


def written_at(reading: Reading, value: object, path: str) -> Hits:
    stated = moment(value)
    if stated is None:
        reading.tell(faults.MAP_DATE, "written_at", path, value=value)
    else:
        yield "written_at", (stated, path)


def categories(_reading: Reading, value: object, path: str) -> Hits:
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


def performers(reading: Reading, value: object, path: str) -> Hits:
    """The chosen hospital where the plan asks for specialised training; else the receiver says who acts."""
    levels = {code_of(each, CARE_CODES) for each in items(reading.request.resource.get("category"))}
    parties = [
        (reading.party(each, "chosen_hospital", f"{path}[{number}]"), f"{path}[{number}]")
        for number, each in enumerate(items(value))
    ]
    if Level.SPECIALISERET in {LEVELS.get(code or "") for code in levels} and parties and parties[0][0]:
        yield "chosen_hospital", parties[0]
        parties = parties[1:]


def requester(reading: Reading, value: object, path: str) -> Hits:
    if author := reading.professional(value, "author", path):
        yield "author", (author, path)


def notes(reading: Reading, value: object, path: str) -> Hits:
    texts = [text for each in items(value) if (text := obj(each).get("text")) and isinstance(text, str)]
    if texts:
        text = formatted("\n".join(texts), reading.request.resource.get("text"), "practical_information")
        yield "practical_information", (text, f"{path}[0].text")


def instruction(reading: Reading, value: object, path: str) -> Hits:
    if isinstance(value, str) and value:
        narrative = reading.request.resource.get("text")
        yield "information_for_patient", (formatted(value, narrative, "information_for_patient"), path)


def replaces(reading: Reading, value: object, path: str) -> Hits:
    reference = obj(next(iter(items(value)), None))
    stated = string(obj(reference.get("identifier")).get("value")) or string(reference.get("reference"))
    if stated:
        gln = reading.values["sender"].gln if "sender" in reading.values else None
        yield "replaces", (stated.removeprefix(f"{gln}#"), f"{path}[0]")


def supporting(reading: Reading, value: object, path: str) -> Hits:
    """Named here and read on their own; what is not in the message is told."""
    for number, reference in enumerate(items(value)):
        if reading.entries.find(reference) is None:
            reading.tell(faults.FHIR_UNRESOLVED, "other", f"{path}[{number}]", element=f"supportingInfo[{number}]")
    yield from ()


def plan_id(reading: Reading, value: object, path: str) -> Hits:
    sender = reading.values.get("sender", Party())
    if plan_id := plan_id_of({"identifier": value}, sender):
        yield "plan_id", (plan_id, f"{path}[0].value")


def on_hold(reading: Reading, value: object, path: str) -> Hits:
    """`active`, `revoked`, `entered-in-error` say what Provenance says; on hold is news."""
    if value == "on-hold":
        reading.keep(path, "Planen er sat i bero")
    yield from ()


def priority(reading: Reading, value: object, path: str) -> Hits:
    if value != "routine":
        reading.keep(path, value)
    yield from ()


def discharge(reading: Reading, value: object, path: str) -> Hits:
    stated = value_of(value)
    if (day := day_of(stated)) is None:
        reading.tell(faults.MAP_DATE, "discharged_on", path, value=stated)
    else:
        yield "discharged_on", (day, f"{path}.value")


def start(reading: Reading, value: object, path: str) -> Hits:
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
    words: str, narrative: object, days: Mapping[str, date | None], first_contact: date | None, reading: Reading
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


def handed_out(reading: Reading, value: object, path: str) -> Hits:
    if at := instant_of(value_of(value)):
        yield "handed_out_at", (at, path)
    else:
        reading.tell(faults.MAP_DATE, "handed_out_at", path, value=value_of(value))


def funding(_reading: Reading, value: object, path: str) -> Hits:
    if funding := string(value_of(value)):
        yield "funding", (funding, path)


def phase2(reading: Reading, value: object, path: str) -> Hits:
    if day := day_of(value_of(value)):
        yield "phase2_from", (day, path)
    else:
        reading.tell(faults.MAP_DATE, "phase2_from", path, value=value_of(value))


def municipal_help(_reading: Reading, value: object, path: str) -> Hits:
    if isinstance(stated := value_of(value), bool):
        yield "municipal_help", (stated, path)


def final_result(reading: Reading, value: object, path: str) -> Hits:
    reference = value_of(value)
    known = reading.values.get("final_result_receivers", ())
    if obj(reference).get("display") == DESELECTED:
        yield "final_result_deselected", (True, path)
    elif party := reading.party(reference, f"final_result_receivers[{len(known)}]", path):
        yield "final_result_receivers", ((*known, party), path)


def liaising(reading: Reading, value: object, path: str) -> Hits:
    """KL's extension stands in for a Consent that is not there."""
    code = code_of(value_of(value), CARE_CODES)
    if code in (LIAISING_AGREED, LIAISING_REFUSED) and not reading.entries.of("Consent"):
        agreed = code == LIAISING_AGREED
        yield "consent", (Consent(given=agreed, send_agreed=agreed), path)


# --- MessageHeader ----------------------------------------------------------------------------------------------------


def sender(reading: Reading, value: object, path: str) -> Hits:
    if party := reading.party(value, "sender", path):
        yield "sender", (party, path)


def receivers(reading: Reading, value: object, path: str) -> Hits:
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


def identifiers(reading: Reading, value: object, path: str) -> Hits:
    number, index = patient_number({"identifier": value})
    if number is not None:
        yield "patient.identifier", (number, f"{path}[{index}].value")
    for place, each in enumerate(items(value)):
        if place != index:
            reading.keep(f"{path}[{place}]", each)


def patient_name(reading: Reading, value: object, path: str) -> Hits:
    official = official_name(value)
    given, family = name_parts(official)
    for place, each in enumerate(items(value)):
        if obj(each) is official:
            if given:
                yield "patient.given", (given, f"{path}[{place}].given")
            if family:
                yield "patient.family", (family, f"{path}[{place}].family")
        else:
            reading.keep(f"{path}[{place}]", each)


_ADDRESS_PARTS = (("street", "line"), ("suburb", "district"), ("district", "city"), ("postcode", "postalCode"))


def patient_address(reading: Reading, value: object, path: str) -> Hits:
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


def patient_telecom(_reading: Reading, value: object, path: str) -> Hits:
    yield "patient.contact", (contact_details(value), path)


def birth_date(reading: Reading, value: object, path: str) -> Hits:
    if day := day_of(value):
        yield "patient.birth_date", (day, path)
    else:
        reading.tell(faults.MAP_DATE, "patient.birth_date", path, value=value)


def gender(_reading: Reading, value: object, path: str) -> Hits:
    if gender := string(value):
        yield "patient.gender", (gender, path)


def patient_meta(_reading: Reading, value: object, path: str) -> Hits:
    for label in items(obj(value).get("security")):
        if string(obj(label).get("code")) in _RESTRICTED:
            yield "patient.address_protected", (True, f"{path}.security")


def gp(reading: Reading, value: object, path: str) -> Hits:
    for number, reference in enumerate(items(value)):
        place = f"{path}[{number}]"
        if number:
            reading.keep(place, reference)
        elif party := reading.party(reference, "gp", place):
            yield "gp", (party, place)


def contacts(reading: Reading, value: object, path: str) -> Hits:
    """Relatives, and whom the patient lives with (c/o)."""
    relatives: list[Relative] = []
    for number, contact in enumerate(map(obj, items(value))):
        given, family = name_parts(obj(contact.get("name")))
        address = address_of(contact.get("address"))
        relation = relation_of(contact.get("relationship"))
        if relation == CARE_OF:
            yield "patient.co_address", (CoAddress(family, given, address), f"{path}[{number}]")
            continue
        reading.trace(f"relatives[{len(relatives)}].family", f"{path}[{number}].name")
        relatives.append(Relative(relation, family, given, address, contact_details(contact.get("telecom"))))
    if relatives:
        yield "relatives", (tuple(relatives), path)


def paying(_reading: Reading, value: object, path: str) -> Hits:
    if code := string(value_of(value)):
        yield "patient.paying_municipality", (kommunekode(code), path)


def occupation(_reading: Reading, value: object, path: str) -> Hits:
    if stated := string(value_of(value)):
        yield "patient.occupation", (stated, path)


# --- Encounter and Condition ------------------------------------------------------------------------------------------


def contact_class(_reading: Reading, value: object, path: str) -> Hits:
    """The kind of contact, unless a translation had to choose one (`userSelected` false)."""
    if obj(value).get("userSelected") is not False and (kind := string(obj(value).get("code"))):
        yield "hospital_contact.kind", (kind, path)


def period(reading: Reading, value: object, path: str) -> Hits:
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


def episode(_reading: Reading, value: object, path: str) -> Hits:
    if episode := episode_of_care_id({"episodeOfCare": value}):
        yield "episode_of_care_id", (episode, path)


def participants(reading: Reading, value: object, path: str) -> Hits:
    team: list[Professional] = []
    for number, participant in enumerate(items(value)):
        place = f"{path}[{number}].individual"
        if member := reading.professional(obj(participant).get("individual"), f"care_team[{len(team)}]", place):
            team.append(member)
    if team:
        yield "care_team", (tuple(team), path)


def provider(reading: Reading, value: object, path: str) -> Hits:
    """The hospital unit: the sender; another one is kept."""
    found = reading.entries.find(value, "Organization")
    if found is not None and found is not reading.entries.find(reading.header.resource.get("sender")):
        reading.keep(path, party_of(found.resource).label)
        reading.used.add(found.path)
    yield from ()
