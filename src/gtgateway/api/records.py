"""`GET /records`: what municipality, region, hospital, GP and provider pull."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, datetime

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from gtgateway.api.calling import GatewayOf, Recipient
from gtgateway.api.feeds import After, For, Limit, Wait, position_of, whose_feed
from gtgateway.api.messages import utc_now
from gtgateway.api.problems import NO_KL_REPORT, NOT_ACCEPTABLE, NOT_FOUND, ProblemError
from gtgateway.bootstrap import Gateway
from gtgateway.convert import fhir_message, kl_report
from gtgateway.mappers.html_from_plan import html_from_plan
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.model.feed import Feed, cursor_of
from gtgateway.model.message import Envelope
from gtgateway.model.plan import RehabilitationPlan
from gtgateway.model.route import OrganisationKind
from gtgateway.pipeline import plan_now
from gtgateway.security.identity import Caller, Scope
from gtgateway.security.permissions import holds, may_see_record
from gtgateway.store.base import FeedEntry, StoredRecord

router = APIRouter(tags=["records"])


@router.get("/records", summary="Feed of every change of what the caller may see")
async def get_records(
    gateway: GatewayOf,
    caller: Recipient,
    after: After = None,
    limit: Limit = 100,
    wait: Wait = 0,
    wanted: For = None,
) -> Response:
    """At least once and in order. Asking again with a page's cursor says that the page was received."""
    organisations = whose_feed(caller, wanted, gateway)
    position = position_of(Feed.RECORDS, after)
    receives = holds(caller, Scope.RECORDS_RECEIVE)
    if receives and position:
        await gateway.store.mark_delivered(organisations, position, utc_now())
    page = await gateway.store.feed(organisations, position, limit)
    until = time.monotonic() + wait
    while not page.entries and (left := until - time.monotonic()) > 0:
        await gateway.store.wait_for_feed(page.next, left)  # anyone's entry wakes it
        page = await gateway.store.feed(organisations, page.next, limit)
    if receives and page.entries:
        await gateway.store.mark_sent(organisations, page.next)
        # What was withdrawn before it was marked counts as never sent: it must not leave now.
        again = await gateway.store.feed(organisations, position, limit)
        page = replace(page, entries=tuple(each for each in again.entries if each.position <= page.next))
    data = {
        "records": [_entry(entry) for entry in page.entries],
        "next": cursor_of(Feed.RECORDS, page.next),
        "more": page.more,
    }
    return Response(orjson.dumps(data), media_type="application/json")


def _entry(entry: FeedEntry) -> dict[str, object]:
    return {
        "position": cursor_of(Feed.RECORDS, entry.position),
        "change": entry.change,
        "record_id": entry.record_id,
        "version": entry.version,
        "record": orjson.Fragment(entry.record) if entry.record else None,
    }


async def _own_record(record_id: str, gateway: Gateway, caller: Caller) -> StoredRecord:
    stored = await gateway.store.record(record_id)
    if stored is None or not may_see_record(caller, stored.organisations):
        raise ProblemError(NOT_FOUND)
    return stored


@router.get("/records/{record_id}", summary="One record")
async def get_record(record_id: str, gateway: GatewayOf, caller: Recipient, request: Request) -> Response:
    """By `Accept`: `application/json` the record; `application/fhir+json`, `application/xml`, `text/html` the plan."""
    stored = await _own_record(record_id, gateway, caller)
    media_type = _wanted_media_type(request.headers.get("accept"))
    headers = {"ETag": f'"{stored.version}"', "Vary": "Accept"}
    if media_type == "application/json":
        return Response(stored.record, 200, headers, media_type)
    envelope, plan = await _plan_of(stored, gateway)
    sent_at = envelope.sent_at.aware() if envelope.sent_at else utc_now()
    if media_type == "application/fhir+json":
        bundle = fhir_message(plan, envelope, sent_at, gateway.tools.directory)
        return Response(orjson.dumps(bundle), 200, headers, media_type)
    if media_type == "application/xml":
        return Response(
            medcom_xml_from_plan(plan, envelope_id=envelope.envelope_id, sent_at=sent_at), 200, headers, media_type
        )
    page = html_from_plan(plan, orjson.loads(stored.record))
    return Response(page, 200, headers | _PAGE_HEADERS, "text/html; charset=utf-8")


#: The page holds no script; nothing from outside may run in it or be fetched by it.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_OFFERED = ("application/json", "application/fhir+json", "application/xml", "text/html")


def _wanted_media_type(accept: str | None) -> str:
    """The first offered type that the caller accepts, by its own order of preference."""
    best, best_quality = None, 0.0
    for part in (accept or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_quality(piece[2:]) for piece in parameters if piece.startswith("q=")), 1.0)
        offered = next((each for each in _OFFERED if _matches(name, each)), None)
        if offered and quality > best_quality:
            best, best_quality = offered, quality
    if best is None:
        raise ProblemError(NOT_ACCEPTABLE)
    return best


def _matches(name: str, offered: str) -> bool:
    return name in ("*/*", offered) or (name.endswith("/*") and offered.startswith(name[:-1]))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def _plan_of(stored: StoredRecord, gateway: Gateway) -> tuple[Envelope, RehabilitationPlan]:
    """The plan of a record, read anew from the bytes that were received, as it is known now."""
    if (reading := await gateway.read_again(stored.message_id)) is None:
        raise ProblemError(NOT_FOUND)
    letter = reading.letter(stored.letter_id)
    if reading.envelope is None or letter is None or letter.plan is None:
        raise ProblemError(NOT_FOUND)
    record = orjson.loads(stored.record)
    day, received_at = record["discharged_on"], datetime.fromisoformat(record["received_at"])
    discharged_on = date.fromisoformat(day) if day else None
    directory = gateway.tools.directory
    return reading.envelope, plan_now(
        letter.plan, reading, directory, received_at, discharged_on=discharged_on, rerouted=stored.rerouted
    )


@router.get("/records/{record_id}/kl-report", summary="KL's § 140 delivery report, at receipt")
async def get_kl_report(record_id: str, gateway: GatewayOf, caller: Recipient) -> Response:
    """For a municipality. `Gtgateway-Left-Out` lists the elements that the gateway cannot know.

    `422` when the report would lack what it must have.
    """
    directory = gateway.tools.directory
    kinds = {known.kind for each in caller.acts_for if (known := directory.by_id(each))}
    if OrganisationKind.MUNICIPALITY not in kinds:
        raise ProblemError(NOT_FOUND)
    stored = await _own_record(record_id, gateway, caller)
    _, plan = await _plan_of(stored, gateway)
    report = kl_report(plan, orjson.loads(stored.record), str(stored.version), utc_now(), directory)
    if report.bundle is None:
        reasons = [each.reason for each in report.left_out if each.blocking]
        da, en = ", ".join(each.da for each in reasons), ", ".join(each.en for each in reasons)
        raise ProblemError(NO_KL_REPORT, da=da, en=en)
    left_out = ", ".join(dict.fromkeys(each.element.partition(":")[0] for each in report.left_out))
    headers = {"ETag": f'"{stored.version}"', "Gtgateway-Left-Out": left_out}
    return Response(orjson.dumps(report.bundle), 200, headers, "application/fhir+json")


@router.get("/records/{record_id}/original", summary="The received bytes, exactly")
async def get_original(record_id: str, gateway: GatewayOf, caller: Recipient) -> Response:
    stored = await _own_record(record_id, gateway, caller)
    body = await gateway.store.body(stored.message_id)
    if body is None:
        raise ProblemError(NOT_FOUND)
    return Response(body, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})
