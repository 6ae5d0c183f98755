"""The transport against real servers, good and bad ones: each try ends clearly, and nothing is raised."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trustme
import uvicorn

from gtgateway.delivery.client import LARGEST_ANSWER, Client
from gtgateway.model.delivery import Answer, Endpoint, Outgoing, Trouble

MESSAGE = Outgoing(b"<Emessage/>", "application/xml", "ours")
RECEIPT = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/XML; charset=utf-8\r\nContent-Length: 10\r\n\r\n<Emessage>"
)

Peer = Callable[["Call"], Awaitable[None]]


class Call:
    """A connection as a peer sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """The next request: its line, headers and body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((line, headers, body))
        return self.requests[-1]

    async def answer(self, answer: bytes) -> None:
        self.writer.write(answer)
        await self.writer.drain()


@asynccontextmanager
async def serving(peer: Peer, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[Call]]]:
    """A peer that does as it is told on each connection; its port, and the connections there were."""
    calls: list[Call] = []
    tasks: list[asyncio.Task[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        calls.append(Call(reader, writer, len(calls)))
        try:
            await peer(calls[-1])
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], calls
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def at(port: int, **fields: Any) -> Endpoint:
    return replace(Endpoint("peer", f"http://127.0.0.1:{port}/in", timeout=5), **fields)


async def tried(endpoint: Endpoint, outgoing: Outgoing = MESSAGE, *, private: bool = True) -> Answer:
    client = Client(private=private)
    try:
        return await client.send(endpoint, outgoing)
    finally:
        await client.close()


def answered_by(peer: Peer, times: int = 1, **fields: Any) -> tuple[list[Answer], list[Call]]:
    """The answers to so many tries one after the other."""

    async def run() -> tuple[list[Answer], list[Call]]:
        client = Client()
        async with serving(peer) as (port, calls):
            answers = [await client.send(at(port, **fields), MESSAGE) for _ in range(times)]
            await client.close()
        return answers, calls

    return asyncio.run(run())


async def good(call: Call) -> None:
    while True:
        await call.request()
        await call.answer(RECEIPT)


# --- answers ----------------------------------------------------------------------------------------------------------
def test_a_message_is_posted_and_the_connection_used_again() -> None:
    answers, calls = answered_by(good, times=3)
    assert answers == [Answer(201, "application/xml", b"<Emessage>")] * 3
    assert len(calls) == 1
    line, headers, body = calls[0].requests[2]
    assert (line, body) == ("POST /in HTTP/1.1", MESSAGE.body)
    assert headers["content-type"] == "application/xml"
    assert headers["accept"] == "application/xml, application/problem+json;q=0.5"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"].startswith("127.0.0.1:")
    assert headers["user-agent"].startswith("gtgateway/")
    assert headers.keys() == {
        *("accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"),
    }


def test_informational_answers_are_passed_over() -> None:
    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + RECEIPT)

    assert answered_by(peer)[0] == [Answer(201, "application/xml", b"<Emessage>")]


def test_a_redirect_is_an_answer() -> None:
    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(b"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    answers, calls = answered_by(peer)
    assert answers == [Answer(307)]
    assert len(calls) == 1


def test_the_content_is_read_whatever_its_type() -> None:
    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 2\r\n\r\nok")

    assert answered_by(peer)[0] == [Answer(200, "image/png", b"ok")]


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (timedelta(hours=1), 3600),
        (timedelta(hours=-1), 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, 999_999_999),
    ],
)
def test_retry_after(stated: str | timedelta, seconds: float | None) -> None:
    """A number, or a date (here: so long from now)."""
    if isinstance(stated, timedelta):
        stated = format_datetime(datetime.now(UTC) + stated, usegmt=True)

    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(f"HTTP/1.1 503 Busy\r\nRetry-After: {stated}\r\nContent-Length: 0\r\n\r\n".encode())

    (answer,), _ = answered_by(peer)
    assert answer.status == 503
    assert answer.retry_after == (None if seconds is None else pytest.approx(seconds, abs=60))


def test_the_largest_answer_is_read_and_a_larger_one_is_not() -> None:
    async def peer(call: Call) -> None:
        while True:
            await call.request()
            length = LARGEST_ANSWER + len(call.requests) - 1
            await call.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)

    (whole, larger), _ = answered_by(peer, times=2)
    assert (whole.status, len(whole.body)) == (200, LARGEST_ANSWER)
    assert larger == Answer(trouble=Trouble.TOO_LARGE)


def test_a_gigabyte_is_not_kept_in_memory() -> None:
    sent = 0

    async def peer(call: Call) -> None:
        nonlocal sent
        await call.request()
        await call.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(2**14):
            await call.answer(chunk)
            sent += 65536

    tracemalloc.start()
    answers, _ = answered_by(peer)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answers == [Answer(trouble=Trouble.TOO_LARGE)]
    assert most < 8_000_000
    assert sent < 2**24


@pytest.mark.parametrize(
    "bomb", [b"X-A: " + b"a" * 2_000_000, b"\r\n".join(b"X-%d: %d" % (n, n) for n in range(60_000))]
)
def test_a_header_bomb_is_too_large(bomb: bytes) -> None:
    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(b"HTTP/1.1 200 OK\r\n" + bomb + b"\r\nContent-Length: 0\r\n\r\n")

    assert answered_by(peer)[0] == [Answer(trouble=Trouble.TOO_LARGE)]


# --- troubles ---------------------------------------------------------------------------------------------------------
def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert asyncio.run(tried(at(port))) == Answer(trouble=Trouble.NO_CONNECTION)


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(code: int) -> Callable[..., Any]:
        def getaddrinfo(*_: object, **__: object) -> Any:
            raise socket.gaierror(code, "no")

        return getaddrinfo

    endpoint = Endpoint("peer", "https://findes-ikke.eksempel.dk/in", timeout=5)
    monkeypatch.setattr(socket, "getaddrinfo", unknown(socket.EAI_NONAME))
    assert asyncio.run(tried(endpoint)) == Answer(trouble=Trouble.NAME)
    monkeypatch.setattr(socket, "getaddrinfo", unknown(socket.EAI_AGAIN))  # the name server is away
    assert asyncio.run(tried(endpoint)) == Answer(trouble=Trouble.NO_CONNECTION)
    monkeypatch.undo()
    too_long = Endpoint("peer", f"https://{'a' * 70}.dk/in", timeout=5)
    assert asyncio.run(tried(too_long)) == Answer(trouble=Trouble.NAME)


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_: object, port: int, *__: object, **___: object) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.9", "127.0.0.1")]

    async def run() -> Answer:
        async with serving(good) as (port, _):
            monkeypatch.setattr(socket, "getaddrinfo", both)
            return await tried(at(port, url=f"http://localhost:{port}/in"))

    assert asyncio.run(run()).status == 201


async def cut_before_reading(call: Call) -> None:
    call.writer.transport.abort()


async def cut_after_reading(call: Call) -> None:
    await call.request()


async def cut_in_the_answer(call: Call) -> None:
    await call.request()
    await call.answer(RECEIPT[:-3])


async def no_http(call: Call) -> None:
    await call.request()
    await call.answer(b"SSH-2.0-OpenSSH_9.7\r\n\r\n")


@pytest.mark.parametrize("peer", [cut_before_reading, cut_after_reading, cut_in_the_answer, no_http])
def test_cut_after_sending_began(peer: Peer) -> None:
    assert answered_by(peer)[0] == [Answer(trouble=Trouble.CUT)]


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used_again() -> None:
    async def once(call: Call) -> None:
        await call.request()
        await call.answer(RECEIPT)

    async def run() -> tuple[list[Answer], int]:
        client = Client()
        async with serving(once) as (port, calls):
            answers = []
            for _ in range(3):
                answers.append(await client.send(at(port), MESSAGE))
                await asyncio.sleep(0.05)  # its end arrives
            await client.close()
            return answers, len(calls)

    answers, connections = asyncio.run(run())
    assert [each.status for each in answers] == [201, 201, 201]
    assert connections == 3


def test_a_connection_that_is_closed_under_the_try_is_ambiguous() -> None:
    async def peer(call: Call) -> None:
        await call.request()
        await call.answer(RECEIPT)
        await call.reader.read(1)  # the next request, never answered

    answers, calls = answered_by(peer, times=2)
    assert [each.trouble for each in answers] == [None, Trouble.CUT]
    assert len(calls) == 1


async def silent(call: Call) -> None:
    await call.request()
    await asyncio.sleep(60)


async def trickling(call: Call) -> None:
    await call.request()
    await call.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await call.answer(b"x")
        await asyncio.sleep(0.01)


async def trickling_headers(call: Call) -> None:
    await call.request()
    await call.answer(b"HTTP/1.1 200 OK\r\n")
    while True:
        await call.answer(b"X-A: b\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("peer", [silent, trickling, trickling_headers])
def test_a_try_ends_in_time(peer: Peer) -> None:
    began = datetime.now(UTC)
    assert answered_by(peer, timeout=0.3)[0] == [Answer(trouble=Trouble.TIMED_OUT)]
    assert datetime.now(UTC) - began < timedelta(seconds=3)


def test_time_that_runs_out_before_sending_is_no_connection(tmp_path: Path) -> None:
    async def never_shakes_hands(call: Call) -> None:
        await asyncio.sleep(60)

    async def run() -> Answer:
        async with serving(never_shakes_hands) as (port, _):
            return await tried(at(port, url=f"https://127.0.0.1:{port}/in", timeout=0.3))

    assert asyncio.run(run()) == Answer(trouble=Trouble.NO_CONNECTION)


def test_cancelling_is_passed_on() -> None:
    async def run() -> None:
        client = Client()
        async with serving(silent) as (port, calls):
            task = asyncio.create_task(client.send(at(port), MESSAGE))
            while not calls or not calls[0].requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.close()

    asyncio.run(run())


def test_private_addresses_are_refused_where_others_say_whom_to_call() -> None:
    async def run() -> tuple[Answer, int]:
        async with serving(good) as (port, calls):
            return await tried(at(port), private=False), len(calls)

    assert asyncio.run(run()) == (Answer(trouble=Trouble.FORBIDDEN_ADDRESS), 0)


# --- TLS --------------------------------------------------------------------------------------------------------------
class Certificates:
    """An authority, and servers' contexts by it."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.authorities = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.authorities)
        self.certificate, self.key = folder / "own.pem", folder / "own.key"

    def own(self, authority: trustme.CA | None = None) -> dict[str, Path]:
        issued = (authority or self.authority).issue_cert("gateway.eksempel.dk")
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        return {"certificate": self.certificate, "key": self.key}

    def server(self, *, authority: trustme.CA | None = None, **stated: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        name = stated.pop("name", "127.0.0.1")
        (authority or self.authority).issue_cert(name, **stated).configure_cert(context)
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def by_tls(certificates: Certificates, context: ssl.SSLContext, **fields: Any) -> tuple[Answer, list[Call]]:
    async def run() -> tuple[Answer, list[Call]]:
        async with serving(good, context) as (port, calls):
            url = f"https://127.0.0.1:{port}/in"
            return await tried(at(port, url=url, authorities=certificates.authorities, **fields)), calls

    return asyncio.run(run())


def test_a_good_certificate(certificates: Certificates) -> None:
    assert by_tls(certificates, certificates.server())[0].status == 201


def test_bad_certificates(certificates: Certificates) -> None:
    bad = {
        "of another host": certificates.server(name="another.eksempel.dk"),
        "expired": certificates.server(not_after=datetime.now(UTC) - timedelta(days=1)),
        "of an unknown authority": certificates.server(authority=trustme.CA()),
    }
    for what, context in bad.items():
        answer, calls = by_tls(certificates, context)
        assert answer == Answer(trouble=Trouble.CERTIFICATE), what
        assert not any(call.requests for call in calls), what


def test_no_tls_where_it_is_expected() -> None:
    async def run() -> Answer:
        async with serving(cut_in_the_answer) as (port, _):
            return await tried(at(port, url=f"https://127.0.0.1:{port}/in", timeout=2))

    assert asyncio.run(run()).trouble in (Trouble.CERTIFICATE, Trouble.NO_CONNECTION)


def whole(connection: ssl.SSLSocket) -> None:
    """Read one request to its end."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65536)


@contextmanager
def demanding(context: ssl.SSLContext) -> Iterator[int]:
    """One call to a server on blocking sockets: unlike asyncio it says why it shakes no hand (RFC 8446 6.2)."""

    def serve() -> None:
        connection = context.wrap_socket(listening.accept()[0], server_side=True, do_handshake_on_connect=False)
        with connection:
            try:
                connection.do_handshake()
                whole(connection)  # to close on what was not read would cut the answer
                connection.sendall(RECEIPT)
            except ssl.SSLError:
                # What the peer has sent meanwhile is read until it hangs up: closing on it would lose the alert.
                connection.settimeout(5)
                with contextlib.suppress(OSError):
                    while socket.socket.recv(connection, 65536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mutual_tls(certificates: Certificates, version: ssl.TLSVersion) -> None:
    context = certificates.server()

    def answer(**own: Path) -> Answer:
        with demanding(context) as port:
            url = f"https://127.0.0.1:{port}/in"
            return asyncio.run(tried(at(port, url=url, authorities=certificates.authorities, **own)))

    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    certificates.authority.configure_trust(context)
    assert answer(**certificates.own()).status == 201
    assert answer() == Answer(trouble=Trouble.CERTIFICATE)
    assert answer(**certificates.own(trustme.CA())) == Answer(trouble=Trouble.CERTIFICATE)


def test_a_certificate_file_that_went_away(certificates: Certificates, tmp_path: Path) -> None:
    endpoint = at(1, url="https://127.0.0.1:1/in", authorities=tmp_path / "gone.pem")
    assert asyncio.run(tried(endpoint)) == Answer(trouble=Trouble.CERTIFICATE)


# --- token ------------------------------------------------------------------------------------------------------------
class Guarded:
    """A peer with a token end-point: each token has a number, and the peer takes the ones in `valid`."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.sent: list[str | None] = []
        self.valid: set[str] = {"token-1"}
        self.answer: tuple[int, bytes] | None = None
        self.life: object = 3600

    async def __call__(self, call: Call) -> None:
        while True:
            line, headers, body = await call.request()
            if line.startswith("POST /token "):
                self.asked.append((headers, body))
                life = b', "expires_in": %d' % self.life if isinstance(self.life, int) else b""
                await call.answer(
                    _http(*self.answer)
                    if self.answer
                    else _http(200, b'{"access_token": "token-%d"%b}' % (len(self.asked), life))
                )
            else:
                token = headers.get("authorization", "").removeprefix("Bearer ")
                self.sent.append(token)
                await call.answer(RECEIPT if token in self.valid else _http(401, b""))


def _http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


def with_tokens(guarded: Guarded, rounds: int = 1, at_once: int = 1, **fields: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        client = Client()
        async with serving(guarded) as (port, _):
            endpoint = at(
                port,
                token_url=f"http://127.0.0.1:{port}/token",
                client_id="gate:way",
                client_secret="hemmeligt ord",
                scope="plans",
                **fields,
            )
            answers: list[Answer] = []
            for _ in range(rounds):
                answers += await asyncio.gather(*(client.send(endpoint, MESSAGE) for _ in range(at_once)))
            await client.close()
        return answers

    return asyncio.run(run())


def test_a_token_is_fetched_once_and_kept() -> None:
    guarded = Guarded()
    answers = with_tokens(guarded, rounds=2, at_once=4)
    assert [each.status for each in answers] == [201] * 8
    assert guarded.sent == ["token-1"] * 8
    ((headers, body),) = guarded.asked
    assert headers["authorization"] == "Basic Z2F0ZSUzQXdheTpoZW1tZWxpZ3Qrb3Jk"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body == b"grant_type=client_credentials&scope=plans"


def test_a_token_is_fetched_anew_before_it_expires() -> None:
    guarded = Guarded()
    guarded.life, guarded.valid = 0, {"token-1", "token-2"}
    assert [each.status for each in with_tokens(guarded, rounds=2)] == [201, 201]
    assert guarded.sent == ["token-1", "token-2"]


def test_a_token_without_a_stated_life_is_kept_a_while() -> None:
    guarded = Guarded()
    guarded.life = None
    assert [each.status for each in with_tokens(guarded, rounds=2)] == [201, 201]
    assert len(guarded.asked) == 1


def test_a_token_that_is_not_taken_any_more_is_replaced_once_for_all() -> None:
    guarded = Guarded()
    guarded.valid = {"token-2"}
    assert [each.status for each in with_tokens(guarded, at_once=4)] == [201] * 4
    assert len(guarded.asked) == 2
    guarded = Guarded()
    guarded.valid = set()
    assert [each.status for each in with_tokens(guarded)] == [401]
    assert guarded.sent == ["token-1", "token-2"]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ((401, b'{"error": "invalid_client"}'), Trouble.NO_TOKEN),
        ((400, b"no"), Trouble.NO_TOKEN),
        ((302, b""), Trouble.NO_TOKEN),
        ((200, b"<html>"), Trouble.NO_TOKEN),
        ((200, b"[]"), Trouble.NO_TOKEN),
        ((200, b'{"access_token": "a\\r\\nX: b"}'), Trouble.NO_TOKEN),
        ((200, b'{"access_token": 7}'), Trouble.NO_TOKEN),
        ((200, b" " * (LARGEST_ANSWER + 1)), Trouble.NO_TOKEN),
        ((503, b""), Trouble.NO_CONNECTION),
        ((429, b""), Trouble.NO_CONNECTION),
    ],
)
def test_without_a_token_nothing_is_sent(answer: tuple[int, bytes], trouble: Trouble) -> None:
    guarded = Guarded()
    guarded.answer = answer
    assert with_tokens(guarded) == [Answer(trouble=trouble)]
    assert guarded.sent == []


