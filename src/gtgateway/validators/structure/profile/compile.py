"""Snapshots to shapes: everything about a profile that can be decided before a message comes.

    Shape   what an object must be: its properties and invariants (a resource, a data type, an inner element, or a
            profile of one)
    Node    one element of a shape: how often, and what its values must be, by JSON key
    Rule    what one value under one JSON key must be
    Slice   a Node for those values that a discriminator picks out

`accept.py` makes functions of shapes that say yes or "look closer"; `explain.py` walks them and says every fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gtgateway.model.findings import Bilingual
from gtgateway.validators.structure.profile.base import CORE
from gtgateway.validators.structure.profile.context import Acceptor
from gtgateway.validators.structure.profile.discriminators import (
    Definition,
    Match,
    Tree,
    compile_match,
    constraint,
    property_reader,
    told_plainly,
)
from gtgateway.validators.structure.profile.invariants import FUNCTIONS, Check, normalised
from gtgateway.validators.structure.profile.packages import Package
from gtgateway.validators.structure.profile.primitives import PRIMITIVES, Test
from gtgateway.validators.structure.profile.terminology import Codes, Terminology

Json = dict[str, Any]

_SYSTEM = "http://hl7.org/fhirpath/System."
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
#: Invariants that the walk itself keeps: no empty objects, extensions hold a value or extensions.
_STRUCTURAL = frozenset({"ele-1"})


@dataclass(frozen=True, slots=True)
class Invariant:
    """`check` None: no function covers the expression; the explaining path evaluates it."""

    key: str
    error: bool  #: else a warning
    expression: str
    text: Bilingual
    check: Check | None
    base: str  #: type or path of its context, for FHIRPath


@dataclass(frozen=True, slots=True)
class Binding:
    """A required value set. `plain`: its codes without their systems, for elements that are bare codes."""

    url: str
    codes: Codes
    plain: frozenset[str]


@dataclass(frozen=True, slots=True)
class Targets:
    """What a Reference may point to. `types` None: anything. `profiles` are asked for when the type is right."""

    types: frozenset[str] | None
    profiles: tuple[str, ...]
    bundled: bool  #: the target must be in the Bundle
    backward: bool  #: points to what came before, so that it need not be in the Bundle


@dataclass(slots=True, eq=False)
class Rule:
    """What one value under one JSON key must be."""

    type: str
    test: Test | None = None  #: of a primitive
    sibling: Shape | None = None  #: of a primitive's `_key`: id and extensions
    shapes: tuple[tuple[Shape, ...], ...] = ()  #: an object fits one shape of each group
    resources: dict[str, tuple[str, ...]] | None = None  #: allowed resource types with their profiles
    fixed: tuple[bool, Any] | None = None  #: (exact, value)
    binding: Binding | None = None
    targets: Targets | None = None
    invariants: tuple[Invariant, ...] = ()


@dataclass(slots=True, eq=False)
class Node:
    """One element: `value[x]`, or a slice of one. `most` None: no limit. `many`: an array in JSON."""

    name: str
    label: str
    least: int
    most: int | None
    many: bool
    usual: bool = True  #: likely to be there, so that the fast path asks for it first
    rules: dict[str, Rule] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()
    told_by: ToldBy | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class ToldBy:
    """One property that tells all slices of an element: how to read it, and its value for each slice."""

    key: Callable[[Any], Any]
    values: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Slice:
    name: str
    match: Match | None  #: None: the discriminator could not be made into a function; the slice is not judged
    node: Node
    alone: bool  #: the slice says all that the element says, so that the element's own rules need no second look


@dataclass(slots=True, eq=False)
class Shape:
    """What an object must be."""

    url: str
    type: str
    nodes: tuple[Node, ...] = ()
    by_key: dict[str, tuple[Node, Rule]] = field(default_factory=dict)
    invariants: tuple[Invariant, ...] = ()
    resource: bool = False
    cyclic: bool = False  #: can hold itself, at some depth
    packages: PackageSet | None = None  #: the set that a profile belongs to; None for base R4, which is in all
    accept: Acceptor | None = None  #: made by `accept.py` when first needed


#: The set that judges by a profile, for profiles that a set does not hold itself.
Elsewhere = Callable[[str], "PackageSet | None"]


class PackageSet:
    """The packages that judge together, with base R4 behind them. Shapes are compiled when first asked for."""

    def __init__(self, packages: Sequence[Package], base: Base, elsewhere: Elsewhere | None = None) -> None:
        self.packages = packages
        self.base = base
        self._elsewhere = elsewhere
        self.unevaluated: Counter[str] = Counter()
        self.uncovered: set[str] = set()  #: invariants that no function covers
        self.terminology = Terminology(self._value_set, lambda url: self._find("CodeSystem", url))
        self._trees: dict[str, Tree] = {}
        self._shapes: dict[str, Shape] = {}
        self._profiles: dict[str, Shape] = {}
        self._lineages: dict[str, frozenset[str]] = {}

    def _find(self, kind: str, url: str) -> Json | None:
        for package in self.packages:
            if (found := package.resources[kind].get(url)) is not None:
                return found
        return None

    def _value_set(self, url: str) -> Json | None:
        return self._find("ValueSet", url) or self.base.value_sets.get(url)

    def definition(self, url: str) -> Json | None:
        """The StructureDefinition with snapshot, by canonical url."""
        found = self.base.definitions.get(url) or self._find("StructureDefinition", url)
        return found if found is not None and "snapshot" in found else None

    def tree(self, url: str) -> Tree | None:
        if url not in self._trees:
            definition = self.definition(url)
            if definition is None:
                return None
            tree = self._trees[url] = Tree(definition)
            if tree.strays:
                self.unevaluated[f"snapshot {url}: {', '.join(tree.strays)}"] += 1
        return self._trees[url]

    def profile(self, url: str) -> Shape | None:
        """The shape of a profile that a resource claims: of this set, else of the profile's own guide."""
        found = self._profiles.get(url)
        if found is None:
            judging = self if self.definition(url) is not None else self._elsewhere(url) if self._elsewhere else None
            found = judging.shape(url) if judging is not None else None
            if found is not None:  # what is not loaded is not kept: anybody may claim anything
                self._profiles[url] = found
        return found

    def base_url(self, kind: Any) -> str:
        return f"{CORE}{kind}"

    def type_of(self, url: str) -> str | None:
        """The type that a profile constrains; a type's own name."""
        definition = self.definition(url)
        if definition is not None:
            return str(definition["type"])
        name = url.removeprefix(CORE)
        return name if url.startswith(CORE) and name in self.base.resource_types else None

    def lineage(self, url: str) -> frozenset[str]:
        """A profile with all that it derives from."""
        found = self._lineages.get(url)
        if found is None:
            names: set[str] = set()
            current: str | None = url
            while current is not None and current not in names:
                names.add(current)
                current = (self.definition(current) or {}).get("baseDefinition")
            found = frozenset(names)
            if self.definition(url) is not None:
                self._lineages[url] = found
        return found

    def shape(self, url: str) -> Shape | None:
        """The shape of a profile or type; None when it is not loaded."""
        found = self._shapes.get(url)
        if found is not None:
            return found
        if url in self.base.definitions and self is not self.base.packages:
            found = self.base.packages.shape(url)
        elif (tree := self.tree(url)) is not None:
            definition = tree.definition
            found = self._shapes[url] = Shape(url, definition["type"], resource=definition["kind"] == "resource")
            found.packages = None if self is self.base.packages else self
            found.cyclic = found.resource or found.type in ("Extension", "Reference")
            _Compiler(self, tree).fill(found, tree.root)
        if found is not None:
            self._shapes[url] = found
        return found

    def resource_shape(self, kind: str) -> Shape | None:
        return self.shape(CORE + kind)


