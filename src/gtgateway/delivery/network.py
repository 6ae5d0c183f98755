"""TCP and TLS below httpcore, on asyncio itself: it tells which step failed, and whether anything was sent.

httpcore's own goes through anyio, which costs more and tells less (decision 0014).
"""

# ruff: noqa: ARG002, ASYNC109 (httpcore's signatures)
from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore

from gtgateway.model.delivery import Trouble
from gtgateway.security.outbound import ForbiddenAddressError, allowed_addresses

CONNECT_SECONDS = 10.0  #: most for one of a name's addresses, before the next is tried

#: True when something of the running task's message has been handed to the network.
sending: ContextVar[bool] = ContextVar("sending", default=False)

#: What a name server says of a name that does not exist; anything else may pass.
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
#: Parts of OpenSSL's names of the alerts by which a peer refuses our certificate. With TLS 1.3 they come instead of
#: the answer, for a client's handshake ends before the server has looked.
_REFUSES_OURS = ("CERT", "UNKNOWN_CA", "ACCESS_DENIED")


class UnreachableError(Exception):
    """The message was certainly not taken, for a reason below HTTP."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble)


class Network(httpcore.AsyncNetworkBackend):
    """Connects. `private` False: only to addresses on the public internet. Time is kept by the caller."""

    def __init__(self, *, private: bool) -> None:
        self._private = private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await allowed_addresses(host, port, private=self._private)
        except ForbiddenAddressError:
            raise UnreachableError(Trouble.FORBIDDEN_ADDRESS) from None
        except socket.gaierror as error:
            unknown = error.errno in _NO_SUCH_NAME
            raise UnreachableError(Trouble.NAME if unknown else Trouble.NO_CONNECTION) from None
        except UnicodeError:
            raise UnreachableError(Trouble.NAME) from None
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return _Stream(*await asyncio.open_connection(address, port))
            except OSError:  # TimeoutError is one
                continue
        raise UnreachableError(Trouble.NO_CONNECTION)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._reader.read(max_bytes)
        except OSError as error:
            raise _refused(error) or httpcore.ReadError() from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:  # the end of a body: a system call for nothing
            return
        sending.set(True)
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except OSError as error:
            raise _refused(error) or httpcore.WriteError() from None

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                raise UnreachableError(Trouble.CERTIFICATE) from None
            if isinstance(error, OSError):
                raise UnreachableError(Trouble.NO_CONNECTION) from None
            raise
        return self

    async def aclose(self) -> None:
        self._writer.transport.abort()  # whatever is under way is void: nothing to wait for

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._writer.get_extra_info("ssl_object")
            case "is_readable":  # httpcore asks before it uses a connection again: has the peer closed it?
                return self._reader.at_eof() or self._writer.is_closing()
        return None


def _refused(error: OSError) -> UnreachableError | None:
    alert = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    return UnreachableError(Trouble.CERTIFICATE) if any(word in alert for word in _REFUSES_OURS) else None
