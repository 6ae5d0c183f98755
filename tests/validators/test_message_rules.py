"""MedCom's message rules: our examples keep every one, and each can be broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from gtgateway.data import packaged
from gtgateway.model.findings import Severity
from gtgateway.validators.structure.message_rules import check_message

Json = dict[str, Any]
EXAMPLES = sorted(packaged("samples", "messages").glob("*/message.json"))


def example(case: str = "rettelse-almen-2026-hofte") -> Json:
    bundle: Json = json.loads(packaged("samples", "messages", case, "message.json").read_bytes())
    return bundle


def of(bundle: Json, type_: str) -> list[Json]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type_]


def found(bundle: Json) -> list[tuple[str, str | None]]:
    return [(finding.rule, finding.source_path) for finding in check_message(bundle)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_keeps_them(path: Path) -> None:
    assert check_message(json.loads(path.read_bytes())) == ()


def move_header(bundle: Json) -> None:
    bundle["entry"].append(bundle["entry"].pop(0))


def second_header(bundle: Json) -> None:
    other = deepcopy(bundle["entry"][0])
    other["resource"]["id"] = "0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4"
    other["fullUrl"] = "urn:uuid:0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4"
    bundle["entry"].append(other)


def dangling_focus(bundle: Json) -> None:
    of(bundle, "MessageHeader")[0]["focus"] = [{"reference": "ServiceRequest/andet"}]


def without_sor(bundle: Json) -> None:
    sender = of(bundle, "MessageHeader")[0]["sender"]["reference"].removeprefix("Organization/")
    organization = next(each for each in of(bundle, "Organization") if each["id"] == sender)
    organization["identifier"] = [each for each in organization["identifier"] if "gln" in each["system"]]


def no_primary(bundle: Json) -> None:
    header = of(bundle, "MessageHeader")[0]
    header["destination"] = header["destination"][1:]


def second_patient(bundle: Json) -> None:
    bundle["entry"].append({"resource": of(bundle, "Patient")[0] | {"id": "anden"}})


def without_provenance(bundle: Json) -> None:
    bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Provenance"]


def no_earlier_message(bundle: Json) -> None:
    of(bundle, "Provenance")[0]["entity"][0]["role"] = "source"


def silent_header(bundle: Json) -> None:
    of(bundle, "MessageHeader")[0]["text"]["div"] = '<div xmlns="http://www.w3.org/1999/xhtml"><p> </p></div>'


def silent_patient(bundle: Json) -> None:
    del of(bundle, "Patient")[0]["text"]


def embedded_picture(bundle: Json) -> None:
    text = of(bundle, "Consent")[0]["text"]
    text["div"] = text["div"].replace("</div>", '<img src="data:image/png;base64,AAAA"/></div>')


def no_uuid(bundle: Json) -> None:
    bundle["id"] = "plan-1"


def no_zone(bundle: Json) -> None:
    of(bundle, "Provenance")[0]["recorded"] = "2026-11-17T10:40:00"


def discharged_the_day_before_in_utc(bundle: Json) -> None:
    of(bundle, "Encounter")[0]["period"]["end"] = "2026-11-16T23:30:00Z"  # 00:30 on the 17th in Denmark
    of(bundle, "ServiceRequest")[0]["extension"][0]["valueDate"] = "2026-11-16"


@pytest.mark.parametrize(
    ("change", "rule", "place"),
    [
        (move_header, "GOP-FHIR-51", "Bundle.entry[{last}].resource"),
        (second_header, "GOP-FHIR-51", "Bundle.entry[{last}].resource"),
        (dangling_focus, "GOP-FHIR-52", "Bundle.entry[0].resource.focus"),
        (without_sor, "GOP-FHIR-53", None),
        (no_primary, "GOP-FHIR-53", "Bundle.entry[0].resource.destination"),
        (second_patient, "GOP-FHIR-54", "Bundle.entry[{last}].resource"),
        (without_provenance, "GOP-FHIR-55", "Bundle.entry"),
        (no_earlier_message, "GOP-FHIR-56", "Bundle.entry[1].resource"),
        (silent_header, "GOP-FHIR-57", "Bundle.entry[0].resource"),
        (silent_patient, "GOP-FHIR-58", None),
        (embedded_picture, "GOP-FHIR-58", None),
        (no_uuid, "GOP-FHIR-59", "Bundle.id"),
        (no_zone, "GOP-FHIR-60", "Bundle.entry[1].resource.recorded"),
        (discharged_the_day_before_in_utc, "GOP-FHIR-61", None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_can_be_broken(change: Callable[[Json], None], rule: str, place: str | None) -> None:
    bundle = example()
    change(bundle)
    hits = found(bundle)
    assert [each for each, _ in hits] == [rule]
    if place:
        assert hits[0][1] == place.format(last=len(bundle["entry"]) - 1)


def test_ids_and_narratives_warn_only() -> None:
    bundle = example()
    no_uuid(bundle)
    silent_patient(bundle)
    assert {finding.severity for finding in check_message(bundle)} == {Severity.WARNING}


def test_a_copy_names_no_earlier_message() -> None:
    bundle = example("almen-2026-hofte")
    of(bundle, "Provenance")[0]["activity"]["coding"][0]["code"] = "carboncopy-message"
    assert found(bundle) == []


def test_a_message_without_a_header() -> None:
    assert found({"resourceType": "Bundle", "type": "message"}) == [("GOP-FHIR-51", "Bundle.entry")]


@pytest.mark.parametrize("nonsense", [None, 1, "x", [], [[]], {"a": {}}])
def test_any_json_is_looked_at(nonsense: object) -> None:
    check_message({"entry": nonsense})
    check_message({"entry": [{"resource": {"resourceType": "MessageHeader", "sender": nonsense, "focus": nonsense}}]})


def test_official_messages_keep_them_but_for_ids(shared: Path) -> None:
    corpus = sorted((shared / "data" / "fhir" / "corpus").glob("good-[!k]*.json"))
    assert len(corpus) == 10
    for path in corpus:
        rules = {rule for rule, _ in found(json.loads(path.read_bytes()))}
        assert rules <= {"GOP-FHIR-59"}, path.name


def answer(shared: Path, code: str) -> Json:
    path = shared / "data" / "fhir" / "proposals" / f"gop-acknowledgement-{code}-example.json"
    bundle: Json = json.loads(path.read_bytes())
    return bundle


def quotes_itself(bundle: Json) -> None:
    header = of(bundle, "MessageHeader")[0]
    header["response"]["identifier"] = header["id"]


def dangling(bundle: Json) -> None:
    of(bundle, "MessageHeader")[0]["response"]["details"] = {"reference": "OperationOutcome/ukendt"}


def ok_with_error(bundle: Json) -> None:
    of(bundle, "MessageHeader")[0]["response"]["code"] = "ok"


def error_with_warnings(bundle: Json) -> None:
    of(bundle, "OperationOutcome")[0]["issue"][0]["severity"] = "warning"


def one_provenance(bundle: Json) -> None:
    del bundle["entry"][1]


@pytest.mark.parametrize("change", [quotes_itself, dangling, ok_with_error, error_with_warnings, one_provenance])
def test_an_acknowledgement_that_contradicts_itself(shared: Path, change: Callable[[Json], None]) -> None:
    bundle = answer(shared, "fatal-error")
    assert found(bundle) == []
    change(bundle)
    assert [rule for rule, _ in found(bundle)] == ["GOP-FHIR-63"]
