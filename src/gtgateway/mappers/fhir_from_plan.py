"""A rehabilitation plan as a FHIR GOP message: a Bundle by our own profile (profiles/).

What FHIR has no element for stands in a last section "Øvrige oplysninger"; docs/reference/format-losses.md lists it.
Ids are derived from the message's id: the same plan and id give the same message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gtgateway.mappers.fhir_codes import (
    ACT_CODE,
    CAPACITY,
    CARE_CODES,
    CARE_OF,
    CONDITION_CATEGORY,
    CONDITION_CLINICAL,
    CONDITION_VERIFICATION,
    CONFIDENTIALITY,
    CONSENT_CATEGORY,
    CONSENT_SCOPE,
    CONTACTPOINT_COMMENT,
    DESELECTED,
    DIAGNOSIS_ROLE,
    EGENTRAENING,
    EXTENDED,
    FINAL_RESULT,
    FUNDING,
    GP_REFUSED,
    HANDED_OUT,
    ICF,
    ICF_QUALIFIER,
    JOURNAL_EXCERPT,
    LEVEL_CATEGORIES,
    LPR3,
    MUNICIPAL_HELP,
    MUNICIPALITY_CODE,
    OBSERVATION_CATEGORY,
    OCCUPATION,
    ORIGINAL_TEXT,
    PARTICIPATION,
    PAYING_MUNICIPALITY,
    PHASE2_FROM,
    PLAN_TYPE,
    PRECONDITION_DATE,
    RELATION_ROWS,
    ROLE_CODE,
    SECTION_FIELDS,
    SECTION_ROWS,
    SECTIONS,
    SERVICE,
    SETTING,
    SKS,
    SKS_DIAGNOSES,
    SNOMED,
    START,
    TELEPHONE_USES,
    UNDIVIDED,
)
from gtgateway.mappers.formatted_text import plain_text
from gtgateway.mappers.headings import HEADINGS
from gtgateway.mappers.medcom_xml_from_plan import STATISTICAL_CODES
from gtgateway.mappers.narrative import narrative, normalised
from gtgateway.mappers.remainder import other_lines
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber, kommunekode
from gtgateway.model.message import Action
from gtgateway.model.plan import (
    COPENHAGEN,
    Address,
    Coded,
    ContactDetails,
    FormattedText,
    IcfClassification,
    JournalExcerpt,
    LocalMoment,
    Party,
    PlanType,
    Professional,
    RehabilitationPlan,
)
from gtgateway.model.route import Organisation
from gtgateway.parsers.fhir import (
    ACTIVITIES,
    CANONICAL,
    CPR,
    DEFINITION,
    DEFINITION_VERSION,
    EVENTS,
    GLN,
    MESSAGING,
    MUNICIPALITIES,
    ORGANISATION_NAMES,
    PLAN_EVENT,
    REGIONS,
    SOR,
    SOR_URL,
    YDERNUMMER,
    Json,
    destination,
    sor_endpoint,
)

#: Finds the directory's entry of a party, for its SOR code and location number.
Known = Callable[[Party], Organisation | None]

_MEDCOM_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/medcom-core"
_ACTIVITY = {
    Action.NEW: "new-message",
    Action.CORRECTION: "modified-message",
    Action.WITHDRAWAL: "retract-message",
    Action.COPY: "carboncopy-message",
}
_ENTITY_ROLE = {Action.CORRECTION: "revision", Action.WITHDRAWAL: "removal"}
_X_ECPR, _D_ECPR = re.compile(r"\d{6}[17][A-Z]{2}\d", re.ASCII), re.compile(r"\d{6}[056][A-Z]{2}\d", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{32}")
_LETTERED = re.compile(r"[FfBbSsDdEe]\w+", re.ASCII)
_QUALIFIERS = frozenset("0123489")
_OFFICIAL = {IdentifierKind.GLN: GLN, IdentifierKind.SOR: SOR}
_CONSENTERS = {"guardian": "GUARD", "proxy": "HPOWATT", "parent": "PRN", "relative": "FAMMEMB"}
_USES = {kind: use for use, kind in TELEPHONE_USES.items()}


def _nobody(_party: Party) -> None:
    return None


def fhir_from_plan(
    plan: RehabilitationPlan,
    *,
    message_id: str,
    bundle_id: str,
    sent_at: datetime,
    known: Known = _nobody,
    action: Action = Action.NEW,
    earlier: str | None = None,
) -> Json:
    """The message Bundle of a plan, as JSON data.

    `message_id` and `bundle_id` are UUIDs, `sent_at` an aware instant, written in Danish time. `known` adds the SOR
    code or location number that the plan does not state. `earlier` is what the message corrects, withdraws, copies or
    was made from: a MessageHeader.id, or `[GLN]#[brevid]` of a GGOP letter.
    """
    message = _Message(message_id, sent_at, known)
    _header(message, plan)
    _provenance(message, plan, action, earlier)
    _service_request(message, plan, action)
    _patient(message, plan)
    _encounter(message, plan)
    _conditions(message, plan)
    _observations(message, plan)
    _consent(message, plan)
    _control(message, plan)
    _references(message, plan)
    message.finish(plan)
    return {
        "resourceType": "Bundle",
        "id": bundle_id,
        "meta": {"profile": [_own("gop-message")]},
        "type": "message",
        "timestamp": message.sent,
        "entry": message.entries,
    }


# --- the message in the making ----------------------------------------------------------------------------------------


def _own(profile: str) -> str:
    return f"{CANONICAL}/StructureDefinition/{profile}"


class _Message:
    """Entries in their order; ids and references by type and key. Parties and professionals are added as named."""

    def __init__(self, message_id: str, sent_at: datetime, known: Known) -> None:
        self.message_id, self.known = message_id, known
        self.sent = sent_at.astimezone(COPENHAGEN).isoformat(timespec="seconds")
        self.entries: list[Json] = []
        self.parties: dict[Party, None] = {}
        self.contacts: dict[Party, str] = {}
        self.professionals: dict[str, Professional] = {}

    def id(self, type_: str, key: str = "") -> str:
        if type_ == "MessageHeader":
            return self.message_id
        return str(uuid5(NAMESPACE_URL, f"{CANONICAL}/{self.message_id}/{type_}/{key}"))

    def reference(self, type_: str, key: str = "") -> Json:
        return {"reference": f"{type_}/{self.id(type_, key)}"}

    def party(self, party: Party) -> Json:
        """A reference to the Organization of a party."""
        if party not in self.contacts:
            self.parties.setdefault(party)
        return self._organisation(party)

    def contact(self, party: Party, purpose: str) -> Json:
        """A reference to the Organization of a party that can be asked."""
        self.contacts[party] = purpose
        return self._organisation(party)

    def _organisation(self, party: Party) -> Json:
        return self.reference("Organization", repr(party))

    def professional(self, key: str, person: Professional) -> Json:
        """A reference to the PractitionerRole of a member of staff."""
        self.professionals[key] = person
        return self.reference("PractitionerRole", key)

    def add(
        self,
        type_: str,
        key: str,
        profiles: Sequence[str],
        lines: Iterable[str],
        content: Json,
        texts: Mapping[str, FormattedText | None] | None = None,
    ) -> None:
        """One resource with its narrative; elements that are None or empty are left out."""
        id_ = self.id(type_, key)
        meta = content.pop("meta", {}) | ({"profile": list(profiles)} if profiles else {})
        resource: Json = {"resourceType": type_, "id": id_} | ({"meta": meta} if meta else {})
        resource["text"] = narrative((f"Id: {id_}", *lines), texts)
        resource |= {name: value for name, value in content.items() if value not in (None, [], {})}
        self.entries.append({"fullUrl": f"{CANONICAL}/{type_}/{id_}", "resource": resource})

    def finish(self, plan: RehabilitationPlan) -> None:
        """The resources that the others refer to."""
        for key, person in self.professionals.items():
            _professional(self, key, person, plan.sender)
        for party in dict.fromkeys((*self.parties, *self.contacts)):
            _organization(self, party)


def _concept(system: str, code: str, display: str | None = None, text: str | None = None) -> Json:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]} | ({"text": text} if text else {})


def _extension(url: str, **value: Any) -> Json:
    return {"url": url} | value


def _date_time(moment: LocalMoment | None) -> str | None:
    if moment is None:
        return None
    return moment.aware().isoformat() if moment.clock is not None else moment.day.isoformat()


def _iso(day: date | datetime | None) -> str | None:
    return day.isoformat() if day else None


def _stated(**parts: Any) -> Json:
    """The parts that say something."""
    return {name: value for name, value in parts.items() if value not in (None, [], {})}


# --- header, provenance, request --------------------------------------------------------------------------------------


def _header(message: _Message, plan: RehabilitationPlan) -> None:
    copies = (*((plan.gp,) if plan.gp else ()), *plan.copy_receivers)
    uses = [*((("primary", plan.receiver),) if plan.receiver else ()), *(("cc", party) for party in copies)]
    content = {
        "eventCoding": {"system": EVENTS, "code": PLAN_EVENT, "display": "Genoptræningsplan"},
        "destination": [
            destination(use, _number(message, party, IdentifierKind.SOR), message.party(party)) for use, party in uses
        ],
        "sender": message.party(plan.sender),
        "source": {"endpoint": sor_endpoint(_number(message, plan.sender, IdentifierKind.SOR))},
        "focus": [message.reference("ServiceRequest")],
        "definition": f"{DEFINITION}|{DEFINITION_VERSION}",
    }
    receivers = ", ".join(party.label for _, party in uses)
    lines = (f"Genoptræningsplan fra {plan.sender.label} til {receivers or 'ukendt'}.",)
    message.add("MessageHeader", "", (_own("gop-message-header"),), lines, content)


def _number(message: _Message, party: Party, kind: IdentifierKind) -> str | None:
    """A party's SOR code or location number as stated, else the directory's."""
    stated = party.gln if kind is IdentifierKind.GLN else party.identifier(kind)
    if stated is not None:
        return stated
    known = message.known(party)
    return known.identifier(kind) if known else None


def _provenance(message: _Message, plan: RehabilitationPlan, action: Action, earlier: str | None) -> None:
    content: Json = {
        "target": [message.reference("MessageHeader")],
        "occurredDateTime": message.sent,
        "recorded": message.sent,
        "activity": _concept(ACTIVITIES, _ACTIVITY[action]),
        "agent": [{"who": message.party(plan.sender)}],
    }
    if earlier:
        what = {"identifier": {"value": earlier}} if "#" in earlier else {"reference": f"MessageHeader/{earlier}"}
        content["entity"] = [{"role": _ENTITY_ROLE.get(action, "source"), "what": what}]
    lines = (f"{_ACTIVITY[action]}, sendt {message.sent} af {plan.sender.label}.",)
    message.add("Provenance", "", (_own("gop-provenance"),), lines, content)


def _service_request(message: _Message, plan: RehabilitationPlan, action: Action) -> None:
    deadline = plan.start_deadline
    acting = plan.chosen_hospital or plan.receiver
    supporting = [message.reference("Observation", key) for key in _section_keys(plan)]
    if _has_consent(plan):
        supporting.append(message.reference("Consent"))
    for party, purpose in (
        (plan.contact_region, "Spørgsmål til bopælsregionen"),
        (plan.contact_municipality, "Spørgsmål til bopælskommunen"),
    ):
        if party:
            supporting.append(message.contact(party, purpose))
    content = {
        "extension": _plan_extensions(message, plan),
        "identifier": _plan_identifier(plan),
        "replaces": [{"identifier": {"value": plan.replaces}}] if plan.replaces else None,
        "status": "revoked" if action is Action.WITHDRAWAL else "active",
        "intent": "order",
        "category": _categories(plan),
        "priority": "routine",
        "code": _concept(CARE_CODES, *SERVICE),
        "subject": message.reference("Patient"),
        "encounter": message.reference("Encounter"),
        "authoredOn": _date_time(plan.written_at),
        "requester": _author(message, plan),
        "performer": [message.party(acting)] if acting else None,
        "reasonReference": [message.reference("Condition", key) for key, *_ in _condition_rows(plan)],
        "supportingInfo": supporting,
        "note": [{"text": plan.practical_information.plain}] if plan.practical_information else None,
        "patientInstruction": plan.information_for_patient and plan.information_for_patient.plain,
    }
    level = "egentræning" if plan.plan_type is PlanType.EGENTRAENING else plan.level or plan.level_stated or "ukendt"
    lines = (f"Genoptræningsplan ({level}); udskrivning {plan.discharged_on or 'ikke oplyst'}.",)
    texts = {
        "information_for_patient": plan.information_for_patient,
        "practical_information": plan.practical_information,
        "start_deadline": deadline.text,
    }
    message.add("ServiceRequest", "", (_own("gop-servicerequest"),), lines, content, texts)


def _plan_identifier(plan: RehabilitationPlan) -> list[Json] | None:
    if plan.plan_id is None:
        return None
    if plan.plan_id.startswith("urn:"):
        return [{"system": "urn:ietf:rfc:3986", "value": plan.plan_id}]
    return [{"value": f"{plan.sender.gln}#{plan.plan_id}" if plan.sender.gln else plan.plan_id}]


def _categories(plan: RehabilitationPlan) -> list[Json]:
    made = []
    if plan.plan_type is PlanType.EGENTRAENING:
        made.append(_concept(PLAN_TYPE, EGENTRAENING, "Egentræning", plan.level_stated))
    if plan.level is not None:
        stated = plan.level_stated if plan.plan_type is PlanType.GENOPTRAENING else None
        made.append(_concept(CARE_CODES, *LEVEL_CATEGORIES[plan.level], stated))
    if plan.next_level is not None:
        made.append(_concept(CARE_CODES, *LEVEL_CATEGORIES[plan.next_level]))
    if not made and plan.level_stated:
        made.append({"text": plan.level_stated})
    return [*made, _concept(SNOMED, *SETTING)]


def _plan_extensions(message: _Message, plan: RehabilitationPlan) -> list[Json]:
    deadline = plan.start_deadline
    reason = deadline.text.plain if deadline.text else deadline.reason
    parts = [
        _extension(name, **{type_: value})
        for name, type_, value in (
            ("earliest", "valueDate", _iso(deadline.earliest)),
            ("latest", "valueDate", _iso(deadline.latest)),
            ("reason", "valueString", reason),
            ("latestFirstContact", "valueDate", _iso(deadline.latest_first_contact)),
        )
        if value
    ]
    results = [message.party(party) for party in plan.final_result_receivers]
    if plan.final_result_deselected:
        results.append({"display": DESELECTED})
    stated = (
        (PRECONDITION_DATE, "valueDate", _iso(plan.discharged_on)),
        (START, "extension", parts or None),
        (HANDED_OUT, "valueDateTime", _iso(plan.handed_out_at)),
        (FUNDING, "valueCode", plan.funding),
        (PHASE2_FROM, "valueDate", _iso(plan.phase2_from)),
        (MUNICIPAL_HELP, "valueBoolean", plan.municipal_help),
        *((FINAL_RESULT, "valueReference", result) for result in results),
    )
    return [_extension(url, **{type_: value}) for url, type_, value in stated if value is not None]


def _author(message: _Message, plan: RehabilitationPlan) -> Json:
    return message.professional("author", plan.author) if plan.author else message.party(plan.sender)


# --- patient ----------------------------------------------------------------------------------------------------------


def _patient(message: _Message, plan: RehabilitationPlan) -> None:
    patient = plan.patient
    contacts: list[Json] = []
    if care_of := patient.co_address:
        contacts.append(
            {"relationship": [{"text": CARE_OF}]} | _person(care_of.given, care_of.family) | _address(care_of.address)
        )
    contacts += [
        _stated(relationship=_relationship(each.relation))
        | _person(each.given, each.family)
        | _stated(telecom=_telecoms(each.contact))
        | _address(each.address)
        for each in plan.relatives
    ]
    extensions = [
        _extension(url, **{type_: value})
        for url, type_, value in (
            (PAYING_MUNICIPALITY, "valueCode", patient.paying_municipality),
            (OCCUPATION, "valueString", patient.occupation),
        )
        if value
    ]
    address = _address(patient.address).get("address", {})
    if patient.address.kommunekode:
        municipality = _concept(MUNICIPALITIES, patient.address.kommunekode)
        address = {"extension": [_extension(MUNICIPALITY_CODE, valueCodeableConcept=municipality)]} | address
    practice = None
    if plan.gp:
        practice = message.party(plan.gp)
        if sor := _number(message, plan.gp, IdentifierKind.SOR):
            practice |= {"identifier": _official_number(IdentifierKind.SOR, sor)}
    content: Json = {
        "extension": extensions,
        "identifier": [_patient_number(patient.identifier)] if patient.identifier else None,
        "name": [{"use": "official"} | _human_name(patient.given, patient.family)] if patient.name else None,
        "telecom": _telecoms(patient.contact),
        "gender": patient.gender,
        "birthDate": _iso(patient.birth_date),
        "address": [address] if address else None,
        "contact": contacts,
        "generalPractitioner": [practice] if practice else None,
    }
    if patient.address_protected:
        content["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    number = patient.identifier.reveal() if patient.identifier else "ikke oplyst"
    message.add("Patient", "", (_own("gop-patient"),), (f"{patient.name}, CPR {number}.",), content)


def _patient_number(number: Cpr) -> Json:
    value = number.reveal()
    if not isinstance(number, ReplacementNumber):
        return {"use": "official", "system": CPR, "value": value}
    if _X_ECPR.fullmatch(value):
        return {"use": "temp", "system": "urn:oid:1.2.208.176.1.6.1.1", "value": value}
    if _D_ECPR.fullmatch(value):
        return {"use": "temp", "system": "urn:oid:1.2.208.176.1.6.1.3", "value": value}
    return {"type": {"text": "Erstatnings-CPR"}, "value": value}


def _human_name(given: str | None, family: str | None) -> Json:
    return _stated(family=family, given=given.split(" ") if given else None)


def _person(given: str | None, family: str | None) -> Json:
    name = _human_name(given, family)
    return {"name": name} if name else {}


def _relationship(relation: str | None) -> list[Json] | None:
    if relation is None:
        return None
    code = next((code for code, row in RELATION_ROWS.items() if row["relation"] == relation.casefold()), None)
    return [_concept(ROLE_CODE, code.upper(), text=relation) if code else {"text": relation}]


def _telecoms(contact: ContactDetails) -> list[Json]:
    made: list[Json] = []
    for telephone in contact.telephones:
        use = _USES.get(telephone.kind or "")
        stated = {"system": "phone", "value": telephone.number} | ({"use": use} if use else {})
        made.append(stated if use or not telephone.kind else _commented(stated, telephone.kind))
    if contact.no_telephone_reason:
        made.append(_commented({"system": "phone"}, contact.no_telephone_reason))
    if contact.email:
        made.append({"system": "email", "value": contact.email})
    return made


def _commented(telecom: Json, words: str) -> Json:
    return {"extension": [_extension(CONTACTPOINT_COMMENT, valueString=words)]} | telecom


def _address(address: Address) -> Json:
    stated = _stated(
        line=[address.street] if address.street else None,
        city=address.district,
        district=address.suburb,
        postalCode=address.postcode,
    )
    return {"address": stated} if stated else {}


# --- the stay and the diagnoses ---------------------------------------------------------------------------------------


def _encounter(message: _Message, plan: RehabilitationPlan) -> None:
    contact = plan.hospital_contact
    kind = contact.kind if contact else None
    end = contact.expected_end if contact else None
    period = _stated(start=_date_time(contact.start) if contact else None, end=_date_time(end))
    if contact and contact.expected_end_text:
        period["_end"] = {"extension": [_extension(ORIGINAL_TEXT, valueString=contact.expected_end_text)]}
    discharged = plan.discharged_on or (end.day if end else None)
    # MedCom XML does not say what kind of contact it was, and FHIR must: `userSelected` tells that nobody chose it.
    class_: Json = {"system": ACT_CODE, "code": kind or "IMP"} | ({} if kind else {"userSelected": False})
    content = {
        "status": "finished" if discharged and discharged.isoformat() <= message.sent[:10] else "in-progress",
        "class": class_,
        "subject": message.reference("Patient"),
        "episodeOfCare": _episode(message, plan),
        "participant": [
            {"individual": message.professional(f"member-{number}", member)}
            for number, member in enumerate(plan.care_team)
        ],
        "period": period,
        "diagnosis": [
            {
                "condition": message.reference("Condition", key),
                "use": _concept(DIAGNOSIS_ROLE, "DD"),
                "rank": rank,
            }
            for key, rank, _ in _condition_rows(plan)
            if rank
        ],
        "serviceProvider": message.party(plan.sender),
    }
    lines = (f"Sygehuskontakt; udskrivning {discharged or 'ikke oplyst'}.",)
    message.add("Encounter", "", (_own("gop-encounter"),), lines, content)


def _episode(message: _Message, plan: RehabilitationPlan) -> list[Json] | None:
    """UUIDs with hyphens; one of version 5 is LPR3's, another value is the hospital's own."""
    stated = plan.episode_of_care_id
    if stated is None:
        return None
    sor = _number(message, plan.sender, IdentifierKind.SOR)
    own = {"system": f"{SOR_URL}{sor}"} if sor else {}
    if not _HEX.fullmatch(stated):
        return [{"identifier": own | {"value": stated}}]
    hyphened = "-".join((stated[:8], stated[8:12], stated[12:16], stated[16:20], stated[20:]))
    if stated[12] == "5":
        return [{"identifier": {"system": LPR3, "value": f"urn:uuid:{hyphened}"}}]
    return [{"identifier": own | {"value": hyphened}}]


def _condition_rows(plan: RehabilitationPlan) -> list[tuple[str, int | None, Coded | str]]:
    """Key, rank and content of each Condition. Rank 1 is a main diagnosis; its further ones follow it."""
    rows: list[tuple[str, int | None, Coded | str]] = []
    for number, group in enumerate(plan.diagnoses):
        if group.primary:
            rows.append((f"{number}", 1, group.primary))
        rows += [(f"{number}.{rank}", rank, coded) for rank, coded in enumerate(group.secondary, start=2)]
    rows += [(f"text-{number}", None, text) for number, text in enumerate(plan.diagnosis_texts)]
    return rows


def _conditions(message: _Message, plan: RehabilitationPlan) -> None:
    for key, _, diagnosis in _condition_rows(plan):
        if isinstance(diagnosis, str):
            code: Json = {"text": diagnosis}
        else:
            code = _diagnosis(diagnosis)
        content = {
            "clinicalStatus": _concept(CONDITION_CLINICAL, "active"),
            "verificationStatus": _concept(CONDITION_VERIFICATION, "confirmed"),
            "category": [_concept(CONDITION_CATEGORY, "encounter-diagnosis")],
            "code": code,
            "subject": message.reference("Patient"),
            "encounter": message.reference("Encounter"),
        }
        words = diagnosis if isinstance(diagnosis, str) else " ".join(filter(None, (diagnosis.code, diagnosis.text)))
        message.add("Condition", key, (_own("gop-condition"),), (words,), content)


def _diagnosis(diagnosis: Coded) -> Json:
    """SKS for both of MedCom's words; a system that the sender named otherwise is a url or a word in the text."""
    system = diagnosis.system or ""
    if ":" in system:
        return _concept(system, diagnosis.code, diagnosis.text, diagnosis.text)
    return _concept(SKS_DIAGNOSES, diagnosis.code, diagnosis.text, diagnosis.text)


