"""Group commit on PostgreSQL: writes that arrive close together go out table by table and share one durable commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from gtgateway.errors import Overloaded, StoreUnavailable
from gtgateway.store.queries import numbered, queries_of
from gtgateway.store.saving import Row, Transaction

T = TypeVar("T")

#: Every query of the archive in the words of PostgreSQL, and the names of its values in order.
SQL: Mapping[str, tuple[str, tuple[str, ...]]] = {name: numbered(sql) for name, sql in queries_of("postgres").items()}

#: Whoever holds it gives positions in the feed. Any number that nothing else in the database locks.
FEED_LOCK = 918_001

#: Keys that most messages need: message, message key, VANS envelope, plan, record.
KEYS_PER_WRITE = 5

#: Wrong SQL, values or constraints are a defect of ours, not trouble of the database.
_OURS: tuple[type[Exception], ...] = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
    asyncpg.DataError,
)

#: The connection or the server is gone, and nobody knows what it had done.
_LOST: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)


def as_gateway_error(error: Exception) -> Exception:
    """A fault of the database as StoreUnavailable; one of ours stays what it is."""
    if not isinstance(error, _OURS) and isinstance(error, (*_LOST, asyncpg.PostgresError)):
        return StoreUnavailable(f"{type(error).__name__}.")
    return error


def values_of(query: str, row: Row) -> list[Any]:
    """The values of a query in the order of its numbers."""
    return [row[name] for name in SQL[query][1]]


class NotTogetherError(Exception):
    """The write cannot be made in one go with others: it depends on an answer, or a row was there already."""


class _Opened:
    """What both kinds of transaction share: reserved keys, and the feed entries that are written last."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, writes: int) -> None:
        self._connection = connection
        self._writes = writes
        self._keys: deque[int] = deque()
        self._published: list[tuple[Row, Row | None]] = []
        self._told: list[tuple[str, Row]] = []

    async def _key(self) -> int:
        if not self._keys:
            reserved = await self._fetch("reserve_ids", {"count": self._writes * KEYS_PER_WRITE})
            self._keys.extend(sorted(key for (key,) in reserved))
        return self._keys.popleft()

    async def _fetch(self, query: str, row: Row) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._connection.fetch(SQL[query][0], *values_of(query, row))
        return found

    async def _many(self, query: str, rows: Iterable[Row]) -> None:
        await self._connection.executemany(SQL[query][0], [values_of(query, row) for row in rows])

    def publish(self, entry: Row, delivery: Row | None = None) -> None:
        self._published.append((entry, delivery))

    def tell(self, query: str, event: Row) -> None:
        self._told.append((query, event))

    async def finish(self) -> tuple[int, int]:
        """Write the feeds under their lock, held until the commit; the newest position of each, 0 where nothing is new.

        One sequence serves both.
        """
        count = len(self._published) + len(self._told)
        if not count:
            return 0, 0
        reserved = await self._fetch("reserve_positions", {"lock": FEED_LOCK, "count": count})
        positions: list[int] = sorted(position for (position,) in reserved)
        given = list(zip(positions, self._published, strict=False))
        await self._many("insert_feed_entry", ({**entry, "id": position} for position, (entry, _) in given))
        await self._many(
            "insert_delivery", ({**delivery, "position": position} for position, (_, delivery) in given if delivery)
        )
        told: dict[str, list[Row]] = {}
        for position, (query, event) in zip(positions[len(given) :], self._told, strict=True):
            told.setdefault(query, []).append({**event, "id": position})
        for query, events in told.items():
            await self._many(query, events)
        newest = given[-1][0] if given else 0, positions[-1] if told else 0
        await self._fetch("announce", {"newest": str(newest[0]), "newest_event": str(newest[1])})
        return newest


class Alone(_Opened):
    """A transaction for one write: every query at once."""

    async def ask(self, query: str, values: Row) -> list[asyncpg.Record]:
        return await self._fetch(query, values)

    async def insert(self, query: str, values: Row) -> int | None:
        found = await self._fetch(query, {**values, "id": await self._key()})
        return found[0][0] if found else None

    async def put(self, query: str, *rows: Row) -> None:
        await self._many(query, rows)

    async def ask_each(self, query: str, *rows: Row) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._connection.fetchmany(
            SQL[query][0], [values_of(query, row) for row in rows]
        )
        return found


