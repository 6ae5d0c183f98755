"""kill -9 of the real server under concurrent POSTs: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ggop import ggop
from gtgateway.model.plan import COPENHAGEN
from serving import Server, gateway_process

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
ROUNDS = 6
SENDERS = 4

pytestmark = pytest.mark.slow


def message(letter_id: str) -> bytes:
    discharged = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    return ggop(discharged=discharged, letter_id=letter_id, envelope_id=f"K{letter_id}")


def send_until_killed(server: Server, prefix: str, sent: list[str], acknowledged: dict[str, str]) -> None:
    """POST new letters one after the other; each that is answered is acknowledged, with its place."""
    with httpx.Client(base_url=server.address, headers=HOSPITAL, timeout=30) as client:
        for number in range(100_000):
            letter_id = f"{prefix}L{number}"
            sent.append(letter_id)
            try:
                answer = client.post("/messages", content=message(letter_id))
            except httpx.TransportError:
                return
            assert answer.status_code == 201
            acknowledged[letter_id] = answer.headers["Location"]


def whole_feed(client: httpx.Client) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    after, more = None, True
    while more:
        page = client.get(
            "/records", params={"limit": 500} | ({"after": after} if after else {}), headers=ODENSE
        ).json()
        entries += page["records"]
        after, more = page["next"], page["more"]
    return entries


def plan_ids(client: httpx.Client) -> list[str]:
    """The letters of the municipality's feed, in its order, one for each entry."""
    return [str(entry["record"]["plan_id"]) for entry in whole_feed(client)]  # type: ignore[index]


def test_every_acknowledged_plan_is_in_the_feed_once_and_a_resend_doubles_none(tmp_path: Path) -> None:
    chance = random.Random(918)
    sent: list[str] = []
    acknowledged: dict[str, str] = {}
    for number in range(ROUNDS):
        before = len(acknowledged)
        with gateway_process(tmp_path) as server, ThreadPoolExecutor(SENDERS) as pool:
            senders = [
                pool.submit(send_until_killed, server, f"R{number}S{sender}", sent, acknowledged)
                for sender in range(SENDERS)
            ]
            enough = before + chance.randint(1, 25)
            while len(acknowledged) < enough and not any(each.done() for each in senders):
                time.sleep(chance.uniform(0, 0.02))
            server.process.kill()
            for each in senders:
                each.result()
        assert len(acknowledged) >= enough

    with gateway_process(tmp_path) as server, httpx.Client(base_url=server.address, timeout=30) as client:
        found = plan_ids(client)
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found) <= set(sent)

        for letter_id in sent:
            answer = client.post("/messages", content=message(letter_id), headers=HOSPITAL)
            assert answer.status_code == 201
            # What was stored is a duplicate, acknowledged or not; what was not is new.
            assert ("Duplicate-Of" in answer.headers) == (letter_id in found)
            if letter_id in acknowledged:
                assert answer.headers["Duplicate-Of"] == acknowledged[letter_id]
        assert sorted(plan_ids(client)) == sorted(sent)
