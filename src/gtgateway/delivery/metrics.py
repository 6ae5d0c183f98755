"""Figures of the post room for Prometheus: end-points, states and conclusions; nothing of patients or senders.

What stands in the archive is the same from every process; the tries are counted by the process that made them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from gtgateway.model.delivery import Circuit, Conclusion
from gtgateway.store.base import Unserved


class Metrics:
    """A registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._tries = Counter(
            "gtgateway_delivery_tries",
            "Tries of this process by end-point and what they came to.",
            ("endpoint", "conclusion"),
            registry=self._registry,
        )
        self._deliveries = Gauge(
            "gtgateway_deliveries",
            "Deliveries that are unsettled, refused or abandoned, by end-point (`pull`: fetched by the recipient).",
            ("endpoint", "state"),
            registry=self._registry,
        )
        self._unserved = Gauge(
            "gtgateway_recipients_unserved", "Lawful recipients not reached in time.", registry=self._registry
        )
        self._oldest = Gauge(
            "gtgateway_oldest_unserved_seconds",
            "How long the first of these has waited; 0 when there is none.",
            registry=self._registry,
        )
        self._open = Gauge(
            "gtgateway_circuit_open",
            "1 for each end-point that is at fault.",
            ("endpoint", "reason"),
            registry=self._registry,
        )

    def tried(self, endpoint: str, conclusion: Conclusion) -> None:
        """Count a try."""
        self._tries.labels(endpoint, str(conclusion)).inc()

    def text(
        self,
        counts: Mapping[tuple[str, str], int],
        circuits: Collection[Circuit],
        unserved: Collection[Unserved],
        now: datetime,
    ) -> bytes:
        """All figures in Prometheus' text format, with these of the archive."""
        self._deliveries.clear()
        for (endpoint, state), count in counts.items():
            self._deliveries.labels(endpoint, state).set(count)
        self._open.clear()
        for circuit in circuits:
            self._open.labels(circuit.endpoint, circuit.reason).set(1)
        self._unserved.set(len(unserved))
        self._oldest.set(max(((now - each.since).total_seconds() for each in unserved), default=0))
        return generate_latest(self._registry)
