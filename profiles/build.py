"""Makes the FHIR package in this folder from `source/*.toml`: `python -m profiles.build [FOLDER]` in the project root.

FOLDER is where the official packages and the R4 base definitions stand (`packages/`, `derived/`); without it
`../shared/data/fhir`. Snapshots are computed from the parents' snapshots, never written by hand.

A profile's elements are keyed by their id without the resource type: `code.coding:sks.system`. Values are those of
ElementDefinition, with four short forms: `card = "0..1 MS"` (cardinality, mustSupport), `type`, `profile` and `target`
(type code, type profile, reference targets), `code` (a CodeableConcept pattern of one coding), `slices` (discriminator
as `type:path`). `alias:rest` stands for the url that `guide.toml` gives the alias; `gop` is our own canonical.
`mirror` copies the differential of a profile that ours cannot derive from.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).resolve().parent
OFFICIAL = HERE.parents[1] / "shared" / "data" / "fhir"
#: What a snapshot takes over from a parent: all that constrains, none of the prose.
_KEPT = frozenset(
    {"id", "path", "sliceName", "slicing", "min", "max", "base", "contentReference", "type", "maxLength", "binding"}
    | {"constraint", "isModifier", "isModifierReason", "isSummary", "mustSupport"}
)
_FIXING = ("fixed", "pattern", "minValue", "maxValue")
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_BASE = "http://hl7.org/fhir/StructureDefinition/"


# --- the source -------------------------------------------------------------------------------------------------------


def read_source(folder: Path = HERE / "source") -> dict[str, Json]:
    """The TOML files by stem, every `alias:rest` written out."""
    guide = tomllib.loads((folder / "guide.toml").read_text("utf-8"))
    aliases = {"gop": guide["canonical"] + "/", **guide["alias"]}
    # At the start of a text, or of a quoted string inside a FHIRPath expression.
    pattern = re.compile(rf"(?:^|(?<='))({'|'.join(aliases)}):(?=\S)")

    def expanded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: expanded(item) for key, item in value.items()}
        if isinstance(value, list):
            return [expanded(item) for item in value]
        if isinstance(value, str):
            return pattern.sub(lambda found: aliases[found[1]], value)
        return value

    files = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.toml"))}
    return {stem: content if stem == "guide" else expanded(content) for stem, content in files.items()}


class Definitions:
    """StructureDefinitions by url: the R4 base, the official packages that the guide declares, and those made here."""

    def __init__(self, official: Path, packages: list[str]) -> None:
        base = json.loads((official / "derived/fhir-r4-base-structuredefinitions-trimmed.json").read_text("utf-8"))
        self.by_url: dict[str, Json] = {item["url"]: item for item in base["structureDefinitions"]}
        for package in packages:
            for path in sorted((official / "packages" / package).glob("StructureDefinition-*.json")):
                self.add(json.loads(path.read_text("utf-8")))

    def add(self, definition: Json) -> None:
        self.by_url[definition["url"]] = definition

    def __call__(self, url: str) -> Json:
        return self.by_url[url]


# --- snapshots --------------------------------------------------------------------------------------------------------


def snapshot(parent: Json, differential: list[Json], definitions: Callable[[str], Json]) -> list[Json]:
    """The parent's snapshot with a differential applied: types, slices and content references unfolded as needed."""
    elements = [_trimmed(element) for element in parent["snapshot"]["element"]]
    for change in differential:
        element = _ensure(elements, change["id"], definitions)
        for key, value in change.items():
            if key == "constraint":
                known = element.setdefault("constraint", [])
                keys = {constraint["key"] for constraint in known}
                known.extend(constraint for constraint in value if constraint["key"] not in keys)
            elif key not in ("id", "path"):
                element[key] = value
    for element in elements:
        element.setdefault("definition", element.get("short", f"As {element['base']['path']} in FHIR R4."))
        if element.get("isModifier"):
            element.setdefault("isModifierReason", f"As {element['base']['path']} in FHIR R4.")
    return elements


def _trimmed(element: Json) -> Json:
    kept = {key: value for key, value in element.items() if key in _KEPT or key.startswith(_FIXING)}
    if "binding" in kept:
        kept["binding"] = {key: kept["binding"][key] for key in ("strength", "valueSet") if key in kept["binding"]}
    if "constraint" in kept:
        wanted = ("key", "severity", "human", "expression", "source")
        kept["constraint"] = [{k: entry[k] for k in wanted if k in entry} for entry in kept["constraint"]]
    if "type" in kept:
        kept["type"] = [
            {
                key: [item for item in value if item["url"] == _FHIR_TYPE] if key == "extension" else value
                for key, value in entry.items()
                if key != "extension" or any(item["url"] == _FHIR_TYPE for item in value)
            }
            for entry in kept["type"]
        ]
    return kept


def _find(elements: list[Json], id: str) -> int | None:
    return next((index for index, element in enumerate(elements) if element["id"] == id), None)


def _end(elements: list[Json], id: str) -> int:
    """Index after the element, everything below it and its slices."""
    below = (id + ".", id + ":")
    return max(i for i, element in enumerate(elements) if element["id"] == id or element["id"].startswith(below)) + 1


