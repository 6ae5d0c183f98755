"""What a guard may look at: a case, and an event that is about to be added to it or a day that it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gtgateway.law.calendar import Calendar
from gtgateway.law.orders import AuthorityKind, Order
from gtgateway.model.case import OFFERING, Agreement, Case, CaseEvent, Clocks, EventKind, Handover
from gtgateway.model.delivery import Delivery
from gtgateway.model.route import Organisation


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """All that a guard may look at. `case` and `clocks` are those before the event."""

    case: Case
    event: CaseEvent | None  #: None: the case as it stands on `day`
    day: date  #: local date of the event, or the day asked about
    order: Order
    clocks: Clocks
    calendar: Calendar
    authority: AuthorityKind | None  #: who acts for the citizen that day
    handover: Handover | None
    actor: Organisation | None  #: who posts the event
    region: Organisation | None  #: of residence, on that day
    in_own_region: bool  #: the actor lies in it
    provider: Organisation | None  #: the organisation that the event is about
    provider_is_public: bool  #: it is, or is a unit of, a municipality, a region or a public hospital
    agreements: Sequence[Agreement]
    deliveries: Sequence[Delivery]

    @property
    def standing(self) -> bool:
        """The case is looked at without an event, and something is still owed."""
        return self.event is None and self.case.ended is None

    def posted(self, *kinds: EventKind) -> CaseEvent | None:
        """The event, when it is of one of these kinds."""
        return self.event if self.event and self.event.kind in kinds else None

    @property
    def offering(self) -> CaseEvent | None:
        """The event, when it may carry an offer."""
        return self.posted(*OFFERING)

    @property
    def has_clocks(self) -> bool:
        """Notice and start have limits at this level under this order."""
        return self.case.level in self.order.clocks.owners

    @property
    def free_choice_open(self) -> bool:
        """A private provider may be chosen that day."""
        opens = self.clocks.free_choice_from
        return opens is not None and opens <= self.day
