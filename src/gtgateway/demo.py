"""`gtgateway demo`: real plans, dated around today, over real HTTP, from a hospital to a municipality and back."""

from __future__ import annotations

import base64
import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import typer
import uvicorn
from lxml import etree

from gtgateway import samples
from gtgateway.app import create_app
from gtgateway.bootstrap import gateway_from
from gtgateway.convert import Target
from gtgateway.logs import configure_logs
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.peers import Behaviour, Peer, peers_running
from gtgateway.samples import NYBORG, ODENSE, OUH, sample_directory, sample_message, sample_plan, sent_at
from gtgateway.settings import Settings

HOSPITAL = {"Authorization": f"Bearer dev:{OUH.gln}"}
MUNICIPALITY = {"Authorization": f"Bearer dev:{ODENSE.gln}"}


class Demo:
    """Runs steps against a gateway and remembers whether each ended as expected."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.failed = 0

    def step(self, title: str) -> None:
        typer.echo("")
        typer.secho(title, bold=True)

    def expect(self, what: str, good: bool) -> None:
        mark = typer.style("✓", fg="green") if good else typer.style("✗", fg="red", bold=True)
        typer.echo(f"  {mark} {what}")
        self.failed += not good

    def say(self, text: str) -> None:
        typer.echo(f"    {text}")

    def post(self, title: str, body: bytes, status: int, receipt: str | None) -> httpx.Response:
        """POST a message as the hospital and look at the answer."""
        self.step(title)
        answer = self.client.post("/messages", content=body, headers={**HOSPITAL, "Content-Type": "application/xml"})
        self.expect(f"POST /messages ({len(body)} bytes) → {answer.status_code}", answer.status_code == status)
        if receipt:
            found = self._receipt(answer)
            self.expect(f"the answer is {found}", found == receipt)
        if counts := answer.headers.get("Gtgateway-Findings"):
            self.say(f"findings: {counts}")
        return answer

    def _receipt(self, answer: httpx.Response) -> str | None:
        media_type = answer.headers.get("content-type", "")
        if "fhir" in media_type:
            return self._acknowledgement(
                answer.json() if "json" in media_type else from_xml(etree.fromstring(answer.content))
            )
        if not answer.content or "xml" not in media_type:
            return None
        root = etree.fromstring(answer.content)
        data = root.find(".//{*}Data")
        if data is not None and data.text:
            root = etree.fromstring(base64.b64decode(data.text))
        code = root.findtext(".//{*}Letter/{*}StatisticalCode")
        for line in root.iterfind(".//{*}RefuseText"):
            for text in map(str, line.itertext()):
                if text.strip():
                    self.say(f"« {text.strip()}")
        return code

    def _acknowledgement(self, bundle: dict[str, Any]) -> str | None:
        resources = [entry["resource"] for entry in bundle.get("entry", [])]
        for resource in resources:
            for issue in resource.get("issue", []):
                self.say(f"« {issue['details']['text']}")
        return next((each["response"]["code"] for each in resources if "response" in each), None)


def run_demo(settings_from: Callable[..., Settings], *, once: bool, port: int = 0) -> int:
    """The whole demo. 0 when every step ended as expected, else 1. `once` False keeps serving until Ctrl-C."""
    configure_logs(readable=True, level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="gtgateway-demo-") as folder:
        hospital = Peer("Odense Universitetshospital, Rehabiliteringsafdelingen", away_at_first)
        practice, nyborg = Peer("Lægehuset Odense Midtby"), Peer("Nyborg Kommune")
        with peers_running(hospital, practice, nyborg):
            settings = settings_from(
                store=f"sqlite:///{Path(folder) / 'demo.db'}",
                directory=directory_of(hospital, practice, nyborg, Path(folder)),
                delivery_retry_first=0.2,
            )
            with served(settings, port) as address, httpx.Client(base_url=address, timeout=30) as client:
                typer.echo(f"gtgateway runs on {address} (development mode, temporary archive)")
                demo = Demo(client)
                specialised = play(demo)
                deliveries(demo, specialised, hospital, practice, nyborg)
                typer.echo("")
                if demo.failed:
                    typer.secho(f"{demo.failed} checks did not end as expected.", fg="red")
                else:
                    typer.secho("Every step ended as expected.", fg="green")
                if not once:
                    hints(address)
                    try:
                        threading.Event().wait()
                    except KeyboardInterrupt:
                        typer.echo("")
                return 1 if demo.failed else 0


def away_at_first(_message_id: str, before: int) -> Behaviour:
    return Behaviour.OK if before else Behaviour.ERROR


def directory_of(hospital: Peer, practice: Peer, nyborg: Peer, folder: Path) -> Path:
    """The sample directory: the hospital takes FHIR, the practice clinical e-mails in VANSEnvelopes, Nyborg GGOP."""
    changes: dict[str, dict[str, Any]] = {
        "ouh-rehabilitering": {"receives": "fhir", "endpoint": "hospital"},
        "laegehuset-odense-midtby": {"receives": "xdis91", "vans": True, "endpoint": "practice"},
        "nyborg-kommune": {"receives": "ggop", "endpoint": "nyborg"},
    }
    peers = {"hospital": hospital, "practice": practice, "nyborg": nyborg}
    endpoints = [{"id": name, "url": peer.address} for name, peer in peers.items()]
    return sample_directory(folder, changes, endpoints)


def hints(address: str) -> None:
    """What to try next, one curl line each."""
    typer.echo(f"\nStill serving on {address}; Ctrl-C ends. Try:")
    typer.echo(f'  curl -H "Authorization: Bearer dev:{ODENSE.gln}" {address}/records')
    typer.echo(f'  gtgateway sample -o plans && curl -H "Authorization: Bearer dev:{OUH.gln}" '
               f"--data-binary @plans/… {address}/messages")  # fmt: skip


@contextmanager
def served(settings: Settings, port: int = 0, *, development: bool = True) -> Iterator[str]:
    """A gateway on loopback, in a thread of this process; gives its address."""
    app = create_app(gateway_from(settings, development=development))
    with socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def play(demo: Demo) -> str:
    """The story: accepted plans, refused plans, what the municipality sees; the place of the specialised plan."""
    today = datetime.now(COPENHAGEN).date()
    yesterday = today - timedelta(days=1)
    plan = sample_plan(Level.ALMEN, yesterday, number=1)
    first = medcom_xml_from_plan(plan, envelope_id="DEMO0000000001", sent_at=sent_at(plan))

    answer = demo.post("1. Almen genoptræning, MedCom XML (GGOP)", first, 201, "XCTL03")
    place = answer.headers.get("Location", "/messages/none")
    specialised = demo.post(
        "2. Genoptræning på specialiseret niveau, til det valgte sygehus",
        sample_message(Level.SPECIALISERET, yesterday, Target.GGOP, number=2),
        201,
        "XCTL03",
    )
    demo.post(
        "3. Rehabilitering på specialiseret niveau, i en VANSEnvelope",
        in_vans_envelope(sample_message(Level.REHABILITERING, yesterday, Target.GGOP, number=3)),
        201,
        "XCTL03",
    )
    demo.post(
        "4. Almen genoptræning som klinisk e-mail (XDIS91)",
        sample_message(Level.ALMEN, yesterday, Target.XDIS91, number=4),
        201,
        "XCTL03",
    )
    fhir = sample_message(Level.ALMEN, yesterday, Target.FHIR, number=5)
    demo.post("5. Almen genoptræning som FHIR-meddelelse", fhir, 201, "ok")
    demo.post(
        "6. Afvist FHIR-meddelelse: samtykke nej",
        sample_message(Level.ALMEN, yesterday, Target.FHIR_XML, number=6, fault="GOP-PAT-05"),
        422,
        "fatal-error",
    )
    demo.post(
        "7. Afvist: behov mangler, samtykke nej, intet valgt sygehus",
        medcom_xml_from_plan(
            replace(
                samples.FAULTS["GOP-ROUTE-04"](samples.FAULTS["GOP-CONTENT-05"](samples.FAULTS["GOP-PAT-05"](plan))),
                plan_id="DEMOAFVIST0001",
            ),
            envelope_id="DEMO0000000005",
            sent_at=sent_at(plan),
        ),
        422,
        "XCTL02",
    )
    again = demo.post("8. Den første plan igen: samme svar, intet behandlet to gange", first, 201, "XCTL03")
    demo.expect(f"Duplicate-Of: {place}", again.headers.get("Duplicate-Of") == place)
    changed = medcom_xml_from_plan(
        replace(plan, rehabilitation_need=plan.practical_information),
        envelope_id="DEMO0000000007",
        sent_at=sent_at(plan),
    )
    demo.post("9. Samme brev-id med andet indhold: afvist, planen er urørt", changed, 422, "XCTL02")
    demo.post("10. Afbrudt midt i filen: intet at kvittere for", first[: len(first) // 2], 400, None)
    elsewhere = replace(
        sample_plan(Level.ALMEN, yesterday, number=8),
        receiver=NYBORG,
        contact_municipality=replace(NYBORG, department="Genoptræning", telephone="+4563337000"),
    )
    letter = medcom_xml_from_plan(elsewhere, envelope_id="DEMO0000000008", sent_at=sent_at(elsewhere))
    demo.post("11. Almen genoptræning til en borger i Nyborg, der modtager GGOP", letter, 201, "XCTL03")
    pull(demo)
    return str(specialised.headers.get("Location", "/messages/none"))


def pull(demo: Demo) -> None:
    """What the municipality pulls."""
    demo.step("12. Odense Kommune henter")
    page = demo.client.get("/records", headers=MUNICIPALITY).json()
    records = page["records"]
    demo.expect(f"GET /records → {len(records)} records", len(records) == 5)
    for entry in records:
        show_record(demo, entry["record"])
    mine = records[0]["record_id"] if records else "none"
    stranger = {"Authorization": f"Bearer dev:{other_municipality(demo)}"}
    demo.expect(
        "another municipality sees none of them",
        demo.client.get("/records", headers=stranger).json()["records"] == []
        and demo.client.get(f"/records/{mine}", headers=stranger).status_code == 404,
    )
    xml = demo.client.get(f"/records/{mine}", headers={**MUNICIPALITY, "Accept": "application/xml"})
    page_ = demo.client.get(f"/records/{mine}", headers={**MUNICIPALITY, "Accept": "text/html"})
    demo.expect("the plan can be had as GGOP XML and as a page", xml.status_code == page_.status_code == 200)
    demo.client.get("/records", params={"after": page["next"]}, headers=MUNICIPALITY)


def deliveries(demo: Demo, place: str, hospital: Peer, practice: Peer, nyborg: Peer) -> None:
    """What reached the recipients that the gateway sends to, and what the sending hospital is told of it."""
    until = time.monotonic() + 20
    while time.monotonic() < until and (len(hospital.taken), len(practice.taken), len(nyborg.taken)) != (1, 6, 1):
        time.sleep(0.1)
    demo.step("13. Postrummet: det valgte sygehus var væk, da planen kom, og har den nu")
    for got in hospital.got:
        demo.say(f"{hospital.name}: {got.format} {got.message_id} → {got.behaviour}")
    demo.expect(
        "the chosen hospital has it once, as the FHIR message that it asked for", _formats(hospital) == ["fhir"]
    )
    demo.expect("it was tried twice, under one message id", len({got.message_id for got in hospital.got}) == 1)
    demo.expect("the practice has its six copies as clinical e-mails", _formats(practice) == ["xdis91"] * 6)
    demo.expect("Nyborg Kommune has its plan as GGOP", _formats(nyborg) == ["ggop"])

    demo.step("14. Afsenderen ser, hvem der har fået planen")
    message = demo.client.get(place, headers=HOSPITAL).json()
    for delivery in message["deliveries"]:
        tries = delivery["attempts"]
        demo.say(
            f"{delivery['organisation_name']}: {delivery['state']}, {tries} tries ({', '.join(delivery['roles'])})"
        )
    demo.expect(
        "everybody named by the order has it", {each["state"] for each in message["deliveries"]} == {"delivered"}
    )
    feed = demo.client.get("/messages", params={"limit": 500}, headers=HOSPITAL).json()["messages"]
    mine = [each for each in feed if place.endswith(each["message_id"])]
    demo.expect(
        "its feed says: answered, and delivered three times",
        sorted(each["kind"] for each in mine) == ["answered", "delivered", "delivered", "delivered"],
    )


def _formats(peer: Peer) -> list[str]:
    return [got.format for got in peer.taken]


def show_record(demo: Demo, record: dict[str, Any]) -> None:
    dates = record["deadlines"]
    level = record["level"]
    demo.say(
        f"{level:<14} udskrevet {record['discharged_on']}, informér senest {dates['notify_by'] or '—'}, "
        f"opstart senest {dates['start_by'] or '—'} ({record['order']})"
    )


def other_municipality(demo: Demo) -> str:
    """A municipality that has nothing to do with the plans."""
    found = demo.client.get("/directory", params={"kind": "municipality"}, headers=HOSPITAL).json()
    return next(str(gln) for each in found if (gln := each["identifiers"].get("gln")) and gln != ODENSE.gln)


def in_vans_envelope(payload: bytes) -> bytes:
    """The payload in a VANSEnvelope 1.0.4, as a hospital's network sends it."""
    namespace = "urn:oio:medcom:vans-envelope:1.0.4"
    nsmap: dict[Any, str] = {None: namespace}
    root = etree.Element(f"{{{namespace}}}VANSEnvelope", nsmap=nsmap)

    def add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
        element = etree.SubElement(parent, f"{{{namespace}}}{name}", attributes)
        element.text = text
        return element

    add(root, "SenderID", OUH.gln, EndPointType="EAN")
    add(root, "ReceiverID", ODENSE.gln, EndPointType="EAN")
    add(root, "EnvelopeIdentifier", str(uuid4()))
    add(root, "SentDateTime", datetime.now(COPENHAGEN).isoformat(timespec="seconds"))
    message = add(root, "Message")
    about = add(message, "MetaInformation")
    add(about, "Identifier", str(uuid4()))
    document = add(about, "Document")
    for name, text in (
        ("Format", "XML"),
        ("Name", "MCM:GGOP3"),
        ("Version", "GGOP100"),
        ("SizeInBytes", str(len(payload))),
    ):
        add(document, name, text)
    add(add(about, "Transport"), "Type", "reliable")
    add(message, "Data", base64.b64encode(payload).decode("ascii"))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