def _ensure(elements: list[Json], id: str, definitions: Callable[[str], Json]) -> Json:
    """The element with this id; slices and children are made where the snapshot does not show them yet."""
    if (found := _find(elements, id)) is not None:
        return elements[found]
    head, _, last = id.rpartition(".")
    name, _, slice_name = last.partition(":")
    if slice_name:
        base_id = f"{head}.{name}"
        base = _ensure(elements, base_id, definitions)
        made = {key: value for key, value in base.items() if key not in ("slicing", "mustSupport", "short")}
        made |= {"id": id, "sliceName": slice_name, "min": 0}
        elements.insert(_end(elements, base_id), made)
        return made
    parent = _ensure(elements, head, definitions)
    if _find(elements, id) is None:
        at = elements.index(parent) + 1
        elements[at:at] = [_trimmed(child) for child in _children(elements, parent, definitions)]
    if (found := _find(elements, id)) is None:
        raise KeyError(f"{id}: no such element")
    return elements[found]


def _children(elements: list[Json], parent: Json, definitions: Callable[[str], Json]) -> Iterator[Json]:
    """What stands below an element that is not unfolded: of its unsliced twin, its content reference or its type."""
    twin = parent["id"][: -len(parent["sliceName"]) - 1] if parent["id"].endswith(f":{parent.get('sliceName')}") else ""
    inline = [element for element in elements if twin and element["id"].startswith(twin + ".")]
    if inline:
        source_id, source_path, source = twin, parent["path"], inline
    elif "contentReference" in parent:
        source_id = source_path = parent["contentReference"].partition("#")[2]
        source = [element for element in elements if element["id"].startswith(source_id + ".")]
    else:
        type_ = parent["type"][0]
        definition = definitions(type_["profile"][0] if "profile" in type_ else _BASE + type_["code"])
        source_id = source_path = definition["snapshot"]["element"][0]["id"]
        source = definition["snapshot"]["element"][1:]
    for element in source:
        yield element | {
            "id": parent["id"] + element["id"][len(source_id) :],
            "path": parent["path"] + element["path"][len(source_path) :],
        }


# --- from the source's short forms to ElementDefinition ---------------------------------------------------------------


def _element(type_: str, name: str, stated: Json) -> Json:
    id = f"{type_}.{name}" if name else type_
    element: Json = {"id": id, "path": re.sub(r":[^.]+", "", id)}
    last = id.rpartition(".")[2]
    if ":" in last:
        element["sliceName"] = last.partition(":")[2]
    stated = dict(stated)
    if card := stated.pop("card", None):
        span, _, support = card.partition(" ")
        low, high = span.split("..")
        element |= {"min": int(low), "max": high} | ({"mustSupport": True} if support == "MS" else {})
    if slices := stated.pop("slices", None):
        kind, _, path = slices.partition(":")
        element["slicing"] = {
            "discriminator": [{"type": kind, "path": path}],
            "ordered": False,
            "rules": stated.pop("rules", "open"),
        }
    profile, target = stated.pop("profile", None), stated.pop("target", None)
    if types := stated.pop("type", "Reference" if target else "Extension" if profile else None):
        element["type"] = [{"code": code} for code in ([types] if isinstance(types, str) else types)]
    if profile:
        element["type"][0]["profile"] = [profile]
    if target:
        element["type"][0]["targetProfile"] = [target] if isinstance(target, str) else target
        if stated.pop("bundled", True):
            element["type"][0]["aggregation"] = ["bundled"]
    if code := stated.pop("code", None):
        system, _, value = code.rpartition("#")
        element["patternCodeableConcept"] = {"coding": [{"system": system, "code": value}]}
    if binding := stated.pop("binding", None):
        element["binding"] = {"strength": "required", "valueSet": binding}
    return element | stated


def _constraint(stated: Json, source: str) -> Json:
    danish = [{"url": "lang", "valueCode": "da"}, {"url": "content", "valueString": stated["da"]}]
    return {
        "key": stated["key"],
        "severity": stated["severity"],
        "human": stated["en"],
        "_human": {"extension": [{"extension": danish, "url": _TRANSLATION}]},
        "expression": " ".join(stated["expression"].split()),
        "source": source,
    }


def _mirrored(definition: Json) -> list[Json]:
    """The differential of a profile that ours copies, without prose."""
    return [_trimmed(element) for element in definition["differential"]["element"]]


def differential(stated: Json, type_: str, url: str, definitions: Callable[[str], Json]) -> list[Json]:
    """The differential of one profile of the source, in the order of the source; mirrored elements first."""
    made = (
        {element["id"]: element for element in _mirrored(definitions(stated["mirror"]))} if "mirror" in stated else {}
    )
    for name, element in stated.get("element", {}).items():
        new = _element(type_, name, element)
        made[new["id"]] = made.get(new["id"], {}) | new
    for invariant in stated.get("invariant", []):
        at = invariant.get("at", "")
        place = made.setdefault(f"{type_}.{at}" if at else type_, _element(type_, at, {}))
        place.setdefault("constraint", []).append(_constraint(invariant, url))
    if type_ in made:
        made = {type_: made.pop(type_)} | made
    return list(made.values())


