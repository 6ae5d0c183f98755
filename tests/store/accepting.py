"""A process that accepts messages under load until it is killed: `python accepting.py DATABASE ROUND`.

DATABASE is a file for SQLite or the address of a PostgreSQL. Whoever hears that the archive is away sends again.

A line `<letter id> <message id>` on standard output is the acknowledgement: the message is durable. Every message is
sent by two requests at once; the loser of the race is acknowledged with the winner's id, too.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator

from outcomes import accepted, letter_of, postgres_store, reading_of, sqlite_store

from gtgateway.errors import StoreUnavailable
from gtgateway.model.outcome import Outcome
from gtgateway.store.base import Saved, Store

SENDERS = 8


def body_of(letter_id: str) -> bytes:
    """About 15 kB that belong to one letter only."""
    return f"<{letter_id}/>".encode() * 1000


def store_of(database: str) -> Store:
    return postgres_store(database) if "://" in database else sqlite_store(database)


async def save(store: Store, outcome: Outcome, body: bytes) -> Saved:
    while True:
        try:
            return await store.save(outcome, body, "hospital")
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def send(store: Store, letter_id: str) -> None:
    outcome = accepted(reading_of(letter_of(letter_id), vans_id=f"vans-{letter_id}"))
    body = body_of(letter_id)
    for saved in await asyncio.gather(*(save(store, outcome, body) for _ in range(2))):
        os.write(1, f"{letter_id} {saved.message_id}\n".encode())


async def sender(store: Store, letter_ids: Iterator[str]) -> None:
    for letter_id in letter_ids:
        await send(store, letter_id)


async def main(database: str, round_number: str) -> None:
    store = store_of(database)
    await store.open()
    letter_ids = (f"{round_number}-{number}" for number in range(1_000_000))
    await asyncio.gather(*(sender(store, letter_ids) for _ in range(SENDERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
