"""The archive as the rest of the house sees it. SQLite and PostgreSQL stand behind the same contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from gtgateway.model.acknowledgement import Reply
from gtgateway.model.case import CaseEvent
from gtgateway.model.delivery import (
    Attempt,
    AttemptResult,
    Circuit,
    Delivery,
    DeliveryState,
    DueDelivery,
    MessageEvent,
    NewAttempt,
)
from gtgateway.model.findings import Finding
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import OriginalRef, Reading
from gtgateway.model.outcome import EarlierAnswer, Known, LetterOutcome, Outcome, Rerouted


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
    rerouted: Rerouted | None = None


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
    rerouted: Rerouted | None = None


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event of a case as it was added."""

    event: CaseEvent
    findings: tuple[Finding, ...]
    version: int  #: of the record, with it


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A record with what its case is judged from."""

    record_id: str
    version: int  #: of the record
    state: str  #: active or withdrawn
    record: bytes  #: JSON as in `StoredRecord`
    message_id: str  #: the message that the plan is read from
    letter_id: str
    received_at: datetime  #: when that message was received
    sender_gln: str
    plan_id: str
    plan_version: int
    discharged_on: date | None
    rerouted: Rerouted | None
    organisations: frozenset[str]  #: who may read it now
    deliveries: tuple[Delivery, ...]  #: of the plan's newest version
    events: tuple[KeptEvent, ...]  #: oldest first


@dataclass(frozen=True, slots=True)
class Rerouting:
    """A plan judged anew with another hospital."""

    to: Rerouted
    letter: LetterOutcome


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be added to a case, and what it does to the plan's deliveries and feeds."""

    record_id: str
    version: int  #: of the record that it was judged by
    event: CaseEvent
    findings: tuple[Finding, ...]
    received_at: datetime
    client: str
    recipient: str | None = None  #: organisation id of the recipient whose delivery it settles
    settles: DeliveryState | None = None
    reason: str | None = None  #: of that
    hospital_needed: bool = False  #: the sender is told that the patient must choose again
    shown: bool = True  #: whoever may read the record finds it in its feed
    rerouting: Rerouting | None = None


@dataclass(frozen=True, slots=True)
class AddedEvent:
    """What adding came to. `kept` None: the record has changed meanwhile, and nothing was written. Judge again."""

    kept: KeptEvent | None
    repeated: bool = False  #: an event with this id was there; `kept` is that one, perhaps with other content


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


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a sender's feed."""

    entries: tuple[MessageEvent, ...]
    next: int
    more: bool


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """What a received receipt came to."""

    ours: bool  #: it answers something that we sent to that recipient
    delivery_id: int | None = None
    repeated: bool = False  #: it came before; nothing changed
    refused: bool = False  #: the delivery is refused by it


