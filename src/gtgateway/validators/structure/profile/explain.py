"""The explaining path: walks the shapes and says every fault, where it stands and what mends it.

Bounded: at most `MOST` findings, no deeper than `MAX_DEPTH`, each resource by each profile once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Fault, Finding, Severity
from gtgateway.parsers.fhir_json import MAX_DEPTH
from gtgateway.validators.structure.profile.accept import BROKEN, accepts
from gtgateway.validators.structure.profile.compile import Binding, Invariant, Node, Rule, Shape, Slice
from gtgateway.validators.structure.profile.context import Context, Json
from gtgateway.validators.structure.profile.discriminators import holds, matches
from gtgateway.validators.structure.profile.fhirpath import Evaluate

#: Most findings of one check; the first say it all.
MOST = 200
_INDEX = re.compile(r"\[\d+\]")
#: A citizen's number (CPR or replacement) may stand anywhere in a faulty document.
_NUMBER = re.compile(r"(?<![\w-])\d{6}-?[0-9A-Z]{4}(?![\w-])")

_OBJECT = Bilingual("et objekt", "an object")
_ARRAY = Bilingual("en liste", "an array")
_SINGLE = Bilingual("en enkelt værdi, ikke en liste", "a single value, not an array")
_FILLED = Bilingual("udfyldt (ikke null eller tom)", "filled in (not null or empty)")
_SAME_SIZE = Bilingual("lige så lang som listen, den hører til", "as long as the list it belongs to")
_DEPTH = Bilingual("indlejring", "nesting")
_CHAIN = Bilingual("en lang kæde af henvisninger", "a long chain of references")
_NO_FUNCTION = Bilingual("reglen {key} kan ikke beregnes", "the rule {key} cannot be evaluated")
_NO_TYPE = Bilingual("ressourcetypen {kind} er ikke indlæst", "the resource type {kind} is not loaded")


class Enough(Exception):
    """More would not help the sender."""


class Walk:
    """The findings of one check, or of one look at whether a resource conforms (then `errors_only`)."""

    def __init__(self, context: Context, evaluate: Evaluate, most: int = MOST, *, errors_only: bool = False) -> None:
        self.context = context
        self.evaluate = evaluate
        self.most = most
        self.errors_only = errors_only
        self.findings: dict[tuple[str, str, str], Finding] = {}
        self.errors = 0
        self._seen: set[tuple[int, int]] = set()
        self._rooted = ("", "")  #: path and type of the resource that is looked at

    def add(self, fault: Fault, path: str, human: Bilingual | None = None, **values: Any) -> None:
        """One finding; `human` is the text of an invariant, which is not cut like what the sender wrote."""
        if self.errors_only and fault.severity is not Severity.ERROR:
            return
        element = _INDEX.sub("", path)
        prefix, kind = self._rooted
        name = kind + _INDEX.sub("", path[len(prefix) :]) if path.startswith(prefix) else element
        shown = {name: masked(value) if isinstance(value, str) else value for name, value in values.items()}
        finding = fault.at(element, path, **({"element": name} | shown))
        if human is not None:
            text = Bilingual(f"{finding.text.da} {human.da}".strip(), f"{finding.text.en} {human.en}".strip())
            finding = Finding(fault.rule, fault.severity, fault.layer, element, text, path, None, fault.basis)
        key = (fault.rule, path, finding.text.en)
        if key in self.findings:
            return
        self.findings[key] = finding
        self.errors += fault.severity is Severity.ERROR
        if len(self.findings) >= self.most:
            raise Enough

    # --- objects ------------------------------------------------------------------------------------------------------

    def resource(self, resource: Any, path: str, depth: int) -> None:
        """A resource, by the profiles that it claims, else by its type."""
        if not isinstance(resource, dict):
            self.add(faults.FHIR_JSON_TYPE, path, wanted=_OBJECT)
            return
        packages = self.context.packages
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in packages.base.resource_types:
            self.add(faults.FHIR_RESOURCE_TYPE, f"{path}.resourceType")
            return
        if self.by_claims(resource, self.context.claims(resource), path, depth):
            return
        shape = packages.resource_shape(kind)
        if shape is None:
            self.add(faults.FHIR_NOT_EVALUATED, path, what=_NO_TYPE.filled(kind=kind))
        else:
            self.by_profile(resource, shape, path, depth)

    def by_claims(self, resource: Json, urls: Iterable[str], path: str, depth: int) -> bool:
        """A resource by profiles; whether any of them is loaded."""
        judged = False
        for url in urls:
            shape = self.context.packages.profile(url)
            if shape is None:
                self.add(faults.FHIR_UNKNOWN_PROFILE, f"{path}.meta.profile", profile=url)
            elif shape.type != resource.get("resourceType"):
                self.add(faults.FHIR_NONCONFORMANT, path, profile=url)
                judged = True
            else:
                self.by_profile(resource, shape, path, depth)
                judged = True
        return judged

    def by_profile(self, resource: Json, shape: Shape, path: str, depth: int = 0) -> None:
        """A resource by one profile, once."""
        if (id(resource), id(shape)) in self._seen:
            return
        self._seen.add((id(resource), id(shape)))
        holder = self.context.enter(resource, shape)
        rooted, self._rooted = self._rooted, (path, shape.type)
        self.object(resource, shape, path, depth)
        self._rooted = rooted
        self.context.leave(holder)

    def object(self, value: Any, shape: Shape, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            self.add(faults.FHIR_JSON_TYPE, path, wanted=_OBJECT)
            return
        if not value:
            self.add(faults.FHIR_JSON_TYPE, path, wanted=_FILLED)
            return
        if depth > MAX_DEPTH:
            self.add(faults.FHIR_TOO_LARGE, path, what=_DEPTH, limit=MAX_DEPTH)
            return
        if shape.resource and value.get("resourceType") != shape.type:
            self.add(faults.FHIR_NONCONFORMANT, path, profile=shape.url)
            return
        keys: dict[int, list[str]] = {}
        for key in value:
            if (found := _element_of(shape, key)) is not None:
                node, name = found
                known = keys.setdefault(id(node), [])
                if name not in known:
                    known.append(name)
            elif not (key == "resourceType" and shape.resource):
                self.add(faults.FHIR_UNKNOWN_PROPERTY, f"{path}.{key}")
        for node in shape.nodes:
            if id(node) in keys:
                self.node(value, node, keys[id(node)], path, depth + 1)
            elif node.least:
                where = f"{path}.{_key_of(node)}"
                if not self.slices_counted(node, {}, where):
                    self.add(faults.FHIR_MISSING, where, least=node.least, count=0)
        for invariant in shape.invariants:
            self.invariant(value, invariant, path)

    # --- elements -----------------------------------------------------------------------------------------------------

    def node(self, holder: Json, node: Node, keys: list[str], path: str, depth: int) -> None:
        """One element of an object: how often, in which form, and its values."""
        if len(keys) > 1:
            self.add(faults.FHIR_CHOICE, f"{path}.{node.name.removesuffix('[x]')}", keys=", ".join(keys))
        for key in keys:
            self.values(holder, node, key, f"{path}.{key}", depth)

    def values(self, holder: Json, node: Node, key: str, path: str, depth: int) -> None:
        values, siblings = holder.get(key), holder.get(f"_{key}")
        if not node.many:
            rows = [(path, values, siblings)]
            if isinstance(values, list):
                self.add(faults.FHIR_JSON_TYPE, path, wanted=_SINGLE)
                return
        else:
            for given in (values, siblings):
                if given is not None and not isinstance(given, list):
                    self.add(faults.FHIR_JSON_TYPE, path, wanted=_ARRAY)
                    return
            if values == [] or (values is None and key in holder) or (values is None and not siblings):
                self.add(faults.FHIR_JSON_TYPE, path, wanted=_FILLED)
                return
            if values is not None and siblings is not None and len(values) != len(siblings):
                self.add(faults.FHIR_JSON_TYPE, f"{path}", wanted=_SAME_SIZE)
                return
            size = len(values if values is not None else siblings or ())
            rows = [
                (f"{path}[{number}]", values[number] if values else None, siblings[number] if siblings else None)
                for number in range(size)
            ]
        if node.most is not None and len(rows) > node.most:
            self.add(faults.FHIR_TOO_MANY, path, most=node.most, count=len(rows))
        elif len(rows) < node.least:
            self.add(faults.FHIR_MISSING, path, least=node.least, count=len(rows))
        rule = node.rules.get(key)
        if rule is None:
            return
        counts: dict[int, int] = {}
        for where, value, sibling in rows:
            slice_ = self.assigned(node, value, key)
            if slice_ is None:
                if node.closed:
                    self.add(faults.FHIR_NO_SLICE, where, slices=", ".join(item.name for item in node.slices))
                self.value(value, sibling, rule, where, depth)
                continue
            counts[id(slice_)] = counts.get(id(slice_), 0) + 1
            own = slice_.node.rules.get(key)
            if own is not None:
                self.value(value, sibling, own, where, depth)
            if own is None or not slice_.alone:
                self.value(value, sibling, rule, where, depth)
        self.slices_counted(node, counts, path)

    def assigned(self, node: Node, value: Any, key: str) -> Slice | None:
        for slice_ in node.slices:
            if slice_.match is not None and slice_.match(value, key, self.context):
                return slice_
        return None

    def slices_counted(self, node: Node, counts: dict[int, int], path: str) -> bool:
        """Tells slices that occur too seldom or too often; whether there were any."""
        found = False
        for slice_ in node.slices:
            count = counts.get(id(slice_), 0)
            least, most = slice_.node.least, slice_.node.most
            if slice_.match is not None and count < least:
                self.add(faults.FHIR_SLICE_MISSING, path, element=slice_.node.label, least=least, count=count)
                found = True
            elif most is not None and count > most:
                self.add(faults.FHIR_SLICE_TOO_MANY, path, element=slice_.node.label, most=most, count=count)
        return found

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, value: Any, sibling: Any, rule: Rule, path: str, depth: int) -> None:
        if rule.test is not None:
            self.primitive(value, sibling, rule, path, depth)
            return
        if value is None:
            self.add(faults.FHIR_JSON_TYPE, path, wanted=_FILLED)
            return
        if rule.type == "Resource":
            self.resource_in_element(value, rule, path, depth)
            return
        before = self.errors
        for group in rule.shapes:
            self.group(value, group, path, depth)
        if not isinstance(value, dict):
            return
        if rule.type == "Extension":
            self.extension(value, rule, path, depth)
        if rule.fixed is not None and not matches(value, rule.fixed[1], rule.fixed[0]):
            self.add(faults.FHIR_FIXED, path, wanted=_shown(rule.fixed[1]))
        if rule.binding is not None:
            self.code(value, rule.binding, path)
        if rule.targets is not None:
            self.reference(value, rule, path)
        for invariant in rule.invariants:
            self.invariant(value, invariant, path, broken=self.errors > before)

    def primitive(self, value: Any, sibling: Any, rule: Rule, path: str, depth: int) -> None:
        assert rule.test is not None
        if sibling is not None and rule.sibling is not None:
            self.object(sibling, rule.sibling, path, depth + 1)
        if value is None:
            if sibling is None:
                self.add(faults.FHIR_JSON_TYPE, path, wanted=_FILLED)
            return
        if not rule.test(value):
            self.add(faults.FHIR_FORMAT, path, type=rule.type)
            return
        if rule.fixed is not None and not matches(value, rule.fixed[1], True):
            self.add(faults.FHIR_FIXED, path, wanted=_shown(rule.fixed[1]))
        if rule.binding is not None and value not in rule.binding.plain:
            self.code(value, rule.binding, path)
        for invariant in rule.invariants:
            self.invariant(value, invariant, path)

    def group(self, value: Any, group: tuple[Shape, ...], path: str, depth: int) -> None:
        """One shape, or one of several: then the faults by the first are told when none fits."""
        if len(group) > 1 and any(self.quietly(value, shape) for shape in group):
            return
        self.object(value, group[0], path, depth)

    def quietly(self, value: Any, shape: Shape) -> bool:
        """Whether a value has no error by this shape."""
        if accepts(value, shape, self.context):
            return True
        walk = Walk(self.context, self.evaluate, 1, errors_only=True)
        try:
            walk.object(value, shape, "", 0)
        except Enough:
            return False
        return not walk.errors

    def extension(self, value: Json, rule: Rule, path: str, depth: int) -> None:
        url = value.get("url")
        profiled = any(shape.url == url for group in rule.shapes for shape in group)
        if not isinstance(url, str) or profiled or ":" not in url:
            return
        shape = self.context.packages.shape(url)
        if shape is None:
            self.add(faults.FHIR_UNKNOWN_EXTENSION, path, url=url)
        elif shape.type == "Extension":
            self.object(value, shape, path, depth)

    def resource_in_element(self, value: Any, rule: Rule, path: str, depth: int) -> None:
        self.resource(value, path, depth)
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if rule.resources is None or not isinstance(kind, str):
            return
        profiles = rule.resources.get(kind, rule.resources.get("Resource"))
        if profiles is None:
            self.add(faults.FHIR_TARGET, path, wanted=", ".join(rule.resources))
        elif profiles and not self.context.fits(value, profiles):
            self.add(faults.FHIR_NONCONFORMANT, path, profile=_names(profiles))
            shape = self.context.packages.shape(profiles[0])
            if shape is not None and shape.type == kind:
                self.by_profile(value, shape, path, depth)

    def code(self, value: Any, binding: Binding, path: str) -> None:
        answer = holds(binding.codes, value)
        name = binding.url.rpartition("/")[2]
        if answer is None:
            self.add(faults.FHIR_CODE_UNKNOWN, path, value_set=name)
        elif not answer:
            self.add(faults.FHIR_CODE, path, code=", ".join(_codes(value)) or "-", value_set=name)

    def reference(self, value: Json, rule: Rule, path: str) -> None:
        targets = rule.targets
        reference = value.get("reference")
        if targets is None or not isinstance(reference, str):
            return
        context = self.context
        target = context.resolve(reference)
        where = f"{path}.reference"
        if target is None:
            if context.dangles(reference, bundled=targets.bundled, backward=targets.backward):
                self.add(faults.FHIR_REFERENCE, where)
            kind = context.stated_type(value)
        else:
            kind = str(target.get("resourceType"))
        if targets.types is None or kind is None:
            return
        if kind not in targets.types:
            self.add(faults.FHIR_TARGET, where, wanted=", ".join(sorted(targets.types)))
        elif target is not None and not context.fits(target, targets.profiles):
            self.add(faults.FHIR_TARGET, where, wanted=_names(targets.profiles))

    def invariant(self, value: Any, invariant: Invariant, path: str, *, broken: bool = False) -> None:
        """`broken`: the value has faults already, so that what cannot be evaluated on it says nothing more."""
        holds_true: bool | None = None
        if invariant.check is not None:
            try:
                holds_true = invariant.check(value, self.context)
            except BROKEN:
                broken = broken or bool(self.errors)
        else:
            holds_true = self.evaluate(invariant.expression, value, invariant.base, self.context)
        if holds_true:
            return
        if holds_true is None:
            if not broken:
                self.add(faults.FHIR_NOT_EVALUATED, path, what=_NO_FUNCTION.filled(key=invariant.key))
            return
        fault = faults.FHIR_INVARIANT if invariant.error else faults.FHIR_INVARIANT_WARNING
        self.add(fault, path, human=invariant.text, key=invariant.key)


def explain(walk: Walk, document: Json, profiles: Iterable[str] | None) -> tuple[Finding, ...]:
    """Every fault of a document: by its own claims, or by the profiles asked for."""
    kind = document.get("resourceType")
    root = kind if isinstance(kind, str) and kind.isalpha() else "Resource"
    try:
        if profiles is None:
            walk.resource(document, root, 0)
        else:
            walk.by_claims(document, [url.partition("|")[0] for url in profiles], root, 0)
        if walk.context.cut:
            walk.add(faults.FHIR_NOT_EVALUATED, root, what=_CHAIN)
    except RecursionError:
        return (*walk.findings.values(), faults.FHIR_TOO_LARGE.at(root, root, what=_DEPTH, limit=MAX_DEPTH))
    except Enough:
        return (*walk.findings.values(), faults.FHIR_MORE.at(root, root, limit=walk.most))
    return tuple(walk.findings.values())


def conforms(resource: Json, shape: Shape, context: Context, evaluate: Evaluate) -> bool:
    """Whether a resource has no error by a profile."""
    walk = Walk(context, evaluate, 1, errors_only=True)
    try:
        walk.object(resource, shape, "", 0)
    except Enough:
        return False
    return not walk.errors


def masked(text: str) -> str:
    """A text from outside, without what may be a citizen's number."""
    return _NUMBER.sub("••••••-••••", text)


