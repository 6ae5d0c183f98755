"""A name that answers otherwise a moment later leads nowhere: the connection goes to what was checked."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gtgateway.delivery.client import Client
from gtgateway.model.delivery import Answer, Endpoint, Outgoing, Trouble


def test_a_name_is_resolved_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    called: list[str] = []

    def rebinding(host: str, port: int, *_: object, **__: object) -> Any:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(host: str, port: int, **_: object) -> Any:
        called.append(host)
        raise ConnectionRefusedError

    async def run() -> list[Answer]:
        client = Client(private=False)
        endpoint = Endpoint("hook", "https://eksempel.dk/hook", timeout=5)
        answers = [await client.send(endpoint, Outgoing(b"{}", "application/json")) for _ in range(2)]
        await client.close()
        return answers

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    assert [each.trouble for each in asyncio.run(run())] == [Trouble.NO_CONNECTION, Trouble.FORBIDDEN_ADDRESS]
    assert asked == ["eksempel.dk", "eksempel.dk"]
    assert called == ["93.184.215.14"]
