"""Named SQL: every query is used, every used one exists, and each database understands its own."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import psycopg
import pytest

from gtgateway.store.migrating import migrate_memory
from gtgateway.store.queries import numbered, queries_of, read_queries

SQL = queries_of("sqlite")
HOT = (
    "earlier_by_key",
    "earlier_by_letter",
    "vans_id_used",
    "active_plans",
    "feed",
    "deliveries_to_move",
    "due",
    "due_endpoints",
    "begin",
    "conclude",
    "end_attempt",
    "tries_of_receipt",
    "answer_delivery",
    "cancel_deliveries",
    "recipients_reached",
    "to_give_up",
    "unserved",
    "events",
    "records_of_messages",
    "states_of_messages",
    "path_deliveries",
    "path_attempts",
    "path_receipts",
    "path_interventions",
)
POSTGRES = {name: numbered(sql)[0] for name, sql in queries_of("postgres").items()}


def test_names_in_the_code_and_in_the_files_are_the_same(root: Path) -> None:
    code = "".join(file.read_text("utf-8") for file in (root / "src/gtgateway/store").glob("*.py"))
    quoted = set(re.findall(r'"([a-z_]+)"', code))
    assert (set(SQL) | set(POSTGRES)) - quoted == set()
    assert set(SQL) - set(POSTGRES) == set()
    used = re.findall(r'(?:SQL\[|(?:_read|_fetch|_insert|ask|insert|put)\(\s*)"([a-z_]+)"', code)
    assert len(used) > 20
    assert set(used) - set(POSTGRES) == set()


@pytest.mark.parametrize("name", sorted(SQL))
def test_query_can_be_prepared(name: str) -> None:
    with apsw.Connection(":memory:") as connection:
        migrate_memory(connection)
        connection.execute("EXPLAIN " + SQL[name], _Anything())


def test_postgresql_understands_every_query(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for name, sql in POSTGRES.items():
            connection.pgconn.prepare(name.encode(), sql.encode())
            prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = %s", (name,))
            assert prepared.fetchone() == (1,), name


def test_hot_queries_use_an_index_on_postgresql(database: str) -> None:
    values = {
        **dict.fromkeys(("organisations", "sender_glns", "endpoints"), "ARRAY['x']"),
        **dict.fromkeys(("after", "limit", "position", "plan", "delivery", "message", "untried"), "1"),
        "messages": "ARRAY[1]",
        "slots": "'{}'",
        "final": "true",
    }
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # an empty table would be read whole
        for name in HOT:
            sql = re.sub(r"(?<!:):([a-z_]+)", lambda found: values.get(found[1], "'x'"), queries_of("postgres")[name])
            plan = "\n".join(row for (row,) in connection.execute("EXPLAIN " + sql))
            assert "Seq Scan" not in plan, f"{name}\n{plan}"


def test_values_are_numbered_once_and_casts_left_alone() -> None:
    assert numbered("SELECT :a::text[], :b, :a") == ("SELECT $1::text[], $2, $1", ("a", "b"))


#: What a query makes or is given, and reads once.
OF_NO_TABLE = re.compile(r"VIRTUAL TABLE|CONSTANT ROW|\(subquery|SCAN asked")


class _Anything(dict[str, None]):
    """NULL for every parameter."""

    def __missing__(self, key: str) -> None:
        return None


def test_hot_queries_use_an_index() -> None:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    for name in HOT:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + SQL[name], _Anything())]
        scans = [step for step in plan if step.startswith("SCAN") and not OF_NO_TABLE.search(step)]
        assert scans == [], name
    connection.close()


def test_a_name_stands_once(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1;\n-- name: two\n-- Why.\nSELECT 2;\n")
    assert read_queries(tmp_path) == {"one": "SELECT 1;", "two": "-- Why.\nSELECT 2;"}
    (tmp_path / "b.sql").write_text("-- name: two\nSELECT 3;\n")
    with pytest.raises(ValueError, match="two"):
        read_queries(tmp_path)