class Base:
    """Base R4 for all sets: its shapes are compiled once."""

    def __init__(self, definitions: dict[str, Json], value_sets: dict[str, Json]) -> None:
        self.definitions = definitions
        self.value_sets = value_sets
        self.packages = PackageSet((), self)
        self.resource_types = frozenset(
            code for _, code in self.packages.terminology.codes("http://hl7.org/fhir/ValueSet/resource-types").pairs
        )


class _Compiler:
    """Compiles one snapshot."""

    def __init__(self, packages: PackageSet, tree: Tree) -> None:
        self.packages = packages
        self.tree = tree
        self.url: str = tree.definition["url"]
        self.is_resource = tree.definition["kind"] == "resource"
        self._inner: dict[int, Shape] = {}

    def fill(self, shape: Shape, definition: Definition) -> None:
        shape.nodes = tuple(
            self.node(child, f"{definition.element['path']}.{name}") for name, child in definition.children.items()
        )
        shape.by_key = {key: (node, rule) for node in shape.nodes for key, rule in node.rules.items()}
        if definition is self.tree.root:
            shape.invariants = tuple(self.invariants(definition, shape.type))

    def missed(self, what: str) -> None:
        self.packages.unevaluated[f"{what} ({self.url})"] += 1

    def node(self, definition: Definition, label: str) -> Node:
        element = definition.element
        most = element["max"]
        many = element.get("base", {}).get("max", most) != "1"
        node = Node(definition.name, label, element["min"], None if most == "*" else int(most), many)
        node.usual = self.is_usual(definition)
        if node.most != 0:
            node.rules = dict(self.rules(definition))
        for name in element:
            if name.startswith(("minValue", "maxValue")):
                self.missed(f"{name} {label}")
        if definition.slices and node.most != 0:
            self.slice(node, definition, label)
        return node

    def is_usual(self, definition: Definition) -> bool:
        element = definition.element
        if element["min"] > 0 or element.get("mustSupport"):
            return True
        if definition.name in ("extension", "modifierExtension"):
            return bool(definition.slices)
        if self.is_resource and element["path"].count(".") == 1:
            return definition.name in ("id", "meta", "text")
        return definition.name != "id"

    def slice(self, node: Node, definition: Definition, label: str) -> None:
        slicing = definition.element.get("slicing", {})
        discriminators = slicing.get("discriminator", [])
        slices = []
        told: list[tuple[str, str] | None] = []
        for name, inner in definition.slices.items():
            match = self.match(inner, discriminators, f"{label}:{name}")
            slices.append(Slice(name, match, self.node(inner, f"{label}:{name}"), _says_all(inner, definition)))
            told.append(told_plainly(inner, discriminators, self.packages.tree))
        node.slices = tuple(slices)
        node.least = max(node.least, sum(item.node.least for item in slices if item.match is not None))
        node.closed = slicing.get("rules") == "closed" and all(item.match for item in slices)
        plain = [item for item in told if item is not None]
        names = {name for name, _ in plain}
        if len(names) == 1 and len(plain) == len(slices):
            node.told_by = ToldBy(property_reader(names.pop()), tuple(value for _, value in plain))

    def match(self, definition: Definition, discriminators: list[Json], label: str) -> Match | None:
        matches = [
            compile_match(definition, item, self.packages.tree, self.packages.terminology.codes)
            for item in discriminators
        ]
        known = [item for item in matches if item is not None]
        if not known or len(known) != len(matches):
            self.missed(f"slice {label}")
            return None
        if len(known) == 1:
            return known[0]
        return lambda value, key, context: all(item(value, key, context) for item in known)

    def rules(self, definition: Definition) -> Iterator[tuple[str, Rule]]:
        """One rule for each JSON key that the element may have."""
        element = definition.element
        if "contentReference" in element:
            yield definition.name, self.referred(element["contentReference"])
            return
        types = definition.types()
        if types and all(self.holds_resources(entry["code"]) for entry in types):
            allowed = {entry["code"]: tuple(map(_unversioned, entry.get("profile", ()))) for entry in types}
            anything = "Resource" in allowed and not allowed["Resource"]
            yield definition.name, Rule("Resource", resources=None if anything else allowed)
            return
        choice = definition.name.endswith("[x]")
        stem = definition.name.removesuffix("[x]")
        for entry in types:
            code = self.code(entry, element)
            key = stem + code[0].upper() + code[1:] if choice else stem
            yield key, self.rule(definition, entry, code, only=len(types) == 1)

    def holds_resources(self, code: str) -> bool:
        definition = self.packages.definition(CORE + code)
        if definition is None:
            return code in self.packages.base.resource_types
        return bool(definition["kind"] == "resource")

    def code(self, entry: Json, element: Json) -> str:
        code: str = entry["code"]
        if not code.startswith(_SYSTEM):
            return code
        if self.is_resource and element["path"].count(".") == 1 and element["path"].endswith(".id"):
            return "id"
        stated = (item.get("valueUrl") or item.get("valueUri") for item in entry.get("extension", ()))
        return next((name for name in stated if name in PRIMITIVES), "string")

    def referred(self, reference: str) -> Rule:
        """The content of another element: of this snapshot, or of the type's."""
        url, _, name = reference.rpartition("#")
        compiler = self
        found = self.tree.by_id.get(name)
        if found is None and (tree := self.packages.tree(_unversioned(url))) is not None:
            compiler = _Compiler(self.packages, tree)
            found = tree.by_id.get(name)
        if found is None:
            self.missed(f"content reference {reference}")
            return Rule("BackboneElement")
        shape = compiler.inner(found)
        shape.cyclic = True
        return Rule("BackboneElement", shapes=((shape,),), invariants=tuple(self.invariants(found, name)))

    def inner(self, definition: Definition) -> Shape:
        """The shape of an element's own children."""
        shape = self._inner.get(id(definition))
        if shape is None:
            shape = self._inner[id(definition)] = Shape(self.url, definition.element["path"])
            self.fill(shape, definition)
        return shape

    def rule(self, definition: Definition, entry: Json, code: str, *, only: bool) -> Rule:
        element = definition.element
        rule = Rule(code, PRIMITIVES.get(code))
        children = definition.children if only else {}
        if not only and any(_constrains(child) for child in definition.children.values()):
            self.missed(f"children of {element['id']}, which has several types")
        if rule.test is not None:
            rule.sibling = self.inner(definition) if "extension" in children else self.packages.shape(CORE + "Element")
            if (limit := element.get("maxLength")) is not None:
                rule.test = _at_most(rule.test, limit)
        else:
            rule.shapes = tuple(self.groups(definition, entry, code, bool(children)))
        rule.fixed = constraint(element) if only else None
        rule.binding = self.binding(element)
        if code == "Reference":
            rule.targets = self.targets(entry, definition.name)
        known = {item.key for group in rule.shapes for shape in group for item in shape.invariants}
        context = element["path"] if code in ("BackboneElement", "Element") else code
        own = [item for item in self.invariants(definition, context) if item.key not in known]
        if children and rule.test is None and (general := self.packages.shape(CORE + code)) is not None:
            known |= {item.key for item in own}
            own += [item for item in general.invariants if item.key not in known]
        rule.invariants = tuple(own)
        return rule

    def groups(self, definition: Definition, entry: Json, code: str, has_children: bool) -> Iterator[tuple[Shape, ...]]:
        profiles = [self.packages.shape(_unversioned(url)) for url in entry.get("profile", ())]
        loaded = tuple(shape for shape in profiles if shape is not None)
        for url, shape in zip(entry.get("profile", ()), profiles, strict=True):
            if shape is None:
                self.missed(f"profile {url} is not loaded")
        if has_children:
            yield (self.inner(definition),)
        if loaded and len(loaded) == len(profiles):
            yield loaded
        elif not has_children or not loaded:
            general = self.packages.shape(CORE + code)
            if general is None:
                self.missed(f"type {code} is not loaded")
            elif not has_children:
                yield (general,)

    def binding(self, element: Json) -> Binding | None:
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding:
            return None
        codes = self.packages.terminology.codes(binding["valueSet"])
        if not codes.closed:
            self.missed(f"value set {_unversioned(binding['valueSet'])}")
        return Binding(_unversioned(binding["valueSet"]), codes, frozenset(code for _, code in codes.pairs))

    def targets(self, entry: Json, name: str) -> Targets | None:
        urls = tuple(map(_unversioned, entry.get("targetProfile", ())))
        types = [self.packages.type_of(url) for url in urls]
        for url, kind in zip(urls, types, strict=True):
            if kind is None:
                self.missed(f"profile {url} is not loaded")
        anything = not urls or "Resource" in types or None in types
        return Targets(
            None if anything else frozenset(kind for kind in types if kind),
            () if anything else urls,
            "bundled" in entry.get("aggregation", ()),
            name in _BACKWARD,
        )

    def invariants(self, definition: Definition, context: str) -> Iterator[Invariant]:
        primitive = any(self.code(entry, definition.element) in PRIMITIVES for entry in definition.types())
        for item in definition.element.get("constraint", ()):
            if item["key"] in _STRUCTURAL:
                continue
            if "expression" not in item:
                self.missed(f"invariant {item['key']} without expression")
                continue
            expression = normalised(item["expression"], primitive=primitive)
            check = FUNCTIONS.get(expression)
            if check is None:
                self.packages.uncovered.add(expression)
            yield Invariant(item["key"], item["severity"] == "error", expression, _texts(item), check, context)


