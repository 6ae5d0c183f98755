"""GET /records: the feed and what a recipient may have of a record, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from lxml import etree

from ggop import ggop
from gtgateway.convert import Target
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import later_message, sample_message
from gtgateway.store.sqlite import SqliteStore
from gtgateway.validators.structure.profile import Profiles

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
AARHUS = {"Authorization": "Bearer dev:5790000123117"}


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def send(client: httpx.Client, letter_id: str = "BREV1") -> tuple[bytes, str]:
    body = ggop(discharged=yesterday(), letter_id=letter_id)
    answer = client.post("/messages", content=body, headers=HOSPITAL)
    assert answer.status_code == 201, answer.text
    return body, answer.headers["Location"]


def state_of(client: httpx.Client, place: str, name: str) -> str:
    deliveries = client.get(place, headers=HOSPITAL).json()["deliveries"]
    return next(each["state"] for each in deliveries if each["organisation_name"] == name)


def test_the_municipality_pulls_the_record_and_nobody_else_does(client: httpx.Client) -> None:
    body, _ = send(client)
    (entry,) = client.get("/records", headers=ODENSE).json()["records"]
    assert entry["change"] == "new"
    record = entry["record"]
    assert record["record_id"] == entry["record_id"]
    assert record["level"] == "almen"
    assert record["residence_municipality"]["code"] == "0461"
    assert record["deadlines"]["notify_by"] == str(yesterday() + timedelta(days=4))
    assert record["deadlines"]["seven_day"] == str(yesterday() + timedelta(days=7))
    assert record["patient"]["identifier"] == "2512489996"
    path = f"/records/{entry['record_id']}"
    assert client.get(path + "/original", headers=ODENSE).content == body
    for other in (AARHUS, HOSPITAL):
        assert client.get("/records", headers=other).json()["records"] == []
        assert client.get(path, headers=other).status_code == 404
        assert client.get(path + "/original", headers=other).status_code == 404


def test_what_is_withdrawn_while_it_is_fetched_does_not_leave(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawal is accepted between the reading of the page and the note that it was sent."""
    plan = sample_message(Level.ALMEN, yesterday(), Target.FHIR)
    client.post("/messages", content=plan, headers=HOSPITAL).raise_for_status()
    mark_sent, places = SqliteStore.mark_sent, []

    async def after_a_withdrawal(store: SqliteStore, organisations: Collection[str], position: int) -> None:
        monkeypatch.undo()
        withdrawal = later_message(plan, str(uuid4()), "retract-message")
        answer = await asyncio.to_thread(client.post, "/messages", content=withdrawal, headers=HOSPITAL)
        places.append(answer.headers["Location"])
        await mark_sent(store, organisations, position)

    monkeypatch.setattr(SqliteStore, "mark_sent", after_a_withdrawal)
    page = client.get("/records", headers=ODENSE).json()
    assert page["records"] == []
    (entry,) = client.get("/records", params={"after": page["next"]}, headers=ODENSE).json()["records"]
    assert (entry["change"], entry["version"]) == ("withdrawn", 2)
    deliveries = client.get(places[0], headers=HOSPITAL).json()["deliveries"]
    assert {each["reason"] for each in deliveries if each["organisation_id"] == "odense-kommune"} == {"never_sent"}


def test_pulling_again_past_a_page_delivers_it(client: httpx.Client) -> None:
    _, place = send(client)
    assert state_of(client, place, "Odense Kommune") == "pending"
    page = client.get("/records", headers=ODENSE).json()
    assert state_of(client, place, "Odense Kommune") == "sent"
    assert client.get("/records", params={"after": page["next"]}, headers=ODENSE).json()["records"] == []
    assert state_of(client, place, "Odense Kommune") == "delivered"


def test_a_page_at_a_time_and_in_order(client: httpx.Client) -> None:
    for number in range(5):
        send(client, f"BREV{number}")
    seen: list[str] = []
    cursor, more = None, True
    while more:
        params = {"limit": 2, **({"after": cursor} if cursor else {})}
        page = client.get("/records", params=params, headers=ODENSE).json()
        seen += [entry["record"]["plan_id"] for entry in page["records"]]
        cursor, more = page["next"], page["more"]
    assert seen == [f"BREV{number}" for number in range(5)]


def test_a_call_is_held_until_something_arrives(client: httpx.Client) -> None:
    later = threading.Timer(0.5, send, (client,))
    later.start()
    began = time.monotonic()
    page = client.get("/records", params={"wait": 20}, headers=ODENSE).json()
    later.join()
    assert len(page["records"]) == 1
    assert time.monotonic() - began < 15


