"""`POST /check` and `POST /convert`: for integrators; nothing is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from gtgateway.api.calling import Body, Checker, GatewayOf
from gtgateway.api.messages import utc_now
from gtgateway.api.problems import BAD_REQUEST, CANNOT_CONVERT, ProblemError, problem_response
from gtgateway.convert import Target, converted
from gtgateway.lookup import validated_elsewhere
from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.model.outcome import Known, Outcome
from gtgateway.model.plan import COPENHAGEN
from gtgateway.pipeline import Regard, judge, validated

router = APIRouter(tags=["checks"])

ReceivedAt = Annotated[datetime | None, Query(description="Fixes the time of receipt; without zone it is Danish time.")]
OrderId = Annotated[str | None, Query(description="Judge by this order as if it were in force, e.g. BEK-2027.")]
Archive = Annotated[bool, Query(description="Judge plans of earlier orders by their own order.")]


async def _assessed(
    body: bytes, gateway: GatewayOf, received_at: datetime | None, order: str | None, archive: bool
) -> Outcome:
    if order is not None and all(order != each.id for each in gateway.tools.orders.all):
        raise ProblemError(BAD_REQUEST, reason=f"order {order}")
    at = received_at or utc_now()
    at = at if at.tzinfo else at.replace(tzinfo=COPENHAGEN)
    reading = await gateway.pool.read(body)
    regard = Regard.ARCHIVE if archive else Regard.LIVE
    known = Known(external=await validated_elsewhere(reading, body, gateway))
    return validated(reading, at) or judge(reading, known, gateway.tools, at, regard=regard, order_id=order)


@router.post("/check", summary="The full assessment of a message, nothing stored")
async def check(
    body: Body,
    gateway: GatewayOf,
    _: Checker,
    received_at: ReceivedAt = None,
    order: OrderId = None,
    archive: Archive = False,
) -> Response:
    """One object; an array of them when an Emessage holds several plans."""
    found = assessments(await _assessed(body, gateway, received_at, order, archive))
    return Response(orjson.dumps(found[0] if len(found) == 1 else found), media_type="application/json")


@router.post("/convert", summary="A message in another format, nothing stored")
async def convert(
    body: Body,
    gateway: GatewayOf,
    _: Checker,
    to: Target,
    received_at: ReceivedAt = None,
    archive: Archive = False,
) -> Response:
    """The first plan of the message as `plan`, `record`, `ggop`, `xdis91` or `html`; `422` when it cannot be made."""
    outcome = await _assessed(body, gateway, received_at, None, archive)
    made = converted(outcome, to, gateway.tools.directory)
    if made is None:
        return problem_response(CANNOT_CONVERT, outcome.all_findings, to=to)
    return Response(made, media_type=to.media_type)
