"""The worker: where each answer takes a delivery, what waits for what, who is alarmed, and that nothing ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from rooms import HOSPITAL, MUNICIPALITY, PRACTICE, RECEIVED_AT, Sent, World, specialised

from gtgateway.convert import Target
from gtgateway.delivery import worker
from gtgateway.errors import StoreUnavailable
from gtgateway.model.delivery import AttemptResult, DueDelivery, NewAttempt, Outgoing
from gtgateway.pipeline import Tools
from gtgateway.samples import later_message

pytestmark = pytest.mark.anyio

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CORRECTION = "11111111-2222-4333-8444-555555555555"
WITHDRAWAL = "22222222-2222-4333-8444-555555555555"


class Store:
    """The world's archive, but for what a test puts in the place of one of its methods."""

    def __init__(self, world: World, **instead: Any) -> None:
        self._store = world.store
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._store, name)


async def settled(world: World, hours: int = 6) -> None:
    """Work until nothing is due for hours."""
    until = world.now + timedelta(hours=hours)
    while world.now < until:
        await world.work()
        world.now += MINUTE


def to(endpoint: str, world: World) -> list[Sent]:
    return [each for each in world.carrier.sent if each.endpoint == endpoint]


async def test_each_recipient_gets_what_it_takes_in_one_round(world: World) -> None:
    message_id = await world.accept(specialised())
    assert await world.work() == 3
    formats = {each.endpoint: each.reading.format_name for each in world.carrier.sent}
    assert formats == {"hospital": "fhir", "municipality": "ggop", "vans": "vans+xdis91"}
    states = await world.states(message_id)
    assert {each: state for each, (state, _) in states.items()} == dict.fromkeys(
        (HOSPITAL, MUNICIPALITY, PRACTICE), "delivered"
    )
    assert await world.work() == 0
    assert not world.heard


#: Where an answer takes a delivery, and when it is due again: seconds, from and to.
TABLE = [
    ("ok", "delivered", None),
    ("negative", "refused", None),
    ("refused", "refused", None),
    ("later", "sent", (1800, 1800)),
    ("silent", "sent", (1800, 1800)),
    ("busy", "pending", (5, 10)),
    ("asked", "pending", (120, 120)),
    ("unreachable", "pending", (5, 10)),
    ("unauthorised", "pending", (5, 10)),
    ("certificate", "pending", (5, 10)),
    ("cut", "inflight", (1800, 1800)),
    ("timed_out", "inflight", (1800, 1800)),
]


@pytest.mark.parametrize(("answer", "state", "due"), TABLE, ids=[answer for answer, *_ in TABLE])
async def test_where_an_answer_takes_a_delivery(
    world: World, answer: str, state: str, due: tuple[int, int] | None
) -> None:
    message_id = await world.accept(specialised())
    world.carrier.script = lambda endpoint: answer if endpoint == "hospital" else "ok"
    await world.work()
    stored = await world.store.message(message_id)
    assert stored is not None
    (delivery,) = (each for each in stored.deliveries if each.organisation_id == HOSPITAL)
    assert delivery.state == state
    assert delivery.attempts == (0 if answer in ("unauthorised", "certificate") else 1)  # the end-point's fault
    if due is None:
        assert delivery.next_at is None
    else:
        assert delivery.next_at is not None
        first, last = (RECEIVED_AT + each * SECOND for each in due)
        assert first <= delivery.next_at <= last
        world.now = delivery.next_at - SECOND
        assert await world.work() == 0
        world.now = delivery.next_at
        assert await world.work() == 1
    others = {each.state for each in stored.deliveries if each.organisation_id != HOSPITAL}
    assert others == {"delivered"}


@pytest.mark.parametrize("answer", ["negative", "refused"])
async def test_a_refusal_is_alarmed_for_with_ids_only(world: World, answer: str) -> None:
    message_id = await world.accept(specialised())
    world.carrier.script = lambda endpoint: answer if endpoint == "hospital" else "ok"
    await world.work()
    ((event, ids),) = world.heard
    assert event == "delivery_refused"
    assert ids.keys() == {"delivery_id", "record_id", "message_id", "organisation_id", "reason"}
    assert (ids["message_id"], ids["organisation_id"]) == (message_id, HOSPITAL)


async def test_what_stays_unanswered_is_sent_twice_more_as_the_same_message_then_a_person_decides(world: World) -> None:
    message_id = await world.accept(specialised())
    world.carrier.script = lambda endpoint: "cut" if endpoint == "hospital" else "ok"
    for _ in range(3):
        await world.work()
        world.now += 30 * MINUTE
    sent = to("hospital", world)
    assert len(sent) == 3
    assert len({each.message_id for each in sent}) == 1
    assert len({each.envelope_id for each in sent}) == 3
    assert not world.heard
    assert await world.work() == 1
    assert len(to("hospital", world)) == 3
    assert (await world.states(message_id))[HOSPITAL] == ("abandoned", "no_receipt")
    assert [(event, ids["reason"]) for event, ids in world.heard] == [("delivery_abandoned", "no_receipt")]


