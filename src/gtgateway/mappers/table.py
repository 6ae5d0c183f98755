"""Mapping tables: rows of target, source and one plain function, and the one walk over a tree that fills a plan.

Targets are paths in the plan, `[]` for a repeat and `[0]` for a list that the source fills with one entry:
`patient.contact.telephones[].number`, `sender.identifiers[0].value`. Sources are paths of local names below the letter,
`[]` at the element that repeats and a prefix for another namespace than the table's own, as in
`Patient/TelephoneSubscriber[]/100:TelephoneSubscriberIdentifier`. The walk takes elements in any order and drops
nothing: what no row holds goes to `RehabilitationPlan.other`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

from lxml import etree

from gtgateway.mappers.formatted_text import collapse, from_medcom
from gtgateway.model import faults
from gtgateway.model.findings import Fault, Finding
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.message import Trace, TraceRow
from gtgateway.model.plan import FormattedText, JournalExcerpt, OtherContent, RehabilitationPlan
from gtgateway.parsers.hardened import line_of
from gtgateway.parsers.medcom_xml import local_name

Remark = tuple[Fault, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A letter as a plan, what reading it found, and which element each field came from."""

    plan: RehabilitationPlan
    findings: tuple[Finding, ...]
    trace: Trace


@dataclass(frozen=True, slots=True)
class Row:
    """One source element and the field of the plan that it fills, or the reason why it fills none.

    `read` makes the value, None when there is none. `check` says what is wrong with an element, given what was read
    from it. An element with text that no `read` could hold stays readable in `other`.
    """

    target: str | None
    source: str
    read: Callable[[etree._Element], object] | None = None
    check: Callable[[etree._Element, Any], Iterable[Remark]] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What a table made of a letter. `values` are arguments of RehabilitationPlan."""

    values: dict[str, Any]
    other: tuple[OtherContent, ...]
    findings: list[Finding]
    rows: list[TraceRow]


def text_of(element: etree._Element) -> str | None:
    """The text of an element, white space collapsed; None when it has none. Formatting inside is read as plain text."""
    text = collapse(element.text) if len(element) == 0 else from_medcom(element).plain.strip()
    return text or None


# --- compiled: what is built, and from which elements -----------------------------------------------------------------

#: What an object is given where the document says nothing and the type has no default.
_DEFAULTS: dict[type, dict[str, object]] = {
    Identifier: {"kind": IdentifierKind.OTHER},
    JournalExcerpt: {"comment": FormattedText("", "")},
}


@dataclass(slots=True)
class _Shape:
    """How to build one kind of object; checked against the model when the table is compiled."""

    make: type
    listed: bool = False  #: stands alone in a tuple (`identifiers[0]`)
    parts: dict[str, _Shape] = field(default_factory=dict)
    hints: dict[str, Any] = field(init=False)
    required: tuple[str, ...] = field(init=False)
    defaults: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self.hints = get_type_hints(self.make)
        bare = [
            each.name
            for each in dataclasses.fields(self.make)
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        ]
        self.defaults = _DEFAULTS.get(self.make, {}) | {
            name: None for name in bare if NoneType in get_args(self.hints[name])
        }
        self.required = tuple(name for name in bare if name not in self.defaults)

    def part(self, name: str, listed: bool) -> _Shape:
        if name not in self.parts:
            hint = self.hints[name]
            inner = next(kind for kind in (*get_args(hint), hint) if dataclasses.is_dataclass(kind))
            self.parts[name] = _Shape(cast(type, inner), listed)
        return self.parts[name]


@dataclass(slots=True)
class _Place:
    """A field of the object that the nearest repeat builds."""

    target: str  #: its path within that object
    into: tuple[str, ...]
    name: str


@dataclass(slots=True)
class _Field(_Place):
    """A row at its element."""

    read: Callable[[etree._Element], object]
    check: Callable[[etree._Element, Any], Iterable[Remark]] | None
    many: bool


@dataclass(slots=True)
class _Item(_Place):
    """A repeat at its element: the list that its objects go to, and how to build them."""

    shape: _Shape


@dataclass(slots=True)
class _Node:
    """An element of the schema."""

    step: str
    once: bool = False  #: a second one has no place in the plan
    ignored: bool = False
    fields: list[_Field] = field(default_factory=list)
    item: _Item | None = None
    by_tag: dict[str, _Node] = field(default_factory=dict)
    by_name: dict[str, _Node] = field(default_factory=dict)


def _inner(shape: _Shape, target: str) -> _Shape:
    """The shape of the object at a path within another."""
    for name in target.split("."):
        shape = shape.part(name.removesuffix("[0]"), name.endswith("[0]"))
    return shape


def _place(shape: _Shape, target: str) -> tuple[str, tuple[str, ...], str]:
    """Arguments of `_Place`; KeyError when the model has no such field."""
    path, _, name = target.rpartition(".")
    owner = _inner(shape, path) if path else shape
    owner.hints[name]
    return target, tuple(part.removesuffix("[0]") for part in path.split(".")) if path else (), name


class Table:
    """Rows compiled for the walk. Raises KeyError or StopIteration at import for a target that the model lacks."""

    def __init__(self, rows: Sequence[Row], namespaces: Mapping[str, str]) -> None:
        """`namespaces` by prefix; the one of the prefix "" holds for names without one."""
        self.rows = tuple(rows)
        self._namespaces = namespaces
        self._root = _Node("")
        self._shape = _Shape(RehabilitationPlan)
        for row in self.rows:
            self._add(row)

    def _add(self, row: Row) -> None:
        node, shape, rest = self._root, self._shape, row.target or ""
        passed: list[_Node] = []
        for step in row.source.split("/"):
            qualified, many = step.removesuffix("[]"), step.endswith("[]")
            prefix, _, name = qualified.rpartition(":")
            child = node.by_name.get(name)
            if child is None:
                child = node.by_name[name] = _Node("/" + name)
                node.by_tag[f"{{{self._namespaces[prefix]}}}{name}"] = child
            node = child
            passed.append(node)
            if many:
                passed.clear()
                head, _, rest = rest.partition("[].")
                if rest:
                    inner = _inner(shape, head)
                    node.item = _Item(*_place(shape, head), inner)
                    shape = inner
                else:
                    rest = head.removesuffix("[]")
        if row.read is None:
            node.ignored = True
            return
        node.fields.append(_Field(*_place(shape, rest), row.read, row.check, many))
        for each in passed:
            each.once = True

    def read(self, letter: etree._Element, path: str) -> Read:
        """Walk a letter once; `path` is where it stands. Never raises for what a document holds."""
        walk = _Walk(letter, path)
        values: dict[str, Any] = {}
        walk.container(self._root, letter, values, "", path)
        walk.attributes(letter)
        walk.build(self._shape, values, "", 0)
        return Read(values, tuple(walk.other), walk.findings, walk.rows)

    @cached_property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Plan path → source path below the letter where it belongs: of every field, and of every object around it."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            source = [step.removesuffix("[]").rpartition(":")[2] for step in row.source.split("/")]
            target = (row.target or "").replace("[0]", "")
            while target:
                shared = found.setdefault(target.removesuffix("[]"), source)
                while source[: len(shared)] != shared:
                    shared = shared[:-1]
                found[target.removesuffix("[]")] = shared
                target = target.rpartition(".")[0]
        return tuple((target, "/".join(("", *source))) for target, source in found.items())


# --- the walk ---------------------------------------------------------------------------------------------------------

_INDEX = re.compile(r"\[\d+\]")
_ATTRIBUTES = etree.XPath(".//@*")
_texts = cast("Callable[[etree._Element], list[str]]", etree.XPath(".//text()", smart_strings=False))
_own_texts = cast("Callable[[etree._Element], list[str]]", etree.XPath("text()", smart_strings=False))
_SILENT_ATTRIBUTES = ("{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998/namespace}")


class _Walk:
    """The state of one walk over a letter. `target` and `source` are the paths of the object and element at hand."""

    def __init__(self, letter: etree._Element, path: str) -> None:
        self.other: dict[OtherContent, None] = {}
        self.findings: list[Finding] = []
        self.rows: list[TraceRow] = []
        self.sources: list[etree._Element] = []  #: the element of each row
        self.paths: dict[etree._Element, str] = {letter: path}
        self.told: set[tuple[str, str]] = set()

    def container(self, node: _Node, element: etree._Element, values: dict[str, Any], target: str, source: str) -> None:
        counts: dict[str, int] = {}
        by_tag = node.by_tag
        stray = element.text is not None and not element.text.isspace()
        for child in element:
            tail = child.tail
            if tail is not None and not tail.isspace():
                stray = True
            found = by_tag.get(child.tag) or self.fallback(node, child, source)
            if found is None or found.ignored:
                continue
            path = source + found.step
            nth = counts[found.step] = counts.get(found.step, 0) + 1
            if nth > 1:
                path += f"[{nth}]"
                if found.once:
                    self.keep(child, faults.SCHEMA_REPEATED)
                    continue
            if found.fields:
                self.leaf(found, child, values, target, path)
            elif found.item is not None:
                self.repeat(found, found.item, child, values, target, path)
            else:
                self.container(found, child, values, target, path)
        if stray:
            self.keep(element, faults.SCHEMA_UNKNOWN_ELEMENT, "/text()", _own_texts(element))

    def leaf(self, node: _Node, element: etree._Element, values: dict[str, Any], target: str, path: str) -> None:
        first, held, line = True, False, line_of(element)
        for each in node.fields:
            slot = values
            for name in each.into:
                slot = slot.setdefault(name, {})
            place = target + each.target
            if each.many:
                place += f"[{len(slot.get(each.name, ()))}]"
            elif first and each.name in slot:  # the other branch of a choice
                self.keep(element, faults.SCHEMA_REPEATED)
                return
            value = each.read(element)
            if each.check is not None:
                for fault, filling in each.check(element, value):
                    self.findings.append(fault.at(place, path, line, **filling))
            if value is not None:
                held = held or value is not True  # a mark says nothing of the text in it
                if each.many:
                    slot.setdefault(each.name, []).append(value)
                else:
                    slot[each.name] = value
            if first or value is not None:
                self.rows.append(TraceRow(place, path, line))
                self.sources.append(element)
            first = False
        if not held:
            self.keep(element)

    def repeat(
        self, node: _Node, item: _Item, element: etree._Element, values: dict[str, Any], target: str, path: str
    ) -> None:
        slot = values
        for name in item.into:
            slot = slot.setdefault(name, {})
        entries = slot.setdefault(item.name, [])
        inner: dict[str, Any] = {}
        since = len(self.rows)
        place = f"{target}{item.target}[{len(entries)}]."
        self.container(node, element, inner, place, path)
        if inner and self.build(item.shape, inner, place, since):
            entries.append(item.shape.make(**inner))

    def build(self, shape: _Shape, values: dict[str, Any], target: str, since: int) -> bool:
        """Make the objects within `values` and say whether the whole can be made; if not, what it holds is kept.

        The rows of the whole begin at `since`.
        """
        if shape.parts:
            for name, value in values.items():
                if type(value) is dict:
                    part = shape.parts[name]
                    place = f"{target}{name}[0]." if part.listed else f"{target}{name}."
                    made = part.make(**value) if self.build(part, value, place, since) else None
                    values[name] = made if not part.listed else () if made is None else (made,)
                elif type(value) is list:
                    values[name] = tuple(value)
        for name, default in shape.defaults.items():
            values.setdefault(name, default)
        for name in shape.required:
            if values.get(name) is None:
                self.orphan(target, since)
                return False
        return True

    def orphan(self, target: str, since: int) -> None:
        """Keep the texts of an object that lacks what it cannot be without, e.g. a time without a date."""
        pairs = list(zip(self.rows[since:], self.sources[since:], strict=True))
        self.rows[since:] = [row for row, _ in pairs if not row.target.startswith(target)]
        self.sources[since:] = [element for row, element in pairs if not row.target.startswith(target)]
        for element in dict.fromkeys(element for row, element in pairs if row.target.startswith(target)):
            self.keep(element)

    def fallback(self, node: _Node, child: etree._Element, source: str) -> _Node | None:
        """The element by its local name alone, or None when it is unknown or no element."""
        if not isinstance(child.tag, str):
            return None
        name = local_name(child)
        found = node.by_name.get(name)
        if found is None:
            self.keep(child, faults.SCHEMA_UNKNOWN_ELEMENT)
        else:
            path = found.fields[0].target if found.fields else name
            self.tell(faults.SCHEMA_NAMESPACE, path, child, source + found.step, name)
        return found

    def attributes(self, letter: etree._Element) -> None:
        for value in cast("list[etree._ElementUnicodeResult]", _ATTRIBUTES(letter)):
            name, element = str(value.attrname), value.getparent()
            if element is not None and not name.startswith(_SILENT_ATTRIBUTES):
                self.keep(element, faults.SCHEMA_UNKNOWN_ELEMENT, f"/@{name}", [value])

    def keep(
        self, element: etree._Element, fault: Fault | None = None, part: str = "", texts: Iterable[str] | None = None
    ) -> None:
        """Keep what an element (or its `part`) says readable in `other`, and report `fault`."""
        if texts is None:
            texts = _texts(element)
        text = "\n".join(filter(None, map(collapse, texts)))
        if text or (fault and not part):
            path = self.path_of(element) + part
            if fault:
                place = f"other[{len(self.other)}]" if text else "other"
                self.tell(fault, place, element, path, local_name(element) + part)
            if text:
                self.other[OtherContent(path, text)] = None

    def tell(self, fault: Fault, place: str, element: etree._Element, path: str, name: str) -> None:
        """Report a fault of structure, once for all repeats of an element."""
        kind = (fault.rule, _INDEX.sub("", path))
        if kind not in self.told:
            self.told.add(kind)
            self.findings.append(fault.at(place, path, line_of(element), element=name))

    def path_of(self, element: etree._Element) -> str:
        """Source path of an element in the letter; the siblings of each are counted once."""
        if element not in self.paths:
            parent = element.getparent()
            assert parent is not None  # the letter itself is there from the start
            above, counts = self.path_of(parent), dict[str, int]()
            for child in parent.iterchildren("*"):
                name = local_name(child)
                nth = counts[name] = counts.get(name, 0) + 1
                self.paths[child] = f"{above}/{name}" if nth == 1 else f"{above}/{name}[{nth}]"
        return self.paths[element]
