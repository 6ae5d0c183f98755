"""Whatever peers answer, whenever workers die, whatever time it is: deliveries go by the one table of states."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rooms import HOSPITAL, MUNICIPALITY, PRACTICE, World, posting_store, specialised

from gtgateway.model.acknowledgement import AcknowledgementCode
from gtgateway.model.delivery import Delivery, DeliveryState
from gtgateway.peers import receipt_of
from gtgateway.pipeline import Tools, read
from gtgateway.samples import later_message

T = TypeVar("T")
S = DeliveryState

ENDPOINTS = {HOSPITAL: "hospital", MUNICIPALITY: "municipality", PRACTICE: "vans"}

#: Where an answer takes a delivery.
TABLE = {
    "ok": S.DELIVERED,
    "negative": S.REFUSED,
    "refused": S.REFUSED,
    "later": S.SENT,
    "silent": S.SENT,
    "busy": S.PENDING,
    "asked": S.PENDING,
    "unreachable": S.PENDING,
    "unauthorised": S.PENDING,
    "certificate": S.PENDING,
    "cut": S.INFLIGHT,
    "timed_out": S.INFLIGHT,
}
UNKNOWN = {"later", "silent", "cut", "timed_out", "hang"}  #: nobody knows yet, or ever, whether it arrived

STEPS = [1, 10, 61, 16 * 60, 31 * 60, 6 * 3600, 26 * 3600, 10 * 86400]


class Course(RuleBasedStateMachine):
    """Plans, corrections, withdrawals, answers, receipts, deaths and clocks in any order."""

    tools: Tools

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.does(self._new_world())
        self.messages: list[str] = []  #: received message ids, in order
        self.plans: dict[int, bytes] = {}  #: plan number -> newest body that may be corrected
        self.script: dict[str, str] = dict.fromkeys(ENDPOINTS.values(), "ok")
        self.world.carrier.script = lambda endpoint: self.script[endpoint]
        self.settled: dict[int, S] = {}
        self.seen = 0  #: tries that were looked at

    def does(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _new_world(self) -> World:
        store = posting_store(":memory:")
        await store.open()
        return World(self.tools, store)

    def teardown(self) -> None:
        self.does(self.world.store.close())
        self.loop.close()

    # --- what hospitals do --------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.send_plan()

    @precondition(lambda self: len(self.plans) < 3)
    @rule()
    def send_plan(self) -> None:
        number = len(self.plans)
        self.plans[number] = specialised(number)
        self.messages.append(self.does(self.world.accept(self.plans[number])))

    @precondition(lambda self: any(self.plans.values()) and len(self.messages) < 7)
    @rule(data=st.data(), withdraw=st.booleans())
    def change_plan(self, data: st.DataObject, withdraw: bool) -> None:
        number = data.draw(st.sampled_from([each for each, body in self.plans.items() if body]))
        message_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {len(self.messages)}"))
        body = later_message(self.plans[number], message_id, "retract-message" if withdraw else "modified-message")
        self.messages.append(self.does(self.world.accept(body)))
        if withdraw:
            self.plans[number] = b""

    # --- what recipients do -------------------------------------------------------------------------------------------

    @rule(endpoint=st.sampled_from(sorted(ENDPOINTS.values())), answer=st.sampled_from(sorted(TABLE)))
    def answers(self, endpoint: str, answer: str) -> None:
        self.script[endpoint] = answer

    @precondition(lambda self: self.world.carrier.sent)
    @rule(data=st.data(), good=st.booleans())
    def receipt_comes(self, data: st.DataObject, good: bool) -> None:
        """A receipt for any try that was ever made, on time, late or again."""
        sent = data.draw(st.sampled_from(self.world.carrier.sent))
        code = AcknowledgementCode.OK if good else AcknowledgementCode.FATAL_ERROR
        body = receipt_of(sent.reading, code, self.world.now)
        original = read(body, self.tools).receipt
        assert original is not None
        organisation = next(each for each, endpoint in ENDPOINTS.items() if endpoint == sent.endpoint)
        kept = self.does(
            self.world.store.save_receipt(original, str(hash(body)), self.world.now, "recipient", {organisation})
        )
        assert kept.ours

    # --- what time and workers do -------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STEPS))
    def time_passes(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule()
    def half_an_hour_without_receipts(self) -> None:
        self.script = dict.fromkeys(ENDPOINTS.values(), "cut")
        self.world.now += timedelta(minutes=31)
        self.work()

    @rule()
    def work(self) -> None:
        before = self.deliveries()
        self.does(self.world.work())
        self.judge_round(before)

    @rule(endpoint=st.sampled_from(sorted(ENDPOINTS.values())))
    def worker_dies(self, endpoint: str) -> None:
        """Killed with one end-point's tries on the wire: nobody will ever say what came of them."""
        answer, self.script[endpoint] = self.script[endpoint], "hang"
        before = self.deliveries()
        self.does(self._die())
        self.judge_round(before)
        self.script[endpoint] = answer

    async def _die(self) -> None:
        working = asyncio.ensure_future(self.world.work())
        while not working.done() and not 0 < self.world.carrier.hung == len(self.world.room._tasks):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        tasks = [working, *self.world.room._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.world.room = self.world.new_room()

    @rule()
    def sweep(self) -> None:
        before = self.deliveries()
        self.does(self.world.room.sweep(self.world.now))
        for delivery_id, delivery in self.deliveries().items():
            if delivery.state != before[delivery_id].state:
                assert (before[delivery_id].state, delivery.state) == (S.PENDING, S.ABANDONED)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def deliveries(self) -> dict[int, Delivery]:
        found = {}
        for message_id in self.messages:
            stored = self.does(self.world.store.message(message_id))
            assert stored is not None
            found.update({each.delivery_id: each for each in stored.deliveries})
        return found

    def judge_round(self, before: dict[int, Delivery]) -> None:
        """Every delivery that was tried is where its answer takes it; the others stay, or were given up or settled."""
        tried = self.world.carrier.sent[self.seen :]
        self.seen = len(self.world.carrier.sent)
        answers = {each.envelope_id: each.answer for each in tried}
        after = self.deliveries()
        for delivery_id, now in after.items():
            attempts = self.does(self.world.store.attempts(delivery_id))
            new = [each for each in attempts if each.envelope_id in answers]
            assert len(new) <= 1
            was = before[delivery_id]
            if new:
                assert not was.state.is_settled
                answer = answers[new[0].envelope_id]
                assert now.state == (S.INFLIGHT if answer == "hang" else TABLE[answer])
            elif now.state != was.state:
                assert (now.state, now.reason) == (S.ABANDONED, "no_receipt")
                assert was.state in (S.INFLIGHT, S.SENT)

    @invariant()
    def a_delivery_is_one_message(self) -> None:
        """The same message id in every try, a new envelope id in each, at most two after one that nobody answered."""
        by_envelope = {each.envelope_id: each for each in self.world.carrier.sent}
        assert len(by_envelope) == len(self.world.carrier.sent)
        for delivery_id in self.deliveries():
            attempts = self.does(self.world.store.attempts(delivery_id))
            sent = [by_envelope[each.envelope_id] for each in attempts]
            assert len({each.message_id for each in sent}) <= 1
            assert len({each.endpoint for each in sent}) <= 1
            resent = sum(1 for each in sent[:-1] if each.answer in UNKNOWN)
            assert resent <= 2

    @invariant()
    def versions_arrive_in_their_order(self) -> None:
        """To one recipient no version of a plan leaves after a later one has left."""
        order: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        place = {each.envelope_id: number for number, each in enumerate(self.world.carrier.sent)}
        for delivery_id, delivery in self.deliveries().items():
            for attempt in self.does(self.world.store.attempts(delivery_id)):
                order[delivery.record_id, delivery.organisation_id].append(
                    (place[attempt.envelope_id], delivery.version)
                )
        for tries in order.values():
            versions = [version for _, version in sorted(tries)]
            assert versions == sorted(versions)


def test_any_course(posting: Tools) -> None:
    Course.tools = posting
    run_state_machine_as_test(
        Course,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
