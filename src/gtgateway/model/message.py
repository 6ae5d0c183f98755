"""A received message, read: envelope, letters, findings. Wire words stop before these types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gtgateway.model.findings import Finding, LayerResult
from gtgateway.model.identifiers import Cpr, IdentifierKind
from gtgateway.model.plan import LocalMoment, Party, RehabilitationPlan


class Format(StrEnum):
    """What a message carries. The name that callers see is `vans+ggop` when it came in a VANSEnvelope."""

    GGOP = "ggop"  #: MedCom XML Emessage/RehabilitationPlan
    XDIS91 = "xdis91"  #: clinical e-mail that carries a plan
    FHIR = "fhir"
    RECEIPT = "receipt"  #: XCTL01/02/03, a VANS receipt: never acknowledged


class Action(StrEnum):
    NEW = "new"
    CORRECTION = "correction"
    WITHDRAWAL = "withdrawal"
    COPY = "copy"  #: a copy that the sender itself sends to another receiver; linked, no second record
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class VansDocument:
    """MetaInformation of a VANSEnvelope message, as stated; a receipt repeats it."""

    message_id: str
    format: str
    name: str
    version: str | None
    size_in_bytes: int


@dataclass(frozen=True, slots=True)
class VansEnvelope:
    """VANSEnvelope 1.0.4 around a message. The four ids (two here, two in the letter) are kept apart."""

    sender_id: str
    sender_type: str  #: EAN, CVR or VANS
    receiver_id: str
    receiver_type: str
    envelope_id: str  #: UUID, compared case-sensitively
    sent_at: str  #: as stated; without zone it is Danish local time
    document: VansDocument
    reliable: bool = True


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom, and how it wants to be answered."""

    sender: Party
    receiver: Party
    envelope_id: str
    sent_at: LocalMoment | None
    wants_positive_receipt: bool  #: `pluspositivkvitt`


@dataclass(frozen=True, slots=True)
class FhirEnvelope:
    """What a FHIR message says of itself, for its answer and for telling whether it came before."""

    message_id: str  #: MessageHeader.id
    bundle_id: str | None
    event: str  #: code of MessageHeader.event
    activity: str | None  #: code of the Provenance of this message, e.g. `new-message`
    occurred_at: str | None  #: when it was sent, as its Provenance or Bundle.timestamp states it
    media_type: str  #: application/fhir+json or application/fhir+xml; the answer is in the same
    earlier: tuple[str, ...] = ()  #: messages that it corrects, withdraws or copies: MessageHeader.id or `[GLN]#[id]`
    copy_receivers: tuple[Party, ...] = ()  #: destinations `cc`, where it is a copy


@dataclass(frozen=True, slots=True)
class HospitalNotification:
    """MedCom HospitalNotification (advis om sygehusophold), as far as a plan is concerned by it."""

    activity: str | None  #: e.g. `discharge-inpatient-home`, `revise-discharge-inpatient-home`
    patient: Cpr | None
    episode_of_care_id: str | None  #: without hyphens, as the plan states it
    start: LocalMoment | None
    end: LocalMoment | None
    digest: str = ""  #: of the content, as a letter's

    @property
    def discharged(self) -> LocalMoment | None:
        """When the contact ended, where the notification says so; a cancelled one says nothing."""
        activity = self.activity or ""
        return self.end if activity.startswith(("discharge-", "revise-discharge-")) else None


@dataclass(frozen=True, slots=True)
class LetterHead:
    """Identity of one letter inside an Emessage."""

    letter_id: str
    version_code: str
    type_code: str
    statistical_code: str | None = None


