"""The official examples and their single-fault mutants: good accepted, bad refused at the named element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from lxml import etree

from gtgateway.model.findings import Finding, Severity
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.validators.structure.profile import Profiles

Json = dict[str, Any]

#: Where the fault of each mutant stands, and by which rule it is told.
MUTANTS = {
    "bad-ack-no-timestamp": ("Bundle.timestamp", "GOP-FHIR-06"),
    "bad-ack-no-occurred": ("Bundle.entry[2].resource.occurredDateTime", "GOP-FHIR-13"),
    "bad-kl-no-discharge": ("Bundle.entry[4].resource.extension", "GOP-FHIR-13"),
    "bad-kl-performer-0": ("Bundle.entry[4].resource.performer", "GOP-FHIR-07"),
    "bad-ack-type-fixed": ("Bundle.type", "GOP-FHIR-11"),
    "bad-ack-event-code": ("Bundle.entry[0].resource.eventCoding", "GOP-FHIR-12"),
    "bad-hn-class-code": ("Bundle.entry[2].resource.class", "GOP-FHIR-12"),
    "bad-kl-category-code": ("Bundle.entry[4].resource.category[0].coding[0]", "GOP-FHIR-12"),
    "bad-ack-destuse-foo": ("Bundle.entry[0].resource.destination[0]", "GOP-FHIR-15"),
    "bad-ack-two-primary": ("Bundle.entry[0].resource.destination", "GOP-FHIR-14"),
    "bad-ack-fatal-no-oo": ("Bundle", "GOP-FHIR-16"),
    "bad-hn-two-patients": ("Bundle", "GOP-FHIR-16"),
    "bad-kl-only-basal": ("Bundle.entry[4].resource", "GOP-FHIR-16"),
    "bad-kl-cpr-short": ("Bundle.entry[0].resource.identifier[0].value", "GOP-FHIR-16"),
    "bad-ack-unknown-prop": ("Bundle.entry[0].resource.foo", "GOP-FHIR-05"),
    "bad-ack-bad-instant": ("Bundle.timestamp", "GOP-FHIR-09"),
}
KEYS = {
    "bad-ack-fatal-no-oo": "medcom-acknowledgement-1",
    "bad-hn-two-patients": "medcom-hospitalNotification-2",
    "bad-kl-only-basal": "gateway-140-service-request-1",
    "bad-kl-cpr-short": "cpr",
}


@pytest.fixture(scope="module")
def profiles(shared: Path) -> Profiles:
    return Profiles.load([shared / "data" / "fhir" / "packages"])


def errors(findings: tuple[Finding, ...]) -> list[tuple[str | None, str]]:
    return [(item.source_path, item.rule) for item in findings if item.severity is Severity.ERROR]


def test_every_good_message_is_accepted_by_both_paths(profiles: Profiles, shared: Path) -> None:
    files = sorted((shared / "data" / "fhir" / "corpus").glob("good-*.json"))
    assert len(files) == 14
    for file in files:
        message = orjson.loads(file.read_bytes())
        assert profiles.check(message) == (), file.name
        assert profiles.accepts(message), file.name


def test_the_xml_form_gets_the_same_verdict(profiles: Profiles, shared: Path) -> None:
    files = sorted((shared / "data" / "fhir" / "corpus" / "xml").glob("good-*.xml"))
    assert len(files) == 14
    for file in files:
        assert profiles.check(from_xml(etree.fromstring(file.read_bytes()))) == (), file.name


def test_every_mutant_of_the_corpus_is_listed(shared: Path) -> None:
    assert {file.stem for file in (shared / "data" / "fhir" / "corpus").glob("bad-*.json")} == set(MUTANTS)


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_every_mutant_is_refused_at_its_element(profiles: Profiles, shared: Path, name: str) -> None:
    message = orjson.loads((shared / "data" / "fhir" / "corpus" / f"{name}.json").read_bytes())
    findings = profiles.check(message)
    assert MUTANTS[name] in errors(findings)
    assert len(errors(findings)) <= 2  # the fault, and at most one that follows from it
    assert not profiles.accepts(message)
    if name in KEYS:
        assert any(f"the rule {KEYS[name]}:" in item.text.en for item in findings)


def test_our_acknowledgements_and_report_are_valid(profiles: Profiles, shared: Path) -> None:
    folder = shared / "data" / "fhir" / "proposals"
    files = [*sorted(folder.glob("gop-acknowledgement-*.json")), folder / "kl-rehab-report-at-receipt-example.json"]
    assert len(files) == 4
    for file in files:
        assert errors(profiles.check(orjson.loads(file.read_bytes()))) == [], file.name


def test_the_one_known_finding_on_the_proposed_messages(profiles: Profiles, shared: Path) -> None:
    """medcom-messaging-provenance wants MedCom's header as target, and ours cannot derive from it."""
    for name in ("almen", "specialiseret"):
        file = shared / "data" / "fhir" / "proposals" / f"gop-message-{name}-example.json"
        found = errors(profiles.check(orjson.loads(file.read_bytes())))
        assert found == [("Bundle.entry[1].resource.target[0].reference", "GOP-FHIR-19")]


def test_our_examples_are_valid_against_the_official_packages(profiles: Profiles, root: Path) -> None:
    files = sorted((root / "samples" / "messages").glob("*/message.json"))
    assert files
    for file in files:
        message = orjson.loads(file.read_bytes())
        assert errors(profiles.check(message)) == [], file.parent.name


def test_each_guide_is_judged_by_the_versions_that_it_declares(profiles: Profiles, shared: Path) -> None:
    """Acknowledgement 2.0.3 declares dk-core 2.0.0: `https` is its GLN system, `http` only from 3.5.0 on."""
    message = orjson.loads((shared / "data" / "fhir" / "corpus" / "good-ack-a8c041b8.json").read_bytes())
    organisation = next(
        entry["resource"] for entry in message["entry"] if entry["resource"]["resourceType"] == "Organization"
    )
    gln = next(item for item in organisation["identifier"] if item["system"] == "https://www.gs1.org/gln")
    gln["system"] = "http://www.gs1.org/gln"
    assert any(rule == "GOP-FHIR-13" for _, rule in errors(profiles.check(message)))


def test_what_cannot_be_evaluated_is_counted(profiles: Profiles) -> None:
    profiles.compile()
    assert any("value set http://hl7.org/fhir/ValueSet/mimetypes" in what for what in profiles.unevaluated)
    # Of capability statements and message definitions, which are not sent.
    assert profiles.uncovered <= {"name.matches('[A-Z]([A-Za-z0-9_]){0,254}')"}


def test_every_invariant_of_our_own_package_is_a_function() -> None:
    own = Profiles.load()
    own.compile()
    assert not own.uncovered
