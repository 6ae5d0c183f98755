"""A plan that went on to another hospital, and what its sender says of it afterwards, over real HTTP (FHIR)."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gtgateway.bootstrap import Gateway, gateway_from
from gtgateway.casework import take_up_refusals
from gtgateway.convert import Target
from gtgateway.data import packaged
from gtgateway.model.case import EventKind
from gtgateway.model.delivery import NewAttempt
from gtgateway.model.message import OriginalRef
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.receive import receive
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

SENDER = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
FIRST, SECOND, THIRD = "ouh-rehabilitering", "sygehus-aadalen-neurorehabilitering", "sygehus-fjorden-ortopaedi"
PRACTICE = "laegehuset-odense-midtby"
#: Location number, SOR code and SHAK number.
NUMBERS = {
    FIRST: ("5790999300025", "9990999300025", "4202370"),
    SECOND: ("5790999300148", "9990999300148", "9905220"),
    THIRD: ("5790999300117", "227871000016001", "9904360"),
}
OF_FIRST, OF_SECOND = ({"Authorization": f"Bearer dev:{NUMBERS[each][0]}"} for each in (FIRST, SECOND))


def plan() -> bytes:
    yesterday: date = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    return sample_message(Level.SPECIALISERET, yesterday, Target.FHIR)


def later(body: bytes, activity: str) -> bytes:
    """A correction or a withdrawal of the plan, as its hospital would send it."""
    bundle = json.loads(body)
    old = bundle["entry"][0]["resource"]["id"]
    bundle = json.loads(json.dumps(bundle).replace(old, str(uuid4())))
    for resource in (entry["resource"] for entry in bundle["entry"]):
        if resource["resourceType"] == "Provenance" and resource["activity"]["coding"][0]["code"] == "new-message":
            resource["activity"]["coding"][0]["code"] = activity
            role = "removal" if activity == "retract-message" else "revision"
            resource["entity"] = [{"role": role, "what": {"reference": f"MessageHeader/{old}"}}]
        if resource["resourceType"] == "ServiceRequest" and activity == "retract-message":
            resource["status"] = "entered-in-error"
    bundle["id"] = str(uuid4())
    return json.dumps(bundle).encode()


def to(hospital: str, body: bytes) -> bytes:
    """The same plan with another hospital in place of the first."""
    for first, other in zip(NUMBERS[FIRST], NUMBERS[hospital], strict=True):
        body = body.replace(first.encode(), other.encode())
    return body


def send(client: httpx.Client, body: bytes) -> dict[str, Any]:
    answer = client.post("/messages", content=body, headers=SENDER)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = client.get(answer.headers["Location"], headers=SENDER).json()
    return found


def say(client: httpx.Client, record: str, kind: str, by: str, who: dict[str, str], **more: str) -> None:
    event = {"id": str(uuid4()), "kind": kind, "at": datetime.now(UTC).isoformat(), "by": by, **more}
    answer = client.post(f"/records/{record}/events", json=event, headers=who)
    assert answer.status_code == 201, answer.text


def recipients(message: dict[str, Any]) -> set[str]:
    return {each["organisation_id"] for each in message["deliveries"]}


def newest_change(client: httpx.Client, who: dict[str, str]) -> str:
    change: str = client.get("/records", headers=who).json()["records"][-1]["change"]
    return change


def rerouted(client: httpx.Client) -> tuple[bytes, str]:
    """A plan whose patient has chosen the second hospital; the first has fetched it."""
    body = plan()
    message = send(client, body)
    (record,) = message["record_ids"]
    assert FIRST in recipients(message)
    page = client.get("/records", headers=OF_FIRST).json()
    client.get("/records", params={"after": page["next"]}, headers=OF_FIRST)
    say(client, record, "refused_capacity", FIRST, OF_FIRST)
    say(client, record, "hospital_chosen", "odense-kommune", ODENSE, hospital=SECOND)
    assert newest_change(client, OF_FIRST) == "access_ended"
    assert newest_change(client, OF_SECOND) == "new"
    return body, record


def test_a_correction_that_names_the_first_hospital_again_goes_to_the_second(client: httpx.Client) -> None:
    """Its sender need not know yet what the municipality has done; nobody is sent back to a hospital without room."""
    body, record = rerouted(client)
    correction = send(client, later(body, "modified-message"))
    assert SECOND in recipients(correction)
    assert FIRST not in recipients(correction)
    assert newest_change(client, OF_FIRST) == "access_ended"
    assert newest_change(client, OF_SECOND) == "corrected"
    shown = client.get(f"/records/{record}", headers=OF_SECOND).json()
    assert (shown["plan_version"], shown["version"]) == (2, 4)
    assert [each["kind"] for each in shown["events"]] == ["refused_capacity", "hospital_chosen"]


def test_a_correction_that_names_a_third_hospital_goes_there(client: httpx.Client) -> None:
    body, _ = rerouted(client)
    correction = send(client, later(to(THIRD, body), "modified-message"))
    assert THIRD in recipients(correction)
    assert {FIRST, SECOND}.isdisjoint(recipients(correction))
    assert newest_change(client, OF_SECOND) == "access_ended"


def test_a_correction_to_another_hospital_needs_no_event(client: httpx.Client) -> None:
    """The hospital's own new version is the other way to make a new choice known."""
    body = plan()
    send(client, body)
    page = client.get("/records", headers=OF_FIRST).json()
    client.get("/records", params={"after": page["next"]}, headers=OF_FIRST)
    correction = send(client, later(to(SECOND, body), "modified-message"))
    assert SECOND in recipients(correction)
    assert FIRST not in recipients(correction)
    assert newest_change(client, OF_FIRST) == "access_ended"
    assert newest_change(client, OF_SECOND) == "new"
    assert newest_change(client, ODENSE) == "corrected"


