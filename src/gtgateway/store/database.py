"""What every archive in SQL asks of the database behind it, and who waits for its feeds."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from gtgateway.store.saving import Transaction

T = TypeVar("T")


class Database(ABC):
    """A subclass opens and closes it, reads, writes, and says when a feed has grown."""

    def __init__(self, queue: int, clock: Callable[[], datetime]) -> None:
        """`queue`: most writes that may wait."""
        self._queue = queue
        self._clock = clock
        self._patient_key = b""
        self._newest = self._newest_event = 0
        self._grown = asyncio.Event()

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def _read(self, query: str, /, **values: Any) -> Sequence[Sequence[Any]]:
        """All rows of a named query. Raises StoreUnavailable."""

    @abstractmethod
    async def _find(self, sql: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """All rows of a query that was put together; values by name as in the named ones. Raises StoreUnavailable."""

    @abstractmethod
    async def _write(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        """The result of a write when it is durable.

        Raises Overloaded when the queue is full, StoreUnavailable when the database fails, and what `job` raises (then
        nothing of it is kept).
        """

    async def _write_apart(self, job: Callable[[Transaction], Awaitable[T]]) -> T:
        """A write that asks before it writes, likewise; beside the others where the database can do that."""
        return await self._write(job)

    @abstractmethod
    def _several(self, values: Collection[str] | Collection[int]) -> Any:
        """Texts or keys as the database takes them in one value."""

    def _packed(self, body: bytes) -> bytes:
        """A received body as it is kept."""
        return body

    def _unpacked(self, body: bytes) -> bytes:
        return body

    def _grow(self, newest: int, newest_event: int) -> None:
        """Wake whoever waits for one of the feeds when it has grown to a position."""
        if newest > self._newest or newest_event > self._newest_event:
            self._newest = max(newest, self._newest)
            self._newest_event = max(newest_event, self._newest_event)
            grown, self._grown = self._grown, asyncio.Event()
            grown.set()

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        """Return when the feeds have grown so far, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    await self._grown.wait()
        except TimeoutError:
            return
