"""Every feature of the profile validator, on packages of a few lines: no official package is needed."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.model.findings import Finding, Severity
from gtgateway.validators.structure.profile import Profiles

Json = dict[str, Any]

BASE = "http://hl7.org/fhir/StructureDefinition/"
TEST = "https://example.test/fhir/"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">Tekst</div>'


def profile(name: str, type_: str, *elements: Json, **more: Any) -> Json:
    """A StructureDefinition: the base snapshot is left out, each element stands as the profile has it."""
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": TEST + name,
        "version": "1.0.0",
        "kind": "resource" if type_[0].isupper() and type_ in ("Patient", "Bundle", "Observation") else "complex-type",
        "type": type_,
        "baseDefinition": BASE + type_,
        "derivation": "constraint",
        "snapshot": {"element": list(elements)},
    } | more


def element(id_: str, card: str, *types: str | Json, **more: Any) -> Json:
    path = ".".join(part.partition(":")[0] for part in id_.split("."))
    low, _, high = card.partition("..")
    base = more.pop("base", high)
    entry: Json = {"id": id_, "path": path, "min": int(low), "max": high, "base": {"max": base}}
    if types:
        entry["type"] = [{"code": item} if isinstance(item, str) else item for item in types]
    return entry | more


#: The elements of Patient that the tests use.
PATIENT = [
    element("Patient", "0..*"),
    element("Patient.id", "0..1", "id"),
    element("Patient.meta", "0..1", "Meta"),
    element("Patient.text", "0..1", "Narrative"),
    element("Patient.contained", "0..*", "Resource"),
    element("Patient.extension", "0..*", "Extension"),
    element("Patient.identifier", "0..*", "Identifier"),
    element("Patient.active", "0..1", "boolean"),
    element("Patient.name", "0..*", "HumanName"),
    element("Patient.gender", "0..1", "code"),
    element("Patient.birthDate", "0..1", "date"),
    element("Patient.deceased[x]", "0..1", "boolean", "dateTime"),
    element("Patient.address", "0..*", "Address"),
    element("Patient.maritalStatus", "0..1", "CodeableConcept"),
    element("Patient.managingOrganization", "0..1", {"code": "Reference", "targetProfile": [BASE + "Organization"]}),
]


def patient_profile(*changed: Json, name: str = "p", **more: Any) -> Json:
    """Patient with some elements changed or added, each in its place."""
    ids = {item["id"]: item for item in changed}
    rows: list[Json] = []
    for row in PATIENT:
        rows.append(ids.pop(row["id"], row))
        below = (row["id"] + ":", row["id"] + ".")
        if row["id"] != "Patient":
            rows += [ids.pop(key) for key in list(ids) if key.startswith(below)]
    assert not ids
    return profile(name, "Patient", *rows, **more)


Load = Callable[..., Profiles]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(*resources: Json, manifest: Json | None = None) -> Profiles:
        folder = tmp_path / "package"
        folder.mkdir(exist_ok=True)
        for number, resource in enumerate(resources):
            (folder / f"{resource['resourceType']}-{number}.json").write_bytes(orjson.dumps(resource))
        (folder / "package.json").write_bytes(
            orjson.dumps({"name": "example", "version": "1.0.0", "dependencies": {}} | (manifest or {}))
        )
        return Profiles.load([folder])

    return make


def patient(**values: Any) -> Json:
    return {
        "resourceType": "Patient",
        "meta": {"profile": [TEST + "p"]},
        "text": {"status": "generated", "div": DIV},
    } | values


def told(findings: tuple[Finding, ...], severity: Severity = Severity.ERROR) -> list[tuple[str, str | None]]:
    return [(item.rule, item.source_path) for item in findings if item.severity is severity]


def agree(profiles: Profiles, resource: Json) -> list[tuple[str, str | None]]:
    """The errors; the fast path never says yes where the other finds an error or a warning."""
    findings = profiles.check(resource)
    grave = [item for item in findings if item.severity is not Severity.INFORMATION]
    assert profiles.accepts(resource) is not bool(grave)
    return told(findings)


# --- cardinality, types, values ---------------------------------------------------------------------------------------


def test_cardinality_and_forbidden_elements(load: Load) -> None:
    profiles = load(
        patient_profile(
            element("Patient.identifier", "1..2", "Identifier", base="*"),
            element("Patient.deceased[x]", "0..0", "boolean", "dateTime", base="1"),
            element("Patient.name", "0..0", "HumanName", base="*"),
        )
    )
    one = {"system": "urn:x", "value": "1"}
    assert agree(profiles, patient(identifier=[one])) == []
    assert agree(profiles, patient()) == [("GOP-FHIR-06", "Patient.identifier")]
    assert agree(profiles, patient(identifier=[one] * 3)) == [("GOP-FHIR-07", "Patient.identifier")]
    assert agree(profiles, patient(identifier=[one], name=[{"family": "B"}])) == [("GOP-FHIR-07", "Patient.name")]
    assert agree(profiles, patient(identifier=[one], deceasedBoolean=False)) == [
        ("GOP-FHIR-07", "Patient.deceasedBoolean")
    ]


def test_fixed_values_and_patterns(load: Load) -> None:
    code = {"coding": [{"system": "urn:s", "code": "a"}]}
    profiles = load(
        patient_profile(
            element("Patient.gender", "0..1", "code", fixedCode="female"),
            element("Patient.maritalStatus", "0..1", "CodeableConcept", patternCodeableConcept=code),
        )
    )
    more = {"coding": [{"system": "urn:t", "code": "b"}, {"system": "urn:s", "code": "a", "display": "A"}]}
    assert agree(profiles, patient(gender="female", maritalStatus=more)) == []
    assert agree(profiles, patient(gender="male")) == [("GOP-FHIR-11", "Patient.gender")]
    assert agree(profiles, patient(maritalStatus={"text": "a"})) == [("GOP-FHIR-11", "Patient.maritalStatus")]


def test_texts_name_element_and_remedy_in_both_languages(load: Load) -> None:
    profiles = load(patient_profile(element("Patient.gender", "0..1", "code", fixedCode="female")))
    (finding,) = profiles.check(patient(gender="male"))
    assert finding.text.da == "Patient.gender skal være female; ret værdien."
    assert finding.text.en == "Patient.gender must be female; correct the value."
    assert (finding.path, finding.source_path) == ("Patient.gender", "Patient.gender")


def test_a_citizens_number_is_not_repeated(load: Load) -> None:
    codes = {
        "resourceType": "ValueSet",
        "url": TEST + "vs",
        "compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}]}]},
    }
    binding = {"strength": "required", "valueSet": TEST + "vs"}
    profiles = load(patient_profile(element("Patient.gender", "0..1", "code", binding=binding)), codes)
    (finding,) = profiles.check(patient(gender="2512489996"))
    assert "2512489996" not in finding.text.da + finding.text.en


# --- slicing ----------------------------------------------------------------------------------------------------------


def sliced(discriminator: Json, rules: str, *slices: Json, **more: Any) -> Json:
    base = element(
        "Patient.identifier", "0..*", "Identifier", slicing={"discriminator": [discriminator], "rules": rules}
    )
    return patient_profile(base | more, *slices)


#: A slice whose system stands in the slice.
def by_system(name: str, card: str, system: str) -> list[Json]:
    return [
        element(f"Patient.identifier:{name}", card, "Identifier", base="*"),
        element(f"Patient.identifier:{name}.system", "1..1", "uri", fixedUri=system),
        element(f"Patient.identifier:{name}.value", "1..1", "string"),
    ]


def test_slices_by_value_open(load: Load) -> None:
    profiles = load(sliced({"type": "value", "path": "system"}, "open", *by_system("a", "1..1", "urn:a")))
    a, other = {"system": "urn:a", "value": "1"}, {"system": "urn:b", "use": "old"}
    assert agree(profiles, patient(identifier=[a, other])) == []
    assert agree(profiles, patient(identifier=[other])) == [("GOP-FHIR-13", "Patient.identifier")]
    assert agree(profiles, patient()) == [("GOP-FHIR-13", "Patient.identifier")]
    assert agree(profiles, patient(identifier=[a, a])) == [("GOP-FHIR-14", "Patient.identifier")]
    assert agree(profiles, patient(identifier=[{"system": "urn:a"}])) == [
        ("GOP-FHIR-06", "Patient.identifier[0].value")
    ]


def test_slices_closed(load: Load) -> None:
    slices = [*by_system("a", "0..1", "urn:a"), *by_system("b", "0..*", "urn:b")]
    profiles = load(sliced({"type": "value", "path": "system"}, "closed", *slices))
    assert agree(profiles, patient(identifier=[{"system": "urn:b", "value": "1"}])) == []
    assert agree(profiles, patient(identifier=[{"system": "urn:c", "value": "1"}])) == [
        ("GOP-FHIR-15", "Patient.identifier[0]")
    ]


def test_slices_whose_discriminator_stands_in_the_type_profile(load: Load) -> None:
    identifier = profile(
        "id-a",
        "Identifier",
        element("Identifier", "0..*"),
        element("Identifier.system", "1..1", "uri", fixedUri="urn:a"),
        element("Identifier.use", "0..1", "code"),
        element(
            "Identifier.value",
            "1..1",
            "string",
            constraint=[{"key": "n", "severity": "error", "human": "8 cifre", "expression": "matches('^[0-9]{8}$')"}],
        ),
    )
    slice_ = element("Patient.identifier:a", "0..1", {"code": "Identifier", "profile": [TEST + "id-a"]}, base="*")
    profiles = load(sliced({"type": "value", "path": "system"}, "open", slice_), identifier)
    assert agree(profiles, patient(identifier=[{"system": "urn:a", "value": "12345678"}])) == []
    assert agree(profiles, patient(identifier=[{"system": "urn:a", "value": "1"}])) == [
        ("GOP-FHIR-16", "Patient.identifier[0].value")
    ]
    assert agree(profiles, patient(identifier=[{"system": "urn:z", "value": "1"}])) == []


def test_slices_by_pattern_of_the_value_itself(load: Load) -> None:
    pattern = {"system": "urn:a", "use": "official"}
    slice_ = element("Patient.identifier:a", "1..1", "Identifier", base="*", patternIdentifier=pattern)
    profiles = load(sliced({"type": "pattern", "path": "$this"}, "open", slice_))
    assert agree(profiles, patient(identifier=[{"system": "urn:a", "use": "official", "value": "1"}])) == []
    assert agree(profiles, patient(identifier=[{"system": "urn:a", "use": "temp"}])) == [
        ("GOP-FHIR-13", "Patient.identifier")
    ]


def test_slices_by_existence(load: Load) -> None:
    slice_ = [
        element("Patient.identifier:dated", "0..1", "Identifier", base="*"),
        element("Patient.identifier:dated.period", "1..1", "Period"),
        element("Patient.identifier:dated.value", "0..1", "string"),
    ]
    profiles = load(sliced({"type": "exists", "path": "period"}, "open", *slice_))
    dated = {"period": {"start": "2026-01-01"}, "value": "1"}
    assert agree(profiles, patient(identifier=[dated, {"value": "2"}])) == []
    assert agree(profiles, patient(identifier=[dated, dated])) == [("GOP-FHIR-14", "Patient.identifier")]


def test_a_choice_sliced_by_type(load: Load) -> None:
    slicing = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}
    profiles = load(
        patient_profile(
            element("Patient.deceased[x]", "1..1", "boolean", "dateTime", slicing=slicing),
            element("Patient.deceased[x]:deceasedBoolean", "1..1", "boolean", base="1"),
        )
    )
    assert agree(profiles, patient(deceasedBoolean=False)) == []
    assert agree(profiles, patient()) == [("GOP-FHIR-13", "Patient.deceasedBoolean")]
    assert ("GOP-FHIR-15", "Patient.deceasedDateTime") in agree(profiles, patient(deceasedDateTime="2026"))


def test_a_choice_that_must_be_of_one_type(load: Load) -> None:
    slicing = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
    profiles = load(
        patient_profile(
            element("Patient.deceased[x]", "1..1", "boolean", "dateTime", slicing=slicing),
            element("Patient.deceased[x]:deceasedBoolean", "1..1", "boolean", base="1"),
        )
    )
    assert agree(profiles, patient(deceasedBoolean=True)) == []
    assert agree(profiles, patient(deceasedDateTime="2026")) == [("GOP-FHIR-13", "Patient.deceasedDateTime")]


EXTENSION = profile(
    "ext",
    "Extension",
    element("Extension", "0..*"),
    element("Extension.extension", "0..0", "Extension", base="*"),
    element("Extension.url", "1..1", "uri", fixedUri=TEST + "ext"),
    element("Extension.value[x]", "1..1", "Coding", patternCoding={"system": "urn:s"}),
)


def test_extensions_are_judged_by_their_definition(load: Load) -> None:
    slicing = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
    profiles = load(
        patient_profile(
            element("Patient.extension", "0..*", "Extension", slicing=slicing),
            element("Patient.extension:e", "1..1", {"code": "Extension", "profile": [TEST + "ext"]}, base="*"),
        ),
        EXTENSION,
    )
    good = {"url": TEST + "ext", "valueCoding": {"system": "urn:s", "code": "a"}}
    assert agree(profiles, patient(extension=[good])) == []
    assert agree(profiles, patient(extension=[good | {"valueCoding": {"code": "a"}}])) == [
        ("GOP-FHIR-11", "Patient.extension[0].valueCoding")
    ]
    assert agree(profiles, patient(extension=[{"url": TEST + "ext", "valueString": "a"}])) == [
        ("GOP-FHIR-05", "Patient.extension[0].valueString"),
        ("GOP-FHIR-06", "Patient.extension[0].valueCoding"),
    ]
    # The same definition, where no slice names it.
    nested = patient(extension=[good], name=[{"family": "B", "extension": [{"url": TEST + "ext", "valueString": "a"}]}])
    assert ("GOP-FHIR-05", "Patient.name[0].extension[0].valueString") in agree(profiles, nested)


def test_slices_by_the_value_of_an_extension(load: Load) -> None:
    path = f"extension('{TEST}ext').value.code"
    slice_ = [
        element("Patient.identifier:a", "1..1", "Identifier", base="*"),
        element("Patient.identifier:a.extension", "0..*", "Extension"),
        element("Patient.identifier:a.extension:e", "1..1", {"code": "Extension", "profile": [TEST + "ext"]}, base="*"),
        element("Patient.identifier:a.extension:e.value[x]", "1..1", "Coding"),
        element("Patient.identifier:a.extension:e.value[x].code", "1..1", "code", patternCode="primary"),
        element("Patient.identifier:a.value", "0..1", "string"),
    ]
    profiles = load(sliced({"type": "value", "path": path}, "open", *slice_), EXTENSION)

    def identifier(code: str) -> Json:
        return {"value": "1", "extension": [{"url": TEST + "ext", "valueCoding": {"system": "urn:s", "code": code}}]}

    assert told(profiles.check(patient(identifier=[identifier("primary")]))) == []
    assert told(profiles.check(patient(identifier=[identifier("cc")]))) == [("GOP-FHIR-13", "Patient.identifier")]


def bundle_profile(*slices: Json, slicing: Json | None = None) -> Json:
    more = {"slicing": slicing} if slicing else {}
    return profile(
        "b",
        "Bundle",
        element("Bundle", "0..*"),
        element("Bundle.meta", "0..1", "Meta"),
        element("Bundle.type", "1..1", "code"),
        element("Bundle.entry", "0..*", "BackboneElement", **more),
        element("Bundle.entry.fullUrl", "0..1", "uri"),
        element("Bundle.entry.resource", "0..1", "Resource"),
        *slices,
    )


def bundle(*resources: Json, type_: str = "collection") -> Json:
    entries = [{"fullUrl": f"urn:uuid:{number}", "resource": item} for number, item in enumerate(resources)]
    return {"resourceType": "Bundle", "meta": {"profile": [TEST + "b"]}, "type": type_, "entry": entries}


def entry_slice(name: str, card: str, type_: Json) -> list[Json]:
    return [
        element(f"Bundle.entry:{name}", card, "BackboneElement", base="*"),
        element(f"Bundle.entry:{name}.fullUrl", "0..1", "uri"),
        element(f"Bundle.entry:{name}.resource", "1..1", type_),
    ]


def test_entries_sliced_by_profile_claimed_or_conformed_to(load: Load) -> None:
    wanted = {"code": "Patient", "profile": [TEST + "p"]}
    slicing = {"discriminator": [{"type": "profile", "path": "resource"}], "rules": "open"}
    profiles = load(
        bundle_profile(*entry_slice("citizen", "1..1", wanted), slicing=slicing),
        patient_profile(element("Patient.active", "1..1", "boolean")),
    )
    unclaimed = {key: value for key, value in patient(active=True).items() if key != "meta"}
    assert agree(profiles, bundle(patient(active=True))) == []
    assert agree(profiles, bundle(unclaimed)) == []
    assert agree(profiles, bundle(unclaimed | {"active": False} | {"deceasedBoolean": True})) == []
    del unclaimed["active"]
    assert agree(profiles, bundle(unclaimed)) == [("GOP-FHIR-13", "Bundle.entry")]
    # A resource that claims the profile belongs to the slice, and its own fault is told where it stands.
    assert agree(profiles, bundle(patient())) == [("GOP-FHIR-06", "Bundle.entry[0].resource.active")]


def test_entries_sliced_by_resource_type(load: Load) -> None:
    slicing = {"discriminator": [{"type": "type", "path": "resource"}], "rules": "closed"}
    profiles = load(
        bundle_profile(*entry_slice("citizen", "1..1", {"code": "Patient"}), slicing=slicing), patient_profile()
    )
    assert agree(profiles, bundle(patient())) == []
    organisation = {"resourceType": "Organization", "name": "X", "text": {"status": "generated", "div": DIV}}
    assert agree(profiles, bundle(patient(), organisation)) == [("GOP-FHIR-15", "Bundle.entry[1]")]


# --- terminology ------------------------------------------------------------------------------------------------------

SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "urn:s",
    "content": "complete",
    "concept": [
        {"code": "top", "concept": [{"code": "mid", "concept": [{"code": "leaf"}]}, {"code": "other"}]},
        {"code": "loose", "property": [{"code": "parent", "valueCode": "mid"}]},
    ],
}


def value_set(name: str, *include: Json, exclude: list[Json] | None = None) -> Json:
    compose: Json = {"include": list(include)} | ({"exclude": exclude} if exclude else {})
    return {"resourceType": "ValueSet", "url": TEST + name, "compose": compose}


@pytest.mark.parametrize(
    ("include", "exclude", "allowed"),
    [
        ({"system": "urn:s", "concept": [{"code": "mid"}]}, None, {"mid"}),
        ({"system": "urn:s"}, None, {"top", "mid", "leaf", "other", "loose"}),
        (
            {"system": "urn:s", "filter": [{"property": "concept", "op": "is-a", "value": "mid"}]},
            None,
            {"mid", "leaf", "loose"},
        ),
        (
            {"system": "urn:s", "filter": [{"property": "concept", "op": "descendent-of", "value": "mid"}]},
            None,
            {"leaf", "loose"},
        ),
        ({"valueSet": [TEST + "nested"]}, None, {"top", "leaf"}),
        ({"valueSet": [TEST + "nested"], "system": "urn:s"}, None, {"top", "leaf"}),
        ({"system": "urn:s"}, [{"system": "urn:s", "concept": [{"code": "top"}]}], {"mid", "leaf", "other", "loose"}),
    ],
)
def test_required_bindings_are_expanded(
    load: Load, include: Json, exclude: list[Json] | None, allowed: set[str]
) -> None:
    nested = value_set("nested", {"system": "urn:s", "concept": [{"code": "top"}, {"code": "leaf"}]})
    binding = {"strength": "required", "valueSet": TEST + "vs|9.9"}
    profiles = load(
        patient_profile(
            element("Patient.gender", "0..1", "code", binding=binding),
            element("Patient.maritalStatus", "0..1", "CodeableConcept", binding=binding),
        ),
        SYSTEM,
        nested,
        value_set("vs", include, exclude=exclude),
    )
    for code in ("top", "mid", "leaf", "other", "loose", "unheard"):
        good = code in allowed
        assert agree(profiles, patient(gender=code)) == ([] if good else [("GOP-FHIR-12", "Patient.gender")])
        coding = {"system": "urn:s", "code": code}
        expected = [] if good else [("GOP-FHIR-12", "Patient.maritalStatus")]
        assert (
            agree(profiles, patient(maritalStatus={"coding": [{"system": "urn:q", "code": "q"}, coding]})) == expected
        )
    assert agree(profiles, patient(maritalStatus={"text": "mid"})) == [("GOP-FHIR-12", "Patient.maritalStatus")]


def test_codes_of_a_system_that_is_not_loaded_are_information(load: Load) -> None:
    binding = {"strength": "required", "valueSet": TEST + "vs"}
    known = {"system": "urn:s", "concept": [{"code": "a"}]}
    profiles = load(
        patient_profile(element("Patient.maritalStatus", "0..1", "CodeableConcept", binding=binding)),
        value_set("vs", {"system": "http://snomed.info/sct"}, known),
    )
    snomed = patient(maritalStatus={"coding": [{"system": "http://snomed.info/sct", "code": "1"}]})
    assert agree(profiles, snomed) == []
    assert told(profiles.check(snomed), Severity.INFORMATION) == [("GOP-FHIR-23", "Patient.maritalStatus")]
    other = patient(maritalStatus={"coding": [{"system": "urn:s", "code": "b"}]})
    assert agree(profiles, other) == [("GOP-FHIR-12", "Patient.maritalStatus")]
    assert f"value set {TEST}vs ({TEST}p)" in profiles.unevaluated


# --- invariants -------------------------------------------------------------------------------------------------------


def ruled(expression: str, severity: str = "error") -> Json:
    rule = {
        "key": "x-1",
        "severity": severity,
        "human": "An English reason.",
        "expression": expression,
        "_human": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/translation",
                    "extension": [
                        {"url": "lang", "valueCode": "da"},
                        {"url": "content", "valueString": "En dansk grund."},
                    ],
                }
            ]
        },
    }
    return patient_profile(PATIENT[0] | {"constraint": [rule]}, name="p")


@pytest.fixture
def ruled_by(load: Load) -> Callable[..., Profiles]:
    def make(expression: str, severity: str = "error") -> Profiles:
        definition = ruled(expression, severity)
        return load(definition)

    return make


def test_an_invariant_without_a_function_is_evaluated_on_the_explaining_path(ruled_by: Callable[..., Profiles]) -> None:
    profiles = ruled_by("name.family.exists() and birthDate < @2000-01-01")
    good, bad = patient(name=[{"family": "B"}], birthDate="1948-12-25"), patient(birthDate="1948-12-25")
    assert told(profiles.check(good)) == []
    (finding,) = profiles.check(bad)
    assert (finding.rule, finding.source_path) == ("GOP-FHIR-16", "Patient")
    assert finding.text.da == "Patient overholder ikke reglen x-1: En dansk grund."
    assert finding.text.en == "Patient breaks the rule x-1: An English reason."
    assert not profiles.accepts(good)  # no function: look closer
    assert profiles.uncovered == {"name.family.exists() and birthDate < @2000-01-01"}
    profiles.close()


def test_an_expression_that_yields_nothing_is_not_true(ruled_by: Callable[..., Profiles]) -> None:
    profiles = ruled_by("name.family = 'B'")
    assert told(profiles.check(patient())) == [("GOP-FHIR-16", "Patient")]
    assert told(profiles.check(patient(name=[{"family": "B"}]))) == []
    profiles.close()


def test_a_recommendation_is_a_warning(ruled_by: Callable[..., Profiles]) -> None:
    profiles = ruled_by("name.exists() = true", "warning")
    assert told(profiles.check(patient()), Severity.WARNING) == [("GOP-FHIR-17", "Patient")]
    profiles.close()


def test_an_unknown_function_is_reported_not_passed(ruled_by: Callable[..., Profiles]) -> None:
    profiles = ruled_by("name.unheardOf()")
    findings = profiles.check(patient())
    assert told(findings) == []
    assert told(findings, Severity.INFORMATION) == [("GOP-FHIR-21", "Patient")]
    profiles.close()


def test_conforms_to_and_member_of_are_asked_back(load: Load) -> None:
    expression = f"maritalStatus.memberOf('{TEST}vs') and conformsTo('{BASE}Patient')"
    rule = {"key": "x-1", "severity": "error", "human": "x", "expression": expression}
    profiles = load(patient_profile(PATIENT[0] | {"constraint": [rule]}), value_set("vs", {"system": "urn:s"}), SYSTEM)
    assert told(profiles.check(patient(maritalStatus={"coding": [{"system": "urn:s", "code": "mid"}]}))) == []
    assert told(profiles.check(patient(maritalStatus={"coding": [{"system": "urn:s", "code": "no"}]}))) == [
        ("GOP-FHIR-16", "Patient")
    ]
    profiles.close()


@pytest.mark.parametrize(
    "bomb",
    [
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')",
        "descendants().descendants().descendants().descendants().descendants().descendants().count() >= 0",
        "(" * 400 + "true" + ")" * 400,
        "repeat('x' | 'y' & $this).exists()",
    ],
)
def test_bombs_in_a_package_cost_bounded_time(ruled_by: Callable[..., Profiles], bomb: str) -> None:
    profiles = ruled_by(bomb)
    begun = time.monotonic()
    for _ in range(3):  # what was given up is not tried again
        profiles.check(patient(name=[{"family": "B", "given": ["A", "C"]}] * 5))
    assert time.monotonic() - begun < 10
    profiles.close()


# --- references -------------------------------------------------------------------------------------------------------


def referring(**entry: Any) -> Json:
    target = {"code": "Reference"} | entry
    return patient_profile(element("Patient.managingOrganization", "0..1", target))


ORGANISATION = {"resourceType": "Organization", "id": "o", "name": "X", "text": {"status": "generated", "div": DIV}}


def test_bundled_references_resolve_in_the_bundle(load: Load) -> None:
    profiles = load(referring(targetProfile=[BASE + "Organization"], aggregation=["bundled"]), bundle_profile())
    for reference in ("Organization/o", "urn:uuid:1"):
        assert agree(profiles, bundle(patient(managingOrganization={"reference": reference}), ORGANISATION)) == []
    lost = patient(managingOrganization={"reference": "http://elsewhere.test/Organization/o"})
    assert agree(profiles, bundle(lost, ORGANISATION)) == [
        ("GOP-FHIR-18", "Bundle.entry[0].resource.managingOrganization.reference")
    ]


def test_targets_are_of_the_right_type_and_profile(load: Load) -> None:
    profiles = load(referring(targetProfile=[TEST + "o"]), bundle_profile(), organisation_profile())
    where = "Bundle.entry[0].resource.managingOrganization.reference"
    referred = patient(managingOrganization={"reference": "urn:uuid:1"})
    assert agree(profiles, bundle(referred, ORGANISATION | {"active": True})) == []  # conforms without a claim
    assert agree(profiles, bundle(referred, ORGANISATION)) == [("GOP-FHIR-19", where)]
    assert agree(profiles, bundle(referred, patient())) == [("GOP-FHIR-19", where)]
    wrong = patient(managingOrganization={"reference": "http://elsewhere.test/Patient/1"})
    assert agree(profiles, bundle(wrong)) == [("GOP-FHIR-19", where)]


def organisation_profile() -> Json:
    return profile(
        "o",
        "Organization",
        element("Organization", "0..*"),
        element("Organization.id", "0..1", "id"),
        element("Organization.meta", "0..1", "Meta"),
        element("Organization.text", "0..1", "Narrative"),
        element("Organization.active", "1..1", "boolean"),
        element("Organization.name", "0..1", "string"),
        element("Organization.partOf", "0..1", {"code": "Reference", "targetProfile": [TEST + "o"]}),
        kind="resource",
    )


def test_references_in_a_circle(load: Load) -> None:
    profiles = load(bundle_profile(), organisation_profile(), patient_profile())
    size = 50
    ring = [
        ORGANISATION
        | {"id": str(number), "active": True, "partOf": {"reference": f"Organization/{(number + 1) % size}"}}
        for number in range(size)
    ]
    for item in ring:
        item["meta"] = {"profile": [TEST + "o"]}
    assert agree(profiles, bundle(*ring)) == []
    del ring[7]["active"]
    assert agree(profiles, bundle(*ring)) == [("GOP-FHIR-06", "Bundle.entry[7].resource.active")]


# --- packages ---------------------------------------------------------------------------------------------------------


def test_a_guide_is_judged_by_the_versions_that_it_declares(tmp_path: Path) -> None:
    def write(label: str, manifest: Json, *resources: Json) -> None:
        (tmp_path / label).mkdir()
        (tmp_path / label / "package.json").write_bytes(orjson.dumps(manifest))
        for number, resource in enumerate(resources):
            (tmp_path / label / f"{resource['resourceType']}-{number}.json").write_bytes(orjson.dumps(resource))

    binding = {"strength": "required", "valueSet": TEST + "vs"}
    guide = patient_profile(element("Patient.gender", "0..1", "code", binding=binding))
    for version, code in (("1.0.0", "old"), ("2.0.0", "new")):
        terms = value_set("vs", {"system": "urn:s", "concept": [{"code": code}]})
        write(f"terms-{version}", {"name": "terms", "version": version, "dependencies": {}}, terms)
    write("guide", {"name": "guide", "version": "1.0.0", "dependencies": {"terms": "1.0.0"}}, guide)
    assert agree(Profiles.load([tmp_path]), patient(gender="old")) == []
    assert agree(Profiles.load([tmp_path]), patient(gender="new")) == [("GOP-FHIR-12", "Patient.gender")]
    # A list in sets.json wins over what the guide declares.
    (tmp_path / "sets.json").write_bytes(orjson.dumps({"sets": {"any": ["guide", "terms-2.0.0"]}}))
    assert agree(Profiles.load([tmp_path]), patient(gender="new")) == []


def test_the_stated_version_of_a_profile_is_the_one_that_judges(tmp_path: Path) -> None:
    for version, card in (("1.0.0", "0..1"), ("2.0.0", "1..1")):
        folder = tmp_path / version
        folder.mkdir()
        definition = patient_profile(element("Patient.active", card, "boolean"), version=version)
        (folder / "StructureDefinition-p.json").write_bytes(orjson.dumps(definition))
        manifest = {"name": "guide", "version": version, "dependencies": {}}
        (folder / "package.json").write_bytes(orjson.dumps(manifest))
    profiles = Profiles.load([tmp_path])
    assert agree(profiles, patient()) == [("GOP-FHIR-06", "Patient.active")]  # the newest
    assert agree(profiles, patient(meta={"profile": [f"{TEST}p|1.0.0"]})) == []
    assert told(profiles.check(patient(meta={"versionId": "1"}), profiles=[f"{TEST}p|1.0.0"])) == []


def test_npm_packages(tmp_path: Path) -> None:
    archive = tmp_path / "guide.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in (
            ("package/package.json", {"name": "guide", "version": "1.0.0", "dependencies": {}}),
            ("package/StructureDefinition-p.json", patient_profile(element("Patient.active", "1..1", "boolean"))),
            ("package/other/StructureDefinition-q.json", {"resourceType": "StructureDefinition"}),
        ):
            data = orjson.dumps(content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert agree(Profiles.load([tmp_path]), patient()) == [("GOP-FHIR-06", "Patient.active")]
    archive.write_bytes(b"no archive")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Profiles.load([tmp_path])
    with pytest.raises(ConfigurationError, match="is not a folder"):
        Profiles.load([tmp_path / "absent"])


def test_names_in_a_package_are_never_code(load: Load) -> None:
    name = "a\n    raise SystemExit"
    definition = sliced({"type": "value", "path": "system"}, "open", *by_system(name, "0..1", "urn:a"))
    profiles = load(definition | {"url": TEST + "p", "version": "1\nimport os"})
    assert agree(profiles, patient(identifier=[{"system": "urn:a", "value": "1"}])) == []
    assert not any(line.strip().startswith("raise") for line in profiles.source(TEST + "p").splitlines())


def test_profiles_and_extensions_that_are_not_loaded_are_information(load: Load) -> None:
    profiles = load(patient_profile())
    resource = patient(meta={"profile": [TEST + "unheard"]}, extension=[{"url": TEST + "unheard-of", "valueCode": "a"}])
    assert agree(profiles, resource) == []
    assert told(profiles.check(resource), Severity.INFORMATION) == [
        ("GOP-FHIR-22", "Patient.meta.profile"),
        ("GOP-FHIR-24", "Patient.extension[0]"),
    ]


def test_what_senders_claim_is_not_kept(load: Load) -> None:
    profiles = load(patient_profile())

    def judge(number: int) -> int:
        claim = f"{TEST}unheard-{number}"
        resource = patient(meta={"profile": [TEST + "p", claim]}, extension=[{"url": claim, "valueCode": "a"}])
        profiles.accepts(resource)
        profiles.check(resource)
        packages = profiles._for(resource, None)
        kept = (packages._profiles, packages._shapes, packages._trees, packages._lineages, profiles._judging)
        return sum(map(len, kept))

    assert judge(0) == judge(1) == judge(2)


def test_content_references(load: Load) -> None:
    """Bundle.entry.link has the content of Bundle.link."""
    profiles = load(patient_profile())
    entry = {"fullUrl": "urn:uuid:1", "resource": patient(), "link": [{"relation": "self"}]}
    document = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    assert agree(profiles, document) == [("GOP-FHIR-06", "Bundle.entry[0].link[0].url")]


# --- base structure: the eighteen kinds of fault ----------------------------------------------------------------------


def message() -> Json:
    header = {
        "resourceType": "MessageHeader",
        "id": "h",
        "text": {"status": "generated", "div": DIV},
        "eventCoding": {"system": "urn:e", "code": "x"},
        "source": {"endpoint": "urn:s"},
        "focus": [{"reference": "urn:uuid:p"}],
    }
    person: Json = {
        "resourceType": "Patient",
        "id": "p",
        "text": {"status": "generated", "div": DIV},
        "identifier": [{"use": "official", "system": "urn:i", "value": "1"}],
        "name": [{"family": "B", "given": ["A"]}],
        "birthDate": "1948-12-25",
    }
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": "2026-11-25T10:00:00+01:00",
        "entry": [{"fullUrl": "urn:uuid:h", "resource": header}, {"fullUrl": "urn:uuid:p", "resource": person}],
    }


def person(document: Json) -> Json:
    found: Json = document["entry"][1]["resource"]
    return found


def _set(**values: Any) -> Callable[[Json], None]:
    return lambda document: person(document).update(values)


def _header(**values: Any) -> Callable[[Json], None]:
    return lambda document: document["entry"][0]["resource"].update(values)


AT = "Bundle.entry[1].resource"
BASE_FAULTS: dict[str, tuple[Callable[[Json], Any], tuple[str, str]]] = {
    "unknown element": (_set(foo=1), ("GOP-FHIR-05", f"{AT}.foo")),
    "wrong type": (_set(active="false"), ("GOP-FHIR-09", f"{AT}.active")),
    "missing required primitive": (lambda d: d.pop("type"), ("GOP-FHIR-06", "Bundle.type")),
    "two types of a choice": (
        _set(deceasedBoolean=False, deceasedDateTime="2026"),
        ("GOP-FHIR-10", f"{AT}.deceased"),
    ),
    "a day that no calendar has": (_set(birthDate="2026-02-30"), ("GOP-FHIR-09", f"{AT}.birthDate")),
    "code outside a required set": (_set(gender="K"), ("GOP-FHIR-12", f"{AT}.gender")),
    "empty object": (_set(name=[{}]), ("GOP-FHIR-08", f"{AT}.name[0]")),
    "dangling reference": (
        _header(focus=[{"reference": "urn:uuid:nobody"}]),
        ("GOP-FHIR-18", "Bundle.entry[0].resource.focus[0].reference"),
    ),
    "dangling local reference": (
        _header(focus=[{"reference": "Patient/nobody"}]),
        ("GOP-FHIR-18", "Bundle.entry[0].resource.focus[0].reference"),
    ),
    "header not first": (lambda d: d["entry"].reverse(), ("GOP-FHIR-16", "Bundle")),
    "null": (_set(birthDate=None), ("GOP-FHIR-08", f"{AT}.birthDate")),
    "empty array": (_set(name=[]), ("GOP-FHIR-08", f"{AT}.name")),
    "object for an array": (_set(name={"family": "B"}), ("GOP-FHIR-08", f"{AT}.name")),
    "array for a value": (_set(birthDate=["1948"]), ("GOP-FHIR-08", f"{AT}.birthDate")),
    "empty text": (_set(name=[{"family": ""}]), ("GOP-FHIR-09", f"{AT}.name[0].family")),
    "instant without zone": (
        lambda d: d.update(timestamp="2026-11-25T10:00:00"),
        ("GOP-FHIR-09", "Bundle.timestamp"),
    ),
    "unknown resource": (_set(resourceType="Pationt"), ("GOP-FHIR-04", f"{AT}.resourceType")),
    "id with forbidden characters": (_set(id="p_1"), ("GOP-FHIR-09", f"{AT}.id")),
    "the same entry twice": (lambda d: d["entry"].append(deepcopy(d["entry"][1])), ("GOP-FHIR-16", "Bundle")),
    "extension with a value and extensions": (
        _set(extension=[{"url": "urn:x", "valueCode": "a", "extension": [{"url": "b", "valueCode": "c"}]}]),
        ("GOP-FHIR-16", f"{AT}.extension[0]"),
    ),
    "narrative with a script": (
        _set(text={"status": "generated", "div": DIV.replace("Tekst", "<script>x</script>")}),
        ("GOP-FHIR-16", f"{AT}.text.div"),
    ),
    "reference to the wrong type": (
        _set(managingOrganization={"reference": "urn:uuid:p"}),
        ("GOP-FHIR-19", f"{AT}.managingOrganization.reference"),
    ),
    "period that ends before it starts": (
        _set(address=[{"period": {"start": "2026-02-01", "end": "2026-01-01"}}]),
        ("GOP-FHIR-16", f"{AT}.address[0].period"),
    ),
    "nothing beside a missing value": (_set(_birthDate={}), ("GOP-FHIR-08", f"{AT}.birthDate")),
    "number too large for an integer": (
        _set(multipleBirthInteger=2**31),
        ("GOP-FHIR-09", f"{AT}.multipleBirthInteger"),
    ),
}


@pytest.fixture(scope="module")
def base() -> Profiles:
    return Profiles.load()


def test_a_sound_message_of_base_structure(base: Profiles) -> None:
    assert agree(base, message()) == []


@pytest.mark.parametrize("name", BASE_FAULTS)
def test_base_faults(base: Profiles, name: str) -> None:
    change, expected = BASE_FAULTS[name]
    document = message()
    change(document)
    assert expected in agree(base, document)


def test_primitives_with_extensions_beside_them(base: Profiles) -> None:
    reason = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    document = message()
    person(document)["_birthDate"] = reason
    del person(document)["birthDate"]
    assert agree(base, document) == []
    person(document)["name"] = [{"given": ["A", None], "_given": [None, reason]}]
    assert told(base.check(document)) == []
    person(document)["name"] = [{"given": ["A", None], "_given": [None]}]
    assert agree(base, document) == [("GOP-FHIR-08", f"{AT}.name[0].given")]


@pytest.mark.parametrize("document", [{}, {"resourceType": "Foo"}, {"resourceType": 1}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource(base: Profiles, document: Json) -> None:
    assert agree(base, document) == [("GOP-FHIR-04", "Resource.resourceType")] or agree(base, document) == [
        ("GOP-FHIR-04", "Foo.resourceType")
    ]


def test_a_resource_type_that_is_not_in_the_base_is_not_passed_silently(base: Profiles) -> None:
    findings = base.check({"resourceType": "Appointment", "status": "booked"})
    assert told(findings, Severity.INFORMATION) == [("GOP-FHIR-21", "Appointment")]
    assert told(findings) == []


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_findings_are_capped(base: Profiles) -> None:
    document = message()
    person(document)["name"] = [{"foo": 1}] * 5_000
    findings = base.check(document)
    assert len(findings) == 201
    assert findings[-1].rule == "GOP-FHIR-25"


def test_deep_nesting_ends(base: Profiles) -> None:
    nested: Json = {"url": "a", "valueCode": "b"}
    for _ in range(400):
        nested = {"url": "a", "extension": [nested]}
    document = message()
    person(document)["extension"] = [nested]
    assert not base.accepts(document)
    assert any(item.rule == "GOP-FHIR-03" for item in base.check(document))


def test_a_long_chain_of_references_ends(load: Load) -> None:
    profiles = load(bundle_profile(), organisation_profile(), patient_profile())
    chain = [
        ORGANISATION | {"id": str(number), "active": True, "partOf": {"reference": f"Organization/{number + 1}"}}
        for number in range(900)
    ]
    chain[0]["meta"] = {"profile": [TEST + "o"]}
    findings = profiles.check(bundle(*chain, ORGANISATION | {"id": "900", "active": True}))
    assert told(findings) == []
    assert told(findings, Severity.INFORMATION) == [("GOP-FHIR-21", "Bundle")]


def test_many_entries_cost_time_in_proportion(base: Profiles) -> None:
    def seconds(size: int) -> float:
        document = message()
        document["entry"] += [
            {"fullUrl": f"urn:uuid:{number}", "resource": person(document) | {"id": str(number)}}
            for number in range(size)
        ]
        begun = time.process_time()
        base.accepts(document)
        base.check(document)
        return time.process_time() - begun

    seconds(10)
    assert seconds(4_000) < 12 * max(seconds(1_000), 0.02)