# --- sections ---------------------------------------------------------------------------------------------------------


def _section_texts(plan: RehabilitationPlan) -> dict[str, FormattedText]:
    """The sections with a code of their own, the extended description in its parts."""
    texts = {section: getattr(plan, field) for section, field in SECTION_FIELDS.items()}
    if plan.function_extended:
        texts |= _divided(plan.function_extended)
    return {section: texts[section] for section in SECTION_ROWS if texts.get(section)}


def _divided(text: FormattedText) -> dict[str, FormattedText]:
    """The parts 8a, 8b and 8c where bold headings tell them apart, in this order; else the whole."""
    starts = [
        (found.start(), section)
        for section, (letter, _) in EXTENDED.items()
        if (found := re.search(rf"<strong>\s*{letter}\b", text.html))
    ]
    if not starts or starts != sorted(starts):
        return {UNDIVIDED: text}
    cuts = [0, *(place for place, _ in starts[1:]), len(text.html)]
    parts = {
        section: normalised(text.html[cuts[number] : cuts[number + 1]]) for number, (_, section) in enumerate(starts)
    }
    # A cut inside a block, or blanks that matter only together, would change the text.
    return parts if "".join(part.html for part in parts.values()) == text.html else {UNDIVIDED: text}


def _excerpts(plan: RehabilitationPlan) -> list[JournalExcerpt]:
    lines = _without_element(plan)
    last = [JournalExcerpt(HEADINGS["other"], plain_text("\n".join(lines)))] if lines else []
    return [*plan.journal_excerpts, *last]


