"""Writes the facts of base R4 that the validator needs as one compact file.

`python -m gtgateway.validators.structure.profile.base_from DEFINITIONS VALUESETS > profiles/base/r4.json`, where
DEFINITIONS holds R4 StructureDefinitions (`{"structureDefinitions": [...]}`) and VALUESETS the codes of the value sets
that they bind as required (`{"valueSets": {url: {system: [codes]}}}`). The format is described in `base.py`, which
reads it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gtgateway.validators.structure.profile.base import CORE, VALUE_SET

#: Nothing that travels in a message is of these types.
LEFT_OUT = frozenset({"ElementDefinition", "MarketingStatus", "Population", "ProdCharacteristic", "ProductShelfLife"})
#: Invariants that snapshots repeat everywhere stand once, with the type that they belong to.
_HOME = {"ele-1": "Element", "ext-1": "Extension"} | {f"dom-{number}": "DomainResource" for number in range(2, 7)}
_INHERITED = {
    "Element": ("id", "extension"),
    "BackboneElement": ("id", "extension", "modifierExtension"),
    "Resource": ("id", "meta", "implicitRules", "language"),
}
_INHERITED["DomainResource"] = (*_INHERITED["Resource"], "text", "contained", "extension", "modifierExtension")


def short(url: str, base: str) -> str:
    """A canonical without version, and without what all of its kind begin with."""
    return url.partition("|")[0].removeprefix(base)


def _type(entry: dict[str, Any]) -> str:
    code = entry["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        code = next((item["valueUrl"] for item in entry.get("extension", ()) if "valueUrl" in item), "string")
    if profiles := entry.get("profile"):
        return f"{code}<{'|'.join(short(url, CORE) for url in profiles)}>"
    targets = [url for url in entry.get("targetProfile", ()) if url.startswith(CORE)]
    return f"{code}({'|'.join(short(url, CORE) for url in targets)})" if targets else code


def compact(definition: dict[str, Any]) -> dict[str, Any]:
    """One StructureDefinition in the format of `base.py`."""
    first, *rest = definition["snapshot"]["element"]
    base = short(definition.get("baseDefinition") or "", CORE)
    root = first["path"]
    elements: dict[str, list[Any]] = {}
    constraints: dict[str, list[list[str]]] = {}
    backbones = {""}
    for element in (first, *rest):
        path = element["path"][len(root) + 1 :]
        own = [
            [item["key"], item["severity"], item["human"], item["expression"]]
            for item in element.get("constraint", ())
            if _HOME.get(item["key"], definition["id"]) == definition["id"]
        ]
        if path and _inherits(definition, base, path, backbones):
            continue
        if own:
            constraints[path] = own
        if not path:
            continue
        types = [_type(entry) for entry in element.get("type", ())] or [short(element["contentReference"], CORE)]
        if path == "id" and definition["kind"] == "resource":
            types = ["id"]  # R4's own definitions say string, its text says id
        if types == ["BackboneElement"] or types == ["Element"]:
            backbones.add(path)
        row: list[Any] = [f"{element['min']}..{element['max']}", types]
        binding = element.get("binding", {})
        if binding.get("strength") == "required":
            row.append(short(binding["valueSet"], VALUE_SET))
        if "fixedUri" in element:
            row = [*[*row, None][:3], element["fixedUri"]]
        elements[path] = row
    answer: dict[str, Any] = {"kind": definition["kind"], "base": base or None}
    if definition.get("derivation") == "constraint":
        answer["type"] = definition["type"]
    return answer | {"elements": elements} | ({"constraints": constraints} if constraints else {})


def _inherits(definition: dict[str, Any], base: str, path: str, backbones: set[str]) -> bool:
    parent, _, name = path.rpartition(".")
    if definition.get("derivation") == "constraint":
        return False
    inherits = base if not parent else "BackboneElement"
    return parent in backbones and name in _INHERITED.get(inherits, ())


def write(definitions: Iterable[dict[str, Any]], value_sets: dict[str, dict[str, list[str]]]) -> str:
    """The whole file: one line a type, one line a value set."""
    types = {item["id"]: compact(item) for item in definitions if item["kind"] != "primitive-type"}
    bound = {row[2] for item in types.values() for row in item["elements"].values() if len(row) > 2 and row[2]}
    codes = {short(url, VALUE_SET): systems for url, systems in value_sets.items()}
    kept = {name: codes[name] for name in sorted(bound | {"resource-types"}) if name in codes}

    def lines(table: dict[str, Any]) -> str:
        return ",\n".join(f"  {json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in table.items())

    return (
        f'{{\n "fhirVersion": "4.0.1",\n "types": {{\n{lines(types)}\n }},\n "valueSets": {{\n{lines(kept)}\n }}\n}}\n'
    )


def main(definitions: Path, value_sets: Path) -> None:
    """Print the file made from the two sources."""
    everything = json.loads(definitions.read_text("utf-8"))["structureDefinitions"]
    kept = [item for item in everything if item["id"] not in LEFT_OUT]
    sys.stdout.write(write(kept, json.loads(value_sets.read_text("utf-8"))["valueSets"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
