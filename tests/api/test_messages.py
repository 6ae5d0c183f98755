"""POST /messages and what its sender sees afterwards, over real HTTP."""

from __future__ import annotations

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from ggop import ggop
from gtgateway.demo import in_vans_envelope, served
from gtgateway.model.plan import COPENHAGEN
from gtgateway.settings import Settings

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
VANS = "{urn:oio:medcom:vans-envelope:1.0.4}"


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def post(client: httpx.Client, body: bytes, headers: dict[str, str] = HOSPITAL) -> httpx.Response:
    return client.post("/messages", content=body, headers=headers)


def receipt(answer: httpx.Response) -> etree._Element:
    return etree.fromstring(answer.content)


def text(root: etree._Element, name: str) -> str | None:
    return root.findtext(f".//{{*}}{name}")


def test_an_accepted_plan_is_answered_with_a_positive_receipt(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday(), letter_id="BREV1", envelope_id="KUV1"))
    assert answer.status_code == 201, answer.text
    assert re.fullmatch(r"/messages/[0-9a-f-]{36}", answer.headers["Location"])
    root = receipt(answer)
    assert text(root, "StatisticalCode") == "XCTL03"
    assert text(root, "OriginalEnvelopeIdentifier") == "KUV1"
    assert text(root, "OriginalLetterIdentifier") == "BREV1"


def test_no_positive_receipt_when_none_was_asked_for(client: httpx.Client) -> None:
    """Appendix E no. 15: minuspositivkvitt, no positive receipt may leave."""
    answer = post(client, ggop(discharged=yesterday(), wants_positive=False))
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["Location"].startswith("/messages/")


def test_a_refused_plan_names_every_fault(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday(), need="", consent="nej"))
    assert answer.status_code == 422
    root = receipt(answer)
    assert text(root, "StatisticalCode") == "XCTL02"
    assert text(root, "RefuseCode") == "ikke_specificeret"
    said = "".join(root.find(".//{*}RefuseText").itertext())
    for rule in ("GOP-CONTENT-05", "GOP-PAT-05"):
        assert rule in said


def test_the_same_message_again_gets_the_same_answer(client: httpx.Client) -> None:
    """Appendix E no. 12: exact resend."""
    body = ggop(discharged=yesterday(), letter_id="BREV1")
    first, second = post(client, body), post(client, body)
    assert second.status_code == first.status_code == 201
    assert second.headers["Duplicate-Of"] == first.headers["Location"]
    assert text(receipt(second), "OriginalLetterIdentifier") == "BREV1"
    assert len(client.get("/records", headers=ODENSE).json()["records"]) == 1


def test_the_same_letter_in_a_new_envelope_is_a_resend(client: httpx.Client) -> None:
    """Appendix E no. 12: same letter in a new envelope; the receipt quotes the envelope that it answers."""
    first = post(client, ggop(discharged=yesterday(), letter_id="BREV1", envelope_id="KUV1"))
    second = post(client, ggop(discharged=yesterday(), letter_id="BREV1", envelope_id="KUV2"))
    assert second.headers["Duplicate-Of"] == first.headers["Location"]
    assert text(receipt(second), "OriginalEnvelopeIdentifier") == "KUV2"


def test_changed_content_under_an_accepted_id_is_refused_and_changes_nothing(client: httpx.Client) -> None:
    """Appendix E no. 12: same letter id with changed text after an accepted one."""
    body = ggop(discharged=yesterday(), letter_id="BREV1")
    first = post(client, body)
    changed = post(client, ggop(discharged=yesterday(), letter_id="BREV1", need="Helt andet behov for genoptræning"))
    assert changed.status_code == 422
    assert "GOP-MSG-06" in changed.content.decode("iso-8859-1")
    again = post(client, body)
    assert again.status_code == 201
    assert again.headers["Duplicate-Of"] == first.headers["Location"]
    assert len(client.get("/records", headers=ODENSE).json()["records"]) == 1


