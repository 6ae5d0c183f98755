"""`/operations/…`: the operator's desk. What became of messages and deliveries, and what a person does about it.

Operators see states, ids and rules of all messages, and content of none: no plan, no record, no body, and no finding's
text, which may quote one. A patient is asked for in a body, never in an address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from starlette.responses import Response

from gtgateway.api.calling import Body, GatewayOf, Operator
from gtgateway.api.messages import utc_now
from gtgateway.api.problems import BAD_REQUEST, NOT_AS_EXPECTED, NOT_FOUND, ProblemError
from gtgateway.bootstrap import Gateway
from gtgateway.cases.events import organisation_named
from gtgateway.logs import log
from gtgateway.mappers.json_from_model import to_data
from gtgateway.model.delivery import UNSETTLED, Delivery, DeliveryState
from gtgateway.model.identifiers import NUMBER_IN_TEXT, Cpr, ReplacementNumber
from gtgateway.model.outcome import Verdict
from gtgateway.model.reasons import REASONS, words_of_reason
from gtgateway.routing.directory import Directory
from gtgateway.security.identity import Caller
from gtgateway.store import base
from gtgateway.store.base import DeliveryQuery, FoundDelivery, Moment, UnmatchedReceipt, Unserved

router = APIRouter(prefix="/operations", tags=["operations"])

#: Most entries of a page, and most deliveries that one intervention moves.
MOST = 500

DEAD = (DeliveryState.REFUSED, DeliveryState.ABANDONED)

#: What an intervention moves when its filter names no state, and what a filter may name.
_MOVES: Mapping[str, tuple[DeliveryState, ...]] = {"retry": DEAD, "resend": DEAD, "abandon": UNSETTLED}
_MAY_MOVE = {**_MOVES, "resend": (*DEAD, DeliveryState.SENT, DeliveryState.DELIVERED)}


# --- what is asked ----------------------------------------------------------------------------------------------------


def _patient(stated: object) -> Cpr:
    """A CPR number or a replacement for one, with or without its hyphen."""
    if isinstance(stated, str) and stated.isascii():
        number = ReplacementNumber(stated.replace("-", "").upper())
        if number.valid:
            return number
    raise ValueError


def _without_number(text: str) -> str:
    if NUMBER_IN_TEXT.search(text):
        raise ValueError
    return text


_PRINTED = r"^[^\x00-\x1f]*$"
Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTED)]
#: What a person says. It is kept and shown: no citizen's number may stand in it.
Said = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=_PRINTED),
    AfterValidator(_without_number),
]
Patient = Annotated[Cpr, PlainValidator(_patient), WithJsonSchema({"type": "string", "examples": ["2512489996"]})]
#: One that no time zone moves out of the calendar.
Instant = Annotated[AwareDatetime, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
DeliveryId = Annotated[int, Field(gt=0, lt=1 << 63)]
Page = Annotated[int, Field(ge=1, le=MOST)]


class Asked(BaseModel):
    """What a body or a query may hold: nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageSearch(Asked):
    """Which messages; every field that is given must hold."""

    message_id: Id | None = Field(
        None,
        description="Any id that somebody knows it by: of the message, its envelope, letter or record, or of ours.",
    )
    sender_gln: Id | None = None
    patient: Patient | None = Field(
        None, description="CPR number, or a replacement for one. Refused messages keep none."
    )
    recipient: Id | None = Field(None, description="Organisation by id, GLN or `kommunekode:0461`.")
    state: DeliveryState | None = Field(None, description="Of a delivery; together with `recipient` of that one's.")
    verdict: Verdict | None = None
    rule: Id | None = Field(None, description="That something was found by, e.g. `GOP-ROUTE-04`.")
    received_from: Instant | None = None
    received_until: Instant | None = Field(None, description="Exclusive.")
    before: Id | None = Field(None, description="`next` of the page before.")
    limit: Page = 50


