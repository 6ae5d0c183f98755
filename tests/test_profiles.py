"""Our FHIR package: fresh, sound in itself, and its invariants can fail. The examples are what they say."""

from __future__ import annotations

import copy
import json
import re
import runpy
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from lxml import etree

from gtgateway.model.findings import Severity
from gtgateway.model.identifiers import cpr_birth_date
from gtgateway.parsers import fhir
from gtgateway.validators.structure.profile import Profiles

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ROOT / "profiles"
BUILD = runpy.run_path(str(PROFILES / "build.py"))
EXAMPLES = runpy.run_path(str(PROFILES / "examples.py"))
GUIDE = BUILD["read_source"]()["guide"]
CANONICAL = GUIDE["canonical"]
FILES: dict[str, Json] = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(PROFILES.glob("*-*.json"))}
DEFINITIONS = {file["url"]: file for file in FILES.values() if file["resourceType"] == "StructureDefinition"}
MESSAGES: dict[str, Json] = {
    path.parent.name: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "samples/messages").glob("*/message.json"))
    if CANONICAL in path.read_text("utf-8")
}
PACKAGE = Profiles.load()
#: Profile by type, for the resources of which every one in a message follows ours.
PROFILED = {
    "Bundle": "gop-message",
    "MessageHeader": "gop-message-header",
    "Provenance": "gop-provenance",
    "ServiceRequest": "gop-servicerequest",
    "Patient": "gop-patient",
    "Encounter": "gop-encounter",
    "Condition": "gop-condition",
    "Observation": "gop-functioning",
    "Consent": "gop-consent",
    "PractitionerRole": "gop-practitionerrole",
}


def own(id: str) -> Json:
    return DEFINITIONS[f"{CANONICAL}/StructureDefinition/{id}"]


def of_type(message: Json, type_: str) -> list[Json]:
    return [entry["resource"] for entry in message["entry"] if entry["resource"]["resourceType"] == type_]


# --- the package ------------------------------------------------------------------------------------------------------


def test_the_package_is_what_its_source_says(shared: Path) -> None:
    made = BUILD["build"](shared / "data/fhir")
    written = {path.name: json.loads(path.read_text("utf-8")) for path in PROFILES.glob("*.json")}
    assert sorted(made) == sorted(written)
    for name, content in made.items():
        assert written[name] == content, f"{name} is stale: run python -m profiles.build"


#: Official profiles with every kind of difficulty: slices, type profiles, slices in slices, choices, unfolded types.
OFFICIAL = [
    "dk-core-basic-observation",
    "dk-core-condition",
    "dk-core-gln-identifier",
    "dk-core-organization",
    "dk-core-person-servicerequest",
    "klgateway-140-planned-intervention",
    "klgateway-140-servicerequest",
    "medcom-core-organization",
    "medcom-core-patient",
    "medcom-messaging-destinationUseExtension",
    "medcom-messaging-messageHeader",
    "medcom-messaging-organization",
]


@pytest.fixture(scope="module")
def definitions(shared: Path) -> Any:
    """The R4 base and the official packages that ours builds on."""
    return BUILD["Definitions"](shared / "data/fhir", GUIDE["package"])


