"""FHIR over real HTTP: messages, acknowledgements, corrections, withdrawals, $validate and metadata."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from gtgateway.convert import Target
from gtgateway.mappers.fhir_codes import PRECONDITION_DATE
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.parsers.fhir_codec import from_xml, to_xml
from gtgateway.samples import sample_message
from gtgateway.validators.rule import danish_date
from gtgateway.validators.structure.profile import Profiles

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def message(**changes: Any) -> bytes:
    return sample_message(Level.ALMEN, yesterday(), Target.FHIR, **changes)


def post(client: httpx.Client, body: bytes, path: str = "/messages") -> httpx.Response:
    return client.post(path, content=body, headers=HOSPITAL)


def resources(bundle: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type_]


def response_of(bundle: dict[str, Any]) -> dict[str, Any]:
    return resources(bundle, "MessageHeader")[0]["response"]


def changed(body: bytes, *, message_id: str, activity: str, replaces: bytes | None = None) -> bytes:
    """A later message about the plan of `body`, as its hospital would send it."""
    bundle = json.loads(body)
    header = resources(bundle, "MessageHeader")[0]
    old = header["id"]
    text = json.dumps(bundle).replace(old, message_id)
    bundle = json.loads(text)
    for provenance in resources(bundle, "Provenance"):
        if provenance["activity"]["coding"][0]["code"] == "new-message":
            provenance["activity"]["coding"][0]["code"] = activity
            role = "removal" if activity == "retract-message" else "revision"
            provenance["entity"] = [{"role": role, "what": {"reference": f"MessageHeader/{old}"}}]
    if activity == "retract-message":
        resources(bundle, "ServiceRequest")[0]["status"] = "entered-in-error"
    bundle["id"] = message_id[::-1].replace("-", "")[:32]
    bundle["id"] = (
        f"{bundle['id'][:8]}-{bundle['id'][8:12]}-4{bundle['id'][13:16]}-a{bundle['id'][17:20]}-{bundle['id'][20:]}"
    )
    return json.dumps(bundle).encode()


SECOND = "11111111-2222-4333-8444-555555555555"


def test_an_accepted_message_is_acknowledged_ok(client: httpx.Client) -> None:
    answer = post(client, message())
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/fhir+json"
    response = response_of(answer.json())
    assert response["code"] == "ok"
    assert response["identifier"] == resources(json.loads(message()), "MessageHeader")[0]["id"]
    (entry,) = client.get("/records", headers=ODENSE).json()["records"]
    assert entry["record"]["format"] == "fhir"


def test_xml_is_answered_in_xml(client: httpx.Client) -> None:
    answer = post(client, to_xml(json.loads(message())))
    assert answer.headers["content-type"] == "application/fhir+xml"
    assert response_of(from_xml(etree.fromstring(answer.content)))["code"] == "ok"


def test_a_refused_message_names_every_fault(client: httpx.Client) -> None:
    answer = post(client, message(fault="GOP-PAT-05"))
    assert answer.status_code == 422
    bundle = answer.json()
    assert response_of(bundle)["code"] == "fatal-error"
    (outcome,) = resources(bundle, "OperationOutcome")
    assert any("GOP-PAT-05" in issue["diagnostics"] for issue in outcome["issue"])


def test_process_message_carries_the_verdict_in_the_bundle(client: httpx.Client) -> None:
    path = "/fhir/$process-message"
    assert response_of(post(client, message(), path).json())["code"] == "ok"
    refused = post(client, message(number=2, fault="GOP-PAT-05"), path)
    assert refused.status_code == 200
    assert response_of(refused.json())["code"] == "fatal-error"
    unreadable = post(client, b"{", path)
    assert unreadable.status_code in (400, 415)
    assert unreadable.json()["resourceType"] == "OperationOutcome"
    assert post(client, message(), path + "?async=true").status_code == 501


def test_the_same_message_in_a_new_bundle_is_a_duplicate(client: httpx.Client) -> None:
    body = message()
    first = post(client, body)
    bundle = json.loads(body)
    bundle["id"] = "99999999-2222-4333-8444-555555555555"
    bundle["timestamp"] = "2026-11-25T10:00:00+01:00"
    second = post(client, json.dumps(bundle).encode())
    assert second.headers["Duplicate-Of"] == first.headers["Location"]
    assert second.json()["id"] != first.json()["id"]
    assert response_of(second.json())["code"] == "ok"
    assert len(client.get("/records", headers=ODENSE).json()["records"]) == 1


def test_a_correction_changes_the_record_and_keeps_its_id(client: httpx.Client) -> None:
    body = message()
    assert post(client, body).status_code == 201
    (before,) = client.get("/records", headers=ODENSE).json()["records"]
    correction = changed(body, message_id=SECOND, activity="modified-message")
    answer = post(client, correction)
    assert answer.status_code == 201, answer.json()
    after = client.get("/records", headers=ODENSE).json()["records"][-1]
    assert after["record_id"] == before["record_id"]
    assert after["change"] == "corrected"
    assert after["version"] == 2


def test_a_corrected_discharge_date_is_told_and_moves_the_deadlines(client: httpx.Client) -> None:
    body = message()
    post(client, body)
    (before,) = client.get("/records", headers=ODENSE).json()["records"]
    correction = json.loads(changed(body, message_id=SECOND, activity="modified-message"))
    (request,), (stay,) = resources(correction, "ServiceRequest"), resources(correction, "Encounter")
    today = yesterday() + timedelta(days=1)
    (stated,) = (each for each in request["extension"] if each["url"] == PRECONDITION_DATE)
    assert stated["valueDate"] == str(yesterday())
    stated["valueDate"] = str(today)
    stay["period"]["end"] = stay["period"]["end"].replace(str(yesterday()), str(today))
    assert post(client, json.dumps(correction).encode()).status_code == 201
    after = client.get("/records", headers=ODENSE).json()["records"][-1]
    assert after["change"] == "corrected"
    (finding,) = (each for each in after["record"]["findings"] if each["rule"] == "GOP-DATE-11")
    assert f"fra {danish_date(yesterday())} til {danish_date(today)}" in finding["text"]["da"]
    old, new = (date.fromisoformat(each["record"]["deadlines"]["start_by"]) for each in (before, after))
    assert new - old == timedelta(days=1)


def test_a_withdrawal_reaches_who_has_the_plan(client: httpx.Client) -> None:
    body = message()
    post(client, body)
    assert post(client, changed(body, message_id=SECOND, activity="retract-message")).status_code == 201
    last = client.get("/records", headers=ODENSE).json()["records"][-1]
    assert last["change"] == "withdrawn"


def test_a_withdrawal_of_an_unknown_plan_is_refused(client: httpx.Client) -> None:
    answer = post(client, changed(message(), message_id=SECOND, activity="retract-message"))
    assert answer.status_code == 422
    assert "GOP-SCOPE-08" in answer.text


def test_the_plan_of_a_record_can_be_had_as_fhir(client: httpx.Client) -> None:
    post(client, message())
    (entry,) = client.get("/records", headers=ODENSE).json()["records"]
    plan = client.get(f"/records/{entry['record_id']}", headers={**ODENSE, "Accept": "application/fhir+json"}).json()
    assert plan["type"] == "message"
    assert resources(plan, "ServiceRequest")


def test_validate_gives_an_operation_outcome(client: httpx.Client) -> None:
    bundle = json.loads(message())
    good = client.post("/fhir/Bundle/$validate", content=json.dumps(bundle), headers=HOSPITAL).json()
    assert "error" not in {issue["severity"] for issue in good["issue"]}
    bundle["foo"] = 1
    bad = client.post("/fhir/Bundle/$validate", content=json.dumps(bundle), headers=HOSPITAL).json()
    assert any("GOP-FHIR-05" in issue["diagnostics"] for issue in bad["issue"])


def test_metadata_needs_no_token_and_names_the_reliable_cache(client: httpx.Client) -> None:
    statement = client.get("/fhir/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["messaging"][0]["reliableCache"] > 0


def test_problems_of_fhir_calls_are_operation_outcomes(client: httpx.Client) -> None:
    answer = client.post("/fhir/$process-message", content=message())
    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.fixture(scope="module")
def official(shared: Path) -> Profiles:
    return Profiles.load((shared / "data" / "fhir" / "packages",))


@pytest.mark.parametrize("fault", [None, "GOP-PAT-05"])
def test_acknowledgements_are_valid_by_the_official_package(
    client: httpx.Client, official: Profiles, fault: str | None
) -> None:
    bundle = post(client, message(fault=fault)).json()
    errors = [finding for finding in official.check(bundle) if finding.severity == "error"]
    assert errors == []


def test_without_a_receiver_the_gateway_answers_in_its_own_name(client: httpx.Client, official: Profiles) -> None:
    bundle = json.loads(message())
    del resources(bundle, "MessageHeader")[0]["destination"]
    answer = post(client, json.dumps(bundle).encode())
    assert answer.status_code == 422
    assert [finding for finding in official.check(answer.json()) if finding.severity == "error"] == []


def test_a_hospital_notification_is_acknowledged(client: httpx.Client, shared: Path) -> None:
    body = (shared / "data" / "fhir" / "corpus" / "good-hn-f4aa42a4.json").read_bytes()
    bundle = json.loads(body)
    header = resources(bundle, "MessageHeader")[0]
    sender = header["sender"]["reference"].rpartition("/")[2]
    organisation = next(each for each in resources(bundle, "Organization") if each["id"] == sender)
    gln = next(each["value"] for each in organisation["identifier"] if "gln" in each["system"])
    answer = client.post("/messages", content=body, headers={"Authorization": f"Bearer dev:{gln}"})
    assert answer.status_code == 201, answer.text
    assert response_of(answer.json())["code"] == "ok"
