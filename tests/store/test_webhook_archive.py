"""The contract of the webhooks' part of every archive: one notice at a time, the same until it is taken."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from outcomes import RECEIVED_AT, SENDER, accepted, letter_of, postgres_store, reading_of, rejected

from gtgateway.store.base import DueNotice, Store

pytestmark = pytest.mark.anyio

NOW = RECEIVED_AT
LEASE = timedelta(seconds=60)


async def claim(store: Store, newest: int, seconds: float = 0, worker: str = "w") -> DueNotice | None:
    now = NOW + timedelta(seconds=seconds)
    return await store.claim_notice(worker, "odense", "records", newest, now, now + LEASE)


async def claimed(store: Store, newest: int, seconds: float = 0, worker: str = "w") -> DueNotice:
    due = await claim(store, newest, seconds, worker)
    assert due is not None
    return due


async def test_an_empty_feed_is_no_news(store: Store) -> None:
    assert await claim(store, 0) is None


async def test_one_notice_stands_for_all_that_came_since_the_last(store: Store) -> None:
    due = await claimed(store, 7)
    assert (due.client, due.feed, due.told, due.failures, due.noticed_at) == ("odense", "records", 0, 0, NOW)
    await store.notice_taken("w", due, NOW)
    assert await claim(store, 7) is None
    following = await claimed(store, 9)
    assert following.told == 7
    assert following.notice_id != due.notice_id


async def test_nobody_sends_while_another_does_and_after_the_lease_the_same_notice_goes_again(store: Store) -> None:
    due = await claimed(store, 7)
    assert await claim(store, 8, 59, "other") is None
    again = await claimed(store, 8, 60, "other")
    assert again == due
    await store.notice_taken("w", due, NOW)  # too late: it is the other's
    assert await claim(store, 8, 61) is None
    await store.notice_taken("other", again, NOW + LEASE)
    assert (await claimed(store, 8, 61)).told == 7  # what came meanwhile is news of its own


async def test_a_notice_that_failed_waits_and_stays_the_same(store: Store) -> None:
    due = await claimed(store, 7)
    await store.notice_failed("w", due, NOW + timedelta(seconds=5))
    assert await claim(store, 9, 4) is None
    again = await claimed(store, 9, 5)
    assert (again.notice_id, again.noticed_at, again.told, again.failures) == (due.notice_id, NOW, 0, 1)


async def test_clients_and_feeds_are_told_apart(store: Store) -> None:
    await claimed(store, 7)
    for client, feed in (("odense", "messages"), ("ouh", "records")):
        assert await store.claim_notice("w", client, feed, 7, NOW, NOW + LEASE) is not None


async def test_the_newest_event_is_that_of_the_senders(store: Store) -> None:
    assert await store.newest_event([SENDER]) == 0
    await store.save(accepted(reading_of(letter_of("L1"))), b"body", "hospital")
    await store.save(rejected(reading_of(letter_of("L2"), envelope_id="e2")), b"body", "hospital")
    page = await store.events([SENDER], 0, 100)
    assert await store.newest_event([SENDER, "5790000000005"]) == page.entries[-1].position > 0
    assert await store.newest_event(["5790000000005"]) == await store.newest_event([]) == 0


async def test_many_processes_make_one_notice(database: str) -> None:
    stores = [postgres_store(database) for _ in range(3)]
    for each in stores:
        await each.open()
    try:
        for round_number in range(1, 6):
            seconds = 100.0 * round_number
            found = await asyncio.gather(
                *(claim(store, round_number, seconds, f"w{number}") for number, store in enumerate(stores * 3))
            )
            (due,) = [each for each in found if each is not None]
            (worker,) = [f"w{number}" for number, each in enumerate(found) if each is not None]
            assert due.told == round_number - 1
            await stores[0].notice_taken(worker, due, NOW + timedelta(seconds=seconds))
    finally:
        for each in stores:
            await each.close()
