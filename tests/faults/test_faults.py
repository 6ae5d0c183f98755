"""The fault run: a small one is good, and its judge says so when something is not."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from judging import Count, Evidence, Pulled, judge
from traffic import Sending

from gtgateway.model.plan import Level
from gtgateway.peers import Behaviour, Got
from gtgateway.samples import sample_plan

#: Longer than a letter has room for: recipients of letters know it by another one.
PLAN_ID = "genoptraeningsplan-0000000000001"
PLAN = replace(sample_plan(Level.ALMEN, date(2026, 11, 5)), plan_id=PLAN_ID)
NEW = Sending(PLAN, 1, "new", b"", "", lawful=True)
CORRECTION = Sending(PLAN, 2, "correction", b"", "", lawful=True)
WITHDRAWAL = Sending(PLAN, 3, "withdrawal", b"", "", lawful=True)
COURSE = (NEW, CORRECTION, WITHDRAWAL)
PEER, PULLER, STRANGER = "nyborg-kommune", "odense-kommune", "laegehuset-odense-midtby"
BEGAN = datetime(2026, 11, 6, 9, tzinfo=UTC)


@pytest.mark.slow
def test_nothing_is_lost_while_everything_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    run = runpy.run_path(str(Path(__file__).with_name("__main__.py")))
    count, figures = run["faults"](25, 2, pause=(1.5, 2.5), senders=1)
    assert not count.bad, (count.complaints, figures)
    assert count.accepted + count.rejected > 25
    assert count.delivered > 20
    assert count.pulled > 5
    assert sum(figures["killed"].values()) >= 2
    assert figures["examined"] or "../shared is not beside this checkout" in capsys.readouterr().out


# --- the judge --------------------------------------------------------------------------------------------------------


def got(sending: Sending, *, after: float = 0, behaviour: Behaviour = Behaviour.OK, **other: Any) -> Got:
    """A FHIR message as a peer took it, so many seconds after the run began."""
    version = sending.version
    taken = Got(
        at=BEGAN + timedelta(seconds=10 * version + after),
        message_id=f"m{version}",
        envelope_id="",
        letter_id=f"gateway#{PLAN_ID}",
        digest=f"d{version}",
        action=sending.action,
        format="fhir",
        behaviour=behaviour,
        taken=True,
    )
    return replace(taken, **other)


def delivery(organisation: str, state: str, reason: str | None = None) -> dict[str, Any]:
    return {"organisation_id": organisation, "state": state, "reason": reason}


def good() -> Evidence:
    """Three versions of a plan, sent to a peer and pulled by a municipality that missed the second."""
    changes = {1: "new", 3: "withdrawn"}
    return Evidence(
        plans=[COURSE],
        lawful={PLAN_ID: frozenset({PEER, PULLER})},
        answers={each.key: 201 for each in COURSE},
        states={
            each.key: {
                "record_ids": ["r"],
                "deliveries": [delivery(PEER, "delivered"), delivery(PULLER, "delivered")],
            }
            for each in COURSE
        },
        got={PEER: [got(each) for each in COURSE], STRANGER: []},
        puller=PULLER,
        pulled=[Pulled("r", change, version, position=version) for version, change in changes.items()],
    )


def state(evidence: Evidence, sending: Sending, organisation: str, state: str, reason: str | None = None) -> None:
    """What the gateway says of one delivery instead."""
    told = evidence.states[sending.key]["deliveries"]
    told[:] = [each for each in told if each["organisation_id"] != organisation]
    if state:
        told.append(delivery(organisation, state, reason))


def untaken(evidence: Evidence, *sendings: Sending) -> None:
    versions = {f"m{each.version}" for each in sendings}
    evidence.got[PEER] = [each for each in evidence.got[PEER] if each.message_id not in versions]


def tried(evidence: Evidence, *behaviours: Behaviour) -> None:
    """The withdrawal was given up; how the peer behaved at each try of it."""
    untaken(evidence, WITHDRAWAL)
    tries = [got(WITHDRAWAL, after=4 * number, behaviour=each) for number, each in enumerate(behaviours)]
    evidence.got[PEER] = [*evidence.got[PEER], *tries]
    state(evidence, WITHDRAWAL, PEER, "abandoned", "no_receipt")


def test_a_good_run() -> None:
    count = judge(good())
    assert count == Count(accepted=3, delivered=3, pulled=3)


def superseded(evidence: Evidence) -> None:
    untaken(evidence, CORRECTION)
    state(evidence, CORRECTION, PEER, "cancelled", "superseded")


def never_sent(evidence: Evidence) -> None:
    untaken(evidence, *COURSE)
    state(evidence, NEW, PEER, "cancelled", "superseded")
    state(evidence, CORRECTION, PEER, "cancelled", "superseded")
    state(evidence, WITHDRAWAL, PEER, "cancelled", "never_sent")


def refused(evidence: Evidence) -> None:
    evidence.got[PEER] = [got(NEW), got(CORRECTION), got(WITHDRAWAL, behaviour=Behaviour.NEGATIVE)]
    state(evidence, WITHDRAWAL, PEER, "refused", "ikke_specificeret")


def never_answered(evidence: Evidence) -> None:
    tried(evidence, Behaviour.NEVER, Behaviour.CUT_AFTER, Behaviour.NEVER)


def answered_to_a_killed_worker(evidence: Evidence) -> None:
    tried(evidence, Behaviour.OK, Behaviour.NEVER)
    evidence.worker_killed = [BEGAN + timedelta(seconds=31)]


def not_read(evidence: Evidence) -> None:
    tried(evidence)
    evidence.hung_up = {PEER: 3}


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (superseded, {"delivered": 2, "replaced": 1}),
        (never_sent, {"delivered": 0, "replaced": 3}),
        (refused, {"delivered": 2, "refused": 1}),
        (never_answered, {"delivered": 2, "abandoned": 1, "retried": 2}),
        (answered_to_a_killed_worker, {"delivered": 2, "abandoned": 1, "retried": 1}),
        (not_read, {"delivered": 2, "abandoned": 1}),
    ],
)
def test_what_may_happen(happens: Callable[[Evidence], None], expected: dict[str, int]) -> None:
    evidence = good()
    happens(evidence)
    assert judge(evidence) == replace(Count(accepted=3, pulled=3), **expected)


def nothing_told(evidence: Evidence) -> None:
    state(evidence, NEW, PEER, "")


def cancelled_without_a_later_one(evidence: Evidence) -> None:
    untaken(evidence, WITHDRAWAL)
    state(evidence, WITHDRAWAL, PEER, "cancelled", "superseded")


def cancelled_correction_without_a_reason(evidence: Evidence) -> None:
    untaken(evidence, CORRECTION)
    state(evidence, CORRECTION, PEER, "cancelled")


def superseded_by_what_went_nowhere(evidence: Evidence) -> None:
    untaken(evidence, CORRECTION, WITHDRAWAL)
    state(evidence, CORRECTION, PEER, "cancelled", "superseded")
    state(evidence, WITHDRAWAL, PEER, "cancelled", "superseded")


def never_sent_although_it_was(evidence: Evidence) -> None:
    untaken(evidence, WITHDRAWAL)
    state(evidence, WITHDRAWAL, PEER, "cancelled", "never_sent")


def correction_never_sent(evidence: Evidence) -> None:
    untaken(evidence, NEW, CORRECTION)
    state(evidence, NEW, PEER, "cancelled", "superseded")
    state(evidence, CORRECTION, PEER, "cancelled", "never_sent")


def given_up_although_answered(evidence: Evidence) -> None:
    tried(evidence, Behaviour.NEVER, Behaviour.OK, Behaviour.NEVER)


def given_up_although_a_receipt_came_late(evidence: Evidence) -> None:
    tried(evidence, Behaviour.NEVER, Behaviour.LATE, Behaviour.NEVER)
    evidence.worker_killed = [BEGAN + timedelta(seconds=35)]


def given_up_too_early(evidence: Evidence) -> None:
    tried(evidence, Behaviour.NEVER)


def given_up_for_another_reason(evidence: Evidence) -> None:
    untaken(evidence, WITHDRAWAL)
    state(evidence, WITHDRAWAL, PEER, "abandoned", "cannot_render")


def not_pulled(evidence: Evidence) -> None:
    del evidence.pulled[-1]


def pulled_cancelled_without_a_reason(evidence: Evidence) -> None:
    state(evidence, CORRECTION, PULLER, "cancelled")


def pulled_never_sent_although_seen(evidence: Evidence) -> None:
    state(evidence, WITHDRAWAL, PULLER, "cancelled", "never_sent")


def lawful_and_told_to_nobody(evidence: Evidence) -> None:
    evidence.lawful = {PLAN_ID: frozenset({PEER, PULLER, "region"})}
    for each in COURSE:
        state(evidence, each, "region", "delivered")


def taken_by_a_stranger(evidence: Evidence) -> None:
    evidence.got[STRANGER] = [got(NEW)]


def meant_for_a_stranger(evidence: Evidence) -> None:
    state(evidence, NEW, STRANGER, "cancelled", "superseded")


def taken_and_sent_by_nobody(evidence: Evidence) -> None:
    evidence.got[PEER] = [*evidence.got[PEER], got(NEW, letter_id="F2")]


def refused_and_sent_on(evidence: Evidence) -> None:
    evidence.plans = [(replace(NEW, lawful=False),)]
    evidence.lawful = {PLAN_ID: frozenset()}
    evidence.answers = {NEW.key: 422}
    evidence.states, evidence.pulled = {}, []
    evidence.got[PEER] = [got(NEW)]


def pulled_by_a_stranger(evidence: Evidence) -> None:
    evidence.lawful = {PLAN_ID: frozenset({PEER})}
    for each in COURSE:
        state(evidence, each, PULLER, "")


def pulled_and_sent_by_nobody(evidence: Evidence) -> None:
    evidence.pulled.append(Pulled("other", "new", 1, 9))


def two_message_ids(evidence: Evidence) -> None:
    evidence.got[PEER] = [*evidence.got[PEER], got(NEW, after=1, message_id="m9")]


def two_letter_ids(evidence: Evidence) -> None:
    evidence.got[PEER] = [got(NEW, format="ggop", message_id=each, letter_id=each) for each in sorted(NEW.letter_ids)]
    evidence.plans, evidence.pulled = [(NEW,)], evidence.pulled[:1]


def another_content(evidence: Evidence) -> None:
    evidence.got[PEER] = [*evidence.got[PEER], got(NEW, after=1, digest="d9")]


def two_records(evidence: Evidence) -> None:
    evidence.states[NEW.key]["record_ids"] = ["s"]
    evidence.pulled[0] = replace(evidence.pulled[0], record_id="s")
    evidence.pulled.reverse()


def pulled_twice(evidence: Evidence) -> None:
    evidence.pulled.append(replace(evidence.pulled[-1], position=9))


def taken_in_another_order(evidence: Evidence) -> None:
    evidence.got[PEER] = [got(NEW), got(CORRECTION, after=15), got(WITHDRAWAL)]


def pulled_in_another_order(evidence: Evidence) -> None:
    evidence.pulled.reverse()


def delivered_and_never_taken(evidence: Evidence) -> None:
    untaken(evidence, WITHDRAWAL)


def delivered_and_refused(evidence: Evidence) -> None:
    evidence.got[PEER] = [got(NEW), got(CORRECTION), got(WITHDRAWAL, behaviour=Behaviour.NEGATIVE)]


def refused_and_taken(evidence: Evidence) -> None:
    state(evidence, WITHDRAWAL, PEER, "refused")


def cancelled_and_taken(evidence: Evidence) -> None:
    state(evidence, CORRECTION, PEER, "cancelled", "superseded")


def another_change(evidence: Evidence) -> None:
    evidence.pulled[-1] = replace(evidence.pulled[-1], change="corrected")


def still_moving(evidence: Evidence) -> None:
    state(evidence, WITHDRAWAL, PEER, "inflight")


def unanswered(evidence: Evidence) -> None:
    del evidence.answers[WITHDRAWAL.key], evidence.pulled[-1]
    evidence.pulled.append(Pulled("r", "corrected", 2, 2))


def accepted_and_unlawful(evidence: Evidence) -> None:
    evidence.plans = [(replace(NEW, lawful=False), CORRECTION, WITHDRAWAL)]


def examined(evidence: Evidence) -> None:
    evidence.faults = ["SCHEMAV_ELEMENT_CONTENT /Emessage"]


@pytest.mark.parametrize(
    ("happens", "bad"),
    [
        (nothing_told, {"lost": 1}),
        (cancelled_without_a_later_one, {"lost": 1}),
        (cancelled_correction_without_a_reason, {"lost": 1}),
        (superseded_by_what_went_nowhere, {"lost": 2}),
        (never_sent_although_it_was, {"lost": 1}),
        (correction_never_sent, {"lost": 2}),
        (given_up_although_answered, {"lost": 1}),
        (given_up_although_a_receipt_came_late, {"lost": 1}),
        (given_up_too_early, {"lost": 1}),
        (given_up_for_another_reason, {"lost": 1}),
        (not_pulled, {"lost": 1}),
        (pulled_cancelled_without_a_reason, {"lost": 1}),
        (pulled_never_sent_although_seen, {"lost": 1}),
        (lawful_and_told_to_nobody, {"lost": 1}),
        (taken_by_a_stranger, {"misrouted": 1}),
        (meant_for_a_stranger, {"misrouted": 1}),
        (taken_and_sent_by_nobody, {"misrouted": 1}),
        (refused_and_sent_on, {"misrouted": 1}),
        (pulled_by_a_stranger, {"misrouted": 1}),
        (pulled_and_sent_by_nobody, {"misrouted": 1}),
        (two_message_ids, {"doubled": 1}),
        (two_letter_ids, {"doubled": 1}),
        (another_content, {"doubled": 1}),
        (two_records, {"doubled": 1, "inversions": 1}),
        (pulled_twice, {"doubled": 1}),
        (taken_in_another_order, {"inversions": 1}),
        (pulled_in_another_order, {"inversions": 1}),
        (delivered_and_never_taken, {"untold": 1}),
        (delivered_and_refused, {"untold": 1}),
        (refused_and_taken, {"untold": 1}),
        (cancelled_and_taken, {"untold": 1}),
        (another_change, {"untold": 1}),
        (still_moving, {"unsettled": 1}),
        (unanswered, {"unanswered": 1}),
        (accepted_and_unlawful, {"wrong_verdicts": 1}),
        (examined, {"malformed": 1}),
    ],
)
def test_what_must_not_happen(happens: Callable[[Evidence], None], bad: dict[str, int]) -> None:
    evidence = good()
    happens(evidence)
    count = judge(evidence)
    assert count.bad == bad, count.complaints
    assert len(count.complaints) == sum(bad.values())