class Together(_Opened):
    """A transaction for many writes: noted down, then sent query by query, few round trips for all of them.

    It supposes that no row is there already; a write that wants to know raises NotTogetherError.
    """

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, writes: int) -> None:
        super().__init__(connection, writes)
        self._noted: dict[str, list[Row]] = {}
        self._inserts: set[str] = set()
        self._current: list[tuple[str, Row]] = []

    async def note(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        """What a write comes to, if all goes well; nothing of it is noted when it raises."""
        self._current, published, told = [], len(self._published), len(self._told)
        try:
            result = await job(self)
        except Exception:
            del self._published[published:]
            del self._told[told:]
            raise
        for query, row in self._current:
            self._noted.setdefault(query, []).append(row)
        return result

    async def ask(self, query: str, values: Row) -> list[asyncpg.Record]:  # noqa: ARG002
        raise NotTogetherError

    async def ask_each(self, query: str, *rows: Row) -> list[asyncpg.Record]:  # noqa: ARG002
        raise NotTogetherError

    async def insert(self, query: str, values: Row) -> int | None:
        key = await self._key()
        self._inserts.add(query)
        self._current.append((query, {**values, "id": key}))
        return key

    async def put(self, query: str, *rows: Row) -> None:
        self._current.extend((query, row) for row in rows)

    async def finish(self) -> tuple[int, int]:
        """Send everything; see `_Opened.finish`. Raises NotTogetherError when a row was there already."""
        for query, rows in self._noted.items():
            if query in self._inserts:
                values = [values_of(query, row) for row in rows]
                if len(await self._connection.fetchmany(SQL[query][0], values)) < len(rows):
                    raise NotTogetherError
            else:
                await self._many(query, rows)
        return await super().finish()


@dataclass(eq=False, slots=True)
class _Waiting:
    """A write and who waits for it."""

    job: Callable[[Transaction], Awaitable[Any]]
    future: asyncio.Future[Any]
    result: Any = None

    def settle(self, error: Exception | None = None) -> None:
        if self.future.done():  # whoever waited has gone away
            return
        if error is not None:
            self.future.set_exception(as_gateway_error(error))
        else:
            self.future.set_result(self.result)


class PostgresWriter:
    """Runs writes in the order of their arrival. No timer: a group is what queued while the last commit ran."""

    def __init__(self, pool: asyncpg.Pool, waiting: int, grown: Callable[[int, int], None]) -> None:
        """`waiting`: most writes in the queue; `grown` is told the newest positions of the feeds after a commit."""
        self._pool = pool
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue(waiting)
        self._grown = grown
        self._task = asyncio.create_task(self._work(), name="store-writer")

    async def write(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        """The result of `job` when it is durable; see `SqlArchive._write`."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(job, future))
        except asyncio.QueueFull:
            raise Overloaded("Too many messages wait to be stored.") from None
        return await future

    async def write_apart(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        """The result of `job` when it is durable: at once, on a connection of its own, whatever else is written."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                transaction = Alone(connection, 1)
                result = await job(transaction)
                newest = await transaction.finish()
        except Exception as error:
            raise as_gateway_error(error) from error
        self._grown(*newest)
        return result

    async def close(self) -> None:
        """Finish what is queued, then stop."""
        await self._queue.put(None)
        await self._task

    async def _work(self) -> None:
        going_on = True
        while going_on:
            group: list[_Waiting] = []
            item = await self._queue.get()
            while item is not None:
                group.append(item)
                if self._queue.empty():
                    break
                item = self._queue.get_nowait()
            else:
                going_on = False
            for each in await self._together(group):
                await self._alone(each)

    async def _together(self, group: Sequence[_Waiting]) -> list[_Waiting]:
        """Commit a group at once; return who is to be written alone: with a question, or in a group that failed."""
        noted: list[_Waiting] = []
        apart: list[_Waiting] = []
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                transaction = Together(connection, len(group))
                for each in group:
                    try:
                        each.result = await transaction.note(each.job)
                    except NotTogetherError:
                        apart.append(each)
                    else:
                        noted.append(each)
                newest = await transaction.finish()
        except Exception as error:
            if not isinstance(error, _LOST):
                return list(group)
            # Perhaps it was committed: nothing is tried again here. A message sent again finds what was kept.
            for each in group:
                each.settle(error)
            return []
        self._grown(*newest)
        for each in noted:
            each.settle()
        return apart

    async def _alone(self, each: _Waiting) -> None:
        try:
            each.result = await self.write_apart(each.job)
        except Exception as error:
            each.settle(error)
        else:
            each.settle()
