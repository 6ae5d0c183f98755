"""POST /check, POST /convert, the catalogues and health, over real HTTP."""

from __future__ import annotations

from datetime import date

import httpx
import pytest
from lxml import etree

from ggop import ggop

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
AT = {"received_at": "2026-11-25T10:00:00"}


def test_check_gives_the_whole_assessment_and_stores_nothing(shared_client: httpx.Client) -> None:
    body = ggop(discharged=date(2026, 11, 24), letter_id="BREV1", envelope_id="KUV1")
    found = shared_client.post("/check", params=AT, content=body, headers=HOSPITAL).json()
    assert found["verdict"] == "accepted"
    assert found["format"] == "ggop"
    assert found["order"] == "BEK-918-2018"
    assert found["order_basis"] == "discharge"
    assert found["message"]["letter_id"] == "BREV1"
    assert found["message"]["message_id"] == "KUV1"
    assert [layer["layer"] for layer in found["layers"]] == ["envelope", "structure", "mapping", "law", "routing"]
    assert {layer["validity"] for layer in found["layers"]} == {"valid"}
    assert found["deadlines"]["start_by"] == "2026-12-01"
    assert found["deadlines"]["owners"] == [{"kind": "municipality", "from": "2026-11-24"}]
    assert {(entry["role"], entry["kind"]) for entry in found["route"]} >= {
        ("action", "municipality"),
        ("authority", "municipality"),
    }
    assert found["acknowledgement"]["code"] == "ok"
    assert "XCTL03" in found["acknowledgement"]["body"]
    assert shared_client.get("/records", headers={"Authorization": "Bearer dev:5790000121441"}).json()["records"] == []


def test_the_time_of_receipt_reproduces_an_answer_to_the_byte(shared_client: httpx.Client) -> None:
    body = ggop(discharged=date(2026, 11, 24))
    answers = {shared_client.post("/check", params=AT, content=body, headers=HOSPITAL).content for _ in range(3)}
    assert len(answers) == 1


def test_another_order_can_be_asked_for(shared_client: httpx.Client) -> None:
    body = ggop(discharged=date(2026, 11, 24))
    found = shared_client.post("/check", params={**AT, "order": "BEK-2027"}, content=body, headers=HOSPITAL).json()
    assert found["order"] == "BEK-2027"
    wrong = shared_client.post("/check", params={**AT, "order": "BEK-1"}, content=body, headers=HOSPITAL)
    assert wrong.status_code == 400


def test_check_of_something_unreadable_says_so(shared_client: httpx.Client) -> None:
    found = shared_client.post("/check", content=b"<a", headers=HOSPITAL).json()
    assert found["verdict"] == "unreadable"
    assert found["findings"][0]["rule"] == "GOP-XML-01"
    assert found["plan"] is None


@pytest.mark.parametrize(
    "to, media_type",
    [
        ("plan", "application/json"),
        ("record", "application/json"),
        ("ggop", "application/xml"),
        ("xdis91", "application/xml"),
        ("html", "text/html; charset=utf-8"),
    ],
)
def test_convert(shared_client: httpx.Client, to: str, media_type: str) -> None:
    body = ggop(discharged=date(2026, 11, 24))
    made = shared_client.post("/convert", params={**AT, "to": to}, content=body, headers=HOSPITAL)
    assert made.status_code == 200
    assert made.headers["content-type"] == media_type
    if media_type == "application/xml":
        assert etree.fromstring(made.content).tag.endswith("}Emessage")


def test_a_record_of_a_refused_plan_cannot_be_made(shared_client: httpx.Client) -> None:
    body = ggop(discharged=date(2026, 11, 24), consent="nej")
    refused = shared_client.post("/convert", params={**AT, "to": "record"}, content=body, headers=HOSPITAL)
    assert refused.status_code == 422
    assert "GOP-PAT-05" in {finding["rule"] for finding in refused.json()["findings"]}
    plan = shared_client.post("/convert", params={**AT, "to": "plan"}, content=body, headers=HOSPITAL)
    assert plan.json()["consent"]["given"] is False


def test_a_large_message_is_read_in_a_worker(shared_client: httpx.Client) -> None:
    body = ggop(discharged=date(2026, 11, 24), need="Nedsat gangdistance. " * 5000)
    assert len(body) > 64_000
    found = shared_client.post("/check", params=AT, content=body, headers=HOSPITAL).json()
    assert found["verdict"] == "accepted"


@pytest.mark.parametrize("path", ["/rules", "/orders", "/mappings", "/directory", "/rules/GOP-ROUTE-04"])
def test_catalogues(shared_client: httpx.Client, path: str) -> None:
    assert shared_client.get(path).status_code == 401
    answer = shared_client.get(path, headers=HOSPITAL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()


@pytest.mark.parametrize("path", ["/rules/GOP-NONE-99", "/mappings/none", "/nothing"])
def test_what_does_not_exist(shared_client: httpx.Client, path: str) -> None:
    answer = shared_client.get(path, headers=HOSPITAL)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_health_needs_no_token(shared_client: httpx.Client) -> None:
    assert shared_client.get("/health/live").json() == {"status": "live"}
    assert shared_client.get("/health/ready").json() == {"status": "ready"}


def test_a_wrong_parameter_is_named_and_its_value_is_not(shared_client: httpx.Client) -> None:
    answer = shared_client.post("/convert", params={"to": "secret-value"}, content=b"", headers=HOSPITAL)
    assert answer.status_code == 400
    assert "to" in answer.json()["title"]
    assert "secret-value" not in answer.text


def test_the_api_describes_itself(shared_client: httpx.Client) -> None:
    paths = shared_client.get("/openapi.json").json()["paths"]
    assert {"/messages", "/receipts", "/records", "/records/{record_id}", "/check", "/convert"} <= set(paths)
    assert shared_client.delete("/messages", headers=HOSPITAL).status_code == 405
