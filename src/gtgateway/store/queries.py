"""Named SQL: each query stands in `sql/*.sql` under a line `-- name: <name>`, with a comment on its use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

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


#: Every query of the archive by its name.
SQL = read_queries(files("gtgateway.store") / "sql")
