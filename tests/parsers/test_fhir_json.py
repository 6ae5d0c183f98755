"""Bytes to JSON: what is refused, how it is said, and that nothing is raised."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.parsers.fhir_json import MAX_ENTRIES, parse_json


def rules(body: bytes) -> list[str]:
    value, findings = parse_json(body)
    assert (value is None) is bool(findings)
    return [finding.rule for finding in findings]


def test_objects_are_read() -> None:
    assert parse_json('{"a": [1, 2.5, "å\\"b"], "b": {"a": null}}'.encode()) == (
        {"a": [1, 2.5, 'å"b'], "b": {"a": None}},
        (),
    )
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == ({"a": 1}, ())


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "GOP-FHIR-01"),
        (b"[]", "GOP-FHIR-01"),
        (b'"x"', "GOP-FHIR-01"),
        (b'{"a": 1', "GOP-FHIR-01"),
        (b'{"a": "\xe5"}', "GOP-FHIR-01"),
        (b'{"a": 1e400}', "GOP-FHIR-01"),
        (b'{"a": NaN}', "GOP-FHIR-01"),
        (b'{"a": 1, "a": 2}', "GOP-FHIR-02"),
        (b'{"x": [{"a" : 1, "a":2}], "b" :1}', "GOP-FHIR-02"),
        (b'{"x": "\\u0022:", "a": 1, "a": 2}', "GOP-FHIR-02"),
        (b'{"x": "y\\":", "a": 1, "a": 2, "b" : 3}', "GOP-FHIR-02"),
        (b"[" * 2000 + b"]" * 2000, "GOP-FHIR-03"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "GOP-FHIR-03"),
        (orjson.dumps({"entry": [{}] * (MAX_ENTRIES + 1)}), "GOP-FHIR-03"),
    ],
)
def test_what_is_refused(body: bytes, rule: str) -> None:
    assert rules(body) == [rule]


def test_the_reason_is_told_with_its_place_and_without_content() -> None:
    _, (finding,) = parse_json(b'{"cpr": "2512489996",\n x}')
    assert finding.line == 2
    assert "linje 2" in finding.text.da
    assert "line 2" in finding.text.en
    assert "2512489996" not in finding.text.da
    _, (repeated,) = parse_json(b'{"status": 1, "status": 2}')
    assert "status" in repeated.text.da


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON), st.booleans())
def test_every_object_without_repeated_keys_is_read(value: dict[str, object], spaced: bool) -> None:
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2 if spaced else 0)
    assert parse_json(body) == (value, ())


@given(st.dictionaries(st.text(), JSON, min_size=1))
def test_every_repeated_key_is_found(value: dict[str, object]) -> None:
    key = next(iter(value))
    body = orjson.dumps(value)[:-1] + b"," + orjson.dumps(key) + b":1}"
    assert rules(body) == ["GOP-FHIR-02"]


@given(st.binary(max_size=200))
def test_nothing_is_raised(body: bytes) -> None:
    parse_json(body)


def test_a_hundred_thousand_entries_are_refused_at_once() -> None:
    body = orjson.dumps({"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1"}] * 100_000})
    begun = time.process_time()
    assert rules(body) == ["GOP-FHIR-03"]
    assert time.process_time() - begun < 1


def test_our_examples_take_the_quick_way(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message as most senders write it is not read a second time in search of repeated keys."""
    monkeypatch.setattr("gtgateway.parsers.fhir_json._repeated_key", lambda _body: pytest.fail("read twice"))
    file = next((root / "samples" / "messages").glob("*/message.json"))
    value, findings = parse_json(orjson.dumps(orjson.loads(file.read_bytes())))
    assert value is not None
    assert findings == ()
