"""Golden samples: every case of samples/messages gives exactly the assessment and the receipt that lie beside it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from lxml import etree

from update_samples import MESSAGES, cases, outcome_files

CASES = cases()
OFFICIAL = {
    "{http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/}Emessage": "2005/08/07/EMessage.xsd",
    "{urn:oio:medcom:vans-envelope:1.0.4}VANSEnvelope": "vans-envelope-1.0.4/VANSEnvelope.xsd",
}


def test_the_cases_show_every_level_under_both_orders_and_both_verdicts() -> None:
    found = [letter for case in CASES for letter in orjson.loads((case / "expected.json").read_bytes())]
    accepted = {(each["order"], each["plan"]["level"]) for each in found if each["verdict"] == "accepted"}
    levels = ("almen", "specialiseret", "rehabilitering")
    assert accepted >= {(order, level) for order in ("BEK-918-2018", "BEK-2027") for level in levels}
    assert {each["format"] for each in found} >= {"ggop", "vans+ggop", "xdis91"}
    assert {each["verdict"] for each in found} == {"accepted", "rejected"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gives_what_is_expected_of_it(case: Path) -> None:
    if (case / "message.json").exists():
        pytest.skip("a FHIR message")
    files = outcome_files(case)
    kept = {file.name: file.read_bytes() for file in case.iterdir() if file.name not in ("case.toml", "message.xml")}
    # Compared as data: a difference is shown by its place.
    assert orjson.loads(files["expected.json"]) == orjson.loads(kept["expected.json"])
    assert files == kept


@pytest.mark.parametrize("case", sorted(file.parent.name for file in MESSAGES.glob("*/receipt.xml")))
def test_a_receipt_is_valid_by_the_official_schema(case: str, shared: Path) -> None:
    receipt = etree.parse(MESSAGES / case / "receipt.xml")
    schema = etree.XMLSchema(etree.parse(shared / "data" / "xsd-official" / OFFICIAL[receipt.getroot().tag]))
    schema.assertValid(receipt)
