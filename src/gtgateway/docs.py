"""`python -m gtgateway.docs`: writes docs/reference from the code; `--check` fails when a page is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from gtgateway import catalogue
from gtgateway.api.problems import PROBLEMS, TYPES
from gtgateway.delivery.answers import answers
from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.explained import deadline_steps
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.model.faults import FAULTS
from gtgateway.model.plan import Level, RehabilitationPlan, StartDeadline
from gtgateway.routing.endpoints import EndpointEntry
from gtgateway.settings import Settings, load_settings, variable

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "<!-- Made by `make references` from the code. Do not edit. -->\n\n"


def cell(text: object) -> str:
    """Text for one cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def rows(*columns: str) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)


def row(*cells: object) -> str:
    return "| " + " | ".join(cell(each) for each in cells) + " |"


def rules_page() -> str:
    """Every legal rule."""
    lines = [
        "# Rules",
        "",
        "A finding names its rule. Only an `error` rejects a plan, or forbids an event in a case. An order applies to "
        "plans discharged from its first to its last day. Verified: V the text was read, S public pages support it, "
        "I inferred; all that is still to confirm: [to-verify.md](to-verify.md). FHIR and XML: how a finding counts in "
        "a plan of that format; Case: in an event, or in a case as it stands.",
        "",
    ]
    for rule in catalogue.rules(Orders.load()):
        lines += [f"## {rule['id']}", ""]
        lines += [f"Path `{rule['path']}`", ""] if rule["path"] else []
        lines += [rule["help"]["da"], "", rule["help"]["en"], ""]
        lines += rows("Order", "From", "Until", "Basis", "Verified", "To confirm")
        for order, basis in rule["basis"].items():
            each = rule["applies"][order]
            lines.append(
                row(order, each["from"], each["until"] or "—", basis, each["verified"], each["confirm"] or "—")
            )
        lines.append("")
        if not rule["conditions"]:
            continue
        lines += [*rows("Condition", "FHIR", "XML", "Case", "Dansk", "English")]
        lines += [
            row(
                each["name"] or "—",
                *(each[key] or "—" for key in ("fhir", "xml", "case")),
                each["text"]["da"],
                each["text"]["en"],
            )
            for each in rule["conditions"]
        ]
        lines.append("")
    return "\n".join(lines)


def faults_page() -> str:
    """Every technical fault."""
    lines = ["# Technical faults", "", "What can be wrong with bytes, envelopes, structure and values.", ""]
    lines += rows("Rule", "Severity", "Layer", "RefuseCode", "Dansk", "English", "Basis")
    for fault in FAULTS.values():
        code = fault.refuse_code if fault.severity == "error" else "—"
        lines.append(
            row(fault.rule, fault.severity, fault.layer, code, fault.text.da, fault.text.en, fault.basis or "—")
        )
    return "\n".join([*lines, ""])


def orders_page() -> str:
    """Every order and who receives what."""
    lines = ["# Orders", "", "Data of `law/orders.toml`: from when to when, who receives what, which clocks run.", ""]
    for order in catalogue.orders(Orders.load()):
        lines += [f"## {order['id']}: {order['number']}", "", order["title"], ""]
        until = order["in_force_until"] or "—"
        live = "judges what is received" if order["live"] else "for archive reading only"
        lines += [f"In force {order['in_force_from']} to {until}; {live}. Source: {order['source']}", ""]
        lines += rows("Course", "Situation", "Phase", "Recipient", "Roles", "Sent", "Basis", "Source", "Verified")
        lines += [
            row(
                each["course"],
                ", ".join(each["situations"]),
                each["phase"] or "—",
                each["kind"],
                ", ".join(each["roles"]),
                "yes" if each["deliver"] else "no",
                each["basis"],
                each["source"],
                each["verified"],
            )
            for each in order["recipients"]
        ]
        lines += ["", *rows("Clocks", "Value", "Source", "Verified")]
        clocks = order["clocks"]
        for name in ("counted_from", "notify_days", "start_days", "deferral_moves", "owners"):
            if clocks[name]:
                lines.append(row(name, _plain(clocks[name]), clocks["source"], clocks["verified"]))
        if choice := order["choice"]:
            for name in ("private_start_when_equal", "provider_lists"):
                lines.append(row(name, _plain(choice[name]), choice["source"], choice["verified"]))
        for change in order["authority_changes"]:
            value = f"{_plain(change['levels'])}: {change['kind']} from {change['since']}"
            lines.append(row("authority", value, change["source"], change["verified"]))
        lines.append("")
        if order["parameters"]:
            lines += rows("Parameter", "Value", "Rules", "Source", "Verified")
        for name, each in order["parameters"].items():
            value = f"{each['value']} {each['unit']}"
            lines.append(row(name, value, _plain(each["rules"]), each["source"], each["verified"]))
        lines.append("")
    return "\n".join(lines)


def to_verify_page() -> str:
    """Everything that a lawyer still has to confirm."""
    lines = [
        "# To verify",
        "",
        "What is still to be confirmed against the issued texts before anybody relies on it. V: the text was read but "
        "is not final, S: public pages support it, I: inferred. The marks are data: `law/orders.toml`, "
        "`law/parameters.toml` and `validators/verification.toml`.",
        "",
        *rows("Order", "Rule or value", "Mark", "Skal bekræftes"),
    ]
    found = catalogue.to_verify(Orders.load())
    lines += [row(each["order"], each["what"], each["verified"], each["confirm"]) for each in found]
    return "\n".join([*lines, ""])


