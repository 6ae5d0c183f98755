"""Which order judges a plan, and by which date it was chosen (readings of the discharge date)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gtgateway.law.orders import Order, Orders
from gtgateway.model.outcome import OrderBasis
from gtgateway.model.plan import RehabilitationPlan


@dataclass(frozen=True, slots=True)
class Governing:
    """The one order that judges a plan. `day` chose it and is day zero of the clocks (local, Europe/Copenhagen)."""

    order: Order
    basis: OrderBasis
    day: date
    estimated: bool  #: no discharge date: `day` is the plan date or the day of receipt (GOP-DATE-01)

    @property
    def organisations_on(self) -> date:
        """The day whose municipalities and regions count: `day`, or the first of an order that came into force later.

        So a plan judged by a coming order goes to the region that will exist then; its clocks still count from `day`.
        """
        return max(self.day, self.order.in_force_from)


def govern(
    plan: RehabilitationPlan, received_on: date, orders: Orders, *, archive: bool = False, order_id: str | None = None
) -> Governing:
    """The order in force on the discharge date, else on the plan date, else on the day of receipt.

    A day before the first live order is judged by that one (`earliest_live`, GOP-REGIME-02), unless `archive` lets
    earlier orders judge. `order_id` forces an order; raises ConfigurationError when there is none of that id.
    """
    day, basis = _chosen_by(plan, received_on)
    if order_id is not None:
        order = orders.by_id(order_id)
    else:
        found = orders.governing(day)
        if found is None or not (found.live or archive):
            order, basis = orders.earliest_live(), OrderBasis.EARLIEST_LIVE
        else:
            order = found
    return Governing(order, basis, day, estimated=plan.discharged_on is None)


def _chosen_by(plan: RehabilitationPlan, received_on: date) -> tuple[date, OrderBasis]:
    if plan.discharged_on is not None:
        expected = plan.discharge_read_from_text or plan.discharged_on > received_on
        return plan.discharged_on, OrderBasis.EXPECTED_DISCHARGE if expected else OrderBasis.DISCHARGE
    if plan.written_at is not None:
        return plan.written_at.day, OrderBasis.PLAN_DATE
    return received_on, OrderBasis.RECEIPT