@pytest.mark.parametrize("id", OFFICIAL)
def test_the_generator_makes_the_official_snapshots(definitions: Any, id: str) -> None:
    published = next(item for item in definitions.by_url.values() if item["id"] == id)
    parent = definitions(published["baseDefinition"])
    made = BUILD["snapshot"](parent, published["differential"]["element"], definitions)

    def essence(element: Json) -> Json:
        kept = ("id", "path", "sliceName", "min", "max", "contentReference", "mustSupport", "fixedUri", "patternCode")
        # Published types may name the version of the base that they were made with.
        types = json.loads(re.sub(r"\|[0-9.]+", "", json.dumps(element.get("type", []))))
        return {key: element[key] for key in kept if key in element} | {
            "type": [{key: value for key, value in type_.items() if key != "extension"} for type_ in types],
            "constraint": [constraint["key"] for constraint in element.get("constraint", [])],
        }

    assert [essence(element) for element in made] == [essence(item) for item in published["snapshot"]["element"]]


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda item: item["id"])
def test_a_snapshot_is_whole(definition: Json) -> None:
    elements = definition["snapshot"]["element"]
    ids = [element["id"] for element in elements]
    assert len(ids) == len(set(ids))
    assert ids[0] == definition["type"]
    for element in elements:
        assert element["definition"]
        assert element["max"] == "*" or int(element["max"]) >= element["min"]
        if element["id"] != ids[0]:
            assert element["id"].rpartition(".")[0] in ids
        if ":" in element["id"].rpartition(".")[2]:
            assert element["id"].rpartition(":")[2] == element["sliceName"]
            twin = element["id"].rpartition(":")[0]
            assert elements[ids.index(twin)]["slicing"], twin
    for element in definition["differential"]["element"]:
        assert element["id"] in ids


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda item: item["id"])
def test_a_profile_only_narrows_its_parent(definitions: Any, definition: Json) -> None:
    parent = DEFINITIONS.get(definition["baseDefinition"]) or definitions(definition["baseDefinition"])
    allowed = {element["id"]: element for element in parent["snapshot"]["element"]}
    for element in definition["snapshot"]["element"]:
        above = allowed.get(element["id"])
        if above is None:
            continue
        assert element["min"] >= above["min"], element["id"]
        assert above["max"] == "*" or (element["max"] != "*" and int(element["max"]) <= int(above["max"])), element[
            "id"
        ]
        codes = {type_["code"] for type_ in above.get("type", [])}
        assert {type_["code"] for type_ in element.get("type", [])} <= codes or "Resource" in codes, element["id"]
        keys = {constraint["key"] for constraint in above.get("constraint", [])}
        assert keys <= {constraint["key"] for constraint in element.get("constraint", [])}, element["id"]


def test_every_url_of_ours_is_defined() -> None:
    defined = {file["url"] for file in FILES.values()}
    used = set()
    for text in (path.read_text("utf-8") for path in [*PROFILES.glob("*-*.json"), *samples()]):
        pattern = re.escape(CANONICAL) + r"/(?:StructureDefinition|ValueSet|CodeSystem|MessageDefinition)/[a-z0-9-]+"
        used |= set(re.findall(pattern, text))
    assert used <= defined
    assert {url for url in defined if "/ValueSet/" in url} <= used


def samples() -> list[Path]:
    """The FHIR examples, in both formats."""
    examples = (ROOT / "samples/messages").glob("*/message.json")
    return sorted(file for example in examples for file in example.parent.glob("message.*"))


def test_the_canonical_stands_in_one_place() -> None:
    manifest = json.loads((PROFILES / "package.json").read_text("utf-8"))
    assert manifest["canonical"] == CANONICAL
    named = [path.name for path in (PROFILES / "source").glob("*.toml") if CANONICAL in path.read_text("utf-8")]
    assert named == ["guide.toml"]
    assert CANONICAL not in (PROFILES / "build.py").read_text("utf-8")
    assert CANONICAL not in (PROFILES / "examples.py").read_text("utf-8")


def test_the_manifest_declares_the_versions_that_the_snapshots_are_made_with(shared: Path) -> None:
    declared = json.loads((shared / "data/fhir/packages/sets.json").read_text("utf-8"))["declared"]
    dependencies = json.loads((PROFILES / "package.json").read_text("utf-8"))["dependencies"]
    for folder in GUIDE["package"]:
        assert dependencies[declared[folder]["package"]] == declared[folder]["version"]


