"""Every invariant function against a FHIRPath engine: on made-up values, on our examples, on the official ones."""

from __future__ import annotations

import copy
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from fhirpathpy import evaluate
from fhirpathpy.models import models

from gtgateway.model.findings import Bilingual, Severity
from gtgateway.validators.structure.profile import Profiles
from gtgateway.validators.structure.profile.accept import accepts
from gtgateway.validators.structure.profile.compile import Invariant
from gtgateway.validators.structure.profile.context import Context
from gtgateway.validators.structure.profile.discriminators import holds
from gtgateway.validators.structure.profile.explain import Walk, conforms, explain
from gtgateway.validators.structure.profile.invariants import FUNCTIONS
from gtgateway.validators.structure.profile.narrative import narrative_is_sound
from mutants import mutant

Json = dict[str, Any]
NO_TEXT = Bilingual("", "")

#: They name a canonical of old and test `entry`, which is never a resource: true of everything as written.
MEANT_OTHERWISE = {
    "medcom-messaging-1",
    "medcom-messaging-3",
    "medcom-hospitalNotification-1",
    "medcom-hospitalNotification-3",
}
#: Of a missing string these ask `contains` or `startsWith`: empty by the letter, false in HL7's own validator.
ABSENT_IS_FINE = {"bdl-8": "fullUrl", "ref-1": "reference"}


def by_engine(invariant: Invariant, value: Any, context: Context) -> bool | None:
    """What fhirpathpy says; None when it cannot evaluate the expression on this value."""

    def resolve(values: list[Any]) -> list[Any]:
        names = (item.get("reference") if isinstance(item, dict) else item for item in values)
        return [found for name in names if (found := context.resolve(name)) is not None]

    def member(values: list[Any], url: str) -> list[bool]:
        return [bool(holds(context.packages.terminology.codes(url), item)) for item in values]

    functions = {
        "conformsTo": {
            "fn": lambda values, url: [context.fits(item, (url,)) for item in values],
            "arity": {1: ["String"]},
        },
        "memberOf": {"fn": member, "arity": {1: ["String"]}},
        "resolve": {"fn": resolve, "arity": {0: []}},
        "hasValue": {"fn": lambda values: [len(values) == 1 and not isinstance(values[0], dict)], "arity": {0: []}},
        "htmlChecks": {"fn": lambda values: [narrative_is_sound(str(item)) for item in values], "arity": {0: []}},
    }
    path: Any = invariant.expression
    if not (isinstance(value, dict) and "resourceType" in value):
        path = {"base": invariant.base, "expression": path}
    variables = {"resource": context.resource, "rootResource": context.resource}
    options = {"userInvocationTable": functions, "traceFn": lambda *_: None}
    try:
        return bool(evaluate(copy.deepcopy(value), path, variables, models["r4"], options) == [True])
    except Exception:
        return None


class Comparing(Walk):
    """A walk that compares every invariant that has a function."""

    seen: Counter[str]
    differing: set[tuple[str, str]]
    known: set[tuple[str, bytes]]

    def invariant(self, value: Any, invariant: Invariant, path: str, *, broken: bool = False) -> None:
        super().invariant(value, invariant, path, broken=broken)
        key = (invariant.expression, orjson.dumps(value))
        if invariant.check is None or invariant.key in MEANT_OTHERWISE or key in self.known:
            return
        self.known.add(key)
        if invariant.key in ABSENT_IS_FINE and ABSENT_IS_FINE[invariant.key] not in value:
            return
        wanted = by_engine(invariant, value, self.context)
        if wanted is not None:
            self.seen[invariant.expression] += 1
            if bool(invariant.check(value, self.context)) is not wanted:
                self.differing.add((invariant.key, path))


def unevaluated(*_: Any) -> None:
    """Whatever has no function is not what is compared here."""


def compare(profiles: Profiles, messages: Iterator[Json]) -> tuple[Counter[str], set[tuple[str, str]]]:
    seen: Counter[str] = Counter()
    differing: set[tuple[str, str]] = set()
    known: set[tuple[str, bytes]] = set()
    for message in messages:
        faults = {item.rule for item in profiles.check(message) if item.severity is Severity.ERROR}
        if faults <= {"GOP-FHIR-16"}:  # functions may take a sound structure for granted
            packages = profiles._for(message, None)
            context = Context(
                message,
                packages,
                lambda part, shape, inner: accepts(part, shape, inner) or conforms(part, shape, inner, unevaluated),
            )
            walk = Comparing(context, unevaluated, 10_000)
            walk.seen, walk.differing, walk.known = seen, differing, known
            explain(walk, message, None)
    return seen, differing


