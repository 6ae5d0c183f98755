"""The night the law changes: every day has one order, and a plan is judged by the day it belongs to in Denmark."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ggop import Role, ggop
from gtgateway.bootstrap import tools_from
from gtgateway.law.orders import Orders
from gtgateway.model.outcome import LetterOutcome, Verdict
from gtgateway.model.plan import COPENHAGEN, danish_day
from gtgateway.pipeline import assess
from gtgateway.settings import load_settings

TOOLS = tools_from(load_settings({}))
GP = Role("5790999400015", "990002", "ydernummer", "Lægehuset Odense Midtby")
HOSPITAL = Role("5790999300025", "4202370", "sygehusafdelingsnummer", "OUH, Rehabiliteringsafdelingen")
LAST, FIRST = date(2026, 12, 31), date(2027, 1, 1)


def test_every_day_has_exactly_one_order() -> None:
    orders = Orders.load()
    day, counted = date(2018, 7, 1), {"BEK-918-2018": 0, "BEK-2027": 0}
    while day <= date(2035, 12, 31):
        in_force = [
            order.id
            for order in orders.all
            if order.in_force_from <= day and (order.in_force_until is None or day <= order.in_force_until)
        ]
        found = orders.governing(day)
        assert found is not None
        assert in_force == [found.id]
        assert found.live
        counted[found.id] += 1
        day += timedelta(days=1)
    assert counted == {"BEK-918-2018": 3106, "BEK-2027": 3287}


def _assessed(level: str, discharged: date, received_at: datetime) -> LetterOutcome:
    copies = [HOSPITAL] if level == "specialiseret" else []
    body = ggop(level=level, discharged=discharged, written=date(2026, 12, 30), gp=GP, copies=copies)
    [letter] = assess(body, TOOLS, received_at).letters
    assert letter.verdict is Verdict.ACCEPTED, letter.findings
    return letter


def _recipients(letter: LetterOutcome) -> list[tuple[str, str, bool]]:
    assert letter.route
    return [(each.role, each.organisation.name, each.deliver) for each in letter.route.entries]


KOMMUNE, REGION, LAEGE = "Odense Kommune", "Region Syddanmark", "Lægehuset Odense Midtby"
UNIT = "Odense Universitetshospital, Rehabiliteringsafdelingen"
#: Who receives what, on both sides of New Year; and under the old order after it.
ROUTES = {
    ("almen", LAST): [("action", KOMMUNE, True), ("authority", KOMMUNE, True), ("copy", LAEGE, True)],
    ("almen", FIRST): [("action", KOMMUNE, True), ("authority", KOMMUNE, True), ("copy", LAEGE, True)],
    ("rehabilitering", LAST): [("action", KOMMUNE, True), ("authority", KOMMUNE, True), ("copy", LAEGE, True)],
    ("rehabilitering", FIRST): [
        ("action", REGION, True),
        ("authority", REGION, True),
        ("information", KOMMUNE, True),
        ("copy", LAEGE, True),
    ],
    ("specialiseret", LAST): [("authority", KOMMUNE, True), ("copy", LAEGE, True), ("action", UNIT, True)],
    ("specialiseret", FIRST): [
        ("action", UNIT, True),
        ("information", KOMMUNE, True),
        ("copy", LAEGE, True),
        ("authority", REGION, False),
    ],
    ("egentræning", LAST): [("information", KOMMUNE, True), ("information", LAEGE, True)],
    ("egentræning", FIRST): [("information", KOMMUNE, True), ("information", LAEGE, True)],
}


@pytest.mark.parametrize("level, discharged", list(ROUTES), ids=lambda each: str(each))
def test_recipients_on_both_sides_of_new_year(level: str, discharged: date) -> None:
    letter = _assessed(level, discharged, datetime.combine(discharged, datetime.min.time(), COPENHAGEN))
    assert letter.order_id == ("BEK-918-2018" if discharged == LAST else "BEK-2027")
    assert _recipients(letter) == ROUTES[level, discharged]


@pytest.mark.parametrize("level", ["rehabilitering", "specialiseret"])
def test_a_plan_of_the_old_order_that_comes_after_new_year_names_the_region_and_sends_it_nothing(level: str) -> None:
    letter = _assessed(level, LAST, datetime(2027, 1, 6, 9, tzinfo=COPENHAGEN))
    assert letter.order_id == "BEK-918-2018"
    extra = [each for each in _recipients(letter) if each not in ROUTES[level, LAST]]
    assert extra == [("authority", REGION, False)]
    assert {each.rule for each in letter.findings} >= {"GOP-DATE-03", "GOP-REGIME-01"}


def test_half_past_eleven_utc_on_new_years_eve_is_new_years_day() -> None:
    night = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert danish_day(night) == FIRST
    assert danish_day(night - timedelta(hours=1)) == LAST
    assert danish_day(datetime(2027, 7, 31, 22, 30, tzinfo=UTC)) == date(2027, 8, 1)  # summer time
    # discharged at that instant: the local date is what a plan carries
    letter = _assessed("rehabilitering", danish_day(night), night)
    assert (letter.order_id, letter.order_basis) == ("BEK-2027", "discharge")
    assert _recipients(letter) == ROUTES["rehabilitering", FIRST]
    # received at that instant: after the change of authority
    assert ("authority", REGION, False) in _recipients(_assessed("rehabilitering", LAST, night))
    assert ("authority", REGION, False) not in _recipients(
        _assessed("rehabilitering", LAST, night - timedelta(hours=1))
    )


def test_written_before_and_discharged_after_new_year() -> None:
    letter = _assessed("rehabilitering", date(2027, 1, 4), datetime(2026, 12, 30, 15, tzinfo=COPENHAGEN))
    assert (letter.order_id, letter.order_basis) == ("BEK-2027", "expected_discharge")
    assert _recipients(letter) == ROUTES["rehabilitering", FIRST]
    assert letter.deadlines
    assert letter.deadlines.owners[0].kind == "region"
    [said] = [each for each in letter.findings if each.rule == "GOP-REGIME-01"]
    assert (
        said.text.da == "Planen er vurderet efter reglerne, der gælder for den forventede udskrivning den 04.01.2027."
    )
