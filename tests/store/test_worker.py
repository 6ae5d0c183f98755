"""Several serving processes on one PostgreSQL: `gtgateway serve --workers 2` as it runs in production."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import httpx
import psycopg
import pytest

from gtgateway.convert import Target
from gtgateway.model.plan import Level
from gtgateway.samples import sample_message


def processes_of(server: int) -> list[int]:
    """The serving processes of a supervisor."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def opened_by(database: str) -> int:
    """How many backends serve a database, besides this question's."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    return row[0] if row else 0


@pytest.mark.slow
def test_two_processes_answer_and_one_may_die(database: str, root: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "GTGATEWAY_STORE": database,
        "GTGATEWAY_DIRECTORY": str(root / "samples" / "directory"),
        "GTGATEWAY_CLIENTS": str(root / "samples" / "clients.toml"),
    }
    command = [sys.executable, "-m", "gtgateway", "serve", "--workers", "2", "--port", str(port)]
    bodies = [sample_message(Level.ALMEN, date(2026, 11, 24), Target.GGOP, number=number) for number in range(12)]
    headers = {"Authorization": "Bearer sample-ouh", "Content-Type": "application/xml"}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def post(body: bytes) -> httpx.Response:
        """Sent again where nobody answers, on a connection of its own: any process may take it."""
        for _ in range(600):
            assert server.poll() is None, (tmp_path / "server.log").read_text()
            try:
                return httpx.post(f"http://127.0.0.1:{port}/messages", content=body, headers=headers)
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("nobody answers")

    try:
        first = [post(body) for body in bodies]
        assert [answer.status_code for answer in first] == [201] * len(bodies)
        while opened_by(database) < 4:  # each reads and listens
            time.sleep(0.05)
        _, second = processes_of(server.pid)
        os.kill(second, signal.SIGKILL)
        again = [post(body) for body in bodies]
        assert [answer.headers["Duplicate-Of"] for answer in again] == [answer.headers["Location"] for answer in first]
        while second in processes_of(server.pid) or len(processes_of(server.pid)) < 2:  # another takes its place
            time.sleep(0.05)
    finally:
        server.terminate()
        server.wait(timeout=30)
