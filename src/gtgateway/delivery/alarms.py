"""Alarms: what a person must look at. Ids and reason codes, never content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gtgateway.logs import log
from gtgateway.store.base import Unserved

#: Takes the name of an alarm and its ids; it must not raise and must not wait.
Listener = Callable[[str, Mapping[str, str | int | None]], None]


class Alarms:
    """Sounds alarms: in the log, and to whoever else listens."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners
        self._unserved: frozenset[int] = frozenset()

    def sound(self, event: str, **ids: str | int | None) -> None:
        """One alarm, e.g. `delivery_refused`."""
        log.error(event, alarm=True, **ids)
        for listener in self._listeners:
            listener(event, ids)

    def unserved(self, found: Iterable[Unserved]) -> None:
        """Recipients not reached in time: an alarm for each one that was not among those of the last call."""
        current = {each.delivery_id: each for each in found}
        for delivery_id, each in current.items():
            if delivery_id not in self._unserved:
                self.sound(
                    "recipient_unserved",
                    delivery_id=delivery_id,
                    record_id=each.record_id,
                    message_id=each.message_id,
                    organisation_id=each.organisation_id,
                    state=each.state,
                    reason=each.reason,
                    since=each.since.isoformat(),
                )
        self._unserved = frozenset(current)
