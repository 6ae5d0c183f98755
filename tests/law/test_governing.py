"""Which order judges, and by which date."""

from __future__ import annotations

from datetime import date

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.model.outcome import OrderBasis
from gtgateway.model.plan import LocalMoment, RehabilitationPlan

ORDERS = Orders.load()
RECEIVED = date(2026, 11, 23)


@pytest.mark.parametrize(
    "discharged, written, received, order, basis, day, estimated",
    [
        (date(2026, 11, 22), None, RECEIVED, "BEK-918-2018", "discharge", date(2026, 11, 22), False),
        (RECEIVED, None, RECEIVED, "BEK-918-2018", "discharge", RECEIVED, False),
        (date(2026, 11, 24), None, RECEIVED, "BEK-918-2018", "expected_discharge", date(2026, 11, 24), False),
        (date(2027, 1, 1), None, RECEIVED, "BEK-2027", "expected_discharge", date(2027, 1, 1), False),
        # the discharge date decides, not the day of receipt
        (date(2026, 12, 31), None, date(2027, 1, 6), "BEK-918-2018", "discharge", date(2026, 12, 31), False),
        (date(2027, 1, 1), date(2026, 12, 30), date(2027, 1, 1), "BEK-2027", "discharge", date(2027, 1, 1), False),
        (None, date(2026, 12, 30), date(2027, 1, 2), "BEK-918-2018", "plan_date", date(2026, 12, 30), True),
        (None, None, date(2027, 1, 2), "BEK-2027", "receipt", date(2027, 1, 2), True),
        # before the first live order
        (date(2018, 6, 30), None, RECEIVED, "BEK-918-2018", "earliest_live", date(2018, 6, 30), False),
        (date(2006, 1, 1), None, RECEIVED, "BEK-918-2018", "earliest_live", date(2006, 1, 1), False),
        (None, date(2014, 4, 4), RECEIVED, "BEK-918-2018", "earliest_live", date(2014, 4, 4), True),
        (date(2018, 7, 1), None, RECEIVED, "BEK-918-2018", "discharge", date(2018, 7, 1), False),
    ],
)
def test_govern(
    discharged: date | None,
    written: date | None,
    received: date,
    order: str,
    basis: str,
    day: date,
    estimated: bool,
) -> None:
    plan = RehabilitationPlan(discharged_on=discharged, written_at=LocalMoment(written) if written else None)
    found = govern(plan, received, ORDERS)
    assert (found.order.id, found.basis, found.day, found.estimated) == (order, basis, day, estimated)


def test_a_date_read_from_text_is_expected() -> None:
    plan = RehabilitationPlan(discharged_on=date(2026, 11, 20), discharge_read_from_text=True)
    assert govern(plan, RECEIVED, ORDERS).basis is OrderBasis.EXPECTED_DISCHARGE


def test_archive_lets_earlier_orders_judge() -> None:
    def judged_by(day: date) -> tuple[str, str]:
        found = govern(RehabilitationPlan(discharged_on=day), RECEIVED, ORDERS, archive=True)
        return found.order.id, found.basis

    assert judged_by(date(2014, 4, 4)) == ("BEK-1266-2006", "discharge")
    assert judged_by(date(2016, 4, 4)) == ("BEK-1088-2014", "discharge")
    assert judged_by(date(2026, 11, 1)) == ("BEK-918-2018", "discharge")
    assert judged_by(date(2006, 12, 31)) == ("BEK-918-2018", "earliest_live")


def test_an_order_can_be_forced() -> None:
    plan = RehabilitationPlan(discharged_on=date(2026, 11, 20))
    found = govern(plan, RECEIVED, ORDERS, order_id="BEK-2027")
    assert (found.order.id, found.basis, found.day) == ("BEK-2027", OrderBasis.DISCHARGE, date(2026, 11, 20))
    with pytest.raises(ConfigurationError, match="BEK-9"):
        govern(plan, RECEIVED, ORDERS, order_id="BEK-9")
