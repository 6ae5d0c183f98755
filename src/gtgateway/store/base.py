"""The archive as the rest of the house sees it. SQLite and PostgreSQL stand behind the same contract."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from gtgateway.model.acknowledgement import Reply
from gtgateway.model.delivery import Delivery
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import OriginalRef, Reading
from gtgateway.model.outcome import EarlierAnswer, Known, Outcome


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving came to.

    `earlier` set: another request with the same message won and nothing was written. Judge again with that answer as
    known: the winner's content may be another one.
    """

    message_id: str
    record_ids: tuple[str, ...] = ()
    earlier: EarlierAnswer | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A received message as its sender may see it; `findings` and `deadlines` are JSON as in contract.md."""

    message_id: str
    sender_gln: str
    receiver_gln: str
    format: str
    verdict: str
    received_at: datetime
    envelope_id: str
    letter_ids: tuple[str, ...]
    content_digest: str
    body_digest: str
    client: str
    summary: bytes  #: JSON: the outcome without plan, record and bodies
    record_ids: tuple[str, ...]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    record_id: str
    version: int
    record: bytes  #: JSON of the MunicipalRecord, with `record_id` and `version`
    message_id: str
    organisations: frozenset[str]  #: ids of the organisations that may read it now
    letter_id: str  #: which letter of the message it was made from
    state: str  #: active or withdrawn


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """The newest version of an active plan, and the letter that it can be read from."""

    sender_gln: str
    plan_id: str
    version: int
    discharged_on: date | None
    episode_of_care_id: str | None
    message_id: str
    letter_id: str
    received_at: datetime  #: when that letter was received


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change that a recipient may see. `record` None: access ended."""

    position: int
    organisation: str
    change: str  #: new, corrected, withdrawn, case, access_ended
    record_id: str
    version: int
    record: bytes | None


@dataclass(frozen=True, slots=True)
class FeedPage:
    entries: tuple[FeedEntry, ...]
    next: int  #: position to ask after next time
    more: bool


class Store(Protocol):
    """Every method may raise StoreUnavailable. Writing methods return after their transaction is durable."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> bool:
        """True when a write would succeed."""
        ...

    async def known(self, reading: Reading) -> Known:
        """What the archive knows of a reading: earlier answer, VANS id, copy, active plans (no residence)."""
        ...

    async def plans_of(self, patient: Cpr) -> tuple[StoredPlan, ...]:
        """The active plans of a patient, oldest first."""
        ...

    async def save(self, outcome: Outcome, body: bytes, client: str) -> Saved:
        """Keep a judged message in one transaction: message, findings, answer, plans, records, deliveries, feed.

        A refused message is kept without its body (GOP-DATA-04), and so is a notification that corrects no plan.
        Outcomes that arrive close together share one durable commit; each has its own savepoint. A replay
        (`Repeat.REPLAY`) writes nothing.
        """
        ...

    async def link_copies(self) -> None:
        """Link copies whose plan has come meanwhile, and count their receivers' deliveries as served by the sender.

        Saving does the same for what it saves; this is for what a crash or another process left.
        """
        ...

    async def waiting_copies(self, before: datetime) -> tuple[tuple[str, datetime], ...]:
        """Message id and time of the copies received before an instant that still wait for their plan."""
        ...

    async def save_receipt(self, original: OriginalRef, digest: str, received_at: datetime, client: str) -> bool:
        """Keep a received receipt and correlate it; True when it answers something that we sent."""
        ...

    async def message(self, message_id: str) -> StoredMessage | None: ...

    async def answer(self, message_id: str, layer: str = "letter") -> Reply | None:
        """The stored answer; `layer` is `letter` or `envelope`."""
        ...

    async def body(self, message_id: str) -> bytes | None:
        """The received bytes, exactly; None for a refused message."""
        ...

    async def record(self, record_id: str) -> StoredRecord | None: ...

    async def feed(self, organisations: Collection[str], after: int, limit: int) -> FeedPage:
        """Entries after a position for any of the organisations, in order of position.

        Entries of one record are folded into the latest. At the end of the feed `next` is the newest position of all,
        so that whoever waits from there is woken by new entries only.
        """
        ...

    async def newest(self, organisations: Collection[str]) -> int:
        """Position of the newest entry for them, 0 when there is none."""
        ...

    async def wait_for_feed(self, after: int, seconds: float) -> None:
        """Return when an entry past `after` was committed, or after `seconds`."""
        ...

    async def mark_sent(self, organisations: Collection[str], position: int) -> None:
        """A page up to `position` was answered: pending deliveries in it become sent."""
        ...

    async def mark_delivered(self, organisations: Collection[str], position: int, at: datetime) -> None:
        """The same client asked again at or past `position`: deliveries up to it are delivered."""
        ...
