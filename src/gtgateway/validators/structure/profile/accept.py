"""The fast path: shapes as Python source, compiled, that answers yes or "look closer".

A yes is always right: `explain.py` would find neither an error nor a warning. What is rare and costs time to tell
(arrays of primitives with extensions, invariants that no function covers) is not looked at here: the answer is then
"look closer".

Each shape becomes one function of straight lines, written when it is first needed; `source_of` shows it. Nothing that
the snapshot decides is decided again for a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gtgateway.validators.structure.profile.compile import Binding, Invariant, Node, Rule, Shape, Slice, Targets
from gtgateway.validators.structure.profile.context import Acceptor, Context, Json
from gtgateway.validators.structure.profile.discriminators import fits_pattern, holds
from gtgateway.validators.structure.profile.invariants import guard_of
from gtgateway.validators.structure.profile.primitives import MAX_TEXT, is_text, is_uri

#: What functions may raise that were written for documents with a sound structure.
BROKEN = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
_UNPRINTED = re.compile(r"[^\w:/.\[\] -]")
#: Resources, extensions and references inside each other; deeper ones are left to the explaining path.
_MOST_NESTED = 8
#: An element of one of more types than this is looked up by key instead of being asked for type by type.
_MANY_TYPES = 6


def accepts(value: Any, shape: Shape, context: Context) -> bool:
    """Whether nothing at all is to be said about a value of this shape."""
    depth = context.depth
    try:
        return _function(shape)(value, context)
    except BROKEN:
        return False
    finally:
        context.depth = depth


def accepts_resource(resource: Any, context: Context) -> bool:
    """The same for a resource, by the profiles that it claims, else by its type."""
    if type(resource) is not dict:
        return False
    kind = resource.get("resourceType")
    known = False
    for url in context.claims(resource):
        shape = context.packages.profile(url)
        if shape is not None:
            if shape.type != kind or not context.conforms_to(resource, shape):
                return False
            known = True
    if known:
        return True
    shape = context.packages.resource_shape(kind) if isinstance(kind, str) else None
    return shape is not None and context.conforms_to(resource, shape)


def source_of(shape: Shape) -> str:
    """The function of a shape, as it is compiled."""
    return "\n".join(_Writer(shape).lines)


def _function(shape: Shape) -> Acceptor:
    if shape.accept is None:
        _defer(shape)
    assert shape.accept is not None
    return shape.accept


def _defer(shape: Shape) -> None:
    """Shapes refer to each other in circles: the function of one is written when it is first called."""

    def write(value: Any, context: Context) -> bool:
        writer = _Writer(shape)
        source = "\n".join(writer.lines)
        exec(compile(source, f"<{shape.url} {shape.type}>", "exec"), writer.names)  # noqa: S102
        shape.accept = writer.names["accept"]
        return writer.names["accept"](value, context)  # type: ignore[no-any-return]

    shape.accept = write


class _Writer:
    """Writes the function of one shape; `names` are the objects that it uses."""

    def __init__(self, shape: Shape) -> None:
        self.names: dict[str, Any] = {"is_text": is_text, "is_uri": is_uri}
        self.lines: list[str] = []
        self._write(shape)

    def name(self, prefix: str, thing: Any) -> str:
        """A name for an object in the source."""
        for name, known in self.names.items():
            if known is thing and name.startswith(prefix):
                return name
        name = f"{prefix}{len(self.names)}"
        self.names[name] = thing
        return name

    def line(self, indent: int, text: str, comment: str = "") -> None:
        """A line; the comment names what a package says, so that nothing of it may end the line."""
        self.lines.append("    " * indent + text + (f"  # {_UNPRINTED.sub('', comment)}" if comment else ""))

    def _write(self, shape: Shape) -> None:
        """A JSON object: known properties only, required ones there, one type of each choice, invariants.

        Known properties are counted, the usual ones first; only when there are more, the others are looked for.
        """
        rare: dict[str, Acceptor] = {}
        self.line(0, "def accept(v, c):", f"{shape.type} {shape.url}")
        self.line(1, "if type(v) is not dict or not v: return False")
        if shape.cyclic:
            self.line(1, "c.depth += 1")
            self.line(1, f"if c.depth > {_MOST_NESTED}: return False")
        self.line(1, f"n = {1 if shape.resource else 0}")
        if shape.resource:
            self.line(1, f'if v.get("resourceType") != {shape.type!r}: return False')
        for node in shape.nodes:
            if node.usual:
                self._node(node, rare, 1)
        self.line(1, "if n != len(v):")
        for node in shape.nodes:
            if not node.usual:
                self._node(node, rare, 2)
        if rare:
            self._rare(rare, [node for node in shape.nodes if len(node.rules) > _MANY_TYPES])
        self.line(2, "if n != len(v): return False")
        for node in shape.nodes:
            self._presence(node)
        for invariant in shape.invariants:
            self.line(1, f"if {self._breaks(invariant, 'v')}: return False")
        if shape.cyclic:
            self.line(1, "c.depth -= 1")
        self.line(1, "return True")

    def _node(self, node: Node, rare: dict[str, Acceptor], indent: int) -> None:
        for key, rule in node.rules.items():
            if rule.sibling is not None and not node.many:
                rare[f"_{key}"] = _called(rule.sibling)
            if len(node.rules) > _MANY_TYPES:
                rare[key] = self._single(rule)
                continue
            self.line(indent, f"x = v.get({key!r})")
            self.line(indent, "if x is not None:")
            self.line(indent + 1, "n += 1")
            if node.many:
                self._array(node, key, rule, indent + 1)
            else:
                self._values(node, key, rule, "x", indent + 1)

    def _array(self, node: Node, key: str, rule: Rule, indent: int) -> None:
        bounds = f"len(x) < {node.least}" if node.least > 1 else "not x"
        if node.most is not None:
            bounds += f" or len(x) > {node.most}"
        self.line(indent, f"if type(x) is not list or {bounds}: return False")
        counted = [(number, slice_) for number, slice_ in enumerate(node.slices) if _counted(slice_)]
        for number, _ in counted:
            self.line(indent, f"s{number} = 0")
        self.line(indent, "for y in x:")
        self._values(node, key, rule, "y", indent + 1)
        for number, slice_ in counted:
            most = "" if slice_.node.most is None else f" or s{number} > {slice_.node.most}"
            self.line(indent, f"if s{number} < {slice_.node.least}{most}: return False", slice_.name)

    def _values(self, node: Node, key: str, rule: Rule, name: str, indent: int) -> None:
        """One value, by the slice that it belongs to."""
        judged = [slice_ for slice_ in node.slices if slice_.match is not None]
        # A single value that must be in one slice is in no other.
        wanted = next((slice_ for slice_ in judged if slice_.node.least and not node.many), None)
        if not judged:
            self._value(rule, name, indent)
            return
        if node.told_by is not None:
            self.line(indent, f"k = {self.name('T', node.told_by.key)}({name})")
        for number, slice_ in enumerate(node.slices):
            if slice_.match is None:
                continue
            if node.told_by is not None:
                told = f"k == {node.told_by.values[number]!r}"
            else:
                told = f"{self.name('M', slice_.match)}({name}, {key!r}, c)"
            self.line(indent, f"{'if' if slice_ is judged[0] else 'elif'} {told}:", slice_.name)
            own = slice_.node.rules.get(key)
            if (own is None and slice_.node.most == 0) or (wanted is not None and slice_ is not wanted):
                self.line(indent + 1, "return False")
                continue
            if node.many and _counted(slice_):
                self.line(indent + 1, f"s{number} += 1")
            if own is not None:
                self._value(own, name, indent + 1)
            if own is None or not slice_.alone:
                self._value(rule, name, indent + 1)
        self.line(indent, "else:")
        if node.closed or wanted is not None:
            self.line(indent + 1, "return False")
        else:
            self._value(rule, name, indent + 1)

    def _value(self, rule: Rule, name: str, indent: int) -> None:
        for fault in list(self._faults(rule, name)) or ["False"]:
            self.line(indent, f"if {fault}: return False")

    def _faults(self, rule: Rule, name: str) -> Iterator[str]:
        """Conditions under which a value is not as it should be."""
        if rule.test is not None:
            yield self._primitive(rule, name)
        elif rule.type == "Resource":
            yield f"not {self.name('R', _resource(rule))}({name}, c)"
        for group in rule.shapes:
            for shape in group:
                if shape.accept is None:
                    _defer(shape)
            calls = " or ".join(f"{self.name('S', shape)}.accept({name}, c)" for shape in group)
            yield f"not ({calls})" if len(group) > 1 else f"not {calls}"
        if rule.type == "Extension" and not any(_is_profile(shape) for group in rule.shapes for shape in group):
            yield f"not {self.name('E', _by_definition)}({name}, c)"
        if rule.test is None:
            if rule.fixed is not None:
                yield f"not {self.name('F', fits_pattern(*rule.fixed))}({name})"
            if rule.binding is not None:
                yield f"not {self.name('B', _bound(rule.type, rule.binding))}({name})"
        if rule.targets is not None:
            yield f"not {self.name('G', _reference(rule.targets))}({name}, c)"
        for invariant in rule.invariants:
            yield self._breaks(invariant, name)

    def _primitive(self, rule: Rule, name: str) -> str:
        if rule.fixed is not None:
            return f"type({name}) is not {type(rule.fixed[1]).__name__} or {name} != {rule.fixed[1]!r}"
        if rule.binding is not None and rule.binding.codes.closed:
            return f"{name} not in {self.name('C', rule.binding.plain)}"
        if rule.type == "boolean":
            return f"{name} is not True and {name} is not False"
        if rule.test is is_text:
            long = f"not 0 < len({name}) <= {MAX_TEXT}"
            return f"type({name}) is not str or {long} or not {name}.isprintable() and not is_text({name})"
        if rule.test is is_uri:
            plain = f"{name}.isprintable() and ' ' not in {name}"
            return f"type({name}) is not str or not {name} or not ({plain}) and not is_uri({name})"
        return f"not {self.name('P', rule.test)}({name})"

    def _breaks(self, invariant: Invariant, name: str) -> str:
        if invariant.check is None:
            return "True"
        guard = guard_of(invariant.check)
        broken = f"not {self.name('I', invariant.check)}({name}, c)"
        return broken if guard is None else f"({guard!r} in {name} or '_{guard}' in {name}) and {broken}"

    def _single(self, rule: Rule) -> Acceptor:
        """One value as a function of its own."""
        inner = _Writer.__new__(_Writer)
        inner.names, inner.lines = {"is_text": is_text, "is_uri": is_uri}, []
        inner.line(0, "def accept(v, c):")
        inner._value(rule, "v", 1)
        inner.line(1, "return True")
        exec("\n".join(inner.lines), inner.names)  # noqa: S102
        return inner.names["accept"]  # type: ignore[no-any-return]

    def _rare(self, rare: dict[str, Acceptor], choices: list[Node]) -> None:
        """Siblings of primitives (`_status`), and the types of a choice among many."""
        table = self.name("X", rare)
        for number, _ in enumerate(choices):
            self.line(2, f"t{number} = 0")
        self.line(2, "for k, x in v.items():")
        self.line(3, f"r = {table}.get(k)")
        self.line(3, "if r is not None:")
        self.line(4, "if not r(x, c): return False")
        self.line(4, "n += 1")
        for number, node in enumerate(choices):
            self.line(4, f"if k in {self.name('K', frozenset(node.rules))}: t{number} += 1")
        for number, node in enumerate(choices):
            least = f" or not t{number}" if node.least else ""
            self.line(2, f"if t{number} > 1{least}: return False", node.name)

    def _presence(self, node: Node) -> None:
        keys = list(node.rules)
        if len(keys) > 1 and len(keys) <= _MANY_TYPES:
            self.line(1, f"if {' + '.join(f'({key!r} in v)' for key in keys)} > 1: return False", node.name)
        if node.least:
            names = [*keys, *(f"_{key}" for key, rule in node.rules.items() if rule.sibling is not None)]
            self.line(1, f"if {' and '.join(f'{name!r} not in v' for name in names) or 'True'}: return False")


def _counted(slice_: Slice) -> bool:
    return slice_.match is not None and (slice_.node.least > 0 or slice_.node.most not in (None, 0))


def _called(shape: Shape) -> Acceptor:
    return lambda value, context: _function(shape)(value, context)


def _is_profile(shape: Shape) -> bool:
    return shape.type == "Extension" and not shape.url.endswith("/StructureDefinition/Extension")


def _by_definition(value: Any, context: Context) -> bool:
    """An extension whose definition is loaded is judged by it, wherever it stands."""
    url = value.get("url")
    shape = context.packages.shape(url) if type(url) is str else None
    return shape is None or (shape.type == "Extension" and _function(shape)(value, context))


def _bound(kind: str, binding: Binding) -> Callable[[Any], bool]:
    codes, pairs = binding.codes, binding.codes.pairs
    if not codes.closed:
        return lambda value: holds(codes, value) is not False
    if kind != "CodeableConcept":
        return lambda value: (value.get("system"), value.get("code")) in pairs
    return lambda value: any((item.get("system"), item.get("code")) in pairs for item in value.get("coding", ()))


def _resource(rule: Rule) -> Acceptor:
    """A resource in an entry, or contained, by its own claims and by the profiles that the element wants."""
    allowed = rule.resources

    def accept(value: Any, context: Context) -> bool:
        if not accepts_resource(value, context):
            return False
        if allowed is None:
            return True
        profiles = allowed.get(value["resourceType"], allowed.get("Resource"))
        return profiles is not None and (not profiles or context.fits(value, profiles))

    return accept


def _reference(targets: Targets) -> Acceptor:
    types, profiles, bundled, backward = targets.types, targets.profiles, targets.bundled, targets.backward

    def accept(value: Json, context: Context) -> bool:
        reference = value.get("reference")
        if reference is None:
            return True
        target = context.resolve(reference)
        if target is None:
            if context.dangles(reference, bundled=bundled, backward=backward):
                return False
            kind = None if types is None else context.stated_type(value)
            return kind is None or types is None or kind in types
        return types is None or (target.get("resourceType") in types and context.fits(target, profiles))

    return accept
