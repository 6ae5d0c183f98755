"""The embedded archive: SQLite in WAL mode, every commit on the disk before it is reported."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import apsw
import orjson

from gtgateway.errors import ConfigurationError, StoreUnavailable
from gtgateway.store.archive import SqlArchive
from gtgateway.store.migrating import migrate_file, migrate_memory
from gtgateway.store.ownership import take_ownership
from gtgateway.store.queries import queries_of
from gtgateway.store.saving import Row, Transaction
from gtgateway.store.writer import GroupWriter, as_gateway_error

T = TypeVar("T")

MEMORY = ":memory:"
BUSY_MILLISECONDS = 5_000

#: Every query of the archive in the words of SQLite.
SQL = queries_of("sqlite")


class SqliteStore(SqlArchive):
    """The store on one SQLite file, or in memory for tests.

    One process owns the file. All writes go through one thread (`GroupWriter`); reads take microseconds and run in the
    event loop, on a connection of their own that sees what is committed.
    """

    def __init__(self, path: str | Path, **keeping: Any) -> None:
        """`path`: a file, made when it is missing, or `:memory:`; the rest as `SqlArchive` takes it."""
        super().__init__(**keeping)
        self._path = str(path)
        self._owner: int | None = None
        self._reader: apsw.Connection | None = None
        self._writing: apsw.Connection | None = None
        self._writer: GroupWriter | None = None

    async def open(self) -> None:
        """Take ownership, migrate, connect. Raises ConfigurationError."""
        try:
            name = await asyncio.to_thread(self._prepare)
            self._writing = _connect(name)
            if self._path == MEMORY:
                migrate_memory(self._writing)
            self._reader = _connect(name)
        except ConfigurationError:
            await self.close()
            raise
        self._writer = GroupWriter(self._writing, self._queue, self._committed)
        await self._keep_patient_key()

    def _prepare(self) -> str:
        """The name to connect to: of a migrated file that is ours, or of a fresh database in memory."""
        if self._path == MEMORY:
            return f"file:/{secrets.token_hex(8)}?vfs=memdb"  # memdb: two connections share one database in memory
        database = Path(self._path).resolve()
        self._owner = take_ownership(database)
        migrate_file(database)
        return database.as_uri()

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        writer, self._writer = self._writer, None  # from here on nothing more is queued
        if writer is not None:
            await writer.close()
        for connection in (self._reader, self._writing):
            if connection is not None:
                connection.close()
        self._reader = self._writing = None
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    async def _read(self, query: str, /, **values: Any) -> list[tuple[Any, ...]]:
        return self._fetch(SQL[query], values)

    async def _find(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._fetch(sql, values)

    def _fetch(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._reader is None:
            raise StoreUnavailable("It is not open.")
        try:
            return self._reader.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise as_gateway_error(error) from error

    async def _write(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        if self._writer is None:
            raise StoreUnavailable("It is not open.")
        return await self._writer.write(lambda db: _at_once(job(SqliteTransaction(db))))

    def _committed(self) -> None:
        self._grow(*self._fetch(SQL["newest"], {})[0])

    def _several(self, values: Collection[str] | Collection[int]) -> str:
        return orjson.dumps(sorted(values)).decode()


class SqliteTransaction:
    """A transaction on the connection of the thread that writes. It holds the write lock, and never waits."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    async def ask(self, query: str, values: Row) -> list[tuple[Any, ...]]:
        return self._db.execute(SQL[query], values).fetchall()

    async def insert(self, query: str, values: Row) -> int | None:
        return self._insert(query, values)

    def _insert(self, query: str, values: Row) -> int | None:
        new: int | None = self._db.execute(SQL[query], {"id": None, **values}).get
        return new

    async def put(self, query: str, *rows: Row) -> None:
        self._db.executemany(SQL[query], rows)

    async def ask_each(self, query: str, *rows: Row) -> list[tuple[Any, ...]]:
        return self._db.executemany(SQL[query], rows).fetchall()

    def publish(self, entry: Row, delivery: Row | None = None) -> None:
        position = self._insert("insert_feed_entry", entry)  # nobody can pass: the write lock is held
        if delivery is not None:
            self._db.execute(SQL["insert_delivery"], {**delivery, "position": position})

    def tell(self, query: str, event: Row) -> None:
        self._db.execute(SQL[query], {**event, "id": None})


def _at_once(work: Awaitable[T]) -> T:
    """The result of a coroutine that never waits, without an event loop."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("It waits.")


def _connect(name: str) -> apsw.Connection:
    """A connection that waits for others, keeps foreign keys, and has every commit on the disk before it returns."""
    try:
        connection = apsw.Connection(
            name, flags=apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        )
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        # Without it SQLite prepares a statement anew whenever a value is bound that a plan might depend on.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma, value in (("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", True)):
            connection.pragma(pragma, value)
    except apsw.Error as error:
        raise ConfigurationError(f"The database cannot be opened: {type(error).__name__}.") from error
    return connection
