"""FHIR acknowledgements: parties swapped, ids quoted, faults named, valid against MedCom's own package."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from lxml import etree

from gtgateway.acknowledgements.decide import decide
from gtgateway.acknowledgements.reply import make_reply, unavailable_reply
from gtgateway.data import packaged
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, Reply
from gtgateway.model.findings import Finding
from gtgateway.model.message import Format, Letter, Reading, VansDocument, VansEnvelope
from gtgateway.model.plan import Party
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.parsers.fhir_message import read_fhir_message
from gtgateway.validators.structure.profile import Profiles

AT = datetime(2026, 11, 16, 10, 0, 5, tzinfo=UTC)
LATER = datetime(2026, 11, 16, 11, 0, 5, tzinfo=UTC)
FAULTS = (
    faults.MSG_RECEIVER_UNKNOWN.at("receiver.gln", "Bundle.entry[0].resource.destination[0]", gln="5790000000005"),
    faults.FHIR_ONE_PATIENT.at("patient", count=2),
    faults.MAP_DATE.at("discharged_on", "Bundle.entry[2].resource.extension[0]", value="igår"),
)


def reading(media_type: str = "application/fhir+json", **changes: Any) -> Reading:
    bundle = json.loads(packaged("samples", "messages", "almen-2026-hofte", "message.json").read_bytes())
    message = read_fhir_message(bundle, media_type)
    assert message.head is not None
    letter = Letter(message.head, message.digest, None, ())
    made = Reading("d" * 64, 1, Format.FHIR, None, message.envelope, (letter,), fhir=message.fhir)
    return replace(made, **changes)


def acknowledgement(message: Reading, *findings: Finding) -> Acknowledgement:
    assert message.envelope is not None
    return decide(message.envelope, [(message.letters[0].head, not findings, findings)])


def answer(message: Reading, *findings: Finding, at: datetime = AT, status: int | None = None) -> Reply:
    reply, receipt = make_reply(message, acknowledgement(message, *findings), at, status=status)
    assert receipt is None
    return reply


def data(reply: Reply) -> dict[str, Any]:
    assert reply.body is not None
    bundle: dict[str, Any] = json.loads(reply.body)
    Bundle.model_validate(bundle)
    return bundle


def of(bundle: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == type_]


def test_a_positive_answer_swaps_the_parties_and_quotes_the_header() -> None:
    message = reading()
    reply = answer(message)
    bundle = data(reply)
    header = bundle["entry"][0]["resource"]
    organizations = {f"Organization/{each['id']}": each for each in of(bundle, "Organization")}
    sender = organizations[header["sender"]["reference"]]
    receiver = organizations[header["destination"][0]["receiver"]["reference"]]
    assert (reply.status, reply.media_type) == (201, "application/fhir+json")
    assert header["response"] == {"identifier": message.fhir.message_id, "code": "ok"}  # type: ignore[union-attr]
    assert sender["identifier"][0]["value"] == "5790000209354"
    assert [each["value"] for each in receiver["identifier"]] == ["5790001348120", "953741000016009"]
    assert header["source"]["endpoint"] == "https://sor2.sum.dsdn.dk/#id=265161000016000"
    assert header["destination"][0]["endpoint"] == "https://sor2.sum.dsdn.dk/#id=953741000016009"
    assert of(bundle, "OperationOutcome") == []


def test_two_provenances_tell_of_the_message_and_of_the_answer() -> None:
    message = reading()
    bundle = data(answer(message))
    original, ours = of(bundle, "Provenance")
    quoted = {"reference": f"MessageHeader/{message.fhir.message_id}"}  # type: ignore[union-attr]
    assert original["target"] == [quoted]
    assert original["occurredDateTime"] == original["recorded"] == "2026-11-16T10:45:00+01:00"
    assert original["activity"]["coding"][0]["code"] == "new-message"
    assert ours["target"] == [{"reference": f"MessageHeader/{bundle['entry'][0]['resource']['id']}"}]
    assert ours["occurredDateTime"] == bundle["timestamp"] == "2026-11-16T11:00:05+01:00"
    assert ours["activity"]["coding"][0]["code"] == "acknowledgement"
    assert ours["entity"] == [{"role": "revision", "what": quoted}]


def test_every_fault_is_an_issue_that_names_our_rule() -> None:
    reply = answer(reading(), *FAULTS)
    bundle = data(reply)
    (outcome,) = of(bundle, "OperationOutcome")
    receiver, patient = outcome["issue"]  # the warning does not travel
    response = bundle["entry"][0]["resource"]["response"]
    assert reply.status == 422
    assert response["code"] == "fatal-error"
    assert response["details"] == {"reference": f"OperationOutcome/{outcome['id']}"}
    assert receiver["details"]["text"].startswith("GOP-MSG-04: Modtagerens lokationsnummer 5790000000005 kendes ikke")
    assert receiver["details"]["coding"] == [
        {
            "system": "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-acknowledgement-error-codes",
            "code": "MSG_Receiver_Identifier_UNKNOWN",
        }
    ]
    assert receiver["diagnostics"].startswith("GOP-MSG-04: The receiver's location number")
    assert receiver["expression"] == ["Bundle.entry[0].resource.destination[0]"]
    assert patient["details"] == {
        "text": "GOP-FHIR-54: Meddelelsen skal indeholde netop én Patient; den indeholder 2. (MedCom FHIR messaging)"
    }
    assert "expression" not in patient


def test_warnings_do_not_refuse_and_do_not_travel() -> None:
    message = reading()
    assert message.envelope is not None
    accepted = decide(message.envelope, [(message.letters[0].head, True, FAULTS)])
    reply, _ = make_reply(message, accepted, AT)
    assert of(data(reply), "OperationOutcome") == []


def test_xml_is_answered_in_xml_with_the_same_content() -> None:
    as_json, as_xml = answer(reading(), *FAULTS), answer(reading("application/fhir+xml"), *FAULTS)
    assert as_xml.media_type == "application/fhir+xml"
    assert as_xml.body is not None
    assert from_xml(etree.fromstring(as_xml.body)) == data(as_json)


def test_the_same_judgement_gives_the_same_bytes_and_a_resend_only_new_bundle_id_and_times() -> None:
    message = reading()
    first, again, later = (data(answer(message, at=at)) for at in (AT, AT, LATER))
    assert first == again
    assert later["id"] != first["id"]
    assert later["timestamp"] == "2026-11-16T12:00:05+01:00"
    assert later["entry"][0] == first["entry"][0]
    assert answer(message, at=LATER, status=201).status == 201


def test_what_cannot_be_kept_now_may_come_again() -> None:
    reply = unavailable_reply(reading(), AT)
    assert reply is not None
    assert reply.status == 503
    bundle = data(reply)
    (outcome,) = of(bundle, "OperationOutcome")
    assert bundle["entry"][0]["resource"]["response"]["code"] == "transient-error"
    assert outcome["issue"][0]["code"] == "transient"
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "MSG_Mailbox_Out_Of_Operation"
    assert unavailable_reply(reading(fhir=None), AT) is None


def test_in_a_vans_envelope_the_answer_is_one_with_the_name_of_an_acknowledgement(shared: Path) -> None:
    document = VansDocument("0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4", "HL7", "MCM:GOP", "1.0", 1)
    vans = VansEnvelope(
        "5790001348120", "EAN", "5790000209354", "EAN", "1c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4", "2026-11-16", document
    )
    message = reading(vans=vans)
    reply, receipt = make_reply(message, acknowledgement(message, *FAULTS), AT)
    assert receipt is not None
    root = etree.fromstring(reply.body or b"")
    space = {"v": "urn:oio:medcom:vans-envelope:1.0.4"}
    meta = "v:Message/v:MetaInformation"
    assert reply.status == 422
    assert root.findtext(f"{meta}/v:Document/v:Format", namespaces=space) == "HL7"
    assert root.findtext(f"{meta}/v:Document/v:Name", namespaces=space) == "MCM:FCTL#fatal-error"
    assert root.findtext(f"{meta}/v:Transport/v:ServiceTag", namespaces=space) == "application/fhir+json"
    assert json.loads(b64decode(root.findtext("v:Message/v:Data", namespaces=space) or ""))["type"] == "message"
    schema = shared / "data" / "xsd-official" / "vans-envelope-1.0.4" / "VANSEnvelope.xsd"
    etree.XMLSchema(etree.parse(schema)).assertValid(root)


@pytest.fixture(scope="module")
def profiles(shared: Path) -> Profiles:
    return Profiles.load([shared / "data" / "fhir" / "packages"])


def _unavailable(message: Reading) -> Reply:
    reply = unavailable_reply(message, AT)
    assert reply is not None
    return reply


ANSWERS: dict[str, Callable[[Reading], Reply]] = {
    "ok": answer,
    "fatal-error": lambda message: answer(message, *FAULTS),
    "transient-error": _unavailable,
}


@pytest.mark.parametrize("code", ANSWERS)
@pytest.mark.parametrize("activity", ["new-message", "revise-discharge-inpatient-home", "noget-andet", None])
def test_every_answer_is_valid_against_the_official_package(
    profiles: Profiles, code: str, activity: str | None
) -> None:
    message = reading()
    assert message.fhir is not None
    message = replace(message, fhir=replace(message.fhir, activity=activity, occurred_at="2026-11-16"))
    bundle = data(ANSWERS[code](message))
    assert bundle["entry"][0]["resource"]["response"]["code"] == code
    assert profiles.check(bundle) == ()


def test_a_fault_in_the_answer_would_be_seen(profiles: Profiles) -> None:
    bundle = data(answer(reading()))
    del bundle["entry"][1]["resource"]["occurredDateTime"]
    assert profiles.check(bundle) != ()


def test_a_receiver_that_the_message_does_not_name_is_unknown() -> None:
    message = reading()
    assert message.envelope is not None
    nobody = replace(message, envelope=replace(message.envelope, receiver=Party()))
    bundle = data(answer(nobody, *FAULTS))
    assert [each["name"] for each in of(bundle, "Organization")][1] == "ukendt"