def _without_element(plan: RehabilitationPlan) -> tuple[str, ...]:
    """What MedCom XML can say and FHIR cannot, one line each."""
    consent, code = plan.consent, plan.statistical_code
    own_code = STATISTICAL_CODES.get(plan.level) if plan.level else None
    return (
        *((f"Samtykke: {consent.stated}",) if consent.given is None and consent.stated else ()),
        *((f"Statistikkode: {code}",) if code and code != own_code else ()),
        *other_lines(plan),
    )


def _section_keys(plan: RehabilitationPlan) -> list[str]:
    return [*_section_texts(plan), *(f"{JOURNAL_EXCERPT}-{number}" for number, _ in enumerate(_excerpts(plan)))]


def _observations(message: _Message, plan: RehabilitationPlan) -> None:
    texts = _section_texts(plan)
    writers = [
        _author(message, plan),
        *(message.professional(f"co-author-{number}", each) for number, each in enumerate(plan.co_authors)),
    ]
    written = _date_time(plan.written_at)
    described = next((section for section in ("functioning-at-discharge", *EXTENDED) if section in texts), None)
    if plan.icf and described is None:
        described = next(iter(texts), "functioning-at-discharge")
    for section in dict.fromkeys((*texts, *((described,) if plan.icf and described else ()))):
        text = texts.get(section)
        components = [_component(each) for each in plan.icf] if section == described else []
        code = _concept(SECTIONS, section, SECTION_ROWS[section]["display"])
        _observation(message, section, code, text, writers, written, components)
    for number, excerpt in enumerate(_excerpts(plan)):
        code = _concept(SECTIONS, JOURNAL_EXCERPT, text=excerpt.kind)
        key = f"{JOURNAL_EXCERPT}-{number}"
        signer = message.professional(key, excerpt.signer) if excerpt.signer else writers[0]
        _observation(message, key, code, excerpt.comment, [signer], _iso(excerpt.signed_on) or written, [])


