"""Golden samples: every case of samples/messages gives exactly the assessment and the receipt that lie beside it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from lxml import etree

from gtgateway.validators.structure.profile import Profiles
from update_samples import MESSAGES, cases, expected_of, outcome_files, outcome_of

CASES = cases()
FHIR_CASES = [case for case in CASES if (case / "message.json").exists()]
OFFICIAL = {
    "{http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/}Emessage": "2005/08/07/EMessage.xsd",
    "{urn:oio:medcom:vans-envelope:1.0.4}VANSEnvelope": "vans-envelope-1.0.4/VANSEnvelope.xsd",
}


def test_the_cases_show_every_level_under_both_orders_and_both_verdicts() -> None:
    found = [letter for case in CASES for letter in orjson.loads((case / "expected.json").read_bytes())]
    accepted = {(each["order"], each["plan"]["level"]) for each in found if each["verdict"] == "accepted"}
    levels = ("almen", "specialiseret", "rehabilitering")
    assert accepted >= {(order, level) for order in ("BEK-918-2018", "BEK-2027") for level in levels}
    assert {each["format"] for each in found} >= {"ggop", "vans+ggop", "xdis91", "fhir"}
    assert {each["verdict"] for each in found} == {"accepted", "rejected"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gives_what_is_expected_of_it(case: Path) -> None:
    files = outcome_files(case)
    given = ("case.toml", "message.json", "message.xml")
    kept = {file.name: file.read_bytes() for file in case.iterdir() if file.name not in given}
    # Compared as data: a difference is shown by its place.
    assert orjson.loads(files["expected.json"]) == orjson.loads(kept["expected.json"])
    assert files == kept


@pytest.mark.parametrize("case", FHIR_CASES, ids=lambda case: case.name)
def test_a_fhir_message_is_judged_the_same_as_json_and_as_xml(case: Path) -> None:
    by_json, by_xml = (expected_of(outcome_of(case / name)) for name in ("message.json", "message.xml"))
    for each, media_type in ((by_json, "application/fhir+json"), (by_xml, "application/fhir+xml")):
        (letter,) = each
        assert letter["acknowledgement"].pop("media_type") == media_type
        if letter["record"] is not None:
            letter["record"].pop("message_digest")
    assert orjson.loads(orjson.dumps(by_json)) == orjson.loads(orjson.dumps(by_xml))


def test_a_correction_and_a_withdrawal_change_the_plan_of_another_case() -> None:
    found = {case.name: orjson.loads((case / "expected.json").read_bytes())[0] for case in FHIR_CASES}
    corrected, first = found["rettelse-almen-2026-hofte"], found["almen-2026-hofte"]
    assert (corrected["action"], corrected["verdict"]) == ("correction", "accepted")
    assert corrected["record"]["plan_id"] == first["record"]["plan_id"]
    assert (first["record"]["plan_version"], corrected["record"]["plan_version"]) == (1, 2)
    withdrawn = found["tilbagetraekning-almen-2026-knae"]
    assert (withdrawn["action"], withdrawn["verdict"]) == ("withdrawal", "accepted")


@pytest.mark.parametrize("case", FHIR_CASES, ids=lambda case: case.name)
def test_a_fhir_receipt_is_valid_by_the_official_package(case: Path, official: Profiles) -> None:
    found = official.check(orjson.loads((case / "receipt.json").read_bytes()))
    assert [finding for finding in found if finding.severity == "error"] == []


@pytest.fixture(scope="module")
def official(shared: Path) -> Profiles:
    return Profiles.load((shared / "data" / "fhir" / "packages",))


@pytest.mark.parametrize("case", sorted(file.parent.name for file in MESSAGES.glob("*/receipt.xml")))
def test_a_receipt_is_valid_by_the_official_schema(case: str, shared: Path) -> None:
    receipt = etree.parse(MESSAGES / case / "receipt.xml")
    schema = etree.XMLSchema(etree.parse(shared / "data" / "xsd-official" / OFFICIAL[receipt.getroot().tag]))
    schema.assertValid(receipt)
