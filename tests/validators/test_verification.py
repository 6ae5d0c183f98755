"""The marks for the lawyer: what the sources mark as supported or inferred carries that mark."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from gtgateway import catalogue
from gtgateway.law.orders import Orders
from gtgateway.model.message import Format
from gtgateway.validators.registry import RULES, in_force
from gtgateway.validators.rule import BEK_918, BEK_2027
from gtgateway.validators.verification import MARKS, verification

ORDERS = Orders.load()
RULE = {rule.id: rule for rule in RULES}
#: `[S: W27, W36]`, `[I, W8]`, `[I]`
MARK = re.compile(r"\[([SI])(?:[:,][^\]]*)?\]")


def test_every_marked_source_of_the_catalogue_is_on_the_list(shared: Path) -> None:
    with (shared / "data" / "rules.csv").open(encoding="utf-8", newline="") as file:
        marked = {row["id"]: MARK.search(row["source"]) for row in csv.DictReader(file)}
    found = {id: match[1] for id, match in marked.items() if match}
    assert found == {"GOP-ROUTE-01": "S", "GOP-NOTIFY-02": "I"}
    for id, mark in found.items():
        assert verification(RULE[id], ORDERS.by_id(BEK_918)).verified == mark
    # in the legal catalogue, not in its table: which private hospitals are special hospitals
    assert verification(RULE["GOP-ROUTE-04"], ORDERS.by_id(BEK_2027)).verified == "I"


def test_every_marked_cell_of_the_routing_table_is_marked(shared: Path) -> None:
    with (shared / "data" / "routing-table.csv").open(encoding="utf-8", newline="") as file:
        marked = {row["level"] for row in csv.DictReader(file) if row["regime"] == "R1" and MARK.search(row["source"])}
    assert marked == {"ALMEN", "SPEC_REHAB", "SPEC_GENOPTRAENING"}
    for course in ("almen", "rehabilitering", "specialiseret"):
        assert {row.verified for row in ORDERS.by_id(BEK_918).rows(course)} == {"I"}


def test_what_rests_on_the_unread_paragraphs_of_2018_is_marked() -> None:
    """Where the order of 2027 is cited by § 4 or later, the same paragraph of 2018 has not been read."""
    unread = re.compile(r"§§? [4-8]|bilag 1, nr")
    for rule in RULES:
        ours, theirs = rule.basis.get(BEK_918), rule.basis.get(BEK_2027, "")
        read = re.compile(r"^§ [12]\b")
        if ours and not read.search(ours) and unread.search(re.sub(r"sundhedsloven[^;]*", "", theirs)):
            mark = verification(rule, ORDERS.by_id(BEK_918))
            assert mark.verified in ("S", "I"), rule.id
            assert mark.confirm, rule.id


def test_an_inferred_paragraph_is_never_shown() -> None:
    paragraph = re.compile(r"(?<!loven )(?<!lovens )§")
    for format in (Format.GGOP, Format.FHIR):
        for rule, _, basis in in_force(ORDERS.by_id(BEK_918), format):
            if verification(rule, ORDERS.by_id(BEK_918)).verified == "I":
                assert not paragraph.search(basis), (rule.id, basis)
    assert RULE["GOP-ROUTE-04"].basis[BEK_918] == "BEK nr. 918 af 22/06/2018"


def test_every_mark_belongs_to_a_rule_and_its_order_and_says_what_to_confirm() -> None:
    for id, marks in MARKS.items():
        for order, mark in marks.items():
            assert order in RULE[id].basis, (id, order)
            assert mark.verified in ("S", "I")
            assert mark.confirm.endswith("."), id


def test_parameters_that_are_our_own_say_so() -> None:
    parameters = ORDERS.by_id(BEK_2027).parameters
    for name in parameters.__dataclass_fields__:
        each = getattr(parameters, name)
        assert (each.verified == "V") == (each.confirm == ""), name
        assert ("egen fastsættelse" in each.source) == (each.verified == "I"), name
        assert set(each.rules) <= RULE.keys(), name


def test_the_list_holds_orders_rows_clocks_parameters_and_rules() -> None:
    listed = {(each["order"], each["what"]): each for each in catalogue.to_verify(ORDERS)}
    for what in (
        (BEK_2027, "Udkast til bekendtgørelse (2027)"),
        (BEK_918, "almen: modtagere (standard)"),
        (BEK_918, "frister"),
        (BEK_918, "frit valg"),
        (BEK_2027, "ahead_refuses_days"),
        (BEK_918, "GOP-ROUTE-01"),
        (BEK_918, "GOP-NOTIFY-02"),
    ):
        assert listed[what]["confirm"], what
    # a number is listed only where a rule that compares with it is in force
    assert (BEK_2027, "reply_working_days") in listed
    assert (BEK_918, "reply_working_days") not in listed
    of_rules = sum(what.startswith("GOP-") for _, what in listed)
    assert of_rules == sum(len(marks) for marks in MARKS.values())
