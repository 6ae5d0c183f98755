from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gtgateway.errors import ConfigurationError
from gtgateway.residence.register import FileRegister, HttpRegister, NoRegister, ResidenceRegister, open_register

NANCY = "2512489996"
DAY = date(2026, 6, 1)


class Service:
    """A real HTTP service on the loopback that answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b'{"kommunekode": "0461"}'
        self.delay = 0.0
        self.asked: list[tuple[str, str, bytes]] = []


@contextmanager
def serving(service: Service) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            service.asked.append((self.command, self.path, content))
            time.sleep(service.delay)
            with suppress(BrokenPipeError):  # whoever asked has stopped waiting
                self.send_response(service.status)
                self.end_headers()
                self.wfile.write(service.body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/residence"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(register: ResidenceRegister, *questions: tuple[str, date]) -> list[str | None]:
    async def asking() -> list[str | None]:
        try:
            return [await register.residence(identifier, day) for identifier, day in questions]
        finally:
            await register.close()

    return asyncio.run(asking())


# --- none and files ---------------------------------------------------------------------------------------------------
def test_without_a_register_nothing_is_known() -> None:
    register = open_register(None)
    assert isinstance(register, NoRegister)
    assert ask(register, (NANCY, DAY)) == [None]


def test_json_file(tmp_path: Path) -> None:
    path = tmp_path / "register.json"
    rows = [
        {"identifier": NANCY, "kommunekode": "461", "until": "2026-05-31"},
        {"identifier": NANCY, "kommunekode": "0751", "from": "2026-06-01"},
        {"identifier": "0703921VJ4", "kommunekode": "0219"},
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    register = open_register(str(path))
    questions = [(NANCY, date(2026, 5, 31)), (NANCY, DAY), ("0703921VJ4", DAY), ("0201609996", DAY)]
    assert ask(register, *questions) == ["0461", "0751", "0219", None]


def test_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(f"identifier,kommunekode,from,until\n{NANCY},0461,,2026-05-31\n", encoding="utf-8")
    assert ask(FileRegister(path), (NANCY, date(2026, 5, 31)), (NANCY, DAY)) == ["0461", None]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("r.json", f'[{{"identifier": "{NANCY}"}}, 1, {{"identifier": "{NANCY}", "kommunekode": "46"}}]', "1, 2, 3"),
        ("r.json", f'{{"{NANCY}": "0461"}}', "array"),
        ("r.json", f"{NANCY} is no JSON", "cannot be read"),
        ("r.csv", f"identifier,kommunekode,from\n{NANCY},0461,yesterday\n", "rows that cannot be read: 1"),
    ],
)
def test_a_faulty_file_is_refused_without_naming_anyone(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words) as raised:
        open_register(str(path))
    assert NANCY not in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_register(str(tmp_path / "none.json"))


# --- HTTP -------------------------------------------------------------------------------------------------------------
def test_http_asks_in_the_body_and_remembers() -> None:
    service = Service()
    with serving(service) as address:
        register = open_register(address)
        assert ask(register, (NANCY, DAY), (NANCY, DAY), (NANCY, date(2026, 6, 2))) == ["0461"] * 3
    assert [(method, path) for method, path, _ in service.asked] == [("POST", "/residence")] * 2
    assert json.loads(service.asked[0][2]) == {"identifier": NANCY, "day": "2026-06-01"}


def test_http_nobody_is_an_answer_too() -> None:
    service = Service()
    service.body = b'{"kommunekode": null}'
    with serving(service) as address:
        register = HttpRegister(address)
        assert ask(register, (NANCY, DAY), (NANCY, DAY)) == [None, None]
    assert len(service.asked) == 1
    assert register.failures == 0


def test_http_answers_are_forgotten_in_time_and_number() -> None:
    service = Service()
    now = [0.0]
    others = [(NANCY, date(2026, 6, day)) for day in (2, 3)]

    async def asking(register: HttpRegister) -> None:
        await register.residence(NANCY, DAY)
        now[0] = 9.9
        await register.residence(NANCY, DAY)
        assert len(service.asked) == 1
        now[0] = 10.0
        await register.residence(NANCY, DAY)
        assert len(service.asked) == 2
        for question in others:
            await register.residence(*question)
        await register.residence(NANCY, DAY)
        assert len(service.asked) == 5
        await register.close()

    with serving(service) as address:
        asyncio.run(asking(HttpRegister(address, remember_seconds=10.0, remember_most=2, clock=lambda: now[0])))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"kommunekode": "0461"}'),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"municipality": "0461"}'),
        (200, b'{"kommunekode": 461}'),
        (200, b'{"kommunekode": "Odense"}'),
        (200, b"\xff"),
    ],
)
def test_http_failure_is_no_answer_and_not_remembered(status: int, body: bytes) -> None:
    service = Service()
    service.status, service.body = status, body
    with serving(service) as address, capture_logs() as logs:
        register = HttpRegister(address)
        assert ask(register, (NANCY, DAY), (NANCY, DAY)) == [None, None]
    assert len(service.asked) == 2
    assert register.failures == 2
    assert [entry["event"] for entry in logs] == ["residence register failed"] * 2
    assert NANCY not in repr(logs)


def test_http_is_not_waited_for() -> None:
    service = Service()
    service.delay = 0.5
    with serving(service) as address:
        register = HttpRegister(address, patience=0.1)
        begun = time.monotonic()
        assert ask(register, (NANCY, DAY)) == [None]
        assert time.monotonic() - begun < 0.4
    assert register.failures == 1


def test_http_that_is_away_is_no_answer() -> None:
    with serving(Service()) as address:
        pass
    register = HttpRegister(address)
    assert ask(register, (NANCY, DAY)) == [None]
    assert register.failures == 1


def test_an_impossible_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Residence register"):
        open_register("http://register:port")
