"""The real `gtgateway serve --dev` as a process of its own, for tests that attack or kill it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Server:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path  #: its archive and its log, `server.log`

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def gateway_process(folder: Path) -> Iterator[Server]:
    """A gateway whose archive and log lie in a folder; ready when this returns, stopped afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GTGATEWAY_")}
    environment["GTGATEWAY_STORE"] = f"sqlite:///{folder / 'gateway.db'}"
    command = [sys.executable, "-m", "gtgateway", "serve", "--dev", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health/ready")
        yield Server(process, port, folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    while process.poll() is None:
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server ended with {process.returncode}")
