"""Recipients that behave like real ones, good and bad: for the demo, the tests and the fault runs.

Each peer is an HTTP server of its own. It reads what it gets, answers in the sender's form, and remembers what came and
how often; the same message again gets the same verdict, as a good recipient's does.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import h11
import httpx

from gtgateway.acknowledgements.reply import make_reply
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.message import Format, Letter, Reading
from gtgateway.parsers.envelope import ParsedMessage, read_envelope
from gtgateway.parsers.hardened import Limits

_LIMITS = Limits()


class Behaviour(StrEnum):
    """What a peer does with one try."""

    OK = "ok"
    NEGATIVE = "negative"  #: takes it and refuses it
    LATE = "late"  #: 202 now, the receipt later
    TWICE = "twice"  #: the receipt now and again later
    NEVER = "never"  #: 202 and no receipt, ever
    ERROR = "error"  #: 500, nothing taken
    BUSY = "busy"  #: 429 with Retry-After, nothing taken
    DENIED = "denied"  #: 401, nothing taken
    CUT_AFTER = "cut_after"  #: takes it and hangs up
    TRICKLE = "trickle"  #: takes it and answers a byte at a time


@dataclass(frozen=True, slots=True)
class Got:
    """One try as the peer saw it."""

    at: datetime
    message_id: str  #: the message's own: MessageHeader.id, or the letter's id
    envelope_id: str
    letter_id: str  #: plan id (FHIR) or letter id
    digest: str  #: of the letter's content
    action: str
    format: str
    behaviour: Behaviour
    taken: bool


@dataclass(slots=True)
class Peer:
    """A recipient. `behave` decides each try by message id and how often that came before.

    `hangs_up` decides by how many requests came before, for the message is not read then, nor anything of it taken.
    """

    name: str
    behave: Callable[[str, int], Behaviour] = lambda _id, _before: Behaviour.OK
    hangs_up: Callable[[int], bool] = lambda _before: False
    receipts_to: Sequence[str] = ()  #: `/receipts` of the gateways, any of which takes receipts that come later
    token: str = ""
    late_seconds: float = 0.2
    examine: Callable[[bytes, ParsedMessage], Sequence[str]] | None = None  #: faults of a message, for tests
    got: list[Got] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    verdicts: dict[str, AcknowledgementCode] = field(default_factory=dict)  #: by message id: the first one stands
    address: str = ""
    requests: int = 0
    hung_up: int = 0  #: how many of these it hung up on
    _seen: dict[str, int] = field(default_factory=dict)
    _later: set[asyncio.Task[None]] = field(default_factory=set)
    _client: httpx.AsyncClient | None = None

    @property
    def taken(self) -> list[Got]:
        """The first time that each message was taken."""
        first: dict[str, Got] = {}
        for each in self.got:
            if each.taken:
                first.setdefault(each.message_id, each)
        return list(first.values())

    @property
    def owes(self) -> int:
        """How many receipts it has yet to bring."""
        return len(self._later)

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive as long as the caller wishes."""
        connection = h11.Connection(h11.SERVER)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                while (request := await self._request(connection, reader)) is not None:
                    if not await self._answer(request, connection, writer) or connection.our_state is not h11.DONE:
                        break
                    connection.start_next_cycle()
        finally:
            writer.transport.abort()

    async def _request(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes | None:
        """The body of the next request; None when there is none any more, or for one that is not read."""
        body = b""
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                self.requests += 1
                if self.hangs_up(self.requests - 1):
                    self.hung_up += 1
                    return None
            elif event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return body
            elif isinstance(event, h11.ConnectionClosed):
                return None

    async def _answer(self, body: bytes, connection: h11.Connection, writer: asyncio.StreamWriter) -> bool:
        """Behave; False hangs up."""
        message = read_envelope(body, _LIMITS)
        message_id = _message_id(message)
        before = self._seen.get(message_id, 0)
        self._seen[message_id] = before + 1
        behaviour = self.behave(message_id, before)
        taken = behaviour not in _NOT_TAKEN
        letter = message.letters[0] if message.letters else None
        self.got.append(
            Got(
                datetime.now(UTC),
                message_id,
                _envelope_id(message),
                letter.head.letter_id if letter else "",
                letter.digest if letter else "",
                letter.action if letter else "",
                str(message.format),
                behaviour,
                taken,
            )
        )
        if behaviour is Behaviour.CUT_AFTER:
            self._take(message, body, message_id, behaviour)
            return False
        if not taken:
            status, headers = _STATUSES[behaviour]
            await self._send(connection, writer, status, b"", headers)
            return True
        receipt = self._take(message, body, message_id, behaviour)
        if behaviour in (Behaviour.LATE, Behaviour.TWICE):
            self._send_later(receipt)
        if behaviour in (Behaviour.LATE, Behaviour.NEVER):
            await self._send(connection, writer, 202, b"", ())
            return True
        media_type = message.fhir.media_type if message.fhir and message.vans is None else "application/xml"
        slow = 0.02 if behaviour is Behaviour.TRICKLE else 0
        await self._send(connection, writer, 200, receipt, (("Content-Type", media_type),), slow)
        return True

    async def _send(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        status: int,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        pause: float = 0,
    ) -> None:
        stated = [("Content-Length", str(len(body))), *headers]
        writer.write(connection.send(h11.Response(status_code=status, headers=stated)) or b"")
        step = max(1, len(body) // 20) if pause else len(body) or 1
        for start in range(0, len(body), step):
            writer.write(connection.send(h11.Data(data=body[start : start + step])) or b"")
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    # --- what a recipient does ----------------------------------------------------------------------------------------

    def _take(self, message: ParsedMessage, body: bytes, message_id: str, behaviour: Behaviour) -> bytes:
        """Take a message, once; the receipt."""
        if message_id not in self.verdicts:
            good = behaviour is not Behaviour.NEGATIVE
            self.verdicts[message_id] = AcknowledgementCode.OK if good else AcknowledgementCode.FATAL_ERROR
            if self.examine is not None:
                self.faults += self.examine(body, message)
        return receipt_of(_reading_of(message), self.verdicts[message_id], datetime.now(UTC))

    def _send_later(self, receipt: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver_receipt(receipt))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _deliver_receipt(self, receipt: bytes) -> None:
        """Sent until the gateway has it: it may be away for a while."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=10)
        for tries in range(40):
            await asyncio.sleep(self.late_seconds * (1 + tries))
            with suppress(httpx.HTTPError):
                answer = await self._client.post(
                    random.choice(self.receipts_to), content=receipt, headers={"Authorization": f"Bearer {self.token}"}
                )
                if answer.status_code == 204:
                    return

    async def close(self) -> None:
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


_NOT_TAKEN = frozenset({Behaviour.ERROR, Behaviour.BUSY, Behaviour.DENIED})
_STATUSES: dict[Behaviour, tuple[int, tuple[tuple[str, str], ...]]] = {
    Behaviour.ERROR: (500, ()),
    Behaviour.BUSY: (429, (("Retry-After", "1"),)),
    Behaviour.DENIED: (401, (("WWW-Authenticate", "Bearer"),)),
}


def _message_id(message: ParsedMessage) -> str:
    if message.fhir is not None:
        return message.fhir.message_id
    return message.letters[0].head.letter_id if message.letters else message.digest


def _envelope_id(message: ParsedMessage) -> str:
    if message.fhir is not None:
        return message.fhir.bundle_id or ""
    return message.envelope.envelope_id if message.envelope else ""


def _reading_of(message: ParsedMessage) -> Reading:
    """As much of a reading as a receipt needs: a peer looks at no plan."""
    return Reading(
        message.digest,
        message.size,
        message.format if message.format is not None else Format.XDIS91,
        message.vans,
        message.envelope,
        tuple(Letter(each.head, "", None, ()) for each in message.letters),
        fhir=message.fhir,
    )


def receipt_of(reading: Reading, code: AcknowledgementCode, at: datetime) -> bytes:
    """The recipient's receipt of a message, in the message's own form; b"" when there is nobody to answer."""
    envelope = reading.envelope
    if envelope is None:
        return b""
    good = code is AcknowledgementCode.OK
    findings = () if good else (faults.MSG_CHANGED_CONTENT.at("letter_id", letter_id="x"),)
    letters = tuple(
        LetterAnswer(each.head.letter_id, each.head.version_code, good, None if good else "ikke_specificeret", findings)
        for each in reading.letters
    )
    sender, receiver = envelope.sender.gln or "", envelope.receiver.gln or ""
    reply, _ = make_reply(reading, Acknowledgement(code, sender, receiver, envelope.envelope_id, letters, due=True), at)
    return reply.body or b""


@contextmanager
def peers_running(*peers: Peer) -> Iterator[None]:
    """The peers, each on a port of loopback, in one thread of this process."""
    loop = asyncio.new_event_loop()
    servers: list[asyncio.Server] = []

    async def start() -> None:
        for each in peers:
            server = await asyncio.start_server(each.serve, "127.0.0.1", 0, limit=1_000_000)
            servers.append(server)
            each.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def stop() -> None:
        for server in servers:
            server.close()
        for each in peers:
            await each.close()
        hanging = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="peers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
