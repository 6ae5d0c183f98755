"""The operator's desk over real HTTP: search, trace, dead letters, interventions; and who sees none of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggop import ggop
from gtgateway.convert import Target
from gtgateway.demo import served
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_directory, sample_message
from gtgateway.settings import Settings
from serving import gateway_process

SENDER = {"Authorization": "Bearer dev:5790001354145"}
OPERATOR = {"Authorization": "Bearer dev:operator"}
HOSPITAL = "ouh-rehabilitering"
CPR = "2512489996"
YESTERDAY = datetime.now(COPENHAGEN).date() - timedelta(days=1)
BY_ANNE = {"who": "Anne", "why": "rettet hos modtageren"}


class Refusing(BaseHTTPRequestHandler):
    """A hospital that refuses everything, and quotes the patient's number."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"patient {CPR} is unknown".encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(tmp_path: Path, peer: str) -> Iterator[httpx.Client]:
    """The operator's client of a gateway whose chosen hospital refuses."""
    changes = {HOSPITAL: {"receives": "fhir", "endpoint": "hospital"}}
    settings = Settings(
        store=f"sqlite:///{tmp_path}/gateway.db",
        directory=sample_directory(tmp_path, changes, [{"id": "hospital", "url": f"{peer}/hospital"}]),
        workers=0,
        delivery_unserved_after=0.001,
        delivery_unserved_pulled_after=0.001,
    )
    with served(settings) as address, httpx.Client(base_url=address, timeout=30, headers=OPERATOR) as client:
        yield client


def post_plan(client: httpx.Client, number: int = 1, level: Level = Level.SPECIALISERET) -> str:
    """Id of a plan's message."""
    body = sample_message(level, YESTERDAY, Target.GGOP, number=number)
    answer = client.post("/messages", content=body, headers=SENDER)
    assert answer.status_code == 201
    return answer.headers["Location"].removeprefix("/messages/")


def dead_letters(client: httpx.Client, count: int = 1, **asked: Any) -> list[dict[str, Any]]:
    """The dead letters, when there are so many."""
    until = time.monotonic() + 10
    while True:
        found = get(client, "/operations/dead-letters", **asked)["deliveries"]
        if len(found) == count or time.monotonic() > until:
            assert len(found) == count
            return found
        time.sleep(0.02)


def get(client: httpx.Client, path: str, **asked: Any) -> Any:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def search(client: httpx.Client, **asked: Any) -> list[str]:
    answer = client.post("/operations/messages/search", json=asked)
    assert answer.status_code == 200, answer.text
    return [each["message_id"] for each in answer.json()["messages"]]


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["title"]


def test_what_a_message_is_found_by(client: httpx.Client) -> None:
    first, second = post_plan(client, 1), post_plan(client, 2, Level.ALMEN)
    bad = client.post("/messages", content=ggop(discharged=YESTERDAY, need="", letter_id="B1"), headers=SENDER)
    assert bad.status_code == 422
    refused = search(client, verdict="rejected")[0]
    dead_letters(client)
    assert search(client) == [refused, second, first]
    assert search(client, message_id=first) == [first]
    assert search(client, sender_gln="5790001354145") == [refused, second, first]
    assert search(client, sender_gln="5790000000005") == []
    assert search(client, recipient=HOSPITAL, state="refused") == [first]
    assert search(client, recipient="kommunekode:0461") == [second, first]
    assert search(client, recipient="closed-since") == []
    assert search(client, rule="GOP-CONTENT-05") == [refused]
    now = datetime.now(UTC)
    assert search(client, received_from=now.isoformat()) == []
    assert search(client, received_until=now.isoformat(), verdict="accepted") == [second, first]


def test_a_patient_is_found_by_number_with_or_without_hyphen(client: httpx.Client) -> None:
    answer = client.post("/messages", content=ggop(discharged=YESTERDAY, cpr=CPR), headers=SENDER)
    found = answer.headers["Location"].removeprefix("/messages/")
    for number in (CPR, f"{CPR[:6]}-{CPR[6:]}"):
        assert search(client, patient=number) == [found]
    assert search(client, patient="2911829996") == []


