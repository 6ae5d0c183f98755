"""The compact base R4 file: what it says, and that it says the same as the definitions that it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gtgateway.validators.structure.profile.base import CORE, VALUE_SET, read_base
from gtgateway.validators.structure.profile.base_from import LEFT_OUT, write

Json = dict[str, Any]


@pytest.fixture(scope="module")
def file(root: Path) -> Path:
    return root / "profiles" / "base" / "r4.json"


def elements(definition: Json) -> dict[str, Json]:
    return {item["id"]: item for item in definition["snapshot"]["element"]}


def test_what_the_file_says(file: Path) -> None:
    definitions, value_sets = read_base(file)
    request = elements(definitions[CORE + "ServiceRequest"])
    assert (request["ServiceRequest.subject"]["min"], request["ServiceRequest.subject"]["max"]) == (1, "1")
    assert request["ServiceRequest.id"]["type"] == [{"code": "id"}]
    assert request["ServiceRequest.intent"]["binding"]["valueSet"] == VALUE_SET + "request-intent"
    assert request["ServiceRequest.text"]["type"] == [{"code": "Narrative"}]  # inherited
    assert elements(definitions[CORE + "Patient"])["Patient.contact.modifierExtension"]["max"] == "*"
    assert elements(definitions[CORE + "Bundle"])["Bundle.entry.link"]["contentReference"] == "#Bundle.link"
    keys = {item["key"] for item in request["ServiceRequest"]["constraint"]}
    assert {"dom-2", "dom-3", "dom-6", "prr-1"} <= keys
    genders = value_sets[VALUE_SET + "administrative-gender"]["compose"]["include"][0]["concept"]
    assert [item["code"] for item in genders] == ["female", "male", "other", "unknown"]


def test_the_file_is_made_from_the_definitions(file: Path, shared: Path) -> None:
    derived = shared / "data" / "fhir" / "derived"
    definitions = json.loads((derived / "fhir-r4-base-structuredefinitions-trimmed.json").read_text("utf-8"))
    value_sets = json.loads((derived / "fhir-r4-required-valuesets.json").read_text("utf-8"))
    kept = [item for item in definitions["structureDefinitions"] if item["id"] not in LEFT_OUT]
    assert write(kept, value_sets["valueSets"]) == file.read_text("utf-8"), "run base_from again"


def test_nothing_is_lost_on_the_way(file: Path, shared: Path) -> None:
    """Cardinality, types, targets, required bindings and invariants of every element, inherited ones included."""
    source = shared / "data" / "fhir" / "derived" / "fhir-r4-base-structuredefinitions-trimmed.json"
    definitions, value_sets = read_base(file)
    compared = 0
    for original in json.loads(source.read_text("utf-8"))["structureDefinitions"]:
        if original["kind"] == "primitive-type" or original["id"] in LEFT_OUT:
            continue
        ours, theirs = elements(definitions[original["url"]]), elements(original)
        assert set(ours) == set(theirs)
        for id_, wanted in theirs.items():
            found = ours[id_]
            if id_ != original["type"]:
                assert (found["min"], found["max"]) == (wanted["min"], wanted["max"]), id_
                assert types(found) == types(wanted), id_
            rules = {item["key"] for item in wanted.get("constraint", ())} - {"ele-1", "ext-1"}
            assert {item["key"] for item in found.get("constraint", ())} - {"ele-1", "ext-1"} == rules, id_
            assert bound(found) == bound(wanted), id_
            compared += 1
    assert compared > 1_500
    missing = {url for entry in definitions.values() for item in elements(entry).values() if (url := bound(item))}
    assert missing - set(value_sets) == {VALUE_SET + "mimetypes", VALUE_SET + "currencies"}


def types(element: Json) -> list[tuple[str, list[str]]]:
    def code(entry: Json) -> str:
        name: str = entry["code"]
        return "text" if name.startswith("http://hl7.org/fhirpath/") or name in ("string", "uri", "id") else name

    return [
        (code(entry), [url for url in entry.get("targetProfile", ()) if url.startswith(CORE)])
        for entry in element.get("type", ())
    ]


def bound(element: Json) -> str | None:
    binding = element.get("binding", {})
    return binding["valueSet"].partition("|")[0] if binding.get("strength") == "required" else None