@dataclass(frozen=True, slots=True)
class Unserved:
    """A lawful recipient that a plan has not reached in time (§ 4 "samtidig")."""

    delivery_id: int
    record_id: str
    message_id: str
    organisation_id: str
    state: str
    reason: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; every field that is set must hold. `patient` is a number and never leaves as such."""

    message_id: str | None = None  #: ours, an envelope id, a letter id, a record id or a FHIR message id
    sender_gln: str | None = None
    patient: Cpr | None = None
    organisation: str | None = None  #: directory id of a recipient
    state: str | None = None  #: of a delivery
    verdict: str | None = None
    rule: str | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None  #: exclusive
    before: str | None = None  #: message id of the last hit of the page before
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was searched for, newest first."""

    message_id: str
    received_at: datetime
    sender_gln: str
    format: str
    verdict: str
    record_ids: tuple[str, ...]
    deliveries: Mapping[str, int]  #: state -> how many


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a message's path through the gateway."""

    at: datetime
    what: str  #: received, judged, stored, attempt, answer, receipt, delivered, refused, cancelled, resent, …
    organisation_id: str | None = None
    detail: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries are looked for; every field that is set must hold."""

    states: Collection[DeliveryState]
    message_id: str | None = None  #: ours
    sender_gln: str | None = None
    organisation: str | None = None  #: directory id of the recipient
    endpoint: str | None = None
    reason: str | None = None
    since_from: datetime | None = None  #: the recipient has waited since
    since_until: datetime | None = None  #: exclusive
    before: int | None = None  #: id of the last delivery of the page before
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    """A delivery that was looked for, newest first."""

    delivery: Delivery
    message_id: str
    sender_gln: str
    since: datetime  #: the recipient has waited since


@dataclass(frozen=True, slots=True)
class UnmatchedReceipt:
    """A receipt for nothing that we sent to whoever sent it."""

    received_at: datetime
    client: str
    envelope_id: str  #: that it quotes
    letter_ids: tuple[str, ...]
    sender_gln: str | None
    receiver_gln: str | None
    positive: bool
    refuse_code: str | None


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice for a client's webhook that a worker has claimed; the same each time that it is sent."""

    client: str  #: name in the clients file
    feed: str  #: records or messages
    notice_id: str
    noticed_at: datetime  #: when it was made
    told: int  #: position up to which the client was told before
    failures: int  #: tries so far that came to nothing


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

    async def save_receipt(
        self, original: OriginalRef, digest: str, received_at: datetime, client: str, organisations: Collection[str]
    ) -> KeptReceipt:
        """Keep a received receipt, correlate it with what we sent, and move the delivery it answers.

        It answers a delivery when it quotes the message or envelope id of one of its tries and comes from its
        recipient: `organisations` are the directory ids that the caller acts for. The first final answer stands.
        """
        ...

    # --- post room ----------------------------------------------------------------------------------------------------

    async def claim(
        self, worker: str, slots: Mapping[str, int], now: datetime, until: datetime
    ) -> tuple[DueDelivery, ...]:
        """Take what is due for end-points, at most so many each; nobody else gets it before `until`.

        Oldest first, and never a version of a plan whose earlier version to the same recipient is unsettled.
        """
        ...

    async def begin(self, worker: str, attempts: Sequence[NewAttempt]) -> frozenset[int]:
        """Note tries before they are made: claimed becomes inflight. The deliveries that are still this worker's."""
        ...

    async def conclude(self, worker: str, results: Sequence[AttemptResult]) -> None:
        """Note what tries came to and move their deliveries, with an entry in the sender's feed where that is due.

        A receipt that came first stands: a settled delivery is not moved.
        """
        ...

    async def release(self, worker: str, delivery_ids: Collection[int], next_at: datetime, reason: str) -> None:
        """Give claimed deliveries back unsent."""
        ...

    async def repoint(self, endpoints: Mapping[str, str | None]) -> int:
        """Unsettled deliveries follow the directory: organisation id -> end-point, None where it pulls now."""
        ...

    async def give_up(self, now: datetime) -> tuple[Unserved, ...]:
        """Abandon what has been tried for as long as it makes sense (`give_up_at`); what was abandoned."""
        ...

    async def unserved(self, pushed_before: datetime, pulled_before: datetime) -> tuple[Unserved, ...]:
        """Lawful recipients not reached since a time, for those that we send to and those that pull."""
        ...

    async def circuits(self) -> tuple[Circuit, ...]: ...

    async def set_circuit(self, endpoint: str, circuit: Circuit | None) -> None:
        """Open an end-point's circuit, or close it (None)."""
        ...

    async def resend(
        self, delivery_ids: Collection[int], now: datetime, who: str, why: str, *, new: bool
    ) -> frozenset[int]:
        """Send dead letters again; those that could be.

        `new` False (retry): the same message again. True (resend): as a new message, whatever became of the old one.
        """
        ...

    async def abandon(self, delivery_ids: Collection[int], now: datetime, who: str, why: str) -> frozenset[int]:
        """A person gives deliveries up; those that were unsettled."""
        ...

    # --- cases --------------------------------------------------------------------------------------------------------

    async def case(self, record_id: str) -> StoredCase | None: ...

    async def add_event(self, new: NewEvent) -> AddedEvent:
        """Add an event to a case in one transaction, with the next version of the record and all that it does."""
        ...

    async def capacity_refusals(self) -> tuple[Unserved, ...]:
        """Deliveries refused for capacity by receipt, which no event of the case tells of; `since` is the receipt's."""
        ...

    # --- search and trace ---------------------------------------------------------------------------------------------

    async def search(self, query: Query) -> tuple[Hit, ...]: ...

    async def timeline(self, message_id: str) -> tuple[Moment, ...]:
        """The whole path of a message, oldest first; empty when there is none."""
        ...

    async def attempts(self, delivery_id: int) -> tuple[Attempt, ...]: ...

    async def deliveries(self, query: DeliveryQuery) -> tuple[FoundDelivery, ...]:
        """Deliveries in given states, newest first; settled ones only of a plan's newest version."""
        ...

    async def unmatched_receipts(self, before: datetime | None, limit: int) -> tuple[UnmatchedReceipt, ...]:
        """Receipts that answer nothing, newest first; `before`: only older ones."""
        ...

    async def delivery_counts(self) -> Mapping[tuple[str, str], int]:
        """(end-point or `pull`, state) -> deliveries that are unsettled, refused or abandoned."""
        ...

    # --- the sender's feed --------------------------------------------------------------------------------------------

    async def events(self, sender_glns: Collection[str], after: int, limit: int) -> EventPage:
        """What happened to the messages of senders after a position, in the order of commits."""
        ...

    async def wait_for_events(self, after: int, seconds: float) -> None:
        """Return when an event past `after` was committed, or after `seconds`."""
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

    # --- webhooks -----------------------------------------------------------------------------------------------------

    async def newest_event(self, sender_glns: Collection[str]) -> int:
        """Position of the newest event for any of the senders, 0 when there is none."""
        ...

    async def claim_notice(
        self, worker: str, client: str, feed: str, newest: int, now: datetime, until: datetime
    ) -> DueNotice | None:
        """Take the notice that is due to a client; nobody else gets it before `until`.

        The one under way, or a new one when the feed has grown to `newest` past what the client was told of; None when
        there is neither, or it is not yet time.
        """
        ...

    async def notice_taken(self, worker: str, due: DueNotice, now: datetime) -> None: ...

    async def notice_failed(self, worker: str, due: DueNotice, next_at: datetime) -> None: ...
