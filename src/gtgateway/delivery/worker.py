"""The worker of the post room: claim → read anew → render → note the try → send → note what it came to.

What is due stands in the archive (decision 0015). Any number of workers may run, and none is missed when it is killed:
what it had claimed is free again after its lease, and what it had sent without noting the answer is sent again, with
the same message id, when the receipt should have been here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from gtgateway.delivery.alarms import Alarms
from gtgateway.delivery.answers import classify, read_receipt_of
from gtgateway.delivery.grouped import Grouped, first_of
from gtgateway.delivery.metrics import Metrics
from gtgateway.delivery.originals import original_of
from gtgateway.delivery.rendering import Original, render
from gtgateway.delivery.schedule import Schedule
from gtgateway.errors import GatewayError
from gtgateway.logs import log, told
from gtgateway.model.delivery import (
    Answer,
    AttemptResult,
    Circuit,
    Conclusion,
    DeliveryState,
    DueDelivery,
    Endpoint,
    NewAttempt,
    Outgoing,
)
from gtgateway.model.message import Reading
from gtgateway.model.plan import Party
from gtgateway.model.route import Organisation
from gtgateway.reading_pool import ReadingPool, read_again
from gtgateway.routing.directory import Directory
from gtgateway.store.base import Store

#: What arrives so close together is claimed, noted and concluded together.
GATHER_SECONDS = 0.01
POLL_SECONDS = 1.0  #: what no feed entry tells of is found by looking: tries that fall due, other processes
SWEEP_SECONDS = 60.0
LAST_WORDS_SECONDS = 20.0  #: most that tries under way get when the post room closes
MARGIN = timedelta(seconds=5)
INLINE_BYTES = 64_000  #: larger originals are rendered beside the event loop


#: A received message on its way from the archive.
Found = asyncio.Task[tuple[bytes, Reading] | None]


class Transport(Protocol):
    """What carries a message to an end-point and brings the answer: `delivery/client.py`."""

    async def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Answer: ...

    async def close(self) -> None: ...


class PostRoom:
    """Sends what is due, until cancelled; then lets what is under way end and gives the rest back."""

    def __init__(
        self,
        store: Store,
        pool: ReadingPool,
        client: Transport,
        directory: Directory,
        *,
        identity: Party,
        url: str,
        schedule: Schedule,
        alarms: Alarms,
        metrics: Metrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: random.Random | None = None,
    ) -> None:
        """`identity` and `url`: the gateway's own, as sender and as the place where receipts go.

        `client` is closed when the post room closes.
        """
        self._store = store
        self._pool = pool
        self._client = client
        self._directory = directory
        self._identity = identity
        self._url = url
        self._schedule = schedule
        self._alarms = alarms
        self._metrics = metrics
        self._clock = clock
        self._chance = chance or random.Random()
        self._name = uuid.uuid4().hex
        self._begin = Grouped[NewAttempt, frozenset[int]](lambda each: store.begin(self._name, each))
        self._conclude = Grouped[AttemptResult, None](lambda each: store.conclude(self._name, each))
        self._under_way: Counter[str] = Counter()  #: by end-point: claimed and not yet answered
        self._circuits: dict[str, Circuit] = {}
        self._circuits_change = asyncio.Lock()
        self._probes: set[int] = set()  #: deliveries that were claimed to probe an end-point
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()  #: something was concluded: more may be due
        self._stopping = False

    async def run(self) -> None:
        """Work until cancelled. An archive that is away is waited for; nothing that a peer does ends this."""
        sweeping = asyncio.create_task(self._keep_sweeping(), name="post-room-sweeps")
        pointed = away = False
        try:
            while True:
                try:
                    if not pointed:  # before anything is sent: rows may name end-points of an older directory
                        await self._repoint()
                        pointed = True
                    self._moved.clear()
                    position = (await self._store.feed((), 0, 1)).next  # before claiming: nothing falls in between
                    await self._start(self._clock())
                    away = False
                except GatewayError as error:
                    if not away:
                        log.warning("post_room_waits", reason=type(error).__name__)
                    away = True
                    await asyncio.sleep(POLL_SECONDS)
                except Exception as error:
                    log.error("post_room_failed", **told(error))
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    await self._wait(position)
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            sweeping.cancel()
            await self._stop()
            await asyncio.gather(sweeping, return_exceptions=True)

    async def once(self, now: datetime) -> int:
        """One round: what is due at `now` is tried and concluded; how many that were. Raises StoreUnavailable."""
        claimed = await self._start(now)
        while self._tasks:
            await asyncio.wait(self._tasks)
        return claimed

    async def sweep(self, now: datetime) -> None:
        """Give up what was tried long enough, and alarm for whom a plan has not reached. Raises StoreUnavailable."""
        await self._repoint()
        for each in await self._store.give_up(now):
            self._alarms.sound(
                "delivery_abandoned",
                delivery_id=each.delivery_id,
                record_id=each.record_id,
                message_id=each.message_id,
                organisation_id=each.organisation_id,
                reason=each.reason,
            )
        schedule = self._schedule
        self._alarms.unserved(
            await self._store.unserved(now - schedule.unserved_after, now - schedule.unserved_pulled_after)
        )

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep(self._clock())
            except Exception as error:
                log.error("post_room_not_swept", **told(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _repoint(self) -> None:
        await self._store.repoint({each.id: each.endpoint for each in self._directory.all})

    async def _wait(self, position: int) -> None:
        """Until something new was committed, something moved, or for a second."""
        await first_of(self._store.wait_for_feed(position, POLL_SECONDS), self._moved.wait())

    async def _stop(self) -> None:
        self._stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=LAST_WORDS_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._client.close()

    # --- claim --------------------------------------------------------------------------------------------------------

    async def _start(self, now: datetime) -> int:
        """Claim what is due and begin with it in the background; how many."""
        async with self._circuits_change:
            self._circuits = {each.endpoint: each for each in await self._store.circuits()}
        slots = self._slots(now)
        due = await self._store.claim(self._name, slots, now, now + self._schedule.lease) if slots else ()
        readings: dict[str, Found] = {}  # a message is read once for all its recipients
        for each in due:
            self._under_way[each.endpoint] += 1
            if circuit := self._circuits.get(each.endpoint):
                self._probes.add(each.delivery_id)
                await self._later(circuit, now)
            if each.message_id not in readings:
                readings[each.message_id] = asyncio.create_task(read_again(each.message_id, self._store, self._pool))
            task = asyncio.create_task(self._deliver(each, readings[each.message_id]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(due)

    def _slots(self, now: datetime) -> dict[str, int]:
        """How many more tries each end-point takes: none while its circuit is open, one when it may be probed."""
        slots = {}
        for endpoint in self._directory.endpoints.values():
            most = endpoint.concurrency
            if circuit := self._circuits.get(endpoint.id):
                most = 1 if circuit.probe_at <= now else 0
            if (free := most - self._under_way[endpoint.id]) > 0:
                slots[endpoint.id] = free
        return slots

    # --- one delivery -------------------------------------------------------------------------------------------------

    async def _deliver(self, due: DueDelivery, reading: Found) -> None:
        """One delivery that was claimed, until it is noted what that came to. A fault of ours ends here."""
        try:
            try:
                result = await self._tried(due, reading)
            finally:
                self._probes.discard(due.delivery_id)
                self._under_way[due.endpoint] -= 1
            if result is not None:
                await self._note(result, due)
        except Exception as error:
            log.error("delivery_failed", delivery_id=due.delivery_id, **told(error))

    async def _tried(self, due: DueDelivery, reading: Found) -> AttemptResult | None:
        """What a try came to; None when none was made and the clock finds the delivery again."""
        try:
            found = await reading
        except GatewayError:
            await self._give_back(due, "postponed")
            return None
        if due.ambiguous and due.resends >= self._schedule.resends:
            return self._given_up(due, "no_receipt")
        if found is None:
            return self._given_up(due, "body_gone")
        original = original_of(*found, due, self._directory)
        if original is None:
            return self._given_up(due, "cannot_render")
        receiver = self._directory.by_id(due.organisation_id)
        if receiver is None or receiver.endpoint != due.endpoint:  # the operator's directory has changed
            await self._give_back(due, "endpoint_changed")
            return None
        endpoint = self._directory.endpoints[due.endpoint]
        try:
            outgoing = await self._rendered(original, due, receiver, endpoint)
        except Exception as error:  # whatever it stumbles over, it is one plan's trouble
            log.error("cannot_render", delivery_id=due.delivery_id, **told(error))
            return self._given_up(due, "cannot_render")
        if self._stopping:
            await self._give_back(due, "postponed")
            return None
        started = self._clock()
        if not await self._begun(due, endpoint, outgoing, started):
            return None
        answer = await self._client.send(endpoint, outgoing)
        return await self._result(due, outgoing, answer, started)

    async def _rendered(
        self, original: Original, due: DueDelivery, receiver: Organisation, endpoint: Endpoint
    ) -> Outgoing:
        work = partial(
            render,
            original,
            due,
            receiver,
            endpoint,
            self._identity,
            self._url,
            self._directory,
            self._clock(),
        )
        return await asyncio.to_thread(work) if len(original.body) > INLINE_BYTES else work()

    async def _begun(self, due: DueDelivery, endpoint: Endpoint, outgoing: Outgoing, started: datetime) -> bool:
        """Note a try before its first byte leaves; False when the delivery is somebody else's by now."""
        # never while its answer may still come
        unknown_until = started + max(self._schedule.receipt_wait, timedelta(seconds=endpoint.timeout) + MARGIN)
        attempt = NewAttempt(due.delivery_id, started, outgoing.envelope_id, outgoing.vans_id, unknown_until)
        try:
            return due.delivery_id in await self._begin(attempt)
        except GatewayError:
            return False

    async def _give_back(self, due: DueDelivery, reason: str) -> None:
        """Let a claimed delivery be claimed again, a little later."""
        with contextlib.suppress(GatewayError):  # then after the lease
            later = self._clock() + self._schedule.retry_first
            await self._store.release(self._name, (due.delivery_id,), later, reason)

    def _given_up(self, due: DueDelivery, reason: str) -> AttemptResult:
        """A person decides what becomes of it."""
        conclusion = Conclusion.AMBIGUOUS if due.ambiguous else Conclusion.REFUSED
        return AttemptResult(
            due.delivery_id, "", self._clock(), conclusion, reason, None, DeliveryState.ABANDONED, None
        )

    async def _result(self, due: DueDelivery, outgoing: Outgoing, answer: Answer, started: datetime) -> AttemptResult:
        """Where an answer takes a delivery, and the circuit of its end-point."""
        receipt = read_receipt_of(answer)
        verdict = classify(answer, receipt, outgoing)
        now = self._clock()
        next_at = None
        match verdict.conclusion:
            case Conclusion.DELIVERED:
                state = DeliveryState.DELIVERED
            case Conclusion.REFUSED:
                state = DeliveryState.REFUSED
            case Conclusion.SENT:
                state, next_at = DeliveryState.SENT, now + self._schedule.receipt_wait
            case Conclusion.AMBIGUOUS:
                state, next_at = DeliveryState.INFLIGHT, started + self._schedule.receipt_wait
            case Conclusion.TRANSIENT:
                state, next_at = DeliveryState.PENDING, now + self._pause(due.attempts + 1, answer.retry_after)
            case Conclusion.ENDPOINT:
                circuit = await self._at_fault(due.endpoint, verdict.reason, now)
                state, next_at = DeliveryState.PENDING, circuit.probe_at
        if due.delivery_id in self._probes and answer.status and verdict.conclusion is not Conclusion.ENDPOINT:
            await self._is_well(due.endpoint)
        return AttemptResult(
            due.delivery_id,
            outgoing.envelope_id,
            now,
            verdict.conclusion,
            verdict.reason,
            verdict.detail,
            state,
            next_at,
            hashlib.sha256(answer.body).hexdigest() if receipt is not None else None,
        )

    async def _note(self, result: AttemptResult, due: DueDelivery) -> None:
        """Write a result, for as long as it takes: until then the delivery counts as inflight."""
        while True:
            try:
                await self._conclude(result)
                break
            except GatewayError:
                await asyncio.sleep(POLL_SECONDS)
        self._moved.set()  # its end-point takes another one, and the next version of the plan may go
        self._metrics.tried(due.endpoint, result.conclusion)
        if result.state in (DeliveryState.REFUSED, DeliveryState.ABANDONED):
            self._alarms.sound(
                f"delivery_{result.state}",
                delivery_id=due.delivery_id,
                record_id=due.record_id,
                message_id=due.message_id,
                organisation_id=due.organisation_id,
                reason=result.reason,
            )

    # --- circuits -----------------------------------------------------------------------------------------------------

    def _pause(self, failures: int, asked: float | None = None) -> timedelta:
        return self._schedule.backoff(failures, self._chance, asked)

    async def _later(self, circuit: Circuit, now: datetime) -> None:
        """A probe leaves: until it is answered nobody else makes one."""
        failures = circuit.failures + 1
        async with self._circuits_change:
            await self._set(replace(circuit, failures=failures, probe_at=now + self._pause(failures)))

    async def _at_fault(self, endpoint: str, reason: str, now: datetime) -> Circuit:
        """The circuit of an end-point that is at fault; that it opens is told to a person at once."""
        async with self._circuits_change:
            if found := self._circuits.get(endpoint):  # a probe, or a try that was under way when it opened
                return found
            opened = Circuit(endpoint, reason, 1, now, now + self._pause(1), alarmed=True)
            self._alarms.sound("endpoint_at_fault", endpoint=endpoint, reason=reason)
            await self._set(opened)
            return opened

    async def _is_well(self, endpoint: str) -> None:
        async with self._circuits_change:
            log.info("endpoint_well", endpoint=endpoint)
            self._circuits.pop(endpoint, None)
            with contextlib.suppress(GatewayError):  # then another probe closes it
                await self._store.set_circuit(endpoint, None)

    async def _set(self, circuit: Circuit) -> None:
        self._circuits[circuit.endpoint] = circuit
        with contextlib.suppress(GatewayError):  # then the next try finds out again
            await self._store.set_circuit(circuit.endpoint, circuit)