@pytest.mark.parametrize("name", FILES)
def test_a_definition_is_a_sound_resource(name: str) -> None:
    resource = FILES[name]
    type_ = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{type_.lower()}"), type_)
    assert model.model_validate(resource).id == resource["id"] == name.partition("-")[2].removesuffix(".json")
    assert resource["url"] == f"{CANONICAL}/{type_}/{resource['id']}"


def test_what_is_required_by_the_profile_section() -> None:
    """Cardinalities of fhir-dk E.3 that no rule of the catalogue softens."""
    cards = {
        element["id"]: f"{element['min']}..{element['max']}"
        for id in ("gop-message", "gop-message-header", "gop-servicerequest", "gop-functioning", "gop-provenance")
        for element in own(id)["snapshot"]["element"]
    }
    expected = {
        "Bundle.id": "1..1",
        "Bundle.timestamp": "1..1",
        "Bundle.entry:patient": "1..1",
        "Bundle.entry:serviceRequest": "1..1",
        "Bundle.entry:encounter": "1..1",
        "Bundle.entry:organization": "2..*",
        "Bundle.entry:provenance": "1..*",
        "Bundle.entry:condition": "0..*",
        "MessageHeader.id": "1..1",
        "MessageHeader.destination:primary": "1..1",
        "MessageHeader.destination:cc": "0..*",
        "MessageHeader.focus": "1..1",
        "MessageHeader.definition": "1..1",
        "ServiceRequest.identifier": "1..*",
        "ServiceRequest.subject": "1..1",
        "ServiceRequest.encounter": "1..1",
        "ServiceRequest.authoredOn": "1..1",
        "ServiceRequest.requester": "1..1",
        "ServiceRequest.performer": "1..*",
        "ServiceRequest.supportingInfo": "3..*",
        "ServiceRequest.extension:dischargeDate": "0..1",
        "ServiceRequest.doNotPerform": "0..0",
        "Observation.value[x]": "1..1",
        "Observation.effective[x]": "1..1",
        "Observation.performer": "1..*",
        "Provenance.target": "1..1",
        "Provenance.occurred[x]": "1..1",
    }
    assert {id: cards[id] for id in expected} == expected


# --- invariants -------------------------------------------------------------------------------------------------------


def invariants() -> Iterator[tuple[Json, Json, Json]]:
    """Definition, element and constraint of every invariant of ours."""
    for definition in DEFINITIONS.values():
        for element in definition["differential"]["element"]:
            for constraint in element.get("constraint", []):
                if constraint["key"].startswith("gop-"):
                    yield definition, element, constraint


def test_invariants_have_keys_of_their_own_and_both_languages() -> None:
    found = [constraint for _, _, constraint in invariants()]
    keys = [constraint["key"] for constraint in found]
    assert len(keys) == len(set(keys)) == 25
    for constraint in found:
        parts = {part["url"]: part for part in constraint["_human"]["extension"][0]["extension"]}
        assert parts["lang"]["valueCode"] == "da"
        assert parts["content"]["valueString"] not in ("", constraint["human"])


#: Expression → compiled; `resolve` reads the message at hand, which fhirpathpy cannot pass to it.
COMPILED: dict[str, Callable[..., list[Any]]] = {}
ENTRIES: dict[str, Json] = {}


def resolve(references: list[Any]) -> list[Json]:
    stated = [getattr(item, "data", item)["reference"] for item in references]
    return [ENTRIES[reference] for reference in stated if reference in ENTRIES]


def evaluated(expression: str, node: Json, resource: Json) -> list[Any]:
    if expression not in COMPILED:
        options = {"userInvocationTable": {"resolve": {"fn": resolve, "arity": {0: []}}}}
        COMPILED[expression] = fhirpathpy.compile(expression, models["r4"], options)
    return COMPILED[expression](node, {"resource": resource})