@pytest.mark.parametrize(("peer", "seconds"), [(cut_after_reading, 5), (silent, 0.3)])
def test_a_token_end_point_that_fails_is_no_connection(peer: Peer, seconds: float) -> None:
    async def run() -> Answer:
        async with serving(peer) as (port, _):
            url = f"http://127.0.0.1:{port}/token"
            return await tried(at(port, token_url=url, client_id="a", client_secret="b", timeout=seconds))

    assert asyncio.run(run()) == Answer(trouble=Trouble.NO_CONNECTION)


def test_a_fixed_token() -> None:
    guarded = Guarded()
    answers, _ = answered_by(guarded, bearer="token-1")
    assert answers[0].status == 201
    assert guarded.asked == []


# --- limits -----------------------------------------------------------------------------------------------------------
def test_no_more_tries_at_once_than_the_end_point_takes() -> None:
    now = most = 0

    async def peer(call: Call) -> None:
        nonlocal now, most
        while True:
            await call.request()
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1
            await call.answer(RECEIPT)

    async def run() -> list[Answer]:
        client = Client()
        async with serving(peer) as (port, _):
            endpoint = at(port, concurrency=3)
            answers = await asyncio.gather(*(client.send(endpoint, MESSAGE) for _ in range(12)))
            await client.close()
        return answers

    assert {each.status for each in asyncio.run(run())} == {201}
    assert most == 3