#: Elements that point to an earlier message, plan or act, which is not in the Bundle.
_BACKWARD = frozenset(
    {"what", "target", "replaces", "basedOn", "partOf", "priorRequest", "relevantHistory", "derivedFrom"}
)


def _says_all(slice_: Definition, whole: Definition) -> bool:
    if whole.children and not slice_.children:
        return False
    binding = whole.element.get("binding", {})
    if binding.get("strength") == "required" and "binding" not in slice_.element:
        return False
    return constraint(whole.element) is None or constraint(slice_.element) is not None


def _constrains(child: Definition) -> bool:
    return child.element["min"] > 0 or bool(child.slices) or constraint(child.element) is not None


def _at_most(test: Test, limit: int) -> Test:
    return lambda value: test(value) and len(value) <= limit


def _unversioned(url: str) -> str:
    return url.partition("|")[0]


def _texts(item: Json) -> Bilingual:
    """English from the invariant, Danish from its translation where there is one."""
    english = " ".join(str(item.get("human", item["key"])).split())
    for extension in item.get("_human", {}).get("extension", ()):
        parts = {part["url"]: part for part in extension.get("extension", ())}
        if extension["url"] == _TRANSLATION and parts.get("lang", {}).get("valueCode") == "da":
            content = parts["content"]
            return Bilingual(content.get("valueString") or content.get("valueMarkdown") or english, english)
    return Bilingual(english, english)
