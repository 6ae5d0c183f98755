"""Figures for Prometheus: exact lines, and nothing left over from the last time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from gtgateway.delivery.metrics import Metrics
from gtgateway.model.delivery import Circuit, Conclusion
from gtgateway.store.base import Unserved

LABELS = ("endpoint", "conclusion", "state", "reason")
NOW = datetime(2026, 11, 6, 9, 30, tzinfo=UTC)


def figures(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels[each] for each in LABELS if each in sample.labels)): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def unserved(delivery_id: int, minutes: int) -> Unserved:
    return Unserved(delivery_id, "r", "m", "o", "pending", None, NOW - timedelta(minutes=minutes))


def test_every_figure() -> None:
    metrics = Metrics()
    metrics.tried("ouh", Conclusion.DELIVERED)
    metrics.tried("ouh", Conclusion.DELIVERED)
    metrics.tried("vans", Conclusion.TRANSIENT)
    text = metrics.text(
        {("ouh", "pending"): 3, ("pull", "sent"): 2},
        [Circuit("vans", "http_401", 1, NOW, NOW)],
        [unserved(1, 20), unserved(2, 90)],
        NOW,
    )
    assert figures(text) == {
        ("gtgateway_delivery_tries_total", ("ouh", "delivered")): 2,
        ("gtgateway_delivery_tries_total", ("vans", "transient")): 1,
        ("gtgateway_deliveries", ("ouh", "pending")): 3,
        ("gtgateway_deliveries", ("pull", "sent")): 2,
        ("gtgateway_recipients_unserved", ()): 2,
        ("gtgateway_oldest_unserved_seconds", ()): 5400,
        ("gtgateway_circuit_open", ("vans", "http_401")): 1,
    }


def test_what_is_over_is_gone() -> None:
    metrics = Metrics()
    metrics.text({("ouh", "pending"): 3}, [Circuit("ouh", "name", 1, NOW, NOW)], [unserved(1, 20)], NOW)
    assert figures(metrics.text({}, [], [], NOW)) == {
        ("gtgateway_recipients_unserved", ()): 0,
        ("gtgateway_oldest_unserved_seconds", ()): 0,
    }