def test_changed_content_under_a_refused_id_is_judged_anew_with_a_warning(client: httpx.Client) -> None:
    """Appendix E no. 12: the same after a refused one."""
    assert post(client, ggop(discharged=yesterday(), letter_id="BREV1", need="")).status_code == 422
    answer = post(client, ggop(discharged=yesterday(), letter_id="BREV1"))
    assert answer.status_code == 201
    stored = client.get(answer.headers["Location"], headers=HOSPITAL).json()
    assert "GOP-MSG-07" in {finding["rule"] for finding in stored["letters"][0]["findings"]}


def test_a_refused_message_again_is_refused_again(client: httpx.Client) -> None:
    body = ggop(discharged=yesterday(), need="")
    first, second = post(client, body), post(client, body)
    assert second.status_code == first.status_code == 422
    assert "Duplicate-Of" in second.headers
    assert text(receipt(second), "RefuseText") == text(receipt(first), "RefuseText")


def test_the_same_letter_to_another_receiver_is_a_copy(client: httpx.Client) -> None:
    """Appendix E no. 12: same letter to another receiver: linked, no second record."""
    post(client, ggop(discharged=yesterday(), letter_id="BREV1"))
    copy = post(client, ggop(discharged=yesterday(), letter_id="BREV1", receiver=("5790000123117", "751")))
    assert copy.status_code == 201
    stored = client.get(copy.headers["Location"], headers=HOSPITAL).json()
    assert stored["letters"][0]["action"] == "copy"
    assert len(client.get("/records", headers=ODENSE).json()["records"]) == 1


def test_in_a_vans_envelope_the_answer_is_one(client: httpx.Client) -> None:
    body = in_vans_envelope(ggop(discharged=yesterday(), letter_id="BREV1"))
    answer = post(client, body)
    assert answer.status_code == 201
    root = receipt(answer)
    assert root.tag == f"{VANS}VANSEnvelope"
    assert root.findtext(f"{VANS}SenderID") == "5790000121441"
    inner = etree.fromstring(base64.b64decode(root.findtext(f".//{VANS}Data")))
    assert text(inner, "StatisticalCode") == "XCTL03"
    kept = client.get(answer.headers["Location"] + "/acknowledgement", params={"layer": "envelope"}, headers=HOSPITAL)
    assert etree.fromstring(kept.content).find(f".//{VANS}PositiveMessage") is not None


def test_a_vans_envelope_without_a_due_letter_receipt_gets_the_envelope_receipt(client: httpx.Client) -> None:
    answer = post(client, in_vans_envelope(ggop(discharged=yesterday(), wants_positive=False)))
    assert answer.status_code == 201
    assert receipt(answer).find(f".//{VANS}Receipt/{VANS}PositiveMessage") is not None


def test_a_broken_vans_envelope_with_readable_ids_gets_a_negative_one(client: httpx.Client) -> None:
    """Appendix E no. 14: a SizeInBytes that lies."""
    body = re.sub(rb"<SizeInBytes>\d+<", b"<SizeInBytes>7<", in_vans_envelope(ggop(discharged=yesterday())))
    answer = post(client, body)
    assert answer.status_code == 422
    negative = receipt(answer).find(f".//{VANS}NegativeMessage")
    assert "GOP-VANS-03" in negative.findtext(f"{VANS}Error/{VANS}Description")
    assert client.get("/records", headers=ODENSE).json()["records"] == []


def test_a_vans_envelope_id_is_never_reused(client: httpx.Client) -> None:
    """Appendix E no. 12: reused VANS envelope id."""
    first = in_vans_envelope(ggop(discharged=yesterday(), letter_id="BREV1"))
    assert post(client, first).status_code == 201
    used = re.search(rb"<EnvelopeIdentifier>([^<]+)<", first)[1]
    other = in_vans_envelope(ggop(discharged=yesterday(), letter_id="BREV2"))
    other = re.sub(rb"<EnvelopeIdentifier>[^<]+<", b"<EnvelopeIdentifier>" + used + b"<", other)
    answer = post(client, other)
    assert answer.status_code == 422
    inner = base64.b64decode(receipt(answer).findtext(f".//{VANS}Data"))
    assert b"GOP-VANS-05" in inner


