"""HospitalNotifications of a discharge over real HTTP: they confirm or correct the date of a stored plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
import pytest

from ggop import Role, ggop
from gtgateway.convert import Target
from gtgateway.mappers.fhir_codes import PRECONDITION_DATE
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.parsers.fhir import ACTIVITIES, CPR, DESTINATION_USE, DESTINATION_USES, GLN, SOR
from gtgateway.samples import sample_message
from gtgateway.validators.rule import danish_date

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
EPISODE = "bd481c38-a921-11ed-afa1-0242ac120002"
TODAY = datetime.now(COPENHAGEN).date()
YESTERDAY = TODAY - timedelta(days=1)


def notification(
    end: date,
    *,
    activity: str = "discharge-inpatient-home",
    episode: str | None = EPISODE,
    start: date | None = None,
    cpr: str = "2512489996",
    sender: str = "5790001354145",
) -> bytes:
    """A MedCom HospitalNotification with what it must have; the same arguments, the same message."""
    name = f"{end} {activity} {episode} {start} {cpr} {sender}"

    def entry(kind: str, purpose: str, **content: Any) -> dict[str, Any]:
        id = str(uuid5(NAMESPACE_URL, f"{name} {purpose}"))
        narrative = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{kind}</div>'}
        resource = {"resourceType": kind, "id": id, "text": narrative, **content}
        return {"fullUrl": f"https://hospital.example/{kind}/{id}", "resource": resource}

    def organisation(purpose: str, gln: str, sor: str, title: str) -> dict[str, Any]:
        identifier = [{"system": GLN, "value": gln}, {"system": SOR, "value": sor}]
        return entry("Organization", purpose, identifier=identifier, name=title)

    def reference(to: Mapping[str, Any]) -> dict[str, str]:
        return {"reference": f"{to['resource']['resourceType']}/{to['resource']['id']}"}

    hospital = organisation("sender", sender, "265161000016000", "Ortopædkirurgisk Afdeling")
    town = organisation("receiver", "5790000121441", "953741000016009", "Odense Kommune")
    patient = entry("Patient", "patient", identifier=[{"system": CPR, "value": cpr}])
    begun = start or end - timedelta(days=4)
    stay = entry(
        "Encounter",
        "encounter",
        status="finished",
        subject=reference(patient),
        episodeOfCare=[{"identifier": {"value": episode}}] if episode else [],
        period={"start": f"{begun}T08:15:00+01:00", "end": f"{end}T13:00:00+01:00"},
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}},
    )
    use = {"url": DESTINATION_USE, "valueCoding": {"system": DESTINATION_USES, "code": "primary"}}
    header = entry(
        "MessageHeader",
        "header",
        eventCoding={"code": "hospital-notification-message"},
        destination=[{"extension": [use], "endpoint": "https://receiver.example", "receiver": reference(town)}],
        sender=reference(hospital),
        source={"endpoint": "https://sender.example"},
        focus=[reference(stay)],
    )
    sent = f"{end}T13:00:01+01:00"
    provenance = entry(
        "Provenance",
        "provenance",
        target=[reference(header)],
        occurredDateTime=sent,
        recorded=sent,
        activity={"coding": [{"system": ACTIVITIES, "code": activity}]},
        agent=[{"who": reference(hospital)}],
    )
    return json.dumps(
        {
            "resourceType": "Bundle",
            "id": str(uuid5(NAMESPACE_URL, f"{name} bundle")),
            "type": "message",
            "timestamp": sent,
            "entry": [header, patient, stay, hospital, town, provenance],
        }
    ).encode()


def plan(discharged: date, *, episode: str | None = EPISODE, **more: Any) -> bytes:
    body = ggop(discharged=discharged, **more)
    if episode is None:
        return body
    stated = f"<EpisodeOfCareIdentifier>{episode.replace('-', '')}</EpisodeOfCareIdentifier></Letter>"
    return body.replace(b"</Letter>", stated.encode())


def post(client: httpx.Client, body: bytes, headers: Mapping[str, str] = HOSPITAL) -> httpx.Response:
    return client.post("/messages", content=body, headers=headers)


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["entry"][0]["resource"]["response"]["code"]
    return code


def records(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/records", headers=ODENSE).json()["records"]
    return found


def test_another_date_corrects_the_plan_of_the_same_episode(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY))
    (before,) = records(client)
    told = post(client, notification(TODAY, start=TODAY - timedelta(days=30)))
    assert told.status_code == 201, told.text
    assert code_of(told) == "ok"
    (after,) = records(client)
    assert after["change"] == "corrected"
    assert (after["record_id"], after["version"]) == (before["record_id"], 2)
    record = after["record"]
    assert record["discharged_on"] == TODAY.isoformat()
    assert record["plan_version"] == 2
    assert record["received_at"] == before["record"]["received_at"]
    start_by = date.fromisoformat(before["record"]["deadlines"]["start_by"])
    assert date.fromisoformat(record["deadlines"]["start_by"]) == start_by + timedelta(days=1)
    (finding,) = (each for each in record["findings"] if each["rule"] == "GOP-DATE-11")
    assert f"fra {danish_date(YESTERDAY)} til {danish_date(TODAY)}" in finding["text"]["da"]
    # the plan can still be read as the hospital wrote it, and the notification names what it changed
    original = client.get(f"/records/{after['record_id']}/original", headers=ODENSE)
    assert original.content == plan(YESTERDAY)
    told_of = client.get(told.headers["Location"], headers=HOSPITAL).json()
    assert told_of["record_ids"] == [after["record_id"]]
    assert {each["version"] for each in told_of["deliveries"]} == {2}
    assert told_of["letters"][0]["action"] == "correction"


def test_the_plan_is_shown_with_the_corrected_date(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY))
    post(client, notification(TODAY))
    (entry,) = records(client)
    asked = {**ODENSE, "Accept": "application/xml"}
    shown = client.get(f"/records/{entry['record_id']}", headers=asked).text
    assert f"<Date>{TODAY}</Date>" in shown.partition("<ExpectedEnd>")[2]


def test_a_second_notification_corrects_from_the_first_ones_date(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY - timedelta(days=3)))
    post(client, notification(YESTERDAY))
    post(client, notification(TODAY, activity="revise-discharge-inpatient-home"))
    (entry,) = records(client)
    assert (entry["version"], entry["record"]["discharged_on"]) == (3, TODAY.isoformat())
    (finding,) = (each for each in entry["record"]["findings"] if each["rule"] == "GOP-DATE-11")
    assert f"fra {danish_date(YESTERDAY)} til {danish_date(TODAY)}" in finding["text"]["da"]


def test_the_same_date_is_only_acknowledged(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY))
    told = post(client, notification(YESTERDAY))
    assert code_of(told) == "ok"
    (entry,) = records(client)
    assert (entry["change"], entry["version"]) == ("new", 1)
    assert client.get(told.headers["Location"], headers=HOSPITAL).json()["record_ids"] == []


def test_a_resent_notification_is_answered_again_and_changes_nothing(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY))
    first, second = post(client, notification(TODAY)), post(client, notification(TODAY))
    assert second.status_code == 201
    assert second.headers["Duplicate-Of"] == first.headers["Location"]
    (entry,) = records(client)
    assert entry["version"] == 2


def test_without_an_episode_sender_and_start_of_the_contact_decide(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY, episode=None))
    start = YESTERDAY - timedelta(days=4)
    post(client, notification(TODAY, start=start - timedelta(days=1)))
    assert records(client)[-1]["version"] == 1
    post(client, notification(TODAY, start=start))
    assert records(client)[-1]["version"] == 2


@pytest.mark.parametrize(
    "other",
    [
        {"activity": "admit-inpatient"},
        {"activity": "cancel-discharge-inpatient-home"},
        {"cpr": "1205829995"},
        {"episode": "11111111-a921-11ed-afa1-0242ac120002", "start": YESTERDAY - timedelta(days=30)},
    ],
    ids=["admission", "cancelled discharge", "another patient", "another stay"],
)
def test_every_other_notification_is_acknowledged_and_forgotten(client: httpx.Client, other: dict[str, Any]) -> None:
    post(client, plan(YESTERDAY))
    told = post(client, notification(TODAY, **other))
    assert code_of(told) == "ok"
    (entry,) = records(client)
    assert (entry["change"], entry["version"]) == ("new", 1)


def test_a_date_that_the_plan_cannot_lawfully_have_leaves_it_as_it_is(client: httpx.Client) -> None:
    post(client, plan(YESTERDAY))
    told = post(client, notification(TODAY - timedelta(days=400), start=TODAY - timedelta(days=410)))
    assert code_of(told) == "ok"
    assert told.headers["Gtgateway-Findings"] == "warning=1"
    (finding,) = client.get(told.headers["Location"], headers=HOSPITAL).json()["letters"][0]["findings"]
    assert finding["rule"] == "GOP-MSG-16"
    assert "GOP-DATE-02" in finding["text"]["da"]
    assert records(client)[-1]["version"] == 1


def test_a_fhir_plan_is_corrected_and_shown_with_the_new_date(client: httpx.Client) -> None:
    message = json.loads(sample_message(Level.ALMEN, YESTERDAY, Target.FHIR))
    stay = next(each["resource"] for each in message["entry"] if each["resource"]["resourceType"] == "Encounter")
    patient = next(each["resource"] for each in message["entry"] if each["resource"]["resourceType"] == "Patient")
    post(client, json.dumps(message).encode())
    start, cpr = date.fromisoformat(stay["period"]["start"][:10]), patient["identifier"][0]["value"]
    assert post(client, notification(TODAY, start=start, cpr=cpr)).status_code == 201
    (entry,) = records(client)
    assert (entry["version"], entry["record"]["discharged_on"]) == (2, TODAY.isoformat())
    asked = {**ODENSE, "Accept": "application/fhir+json"}
    shown = client.get(f"/records/{entry['record_id']}", headers=asked).json()
    now = {each["resource"]["resourceType"]: each["resource"] for each in shown["entry"]}
    assert {"url": PRECONDITION_DATE, "valueDate": TODAY.isoformat()} in now["ServiceRequest"]["extension"]
    assert now["Encounter"]["period"]["end"].startswith(TODAY.isoformat())


def test_the_official_example_corrects_a_plan(client: httpx.Client, shared: Path) -> None:
    example = (shared / "data" / "fhir" / "corpus" / "good-hn-f4aa42a4.json").read_text("utf-8")
    moved = example.replace("2509479989", "2512489996").replace("5790000209354", "5790001354145")
    moved = moved.replace("2022-12-18T09:45:30", f"{TODAY}T09:45:30")
    post(client, plan(YESTERDAY))
    told = post(client, moved.encode())
    assert told.status_code == 201, told.text
    (entry,) = records(client)
    assert (entry["version"], entry["record"]["discharged_on"]) == (2, TODAY.isoformat())


def test_a_plan_that_went_on_to_another_hospital_stays_there(client: httpx.Client) -> None:
    """The date is corrected; the hospital that the patient has chosen since is the municipality's word."""
    chosen = Role("5790999300025", "4202370", "sygehusafdelingsnummer", "OUH", "Rehabiliteringsafdelingen")
    sent = post(client, plan(YESTERDAY, level="specialiseret", copies=[chosen]))
    assert sent.status_code == 201, sent.text
    (record,) = client.get(sent.headers["Location"], headers=HOSPITAL).json()["record_ids"]
    event = {
        "id": str(uuid4()),
        "kind": "hospital_chosen",
        "at": datetime.now(COPENHAGEN).isoformat(),
        "by": "odense-kommune",
        "hospital": "gln:5790999300148",
    }
    assert client.post(f"/records/{record}/events", json=event, headers=ODENSE).status_code == 201
    assert code_of(post(client, notification(TODAY))) == "ok"
    other = {"Authorization": "Bearer dev:5790999300148"}
    (entry,) = client.get("/records", headers=other).json()["records"]
    assert (entry["change"], entry["record"]["discharged_on"]) == ("corrected", str(TODAY))
    first = {"Authorization": "Bearer dev:5790999300025"}
    assert client.get(f"/records/{record}", headers=first).status_code == 404
    # And once more elsewhere: the date stays corrected.
    again = {**event, "id": str(uuid4()), "hospital": "gln:5790999300025"}
    assert client.post(f"/records/{record}/events", json=again, headers=ODENSE).status_code == 201
    shown = client.get(f"/records/{record}", headers=first).json()
    assert (shown["discharged_on"], shown["plan_version"], shown["version"]) == (str(TODAY), 2, 4)