def broken(message: Json) -> dict[str, str]:
    """Key and severity of each invariant that a message breaks, as FHIRPath says."""
    ENTRIES.clear()
    for entry in message["entry"]:
        ENTRIES[f"{entry['resource']['resourceType']}/{entry['resource']['id']}"] = entry["resource"]
    parties = {resource["id"] for resource in parties_of(message)}
    result: dict[str, str] = {}
    for resource in [message, *(entry["resource"] for entry in message["entry"])]:
        profile = "gop-organization" if resource["id"] in parties else PROFILED.get(resource["resourceType"])
        if profile is None:
            continue
        contexts = [(own(profile), resource, resource)]
        contexts += [
            (DEFINITIONS[extension["url"]], extension, resource)
            for extension in resource.get("extension", [])
            if extension["url"] in DEFINITIONS
        ]
        for definition, node, root in contexts:
            for of, element, constraint in invariants():
                if of is not definition:
                    continue
                below = element["path"].partition(".")[2]
                for item in node.get(below, []) if below else [node]:
                    if evaluated(constraint["expression"], item, root) != [True]:
                        result[constraint["key"]] = constraint["severity"]
    return result


def parties_of(message: Json) -> list[Json]:
    header = message["entry"][0]["resource"]
    stated = [header["sender"], *(destination["receiver"] for destination in header["destination"])]
    ids = {reference["reference"].rpartition("/")[2] for reference in stated}
    return [resource for resource in of_type(message, "Organization") if resource["id"] in ids]


@pytest.mark.parametrize("case", MESSAGES)
def test_the_examples_break_no_invariant(case: str) -> None:
    assert broken(MESSAGES[case]) == {}


def test_the_published_proposals_break_no_invariant(shared: Path) -> None:
    for level in ("almen", "specialiseret"):
        path = shared / f"data/fhir/proposals/gop-message-{level}-example.json"
        assert broken(json.loads(path.read_text("utf-8"))) == {}


def test_official_test_persons_have_the_birth_date_of_their_number(shared: Path) -> None:
    """The century rule of gop-pat-1 against numbers that nobody here made up."""
    patients = json.loads((shared / "data/fhir/derived/test-patients.json").read_text("utf-8"))["patients"]
    expression = own("gop-patient")["differential"]["element"][0]["constraint"][0]["expression"]
    holds = fhirpathpy.compile(expression, models["r4"])
    judged = 0
    for person in patients:
        if person["system"] != "urn:oid:1.2.208.176.1.2" or not person["birthDate"]:
            continue
        identifier = {"system": person["system"], "value": person["value"]}
        patient = {"resourceType": "Patient", "identifier": [identifier], "birthDate": person["birthDate"]}
        agrees = str(cpr_birth_date(person["value"])) == person["birthDate"]
        assert holds(patient, {"resource": patient}) == [agrees], person["id"]
        judged += 1
    assert judged > 30


def _first(message: Json, type_: str) -> Json:
    return of_type(message, type_)[0]


def _drop(message: Json, type_: str, keep: Callable[[Json], bool] = lambda _: False) -> None:
    message["entry"] = [
        entry for entry in message["entry"] if entry["resource"]["resourceType"] != type_ or keep(entry["resource"])
    ]


def _without_sections(message: Json, *sections: str) -> None:
    """Drops sections, and the references to them."""
    _drop(message, "Observation", lambda item: item["code"]["coding"][0]["code"] not in sections)
    left = {f"Observation/{item['id']}" for item in of_type(message, "Observation")}
    request = _first(message, "ServiceRequest")
    request["supportingInfo"] = [
        entry
        for entry in request["supportingInfo"]
        if not entry["reference"].startswith("Observation/") or entry["reference"] in left
    ]


def _levels(message: Json, *codes: str) -> None:
    system = "http://fhir.kl.dk/term/CodeSystem/CareSocialCodes"
    own_type = f"{CANONICAL}/CodeSystem/gop-plan-type"
    _first(message, "ServiceRequest")["category"] = [
        {"coding": [{"system": own_type if code == "egentraening" else system, "code": code}]} for code in codes
    ]


