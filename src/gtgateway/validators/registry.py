"""The one visible list of rules, in the order of the catalogue, and the walk through those in force."""

from __future__ import annotations

from functools import cache

from gtgateway.model.findings import Finding
from gtgateway.model.message import Format, Trace
from gtgateway.validators.rule import Check, Facts, Policy, Rule
from gtgateway.validators.rules import choice, combined, content, dates, patient, routing, scope

__all__ = ["RULES", "Facts", "Policy", "check_rules", "in_force"]

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
def in_force(order_id: str, format: Format) -> tuple[tuple[Rule, Check], ...]:
    """The rules that are judged here under an order in a format, with their checks."""
    return tuple(
        (rule, rule.check)
        for rule in RULES
        if rule.check and order_id in rule.basis and not (rule.fhir_only and format is not Format.FHIR)
    )


def check_rules(facts: Facts, trace: Trace) -> tuple[Finding, ...]:
    """Everything that the governing order finds wrong or worth a note, at the sender's own path and line."""
    order_id, format = facts.governing.order.id, facts.format
    findings = []
    for rule, check in in_force(order_id, format):
        for hit in check(facts):
            condition = rule.condition(hit.condition)
            severity = condition.severity(format)
            if severity is not None:
                path = hit.path or rule.path
                place = trace.locate(path)
                text = condition.text.filled(**hit.values)
                findings.append(Finding(rule.id, severity, rule.layer, path, text, *place, rule.basis[order_id]))
    return tuple(findings)
