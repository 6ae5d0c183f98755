"""Habits are tests: which room may import which, what words occur, where a citizen's number may be revealed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gtgateway.model.faults import FAULTS
from gtgateway.validators.registry import RULES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "gtgateway"
MODULES = sorted(SOURCE.rglob("*.py"))

#: What each room may import of ours. Imports point inward: the edges know the rooms, the model knows nobody.
MAY_IMPORT = {
    "model": {"model"},
    "law": {"law", "model", "errors"},
    "routing": {"routing", "law", "model", "errors", "data"},
    "residence": {"residence", "routing", "model", "errors"},
    "parsers": {"parsers", "model"},
    "mappers": {"mappers", "parsers", "law", "model"},
    "validators": {"validators", "parsers", "law", "model", "errors", "data"},
    "acknowledgements": {"acknowledgements", "parsers", "model"},
    "store": {"store", "model", "errors"},
    "cases": {"cases", "validators", "routing", "law", "model"},
    "security": {"security", "routing", "model", "errors", "logs"},
}
EDGES = {
    "delivery": {
        "__version__",
        "acknowledgements",
        "delivery",
        "errors",
        "logs",
        "mappers",
        "model",
        "parsers",
        "pipeline",
    }
    | {"reading_pool", "routing", "security", "store"},
    "api": {
        "acknowledgements",
        "api",
        "bootstrap",
        "cases",
        "casework",
        "catalogue",
        "convert",
        "delivery",
        "errors",
        "logs",
        "lookup",
    }
    | {"mappers", "model", "pipeline", "receive", "routing", "security", "store"},
    "pipeline": {"acknowledgements", "law", "mappers", "model", "parsers", "residence", "routing", "validators"},
}


def imports_of(module: Path) -> Iterator[str]:
    """First name below `gtgateway` of every import of ours."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "gtgateway":
                names = [f"gtgateway.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("gtgateway."):
                yield name.split(".")[1]


def room_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


#: The composition root and the commands, at the top of the package, may know every room.
ROOMED = [module for module in MODULES if room_of(module) in MAY_IMPORT | EDGES]


@pytest.mark.parametrize("module", ROOMED, ids=lambda module: str(module.relative_to(SOURCE)))
def test_imports_point_inward(module: Path) -> None:
    outward = set(imports_of(module)) - (MAY_IMPORT | EDGES)[room_of(module)]
    assert not outward, f"{module.relative_to(SOURCE)} imports {sorted(outward)}"


def test_no_relative_imports() -> None:
    for module in MODULES:
        relative = [node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert all(node.level == 0 for node in relative), module


#: Who may reveal a citizen's number: mappers (into plan and record), the register look-up, and the pseudonym.
MAY_REVEAL = {"lookup", "mappers"}


def test_only_mappers_reveal_a_citizens_number() -> None:
    for module in MODULES:
        if room_of(module) not in MAY_REVEAL and room_of(module) != "model":
            assert ".reveal(" not in module.read_text("utf-8"), module


@pytest.mark.parametrize("word", ["regime", "utils", "helper"])
def test_words_that_do_not_occur_in_code(word: str) -> None:
    for module in MODULES:
        # GOP-REGIME-01 is a rule id: a contract with vendors; email.utils is Python's
        text = re.sub(r"GOP-REGIME-\d\d|\bemail\.utils\b", "", module.read_text("utf-8"))
        assert word not in text.lower(), module


#: A branch on a year in code: what the law says is data.
YEAR_BRANCH = re.compile(r"(?:[<>]=?|==)\s*(?:date\()?20[2-9]\d\b")


def test_no_branch_on_a_year() -> None:
    for module in MODULES:
        assert not YEAR_BRANCH.search(module.read_text("utf-8")), module


def test_every_module_and_public_function_says_what_it_is() -> None:
    for module in MODULES:
        tree = ast.parse(module.read_text("utf-8"))
        assert ast.get_docstring(tree), f"{module} has no docstring"


def test_rule_ids_are_unique_and_well_formed() -> None:
    ids = [*FAULTS, *(rule.id for rule in RULES)]
    assert len(ids) == len(set(ids))
    for each in ids:
        assert re.fullmatch(r"GOP-[A-Z]+-\d\d", each)


def test_faults_speak_both_languages_with_the_same_placeholders() -> None:
    for fault in FAULTS.values():
        assert fault.text.da
        assert fault.text.en
        assert set(re.findall(r"{(\w+)}", fault.text.da)) == set(re.findall(r"{(\w+)}", fault.text.en)), fault.rule


def test_tests_mirror_the_rooms() -> None:
    rooms = {module.parent.name for module in MODULES if module.parent != SOURCE} | {"faults"}  # of the whole house
    for folder in (path for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("__")):
        assert folder.name in rooms, f"tests/{folder.name} mirrors no room"


@pytest.mark.parametrize("pattern", [r"/work/", r"/tmp/", r"\.library", r"\bsession\b.{0,20}\bagent"])
def test_nothing_names_the_machine_it_was_made_on(pattern: str) -> None:
    for path in [
        *MODULES,
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
    ]:
        assert not re.search(pattern, path.read_text("utf-8")), path
