"""`POST /messages`, `POST /receipts`, `GET /messages…`: the hospital's side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from gtgateway.api.calling import Body, GatewayOf, Receipter, Sender
from gtgateway.api.feeds import After, For, Limit, Wait, position_of, whose_feed
from gtgateway.api.problems import (
    NOT_FOUND,
    SCOPE_MISSING,
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
from gtgateway.model.delivery import Delivery, DeliveryState, MessageEvent
from gtgateway.model.feed import Feed, cursor_of
from gtgateway.model.outcome import TOP_SCORE, Repeat, Verdict
from gtgateway.model.reasons import words_of_reason
from gtgateway.receive import Received, receive
from gtgateway.security.identity import Caller, Scope
from gtgateway.security.permissions import holds, may_see_message
from gtgateway.store.base import StoredMessage

router = APIRouter(tags=["messages"])


def utc_now() -> datetime:
    return datetime.now(UTC)


@router.post("/messages", summary="Receive a message")
async def post_message(request: Request, body: Body, gateway: GatewayOf, caller: Receipter) -> Response:
    """GGOP XML, a clinical e-mail that carries a plan, or a FHIR message, bare or in a VANSEnvelope; also receipts.

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
        problem = SENDER_NOT_YOURS if holds(caller, Scope.MESSAGES_SEND) else SCOPE_MISSING
        raise ProblemError(problem) from None
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
    if outcome.counted:
        headers["Gtgateway-Findings"] = outcome.counted
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


@router.get("/messages", summary="Feed of what happened to the caller's own messages")
async def get_messages(
    gateway: GatewayOf, caller: Sender, after: After = None, limit: Limit = 100, wait: Wait = 0, wanted: For = None
) -> Response:
    """At least once and in order: answered, delivered, refused, abandoned, withdrawn, new_hospital_needed."""
    senders = _sender_glns(caller, wanted, gateway)
    page = await gateway.store.events(senders, position_of(Feed.MESSAGES, after), limit)
    until = time.monotonic() + wait
    while not page.entries and (left := until - time.monotonic()) > 0:
        await gateway.store.wait_for_events(page.next, left)  # anyone's event wakes it
        page = await gateway.store.events(senders, page.next, limit)
    entries = [_event_data(event) for event in page.entries]
    data = {"messages": entries, "next": cursor_of(Feed.MESSAGES, page.next), "more": page.more}
    return Response(orjson.dumps(data), media_type="application/json")


def _sender_glns(caller: Caller, wanted: str | None, gateway: Gateway) -> frozenset[str]:
    """The location numbers whose messages the feed is of; a development token also has one that nobody knows."""
    named = caller.glns if wanted is None else frozenset()
    organisations = caller.organisations if named else whose_feed(caller, wanted, gateway)
    found = (gateway.tools.directory.by_id(each) for each in organisations)
    return named | {each.gln for each in found if each and each.gln}


def _event_data(event: MessageEvent) -> dict[str, Any]:
    recipient = {"organisation": event.organisation_id, "name": event.organisation_name}
    return {
        "position": cursor_of(Feed.MESSAGES, event.position),
        "message_id": event.message_id,
        "kind": event.kind,
        "at": event.at.isoformat(),
        "recipient": recipient if event.organisation_id else None,
        "reason": event.reason,
        "text": words_of_reason(event.reason),
        "detail": event.detail,
    }


async def _own_message(message_id: str, gateway: Gateway, caller: Caller) -> StoredMessage:
    stored = await gateway.store.message(message_id)
    if stored is None or not may_see_message(caller, stored.sender_gln, stored.client, gateway.tools.directory):
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
        "deliveries": [_delivery_data(each) for each in stored.deliveries],
        "served": [_served(record_id, stored.deliveries) for record_id in stored.record_ids],
    }
    return Response(orjson.dumps(data), media_type="application/json")


def _delivery_data(delivery: Delivery) -> dict[str, Any]:
    """A delivery as the plan's sender sees it; which end-point it goes to is the operator's own."""
    data: dict[str, Any] = to_data(delivery)
    del data["delivery_id"], data["endpoint"]
    return {**data, "reached_by": "push" if delivery.endpoint else "pull", "text": words_of_reason(delivery.reason)}


def _served(record_id: str, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """Whether every lawful recipient of a plan has it (§ 4, "samtidig"), since when, and who lacks it."""
    lawful = [each for each in deliveries if each.record_id == record_id and each.state is not DeliveryState.CANCELLED]
    missing = [each for each in lawful if not each.state.has_arrived]
    return {
        "record_id": record_id,
        "all_served": bool(lawful) and not missing,
        "since": max(each.updated_at for each in lawful).isoformat() if lawful and not missing else None,
        "missing": [
            {
                "organisation": each.organisation_id,
                "name": each.organisation_name,
                "roles": each.roles,
                "state": each.state,
                "reason": each.reason,
                "text": words_of_reason(each.reason),
            }
            for each in missing
        ],
    }


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
