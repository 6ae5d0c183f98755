"""Where a case stands (legal-rules 5.2): one word, read from its events and clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gtgateway.model.case import Case, CaseStatus, Clocks, EventKind
from gtgateway.model.delivery import Delivery, DeliveryState
from gtgateway.model.reasons import CAPACITY, CAPACITY_OWN_REGION
from gtgateway.model.route import Role

#: Roles whose delivery makes a plan delivered.
_ACTING = (Role.ACTION, Role.AUTHORITY)

_NO_ROOM = (CAPACITY, CAPACITY_OWN_REGION)


def status_of(case: Case, clocks: Clocks, day: date, deliveries: Sequence[Delivery] = ()) -> CaseStatus:
    """The status on a day: the first that holds, from the end of a course to its beginning.

    Free choice is a status only while the right is open: `clocks` closes it when the citizen declined, agreed or
    started, and never opens it for training at a hospital or after the citizen's own postponement.
    """
    if case.ended:
        return CaseStatus.REPLACED if case.ended.kind is EventKind.REPLACED else CaseStatus.CLOSED
    if case.started:
        return CaseStatus.STARTED
    if any(each.state is DeliveryState.REFUSED and each.reason in _NO_ROOM for each in deliveries):
        return CaseStatus.AWAITING_HOSPITAL
    if case.on_hold:
        return CaseStatus.PATIENT_POSTPONED
    if case.deferred and case.deferred.deferred_until and day < case.deferred.deferred_until:
        return CaseStatus.DEFERRED
    if case.forwarded:
        return CaseStatus.FORWARDED
    if case.report:
        return CaseStatus.PRIVATE_AGREED
    if clocks.free_choice_from and clocks.free_choice_from <= day:
        return CaseStatus.FREE_CHOICE
    kinds = {event.kind for event in case.phase_events}
    if EventKind.OFFER_ACCEPTED in kinds:
        return CaseStatus.OFFER_ACCEPTED
    if case.free_choice_declined:
        return CaseStatus.FREE_CHOICE_DECLINED
    if any(event.reply_by for event in case.phase_events):
        return CaseStatus.REPLY_PENDING
    if case.notice:
        return CaseStatus.INFORMED
    if case.shift:
        return CaseStatus.PHASE_SHIFT
    if EventKind.HANDOVER_ACCEPTED in kinds:
        return CaseStatus.HANDED_OVER
    if case.municipal_level:
        return CaseStatus.LEVEL_SET
    if EventKind.ACKNOWLEDGED in kinds:
        return CaseStatus.ACKNOWLEDGED
    acting = [each.state for each in deliveries if any(role in each.roles for role in _ACTING)]
    if acting and all(state.has_arrived for state in acting):
        return CaseStatus.DELIVERED
    return CaseStatus.RECEIVED