def test_a_receipt_is_never_acknowledged(client: httpx.Client, shared: Path) -> None:
    """Appendix E no. 13: a receipt sent to the plan endpoint."""
    for name in ("xctl02-negative-receipt.xml", "xctl03-positive-receipt.xml", "vans-receipt-negative.xml"):
        answer = post(client, (shared / "data" / "samples" / name).read_bytes())
        assert answer.status_code == 204
        assert answer.content == b""


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8\xff\xe0JFIF", b"hello", b"<a", b"<?xml version='1.0'?><!DOCTYPE a><a/>"]
)
def test_what_cannot_be_read_is_a_problem(client: httpx.Client, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code in (400, 415)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].startswith("https://")
    assert problem["findings"][0]["rule"].startswith("GOP-XML-")
    assert problem["findings"][0]["text"]["da"]


def test_a_body_over_the_limit_is_too_large(client: httpx.Client) -> None:
    answer = client.post("/messages", content=b" " * 10_000_001, headers=HOSPITAL)
    assert answer.status_code == 413
    assert answer.json()["type"].endswith("/too-large")


def test_who_sends_for_another_is_refused_without_a_receipt(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday()), ODENSE)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/sender-not-yours")
    assert client.get("/records", headers=ODENSE).json()["records"] == []


def test_an_unknown_unit_may_be_sent_for_by_whoever_acts_for_the_hospital_above_it(client: httpx.Client) -> None:
    """Readings no. 8: a warning; the door is closed to those who act for another unit, or when nothing is above it."""

    def unit(shak: str) -> bytes:
        body = ggop(discharged=yesterday(), letter_id=f"B{shak}", sender_gln="5790000000005")
        return body.replace(b"4202360", shak.encode())

    hospital = {"Authorization": "Bearer dev:5790999300018"}  # OUH, whose SHAK number is 4202
    answer = post(client, unit("4202999"), hospital)
    assert (answer.status_code, answer.headers["Gtgateway-Findings"].partition(",")[0]) == (201, "warning=1")
    assert post(client, unit("4202998")).status_code == 403  # another unit of that hospital
    assert post(client, unit("9901999"), hospital).status_code == 403
    assert post(client, unit("8888999"), hospital).status_code == 403


def test_two_plans_in_one_emessage_are_one_message(client: httpx.Client) -> None:
    """Appendix E no. 12: two plans in one Emessage, one of them faulty: all or nothing."""
    good = ggop(discharged=yesterday(), letter_id="BREV1")
    bad = ggop(discharged=yesterday(), letter_id="BREV2", need="")
    plan = re.search(rb"<(?:\w+:)?RehabilitationPlan.*</(?:\w+:)?RehabilitationPlan>", bad, re.DOTALL)[0]
    both = re.sub(rb"(</(?:\w+:)?RehabilitationPlan>)", lambda end: end[0] + plan, good, count=1)
    answer = post(client, both)
    assert answer.status_code == 422
    root = receipt(answer)
    letters = {
        letter.findtext("{*}OriginalLetterIdentifier"): "".join(letter.find("{*}RefuseText").itertext())
        for letter in root.iterfind(".//{*}OriginalLetter")
    }
    assert set(letters) == {"BREV1", "BREV2"}
    assert "Ikke behandlet: en anden plan i samme kuvert er afvist" in letters["BREV1"]
    assert "GOP-CONTENT-05" in letters["BREV2"]
    assert client.get("/records", headers=ODENSE).json()["records"] == []


def test_warnings_travel_in_the_headers(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday() - timedelta(days=4)))
    assert answer.status_code == 201
    assert re.match(r"warning=\d+", answer.headers["Gtgateway-Findings"])
    assert answer.headers["Link"] == f'<{answer.headers["Location"]}>; rel="describedby"'


