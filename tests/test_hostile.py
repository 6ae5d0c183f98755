"""The hostile set, over real HTTP against a real server process.

Each gets a clear 4xx, the server's memory stays within a bound, and the next good message is accepted. Bounds are of
memory, never of time.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from lxml import etree

from ggop import NS104, ggop
from gtgateway.convert import Target
from gtgateway.demo import in_vans_envelope
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message
from serving import Server, gateway_process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory in /proc")

TOKEN = "Bearer dev:5790001354145"
NAMES = itertools.count()
#: How far one hostile message may lift the memory of the server and its workers together.
ALLOWED_KILOBYTES = 128 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with gateway_process(tmp_path_factory.mktemp("hostile")) as running:
        # What a first small and a first large message cost once (compiled tables, a worker) belongs to no attack.
        assert post(running, good()).status_code == 201
        assert post(running, ggop(need="Behov for gang. " * 5_000, discharged=yesterday())).status_code == 201
        yield running


def yesterday():
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def good() -> bytes:
    """A lawful message that was not sent before."""
    number = next(NAMES)
    return ggop(discharged=yesterday(), letter_id=f"GODT{number}", envelope_id=f"KUVERT{number}")


def post(server: Server, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.address}/messages", content=content, headers={"Authorization": TOKEN, **headers}, timeout=120
    )


@contextmanager
def memory_flat(server: Server) -> Iterator[None]:
    """What is done inside must not lift the memory of server and workers above the bound, not even shortly."""
    processes = (server.process.pid, *_children(server.process.pid))
    for process in processes:
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak counts from here
    before = sum(_kilobytes(process, "VmRSS") for process in processes)
    yield
    assert (server.process.pid, *_children(server.process.pid)) == processes
    assert sum(_kilobytes(process, "VmHWM") for process in processes) - before < ALLOWED_KILOBYTES


def _kilobytes(process: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


# --- the set ----------------------------------------------------------------------------------------------------------

PROLOGUE = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def document(inside: str, doctype: str = "") -> bytes:
    return PROLOGUE + f'{doctype}<Emessage xmlns="{NS104}">{inside}</Emessage>'.encode()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    return document("&l11;", f"<!DOCTYPE Emessage [{entities}]>")


def external_entity() -> bytes:
    return document("&secret;", '<!DOCTYPE Emessage [<!ENTITY secret SYSTEM "file:///etc/passwd">]>')


def vans_lie(pattern: bytes, lie: bytes) -> bytes:
    return re.sub(pattern, lie, in_vans_envelope(good()), count=1, flags=re.DOTALL)


def truncated() -> bytes:
    return good()[:-400]


JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + os.urandom(20_000)

HOSTILE: dict[str, tuple[Callable[[], bytes], int]] = {
    "billion laughs": (laughs, 400),
    "external entity": (external_entity, 400),
    "text of 9 MB": (lambda: ggop(need="Behov for gang. " * 562_500, discharged=yesterday()), 400),
    "100,000 deep": (lambda: document("<a>" * 100_000 + "</a>" * 100_000), 400),
    "400,000 deep and open": (lambda: document("<a>" * 400_000), 400),
    "1,000,000 elements": (lambda: document("<a/>" * 1_000_000), 400),
    "200,000 attributes": (lambda: document("<a " + " ".join(f"a{n}='1'" for n in range(200_000)) + "/>"), 400),
    "truncated": (truncated, 400),
    "wrong encoding": (lambda: ggop(encoding="ISO-8859-1", declared="UTF-8", discharged=yesterday()), 400),
    "unknown encoding": (lambda: ggop(declared="EBCDIC-DK-NO", discharged=yesterday()), 400),
    "base64 that is not": (lambda: vans_lie(rb"<Data>.*?</Data>", b"<Data>!!!!</Data>"), 422),
    "base64 that lies about its size": (lambda: vans_lie(rb"<SizeInBytes>\d+", b"<SizeInBytes>7"), 422),
    "laughs in base64": (lambda: in_vans_envelope(laughs()), 422),
    "an envelope in an envelope": (lambda: in_vans_envelope(in_vans_envelope(good())), 422),
    "a JPEG": (lambda: JPEG, 415),
    "nothing": (lambda: b"", 415),
    "zeros": (lambda: bytes(1_000_000), 415),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_refused_and_the_next_good_one_accepted(server: Server, name: str) -> None:
    make, status = HOSTILE[name]
    body = make()
    with memory_flat(server):
        answer = post(server, body)
    assert answer.status_code == status
    assert b"root:" not in answer.content
    assert post(server, good()).status_code == 201


# --- FHIR -------------------------------------------------------------------------------------------------------------


def fhir_message() -> bytes:
    """A lawful FHIR message that was not sent before."""
    return sample_message(Level.ALMEN, yesterday(), Target.FHIR, number=next(NAMES))


def with_members(members: str) -> bytes:
    """A message whose Bundle has these members as well."""
    return fhir_message().replace(b'"type":"message"', f'"type":"message",{members}'.encode(), 1)


def in_the_plan(members: str) -> bytes:
    """A message whose ServiceRequest has these members as well."""
    plan = b'"resourceType":"ServiceRequest",'
    return fhir_message().replace(plan, plan + members.encode() + b",", 1)


def with_entries(number: int, entry: str) -> bytes:
    return fhir_message().replace(b'"entry":[', b'"entry":[' + f"{entry},".encode() * number, 1)


def in_a_circle() -> bytes:
    """Every resource that may refer to another of its kind refers to itself, and one to what is not there."""
    bundle = json.loads(fhir_message())
    for entry in bundle["entry"]:
        resource = entry["resource"]
        itself = {"reference": f"{resource['resourceType']}/{resource['id']}"}
        if resource["resourceType"] in ("Organization", "Encounter"):
            resource["partOf"] = itself
        if resource["resourceType"] == "ServiceRequest":
            resource["basedOn"] = resource["replaces"] = [itself]
            resource["supportingInfo"] = [itself, {"reference": "Observation/nowhere"}]
    return json.dumps(bundle).encode()


def fhir_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    return PROLOGUE + f'<!DOCTYPE Bundle [{entities}]><Bundle xmlns="{FHIR}"><id value="&l11;"/></Bundle>'.encode()


FHIR = "http://hl7.org/fhir"
PATIENT = '{"resource":{"resourceType":"Patient","id":"x"}}'
NESTED = '{"url":"http://x.example","extension":['
#: Name -> message, status, and the rule that the answer names.
HOSTILE_FHIR: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "a Patient": (lambda: b'{"resourceType":"Patient","id":"1"}', 400, "GOP-MSG-01"),
    "a resource that is none": (lambda: b'{"resourceType":"Whatever"}', 400, "GOP-MSG-01"),
    "a resourceType that is a list": (lambda: b'{"resourceType":["Bundle"],"type":{},"entry":5}', 400, "GOP-MSG-01"),
    "a Bundle that is no message": (lambda: b'{"resourceType":"Bundle","type":"searchset"}', 400, "GOP-MSG-01"),
    "a Patient as XML": (lambda: f'<Patient xmlns="{FHIR}"><id value="1"/></Patient>'.encode(), 400, "GOP-MSG-01"),
    "100,000 entries": (lambda: with_entries(100_000, PATIENT), 400, "GOP-FHIR-03"),
    "100,000 entries that are none": (lambda: with_entries(100_000, "null"), 400, "GOP-FHIR-03"),
    "200,000 extensions": (
        lambda: in_the_plan('"modifierExtension":[' + ",".join(['{"url":"http://x"}'] * 200_000) + "]"),
        422,
        "GOP-FHIR-16",
    ),
    "500,000 members": (lambda: with_members(",".join(f'"k{n}":1' for n in range(500_000))), 422, "GOP-FHIR-05"),
    "100,000 deep": (lambda: with_members('"extension":' + "[" * 100_000 + "]" * 100_000), 400, "GOP-FHIR-03"),
    "400 extensions deep": (
        lambda: in_the_plan('"modifierExtension":[' + NESTED * 400 + '{"url":"a"}' + "]}" * 400 + "]"),
        400,
        "GOP-FHIR-03",
    ),
    "100,000 deep and open": (lambda: b'{"resourceType":' + b"[" * 100_000, 400, "GOP-FHIR-03"),
    "100,000 deep XML": (
        lambda: f'<Bundle xmlns="{FHIR}">'.encode() + b"<entry>" * 100_000 + b"</entry>" * 100_000 + b"</Bundle>",
        400,
        "GOP-XML-03",
    ),
    "a key twice": (lambda: with_members('"type":"message"'), 400, "GOP-FHIR-02"),
    "bytes that are no UTF-8": (lambda: fhir_message().replace(b"Odense", b"Od\xff\xfense", 1), 400, "GOP-FHIR-01"),
    "half a character": (lambda: fhir_message().replace(b"Odense", b"\\ud800", 1), 400, "GOP-FHIR-01"),
    "a number of 100,000 digits": (lambda: with_members('"total":' + "9" * 100_000), 400, "GOP-FHIR-01"),
    "a number of 30 digits": (lambda: with_members('"total":' + "9" * 30), 422, "GOP-FHIR-09"),
    "1e999999": (lambda: with_members('"total":1e999999'), 400, "GOP-FHIR-01"),
    "not a number": (lambda: with_members('"total":NaN'), 400, "GOP-FHIR-01"),
    "references in a circle": (in_a_circle, 422, "GOP-FHIR-"),
    "truncated": (lambda: fhir_message()[:-400], 400, "GOP-FHIR-01"),
    "billion laughs": (fhir_laughs, 400, "GOP-XML-02"),
}


@pytest.mark.parametrize("name", HOSTILE_FHIR)
def test_hostile_fhir_is_answered_in_fhir_and_the_next_good_one_accepted(server: Server, name: str) -> None:
    make, status, rule = HOSTILE_FHIR[name]
    body = make()
    with memory_flat(server):
        answer = post(server, body, Accept="application/fhir+json")
    assert answer.status_code == status
    # an acknowledgement (Bundle) where there is somebody to answer to, else an OperationOutcome
    assert answer.json()["resourceType"] == ("OperationOutcome" if status == 400 else "Bundle")
    assert rule in answer.text
    assert post(server, fhir_message()).status_code == 201


def test_fhir_in_a_vans_envelope_is_answered_in_one(server: Server) -> None:
    answer = post(server, in_vans_envelope(fhir_message()))
    assert answer.status_code == 201
    inside = json.loads(payload_of(answer.content))
    assert inside["entry"][0]["resource"]["response"]["code"] == "ok"


@pytest.mark.parametrize("broken", [lambda body: body[:-400], lambda body: body.replace(b'"message"', b'"batch"', 1)])
def test_fhir_that_cannot_be_read_in_a_vans_envelope_is_refused_by_it(
    server: Server, broken: Callable[[bytes], bytes]
) -> None:
    answer = post(server, in_vans_envelope(broken(fhir_message())))
    assert answer.status_code == 422
    assert b"NegativeMessage" in answer.content
    assert post(server, good()).status_code == 201


def payload_of(envelope: bytes) -> bytes:
    return base64.b64decode(etree.fromstring(envelope).findtext(".//{*}Data") or "")


# --- the wire ---------------------------------------------------------------------------------------------------------


def head(length: str) -> bytes:
    """The head of a POST whose body is sent by hand."""
    return f"POST /messages HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n{length}\r\n\r\n".encode()


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head("Content-Length: 200000000"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert post(server, good()).status_code == 201


def test_200_megabytes_in_pieces_are_refused_at_the_limit(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 1_000_000

    with memory_flat(server):
        assert post(server, pieces()).status_code == 413
    assert post(server, good()).status_code == 201


def test_a_compressed_bomb_is_never_unpacked(server: Server) -> None:
    bomb = gzip.compress(bytes(200_000_000))
    with memory_flat(server):
        assert post(server, bomb, **{"Content-Encoding": "gzip"}).status_code == 415
    assert post(server, good()).status_code == 201


def test_a_body_that_comes_byte_by_byte_holds_nobody_up_and_is_read(server: Server) -> None:
    body = good()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
        slow.sendall(head("Transfer-Encoding: chunked"))
        for place in range(0, 200):
            slow.sendall(b"1\r\n" + body[place : place + 1] + b"\r\n")
        assert post(server, good()).status_code == 201
        rest = body[200:]
        slow.sendall(f"{len(rest):x}\r\n".encode() + rest + b"\r\n0\r\n\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_a_hundred_bodies_that_never_end_hold_nobody_up(server: Server) -> None:
    hanging = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(100)]
    try:
        for each in hanging:
            each.sendall(head("Content-Length: 5000") + b"<?xml")
        assert post(server, good()).status_code == 201
    finally:
        for each in hanging:
            each.close()
    assert post(server, good()).status_code == 201


def test_nothing_clinical_and_no_citizen_reached_the_log(server: Server) -> None:
    said = (server.folder / "server.log").read_text(encoding="utf-8")
    assert "message_received" in said
    assert "caller_hung_up" in said
    assert "internal_error" not in said
    for secret in ("2512489996", "Berggren", "Behov for gang", "Hoftealloplastik"):
        assert secret not in said