def test_page_after_page(client: httpx.Client) -> None:
    posted = [post_plan(client, number, Level.ALMEN) for number in range(5)]
    found: list[str] = []
    before = None
    while True:
        page = client.post("/operations/messages/search", json={"limit": 2, "before": before}).json()
        found += [each["message_id"] for each in page["messages"]]
        before = page["next"]
        if before is None:
            break
    assert found == posted[::-1]


def test_one_message_with_its_states_and_rules_but_no_text(client: httpx.Client) -> None:
    message_id = post_plan(client)
    dead_letters(client)
    found = get(client, f"/operations/messages/{message_id}")
    states = {each["organisation_id"]: (each["state"], each["reason"]) for each in found["deliveries"]}
    assert states[HOSPITAL] == ("refused", "http_400")
    assert states["odense-kommune"] == ("pending", None)
    assert (found["sender_gln"], found["client"], found["verdict"]) == (
        "5790001354145",
        "dev:5790001354145",
        "accepted",
    )
    (letter,) = found["letters"]
    assert letter["order"].startswith("BEK-")
    bad = ggop(discharged=YESTERDAY, need="", letter_id="B1")
    client.post("/messages", content=bad, headers=SENDER)
    refused = get(client, f"/operations/messages/{search(client, verdict='rejected')[0]}")
    findings = refused["letters"][0]["findings"]
    assert {"rule": "GOP-CONTENT-05", "severity": "error", "layer": "law"} in findings
    assert all(set(each) == {"rule", "severity", "layer"} for each in findings)


def test_the_path_of_a_message(client: httpx.Client) -> None:
    message_id = post_plan(client)
    (dead,) = dead_letters(client)
    chosen = {"deliveries": [dead["delivery_id"]], **BY_ANNE}
    done = client.post("/operations/deliveries/retry", json=chosen)
    assert done.json() == {"done": [dead["delivery_id"]], "not_done": []}
    dead_letters(client)
    path = get(client, f"/operations/messages/{message_id}/timeline")["timeline"]
    mine = [each for each in path if each["organisation"] in (None, HOSPITAL)]
    assert [each["what"] for each in mine] == [
        *("received", "judged", "stored", "to_deliver", "attempt", "answer"),
        *("retried", "attempt", "answer", "refused"),
    ]
    assert [each["at"] for each in path] == sorted(each["at"] for each in path)
    (retried,) = (each for each in mine if each["what"] == "retried")
    assert (retried["who"], retried["why"]) == ("Anne", "rettet hos modtageren")
    assert mine[-1]["text"]["en"] == "The recipient's system answered with HTTP 400."


def test_dead_letters_unserved_and_circuits(client: httpx.Client) -> None:
    message_id = post_plan(client)
    (dead,) = dead_letters(client)
    assert (dead["message_id"], dead["organisation_id"], dead["state"]) == (message_id, HOSPITAL, "refused")
    assert (dead["endpoint"], dead["attempts"], dead["reason"]) == ("hospital", 1, "http_400")
    assert dead["text"]["da"]
    dead_letters(client, 1, recipient=HOSPITAL, state="refused", reason="http_400", sender_gln="5790001354145")
    dead_letters(client, 0, state="abandoned")
    dead_letters(client, 0, before=dead["delivery_id"])
    assert get(client, "/operations/dead-letters", limit=1)["next"] == dead["delivery_id"]
    unserved = get(client, "/operations/unserved")
    assert unserved["more"] is False
    assert {(each["organisation_id"], each["state"]) for each in unserved["unserved"]} >= {
        (HOSPITAL, "refused"),
        ("odense-kommune", "pending"),
    }
    assert get(client, "/operations/unserved", limit=1)["more"] is True
    assert get(client, "/operations/circuits") == {"circuits": []}
    wrong = client.get("/operations/dead-letters", params={"state": "pending"})
    assert problem(wrong) == (400, "The call is wrong: state.")


def test_receipts_for_nothing_that_was_sent(client: httpx.Client) -> None:
    post_plan(client)
    answer = client.post("/messages", content=ggop(discharged=YESTERDAY, letter_id="Q1"), headers=SENDER)
    odense = {"Authorization": "Bearer dev:5790000121441"}
    assert client.post("/receipts", content=answer.content, headers=odense).status_code == 204
    page = get(client, "/operations/receipts")
    (receipt,) = page["receipts"]
    assert (receipt["client"], receipt["positive"], receipt["refuse_code"]) == ("dev:5790000121441", True, None)
    assert receipt["letter_ids"] == ["Q1"]
    assert page["next"] is None
    assert get(client, "/operations/receipts", before=receipt["received_at"])["receipts"] == []


