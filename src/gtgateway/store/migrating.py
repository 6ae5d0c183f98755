"""Bring a database up to the migrations in `migrations/`."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import apsw
from yoyo import get_backend, read_migrations

from gtgateway.errors import ConfigurationError

FOLDER = "migrations/sqlite"


def migrate_file(database: Path) -> None:
    """Apply what is missing, in order; the database is made when there is none.

    Call it as the owner and with no other connection open: yoyo uses another SQLite library than the store, and closing
    a file drops every lock that the process holds on it. Raises ConfigurationError when the file is no database.
    """
    migrations = read_migrations(f"package:gtgateway.store:{FOLDER}")
    try:
        with get_backend(f"sqlite:///{quote(str(database))}") as backend:
            backend.break_lock()  # left behind by a killed process: the caller owns the database
            with backend.lock():
                backend.apply_migrations(backend.to_apply(migrations))
            # yoyo passes over a migration that it cannot read.
            missing = [migration.id for migration in backend.to_apply(migrations)]
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"The database {database} cannot be migrated: {error}.") from None
    if missing:
        raise ConfigurationError(f"The database {database} lacks the migrations {', '.join(missing)}.")


def migrate_memory(connection: apsw.Connection) -> None:
    """Make all tables in an empty database in memory, which yoyo cannot reach."""
    for file in sorted((files("gtgateway.store") / FOLDER).iterdir(), key=lambda file: file.name):
        connection.execute(file.read_text(encoding="utf-8"))