class DeliveryFilter(Asked):
    """Which deliveries; every field that is given must hold."""

    state: DeliveryState | None = None
    message_id: Id | None = None
    sender_gln: Id | None = None
    recipient: Id | None = Field(None, description="Organisation by id, GLN or `kommunekode:0461`.")
    endpoint: Id | None = None
    reason: Id | None = Field(None, description="Code, e.g. `http_400`.")
    since_from: Instant | None = Field(None, description="The recipient has waited since.")
    since_until: Instant | None = Field(None, description="Exclusive.")


class DeadLetters(DeliveryFilter):
    """A page of dead letters."""

    before: DeliveryId | None = Field(None, description="`next` of the page before.")
    limit: Page = 50


class Intervention(Asked):
    """Who does something about deliveries, and why."""

    who: Said = Field(description="The person.")
    why: Said = Field(description="For whoever reads the message's path later; no citizen's number.")


class OfNamed(Intervention):
    """About deliveries by their ids."""

    deliveries: list[DeliveryId] = Field(min_length=1, max_length=MOST)


class OfFiltered(Intervention):
    """About all deliveries of a filter."""

    filter: DeliveryFilter
    expected: int = Field(ge=0, le=MOST, description="How many these are; else nothing is done (`409`).")


A = TypeVar("A", bound=Asked)