def test_a_withdrawal_reaches_the_second_hospital(client: httpx.Client) -> None:
    body, record = rerouted(client)
    page = client.get("/records", headers=OF_SECOND).json()
    client.get("/records", params={"after": page["next"]}, headers=OF_SECOND)
    withdrawal = send(client, later(body, "retract-message"))
    assert SECOND in recipients(withdrawal)
    assert FIRST not in recipients(withdrawal)
    assert newest_change(client, OF_SECOND) == "withdrawn"
    event = {"id": str(uuid4()), "at": datetime.now(UTC).isoformat()}
    choice = {"kind": "hospital_chosen", "by": "odense-kommune", "hospital": FIRST}
    refused = client.post(f"/records/{record}/events", json=event | choice, headers=ODENSE)
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "plan-withdrawn")
    say(client, record, "acknowledged", SECOND, OF_SECOND)  # that it was taken back
    told = client.get("/messages", headers=SENDER).json()["messages"]
    assert [each["kind"] for each in told].count("withdrawn") == 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """An open gateway that sends whatever goes in VANSEnvelopes to one end-point."""
    directory = tmp_path / "directory"
    shutil.copytree(packaged("samples", "directory"), directory)
    (directory / "net.toml").write_text(
        '[[endpoints]]\nid = "net"\nurl = "http://127.0.0.1:9/"\ndefault_for = "vans"\n'
    )
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0, directory=directory)
    gateway = gateway_from(settings, development=True)
    await gateway.open()
    yield gateway
    await gateway.close()


async def refused_by_receipt(gateway: Gateway, organisation: str, now: datetime) -> str:
    """A plan that an organisation refuses for lack of room by a receipt, before the case is told; the record's id."""
    caller = gateway.clients.identify(SENDER["Authorization"])
    assert caller is not None
    await receive(plan(), gateway, caller, lambda: now)
    claimed = await gateway.store.claim("w", {"net": 5}, now, now + timedelta(minutes=1))
    due = next(each for each in claimed if each.organisation_id == organisation)
    await gateway.store.begin("w", [NewAttempt(due.delivery_id, now, "ours", None, now)])
    refusal = OriginalRef("ours", (), None, None, False, "ikke_specificeret", "GOP-CHOICE-13")
    await gateway.store.save_receipt(refusal, "digest", now, "client", [organisation])
    return due.record_id


@pytest.mark.anyio
async def test_what_a_killed_process_left_is_taken_up(gateway: Gateway) -> None:
    """The receipt was kept, and the process died before the case was told: the next one tells it, once."""
    now = datetime.now(UTC)
    record = await refused_by_receipt(gateway, FIRST, now)
    for _ in range(2):
        await take_up_refusals(gateway, datetime.now(UTC))
    case = await gateway.store.case(record)
    assert case is not None
    (kept,) = case.events
    assert (kept.event.kind, kept.event.by, kept.event.at) == (EventKind.REFUSED_CAPACITY, FIRST, now)
    assert [each.rule for each in kept.findings] == ["GOP-CHOICE-13"]
    told = await gateway.store.events(["5790001354145"], 0, 10)
    assert [(each.kind, each.reason) for each in told.entries] == [
        ("answered", "accepted"),
        ("refused", "capacity"),
        ("new_hospital_needed", "capacity_own_region"),
    ]
    assert {each.message_id for each in told.entries} == {case.message_id}


@pytest.mark.anyio
async def test_whoever_does_not_train_has_no_room_to_lack(gateway: Gateway) -> None:
    record = await refused_by_receipt(gateway, PRACTICE, datetime.now(UTC))
    await take_up_refusals(gateway, datetime.now(UTC))
    case = await gateway.store.case(record)
    assert case is not None
    assert case.events == ()
    assert next(each.state for each in case.deliveries if each.organisation_id == PRACTICE) == "refused"
