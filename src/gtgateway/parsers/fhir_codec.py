"""FHIR XML to FHIR JSON and back: the one place that knows fhir.resources.

That library tells which elements a type has, in which order, which of them repeat and which are numbers (release R4B,
the same as R4 in every resource of a message). Its own parsing is not used: it costs ten times as much and drops the
zeros of fractional seconds (docs/decisions/0011). What no type has is kept, for the validator to name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin

from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

Json = dict[str, Any]

NS_FHIR = "http://hl7.org/fhir"
NS_XHTML = "http://www.w3.org/1999/xhtml"
_FHIR, _XHTML = f"{{{NS_FHIR}}}", f"{{{NS_XHTML}}}"
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@dataclass(frozen=True, slots=True)
class _Property:
    """An element of a type. `type` is the name of its type; None for a text, `Resource` for any resource."""

    many: bool
    primitive: bool
    type: str | None


#: What stands beside the value of a primitive: `_birthDate` in JSON.
_BESIDE = {
    "id": _Property(False, True, None),
    "extension": _Property(True, False, "Extension"),
}


@cache
def _properties(type_: str) -> Mapping[str, _Property]:
    """The elements of a type in their order; none for a type that R4B lacks."""
    try:
        model: Any = get_fhir_model_class(type_)
    except (KeyError, LookupError):
        return {}
    stated = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    return {name: _property(stated[name]) for name in model.elements_sequence()}


def _property(annotation: Any) -> _Property:
    many = False
    while True:
        origin = get_origin(annotation)
        if origin is list:
            many, annotation = True, get_args(annotation)[0]
        elif (name := getattr(annotation, "__name__", "")).endswith("Type"):
            return _Property(many, False, name.removesuffix("Type"))
        elif annotation in (bool, int, Decimal):
            return _Property(many, True, annotation.__name__)
        elif arguments := [each for each in get_args(annotation) if each is not NoneType]:
            annotation = arguments[0]
        else:
            return _Property(many, True, None)


# --- XML to JSON ------------------------------------------------------------------------------------------------------


@cache
def _by_tag(type_: str) -> Mapping[str, tuple[str, _Property]]:
    """The same by their name in XML."""
    return {_FHIR + name: (name, each) for name, each in _properties(type_).items()}


_BESIDE_BY_TAG = {_FHIR + name: (name, each) for name, each in _BESIDE.items()}


def from_xml(resource: etree._Element) -> Json:
    """The JSON form of a resource. The tree was parsed hardened (no DTD, bounded depth); raises nothing."""
    type_ = _name(resource)
    return {"resourceType": type_} | _object(resource, _by_tag(type_))


def _name(element: etree._Element) -> str:
    """The name in JSON: without the namespace when that is FHIR's."""
    return element.tag.removeprefix(_FHIR)


def _object(element: etree._Element, properties: Mapping[str, tuple[str, _Property]]) -> Json:
    made: Json = {str(name): value for name, value in element.items()}
    if element.text is not None and not element.text.isspace():
        made["#text"] = element.text
    for child in element:
        found = properties.get(child.tag)
        if found is None:
            _put_unknown(made, child)
        elif found[1].primitive:
            _put_primitive(made, found[0], child, found[1])
        else:
            _put(made, found[0], _complex(child, found[1].type), found[1].many)
    return made


def _complex(element: etree._Element, type_: str | None) -> Json:
    if type_ is None:
        return _object(element, {})
    if type_ != "Resource":
        return _object(element, _by_tag(type_))
    return from_xml(element[0]) if len(element) == 1 else _object(element, {})


def _put(made: Json, name: str, value: object, many: bool) -> None:
    """Add a value; what repeats against its definition becomes a list, for the validator to name."""
    if name in made:
        held = made[name]
        made[name] = [*held, value] if isinstance(held, list) else [held, value]
    else:
        made[name] = [value] if many else value


def _put_unknown(made: Json, element: etree._Element) -> None:
    if element.tag == f"{_XHTML}div":
        _put(made, "div", _narrative(element), False)
    elif len(element) == 0 and "value" in element.attrib:
        _put_primitive(made, _name(element), element, _Property(False, True, None))
    else:
        _put(made, _name(element), _object(element, {}), False)


