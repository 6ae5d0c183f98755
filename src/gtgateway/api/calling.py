"""What every call begins with: the gateway, the caller, the scope, the body within its limit.

Dependencies are coroutines (FastAPI runs a plain function in a thread of its own) and need no other ones: each is a
measurable part of a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request

from gtgateway.api.problems import SCOPE_MISSING, TOO_LARGE, UNIDENTIFIED, ProblemError
from gtgateway.bootstrap import Gateway
from gtgateway.security.identity import Caller, Scope
from gtgateway.security.permissions import holds

Authorization = Annotated[str | None, Header()]


async def gateway_of(request: Request) -> Gateway:
    return _gateway(request)


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def caller_of(request: Request, authorization: Authorization = None) -> Caller:
    """The identified caller, or 401."""
    caller = await _gateway(request).clients.caller(authorization)
    if caller is None:
        raise ProblemError(UNIDENTIFIED)
    return caller


def scoped(*scopes: Scope) -> Callable[[Request, Authorization], Awaitable[Caller]]:
    """A dependency: the caller, who must have one of the scopes, or 403."""

    async def check(request: Request, authorization: Authorization = None) -> Caller:
        caller = await caller_of(request, authorization)
        if not holds(caller, *scopes):
            raise ProblemError(SCOPE_MISSING)
        return caller

    return check


async def body_of(request: Request) -> bytes:
    """The body, or 413 as soon as it is known to be over GTGATEWAY_MAX_BODY."""
    limit = _gateway(request).settings.max_body
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise ProblemError(TOO_LARGE, limit=limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise ProblemError(TOO_LARGE, limit=limit)
        chunks.append(chunk)
    return b"".join(chunks)


GatewayOf = Annotated[Gateway, Depends(gateway_of)]
AnyCaller = Annotated[Caller, Depends(caller_of)]
Sender = Annotated[Caller, Depends(scoped(Scope.MESSAGES_SEND))]
Recipient = Annotated[Caller, Depends(scoped(Scope.RECORDS_RECEIVE, Scope.RECORDS_READ))]
Checker = Annotated[Caller, Depends(scoped(Scope.CHECK, Scope.MESSAGES_SEND))]
Receipter = Annotated[Caller, Depends(scoped(Scope.RECEIPTS_SEND, Scope.RECORDS_RECEIVE, Scope.MESSAGES_SEND))]
CaseCaller = Annotated[Caller, Depends(scoped(Scope.RECORDS_RECEIVE, Scope.MESSAGES_SEND))]
Operator = Annotated[Caller, Depends(scoped(Scope.OPERATE))]
Body = Annotated[bytes, Depends(body_of)]
