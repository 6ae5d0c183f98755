"""The stores that keep the same contract. Another one joins in `unopened`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from outcomes import postgres_store, sqlite_store
from servers import Databases, databases

from gtgateway.store.base import Store

#: Address of a PostgreSQL to test on, in place of our own. Taken out: it is no setting of the gateway.
GIVEN = os.environ.pop("GTGATEWAY_TEST_POSTGRES", None)

MEMORY = Path("/dev/shm")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One PostgreSQL server for all tests."""
    folder = tmp_path_factory.mktemp("postgres")
    if GIVEN is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**30:
        folder = Path(tempfile.mkdtemp(dir=MEMORY))  # a test waits for the disk many times
    with databases(folder, GIVEN) as made:
        yield made


@pytest.fixture
def database(postgres: Databases) -> Iterator[str]:
    """Address of an empty archive on PostgreSQL."""
    with postgres.empty() as address:
        yield address


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "postgres"])
def unopened(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "postgres":
        return postgres_store(request.getfixturevalue("database"))
    return sqlite_store(":memory:" if request.param == "sqlite-memory" else tmp_path / "gateway.db")


@pytest.fixture
async def store(unopened: Store) -> AsyncIterator[Store]:
    """An open, empty store of each kind."""
    await unopened.open()
    yield unopened
    await unopened.close()
