"""FHIR packages as they lie on disk, and which of them judge together.

A folder holds packages (npm-style `.tgz`, or unpacked with or without the inner folder `package`), or is one itself.
Which versions judge with a guide: its list in `sets.json` where there is one (`{"sets": {kind: [folder, …]}}`, the
guide first), else the dependencies that it declares (`package.json`, or `declared` in `sets.json`), the guide's own
declaration before those of what it imports. Packages that declare nothing (an excerpt of HL7's terminology) belong to
every set.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gtgateway.errors import ConfigurationError

Json = dict[str, Any]

_KINDS = ("StructureDefinition", "ValueSet", "CodeSystem")
_PROSE = ("definition", "comment", "requirements", "mapping", "alias", "example", "short")
_MAX_MEMBER = 50_000_000


@dataclass(frozen=True)
class Package:
    """One package in one version; `resources` by kind and canonical url."""

    label: str  #: folder or file name, as `sets.json` lists it
    name: str
    version: str
    dependencies: dict[str, str] | None  #: None: declares nothing, belongs to every set
    resources: dict[str, dict[str, Json]]

    def find(self, kind: str, url: str) -> Json | None:
        return self.resources[kind].get(url)


@dataclass
class Library:
    """Every package that was loaded, and the lists of `sets.json`."""

    packages: list[Package] = field(default_factory=list)
    listed: dict[str, list[str]] = field(default_factory=dict)  #: label of the guide -> labels of its set

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Library:
        """Raises ConfigurationError for a folder or file that cannot be read."""
        library = cls()
        for folder in folders:
            if not folder.is_dir():
                raise ConfigurationError(f"FHIR packages: {folder} is not a folder.")
            try:
                library._add(folder)
            except (OSError, tarfile.TarError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise ConfigurationError(f"FHIR packages: {folder} cannot be read ({error!r}).") from error
        return library

    def _add(self, folder: Path) -> None:
        sets = folder / "sets.json"
        table: Json = orjson.loads(sets.read_bytes()) if sets.is_file() else {}
        self.listed |= {labels[0]: labels for labels in table.get("sets", {}).values()}
        declared = table.get("declared", {})
        for label, files in _packages_in(folder):
            manifest, resources = _sorted_out(files)
            manifest = manifest or declared.get(label, {})
            self.packages.append(
                Package(
                    label,
                    manifest.get("package") or manifest.get("name") or label,
                    manifest.get("version", ""),
                    manifest.get("dependencies"),
                    resources,
                )
            )

    def together(self, guide: Package) -> list[Package]:
        """The packages that judge with a guide, itself first."""
        by_label = {package.label: package for package in self.packages}
        shared = [package for package in self.packages if package.dependencies is None and package is not guide]
        if labels := self.listed.get(guide.label):
            return [*(by_label[label] for label in labels if label in by_label), *shared]
        chosen = {guide.name: guide}
        waiting = [guide]
        while waiting:
            for name, version in (waiting.pop(0).dependencies or {}).items():
                found = self._version(name, version) if name not in chosen else None
                if found is not None:
                    chosen[name] = found
                    waiting.append(found)
        return [*chosen.values(), *shared]

    def _version(self, name: str, version: str) -> Package | None:
        matching = [
            package
            for package in self.packages
            if package.name == name
            and (package.version == version or (version.endswith(".x") and package.version.startswith(version[:-1])))
        ]
        return max(matching, key=newness, default=None)

    def defining(self, url: str, version: str | None = None) -> Package | None:
        """The package whose guide decides about a profile: the stated version, else the newest."""
        defining = [package for package in self.packages if package.find("StructureDefinition", url)]
        exact = [
            package
            for package in defining
            if version and (package.find("StructureDefinition", url) or {}).get("version") == version
        ]
        return max(exact or defining, key=newness, default=None)


def newness(package: Package) -> tuple[tuple[int, str], ...]:
    """Sort key of a version: numbers as numbers."""
    parts = package.version.replace("-", ".").split(".")
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


def _packages_in(folder: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    if any(folder.glob("*.json")) and not (folder / "sets.json").is_file():
        yield folder.name, _unpacked(folder)
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield path.name, _unpacked(path / "package" if (path / "package").is_dir() else path)
        elif path.suffix == ".tgz":
            yield path.stem, _packed(path)


def _unpacked(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("*.json")):
        if path.name == "package.json" or path.name.startswith(_KINDS):
            yield path.read_bytes()


def _packed(file: Path) -> Iterator[bytes]:
    with tarfile.open(file, "r:gz") as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            wanted = name == "package.json" or name.startswith(_KINDS)
            if folder == "package" and wanted and member.isfile() and member.size <= _MAX_MEMBER:
                content = archive.extractfile(member)
                assert content is not None
                yield content.read()


def _sorted_out(files: Iterable[bytes]) -> tuple[Json, dict[str, dict[str, Json]]]:
    """The manifest, if any, and what a validator needs of the resources."""
    manifest: Json = {}
    resources: dict[str, dict[str, Json]] = {kind: {} for kind in _KINDS}
    for content in files:
        resource: Json = orjson.loads(content)
        kind = resource.get("resourceType")
        if kind is None:
            manifest = resource
        elif kind in resources and "url" in resource:
            for name in ("text", "differential"):
                resource.pop(name, None)
            for element in resource.get("snapshot", {}).get("element", ()):
                for name in _PROSE:
                    element.pop(name, None)
            resources[kind].setdefault(resource["url"], resource)
    return manifest, resources
