"""A further order is a new table: a fictitious one from 2029 routes, clocks and judges, without a line of code."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from ggop import ggop
from gtgateway import catalogue
from gtgateway.bootstrap import tools_from
from gtgateway.errors import ConfigurationError
from gtgateway.law.orders import Orders
from gtgateway.model.message import Format
from gtgateway.model.outcome import Outcome, Verdict
from gtgateway.model.plan import COPENHAGEN
from gtgateway.pipeline import assess
from gtgateway.settings import load_settings
from gtgateway.validators.registry import in_force
from gtgateway.validators.rule import BEK_2027

THIRD = """
[[order]]
id = "BEK-2029"
number = "BEK nr. 1 af 01/12/2028"
title = "Fictitious order"
in_force_from = 2029-01-01
live = true
source = "invented for this test"

[order.levels]
almen = "almen genoptræning"
rehabilitering = "rehabilitering på specialiseret niveau"

[order.clocks]
counted_from = "discharge"
notify_days = 2
start_days = 5
deferral_moves = ["notice", "start"]
owners = { almen = "region" }
source = "invented"

[order.clocks.basis]
day_zero = "§ 12"
notify = "§ 11"
start = "§ 12"
deferral = "§ 13"
hospital_deadline = "§ 14"
free_choice = "§ 15"

[order.parameters.in_time_days]
value = 3
unit = "days"
rules = ["GOP-DATE-03"]
source = "invented"

[order.rules]
like = "BEK-2027"
without = ["GOP-CONTENT-10"]

[order.rules.basis]
GOP-ROUTE-02 = "§ 44, stk. 1"
GOP-ROUTE-13 = "§ 45"

[[order.routing]]
course = "almen"
basis = "§ 41"
source = "invented"
recipients = [{ kind = "region", roles = ["action", "authority"] }, { kind = "municipality", roles = ["copy"] }]

