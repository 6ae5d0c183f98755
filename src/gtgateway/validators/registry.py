"""The one visible list of rules, in the order of the catalogue, and the walk through those in force."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gtgateway.model.findings import Finding
from gtgateway.model.message import Trace
from gtgateway.validators.rule import Check, Condition, Facts, Hit, Policy, Rule
from gtgateway.validators.rules import choice, combined, content, dates, patient, routing, scope

__all__ = ["RULES", "Facts", "Policy", "check_rules", "hits", "in_force"]

RULES: tuple[Rule, ...] = (
    *scope.RULES,
    *patient.RULES,
    *content.RULES,
    *dates.RULES,
    *routing.RULES,
    *choice.RULES,
    *combined.RULES,
)


@cache
def in_force(order_id: str) -> tuple[tuple[Rule, Check], ...]:
    """The rules that are judged here under an order, with their checks."""
    return tuple((rule, rule.check) for rule in RULES if rule.check and order_id in rule.basis)


def hits(rule: Rule, check: Check, facts: Facts) -> Iterator[tuple[Condition, Hit]]:
    """Where a rule does not hold, as far as it is judged in the format of the message."""
    for hit in check(facts):
        condition = rule.condition(hit.condition)
        if condition.severity(facts.format) is not None:
            yield condition, hit


def check_rules(facts: Facts, trace: Trace) -> tuple[Finding, ...]:
    """Everything that the governing order finds wrong or worth a note, at the sender's own path and line."""
    order_id = facts.governing.order.id
    findings = []
    for rule, check in in_force(order_id):
        for condition, hit in hits(rule, check, facts):
            severity = condition.severity(facts.format)
            assert severity is not None
            path = hit.path or rule.path
            text = condition.text.filled(**hit.values)
            findings.append(
                Finding(rule.id, severity, rule.layer, path, text, *trace.locate(path), rule.basis[order_id])
            )
    return tuple(findings)
