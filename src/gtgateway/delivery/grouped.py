"""Calls that arrive close together become one: a group is what queued while the last call ran. No timer.

And waiting for the first of several things, as who makes such calls does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from gtgateway.errors import GatewayError

Item = TypeVar("Item")
Result = TypeVar("Result")


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has; the others are cancelled."""
    waiting = [asyncio.create_task(each) for each in waits]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


class Grouped(Generic[Item, Result]):
    """Makes one call for many items; everyone of a group gets its result."""

    def __init__(self, call: Callable[[Sequence[Item]], Awaitable[Result]]) -> None:
        self._call = call
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result of the call that this item was in. Raises what that call raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._settle(group)
        finally:
            self._running = None

    async def _settle(self, group: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            result = await self._call([item for item, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, GatewayError):
                for each in group:  # one bad item never fails its neighbours
                    await self._settle([each])
                return
            for _, future in group:
                if not future.done():  # whoever waited has gone away
                    future.set_exception(error)
        else:
            for _, future in group:
                if not future.done():
                    future.set_result(result)
