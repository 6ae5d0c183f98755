"""Named SQL: each query stands under a line `-- name: <name>`, with a comment on its use.

What every database understands is in `sql/*.sql`, what has to be said in a dialect in `sql/<dialect>/*.sql`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

#: A value by its name; `::` is a cast.
_VALUE = re.compile(r"(?<!:):([a-z_]+)")

_HEAD = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def read_queries(folder: Traversable) -> Mapping[str, str]:
    """Name -> SQL of every query in the `.sql` files of a folder. Raises ValueError when a name occurs twice."""
    queries: dict[str, str] = {}
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            _, *parts = _HEAD.split(file.read_text(encoding="utf-8"))
            for name, sql in zip(parts[::2], parts[1::2], strict=True):
                if name in queries:
                    raise ValueError(f"{file.name}: a second query is named {name}.")
                queries[name] = sql.strip()
    return queries


def queries_of(dialect: str) -> Mapping[str, str]:
    """Every query of the archive by its name: those that all databases understand, and those of one dialect."""
    folder = files("gtgateway.store") / "sql"
    common, own = read_queries(folder), read_queries(folder / dialect)
    if twice := common.keys() & own.keys():
        raise ValueError(f"{dialect}: a second query is named {min(twice)}.")
    return {**common, **own}


def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A query with `$1`, `$2` … instead of names, and the names in that order."""
    names = tuple(dict.fromkeys(_VALUE.findall(sql)))
    return _VALUE.sub(lambda found: f"${names.index(found[1]) + 1}", sql), names
