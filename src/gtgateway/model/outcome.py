"""What `pipeline.judge` concludes, before anything is done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from gtgateway.model.acknowledgement import Acknowledgement, Reply
from gtgateway.model.deadlines import Deadlines, DeadlineStep
from gtgateway.model.findings import Finding, LayerResult, Severity
from gtgateway.model.message import Action, Letter, Reading
from gtgateway.model.record import MunicipalRecord
from gtgateway.model.route import Route


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNREADABLE = "unreadable"


class OrderBasis(StrEnum):
    """Which date chose the order (readings no. 15)."""

    DISCHARGE = "discharge"
    EXPECTED_DISCHARGE = "expected_discharge"
    PLAN_DATE = "plan_date"
    RECEIPT = "receipt"
    EARLIEST_LIVE = "earliest_live"


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """The stored answer to the same message (house.md 4)."""

    message_id: str
    content_digest: str
    accepted: bool
    status: int  #: HTTP status of the first answer
    acknowledgement: Acknowledgement


@dataclass(frozen=True, slots=True)
class ActivePlan:
    """A plan of the same patient that is already stored and not closed (GOP-SCOPE-05)."""

    plan_key: str
    discharged_on: str | None
    episode_of_care_id: str | None
    main_diagnosis: str | None


TOP_SCORE = 10  #: of QualityHints


@dataclass(frozen=True, slots=True)
class QualityHints:
    """Machine quality score 0 to 10 with what a therapist would miss (a hint, never a verdict)."""

    score: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A hospital that was chosen after the plan came (GOP-CHOICE-13), by organisation id."""

    hospital: str
    instead_of: str  #: the hospital that the plan names


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up for a reading. `Known()` = nothing is known, as in `check` and the bench."""

    answer: EarlierAnswer | None = None
    vans_id_used: bool = False  #: the VANS envelope id came before, on another message
    copy_of: str | None = None  #: record id, when sender and letter id belong to a plan sent to another receiver
    active_plans: Mapping[str, tuple[ActivePlan, ...]] = field(default_factory=dict)  #: per letter id
    external: LayerResult | None = None  #: what a FHIR validator elsewhere says, where one is set up
    residence: Mapping[str, str] = field(default_factory=dict)  #: letter id -> kommunekode from the register
    #: letter id -> newest version of its plan, where one is stored
    stored_plans: Mapping[str, int] = field(default_factory=dict)
    #: letter id -> the discharge date that this version of a plan corrects (GOP-DATE-11)
    corrected_from: Mapping[str, date] = field(default_factory=dict)
    #: letter id -> hospital that was chosen after its plan came
    rerouted: Mapping[str, Rerouted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """The verdict on one letter and all that follows from it."""

    letter: Letter
    verdict: Verdict
    action: Action
    order_id: str | None
    order_basis: OrderBasis | None
    layers: tuple[LayerResult, ...]
    deadlines: Deadlines | None = None
    route: Route | None = None
    record: MunicipalRecord | None = None
    quality: QualityHints | None = None
    #: how each date came about, worked out only when somebody asks
    deadline_steps: Callable[[], tuple[DeadlineStep, ...]] = field(default=tuple, compare=False, repr=False)
    served: tuple[str, ...] = ()  #: of a copy: ids of the organisation that it went to, and of what it is a unit of

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found, in the order of the document."""
        return self.letter.trace.in_document_order(tuple(f for layer in self.layers for f in layer.findings))


@dataclass(frozen=True, slots=True)
class Correction:
    """A stored plan judged anew, because a message about something else corrects it (HospitalNotification)."""

    sender_gln: str  #: of the plan
    letter: LetterOutcome


class Repeat(StrEnum):
    """What the duplicate table says about a message that came before (house.md 4)."""

    NONE = "none"
    REPLAY = "replay"  #: same content: the first answer again, nothing processed
    CHANGED_AFTER_OK = "changed_after_ok"  #: refused, plan untouched, alert
    CHANGED_AFTER_REFUSAL = "changed_after_refusal"  #: judged anew with a warning
    VANS_ID_REUSED = "vans_id_reused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything concluded about one message. All letters are accepted or none is."""

    reading: Reading
    verdict: Verdict
    repeat: Repeat
    letters: tuple[LetterOutcome, ...]
    findings: tuple[Finding, ...]  #: of the message as a whole
    acknowledgement: Acknowledgement | None  #: None: unreadable, or the message is a receipt
    reply: Reply
    envelope_receipt: Reply | None  #: the VANS receipt, always kept
    received_at: datetime
    corrections: tuple[Correction, ...] = ()  #: stored plans that an accepted notification corrects

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        return (*self.findings, *(finding for letter in self.letters for finding in letter.findings))

    def count(self, severity: Severity) -> int:
        return sum(1 for finding in self.all_findings if finding.severity is severity)

    @property
    def counted(self) -> str:
        """How many findings of each severity: `warning=2, information=1`."""
        found = [finding.severity for finding in self.all_findings]
        return ", ".join(f"{severity}={count}" for severity in Severity if (count := found.count(severity)))
