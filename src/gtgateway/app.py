"""The HTTP application: routers, and how exceptions become problems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gtgateway import __version__
from gtgateway.api import catalogues, checks, fhir, health, messages, operations, record_events, records
from gtgateway.api.problems import (
    BAD_REQUEST,
    INTERNAL,
    NOT_ALLOWED_METHOD,
    NOT_FOUND,
    UNAVAILABLE,
    ProblemError,
    answer,
    problem_response,
)
from gtgateway.bootstrap import Gateway, post_room_from
from gtgateway.casework import keep_taking_up
from gtgateway.copies import keep_looking
from gtgateway.errors import Overloaded, SendAgain, StoreUnavailable
from gtgateway.logs import log, told


def create_app(gateway: Gateway) -> FastAPI:
    """The application around a wired gateway; it opens and closes the gateway with its own life."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await gateway.open()
        work = [keep_looking(gateway.store), keep_taking_up(gateway)]
        if gateway.settings.deliver:
            work += [post_room_from(gateway).run(), gateway.webhooks.run()]
        else:
            work.append(gateway.webhooks.send_alarms())
        background = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for each in background:
                each.cancel()
            await asyncio.gather(*background, return_exceptions=True)  # the post room lets its tries end
            await gateway.close()

    app = FastAPI(
        title="gtgateway",
        version=__version__,
        summary="Rehabilitation plans in, municipal records out.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.gateway = gateway
    for each in (messages, records, record_events, checks, fhir, catalogues, operations, health):
        app.include_router(each.router)

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> Response:
        return answer(request, error.problem, (), **error.values)

    @app.exception_handler(RequestValidationError)
    async def wrong_call(request: Request, error: RequestValidationError) -> Response:
        # Names the parameters, never their values.
        names = ", ".join(sorted({str(fault["loc"][-1]) for fault in error.errors()}))
        return answer(request, BAD_REQUEST, reason=names)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, NOT_ALLOWED_METHOD if error.status_code == 405 else NOT_FOUND)

    @app.exception_handler(StoreUnavailable)
    @app.exception_handler(Overloaded)
    async def unavailable(request: Request, error: Exception) -> Response:
        log.warning("unavailable", reason=type(error).__name__)
        return answer(request, UNAVAILABLE)

    @app.exception_handler(SendAgain)
    async def send_again(_: Request, error: SendAgain) -> Response:
        log.warning("unavailable", reason=type(error.__cause__).__name__)
        return Response(error.reply.body, error.reply.status, {"Retry-After": "5"}, error.reply.media_type)

    app.add_middleware(Guard)
    return app


class Guard:
    """The last line: a fault of ours is a 500 and a log line of places, never of values (no exception text)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:
            log.info("caller_hung_up")  # before its body was whole: nothing was received, nobody to answer
        except Exception as error:
            log.error("internal_error", **told(error))
            if not begun:
                await problem_response(INTERNAL)(scope, receive, send)
