"""Group commit: one durable commit for many, a savepoint for each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gtgateway.errors import Overloaded, StoreUnavailable
from gtgateway.store.writer import GroupWriter

pytestmark = pytest.mark.anyio


class Bench:
    """A writer on a small table, with a look at what is committed."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.pragma("journal_mode", "wal")
        self.connection.execute("CREATE TABLE number (value INTEGER UNIQUE) STRICT")
        self.other = apsw.Connection(str(path))
        self.commits = 0
        self.writer = GroupWriter(self.connection, 4, self.count)
        self.held = threading.Event()

    def count(self) -> None:
        self.commits += 1

    def put(self, value: object) -> asyncio.Task[int]:
        return asyncio.create_task(self.writer.write(lambda db: self.insert(db, value)))

    def insert(self, db: apsw.Connection, value: object) -> int:
        db.execute("INSERT INTO number VALUES (?)", (value,))
        return db.last_insert_rowid()

    async def hold(self) -> asyncio.Task[bool]:
        """Keep the thread busy until `held` is set; writes after this come into one group."""
        started = threading.Event()

        def busy(_: apsw.Connection) -> bool:
            started.set()
            return self.held.wait(5)

        task = asyncio.create_task(self.writer.write(busy))
        assert await asyncio.to_thread(started.wait, 5)
        return task

    @property
    def values(self) -> list[int]:
        return [value for (value,) in self.other.execute("SELECT value FROM number ORDER BY rowid")]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "numbers.db")
    yield made
    made.held.set()
    await made.writer.close()
    made.connection.close()
    made.other.close()


async def test_what_waits_together_shares_a_commit(bench: Bench) -> None:
    held = await bench.hold()
    tasks = [bench.put(value) for value in (1, 2, 3)]
    await asyncio.sleep(0.01)
    assert bench.values == []
    bench.held.set()
    assert await held
    assert await asyncio.gather(*tasks) == [1, 2, 3]
    assert bench.commits == 2
    assert bench.values == [1, 2, 3]


async def test_a_bad_write_fails_alone(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put(1), bench.put(1), bench.put(2)]
    await asyncio.sleep(0.01)
    bench.held.set()
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, third) == (1, 2)
    assert isinstance(second, apsw.ConstraintError)
    assert bench.values == [1, 2]


async def test_a_full_queue_is_overload(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put(value) for value in range(4)]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await bench.put(5)
    bench.held.set()
    await asyncio.gather(*tasks)
    assert bench.values == [0, 1, 2, 3]


async def test_whoever_goes_away_does_not_disturb(bench: Bench) -> None:
    await bench.hold()
    gone, stays = bench.put(1), bench.put(2)
    await asyncio.sleep(0.01)
    gone.cancel()
    bench.held.set()
    assert await stays == 2
    assert bench.values == [1, 2]  # it was queued: it is kept, and a repeat finds it


async def test_a_database_that_fails_fails_the_whole_group(bench: Bench) -> None:
    await bench.put(1)
    bench.connection.set_busy_timeout(1)
    bench.other.execute("BEGIN IMMEDIATE")
    for error in await asyncio.gather(bench.put(2), bench.put(3), return_exceptions=True):
        assert isinstance(error, StoreUnavailable)
        assert error.detail == "BusyError."
    bench.other.execute("ROLLBACK")
    await bench.put(4)
    assert bench.values == [1, 4]


async def test_closing_finishes_what_is_queued(bench: Bench) -> None:
    await bench.hold()
    tasks = [bench.put(1), bench.put(2)]
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(bench.writer.close())
    bench.held.set()
    await closing
    assert await asyncio.gather(*tasks) == [1, 2]
    bench.writer = GroupWriter(bench.connection, 4, bench.count)  # for the fixture to close