async def test_what_certainly_did_not_arrive_is_tried_without_limit_and_less_and_less_often(world: World) -> None:
    message_id = await world.accept(specialised())
    world.carrier.script = lambda endpoint: "busy" if endpoint == "hospital" else "ok"
    await settled(world)
    tries = len(to("hospital", world))
    assert 6 * 60 / 16 < tries < 6 * 60 / 7 + 8
    assert (await world.states(message_id))[HOSPITAL][0] == "pending"
    world.carrier.script = lambda _: "ok"
    await settled(world, 1)
    assert (await world.states(message_id))[HOSPITAL][0] == "delivered"
    assert len({each.message_id for each in to("hospital", world)}) == 1


# --- order ------------------------------------------------------------------------------------------------------------


async def test_a_correction_waits_until_the_version_before_it_is_settled(world: World) -> None:
    body = specialised()
    await world.accept(body)
    world.carrier.script = lambda endpoint: "cut" if endpoint == "hospital" else "ok"
    await world.work()
    first = to("hospital", world)[0].message_id
    await world.accept(later_message(body, CORRECTION, "modified-message"))
    world.carrier.script = lambda _: "ok"
    await world.work()
    assert [each.message_id for each in to("hospital", world)] == [first]
    assert len(to("municipality", world)) == 2
    world.now += 30 * MINUTE
    await world.work()
    await world.work()
    sent = [each.message_id for each in to("hospital", world)]
    assert sent[:2] == [first, first]
    assert len(sent) == 3
    assert sent[2] != first


async def test_of_versions_that_never_went_out_only_the_newest_goes(world: World) -> None:
    body = specialised()
    first = await world.accept(body)
    await world.accept(later_message(body, CORRECTION, "modified-message"))
    await settled(world, 1)
    assert Counter(each.endpoint for each in world.carrier.sent) == {"hospital": 1, "municipality": 1, "vans": 1}
    assert {state for state, _ in (await world.states(first)).values()} == {"cancelled"}


async def test_a_withdrawal_of_what_nobody_got_is_not_sent(world: World) -> None:
    body = specialised()
    await world.accept(body)
    last = await world.accept(later_message(body, WITHDRAWAL, "retract-message"))
    assert await world.work() == 0
    assert set((await world.states(last)).values()) == {("cancelled", "never_sent")}


async def test_a_withdrawal_follows_what_may_have_arrived(world: World) -> None:
    """A try without an answer, then one that was certainly not taken: the first may still have arrived."""
    body = specialised()
    await world.accept(body)
    world.carrier.script = lambda endpoint: "cut" if endpoint == "hospital" else "ok"
    await world.work()
    world.now += 30 * MINUTE
    world.carrier.script = lambda endpoint: "busy" if endpoint == "hospital" else "ok"
    await world.work()
    last = await world.accept(later_message(body, WITHDRAWAL, "retract-message"))
    world.carrier.script = lambda _: "ok"
    await settled(world, 1)
    assert (await world.states(last))[HOSPITAL][0] == "delivered"


# --- end-points -------------------------------------------------------------------------------------------------------


async def test_no_end_point_gets_more_at_a_time_than_it_takes(world: World) -> None:
    for number in range(12):
        await world.accept(specialised(number))
    while await world.work():
        pass
    assert set(world.carrier.most.values()) == {4}
    assert len(world.carrier.sent) == 36


async def test_an_end_point_at_fault_rests_and_is_probed_by_one(world: World) -> None:
    messages = [await world.accept(specialised(number)) for number in range(6)]
    world.carrier.script = lambda endpoint: "unauthorised" if endpoint == "hospital" else "ok"
    while await world.work():
        pass
    assert len(to("hospital", world)) == 4  # what was under way when the first answer came
    assert [(event, ids["endpoint"], ids["reason"]) for event, ids in world.heard] == [
        ("endpoint_at_fault", "hospital", "http_401")
    ]
    assert len(to("municipality", world)) == 6
    (circuit,) = await world.store.circuits()
    assert (circuit.endpoint, circuit.failures, circuit.opened_at) == ("hospital", 1, RECEIVED_AT)
    before = RECEIVED_AT
    for probe in range(1, 8):
        (circuit,) = await world.store.circuits()
        assert circuit.probe_at > before
        world.now = before = circuit.probe_at
        assert await world.work() == 1
        assert await world.work() == 0
        assert len(to("hospital", world)) == 4 + probe
    assert circuit.probe_at - RECEIVED_AT > 5 * MINUTE
    assert len(world.heard) == 1
    world.carrier.script = lambda _: "ok"
    (circuit,) = await world.store.circuits()
    world.now = circuit.probe_at
    await world.work()
    assert await world.store.circuits() == ()
    await settled(world, 1)
    for message_id in messages:
        assert (await world.states(message_id))[HOSPITAL][0] == "delivered"


