"""FHIR messaging: `$process-message`, `$validate` and the CapabilityStatement."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gtgateway.acknowledgements.as_fhir import issue_of
from gtgateway.api.calling import Body, Checker, GatewayOf, Sender
from gtgateway.api.messages import received_response, utc_now
from gtgateway.api.problems import NO_ASYNC, ProblemError
from gtgateway.model.outcome import Known
from gtgateway.pipeline import judge, validated

router = APIRouter(prefix="/fhir", tags=["fhir"])

MEDIA_TYPE = "application/fhir+json"
#: For how long the same message is recognised: as long as the archive keeps ids and digests.
RELIABLE_CACHE_MINUTES = 30 * 24 * 60


@router.post("/$process-message", summary="Receive a FHIR message")
async def process_message(
    request: Request,
    body: Body,
    gateway: GatewayOf,
    caller: Sender,
    asynchronous: Annotated[bool, Query(alias="async")] = False,
) -> Response:
    """`200` with the acknowledgement Bundle for `ok` and for `fatal-error`: the Bundle carries the verdict.

    An OperationOutcome only when no acknowledgement can be made.
    """
    if asynchronous:
        raise ProblemError(NO_ASYNC)
    response = await received_response(request, body, gateway, caller)
    if response.status_code in (201, 422):
        response.status_code = 200
    return response


@router.post("/Bundle/$validate", summary="Judge a resource or Bundle by its profiles, nothing stored")
async def validate(body: Body, gateway: GatewayOf, _: Checker) -> Response:
    """An OperationOutcome with every finding; a plan is judged by the law as well. `200` whatever it says."""
    reading = await gateway.pool.read(body)
    outcome = validated(reading, utc_now()) or judge(reading, Known(), gateway.tools, utc_now())
    good = {"severity": "information", "code": "informational", "details": {"text": "Ingen fejl fundet."}}
    issues = [issue_of(finding) for finding in outcome.all_findings] or [good]
    return Response(orjson.dumps({"resourceType": "OperationOutcome", "issue": issues}), media_type=MEDIA_TYPE)


@router.get("/metadata", summary="CapabilityStatement")
async def metadata(gateway: GatewayOf) -> Response:
    """What the FHIR side of the gateway can do."""
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-25",
        "kind": "instance",
        "software": {"name": "gtgateway", "version": version("gtgateway")},
        "implementation": {"description": gateway.settings.name, "url": f"{gateway.settings.url}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "operation": [
                    {
                        "name": "process-message",
                        "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
                    }
                ],
                "resource": [
                    {
                        "type": "Bundle",
                        "operation": [
                            {
                                "name": "validate",
                                "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
                            }
                        ],
                    }
                ],
            }
        ],
        "messaging": [
            {
                "endpoint": [
                    {
                        "protocol": {
                            "system": "http://terminology.hl7.org/CodeSystem/message-transport",
                            "code": "http",
                        },
                        "address": f"{gateway.settings.url}/fhir/$process-message",
                    }
                ],
                "reliableCache": RELIABLE_CACHE_MINUTES,
                "documentation": "Rehabilitation plans (profiles/: gop-message) and MedCom HospitalNotification 3.0.2.",
            }
        ],
    }
    return Response(orjson.dumps(statement), media_type=MEDIA_TYPE)