def _observation(
    message: _Message,
    key: str,
    code: Json,
    text: FormattedText | None,
    performers: list[Json],
    effective: str | None,
    components: list[Json],
) -> None:
    content = {
        "status": "final",
        "category": [_concept(OBSERVATION_CATEGORY, "functioning")],
        "code": code,
        "subject": message.reference("Patient"),
        "encounter": message.reference("Encounter"),
        "effectiveDateTime": effective,
        "performer": performers,
        "valueString": text.plain if text else None,
        "component": components,
    }
    heading = code.get("text") or code["coding"][0].get("display") or ""
    message.add("Observation", key, (_own("gop-functioning"),), (heading,), content, {"text": text})


def _component(icf: IcfClassification) -> Json:
    """Both forms of an ICF code: SKS FB730 and ICF b730."""
    code, text = icf.code.code, icf.code.text
    codings = [{"system": SKS, "code": code}]
    if _LETTERED.fullmatch(code) and code[0] in "Ff" and len(code) > 2:
        codings.insert(0, {"system": ICF, "code": code[1].lower() + code[2:]})
    if text:
        codings = [coding | {"display": text} for coding in codings]
    made: Json = {"code": {"coding": codings}}
    if icf.gradient:
        system = ICF_QUALIFIER if icf.gradient.code in _QUALIFIERS else SKS
        made["valueCodeableConcept"] = _concept(system, icf.gradient.code, icf.gradient.text)
    return made


