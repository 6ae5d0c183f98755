"""The archive on PostgreSQL, for any number of gateway processes."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg

from gtgateway.errors import ConfigurationError, StoreUnavailable
from gtgateway.store.archive import SqlArchive
from gtgateway.store.migrating import migrate_server
from gtgateway.store.postgres_writer import SQL, PostgresWriter, as_gateway_error, values_of
from gtgateway.store.queries import numbered
from gtgateway.store.saving import Transaction

T = TypeVar("T")

POLL_SECONDS = 1.0
CONNECT_SECONDS = 5.0
QUERY_SECONDS = 30.0


class PostgresStore(SqlArchive):
    """The store on a PostgreSQL database that several processes may use at once.

    Writes go through one connection at a time (`PostgresWriter`), reads through the pool. News of the feed comes by
    NOTIFY, and by looking every second: a notification may be lost.
    """

    def __init__(self, address: str, *, connections: int = 8, pooler: bool = False, **keeping: Any) -> None:
        """`address`: `postgresql://…`. `connections`: most at a time, besides the one that listens.

        `pooler`: the address is a pooler in transaction mode (PgBouncer), which keeps neither prepared statements nor
        LISTEN. The rest as `SqlArchive` takes it.
        """
        super().__init__(**keeping)
        self._address = address
        self._connections = connections
        self._pooler = pooler
        self._pool: asyncpg.Pool | None = None
        self._writer: PostgresWriter | None = None
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Migrate and connect. Raises ConfigurationError when it cannot, or when commits would not be durable."""
        await asyncio.to_thread(migrate_server, self._address)
        try:
            self._pool = await asyncpg.create_pool(
                self._address,
                min_size=1,
                max_size=self._connections,
                timeout=CONNECT_SECONDS,
                command_timeout=QUERY_SECONDS,
                statement_cache_size=0 if self._pooler else 100,
                reset=_nothing_to_reset,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConfigurationError(f"The PostgreSQL database cannot be opened: {type(error).__name__}.") from None
        unsafe = [name for (name,) in await self._read("unsafe_settings")]
        if unsafe:
            await self.close()
            raise ConfigurationError(f"PostgreSQL runs with {' and '.join(unsafe)} off: an answer could be lost.")
        self._writer = PostgresWriter(self._pool, self._queue, self._grow)
        await self._keep_patient_key()
        self._grow(*(await self._read("newest"))[0])
        self._watching = asyncio.create_task(self._watch(), name="store-feed")

    async def close(self) -> None:
        """Finish what is queued and let go of the connections."""
        writer, self._writer = self._writer, None  # from here on nothing more is queued
        if writer is not None:
            await writer.close()
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _read(self, query: str, /, **values: Any) -> Sequence[Sequence[Any]]:
        return await self._fetch(SQL[query][0], values_of(query, values))

    async def _find(self, sql: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        query, names = numbered(sql)
        return await self._fetch(query, [values[name] for name in names])

    async def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        if self._pool is None:
            raise StoreUnavailable("It is not open.")
        try:
            found: list[asyncpg.Record] = await self._pool.fetch(sql, *values)
        except Exception as error:
            raise as_gateway_error(error) from error
        return found

    async def _write(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        if self._writer is None:
            raise StoreUnavailable("It is not open.")
        return await self._writer.write(job)

    async def _write_apart(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        if self._writer is None:
            raise StoreUnavailable("It is not open.")
        return await self._writer.write_apart(job)

    def _several(self, values: Collection[str] | Collection[int]) -> list[Any]:
        return sorted(values)

    def _packed(self, body: bytes) -> bytes:
        return zlib.compress(body, 1)

    def _unpacked(self, body: bytes) -> bytes:
        return zlib.decompress(body)

    async def _watch(self) -> None:
        """Learn what other processes publish, and connect anew whenever the connection that listens is gone."""
        listening: asyncpg.Connection | None = None
        try:
            while True:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, StoreUnavailable):
                    if not self._pooler and (listening is None or listening.is_closed()):
                        listening = await asyncpg.connect(self._address, timeout=CONNECT_SECONDS)
                        await listening.add_listener("feed", self._notified)
                        await listening.add_listener("events", self._notified)
                    self._grow(*(await self._read("newest"))[0])
                await asyncio.sleep(POLL_SECONDS)
        finally:
            if listening is not None:
                listening.terminate()

    def _notified(self, _connection: object, _process: int, channel: str, newest: object) -> None:
        position = int(str(newest))
        self._grow(*((position, 0) if channel == "feed" else (0, position)))


async def _nothing_to_reset(_: object) -> None:
    """No connection of the pool is left with a state; asking PostgreSQL to reset it would be a round trip."""
