"""The catalogues (rules, orders, mappings, directory) as plain data, from the same objects as the code.

The command line, the HTTP calls and the reference pages show them.
"""

from __future__ import annotations

from typing import Any

from gtgateway.law.orders import Order, Orders, Parameter, Parameters
from gtgateway.mappers.json_from_model import to_data
from gtgateway.mappers.plan_from_clinical_email import TABLE as CLINICAL_EMAIL
from gtgateway.mappers.plan_from_fhir import ROWS as FHIR
from gtgateway.mappers.plan_from_medcom_xml import TABLE as MEDCOM_XML
from gtgateway.model.route import Organisation
from gtgateway.routing.directory import Directory
from gtgateway.validators.registry import RULES
from gtgateway.validators.rule import Rule
from gtgateway.validators.verification import verification

#: Source element, field of the plan, reason why there is none: by mapping.
TABLES: dict[str, list[tuple[str, str | None, str | None]]] = {
    "plan_from_medcom_xml": [(row.source, row.target, row.reason) for row in MEDCOM_XML.rows],
    "plan_from_clinical_email": [(row.source, row.target, row.reason) for row in CLINICAL_EMAIL.rows],
    "plan_from_fhir": [(row.source, row.target, row.reason) for row in FHIR],
}


def rules(known: Orders) -> list[dict[str, Any]]:
    """Every legal rule, in the order of the catalogue, with the days from which each order applies it."""
    return [rule_data(rule, known) for rule in RULES]


def rule_data(rule: Rule, known: Orders) -> dict[str, Any]:
    bases = {order: basis for order in known.all if (basis := rule.basis_under(order))}
    return {
        "id": rule.id,
        "path": rule.path,
        "layer": rule.layer,
        "basis": {order.id: basis for order, basis in bases.items()},
        "applies": {
            order.id: {
                "from": order.in_force_from.isoformat(),
                "until": order.in_force_until.isoformat() if order.in_force_until else None,
                **verification(rule, order)._asdict(),
            }
            for order in bases
        },
        "judged": rule.check is not None or rule.guard is not None,
        "formats": _formats(rule),
        "in_case": rule.guard is not None,
        "conditions": [
            {
                "name": each.name,
                "fhir": each.fhir,
                "xml": each.xml,
                "case": each.case,
                "text": {"da": each.text.da, "en": each.text.en},
            }
            for each in rule.conditions
        ],
        "help": {"da": rule.help.da, "en": rule.help.en},
    }


def _formats(rule: Rule) -> list[str]:
    """The formats in which a plan is judged by a rule; none when only a case is."""
    if rule.guard and not rule.check:
        return []
    return ["fhir"] if rule.fhir_only else ["fhir", "xml"]


def _severities(condition: dict[str, Any]) -> str:
    named = (("XML", "xml"), ("FHIR", "fhir"), ("case", "case"))
    return ", ".join(f"{name} {condition[key]}" for name, key in named if condition[key])


def rule_lines(rule: dict[str, Any], *, full: bool) -> str:
    """A rule for people: one line, or everything."""
    severities = "; ".join(f"{each['name'] or 'hit'}: {_severities(each)}" for each in rule["conditions"])
    if not full:
        return f"{rule['id']:<16} {severities or rule['help']['en']}"
    lines = [rule["id"], *([f"  path   {rule['path']}"] if rule["path"] else [])]
    for order, text in rule["basis"].items():
        applies = rule["applies"][order]
        lines.append(
            f"  basis  {order}, {applies['from']} to {applies['until'] or '—'}: {text} [{applies['verified']}]"
        )
        lines += [f"         confirm: {applies['confirm']}"] if applies["confirm"] else []
    for each in rule["conditions"]:
        lines.append(f"  {each['name'] or 'hit'}: {_severities(each)}")
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
        "verified": order.verified,
        "confirm": order.confirm,
        "levels": to_data(order.levels),
        "recipients": to_data(order.recipients),
        "clocks": to_data(order.clocks),
        "choice": to_data(order.choice),
        "parameters": to_data(parameters_in_use(order)),
        "rules": to_data(order.rules),
        "authority_changes": [
            {**to_data(change), "levels": sorted(change.levels)} for change in order.authority_changes
        ],
    }


def parameters_in_use(order: Order) -> dict[str, Parameter]:
    """The parameters that a rule in force under an order compares with."""
    in_force = {rule.id for rule in RULES if rule.basis_under(order)}
    every = {name: getattr(order.parameters, name) for name in Parameters.__dataclass_fields__}
    return {name: each for name, each in every.items() if not in_force.isdisjoint(each.rules)}


def to_verify(known: Orders) -> list[dict[str, str]]:
    """What a lawyer still has to confirm against the issued texts: orders, their tables, parameters and rules."""
    found: dict[tuple[str, str, str, str], None] = {}
    for order in known.all:
        parts: list[tuple[str, Any]] = [
            (order.number, order),
            *((f"{row.course}: modtagere ({', '.join(row.situations)})", row) for row in order.recipients),
            ("frister", order.clocks),
            ("frit valg", order.choice),
            *(("skift af myndighed", change) for change in order.authority_changes),
            *parameters_in_use(order).items(),
            *((rule.id, verification(rule, order)) for rule in RULES if rule.basis_under(order)),
        ]
        for what, part in parts:
            if part is not None and part.confirm:
                found[order.id, what, part.verified, part.confirm] = None
    return [dict(zip(("order", "what", "verified", "confirm"), each, strict=True)) for each in found]


def order_lines(order: dict[str, Any]) -> str:
    """An order for people."""
    until = order["in_force_until"] or "—"
    live = "" if order["live"] else " (archive only)"
    lines = [f"{order['id']}: {order['number']}, {order['in_force_from']} to {until}{live}"]
    for each in order["recipients"]:
        phase = f" phase {each['phase']}" if each["phase"] else ""
        sent = "" if each["deliver"] else ", not sent"
        if each["situations"] != ["standard"]:
            sent += f", {' or '.join(each['situations'])}"
        lines.append(
            f"  {each['course']:<24} {each['kind']:<13} {'+'.join(each['roles'])}{phase}{sent}  ({each['basis']})"
        )
    clocks = order["clocks"]
    if clocks["owners"]:
        owners = ", ".join(f"{level}: {kind}" for level, kind in clocks["owners"].items())
        lines.append(
            f"  notice day {clocks['notify_days']}, start day {clocks['start_days']} from {clocks['counted_from']}"
        )
        lines.append(f"  owners {owners}  ({clocks['source']}) [{clocks['verified']}]")
    if choice := order["choice"]:
        lists = ", ".join(f"{kind}: {name}" for kind, name in choice["provider_lists"].items())
        lines.append(
            f"  private start on the day of the public offer: {choice['private_start_when_equal']}; lists of providers "
            f"{lists}  ({choice['source']}) [{choice['verified']}]"
        )
    for change in order["authority_changes"]:
        levels = ", ".join(change["levels"])
        lines.append(
            f"  {levels}: {change['kind']} from {change['since']}  ({change['source']}) [{change['verified']}]"
        )
    for name, each in order["parameters"].items():
        lines.append(f"  {name:<24} {each['value']} {each['unit']}  ({each['source']}) [{each['verified']}]")
    return "\n".join(lines)


def mappings() -> dict[str, list[dict[str, str | None]]]:
    """Every mapping table by name: source element, field of the plan (None: none, with the reason), note."""
    return {
        name: [{"source": source, "target": target, "note": reason} for source, target, reason in rows]
        for name, rows in TABLES.items()
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