# --- consent ----------------------------------------------------------------------------------------------------------


def _has_consent(plan: RehabilitationPlan) -> bool:
    consent = plan.consent
    return (
        consent.given is not None
        or bool(consent.refused)
        or plan.gp_deselected
        or consent.permanently_lacks_capacity
        or consent.given_by is not None
    )


def _consent(message: _Message, plan: RehabilitationPlan) -> None:
    if not _has_consent(plan):
        return
    consent = plan.consent
    copies = (*((plan.gp,) if plan.gp else ()), *plan.copy_receivers)
    agreed = [party for party in (plan.receiver, plan.chosen_hospital, *copies) if party]
    actors = [message.party(party) for party in dict.fromkeys(agreed) if party not in consent.refused]
    refused = [message.party(party) for party in consent.refused]
    if plan.gp_deselected:
        refused.append({"display": GP_REFUSED})
    type_ = None if consent.given is None else "permit" if consent.given else "deny"
    provision = _stated(
        type=type_,
        actor=_actors(actors) if consent.given and consent.send_agreed is not False else None,
        provision=[{"type": "deny", "actor": _actors(refused)}] if refused else None,
    )
    content = {
        "extension": [_extension(CAPACITY, valueCode="permanently-lacking")]
        if consent.permanently_lacks_capacity
        else None,
        "status": "active",
        "scope": _concept(CONSENT_SCOPE, "treatment"),
        "category": [
            _concept(CONSENT_CATEGORY, "gop-plan-and-sending", "Samtykke til genoptræningsplan og videresendelse")
        ],
        "patient": message.reference("Patient"),
        "dateTime": _iso(consent.given_at),
        "performer": _consenter(message, plan),
        "policyRule": {"text": "Sundhedsloven § 15 og § 41"},
        "provision": provision,
    }
    words = {"permit": "Samtykke givet.", "deny": "Samtykke ikke givet."}.get(type_ or "", "Samtykke ikke oplyst.")
    message.add("Consent", "", (_own("gop-consent"),), (words,), content)


