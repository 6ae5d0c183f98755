"""Migrations: a file and a database in memory get the same tables, and PostgreSQL the like."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import psycopg
import pytest
from servers import Databases

from gtgateway.errors import ConfigurationError
from gtgateway.store.migrating import migrate_file, migrate_memory, migrate_server

TABLES = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%yoyo%' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def tables_of(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(TABLES).fetchall()


def in_memory() -> list[tuple[str, str]]:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    found = connection.execute(TABLES).fetchall()
    connection.close()
    return found


def squeezed(tables: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, " ".join(sql.split())) for name, sql in tables]


@pytest.mark.parametrize("name", ["gateway.db", "æ ø?#%20.db"])
def test_file_and_memory_get_the_same_tables(tmp_path: Path, name: str) -> None:
    database = tmp_path / name
    migrate_file(database)
    assert database.exists()
    assert squeezed(tables_of(database)) == squeezed(in_memory())
    assert {"message", "record", "feed_entry", "delivery", "attempt"} < {name for name, _ in tables_of(database)}


def test_again_changes_nothing(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    migrate_file(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO meta VALUES ('patient_key', x'00')")
    migrate_file(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM meta").fetchall() == [("patient_key",)]


def test_killed_in_the_middle_goes_on(tmp_path: Path) -> None:
    """The lock row of yoyo is still there, the tables are made, the mark is missing."""
    database = tmp_path / "gateway.db"
    migrate_file(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM _yoyo_migration")
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, '2026-11-06 10:00:00', 1)")
    migrate_file(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT migration_id FROM _yoyo_migration").fetchall() == [("0001.archive",)]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    database.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be migrated"):
        migrate_file(database)


def columns_on_postgresql(address: str) -> set[tuple[str, str]]:
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name NOT LIKE '%yoyo%'"
        )
        return {(table, column) for table, column in found}


def test_postgresql_gets_the_same_columns(database: str) -> None:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    expected = connection.execute(
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    ).fetchall()
    connection.close()
    assert columns_on_postgresql(database) == set(expected)


def test_processes_that_start_together_migrate_once(postgres: Databases) -> None:
    with postgres.empty("template0") as address:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(migrate_server, [address] * 3))
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT migration_id FROM _yoyo_migration").fetchall() == [("0001.archive",)]
            applied = connection.execute("SELECT count(*) FROM _yoyo_log WHERE operation = 'apply'").fetchone()
        assert applied == (1,)
        assert ("record", "document") in columns_on_postgresql(address)


def test_postgresql_that_is_away_is_not_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        migrate_server("postgresql://gateway:secret@127.0.0.1:1/plans")
    assert "OperationalError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
