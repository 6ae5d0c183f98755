"""The envelope of a FHIR message: parties, ids, action, digest, acknowledgements, notifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtgateway.data import packaged
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.message import Action
from gtgateway.model.plan import LocalMoment, Party
from gtgateway.parsers.fhir import CANONICAL, moment, party_of
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.parsers.fhir_message import content_digest, episode_of_care_id, patient_number, read_fhir_message
from gtgateway.parsers.hardened import Limits, parse_xml

Json = dict[str, Any]


def example(case: str = "almen-2026-hofte") -> Json:
    bundle: Json = json.loads(packaged("samples", "messages", case, "message.json").read_bytes())
    return bundle


def of(bundle: Json, type_: str) -> Json:
    return next(each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == type_)


def test_the_canonical_is_the_one_of_the_profile() -> None:
    assert json.loads(packaged("profiles", "package.json").read_bytes())["canonical"] == CANONICAL


def test_who_sends_what_to_whom() -> None:
    message = read_fhir_message(example())
    assert message.findings == ()
    assert message.envelope is not None
    assert message.envelope.sender == Party(
        "5790001348120",
        (Identifier(IdentifierKind.SOR, "953741000016009"),),
        "Sygehus Nordkysten",
        telephone="49123456",
    )
    assert message.envelope.receiver.gln == "5790000209354"
    assert message.envelope.receiver.identifier(IdentifierKind.KOMMUNEKODE) == "0219"
    assert message.envelope.sent_at == LocalMoment(date(2026, 11, 16), time(10, 45))
    assert message.envelope.wants_positive_receipt
    assert message.envelope.envelope_id == of(example(), "MessageHeader")["id"]
    assert message.head is not None
    assert message.head.letter_id == of(example(), "ServiceRequest")["identifier"][0]["value"]
    assert (message.head.version_code, message.head.type_code) == ("rehabilitation-plan-message", "FHIR")
    assert message.fhir is not None
    assert (message.fhir.activity, message.fhir.bundle_id) == ("new-message", example()["id"])


@pytest.mark.parametrize(
    ("case", "action", "earlier"),
    [
        ("almen-2026-hofte", Action.NEW, None),
        ("rettelse-almen-2026-hofte", Action.CORRECTION, "almen-2026-hofte"),
        ("tilbagetraekning-almen-2026-knae", Action.WITHDRAWAL, "almen-2026-knae"),
    ],
)
def test_what_is_to_be_done(case: str, action: Action, earlier: str | None) -> None:
    message = read_fhir_message(example(case))
    assert message.action is action
    assert message.fhir is not None
    assert message.fhir.earlier == ((of(example(earlier), "MessageHeader")["id"],) if earlier else ())
    if earlier:
        before = read_fhir_message(example(earlier))
        assert message.head is not None
        assert before.head is not None
        assert message.head.letter_id == before.head.letter_id


def test_a_copy() -> None:
    bundle = example()
    of(bundle, "Provenance")["activity"]["coding"][0]["code"] = "carboncopy-message"
    assert read_fhir_message(bundle).action is Action.COPY


@pytest.mark.parametrize("status", ["revoked", "entered-in-error"])
def test_a_plan_with_the_status_of_a_withdrawn_one_is_withdrawn(status: str) -> None:
    bundle = example()
    of(bundle, "ServiceRequest")["status"] = status
    assert read_fhir_message(bundle).action is Action.WITHDRAWAL


def sent_again(bundle: Json) -> None:
    bundle |= {"id": "0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4", "timestamp": "2026-11-16T12:00:00+01:00"}
    bundle["meta"]["lastUpdated"] = "2026-11-16T12:00:00+01:00"
    of(bundle, "Provenance").update(occurredDateTime="2026-11-16T12:00:00+01:00", recorded="2026-11-16T12:00:00+01:00")


def in_another_order(bundle: Json) -> None:
    for entry in bundle["entry"]:
        entry["resource"] = dict(reversed(entry["resource"].items()))


def another_date(bundle: Json) -> None:
    of(bundle, "ServiceRequest")["extension"][0]["valueDate"] = "2026-11-17"


def another_header(bundle: Json) -> None:
    of(bundle, "MessageHeader")["id"] = "0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4"


@pytest.mark.parametrize(
    ("change", "same"),
    [(sent_again, True), (in_another_order, True), (another_date, False), (another_header, False)],
)
def test_same_content_same_digest(change: Callable[[Json], None], same: bool) -> None:
    bundle = example()
    change(bundle)
    assert (content_digest(bundle) == content_digest(example())) is same


def test_json_and_xml_have_one_digest() -> None:
    root, _ = parse_xml(packaged("samples", "messages", "almen-2026-hofte", "message.xml").read_bytes(), Limits())
    assert root is not None
    assert read_fhir_message(from_xml(root)).digest == read_fhir_message(example()).digest


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda bundle: bundle.update(type="collection"), "GOP-MSG-01"),
        (lambda bundle: bundle.update(resourceType="Patient"), "GOP-MSG-01"),
        (lambda bundle: of(bundle, "MessageHeader").pop("id"), "GOP-MSG-03"),
        (lambda bundle: of(bundle, "MessageHeader").pop("sender"), "GOP-MSG-03"),
    ],
)
def test_nobody_to_answer_to(change: Callable[[Json], object], rule: str) -> None:
    bundle = example()
    change(bundle)
    message = read_fhir_message(bundle)
    assert message.envelope is None
    assert [finding.rule for finding in message.findings] == [rule]


def test_a_message_of_another_kind_is_answered() -> None:
    bundle = example()
    of(bundle, "MessageHeader")["eventCoding"]["code"] = "care-communication-message"
    message = read_fhir_message(bundle)
    assert message.envelope is not None
    assert [(each.rule, each.source_path) for each in message.findings] == [
        ("GOP-MSG-01", "Bundle.entry[0].resource.eventCoding.code")
    ]


def test_the_draft_referral_event_is_read_and_another_version_is_not() -> None:
    bundle = example()
    of(bundle, "MessageHeader")["eventCoding"]["code"] = "new-referral"
    assert read_fhir_message(bundle).findings == ()
    of(bundle, "MessageHeader")["definition"] = f"{CANONICAL}/MessageDefinition/gop-message|2.0"
    assert [each.rule for each in read_fhir_message(bundle).findings] == ["GOP-MSG-02"]


def test_a_wrong_check_digit_warns() -> None:
    bundle = example()
    text = json.dumps(bundle).replace("5790001348120", "5790001348121")
    assert [each.rule for each in read_fhir_message(json.loads(text)).findings] == ["GOP-MSG-10"]


def test_acknowledgements_are_receipts(shared: Path) -> None:
    proposals = shared / "data" / "fhir" / "proposals"
    for code in ("ok", "fatal-error", "transient-error"):
        bundle = json.loads((proposals / f"gop-acknowledgement-{code}-example.json").read_bytes())
        message = read_fhir_message(bundle)
        assert message.envelope is None
        receipt = message.receipt
        assert receipt is not None
        assert receipt.envelope_id == "86302f1b-9b41-5d43-ad40-2b452e55d887"
        assert (receipt.sender_gln, receipt.receiver_gln) == ("5790001348120", "5790000209354")
        assert (receipt.positive, receipt.refuse_code) == (code == "ok", None if code == "ok" else code)


def test_a_hospital_notification(shared: Path) -> None:
    corpus = shared / "data" / "fhir" / "corpus"
    discharge = read_fhir_message(json.loads((corpus / "good-hn-f4aa42a4.json").read_bytes()))
    assert discharge.head is None
    assert discharge.notification is not None
    assert discharge.notification.activity == "discharge-inpatient-home"
    assert discharge.notification.discharged == LocalMoment(date(2022, 12, 18), time(8, 45, 30))
    assert discharge.notification.episode_of_care_id == "bd481c38a92111edafa10242ac120002"
    assert discharge.notification.patient == Cpr("2509479989")
    admission = read_fhir_message(json.loads((corpus / "good-hn-a5e5b880.json").read_bytes()))
    assert admission.notification is not None
    assert admission.notification.discharged is None


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2026-11-06", LocalMoment(date(2026, 11, 6))),
        ("2026-11-06T23:30:00Z", LocalMoment(date(2026, 11, 7), time(0, 30))),
        ("2026-07-01T10:00:00.123+02:00", LocalMoment(date(2026, 7, 1), time(10))),
        ("2026-07-01T10:00", LocalMoment(date(2026, 7, 1), time(10))),
        ("2026-02-30", None),
        ("2026-11", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("i går", None),
        (20261106, None),
    ],
)
def test_times_are_danish(stated: object, expected: LocalMoment | None) -> None:
    assert moment(stated) == expected


@pytest.mark.parametrize(
    ("system", "value", "expected"),
    [
        ("http://www.gs1.org/gln", "5790000121441", None),
        ("urn:iso:std:iso:3166:-2", "DK-83", Identifier(IdentifierKind.REGIONSKODE, "1083")),
        (
            "http://hl7.dk/fhir/core/CodeSystem/dk-core-regional-subdivision-codes",
            "DK-83",
            Identifier(IdentifierKind.REGIONSKODE, "1083"),
        ),
        (
            "http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes",
            "461",
            Identifier(IdentifierKind.KOMMUNEKODE, "0461"),
        ),
        ("urn:oid:1.2.208.176.1.4", "990002", Identifier(IdentifierKind.YDERNUMMER, "990002")),
        ("urn:andet", "7", Identifier(IdentifierKind.OTHER, "7", "urn:andet")),
    ],
)
def test_identifiers_of_an_organisation(system: str, value: str, expected: Identifier | None) -> None:
    party = party_of({"identifier": [{"system": system, "value": value}]})
    assert party.identifiers == ((expected,) if expected else ())
    assert party.gln == (None if expected else value)


def test_a_replacement_number_only_without_a_cpr_number() -> None:
    replacement = {"system": "urn:oid:1.2.208.176.1.6.1.1", "value": "0703921VJ4"}
    cpr = {"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}
    number, place = patient_number({"identifier": [replacement, cpr]})
    assert (type(number).__name__, place) == ("Cpr", 1)
    number, place = patient_number({"identifier": [replacement]})
    assert (type(number).__name__, place) == ("ReplacementNumber", 0)


def test_the_hospitals_own_episode_wins_over_lpr3() -> None:
    lpr3 = {"identifier": {"value": "urn:uuid:d6087ba9-57f5-5b49-a2ec-be0cb2728eaf"}}
    own = {"identifier": {"value": "bd481c38-a921-11ed-afa1-0242ac120002"}}
    assert episode_of_care_id({"episodeOfCare": [lpr3, own]}) == "bd481c38a92111edafa10242ac120002"
    assert episode_of_care_id({"episodeOfCare": [lpr3]}) == "d6087ba957f55b49a2ecbe0cb2728eaf"
    assert episode_of_care_id({"episodeOfCare": [{"identifier": {"value": "FORLØB-7"}}]}) == "FORLØB-7"


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_raised_for_any_json(data: st.DataObject) -> None:
    bundle = deepcopy(example(data.draw(st.sampled_from(("almen-2026-hofte", "rettelse-almen-2026-hofte")))))
    for _ in range(data.draw(st.integers(1, 4))):
        spoil(bundle, data)
    read_fhir_message(bundle)


def spoil(value: Any, data: st.DataObject) -> None:
    """Put nonsense somewhere into a document."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(value[key], (dict, list)) or not value[key] or data.draw(st.integers(0, 5)) == 0:
            value[key] = data.draw(NONSENSE)
            return
        value = value[key]