def test_a_filter_does_what_was_expected_or_nothing(client: httpx.Client) -> None:
    for number in range(3):
        post_plan(client, number)
    dead = sorted(each["delivery_id"] for each in dead_letters(client, 3))
    chosen = {"filter": {"recipient": HOSPITAL, "reason": "http_400"}, **BY_ANNE}
    wrong = client.post("/operations/deliveries/resend", json={**chosen, "expected": 2})
    assert problem(wrong) == (409, "The filter matches another number of deliveries: 3; nothing was done.")
    assert wrong.json()["type"].endswith("/not-as-expected")
    done = client.post("/operations/deliveries/resend", json={**chosen, "expected": 3})
    assert done.json() == {"done": dead, "not_done": []}


def test_given_up_and_tried_again(client: httpx.Client) -> None:
    message_id = post_plan(client, level=Level.ALMEN)
    found = get(client, f"/operations/messages/{message_id}")["deliveries"]
    ids = sorted(each["delivery_id"] for each in found)
    done = client.post("/operations/deliveries/abandon", json={"filter": {}, "expected": len(ids), **BY_ANNE})
    assert done.json() == {"done": ids, "not_done": []}
    again = client.post("/operations/deliveries/abandon", json={"deliveries": [*ids, 999], **BY_ANNE})
    assert again.json() == {"done": [], "not_done": [*ids, 999]}
    assert {each["reason"] for each in dead_letters(client, len(ids), state="abandoned")} == {"by_person"}
    one = client.post("/operations/deliveries/retry", json={"deliveries": ids[:1], **BY_ANNE})
    assert one.json() == {"done": ids[:1], "not_done": []}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "deliveries, who, why"),
        ({"deliveries": [], "who": " ", "why": "x" * 501}, "deliveries, who, why"),
        ({"deliveries": [0, "x"], **BY_ANNE}, "deliveries.0, deliveries.1"),
        ({"deliveries": list(range(1, 502)), **BY_ANNE}, "deliveries"),
        ({"deliveries": [1], "filter": {"state": "gone", "colour": 1}}, "deliveries, expected, filter.colour, "),
        ({"deliveries": [1], "who": "Anne", "why": f"om {CPR}"}, "why"),
        ({"deliveries": [1], "who": "Anne", "why": f"om {CPR[:6]}-{CPR[6:]}"}, "why"),
        ({"filter": {"state": "delivered"}, "expected": 1, **BY_ANNE}, "filter.state"),
        ({"deliveries": [1], CPR: 1, **BY_ANNE}, "?"),
        ([], "JSON"),
    ],
)
def test_everything_wrong_is_named_at_once_and_no_value(client: httpx.Client, body: Any, named: str) -> None:
    status, title = problem(client.post("/operations/deliveries/retry", json=body))
    assert status == 400
    assert title.startswith(f"The call is wrong: {named}")
    assert CPR not in title


def test_a_wrong_search_is_named_too(client: httpx.Client) -> None:
    asked = {"patient": "251248", "state": "gone", "limit": 501, "received_from": "2026-11-25", "rule": "a\x00b"}
    answer = client.post("/operations/messages/search", json=asked)
    assert problem(answer) == (400, "The call is wrong: limit, patient, received_from, rule, state.")
    edges = {"received_from": "0001-01-01T00:00:00+23:00", "received_until": "9999-12-31T23:59:59-23:00"}
    answer = client.post("/operations/messages/search", json=edges)
    assert problem(answer) == (400, "The call is wrong: received_from, received_until.")
    answer = client.get("/operations/receipts", params={"before": "0001-01-01T00:00:00+23:00", "limit": 0})
    assert problem(answer) == (400, "The call is wrong: before, limit.")
    assert problem(client.post("/operations/messages/search", content=b"{")) == (400, "The call is wrong: JSON.")
    for path in ("messages/none", "messages/none/timeline"):
        assert problem(client.get(f"/operations/{path}"))[0] == 404