def _asked(kind: type[A], data: object) -> A:
    """What a body asks. A problem names every wrong field, never a value."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        wrong = {".".join(map(str, each["loc"])) for each in error.errors()} - {""} or {"JSON"}
        # a name that is no field's may be anything
        names = {name if re.fullmatch(r"JSON|[a-z_]{1,30}(\.[a-z_0-9]{1,30})?", name) else "?" for name in wrong}
        raise ProblemError(BAD_REQUEST, reason=", ".join(sorted(names))) from None


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ProblemError(BAD_REQUEST, reason="JSON") from None


def _described(*kinds: type[Asked]) -> dict[str, Any]:
    """The body of a call, for its description in OpenAPI."""
    schemas = [_inlined(schema := kind.model_json_schema(), schema.get("$defs", {})) for kind in kinds]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(each, definitions) for name, each in node.items() if name != "$defs"}


def _organisation(named: str | None, directory: Directory) -> str | None:
    """Directory id; a name that the directory does not know any more may still be in the archive."""
    found = organisation_named(named, directory) if named else None
    return found.id if found else named


def _of_filter(asked: DeliveryFilter, states: Collection[DeliveryState], directory: Directory) -> dict[str, Any]:
    """The fields of a `DeliveryQuery` that a filter asks for."""
    return {
        "states": (asked.state,) if asked.state else states,
        "message_id": asked.message_id,
        "sender_gln": asked.sender_gln,
        "organisation": _organisation(asked.recipient, directory),
        "endpoint": asked.endpoint,
        "reason": asked.reason,
        "since_from": asked.since_from,
        "since_until": asked.since_until,
    }


# --- search and trace -------------------------------------------------------------------------------------------------


@router.post("/messages/search", summary="Search for messages", openapi_extra=_described(MessageSearch))
async def search_messages(gateway: GatewayOf, _: Operator, body: Body) -> Response:
    """Newest first, a page at a time: ask again with `before` as `next` says, until it is null."""
    asked = _asked(MessageSearch, _json(body))
    hits = await gateway.store.search(
        base.Query(
            message_id=asked.message_id,
            sender_gln=asked.sender_gln,
            patient=asked.patient,
            organisation=_organisation(asked.recipient, gateway.tools.directory),
            state=asked.state,
            verdict=asked.verdict,
            rule=asked.rule,
            received_from=asked.received_from,
            received_until=asked.received_until,
            before=asked.before,
            limit=asked.limit,
        )
    )
    return _answer({"messages": to_data(hits), "next": hits[-1].message_id if len(hits) == asked.limit else None})


@router.get("/messages/{message_id}", summary="States of one message")
async def get_message(message_id: str, gateway: GatewayOf, _: Operator) -> Response:
    """What it was judged by and where its deliveries are; findings by their rules only."""
    stored = await gateway.store.message(message_id)
    if stored is None:
        raise ProblemError(NOT_FOUND)
    kept = ("order", "order_basis", "action", "verdict")
    data = {
        "message_id": stored.message_id,
        "format": stored.format,
        "verdict": stored.verdict,
        "received_at": stored.received_at.isoformat(),
        "client": stored.client,
        "sender_gln": stored.sender_gln,
        "receiver_gln": stored.receiver_gln,
        "envelope_id": stored.envelope_id,
        "letter_ids": stored.letter_ids,
        "record_ids": stored.record_ids,
        "letters": [
            {
                "letter_id": letter["message"]["letter_id"],
                **{name: letter[name] for name in kept},
                "findings": [
                    {name: finding[name] for name in ("rule", "severity", "layer")} for finding in letter["findings"]
                ],
            }
            for letter in orjson.loads(stored.summary)
        ],
        "deliveries": [_delivery_data(each) for each in stored.deliveries],
    }
    return _answer(data)


@router.get("/messages/{message_id}/timeline", summary="The path of one message")
async def get_timeline(message_id: str, gateway: GatewayOf, _: Operator) -> Response:
    """Received, judged, stored, each try, each receipt, each intervention: oldest first."""
    moments = await gateway.store.timeline(message_id)
    if not moments:
        raise ProblemError(NOT_FOUND)
    return _answer({"message_id": message_id, "timeline": [_moment_data(each, gateway) for each in moments]})


def _moment_data(moment: Moment, gateway: Gateway) -> dict[str, Any]:
    detail = dict(moment.detail)
    if "code" in detail:
        detail["code"] = _declared(detail["code"])
    reason = detail.get("reason")
    return {
        "at": moment.at.isoformat(),
        "what": moment.what,
        "organisation": moment.organisation_id,
        "name": _name(moment.organisation_id, gateway),
        **detail,
        "text": words_of_reason(reason) if isinstance(reason, str) else None,
    }


# --- what needs a person ----------------------------------------------------------------------------------------------


@router.get("/unserved", summary="Lawful recipients that a plan has not reached in time")
async def get_unserved(gateway: GatewayOf, _: Operator, limit: Annotated[int, Query(ge=1, le=MOST)] = 50) -> Response:
    """§ 4, "samtidig": longest waiting first; `more` when there are others."""
    now, schedule = utc_now(), gateway.schedule
    found = await gateway.store.unserved(now - schedule.unserved_after, now - schedule.unserved_pulled_after)
    return _answer({"unserved": [_unserved_data(each, gateway) for each in found[:limit]], "more": len(found) > limit})


def _unserved_data(unserved: Unserved, gateway: Gateway) -> dict[str, Any]:
    name = _name(unserved.organisation_id, gateway)
    return {**to_data(unserved), "organisation_name": name, "text": words_of_reason(unserved.reason)}


@router.get("/circuits", summary="End-points at fault")
async def get_circuits(gateway: GatewayOf, _: Operator) -> Response:
    """Their deliveries wait, and one is tried at `probe_at`."""
    found = await gateway.store.circuits()
    return _answer({"circuits": [{**to_data(each), "text": words_of_reason(each.reason)} for each in found]})


@router.get("/dead-letters", summary="Deliveries that were refused or abandoned")
async def get_dead_letters(gateway: GatewayOf, _: Operator, asked: Annotated[DeadLetters, Query()]) -> Response:
    """Only of a plan's newest version, newest first; ask again with `before` as `next` says, until it is null."""
    if asked.state not in (None, *DEAD):
        raise ProblemError(BAD_REQUEST, reason="state")
    of_filter = _of_filter(asked, DEAD, gateway.tools.directory)
    found = await gateway.store.deliveries(DeliveryQuery(**of_filter, before=asked.before, limit=asked.limit))
    following = found[-1].delivery.delivery_id if len(found) == asked.limit else None
    return _answer({"deliveries": [_found_data(each) for each in found], "next": following})


def _found_data(found: FoundDelivery) -> dict[str, Any]:
    return {
        "message_id": found.message_id,
        "sender_gln": found.sender_gln,
        "since": found.since.isoformat(),
        **_delivery_data(found.delivery),
    }