async def test_a_probe_that_is_not_answered_leaves_the_circuit_open(world: World) -> None:
    await world.accept(specialised())
    world.carrier.script = lambda endpoint: "certificate" if endpoint == "hospital" else "ok"
    await world.work()
    world.carrier.script = lambda _: "unreachable"
    (circuit,) = await world.store.circuits()
    world.now = circuit.probe_at
    await world.work()
    (circuit,) = await world.store.circuits()
    assert circuit.failures == 2
    assert circuit.probe_at > world.now
    world.carrier.script = lambda _: "busy"
    world.now = circuit.probe_at + MINUTE
    await world.work()
    assert await world.store.circuits() == ()


async def test_who_has_another_end_point_now_is_sent_to_there(world: World, tmp_path: Any) -> None:
    message_id = await world.accept(specialised())
    await world.store.repoint({HOSPITAL: "vans"})
    await world.work()
    assert not to("hospital", world)  # given back: the directory says otherwise
    await world.room.sweep(world.now)
    world.now += MINUTE
    await world.work()
    assert len(to("hospital", world)) == 1
    assert (await world.states(message_id))[HOSPITAL][0] == "delivered"


# --- faults of ours ---------------------------------------------------------------------------------------------------


async def test_a_plan_that_cannot_be_rendered_stops_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = worker.render

    def wrong(original: Any, due: DueDelivery, *rest: Any) -> Outgoing:
        if due.organisation_id == HOSPITAL:
            raise ValueError(str(original.plan.patient.family))
        return right(original, due, *rest)

    monkeypatch.setattr(worker, "render", wrong)
    message_id = await world.accept(specialised())
    await world.work()
    states = await world.states(message_id)
    assert states.pop(HOSPITAL) == ("abandoned", "cannot_render")
    assert {state for state, _ in states.values()} == {"delivered"}
    assert [(event, ids["reason"]) for event, ids in world.heard] == [("delivery_abandoned", "cannot_render")]
    said = "".join(capsys.readouterr())
    assert "cannot_render" in said
    assert "test_post_room.py" in said
    assert "Berggren" not in said


async def test_a_body_that_is_kept_no_longer(world: World) -> None:
    async def gone(message_id: str) -> None:
        return None

    message_id = await world.accept(specialised())
    await world.new_room(Store(world, body=gone)).once(world.now)  # type: ignore[arg-type]
    assert set((await world.states(message_id)).values()) == {("abandoned", "body_gone")}
    assert not world.carrier.sent


async def test_a_message_is_read_once_for_all_its_recipients(world: World) -> None:
    reads: list[str] = []

    async def body(message_id: str) -> bytes | None:
        reads.append(message_id)
        return await world.store.body(message_id)

    message_id = await world.accept(specialised())
    await world.new_room(Store(world, body=body)).once(world.now)  # type: ignore[arg-type]
    assert reads == [message_id]
    assert len(world.carrier.sent) == 3


async def test_nothing_is_sent_that_was_not_noted_before(world: World) -> None:
    async def away(name: str, attempts: Sequence[NewAttempt]) -> frozenset[int]:
        raise StoreUnavailable

    message_id = await world.accept(specialised())
    await world.new_room(Store(world, begin=away)).once(world.now)  # type: ignore[arg-type]
    assert not world.carrier.sent
    world.now += 61 * SECOND  # the lease is over
    assert await world.work() == 3
    assert {state for state, _ in (await world.states(message_id)).values()} == {"delivered"}


async def test_what_another_worker_has_taken_meanwhile_is_not_sent(world: World) -> None:
    async def taken(name: str, attempts: Sequence[NewAttempt]) -> frozenset[int]:
        return frozenset()

    await world.accept(specialised())
    await world.new_room(Store(world, begin=taken)).once(world.now)  # type: ignore[arg-type]
    assert not world.carrier.sent


async def test_a_result_is_noted_when_the_archive_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    away = 3

    async def conclude(name: str, results: Sequence[AttemptResult]) -> None:
        nonlocal away
        if away:
            away -= 1
            raise StoreUnavailable
        await world.store.conclude(name, results)

    message_id = await world.accept(specialised())
    await world.new_room(Store(world, conclude=conclude)).once(world.now)  # type: ignore[arg-type]
    assert {state for state, _ in (await world.states(message_id)).values()} == {"delivered"}
    assert len(world.carrier.sent) == 3


