"""The case (forløb): what the authority has done with a plan, as events that are only ever added to.

Fields that the law may require of an event are optional here: what is required is law and belongs to rules
(GOP-LEVEL, -NOTIFY, -CHOICE). Facts about a case are read from its events; nothing is stored twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from gtgateway.model.deadlines import Deadlines
from gtgateway.model.plan import COPENHAGEN, Level, RehabilitationPlan
from gtgateway.model.route import Organisation


class EventKind(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    LEVEL_SET = "level_set"
    INFORMED = "informed"  #: the citizen was told where, when and which type (§ 6)
    OFFERED = "offered"  #: another start than the notice said
    REPLY_DEADLINE_SET = "reply_deadline_set"
    OFFER_ACCEPTED = "offer_accepted"
    CHOICE = "choice"
    FREE_CHOICE_DECLINED = "free_choice_declined"
    CITIZEN_REPORTED = "citizen_reported"  #: the citizen has agreed a start with a private provider (§ 8, stk. 1)
    FORWARDED = "forwarded"
    DEFERRED = "deferred"
    PATIENT_POSTPONED = "patient_postponed"
    RESUMED = "resumed"
    REPLACED = "replaced"
    PARALLEL = "parallel"
    REFUSED_CAPACITY = "refused_capacity"
    USEFULNESS_SCORED = "usefulness_scored"
    HOSPITAL_CHOSEN = "hospital_chosen"
    STARTED = "started"
    PHASE_SHIFT = "phase_shift"
    CLOSED = "closed"
    DISCHARGE_CORRECTED = "discharge_corrected"
    DIED = "died"
    MOVED = "moved"
    AGREEMENT_WITHDRAWN = "agreement_withdrawn"
    HANDOVER_RELEASED = "handover_released"
    HANDOVER_ACCEPTED = "handover_accepted"


class MunicipalLevel(StrEnum):
    """What the municipality decides within almen genoptræning (§ 5, stk. 3)."""

    BASAL = "basal"
    AVANCERET = "avanceret"


class StaffRole(StrEnum):
    """Who assessed the level or held the first meeting."""

    FYSIOTERAPEUT = "fysioterapeut"
    ERGOTERAPEUT = "ergoterapeut"
    LAEGE = "laege"
    SYGEPLEJERSKE = "sygeplejerske"
    ANDEN_SUNDHEDSPERSON = "anden_sundhedsperson"
    ANDEN = "anden"  #: no health person

    @property
    def is_health_person(self) -> bool:
        return self is not StaffRole.ANDEN


class Meeting(StrEnum):
    """The form of a first meeting. A call about booking is none (legal-rules 7.24); video with the therapist is."""

    INDIVIDUAL = "individual"
    GROUP = "group"
    HOME = "home"
    VIDEO = "video"
    BOOKING_CALL = "booking_call"


class ChoiceKind(StrEnum):
    OWN = "own"  #: the authority's own institution
    SUPPLIER = "supplier"  #: a supplier of the patient's own municipality
    OTHER_PUBLIC = "other_public"  #: an institution of another municipality or region (§ 7, stk. 1)
    PRIVATE = "private"  #: a private provider, because no start could be offered in time (§ 7, stk. 3)


class ClosedReason(StrEnum):
    """Why a course ended, as KL's codes tell it, and self-training (GOP-LEVEL-06)."""

    NO_NEED_CITIZEN = "no_need_citizen"
    NO_NEED_PROFESSIONAL = "no_need_professional"
    OTHER_ILLNESS = "other_illness"
    TRANSPORT_ECONOMY = "transport_economy"
    TRANSPORT_LOGISTICS = "transport_logistics"
    OTHER_TRAINING = "other_training"
    EVENT = "event"
    NO_SHOW = "no_show"
    SELF_TRAINING = "self_training"
    COMPLETED = "completed"

    @property
    def is_citizens_own(self) -> bool:
        """The citizen opted out."""
        return self in (
            ClosedReason.NO_NEED_CITIZEN,
            ClosedReason.OTHER_ILLNESS,
            ClosedReason.TRANSPORT_ECONOMY,
            ClosedReason.TRANSPORT_LOGISTICS,
            ClosedReason.OTHER_TRAINING,
        )


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """Something that happened in a case. Which fields mean something follows from the kind."""

    id: str  #: UUID that the client gave it
    kind: EventKind
    at: datetime  #: aware; when it happened
    by: str  #: id of the organisation that says so
    hospital_level: Level | None = None  #: an attempt to change the hospital's level (GOP-LEVEL-01)
    municipal_level: MunicipalLevel | None = None  #: of level_set; of informed: the type that the citizen was told
    assessor_role: StaffRole | None = None
    assessed_at: datetime | None = None
    place: str | None = None
    offered_start: date | None = None
    reply_by: date | None = None
    free_choice_info_at: datetime | None = None  #: the citizen was told of the free choice (§ 7, stk. 4)
    choice_kind: ChoiceKind | None = None
    provider_id: str | None = None  #: organisation that is chosen, agreed with or forwarded to
    private_start: date | None = None
    documentation_ref: str | None = None
    deferred_until: date | None = None
    deferral_reason: str | None = None
    performer_role: StaffRole | None = None
    meeting: Meeting | None = None
    closed_reason: ClosedReason | None = None
    discharged_on: date | None = None  #: of discharge_corrected
    #: of discharge_corrected: what the plan said then; not the caller's, it is set when the event is added
    corrects: date | None = field(default=None, compare=False)

    @property
    def on(self) -> date:
        """Local date (Europe/Copenhagen)."""
        return self.at.astimezone(COPENHAGEN).date()


