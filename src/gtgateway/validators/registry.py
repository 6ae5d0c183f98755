"""The one visible list of rules, in the order of the catalogue, and the walk through those in force."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gtgateway.errors import ConfigurationError
from gtgateway.law.orders import Order
from gtgateway.model.findings import Finding
from gtgateway.model.message import Format, Trace
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import Check, Facts, Guard, Policy, Rule
from gtgateway.validators.rules import choice, combined, content, dates, level, notice, patient, routing, scope

__all__ = ["RULES", "Facts", "Policy", "check_orders", "check_rules", "in_force"]

RULES: tuple[Rule, ...] = (
    *scope.RULES,
    *patient.RULES,
    *content.RULES,
    *dates.RULES,
    *routing.RULES,
    *level.RULES,
    *notice.RULES,
    *choice.RULES,
    *combined.RULES,
)


@cache
def in_force(order: Order, format: Format) -> tuple[tuple[Rule, Check, str], ...]:
    """The rules that are judged here under an order in a format, with their checks and paragraphs."""
    return tuple(
        (rule, rule.check, basis)
        for rule in RULES
        if rule.check and (basis := rule.basis_under(order)) and not (rule.fhir_only and format is not Format.FHIR)
    )


def check_orders(orders: Iterable[Order]) -> None:
    """Raises ConfigurationError that names every rule of an order's own table that does not exist."""
    known = {rule.id for rule in RULES}
    wrong = [
        f"{order.id}: there is no rule {id}."
        for order in orders
        if order.rules
        for id in sorted((order.rules.basis.keys() | order.rules.without) - known)
    ]
    if wrong:
        raise ConfigurationError(" ".join(wrong))


def check_rules(facts: Facts, trace: Trace) -> tuple[Finding, ...]:
    """Everything that the governing order finds wrong or worth a note, at the sender's own path and line."""
    format = facts.format
    findings = []
    for rule, check, basis in in_force(facts.governing.order, format):
        for hit in check(facts):
            condition = rule.condition(hit.condition)
            severity = condition.severity(format)
            if severity is not None:
                path = hit.path or rule.path
                place = trace.locate(path)
                text = condition.text.filled(**hit.values)
                findings.append(Finding(rule.id, severity, rule.layer, path, text, *place, basis))
    return tuple(findings)


@cache
def guards_in_force(order: Order) -> tuple[tuple[Rule, Guard, str], ...]:
    """The rules that are judged in a case under an order, with their guards and paragraphs."""
    return tuple((rule, rule.guard, basis) for rule in RULES if rule.guard and (basis := rule.basis_under(order)))


def check_case(facts: CaseFacts) -> tuple[Finding, ...]:
    """What the order finds in an event before it is added (an error forbids it), or in a case as it stands on a day.

    The path of a finding is a field of the event or of the case.
    """
    findings = []
    for rule, guard, basis in guards_in_force(facts.order):
        for hit in guard(facts):
            condition = rule.condition(hit.condition)
            if condition.case is not None:
                text = condition.text.filled(**hit.values)
                findings.append(Finding(rule.id, condition.case, rule.layer, hit.path or rule.path, text, basis=basis))
    return tuple(findings)
