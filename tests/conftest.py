"""What every test may use. Reference material beside the checkout is optional: tests that need it skip visibly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gtgateway.demo import served
from gtgateway.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the checkout: official schemas, samples, tables."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the reference material ../shared is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """A gateway of its own, in development mode."""
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0)
    with served(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client
