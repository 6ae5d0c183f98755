"""Alarms: said once while their reason lasts, with ids only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gtgateway.delivery.alarms import Alarms
from gtgateway.store.base import Unserved

SINCE = datetime(2026, 11, 6, 9, 30, tzinfo=UTC)


def unserved(delivery_id: int) -> Unserved:
    return Unserved(delivery_id, f"record-{delivery_id}", "message", "odense-kommune", "pending", "http_503", SINCE)


def test_an_unserved_recipient_is_alarmed_for_once_while_it_lasts() -> None:
    heard: list[tuple[str, Mapping[str, str | int | None]]] = []
    alarms = Alarms(lambda event, ids: heard.append((event, ids)))
    alarms.unserved([unserved(1)])
    assert heard == [
        (
            "recipient_unserved",
            {
                "delivery_id": 1,
                "record_id": "record-1",
                "message_id": "message",
                "organisation_id": "odense-kommune",
                "state": "pending",
                "reason": "http_503",
                "since": "2026-11-06T09:30:00+00:00",
            },
        )
    ]
    alarms.unserved([unserved(1), unserved(2)])
    assert [ids["delivery_id"] for _, ids in heard] == [1, 2]
    alarms.unserved([unserved(2)])
    assert len(heard) == 2
    alarms.unserved([unserved(1), unserved(2)])
    assert [ids["delivery_id"] for _, ids in heard] == [1, 2, 1]


def test_every_listener_hears_every_alarm() -> None:
    heard: list[str] = []
    alarms = Alarms(lambda event, _: heard.append(f"a {event}"), lambda event, _: heard.append(f"b {event}"))
    alarms.sound("endpoint_at_fault", endpoint="ouh", reason="certificate")
    assert heard == ["a endpoint_at_fault", "b endpoint_at_fault"]
