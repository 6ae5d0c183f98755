"""Docs are product: the README's commands run, references are fresh, settings and decisions are documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gtgateway import docs
from gtgateway.cli import cli
from gtgateway.model.faults import FAULTS
from gtgateway.settings import Settings, variable
from gtgateway.validators.registry import RULES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 10
    for command in commands:
        line, _, comment = command.partition("   # ")
        program, *arguments = line.split()
        assert program == "gtgateway"
        expected = int(match[1]) if (match := re.search(r"exit (\d)", comment)) else 0
        done = subprocess.run([sys.executable, "-m", "gtgateway", *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == expected, f"{line}\n{done.stdout.decode()}\n{done.stderr.decode()}"


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_references_are_fresh(name: str) -> None:
    page = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    assert page == docs.NOTE + docs.PAGES[name](), f"{name} is stale: run `make references`"


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_test_that_a_document_names_exists() -> None:
    for document in (ROOT / "docs").rglob("*.md"):
        for file, test in re.findall(r"`(tests/\S+\.py)::(\w+)`", document.read_text("utf-8")):
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{document.name} names {file}::{test}"


def test_every_setting_says_what_it_does() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"`{variable(name)}`" in page


def test_every_rule_and_fault_is_on_its_page() -> None:
    rules = (ROOT / "docs" / "reference" / "rules.md").read_text("utf-8")
    faults = (ROOT / "docs" / "reference" / "faults.md").read_text("utf-8")
    assert all(f"## {rule.id}\n" in rules for rule in RULES)
    assert all(f"| {fault} |" in faults for fault in FAULTS)


def test_every_command_is_named_in_the_readme_or_the_changelog() -> None:
    said = README + (ROOT / "CHANGELOG.md").read_text("utf-8")
    for command in cli.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__
        assert command.callback.__name__ in said


def test_decisions_have_the_template_shape() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert len(decisions) > 3
    for decision in decisions:
        text = decision.read_text("utf-8")
        for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Alternatives.**"):
            assert part in text, f"{decision.name} lacks {part}"
    numbers = [decision.name[:4] for decision in decisions]
    assert len(set(numbers)) == len(numbers)


def test_ci_calls_the_readmes_test_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "    make test " in README
