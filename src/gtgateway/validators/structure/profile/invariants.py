"""Invariants as Python functions, keyed by their FHIRPath text.

Each says what its expression says, on JSON; an expression that yields nothing is not true. `tests` compares every one
with a FHIRPath engine. Deliberately different are those that name MedCom's old canonical and test `entry` itself, which
is never a resource: read as written they hold for everything. Here they ask for what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from gtgateway.validators.structure.profile.context import Context
from gtgateway.validators.structure.profile.narrative import narrative_is_sound

Json = dict[str, Any]
Check = Callable[[Any, Context], bool]

#: A property without which a check holds anyway.
_GUARDS: dict[Check, str] = {}

_LINES = re.compile(r"\s*[\r\n]\s*")
_VALUE = re.compile(r"\bvalue\.")


def normalised(expression: str, *, primitive: bool) -> str:
    """The text that `FUNCTIONS` knows an expression by: on one line.

    dk-core 2.0.0 writes `value.` where the context is already the value of a primitive; it is left out there, or the
    expression would always be empty.
    """
    text = _LINES.sub(" ", expression.strip())
    return _VALUE.sub("", text) if primitive else text


def guard_of(check: Check) -> str | None:
    """The property without which the check holds anyway, if there is one."""
    return _GUARDS.get(check)


def _when(name: str, check: Check) -> Check:
    """The check, known to hold where the property is absent."""
    _GUARDS[check] = name
    return check


# --- what expressions are made of -------------------------------------------------------------------------------------


def at(value: Any, *names: str) -> list[Any]:
    """Everything that a path of plain names leads to, as FHIRPath collects it."""
    values = [value]
    for name in names:
        found: list[Any] = []
        for holder in values:
            item = holder.get(name) if type(holder) is dict else None
            if type(item) is list:
                found += item
            elif item is not None:
                found.append(item)
        values = found
    return values


def choice(value: Any, name: str) -> Any:
    """The value of an element of one of several types (`value` finds `valueString`), or None."""
    if isinstance(value, dict):
        size = len(name)
        for key, item in value.items():
            if key.startswith(name) and key[size : size + 1].isupper():
                return item
    return None


def has(value: Any, *names: str) -> bool:
    """Whether a path leads to anything, also to a primitive that has extensions only."""
    if len(names) == 1:
        return isinstance(value, dict) and (names[0] in value or f"_{names[0]}" in value)
    return any(has(holder, names[-1]) for holder in at(value, *names[:-1]))


def has_choice(value: Any, name: str) -> bool:
    """Whether an element of one of several types is there, as a value or with extensions only."""
    return choice(value, name) is not None or choice(value, f"_{name}") is not None


def same(values: list[Any], wanted: Any) -> bool:
    """FHIRPath `=` with one value: a collection of several is never equal."""
    return len(values) == 1 and bool(values[0] == wanted)


def resources(bundle: Any, kind: str, context: Context) -> list[Json]:
    """`entry.resource.ofType(kind)`"""
    return context.of_type(bundle, kind)


def coded(value: Any, codes: tuple[str, ...], system: str | None = None) -> list[Json]:
    """Codings of a CodeableConcept with one of the codes, in order."""
    codings = value.get("coding") if type(value) is dict else None
    return [
        coding
        for coding in (codings if type(codings) is list else ())
        if type(coding) is dict and coding.get("code") in codes and (system is None or coding.get("system") == system)
    ]


def coded_in(value: Any, name: str, systems: tuple[str, ...]) -> list[Json]:
    """Codings below `name` from one of the code systems."""
    return [item for item in at(value, name, "coding") if isinstance(item, dict) and item.get("system") in systems]


def extensions(value: Any, url: str) -> list[Any]:
    """`extension(url)`"""
    found = value.get("extension") if type(value) is dict else None
    return [item for item in (found if type(found) is list else ()) if type(item) is dict and item.get("url") == url]


def resolved(values: Iterable[Any], context: Context) -> list[Json]:
    """`reference.resolve()` of References; those that lead nowhere are left out."""
    found = (context.resolve(value.get("reference")) for value in values if isinstance(value, dict))
    return [item for item in found if item is not None]


def before(one: Any, other: Any) -> bool | None:
    """Whether a date or time is not after another; None when their precision does not tell."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return None
    if "T" in one and "T" in other:
        return _instant(one) <= _instant(other)
    size = min(len(one.partition("T")[0]), len(other.partition("T")[0]))
    if one[:size] != other[:size]:
        return one[:size] < other[:size]
    return True if len(one) == len(other) else None


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:  # a leap second
        return datetime.fromisoformat(text.replace(":60", ":59").replace("Z", "+00:00"))


def _matches(pattern: str) -> Check:
    """`matches(pattern)`: found anywhere in the text; `$` is the very end."""
    search = re.compile(re.sub(r"\$$", r"\\Z", pattern), re.ASCII | re.DOTALL).search
    return lambda value, _context: isinstance(value, str) and search(value) is not None


def _value_matches(pattern: str) -> Check:
    test = _matches(pattern)
    return lambda value, context: isinstance(value, dict) and test(value.get("value", choice(value, "value")), context)


def _one_of(*names: str) -> Check:
    keys = (*names, *(f"_{name}" for name in names))

    def check(value: Any, _context: Context) -> bool:
        # Loops here and below: a generator costs more than all the rest of these checks.
        for key in keys:  # noqa: SIM110
            if key in value:
                return True
        return False

    return check


def _needs(name: str, *others: str) -> Check:
    """`name.empty() or other.exists()`"""
    return _when(name, lambda value, _context: not has(value, name) or all(has(value, other) for other in others))


def _not_both(name: str, other: str) -> Check:
    return _when(other, lambda value, _context: not (has(value, name) and has(value, other)))


def _digits(value: Any, size: int) -> list[int] | None:
    """The first `size` characters as digits."""
    text = value[:size] if isinstance(value, str) else ""
    return [int(digit) for digit in text] if len(text) == size and text.isascii() and text.isdigit() else None


def _cvr(value: Any, _context: Context) -> bool:
    digits = _digits(value, 8)
    return digits is not None and sum(a * b for a, b in zip(digits, (2, 7, 6, 5, 4, 3, 2, 1), strict=True)) % 11 == 0