# --- sweeps -----------------------------------------------------------------------------------------------------------


async def test_whoever_is_not_reached_in_time_is_alarmed_for_once(world: World) -> None:
    await world.accept(specialised())
    world.carrier.script = lambda endpoint: "busy" if endpoint == "hospital" else "ok"
    await world.work()
    world.now += 14 * MINUTE
    await world.room.sweep(world.now)
    assert not world.heard
    world.now += 2 * MINUTE
    await world.room.sweep(world.now)
    await world.room.sweep(world.now)
    assert [(event, ids["organisation_id"]) for event, ids in world.heard] == [("recipient_unserved", HOSPITAL)]


async def test_what_was_tried_long_enough_is_given_up_and_alarmed_for(world: World) -> None:
    message_id = await world.accept(specialised())
    world.carrier.script = lambda endpoint: "busy" if endpoint == "hospital" else "ok"
    await world.work()
    world.now += timedelta(days=45)
    await world.room.sweep(world.now)
    assert (await world.states(message_id))[HOSPITAL][0] == "abandoned"
    assert "delivery_abandoned" in [event for event, _ in world.heard]
    assert await world.work() == 0


# --- running ----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(world: World, store: Any = None) -> Any:
    """A post room at work; cancelled at the end."""
    task = asyncio.create_task(world.new_room(store).run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_is_accepted_goes_out_at_once(world: World) -> None:
    async with running(world):
        await asyncio.sleep(0.05)
        started = asyncio.get_running_loop().time()
        message_id = await world.accept(specialised())
        await until(lambda: len(world.carrier.sent) == 3)
        assert asyncio.get_running_loop().time() - started < 0.9 * worker.POLL_SECONDS
    assert {state for state, _ in (await world.states(message_id)).values()} == {"delivered"}
    assert world.carrier.closed


async def test_more_than_the_end_points_take_at_a_time_drains_without_waiting(world: World) -> None:
    for number in range(12):
        await world.accept(specialised(number))
    started = asyncio.get_running_loop().time()
    async with running(world):
        await until(lambda: len(world.carrier.sent) == 36)
    assert asyncio.get_running_loop().time() - started < 1.8 * worker.POLL_SECONDS  # three rounds


async def test_an_archive_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    calls = 0

    async def claim(*arguments: Any) -> tuple[DueDelivery, ...]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StoreUnavailable
        if calls == 2:
            raise ValueError
        return await world.store.claim(*arguments)

    await world.accept(specialised())
    async with running(world, Store(world, claim=claim)):
        await until(lambda: len(world.carrier.sent) == 3)


async def test_closing_lets_tries_end_and_gives_back_what_was_not_sent(world: World, posting: Tools) -> None:
    """One try hangs on the wire, another delivery is claimed and about to be rendered."""
    go = asyncio.Event()
    reading = asyncio.Event()

    async def body(message_id: str) -> bytes | None:
        if message_id == second:
            reading.set()
            await go.wait()
        return await world.store.body(message_id)

    answering = asyncio.Event()
    send = world.carrier.send

    async def slowly(endpoint: Any, outgoing: Outgoing) -> Any:
        answer = await send(endpoint, outgoing)
        await answering.wait()
        return answer

    world.carrier.send = slowly  # type: ignore[method-assign]
    first, second = await world.accept(specialised(1)), await world.accept(specialised(2))
    task = asyncio.create_task(world.new_room(Store(world, body=body)).run())  # type: ignore[arg-type]
    await reading.wait()
    await until(lambda: len(world.carrier.sent) == 3)
    task.cancel()
    await asyncio.sleep(0.01)
    go.set()
    answering.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {state for state, _ in (await world.states(first)).values()} == {"delivered"}
    assert set((await world.states(second)).values()) == {("pending", "postponed")}
    assert world.carrier.closed


async def test_a_try_that_does_not_end_is_left_as_inflight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LAST_WORDS_SECONDS", 0.05)
    world.carrier.script = lambda endpoint: "hang" if endpoint == "hospital" else "ok"
    message_id = await world.accept(specialised(to=Target.GGOP))
    async with running(world):
        await world.carrier.hanging.wait()
    assert (await world.states(message_id))[HOSPITAL][0] == "inflight"


async def test_two_workers_never_send_the_same(world: World) -> None:
    for number in range(8):
        await world.accept(specialised(number))
    async with running(world), running(world), running(world):
        await until(lambda: len(world.carrier.sent) == 24)
        await asyncio.sleep(0.05)
    assert len({(each.endpoint, each.message_id) for each in world.carrier.sent}) == 24
