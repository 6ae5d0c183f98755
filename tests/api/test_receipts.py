"""Receipts for what we sent, over real HTTP: every form of them moves its delivery, and none is answered."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from lxml import etree

from ggop import Role, ggop
from gtgateway.acknowledgements.as_vans import vans_message
from gtgateway.app import create_app
from gtgateway.bootstrap import Gateway, gateway_from
from gtgateway.data import packaged
from gtgateway.model.delivery import AttemptResult, Conclusion, DeliveryState, DueDelivery, NewAttempt
from gtgateway.model.message import VansDocument, VansEnvelope
from gtgateway.model.plan import COPENHAGEN
from gtgateway.parsers.fhir_codec import to_xml
from gtgateway.settings import Settings

pytestmark = pytest.mark.anyio

SENDER = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
#: The chosen hospital, whose messages go by an end-point; the hospital that it is a unit of; another one.
CHOSEN_GLN, WHOLE_GLN, OTHER_GLN = "5790999300025", "5790999300018", "5790999300148"
CHOSEN, WHOLE, OTHER = ({"Authorization": f"Bearer dev:{gln}"} for gln in (CHOSEN_GLN, WHOLE_GLN, OTHER_GLN))
GATEWAY = "5790000000000"
ENVELOPE, VANS = "KUVERT00000001", "5d3f0c4e-4f0b-4f7e-9d55-1d2a3c4b5e6f"


@dataclass(frozen=True)
class World:
    """A gateway on loopback with a plan that was sent to the chosen hospital and waits for its receipt."""

    gateway: Gateway
    client: httpx.AsyncClient
    place: str
    due: DueDelivery

    async def post(self, body: bytes, who: dict[str, str] = CHOSEN, path: str = "/receipts") -> httpx.Response:
        return await self.client.post(path, content=body, headers=who)

    async def state(self) -> tuple[str, str | None]:
        deliveries = (await self.client.get(self.place, headers=SENDER)).json()["deliveries"]
        (found,) = (each for each in deliveries if each["organisation_id"] == "ouh-rehabilitering")
        return found["state"], found["reason"]

    async def told(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.get("/messages", headers=SENDER)).json()["messages"]
        return found[1:]  # without `answered`


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    directory = tmp_path / "directory"
    shutil.copytree(packaged("samples", "directory"), directory)
    (directory / "net.toml").write_text(
        '[[endpoints]]\nid = "net"\nurl = "http://127.0.0.1:9/"\ndefault_for = "vans"\n'
    )
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0, directory=directory, deliver=False)
    gateway = gateway_from(settings, development=True)
    server = uvicorn.Server(uvicorn.Config(create_app(gateway), log_level="warning", access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                yield await sent(gateway, client)
        finally:
            server.should_exit = True
            await serving


async def sent(gateway: Gateway, client: httpx.AsyncClient) -> World:
    yesterday: date = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    chosen = Role(CHOSEN_GLN, "4202370", "sygehusafdelingsnummer", "OUH", "Rehabiliteringsafdelingen")
    body = ggop(discharged=yesterday, level="specialiseret", copies=[chosen])
    answer = await client.post("/messages", content=body, headers=SENDER)
    assert answer.status_code == 201, answer.text
    now = datetime.now(UTC)
    (due,) = await gateway.store.claim("w", {"net": 5}, now, now + timedelta(minutes=1))
    later = now + timedelta(minutes=30)
    await gateway.store.begin("w", [NewAttempt(due.delivery_id, now, ENVELOPE, VANS, later)])
    taken = AttemptResult(due.delivery_id, ENVELOPE, now, Conclusion.SENT, "http_202", None, DeliveryState.SENT, later)
    await gateway.store.conclude("w", [taken])
    return World(gateway, client, answer.headers["Location"], due)


def xml(
    kind: str, *, envelope: str = ENVELOPE, code: str | None = None, text: str = "", letter: bool = True, id: str = "K1"
) -> bytes:
    """XCTL01, 02 or 03; `text` is XML. The refusal stands on the letter, or on the whole envelope."""
    version = {"PositiveReceipt": "XC0330Q", "NegativeReceipt": "XC0230Q", "NegativeVansReceipt": "XC0130Q"}[kind]
    refusal = f"<RefuseCode>{code}</RefuseCode><RefuseText>{text}</RefuseText>" if code else ""
    whole, one = ("", refusal) if letter else (refusal, "")
    return (
        '<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"><Envelope>'
        f"<Sent><Date>2026-11-20</Date><Time>10:00</Time></Sent><Identifier>{id}</Identifier>"
        f"<AcknowledgementCode>minuspositivkvitt</AcknowledgementCode></Envelope><{kind}>"
        f"<Letter><Identifier>B{id}</Identifier><VersionCode>{version}</VersionCode>"
        f"<StatisticalCode>XCTL</StatisticalCode></Letter>"
        f"<Sender><EANIdentifier>{CHOSEN_GLN}</EANIdentifier></Sender>"
        f"<Receiver><EANIdentifier>{GATEWAY}</EANIdentifier></Receiver><OriginalEmessage>"
        f"<OriginalEnvelopeIdentifier>{envelope}</OriginalEnvelopeIdentifier>"
        f"<OriginalSender><EANIdentifier>{GATEWAY}</EANIdentifier></OriginalSender>"
        f"<OriginalReceiver><EANIdentifier>{CHOSEN_GLN}</EANIdentifier></OriginalReceiver>{whole}"
        "<OriginalLetter><OriginalLetterIdentifier>BRV20261106001</OriginalLetterIdentifier>"
        f"<OriginalVersionCode>GGOP100</OriginalVersionCode>{one}</OriginalLetter>"
        "<OriginalLetter><OriginalLetterIdentifier>ANOTHER</OriginalLetterIdentifier>"
        f"<OriginalVersionCode>GGOP100</OriginalVersionCode></OriginalLetter></OriginalEmessage></{kind}></Emessage>"
    ).encode()


def enveloped(payload: bytes) -> bytes:
    # The parties are those of the message that is answered.
    original = VansEnvelope(GATEWAY, "EAN", CHOSEN_GLN, "EAN", VANS, "", VansDocument("", "XML", "", None, 0))
    return vans_message(
        original,
        payload,
        name="MCM:XCTL03",
        version="XC0330Q",
        envelope_id=str(uuid4()),
        message_id=str(uuid4()),
        sent_at=datetime.now(UTC),
    )


def of_the_envelope(kind: str, error: str = "") -> bytes:
    """A VANS receipt: PositiveMessage, NegativeMessage or NegativeVans."""
    namespace = "urn:oio:medcom:vans-envelope:1.0.4"
    return (
        f'<VANSEnvelope xmlns="{namespace}"><SenderID EndPointType="EAN">{CHOSEN_GLN}</SenderID>'
        f'<ReceiverID EndPointType="EAN">{GATEWAY}</ReceiverID><EnvelopeIdentifier>{uuid4()}</EnvelopeIdentifier>'
        f"<SentDateTime>2026-11-20T10:00:00+01:00</SentDateTime><Receipt><{kind}>{error}"
        f"<OriginalEnvelopeIdentifier>{VANS}</OriginalEnvelopeIdentifier></{kind}></Receipt></VANSEnvelope>"
    ).encode()


def fhir(code: str, quoted: str, text: str = "") -> bytes:
    """A MedCom acknowledgement of one of our messages."""

    def entry(kind: str, **content: Any) -> dict[str, Any]:
        id = str(uuid4())
        narrative = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{kind}</div>'}
        resource = {"resourceType": kind, "id": id, "text": narrative, **content}
        return {"fullUrl": f"https://hospital.example/{kind}/{id}", "resource": resource}

    hospital = entry("Organization", identifier=[{"system": "https://www.gs1.org/gln", "value": CHOSEN_GLN}])
    issue = entry("OperationOutcome", issue=[{"severity": "error", "code": "processing", "details": {"text": text}}])
    header = entry(
        "MessageHeader",
        eventCoding={"code": "acknowledgement-message"},
        source={"endpoint": "https://hospital.example"},
        sender={"reference": f"Organization/{hospital['resource']['id']}"},
        response={"identifier": quoted, "code": code},
    )
    return json.dumps(
        {
            "resourceType": "Bundle",
            "id": str(uuid4()),
            "type": "message",
            "timestamp": "2026-11-20T10:00:00+01:00",
            "entry": [header, hospital, *([issue] if text else [])],
        }
    ).encode()


# --- every form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/receipts", "/messages"])
@pytest.mark.parametrize("form", ["xml", "vans+xml", "fhir", "fhir-xml"])
async def test_a_positive_receipt_closes_its_delivery(world: World, form: str, path: str) -> None:
    bundle = fhir("ok", world.due.message_uuid)
    body = {
        "xml": xml("PositiveReceipt"),
        "vans+xml": enveloped(xml("PositiveReceipt")),
        "fhir": bundle,
        "fhir-xml": to_xml(json.loads(bundle)) if form == "fhir-xml" else b"",
    }[form]
    answer = await world.post(body, path=path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await world.state() == ("delivered", None)
    assert [each["kind"] for each in await world.told()] == ["delivered"]


@pytest.mark.parametrize(
    ("kind", "letter"), [("NegativeReceipt", True), ("NegativeReceipt", False), ("NegativeVansReceipt", False)]
)
async def test_a_negative_receipt_is_told_to_the_sender_with_its_text(world: World, kind: str, letter: bool) -> None:
    text = "Linje et<Break/>251248-9996 linje to " + "x" * 600
    answer = await world.post(xml(kind, code="problem_med_version", text=text, letter=letter))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await world.state() == ("refused", "problem_med_version")
    (event,) = await world.told()
    assert (event["kind"], event["reason"]) == ("refused", "problem_med_version")
    assert event["recipient"] == {
        "organisation": "ouh-rehabilitering",
        "name": "Odense Universitetshospital, Rehabiliteringsafdelingen",
    }
    assert event["text"]["en"] == "The recipient does not take this version of the message."
    assert event["detail"].startswith("Linje et ••••••-•••• linje to xxx")
    assert len(event["detail"]) == 500


async def test_a_fatal_error_is_a_refusal(world: World) -> None:
    await world.post(fhir("fatal-error", world.due.message_uuid, "Kender ikke patienten 2512489996."))
    assert await world.state() == ("refused", "fatal-error")
    (event,) = await world.told()
    assert event["detail"] == "Kender ikke patienten ••••••-••••."


async def test_a_transient_error_is_tried_again_later(world: World) -> None:
    await world.post(fhir("transient-error", world.due.message_uuid, "Postkassen er lukket."))
    assert await world.state() == ("pending", "transient-error")
    assert await world.told() == []
    # "technical error later resolved and message loaded: then ok may follow"
    await world.post(fhir("ok", world.due.message_uuid))
    assert await world.state() == ("delivered", None)


async def test_a_positive_receipt_of_the_envelope_moves_nothing(world: World) -> None:
    answer = await world.post(of_the_envelope("PositiveMessage"))
    assert answer.status_code == 204
    assert (await world.state())[0] == "sent"


@pytest.mark.parametrize("kind", ["NegativeMessage", "NegativeVans"])
async def test_a_negative_receipt_of_the_envelope_refuses(world: World, kind: str) -> None:
    error = "<Error><Code>17</Code><Description>Ukendt modtager</Description></Error>"
    assert (await world.post(of_the_envelope(kind, error))).status_code == 204
    assert await world.state() == ("refused", "negative_receipt")  # its own codes mean nothing here
    (event,) = await world.told()
    assert (event["text"]["en"], event["detail"]) == ("The recipient has refused the plan.", "Ukendt modtager")


# --- again, late, from others -----------------------------------------------------------------------------------------


async def test_the_same_receipt_again_is_harmless(world: World) -> None:
    for _ in range(3):
        assert (await world.post(xml("PositiveReceipt"))).status_code == 204
    assert [each["kind"] for each in await world.told()] == ["delivered"]


async def test_the_first_final_answer_stands(world: World) -> None:
    await world.post(xml("PositiveReceipt"))
    assert (await world.post(xml("NegativeReceipt", code="syntaksfejl", id="K2"))).status_code == 204
    assert await world.state() == ("delivered", None)


@pytest.mark.parametrize("who", [OTHER, ODENSE, SENDER])
async def test_only_the_recipient_can_answer(world: World, who: dict[str, str]) -> None:
    """Another's receipt is kept, moves nothing, and is not told that it was none."""
    assert (await world.post(xml("PositiveReceipt"), who)).status_code == 204
    assert (await world.state())[0] == "sent"
    assert (await world.post(xml("PositiveReceipt"))).status_code == 204  # the same bytes from the recipient
    assert (await world.state())[0] == "delivered"