def _gln(value: Any, _context: Context) -> bool:
    digits = _digits(value, 13)
    return (
        digits is not None and (10 - sum(d * (1, 3)[n % 2] for n, d in enumerate(digits[:12])) % 10) % 10 == digits[12]
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_UCUM = "http://unitsofmeasure.org"


def _quantity(test: Callable[[Json], bool]) -> Check:
    """`(code.exists() or value.empty()) and (system.empty() or system = %ucum) and …`"""

    def check(value: Any, _context: Context) -> bool:
        return (
            (has(value, "code") or not has(value, "value"))
            and (not has(value, "system") or same(at(value, "system"), _UCUM))
            and test(value)
        )

    return check


# --- Bundle -----------------------------------------------------------------------------------------------------------


def _exactly_in(name: str, *kinds: str) -> Check:
    """bdl-3, bdl-4: every entry has it in Bundles of these types, and none in others."""

    def check(bundle: Any, _context: Context) -> bool:
        wanted = bundle.get("type") in kinds
        for entry in bundle.get("entry", ()):  # noqa: SIM110
            if (name in entry) is not wanted:
                return False
        return True

    return check


def _only_in(name: str, kind: str) -> Check:
    """bdl-2: no entry has it in Bundles of other types."""

    def check(bundle: Any, _context: Context) -> bool:
        if bundle.get("type") == kind:
            return True
        for entry in bundle.get("entry", ()):  # noqa: SIM110
            if name in entry:
                return False
        return True

    return check


def _first_is(kind: str, bundle_type: str) -> Check:
    def check(bundle: Any, _context: Context) -> bool:
        if bundle.get("type") != bundle_type:
            return True
        entries = at(bundle, "entry")
        return bool(entries) and [item.get("resourceType") for item in at(entries[0], "resource")] == [kind]

    return check


def _full_urls_differ(bundle: Any, _context: Context) -> bool:
    """bdl-7: no entry stands twice, unless in another version."""
    if bundle.get("type") == "history":
        return True
    seen: set[Any] = set()
    for entry in bundle.get("entry", ()):
        if "fullUrl" in entry:
            version = entry.get("resource", {}).get("meta", {}).get("versionId")
            key = (entry["fullUrl"], version) if version else entry["fullUrl"]
            if key in seen:
                return False
            seen.add(key)
    return True


def _contained_are_used(resource: Any, _context: Context) -> bool:
    """dom-3: a contained resource is referred to from where it is contained, or refers to it."""
    contained = at(resource, "contained")
    if not contained:
        return True
    names: set[str] = set()
    pointing_up: set[int] = set()

    def walk(value: Any, inside: int | None) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item, inside)
        elif isinstance(value, list):
            for item in value:
                walk(item, inside)
        elif isinstance(value, str) and value.startswith("#"):
            if value == "#" and inside is not None:
                pointing_up.add(inside)
            names.add(value[1:])

    for name, value in resource.items():
        if name != "contained":
            walk(value, None)
    for number, item in enumerate(contained):
        walk(item, number)
    return all(number in pointing_up or item.get("id") in names for number, item in enumerate(contained))


def _conform(kind: str, *profiles: str) -> Check:
    """Every resource of a kind claims one of the profiles (then it is judged by it where it stands), or conforms."""
    return lambda bundle, context: all(context.fits(item, profiles) for item in resources(bundle, kind, context))


def _activities_in(value_set: str) -> Check:
    def check(bundle: Any, context: Context) -> bool:
        allowed = context.packages.terminology.codes(value_set)
        return all(
            any(
                allowed.holds(coding.get("system"), coding.get("code")) is not False
                for coding in at(item, "activity", "coding")
            )
            for item in resources(bundle, "Provenance", context)
        )

    return check


# --- HL7's data types and resources -----------------------------------------------------------------------------------


def _local_reference(value: Any, context: Context) -> bool:
    """ref-1: what is referred to as contained is there."""
    reference = value.get("reference")
    return not isinstance(reference, str) or not reference.startswith("#") or context.resolve(reference) is not None


def _in_order(first: str, last: str) -> Check:
    def check(value: Any, _context: Context) -> bool:
        one, other = value.get(first), value.get(last)
        return one is None or other is None or before(one, other) is True

    return _when(last, check)


def _range(value: Any, _context: Context) -> bool:
    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return True
    if any(low.get(name) != high.get(name) for name in ("system", "code", "unit")):
        return False
    return _number(low.get("value")) and _number(high.get("value")) and bool(low["value"] <= high["value"])


def _at_least_zero(name: str) -> Check:
    return lambda value, _context: name not in value or (_number(value[name]) and value[name] >= 0)


def _not_repeated_in_components(observation: Any, _context: Context) -> bool:
    """obs-7: a value stands in the Observation or in the component with the same code, not in both."""
    if choice(observation, "value") is None:
        return True
    own = at(observation, "code", "coding")
    return not any(coding in own for coding in at(observation, "component", "code", "coding"))


_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _in_error(condition: Any) -> bool:
    return bool(coded(at_one(condition, "verificationStatus"), ("entered-in-error",), _VERIFICATION))


def at_one(value: Any, name: str) -> Any:
    found = at(value, name)
    return found[0] if found else None


def _needs_patient(code: str) -> Check:
    return lambda consent, _context: (
        has(consent, "patient") or not coded(at_one(consent, "scope"), (code,), "something")
    )


def _care_team(member: Any, context: Context) -> bool:
    """ctm-1"""
    if not has(member, "onBehalfOf"):
        return True
    found = resolved(at(member, "member"), context)
    return not found or any(item.get("resourceType") == "Practitioner" for item in found)


def _whole_count(value: Json) -> bool:
    """cnt-3: a count has the unit 1 and no fraction."""
    number = value.get("value")
    return value.get("code", "1") == "1" and not (isinstance(number, float) and not number.is_integer())


def _abated(condition: Any, _context: Context) -> bool:
    """con-4"""
    if not has_choice(condition, "abatement"):
        return True
    return bool(coded(at_one(condition, "clinicalStatus"), ("resolved", "remission", "inactive"), _CLINICAL))


def _ratio(value: Any, _context: Context) -> bool:
    """rat-1"""
    numerator = has(value, "numerator")
    return numerator is has(value, "denominator") and (numerator or has(value, "extension"))


def _offset(timing: Any, _context: Context) -> bool:
    """tim-9"""
    when = at(timing, "when")
    return not has(timing, "offset") or (bool(when) and not any(code in ("C", "CM", "CD", "CV") for code in when))


def _trigger(value: Any, _context: Context) -> bool:
    """trd-3"""
    kind = value.get("type")
    if kind is None:
        return has(value, "name") and has_choice(value, "timing") and has(value, "data")
    return (
        (kind != "named-event" or has(value, "name"))
        and (kind != "periodic" or has_choice(value, "timing"))
        and (not str(kind).startswith("data-") or has(value, "data"))
    )


# --- Danish guides ----------------------------------------------------------------------------------------------------

_MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/"
_HOSPITAL = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/"
_TERMINOLOGY = "http://medcomfhir.dk/ig/terminology/ValueSet/"
_CARE = "http://medcomfhir.dk/ig/carecommunication/StructureDefinition/"
_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"
_ACKNOWLEDGEMENT_HEADER = (
    "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-messaging-acknowledgementHeader"
)
_REHAB = "http://fhir.kl.dk/rehab/StructureDefinition/"
_USE = _MESSAGING + "medcom-messaging-destinationUseExtension"
_HL7 = "http://hl7.org/fhir/StructureDefinition/"
_LIAISING = "http://fhir.kl.dk/core/StructureDefinition/SubjectConsentToLiaising"
_SOR = "urn:oid:1.2.208.176.1.1"
_FK_ORG = "https://kombit.dk/sts/organisation"
_GLN = ("https://www.gs1.org/gln", "http://www.gs1.org/gln")
_SKS_D = "urn:oid:1.2.208.176.2.4.12"
_CPR = "urn:oid:1.2.208.176.1.2"
_CARE_SOCIAL = "http://fhir.kl.dk/term/CodeSystem/CareSocialCodes"
_GENERAL = "ffd81f78-352e-4589-a195-5350dd1df2a4"
_SPECIALISED = "0c8e2bfc-1350-45d1-90da-c07e2645d073"
_REHABILITATION = "83c89857-8fb8-4163-97b1-eb1a56345c29"
_BASIC = "8b962281-2ab6-4b10-9c91-4bac592d6d49"
_ADVANCED = "b679c454-2da2-46dd-9425-0e52d4aa2bf3"
_WITHOUT_A_PLAN = ("1130ad70-6553-490d-87f8-5e8941687a0c", "ba3e17bd-d4aa-4848-acad-25adc8285c19")
_BELOW_A_PLAN = (
    "7f825e3e-1a5c-4249-bf41-9f7171fb6b8a",
    "2abe20c7-c0b4-41c1-b397-52acf36499ef",
    "58293f63-00d7-4730-8dbc-c784d40f9e23",
    "2c661159-1bb3-4af2-bdf1-f3a9927a99e2",
    "8d714c98-f23a-4722-8a2f-85c162fe4840",
    "66fb32c9-ecc3-484b-be49-f20094be237c",
    "f8ac963c-6ec5-4ec5-bd90-a22fea4e2d16",
)
_LEVELS = (_SPECIALISED, _REHABILITATION, _GENERAL)