def test_a_message_is_its_senders_own(client: httpx.Client) -> None:
    place = post(client, ggop(discharged=yesterday())).headers["Location"]
    assert client.get(place, headers=HOSPITAL).status_code == 200
    for path in (place, place + "/acknowledgement", "/messages/none"):
        assert client.get(path, headers=ODENSE).status_code == 404
        assert client.get(path).status_code == 401


def test_the_stored_answer_is_the_one_that_was_given(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday()))
    kept = client.get(answer.headers["Location"] + "/acknowledgement", headers=HOSPITAL)
    assert kept.content == answer.content
    missing = client.get(
        answer.headers["Location"] + "/acknowledgement", params={"layer": "envelope"}, headers=HOSPITAL
    )
    assert missing.status_code == 404


def test_nobody_without_a_token(client: httpx.Client) -> None:
    answer = client.post("/messages", content=ggop(discharged=yesterday()))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_quality_of_the_plan_is_told_while_the_patient_is_still_there(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday(), sections={"ICD10Diagnoses": None}))
    shown = client.get(answer.headers["Location"], headers=HOSPITAL).json()["letters"][0]["quality"]
    assert answer.headers["Gtgateway-Quality"] == f"{shown['score']}/10"
    assert shown["score"] == 10 - len(shown["missing"])
    assert "hoveddiagnose" in shown["missing"]


#: The coming order asks for more than today's: descriptions of five hundred letters.
LONG_DESCRIPTIONS = """
[order.parameters.ability_letters]
value = 500
unit = "letters"
rules = ["GOP-CONTENT-04"]
source = "invented for this test"
"""


def test_shadow_mode_tells_what_the_coming_order_would_say_and_refuses_nothing(tmp_path: Path, root: Path) -> None:
    today = datetime.now(COPENHAGEN).date()
    text = (root / "src" / "gtgateway" / "law" / "orders.toml").read_text("utf-8")
    text = text.replace("in_force_until = 2026-12-31", f"in_force_until = {today + timedelta(days=1)}")
    text = text.replace("in_force_from = 2027-01-01", f"in_force_from = {today + timedelta(days=2)}")
    orders = tmp_path / "orders.toml"
    orders.write_text(text + LONG_DESCRIPTIONS, "utf-8")
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0, orders=orders, shadow_order="BEK-2027")
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        answer = post(client, ggop(discharged=yesterday(), sections={"AbilityAtDischargeExtended": None}))
        assert answer.status_code == 201
        state = client.get(answer.headers["Location"], headers=HOSPITAL).json()["letters"][0]
        assert (state["order"], state["verdict"]) == ("BEK-918-2018", "accepted")
        [note] = [each for each in state["findings"] if each["rule"] == "GOP-SHADOW-01"]
        assert (note["severity"], note["path"]) == ("information", "function_at_discharge")
        assert note["line"]
        assert "er dette en advarsel efter GOP-CONTENT-04: " in note["text"]["da"]
        assert "med under 500 bogstaver" in note["text"]["da"]
        told = len([each for each in state["findings"] if each["severity"] == "information"])
        assert f"information={told}" in answer.headers["Gtgateway-Findings"]


# --- the sender's feed ------------------------------------------------------------------------------------------------

OTHER_HOSPITAL = {"Authorization": "Bearer dev:5790999300148"}


