"""What must go out, and each try, apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"  #: for a recipient that pulls: a page with it was answered
    DELIVERED = "delivered"  #: the recipient's receipt, or its next pull, says so
    REFUSED = "refused"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    SERVED_BY_SENDER = "served_by_sender"  #: the sender sent this recipient a copy itself

    @property
    def has_arrived(self) -> bool:
        """The recipient has the plan."""
        return self in (DeliveryState.DELIVERED, DeliveryState.SERVED_BY_SENDER)


@dataclass(frozen=True, slots=True)
class Delivery:
    record_id: str
    version: int
    organisation_id: str
    organisation_name: str
    roles: tuple[str, ...]
    state: DeliveryState
    attempts: int
    updated_at: datetime