def _acknowledged_error(bundle: Any, context: Context) -> bool:
    """medcom-acknowledgement-1: an answer other than ok says why."""
    codes = [code for header in resources(bundle, "MessageHeader", context) for code in at(header, "response", "code")]
    return codes == ["ok"] or (bool(codes) and bool(resources(bundle, "OperationOutcome", context)))


def _first_header_claims(prefix: str) -> Check:
    def check(bundle: Any, _context: Context) -> bool:
        entries = at(bundle, "entry")
        header = at(entries[0], "resource") if entries else []
        profiles = [
            url for item in header if item.get("resourceType") == "MessageHeader" for url in at(item, "meta", "profile")
        ]
        return len(profiles) == 1 and str(profiles[0]).startswith(prefix)

    return check


def _provenances_claim(prefix: str) -> Check:
    def check(bundle: Any, context: Context) -> bool:
        claims = (at(item, "meta", "profile") for item in resources(bundle, "Provenance", context))
        return all(len(profiles) == 1 and str(profiles[0]).startswith(prefix) for profiles in claims)

    return check


def _units(observation: Any, _context: Context) -> bool:
    """dk-core-observation-mandatory-units"""
    quantity = observation.get("valueQuantity")
    return not has(quantity, "value") or has(quantity, "unit") or has(quantity, "code")


def _marital_status(patient: Any, _context: Context) -> bool:
    system = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
    status = at_one(patient, "maritalStatus")
    return not coded(status, ("P",), system) or not coded(status, ("A",), system)


def _leave(encounter: Any, _context: Context) -> bool:
    """medcom-hospitalNotification-6: leave has a start."""
    if encounter.get("status") != "onleave":
        return "status" in encounter
    return any(has(choice(item, "value"), "start") for item in at(encounter, "extension"))


def _organisations_of(references: list[Any], context: Context, ways: tuple[str, str]) -> tuple[list[Json], list[Json]]:
    people = resolved(references, context)
    return tuple(resolved(at_all(people, way), context) for way in ways)  # type: ignore[return-value]


def at_all(values: Iterable[Any], *names: str) -> list[Any]:
    return [found for value in values for found in at(value, *names)]


def _equal(one: list[Json], other: list[Json]) -> bool:
    """FHIRPath `=` of two collections; an empty one is not true."""
    return bool(one) and len(one) == len(other) and one == other


def _message_sender(bundle: Any, context: Context) -> bool:
    """medcom-careCommunication-11: the stated sender belongs to the sending organisation."""
    stated = [item for item in resources(bundle, "Communication", context) if has(item, "extension")]
    if not stated:
        return True
    values = [choice(extension, "value") for item in stated for extension in at(item, "extension")]
    senders = resolved(at_all(resources(bundle, "MessageHeader", context), "sender"), context)
    return any(
        _equal(found, senders) for found in _organisations_of(values, context, ("managingOrganization", "organization"))
    )


def _message_recipient(bundle: Any, context: Context) -> bool:
    """medcom-careCommunication-12: the stated recipient belongs to the receiving organisation."""
    recipients = at_all(resources(bundle, "Communication", context), "recipient")
    if not recipients:
        return True
    receivers = resolved(at_all(resources(bundle, "MessageHeader", context), "destination", "receiver"), context)
    return any(
        _equal(found, receivers)
        for found in _organisations_of(recipients, context, ("managingOrganization", "organization"))
    )


def _signatures(communication: Any) -> list[Any]:
    """Values of the practitioner extension of the payloads."""
    return [
        choice(item, "value")
        for payload in at(communication, "payload")
        for item in extensions(payload, _CORE + "medcom-core-practitioner-extension")
    ]


def _signed_with_role(communication: Any, context: Context) -> bool:
    """medcom-careCommunication-7: a role by code or by text, not both."""
    return all(
        has(role, "code", "coding", "code") is not has(role, "code", "text")
        for role in resolved(_signatures(communication), context)
    )


def _signed_by_name(communication: Any, context: Context) -> bool:
    """medcom-careCommunication-8"""
    payloads = [
        item for item in at(communication, "payload") if extensions(item, _CORE + "medcom-core-practitioner-extension")
    ]
    values = [choice(item, "value") for item in at_all(payloads, "extension")]
    return has_any(resolved(at_all(resolved(values, context), "practitioner"), context), "name")


def has_any(values: Iterable[Any], *names: str) -> bool:
    return any(has(value, *names) for value in values)


def _topic(communication: Any, _context: Context) -> bool:
    """medcom-careCommunication-6: the category `other` has a topic."""
    codes = at(communication, "category", "coding", "code")
    return bool(codes) and (codes != ["other"] or has(communication, "topic"))


def _priority(communication: Any, _context: Context) -> bool:
    """medcom-careCommunication-5: a priority stands with referrals only."""
    codes = at(communication, "category", "coding", "code")
    return codes in ([], ["regarding-referral"]) or not has(communication, "priority")


def _episode(communication: Any, context: Context) -> bool:
    """medcom-careCommunication-9: a stated contact has an episode of care."""
    encounters = at(communication, "encounter")
    return not encounters or has_any(resolved(encounters, context), "episodeOfCare", "identifier")


def _intervention(plan: Any, *codes: str) -> bool | None:
    """Whether the plan is one of these interventions; None when it names none."""
    stated = at(plan, "activity", "detail", "code", "coding", "code")
    return None if not stated else len(stated) == 1 and stated[0] in codes


def _role_by_code_or_text(role: Any, _context: Context) -> bool:
    """medcom-core-practitionerrole-code-xor-text"""
    if not has(role, "code"):
        return True
    by_code = any(has(coding, "system") and has(coding, "code") for coding in at(role, "code", "coding"))
    return by_code is not has(role, "code", "text")


def _one_primary(bundle: Any, context: Context) -> bool:
    """medcom-hospitalNotification-5"""
    uses = at_all(resources(bundle, "MessageHeader", context), "destination", "extension")
    return same([code for item in uses for code in at(choice(item, "value"), "code")], "primary")


def _identified_by(*systems: str) -> Check:
    def check(organisation: Any, _context: Context) -> bool:
        for identifier in organisation.get("identifier", ()):  # noqa: SIM110
            if identifier.get("system") in systems:
                return True
        return False

    return check


def _sor_and_gln(organisation: Any, _context: Context) -> bool:
    """gop-org-1"""
    systems = [identifier.get("system") for identifier in organisation.get("identifier", ())]
    return _SOR in systems and (_GLN[0] in systems or _GLN[1] in systems)


def _one_level(request: Any, _context: Context) -> bool:
    """gateway-140-service-request-1"""
    return any(
        len(found := at(item, "coding", "code")) == 1 and found[0] in _LEVELS for item in at(request, "category")
    )


def _cancelled_with_reason(plan: Any, _context: Context) -> bool:
    return all(
        has(detail, "statusReason") is (detail.get("status") in ("cancelled", "stopped"))
        for detail in at(plan, "activity", "detail")
    )


