"""The catalogues (rules, orders, mappings, directory) as plain data, from the same objects as the code.

The command line, the HTTP calls and the reference pages show them.
"""

from __future__ import annotations

from typing import Any

from gtgateway.law.orders import Order, Orders
from gtgateway.mappers.json_from_model import to_data
from gtgateway.mappers.plan_from_medcom_xml import TABLE as MEDCOM_XML
from gtgateway.model.route import Organisation
from gtgateway.routing.directory import Directory
from gtgateway.validators.registry import RULES
from gtgateway.validators.rule import Rule

TABLES = {"plan_from_medcom_xml": MEDCOM_XML}


def rules() -> list[dict[str, Any]]:
    """Every legal rule, in the order of the catalogue."""
    return [rule_data(rule) for rule in RULES]


def rule_data(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "path": rule.path,
        "layer": rule.layer,
        "basis": dict(rule.basis),
        "judged": rule.check is not None,
        "formats": ["fhir"] if rule.fhir_only else ["fhir", "xml"],
        "conditions": [
            {
                "name": each.name,
                "fhir": each.fhir,
                "xml": each.xml,
                "text": {"da": each.text.da, "en": each.text.en},
            }
            for each in rule.conditions
        ],
        "help": {"da": rule.help.da, "en": rule.help.en},
    }


def rule_lines(rule: dict[str, Any], *, full: bool) -> str:
    """A rule for people: one line, or everything."""
    severities = ", ".join(
        f"{each['name'] or 'hit'}: {each['xml'] or '—'} (FHIR {each['fhir'] or '—'})" for each in rule["conditions"]
    )
    if not full:
        return f"{rule['id']:<16} {severities}"
    lines = [rule["id"], f"  path   {rule['path']}"]
    lines += [f"  basis  {order}: {text}" for order, text in rule["basis"].items()]
    for each in rule["conditions"]:
        lines.append(f"  {each['name'] or 'hit'}: XML {each['xml'] or '—'}, FHIR {each['fhir'] or '—'}")
        lines += [f"    da  {each['text']['da']}", f"    en  {each['text']['en']}"]
    return "\n".join([*lines, f"  {rule['help']['da']}", f"  {rule['help']['en']}"])


def orders(known: Orders) -> list[dict[str, Any]]:
    """Every order, oldest first."""
    return [order_data(order) for order in known.all]


def order_data(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "number": order.number,
        "title": order.title,
        "in_force_from": order.in_force_from.isoformat(),
        "in_force_until": order.in_force_until.isoformat() if order.in_force_until else None,
        "live": order.live,
        "source": order.source,
        "levels": dict(order.levels),
        "recipients": to_data(order.recipients),
        "clocks": to_data(order.clocks),
        "authority_changes": [
            {
                "levels": sorted(change.levels),
                "since": change.since.isoformat(),
                "kind": change.kind,
                "source": change.source,
            }
            for change in order.authority_changes
        ],
    }


def order_lines(order: dict[str, Any]) -> str:
    """An order for people."""
    until = order["in_force_until"] or "—"
    live = "" if order["live"] else " (archive only)"
    lines = [f"{order['id']}: {order['number']}, {order['in_force_from']} to {until}{live}"]
    for each in order["recipients"]:
        phase = f" phase {each['phase']}" if each["phase"] else ""
        sent = "" if each["deliver"] else ", not sent"
        lines.append(
            f"  {each['course']:<24} {each['kind']:<13} {'+'.join(each['roles'])}{phase}{sent}  ({each['basis']})"
        )
    return "\n".join(lines)


def mappings() -> dict[str, list[dict[str, str | None]]]:
    """Every mapping table by name: source element, field of the plan (None: none, with the reason), note."""
    return {
        name: [{"source": row.source, "target": row.target, "note": row.reason} for row in table.rows]
        for name, table in TABLES.items()
    }


def directory(known: Directory, kind: str | None = None) -> list[dict[str, Any]]:
    """The organisations of a kind, or all."""
    return [organisation_data(each) for each in known.all if kind in (None, each.kind)]


def organisation_data(organisation: Organisation) -> dict[str, Any]:
    return {
        "id": organisation.id,
        "kind": organisation.kind,
        "name": organisation.name,
        "identifiers": {str(identifier.kind): identifier.value for identifier in organisation.identifiers},
        "parent": organisation.parent,
        "region": organisation.region,
        "valid_from": organisation.valid_from.isoformat() if organisation.valid_from else None,
        "valid_until": organisation.valid_until.isoformat() if organisation.valid_until else None,
        "receives": organisation.receives,
        "vans": organisation.vans,
    }