CALLS = [
    ("POST", "/operations/messages/search"),
    ("GET", "/operations/messages/x"),
    ("GET", "/operations/messages/x/timeline"),
    ("GET", "/operations/unserved"),
    ("GET", "/operations/circuits"),
    ("GET", "/operations/dead-letters"),
    ("GET", "/operations/receipts"),
    ("POST", "/operations/deliveries/retry"),
    ("POST", "/operations/deliveries/resend"),
    ("POST", "/operations/deliveries/abandon"),
]


def test_nobody_else_sees_anything(client: httpx.Client, guarded_client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    listed = {(method.upper(), path) for path, calls in described.items() for method in calls if "operations" in path}
    assert {(method, path.replace("/x", "/{message_id}")) for method, path in CALLS} == listed
    for method, path in CALLS:
        assert client.request(method, path, headers=SENDER).status_code == 403
        assert client.request(method, path, headers={"Authorization": ""}).status_code == 401
        for token in ("sample-ouh", "sample-odense", "sample-screen", "sample-integrator"):
            headers = {"Authorization": f"Bearer {token}"}
            assert guarded_client.request(method, path, headers=headers).status_code == 403
    operator = {"Authorization": "Bearer sample-operator"}
    assert guarded_client.get("/operations/circuits", headers=operator).json() == {"circuits": []}


def test_an_operator_sees_no_plan(client: httpx.Client) -> None:
    message_id = post_plan(client)
    record_id = get(client, f"/operations/messages/{message_id}")["record_ids"][0]
    for path in (f"messages/{message_id}", f"messages/{message_id}/acknowledgement", "records", f"records/{record_id}"):
        assert client.get(f"/{path}").status_code == 403
    assert client.get(f"/records/{record_id}/original").status_code == 403
    assert client.post("/messages", content=b"<a/>").status_code == 403


def test_bodies_are_described(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    content = paths["/operations/messages/search"]["post"]["requestBody"]["content"]
    properties = content["application/json"]["schema"]["properties"]
    assert properties["patient"]["anyOf"][0]["type"] == "string"
    content = paths["/operations/deliveries/retry"]["post"]["requestBody"]["content"]
    named, filtered = content["application/json"]["schema"]["oneOf"]
    assert "deliveries" in named["required"]
    assert {"expected", "filter"} <= set(filtered["required"])
    assert "$ref" not in json.dumps([named, filtered, properties])


def test_no_number_and_no_clinical_text_in_answers_or_logs(client: httpx.Client, tmp_path: Path) -> None:
    need = "Gangtræning efter hoftebrud"
    body = ggop(discharged=YESTERDAY, cpr=CPR, need=need)
    refused = post_plan(client)
    assert dead_letters(client)[0]["message_id"] == refused
    answers = [client.get(f"/operations/messages/{refused}/timeline"), client.get("/operations/dead-letters")]
    folder = tmp_path / "apart"
    folder.mkdir()
    with gateway_process(folder) as server, httpx.Client(base_url=server.address, timeout=30) as other:
        for each in (client, other):
            each.headers.update(OPERATOR)
            assert each.post("/messages", content=body, headers=SENDER).status_code == 201
            asked = {"patient": CPR}
            hits = each.post("/operations/messages/search", json=asked)
            message_id = hits.json()["messages"][0]["message_id"]
            named = {"filter": {}, "expected": 400, "who": CPR, "why": CPR}
            answers += [
                hits,
                each.post("/operations/messages/search", json={CPR: CPR, "patient": f"{CPR}1"}),
                each.post("/operations/deliveries/abandon", json=named),
                each.get(f"/operations/messages/{message_id}"),
                each.post("/operations/deliveries/abandon", json={"filter": {}, "expected": 400, **BY_ANNE}),
            ]
            count = int(answers[-1].json()["title"].partition(": ")[2].split(";")[0])
            chosen = {"filter": {}, "expected": count, **BY_ANNE}
            answers.append(each.post("/operations/deliveries/abandon", json=chosen))
            answers += [
                each.get(f"/operations/{path}")
                for path in (f"messages/{message_id}/timeline", "unserved", "dead-letters", "receipts", "circuits")
            ]
    log = (folder / "server.log").read_text("utf-8")
    assert "intervention" in log
    for text in (log, *(answer.text for answer in answers)):
        assert CPR not in text
        assert f"{CPR[:6]}-{CPR[6:]}" not in text
        assert "hoftebrud" not in text
        assert "rettet" not in log