def _actors(references: list[Json]) -> list[Json]:
    return [{"role": _concept(PARTICIPATION, "IRCP"), "reference": reference} for reference in references]


def _consenter(message: _Message, plan: RehabilitationPlan) -> list[Json] | None:
    given_by, name = plan.consent.given_by, plan.consent.given_by_name
    if given_by is None:
        return None
    if given_by == "patient":
        return [message.reference("Patient")]
    relative = next((each for each in plan.relatives if _full_name(each.given, each.family) == name), None)
    stated = _human_name(relative.given, relative.family) if relative else _stated(text=name)
    content = {
        "patient": message.reference("Patient"),
        "relationship": [_concept(ROLE_CODE, _CONSENTERS.get(given_by, "FAMMEMB"))],
        "name": [{"use": "official"} | stated] if stated else None,
    }
    profile = "http://hl7.dk/fhir/core/StructureDefinition/dk-core-related-person"
    message.add("RelatedPerson", "consenter", (profile,), (f"Samtykker for patienten: {name or given_by}.",), content)
    return [message.reference("RelatedPerson", "consenter")]


def _full_name(given: str | None, family: str | None) -> str:
    return " ".join(filter(None, (given, family)))


# --- control, references, people, organisations -----------------------------------------------------------------------


def _control(message: _Message, plan: RehabilitationPlan) -> None:
    control = plan.control
    if control is None:
        return
    participants = [{"actor": message.reference("Patient"), "status": "needs-action"}]
    start = _date_time(control.expected_start)
    if control.location:
        participants.append({"actor": message.reference("Location"), "status": "needs-action"})
    content = {
        "status": "proposed",
        "description": control.expected_start_text,
        "participant": participants,
        "requestedPeriod": [{"start": start}] if start else None,
    }
    words = start or control.expected_start_text or "tid ikke oplyst"
    message.add("Appointment", "", (), (f"Kontrol: {words}.",), content)
    if control.location:
        location = {"name": control.location.label, "managingOrganization": message.party(control.location)}
        message.add("Location", "", (), (control.location.label,), location)