@dataclass(frozen=True, slots=True)
class TraceRow:
    """Which element of the sender's document a field of the plan came from."""

    target: str  #: path in the plan, e.g. `patient.address.street` or `diagnoses[0].primary.code`
    source_path: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Trace:
    """The mapping trace of one letter: what came from where, and where a missing field would stand."""

    rows: tuple[TraceRow, ...] = ()
    #: plan path -> path in the sender's format where that field belongs (from the mapping table), for missing fields
    expected: tuple[tuple[str, str], ...] = ()
    root_line: int | None = None

    def locate(self, path: str) -> tuple[str | None, int | None]:
        """Source path and line of a plan path: the element itself, else one below it, else where it belongs."""
        for row in self.rows:
            if row.target == path:
                return row.source_path, row.line
        below = (path + ".", path + "[")
        for row in self.rows:
            if row.target.startswith(below):
                return row.source_path, row.line
        parent = path.rpartition(".")[0]
        for target, source_path in self.expected:
            if target == path:
                return source_path, self._line_of(source_path)
        return self.locate(parent) if parent else (None, self.root_line)

    def _line_of(self, source_path: str) -> int | None:
        """Line of an element that the sender wrote, by what was read in it; of the letter when it is not there."""
        inside = source_path + "/"
        lines = (row.line for row in self.rows if row.source_path == source_path or row.source_path.startswith(inside))
        return next(lines, self.root_line)

    def in_document_order(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Findings as a reader of the document meets them: by line (JSON: by entry), there by what was read first.

        What is missing stands where the letter begins; findings at one place stay as they are.
        """
        if len({_place(finding) for finding in findings}) == len(findings):
            return tuple(sorted(findings, key=_place))
        # counted from the last row up, so that the first row of a path decides and what has no row comes before all
        ranks: dict[str | None, int] = {row.source_path: -rank for rank, row in enumerate(reversed(self.rows))}
        nowhere = -len(self.rows)
        return tuple(sorted(findings, key=lambda finding: (_place(finding), ranks.get(finding.source_path, nowhere))))


_INDEX = re.compile(r"\[(\d+)\]")


def _place(finding: Finding) -> int:
    """The line, or without lines the first index of the path, counted from 1; 0 for neither."""
    if finding.line is not None:
        return finding.line
    index = _INDEX.search(finding.source_path or "")
    return int(index[1]) + 1 if index else 0


@dataclass(frozen=True, slots=True)
class Letter:
    """One plan as read: identity, content digest, plan, what reading found, and the trace."""

    head: LetterHead
    digest: str  #: SHA-256 (hex) of the exclusive C14N of the RehabilitationPlan element, or of the FHIR letter
    plan: RehabilitationPlan | None
    layers: tuple[LayerResult, ...]  #: envelope, structure, mapping, in running order
    trace: Trace = Trace()
    source_path: str = ""  #: where the letter stands in the document
    line: int | None = None
    action: Action = Action.NEW  #: what the sender wants done with it (FHIR: Provenance.activity)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for layer in self.layers for finding in layer.findings)


#: The rule under which a chosen hospital may refuse for capacity; a receipt that does so names it in its text.
CAPACITY_RULE = "GOP-CHOICE-13"


@dataclass(frozen=True, slots=True)
class OriginalRef:
    """What a received receipt points back to."""

    envelope_id: str
    letter_ids: tuple[str, ...]
    sender_gln: str | None
    receiver_gln: str | None
    positive: bool
    refuse_code: str | None = None
    refuse_text: str | None = None  #: at most 500 characters, for a person
    transient: bool = False  #: not taken for now (FHIR transient-error): to be sent again
    vans: bool = False  #: of the envelope (VANSEnvelope/Receipt): a positive one only says that it was carried

    @property
    def lacks_capacity(self) -> bool:
        """A refusal for capacity: it names the rule that allows it. No code list of MedCom or HL7 has a code for it."""
        return not self.positive and CAPACITY_RULE in (self.refuse_text or "")


@dataclass(frozen=True, slots=True)
class Reading:
    """What `pipeline.read` makes of bytes. Nothing is raised for a faulty document.

    `envelope` None: nobody to acknowledge to. Then a readable `vans` still gets a negative VANS receipt, and
    without it the caller gets a problem (400).
    """

    digest: str  #: SHA-256 (hex) of the received bytes
    size: int
    format: Format | None
    vans: VansEnvelope | None = None
    envelope: Envelope | None = None
    letters: tuple[Letter, ...] = ()
    findings: tuple[Finding, ...] = ()  #: of the message as a whole: bytes, VANS envelope, Emessage envelope
    receipt: OriginalRef | None = None  #: when the message is itself a receipt
    fhir: FhirEnvelope | None = None
    notification: HospitalNotification | None = None  #: then there are no letters

    def letter(self, letter_id: str) -> Letter | None:
        """The letter with an id."""
        return next((each for each in self.letters if each.head.letter_id == letter_id), None)

    @property
    def format_name(self) -> str | None:
        """`ggop`, `vans+ggop` …, or None when it cannot be told."""
        if self.format is None:
            return "vans" if self.vans else None
        return f"vans+{self.format}" if self.vans else str(self.format)

    @property
    def message_key(self) -> str | None:
        """Same message = same key (house.md 4): sender EAN, receiver EAN and the ordered letter ids.

        FHIR: sender organisation (GLN, else SOR code) and MessageHeader.id.
        """
        if self.envelope is None or not (self.letters or self.notification):
            return None
        if self.fhir is not None:
            sender = self.envelope.sender
            return "|".join(("fhir", sender.gln or sender.identifier(IdentifierKind.SOR) or "", self.fhir.message_id))
        parts = (self.envelope.sender.gln or "", self.envelope.receiver.gln or "")
        return "|".join((*parts, *(letter.head.letter_id for letter in self.letters)))

    @property
    def content_digest(self) -> str:
        """Same content = same digest: of the letters, not of the bytes."""
        if self.notification is not None:
            return self.notification.digest
        return "+".join(letter.digest for letter in self.letters) or self.digest