def with_mutants(messages: list[Json], number: int, seed: int) -> Iterator[Json]:
    yield from messages
    random = Random(seed)
    for _ in range(number):
        yield mutant(random.choice(messages), random)


def test_functions_say_what_their_expressions_say_on_our_examples(root: Path) -> None:
    files = sorted((root / "samples" / "messages").glob("*/message.json"))
    messages = [orjson.loads(file.read_bytes()) for file in files]
    seen, differing = compare(Profiles.load(), with_mutants(messages[::3], 120, 5))
    assert differing == set()
    assert len(seen) > 45


def test_functions_say_what_their_expressions_say_on_the_official_examples(shared: Path) -> None:
    profiles = Profiles.load([shared / "data" / "fhir" / "packages"])
    files = sorted((shared / "data" / "fhir" / "corpus").glob("*.json"))
    messages = [orjson.loads(file.read_bytes()) for file in files]
    seen, differing = compare(profiles, with_mutants(messages, 200, 6))
    assert differing == set()
    assert len(seen) > 60


# --- what no example holds: every combination of a few values ---------------------------------------------------------

#: Values for the properties that expressions name; a property also stays absent.
VALUES: dict[str, list[Any]] = {
    "code": ["1", "mm"],
    "value": [0, 2, -1, 1.5],
    "system": ["http://unitsofmeasure.org", "urn:other"],
    "duration": [0, 2, -1],
    "period": [0, 2, -1],
    "when": [["C"], ["AC"], ["AC", "CM"]],
    "type": ["named-event", "periodic", "data-added"],
    "use": ["home", "work"],
    "low": [{"value": 1}],
    "high": [{"value": 2}, {"value": 0}],
    "timing": ["2026-01-01"],
    "extension": [[{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]],
}
#: Type of the context, for expressions whose values are compared by type, or stand under several names.
BASES = {"start.hasValue": "Period", "lastModified": "Task", "data.empty() or timing": "TriggerDefinition"} | {
    "(type = 'named-event'": "TriggerDefinition",
    "low.empty() or high": "Range",
}
#: Properties of an expression that are more than a plain value.
SHAPED: dict[str, tuple[str, list[Json]]] = {
    "value.ofType(Quantity).value.exists()": (
        "Observation",
        [
            *(
                {"valueQuantity": {"value": 1} | more}
                for more in ({}, {"unit": "m"}, {"code": "m"}, {"system": "urn:x"})
            ),
            *({"valueString": "x"}, {"status": "final"}),
        ],
    ),
    "dataAbsentReason.empty() or value.empty()": (
        "Observation",
        [
            {"dataAbsentReason": {"text": "x"}},
            {"dataAbsentReason": {"text": "x"}, "valueString": "y"},
            {"valueString": "y"},
        ],
    ),
    "identifier.where(system='urn:oid:1.2.208.176.1.1' or": (
        "Organization",
        [
            *(
                {"identifier": [{"system": system, "value": "1"}]}
                for system in ("urn:oid:1.2.208.176.1.1", "urn:oid:1.3.198", "http://cvr.dk", "urn:x")
            ),
            {"name": "x"},
        ],
    ),
    "value.matches('^[0-9]{4}$')": ("Extension", [{"valueString": text} for text in ("0461", "461", "04610")]),
    "value.matches('urn:uuid:": (
        "Identifier",
        [{"value": "urn:uuid:0b5ba3a3-1c0f-5a4a-bfff-f6f984fa7e3c"}, {"value": "x"}],
    ),
    "code.exists() implies (code.coding.where(system.exists()": (
        "PractitionerRole",
        [
            {"code": [{"coding": [{"system": "urn:s", "code": "a"}]}]},
            {"code": [{"text": "a"}]},
            {"code": [{"coding": [{"system": "urn:s", "code": "a"}], "text": "a"}]},
            {"code": [{"coding": [{"code": "a"}]}]},
            {"active": True},
        ],
    ),
    "name.exists() or extension(": (
        "Practitioner",
        [
            {"name": [{"family": "B"}]},
            {
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
                ]
            },
            {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
        ],
    ),
    "lastModified.exists().not()": (
        "Task",
        [
            {"authoredOn": "2026-01-01", "lastModified": "2026-02-01"},
            {"authoredOn": "2026-02-01", "lastModified": "2026-01-01"},
            {"authoredOn": "2026-01-01T10:00:00+01:00", "lastModified": "2026"},
            {"authoredOn": "2026-01-01"},
        ],
    ),
    "start.hasValue()": (
        "Period",
        [
            {"start": "2026-01-01", "end": "2026-02-01"},
            {"start": "2026-02-01", "end": "2026-01-31"},
            {"start": "2026-02-01", "end": "2026-02-01"},
            {"start": "2026-02-01T10:00:00+01:00", "end": "2026-02-01"},
            {"start": "2026-02", "end": "2026-01-31"},
            {"end": "2026-02-01"},
        ],
    ),
}
TEXTS = [
    *("12345678", "10101010", "25313763", "1234567", "5790000000000", "5790001348120", "5790001348121", "x" * 13, ""),
    *(
        "B4CD5",
        "ABCDE",
        "a b",
        "ab",
        "*",
        "0",
        "3",
        "2512489996",
        "3002489996",
        "251248AB96",
        "2512481AB9",
        "2512485AB9",
    ),
    *("urn:uuid:0b5ba3a3-1c0f-5a4a-bfff-f6f984fa7e3c", "urn:uuid:X", "+45 12", "953741000016009", "1", "2902001234"),
    "http://medcomfhir.dk/ig/messagedefinitions/MessageDefinition/MedComCareCommunicationMessageDefinition|5.0",
]
_NAME = re.compile(
    r"(?<![\w.'%/|])(?:value\.)?([a-z]\w+)\.(?:empty|exists|count|hasValue)\(\)|(?<![\w.'%/])([a-z]\w+) ?(?:=|>=)"
)


#: In JSON an element of several types has the type in its name.
WRITTEN = {"timing": "timingDate"}


def samples(expression: str) -> Iterator[Json]:
    names = sorted({first or second for first, second in _NAME.findall(expression)})
    pools = [[None, *VALUES.get(name, ["x"])] for name in names]
    for row in itertools.product(*pools):
        yield {WRITTEN.get(name, name): value for name, value in zip(names, row, strict=True) if value is not None}


def base_of(expression: str) -> str:
    return next((base for start, base in BASES.items() if expression.startswith(start)), "BackboneElement")


def context_of(value: Any) -> Context:
    base = Profiles.load()._base
    return Context(value if isinstance(value, dict) else {}, base.packages, accepts)


@pytest.mark.parametrize("expression", [item for item in FUNCTIONS if item.startswith("matches(") or "mod(" in item])
def test_texts(expression: str) -> None:
    invariant = Invariant("x", True, expression, NO_TEXT, FUNCTIONS[expression], "string")
    context = context_of({})
    answers = []
    for text in TEXTS:
        wanted = by_engine(invariant, text, context)
        if wanted is not None:
            answers.append(wanted)
            assert FUNCTIONS[expression](text, context) is wanted, text
    assert len(answers) > 20


#: Names that stand for more than a plain value, or are compared elsewhere in this module.
NOT_PLAIN = (
    "entry.",
    "resolve",
    "matches",
    "ofType",
    "contained",
    "fullUrl",
    "coding",
    "html",
    "mod(",
    "activity",
    "`",
)
PLAIN = [
    item
    for item in FUNCTIONS
    if re.fullmatch(r"[\w\s.()!=<>'%|$\-`]+", item)
    and not any(word in item for word in NOT_PLAIN)
    and not item.startswith((*SHAPED, "extension", "max="))
]


@pytest.mark.parametrize("start", SHAPED)
def test_values_made_for_an_expression(start: str) -> None:
    expressions = [item for item in FUNCTIONS if item.startswith(start)]
    assert expressions
    base, values = SHAPED[start]
    for expression in expressions:
        invariant = Invariant("x", True, expression, NO_TEXT, FUNCTIONS[expression], base)
        answers = set()
        for value in values:
            wanted = by_engine(invariant, value, context_of({}))
            assert FUNCTIONS[expression](value, context_of({})) is wanted, value
            answers.add(wanted)
        assert answers == {True, False}


@pytest.mark.parametrize("expression", PLAIN)
def test_combinations_of_plain_values(expression: str) -> None:
    invariant = Invariant("x", True, expression, NO_TEXT, FUNCTIONS[expression], base_of(expression))
    context = context_of({})
    compared = 0
    for value in samples(expression):
        wanted = by_engine(invariant, value, context)
        if wanted is not None and value:
            compared += 1
            assert FUNCTIONS[expression](value, context) is wanted, value
    assert compared


def test_times_in_different_zones_are_compared_as_instants() -> None:
    """The engine compares their texts."""
    in_order = FUNCTIONS["start.hasValue().not() or end.hasValue().not() or (start <= end)"]
    assert in_order({"start": "2026-01-01T10:00:00+01:00", "end": "2026-01-01T09:30:00Z"}, context_of({}))
    assert not in_order({"start": "2026-01-01T10:00:00+01:00", "end": "2026-01-01T08:30:00Z"}, context_of({}))
    assert in_order({"start": "2026-06-30T23:59:60Z", "end": "2026-07-01T02:00:00+02:00"}, context_of({}))
