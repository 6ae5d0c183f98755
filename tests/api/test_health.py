"""Probes and figures: no token, and nothing in them that names a person or an organisation."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx

from gtgateway.convert import Target
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}


def test_the_process_lives_and_is_ready(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_figures_for_prometheus(client: httpx.Client) -> None:
    yesterday = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    body = sample_message(Level.SPECIALISERET, yesterday, Target.GGOP)
    assert client.post("/messages", content=body, headers=HOSPITAL).status_code == 201
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'gtgateway_deliveries{endpoint="pull",state="pending"} 3.0' in lines
    assert "gtgateway_recipients_unserved 0.0" in lines
    assert "gtgateway_oldest_unserved_seconds 0.0" in lines
