"""The mapping table of GGOP covers our schema exactly, and names fields that the model has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gtgateway.mappers.plan_from_medcom_xml import ROWS, TABLE
from gtgateway.mappers.table import Row, Table, text_of
from gtgateway.parsers.medcom_xml import NS100, NS104

XS = "{http://www.w3.org/2001/XMLSchema}"
Schemas = dict[str, list[etree._Element]]


def component(schemas: Schemas, owner: etree._Element, kind: str, qname: str) -> Any:
    """The global element, group or complex type that `owner` names, by the prefix that holds there, or None."""
    prefix, _, name = qname.rpartition(":")
    files = schemas[owner.nsmap[prefix or None]]
    return next((found for root in files for found in root.iterfind(f"{XS}{kind}[@name='{name}']")), None)


def leaves(schemas: Schemas, declared: etree._Element, path: str) -> Iterator[str]:
    """Paths of the elements within a declaration that hold text, anything or nothing, in the table's notation."""
    content = declared.find(f"{XS}complexType")
    named = declared.get("type", "xs:string")
    if content is None and not named.startswith("xs:"):
        content = component(schemas, declared, "complexType", named)
    if (
        content is None
        or content.get("mixed")
        or len(content) == 0
        or content.find(f"{XS}sequence/{XS}any") is not None
    ):
        yield path
    else:
        yield from particles(schemas, content, path)


def particles(schemas: Schemas, node: etree._Element, path: str) -> Iterator[str]:
    for child in node.iterchildren("*"):
        if child.tag in (f"{XS}sequence", f"{XS}choice"):
            yield from particles(schemas, child, path)
        elif child.tag == f"{XS}group":
            yield from particles(schemas, component(schemas, child, "group", child.get("ref", "")), path)
        elif child.tag == f"{XS}element":
            declared = component(schemas, child, "element", child.get("ref", "")) if child.get("ref") else child
            namespace = declared.getroottree().getroot().get("targetNamespace")
            name = ("100:" if namespace == NS100 else "") + (declared.get("name") or "")
            yield from leaves(schemas, declared, f"{path}/{name}".lstrip("/"))


def schema_leaves(folder: Path) -> set[str]:
    schemas: Schemas = {}
    for file in sorted(folder.rglob("*.xsd")):
        if file.name != "strict.xsd":  # the same elements as the lenient one
            root = etree.parse(file).getroot()
            schemas.setdefault(root.get("targetNamespace", ""), []).append(root)
    (plan,) = (found for root in schemas[NS104] for found in root.iter(f"{XS}element") if found.get("name") == PLAN)
    return set(leaves(schemas, plan, ""))


PLAN = "RehabilitationPlan"
TABLE_LEAVES = {row.source.replace("[]", "") for row in ROWS}


def test_the_table_and_our_schema_name_the_same_elements(root: Path) -> None:
    assert schema_leaves(root / "xsd" / "municipality") == TABLE_LEAVES


def test_the_table_and_the_draft_schema_name_the_same_elements(shared: Path) -> None:
    assert schema_leaves(shared / "data" / "xsd-draft") == TABLE_LEAVES


def test_every_row_reads_or_says_why_not() -> None:
    for row in ROWS:
        assert (row.read is None) == (row.target is None) == (row.reason is not None), row.source
        assert row.read is None or row.read.__doc__, row.source


def test_a_target_that_the_model_lacks_is_refused_when_the_table_is_made() -> None:
    with pytest.raises(KeyError, match="colour"):
        Table((Row("patient.colour", "Patient/Colour", text_of),), {"": NS104})
    with pytest.raises(KeyError, match="pets"):
        Table((Row("pets[].name", "Pet[]/Name", text_of),), {"": NS104})


def test_places_name_fields_and_the_objects_around_them() -> None:
    places = dict(TABLE.places)
    assert places["patient"] == "/Patient"
    assert places["patient.address"] == "/Patient"
    assert places["patient.identifier"] == "/Patient"  # two elements can hold it
    assert places["hospital_contact.expected_end"] == "/CurrentHospitalContact/ExpectedEnd"
    assert places["rehabilitation_need"] == "/RehabilitationNeedAndPotential"
    assert places["diagnoses"] == "/ICD10Diagnoses/ICD10Diagnose"
    assert places["author"] == "/Sender/SignedBy"
