"""A FHIR client library that is not ours sends a message and reads the acknowledgement."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import httpx
import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome

from gtgateway.convert import Target
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message


def fhir_client(client: httpx.Client, token: str = "dev:5790001354145") -> SyncFHIRClient:
    return SyncFHIRClient(f"{client.base_url}/fhir", authorization=f"Bearer {token}")


@pytest.mark.parametrize(("fault", "code"), [(None, "ok"), ("GOP-PAT-05", "fatal-error")])
def test_a_message_is_processed_and_its_acknowledgement_read(
    client: httpx.Client, fault: str | None, code: str
) -> None:
    day = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    message = json.loads(sample_message(Level.ALMEN, day, Target.FHIR, fault=fault))
    hospital = fhir_client(client)
    answer = hospital.execute("$process-message", method="post", data=message)
    resources = [
        hospital.resource(each["resourceType"], **each) for each in (entry["resource"] for entry in answer["entry"])
    ]
    header = next(each for each in resources if each.resource_type == "MessageHeader")
    assert header.get_by_path("response.code") == code
    assert header.get_by_path("response.identifier") == message["entry"][0]["resource"]["id"]
    issues = [issue for each in resources if each.resource_type == "OperationOutcome" for issue in each["issue"]]
    assert any("GOP-PAT-05" in issue["diagnostics"] for issue in issues) == (fault is not None)


def test_its_validation_and_capabilities_can_be_read(client: httpx.Client) -> None:
    hospital = fhir_client(client)
    statement = hospital.execute("metadata", method="get")
    assert statement["resourceType"] == "CapabilityStatement"
    outcome = hospital.execute("Bundle/$validate", method="post", data={"resourceType": "Bundle", "type": "message"})
    assert outcome["resourceType"] == "OperationOutcome"
    assert any(issue["severity"] == "error" for issue in outcome["issue"])


def test_a_message_that_is_none_raises_the_outcome(client: httpx.Client) -> None:
    with pytest.raises(OperationOutcome) as caught:
        fhir_client(client).execute("$process-message", method="post", data={"resourceType": "Patient"})
    assert caught.value.resource["resourceType"] == "OperationOutcome"