ALMEN, SPECIALISERET = "ffd81f78-352e-4589-a195-5350dd1df2a4", "0c8e2bfc-1350-45d1-90da-c07e2645d073"
REHABILITERING, BASAL = "83c89857-8fb8-4163-97b1-eb1a56345c29", "8b962281-2ab6-4b10-9c91-4bac592d6d49"


def _no_diagnosis(message: Json) -> None:
    _drop(message, "Condition")
    del _first(message, "ServiceRequest")["reasonReference"]


def _primary_is_municipality(message: Json) -> None:
    destinations = message["entry"][0]["resource"]["destination"]
    for place, destination in enumerate(destinations):
        destination["extension"][0]["valueCoding"]["code"] = "primary" if place == 1 else "cc"
    _first(message, "ServiceRequest")["performer"] = [destinations[1]["receiver"]]


def _paying_municipality(message: Json) -> None:
    url = f"{CANONICAL}/StructureDefinition/gop-paying-municipality"
    _first(message, "Patient")["extension"] = [{"url": url, "valueCode": "219"}]


def _on_hold(message: Json) -> None:
    _first(message, "ServiceRequest")["status"] = "on-hold"


def _consent_to_none(message: Json, place: int) -> None:
    del _first(message, "Consent")["provision"]["actor"][place]


def _wrong(message: Json, type_: str, *path: str | int, value: Any) -> None:
    node: Any = _first(message, type_)
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value


