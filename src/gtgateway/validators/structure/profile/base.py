"""Base FHIR R4, read from the compact file `profiles/base/r4.json` that `base_from.py` writes.

    "types": {name: {"kind", "base", "type"?, "elements": {path: row}, "constraints": {path: [invariant]}}}
    row        [cardinality, types, required value set?, fixed uri?]
    types      `code`, `Reference(Patient|Group)` with targets, `Quantity<SimpleQuantity>` with a type profile,
               `#Bundle.link` for the content of another element
    invariant  [key, severity, English text, FHIRPath]
    "valueSets": {name: {code system: [codes]}}

Paths are without the type's own name. What a type inherits (`id`, `extension`, narrative …) stands with its base; the
same goes for `id`, `extension` and `modifierExtension` of inner elements.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SET = "http://hl7.org/fhir/ValueSet/"

_TYPE = re.compile(r"(?P<code>[\w.:/]+)(?:\((?P<targets>.*)\)|<(?P<profiles>.*)>)?")


def read_base(path: Path) -> tuple[dict[str, Json], dict[str, Json]]:
    """StructureDefinitions (with snapshot) and ValueSets by canonical url."""
    file = orjson.loads(path.read_bytes())
    types: dict[str, Json] = file["types"]
    definitions = {CORE + name: _definition(name, types) for name in types}
    return definitions, {_url(name): _value_set(name, codes) for name, codes in file["valueSets"].items()}


def _url(value_set: str) -> str:
    return value_set if value_set.startswith("http:") else VALUE_SET + value_set


def _definition(name: str, types: dict[str, Json]) -> Json:
    entry = types[name]
    root = entry.get("type", name)
    first: Json = {"id": root, "path": root, "min": 0, "max": "*", "base": {"max": "*"}}
    first["constraint"] = [item for parent in _lineage(name, types) for item in _constraints(types[parent], "")]
    elements = [first]

    def add(path: str, row: list[Any], constraints: list[Json]) -> None:
        elements.append(_element(f"{root}.{path}", row, constraints))
        if row[1] in (["BackboneElement"], ["Element"]):
            for parent in _lineage(row[1][0], types):
                for inner, inherited in types[parent]["elements"].items():
                    elements.append(_element(f"{root}.{path}.{inner}", inherited, []))

    lineage = [name] if "type" in entry else _lineage(name, types)
    for parent in lineage:
        for path, row in types[parent]["elements"].items():
            add(path, row, _constraints(types[parent], path))
    return {
        "resourceType": "StructureDefinition",
        "url": CORE + name,
        "version": "4.0.1",
        "kind": entry["kind"],
        "type": root,
        "baseDefinition": CORE + entry["base"] if entry["base"] else None,
        "snapshot": {"element": elements},
    }


def _lineage(name: str, types: dict[str, Json]) -> list[str]:
    """The type and those that it derives from, the most general first."""
    names = [name]
    while (parent := types[names[0]]["base"]) is not None:
        names.insert(0, parent)
    return names


def _constraints(entry: Json, path: str) -> list[Json]:
    names = ("key", "severity", "human", "expression")
    return [dict(zip(names, row, strict=True)) for row in entry.get("constraints", {}).get(path, ())]


def _element(path: str, row: list[Any], constraints: list[Json]) -> Json:
    cardinality, types, value_set, fixed = (*row, None, None)[:4]
    low, _, high = cardinality.partition("..")
    element: Json = {"id": path, "path": path, "min": int(low), "max": high, "base": {"max": high}}
    if types[0].startswith("#"):
        element["contentReference"] = types[0]
    else:
        element["type"] = [_type(text) for text in types]
    if value_set:
        element["binding"] = {"strength": "required", "valueSet": _url(value_set)}
    if fixed:
        element["fixedUri"] = fixed
    if constraints:
        element["constraint"] = constraints
    return element


def _type(text: str) -> Json:
    found = _TYPE.fullmatch(text)
    assert found, text
    answer: Json = {"code": found["code"]}
    if found["targets"]:
        answer["targetProfile"] = [CORE + name for name in found["targets"].split("|")]
    if found["profiles"]:
        answer["profile"] = [CORE + name for name in found["profiles"].split("|")]
    return answer


def _value_set(name: str, codes: dict[str, list[str]]) -> Json:
    include = [{"system": system, "concept": [{"code": code} for code in values]} for system, values in codes.items()]
    return {"resourceType": "ValueSet", "url": _url(name), "compose": {"include": include}}