def _references(message: _Message, plan: RehabilitationPlan) -> None:
    for number, reference in enumerate(plan.references):
        content = {
            "status": "current",
            "type": {"text": reference.kind.upper()},
            "description": reference.description,
            "content": [{"attachment": {"url" if reference.kind == "url" else "title": reference.value}}],
        }
        message.add("DocumentReference", str(number), (), (reference.description or "Reference",), content)


def _professional(message: _Message, key: str, person: Professional, sender: Party) -> None:
    organization = message.party(sender) if key == "author" else {}
    if person.department:
        organization = organization | {"display": person.department}
    role = {
        "practitioner": message.reference("Practitioner", key),
        "organization": organization,
        "code": [{"text": person.title}] if person.title else None,
        "telecom": [{"system": "phone", "value": person.telephone}] if person.telephone else None,
    }
    profile = _own("gop-practitionerrole") if key == "author" else f"{_MEDCOM_CORE}-practitionerrole"
    words = ", ".join(filter(None, (person.name, person.title))) or "Ukendt"
    message.add("PractitionerRole", key, (profile,), (words,), role)
    name = _human_name(person.given, person.family)
    content = {
        "identifier": [_identifier(person.identifier)] if person.identifier else None,
        "name": [name] if name else None,
    }
    message.add("Practitioner", key, (f"{_MEDCOM_CORE}-practitioner",), (person.name or "Ukendt",), content)


