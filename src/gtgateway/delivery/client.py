"""Sends a message to an end-point over HTTP and brings back the answer, or the trouble there was instead.

On httpcore, the engine of httpx (decision 0014): connections are kept and used again, HTTP/2 where it is offered. What
it lacks is not wanted here: a redirect is an answer, nothing is decompressed, no cookie kept, no proxy asked.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote_plus, urlencode, urlsplit

import h11
import httpcore
import orjson
from aiolimiter import AsyncLimiter

from gtgateway import __version__
from gtgateway.delivery.network import Network, UnreachableError, sending
from gtgateway.logs import log
from gtgateway.model.delivery import Answer, Endpoint, Outgoing, Trouble
from gtgateway.routing.endpoints import tls_context

LARGEST_ANSWER = 256_000  #: bytes; no receipt is as large
KEPT_SECONDS = 4.0  #: shorter than common servers keep an idle connection (5 s), so that theirs is not cut under a try
#: A token is fetched anew so long before it expires, and without a stated life it lives so long.
TOKEN_MARGIN, TOKEN_LIFE = 30.0, 300.0

Header = tuple[bytes, bytes]


class TooLargeError(Exception):
    """The answer is larger than any receipt."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float  #: on the monotonic clock


class Client:
    """Sends. `private` False: only to addresses on the public internet (webhooks)."""

    def __init__(self, *, private: bool = True) -> None:
        self._private = private
        self._peers: dict[Endpoint, _Peer] = {}

    async def send(self, endpoint: Endpoint, outgoing: Outgoing, headers: Sequence[Header] = ()) -> Answer:
        """One try. Nothing that a peer does is raised; `headers` are sent besides our own."""
        peer = self._peers.get(endpoint)
        if peer is None:
            try:
                peer = self._peers[endpoint] = _Peer(endpoint, private=self._private)
            except OSError:  # a certificate file that was there when the directory was read
                return Answer(trouble=Trouble.CERTIFICATE)
        return await peer.send(outgoing, headers)

    async def close(self) -> None:
        """Close every connection."""
        for peer in self._peers.values():
            await peer.close()


