"""`python -m gtgateway.docs`: writes docs/reference from the code; `--check` fails when a page is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from gtgateway import catalogue
from gtgateway.api.problems import PROBLEMS, TYPES
from gtgateway.law.orders import Orders
from gtgateway.model.faults import FAULTS
from gtgateway.settings import Settings, variable

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
        "A finding names its rule. Only an `error` rejects; the severity may differ per format.",
        "",
    ]
    for rule in catalogue.rules():
        lines += [f"## {rule['id']}", ""]
        basis = "; ".join(f"{order}: {text}" for order, text in rule["basis"].items())
        lines += [f"Path `{rule['path']}` · {basis}", "", rule["help"]["da"], "", rule["help"]["en"], ""]
        lines += [*rows("Condition", "FHIR", "XML", "Dansk", "English")]
        lines += [
            row(each["name"] or "—", each["fhir"] or "—", each["xml"] or "—", each["text"]["da"], each["text"]["en"])
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
        lines += rows("Course", "Situation", "Phase", "Recipient", "Roles", "Sent", "Basis")
        lines += [
            row(
                each["course"],
                ", ".join(each["situations"]),
                each["phase"] or "—",
                each["kind"],
                ", ".join(each["roles"]),
                "yes" if each["deliver"] else "no",
                each["basis"],
            )
            for each in order["recipients"]
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


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def problems_page() -> str:
    """Every problem type."""
    lines = ["# Problems", "", f"`application/problem+json` (RFC 9457); `type` is `{TYPES}` and the name.", ""]
    lines += rows("Name", "Status", "Dansk", "English")
    lines += [row(f"`{each.name}`", each.status, each.title.da, each.title.en) for each in PROBLEMS]
    return "\n".join([*lines, ""])


PAGES = {
    "rules.md": rules_page,
    "faults.md": faults_page,
    "orders.md": orders_page,
    "mappings.md": mappings_page,
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
