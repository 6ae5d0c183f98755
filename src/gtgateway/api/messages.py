"""`POST /messages`, `POST /receipts`, `GET /messages/{id}` and its acknowledgement: the hospital's side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from gtgateway.api.calling import Body, GatewayOf, Receipter, Sender
from gtgateway.api.problems import (
    NOT_FOUND,
    SENDER_NOT_YOURS,
    UNREADABLE,
    UNSUPPORTED_FORMAT,
    ProblemError,
    answer,
)
from gtgateway.bootstrap import Gateway
from gtgateway.errors import NotAllowed
from gtgateway.logs import log
from gtgateway.mappers.json_from_model import to_data
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Reply
from gtgateway.model.findings import Severity
from gtgateway.model.outcome import TOP_SCORE, Repeat, Verdict
from gtgateway.receive import Received, receive
from gtgateway.security.identity import Caller
from gtgateway.security.permissions import may_see_message
from gtgateway.store.base import StoredMessage

router = APIRouter(tags=["messages"])


def utc_now() -> datetime:
    return datetime.now(UTC)


@router.post("/messages", summary="Receive a message")
async def post_message(request: Request, body: Body, gateway: GatewayOf, caller: Sender) -> Response:
    """GGOP XML, a clinical e-mail that carries a plan, or a FHIR message, bare or in a VANSEnvelope.

    The content decides, the Content-Type is a hint.

    `201` with the positive receipt (`204` when none was asked for), `422` with the negative one that names every fault.
    """
    return await received_response(request, body, gateway, caller)


@router.post("/receipts", summary="Receive a receipt")
async def post_receipt(request: Request, body: Body, gateway: GatewayOf, caller: Receipter) -> Response:
    """XCTL01/02/03, VANS receipts and FHIR acknowledgements for what was delivered; `204`, also for unknown ones."""
    return await received_response(request, body, gateway, caller)


async def received_response(request: Request, body: bytes, gateway: Gateway, caller: Caller) -> Response:
    """Receive a body and answer it."""
    try:
        received = await receive(body, gateway, caller, utc_now)
    except NotAllowed:
        log.warning("message_sender_not_allowed", client=caller.name)
        raise ProblemError(SENDER_NOT_YOURS) from None
    _log(received, caller)
    outcome = received.outcome
    if outcome.verdict is Verdict.UNREADABLE and outcome.reply.body is None:
        unknown = any(finding.rule == faults.XML_NOT_XML.rule for finding in outcome.findings)
        return answer(request, UNSUPPORTED_FORMAT if unknown else UNREADABLE, outcome.all_findings)
    return _answer(outcome.reply, _headers(received))


def _answer(reply: Reply, headers: dict[str, str]) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    return Response(reply.body, reply.status, headers, reply.media_type)


def _headers(received: Received) -> dict[str, str]:
    """Location, and what an XML receipt has no room for (readings no. 4)."""
    if received.message_id is None:
        return {}
    place = f"/messages/{received.message_id}"
    headers: dict[str, str] = {}
    outcome = received.outcome
    if outcome.verdict is Verdict.ACCEPTED:
        headers["Location"] = place
    if received.duplicate_of:
        headers["Duplicate-Of"] = f"/messages/{received.duplicate_of}"
    counts = ((severity, outcome.count(severity)) for severity in Severity)
    named = ", ".join(f"{severity}={count}" for severity, count in counts if count)
    if named:
        headers["Gtgateway-Findings"] = named
        headers["Link"] = f'<{place}>; rel="describedby"'
    if scores := [f"{letter.quality.score}/{TOP_SCORE}" for letter in outcome.letters if letter.quality]:
        headers["Gtgateway-Quality"] = ", ".join(scores)
    return headers


def _log(received: Received, caller: Caller) -> None:
    """Ids, verdict and rules: never a citizen's number or clinical text."""
    outcome = received.outcome
    log.info(
        "message_received",
        client=caller.name,
        message_id=received.message_id,
        format=outcome.reading.format_name,
        verdict=str(outcome.verdict),
        repeat=str(outcome.repeat),
        rules=sorted({finding.rule for finding in outcome.all_findings}),
        size=outcome.reading.size,
    )
    if outcome.repeat in (Repeat.CHANGED_AFTER_OK, Repeat.VANS_ID_REUSED):
        log.warning("message_id_reused", client=caller.name, message_id=received.message_id, repeat=str(outcome.repeat))


async def _own_message(message_id: str, gateway: Gateway, caller: Caller) -> StoredMessage:
    stored = await gateway.store.message(message_id)
    if stored is None or not may_see_message(caller, stored.sender_gln, gateway.tools.directory):
        raise ProblemError(NOT_FOUND)
    return stored


@router.get("/messages/{message_id}", summary="State of one message")
async def get_message(message_id: str, gateway: GatewayOf, caller: Sender) -> Response:
    """State, findings, recipients with delivery state and attempts, deadlines: for its sender."""
    stored = await _own_message(message_id, gateway, caller)
    data = {
        "message_id": stored.message_id,
        "format": stored.format,
        "verdict": stored.verdict,
        "received_at": stored.received_at.isoformat(),
        "envelope_id": stored.envelope_id,
        "letter_ids": list(stored.letter_ids),
        "record_ids": list(stored.record_ids),
        "letters": orjson.Fragment(stored.summary),
        "deliveries": to_data(stored.deliveries),
    }
    return Response(orjson.dumps(data), media_type="application/json")


@router.get("/messages/{message_id}/acknowledgement", summary="The stored answer")
async def get_acknowledgement(
    message_id: str,
    gateway: GatewayOf,
    caller: Sender,
    layer: Literal["letter", "envelope"] = "letter",
) -> Response:
    """The answer as it was given; `layer=envelope` gives the VANS receipt."""
    await _own_message(message_id, gateway, caller)
    reply = await gateway.store.answer(message_id, layer)
    if reply is None or reply.body is None:
        raise ProblemError(NOT_FOUND)
    return Response(reply.body, media_type=reply.media_type)