def _element_of(shape: Shape, key: str) -> tuple[Node, str] | None:
    """The element that a JSON key is of, and the key of its value: `_status` belongs to `status`.

    Elements that a profile forbids are found too; what is wrong with them is told where they are counted.
    """
    found = shape.by_key.get(key)
    if found is not None:
        return found[0], key
    plain = key.removeprefix("_")
    found = shape.by_key.get(plain)
    if found is not None and found[1].sibling is not None:
        return found[0], plain
    for node in shape.nodes:
        stem = node.name.removesuffix("[x]")
        if node.most == 0 and (
            plain == node.name or (stem != node.name and plain.startswith(stem) and plain[len(stem) :][:1].isupper())
        ):
            return node, plain
    return None


def _key_of(node: Node) -> str:
    """How an element that is missing would be written: with its type, where a profile leaves only one."""
    wanted = [item.node for item in node.slices if item.node.least]
    keys = list((wanted[0] if len(wanted) == 1 else node).rules)
    return keys[0] if len(keys) == 1 else node.name.removesuffix("[x]")


def _names(urls: Iterable[str]) -> str:
    return ", ".join(url.rpartition("/")[2] for url in urls)


def _codes(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        codings = value.get("coding", [value])
        for coding in codings if isinstance(codings, list) else ():
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                yield coding["code"]


def _shown(wanted: Any) -> str:
    """A fixed value or pattern in few words: its code, text or reference."""
    if isinstance(wanted, dict):
        return ", ".join(_shown(value) for value in wanted.values())
    if isinstance(wanted, list):
        return ", ".join(map(_shown, wanted))
    return str(wanted)