# --- our own profile --------------------------------------------------------------------------------------------------

_GOP = "https://gtgateway.example/fhir/"
_SECTION = _GOP + "CodeSystem/gop-section"
_ABILITIES = (
    "functioning-at-discharge",
    "functioning-body",
    "functioning-activity-participation",
    "functioning-environment",
)


def _sections(bundle: Any, context: Context) -> list[Any]:
    return [
        coding.get("code")
        for observation in resources(bundle, "Observation", context)
        for coding in at(observation, "code", "coding")
        if type(coding) is dict and coding.get("system") == _SECTION
    ]


def _has_section(*codes: str) -> Check:
    return lambda bundle, context: any(code in codes for code in _sections(bundle, context))


def _sections_once(bundle: Any, context: Context) -> bool:
    codes = [code for code in _sections(bundle, context) if code is not None and code != "journal-excerpt"]
    return len(set(map(str, codes))) == len(codes)


def _receivers(bundle: Any, context: Context, *, primary: bool) -> list[Json]:
    destinations = at_all(resources(bundle, "MessageHeader", context), "destination")
    if primary:
        destinations = [
            item
            for item in destinations
            if same([code for e in extensions(item, _USE) for code in at(choice(e, "value"), "code")], "primary")
        ]
    return resolved(at_all(destinations, "receiver"), context)


def _ids(values: Iterable[Json]) -> set[Any]:
    return {value.get("id") for value in values if isinstance(value.get("id"), str)}


def _consent_permits(bundle: Any, context: Context) -> bool:
    """gop-msg-6: the consent permits the primary receiver."""
    consents = resources(bundle, "Consent", context)
    if not consents:
        return True
    provisions = [
        item for item in at_all(consents, "provision") if isinstance(item, dict) and item.get("type") == "permit"
    ]
    permitted = resolved(at_all(provisions, "actor", "reference"), context)
    return _ids(_receivers(bundle, context, primary=True)) <= _ids(permitted)


def _consent_names_all(bundle: Any, context: Context) -> bool:
    """gop-msg-7: the consent names every receiver."""
    consents = resources(bundle, "Consent", context)
    if not consents:
        return True
    provisions = at_all(consents, "provision")
    named = at_all(provisions, "actor", "reference") + at_all(provisions, "provision", "actor", "reference")
    return _ids(_receivers(bundle, context, primary=False)) <= _ids(resolved(named, context))


_NO_HOSPITAL = frozenset(
    {
        "http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes",
        "urn:oid:1.2.208.176.1.4",
        "urn:iso:std:iso:3166:-2",
        "http://hl7.dk/fhir/core/CodeSystem/dk-core-regional-subdivision-codes",
    }
)


def _specialised_at_hospital(bundle: Any, context: Context) -> bool:
    """gop-msg-8: specialised training is received and done by the chosen hospital."""
    requests = resources(bundle, "ServiceRequest", context)
    if not any(coded(category, (_SPECIALISED,)) for category in at_all(requests, "category")):
        return True
    hospitals = [
        item
        for item in _receivers(bundle, context, primary=True)
        if not any(system in _NO_HOSPITAL for system in at(item, "identifier", "system") if isinstance(system, str))
    ]
    return not _ids(hospitals).isdisjoint(_ids(resolved(at_all(requests, "performer"), context)))


def _one_discharge(bundle: Any, context: Context) -> bool:
    """gop-msg-9: the discharge date is the day on which the finished contact ended; times in UTC are not compared."""
    ends = [
        end[:10]
        for encounter in resources(bundle, "Encounter", context)
        if encounter.get("status") == "finished"
        for end in at(encounter, "period", "end")
        if isinstance(end, str) and not end.endswith("Z")
    ]
    stated = [
        value
        for request in resources(bundle, "ServiceRequest", context)
        for item in extensions(request, _REHAB + "PreconditionDate")
        if isinstance(value := choice(item, "value"), str)
    ]
    return len({*ends, *stated}) <= 1


def _levels(request: Any, codes: tuple[str, ...]) -> list[Json]:
    return [coding for category in at(request, "category") for coding in coded(category, codes)]


def _level_or_own_training(request: Any, _context: Context) -> bool:
    """gop-sr-1: one or two levels, or egentræning."""
    stated = (*_LEVELS, _BASIC, _ADVANCED, "egentraening")
    return len(_levels(request, _LEVELS)) <= 2 and bool(_levels(request, stated))


def _general_comes_last(request: Any, _context: Context) -> bool:
    """gop-sr-2: a second phase is almen."""
    return all(coding.get("code") == _GENERAL for coding in _levels(request, _LEVELS)[1:])


def _own_training_alone(request: Any, _context: Context) -> bool:
    """gop-sr-4"""
    if not _levels(request, ("egentraening",)):
        return True
    return _CARE_SOCIAL not in at(request, "category", "coding", "system")


def _starts_in_order(extension: Any, _context: Context) -> bool:
    """gop-start-1"""
    earliest, latest = (
        [choice(item, "value") for item in extensions(extension, name)] for name in ("earliest", "latest")
    )
    return not earliest or not latest or before(earliest[0], latest[0]) is True


def _born_as_cpr_says(patient: Any, _context: Context) -> bool:
    """gop-pat-1: the birth date is that of the CPR number, century by the seventh digit."""
    birth = patient.get("birthDate")
    if not isinstance(birth, str):
        return True
    for identifier in at(patient, "identifier"):
        value = identifier.get("value") if isinstance(identifier, dict) else None
        if identifier.get("system") != _CPR or not isinstance(value, str) or not re.fullmatch(r"[0-9]{10}", value):
            continue
        seventh, year = value[6], value[4:6]
        if seventh <= "3":
            century = "19"
        elif seventh in "49":
            century = "20" if year <= "36" else "19"
        else:
            century = "20" if year <= "57" else "18"
        if not f"{century}{year}-{value[2:4]}-{value[:2]}".startswith(birth):
            return False
    return True


def _entity_for(activity: str, role: str) -> Check:
    return lambda provenance, _context: (
        not coded(at_one(provenance, "activity"), (activity,))
        or any(item == role for item in at(provenance, "entity", "role"))
    )


