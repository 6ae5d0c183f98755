"""POST /records/{id}/events over real HTTP: who may say what, and a hospital that has no room (GOP-CHOICE-13)."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ggop import Role, ggop
from gtgateway.data import packaged
from gtgateway.demo import served as served_gateway
from gtgateway.model.plan import COPENHAGEN
from gtgateway.settings import Settings

SENDER = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
AARHUS = {"Authorization": "Bearer dev:5790000123117"}
#: The hospital that was chosen, in the patient's own region; one elsewhere; one that is not chosen at first.
CHOSEN = {"Authorization": "Bearer dev:5790999300025"}
OTHER = {"Authorization": "Bearer dev:5790999300148"}
OTHER_GLN = "5790999300148"


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def specialised(
    client: httpx.Client, hospital: tuple[str, str, str] = ("5790999300025", "4202370", "OUH")
) -> tuple[str, str]:
    """Message and record id of a specialised plan that went to a hospital."""
    gln, shak, name = hospital
    chosen = Role(gln, shak, "sygehusafdelingsnummer", name, "Terapien")
    body = ggop(discharged=yesterday(), level="specialiseret", copies=[chosen])
    answer = client.post("/messages", content=body, headers=SENDER)
    assert answer.status_code == 201, answer.text
    message = client.get(answer.headers["Location"], headers=SENDER).json()
    return answer.headers["Location"], message["record_ids"][0]


def entry(kind: str, by: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "kind": kind, "at": datetime.now(UTC).isoformat(), "by": by, **more}


def post(
    client: httpx.Client, record: str, event: dict[str, Any], who: dict[str, str], **headers: str
) -> httpx.Response:
    return client.post(f"/records/{record}/events", json=event, headers={**who, **headers})


def changes(client: httpx.Client, who: dict[str, str], after: str | None = None) -> list[tuple[str, int]]:
    page = client.get("/records", params={"after": after} if after else None, headers=who).json()
    return [(each["change"], each["version"]) for each in page["records"]]


def told(client: httpx.Client, who: dict[str, str] = SENDER) -> list[tuple[str, str | None, str | None]]:
    page = client.get("/messages", headers=who).json()
    return [(each["kind"], (each["recipient"] or {}).get("organisation"), each["reason"]) for each in page["messages"]]


def deliveries(client: httpx.Client, place: str) -> dict[str, tuple[str, str | None]]:
    found = client.get(place, headers=SENDER).json()["deliveries"]
    return {each["organisation_id"]: (each["state"], each["reason"]) for each in found}


def served(client: httpx.Client, place: str) -> dict[str, Any]:
    (view,) = client.get(place, headers=SENDER).json()["served"]
    found: dict[str, Any] = view
    return found


def fetch(client: httpx.Client, who: dict[str, str]) -> str:
    """Pull and confirm, as a record system does; the cursor."""
    cursor: str = client.get("/records", headers=who).json()["next"]
    client.get("/records", params={"after": cursor}, headers=who)
    return cursor


# --- acknowledged -----------------------------------------------------------------------------------------------------


def test_acknowledged_delivers_the_posters_own_delivery(client: httpx.Client) -> None:
    place, record = specialised(client)
    event = entry("acknowledged", "gln:5790999300025")
    answer = post(client, record, event, CHOSEN)
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"2"'
    data = answer.json()
    assert (data["record_id"], data["version"], data["findings"]) == (record, 2, [])
    assert data["event"] == {
        "id": event["id"],
        "kind": "acknowledged",
        "at": data["event"]["at"],
        "by": "ouh-rehabilitering",
    }
    assert datetime.fromisoformat(data["event"]["at"]) == datetime.fromisoformat(event["at"])
    states = deliveries(client, place)
    assert states["ouh-rehabilitering"] == ("delivered", None)
    assert states["odense-kommune"] == ("pending", None)
    assert ("delivered", "ouh-rehabilitering", None) in told(client)
    view = served(client, place)
    assert not view["all_served"]
    assert [each["organisation"] for each in view["missing"]] == ["odense-kommune"]
    # Two that acknowledge whatever they find would never come to an end: the others' feeds do not grow by it.
    assert changes(client, ODENSE) == [("new", 2)]


def test_all_served_together_says_since_when(client: httpx.Client) -> None:
    place, record = specialised(client)
    assert post(client, record, entry("acknowledged", "5790999300025"), CHOSEN).status_code == 201
    fetch(client, ODENSE)
    view = served(client, place)
    assert (view["all_served"], view["missing"], view["record_id"]) == (True, [], record)
    times = [each["updated_at"] for each in client.get(place, headers=SENDER).json()["deliveries"]]
    assert datetime.fromisoformat(view["since"]) == max(map(datetime.fromisoformat, times))


# --- the capacity story -----------------------------------------------------------------------------------------------


def test_a_hospital_without_room_and_the_next_one(client: httpx.Client) -> None:
    """Refused, chosen anew by the municipality, no new plan: the old one loses access, the new one is sent it."""
    place, record = specialised(client)
    chosen_has = fetch(client, CHOSEN)
    cursor = fetch(client, ODENSE)

    refusal = post(client, record, entry("refused_capacity", "ouh-rehabilitering"), CHOSEN)
    assert refusal.status_code == 201, refusal.text
    (finding,) = refusal.json()["findings"]
    assert (finding["rule"], finding["severity"]) == ("GOP-CHOICE-13", "warning")
    assert "patientens egen region" in finding["text"]["da"]
    assert deliveries(client, place)["ouh-rehabilitering"] == ("refused", "capacity_own_region")
    assert told(client)[-2:] == [
        ("refused", "ouh-rehabilitering", "capacity_own_region"),
        ("new_hospital_needed", "ouh-rehabilitering", "capacity_own_region"),
    ]
    last = client.get("/messages", headers=SENDER).json()["messages"][-1]
    assert "patientens egen region" in last["text"]["da"]
    assert "patient's own region" in last["text"]["en"]
    assert last["message_id"] == place.removeprefix("/messages/")
    assert changes(client, ODENSE, cursor) == [("case", 2)]
    shown = client.get(f"/records/{record}", headers=ODENSE).json()["events"]
    assert [(each["kind"], each["by"]) for each in shown] == [("refused_capacity", "ouh-rehabilitering")]
    assert [each["state"] for each in served(client, place)["missing"]] == ["refused"]

    cursor = fetch(client, ODENSE)
    chosen = post(client, record, entry("hospital_chosen", "kommunekode:0461", hospital=f"gln:{OTHER_GLN}"), ODENSE)
    assert chosen.status_code == 201, chosen.text
    assert chosen.json()["event"]["provider_id"] == "sygehus-aadalen-neurorehabilitering"
    assert changes(client, CHOSEN, chosen_has) == [("access_ended", 3)]
    assert client.get(f"/records/{record}", headers=CHOSEN).status_code == 404
    assert changes(client, ODENSE, cursor) == [("case", 3)]
    page = client.get("/records", headers=OTHER).json()
    assert [(each["change"], each["version"], each["record_id"]) for each in page["records"]] == [("new", 3, record)]
    assert deliveries(client, place) == {
        "ouh-rehabilitering": ("cancelled", "rerouted"),
        "odense-kommune": ("delivered", None),
        "sygehus-aadalen-neurorehabilitering": ("sent", None),
    }
    client.get("/records", params={"after": page["next"]}, headers=OTHER)
    assert served(client, place)["all_served"]
    # No new plan: the same version, read from the same bytes.
    document = client.get(f"/records/{record}", headers=OTHER).json()
    assert (document["version"], document["plan_version"], document["replaces"]) == (3, 1, None)
    assert [each["organisation"]["name"] for each in document["route"] if each["role"] == "action"] == [
        "Sygehus Ådalen, Neurorehabilitering"
    ]
    rendered = client.get(f"/records/{record}", headers={**OTHER, "Accept": "application/xml"})
    assert OTHER_GLN.encode() in rendered.content
    assert b"5790999300025" not in rendered.content
    original = client.get(f"/records/{record}/original", headers=OTHER)
    assert b"5790999300025" in original.content
    # Whoever lost the plan has no more say in it, and learns no more of it than a stranger.
    assert post(client, record, entry("acknowledged", "ouh-rehabilitering"), CHOSEN).status_code == 404


def test_elsewhere_it_is_no_own_region(client: httpx.Client) -> None:
    place, record = specialised(client, (OTHER_GLN, "9905220", "Sygehus Ådalen"))
    refusal = post(client, record, entry("refused_capacity", f"gln:{OTHER_GLN}"), OTHER)
    assert refusal.status_code == 201, refusal.text
    (finding,) = refusal.json()["findings"]
    assert "egen region" not in finding["text"]["da"]
    assert deliveries(client, place)["sygehus-aadalen-neurorehabilitering"] == ("refused", "capacity")


def test_the_same_hospital_chosen_again_is_sent_the_plan_again(client: httpx.Client) -> None:
    place, record = specialised(client)
    cursor = fetch(client, CHOSEN)
    assert post(client, record, entry("refused_capacity", "ouh-rehabilitering"), CHOSEN).status_code == 201
    again = entry("hospital_chosen", "5790001354145", hospital="shak:4202370")
    assert post(client, record, again, SENDER).status_code == 201
    assert deliveries(client, place)["ouh-rehabilitering"] == ("pending", None)
    page = client.get("/records", params={"after": cursor}, headers=CHOSEN).json()
    assert [(each["change"], each["version"]) for each in page["records"]] == [("case", 3)]
    client.get("/records", params={"after": page["next"]}, headers=CHOSEN)
    assert deliveries(client, place)["ouh-rehabilitering"] == ("delivered", None)
    # Away and back again.
    for hospital in (OTHER_GLN, "5790999300025"):
        event = entry("hospital_chosen", "5790001354145", hospital=hospital)
        assert post(client, record, event, SENDER).status_code == 201
    assert deliveries(client, place)["ouh-rehabilitering"] == ("pending", None)
    assert deliveries(client, place)["sygehus-aadalen-neurorehabilitering"] == ("cancelled", "rerouted")


def test_a_hospital_that_has_the_plan_and_did_not_refuse_is_not_sent_it_again(client: httpx.Client) -> None:
    place, record = specialised(client)
    fetch(client, CHOSEN)
    event = entry("hospital_chosen", "5790001354145", hospital="5790999300025")
    assert post(client, record, event, SENDER).status_code == 201
    assert deliveries(client, place)["ouh-rehabilitering"] == ("delivered", None)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hospital", "status", "problem"),
    [
        ("gln:5790000000000", 422, "no-hospital"),
        ("odense-kommune", 422, "no-hospital"),
        ("anything:1", 422, "no-hospital"),
    ],
)
def test_what_cannot_be_chosen(client: httpx.Client, hospital: str, status: int, problem: str) -> None:
    place, record = specialised(client)
    answer = post(client, record, entry("hospital_chosen", "odense-kommune", hospital=hospital), ODENSE)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, problem)
    assert client.get(f"/records/{record}", headers=ODENSE).headers["etag"] == '"1"'
    assert deliveries(client, place)["ouh-rehabilitering"] == ("pending", None)


def test_what_the_rules_note_of_the_new_hospital_is_told(client: httpx.Client) -> None:
    """A private hospital that is no special hospital may need a look."""
    _, record = specialised(client)
    event = entry("hospital_chosen", "odense-kommune", hospital="gln:5790999300193")
    answer = post(client, record, event, ODENSE)
    assert answer.status_code == 201, answer.text
    assert ("GOP-ROUTE-04", "warning") in {(each["rule"], each["severity"]) for each in answer.json()["findings"]}


def test_the_rules_may_refuse_the_hospital(tmp_path: Path) -> None:
    """A hospital that had closed before the plan came is nobody to send it to."""
    directory = tmp_path / "directory"
    shutil.copytree(packaged("samples", "directory"), directory)
    (directory / "closed.toml").write_text(
        'organisations = [{ id = "lukket", kind = "hospital", name = "Det Lukkede Sygehus", '
        'region = "region-syddanmark", gln = "5790999309998", valid_until = 2026-01-31 }]\n'
    )
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0, directory=directory)
    with served_gateway(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        place, record = specialised(client)
        event = entry("hospital_chosen", "odense-kommune", hospital="lukket")
        answer = post(client, record, event, ODENSE)
        assert answer.status_code == 409, answer.text
        assert answer.json()["type"].endswith("/event-forbidden")
        assert [(each["rule"], each["severity"]) for each in answer.json()["findings"]] == [("GOP-ROUTE-04", "error")]
        assert deliveries(client, place)["ouh-rehabilitering"] == ("pending", None)


def test_an_almen_plan_has_no_hospital_to_choose(client: httpx.Client) -> None:
    answer = client.post("/messages", content=ggop(discharged=yesterday()), headers=SENDER)
    (record,) = client.get(answer.headers["Location"], headers=SENDER).json()["record_ids"]
    event = entry("hospital_chosen", "odense-kommune", hospital=OTHER_GLN)
    assert post(client, record, event, ODENSE).status_code == 422


@pytest.mark.parametrize(
    ("kind", "by", "who", "status"),
    [
        ("acknowledged", "aarhus-kommune", AARHUS, 404),  # a stranger learns nothing
        ("refused_capacity", "odense-kommune", ODENSE, 403),  # a recipient, but not the one that trains
        ("acknowledged", "5790001354145", SENDER, 403),  # the sender is no recipient
        ("hospital_chosen", "ouh-rehabilitering", CHOSEN, 403),
        ("acknowledged", "odense-kommune", AARHUS, 403),  # in another's name
        ("acknowledged", "nobody", ODENSE, 403),
    ],
)
def test_who_may_post_what(client: httpx.Client, kind: str, by: str, who: dict[str, str], status: int) -> None:
    place, record = specialised(client)
    more = {"hospital": OTHER_GLN} if kind == "hospital_chosen" else {}
    assert post(client, record, entry(kind, by, **more), who).status_code == status
    assert set(deliveries(client, place).values()) == {("pending", None)}
    assert "events" not in client.get(f"/records/{record}", headers=ODENSE).json()


def test_an_unknown_record(client: httpx.Client) -> None:
    assert post(client, str(uuid4()), entry("acknowledged", "odense-kommune"), ODENSE).status_code == 404


def test_scopes(guarded_client: httpx.Client) -> None:
    hospital, screen = ({"Authorization": f"Bearer sample-{name}"} for name in ("ouh", "screen"))
    sent = guarded_client.post("/messages", content=ggop(discharged=yesterday()), headers=hospital)
    (record,) = guarded_client.get(sent.headers["Location"], headers=hospital).json()["record_ids"]
    event = entry("acknowledged", "odense-kommune")
    assert post(guarded_client, record, event, screen).status_code == 403
    assert post(guarded_client, record, event, {}).status_code == 401


def test_kinds_that_are_not_taken_yet_are_told_with_those_that_are(client: httpx.Client) -> None:
    _, record = specialised(client)
    for kind in ("started", "level_set", "no such kind"):
        answer = post(client, record, entry(kind, "odense-kommune"), ODENSE)
        assert answer.status_code == 422
        assert "acknowledged, refused_capacity, hospital_chosen" in answer.json()["text"]["en"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "1"}, "id"),
        ({"at": "2026-11-20T10:00:00"}, "at"),
        ({"at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "at"),
        ({"by": None}, "by"),
        ({"hospital": "ouh"}, "hospital"),
        ({"cpr": "2512489996"}, "cpr"),
    ],
)
def test_a_faulty_event_is_told_by_field_never_by_value(
    client: httpx.Client, change: dict[str, Any], named: str
) -> None:
    _, record = specialised(client)
    answer = post(client, record, entry("acknowledged", "odense-kommune") | change, ODENSE)
    assert answer.status_code == 400
    assert answer.json()["title"] == f"The call is wrong: {named}."
    assert "2512489996" not in answer.text


def test_a_choice_without_a_hospital(client: httpx.Client) -> None:
    _, record = specialised(client)
    answer = post(client, record, entry("hospital_chosen", "odense-kommune"), ODENSE)
    assert (answer.status_code, answer.json()["title"]) == (400, "The call is wrong: hospital.")


# --- again, and meanwhile ---------------------------------------------------------------------------------------------


def test_the_same_event_again_changes_nothing(client: httpx.Client) -> None:
    _, record = specialised(client)
    event = entry("refused_capacity", "ouh-rehabilitering")
    first = post(client, record, event, CHOSEN)
    again = post(client, record, event, CHOSEN)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"] == '"2"'
    assert [kind for kind, *_ in told(client)].count("new_hospital_needed") == 1
    other = post(client, record, event | {"at": "2026-11-01T10:00:00+01:00"}, CHOSEN)
    assert (other.status_code, other.json()["type"].rpartition("/")[2]) == (409, "event-id-used")


def test_if_match(client: httpx.Client) -> None:
    _, record = specialised(client)
    tag = client.get(f"/records/{record}", headers=ODENSE).headers["etag"]
    event = entry("acknowledged", "odense-kommune")
    assert post(client, record, event, ODENSE, **{"If-Match": tag}).status_code == 201
    stale = post(client, record, entry("acknowledged", "odense-kommune"), ODENSE, **{"If-Match": tag})
    assert (stale.status_code, stale.json()["type"].rpartition("/")[2]) == (412, "record-changed")
    # The same event is the same event, whatever has changed since.
    assert post(client, record, event, ODENSE, **{"If-Match": tag}).status_code == 200
    assert post(client, record, entry("acknowledged", "odense-kommune"), ODENSE, **{"If-Match": "*"}).status_code == 201
