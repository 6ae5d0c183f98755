"""Snapshots as trees, and discriminators as functions: which slice a value belongs to.

A discriminator's constraint may stand in the slice itself, in the slice's type profile, or in an extension's
definition; all three are looked through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gtgateway.validators.structure.profile.base import CORE
from gtgateway.validators.structure.profile.context import Context
from gtgateway.validators.structure.profile.terminology import Codes

Json = dict[str, Any]
#: (value, its JSON key, context) -> does it belong to the slice
Match = Callable[[Any, str, Context], bool]
#: A definition by canonical url, as a tree.
FindTree = Callable[[str], "Tree | None"]
FindCodes = Callable[[str], Codes]

_STEP = re.compile(r"(?:\$this|extension\('(?P<url>[^']+)'\)|(?P<resolve>resolve\(\))|(?P<name>\w+))(?:\.|$)")


class Definition:
    """An element of a snapshot with its children (by name) and its slices (by slice name)."""

    __slots__ = ("children", "element", "slices")

    def __init__(self, element: Json) -> None:
        self.element = element
        self.children: dict[str, Definition] = {}
        self.slices: dict[str, Definition] = {}

    @property
    def name(self) -> str:
        name: str = self.element["path"].rpartition(".")[2]
        return name

    def types(self) -> list[Json]:
        types: list[Json] = self.element.get("type", [])
        return types


class Tree:
    """A snapshot; `by_id` holds every element of it."""

    __slots__ = ("by_id", "definition", "root", "strays")

    def __init__(self, definition: Json) -> None:
        self.definition = definition
        first, *rest = definition["snapshot"]["element"]
        self.root = Definition(first)
        self.by_id = {first["id"]: self.root}
        self.strays: list[str] = []  #: elements whose parent is not in the snapshot
        for element in rest:
            node = self.by_id[element["id"]] = Definition(element)
            before, _, last = element["id"].rpartition(".")
            name, _, slice_name = last.partition(":")
            parent = self.by_id.get(f"{before}.{name}" if slice_name else before)
            if parent is None:
                self.strays.append(element["id"])
            elif slice_name:
                parent.slices[slice_name] = node
            else:
                parent.children[name] = node


def compile_match(slice_: Definition, discriminator: Json, trees: FindTree, codes: FindCodes) -> Match | None:
    """The function that tells by one discriminator whether a value belongs to a slice; None when none can be made."""
    steps = _steps(discriminator["path"])
    if steps is None:
        return None
    kind = discriminator["type"]
    ends = list(_located(slice_, steps, trees))
    if kind == "type":
        return _by_type(ends, steps)
    if kind == "profile":
        return _by_profile(ends, steps)
    if kind == "exists":
        wanted = {end.element["min"] > 0 for end in ends if end.element["min"] > 0 or end.element["max"] == "0"}
        if len(wanted) != 1:
            return None
        present = wanted.pop()
        return lambda value, _key, context: bool(_selected([value], steps, context)) is present
    tests = [test for end in ends if (test := _test(end, trees, codes)) is not None]
    if not tests and steps[-1:] == ["url"] and (urls := _profiles(slice_)):
        # The url of an extension is that of its definition, also when that is not at hand.
        tests = [lambda found: isinstance(found, str) and found in urls]
    if not tests:
        return None
    if not steps and len(tests) == 1:
        test = tests[0]
        return lambda value, _key, _context: test(value)
    return lambda value, _key, context: any(test(end) for end in _selected([value], steps, context) for test in tests)


def told_plainly(slice_: Definition, discriminators: list[Json], trees: FindTree) -> tuple[str, str] | None:
    """Property and its text, when a plain property alone tells the slice: `url`, `system`, type of `resource`."""
    if len(discriminators) != 1:
        return None
    steps = _steps(discriminators[0]["path"])
    if steps is None or len(steps) != 1 or "(" in steps[0]:
        return None
    ends = list(_located(slice_, steps, trees))
    if discriminators[0]["type"] == "type" and steps == ["resource"]:
        values = {entry["code"] for end in ends for entry in end.types()}
    elif discriminators[0]["type"] in ("value", "pattern"):
        values = {fixed[1] for end in ends if (fixed := constraint(end.element)) and isinstance(fixed[1], str)}
        values = values or set(_profiles(slice_) if steps == ["url"] else ())
    else:
        return None
    return (steps[0], values.pop()) if len(values) == 1 else None


def property_reader(name: str) -> Callable[[Any], Any]:
    """Reads the property of a slice that is told plainly."""
    if name == "resource":
        return lambda value: value.get("resource", {}).get("resourceType")
    return lambda value: value.get(name)


def constraint(element: Json) -> tuple[bool, Any] | None:
    """Fixed value (exact: True) or pattern (False) of an element."""
    for name, value in element.items():
        if name.startswith("fixed"):
            return True, value
        if name.startswith("pattern"):
            return False, value
    return None


def matches(found: Any, wanted: Any, exact: bool) -> bool:
    """Whether a value equals a fixed value, or holds a pattern."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict) or (exact and found.keys() != wanted.keys()):
            return False
        return all(name in found and matches(found[name], value, exact) for name, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or (exact and len(found) != len(wanted)):
            return False
        if exact:
            return all(matches(one, other, True) for one, other in zip(found, wanted, strict=True))
        return all(any(matches(one, value, False) for one in found) for value in wanted)
    return bool(found == wanted) and type(found) is type(wanted)


def fits_pattern(exact: bool, wanted: Any) -> Callable[[Any], bool]:
    """`matches` with the wanted value made into a function."""
    if isinstance(wanted, dict) and not exact:
        parts = [(name, fits_pattern(exact, value)) for name, value in wanted.items()]

        def has_parts(found: Any) -> bool:
            if not isinstance(found, dict):
                return False
            # Loops here and below: a generator costs more than these tests.
            for name, test in parts:  # noqa: SIM110
                if not test(found.get(name)):
                    return False
            return True

        return has_parts
    if isinstance(wanted, list) and not exact:
        tests = [fits_pattern(exact, value) for value in wanted]
        if len(tests) == 1:
            return _holding(tests[0])
        return lambda found: isinstance(found, list) and all(any(map(test, found)) for test in tests)
    if isinstance(wanted, str):
        return lambda found: bool(found == wanted)
    return lambda found: matches(found, wanted, exact)


def _holding(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def holds_one(found: Any) -> bool:
        if isinstance(found, list):
            for item in found:
                if test(item):
                    return True
        return False

    return holds_one


def _profiles(node: Definition) -> frozenset[str]:
    return frozenset(url.partition("|")[0] for entry in node.types() for url in entry.get("profile", ()))


def _steps(path: str) -> list[str] | None:
    """`$this.extension('u').value.code` -> ["extension(u)", "value", "code"]; None for what is not known."""
    steps: list[str] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return None
        if found["url"]:
            steps.append(f"extension({found['url']})")
        elif found["resolve"]:
            steps.append("resolve()")
        elif found["name"]:
            steps.append(found["name"])
        position = found.end()
    return steps


def _located(node: Definition, steps: list[str], trees: FindTree) -> Iterator[Definition]:
    """Every element of the definition that a path leads to."""
    if not steps:
        yield node
        return
    step, *rest = steps
    if step == "resolve()":
        targets = (url for entry in node.types() for url in entry.get("targetProfile", ()))
        for tree in (trees(url) for url in targets):
            if tree is not None:
                yield from _located(tree.root, rest, trees)
        return
    if step.startswith("extension("):
        yield from _in_extension(node, step[len("extension(") : -1], rest, trees)
        return
    for inner in _children(node, step, trees):
        ends = list(_located(inner, rest, trees))
        yield from ends
        for slice_ in inner.slices.values():
            yield from _located(slice_, rest, trees)


def _children(node: Definition, name: str, trees: FindTree) -> Iterator[Definition]:
    for children in (node.children, *(tree.root.children for tree in _type_trees(node, trees))):
        found = children.get(name) or children.get(f"{name}[x]")
        if found is not None:
            yield found
            if children is node.children and constraint(found.element):
                return


def _type_trees(node: Definition, trees: FindTree) -> Iterator[Tree]:
    for entry in node.types():
        for url in entry.get("profile") or (CORE + entry["code"],):
            if (tree := trees(url.partition("|")[0])) is not None:
                yield tree


def _in_extension(node: Definition, url: str, rest: list[str], trees: FindTree) -> Iterator[Definition]:
    for extension in _children(node, "extension", trees):
        for slice_ in extension.slices.values():
            if url in _profiles(slice_) or _fixed_url(slice_) == url:
                yield from _located(slice_, rest, trees)
    if (tree := trees(url)) is not None:
        yield from _located(tree.root, rest, trees)


def _fixed_url(node: Definition) -> Any:
    child = node.children.get("url")
    return (constraint(child.element) or (True, None))[1] if child else None


def _test(end: Definition, trees: FindTree, codes: FindCodes) -> Callable[[Any], bool] | None:
    """What the value at the end of the path must be: fixed, of a pattern, of a value set, or with such children."""
    if (found := constraint(end.element)) is not None:
        return fits_pattern(*found)
    inner = [
        (name.removesuffix("[x]"), test)
        for name, child in end.children.items()
        if child.element["min"] > 0 and (test := _test(child, trees, codes)) is not None
    ]
    if inner:
        return lambda value: all(any(map(test, _property(value, name))) for name, test in inner)
    binding = end.element.get("binding", {})
    if binding.get("strength") != "required" or "valueSet" not in binding:
        return None
    allowed = codes(binding["valueSet"])
    return (lambda value: bool(holds(allowed, value))) if allowed.closed else None


def holds(allowed: Codes, value: Any) -> bool | None:
    """Whether a code, Coding, Quantity or CodeableConcept belongs to a value set; None when that cannot be told."""
    if isinstance(value, str):
        if any(code == value for _, code in allowed.pairs):
            return True
        return None if not allowed.closed else False
    if not isinstance(value, dict):
        return False
    codings = value.get("coding") if "coding" in value or "text" in value else [value]
    answers = [
        allowed.holds(coding.get("system"), coding.get("code"))
        for coding in (codings if isinstance(codings, list) else ())
        if isinstance(coding, dict) and isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
    ]
    return True if True in answers else None if None in answers else False


def _by_type(ends: list[Definition], steps: list[str]) -> Match | None:
    types = {entry["code"] for end in ends for entry in end.types()}
    if not types:
        return None
    name = ends[0].name
    if name.endswith("[x]"):
        stem = name.removesuffix("[x]")
        keys = frozenset(stem + code[0].upper() + code[1:] for code in types)
        if not steps:
            return lambda _value, key, _context: key in keys
        return lambda value, _key, context: any(
            not keys.isdisjoint(holder)
            for holder in _selected([value], steps[:-1], context)
            if isinstance(holder, dict)
        )
    if types == {"Reference"} or not types:
        return None
    return lambda value, _key, context: any(
        str(found.get("resourceType")) in types
        for found in _selected([value], steps, context)
        if isinstance(found, dict)
    )


def _by_profile(ends: list[Definition], steps: list[str]) -> Match | None:
    urls = [url for end in ends for url in _profiles(end)]
    if not urls:
        return None
    return lambda value, _key, context: any(
        isinstance(found, dict) and context.fits(found, urls) for found in _selected([value], steps, context)
    )


def _selected(values: list[Any], steps: list[str], context: Context) -> list[Any]:
    """The values that a path leads to in a document."""
    for step in steps:
        if step == "resolve()":
            references = (value.get("reference") for value in values if isinstance(value, dict))
            values = [found for reference in references if (found := context.resolve(reference)) is not None]
        elif step.startswith("extension("):
            url = step[len("extension(") : -1]
            extensions = (extension for value in values for extension in _property(value, "extension"))
            values = [found for found in extensions if isinstance(found, dict) and found.get("url") == url]
        else:
            values = [found for value in values for found in _property(value, step)]
    return values


def _property(value: Any, name: str) -> list[Any]:
    """Values of a property, also of one of several types (`value` finds `valueString`)."""
    if not isinstance(value, dict):
        return []
    found = value.get(name)
    if found is None:
        size = len(name)
        found = next(
            (item for key, item in value.items() if key.startswith(name) and key[size : size + 1].isupper()), None
        )
    if found is None:
        return []
    return found if isinstance(found, list) else [found]
