"""What must go out, and each try, apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from gtgateway.model.message import Action
from gtgateway.model.outcome import Rerouted


class DeliveryState(StrEnum):
    PENDING = "pending"  #: to be sent (again): what was tried before has certainly not arrived
    CLAIMED = "claimed"  #: a worker has taken it and has not sent it
    INFLIGHT = "inflight"  #: sent without an answer: nobody knows whether it arrived
    SENT = "sent"  #: waits for a receipt; for a recipient that pulls: a page with it was answered
    DELIVERED = "delivered"  #: the recipient's receipt, or its next pull, says so
    REFUSED = "refused"  #: the recipient's negative receipt, or an answer as final as one: to a person
    ABANDONED = "abandoned"  #: given up, by the clock or by a person
    CANCELLED = "cancelled"  #: a later version takes its place
    SERVED_BY_SENDER = "served_by_sender"  #: the sender sent this recipient a copy itself

    @property
    def has_arrived(self) -> bool:
        """The recipient has the plan."""
        return self in (DeliveryState.DELIVERED, DeliveryState.SERVED_BY_SENDER)

    @property
    def is_settled(self) -> bool:
        """Nothing more happens by itself; the next version may go."""
        return self not in UNSETTLED


#: States of deliveries that still move by themselves.
UNSETTLED = (DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.INFLIGHT, DeliveryState.SENT)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages are sent to, from the directory. Secrets never show in its text."""

    id: str
    url: str
    concurrency: int = 4  #: most tries at a time, of one process
    rate: float | None = None  #: most tries a second, of one process; None: no limit
    timeout: float = 30.0  #: seconds for one try, all in all
    fhir_xml: bool = False  #: FHIR as XML instead of JSON
    bearer: str | None = field(default=None, repr=False)  #: fixed token
    token_url: str | None = None  #: OAuth2 client credentials
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    certificate: Path | None = None  #: own certificate and key for mutual TLS (PEM)
    key: Path | None = None
    authorities: Path | None = None  #: certificate authorities to trust instead of the usual ones (PEM)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of our own, ready to leave. `body` holds a citizen's data: it never shows in its text."""

    body: bytes = field(repr=False)
    media_type: str = "application/xml"
    envelope_id: str = ""  #: Bundle.id or Envelope/Identifier, new in each try
    vans_id: str | None = None  #: VANSEnvelope/EnvelopeIdentifier
    receipt_due: bool = True  #: False only where the receiver's format knows none
    message_id: str | None = None  #: FHIR: MessageHeader.id, which an acknowledgement quotes


class Trouble(StrEnum):
    """Why there is no proper HTTP answer."""

    NO_CONNECTION = "no_connection"  #: refused, unreachable, or cut before anything was sent
    NAME = "name"  #: the host name is unknown
    CERTIFICATE = "certificate"  #: TLS fails: theirs, or they refuse ours
    FORBIDDEN_ADDRESS = "forbidden_address"  #: an address that we do not call
    NO_TOKEN = "no_token"  #: the token end-point refuses us  # noqa: S105
    CUT = "cut"  #: cut after sending began
    TIMED_OUT = "timed_out"  #: no whole answer in time, after sending began
    TOO_LARGE = "too_large"  #: the answer is larger than any receipt, or its headers are


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP: a status with a bounded body, or trouble."""

    status: int | None = None
    media_type: str = ""
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None  #: seconds
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    record_id: str
    version: int
    organisation_id: str
    organisation_name: str
    roles: tuple[str, ...]
    state: DeliveryState
    attempts: int
    updated_at: datetime
    delivery_id: int = 0
    endpoint: str | None = None  #: id of the end-point that it is sent to; None: the recipient pulls
    next_at: datetime | None = None  #: when something is due: the next try, or the end of waiting for a receipt
    reason: str | None = None  #: why it is where it is: a code of `delivery/answers.py`, or of the receipt


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that a worker has claimed, with all that is needed to send it."""

    delivery_id: int
    message_uuid: str  #: our own message's id, the same in every try (FHIR: MessageHeader.id)
    endpoint: str
    organisation_id: str
    record_id: str
    plan_id: str
    sender_gln: str  #: of the plan
    plan_version: int
    action: Action  #: new, correction or withdrawal
    message_id: str  #: the received message that this version was made from
    letter_id: str
    received_at: datetime
    discharged_on: date | None  #: as it is known now: a notification may have corrected the plan's own
    roles: tuple[str, ...]
    attempts: int  #: so far
    resends: int  #: of these, how many were sent again because nobody knew whether the one before arrived
    give_up_at: datetime
    ambiguous: bool = False  #: the try before was sent and stayed without its receipt
    rerouted: Rerouted | None = None  #: the patient has chosen another hospital than the message names


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """A try that is about to be made. It is on the disk before the first byte leaves."""

    delivery_id: int
    started_at: datetime
    envelope_id: str  #: ours, new in each try: Envelope/Identifier or Bundle.id
    vans_id: str | None  #: VANSEnvelope/EnvelopeIdentifier, where there is one
    unknown_until: datetime  #: without any word by then it counts as sent and unanswered


class Conclusion(StrEnum):
    """What one try came to (part of the table in `delivery/answers.py`)."""

    DELIVERED = "delivered"  #: a positive receipt came with the answer
    SENT = "sent"  #: taken; the receipt comes later
    REFUSED = "refused"  #: permanent for this message
    ENDPOINT = "endpoint"  #: the end-point is at fault: its circuit opens, the delivery loses no try
    TRANSIENT = "transient"  #: certainly not taken: again later
    AMBIGUOUS = "ambiguous"  #: nobody knows


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What a try came to, and where the delivery goes."""

    delivery_id: int
    envelope_id: str
    finished_at: datetime
    conclusion: Conclusion
    reason: str  #: code, e.g. `http_503`, `no_connection`, `certificate`; never content
    detail: str | None  #: at most 500 characters for a person, e.g. a refusal's text; never content of the plan
    state: DeliveryState
    next_at: datetime | None
    #: digest of the receipt that came in the answer, so that the same one on `/receipts` is known
    receipt_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Circuit:
    """An end-point that is at fault, for every process that sends."""

    endpoint: str
    reason: str
    failures: int  #: in a row
    opened_at: datetime
    probe_at: datetime  #: then one delivery is tried
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, as it is shown."""

    started_at: datetime
    finished_at: datetime | None
    envelope_id: str
    result: str | None  #: a `Conclusion`
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """What happened to a sender's message, for its feed."""

    position: int
    message_id: str
    kind: str  #: answered, delivered, refused, abandoned, withdrawn, new_hospital_needed
    at: datetime
    organisation_id: str | None = None
    organisation_name: str | None = None
    reason: str | None = None
    detail: str | None = None
