"""Value sets as Python sets: expanded once, from the packages alone.

Expanded are: listed codes, whole code systems, is-a and descendent-of by nesting and by the property `parent`, nested
value sets, and exclude. A code system whose content is not in the packages (SNOMED CT) is open: whether a code of it
belongs cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Find = Callable[[str], Json | None]


@dataclass(frozen=True, slots=True)
class Codes:
    """What a value set holds. `open_systems` could not be expanded; `complete` False: something else is missing."""

    pairs: frozenset[tuple[str, str]]
    open_systems: frozenset[str] = frozenset()
    complete: bool = True

    @property
    def closed(self) -> bool:
        """Whether the answer is always yes or no."""
        return self.complete and not self.open_systems

    def holds(self, system: str | None, code: str | None) -> bool | None:
        """Whether a code belongs; None when that cannot be told."""
        if (system, code) in self.pairs:
            return True
        return False if self.complete and system not in self.open_systems else None


EMPTY = Codes(frozenset())
UNKNOWN = Codes(frozenset(), complete=False)


class Terminology:
    """The value sets of one set of packages; `value_set` and `code_system` find a resource by canonical url."""

    def __init__(self, value_set: Find, code_system: Find) -> None:
        self._value_set = value_set
        self._code_system = code_system
        self._expanded: dict[str, Codes] = {}

    def codes(self, url: str) -> Codes:
        """The value set with this canonical url (its version, if any, is that of the package set)."""
        url = url.partition("|")[0]
        found = self._expanded.get(url)
        if found is None:
            # A value set that includes itself adds nothing by it.
            self._expanded[url] = EMPTY
            found = self._expanded[url] = self._expand(self._value_set(url))
        return found

    def _expand(self, value_set: Json | None) -> Codes:
        if value_set is None:
            return UNKNOWN
        compose = value_set.get("compose")
        if not compose:
            return Codes(frozenset(_contained(value_set.get("expansion", {}).get("contains", ()))))
        included = [self._part(part) for part in compose.get("include", ())]
        excluded = [self._part(part) for part in compose.get("exclude", ())]
        pairs = frozenset[tuple[str, str]]().union(*(part.pairs for part in included))
        opened = frozenset[str]().union(*(part.open_systems for part in included))
        complete = all(part.complete for part in (*included, *excluded))
        for part in excluded:
            pairs -= part.pairs
            if part.open_systems:
                complete = False
        return Codes(pairs, opened, complete)

    def _part(self, part: Json) -> Codes:
        """One include or exclude: codes of a system, cut by the value sets that it names."""
        answers = [self.codes(url) for url in part.get("valueSet", ())]
        if "system" in part:
            answers.append(self._of_system(part))
        if not answers:
            return UNKNOWN
        first, *rest = answers
        for other in rest:
            if not (first.closed and other.closed):
                return UNKNOWN
            first = Codes(first.pairs & other.pairs)
        return first

    def _of_system(self, part: Json) -> Codes:
        system = part["system"]
        if "concept" in part:
            return Codes(frozenset((system, concept["code"]) for concept in part["concept"]))
        resource = self._code_system(system)
        if resource is None or resource.get("content") != "complete":
            return Codes(frozenset(), frozenset({system}))
        kept = {code for code, _above in _concepts(resource)}
        for test in part.get("filter", ()):
            below = _filtered(resource, test)
            if below is None:
                return Codes(frozenset(), frozenset({system}))
            kept &= below
        return Codes(frozenset((system, code) for code in kept))


def _contained(rows: Iterable[Json]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if "code" in row and not row.get("abstract"):
            yield row.get("system", ""), row["code"]
        yield from _contained(row.get("contains", ()))


def _concepts(code_system: Json) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every code with its direct parents (by nesting, and by the property `parent`)."""
    waiting: list[tuple[Json, tuple[str, ...]]] = [(concept, ()) for concept in code_system.get("concept", ())]
    while waiting:
        concept, above = waiting.pop()
        stated = (item.get("valueCode") for item in concept.get("property", ()) if item.get("code") == "parent")
        yield concept["code"], (*above, *(code for code in stated if code))
        waiting.extend((inner, (concept["code"],)) for inner in concept.get("concept", ()))


def _filtered(code_system: Json, test: Json) -> set[str] | None:
    """Codes that pass one filter; None for a filter that is not known here."""
    if test["op"] not in ("is-a", "descendent-of", "descendant-of") or test["property"] != "concept":
        return None
    children: dict[str, list[str]] = {}
    for code, parents in _concepts(code_system):
        for parent in parents:
            children.setdefault(parent, []).append(code)
    found: set[str] = set()
    waiting = list(children.get(test["value"], ()))
    while waiting:
        code = waiting.pop()
        if code not in found:
            found.add(code)
            waiting.extend(children.get(code, ()))
    return found | {test["value"]} if test["op"] == "is-a" else found
