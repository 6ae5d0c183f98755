"""`GET /rules`, `/orders`, `/mappings`, `/directory`: for anyone with a token."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from gtgateway import catalogue
from gtgateway.api.calling import AnyCaller, GatewayOf
from gtgateway.api.problems import NOT_FOUND, ProblemError
from gtgateway.model.route import OrganisationKind

router = APIRouter(tags=["catalogues"])


def _json(data: object) -> Response:
    return Response(orjson.dumps(data), media_type="application/json")


@router.get("/rules", summary="The rule catalogue")
async def rules(gateway: GatewayOf, _: AnyCaller) -> Response:
    return _json(catalogue.rules(gateway.tools.orders))


@router.get("/rules/{rule_id}", summary="One rule")
async def rule(rule_id: str, gateway: GatewayOf, _: AnyCaller) -> Response:
    found = next((each for each in catalogue.rules(gateway.tools.orders) if each["id"] == rule_id), None)
    if found is None:
        raise ProblemError(NOT_FOUND)
    return _json(found)


@router.get("/orders", summary="The orders: who receives what, from when to when")
async def orders(gateway: GatewayOf, _: AnyCaller) -> Response:
    return _json(catalogue.orders(gateway.tools.orders))


@router.get("/mappings", summary="The mapping tables")
async def mappings(_: AnyCaller) -> Response:
    return _json(catalogue.mappings())


@router.get("/mappings/{name}", summary="One mapping table")
async def mapping(name: str, _: AnyCaller) -> Response:
    tables = catalogue.mappings()
    if name not in tables:
        raise ProblemError(NOT_FOUND)
    return _json(tables[name])


@router.get("/directory", summary="The organisation directory")
async def directory(gateway: GatewayOf, _: AnyCaller, kind: OrganisationKind | None = None) -> Response:
    return _json(catalogue.directory(gateway.tools.directory, kind))
