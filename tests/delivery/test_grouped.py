"""Grouped calls: what queues while one runs is the next one, and a bad item fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gtgateway.delivery.grouped import Grouped
from gtgateway.errors import StoreUnavailable


class Calls:
    """Remembers the groups; sums an item up, or fails for a negative one, or while it is `away`."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go = asyncio.Event()
        self.away = False

    async def __call__(self, items: Sequence[int]) -> int:
        self.groups.append(list(items))
        await self.go.wait()
        if self.away:
            raise StoreUnavailable
        if any(each < 0 for each in items):
            raise ValueError
        return sum(items)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_what_queues_while_a_call_runs_is_the_next_group() -> None:
    calls = Calls()
    grouped = Grouped(calls)
    first = asyncio.create_task(grouped(1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(grouped(each)) for each in (2, 3, 4)]
    await asyncio.sleep(0.01)
    calls.go.set()
    assert await asyncio.gather(first, *others) == [1, 9, 9, 9]
    assert calls.groups == [[1], [2, 3, 4]]
    assert await grouped(5) == 5


@pytest.mark.anyio
async def test_a_bad_item_fails_alone() -> None:
    calls = Calls()
    calls.go.set()
    grouped = Grouped(calls)
    found = await asyncio.gather(*(grouped(each) for each in (1, -2, 3)), return_exceptions=True)
    assert found[0] == 1
    assert isinstance(found[1], ValueError)
    assert found[2] == 3
    assert calls.groups == [[1, -2, 3], [1], [-2], [3]]


@pytest.mark.anyio
async def test_an_archive_that_is_away_is_away_for_all_and_asked_once() -> None:
    calls = Calls()
    calls.go.set()
    calls.away = True
    grouped = Grouped(calls)
    found = await asyncio.gather(grouped(1), grouped(2), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable, StoreUnavailable]
    assert calls.groups == [[1, 2]]
    calls.away = False
    assert await grouped(3) == 3


@pytest.mark.anyio
async def test_who_goes_away_does_not_disturb_the_others() -> None:
    calls = Calls()
    grouped = Grouped(calls)
    leaving, staying = asyncio.create_task(grouped(1)), asyncio.create_task(grouped(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0.01)
    calls.go.set()
    assert await staying == 3