[[order.routing]]
course = "rehabilitering"
basis = "§ 42"
source = "invented"
recipients = [{ kind = "municipality", roles = ["action", "authority"] }]
"""


@pytest.fixture(scope="module")
def orders_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packaged = Path(__file__).resolve().parents[2] / "src" / "gtgateway" / "law" / "orders.toml"
    text = packaged.read_text("utf-8")
    closed = text.replace("in_force_from = 2027-01-01", "in_force_from = 2027-01-01\nin_force_until = 2028-12-31")
    file = tmp_path_factory.mktemp("orders") / "orders.toml"
    file.write_text(closed + THIRD, "utf-8")
    return file


def _assess(orders_file: Path, discharged: date, **changes: object) -> Outcome:
    tools = tools_from(load_settings({}, orders=orders_file))
    received = datetime.combine(discharged, datetime.min.time(), COPENHAGEN).replace(hour=15)
    return assess(ggop(discharged=discharged, **changes), tools, received)


def test_it_routes_and_clocks(orders_file: Path) -> None:
    [letter] = _assess(orders_file, date(2029, 2, 5)).letters
    assert letter.order_id == "BEK-2029"
    assert letter.verdict is Verdict.ACCEPTED
    assert letter.route
    assert [(each.role, each.organisation.name, each.basis) for each in letter.route.entries] == [
        ("action", "Region Syddanmark", "§ 41"),
        ("authority", "Region Syddanmark", "§ 41"),
        ("copy", "Odense Kommune", "§ 41"),
    ]
    assert letter.deadlines
    assert (letter.deadlines.notify_by, letter.deadlines.start_by) == (date(2029, 2, 7), date(2029, 2, 10))
    assert letter.deadlines.owners[0].kind == "region"
    assert [step.basis for step in letter.deadline_steps() if step.field in ("notify_by", "start_by")] == [
        "§ 11",
        "§ 12",
    ]


def test_the_day_before_it_the_earlier_order_judges(orders_file: Path) -> None:
    [letter] = _assess(orders_file, date(2028, 12, 31)).letters
    assert letter.order_id == BEK_2027
    assert letter.deadlines
    assert letter.deadlines.notify_by == date(2029, 1, 4)


def test_it_judges_by_every_rule_of_the_order_it_is_like(orders_file: Path) -> None:
    orders = Orders.load(orders_file)
    third, second = orders.by_id("BEK-2029"), orders.by_id(BEK_2027)
    for format in (Format.GGOP, Format.FHIR):
        of_third = {rule.id: basis for rule, _, basis in in_force(third, format)}
        of_second = {rule.id: basis for rule, _, basis in in_force(second, format)}
        assert of_third.pop("GOP-ROUTE-02") == "§ 44, stk. 1"
        assert of_third.pop("GOP-ROUTE-13", "§ 45") == "§ 45"
        del of_second["GOP-ROUTE-02"], of_second["GOP-CONTENT-10"]
        assert of_third == of_second


def test_its_own_parameter_and_missing_rule_count(orders_file: Path) -> None:
    tools = tools_from(load_settings({}, orders=orders_file))
    no_contact = {"ContactCounty": None}

    def rules(discharged: date, received: date) -> set[str]:
        at = datetime.combine(received, datetime.min.time(), COPENHAGEN)
        return {each.rule for each in assess(ggop(discharged=discharged, sections=no_contact), tools, at).all_findings}

    third = rules(date(2029, 2, 5), date(2029, 2, 8))
    assert not third & {"GOP-DATE-03", "GOP-CONTENT-10"}
    assert "GOP-DATE-03" in rules(date(2029, 2, 5), date(2029, 2, 9))
    assert {"GOP-DATE-03", "GOP-CONTENT-10"} <= rules(date(2028, 2, 5), date(2028, 2, 8))


def test_a_text_names_the_number_of_its_own_order(orders_file: Path) -> None:
    def said(discharged: date) -> list[str]:
        found = _assess(orders_file, discharged, deadline=f"senest {discharged:%d.%m.}2030")
        return [each.text.da for each in found.all_findings if each.rule == "GOP-DATE-10"]

    [text] = said(date(2029, 2, 5))
    assert text.startswith("Fristen er senere end 5 dage efter")
    [text] = said(date(2028, 2, 5))
    assert text.startswith("Fristen er senere end 7 dage efter")


def test_a_finding_names_its_paragraph(orders_file: Path) -> None:
    outcome = _assess(orders_file, date(2029, 2, 5), level=None)
    [found] = [each for each in outcome.all_findings if each.rule == "GOP-CONTENT-01"]
    assert found.basis == "§ 2, stk. 1"


def test_the_catalogue_says_from_when_it_applies(orders_file: Path) -> None:
    orders = Orders.load(orders_file)
    [rule] = [each for each in catalogue.rules(orders) if each["id"] == "GOP-ROUTE-02"]
    assert rule["basis"] == {"BEK-2027": "§ 4, stk. 3", "BEK-2029": "§ 44, stk. 1"}
    assert {order: (each["from"], each["until"]) for order, each in rule["applies"].items()} == {
        "BEK-2027": ("2027-01-01", "2028-12-31"),
        "BEK-2029": ("2029-01-01", None),
    }


def test_like_an_order_that_is_like_another(orders_file: Path, tmp_path: Path) -> None:
    text = orders_file.read_text("utf-8")
    fourth = (
        THIRD.replace("BEK-2029", "BEK-2031")
        .replace("2029-01-01", "2031-01-01")
        .replace('like = "BEK-2027"', 'like = "BEK-2029"')
        .replace('without = ["GOP-CONTENT-10"]', 'without = ["GOP-CONTENT-11"]')
        .replace('GOP-ROUTE-02 = "§ 44, stk. 1"', 'GOP-CONTENT-10 = "§ 46"')
    )
    closed = text.replace("in_force_from = 2029-01-01", "in_force_from = 2029-01-01\nin_force_until = 2030-12-31")
    file = tmp_path / "orders.toml"
    file.write_text(closed + fourth, "utf-8")
    bases = {rule.id: basis for rule, _, basis in in_force(Orders.load(file).by_id("BEK-2031"), Format.GGOP)}
    assert bases["GOP-ROUTE-02"] == "§ 44, stk. 1"
    assert bases["GOP-CONTENT-10"] == "§ 46"
    assert "GOP-CONTENT-11" not in bases


@pytest.mark.parametrize(
    "wrong, fault",
    [
        (('like = "BEK-2027"', 'like = "BEK-2099"'), "BEK-2099, which is no earlier order"),
        (('without = ["GOP-CONTENT-10"]', 'without = ["GOP-CONTENT-99"]'), "there is no rule GOP-CONTENT-99"),
        (('GOP-ROUTE-13 = "§ 45"', 'GOP-ROUTE-99 = "§ 45"'), "there is no rule GOP-ROUTE-99"),
        (("[order.parameters.in_time_days]", "[order.parameters.in_time]"), "parameters.in_time: "),
        (('source = "invented for this test"', 'source = "x"\nverified = "S"'), "does not say what to confirm"),
    ],
)
def test_what_does_not_hold_together_is_named(
    orders_file: Path, tmp_path: Path, wrong: tuple[str, str], fault: str
) -> None:
    file = tmp_path / "orders.toml"
    text = orders_file.read_text("utf-8")
    assert text.count(wrong[0])
    before, _, after = text.rpartition(wrong[0])
    file.write_text(before + wrong[1] + after, "utf-8")
    with pytest.raises(ConfigurationError, match=fault):
        tools_from(load_settings({}, orders=file))
