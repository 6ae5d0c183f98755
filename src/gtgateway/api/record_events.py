"""`POST /records/{id}/events`: what happened in a case."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Request
from pydantic import ValidationError
from starlette.responses import Response

from gtgateway.api.calling import Body, CaseCaller, GatewayOf
from gtgateway.api.messages import utc_now
from gtgateway.api.problems import (
    BAD_REQUEST,
    EVENT_FORBIDDEN,
    EVENT_ID_USED,
    EVENT_KIND_NOT_TAKEN,
    EVENT_NOT_YOURS,
    NO_HOSPITAL,
    NOT_FOUND,
    PLAN_WITHDRAWN,
    RECORD_CHANGED,
    Problem,
    ProblemError,
    answer,
)
from gtgateway.cases.events import WHO_MAY_POST, EventEntry
from gtgateway.casework import EventRefusedError, Why, post_event
from gtgateway.logs import log
from gtgateway.mappers.assessment_from_outcome import finding_data
from gtgateway.mappers.json_from_model import to_data

router = APIRouter(tags=["records"])

#: How far a client's clock may be ahead of ours.
_AHEAD = timedelta(minutes=5)

_PROBLEMS: dict[Why, Problem] = {
    Why.UNKNOWN: NOT_FOUND,
    Why.NOT_YOURS: EVENT_NOT_YOURS,
    Why.STALE: RECORD_CHANGED,
    Why.ID_USED: EVENT_ID_USED,
    Why.WITHDRAWN: PLAN_WITHDRAWN,
    Why.NO_HOSPITAL: NO_HOSPITAL,
    Why.FORBIDDEN: EVENT_FORBIDDEN,
}


@router.post("/records/{record_id}/events", summary="What happened in a case")
async def post_record_event(
    record_id: str,
    request: Request,
    body: Body,
    gateway: GatewayOf,
    caller: CaseCaller,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """`201` with the event, what was found in it and the record's new version; `200` for the same event again."""
    entry = _entry(body)
    received_at = utc_now()
    if entry.at > received_at + _AHEAD:
        raise ProblemError(BAD_REQUEST, reason="at")
    try:
        added = await post_event(record_id, entry, gateway, caller, received_at, _version(if_match))
    except EventRefusedError as refused:
        return answer(request, _PROBLEMS[refused.why], refused.findings)
    kept = added.kept
    assert kept is not None
    log.info("case_event", client=caller.name, record_id=record_id, kind=str(entry.kind), repeated=added.repeated)
    data = {
        "record_id": record_id,
        "version": kept.version,
        "event": {name: value for name, value in to_data(kept.event).items() if value is not None},
        "findings": [finding_data(finding) for finding in kept.findings],
    }
    headers = {"ETag": f'"{kept.version}"'}
    return Response(orjson.dumps(data), 200 if added.repeated else 201, headers, "application/json")


def _entry(body: bytes) -> EventEntry:
    """The event in a body. A problem names fields, never values."""
    try:
        entry = EventEntry.model_validate_json(body)
    except ValidationError as error:
        wrong = sorted({str(each["loc"][0]) if each["loc"] else "JSON" for each in error.errors()})
        if wrong == ["kind"]:
            raise _not_taken() from None
        raise ProblemError(BAD_REQUEST, reason=", ".join(wrong)) from None
    if entry.kind not in WHO_MAY_POST:
        raise _not_taken()
    if entry.misplaced:
        raise ProblemError(BAD_REQUEST, reason=", ".join(sorted(entry.misplaced)))
    return entry


def _not_taken() -> ProblemError:
    return ProblemError(EVENT_KIND_NOT_TAKEN, kinds=", ".join(WHO_MAY_POST))


def _version(if_match: str | None) -> int | None:
    """The version of an entity tag of ours; no record has the version of any other."""
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip().removeprefix("W/").strip('"')
    return int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 10 else 0
