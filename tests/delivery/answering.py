"""Recipients as one real HTTP server that answers each message with its receipt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gtgateway.bootstrap import tools_from
from gtgateway.model.acknowledgement import AcknowledgementCode
from gtgateway.peers import receipt_of
from gtgateway.pipeline import Tools, read
from gtgateway.settings import Settings


class Peer(ThreadingHTTPServer):
    """Recipients on one address; answers each message with its positive receipt, or with a status by path."""

    daemon_threads = True

    def __init__(self, tools: Tools) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.tools = tools
        self.got: list[tuple[str, str | None]] = []  #: path and format
        self.statuses: dict[str, int] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Peer

    def do_POST(self) -> None:
        reading = read(self.rfile.read(int(self.headers["Content-Length"])), self.server.tools)
        self.server.got.append((self.path, reading.format_name))
        status = self.server.statuses.get(self.path, 201)
        body = receipt_of(reading, AcknowledgementCode.OK, datetime.now(UTC)) if status == 201 else b""
        self.send_response(status)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def peer() -> Iterator[Peer]:
    server = Peer(tools_from(Settings()))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