#: Worked examples: what is shown, level, discharge, earliest start, the hospital's deadline, day of receipt.
EXAMPLES = (
    ("A Friday before Christmas", Level.ALMEN, date(2026, 12, 11), None, None, None),
    ("Deferred for a wound", Level.ALMEN, date(2026, 11, 2), date(2026, 12, 14), None, None),
    ("The hospital's deadline comes first", Level.ALMEN, date(2027, 4, 13), None, date(2027, 4, 15), None),
    (
        "Deferred past the hospital's deadline",
        Level.ALMEN,
        date(2027, 4, 13),
        date(2027, 5, 3),
        date(2027, 4, 26),
        None,
    ),
    ("Specialised rehabilitation over New Year", Level.REHABILITERING, date(2026, 12, 29), None, None, None),
    ("The same a week later", Level.REHABILITERING, date(2027, 1, 5), None, None, None),
    ("Received after the limits", Level.ALMEN, date(2027, 2, 1), None, None, date(2027, 2, 11)),
    ("Training at a hospital", Level.SPECIALISERET, date(2027, 5, 3), None, date(2027, 5, 17), None),
)


def deadlines_page() -> str:
    """Worked examples of the deadlines, each date with its arithmetic and paragraph."""
    lines = [
        "# Deadlines",
        "",
        "Every date with the sentence, the arithmetic and the paragraph behind it, as in `check --json` under "
        "`deadlines.steps`. Days are calendar days; the day of discharge is day zero; working days never move a limit.",
        "",
    ]
    orders, calendar = Orders.load(), Calendar(load_settings({}).closed_by_custom)
    for title, level, discharged, earliest, latest, received in EXAMPLES:
        deadline = StartDeadline(latest=latest, earliest=earliest)
        plan = RehabilitationPlan(level=level, discharged_on=discharged, start_deadline=deadline)
        received_on = received or discharged
        governing = govern(plan, received_on, orders)
        found = compute_deadlines(plan, governing, received_on, calendar)
        lines += [f"## {title}", "", f"{governing.order.levels[level].capitalize()}, {governing.order.id}", ""]
        lines += [found.explanation.da, "", found.explanation.en, ""]
        lines += rows("Date", "Day", "Dansk", "English", "Basis")
        lines += [
            row(f"`{step.field}`", step.day, step.text.da, step.text.en, step.basis)
            for step in deadline_steps(plan, governing, received_on, found)
        ]
        lines.append("")
    return "\n".join(lines)


def mappings_page() -> str:
    """Every mapping table."""
    lines = ["# Mappings", "", "Which element becomes which field of the plan.", ""]
    for name, table in catalogue.mappings().items():
        lines += [f"## {name}", "", *rows("Source", "Field of the plan", "Note")]
        lines += [row(f"`{each['source']}`", f"`{each['target']}`" if each["target"] else "—", each["note"] or "") for each in table]  # fmt: skip  # noqa: E501
        lines.append("")
    return "\n".join(lines)


def settings_page() -> str:
    """Every setting."""
    lines = ["# Settings", "", "One environment variable each; unknown ones with the prefix are refused by name.", ""]
    lines += rows("Variable", "Default", "What it does")
    for name, field in Settings.model_fields.items():
        default = "—" if field.default is None else f"`{_shown(field.default)}`"
        lines.append(row(f"`{variable(name)}`", default, field.description or ""))
    return "\n".join([*lines, ""])


def _plain(value: object) -> str:
    """A value of an order in one cell."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def problems_page() -> str:
    """Every problem type."""
    lines = ["# Problems", "", f"`application/problem+json` (RFC 9457); `type` is `{TYPES}` and the name.", ""]
    lines += rows("Name", "Status", "Dansk", "English")
    lines += [row(f"`{each.name}`", each.status, each.title.da, each.title.en) for each in PROBLEMS]
    return "\n".join([*lines, ""])


def delivery_page() -> str:
    """What the answers of recipients' systems mean, and the fields of an end-point."""
    lines = [
        "# Delivery",
        "",
        "## Answers",
        "",
        "A receipt of ours in the answer decides, whatever the status; without one the trouble or the HTTP status "
        "does. `delivered` the recipient has it · `sent` taken, the receipt comes later · `refused` permanent for this "
        "message, to a person · `endpoint` the circuit opens, an alarm at once, the delivery loses no try · "
        "`transient` certainly not taken, again with growing pauses · `ambiguous` nobody knows: the same message again "
        "when the receipt should have been here.",
        "",
    ]
    lines += rows("Answer", "Conclusion", "Reason")
    lines += [row(what, f"`{conclusion}`", reason) for what, conclusion, reason in answers()]
    lines += ["", "## End-points", "", "`[[endpoints]]` in a file of the organisation directory.", ""]
    lines += rows("Field", "Default", "What it does")
    for name, field in EndpointEntry.model_fields.items():
        default = "needed" if field.is_required() else "—" if field.default is None else f"`{field.default}`"
        lines.append(row(f"`{name}`", default, field.description or ""))
    return "\n".join([*lines, ""])


PAGES = {
    "rules.md": rules_page,
    "faults.md": faults_page,
    "orders.md": orders_page,
    "to-verify.md": to_verify_page,
    "deadlines.md": deadlines_page,
    "mappings.md": mappings_page,
    "delivery.md": delivery_page,
    "settings.md": settings_page,
    "problems.md": problems_page,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gtgateway.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        text = NOTE + page()
        file = FOLDER / name
        if not file.exists() or file.read_text("utf-8") != text:
            stale.append(name)
            if not check:
                FOLDER.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")
    if stale:
        print(f"{'stale' if check else 'written'}: {', '.join(stale)}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
