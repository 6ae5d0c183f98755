"""Large bodies are read in other processes, so that one of them never holds up the rest (house.md 3)."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from gtgateway.errors import Overloaded
from gtgateway.model.message import Reading
from gtgateway.pipeline import Tools, read
from gtgateway.store.base import Store

#: Small readings that are remembered. What was just received is delivered next, to each recipient.
RECENT = 128

_worker_tools: Tools | None = None


def _start(make_tools: Callable[[], Tools]) -> None:
    global _worker_tools
    _worker_tools = make_tools()


def _read_in_worker(body: bytes) -> Reading:
    assert _worker_tools is not None
    return read(body, _worker_tools)


class ReadingPool:
    """Reads bodies: small ones in place, large ones in `workers` processes with a bounded queue.

    `make_tools` is called once in each process; it must be picklable. `workers` 0 reads everything in place.
    """

    def __init__(
        self, tools: Tools, make_tools: Callable[[], Tools], *, workers: int, inline_limit: int, queue: int
    ) -> None:
        self._tools = tools
        self._make_tools = make_tools
        self._workers = workers
        self._inline_limit = inline_limit
        self._queue = queue
        self._waiting = 0
        self._executor: ProcessPoolExecutor | None = None
        self._recent: OrderedDict[bytes, Reading] = OrderedDict()  #: by body, the latest last

    async def read(self, body: bytes) -> Reading:
        """The reading of a body. Raises Overloaded when too many large ones wait."""
        if len(body) <= self._inline_limit:
            return self._remembered(body)
        if self._workers == 0:
            return read(body, self._tools)
        if self._waiting >= self._queue:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool(), _read_in_worker, body)
        except BrokenProcessPool:
            # A worker was killed (out of memory). The next large body gets new workers; this one is sent again.
            self.stop()
            raise Overloaded from None
        finally:
            self._waiting -= 1

    def _remembered(self, body: bytes) -> Reading:
        """The same bytes say the same: a reading is never changed."""
        if (reading := self._recent.pop(body, None)) is None:
            reading = read(body, self._tools)
            if len(self._recent) >= RECENT:
                self._recent.popitem(last=False)
        self._recent[body] = reading
        return reading

    def _pool(self) -> ProcessPoolExecutor:
        """Started with the first large body: most gateways never see one."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._make_tools,),
            )
        return self._executor

    def stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


async def read_again(message_id: str, store: Store, pool: ReadingPool) -> tuple[bytes, Reading] | None:
    """A message from the bytes that were received (decision 0005), and these; None when they are kept no longer.

    Raises StoreUnavailable, Overloaded.
    """
    body = await store.body(message_id)
    return None if body is None else (body, await pool.read(body))
