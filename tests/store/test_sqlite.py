"""What is true of the SQLite archive alone: the file, its owner, a full disk, a transaction that is open elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from outcomes import (
    GP,
    ODENSE,
    RECEIVED_AT,
    SENDER,
    accepted,
    letter_of,
    reading_of,
    record_document,
    rejected,
    sqlite_store,
    summary_document,
)

from gtgateway.errors import ConfigurationError, StoreUnavailable
from gtgateway.model.outcome import Outcome
from gtgateway.model.record import MunicipalRecord
from gtgateway.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

BODY = bytes(range(256))


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = sqlite_store(tmp_path / "gateway.db")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def beside(file_store: SqliteStore, tmp_path: Path) -> apsw.Connection:
    """Another connection to the same file."""
    return apsw.Connection(str(tmp_path / "gateway.db"))


async def test_reopening_keeps_everything(tmp_path: Path) -> None:
    first, second = reading_of(letter_of("L1"), vans_id="V1"), reading_of(letter_of("L2"))
    store = sqlite_store(tmp_path / "gateway.db")
    await store.open()
    saved = await store.save(accepted(first), BODY, "ouh")
    refused = await store.save(rejected(second), BODY, "ouh")
    await store.mark_sent([ODENSE.id], 1)
    asked = reading_of(letter_of("L3"))
    before = [
        await store.known(first),
        await store.known(second),
        await store.known(asked),  # the patient's pseudonym is the same: its key was kept
        await store.message(saved.message_id),
        await store.message(refused.message_id),
        await store.record(saved.record_ids[0]),
        await store.feed([ODENSE.id, GP.id], 0, 10),
    ]
    await store.close()
    await store.open()
    assert before == [
        await store.known(first),
        await store.known(second),
        await store.known(asked),
        await store.message(saved.message_id),
        await store.message(refused.message_id),
        await store.record(saved.record_ids[0]),
        await store.feed([ODENSE.id, GP.id], 0, 10),
    ]
    assert len(before[2].active_plans["L3"]) == 1
    assert await store.body(saved.message_id) == BODY
    await asyncio.wait_for(store.wait_for_feed(0, 10), 1)
    await store.close()


async def test_every_commit_is_on_the_disk_before_it_is_reported(file_store: SqliteStore) -> None:
    assert file_store._writing is not None
    pragmas = {name: file_store._writing.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_a_file_has_one_owner(file_store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="belongs to the running process"):
        await sqlite_store(tmp_path / "gateway.db").open()
    assert await file_store.ready()
    await file_store.close()
    other = sqlite_store(tmp_path / "gateway.db")
    await other.open()
    await other.close()


async def test_a_failed_opening_lets_go(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"not a database" * 100)
    store = sqlite_store(tmp_path / "gateway.db")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="cannot be migrated"):
            await store.open()
    (tmp_path / "gateway.db").unlink()
    await store.open()
    await store.close()


async def test_positions_are_in_the_order_of_commits(file_store: SqliteStore, beside: apsw.Connection) -> None:
    await file_store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    newest = await file_store.newest([ODENSE.id, GP.id])
    beside.execute("BEGIN IMMEDIATE")
    beside.execute("INSERT INTO feed_entry VALUES (NULL, 'odense-kommune', 1, 1, 'case')")
    opened = beside.last_insert_rowid()
    saving = asyncio.create_task(file_store.save(accepted(reading_of(letter_of("L2"))), BODY, "ouh"))
    await asyncio.sleep(0.1)
    assert not saving.done()
    # While it is open nothing of it is seen, and nothing can pass it.
    assert await file_store.newest([ODENSE.id, GP.id]) == newest
    beside.execute("COMMIT")
    await saving
    page = await file_store.feed([ODENSE.id], newest, 10)
    first, second = (entry.position for entry in page.entries)
    assert first == opened < second


async def test_a_full_disk_keeps_nothing_and_recovers(file_store: SqliteStore) -> None:
    assert file_store._writing is not None
    pages = file_store._writing.pragma("page_count")
    file_store._writing.pragma("max_page_count", pages + 8)
    small = [accepted(reading_of(letter_of(f"S{number}"))) for number in range(2)]
    large = accepted(reading_of(letter_of("L1")))
    results = await asyncio.gather(
        file_store.save(small[0], b"", "ouh"),
        file_store.save(large, b"x" * 500_000, "ouh"),
        file_store.save(small[1], b"", "ouh"),
        return_exceptions=True,
    )
    assert isinstance(results[1], StoreUnavailable)
    file_store._writing.pragma("max_page_count", 1_000_000)
    for outcome, result in zip((small[0], large, small[1]), results, strict=True):
        kept = (await file_store.known(outcome.reading)).answer is not None
        assert kept == (not isinstance(result, BaseException))
    saved = await file_store.save(large, b"x" * 500_000, "ouh")
    assert saved.earlier is None


async def test_a_broken_constraint_is_our_defect_and_fails_alone(tmp_path: Path) -> None:
    def document(record: MunicipalRecord) -> bytes:
        return None if record.plan_id == "bad" else record_document(record)  # type: ignore[return-value]

    store = SqliteStore(
        tmp_path / "gateway.db", record_document=document, summary_document=summary_document, clock=lambda: RECEIVED_AT
    )
    await store.open()
    good, bad = (accepted(reading_of(letter_of(letter_id))) for letter_id in ("good", "bad"))
    saved, error = await asyncio.gather(
        store.save(good, BODY, "ouh"), store.save(bad, BODY, "ouh"), return_exceptions=True
    )
    assert isinstance(error, apsw.ConstraintError)
    assert not isinstance(saved, BaseException)
    assert (await store.known(bad.reading)).answer is None
    assert (await store.known(good.reading)).answer is not None
    await store.close()


async def test_pulling_moves_a_cursor_and_polling_writes_nothing(
    file_store: SqliteStore, beside: apsw.Connection
) -> None:
    await file_store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    await file_store.mark_sent([ODENSE.id], 1)
    await file_store.mark_delivered([ODENSE.id], 1, RECEIVED_AT)
    cursor = beside.execute("SELECT * FROM pull_cursor").fetchall()
    assert cursor == [(ODENSE.id, 1, RECEIVED_AT.isoformat())]
    version = beside.pragma("data_version")
    for _ in range(3):
        await file_store.mark_sent([ODENSE.id], 2)
        await file_store.mark_delivered([ODENSE.id], 2, RECEIVED_AT)
    assert beside.pragma("data_version") == version


async def test_tables_of_a_message(file_store: SqliteStore, beside: apsw.Connection) -> None:
    outcome: Outcome = rejected(reading_of(letter_of("L1"), vans_id="V1"))
    await file_store.save(outcome, BODY, "ouh")
    assert beside.execute("SELECT letter_id, rule, severity FROM finding ORDER BY ordinal").fetchall() == [
        (None, "GOP-MSG-10", "warning"),
        ("L1", "GOP-MSG-06", "error"),
    ]
    assert beside.execute(
        "SELECT letter_id, verdict, action, order_id, order_basis, record FROM letter"
    ).fetchall() == [("L1", "rejected", "new", "BEK-918-2018", "discharge", None)]
    assert beside.execute("SELECT sender_id, envelope_id FROM vans_envelope").fetchall() == [(SENDER, "V1")]
    assert beside.execute("SELECT sender_gln, kind FROM message_event").fetchall() == [(SENDER, "answered")]
    for table in ("plan", "plan_version", "record", "record_access", "delivery", "feed_entry"):
        assert beside.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]


async def test_no_citizens_number_stands_in_the_index_of_patients(
    file_store: SqliteStore, beside: apsw.Connection
) -> None:
    await file_store.save(accepted(reading_of(letter_of("L1"))), BODY, "ouh")
    (patient,) = beside.execute("SELECT patient FROM plan").fetchall()[0]
    assert len(patient) == 32
    assert b"2512489996" not in patient
