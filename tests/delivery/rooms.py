"""A post room for tests: real archive, messages and renderings; a clock and a carrier that do as they are told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gtgateway.bootstrap import pool_from, tools_from
from gtgateway.convert import Target
from gtgateway.delivery.alarms import Alarms
from gtgateway.delivery.metrics import Metrics
from gtgateway.delivery.schedule import Schedule
from gtgateway.delivery.worker import PostRoom
from gtgateway.mappers.archive_from_outcome import record_document, summary_document
from gtgateway.model.acknowledgement import AcknowledgementCode
from gtgateway.model.delivery import Answer, Endpoint, Outgoing, Trouble
from gtgateway.model.message import Reading
from gtgateway.model.outcome import Verdict
from gtgateway.model.plan import Level
from gtgateway.peers import receipt_of
from gtgateway.pipeline import Tools, judge, read
from gtgateway.samples import sample_directory, sample_message
from gtgateway.settings import Settings
from gtgateway.store.base import Store
from gtgateway.store.sqlite import SqliteStore

#: The recipients of a specialised plan.
HOSPITAL, MUNICIPALITY, PRACTICE = "ouh-rehabilitering", "odense-kommune", "laegehuset-odense-midtby"

DISCHARGED = date(2026, 11, 5)
RECEIVED_AT = datetime(2026, 11, 6, 9, 30, tzinfo=UTC)


def posting_directory(folder: Path, address: str = "http://127.0.0.1:9", **of_endpoints: Any) -> Path:
    """The hospital takes FHIR, the municipality GGOP, the practice clinical e-mails in VANSEnvelopes."""
    ids = {HOSPITAL: "hospital", MUNICIPALITY: "municipality", PRACTICE: "vans"}
    takes = {HOSPITAL: ("fhir", False), MUNICIPALITY: ("ggop", False), PRACTICE: ("xdis91", True)}
    return sample_directory(
        folder,
        {each: {"receives": takes[each][0], "vans": takes[each][1], "endpoint": ids[each]} for each in ids},
        [{"id": each, "url": f"{address}/{each}", **of_endpoints} for each in ids.values()],
    )


def specialised(number: int = 0, to: Target = Target.FHIR) -> bytes:
    """A specialised plan for the three recipients."""
    return sample_message(Level.SPECIALISERET, DISCHARGED, to, number=number)


async def accept(store: Store, tools: Tools, body: bytes, at: datetime = RECEIVED_AT) -> str:
    """Receive a message as the gateway does; its id."""
    reading = read(body, tools)
    outcome = judge(reading, await store.known(reading), tools, at)
    assert outcome.verdict is Verdict.ACCEPTED, [each.rule for each in outcome.all_findings]
    return (await store.save(outcome, body, "hospital")).message_id


def message_id_of(reading: Reading) -> str:
    """The id that a recipient knows a message by, whatever envelope it comes in."""
    return reading.fhir.message_id if reading.fhir else reading.letters[0].head.letter_id


#: Answers by name that need no receipt.
ANSWERS = {
    "later": Answer(202),
    "silent": Answer(200),
    "refused": Answer(400),
    "busy": Answer(503),
    "asked": Answer(429, retry_after=120),
    "unauthorised": Answer(401),
    "certificate": Answer(trouble=Trouble.CERTIFICATE),
    "unreachable": Answer(trouble=Trouble.NO_CONNECTION),
    "cut": Answer(trouble=Trouble.CUT),
    "timed_out": Answer(trouble=Trouble.TIMED_OUT),
}
RECEIPTS = {
    "ok": (AcknowledgementCode.OK, 201),
    "negative": (AcknowledgementCode.FATAL_ERROR, 422),
}


@dataclass(frozen=True)
class Sent:
    """A message as the carrier got it."""

    endpoint: str
    message_id: str
    envelope_id: str
    reading: Reading
    answer: str


class Carrier:
    """Carries nothing: notes what it gets and answers by `script`. Two tries of a message at once fail the test."""

    def __init__(self, tools: Tools, clock: Callable[[], datetime]) -> None:
        self.sent: list[Sent] = []
        self.script: Callable[[str], str] = lambda _: "ok"
        self.most: Counter[str] = Counter()  #: tries at once, by end-point
        self.hanging = asyncio.Event()  #: set when a try hangs (script `hang`)
        self.hung = 0  #: tries that hang now
        self.closed = False
        self._tools = tools
        self._clock = clock
        self._under_way: Counter[str] = Counter()

    async def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Answer:
        reading = read(outgoing.body, self._tools)
        message_id = message_id_of(reading)
        name = self.script(endpoint.id)
        self.sent.append(Sent(endpoint.id, message_id, outgoing.envelope_id, reading, name))
        tried = f"{endpoint.id} {message_id}"
        self._under_way.update((endpoint.id, tried))
        assert self._under_way[tried] == 1
        self.most[endpoint.id] = max(self.most[endpoint.id], self._under_way[endpoint.id])
        try:
            if name == "hang":
                self.hanging.set()
                self.hung += 1
                try:
                    await asyncio.Event().wait()
                finally:
                    self.hung -= 1
            await asyncio.sleep(0)
        finally:
            self._under_way.subtract((endpoint.id, tried))
        if name in ANSWERS:
            return ANSWERS[name]
        code, status = RECEIPTS[name]
        return Answer(
            status, "application/fhir+json" if reading.fhir else "application/xml", self._receipt(reading, code)
        )

    def _receipt(self, reading: Reading, code: AcknowledgementCode) -> bytes:
        return receipt_of(reading, code, self._clock())

    async def close(self) -> None:
        self.closed = True


class World:
    """An archive, a clock that stands still until it is moved, and a post room on them."""

    def __init__(self, tools: Tools, store: Store, **of_schedule: Any) -> None:
        self.tools = tools
        self.store = store
        self.now = RECEIVED_AT
        self.schedule = replace(Schedule(), **of_schedule)
        self.heard: list[tuple[str, Mapping[str, str | int | None]]] = []
        self.metrics = Metrics()
        self.carrier = Carrier(tools, lambda: self.now)
        self.room = self.new_room()

    def new_room(self, store: Store | None = None) -> PostRoom:
        """Another worker, as after a restart."""
        return PostRoom(
            store or self.store,
            pool_from(Settings(workers=0), self.tools),
            self.carrier,
            self.tools.directory,
            identity=self.tools.identity,
            url="http://127.0.0.1:8000",
            schedule=self.schedule,
            alarms=Alarms(lambda event, ids: self.heard.append((event, ids))),
            metrics=self.metrics,
            clock=lambda: self.now,
            chance=random.Random(0),
        )

    async def accept(self, body: bytes) -> str:
        return await accept(self.store, self.tools, body, self.now)

    async def work(self) -> int:
        return await self.room.once(self.now)

    async def states(self, message_id: str) -> dict[str, tuple[str, str | None]]:
        """State and reason of each delivery of a message, by organisation."""
        stored = await self.store.message(message_id)
        assert stored is not None
        return {each.organisation_id: (str(each.state), each.reason) for each in stored.deliveries}


def posting_store(path: str | Path, clock: Callable[[], datetime] | None = None) -> SqliteStore:
    keeping: dict[str, Any] = {"record_document": record_document, "summary_document": summary_document}
    if clock is not None:
        keeping["clock"] = clock
    return SqliteStore(path, **keeping)


@cache
def posting_tools(directory: Path) -> Tools:
    return tools_from(Settings(directory=directory))
