"""kill -9 under load, many times: no acknowledged message is lost, none is doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import psycopg
import pytest
from accepting import body_of, store_of
from outcomes import GP, ODENSE, accepted, letter_of, reading_of
from servers import Databases

from gtgateway.model.delivery import DeliveryState
from gtgateway.model.outcome import Repeat

ROUNDS = 16
ROUNDS_ON_POSTGRES = 3

TABLES = ("message", "message_key", "vans_envelope", "letter", "plan", "plan_version", "record")
TABLES += ("delivery", "feed_entry", "record_access", "message_event")

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def nothing() -> None:
    """What happens in between, when nothing does."""


def acknowledged_until_killed(
    database: str, round_number: int, seconds: float, in_between: Callable[[], None] = nothing
) -> list[tuple[str, str]]:
    """What a process acknowledged before it was killed, `seconds` after its first acknowledgement and `in_between`."""
    program = Path(__file__).with_name("accepting.py")
    with subprocess.Popen(
        [sys.executable, str(program), database, str(round_number)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        in_between()
        killer = threading.Timer(seconds, process.kill)
        killer.start()
        lines = [first, *process.stdout]
        killer.join()
        assert process.wait() == -signal.SIGKILL
    # A line that was cut off was not an acknowledgement.
    pairs = (line.decode().split() for line in lines if line.endswith(b"\n"))
    return [(letter_id, message_id) for letter_id, message_id in pairs]


def counts(database: str) -> dict[str, int]:
    """Rows of each table of the archive."""
    if "://" in database:
        with psycopg.connect(database) as server:
            rows = [server.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,) for table in TABLES]  # type: ignore[arg-type]
            return {table: count for table, (count,) in zip(TABLES, rows, strict=True)}
    with apsw.Connection(database) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").get for table in TABLES}


def round_by_round(database: str, rounds: int, in_between: Callable[[], None] = nothing) -> dict[str, str]:
    """Letter id -> message id of everything that was acknowledged before any of the kills."""
    chance = random.Random(918)
    acknowledged: dict[str, str] = {}
    for round_number in range(rounds):
        for letter_id, message_id in acknowledged_until_killed(
            database, round_number, chance.uniform(0, 0.2), in_between
        ):
            # Both requests with one message were answered with the same one.
            assert acknowledged.setdefault(letter_id, message_id) == message_id
    assert len(acknowledged) >= rounds * 2
    return acknowledged


async def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    database = str(tmp_path / "gateway.db")
    await check(database, round_by_round(database, ROUNDS))


async def test_nothing_is_lost_or_doubled_on_postgresql(database: str) -> None:
    await check(database, round_by_round(database, ROUNDS_ON_POSTGRES))


async def test_nothing_is_lost_or_doubled_when_postgresql_crashes_under_load(
    postgres: Databases, database: str
) -> None:
    if postgres.server is None:
        pytest.skip("the PostgreSQL that was given is not ours to kill")
    await check(database, round_by_round(database, ROUNDS_ON_POSTGRES, postgres.crash))


async def check(database: str, acknowledged: dict[str, str]) -> None:
    """Everything acknowledged is there, whole and once."""
    store = store_of(database)
    await store.open()
    positions: set[int] = set()
    for letter_id, message_id in acknowledged.items():
        again = reading_of(letter_of(letter_id), vans_id=f"vans-{letter_id}")
        answer = (await store.known(again)).answer
        assert answer is not None
        assert (answer.message_id, answer.accepted) == (message_id, True)
        message = await store.message(message_id)
        assert message is not None
        assert message.letter_ids == (letter_id,)
        assert await store.body(message_id) == body_of(letter_id)
        assert [(each.organisation_id, each.state) for each in message.deliveries] == [
            (ODENSE.id, DeliveryState.PENDING),
            (GP.id, DeliveryState.PENDING),
        ]
        record = await store.record(message.record_ids[0])
        assert record is not None
        assert (record.version, record.letter_id, record.organisations) == (1, letter_id, {ODENSE.id, GP.id})

    # Nothing is doubled: what was committed without being acknowledged is whole, too.
    before = counts(database)
    once = before["message"]
    assert once >= len(acknowledged)
    assert before == dict.fromkeys(before, once) | dict.fromkeys(("delivery", "feed_entry", "record_access"), 2 * once)
    after, more, records = 0, True, set()
    while more:
        page = await store.feed([ODENSE.id], after, 500)
        positions.update(entry.position for entry in page.entries)
        records.update(entry.record_id for entry in page.entries)
        after, more = page.next, page.more
    assert len(positions) == len(records) == once

    # Sent again, everything is a replay, with the same id, and writes nothing.
    for letter_id, message_id in acknowledged.items():
        again = accepted(reading_of(letter_of(letter_id), vans_id=f"vans-{letter_id}"), repeat=Repeat.REPLAY)
        assert (await store.save(again, body_of(letter_id), "hospital")).message_id == message_id
    assert counts(database) == before
    await store.close()
