"""Search and trace: any message by what is known of it, and its whole path through the gateway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

import orjson

from gtgateway.model.delivery import UNSETTLED, DeliveryState
from gtgateway.store.base import DeliveryQuery, FoundDelivery, Hit, Moment, Query, UnmatchedReceipt
from gtgateway.store.database import Database
from gtgateway.store.posting import delivery_of
from gtgateway.store.saving import Row, instant

LONGEST_PAGE = 500

_HITS = "SELECT message.id, message.message_id, received_at, sender_gln, format, verdict FROM message"
_NEWEST_FIRST = "ORDER BY message.id DESC LIMIT :limit"

#: Field of a query -> what it asks of a message. Each finds its way by an index.
_CONDITIONS = {
    "message_id": """message.id IN (
        SELECT id FROM message WHERE message_id = :message_id
        UNION SELECT id FROM message WHERE envelope_id = :message_id
        UNION SELECT message FROM letter WHERE letter_id = :message_id
        UNION SELECT plan_version.message FROM record JOIN plan_version ON plan_version.plan = record.plan
        WHERE record_id = :message_id
        UNION SELECT plan_version.message FROM attempt JOIN delivery ON delivery.id = attempt.delivery
        JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
        WHERE attempt.envelope_id = :message_id OR attempt.message_uuid = :message_id
    )""",
    "sender_gln": "message.sender_gln = :sender_gln",
    "patient": """message.id IN (
        SELECT message FROM plan_version JOIN plan ON plan.id = plan_version.plan WHERE patient = :patient
    )""",
    "organisation": """message.id IN (
        SELECT plan_version.message FROM delivery
        JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
        WHERE organisation = :organisation
    )""",
    "state": """message.id IN (
        SELECT plan_version.message FROM delivery
        JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
        WHERE state = :state
    )""",
    "verdict": "message.verdict = :verdict",
    "rule": "message.id IN (SELECT message FROM finding WHERE rule = :rule)",
    "received_from": "received_at >= :received_from",
    "received_until": "received_at < :received_until",
    "before": "message.id < (SELECT id FROM message WHERE message_id = :before)",
}

#: A recipient and a state are of one and the same delivery.
_OF_ONE_DELIVERY = _CONDITIONS["organisation"].replace(":organisation", ":organisation AND state = :state")

_DELIVERIES = """SELECT message_id, message.sender_gln, since, record_id, delivery.plan_version, organisation,
    organisation_name, roles, delivery.state, attempts, updated_at, delivery.id, endpoint, next_at, reason
