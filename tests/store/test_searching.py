"""The contract of search and trace, and that no search reads a whole table."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import apsw
import psycopg
import pytest
from outcomes import (
    CPR,
    GP,
    ODENSE,
    OTHER_CPR,
    RECEIVED_AT,
    SENDER,
    accepted,
    letter_of,
    reading_of,
    rejected,
    route_to,
)

from gtgateway.model.delivery import UNSETTLED, AttemptResult, Conclusion, DeliveryState, NewAttempt
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import Action, OriginalRef
from gtgateway.model.route import Role
from gtgateway.store.base import DeliveryQuery, Moment, Query, Saved, Store, UnmatchedReceipt
from gtgateway.store.migrating import migrate_memory
from gtgateway.store.queries import queries_of
from gtgateway.store.searching import deliveries_sql, search_sql

BODY = b"body"
PUSHED = replace(ODENSE, endpoint="odense-net")
ROUTE = route_to((PUSHED, Role.ACTION), (GP, Role.COPY))


async def keep(store: Store, number: int, *, refused: bool = False, cpr: Cpr = CPR, gp: bool = True) -> Saved:
    """The message of an hour."""
    reading = reading_of(letter_of(f"L{number}", cpr=cpr), envelope_id=f"envelope-{number}")
    outcome = (
        rejected(reading) if refused else accepted(reading, route=ROUTE if gp else route_to((PUSHED, Role.ACTION)))
    )
    return await store.save(replace(outcome, received_at=at(number)), BODY, "ouh")


def at(hours: float) -> datetime:
    return RECEIVED_AT + timedelta(hours=hours)


async def hits(store: Store, **asked: Any) -> list[str]:
    return [hit.message_id for hit in await store.search(Query(**asked))]


@pytest.mark.anyio
async def test_what_a_message_is_found_by(store: Store) -> None:
    first = await keep(store, 1)
    second = await keep(store, 2, refused=True)
    third = await keep(store, 3, cpr=OTHER_CPR, gp=False)
    everything = [third.message_id, second.message_id, first.message_id]
    assert await hits(store) == everything
    assert await hits(store, sender_gln=SENDER) == everything
    assert await hits(store, sender_gln="5790000000000") == []
    for found in (first.message_id, "envelope-1", "L1", *first.record_ids):
        assert await hits(store, message_id=found) == [first.message_id]
    assert await hits(store, message_id="nothing") == []
    assert await hits(store, patient=CPR) == [first.message_id]  # a refused message keeps no patient (GOP-DATA-04)
    assert await hits(store, patient=OTHER_CPR) == [third.message_id]
    assert await hits(store, organisation=ODENSE.id) == [third.message_id, first.message_id]
    assert await hits(store, organisation=GP.id) == [first.message_id]
    assert await hits(store, state="pending") == [third.message_id, first.message_id]
    assert await hits(store, state="delivered") == []
    assert await hits(store, verdict="rejected") == [second.message_id]
    assert await hits(store, rule="GOP-MSG-06") == [second.message_id]
    assert await hits(store, received_from=at(2)) == [third.message_id, second.message_id]
    assert await hits(store, received_until=at(2)) == [first.message_id]
    assert await hits(store, received_from=at(1.5), received_until=at(2.5)) == [second.message_id]
    assert await hits(store, sender_gln=SENDER, verdict="accepted", patient=CPR) == [first.message_id]
    assert await hits(store, sender_gln=SENDER, verdict="rejected", patient=CPR) == []


@pytest.mark.anyio
async def test_a_recipient_and_a_state_are_of_one_delivery(store: Store) -> None:
    saved = await keep(store, 1)
    newest = await store.newest([GP.id])
    await store.mark_sent([GP.id], newest)
    assert await hits(store, organisation=GP.id, state="sent") == [saved.message_id]
    assert await hits(store, organisation=GP.id, state="pending") == []
    (hit,) = await store.search(Query(organisation=GP.id))
    assert (hit.record_ids, hit.deliveries) == (saved.record_ids, {"pending": 1, "sent": 1})
    assert (hit.sender_gln, hit.format, hit.verdict, hit.received_at) == (SENDER, "ggop", "accepted", at(1))


@pytest.mark.anyio
async def test_page_after_page(store: Store) -> None:
    saved = [(await keep(store, number)).message_id for number in range(7)]
    found: list[str] = []
    while page := await hits(store, organisation=GP.id, limit=3, before=found[-1] if found else None):
        assert len(page) <= 3
        found += page
    assert found == saved[::-1]
    assert await hits(store, before="unknown") == []


@pytest.mark.anyio
async def test_the_whole_path_of_a_message(store: Store) -> None:
    saved = await keep(store, 0)
    (due,) = await store.claim("w", {"odense-net": 1}, at(1), at(2))
    of = {"delivery_id": due.delivery_id, "envelope_id": "ours"}
    assert await store.begin("w", [NewAttempt(due.delivery_id, at(1), "ours", None, at(2))])
    result = AttemptResult(
        due.delivery_id, "ours", at(1.1), Conclusion.SENT, "http_202", None, DeliveryState.SENT, at(2)
    )
    await store.conclude("w", [result])
    refusal = OriginalRef("ours", (), "1", "2", positive=False, refuse_code="ukendt")
    await store.save_receipt(refusal, "d", at(1.2), "odense", [ODENSE.id])
    await store.resend([due.delivery_id], at(1.3), "anne", "rettet", new=False)
    await store.abandon([due.delivery_id], at(1.4), "anne", "ringet")
    delivery = {"delivery_id": due.delivery_id}
    gp_id = due.delivery_id + 1
    assert await store.timeline(saved.message_id) == (
        Moment(at(0), "received", None, {"client": "ouh", "format": "ggop", "sender_gln": SENDER}),
        Moment(at(0), "judged", None, {"verdict": "accepted"}),
        Moment(at(0), "stored", None, {"record_id": saved.record_ids[0], "letter_id": "L0"}),
        Moment(at(0), "to_deliver", ODENSE.id, {**delivery, "endpoint": "odense-net"}),
        Moment(at(0), "to_deliver", GP.id, {"delivery_id": gp_id, "endpoint": None}),
        Moment(at(1), "attempt", ODENSE.id, of),
        Moment(at(1.1), "answer", ODENSE.id, {**of, "result": "sent", "reason": "http_202", "detail": None}),
        Moment(
            at(1.2),
            "receipt",
            ODENSE.id,
            {**delivery, "client": "odense", "answer": "negative", "code": "ukendt", "quoted": "ours"},
        ),
        Moment(at(1.3), "retried", ODENSE.id, {**delivery, "who": "anne", "why": "rettet"}),
        Moment(at(1.4), "abandoned", ODENSE.id, {**delivery, "who": "anne", "why": "ringet"}),
        Moment(at(1.4), "abandoned", ODENSE.id, {**delivery, "reason": "by_person"}),
    )
    for found in ("ours", due.message_uuid):  # what a recipient calls it
        assert await hits(store, message_id=found) == [saved.message_id]
    refused = await keep(store, 3, refused=True)
    path = [(moment.what, moment.detail) for moment in await store.timeline(refused.message_id)]
    assert path[1:] == [("judged", {"verdict": "rejected", "error": 1, "warning": 1})]
    assert await store.timeline("unknown") == ()


@pytest.mark.anyio
async def test_a_correction_has_a_path_of_its_own(store: Store) -> None:
    first = await keep(store, 0)
    correction = accepted(
        reading_of(letter_of("L9", plan_id="L0")), action=Action.CORRECTION, route=ROUTE, plan_version=2
    )
    second = await store.save(replace(correction, received_at=at(1)), BODY, "ouh")
    ends = [
        (moment.at, moment.what, moment.detail["reason"]) for moment in (await store.timeline(first.message_id))[-2:]
    ]
    assert ends == [(at(1), "cancelled", "superseded")] * 2
    assert [moment.what for moment in await store.timeline(second.message_id)][3:] == ["to_deliver", "to_deliver"]
    assert await hits(store, message_id=first.record_ids[0]) == [second.message_id, first.message_id]


# --- how it is found --------------------------------------------------------------------------------------------------

FIELDS = (
    "message_id",
    "sender_gln",
    "patient",
    "organisation",
    "state",
    "verdict",
    "rule",
    "received_from",
    "received_until",
    "before",
)
ASKED = [(), *((field,) for field in FIELDS), *itertools.combinations(FIELDS, 2), FIELDS]


class _Anything(Mapping[str, Any]):
    """A value for every parameter."""

    def __getitem__(self, name: str) -> Any:
        return 10 if name == "limit" else b"x" if name == "patient" else "x"

    def __iter__(self) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


def test_no_search_reads_a_whole_table() -> None:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    for asked in ASKED:
        sql = search_sql(dict.fromkeys(asked, "x"))
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql, _Anything())]
        assert [step for step in plan if step.startswith("SCAN")] == [], (asked, plan)
    connection.close()


def test_no_search_reads_a_whole_table_on_postgresql(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # an empty table would be read whole
        for asked in ASKED:
            sql = search_sql(dict.fromkeys(asked, "x"))
            sql = re.sub(r":([a-z_]+)", lambda found: "10" if found[1] == "limit" else "'x'", sql)
            plan = "\n".join(row for (row,) in connection.execute("EXPLAIN " + sql))
            assert "Seq Scan" not in plan, f"{asked}\n{plan}"


# --- deliveries and receipts ------------------------------------------------------------------------------------------


DEAD = (DeliveryState.REFUSED, DeliveryState.ABANDONED)


async def found(store: Store, *states: DeliveryState, **asked: Any) -> list[tuple[str, str]]:
    """Message and recipient of each delivery."""
    several = await store.deliveries(DeliveryQuery(states or UNSETTLED, **asked))
    return [(each.message_id, each.delivery.organisation_id) for each in several]


@pytest.mark.anyio
async def test_what_a_delivery_is_found_by(store: Store) -> None:
    first = (await keep(store, 1)).message_id
    second = (await keep(store, 2, gp=False)).message_id
    everything = [(second, ODENSE.id), (first, GP.id), (first, ODENSE.id)]
    assert await found(store) == everything
    assert await found(store, *DEAD) == []
    assert await found(store, message_id=first) == everything[1:]
    assert await found(store, sender_gln=SENDER) == everything
    assert await found(store, sender_gln="5790000000000") == []
    assert await found(store, organisation=GP.id) == [(first, GP.id)]
    assert await found(store, endpoint="odense-net") == [(second, ODENSE.id), (first, ODENSE.id)]
    assert await found(store, since_from=at(2)) == [(second, ODENSE.id)]
    assert await found(store, since_until=at(2)) == everything[1:]
    (newest,) = await store.deliveries(DeliveryQuery(UNSETTLED, limit=1))
    assert (newest.since, newest.sender_gln, newest.delivery.endpoint) == (at(2), SENDER, "odense-net")
    assert await found(store, before=newest.delivery.delivery_id) == everything[1:]
    assert await store.abandon([newest.delivery.delivery_id], at(3), "anne", "ringet")
    assert await found(store, *DEAD, reason="by_person") == [(second, ODENSE.id)]
    assert await found(store, *DEAD, reason="http_400") == []
    assert await found(store, *DEAD, *UNSETTLED) == everything
    assert await found(store) == everything[1:]


@pytest.mark.anyio
async def test_a_dead_letter_of_an_earlier_version_is_none(store: Store) -> None:
    await keep(store, 0)
    first = await store.deliveries(DeliveryQuery(UNSETTLED))
    await store.abandon([each.delivery.delivery_id for each in first], at(1), "anne", "ringet")
    assert len(await found(store, *DEAD)) == 2
    correction = accepted(
        reading_of(letter_of("L9", plan_id="L0")), action=Action.CORRECTION, route=ROUTE, plan_version=2
    )
    second = await store.save(replace(correction, received_at=at(2)), BODY, "ouh")
    assert await found(store, *DEAD) == []
    assert await found(store, *DEAD, *UNSETTLED) == [(second.message_id, GP.id), (second.message_id, ODENSE.id)]


@pytest.mark.anyio
async def test_receipts_that_answer_nothing(store: Store) -> None:
    refusal = OriginalRef("unknown", ("L1", "L2"), "1", "2", positive=False, refuse_code="ukendt")
    for number in range(3):
        await store.save_receipt(refusal, f"d{number}", at(number), "odense", [ODENSE.id])
    expected = [
        UnmatchedReceipt(at(n), "odense", "unknown", ("L1", "L2"), "1", "2", False, "ukendt") for n in (2, 1, 0)
    ]
    assert list(await store.unmatched_receipts(None, 10)) == expected
    assert list(await store.unmatched_receipts(None, 1)) == expected[:1]
    assert list(await store.unmatched_receipts(at(2), 10)) == expected[1:]
    await keep(store, 0)
    (due,) = await store.claim("w", {"odense-net": 1}, at(1), at(2))
    await store.begin("w", [NewAttempt(due.delivery_id, at(1), "ours", None, at(2))])
    await store.save_receipt(replace(refusal, envelope_id="ours"), "d9", at(4), "odense", [ODENSE.id])
    assert list(await store.unmatched_receipts(None, 10)) == expected


OF_DELIVERIES = (
    "message_id",
    "sender_gln",
    "organisation",
    "endpoint",
    "reason",
    "since_from",
    "since_until",
    "before",
)
SEARCHES = [
    deliveries_sql(states, dict.fromkeys(asked, "x"))
    for asked in [(), *((field,) for field in OF_DELIVERIES), OF_DELIVERIES]
    for states in (DEAD, UNSETTLED)
] + [queries_of("sqlite")["unmatched_receipts"].rstrip(";")]


def test_no_search_for_deliveries_or_receipts_reads_a_whole_table() -> None:
    connection = apsw.Connection(":memory:")
    migrate_memory(connection)
    for sql in SEARCHES:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql, _Anything())]
        assert [step for step in plan if step.startswith("SCAN")] == [], (sql, plan)
    connection.close()


def test_nor_does_it_on_postgresql(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # an empty table would be read whole
        for sql in SEARCHES:
            sql = re.sub(r":limit|(?<=id < ):before", "10", sql)
            sql = re.sub(r":([a-z_]+)", "'x'", sql)
            plan = "\n".join(row for (row,) in connection.execute("EXPLAIN " + sql))
            assert "Seq Scan" not in plan, f"{sql}\n{plan}"
