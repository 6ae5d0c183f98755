"""A real gateway on loopback, in development mode and with a clients file."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gtgateway.data import packaged
from gtgateway.demo import served
from gtgateway.settings import Settings

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway for tests that do not mind each other's messages; large bodies go to a worker process."""
    settings = Settings(store=f"sqlite:///{tmp_path_factory.mktemp('store')}/test.db", workers=1)
    with served(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def guarded_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway with the sample clients file and no development tokens."""
    settings = Settings(
        store=f"sqlite:///{tmp_path_factory.mktemp('store')}/test.db",
        workers=0,
        directory=packaged("samples", "directory"),
        clients=packaged("samples", "clients.toml"),
    )
    with served(settings, development=False) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client
