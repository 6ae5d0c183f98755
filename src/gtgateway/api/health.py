"""`/health/live`, `/health/ready` and `/metrics`: for the operator's machinery, without a token."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from gtgateway.api.calling import GatewayOf
from gtgateway.api.messages import utc_now

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process runs")
async def live() -> JSONResponse:
    return JSONResponse({"status": "live"})


@router.get("/health/ready", summary="A plan would be accepted now")
async def ready(gateway: GatewayOf) -> JSONResponse:
    """`503` while the archive cannot be written to."""
    good = await gateway.store.ready()
    return JSONResponse({"status": "ready" if good else "not ready"}, 200 if good else 503)


@router.get("/metrics", summary="Figures of the post room, for Prometheus")
async def metrics(gateway: GatewayOf) -> Response:
    """Deliveries by end-point and state, recipients not reached in time, circuits: the same from every process.

    Tries are counted by each process for itself. No organisation but its end-point, no patient, no content.
    """
    now, store, schedule = utc_now(), gateway.store, gateway.schedule
    unserved = await store.unserved(now - schedule.unserved_after, now - schedule.unserved_pulled_after)
    text = gateway.metrics.text(await store.delivery_counts(), await store.circuits(), unserved, now)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
