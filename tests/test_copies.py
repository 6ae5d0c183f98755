"""Copies that the sender sends itself, over real HTTP: linked to their plan, no second record, nothing sent twice."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
import structlog

from ggop import Role, ggop
from gtgateway.convert import Target
from gtgateway.copies import look_after_copies
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
GP = {"Authorization": "Bearer dev:5790999400015"}
GP_NUMBER = ("5790999400015", "990002")


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def plan() -> dict[str, Any]:
    """A plan with the patient's GP as its only copy receiver."""
    bundle: dict[str, Any] = json.loads(sample_message(Level.ALMEN, yesterday(), Target.FHIR))
    return bundle


def copy_of(bundle: dict[str, Any], number: int = 1, *, names_original: bool = True) -> dict[str, Any]:
    """A new message with the same content and a Provenance of its own, as COMM 040 has it."""
    copied = deepcopy(bundle)
    copied["id"] = str(uuid5(NAMESPACE_URL, f"{bundle['id']} copy {number}"))
    header = copied["entry"][0]
    old = header["resource"]["id"]
    new = str(uuid5(NAMESPACE_URL, f"{old} copy {number}"))
    header["resource"]["id"], header["fullUrl"] = new, header["fullUrl"].replace(old, new)
    provenance = deepcopy(next(each for each in copied["entry"] if each["resource"]["resourceType"] == "Provenance"))
    own = provenance["resource"]
    provenance["fullUrl"] = provenance["fullUrl"].replace(own["id"], str(uuid5(NAMESPACE_URL, f"{new} provenance")))
    own["id"] = provenance["fullUrl"].rpartition("/")[2].rpartition(":")[2]
    own["target"] = [{"reference": f"MessageHeader/{new}"}]
    own["activity"]["coding"][0]["code"] = "carboncopy-message"
    own["entity"] = [{"role": "revision", "what": {"reference": f"MessageHeader/{old}"}}] if names_original else []
    if not names_original:
        del own["entity"]
    copied["entry"].append(provenance)
    return copied


def post(client: httpx.Client, body: dict[str, Any] | bytes) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/messages", content=content, headers=HOSPITAL)


def states(client: httpx.Client, sent: httpx.Response) -> dict[str, str]:
    told = client.get(sent.headers["Location"], headers=HOSPITAL).json()
    return {each["organisation_name"]: each["state"] for each in told["deliveries"]}


def record_ids(client: httpx.Client, sent: httpx.Response) -> list[str]:
    found: list[str] = client.get(sent.headers["Location"], headers=HOSPITAL).json()["record_ids"]
    return found


GP_NAME = "Lægehuset Odense Midtby"


@pytest.mark.parametrize("names_original", [True, False])
def test_a_copy_is_linked_and_its_receiver_served(client: httpx.Client, names_original: bool) -> None:
    sent = post(client, plan())
    assert states(client, sent) == {"Odense Kommune": "pending", GP_NAME: "pending"}
    copied = post(client, copy_of(plan(), names_original=names_original))
    assert copied.status_code == 201, copied.text
    assert copied.json()["entry"][0]["resource"]["response"]["code"] == "ok"
    assert record_ids(client, copied) == record_ids(client, sent)
    assert states(client, sent) == {"Odense Kommune": "pending", GP_NAME: "served_by_sender"}
    assert len(client.get("/records", headers=ODENSE).json()["records"]) == 1
    again = post(client, copy_of(plan(), names_original=names_original))
    assert again.headers["Duplicate-Of"] == copied.headers["Location"]


def test_a_copy_that_comes_first_waits_for_its_plan(client: httpx.Client) -> None:
    copied = post(client, copy_of(plan()))
    assert copied.status_code == 201
    assert record_ids(client, copied) == []
    assert client.get("/records", headers=ODENSE).json()["records"] == []
    sent = post(client, plan())
    assert sent.status_code == 201
    assert record_ids(client, copied) == record_ids(client, sent) != []
    assert states(client, sent) == {"Odense Kommune": "pending", GP_NAME: "served_by_sender"}


def test_a_copy_of_the_first_version_serves_nobody_with_the_next(client: httpx.Client) -> None:
    body = plan()
    post(client, body)
    correction = json.loads(
        json.dumps(body).replace(body["entry"][0]["resource"]["id"], str(uuid5(NAMESPACE_URL, "2")))
    )
    correction["id"] = str(uuid5(NAMESPACE_URL, "second bundle"))
    for entry in correction["entry"]:
        if entry["resource"]["resourceType"] == "Provenance":
            entry["resource"]["activity"]["coding"][0]["code"] = "modified-message"
            what = {"reference": f"MessageHeader/{body['entry'][0]['resource']['id']}"}
            entry["resource"]["entity"] = [{"role": "revision", "what": what}]
    second = post(client, correction)
    assert second.status_code == 201, second.text
    assert post(client, copy_of(body)).status_code == 201
    assert states(client, second)[GP_NAME] == "pending"
    assert post(client, copy_of(correction)).status_code == 201
    assert states(client, second)[GP_NAME] == "served_by_sender"


def test_a_copy_with_faults_is_refused(client: httpx.Client) -> None:
    post(client, plan())
    copied = copy_of(plan())
    copied["entry"][1]["resource"]["unknown"] = 1
    assert post(client, copied).status_code == 422


def test_a_letter_to_another_receiver_serves_that_receiver(client: httpx.Client) -> None:
    gp = Role(*GP_NUMBER, "ydernummer", GP_NAME)
    sent = post(client, ggop(discharged=yesterday(), letter_id="BREV1", gp=gp))
    assert states(client, sent) == {"Odense Kommune": "pending", GP_NAME: "pending"}
    copy = ggop(discharged=yesterday(), letter_id="BREV1", gp=gp, receiver=GP_NUMBER, receiver_kind="ydernummer")
    assert post(client, copy).status_code == 201
    assert states(client, sent) == {"Odense Kommune": "pending", GP_NAME: "served_by_sender"}


class Waiting:
    """An archive with one copy that waits since noon."""

    since = datetime(2026, 11, 6, 12, tzinfo=UTC)
    linked = 0

    async def link_copies(self) -> None:
        self.linked += 1

    async def waiting_copies(self, before: datetime) -> tuple[tuple[str, datetime], ...]:
        return (("copy-1", self.since),) if self.since < before else ()


@pytest.mark.anyio
@pytest.mark.parametrize(("hours", "alarms"), [(1, 0), (24, 0), (25, 1)])
async def test_after_a_day_there_is_an_alarm(hours: int, alarms: int) -> None:
    store: Any = Waiting()
    with structlog.testing.capture_logs() as lines:
        await look_after_copies(store, Waiting.since + timedelta(hours=hours))
    assert [line["message_id"] for line in lines if line["event"] == "copy_without_plan"] == ["copy-1"] * alarms
    assert store.linked == 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