class _Peer:
    """An end-point with its connections, its limits and its token."""

    def __init__(self, endpoint: Endpoint, *, private: bool) -> None:
        self._endpoint = endpoint
        self._url = httpcore.URL(endpoint.url)
        self._host = _host(endpoint.url)
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._rate = AsyncLimiter(1, 1 / endpoint.rate) if endpoint.rate else None
        self._token: _Token | None = None
        self._refreshing = asyncio.Lock()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(endpoint),
            max_connections=endpoint.concurrency + 1,  # one for the token
            keepalive_expiry=KEPT_SECONDS,
            http2=True,
            network_backend=Network(private=private),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def send(self, outgoing: Outgoing, headers: Sequence[Header]) -> Answer:
        async with self._slots:
            if self._rate is not None:
                await self._rate.acquire()
            sending.set(False)
            try:
                async with asyncio.timeout(self._endpoint.timeout):
                    return await self._authorised(outgoing, headers)
            except UnreachableError as error:
                return Answer(trouble=error.trouble)
            except TooLargeError:
                return Answer(trouble=Trouble.TOO_LARGE)
            except TimeoutError:
                return Answer(trouble=Trouble.TIMED_OUT if sending.get() else Trouble.NO_CONNECTION)
            except Exception as error:  # h2 raises what httpcore does not know, when a peer breaks HTTP/2
                if not isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError)):
                    log.warning("unexpected_answer", endpoint=self._endpoint.id, error=type(error).__name__)
                return Answer(trouble=Trouble.CUT if sending.get() else Trouble.NO_CONNECTION)

    async def _authorised(self, outgoing: Outgoing, headers: Sequence[Header]) -> Answer:
        """The answer with the token that is kept, and once more with a new one when that is not taken any more."""
        if self._endpoint.token_url is None:
            return await self._post_message(outgoing, headers, self._endpoint.bearer)
        token = await self._token_but(None)
        answer = await self._post_message(outgoing, headers, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer = await self._post_message(outgoing, headers, await self._token_but(token))
        return answer

    async def _post_message(self, outgoing: Outgoing, headers: Sequence[Header], token: str | None) -> Answer:
        media_type = outgoing.media_type.encode()
        accepted = b"%b, application/problem+json;q=0.5" % media_type
        authorisation = ((b"Authorization", b"Bearer " + token.encode()),) if token else ()
        own = ((b"Content-Type", media_type), (b"Accept", accepted), *authorisation)
        return await self._post(self._url, self._host, (*own, *headers), outgoing.body)

    async def _post(self, url: httpcore.URL, host: bytes, headers: Sequence[Header], body: bytes) -> Answer:
        request = httpcore.Request(
            "POST",
            url,
            headers=[
                (b"Host", host),
                (b"User-Agent", _USER_AGENT),
                (b"Accept-Encoding", b"identity"),
                (b"Content-Length", b"%d" % len(body)),
                *headers,
            ],
            content=body,
        )
        try:
            response = await self._pool.handle_async_request(request)
        except httpcore.RemoteProtocolError as error:
            cause = error.__context__  # httpcore says only in words which limit it was
            if isinstance(cause, h11.RemoteProtocolError) and cause.error_status_hint == _HEADERS_TOO_LARGE:
                raise TooLargeError from None
            raise
        content = bytearray()
        try:
            async for chunk in response.aiter_stream():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise TooLargeError
        finally:
            await response.aclose()
        stated = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(
            response.status,
            stated.get(b"content-type", "").partition(";")[0].strip().lower(),
            bytes(content),
            _seconds(stated.get(b"retry-after")),
        )

    # --- token --------------------------------------------------------------------------------------------------------

    async def _token_but(self, refused: str | None) -> str:
        """A token that is not about to expire, and not the one that was refused; one is fetched at a time."""
        async with self._refreshing:
            token = self._token
            if token is None or token.value == refused or time.monotonic() >= token.until:
                try:
                    token = self._token = await self._fetch_token()
                finally:
                    sending.set(False)  # what was sent was no message
        return token.value

    async def _fetch_token(self) -> _Token:
        """By RFC 6749 4.4. Raises UnreachableError: nothing of the message was sent."""
        endpoint = self._endpoint
        url = endpoint.token_url or ""
        who = f"{quote_plus(endpoint.client_id or '')}:{quote_plus(endpoint.client_secret or '')}"
        form = {"grant_type": "client_credentials"} | ({"scope": endpoint.scope} if endpoint.scope else {})
        headers = (
            (b"Authorization", b"Basic " + base64.b64encode(who.encode())),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Accept", b"application/json"),
        )
        try:
            answer = await self._post(httpcore.URL(url), _host(url), headers, urlencode(form).encode())
        except TooLargeError:
            raise UnreachableError(Trouble.NO_TOKEN) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise UnreachableError(Trouble.NO_CONNECTION) from None
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or (answer.status or 0) >= 500:
            raise UnreachableError(Trouble.NO_CONNECTION)
        try:
            stated = orjson.loads(answer.body)
            value, life = stated["access_token"], stated.get("expires_in")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UnreachableError(Trouble.NO_TOKEN) from None
        if answer.status != HTTPStatus.OK or not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise UnreachableError(Trouble.NO_TOKEN)
        seconds = float(life) if isinstance(life, (int, float)) else TOKEN_LIFE
        return _Token(value, time.monotonic() + max(seconds - TOKEN_MARGIN, seconds / 2))


_USER_AGENT = f"gtgateway/{__version__}".encode()
_HEADERS_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


def _host(url: str) -> bytes:
    return urlsplit(url).netloc.encode()


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds: a number, or an HTTP date; None for anything else."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if until.tzinfo is None:  # "-0000", or none at all
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
