"""FHIR XML and JSON are one content: official messages both ways, primitives in their types, nothing dropped."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from lxml import etree

from gtgateway.data import packaged
from gtgateway.parsers.fhir_codec import from_xml, to_xml
from gtgateway.parsers.hardened import Limits, parse_xml

XML = 'xmlns="http://hl7.org/fhir"'
EXAMPLES = sorted(packaged("samples", "messages").glob("*/message.json"))


def read(body: bytes) -> dict[str, Any]:
    root, found = parse_xml(body, Limits())
    assert root is not None, found
    return from_xml(root)


def resource(inside: str, type_: str = "Patient") -> dict[str, Any]:
    return read(f"<{type_} {XML}>{inside}</{type_}>".encode())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_our_examples_both_ways(path: Path) -> None:
    stated = json.loads(path.read_bytes())
    assert read(path.with_suffix(".xml").read_bytes()) == stated
    written = to_xml(stated)
    assert read(written) == stated
    # Order and structure are those that an independent library reads; it writes narratives with character references.
    theirs = Bundle.model_validate_xml(written).model_dump_json()
    assert json.loads(unescape(theirs)) == json.loads(unescape(Bundle.model_validate(stated).model_dump_json()))


def test_official_messages_both_ways(shared: Path) -> None:
    corpus = sorted((shared / "data" / "fhir" / "corpus" / "xml").glob("*.xml"))
    assert len(corpus) == 14
    for path in corpus:
        stated = json.loads((path.parents[1] / path.with_suffix(".json").name).read_bytes())
        assert read(path.read_bytes()) == stated, path.name
        assert read(to_xml(stated)) == stated, path.name


def test_primitives_have_their_json_type() -> None:
    assert resource('<active value="true"/><multipleBirthInteger value="2"/>') == {
        "resourceType": "Patient",
        "active": True,
        "multipleBirthInteger": 2,
    }
    quantity = resource('<valueQuantity><value value="2.50"/></valueQuantity>', "Observation")
    assert quantity["valueQuantity"]["value"] == 2.5


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('<active value="ja"/>', {"active": "ja"}),
        ('<multipleBirthInteger value="to"/>', {"multipleBirthInteger": "to"}),
        ('<multipleBirthInteger value="007"/>', {"multipleBirthInteger": "007"}),
        ('<gender value="male"/><gender value="female"/>', {"gender": ["male", "female"]}),
        ('<foo value="x"/>', {"foo": "x"}),
        ('<foo><bar value="1"/><bar value="2"/></foo>', {"foo": {"bar": ["1", "2"]}}),
        ('<o:foo xmlns:o="urn:other" value="x"/>', {"{urn:other}foo": "x"}),
        ("løs tekst", {"#text": "løs tekst"}),
        ('<gender value="male" kind="x"/>', {"gender": "male", "_gender": {"kind": "x"}}),
        ('<maritalStatus other="x"/>', {"maritalStatus": {"other": "x"}}),
    ],
)
def test_what_is_wrong_is_kept_for_the_validator_to_name(inside: str, expected: dict[str, Any]) -> None:
    assert resource(inside) == {"resourceType": "Patient"} | expected


def test_what_stands_beside_a_primitive() -> None:
    absent = '<extension url="http://example.dk/x"><valueCode value="unknown"/></extension>'
    stated = resource(
        f'<birthDate id="b" value="1948-12-25">{absent}</birthDate><gender>{absent}</gender>'
        f'<name><given value="Nancy"/><given>{absent}</given><given value="Ann"/></name>'
    )
    beside = {"extension": [{"url": "http://example.dk/x", "valueCode": "unknown"}]}
    assert stated == {
        "resourceType": "Patient",
        "birthDate": "1948-12-25",
        "_birthDate": {"id": "b"} | beside,
        "_gender": beside,
        "name": [{"given": ["Nancy", None, "Ann"], "_given": [None, beside, None]}],
    }
    assert read(to_xml(stated)) == stated


def test_a_narrative_is_xhtml_as_it_stands() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Æ &amp; <b>ø</b> <br/></p></div>'
    around = f'{XML} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    stated = read(f'<Patient {around}><text><status value="generated"/>{div}</text></Patient>'.encode())
    assert stated["text"] == {"status": "generated", "div": div}
    assert read(to_xml(stated)) == stated


def test_a_narrative_that_is_no_xml_is_shown_as_text() -> None:
    written = to_xml({"resourceType": "Patient", "text": {"div": "<div>a & b"}})
    assert "&lt;div&gt;a &amp; b</div>" in written.decode()


def test_resources_inside_resources() -> None:
    stated = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]}
    written = etree.fromstring(to_xml(stated))
    assert [element.tag.rpartition("}")[2] for element in written.iter("*")] == [
        "Bundle",
        "entry",
        "resource",
        "Patient",
        "id",
    ]
    assert read(to_xml(stated)) == stated


def test_elements_come_in_the_order_of_the_definition_and_data_types_have_their_id_as_attribute() -> None:
    stated = {"gender": "male", "name": [{"family": "Berg", "id": "n"}], "id": "p", "resourceType": "Patient"}
    root = etree.fromstring(to_xml(stated))
    assert [child.tag.rpartition("}")[2] for child in root] == ["id", "name", "gender"]
    assert root[1].get("id") == "n"
