"""Group commit: writes that arrive close together share one durable commit, made by the one thread that writes."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from gtgateway.errors import Overloaded, StoreUnavailable

T = TypeVar("T")


def as_gateway_error(error: Exception) -> Exception:
    """A fault of the database as StoreUnavailable; wrong SQL or a broken constraint is ours and stays what it is."""
    if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError | apsw.SQLError):
        return StoreUnavailable(f"{type(error).__name__}.")
    return error


class _Waiting:
    """A write and who waits for it."""

    __slots__ = ("error", "future", "job", "result")

    def __init__(self, job: Callable[[apsw.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.job = job
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


class GroupWriter:
    """Runs writes in the order of their arrival. No timer: a group is what queued while the last commit ran."""

    def __init__(self, connection: apsw.Connection, waiting: int, committed: Callable[[], None]) -> None:
        """`waiting`: most writes in the queue; `committed` is called in the event loop after every durable group."""
        self._connection = connection
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(waiting)
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[apsw.Connection], T]) -> T:
        """The result of `job` when it is durable.

        Raises Overloaded when the queue is full, StoreUnavailable when the database fails, and what `job` raises (then
        nothing of it is kept).
        """
        future: asyncio.Future[T] = self._loop.create_future()
        try:
            self._queue.put_nowait(_Waiting(job, future))
        except queue.Full:
            raise Overloaded("Too many messages wait to be stored.") from None
        return await future

    async def close(self) -> None:
        """Finish what is queued, then stop the thread."""
        await asyncio.to_thread(self._queue.put, None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        going_on = True
        while going_on:
            group, going_on = self._next_group()
            self._commit(group)
            self._loop.call_soon_threadsafe(self._settle, group)

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Everything that waits now, at least one; False when the queue was closed."""
        group: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[_Waiting]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for each in group:
                connection.execute("SAVEPOINT alone")  # one bad write never fails its neighbours
                try:
                    each.result = each.job(connection)
                except Exception as error:
                    if not connection.in_transaction:
                        raise  # SQLite gave up the whole transaction (disk full, I/O error)
                    each.error = as_gateway_error(error)
                    connection.execute("ROLLBACK TO alone")
                connection.execute("RELEASE alone")
            connection.execute("COMMIT")
        except Exception as error:
            # Where even this fails, the next group fails at its BEGIN; nobody is left waiting.
            with contextlib.suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            for each in group:
                each.error = each.error or as_gateway_error(error)

    def _settle(self, group: Sequence[_Waiting]) -> None:
        for each in group:
            if each.future.done():  # whoever waited has gone away
                continue
            if each.error is not None:
                each.future.set_exception(each.error)
            else:
                each.future.set_result(each.result)
        self._committed()