FROM delivery
JOIN plan ON plan.id = delivery.plan
JOIN record ON record.id = delivery.record
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = plan_version.message
WHERE"""

#: Field of a query -> what it asks of a delivery. `+`: they are found by their state, and put in order afterwards.
_OF_DELIVERIES = {
    "message_id": "message_id = :message_id",
    "sender_gln": "message.sender_gln = :sender_gln",
    "organisation": "organisation = :organisation",
    "endpoint": "endpoint = :endpoint",
    "reason": "reason = :reason",
    "since_from": "since >= :since_from",
    "since_until": "since < :since_until",
    "before": "+delivery.id < :before",
}


class SearchArchive(Database):
    """What `Store` says of search and trace."""

    async def search(self, query: Query) -> tuple[Hit, ...]:
        """Messages for which every given condition holds, newest first; at most 500."""
        asked: Row = {
            "message_id": query.message_id,
            "sender_gln": query.sender_gln,
            "patient": query.patient.pseudonym(self._patient_key) if query.patient else None,
            "organisation": query.organisation,
            "state": query.state,
            "verdict": query.verdict,
            "rule": query.rule,
            "received_from": instant(query.received_from) if query.received_from else None,
            "received_until": instant(query.received_until) if query.received_until else None,
            "before": query.before,
        }
        values = {name: value for name, value in asked.items() if value is not None}
        found = await self._find(search_sql(values), {**values, "limit": min(query.limit, LONGEST_PAGE)})
        several = self._several([message for message, *_ in found])
        records: dict[int, list[str]] = defaultdict(list)
        for message, record_id in await self._read("records_of_messages", messages=several):
            records[message].append(record_id)
        states: dict[int, dict[str, int]] = defaultdict(dict)
        for message, state, count in await self._read("states_of_messages", messages=several):
            states[message][state] = count
        return tuple(
            Hit(
                message_id,
                datetime.fromisoformat(at),
                sender_gln,
                format,
                verdict,
                tuple(records[message]),
                states[message],
            )
            for message, message_id, at, sender_gln, format, verdict in found
        )

    async def timeline(self, message_id: str) -> tuple[Moment, ...]:
        """The whole path of a message; see `Store.timeline`."""
        found = await self._read("path_received", message_id=message_id)
        if not found:
            return ()
        ((message, received_at, client, format, verdict, sender_gln),) = found
        rules = {each[0]: each[1] for each in await self._read("path_rules", message=message)}
        moments = [
            _moment(received_at, "received", None, client=client, format=format, sender_gln=sender_gln),
            _moment(received_at, "judged", None, verdict=verdict, **rules),
        ]
        for letter_id, record_id in await self._read("letters_of_message", message=message):
            if record_id is not None:
                moments.append(_moment(received_at, "stored", None, record_id=record_id, letter_id=letter_id))
        organisation_of: dict[int, str] = {}
        ends: list[Moment] = []
        for delivery, organisation, since, state, reason, updated_at, endpoint in await self._read(
            "path_deliveries", message=message
        ):
            organisation_of[delivery] = organisation
            of = {"delivery_id": delivery, "endpoint": endpoint}
            moments.append(_moment(since, "to_deliver", organisation, **of))
            if DeliveryState(state).is_settled:
                ends.append(_moment(updated_at, state, organisation, delivery_id=delivery, reason=reason))
        for delivery, started_at, finished_at, envelope_id, result, reason, detail in await self._read(
            "path_attempts", message=message
        ):
            of = {"delivery_id": delivery, "envelope_id": envelope_id}
            organisation = organisation_of[delivery]
            moments.append(_moment(started_at, "attempt", organisation, **of))
            if finished_at is not None:
                told = {**of, "result": result, "reason": reason, "detail": detail}
                moments.append(_moment(finished_at, "answer", organisation, **told))
        for delivery, at, sent_by, positive, refuse_code, quoted in await self._read("path_receipts", message=message):
            answer = "positive" if positive else "negative"
            of = {"delivery_id": delivery, "client": sent_by, "answer": answer, "code": refuse_code, "quoted": quoted}
            moments.append(_moment(at, "receipt", organisation_of[delivery], **of))
        for delivery, at, who, why, what in await self._read("path_interventions", message=message):
            moments.append(_moment(at, what, organisation_of[delivery], delivery_id=delivery, who=who, why=why))
        return tuple(sorted((*moments, *ends), key=lambda moment: moment.at))  # stable: of one instant as listed here

    async def deliveries(self, query: DeliveryQuery) -> tuple[FoundDelivery, ...]:
        """Deliveries in given states, newest first; see `Store.deliveries`."""
        asked: Row = {
            "message_id": query.message_id,
            "sender_gln": query.sender_gln,
            "organisation": query.organisation,
            "endpoint": query.endpoint,
            "reason": query.reason,
            "since_from": instant(query.since_from) if query.since_from else None,
            "since_until": instant(query.since_until) if query.since_until else None,
            "before": query.before,
        }
        values = {name: value for name, value in asked.items() if value is not None}
        found = await self._find(deliveries_sql(query.states, values), {**values, "limit": query.limit})
        return tuple(
            FoundDelivery(delivery_of(*delivery), message_id, sender_gln, datetime.fromisoformat(since))
            for message_id, sender_gln, since, *delivery in found
        )

    async def unmatched_receipts(self, before: datetime | None, limit: int) -> tuple[UnmatchedReceipt, ...]:
        """Receipts that answer nothing, newest first; see `Store.unmatched_receipts`."""
        until = instant(before) if before else "9999"
        found = await self._read("unmatched_receipts", before=until, limit=limit)
        return tuple(
            UnmatchedReceipt(
                datetime.fromisoformat(at),
                client,
                quoted,
                tuple(orjson.loads(letters)),
                sender,
                receiver,
                bool(ok),
                code,
            )
            for at, client, quoted, letters, sender, receiver, ok, code in found
        )


def deliveries_sql(states: Collection[DeliveryState], asked: Row) -> str:
    """The query for deliveries in some states and the fields that are asked for."""
    conditions = [f"delivery.state IN ({_listed(states)})", *(_OF_DELIVERIES[name] for name in asked)]
    if settled := [state for state in states if state.is_settled]:
        current = "delivery.plan_version = plan.version"
        if len(settled) < len(states):
            current = f"(delivery.state IN ({_listed(UNSETTLED)}) OR {current})"
        conditions.append(current)
    return f"{_DELIVERIES} {' AND '.join(conditions)} ORDER BY +delivery.id DESC LIMIT :limit"


def _listed(states: Collection[DeliveryState]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def search_sql(asked: Row) -> str:
    """The query for the fields that are asked for."""
    conditions = {name: _CONDITIONS[name] for name in asked}
    if "organisation" in asked and "state" in asked:
        conditions["organisation"] = _OF_ONE_DELIVERY
        del conditions["state"]
    conditions.setdefault("before", "message.id < 9223372036854775807")  # walks the key from its end
    return " ".join((_HITS, "WHERE", " AND ".join(conditions.values()), _NEWEST_FIRST))


def _moment(at: str, what: str, organisation: str | None, **detail: str | int | None) -> Moment:
    return Moment(datetime.fromisoformat(at), what, organisation, detail)