def _put_primitive(made: Json, name: str, element: etree._Element, known: _Property) -> None:
    attributes = element.items()
    stated = element.get("value")
    value = stated if known.type is None or stated is None else _value(stated, known.type)
    beside: Json = {}
    if len(element) or len(attributes) != 1 or stated is None:
        beside = _object(element, _BESIDE_BY_TAG)
        beside.pop("value", None)
    if not known.many:
        if stated is not None:
            _put(made, name, value, False)
        if beside:
            _put(made, f"_{name}", beside, False)
        return
    values = made.setdefault(name, [])
    values.append(value)
    if beside or f"_{name}" in made:
        besides = made.setdefault(f"_{name}", [])
        besides += [None] * (len(values) - 1 - len(besides)) + [beside or None]


def _value(stated: str, type_: str | None) -> object:
    """A value in its JSON type; as stated when it is not of that type, for the validator to name."""
    match type_:
        case "bool":
            return _BOOLEANS.get(stated, stated)
        case "int" if _INTEGER.fullmatch(stated):
            return int(stated)
        case "Decimal" if _DECIMAL.fullmatch(stated):
            return float(stated) if "." in stated else int(stated)
    return stated


def _narrative(div: etree._Element) -> str:
    """The div as text, without namespaces that only stand around it."""
    text = etree.tostring(div, encoding="unicode", with_tail=False)
    if len(div.nsmap) == 1:
        return text
    alone = etree.fromstring(text, _PARSER)
    etree.cleanup_namespaces(alone)
    return etree.tostring(alone, encoding="unicode")


# --- JSON to XML ------------------------------------------------------------------------------------------------------


def to_xml(resource: Mapping[str, Any]) -> bytes:
    """The XML form of a resource, in UTF-8; its elements in the order of the definitions, unknown ones last."""
    root = etree.Element(_FHIR + resource["resourceType"], nsmap={None: NS_FHIR})  # type: ignore[dict-item]
    _fill(root, resource, _properties(resource["resourceType"]))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _fill(element: etree._Element, content: Mapping[str, Any], properties: Mapping[str, _Property]) -> None:
    names = dict.fromkeys(name.removeprefix("_") for name in content if name != "resourceType")
    for name in (*(name for name in properties if name in names), *(name for name in names if name not in properties)):
        value, beside = content.get(name), content.get(f"_{name}")
        known = properties.get(name)
        values = value if isinstance(value, list) else [value]
        besides = beside if isinstance(beside, list) else [beside] * len(values)
        for place in range(max(len(values), len(besides))):
            each = values[place] if place < len(values) else None
            extra = besides[place] if place < len(besides) else None
            _add(element, name, each, extra, known)


def _add(parent: etree._Element, name: str, value: Any, beside: Any, known: _Property | None) -> None:
    type_ = known.type if known else None
    if name == "url" and parent.tag == f"{_FHIR}extension":
        parent.set("url", value)
    elif name == "div" and parent.tag == f"{_FHIR}text":
        parent.append(_div(value))
    elif name == "id" and not _is_resource(parent):
        parent.set("id", value)
    elif isinstance(value, Mapping):
        element = etree.SubElement(parent, _FHIR + name)
        if "resourceType" in value:
            element = etree.SubElement(element, _FHIR + value["resourceType"])
            type_ = value["resourceType"]
        _fill(element, value, _properties(type_) if type_ else {})
    else:
        element = etree.SubElement(parent, _FHIR + name)
        if value is not None:
            element.set("value", str(value).lower() if isinstance(value, bool) else str(value))
        if beside:
            _fill(element, beside, _BESIDE)


def _is_resource(element: etree._Element) -> bool:
    """Names of resources alone begin with a capital letter."""
    return _name(element)[0].isupper()


def _div(text: str) -> etree._Element:
    """The narrative; one that is no XML is shown as text."""
    try:
        return etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError:
        div = etree.Element(f"{_XHTML}div", nsmap={None: NS_XHTML})  # type: ignore[dict-item]
        div.text = text
        return div