def feed(client: httpx.Client, headers: dict[str, str] = HOSPITAL, **params: str | int | float) -> dict[str, Any]:
    answer = client.get("/messages", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_what_happened_to_a_message_is_told_to_its_sender_and_to_nobody_else(client: httpx.Client) -> None:
    place = post(client, ggop(discharged=yesterday())).headers["Location"]
    page = client.get("/records", headers=ODENSE).json()
    client.get("/records", params={"after": page["next"]}, headers=ODENSE)
    answered, delivered = feed(client)["messages"]
    assert answered == {
        "position": answered["position"],
        "message_id": place.removeprefix("/messages/"),
        "kind": "answered",
        "at": answered["at"],
        "recipient": None,
        "reason": "accepted",
        "text": {"da": "Meddelelsen er godkendt.", "en": "The message was accepted."},
        "detail": answered["detail"],
    }
    assert re.fullmatch(r"(warning=\d+, )?information=\d+", answered["detail"])
    assert (delivered["kind"], delivered["message_id"]) == ("delivered", answered["message_id"])
    assert delivered["recipient"] == {"organisation": "odense-kommune", "name": "Odense Kommune"}
    for other in (ODENSE, OTHER_HOSPITAL):
        assert feed(client, other)["messages"] == []
        assert client.get(place, headers=other).status_code == 404


def test_a_refused_message_is_told_with_how_much_was_found(client: httpx.Client) -> None:
    answer = post(client, ggop(discharged=yesterday(), need=""))
    assert answer.status_code == 422
    (told,) = feed(client)["messages"]
    assert (told["kind"], told["reason"]) == ("answered", "rejected")
    assert told["detail"] == answer.headers["Gtgateway-Findings"]
    assert told["detail"].startswith("error=")


def test_the_senders_feed_comes_in_pages_and_in_order(client: httpx.Client) -> None:
    places = [post(client, ggop(discharged=yesterday(), letter_id=f"B{each}")).headers["Location"] for each in range(5)]
    seen: list[str] = []
    cursor, more = "", True
    while more:
        page = feed(client, limit=2, after=cursor)
        seen += [f"/messages/{each['message_id']}" for each in page["messages"]]
        cursor, more = page["next"], page["more"]
    assert seen == places
    assert feed(client, after=cursor) == {"messages": [], "next": cursor, "more": False}
    assert len(feed(client, after=feed(client, limit=2)["next"])["messages"]) == 3


def test_whoever_waits_is_woken(client: httpx.Client) -> None:
    cursor = feed(client)["next"]
    assert feed(client, after=cursor, wait=0.1)["messages"] == []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(feed, client, after=cursor, wait=30)
        time.sleep(0.2)
        began = time.monotonic()
        post(client, ggop(discharged=yesterday()))
        assert [each["kind"] for each in waiting.result(10)["messages"]] == ["answered"]
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("cursor", ["x", "cjE6MQ", "bTE6", "é", "a" * 5000])
def test_a_cursor_that_is_not_the_feeds_own_is_refused(client: httpx.Client, cursor: str) -> None:
    """`cjE6MQ` is one of the recipients' feed."""
    assert client.get("/messages", params={"after": cursor}, headers=HOSPITAL).status_code == 400


def test_whose_feed_of_messages(client: httpx.Client, guarded_client: httpx.Client) -> None:
    post(client, ggop(discharged=yesterday()))
    assert len(feed(client, **{"for": "5790001354145"})["messages"]) == 1
    assert len(feed(client, **{"for": "ouh-ortopaedkirurgi"})["messages"]) == 1
    assert client.get("/messages", params={"for": "5790999300148"}, headers=HOSPITAL).status_code == 404
    whole = {"Authorization": "Bearer dev:5790999300018"}  # the hospital that the sender is a unit of
    assert len(feed(client, whole)["messages"]) == 1
    for name, status in (("odense", 403), ("screen", 403), ("ouh", 200)):
        headers = {"Authorization": f"Bearer sample-{name}"}
        assert guarded_client.get("/messages", headers=headers).status_code == status


def test_a_delivery_says_how_it_goes_and_not_by_which_end_point(client: httpx.Client) -> None:
    place = post(client, ggop(discharged=yesterday())).headers["Location"]
    (delivery,) = client.get(place, headers=HOSPITAL).json()["deliveries"]
    assert set(delivery) == {
        "record_id", "version", "organisation_id", "organisation_name", "roles", "state", "attempts", "updated_at",
        "next_at", "reason", "reached_by", "text",
    }  # fmt: skip
    assert (delivery["reached_by"], delivery["next_at"], delivery["text"]) == ("pull", None, None)
