"""The judge of a fault run: from what the outside saw, how much was lost, misrouted, doubled or out of order.

Nothing is asked here and nothing waited for. What a gateway says of a delivery is believed only as far as what the
recipient took, or pulled, bears it out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from traffic import Key, Sending

from gtgateway.peers import Behaviour, Got

Course = tuple[Sending, ...]
#: What a peer took, by plan and version.
Taken = Mapping[Key, Sequence[Got]]

#: What the feed of records says of a plan's message.
CHANGES = {"new": "new", "correction": "corrected", "withdrawal": "withdrawn"}
#: A message goes out so often without a receipt before it is left to a person.
MOST_UNANSWERED = 3
#: So long after a peer has answered, the answer can be lost with the worker that waited for it.
ON_ITS_WAY = timedelta(seconds=2)
_UNKNOWN = ("", 0)


@dataclass(frozen=True, slots=True)
class Pulled:
    """An entry of the feed, as the municipality that pulls saw it."""

    record_id: str
    change: str
    version: int
    position: int


@dataclass(slots=True)
class Evidence:
    """What the outside saw of a run."""

    plans: Sequence[Course]
    lawful: Mapping[str, frozenset[str]]  #: plan id -> whom the order names
    answers: dict[Key, int] = field(default_factory=dict)  #: status of each message's answer
    states: dict[Key, dict[str, Any]] = field(default_factory=dict)  #: what the gateway says of it in the end
    got: dict[str, Sequence[Got]] = field(default_factory=dict)  #: by recipient that is sent to
    hung_up: Mapping[str, int] = field(default_factory=dict)
    puller: str = ""
    pulled: list[Pulled] = field(default_factory=list)
    worker_killed: Sequence[datetime] = ()
    faults: Sequence[str] = ()  #: of what the peers took, by the official definitions


#: What must not be: `untold` is what the gateway says otherwise than the recipient knows it.
FAULTS = (
    "lost",
    "misrouted",
    "doubled",
    "inversions",
    "unanswered",
    "wrong_verdicts",
    "unsettled",
    "untold",
    "malformed",
)


@dataclass(slots=True)
class Count:
    """What is counted."""

    accepted: int = 0
    rejected: int = 0
    delivered: int = 0  #: to a lawful recipient, exactly once in effect
    pulled: int = 0
    refused: int = 0
    abandoned: int = 0  #: without a receipt, as often as it was sent
    replaced: int = 0  #: by a later version that went instead, or taken back unsent
    retried: int = 0  #: tries beyond the first, all under the same message id
    bad: Counter[str] = field(default_factory=Counter)  #: of `FAULTS`; none in a good run
    complaints: list[str] = field(default_factory=list)  #: each of these, with ids

    def complain(self, fault: str, *about: object) -> None:
        self.bad[fault] += 1
        self.complaints.append(" ".join(map(str, (fault, *about))))


def judge(evidence: Evidence) -> Count:
    """Count a run."""
    count = Count()
    for fault in evidence.faults:
        count.complain("malformed", fault)
    taken = {name: _by_version(got, evidence.plans) for name, got in evidence.got.items()}
    pulled: dict[str, list[Pulled]] = defaultdict(list)
    for entry in evidence.pulled:
        pulled[entry.record_id].append(entry)
    for course in evidence.plans:
        plan_id = course[0].key[0]
        lawful = evidence.lawful[plan_id]
        accepted = _accepted(count, evidence, course)
        records = {each for sending in accepted for each in evidence.states[sending.key]["record_ids"]}
        if len(records) > 1:
            count.complain("doubled", plan_id, "has several records")
        entries = [entry for each in sorted(records) for entry in pulled.pop(each, ())]
        if entries and evidence.puller not in lawful:
            count.complain("misrouted", plan_id, evidence.puller, "has pulled it")
        for organisation in lawful:
            if organisation in taken:
                _count_pushed(count, evidence, accepted, organisation, taken[organisation])
            else:
                seen = entries if organisation == evidence.puller else ()
                _count_pulled(count, evidence, accepted, organisation, seen)
        for name, found in taken.items():
            if name not in lawful and any(found[sending.key] for sending in course):
                count.complain("misrouted", plan_id, name, "has taken it")
            _count_inversions(count, course, name, found)
        for sending in accepted:
            told = {each["organisation_id"] for each in evidence.states[sending.key]["deliveries"]}
            for name in told - lawful:
                count.complain("misrouted", sending.key, name, "is to have it")
    for name, found in taken.items():
        for got in found[_UNKNOWN]:
            count.complain("misrouted", got.letter_id, name, "has taken what nobody sent")
    for record in pulled:
        count.complain("misrouted", record, evidence.puller, "has pulled what nobody sent")
    count.retried = sum(len(got) - len({each.message_id for each in got}) for got in evidence.got.values())
    return count


def _accepted(count: Count, evidence: Evidence, course: Course) -> list[Sending]:
    """The messages of a plan that were accepted; its sender sends none after one that was not."""
    accepted = []
    for sending in course:
        status = evidence.answers.get(sending.key)
        if status is None:
            count.complain("unanswered", sending.key)
        elif status != (201 if sending.lawful else 422):
            count.complain("wrong_verdicts", sending.key, status)
        count.rejected += status == 422
        if status != 201:
            break
        accepted.append(sending)
    count.accepted += len(accepted)
    return accepted


def _count_pushed(
    count: Count, evidence: Evidence, accepted: Sequence[Sending], organisation: str, taken: Taken
) -> None:
    """What became of each version of a plan at a recipient that is sent to."""
    deliveries = _deliveries(evidence, accepted, organisation)
    had = False
    reached: list[bool] = []  #: for each version, whether an earlier one was taken
    for sending in accepted:
        reached.append(had)
        had = had or bool(taken[sending.key])
    for index, (sending, delivery) in enumerate(zip(accepted, deliveries, strict=True)):
        tries = taken[sending.key]
        about = (sending.key, organisation)
        if len({(got.message_id, got.digest) for got in tries}) > 1:
            count.complain("doubled", *about, *(f"{got.message_id}/{got.digest[:8]}" for got in tries))
        refused = [got.behaviour is Behaviour.NEGATIVE for got in tries[:1]]  # its first verdict stands
        state, reason = _state(delivery)
        if (state in ("delivered", "refused") and refused != [state == "refused"]) or (state == "cancelled" and tries):
            count.complain("untold", *about, state, *(got.behaviour for got in tries))
        match state:
            case "delivered":
                count.delivered += 1
            case "refused":
                count.refused += 1
            case "abandoned" if reason == "no_receipt" and _never_answered(evidence, organisation, tries):
                count.abandoned += 1
            case "cancelled" if _replaced_rightly(index, accepted, deliveries, reached):
                count.replaced += 1
            case None | "abandoned" | "cancelled":
                count.complain("lost", *about, state, reason, *(got.behaviour for got in tries))
            case _:
                count.complain("unsettled", *about, state, reason)


def _count_pulled(
    count: Count, evidence: Evidence, accepted: Sequence[Sending], organisation: str, entries: Sequence[Pulled]
) -> None:
    """What became of each version of a plan at a recipient that pulls; entries may be folded into the latest."""
    deliveries = _deliveries(evidence, accepted, organisation)
    reached = [any(entry.version < sending.version for entry in entries) for sending in accepted]
    for index, (sending, delivery) in enumerate(zip(accepted, deliveries, strict=True)):
        state, reason = _state(delivery)
        match state:
            case "delivered":
                count.pulled += 1
            case "cancelled" if _replaced_rightly(index, accepted, deliveries, reached):
                count.replaced += 1
            case None | "abandoned" | "cancelled":
                count.complain("lost", sending.key, organisation, state, reason)
            case _:
                count.complain("unsettled", sending.key, organisation, state, reason)
    changes = {sending.version: CHANGES[sending.action] for sending in accepted}
    for entry in entries:
        if changes.get(entry.version) != entry.change:
            count.complain("untold", entry)
    for earlier, later in pairwise(entries):
        if later.version == earlier.version:
            count.complain("doubled", later)
        if later.version < earlier.version or later.position <= earlier.position:
            count.complain("inversions", earlier, later)
    if accepted and accepted[-1].version not in {entry.version for entry in entries}:
        count.complain("lost", accepted[-1].key, organisation, "was not pulled")


def _count_inversions(count: Count, course: Course, name: str, taken: Taken) -> None:
    """A version that was taken before an earlier one of the same plan."""
    firsts = [min(got.at for got in found) for sending in course if (found := taken[sending.key])]
    for earlier, later in pairwise(firsts):
        if later < earlier:
            count.complain("inversions", course[0].key[0], name)


def _state(delivery: dict[str, Any] | None) -> tuple[str | None, str | None]:
    return (delivery["state"], delivery["reason"]) if delivery else (None, None)


def _deliveries(evidence: Evidence, accepted: Sequence[Sending], organisation: str) -> list[dict[str, Any] | None]:
    return [
        next(
            (each for each in evidence.states[sending.key]["deliveries"] if each["organisation_id"] == organisation),
            None,
        )
        for sending in accepted
    ]


def _replaced_rightly(
    index: int, accepted: Sequence[Sending], deliveries: Sequence[dict[str, Any] | None], reached: Sequence[bool]
) -> bool:
    """Whether nothing had to go: the next version went instead, or a withdrawal had nothing to take back."""
    state, reason = _state(deliveries[index])
    if state != "cancelled":
        return state in ("delivered", "refused", "abandoned")
    if reason == "never_sent":
        return accepted[index].action == "withdrawal" and not reached[index]
    later = index + 1
    return reason == "superseded" and later < len(accepted) and _replaced_rightly(later, accepted, deliveries, reached)


def _never_answered(evidence: Evidence, organisation: str, tries: Sequence[Got]) -> bool:
    """Whether no receipt can have come: none was given, or the worker was killed that waited for it."""
    killed = evidence.worker_killed
    unseen = evidence.hung_up.get(organisation, 0) + len(killed)
    return len(tries) + unseen >= MOST_UNANSWERED and all(
        got.behaviour in (Behaviour.NEVER, Behaviour.CUT_AFTER)
        or (
            got.behaviour not in (Behaviour.LATE, Behaviour.TWICE)  # whose receipts are brought until they are taken
            and any(got.at <= at <= got.at + ON_ITS_WAY for at in killed)
        )
        for got in tries
    )


def _by_version(came: Sequence[Got], plans: Sequence[Course]) -> Taken:
    """What a peer took, by plan and version; what belongs to none stands under `_UNKNOWN`."""
    by_letter = {letter_id: each.key for course in plans for each in course for letter_id in each.letter_ids}
    by_action = {(each.key[0], each.action): each.key for course in plans for each in course}
    found: dict[Key, list[Got]] = defaultdict(list)
    for got in came:
        if got.taken:
            # A forwarded FHIR message names the hospital with the plan's id: it is no longer the sender.
            in_fhir = by_action.get((got.letter_id.rpartition("#")[2], got.action))
            found[in_fhir if got.format == "fhir" and in_fhir else by_letter.get(got.letter_id, _UNKNOWN)].append(got)
    return found
