"""`/health/live` and `/health/ready`: for the operator's machinery, without a token."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from gtgateway.api.calling import GatewayOf

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="The process runs")
async def live() -> JSONResponse:
    return JSONResponse({"status": "live"})


@router.get("/ready", summary="A plan would be accepted now")
async def ready(gateway: GatewayOf) -> JSONResponse:
    """`503` while the archive cannot be written to."""
    good = await gateway.store.ready()
    return JSONResponse({"status": "ready" if good else "not ready"}, 200 if good else 503)
