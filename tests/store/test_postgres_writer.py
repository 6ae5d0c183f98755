"""Group commit on PostgreSQL: one transaction for many, and a bad write fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gtgateway.errors import Overloaded, StoreUnavailable
from gtgateway.store.postgres_writer import PostgresWriter, as_gateway_error
from gtgateway.store.saving import Transaction

pytestmark = pytest.mark.anyio


def _nobody_waits(newest: int, newest_event: int) -> None:
    """In place of whoever waits for the feeds."""


class Bench:
    """A writer with room for four, and what is committed: values in `meta`, each with its transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.writer = PostgresWriter(pool, 4, _nobody_waits)
        self.held = asyncio.Event()

    def put(self, name: str, value: bytes | None = b"1") -> asyncio.Task[str]:
        async def job(db: Transaction) -> str:
            await db.put("insert_meta", {"name": name, "value": value})
            return name

        return asyncio.create_task(self.writer.write(job))

    def ask(self, name: str) -> asyncio.Task[int]:
        """A write that depends on what is there."""

        async def job(db: Transaction) -> int:
            await db.put("insert_meta", {"name": f"asked for {name}", "value": b"1"})
            return len(await db.ask("meta", {"name": name}))

        return asyncio.create_task(self.writer.write(job))

    def take(self, envelope: str, message: int) -> asyncio.Task[bool]:
        """A write that fails when an id was taken."""

        async def job(db: Transaction) -> bool:
            values = {"sender_id": "s", "envelope_id": envelope, "message": message}
            return await db.insert("insert_vans_envelope", values) is not None

        return asyncio.create_task(self.writer.write(job))

    async def hold(self) -> asyncio.Task[bool]:
        """Keep the writer busy until `held` is set; writes after this come into one group."""

        started = asyncio.Event()

        async def busy(_: Transaction) -> bool:
            started.set()
            return await self.held.wait()

        task = asyncio.create_task(self.writer.write(busy))
        await started.wait()
        return task

    async def transactions(self) -> dict[str, int]:
        """Name -> number of the transaction that wrote it."""
        return {name: int(xmin) for name, xmin in await self.pool.fetch("SELECT name, xmin::text FROM meta")}


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    async with asyncpg.create_pool(database, min_size=1, max_size=3) as pool:
        made = Bench(pool)
        yield made
        made.held.set()
        await made.writer.close()


async def test_what_waits_together_shares_a_transaction(bench: Bench) -> None:
    held = await bench.hold()
    tasks = [bench.put(name) for name in ("a", "b", "c")]
    await asyncio.sleep(0.05)
    assert await bench.transactions() == {}
    bench.held.set()
    assert await held
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    written = await bench.transactions()
    assert set(written) == {"a", "b", "c"}
    assert len(set(written.values())) == 1


async def test_a_write_with_a_question_is_made_alone_and_sees_the_group(bench: Bench) -> None:
    await bench.hold()
    first, asked, second = bench.put("a"), bench.ask("b"), bench.put("b")
    await asyncio.sleep(0.05)
    bench.held.set()
    assert await asyncio.gather(first, asked, second) == ["a", 1, "b"]
    written = await bench.transactions()
    assert written["a"] == written["b"] != written["asked for b"]


async def test_a_bad_write_fails_alone(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put("a"), bench.put("bad", None), bench.put("c")]
    await asyncio.sleep(0.05)
    bench.held.set()
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, third) == ("a", "c")
    assert isinstance(second, asyncpg.NotNullViolationError)
    assert set(await bench.transactions()) == {"a", "c"}


async def test_the_second_of_two_in_one_group_is_told(bench: Bench) -> None:
    await bench.pool.execute(
        "INSERT INTO message (id, message_id, sender_gln, receiver_gln, envelope_id, format, verdict, repeat, "
        "received_at, client, content_digest, body_digest, size, answer_status, answer_type, summary) "
        "VALUES (1, 'm', '', '', '', '', '', '', '', '', '', '', 0, 201, '', '')"
    )
    await bench.hold()
    tasks = [bench.take("V1", 1), bench.take("V1", 1), bench.take("V2", 1)]
    await asyncio.sleep(0.05)
    bench.held.set()
    assert await asyncio.gather(*tasks) == [True, False, True]
    assert await bench.pool.fetchval("SELECT count(*) FROM vans_envelope") == 2


async def test_a_full_queue_is_overload(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put(name) for name in "abcd"]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await bench.put("e")
    bench.held.set()
    await asyncio.gather(*tasks)
    assert set(await bench.transactions()) == set("abcd")


async def test_whoever_goes_away_does_not_disturb(bench: Bench) -> None:
    await bench.hold()
    gone, stays = bench.put("a"), bench.put("b")
    await asyncio.sleep(0.05)
    gone.cancel()
    bench.held.set()
    assert await stays == "b"
    assert set(await bench.transactions()) == {"a", "b"}  # it was queued: it is kept, and a repeat finds it


async def test_a_connection_that_breaks_fails_its_group_and_the_next_is_written(bench: Bench) -> None:
    held = await bench.hold()  # in a transaction on its connection
    late = bench.put("late")
    async with bench.pool.acquire() as other:
        gone = await other.fetchval(
            "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert gone
    bench.held.set()
    with pytest.raises(StoreUnavailable):
        await held
    assert await late == "late"
    assert set(await bench.transactions()) == {"late"}


async def test_closing_finishes_what_is_queued(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put("a"), bench.put("b")]
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(bench.writer.close())
    await asyncio.sleep(0.01)
    bench.held.set()
    await closing
    assert await asyncio.gather(*tasks) == ["a", "b"]
    bench.writer = PostgresWriter(bench.pool, 4, _nobody_waits)  # for the fixture to close


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.DiskFullError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_of_the_database_is_to_be_sent_again(error: Exception) -> None:
    assert isinstance(as_gateway_error(error), StoreUnavailable)


@pytest.mark.parametrize(
    "error", [asyncpg.NotNullViolationError(), asyncpg.UndefinedTableError(), asyncpg.DataError(), KeyError("x")]
)
def test_a_defect_of_ours_stays_what_it_is(error: Exception) -> None:
    assert as_gateway_error(error) is error