#: What is done to which example, and which invariants (with which severity) it must break: one or more rows each.
FAULTS: dict[str, tuple[str, Callable[[Json], Any], dict[str, str]]] = {
    "no ability": (
        "almen-2027-hofte",
        lambda m: _without_sections(m, "functioning-at-discharge"),
        {"gop-msg-1": "error"},
    ),
    "no need": ("almen-2026-hofte", lambda m: _without_sections(m, "rehabilitation-need"), {"gop-msg-2": "error"}),
    "no focus and no ICF": (
        "almen-2026-knae",
        lambda m: _without_sections(m, "rehabilitation-focus"),
        {"gop-msg-4": "warning"},
    ),
    "no focus but ICF": ("almen-2026-hofte", lambda m: _without_sections(m, "rehabilitation-focus"), {}),
    "ability by chapters": (
        "rehabilitering-2026-barn",
        lambda m: _without_sections(m, "functioning-at-discharge"),
        {},
    ),
    "a section twice": (
        "almen-2026-hofte",
        lambda m: m["entry"].append(copy.deepcopy(next(e for e in m["entry"] if "valueString" in e["resource"]))),
        {"gop-msg-3": "error"},
    ),
    "no consent": (
        "almen-2026-hofte",
        lambda m: _drop(m, "Consent"),
        {"gop-msg-5": "error", "gop-sr-5": "error"},
    ),
    "primary receiver not permitted": (
        "almen-2026-hofte",
        lambda m: _consent_to_none(m, 0),
        {"gop-msg-6": "error", "gop-msg-7": "warning"},
    ),
    "copy not named in the consent": (
        "almen-2026-hofte",
        lambda m: _consent_to_none(m, 1),
        {"gop-msg-7": "warning"},
    ),
    "refused copy forgotten": (
        "almen-2026-knae",
        lambda m: _first(m, "Consent")["provision"].pop("provision"),
        {"gop-msg-7": "warning"},
    ),
    "specialised to the municipality": (
        "specialiseret-2026-haand",
        _primary_is_municipality,
        {"gop-msg-8": "error"},
    ),
    "performer is another": (
        "specialiseret-2026-haand",
        lambda m: _wrong(m, "ServiceRequest", "performer", value=[m["entry"][0]["resource"]["sender"]]),
        {"gop-msg-8": "error"},
    ),
    "discharge differs": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "ServiceRequest", "extension", 0, "valueDate", value="2026-11-15"),
        {"gop-msg-9": "error"},
    ),
    "discharge in UTC is not compared": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "Encounter", "period", "end", value="2026-11-15T23:30:00Z"),
        {},
    ),
    "expected discharge is not compared": (
        "almen-2027-ryg",
        lambda m: _wrong(m, "Encounter", "period", "end", value="2027-02-11T12:00:00+01:00"),
        {},
    ),
    "no discharge date": (
        "almen-2026-hofte",
        lambda m: _first(m, "ServiceRequest")["extension"].pop(0),
        {"gop-sr-6": "warning"},
    ),
    "start before it may": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "ServiceRequest", "extension", 1, "extension", 0, "valueDate", value="2026-12-08"),
        {"gop-start-1": "error"},
    ),
    "no level": ("almen-2026-hofte", lambda m: _levels(m, "x"), {"gop-sr-1": "error"}),
    "three levels": (
        "almen-2026-hofte",
        lambda m: _levels(m, REHABILITERING, ALMEN, "0c8e2bfc-1350-45d1-90da-c07e2645d073"),
        {"gop-sr-1": "error", "gop-sr-2": "warning", "gop-msg-8": "error"},
    ),
    "almen first": (
        "kombineret-2027-knae",
        lambda m: _levels(m, ALMEN, SPECIALISERET),
        {"gop-sr-2": "warning"},
    ),
    "basal": ("almen-2026-hofte", lambda m: _levels(m, BASAL), {"gop-sr-3": "warning"}),
    "egentraening": ("almen-2026-hofte", lambda m: _levels(m, "egentraening"), {}),
    "egentraening with a level": (
        "almen-2026-hofte",
        lambda m: _levels(m, "egentraening", ALMEN),
        {"gop-sr-4": "warning"},
    ),
    "supporting information elsewhere": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "ServiceRequest", "supportingInfo", 0, "reference", value="Observation/elsewhere"),
        {"gop-sr-5": "error"},
    ),
    "no diagnosis": ("almen-2026-hofte", _no_diagnosis, {"gop-sr-7": "warning"}),
    "on hold without a reason": ("almen-2026-hofte", _on_hold, {"gop-sr-8": "error"}),
    "birth date of another": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "Patient", "birthDate", value="2048-12-25"),
        {"gop-pat-1": "error"},
    ),
    "birth year only": ("almen-2026-hofte", lambda m: _wrong(m, "Patient", "birthDate", value="1948"), {}),
    "paying municipality of three digits": ("almen-2026-hofte", _paying_municipality, {"gop-paying-1": "error"}),
    "correction of nothing": (
        "rettelse-almen-2026-hofte",
        lambda m: _first(m, "Provenance").pop("entity"),
        {"gop-prov-1": "error"},
    ),
    "withdrawal of nothing": (
        "tilbagetraekning-almen-2026-knae",
        lambda m: _first(m, "Provenance").pop("entity"),
        {"gop-prov-2": "error"},
    ),
    "sender without GLN": (
        "almen-2026-hofte",
        lambda m: _first(m, "Organization")["identifier"].pop(0),
        {"gop-org-1": "error"},
    ),
    "GLN by its new system": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "Organization", "identifier", 0, "system", value="http://www.gs1.org/gln"),
        {},
    ),
    "diagnosis without code and text": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "Condition", "code", value={"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}),
        {"gop-con-1": "error"},
    ),
    "ICF by another system": (
        "almen-2026-hofte",
        lambda m: _wrong(m, "Observation", "component", 0, "code", value={"text": "styrke"}),
        {"gop-fun-1": "error"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_invariant_and_no_other(fault: str) -> None:
    case, spoil, expected = FAULTS[fault]
    message = copy.deepcopy(MESSAGES[case])
    spoil(message)
    assert broken(message) == expected


def test_every_invariant_can_fail() -> None:
    shown = {key for _, _, expected in FAULTS.values() for key in expected}
    assert shown == {constraint["key"] for _, _, constraint in invariants()}


# --- the examples -----------------------------------------------------------------------------------------------------


def test_the_examples_are_what_their_source_says() -> None:
    made = EXAMPLES["examples"]()
    assert sorted(made) == sorted(MESSAGES)
    for case, message in made.items():
        folder = ROOT / "samples/messages" / case
        assert MESSAGES[case] == message, f"{case} is stale: run python -m profiles.examples"
        assert (folder / "message.xml").read_bytes() == EXAMPLES["to_xml"](message)


def test_there_are_two_examples_of_each_level_under_each_order() -> None:
    found: dict[tuple[str, str], int] = {}
    for case, message in MESSAGES.items():
        if case.startswith(("rettelse", "tilbage")):
            continue
        request = _first(message, "ServiceRequest")
        levels = [category["coding"][0]["code"] for category in request["category"][:-1]]
        year = request["extension"][0]["valueDate"][:4]
        found["+".join(levels), year] = found.get(("+".join(levels), year), 0) + 1
    both = {(level, year): 2 for level in (ALMEN, SPECIALISERET, REHABILITERING) for year in ("2026", "2027")}
    assert found == both | {(f"{SPECIALISERET}+{ALMEN}", "2027"): 1}


@pytest.mark.parametrize(
    "case, earlier, activity, role, status",
    [
        ("rettelse-almen-2026-hofte", "almen-2026-hofte", "modified-message", "revision", "active"),
        ("tilbagetraekning-almen-2026-knae", "almen-2026-knae", "retract-message", "removal", "entered-in-error"),
    ],
)
def test_a_later_message_is_of_the_same_plan(case: str, earlier: str, activity: str, role: str, status: str) -> None:
    message, before = MESSAGES[case], MESSAGES[earlier]
    request = _first(message, "ServiceRequest")
    assert request["identifier"] == _first(before, "ServiceRequest")["identifier"]
    assert request["status"] == status
    assert message["id"] != before["id"]
    assert _first(message, "MessageHeader")["id"] != _first(before, "MessageHeader")["id"]
    latest, original = of_type(message, "Provenance")
    assert latest["activity"]["coding"][0]["code"] == activity
    reference = f"MessageHeader/{_first(before, 'MessageHeader')['id']}"
    assert latest["entity"] == [{"role": role, "what": {"reference": reference}}]
    assert original["target"] == [{"reference": reference}]


@pytest.mark.parametrize("case", MESSAGES)
def test_an_example_is_the_same_in_json_and_xml(case: str) -> None:
    """By a library that nobody here wrote."""
    model = import_module("fhir.resources.R4B.bundle").Bundle
    body = (ROOT / "samples/messages" / case / "message.xml").read_bytes()
    from_xml = json.loads(model.model_validate_xml(body).model_dump_json())
    assert canonical(from_xml) == canonical(MESSAGES[case])


def canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: etree.tostring(etree.fromstring(item), method="c14n") if key == "div" else canonical(item)
            for key, item in value.items()
        }
    return [canonical(item) for item in value] if isinstance(value, list) else value


def test_only_official_test_persons_occur(shared: Path) -> None:
    official = json.loads((shared / "data/fhir/derived/test-patients.json").read_text("utf-8"))["patients"]
    known = {person["value"] for person in official}
    for message in MESSAGES.values():
        assert _first(message, "Patient")["identifier"][0]["value"] in known


@pytest.mark.parametrize("case", MESSAGES)
def test_an_example_follows_the_message_rules(case: str) -> None:
    message = MESSAGES[case]
    assert message["entry"][0]["resource"]["resourceType"] == "MessageHeader"
    ids = [entry["resource"]["id"] for entry in message["entry"]]
    assert len(ids) == len(set(ids))
    known = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in message["entry"]}
    earlier = {item["reference"] for entry in of_type(message, "Provenance") for item in entry["target"]}
    for reference in references(message):
        assert reference in known | earlier
    for entry in message["entry"]:
        assert entry["fullUrl"].endswith(f"{entry['resource']['resourceType']}/{entry['resource']['id']}")
        assert "<p>" in entry["resource"]["text"]["div"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_examples_are_valid(shared: Path) -> None:
    """Against this package and the official ones that it builds on, with nothing left unjudged."""
    profiles = Profiles.load([shared / "data/fhir/packages"])
    for case, message in MESSAGES.items():
        assert profiles.check(message) == (), case
        assert profiles.accepts(message), case


def test_the_examples_are_valid_by_this_package_alone() -> None:
    profiles = Profiles.load()
    for case, message in MESSAGES.items():
        assert {finding.severity for finding in profiles.check(message)} <= {Severity.INFORMATION}, case


#: Faults against the structure of the profile: where the validator must find them.
STRUCTURE_FAULTS: dict[str, tuple[Callable[[Json], Any], str]] = {
    "two patients": (
        lambda m: m["entry"].append(copy.deepcopy(next(e for e in m["entry"] if "birthDate" in e["resource"]))),
        "Bundle.entry",
    ),
    "section of another list": (
        lambda m: _wrong(m, "Observation", "code", "coding", 0, "code", value="x"),
        "Bundle.entry.resource.code",
    ),
    "ICF qualifier 7": (
        lambda m: _wrong(m, "Observation", "component", 0, "valueCodeableConcept", "coding", 0, "code", value="7"),
        "Bundle.entry.resource.component.valueCodeableConcept",
    ),
    "event of another message": (
        lambda m: _wrong(m, "MessageHeader", "eventCoding", "code", value="care-communication-message"),
        "Bundle.entry.resource.eventCoding",
    ),
    "not to be performed": (
        lambda m: _wrong(m, "ServiceRequest", "doNotPerform", value=True),
        "Bundle.entry.resource.doNotPerform",
    ),
    "funding by nobody": (
        lambda m: _first(m, "ServiceRequest")["extension"].append(
            {"url": f"{CANONICAL}/StructureDefinition/gop-funding", "valueCode": "nobody"}
        ),
        "Bundle.entry.resource.extension.valueCode",
    ),
    "reply": (
        lambda m: _wrong(m, "Provenance", "activity", "coding", 0, "code", value="reply-message"),
        "Bundle.entry.resource.activity",
    ),
    "consent without scope of treatment": (
        lambda m: _wrong(m, "Consent", "scope", "coding", 0, "code", value="research"),
        "Bundle.entry.resource.scope",
    ),
    "no author": (
        lambda m: _first(m, "PractitionerRole").pop("practitioner"),
        "Bundle.entry.resource.practitioner",
    ),
}


@pytest.mark.parametrize("fault", STRUCTURE_FAULTS)
def test_a_fault_of_structure_is_found_at_its_place(fault: str) -> None:
    spoil, place = STRUCTURE_FAULTS[fault]
    message = copy.deepcopy(MESSAGES["almen-2026-hofte"])
    spoil(message)
    errors = {finding.path for finding in PACKAGE.check(message) if finding.severity is Severity.ERROR}
    assert any(path.startswith(place) for path in errors), errors


@pytest.mark.parametrize("fault", FAULTS)
def test_the_validator_breaks_the_same_invariants_as_fhirpath(fault: str) -> None:
    """The validator's own functions agree with the FHIRPath library on what each invariant means."""
    case, spoil, expected = FAULTS[fault]
    message = copy.deepcopy(MESSAGES[case])
    spoil(message)
    found = {
        match[1]: str(finding.severity)
        for finding in PACKAGE.check(message)
        if (match := re.search(r"(gop-(?:msg|sr|start|pat|prov|org|con|fun|paying)-\d):", finding.text.en))
    }
    assert found == expected


def test_the_mappers_know_the_same_canonical() -> None:
    assert fhir.CANONICAL == CANONICAL
