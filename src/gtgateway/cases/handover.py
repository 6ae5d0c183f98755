"""Who acts for the citizen: by the order and the level, and from a change of authority on by who has accepted the case.

A plan of an order with a change of authority (`orders.toml`, authority_changes) has one owner at a time.
Rehabilitation: the old authority acts until the new one has accepted. Training at a hospital: the new one is authority
by notice, as the hospital goes on acting.
"""

from __future__ import annotations

from datetime import date

from gtgateway.law.orders import AuthorityKind, Order
from gtgateway.model.case import Case, EventKind, Handover
from gtgateway.model.plan import Level, PlanType
from gtgateway.model.route import Role


def handover_of(case: Case, order: Order, day: date) -> Handover | None:
    """The change of authority that the running phase is under on a day; None before it, and for a case that ended."""
    change = order.authority_change(case.level) if case.level else None
    if change is None or day < change.since or case.ended:
        return None
    accepted = case.last(EventKind.HANDOVER_ACCEPTED)
    released = accepted or case.last(EventKind.HANDOVER_RELEASED)
    return Handover(change.since, change.kind, released is not None, accepted is not None)


def authority_of(case: Case, order: Order, day: date) -> AuthorityKind | None:
    """The authority on a day: municipality or region, both of residence; None when the plan gives nobody a duty."""
    if case.level is None or case.plan.plan_type is PlanType.EGENTRAENING:
        return None
    change, handover = order.authority_change(case.level), handover_of(case, order, day)
    if change and handover and (handover.accepted or case.level is Level.SPECIALISERET):
        return change.kind
    kind = next((row.kind for row in order.rows(case.level) if Role.AUTHORITY in row.roles), None)
    return kind if kind == "municipality" or kind == "region" else None
