"""The fast path: never a yes where the explaining path has something to say, and what both cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from gtgateway.model.findings import Severity
from gtgateway.validators.structure.profile import Profiles
from mutants import mutant

Json = dict[str, Any]
MUTANTS = 600


def examples(root: Path) -> list[Json]:
    files = sorted((root / "samples" / "messages").glob("*/message.json"))
    assert files
    return [orjson.loads(file.read_bytes()) for file in files]


@pytest.fixture(scope="module")
def own() -> Profiles:
    return Profiles.load()


def compare(profiles: Profiles, messages: list[Json], seed: int) -> tuple[int, int]:
    """How many of many mutants had no fault, and how many of those the fast path accepted."""
    random = Random(seed)
    sound = accepted = 0
    for _ in range(MUTANTS):
        message = mutant(random.choice(messages), random, random.choice([1, 1, 1, 2, 3]))
        grave = [item for item in profiles.check(message) if item.severity is not Severity.INFORMATION]
        yes = profiles.accepts(message)
        assert not (yes and grave), (grave[0].rule, grave[0].source_path)
        sound += not grave
        accepted += yes
    return sound, accepted


def test_the_fast_path_never_accepts_what_the_other_refuses(own: Profiles, root: Path) -> None:
    sound, accepted = compare(own, examples(root), seed=20261125)
    assert 0.1 * MUTANTS < sound < 0.6 * MUTANTS  # both kinds were tried
    assert accepted > 0.9 * sound  # and the fast path is one


def test_the_same_on_the_official_examples(shared: Path) -> None:
    profiles = Profiles.load([shared / "data" / "fhir" / "packages"])
    files = sorted((shared / "data" / "fhir" / "corpus").glob("good-*.json"))
    sound, accepted = compare(profiles, [orjson.loads(file.read_bytes()) for file in files], seed=7)
    assert accepted > 0.9 * sound > 0


def test_the_generated_function_can_be_read(own: Profiles) -> None:
    source = own.source("https://gtgateway.example/fhir/StructureDefinition/gop-start")
    assert source.startswith(
        "def accept(v, c):  # Extension https://gtgateway.example/fhir/StructureDefinition/gop-start"
    )
    compile(source, "gop-start", "exec")


def best(work: Callable[[], object]) -> float:
    def once() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return min(once() for _ in range(15))


def test_an_invalid_message_costs_at_most_ten_times_a_valid_one(own: Profiles, root: Path) -> None:
    message = examples(root)[0]
    assert own.accepts(message)
    valid = best(lambda: own.accepts(message))
    broken = orjson.loads(orjson.dumps(message))
    broken["entry"][-1]["resource"]["foo"] = 1  # the last thing that is looked at

    def judge() -> None:
        assert not own.accepts(broken)
        assert own.check(broken)

    assert best(judge) < 10 * valid
