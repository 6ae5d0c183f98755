"""The FHIR profile validator: StructureDefinitions compiled once, messages judged by the versions their guide names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gtgateway.data import packaged
from gtgateway.model.findings import Finding
from gtgateway.validators.structure.profile.accept import accepts, accepts_resource, source_of
from gtgateway.validators.structure.profile.base import read_base
from gtgateway.validators.structure.profile.compile import Base, PackageSet
from gtgateway.validators.structure.profile.context import Context, stated_profiles
from gtgateway.validators.structure.profile.explain import Walk, conforms, explain
from gtgateway.validators.structure.profile.fhirpath import Expressions
from gtgateway.validators.structure.profile.packages import Library, Package

Json = dict[str, Any]


class Profiles:
    """Everything that was loaded. Shapes are compiled when a message first needs them."""

    def __init__(self, library: Library, base: Base) -> None:
        self._library = library
        self._base = base
        self._sets: dict[int, PackageSet] = {}
        self._judging: dict[str, PackageSet] = {}
        self._expressions = Expressions()

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> Profiles:
        """The packaged profiles, then those in `folders`; ConfigurationError for a folder that cannot be read."""
        own = packaged("profiles")
        return cls(Library.read((own, *folders)), Base(*read_base(own / "base" / "r4.json")))

    def check(self, resource: Json, *, profiles: Sequence[str] | None = None) -> tuple[Finding, ...]:
        """Every fault of a resource or Bundle, by the profiles asked for, else by those in meta.profile.

        The entries of a Bundle are judged by their own claims. Errors make it invalid; the rest is for people to read.
        """
        evaluate = self._expressions.session()
        packages = self._for(resource, profiles)
        context = Context(
            resource,
            packages,
            lambda part, shape, inner: accepts(part, shape, inner) or conforms(part, shape, inner, evaluate),
        )
        return explain(Walk(context, evaluate), resource, profiles)

    def accepts(self, resource: Json) -> bool:
        """Whether `check` would find neither an error nor a warning. False is no verdict: look closer."""
        context = Context(resource, self._for(resource, None), accepts)
        return accepts_resource(resource, context) and not context.cut

    def compile(self) -> None:
        """Compile every profile now, so that `unevaluated` is complete."""
        for package in self._library.packages:
            packages = self._together(package)
            for url in package.resources["StructureDefinition"]:
                packages.shape(url)

    @property
    def unevaluated(self) -> Counter[str]:
        """What the compiled profiles ask for and this validator cannot judge, with how often it is asked."""
        total: Counter[str] = Counter()
        for packages in self._compiled():
            total.update(packages.unevaluated)
        return total

    @property
    def uncovered(self) -> frozenset[str]:
        """Invariants that no function covers: only the explaining path evaluates them."""
        return frozenset[str]().union(*(packages.uncovered for packages in self._compiled()))

    def source(self, url: str) -> str:
        """The Python that a profile was compiled to; KeyError when it is not loaded."""
        shape = self._for({}, (url,)).profile(url.partition("|")[0])
        if shape is None:
            raise KeyError(url)
        return source_of(shape)

    def close(self) -> None:
        """End what was started to evaluate invariants."""
        self._expressions.close()

    def _compiled(self) -> Iterator[PackageSet]:
        yield self._base.packages
        yield from self._sets.values()

    def _for(self, resource: Json, profiles: Sequence[str] | None) -> PackageSet:
        """The package set of the first known profile."""
        for url in profiles if profiles is not None else stated_profiles(resource):
            if (found := self._elsewhere(url)) is not None:
                return found
        return self._base.packages

    def _elsewhere(self, url: str) -> PackageSet | None:
        if url not in self._judging:
            name, _, version = url.partition("|")
            guide = self._library.defining(name, version or None)
            if guide is None:
                return None  # not kept: anybody may claim anything
            self._judging[url] = self._together(guide)
        return self._judging[url]

    def _together(self, guide: Package) -> PackageSet:
        found = self._sets.get(id(guide))
        if found is None:
            found = self._sets[id(guide)] = PackageSet(self._library.together(guide), self._base, self._elsewhere)
        return found
