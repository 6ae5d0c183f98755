"""The fast path: shapes as plain functions that answer yes, or "look closer".

A yes is always right: `explain.py` would find neither an error nor a warning. What is rare and costs time to tell
(arrays of primitives with extensions, codes of systems that are not loaded, invariants that no function covers) is not
looked at here: the answer is then "look closer".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gtgateway.validators.structure.profile.compile import Node, Rule, Shape, Slice, Targets
from gtgateway.validators.structure.profile.context import Acceptor, Context, Json, claimed
from gtgateway.validators.structure.profile.discriminators import holds, matches

#: What functions may raise that were written for documents with a sound structure.
BROKEN = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


def accepts(value: Any, shape: Shape, context: Context) -> bool:
    """Whether nothing at all is to be said about a value of this shape."""
    accept = shape.accept
    if accept is None:
        accept = shape.accept = _object(shape)
    try:
        return accept(value, context)
    except BROKEN:
        return False


def accepts_resource(resource: Any, context: Context) -> bool:
    """The same for a resource, by the profiles that it claims, else by its type."""
    if type(resource) is not dict:
        return False
    known = False
    for url in claimed(resource):
        packages = context.packages.judging(url)
        shape = packages.shape(url) if packages is not None else None
        if shape is None:
            continue
        if shape.type != resource.get("resourceType") or not context.conforms_to(resource, shape):
            return False
        known = True
    if known:
        return True
    kind = resource.get("resourceType")
    shape = context.packages.resource_shape(kind) if isinstance(kind, str) else None
    return shape is not None and context.conforms_to(resource, shape)


def _object(shape: Shape) -> Acceptor:
    """A JSON object: known properties only, required ones there, one type of each choice, invariants."""
    table: dict[str, Acceptor] = {}
    required: list[tuple[str, ...]] = []
    choices: list[frozenset[str]] = []
    for node in shape.nodes:
        keys: list[str] = []
        for key, rule in node.rules.items():
            table[key] = _property(node, key, rule)
            keys.append(key)
            if rule.sibling is not None:
                table[f"_{key}"] = _deferred(rule.sibling)
                keys.append(f"_{key}")
        if node.least:
            required.append(tuple(keys))
        if len(node.rules) > 1:
            choices.append(frozenset(keys))
    if shape.resource:
        table["resourceType"] = _is(shape.type)
        required.append(("resourceType",))
    lookup = table.get
    single = tuple(keys[0] for keys in required if len(keys) == 1)
    several = tuple(keys for keys in required if len(keys) > 1)
    checks = tuple(invariant.check for invariant in shape.invariants if invariant.check is not None)

    def accept(value: Any, context: Context) -> bool:
        if type(value) is not dict or not value:
            return False
        for key, item in value.items():
            check = lookup(key)
            if check is None or not check(item, context):
                return False
        for key in single:
            if key not in value:
                return False
        for keys in several:
            for key in keys:
                if key in value:
                    break
            else:
                return False
        for keys_of_choice in choices:
            types = 0
            for key in value:
                if key in keys_of_choice and key[0] != "_":
                    types += 1
            if types > 1:
                return False
        for invariant in checks:
            if not invariant(value, context):
                return False
        return True

    return accept if len(checks) == len(shape.invariants) else _closer


def _closer(_value: Any, _context: Context) -> bool:
    return False


def _is(name: str) -> Acceptor:
    return lambda value, _context: bool(value == name)


def _deferred(shape: Shape) -> Acceptor:
    """Shapes refer to each other in circles; the function of one is made when it is first needed."""

    def accept(value: Any, context: Context) -> bool:
        function = shape.accept
        if function is None:
            function = shape.accept = _object(shape)
        return function(value, context)

    return accept


def _property(node: Node, key: str, rule: Rule) -> Acceptor:
    single = _value(rule)
    if node.slices:
        return _sliced(node, key, single)
    if not node.many:
        return single
    most = node.most

    def accept(value: Any, context: Context) -> bool:
        if type(value) is not list or not value or (most is not None and len(value) > most) or len(value) < node.least:
            return False
        for item in value:
            if not single(item, context):
                return False
        return True

    return accept


def _sliced(node: Node, key: str, single: Acceptor) -> Acceptor:
    """Values by slice; what belongs to none is judged by the element alone."""
    least, most, many, closed = node.least, node.most, node.many, node.closed
    judged = {id(item): _in_slice(item, key, single) for item in node.slices}
    counted = [
        item for item in node.slices if item.match is not None and (item.node.least or item.node.most is not None)
    ]
    by_value = node.by_value
    slices = node.slices

    def assigned(item: Any, context: Context) -> Slice | None:
        if by_value is not None:
            return by_value[1].get(item.get(by_value[0])) if type(item) is dict else None
        for slice_ in slices:
            if slice_.match is not None and slice_.match(item, key, context):
                return slice_
        return None

    def accept(value: Any, context: Context) -> bool:
        if not many:
            values: Sequence[Any] = (value,)
        elif type(value) is list and value:
            values = value
        else:
            return False
        if (most is not None and len(values) > most) or len(values) < least:
            return False
        counts: dict[int, int] = {}
        for item in values:
            slice_ = assigned(item, context)
            if slice_ is None:
                if closed or not single(item, context):
                    return False
                continue
            number = id(slice_)
            counts[number] = counts.get(number, 0) + 1
            if not judged[number](item, context):
                return False
        for slice_ in counted:
            number = counts.get(id(slice_), 0)
            if number < slice_.node.least or (slice_.node.most is not None and number > slice_.node.most):
                return False
        return True

    return accept


def _in_slice(slice_: Slice, key: str, single: Acceptor) -> Acceptor:
    rule = slice_.node.rules.get(key)
    if rule is None:
        return _closer if slice_.node.most == 0 else single
    own = _value(rule)
    return own if slice_.alone else lambda value, context: own(value, context) and single(value, context)


def _value(rule: Rule) -> Acceptor:
    """One value under one key."""
    checks: list[Acceptor] = []
    if rule.test is not None:
        checks.append(_primitive(rule))
    elif rule.type == "Resource":
        checks.append(_resource(rule))
    for group in rule.shapes:
        checks.append(_deferred(group[0]) if len(group) == 1 else _any_of(group))
    if rule.type == "Extension" and not any(_is_profile(shape) for group in rule.shapes for shape in group):
        checks.append(_by_definition)
    if rule.fixed is not None and rule.test is None:
        checks.append(_fixed(rule.fixed))
    if rule.binding is not None and rule.test is None:
        checks.append(_bound(rule))
    if rule.targets is not None:
        checks.append(_reference(rule.targets))
    for invariant in rule.invariants:
        checks.append(_closer if invariant.check is None else invariant.check)
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value, context: first(value, context) and second(value, context)

    def accept(value: Any, context: Context) -> bool:
        for check in checks:
            if not check(value, context):
                return False
        return True

    return accept


def _primitive(rule: Rule) -> Acceptor:
    test, fixed, binding = rule.test, rule.fixed, rule.binding
    assert test is not None
    if fixed is not None:
        wanted = fixed[1]
        return lambda value, _context: type(value) is type(wanted) and value == wanted
    if binding is not None:
        allowed = binding.plain
        return lambda value, _context: type(value) is str and value in allowed
    return lambda value, _context: test(value)


def _is_profile(shape: Shape) -> bool:
    return shape.type == "Extension" and not shape.url.endswith("/StructureDefinition/Extension")


def _by_definition(value: Any, context: Context) -> bool:
    """An extension whose definition is loaded is judged by it, wherever it stands."""
    url = value.get("url")
    shape = context.packages.shape(url) if type(url) is str else None
    return shape is None or (shape.type == "Extension" and accepts(value, shape, context))


def _any_of(group: tuple[Shape, ...]) -> Acceptor:
    return lambda value, context: any(accepts(value, shape, context) for shape in group)


def _fixed(fixed: tuple[bool, Any]) -> Acceptor:
    exact, wanted = fixed
    return lambda value, _context: matches(value, wanted, exact)


def _bound(rule: Rule) -> Acceptor:
    assert rule.binding is not None
    allowed = rule.binding.codes
    if rule.type == "Coding":
        pairs = allowed.pairs
        return lambda value, _context: (value.get("system"), value.get("code")) in pairs
    return lambda value, _context: holds(allowed, value) is True


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
