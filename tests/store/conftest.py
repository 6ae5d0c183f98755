"""The stores that keep the same contract. Another one joins by a line in `STORES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from outcomes import sqlite_store

from gtgateway.store.base import Store

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite-memory": lambda _: sqlite_store(":memory:"),
    "sqlite-file": lambda folder: sqlite_store(folder / "gateway.db"),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store of each kind."""
    made = STORES[request.param](tmp_path)
    await made.open()
    yield made
    await made.close()
