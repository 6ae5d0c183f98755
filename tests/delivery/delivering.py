"""A process that delivers once and is killed on the way: `python delivering.py DATABASE DIRECTORY LOG MINUTES POINT`.

MINUTES after receipt is its time. POINT: it kills itself after the first `claim`, `begin`, `send` or `conclude`;
`never`: it ends well. Each message that is sent is a line `<end-point> <message id> <envelope id>` in LOG.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from rooms import RECEIVED_AT, Carrier, World, message_id_of, posting_store, posting_tools

from gtgateway.model.delivery import Answer, Endpoint, Outgoing
from gtgateway.pipeline import read


class Mortal:
    """Kills the process when a call of a name has come back."""

    def __init__(self, inner: Any, point: str) -> None:
        self._inner = inner
        self._point = point

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name != self._point:
            return call

        async def last(*arguments: Any) -> Any:
            await call(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        return last


class Logged(Carrier):
    """Notes what it sends on the disk."""

    log: Path

    async def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Answer:
        message_id = message_id_of(read(outgoing.body, self._tools))
        with self.log.open("a") as log:
            log.write(f"{endpoint.id} {message_id} {outgoing.envelope_id}\n")
        return await super().send(endpoint, outgoing)


async def main(database: str, directory: str, log: str, minutes: str, point: str) -> None:
    tools = posting_tools(Path(directory))
    store = posting_store(database)
    await store.open()
    world = World(tools, store)
    world.now = RECEIVED_AT + timedelta(minutes=int(minutes))
    logged = Logged(tools, lambda: world.now)
    logged.log = Path(log)
    world.carrier = Mortal(logged, point)  # type: ignore[assignment]
    await world.new_room(Mortal(store, point)).once(world.now)  # type: ignore[arg-type]
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
