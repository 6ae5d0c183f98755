"""Whole resources as fields of the plan: diagnoses, sections, consent, control, references, contacts, relatives."""

from __future__ import annotations

from collections.abc import Mapping

from gtgateway.mappers.fhir_codes import (
    CAPACITY,
    EXTENDED,
    GP_REFUSED,
    ICF,
    JOURNAL_EXCERPT,
    RELATION_ROWS,
    SECTION_FIELDS,
    SECTIONS,
    SKS,
    SKS_DIAGNOSES,
    UNDIVIDED,
)
from gtgateway.mappers.fhir_reading import (
    Json,
    Reading,
    contact_details,
    instant_of,
    name_parts,
    official_name,
    relation_of,
)
from gtgateway.mappers.narrative import formatted, normalised, readable, words_in
from gtgateway.model import faults
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.plan import (
    Coded,
    Consent,
    DiagnosisGroup,
    FormattedText,
    HospitalControl,
    IcfClassification,
    JournalExcerpt,
    Party,
    Reference,
    Relative,
)
from gtgateway.parsers.fhir import (
    Place,
    address_of,
    code_of,
    codings,
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

#: In what an Organization is asked for, and in its name. Bornholms Regionskommune is a municipality.
_RESIDENCE_WORDS = (("kommune", "contact_municipality"), ("region", "contact_region"))


def diagnoses(reading: Reading) -> None:
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
        reading.rest(place)
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


def sections(reading: Reading) -> None:
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
        reading.rest(place)
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
    reading: Reading,
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


def consent(reading: Reading) -> None:
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
    at = instant_of(resource.get("dateTime"))
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
    reading.rest(place)


def _consenter(reading: Reading, performers: object) -> tuple[str | None, str | None]:
    for reference in items(performers):
        found = reading.find(reference)
        if found is not None and found.type == "Patient":
            return "patient", None
        if found is not None and found.type == "RelatedPerson":
            stated = (code for each in items(found.resource.get("relationship")) for _, code, _ in codings(each))
            known = (RELATION_ROWS.get((code or "").casefold(), {}).get("given_by") for code in stated)
            by = next(filter(None, known), "relative")
            given, family = name_parts(official_name(found.resource.get("name")))
            return by, " ".join(filter(None, (given, family))) or None
    return None, None


# --- what stands beside the plan --------------------------------------------------------------------------------------


def control(reading: Reading) -> None:
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


def references(reading: Reading) -> None:
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


def contact_points(reading: Reading) -> None:
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


def further_relatives(reading: Reading) -> None:
    """RelatedPersons that are not among the patient's contacts."""
    relatives: tuple[Relative, ...] = reading.values.get("relatives", ())
    names = {(each.given, each.family) for each in relatives}
    for place in reading.entries.of("RelatedPerson"):
        reading.used.add(place.path)
        given, family = name_parts(official_name(place.resource.get("name")))
        if (given, family) not in names:
            reading.trace(f"relatives[{len(relatives)}].family", f"{place.path}.name")
            address = address_of(next(iter(items(place.resource.get("address"))), None))
            contact = contact_details(place.resource.get("telecom"))
            relation = relation_of(place.resource.get("relationship"))
            relatives = (*relatives, Relative(relation, family, given, address, contact))
    if relatives:
        reading.values["relatives"] = relatives
