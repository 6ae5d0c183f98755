"""The catalogue is whole: every rule of the legal catalogue is declared, with its severities, texts and cases."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gtgateway.law.orders import Orders
from gtgateway.model.findings import Severity
from gtgateway.model.message import Format
from gtgateway.validators.registry import RULES, in_force
from gtgateway.validators.rule import BEK_918, BEK_1088, BEK_1266, BEK_2027, Rule

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "rules"
RULE = {rule.id: rule for rule in RULES}
ORDERS_KNOWN = Orders.load()
PLACEHOLDER = re.compile(r"\{[^}]*\}")

ORDERS = {"R0": BEK_1266, "R0b": BEK_1088, "R1": BEK_918, "R2": BEK_2027}
SEVERITY = {"reject": Severity.ERROR, "warn": Severity.WARNING, "information": Severity.INFORMATION}

#: In force under another order than the catalogue lists: the plan is dated in those, but judged by this one.
JUDGED_BY = {
    "GOP-REGIME-02": {BEK_918},
    "GOP-REGIME-03": {BEK_918},  # only cases of the old order change hands
}
#: Neither judged on a plan nor in a case, with the reason.
NOT_JUDGED = {
    "GOP-SCOPE-06": "the layers before the law say what cannot be read",
    "GOP-SCOPE-07": "a promise: no rule compares level and diagnosis",
    "GOP-CONTENT-17": "a promise: no result is required",
    "GOP-CONTENT-21": "a promise: the plan does not replace the discharge letter",
    "GOP-CHOICE-03": "a promise: the day of discharge is day zero",
    "GOP-CHOICE-12": "a promise: no geographic filter",
    **{f"GOP-DATA-0{number}": "a promise about data, kept by the program and its tests" for number in range(1, 6)},
}
#: Rules about something that MedCom XML has no field for: not judged there, whatever the catalogue says.
FHIR_ONLY = {
    "GOP-SCOPE-03",
    "GOP-PAT-03",
    "GOP-PAT-07",
    "GOP-PAT-08",
    "GOP-PAT-11",
    "GOP-PAT-12",
    "GOP-ROUTE-13",
    "GOP-COMBI-01",
    "GOP-COMBI-02",
}
#: What the catalogue calls a condition -> the conditions here. None: judged by another rule.
CONDITIONS: dict[tuple[str, str], tuple[str, ...] | None] = {
    ("GOP-DATE-01", "missing"): ("estimated", "read_from_text"),
    ("GOP-DATE-03", "late"): ("municipality", "region", "no_clock"),
    ("GOP-CHOICE-05", "R2"): ("later",),
    ("GOP-CHOICE-05", "R1_equal_and_local_rule"): ("equal",),
    ("GOP-ROUTE-01", "municipality_missing"): ("",),
    ("GOP-ROUTE-01", "gp_missing"): None,
    ("GOP-ROUTE-02", "region_missing"): ("",),
    ("GOP-ROUTE-03", "municipality_missing"): ("",),
    ("GOP-ROUTE-04", "missing_or_unknown"): ("several", "unknown"),
}
#: Severities that the readings change: consent `nej` in XML is GOP-PAT-05, and so is silent here.
READINGS = {("GOP-PAT-04", "no", "xml"): None, ("GOP-PAT-05", "missing", "xml"): None}
#: One condition, but the catalogue's text is not true of every plan that hits it (a refused one is not sent).
OWN_WORDS = {"GOP-PAT-06", "GOP-ROUTE-07", "GOP-ROUTE-09"}
#: Numbers in the catalogue's texts that are parameters here, so that another order can have others.
NUMBERS = {
    "GOP-PAT-08": re.compile(r"15"),
    "GOP-PAT-09": re.compile(r"15|17"),
    "GOP-DATE-10": re.compile(r"syv|seven"),
    "GOP-NOTIFY-04": re.compile(r"\bto\b(?= hverdage)|two"),
    "GOP-NOTIFY-06": re.compile(r"fire|syv|four|seven"),
}


@pytest.fixture(scope="session")
def catalogue(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "data" / "rules.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_every_rule_of_the_catalogue_is_declared_in_its_order(catalogue: dict[str, dict[str, str]]) -> None:
    assert len(catalogue) == 101
    assert [rule.id for rule in RULES] == list(catalogue)


def test_what_is_not_judged_is_listed_with_the_reason() -> None:
    assert {rule.id for rule in RULES if not rule.check and not rule.guard} == set(NOT_JUDGED)


def test_every_rule_is_in_force_under_the_orders_of_the_catalogue(catalogue: dict[str, dict[str, str]]) -> None:
    for rule in RULES:
        stated = catalogue[rule.id]["regimes"]
        orders = set(ORDERS.values()) if stated == "all" else {ORDERS[each] for each in stated.split()}
        assert set(rule.basis) == JUDGED_BY.get(rule.id, orders), rule.id


def test_severities_are_those_of_the_catalogue(catalogue: dict[str, dict[str, str]]) -> None:
    compared = 0
    for rule in RULES:
        of_case = catalogue[rule.id]["severity_xml"] == "n/a"
        columns = (("severity_fhir", "case"),) if of_case else (("severity_fhir", "fhir"), ("severity_xml", "xml"))
        for column, format in columns:
            stated = catalogue[rule.id][column]
            if stated == "none" or stated.startswith("see "):
                assert not rule.conditions, rule.id
                continue
            for part in stated.split("; "):
                name, _, word = part.partition("=") if "=" in part else ("", "", part)
                conditions = _conditions(rule, name, format)
                if conditions is None:
                    continue
                expected = SEVERITY.get(word.split(" and ")[0])
                if format == "xml" and rule.id in FHIR_ONLY:
                    expected = None
                expected = READINGS.get((rule.id, name, format), expected)
                for condition in conditions:
                    assert getattr(rule.condition(condition), format) == expected, (rule.id, part, format)
                    compared += 1
    assert compared > 160


def _conditions(rule: Rule, name: str, format: str) -> tuple[str, ...] | None:
    """The conditions here that a name in the catalogue stands for."""
    if (rule.id, name) in CONDITIONS:
        return CONDITIONS[rule.id, name]
    if name:
        return (name,)
    if len(rule.conditions) == 1:
        return (rule.conditions[0].name,)
    # one severity for the whole rule: that of its first condition that is judged in the format
    judged = [each.name for each in rule.conditions if getattr(each, format) is not None]
    return (judged[0],)


def test_texts_are_those_of_the_catalogue(catalogue: dict[str, dict[str, str]]) -> None:
    compared = 0
    for rule in RULES:
        if len(rule.conditions) != 1 or rule.id in OWN_WORDS:
            continue
        [condition] = rule.conditions
        for text, column in ((condition.text.da, "text_da"), (condition.text.en, "text_en")):
            stated = PLACEHOLDER.sub("{}", catalogue[rule.id][column])
            if rule.id in NUMBERS:
                stated = NUMBERS[rule.id].sub("{}", stated)
            assert PLACEHOLDER.sub("{}", text) == stated, rule.id
            compared += 1
    assert compared > 120


def test_rules_of_what_xml_lacks_are_marked() -> None:
    assert {rule.id for rule in RULES if rule.fhir_only} == FHIR_ONLY


def test_both_languages_are_filled_with_the_same_placeholders() -> None:
    for rule in RULES:
        assert rule.help.da, rule.id
        assert rule.help.en, rule.id
        assert all(rule.basis.values()), rule.id
        for condition in rule.conditions:
            assert condition.text.da, rule.id
            assert condition.text.en, rule.id
            da, en = ({*PLACEHOLDER.findall(text)} for text in (condition.text.da, condition.text.en))
            assert da == en, (rule.id, condition.name)
            assert condition.fhir or condition.xml or condition.case, (rule.id, condition.name)


def test_conditions_have_names_of_their_own() -> None:
    for rule in RULES:
        names = [condition.name for condition in rule.conditions]
        assert len(names) == len(set(names)), rule.id
        assert rule.check is None or names, rule.id


def test_bases_name_orders_that_exist_and_no_unread_paragraph() -> None:
    known = {order.id for order in ORDERS_KNOWN.all}
    for rule in RULES:
        assert set(rule.basis) <= known, rule.id
        # of the order of 2018 only §§ 1 to 3 have been read; § 4 is supported for almen alone, without its parts
        cited = re.findall(
            r"(?<!sundhedsloven )§+ ?(\d+)", re.sub(r"sundhedsloven §[^;]*", "", rule.basis.get(BEK_918, ""))
        )
        assert all(int(number) <= (4 if rule.id == "GOP-ROUTE-01" else 3) for number in cited), rule.id
        assert "§ 4, stk." not in rule.basis.get(BEK_918, ""), rule.id


def test_an_earlier_order_has_only_what_holds_always() -> None:
    assert [rule.id for rule, *_ in in_force(ORDERS_KNOWN.by_id(BEK_1088), Format.FHIR)] == ["GOP-PAT-01", "GOP-PAT-12"]
    assert [rule.id for rule, *_ in in_force(ORDERS_KNOWN.by_id(BEK_1266), Format.FHIR)] == [
        "GOP-PAT-01",
        "GOP-PAT-12",
        "GOP-CONTENT-13",
        "GOP-CONTENT-14",
    ]


def test_what_xml_lacks_is_not_judged_there() -> None:
    in_fhir, in_xml = (
        {rule.id for rule, *_ in in_force(ORDERS_KNOWN.by_id(BEK_918), format)} for format in (Format.FHIR, Format.GGOP)
    )
    assert in_fhir - in_xml == FHIR_ONLY
    assert in_xml < in_fhir


def test_every_judged_rule_has_its_cases() -> None:
    files = {file.stem for file in SAMPLES.glob("*.toml")}
    assert files == {rule.id for rule in RULES if rule.check or rule.guard}


def _cases_of(rule: Rule, *, in_case: bool) -> list[dict[str, Any]]:
    cases = tomllib.loads((SAMPLES / f"{rule.id}.toml").read_text("utf-8"))["case"]
    return [case for case in cases if ("event" in case or "day" in case) == in_case]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.guard], ids=lambda rule: rule.id)
def test_a_guard_holds_and_fails_under_each_of_its_orders_in_each_condition(rule: Rule) -> None:
    cases = _cases_of(rule, in_case=True)
    for order in rule.basis:
        of_order = [case for case in cases if order in case.get("orders", rule.basis)]
        assert any("severity" not in case for case in of_order), order
        assert any("severity" in case for case in of_order), order
    said = {name for case in cases if "severity" in case for name in _listed(case.get("condition", ""))}
    assert said == {condition.name for condition in rule.conditions if condition.case}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.check], ids=lambda rule: rule.id)
def test_a_rule_passes_and_fails_under_each_of_its_orders_in_each_condition(rule: Rule) -> None:
    cases = _cases_of(rule, in_case=False)
    for order in rule.basis:
        of_order = [case for case in cases if order in case.get("orders", rule.basis)]
        for format, judged in (("ggop", not rule.fhir_only), ("fhir", True)):
            here = [case for case in of_order if format in case.get("formats", ("ggop", "fhir"))]
            assert any("severity" not in case for case in here), (order, format)
            assert not judged or any("severity" in case for case in here), (order, format)
    said = {name for case in cases if "severity" in case for name in _listed(case.get("condition", ""))}
    assert said == {condition.name for condition in rule.conditions}


def _listed(condition: str | list[str]) -> list[str]:
    return condition if isinstance(condition, list) else [condition]