def _official_number(kind: IdentifierKind, value: str) -> Json:
    return {"use": "official", "system": _OFFICIAL[kind], "value": value}


def _identifier(identifier: Identifier) -> Json:
    """A number in its own system; one without a published system by the word for its kind."""
    value = identifier.value
    match identifier.kind:
        case IdentifierKind.KOMMUNEKODE if value.isascii() and value.isdigit():
            return {"system": MUNICIPALITIES, "value": kommunekode(value)}
        case IdentifierKind.REGIONSKODE if re.fullmatch(r"108[1-5]", value):
            return {"system": REGIONS, "value": f"DK-{value[2:]}"}
        case IdentifierKind.YDERNUMMER:
            return {"system": YDERNUMMER, "value": value}
        case IdentifierKind.SOR:
            return _official_number(IdentifierKind.SOR, value)
    word = identifier.stated_kind if identifier.kind is IdentifierKind.OTHER else str(identifier.kind)
    return ({"type": {"text": word}} if word else {}) | {"value": value}


def _organization(message: _Message, party: Party) -> None:
    gln, sor = (_number(message, party, kind) for kind in (IdentifierKind.GLN, IdentifierKind.SOR))
    identifiers = [_official_number(IdentifierKind.GLN, gln)] if gln else []
    identifiers += map(_identifier, party.identifiers)
    if sor and party.identifier(IdentifierKind.SOR) is None:
        identifiers.append(_official_number(IdentifierKind.SOR, sor))
    telecoms = [
        {"system": system, "value": value}
        for system, value in (("phone", party.telephone), ("email", party.email))
        if value
    ]
    purpose = message.contacts.get(party)
    names = {"organisation": party.name, "department": party.department, "unit": party.unit}
    parts = [_extension(part, valueString=name) for part, name in names.items() if name]
    contact = {"purpose": {"text": purpose}} | ({"telecom": telecoms} if telecoms else {})
    content: Json = {
        "extension": [_extension(ORGANISATION_NAMES, extension=parts)] if party.department or party.unit else None,
        "identifier": identifiers,
        "type": [{"text": party.speciality}] if party.speciality else None,
        "name": ", ".join(name for name in names.values() if name) or None,
        "telecom": None if purpose else telecoms,
        "address": [_address(party.address)["address"]] if _address(party.address) else None,
        "contact": [contact] if purpose else None,
    }
    if gln and sor:
        profiles = [f"{MESSAGING}-organization", _own("gop-organization")]
    else:
        profiles = [_own("gop-contact-organization")] if purpose and party.name and telecoms else []
    message.add("Organization", repr(party), profiles, (content["name"] or "Ukendt",), content)
