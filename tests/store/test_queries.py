"""Named SQL: every query is used, every used one exists, and each database understands its own."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from gtgateway.store.migrating import migrate_memory
from gtgateway.store.queries import queries_of, read_queries

SQL = queries_of("sqlite")


def test_names_in_the_code_and_in_the_files_are_the_same(root: Path) -> None:
    code = "".join(file.read_text("utf-8") for file in (root / "src/gtgateway/store").glob("*.py"))
    quoted = set(re.findall(r'"([a-z_]+)"', code))
    assert set(SQL) - quoted == set()
    used = re.findall(r'(?:SQL\[|(?:_read|_fetch|_insert|ask|insert|put)\(\s*)"([a-z_]+)"', code)
    assert len(used) > 20
    assert set(used) - set(SQL) == set()


@pytest.mark.parametrize("name", sorted(SQL))
def test_query_can_be_prepared(name: str) -> None:
    with apsw.Connection(":memory:") as connection:
        migrate_memory(connection)
        connection.execute("EXPLAIN " + SQL[name], _Anything())


class _Anything(dict[str, None]):
    """NULL for every parameter."""

    def __missing__(self, key: str) -> None:
        return None


def test_hot_queries_use_an_index() -> None:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    hot = ("earlier_by_key", "earlier_by_letter", "vans_id_used", "active_plans", "feed", "deliveries_to_move")
    for name in hot:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + SQL[name], _Anything())]
        scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step and "VIRTUAL" not in step]
        assert scans == [] or scans == ["SCAN CONSTANT ROW"], name
    connection.close()


def test_a_name_stands_once(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1;\n-- name: two\n-- Why.\nSELECT 2;\n")
    assert read_queries(tmp_path) == {"one": "SELECT 1;", "two": "-- Why.\nSELECT 2;"}
    (tmp_path / "b.sql").write_text("-- name: two\nSELECT 3;\n")
    with pytest.raises(ValueError, match="two"):
        read_queries(tmp_path)