async def test_the_hospital_may_answer_for_its_unit(world: World) -> None:
    assert (await world.post(xml("PositiveReceipt"), WHOLE)).status_code == 204
    assert (await world.state())[0] == "delivered"


async def test_unknown_ids_are_taken_and_move_nothing(world: World) -> None:
    for body in (xml("PositiveReceipt", envelope="NOBODYS"), fhir("ok", str(uuid4())), fhir("ok", ENVELOPE[:5])):
        answer = await world.post(body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.state())[0] == "sent"


async def test_a_receipt_that_names_no_message_is_told(world: World) -> None:
    body = xml("PositiveReceipt").replace(b"OriginalEnvelopeIdentifier", b"Original")
    assert (await world.post(body)).status_code == 400


async def test_a_receipt_needs_a_token(world: World) -> None:
    assert (await world.post(xml("PositiveReceipt"), {})).status_code == 401


async def test_the_ids_of_a_receipt_are_read_as_stated(world: World) -> None:
    root = etree.fromstring(xml("PositiveReceipt"))
    assert (await world.post(etree.tostring(root, encoding="iso-8859-1"))).status_code == 204
    assert (await world.state())[0] == "delivered"


# --- no room ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["xml", "fhir"])
async def test_a_refusal_for_capacity_by_receipt_is_an_event_of_the_case(world: World, form: str) -> None:
    """No code list has a code for it: the text names the rule."""
    text = "GOP-CHOICE-13: Der er ikke plads før i januar."
    refusal = {
        "xml": xml("NegativeReceipt", code="ikke_specificeret", text=text),
        "fhir": fhir("fatal-error", world.due.message_uuid, text),
    }[form]
    for _ in range(2):
        assert (await world.post(refusal)).status_code == 204
    assert await world.state() == ("refused", "capacity")
    refused, needed = await world.told()
    assert (refused["kind"], refused["reason"], refused["detail"]) == ("refused", "capacity", text)
    assert (needed["kind"], needed["reason"]) == ("new_hospital_needed", "capacity_own_region")
    page = (await world.client.get("/records", headers=ODENSE)).json()
    (entry,) = page["records"]
    assert (entry["change"], entry["version"]) == ("case", 2)
    (event,) = entry["record"]["events"]
    assert (event["kind"], event["by"]) == ("refused_capacity", "ouh-rehabilitering")
    # The municipality chooses on: the new hospital is sent the plan by its end-point.
    chosen = {
        "id": str(uuid4()),
        "kind": "hospital_chosen",
        "at": datetime.now(UTC).isoformat(),
        "by": "kommunekode:0461",
        "hospital": f"gln:{OTHER_GLN}",
    }
    answer = await world.client.post(f"/records/{entry['record_id']}/events", json=chosen, headers=ODENSE)
    assert answer.status_code == 201, answer.text
    now = datetime.now(UTC)
    (due,) = await world.gateway.store.claim("w", {"net": 5}, now, now + timedelta(minutes=1))
    assert (due.organisation_id, due.plan_version) == ("sygehus-aadalen-neurorehabilitering", 1)
    assert due.message_uuid != world.due.message_uuid
