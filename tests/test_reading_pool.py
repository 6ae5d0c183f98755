"""The reading pool: small bodies in place and remembered, large ones in processes of their own, never too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial

import pytest

from gtgateway import reading_pool
from gtgateway.bootstrap import tools_from
from gtgateway.convert import Target
from gtgateway.errors import Overloaded
from gtgateway.model.plan import Level
from gtgateway.pipeline import Tools, read
from gtgateway.reading_pool import RECENT, ReadingPool
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

pytestmark = pytest.mark.anyio
DAY = date(2026, 11, 5)
BODY = sample_message(Level.ALMEN, DAY, Target.GGOP)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def tools() -> Tools:
    return tools_from(Settings())


@pytest.fixture
def pool(tools: Tools) -> Iterator[ReadingPool]:
    made = partial(tools_from, Settings())
    pool = ReadingPool(tools, made, workers=1, inline_limit=len(BODY) + 500, queue=1)
    yield pool
    pool.stop()


async def test_what_was_just_read_is_not_read_again(
    pool: ReadingPool, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await pool.read(BODY)
    assert first == read(BODY, tools)
    monkeypatch.setattr(reading_pool, "read", None)
    assert await pool.read(bytes(BODY)) is first


async def test_other_bytes_are_read_themselves(pool: ReadingPool) -> None:
    first, second = await pool.read(BODY), await pool.read(BODY + b" ")
    assert first.digest != second.digest


async def test_only_the_latest_are_remembered(pool: ReadingPool) -> None:
    first = await pool.read(BODY)
    for number in range(RECENT):
        await pool.read(b"<a>%d</a>" % number)
    again = await pool.read(BODY)
    assert again is not first
    assert again == first
    assert len(pool._recent) == RECENT


async def test_a_large_body_is_read_elsewhere_and_not_remembered(pool: ReadingPool, tools: Tools) -> None:
    large = BODY + b" " * 600
    found = await pool.read(large)
    assert found == read(large, tools)
    assert await pool.read(large) is not found


async def test_too_many_large_ones_are_sent_again(pool: ReadingPool) -> None:
    pool._waiting = 1
    with pytest.raises(Overloaded):
        await pool.read(BODY + b" " * 600)
    await pool.read(BODY)  # small ones go on
