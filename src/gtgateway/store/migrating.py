"""Bring a database up to the migrations in `migrations/`."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import apsw
import psycopg
from yoyo import get_backend, read_migrations

from gtgateway.errors import ConfigurationError

FOLDER = "migrations/sqlite"

#: Any number that nothing else in the database locks; the feed has its own.
MIGRATION_LOCK = 918_002


def migrate_file(database: Path) -> None:
    """Apply what is missing, in order; the database is made when there is none.

    Call it as the owner and with no other connection open: yoyo uses another SQLite library than the store, and closing
    a file drops every lock that the process holds on it. Raises ConfigurationError when the file is no database.
    """
    try:
        missing = _apply(f"sqlite:///{quote(str(database))}", FOLDER)
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"The database {database} cannot be migrated: {error}.") from None
    if missing:
        raise ConfigurationError(f"The database {database} lacks the migrations {', '.join(missing)}.")


def migrate_server(address: str) -> None:
    """Apply what is missing in a PostgreSQL database, `postgresql://…`; processes that start together wait in line.

    Raises ConfigurationError when the database cannot be reached or changed. It never says the address: a password may
    stand in it.
    """
    try:
        with psycopg.connect(address, connect_timeout=10) as waiting:
            waiting.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            missing = _apply("postgresql+psycopg" + address[address.index(":") :], "migrations/postgres")
    except psycopg.Error as error:
        raise ConfigurationError(f"The PostgreSQL database cannot be opened: {type(error).__name__}.") from None
    if missing:
        raise ConfigurationError(f"The PostgreSQL database lacks the migrations {', '.join(missing)}.")


def _apply(uri: str, folder: str) -> list[str]:
    """Apply what is missing and return what is missing still: yoyo passes over a migration that it cannot read."""
    migrations = read_migrations(f"package:gtgateway.store:{folder}")
    with get_backend(uri) as backend:
        backend.break_lock()  # left behind by a killed process: the caller has a better lock of its own
        with backend.lock():
            backend.apply_migrations(backend.to_apply(migrations))
        return [migration.id for migration in backend.to_apply(migrations)]


def migrate_memory(connection: apsw.Connection) -> None:
    """Make all tables in an empty database in memory, which yoyo cannot reach."""
    for file in sorted((files("gtgateway.store") / FOLDER).iterdir(), key=lambda file: file.name):
        connection.execute(file.read_text(encoding="utf-8"))
