"""Every case of `samples/rules`: what a rule finds, and that it finds nothing in a sound plan."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gtgateway.model.message import Format, Trace, TraceRow
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.registry import RULES, Facts, check_case, check_rules
from gtgateway.validators.rule import Rule

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "rules"
RULE = {rule.id: rule for rule in RULES}
FactsOf = Callable[..., Facts]

#: What is said of every sound plan: by which order it was judged.
ALWAYS = {"GOP-REGIME-01"}


def _samples() -> Iterator[tuple[Rule, str, dict[str, Any]]]:
    for file in sorted(SAMPLES.glob("*.toml")):
        rule = RULE[file.stem]
        for case in tomllib.loads(file.read_text("utf-8"))["case"]:
            for order in case.get("orders", rule.basis):
                yield rule, order, case


def of_a_case(sample: dict[str, Any]) -> bool:
    """A sample of what happens in a case, not of a plan."""
    return "event" in sample or "day" in sample


def _of_plans() -> Iterator[Any]:
    for rule, order, case in _samples():
        for name in () if of_a_case(case) else case.get("formats", ("ggop", "fhir")):
            yield pytest.param(rule, order, Format(name), case, id=f"{rule.id}-{case['says']}-{order}-{name}")


def _of_cases() -> Iterator[Any]:
    for rule, order, case in _samples():
        if of_a_case(case):
            yield pytest.param(rule, order, case, id=f"{rule.id}-{case['says']}-{order}")


def expected(case: dict[str, Any], format: Format) -> list[tuple[str, str]]:
    """Condition and severity of each hit that a case says there is in a format."""
    severity = case.get("severity")
    if isinstance(severity, dict):
        severity = severity.get("fhir" if format is Format.FHIR else "xml")
    if severity is None:
        return []
    conditions = case.get("condition", "")
    return [(each, severity) for each in (conditions if isinstance(conditions, list) else [conditions])]


@pytest.mark.parametrize("rule, order, case", list(_of_cases()))
def test_guard(rule: Rule, order: str, case: dict[str, Any], case_facts_of: Callable[..., CaseFacts]) -> None:
    facts = case_facts_of(order, case)
    assert rule.guard
    found = [(hit.condition, rule.condition(hit.condition), hit) for hit in rule.guard(facts)]
    assert [(name, str(condition.case)) for name, condition, _ in found] == expected(case, Format.FHIR)
    findings = [finding for finding in check_case(facts) if finding.rule == rule.id]
    assert [finding.text for finding in findings] == [each.text.filled(**hit.values) for _, each, hit in found]
    assert all(finding.basis == rule.basis[order] and "{" not in finding.text.en for finding in findings)
    if "text" in case:
        assert findings[0].text.da == case["text"]
    if "path" in case:
        assert findings[0].path == case["path"]


@pytest.mark.parametrize("rule, order, format, case", list(_of_plans()))
def test_case(rule: Rule, order: str, format: Format, case: dict[str, Any], facts_of: FactsOf) -> None:
    facts = facts_of(order, format, case)
    assert rule.check
    found = [
        (condition.name, str(severity), condition.text.filled(**hit.values).da)
        for hit in rule.check(facts)
        if (severity := (condition := rule.condition(hit.condition)).severity(format))
    ]
    assert [(condition, severity) for condition, severity, _ in found] == expected(case, format)
    if found and "text" in case:
        assert found[0][2] == case["text"]
    # the texts can be filled, and the walk through all rules finds the same
    findings = [finding for finding in check_rules(facts, Trace()) if finding.rule == rule.id]
    assert [(str(finding.severity), finding.text.da) for finding in findings] == [each[1:] for each in found]
    assert all(finding.basis == rule.basis[order] and "{" not in finding.text.en for finding in findings)


@pytest.mark.parametrize("format", [Format.GGOP, Format.XDIS91, Format.FHIR])
@pytest.mark.parametrize("order", ["BEK-918-2018", "BEK-2027"])
def test_no_fault_is_found_in_a_lawful_plan(order: str, format: Format, facts_of: FactsOf) -> None:
    assert {finding.rule for finding in check_rules(facts_of(order, format), Trace())} == ALWAYS


def test_an_earlier_order_judges_only_what_holds_always(facts_of: FactsOf) -> None:
    case = {"clear": ["plan.level", "plan.level_stated", "plan.patient.identifier", "plan.consent.given"]}
    found = check_rules(facts_of("BEK-1088-2014", Format.GGOP, case), Trace())
    assert [finding.rule for finding in found] == ["GOP-PAT-01"]


def test_a_finding_stands_at_the_senders_own_place(facts_of: FactsOf) -> None:
    case = {"clear": ["plan.level"], "set": {"plan.level_stated": "superspecialiseret"}}
    source = "/Emessage/RehabilitationPlan/TypeOfRehabilitationPlan"
    trace = Trace(rows=(TraceRow("level", source, 87),))
    found = [each for each in check_rules(facts_of("BEK-2027", Format.GGOP, case), trace) if each.severity == "error"]
    assert [(each.rule, each.path, each.source_path, each.line) for each in found] == [
        ("GOP-CONTENT-02", "level", source, 87)
    ]
    assert found[0].basis == "§ 2, stk. 1; bilag 1"
    assert found[0].text.da == 'Niveauet "superspecialiseret" findes ikke; brug et af de tre gældende niveauer.'
    assert found[0].text.en == 'The level "superspecialiseret" does not exist; use one of the three valid levels.'


def test_every_fault_is_said_at_once(facts_of: FactsOf) -> None:
    case = {
        "clear": [
            "plan.level",
            "plan.level_stated",
            "plan.patient.identifier",
            "plan.function_at_discharge",
            "plan.rehabilitation_need",
            "plan.sender",
        ],
        "set": {"plan.consent.given": False},
    }
    found = check_rules(facts_of("BEK-918-2018", Format.GGOP, case), Trace())
    assert [finding.rule for finding in found if finding.severity == "error"] == [
        "GOP-SCOPE-01",
        "GOP-PAT-01",
        "GOP-PAT-05",
        "GOP-CONTENT-01",
        "GOP-CONTENT-04",
        "GOP-CONTENT-05",
    ]


def test_no_finding_of_a_lawful_or_a_refused_plan_claims_that_it_was_sent() -> None:
    for rule in RULES:
        for condition in rule.conditions:
            assert "er sendt" not in condition.text.da, rule.id
            assert "was sent" not in condition.text.en, rule.id


def test_a_quote_is_at_most_eighty_characters_and_one_line(facts_of: FactsOf) -> None:
    case = {"set": {"plan.start_deadline.text": "når vi\nser " + "x" * 500}}
    found = [
        each for each in check_rules(facts_of("BEK-2027", Format.GGOP, case), Trace()) if each.rule == "GOP-DATE-04"
    ]
    assert len(found) == 1
    quoted = found[0].text.da.split('"')[1]
    assert len(quoted) == 80
    assert quoted.startswith("når vi ser x")