@router.get("/receipts", summary="Receipts for nothing that was sent")
async def get_receipts(
    gateway: GatewayOf,
    _: Operator,
    before: Annotated[Instant | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> Response:
    """Newest first: they quote no message or envelope of ours to whoever sent them."""
    found = await gateway.store.unmatched_receipts(before, limit)
    following = found[-1].received_at.isoformat() if len(found) == limit else None
    return _answer({"receipts": [_receipt_data(each) for each in found], "next": following})


def _receipt_data(receipt: UnmatchedReceipt) -> dict[str, Any]:
    return {**to_data(receipt), "refuse_code": _declared(receipt.refuse_code)}


# --- interventions ----------------------------------------------------------------------------------------------------


@router.post("/deliveries/retry", summary="Try dead letters again", openapi_extra=_described(OfNamed, OfFiltered))
async def retry(gateway: GatewayOf, caller: Operator, body: Body) -> Response:
    """The same message again, unchanged: for what was refused or abandoned. Answers which were done."""
    return await _intervened("retry", gateway, caller, body)


@router.post("/deliveries/resend", summary="Send as a new message", openapi_extra=_described(OfNamed, OfFiltered))
async def resend(gateway: GatewayOf, caller: Operator, body: Body) -> Response:
    """The same content under a new message id, also for what was sent or delivered. Answers which were done."""
    return await _intervened("resend", gateway, caller, body)


@router.post("/deliveries/abandon", summary="Give deliveries up", openapi_extra=_described(OfNamed, OfFiltered))
async def abandon(gateway: GatewayOf, caller: Operator, body: Body) -> Response:
    """What is unsettled is tried no more, and its sender is told. Answers which were done."""
    return await _intervened("abandon", gateway, caller, body)


async def _intervened(what: str, gateway: Gateway, caller: Caller, body: bytes) -> Response:
    data = _json(body)
    asked: OfNamed | OfFiltered
    if isinstance(data, dict) and "filter" in data:
        asked = _asked(OfFiltered, data)
        wanted = await _filtered(what, asked, gateway)
    else:
        asked = _asked(OfNamed, data)
        wanted = frozenset(asked.deliveries)
    now, store = utc_now(), gateway.store
    if what == "abandon":
        done = await store.abandon(wanted, now, asked.who, asked.why)
    else:
        done = await store.resend(wanted, now, asked.who, asked.why, new=what == "resend")
    log.info("intervention", client=caller.name, who=asked.who, what=what, deliveries=sorted(done))
    return _answer({"done": sorted(done), "not_done": sorted(wanted - done)})


async def _filtered(what: str, asked: OfFiltered, gateway: Gateway) -> frozenset[int]:
    """The deliveries of a filter, if they are as many as expected."""
    if asked.filter.state not in (None, *_MAY_MOVE[what]):
        raise ProblemError(BAD_REQUEST, reason="filter.state")
    of_filter = _of_filter(asked.filter, _MOVES[what], gateway.tools.directory)
    found = await gateway.store.deliveries(DeliveryQuery(**of_filter, limit=MOST + 1))
    if len(found) != asked.expected:
        raise ProblemError(NOT_AS_EXPECTED, matching=len(found) if len(found) <= MOST else f"> {MOST}")
    return frozenset(each.delivery.delivery_id for each in found)


# --- how it is shown --------------------------------------------------------------------------------------------------


def _answer(data: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(data), media_type="application/json")


def _delivery_data(delivery: Delivery) -> dict[str, Any]:
    return {**to_data(delivery), "text": words_of_reason(delivery.reason)}


def _declared(code: object) -> str | None:
    """A receipt's code. One that nobody has declared may be anything, also a name."""
    return None if code is None else code if isinstance(code, str) and code in REASONS else "negative_receipt"


def _name(organisation_id: str | None, gateway: Gateway) -> str | None:
    found = gateway.tools.directory.by_id(organisation_id) if organisation_id else None
    return found.name if found else None
