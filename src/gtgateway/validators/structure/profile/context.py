"""One check of one document: what is being looked at, how references resolve, what was found out already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtgateway.validators.structure.profile.compile import PackageSet, Shape

Json = dict[str, Any]
#: (value, context) -> True, or False for "look closer"
Acceptor = Callable[[Any, "Context"], bool]

#: Longest chain of references that is followed to see whether what is at its end conforms.
_MOST_LINKS = 16


class Context:
    """`root`: the document. `resource`: the resource that holds the element looked at (FHIRPath %resource)."""

    def __init__(self, root: Json, packages: PackageSet, conforms: Callable[[Json, Shape, Context], bool]) -> None:
        self.root = root
        self.resource = root
        self.packages = packages
        self.bundle_type = root.get("type") if root.get("resourceType") == "Bundle" else None
        self.depth = 0  #: of the fast path: resources, extensions and references inside each other
        self.cut = False  #: whether a chain of references was too long to follow
        self._chain = 0
        self._conforms = conforms
        self._conformity: dict[tuple[int, int], bool] = {}
        self._index: dict[str, Json] | None = None
        self._claims: dict[int, tuple[str, ...]] = {}
        self._kinds: dict[int, dict[Any, list[Json]]] = {}

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

    def of_type(self, bundle: Any, kind: str) -> list[Json]:
        """The resources of one type in a Bundle, in order."""
        kinds = self._kinds.get(id(bundle))
        if kinds is None:
            kinds = self._kinds[id(bundle)] = {}
            entries = bundle.get("entry") if isinstance(bundle, dict) else None
            for entry in entries if isinstance(entries, list) else ():
                resource = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
                    kinds.setdefault(resource["resourceType"], []).append(resource)
        return kinds.get(kind, [])

    def claims(self, resource: Json) -> tuple[str, ...]:
        """Canonical urls in meta.profile, without versions."""
        found = self._claims.get(id(resource))
        if found is None:
            found = self._claims[id(resource)] = tuple(url.partition("|")[0] for url in stated_profiles(resource))
        return found

    def conforms(self, resource: Json, url: str) -> bool:
        """Whether a resource is as a profile wants it. False for a profile that is not loaded."""
        shape = self.packages.shape(url)
        return shape is not None and self.conforms_to(resource, shape)

    def conforms_to(self, resource: Json, shape: Shape) -> bool:
        """Each pair is looked at once; resources that refer to each other in a circle conform meanwhile."""
        key = (id(resource), id(shape))
        known = self._conformity.get(key)
        if known is None:
            if self._chain >= _MOST_LINKS:
                self.cut = True
                return True
            self._conformity[key] = True
            self._chain += 1
            holder = self.enter(resource, shape)
            known = self._conformity[key] = self._conforms(resource, shape, self)
            self.leave(holder)
            self._chain -= 1
        return known

    def enter(self, resource: Json, shape: Shape) -> tuple[Json, PackageSet]:
        """Before a resource is looked at; the answer is for `leave`. A contained one belongs to its container."""
        holder = self.resource, self.packages
        if "contained" not in self.resource or not _is_contained(resource, self.resource):
            self.resource = resource
        if shape.packages is not None:
            self.packages = shape.packages
        return holder

    def leave(self, holder: tuple[Json, PackageSet]) -> None:
        self.resource, self.packages = holder

    def stated_type(self, value: Json) -> str | None:
        """The resource type that a reference states by itself: `Reference.type`, or the form `Type/id`."""
        kind = value.get("type")
        if kind is None:
            parts = str(value.get("reference")).partition("/_history/")[0].split("/")
            kind = parts[-2] if len(parts) > 1 else None
        return kind if isinstance(kind, str) and kind in self.packages.base.resource_types else None

    def fits(self, resource: Json, urls: Sequence[str]) -> bool:
        """Whether a resource claims one of these profiles, or one that derives from it, or conforms to one.

        What it claims it is judged by where it stands, so that nothing is judged here again.
        """
        packages = self.packages
        for claim in self.claims(resource) or (packages.base_url(resource.get("resourceType")),):
            if not packages.lineage(claim).isdisjoint(urls):
                return True
        kind = resource.get("resourceType")
        return any(packages.type_of(url) == kind and self.conforms(resource, url) for url in urls)


def _is_contained(resource: Json, holder: Json) -> bool:
    contained = holder.get("contained")
    return isinstance(contained, list) and any(item is resource for item in contained)


def stated_profiles(resource: Json) -> tuple[str, ...]:
    """Canonical urls in meta.profile, as they stand."""
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return tuple(url for url in profiles if isinstance(url, str)) if isinstance(profiles, list) else ()


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
