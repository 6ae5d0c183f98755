"""A recipient that costs next to nothing: it answers each clinical e-mail with a positive receipt and counts.

`python -m benchmarks.peers.recipient PORT`. `GET /` answers what came: arrival times by path, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_ENVELOPE = re.compile(rb"<Envelope>.*?<Identifier>([^<]+)</Identifier>", re.DOTALL)
_LETTER = re.compile(rb"<Letter>.*?<Identifier>([^<]+)</Identifier>", re.DOTALL)
_PARTIES = re.compile(rb"<EANIdentifier>([^<]+)</EANIdentifier>")
_RECEIPT = (
    b'<?xml version="1.0" encoding="ISO-8859-1"?><Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/'
    b'2005/08/07/"><Envelope><Sent><Date>2026-11-25</Date><Time>10:00</Time></Sent><Identifier>R%s</Identifier>'
    b"<AcknowledgementCode>minuspositivkvitt</AcknowledgementCode></Envelope><PositiveReceipt><Letter><Identifier>"
    b"Q%s</Identifier><VersionCode>XC0330Q</VersionCode><StatisticalCode>XCTL03</StatisticalCode></Letter><Sender>"
    b"<EANIdentifier>%s</EANIdentifier></Sender><Receiver><EANIdentifier>%s</EANIdentifier></Receiver>"
    b"<OriginalEmessage><OriginalEnvelopeIdentifier>%s</OriginalEnvelopeIdentifier><OriginalSender><EANIdentifier>%s"
    b"</EANIdentifier></OriginalSender><OriginalReceiver><EANIdentifier>%s</EANIdentifier></OriginalReceiver>"
    b"<OriginalLetter><OriginalLetterIdentifier>%s</OriginalLetterIdentifier><OriginalVersionCode>XD9134L"
    b"</OriginalVersionCode></OriginalLetter></OriginalEmessage></PositiveReceipt></Emessage>"
)
#: (path, letter id, when) of each message, in the order of arrival.
_got: list[tuple[str, str, float]] = []


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b" ", 2)
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 : head.index(b"\r\n", at)]) if at >= 0 else 0
            body = await reader.readexactly(length)
            answer = json.dumps(_got).encode() if method == b"GET" else _receipt(path, body)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(answer)
            )
            writer.write(answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _receipt(path: bytes, body: bytes) -> bytes:
    envelope, letter = _ENVELOPE.search(body), _LETTER.search(body)
    assert envelope is not None
    assert letter is not None
    sender, receiver = _PARTIES.findall(body)[:2]
    _got.append((path.decode(), letter[1].decode(), time.time()))
    ids = envelope[1], letter[1]
    return _RECEIPT % (ids[0][:13], ids[1][:13], receiver, sender, ids[0], sender, receiver, ids[1])


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=2**20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
