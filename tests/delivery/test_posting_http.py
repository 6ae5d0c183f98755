"""From `POST /messages` to delivered, over real HTTP on both sides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from answering import Peer, peer
from rooms import HOSPITAL, MUNICIPALITY, PRACTICE, posting_directory

from gtgateway.convert import Target
from gtgateway.demo import served
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

SENDER = {"Authorization": "Bearer dev:5790001354145"}


@pytest.fixture
def recipients() -> Iterator[Peer]:
    with peer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, recipients: Peer) -> Settings:
    return Settings(
        store=f"sqlite:///{tmp_path}/gateway.db",
        directory=posting_directory(tmp_path, recipients.address),
        workers=0,
        delivery_retry_first=0.2,
    )


def message(to: Target) -> bytes:
    yesterday = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    return sample_message(Level.SPECIALISERET, yesterday, to)


def states(client: httpx.Client, place: str) -> dict[str, str]:
    deliveries = client.get(place, headers=SENDER).json()["deliveries"]
    return {each["organisation_id"]: each["state"] for each in deliveries}


def wait_for(client: httpx.Client, place: str, wanted: dict[str, str], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while (found := states(client, place)) != wanted and time.monotonic() < until:
        time.sleep(0.02)
    assert found == wanted


DELIVERED = dict.fromkeys((HOSPITAL, MUNICIPALITY, PRACTICE), "delivered")


@pytest.mark.parametrize("origin", [Target.GGOP, Target.FHIR])
def test_a_specialised_plan_reaches_everyone_as_each_takes_it(
    settings: Settings, recipients: Peer, origin: Target
) -> None:
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        answer = client.post("/messages", content=message(origin), headers=SENDER)
        assert answer.status_code == 201
        wait_for(client, answer.headers["Location"], DELIVERED)
        assert sorted(recipients.got) == [("/hospital", "fhir"), ("/municipality", "ggop"), ("/vans", "vans+xdis91")]
        figures = client.get("/metrics").text
        assert 'gtgateway_delivery_tries_total{conclusion="delivered",endpoint="hospital"} 1.0' in figures
        assert "gtgateway_recipients_unserved 0.0" in figures


def test_whoever_was_away_gets_it_after_a_while(settings: Settings, recipients: Peer) -> None:
    recipients.statuses["/hospital"] = 503
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        place = client.post("/messages", content=message(Target.GGOP), headers=SENDER).headers["Location"]
        wait_for(client, place, {**DELIVERED, HOSPITAL: "pending"})
        assert 'gtgateway_deliveries{endpoint="hospital",state="pending"} 1.0' in client.get("/metrics").text
        recipients.statuses.clear()
        wait_for(client, place, DELIVERED)


def test_an_end_point_at_fault_shows_in_the_figures(settings: Settings, recipients: Peer) -> None:
    recipients.statuses["/hospital"] = 401
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        place = client.post("/messages", content=message(Target.GGOP), headers=SENDER).headers["Location"]
        wait_for(client, place, {**DELIVERED, HOSPITAL: "pending"})
        assert 'gtgateway_circuit_open{endpoint="hospital",reason="http_401"} 1.0' in client.get("/metrics").text
        recipients.statuses.clear()
        wait_for(client, place, DELIVERED)
        assert "gtgateway_circuit_open{" not in client.get("/metrics").text


def test_nothing_is_sent_where_delivering_is_switched_off(settings: Settings, recipients: Peer) -> None:
    settings = settings.model_copy(update={"deliver": False})
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        place = client.post("/messages", content=message(Target.GGOP), headers=SENDER).headers["Location"]
        time.sleep(0.5)
        assert set(states(client, place).values()) == {"pending"}
    assert not recipients.got


def test_what_is_pending_at_a_restart_goes_out_then(settings: Settings, recipients: Peer) -> None:
    with served(settings.model_copy(update={"deliver": False})) as address:
        answer = httpx.post(f"{address}/messages", content=message(Target.GGOP), headers=SENDER, timeout=30)
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        wait_for(client, answer.headers["Location"], DELIVERED)