#: After these nothing is owed any more.
_ENDING = (EventKind.CLOSED, EventKind.REPLACED, EventKind.DIED, EventKind.AGREEMENT_WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Case:
    """A plan and its events, oldest first. Notice, offer, choice and start are those of the phase that runs."""

    record_id: str
    plan: RehabilitationPlan  #: the latest version
    received_on: date
    municipality: Organisation | None = None  #: of residence
    region: Organisation | None = None  #: of residence
    events: tuple[CaseEvent, ...] = ()

    def with_event(self, event: CaseEvent) -> Case:
        return replace(self, events=(*self.events, self.added(event)))

    def added(self, event: CaseEvent) -> CaseEvent:
        """An event as it is added: it knows which discharge date of the plan it corrects."""
        is_correction = event.kind is EventKind.DISCHARGE_CORRECTED
        return replace(event, corrects=self.plan.discharged_on) if is_correction else event

    def last(self, *kinds: EventKind) -> CaseEvent | None:
        """The newest event of these kinds, in any phase."""
        return _last(self.events, kinds)

    @property
    def shift(self) -> CaseEvent | None:
        """The shift to the second phase of a combined plan, when it has come."""
        return self.last(EventKind.PHASE_SHIFT) if self.plan.next_level else None

    @property
    def level(self) -> Level | None:
        """The hospital's level in the phase that runs."""
        return self.plan.next_level if self.shift else self.plan.level

    @property
    def phase_events(self) -> tuple[CaseEvent, ...]:
        shift = self.shift
        return self.events[self.events.index(shift) + 1 :] if shift else self.events

    @property
    def discharged_on(self) -> date | None:
        """As corrected, else as the plan says.

        A version of the plan wins over the event when it says another date than the one that the event corrected.
        """
        stated, event = self.plan.discharged_on, self.last(EventKind.DISCHARGE_CORRECTED)
        corrected = event.discharged_on if event and event.corrects in (None, stated) else None
        return corrected or stated

    @property
    def municipal_level(self) -> MunicipalLevel | None:
        """Set for the almen phase, also before it begins."""
        assessed = self.last(EventKind.LEVEL_SET)
        return assessed.municipal_level if assessed else None

    @property
    def notice(self) -> CaseEvent | None:
        """The first notice: it meets the duty, whatever is told later."""
        return next((event for event in self.phase_events if event.kind is EventKind.INFORMED), None)

    @property
    def offer(self) -> CaseEvent | None:
        """The offer that stands."""
        offers = [event for event in self.phase_events if event.offered_start and event.kind in OFFERING]
        return offers[-1] if offers else None

    @property
    def free_choice_info_at(self) -> datetime | None:
        return next((event.free_choice_info_at for event in self.phase_events if event.free_choice_info_at), None)

    @property
    def choice(self) -> CaseEvent | None:
        """The citizen's choice, unless it was refused for capacity afterwards."""
        newest = _last(self.phase_events, (EventKind.CHOICE, EventKind.REFUSED_CAPACITY))
        return newest if newest and newest.kind is EventKind.CHOICE else None

    @property
    def free_choice_declined(self) -> bool:
        """The citizen prefers to wait: the right is closed for this phase."""
        return _last(self.phase_events, (EventKind.FREE_CHOICE_DECLINED,)) is not None

    @property
    def report(self) -> CaseEvent | None:
        """The citizen's message of an agreed private start, unless the provider refused afterwards."""
        newest = _last(self.phase_events, (EventKind.CITIZEN_REPORTED, EventKind.REFUSED_CAPACITY))
        return newest if newest and newest.kind is EventKind.CITIZEN_REPORTED else None

    @property
    def forwarded(self) -> CaseEvent | None:
        """Forwarded since the citizen last reported or chose, if the citizen did."""
        kinds = (EventKind.FORWARDED, EventKind.CITIZEN_REPORTED, EventKind.CHOICE, EventKind.REFUSED_CAPACITY)
        newest = _last(self.phase_events, kinds)
        return newest if newest and newest.kind is EventKind.FORWARDED else None

    @property
    def deferred(self) -> CaseEvent | None:
        """A deferral with date and health reason; without them it moves nothing (§ 3, stk. 2)."""
        deferral = _last(self.phase_events, (EventKind.DEFERRED,))
        return deferral if deferral and deferral.deferred_until and deferral.deferral_reason else None

    @property
    def postponed(self) -> CaseEvent | None:
        """The citizen's own postponement; it keeps the seven-day clock off, also after the course is resumed."""
        return _last(self.phase_events, (EventKind.PATIENT_POSTPONED,))

    @property
    def on_hold(self) -> bool:
        newest = _last(self.phase_events, (EventKind.PATIENT_POSTPONED, EventKind.RESUMED))
        return newest is not None and newest.kind is EventKind.PATIENT_POSTPONED

    @property
    def started(self) -> CaseEvent | None:
        """The first meeting (§ 6, stk. 4)."""
        return next((event for event in self.phase_events if event.kind is EventKind.STARTED), None)

    @property
    def ended(self) -> CaseEvent | None:
        return self.last(*_ENDING)


#: Events that may carry an offer.
OFFERING = (EventKind.INFORMED, EventKind.OFFERED)


def _last(events: tuple[CaseEvent, ...], kinds: tuple[EventKind, ...]) -> CaseEvent | None:
    return next((event for event in reversed(events) if event.kind in kinds), None)


@dataclass(frozen=True, slots=True)
class Clocks:
    """A case's dates after its events: a clock that an event switched off has no dates.

    The dates from which something is a breach are None when it was done in time or is not owed.
    """

    deadlines: Deadlines
    stopped_by: CaseEvent | None = None
    remind_notice_on: date | None = None  #: the day before the legal limit (D+3), while nobody was informed
    notice_overdue_from: date | None = None  #: the day after it (D+5)
    start_overdue_from: date | None = None
    free_choice_from: date | None = None  #: the right to a private provider; None once declined, agreed or started


@dataclass(frozen=True, slots=True)
class Handover:
    """Responsibility that passes to another kind of authority on a day (GOP-REGIME-03)."""

    since: date
    to: str  #: region
    released: bool  #: the old authority let its copy go
    accepted: bool  #: the new authority acts


@dataclass(frozen=True, slots=True)
class Agreement:
    """A provider on the list of private providers that `kept_by` keeps, both days inclusive (None = open)."""

    provider_id: str
    kept_by: str  #: KL or Danske Regioner, as `orders.toml` names them
    valid_from: date | None = None
    valid_until: date | None = None
    source: str = ""  #: where the list was read

    def valid_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class CaseStatus(StrEnum):
    """Where a case stands; `cases/status.py` says when."""

    RECEIVED = "received"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    AWAITING_HOSPITAL = "awaiting_hospital"  #: the chosen one has no room, and the patient must choose again
    LEVEL_SET = "level_set"
    INFORMED = "informed"
    REPLY_PENDING = "reply_pending"
    OFFER_ACCEPTED = "offer_accepted"
    FREE_CHOICE = "free_choice"
    FREE_CHOICE_DECLINED = "free_choice_declined"
    PRIVATE_AGREED = "private_agreed"
    FORWARDED = "forwarded"
    STARTED = "started"
    PHASE_SHIFT = "phase_shift"
    DEFERRED = "deferred"
    PATIENT_POSTPONED = "patient_postponed"
    HANDED_OVER = "handed_over"
    REPLACED = "replaced"
    CLOSED = "closed"