# --- resources --------------------------------------------------------------------------------------------------------


def _head(kind: str, id: str, stated: Json, guide: Json) -> Json:
    return {
        "resourceType": kind,
        "id": id,
        "url": f"{guide['canonical']}/{kind}/{id}",
        "version": guide["version"],
        "name": "".join(part.capitalize() for part in id.split("-")),
        "title": stated["title"],
        "status": "draft",
        "date": guide["date"],
        "publisher": guide["publisher"],
        "description": stated["description"],
        "jurisdiction": [{"coding": [{"system": "urn:iso:std:iso:3166", "code": "DK"}]}],
    }


def _profile(id: str, stated: Json, guide: Json, definitions: Definitions) -> Json:
    parent = definitions(stated["parent"])
    type_ = parent["type"]
    head = _head("StructureDefinition", id, stated, guide)
    changes = differential(stated, type_, head["url"], definitions)
    definition = head | {
        "fhirVersion": "4.0.1",
        "kind": parent["kind"],
        "abstract": False,
        **({"context": [{"type": "element", "expression": stated["context"]}]} if "context" in stated else {}),
        "type": type_,
        "baseDefinition": parent["url"],
        "derivation": "constraint",
        "snapshot": {"element": snapshot(parent, changes, definitions)},
        "differential": {"element": changes},
    }
    definitions.add(definition)
    return definition


def _extension(id: str, stated: Json, guide: Json, definitions: Definitions) -> Json:
    """A simple extension (`type`, perhaps `binding`) or one made of `part`s (name to type)."""
    url = f"{guide['canonical']}/StructureDefinition/{id}"
    elements: Json = {"": {"short": stated["title"], "min": 0, "max": "1"}}
    if parts := stated.get("part"):
        for name, type_ in parts.items():
            elements |= {
                f"extension:{name}": {"card": "0..1"},
                f"extension:{name}.extension": {"card": "0..0"},
                f"extension:{name}.url": {"fixedUri": name},
                f"extension:{name}.value[x]": {"card": "1..1", "type": type_},
            }
        elements |= {"url": {"fixedUri": url}, "value[x]": {"card": "0..0"}}
    else:
        value = {"card": "1..1", "type": stated["type"]}
        if "binding" in stated:
            value["binding"] = stated["binding"]
        elements |= {"extension": {"card": "0..0"}, "url": {"fixedUri": url}, "value[x]": value}
    made = {key: stated[key] for key in ("title", "description", "context", "invariant") if key in stated}
    return _profile(id, made | {"parent": _BASE + "Extension", "element": elements}, guide, definitions)


def _code_system(id: str, stated: Json, guide: Json) -> Json:
    return _head("CodeSystem", id, stated, guide) | {
        "caseSensitive": True,
        "content": "complete",
        "count": len(stated["code"]),
        "concept": [
            {"code": code, "display": text["da"], "designation": [{"language": "en", "value": text["en"]}]}
            for code, text in stated["code"].items()
        ],
    }


def _value_set(id: str, stated: Json, guide: Json) -> Json:
    def include(entry: Json) -> Json:
        codes = entry.get("codes")
        return {"system": entry["system"]} | ({"concept": [{"code": code} for code in codes]} if codes else {})

    return _head("ValueSet", id, stated, guide) | {
        "compose": {"include": [include(entry) for entry in stated["include"]]}
    }


def build(official: Path = OFFICIAL) -> dict[str, Json]:
    """Every file of the package by name: `package.json` and one resource a file."""
    source = read_source()
    guide = source["guide"]
    definitions = Definitions(official, guide["package"])
    made = [_extension(id, stated, guide, definitions) for id, stated in source["extensions"].items()]
    made += [_profile(id, stated, guide, definitions) for id, stated in source["profiles"].items()]
    made += [_code_system(id, stated, guide) for id, stated in source["terminology"]["codesystem"].items()]
    made += [_value_set(id, stated, guide) for id, stated in source["terminology"]["valueset"].items()]
    made += [
        _head("MessageDefinition", id, stated, guide) | {"version": stated["version"]} | stated["definition"]
        for id, stated in source["messages"].items()
    ]
    manifest = guide["manifest"] | {"canonical": guide["canonical"], "url": guide["canonical"]}
    return {"package.json": manifest | {"version": guide["version"], "fhirVersions": ["4.0.1"], "type": "IG"}} | {
        f"{resource['resourceType']}-{resource['id']}.json": resource for resource in made
    }


def main() -> None:
    official = Path(sys.argv[1]) if len(sys.argv) > 1 else OFFICIAL
    if not (official / "packages").is_dir():
        sys.exit(f"The official packages are not in {official}; name their folder.")
    files = build(official)
    for old in HERE.glob("*-*.json"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (HERE / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"{len(files)} files written to {HERE}")


if __name__ == "__main__":
    main()
