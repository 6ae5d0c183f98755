"""The simulator of peers: each behaviour as the gateway's own client meets it, and what a peer remembers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import httpx
import pytest

from gtgateway.convert import Target
from gtgateway.demo import served
from gtgateway.model.plan import Level
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.peers import Behaviour, Peer, peers_running
from gtgateway.samples import OUH, sample_directory, sample_message
from gtgateway.settings import Settings
from official import Official

DAY = date(2026, 11, 5)
LETTER = sample_message(Level.ALMEN, DAY, Target.GGOP)


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer("peer")
    with peers_running(found):
        yield found


def post(peer: Peer, behaviour: Behaviour, body: bytes = LETTER) -> httpx.Response:
    peer.behave = lambda _id, _before: behaviour
    with httpx.Client(timeout=10) as client:
        return client.post(peer.address, content=body)


def code_of(answer: httpx.Response) -> tuple[bool, str]:
    receipt = read_envelope(answer.content, Limits()).receipt
    assert receipt is not None
    return receipt.positive, receipt.envelope_id


@pytest.mark.parametrize("target", [Target.GGOP, Target.XDIS91, Target.FHIR, Target.FHIR_XML])
def test_it_answers_in_the_senders_form(peer: Peer, target: Target) -> None:
    body = sample_message(Level.ALMEN, DAY, target)
    answer = post(peer, Behaviour.OK, body)
    assert answer.status_code == 200
    sent = read_envelope(body, Limits())
    assert sent.envelope is not None
    assert code_of(answer) == (True, sent.envelope.envelope_id)
    (got,) = peer.taken
    assert got.format == sent.format
    assert got.letter_id == sent.letters[0].head.letter_id


def test_the_first_verdict_stands(peer: Peer) -> None:
    assert not code_of(post(peer, Behaviour.NEGATIVE))[0]
    assert not code_of(post(peer, Behaviour.OK))[0]
    assert len(peer.taken) == 1
    assert len(peer.got) == 2


@pytest.mark.parametrize(
    ("behaviour", "status"), [(Behaviour.ERROR, 500), (Behaviour.BUSY, 429), (Behaviour.DENIED, 401)]
)
def test_what_it_does_not_take(peer: Peer, behaviour: Behaviour, status: int) -> None:
    answer = post(peer, behaviour)
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("1" if status == 429 else None)
    assert peer.taken == []


def test_it_hangs_up_when_it_has_the_message(peer: Peer) -> None:
    with pytest.raises(httpx.TransportError):
        post(peer, Behaviour.CUT_AFTER)
    assert len(peer.taken) == 1


def test_it_hangs_up_before_the_message_has_come(peer: Peer) -> None:
    """Only the head is sent here: the peer cannot have read more."""
    peer.hangs_up = lambda before: before == 0
    port = int(peer.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: peer\r\nContent-Length: 8000\r\n\r\n")
        with suppress(ConnectionResetError):
            assert caller.recv(1) == b""
    assert (peer.requests, peer.hung_up, peer.got) == (1, 1, [])
    assert post(peer, Behaviour.OK).status_code == 200
    assert (peer.requests, peer.hung_up, len(peer.got)) == (2, 1, 1)


def test_a_message_that_was_not_read_is_not_taken(peer: Peer) -> None:
    peer.hangs_up = lambda _before: True
    with pytest.raises(httpx.TransportError):
        post(peer, Behaviour.OK)
    assert (peer.hung_up, peer.got, peer.verdicts) == (1, [], {})


def test_it_answers_slowly(peer: Peer) -> None:
    began = time.monotonic()
    assert code_of(post(peer, Behaviour.TRICKLE))[0]
    assert time.monotonic() - began > 0.3


def test_a_connection_is_kept(peer: Peer) -> None:
    with httpx.Client() as client:
        assert [client.post(peer.address, content=LETTER).status_code for _ in range(3)] == [200, 200, 200]


def test_messages_are_examined_once(peer: Peer) -> None:
    peer.examine = lambda body, _message: [f"{len(body)}"]
    post(peer, Behaviour.OK)
    post(peer, Behaviour.OK)
    assert peer.faults == [f"{len(LETTER)}"]


@pytest.mark.parametrize(
    ("target", "sound", "broken"),
    [
        (Target.GGOP, b"Sent>", b"Sendt>"),
        (Target.XDIS91, b"Sent>", b"Sendt>"),
        (Target.FHIR, b'"resourceType":"Patient",', b'"resourceType":"Patient","gender":"mand",'),
    ],
)
def test_it_examines_by_the_official_definitions(
    peer: Peer, shared: Path, target: Target, sound: bytes, broken: bytes
) -> None:
    peer.examine = official = Official(shared)
    message = sample_message(Level.ALMEN, DAY, target)
    post(peer, Behaviour.OK, message)
    assert peer.faults == []
    assert sound in message
    read = read_envelope(message.replace(sound, broken), Limits())
    assert official(message, read) != []
    assert official.examined.total() == 2


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        (Behaviour.OK, "delivered"),
        (Behaviour.LATE, "delivered"),
        (Behaviour.TWICE, "delivered"),
        (Behaviour.NEGATIVE, "refused"),
        (Behaviour.NEVER, "sent"),
        (Behaviour.CUT_AFTER, "inflight"),
        (Behaviour.TRICKLE, "delivered"),
    ],
)
def test_the_gateway_and_a_peer(tmp_path: Path, peer: Peer, behaviour: Behaviour, state: str) -> None:
    """A plan for a practice that behaves so, through a real gateway."""
    peer.behave = lambda _id, _before: behaviour
    directory = sample_directory(
        tmp_path,
        {"laegehuset-odense-midtby": {"receives": "xdis91", "vans": True, "endpoint": "practice"}},
        [{"id": "practice", "url": peer.address}],
    )
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0, directory=directory)
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        peer.receipts_to, peer.token = (f"{address}/receipts",), "dev:5790999400015"
        sender = {"Authorization": f"Bearer dev:{OUH.gln}"}
        place = client.post("/messages", content=LETTER, headers=sender).headers["Location"]
        until = time.monotonic() + 10
        while True:
            deliveries = client.get(place, headers=sender).json()["deliveries"]
            (found,) = [each for each in deliveries if each["organisation_id"] == "laegehuset-odense-midtby"]
            if (found["state"] == state and found["attempts"] == 1) or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert found["state"] == state
        assert len(peer.taken) == 1
