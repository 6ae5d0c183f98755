"""A world per test: real memory archive, real messages, a carrier that does as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from rooms import World, posting_directory, posting_store, posting_tools

from gtgateway.pipeline import Tools


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def posting(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """Tools with a directory in which hospital, municipality and practice are sent to."""
    return posting_tools(posting_directory(tmp_path_factory.mktemp("directory")))


@pytest.fixture
async def world(posting: Tools) -> AsyncIterator[World]:
    store = posting_store(":memory:")
    await store.open()
    yield World(posting, store)
    await store.close()
