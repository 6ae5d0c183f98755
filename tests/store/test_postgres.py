"""What is true of the PostgreSQL archive alone: many processes, an open transaction elsewhere, a server that goes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import psycopg
import pytest
from outcomes import (
    GP,
    KEEPING,
    ODENSE,
    RECEIVED_AT,
    SENDER,
    accepted,
    letter_of,
    postgres_store,
    reading_of,
    record_document,
    route_to,
)
from servers import Databases

from gtgateway.errors import ConfigurationError, StoreUnavailable
from gtgateway.model.delivery import NewAttempt
from gtgateway.model.message import Action
from gtgateway.model.record import MunicipalRecord
from gtgateway.model.route import Role
from gtgateway.store import postgres as postgres_module
from gtgateway.store.postgres import PostgresStore
from gtgateway.store.postgres_writer import FEED_LOCK

pytestmark = pytest.mark.anyio

BODY = b"<Emessage/>" * 1000


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    made = postgres_store(database)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def other(store: PostgresStore, database: str) -> AsyncIterator[PostgresStore]:
    """Another process on the same database."""
    made = postgres_store(database)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def beside(store: PostgresStore, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


async def test_processes_share_the_key_of_patients(store: PostgresStore, other: PostgresStore) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    known = await other.known(reading_of(letter_of("L2")))
    assert [plan.plan_key for plan in known.active_plans["L2"]] == [f"{SENDER}|L1"]


async def test_one_of_many_equal_messages_wins_in_any_process(store: PostgresStore, other: PostgresStore) -> None:
    outcomes = [accepted(reading_of(letter_of(f"L{number}"), vans_id=f"V{number}")) for number in range(8)]
    saving = [
        *(store.save(outcome, BODY, "ouh") for outcome in outcomes),
        *(other.save(outcome, BODY, "ouh") for outcome in reversed(outcomes)),
    ]
    saved = await asyncio.gather(*saving)
    assert [each.earlier is None for each in saved].count(True) == 8
    for first, second in zip(saved[:8], reversed(saved[8:]), strict=True):
        assert first.message_id == second.message_id
    assert len((await other.feed([ODENSE.id], 0, 100)).entries) == 8


async def test_a_plan_is_changed_by_one_process_at_a_time(store: PostgresStore, other: PostgresStore) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    corrections = [
        accepted(reading_of(letter_of(letter_id, plan_id="L1")), action=Action.CORRECTION, plan_version=2)
        for letter_id in ("L2", "L3")
    ]
    results = await asyncio.gather(
        store.save(corrections[0], BODY, "ouh"), other.save(corrections[1], BODY, "ouh"), return_exceptions=True
    )
    (failed,) = (result for result in results if isinstance(result, BaseException))
    assert isinstance(failed, StoreUnavailable)
    assert "changed by another message" in failed.detail


async def test_positions_are_in_the_order_of_commits(
    store: PostgresStore, beside: psycopg.Connection, database: str
) -> None:
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    newest = await store.newest([ODENSE.id, GP.id])
    with psycopg.connect(database) as opened:  # another process in the middle of its commit
        opened.execute("SELECT pg_advisory_xact_lock(%s)", (FEED_LOCK,))
        opened.execute(
            "INSERT INTO feed_entry SELECT nextval('feed_position'), %s, id, 1, 'case' FROM record", (ODENSE.id,)
        )
        saving = asyncio.create_task(store.save(accepted(reading_of(letter_of("L2"))), BODY, "ouh"))
        await asyncio.sleep(0.1)
        assert not saving.done()
        # While it is open nothing of it is seen, and nothing can pass it.
        assert await store.newest([ODENSE.id, GP.id]) == newest
        opened.commit()
    await saving
    page = await store.feed([ODENSE.id], newest, 10)
    assert [entry.change for entry in page.entries] == ["case", "new"]
    assert newest < page.entries[0].position < page.entries[1].position


async def test_what_tells_nobody_waits_for_no_feed(store: PostgresStore, database: str) -> None:
    with psycopg.connect(database) as opened:
        opened.execute("SELECT pg_advisory_xact_lock(%s)", (FEED_LOCK,))
        assert await asyncio.wait_for(store.ready(), 2)


async def test_claiming_waits_for_no_writer(store: PostgresStore, database: str) -> None:
    route = route_to((replace(ODENSE, endpoint="odense-net"), Role.ACTION))
    await store.save(accepted(reading_of(letter_of("L1")), route=route), BODY, "ouh")
    with psycopg.connect(database) as opened:
        opened.execute("SELECT pg_advisory_xact_lock(%s)", (FEED_LOCK,))
        saving = asyncio.create_task(store.save(accepted(reading_of(letter_of("L2"))), BODY, "ouh"))
        await asyncio.sleep(0.1)
        later = RECEIVED_AT + timedelta(minutes=1)
        due = await asyncio.wait_for(store.claim("w", {"odense-net": 1}, RECEIVED_AT, later), 2)
        attempt = NewAttempt(due[0].delivery_id, RECEIVED_AT, "ours", None, later)
        assert await asyncio.wait_for(store.begin("w", [attempt]), 2) == {due[0].delivery_id}
        assert not saving.done()
    await saving


@pytest.mark.parametrize("notified", [True, False])
async def test_who_waits_is_woken_by_another_process(
    store: PostgresStore, other: PostgresStore, notified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the notification at once, or by looking where there is none."""
    monkeypatch.setattr(postgres_module, "POLL_SECONDS", 60.0 if notified else 0.05)
    for made in (store, other):
        made._pooler = not notified
        await made.close()
        await made.open()
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(other.wait_for_feed(0, 10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await asyncio.wait_for(waiting, 2)
    assert len((await other.feed([ODENSE.id], 0, 10)).entries) == 1


async def test_body_is_compressed_by_us(store: PostgresStore, beside: psycopg.Connection) -> None:
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    (kept,) = beside.execute("SELECT body FROM message").fetchone() or ()
    assert zlib.decompress(kept) == BODY
    assert len(kept) < len(BODY) / 10
    storage = beside.execute("SELECT attstorage::text FROM pg_attribute WHERE attname = 'body' AND attnum > 0")
    assert storage.fetchall() == [("e",)]
    assert await store.body(saved.message_id) == BODY


async def test_a_broken_constraint_is_our_defect_and_fails_alone(database: str) -> None:
    def document(record: MunicipalRecord) -> bytes:
        return None if record.plan_id == "bad" else record_document(record)  # type: ignore[return-value]

    store = PostgresStore(database, **{**KEEPING, "record_document": document})
    await store.open()
    outcomes = [accepted(reading_of(letter_of(letter_id))) for letter_id in ("good", "bad", "better")]
    results = await asyncio.gather(*(store.save(each, BODY, "ouh") for each in outcomes), return_exceptions=True)
    assert isinstance(results[1], asyncpg.NotNullViolationError)
    assert [(await store.known(each.reading)).answer is not None for each in outcomes] == [True, False, True]
    await store.close()


async def test_a_server_that_goes_and_comes_back(postgres: Databases, store: PostgresStore) -> None:
    if postgres.server is None:
        pytest.skip("the PostgreSQL that was given is not ours to kill")
    saved = await store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    assert await store.ready()
    stopping = asyncio.create_task(asyncio.to_thread(postgres.crash))
    results = []
    while not stopping.done():
        try:
            await store.save(accepted(reading_of(letter_of(f"M{len(results)}"))), BODY, "ouh")
            results.append(True)
        except StoreUnavailable:
            results.append(False)
        await asyncio.sleep(0.01)
    await stopping
    assert False in results
    assert await store.ready()
    assert await store.body(saved.message_id) == BODY
    for number, kept in enumerate(results):
        if kept:
            assert (await store.known(reading_of(letter_of(f"M{number}")))).answer is not None


async def test_through_a_pooler_nothing_is_prepared(store: PostgresStore, database: str) -> None:
    pooled = postgres_store(database, pooler=True)
    await pooled.open()
    await pooled.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    assert pooled._pool is not None
    assert store._pool is not None
    await store.known(reading_of(letter_of("L1")))
    prepared = "SELECT count(*) FROM pg_prepared_statements"
    assert await pooled._pool.fetchval(prepared) <= 1  # this very question
    assert await store._pool.fetchval(prepared) > 1
    await pooled.close()


async def test_commits_that_are_not_durable_are_refused(postgres: Databases, database: str) -> None:
    name = database.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(ConfigurationError, match="synchronous_commit off"):
        await postgres_store(database).open()
