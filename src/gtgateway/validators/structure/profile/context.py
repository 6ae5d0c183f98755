"""One check of one document: what is being looked at, how references resolve, what was found out already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtgateway.validators.structure.profile.compile import PackageSet, Shape

Json = dict[str, Any]
#: (value, context) -> True, or False for "look closer"
Acceptor = Callable[[Any, "Context"], bool]


class Context:
    """`root`: the document. `resource`: the resource that holds the element looked at (FHIRPath %resource)."""

    __slots__ = ("_conforms", "_index", "bundle_type", "conformity", "packages", "resource", "root")

    def __init__(self, root: Json, packages: PackageSet, conforms: Callable[[Json, Shape, Context], bool]) -> None:
        self.root = root
        self.resource = root
        self.packages = packages
        self.bundle_type = root.get("type") if root.get("resourceType") == "Bundle" else None
        self.conformity: dict[tuple[int, int], bool] = {}
        self._conforms = conforms
        self._index: dict[str, Json] | None = None

    def resolve(self, reference: Any) -> Json | None:
        """The resource in this document that a reference names, or None."""
        if not isinstance(reference, str):
            return None
        if reference.startswith("#"):
            return self._contained(reference[1:])
        index = self._index
        if index is None:
            index = self._index = indexed(self.root)
        found = index.get(reference)
        if found is None and "/_history/" in reference:
            found = index.get(reference.partition("/_history/")[0])
        return found

    def _contained(self, name: str) -> Json | None:
        if not name:
            return self.resource
        contained = self.resource.get("contained")
        for resource in contained if isinstance(contained, list) else ():
            if isinstance(resource, dict) and resource.get("id") == name:
                return resource
        return None

    def dangles(self, reference: Any, *, bundled: bool, backward: bool) -> bool:
        """Whether a reference that does not resolve ought to: typed as bundled, or in a message by a local name."""
        if bundled:
            return True
        if not isinstance(reference, str) or self.bundle_type not in ("message", "document"):
            return False
        return reference.startswith("urn:") or (not backward and ":" not in reference and not reference.startswith("#"))

    def claims(self, resource: Json, urls: Iterable[str]) -> bool:
        """Whether a resource states, in meta.profile, one of these profiles or one that derives from it."""
        wanted = frozenset(urls)
        return any(not wanted.isdisjoint(self.packages.lineage(url)) for url in claimed(resource))

    def conforms(self, resource: Json, url: str) -> bool:
        """Whether a resource is as a profile wants it. False for a profile that is not loaded."""
        shape = self.packages.shape(url)
        return shape is not None and self.conforms_to(resource, shape)

    def conforms_to(self, resource: Json, shape: Shape) -> bool:
        """Each pair is looked at once; resources that refer to each other in a circle conform meanwhile."""
        key = (id(resource), id(shape))
        known = self.conformity.get(key)
        if known is None:
            self.conformity[key] = True
            with self.within(resource, shape):
                known = self.conformity[key] = self._conforms(resource, shape, self)
        return known

    @contextmanager
    def within(self, resource: Json, shape: Shape) -> Iterator[None]:
        """While a resource is looked at: a contained one belongs to its container."""
        holder, packages = self.resource, self.packages
        contained = holder.get("contained")
        if not (isinstance(contained, list) and any(item is resource for item in contained)):
            self.resource = resource
        self.packages = shape.packages or packages
        try:
            yield
        finally:
            self.resource, self.packages = holder, packages

    def stated_type(self, value: Json) -> str | None:
        """The resource type that a reference states by itself: `Reference.type`, or the form `Type/id`."""
        kind = value.get("type")
        if kind is None:
            parts = str(value.get("reference")).partition("/_history/")[0].split("/")
            kind = parts[-2] if len(parts) > 1 else None
        return kind if isinstance(kind, str) and kind in self.packages.base.resource_types else None

    def fits(self, resource: Json, urls: Iterable[str]) -> bool:
        """Whether a resource claims one of these profiles (then it is judged by it where it stands) or conforms to one."""
        kind = resource.get("resourceType")
        for url in urls:
            if self.packages.type_of(url) == kind and (
                self.packages.is_base(url) or self.claims(resource, (url,)) or self.conforms(resource, url)
            ):
                return True
        return False


def stated_profiles(resource: Json) -> tuple[str, ...]:
    """Canonical urls in meta.profile, as they stand."""
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return tuple(url for url in profiles if isinstance(url, str)) if isinstance(profiles, list) else ()


def claimed(resource: Json) -> tuple[str, ...]:
    """Canonical urls in meta.profile, without versions."""
    return tuple(url.partition("|")[0] for url in stated_profiles(resource))


def indexed(root: Json) -> dict[str, Json]:
    """Resources of a Bundle by fullUrl and by `Type/id`; the first one counts."""
    index: dict[str, Json] = {}
    entries = root.get("entry") if root.get("resourceType") == "Bundle" else None
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            if isinstance(full := entry.get("fullUrl"), str):
                index.setdefault(full, resource)
            index.setdefault(f"{resource.get('resourceType')}/{resource.get('id')}", resource)
    return index