def test_no_more_tries_a_second_than_the_end_point_takes() -> None:
    began = datetime.now(UTC)
    answers, _ = answered_by(good, times=5, rate=20)
    assert {each.status for each in answers} == {201}
    assert datetime.now(UTC) - began >= timedelta(seconds=0.19)


# --- a server of the trade --------------------------------------------------------------------------------------------
def test_uvicorn_answers_while_the_message_is_still_sent() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> Answer:
        config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        answer = await tried(at(port), replace(MESSAGE, body=b"x" * 200_000))
        server.should_exit = True
        await task
        return answer

    assert asyncio.run(run()).status == 413


class H2Peer:
    """A peer that speaks HTTP/2 and answers every message, or breaks its rules."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks
        self.streams: list[int] = []

    async def __call__(self, call: Call) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        while True:
            await call.answer(state.data_to_send())
            data = await call.reader.read(65536)
            if not data:
                return
            for event in state.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.StreamEnded):
                    self.streams.append(event.stream_id)
                    if self.breaks:
                        # an answer on a stream that nobody opened
                        await call.answer(bytes.fromhex("00000401050000000900000000"))
                        continue
                    headers = [(":status", "201"), ("content-type", "application/xml"), ("retry-after", "7")]
                    state.send_headers(event.stream_id, headers)
                    state.send_data(event.stream_id, b"<Emessage>", end_stream=True)


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [(False, Answer(201, "application/xml", b"<Emessage>", 7)), (True, Answer(trouble=Trouble.CUT))],
)
def test_http2_where_it_is_offered(certificates: Certificates, breaks: bool, expected: Answer) -> None:
    peer = H2Peer(breaks=breaks)
    context = certificates.server()
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def run() -> tuple[list[Answer], int]:
        client = Client()
        async with serving(peer, context) as (port, calls):
            endpoint = at(port, url=f"https://127.0.0.1:{port}/in", authorities=certificates.authorities)
            large = replace(MESSAGE, body=b"x" * 200_000)
            answers = [await client.send(endpoint, each) for each in (MESSAGE, large)]
            await client.close()
        return answers, len(calls)

    answers, connections = asyncio.run(run())
    assert answers == [expected] * 2
    assert connections == (2 if breaks else 1)
    assert peer.streams == ([1, 1] if breaks else [1, 3])
