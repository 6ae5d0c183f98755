"""Migrations: a file and a database in memory get the same tables, and PostgreSQL the like."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import apsw
import psycopg
import pytest
from servers import Databases

from gtgateway.errors import ConfigurationError
from gtgateway.store.migrating import migrate_file, migrate_memory, migrate_server

MIGRATIONS = [("0001.archive",), ("0002.post_room",), ("0003.cases",), ("0004.webhooks",), ("0005.receipts",)]

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
        assert connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1").fetchall() == MIGRATIONS


#: An archive as the first migration made it: a plan in two versions, one corrected by a notification, and a try.
OF_THE_FIRST = """
INSERT INTO message (
    id, message_id, sender_gln, receiver_gln, envelope_id, format, verdict, repeat, received_at, client, content_digest,
    body_digest, size, answer_status, answer_type, summary
) VALUES (
    1, 'm1', 's', 'r', 'e1', 'ggop', 'accepted', 'none', '2026-11-06T09:30:00.250000+00:00', 'c', '', '', 0, 201, '',
    {empty}
), (
    2, 'm2', 's', 'r', 'e2', 'fhir', 'accepted', 'none', '2026-11-07T09:30:00+00:00', 'c', '', '', 0, 201, '', {empty}
);
INSERT INTO plan VALUES (1, 's', 'p', NULL, 'active', NULL, NULL, NULL, 2);
INSERT INTO plan_version VALUES (1, 1, 1, 'L1', 'new', '2026-11-06T09:30:00.250000+00:00'),
    (1, 2, 2, 'N1', 'correction', '2026-11-07T09:30:00+00:00');
INSERT INTO record VALUES (1, 'r1', 1, 2, 1, 'L1', 'active', {empty});
INSERT INTO feed_entry VALUES (1, 'odense-kommune', 1, 1, 'new'), (2, 'odense-kommune', 1, 2, 'corrected');
INSERT INTO delivery (
    record, plan, plan_version, organisation, organisation_name, roles, state, attempts, position, updated_at
) VALUES (1, 1, 1, 'odense-kommune', 'Odense Kommune', '["action"]', 'delivered', 1, 1, '2026-11-06T10:00:00+00:00'),
    (1, 1, 2, 'odense-kommune', 'Odense Kommune', '["action"]', 'pending', 0, 2, '2026-11-07T09:30:00+00:00');
INSERT INTO attempt (delivery, started_at, envelope_id, result)
VALUES (1, '2026-11-06T10:00:00+00:00', 'ours', 'delivered');
INSERT INTO receipt (body_digest, envelope_id, letter_ids, positive, received_at, client, attempt)
VALUES ('d', 'ours', '[]', {true}, '2026-11-06T10:00:00+00:00', 'c', 1);
INSERT INTO message_event (sender_gln, message, kind) VALUES ('s', 1, 'answered'), ('s', 2, 'answered')
"""

DELIVERIES = (
    "SELECT id, plan_version, state, position, source, source_letter, since, give_up_at, length(message_uuid), "
    "endpoint, next_at FROM delivery ORDER BY id"
)
EXPECTED = [
    (1, 1, "delivered", 1, 1, "L1", "2026-11-06T09:30:00.250000+00:00", "2026-12-06T09:30:00+00:00", 36, None, None),
    # what a notification corrected is rendered from the plan's own message
    (2, 2, "pending", 2, 1, "L1", "2026-11-07T09:30:00+00:00", "2026-12-07T09:30:00+00:00", 36, None, None),
]
TRIES = (
    "SELECT attempt.id, delivery, attempt.envelope_id, attempt.message_uuid = delivery.message_uuid, body_digest "
    "FROM attempt JOIN delivery ON delivery.id = attempt.delivery JOIN receipt ON receipt.attempt = attempt.id"
)
EVENTS = "SELECT position, message, kind, at FROM message_event ORDER BY position"
ANSWERED = [
    (1, 1, "answered", "2026-11-06T09:30:00.250000+00:00"),
    (2, 2, "answered", "2026-11-07T09:30:00+00:00"),
]


def first_migration(dialect: str) -> str:
    return (files("gtgateway.store") / f"migrations/{dialect}/0001.archive.sql").read_text("utf-8")


def test_a_file_of_the_first_migration_is_carried_over(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(first_migration("sqlite") + OF_THE_FIRST.format(true=1, empty="x''"))
    for _ in range(2):  # killed between the migration and its mark, it is applied again
        migrate_file(database)
        with closing(sqlite3.connect(database)) as connection, connection:
            assert connection.execute(DELIVERIES).fetchall() == EXPECTED
            assert connection.execute(TRIES).fetchall() == [(1, 1, "ours", 1, "d")]
            assert connection.execute(EVENTS).fetchall() == ANSWERED
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.execute("DELETE FROM _yoyo_migration")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO message_event (sender_gln, message, kind, at) VALUES ('s', 1, 'withdrawn', '')")
        assert connection.execute("SELECT max(position) FROM message_event").fetchone() == (3,)


def test_a_server_of_the_first_migration_is_carried_over(postgres: Databases) -> None:
    with postgres.empty("template0") as address:
        with psycopg.connect(address) as connection:
            connection.execute(first_migration("postgres").encode())
            connection.execute(OF_THE_FIRST.format(true="true", empty="''").encode())
        for _ in range(2):
            migrate_server(address)
            with psycopg.connect(address) as connection:
                assert connection.execute(DELIVERIES).fetchall() == EXPECTED
                assert connection.execute(TRIES).fetchall() == [(1, 1, "ours", True, "d")]
                assert connection.execute(EVENTS).fetchall() == ANSWERED
                (position,) = connection.execute("SELECT nextval('feed_position')").fetchone() or (0,)
                assert position > 2  # events and feed entries share it from now on
                connection.execute("DELETE FROM _yoyo_migration")


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
            assert connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1").fetchall() == MIGRATIONS
            applied = connection.execute("SELECT count(*) FROM _yoyo_log WHERE operation = 'apply'").fetchone()
        assert applied == (len(MIGRATIONS),)
        assert ("record", "document") in columns_on_postgresql(address)


def test_postgresql_that_is_away_is_not_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        migrate_server("postgresql://gateway:secret@127.0.0.1:1/plans")
    assert "OperationalError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