def test_a_plan_can_be_had_as_ggop_and_as_a_page(client: httpx.Client) -> None:
    send(client)
    (entry,) = client.get("/records", headers=ODENSE).json()["records"]
    path = f"/records/{entry['record_id']}"
    xml = client.get(path, headers={**ODENSE, "Accept": "application/xml"})
    assert xml.headers["content-type"].startswith("application/xml")
    assert etree.fromstring(xml.content).findtext(".//{*}Letter/{*}Identifier") == "BREV1"
    page = client.get(path, headers={**ODENSE, "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "2512489996" not in etree.HTML(page.text).findtext(".//title")
    json = client.get(path, headers=ODENSE)
    assert json.json() == entry["record"]
    assert json.headers["etag"] == '"1"'
    assert client.get(path, headers={**ODENSE, "Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("cursor", ["x", "cjE6", "cjE6LTE", "MTIz", "é", "a" * 5000])
def test_a_cursor_that_is_not_ours_is_refused(client: httpx.Client, cursor: str) -> None:
    answer = client.get("/records", params={"after": cursor}, headers=ODENSE)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("/bad-request")


def test_reading_without_receiving_never_moves_a_delivery(guarded_client: httpx.Client) -> None:
    hospital, screen = ({"Authorization": f"Bearer sample-{name}"} for name in ("ouh", "screen"))
    answer = guarded_client.post("/messages", content=ggop(discharged=yesterday()), headers=hospital)
    assert answer.status_code == 201
    page = guarded_client.get("/records", headers=screen).json()
    assert len(page["records"]) == 1
    guarded_client.get("/records", params={"after": page["next"]}, headers=screen)
    deliveries = guarded_client.get(answer.headers["Location"], headers=hospital).json()["deliveries"]
    assert {each["state"] for each in deliveries} == {"pending"}


def test_a_missing_scope_is_told(guarded_client: httpx.Client) -> None:
    cases = {
        ("integrator", "GET", "/records"): 403,
        ("odense", "POST", "/messages"): 403,
        ("ouh", "GET", "/records"): 403,
        ("integrator", "GET", "/rules"): 200,
        ("odense", "POST", "/check"): 403,
    }
    for (name, method, path), status in cases.items():
        body = ggop(discharged=yesterday()) if method == "POST" else None
        headers = {"Authorization": f"Bearer sample-{name}"}
        answer = guarded_client.request(method, path, content=body, headers=headers)
        assert answer.status_code == status, (name, method, path)


def test_development_tokens_are_nobody_outside_development(guarded_client: httpx.Client) -> None:
    assert guarded_client.get("/records", headers=ODENSE).status_code == 401


def test_a_client_that_acts_for_several_says_whose_feed(client: httpx.Client) -> None:
    assert client.get("/records", params={"for": "0461"}, headers=ODENSE).status_code == 200
    assert client.get("/records", params={"for": "0751"}, headers=ODENSE).status_code == 404


# --- KL's report ------------------------------------------------------------------------------------------------------


def kl_report(client: httpx.Client, headers: dict[str, str] = ODENSE) -> httpx.Response:
    (entry,) = client.get("/records", headers=ODENSE).json()["records"]
    return client.get(f"/records/{entry['record_id']}/kl-report", headers=headers)


def test_a_municipality_gets_kls_report(client: httpx.Client, shared: Path) -> None:
    send(client)
    report = kl_report(client)
    assert report.headers["content-type"] == "application/fhir+json"
    assert report.headers["etag"] == '"1"'
    assert report.headers["gtgateway-left-out"].startswith("ServiceRequest.category, ServiceRequest.occurrencePeriod")
    profiles = Profiles.load((shared / "data" / "fhir" / "packages",))
    assert profiles.check(report.json()) == ()


def test_kls_report_is_for_the_municipality_of_the_record(client: httpx.Client) -> None:
    send(client)
    assert kl_report(client).status_code == 200
    for other in (AARHUS, HOSPITAL):
        assert kl_report(client, other).status_code == 404


def test_kls_report_without_what_it_must_have_is_refused(client: httpx.Client) -> None:
    without_cpr = ggop(discharged=yesterday(), cpr=None, replacement="251248HHH6")
    assert client.post("/messages", content=without_cpr, headers=HOSPITAL).status_code == 201
    refused = kl_report(client)
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("/no-kl-report")
    assert "kun borgere med CPR-nummer kan indberettes" in refused.json()["text"]["da"]
