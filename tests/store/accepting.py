"""A process that accepts messages under load until it is killed: `python accepting.py DATABASE ROUND`.

A line `<letter id> <message id>` on standard output is the acknowledgement: the message is durable. Every message is
sent by two requests at once; the loser of the race is acknowledged with the winner's id, too.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator

from outcomes import accepted, letter_of, reading_of, sqlite_store

from gtgateway.store.sqlite import SqliteStore

SENDERS = 8


def body_of(letter_id: str) -> bytes:
    """About 15 kB that belong to one letter only."""
    return f"<{letter_id}/>".encode() * 1000


async def send(store: SqliteStore, letter_id: str) -> None:
    outcome = accepted(reading_of(letter_of(letter_id), vans_id=f"vans-{letter_id}"))
    body = body_of(letter_id)
    for saved in await asyncio.gather(*(store.save(outcome, body, "hospital") for _ in range(2))):
        os.write(1, f"{letter_id} {saved.message_id}\n".encode())


async def sender(store: SqliteStore, letter_ids: Iterator[str]) -> None:
    for letter_id in letter_ids:
        await send(store, letter_id)


async def main(database: str, round_number: str) -> None:
    store = sqlite_store(database)
    await store.open()
    letter_ids = (f"{round_number}-{number}" for number in range(1_000_000))
    await asyncio.gather(*(sender(store, letter_ids) for _ in range(SENDERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