_DATED = (
    r"(((0[1-9]|1[0-9]|2[0-9]|3[0-1])(01|03|05|07|08|10|12))|((0[1-9]|1[0-9]|2[0-9]|30)(04|06|09|11))"
    r"|((0[1-9]|1[0-9]|2[0-9])(02)))"
)
_CPR_PATTERN = rf"^({_DATED}[0-9]{{6}})$"
_REAL_CPR = (
    r"^(?:(?:31(?:0[13578]|1[02])|(?:30|29)(?:0[13-9]|1[0-2])|(?:0[1-9]|1[0-9]|2[0-8])(?:0[1-9]|1[0-2]))[0-9]{2}[0-9]"
    r"|290200[4-9]|2902(?:(?!00)[02468][048]|[13579][26])[0-3])[0-9]{3}$"
)
_X_ECPR = rf"^({_DATED}([0-9]{{2}})((1|7){{1}})([A-Z]{{2}})([0-9]{{1}}))$"
_D_ECPR = rf"^({_DATED}([0-9]{{2}})((0|5|6){{1}})([A-Z]{{2}})([0-9]{{1}}))$"
_UUID = "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID5 = "urn:uuid:[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[5][a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}"

FUNCTIONS: dict[str, Check] = {
    "matches('^[0-9]{8}$')": _matches(r"^[0-9]{8}$"),
    (
        "(( (substring(0,1).toInteger()*2)+ (substring(1,1).toInteger()*7)+ "
        "(substring(2,1).toInteger()*6)+ (substring(3,1).toInteger()*5)+ (substring(4,1).toInteger()*4)+ "
        "(substring(5,1).toInteger()*3)+ (substring(6,1).toInteger()*2)+ (substring(7,1).toInteger()*1)) "
        "mod(11)=0)"
    ): _cvr,
    "matches('^[^\\\\s]+$')": _matches(r"^[^\s]+$"),
    (
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (value.empty() or "
        "value.hasValue().not() or value > 0)"
    ): _quantity(lambda v: not _number(v.get("value")) or v["value"] > 0),
    "data.empty() or contentType.exists()": _needs("data", "contentType"),
    "matches('^([b-df-hj-np-tv-zB-DF-HJ-NP-TV-Z0-9]){5}$')": _matches(r"^([b-df-hj-np-tv-zB-DF-HJ-NP-TV-Z0-9]){5}$"),
    "total.empty() or (type = 'searchset') or (type = 'history')": lambda v, _c: (
        not has(v, "total") or v.get("type") in ("searchset", "history")
    ),
    "type = 'document' implies (timestamp.hasValue())": lambda v, _c: (
        v.get("type") != "document" or v.get("timestamp") is not None
    ),
    "type = 'document' implies entry.first().resource.is(Composition)": _first_is("Composition", "document"),
    "type = 'message' implies entry.first().resource.is(MessageHeader)": _first_is("MessageHeader", "message"),
    "entry.search.empty() or (type = 'searchset')": _only_in("search", "searchset"),
    (
        "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or "
        "%resource.type = 'history'))"
    ): _exactly_in("request", "batch", "transaction", "history"),
    (
        "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = "
        "'transaction-response' or %resource.type = 'history'))"
    ): _exactly_in("response", "batch-response", "transaction-response", "history"),
    "resource.exists() or request.exists() or response.exists()": _one_of("resource", "request", "response"),
    (
        "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()"
    ): _full_urls_differ,
    "fullUrl.contains('/_history/').not()": lambda v, _c: "/_history/" not in str(v.get("fullUrl")),
    "fullUrl.exists() implies fullUrl.contains('/_history/').not()": lambda v, _c: (
        "/_history/" not in str(v.get("fullUrl"))
    ),
    "type = 'document' implies (identifier.system.exists() and identifier.value.exists())": lambda v, _c: (
        v.get("type") != "document" or (has(v, "identifier", "system") and has(v, "identifier", "value"))
    ),
    "text.exists() or entry.exists() or section.exists()": _one_of("text", "entry", "section"),
    "emptyReason.empty() or entry.empty()": _not_both("emptyReason", "entry"),
    (
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (code.empty() or code "
        "= '1') and (value.empty() or value.hasValue().not() or value.toString().contains('.').not())"
    ): _quantity(_whole_count),
    "summary.exists() or assessment.exists()": _one_of("summary", "assessment"),
    "code.exists() or detail.exists()": _one_of("code", "detail"),
    (
        "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/Code"
        "System/condition-ver-status' and code = 'entered-in-error').exists() or "
        "category.select($this='problem-list-item').empty()"
    ): lambda v, _c: has(v, "clinicalStatus") or _in_error(v) or not has(v, "category"),
    (
        "abatement.empty() or clinicalStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/con"
        "dition-clinical' and (code='resolved' or code='remission' or code='inactive')).exists()"
    ): _abated,
    (
        "verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status"
        "' and code='entered-in-error').empty() or clinicalStatus.empty()"
    ): lambda v, _c: not (_in_error(v) and has(v, "clinicalStatus")),
    "detail.empty() or reference.empty()": _not_both("detail", "reference"),
    (
        "matches('^((((0[1-9]|1[0-9]|2[0-9]|3[0-1])(01|03|05|07|08|10|12))|((0[1-9]|1[0-9]|2[0-9]|30)(04|06"
        "|09|11))|((0[1-9]|1[0-9]|2[0-9])(02)))[0-9]{6})$')"
    ): _matches(_CPR_PATTERN),
    (
        "matches('^(?:(?:31(?:0[13578]|1[02])|(?:30|29)(?:0[13-9]|1[0-2])|(?:0[1-9]|1[0-9]|2[0-8])(?:0[1-9]"
        "|1[0-2]))[0-9]{2}[0-9]|290200[4-9]|2902(?:(?!00)[02468][048]|[13579][26])[0-3])[0-9]{3}$')"
    ): _matches(_REAL_CPR),
    "value.empty() or system.exists()": _needs("value", "system"),
    "onBehalfOf.exists() implies (member.resolve().iif(empty(), true, ofType(Practitioner).exists()))": _care_team,
    (
        "matches('^((((0[1-9]|1[0-9]|2[0-9]|3[0-1])(01|03|05|07|08|10|12))|((0[1-9]|1[0-9]|2[0-9]|30)(04|06"
        "|09|11))|((0[1-9]|1[0-9]|2[0-9])(02)))([0-9]{2})((0|5|6){1})([A-Z]{2})([0-9]{1}))$')"
    ): _matches(_D_ECPR),
    "(code.exists() or value.empty()) and (system.empty() or system = %ucum)": _quantity(lambda _v: True),
    (
        "value.ofType(Quantity).value.exists() implies value.ofType(Quantity).unit.exists() or "
        "value.ofType(Quantity).code.exists()"
    ): _units,
    (
        "identifier.where(system='urn:oid:1.2.208.176.1.1' or system='https://kombit.dk/sts/organisation' "
        "or system='urn:oid:1.3.198' or system='http://cvr.dk').exists()"
    ): _identified_by(_SOR, _FK_ORG, "urn:oid:1.3.198", "http://cvr.dk"),
    (
        "identifier.where(system='urn:oid:1.2.208.176.1.1' or system='https://kombit.dk/sts/organisation' "
        "or system='urn:oid:2.16.840.1.113883.2.24.1.1').exists()"
    ): _identified_by(_SOR, _FK_ORG, "urn:oid:2.16.840.1.113883.2.24.1.1"),
    "contained.contained.empty()": _when("contained", lambda v, _c: not at(v, "contained", "contained")),
    (
        "contained.where((('#'+id in (%resource.descendants().reference | "
        "%resource.descendants().as(canonical) | %resource.descendants().as(uri) | "
        "%resource.descendants().as(url))) or descendants().where(reference = '#').exists() or "
        "descendants().where(as(canonical) = '#').exists() or descendants().where(as(canonical) = "
        "'#').exists()).not()).trace('unmatched', id).empty()"
    ): _when("contained", _contained_are_used),
    "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()": _when(
        "contained", lambda v, _c: not any(has(v, "contained", "meta", name) for name in ("versionId", "lastUpdated"))
    ),
    "contained.meta.security.empty()": _when("contained", lambda v, _c: not has(v, "contained", "meta", "security")),
    "text.`div`.exists()": lambda v, _c: "div" in v.get("text", ()),
    "path.exists() xor searchParam.exists()": lambda v, _c: has(v, "path") is not has(v, "searchParam"),
    "code.exists() implies ((system = %ucum) and value.exists())": lambda v, _c: (
        not has(v, "code") or (same(at(v, "system"), _UCUM) and has(v, "value"))
    ),
    "expression.exists() or reference.exists()": _one_of("expression", "reference"),
    "extension.exists() != value.exists()": lambda v, _c: ("extension" in v) is not has_choice(v, "value"),
    (
        "entry.select(resource as Condition).all( "
        "$this.conformsTo('http://fhir.kl.dk/rehab/StructureDefinition/klgateway-140-condition') or "
        "$this.conformsTo('http://fhir.kl.dk/rehab/StructureDefinition/klgateway-140-focus-condition'))"
    ): _conform("Condition", _REHAB + "klgateway-140-condition", _REHAB + "klgateway-140-focus-condition"),
    (
        "entry.select(resource as CarePlan).all( $this.conformsTo('http://fhir.kl.dk/rehab/StructureDefinit"
        "ion/klgateway-140-care-plan') or $this.conformsTo('http://fhir.kl.dk/rehab/StructureDefinition/klg"
        "ateway-140-planned-intervention'))"
    ): _conform("CarePlan", _REHAB + "klgateway-140-care-plan", _REHAB + "klgateway-140-planned-intervention"),
    (
        "category.select(coding.code = 'ffd81f78-352e-4589-a195-5350dd1df2a4' or coding.code = "
        "'0c8e2bfc-1350-45d1-90da-c07e2645d073' or coding.code = "
        "'83c89857-8fb8-4163-97b1-eb1a56345c29').anyTrue()"
    ): _one_level,
    "matches('^[0-9]{13}$')": _matches(r"^[0-9]{13}$"),
    (
        "(( (10-((substring(0,1).toInteger()*1)+ (substring(1,1).toInteger()*3)+ "
        "(substring(2,1).toInteger()*1)+ (substring(3,1).toInteger()*3)+ (substring(4,1).toInteger()*1) "
        "+(substring(5,1).toInteger()*3) +(substring(6,1).toInteger()*1) +(substring(7,1).toInteger()*3) "
        "+(substring(8,1).toInteger()*1) +(substring(9,1).toInteger()*3) +(substring(10,1).toInteger()*1) "
        "+(substring(11,1).toInteger()*3))mod(10))mod(10))=substring(12,1).toInteger())"
    ): _gln,
    "(detail.exists() and measure.exists()) or detail.exists().not()": _needs("detail", "measure"),
    "code.coding.where(system = 'urn:oid:1.2.208.176.2.4.12').exists() or code.text.exists()": lambda v, _c: (
        bool(coded_in(v, "code", (_SKS_D,))) or has(v, "code", "text")
    ),
    (
        "code.coding.where(system = 'http://hl7.org/fhir/sid/icf' or system = 'urn:oid:1.2.208.176.2.4').exists()"
    ): lambda v, _c: bool(coded_in(v, "code", ("http://hl7.org/fhir/sid/icf", "urn:oid:1.2.208.176.2.4"))),
    (
        "entry.resource.ofType(Observation).code.coding.where(system = "
        "'https://gtgateway.example/fhir/CodeSystem/gop-section' and (code = 'functioning-at-discharge' or "
        "code = 'functioning-body' or code = 'functioning-activity-participation' or code = "
        "'functioning-environment')).exists()"
    ): _has_section(*_ABILITIES),
    (
        "entry.resource.ofType(Observation).code.coding.where(system = "
        "'https://gtgateway.example/fhir/CodeSystem/gop-section' and code = 'rehabilitation-need').exists()"
    ): _has_section("rehabilitation-need"),
    (
        "entry.resource.ofType(Observation).code.coding.where(system = "
        "'https://gtgateway.example/fhir/CodeSystem/gop-section' and code != "
        "'journal-excerpt').code.isDistinct()"
    ): _sections_once,
    (
        "entry.resource.ofType(Observation).code.coding.where(system = "
        "'https://gtgateway.example/fhir/CodeSystem/gop-section' and code = "
        "'rehabilitation-focus').exists() or entry.resource.ofType(Observation).component.exists()"
    ): lambda v, c: "rehabilitation-focus" in _sections(v, c) or has_any(resources(v, "Observation", c), "component"),
    (
        "entry.resource.ofType(Consent).exists() or "
        "entry.resource.ofType(ServiceRequest).extension('http://fhir.kl.dk/core/StructureDefinition/Subjec"
        "tConsentToLiaising').exists()"
    ): lambda v, c: (
        bool(resources(v, "Consent", c))
        or any(extensions(item, _LIAISING) for item in resources(v, "ServiceRequest", c))
    ),
    (
        "entry.resource.ofType(Consent).exists() implies "
        "entry.resource.ofType(MessageHeader).destination.where( "
        "extension('http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-destinationUseEx"
        "tension').value.code = 'primary').receiver.resolve().id.subsetOf( "
        "%resource.entry.resource.ofType(Consent).provision.where(type = "
        "'permit').actor.reference.resolve().id)"
    ): _consent_permits,
    (
        "entry.resource.ofType(Consent).exists() implies "
        "entry.resource.ofType(MessageHeader).destination.receiver.resolve().id.subsetOf( "
        "%resource.entry.resource.ofType(Consent).provision.select(actor | "
        "provision.actor).reference.resolve().id)"
    ): _consent_names_all,
    (
        "entry.resource.ofType(ServiceRequest).category.coding.where(code = "
        "'0c8e2bfc-1350-45d1-90da-c07e2645d073').exists() implies "
        "entry.resource.ofType(MessageHeader).destination.where( "
        "extension('http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-destinationUseEx"
        "tension').value.code = 'primary').receiver.resolve().where( identifier.where(system = "
        "'http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes' or system = "
        "'urn:oid:1.2.208.176.1.4' or system = 'urn:iso:std:iso:3166:-2' or system = "
        "'http://hl7.dk/fhir/core/CodeSystem/dk-core-regional-subdivision-codes').empty() "
        ").id.intersect(%resource.entry.resource.ofType(ServiceRequest).performer.resolve().id).exists()"
    ): _specialised_at_hospital,
    (
        "(entry.resource.ofType(Encounter).where(status = "
        "'finished').period.end.select(toString()).where(endsWith('Z').not()) .select(substring(0, 10)) | "
        "entry.resource.ofType(ServiceRequest).extension('http://fhir.kl.dk/rehab/StructureDefinition/Preco"
        "nditionDate').value.select( toString())).count() <= 1"
    ): _one_discharge,
    (
        "identifier.where(system = 'urn:oid:1.2.208.176.1.1').exists() and identifier.where(system = "
        "'https://www.gs1.org/gln' or system = 'http://www.gs1.org/gln').exists()"
    ): _sor_and_gln,
    (
        "birthDate.empty() or identifier.where(system = 'urn:oid:1.2.208.176.1.2' and "
        "value.matches('^[0-9]{10}$')).value.all( (iif(substring(6, 1) <= '3', '19', iif(substring(6, 1) = "
        "'4' or substring(6, 1) = '9', iif(substring(4, 2) <= '36', '20', '19'), iif(substring(4, 2) <= "
        "'57', '20', '18'))) & substring(4, 2) & '-' & substring(2, 2) & '-' & substring(0, "
        "2)).startsWith(%resource.birthDate.toString()))"
    ): _born_as_cpr_says,
    "value.matches('^[0-9]{4}$')": _value_matches(r"^[0-9]{4}$"),
    (
        "activity.coding.where(code = 'modified-message').exists() implies entity.where(role = 'revision').exists()"
    ): _entity_for("modified-message", "revision"),
    (
        "activity.coding.where(code = 'retract-message').exists() implies entity.where(role = 'removal').exists()"
    ): _entity_for("retract-message", "removal"),
    (
        "category.coding.where(code = '0c8e2bfc-1350-45d1-90da-c07e2645d073' or code = "
        "'83c89857-8fb8-4163-97b1-eb1a56345c29' or code = 'ffd81f78-352e-4589-a195-5350dd1df2a4').count() "
        "<= 2 and category.coding.where(code = '0c8e2bfc-1350-45d1-90da-c07e2645d073' or code = "
        "'83c89857-8fb8-4163-97b1-eb1a56345c29' or code = 'ffd81f78-352e-4589-a195-5350dd1df2a4' or code = "
        "'8b962281-2ab6-4b10-9c91-4bac592d6d49' or code = 'b679c454-2da2-46dd-9425-0e52d4aa2bf3' or code = "
        "'egentraening').exists()"
    ): _level_or_own_training,
    (
        "category.coding.where(code = '0c8e2bfc-1350-45d1-90da-c07e2645d073' or code = "
        "'83c89857-8fb8-4163-97b1-eb1a56345c29' or code = "
        "'ffd81f78-352e-4589-a195-5350dd1df2a4').skip(1).all( code = "
        "'ffd81f78-352e-4589-a195-5350dd1df2a4')"
    ): _general_comes_last,
    (
        "category.coding.where(code = '8b962281-2ab6-4b10-9c91-4bac592d6d49' or code = "
        "'b679c454-2da2-46dd-9425-0e52d4aa2bf3').empty()"
    ): lambda v, _c: not _levels(v, (_BASIC, _ADVANCED)),
    (
        "category.coding.where(code = 'egentraening').empty() or category.coding.where(system = "
        "'http://fhir.kl.dk/term/CodeSystem/CareSocialCodes').empty()"
    ): _own_training_alone,
    "supportingInfo.all(resolve().exists())": lambda v, c: all(
        c.resolve(item.get("reference")) is not None for item in at(v, "supportingInfo") if isinstance(item, dict)
    ),
    "extension('http://fhir.kl.dk/rehab/StructureDefinition/PreconditionDate').exists()": lambda v, _c: bool(
        extensions(v, _REHAB + "PreconditionDate")
    ),
    "reasonReference.exists()": _one_of("reasonReference"),
    (
        "status = 'on-hold' implies extension('http://hl7.org/fhir/StructureDefinition/request-statusReason').exists()"
    ): lambda v, _c: v.get("status") != "on-hold" or bool(extensions(v, _HL7 + "request-statusReason")),
    (
        "extension('earliest').value.empty() or extension('latest').value.empty() or "
        "extension('earliest').value <= extension('latest').value"
    ): _starts_in_order,
    "lastModified.exists().not() or authoredOn.exists().not() or lastModified >= authoredOn": _in_order(
        "authoredOn", "lastModified"
    ),
    "activity.detail.all(statusReason.exists() = (status = 'cancelled' or status = 'stopped'))": _cancelled_with_reason,
    (
        "activity.detail.code.coding.code = '7f825e3e-1a5c-4249-bf41-9f7171fb6b8a' or "
        "activity.detail.code.coding.code = '2abe20c7-c0b4-41c1-b397-52acf36499ef' or "
        "activity.detail.code.coding.code = '58293f63-00d7-4730-8dbc-c784d40f9e23' or "
        "activity.detail.code.coding.code = '2c661159-1bb3-4af2-bdf1-f3a9927a99e2' or "
        "activity.detail.code.coding.code = '8d714c98-f23a-4722-8a2f-85c162fe4840' or "
        "activity.detail.code.coding.code = '66fb32c9-ecc3-484b-be49-f20094be237c' or "
        "activity.detail.code.coding.code = 'f8ac963c-6ec5-4ec5-bd90-a22fea4e2d16' implies basedOn.exists()"
    ): lambda v, _c: has(v, "basedOn") or _intervention(v, *_BELOW_A_PLAN) is False,
    (
        "activity.detail.code.coding.code = '1130ad70-6553-490d-87f8-5e8941687a0c' or "
        "activity.detail.code.coding.code = 'ba3e17bd-d4aa-4848-acad-25adc8285c19' implies basedOn.empty()"
    ): lambda v, _c: not has(v, "basedOn") or _intervention(v, *_WITHOUT_A_PLAN) is False,
    (
        "maritalStatus.coding.where(code = 'P' and system = "
        "'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus').empty() or "
        "maritalStatus.coding.where(code = 'A' and system = "
        "'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus').empty()"
    ): _marital_status,
    "max='*' or (max.toInteger() > 0)": lambda v, _c: v == "*" or (isinstance(v, str) and v.isdigit() and int(v) > 0),
    (
        "iif(entry.resource.ofType(MessageHeader).response.code = 'ok', true, "
        "entry.resource.ofType(MessageHeader).response.code != 'ok' and "
        "entry.resource.ofType(OperationOutcome).exists())"
    ): _acknowledged_error,
    (
        "entry.resource.ofType(MessageHeader).conformsTo('http://medcomfhir.dk/ig/acknowledgement/Structure"
        "Definition/medcom-messaging-acknowledgementHeader')"
    ): lambda v, c: (
        len(headers := resources(v, "MessageHeader", c)) == 1 and c.fits(headers[0], (_ACKNOWLEDGEMENT_HEADER,))
    ),
    (
        "entry[0].resource.ofType(MessageHeader).meta.profile.startsWith('http://medcomfhir.dk/ig/carecommu"
        "nication/StructureDefinition/medcom-careCommunication-messageHeader')"
    ): _first_header_claims(_CARE + "medcom-careCommunication-messageHeader"),
    (
        "Bundle.entry.resource.ofType(Communication).extension.value.reference.resolve().managingOrganizati"
        "on.reference.resolve() = %resource.entry.resource.ofType(MessageHeader).sender.reference.resolve()"
        " or Bundle.entry.resource.ofType(Communication).extension.value.reference.resolve().organization.r"
        "eference.resolve() = %resource.entry.resource.ofType(MessageHeader).sender.reference.resolve() or "
        "Bundle.entry.resource.ofType(Communication).extension.exists().not()"
    ): _message_sender,
    (
        "Bundle.entry.resource.ofType(Communication).recipient.reference.resolve().managingOrganization.ref"
        "erence.resolve() = %resource.entry.resource.ofType(MessageHeader).destination.receiver.reference.r"
        "esolve() or Bundle.entry.resource.ofType(Communication).recipient.reference.resolve().organization"
        ".reference.resolve() = %resource.entry.resource.ofType(MessageHeader).destination.receiver.referen"
        "ce.resolve() or Bundle.entry.resource.ofType(Communication).recipient.exists().not()"
    ): _message_recipient,
    "Bundle.entry.resource.ofType(PractitionerRole).practitioner.reference.exists()": lambda v, c: has_any(
        resources(v, "PractitionerRole", c), "practitioner", "reference"
    ),
    (
        "iif(encounter.exists(), Communication.encounter.reference.exists(), Communication.encounter.exists().not())"
    ): lambda v, _c: not has(v, "encounter") or has(v, "encounter", "reference"),
    "entry.where(resource.is(Patient)).count() = 1": lambda v, c: len(resources(v, "Patient", c)) == 1,
    (
        "entry.resource.ofType(Provenance).all(meta.profile.startsWith('http://medcomfhir.dk/ig/carecommuni"
        "cation/StructureDefinition/medcom-careCommunication-provenance'))"
    ): _provenances_claim(_CARE + "medcom-careCommunication-provenance"),
    "entry.resource.ofType(Practitioner).name.exists()": lambda v, c: has_any(resources(v, "Practitioner", c), "name"),
    "where(category.coding.code != 'regarding-referral').priority.empty()": _priority,
    "iif(category.coding.code != 'other', true, category.coding.code = 'other' and topic.exists())": _topic,
    (
        "payload.extension('http://medcomfhir.dk/ig/core/StructureDefinition/medcom-core-practitioner-exten"
        "sion').value.resolve().all(code.coding.code.exists() xor code.text.exists())"
    ): _signed_with_role,
    (
        "payload.where(extension('http://medcomfhir.dk/ig/core/StructureDefinition/medcom-core-practitioner"
        "-extension').exists()).extension.value.reference.resolve().practitioner.resolve().name.exists()"
    ): _signed_by_name,
    ("iif(encounter.exists().not(), true, encounter.reference.resolve().episodeOfCare.identifier.exists())"): _episode,
    (
        "matches('^http://medcomfhir.dk/ig/messagedefinitions/MessageDefinition/MedComCareCommunicationMess"
        "ageDefinition|5[.][0-9]{1,2}$')"
    ): _matches(
        r"^http://medcomfhir.dk/ig/messagedefinitions/MessageDefinition/MedComCareCommunicationMessageDefinition|5[.][0-9]{1,2}$"
    ),
    "matches('[+]?[-0-9]')": _matches("[+]?[-0-9]"),
    (
        "code.exists() implies (code.coding.where(system.exists() and code.exists()).exists() xor code.text.exists())"
    ): _role_by_code_or_text,
    "name.exists() or extension('http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()": lambda v, _c: (
        has(v, "name") or bool(extensions(v, _HL7 + "data-absent-reason"))
    ),
    "reference.resolve().code.coding.code.exists()": lambda v, c: has_any(resolved([v], c), "code", "coding", "code"),
    "reference.resolve().practitioner.resolve().name.exists()": lambda v, c: has_any(
        resolved(at_all(resolved([v], c), "practitioner"), c), "name"
    ),
    (
        "entry.ofType(MessageHeader).all(resource.conformsTo('http://medcomfhir.dk/fhir/hospitalnotificatio"
        "n/StructureDefinition/medcom-hospitalNotification-messageHeader'))"
    ): _conform("MessageHeader", _HOSPITAL + "medcom-hospitalNotification-messageHeader"),
    (
        "entry.ofType(Provenance).all(resource.activity.memberOf('http://medcomfhir.dk/fhir/dk-medcom-termi"
        "nology/ValueSet/medcom-hospitalNotification-messageActivities'))"
    ): _activities_in(_TERMINOLOGY + "medcom-hospitalNotification-messageActivities"),
    "entry.resource.ofType(Patient).identifier.system = 'urn:oid:1.2.208.176.1.2'": lambda v, c: same(
        at_all(resources(v, "Patient", c), "identifier", "system"), _CPR
    ),
    "Bundle.entry.resource.ofType(MessageHeader).destination.extension.value.code = 'primary'": _one_primary,
    "where(status = 'onleave').extension.value.start.exists() or status != 'onleave'": _leave,
    (
        "entry.ofType(MessageHeader).all(resource.conformsTo('http://medcomfhir.dk/fhir/messaging/Structure"
        "Definition/medcom-messaging-messageHeader'))"
    ): _conform("MessageHeader", _MESSAGING + "medcom-messaging-messageHeader"),
    "entry.resource.ofType(Provenance).exists()": lambda v, c: bool(resources(v, "Provenance", c)),
    (
        "entry.ofType(Provenance).all(resource.conformsTo('http://medcomfhir.dk/fhir/messaging/StructureDef"
        "inition/medcom-messaging-provenance'))"
    ): _conform("Provenance", _MESSAGING + "medcom-messaging-provenance"),
    "matches('urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')": _matches(_UUID),
    "value.matches('urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')": _value_matches(_UUID),
    "matches('^([0-9]){11,}$')": _matches(r"^([0-9]){11,}$"),
    "low.exists() or high.exists() or text.exists()": _one_of("low", "high", "text"),
    "dataAbsentReason.empty() or value.empty()": _when(
        "dataAbsentReason", lambda v, _c: "dataAbsentReason" not in v or not has_choice(v, "value")
    ),
    "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()": _when(
        "component", _not_repeated_in_components
    ),
    "(identifier.count() + name.count()) > 0": _one_of("identifier", "name"),
    "where(use = 'home').empty()": lambda v, _c: v.get("use") != "home",
    "name.exists() or telecom.exists() or address.exists() or organization.exists()": _one_of(
        "name", "telecom", "address", "organization"
    ),
    "start.hasValue().not() or end.hasValue().not() or (start <= end)": _in_order("start", "end"),
    "policy.exists() or policyRule.exists()": _one_of("policy", "policyRule"),
    (
        "patient.exists() or scope.coding.where(system='something' and code='patient-privacy').exists().not()"
    ): _needs_patient("patient-privacy"),
    "patient.exists() or scope.coding.where(system='something' and code='research').exists().not()": _needs_patient(
        "research"
    ),
    "patient.exists() or scope.coding.where(system='something' and code='adr').exists().not()": _needs_patient("adr"),
    "patient.exists() or scope.coding.where(system='something' and code='treatment').exists().not()": _needs_patient(
        "treatment"
    ),
    "orderDetail.empty() or code.exists()": _needs("orderDetail", "code"),
    "code.empty() or system.exists()": _needs("code", "system"),
    "(numerator.empty() xor denominator.exists()) and (numerator.exists() or extension.exists())": _ratio,
    (
        "reference.startsWith('#').not() or (reference.substring(1).trace('url') in "
        "%rootResource.contained.id.trace('ids'))"
    ): _when("reference", _local_reference),
    "low.empty() or high.empty() or (low <= high)": _range,
    "name.empty() or query.empty()": _not_both("name", "query"),
    "comparator.empty()": lambda v, _c: not has(v, "comparator"),
    "duration.empty() or durationUnit.exists()": _needs("duration", "durationUnit"),
    "timeOfDay.empty() or when.empty()": _not_both("timeOfDay", "when"),
    "period.empty() or periodUnit.exists()": _needs("period", "periodUnit"),
    "duration.exists() implies duration >= 0": _at_least_zero("duration"),
    "period.exists() implies period >= 0": _at_least_zero("period"),
    "periodMax.empty() or period.exists()": _needs("periodMax", "period"),
    "durationMax.empty() or duration.exists()": _needs("durationMax", "duration"),
    "countMax.empty() or count.exists()": _needs("countMax", "count"),
    "offset.empty() or (when.exists() and when.select($this in ('C' | 'CM' | 'CD' | 'CV')).allFalse())": _offset,
    "data.empty() or timing.empty()": lambda v, _c: not (has(v, "data") and has_choice(v, "timing")),
    "condition.exists() implies data.exists()": _needs("condition", "data"),
    (
        "(type = 'named-event' implies name.exists()) and (type = 'periodic' implies timing.exists()) and "
        "(type.startsWith('data-') implies data.exists())"
    ): _trigger,
    "htmlChecks()": lambda v, _c: isinstance(v, str) and narrative_is_sound(v),
    (
        "matches('urn:uuid:[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[5][a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}')"
    ): _matches(_UUID5),
    (
        "matches('^((((0[1-9]|1[0-9]|2[0-9]|3[0-1])(01|03|05|07|08|10|12))|((0[1-9]|1[0-9]|2[0-9]|30)(04|06"
        "|09|11))|((0[1-9]|1[0-9]|2[0-9])(02)))([0-9]{2})((1|7){1})([A-Z]{2})([0-9]{1}))$')"
    ): _matches(_X_ECPR),
}
