"""The organisation directory: who is who, by which number, on which day, and what each one takes.

Read once from TOML (one file, or every `*.toml` of a folder); each entry of `organisations` is one `Entry`, each of
`endpoints` one `EndpointEntry`, each of `agreements` one `AgreementEntry`. Look-ups are dictionary look-ups. Entries
have validity dates: a region that ended is followed by its successor.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.model.case import Agreement
from gtgateway.model.delivery import Endpoint
from gtgateway.model.identifiers import Identifier, IdentifierKind, kommunekode
from gtgateway.model.plan import Party
from gtgateway.model.route import Organisation, OrganisationKind, Receives
from gtgateway.routing.endpoints import EndpointEntry, Handle, endpoint_of

#: Kinds of identifier that name an organisation, in the order in which `resolve` asks.
_NAMING = (
    IdentifierKind.GLN,
    IdentifierKind.SOR,
    IdentifierKind.SHAK,
    IdentifierKind.YDERNUMMER,
    IdentifierKind.KOMMUNEKODE,
    IdentifierKind.REGIONSKODE,
)
_PRECEDENCE = {kind: place for place, kind in enumerate(_NAMING)}
#: Kinds of which an organisation has one and the directory knows them all: another number is another organisation's.
_EXHAUSTIVE = frozenset({IdentifierKind.KOMMUNEKODE, IdentifierKind.REGIONSKODE, IdentifierKind.YDERNUMMER})
#: Digits of a SHAK number that name the hospital; the rest names the unit.
_SHAK_HOSPITAL = 4

_WORD = re.compile(r"\w+")
#: Words that follow the name of a municipality.
_MUNICIPALITY = frozenset({"kommune", "kommunes", "regionskommune"})


Model = TypeVar("Model", bound=BaseModel)


class Entry(BaseModel):
    """An organisation as the file states it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Handle = Field(description="Stable handle.")
    kind: OrganisationKind
    name: str = Field(min_length=1)
    parent: Handle | None = Field(None, description="Id of the unit above.")
    valid_from: date | None = None
    valid_until: date | None = Field(None, description="Last day, inclusive.")
    gln: str | None = Field(None, pattern=r"^\d{13}$", description="A wrong check digit is allowed: some are in use.")
    sor: str | None = Field(None, pattern=r"^\d{11,}$")
    shak: str | None = Field(None, pattern=r"^[0-9A-ZÆØÅ]{4,7}$")
    kommunekode: str | None = Field(None, pattern=r"^\d{4}$")
    regionskode: str | None = Field(None, pattern=r"^\d{4}$")
    ydernummer: str | None = Field(None, pattern=r"^\d{6}$")
    other: str | None = None
    region: Handle | None = Field(None, description="Id of the region it lies in; units have their parent's.")
    succeeded_by: Handle | None = Field(None, description="Regions: id of the region that takes over when it ends.")
    delegates: tuple[Handle, ...] = Field(
        (), description="Regions: ids of the municipalities that run specialised rehabilitation for it."
    )
    receives: Receives = Receives.PULL
    vans: bool = False
    endpoint: Handle | None = Field(
        None, description="Id of the end-point that its messages go to; units have their parent's."
    )
    special_hospital: bool = False
    telephone: str | None = None
    email: str | None = None
    case: Literal["here", "elsewhere"] = "here"
    sends_copies: bool = False
    local_contact_days: int | None = Field(None, ge=0)
    local_start_days: int | None = Field(None, ge=0)

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        stated = ((kind, getattr(self, kind.value)) for kind in (*_NAMING, IdentifierKind.OTHER))
        return tuple(Identifier(kind, value) for kind, value in stated if value)


class AgreementEntry(BaseModel):
    """A provider on a list of private providers that may be chosen, as the file states it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider_id: Handle = Field(description="Id of the provider.")
    kept_by: str = Field(min_length=1, description="Whose list: a name of `provider_lists` of the orders.")
    valid_from: date | None = None
    valid_until: date | None = Field(None, description="Last day, inclusive.")
    source: str = Field(min_length=1, description="Where the list was read, and when.")


@dataclass(frozen=True, slots=True, repr=False)
class Directory:
    """Every organisation we know; made by `Directory.load`. `day` None asks for the latest entry of any day."""

    all: tuple[Organisation, ...]
    endpoints: Mapping[str, Endpoint]  #: by id
    agreements: tuple[Agreement, ...]  #: the lists of private providers
    _by_id: Mapping[str, Organisation]
    _by_identifier: Mapping[tuple[IdentifierKind, str], tuple[Organisation, ...]]
    _above: Mapping[str, tuple[Organisation, ...]]
    _below: Mapping[str, frozenset[str]]
    _successors: Mapping[str, str]
    _delegates: Mapping[str, frozenset[str]]
    _by_name: Mapping[str, tuple[Organisation, ...]]
    _name_lengths: tuple[int, ...]
    _regions: tuple[tuple[str, Organisation], ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Directory:
        """The directory in a TOML file or a folder of them; None: the packaged sample directory.

        Raises ConfigurationError that names every fault: unreadable files, impossible entries, ids and identifiers
        used twice at the same time, unknown parents, regions, end-points and providers, circles, end-points without
        their secrets.
        """
        stated = _read(packaged("samples", "directory") if path is None else path)
        faults = [
            *stated.faults,
            *_faults(stated.organisations),
            *_endpoint_faults(stated),
            *_agreement_faults(stated),
        ]
        if faults:
            raise ConfigurationError("Organisation directory: " + "; ".join(faults) + ".")
        return _index(stated)

    @property
    def unreachable(self) -> tuple[Organisation, ...]:
        """Those that take messages but have no end-point: they can only pull."""
        return tuple(each for each in self.all if each.receives is not Receives.PULL and each.endpoint is None)

    def by_id(self, id: str) -> Organisation | None:
        """The organisation with a handle."""
        return self._by_id.get(id)

    def find(self, kind: IdentifierKind, value: str, day: date | None = None) -> Organisation | None:
        """The organisation that has a number on a day. An unknown SHAK unit is answered by the unit above it."""
        number = _normal(kind, value)
        found = self._valid(self._by_identifier.get((kind, number), ()), day)
        if found is None and kind is IdentifierKind.SHAK and len(number) > _SHAK_HOSPITAL:
            return self.find(kind, number[:-1], day)
        return found

    def knows_gln(self, gln: str) -> bool:
        """True when the directory has a location number, on any day."""
        return (IdentifierKind.GLN, gln) in self._by_identifier

    def municipality(self, code: str, day: date | None = None) -> Organisation | None:
        """The municipality with a kommunekode ("461" or "0461") on a day."""
        return self.find(IdentifierKind.KOMMUNEKODE, code, day)

    def municipality_named(self, text: str, day: date | None = None) -> Organisation | None:
        """The one municipality that a text names ("Odense Kommune, Genoptræning", "odder kommune", "Odder")."""
        words = _plain(text).split()
        before = [words[:place] for place, word in enumerate(words) if word in _MUNICIPALITY]
        names = {" ".join(each[-length:]) for each in before for length in self._name_lengths} or {" ".join(words)}
        found = {each.id: each for name in names if (each := self._valid(self._by_name.get(name, ()), day))}
        return next(iter(found.values())) if len(found) == 1 else None

    def municipality_above(self, organisation: Organisation) -> Organisation | None:
        """The municipality that an organisation is or is a unit of."""
        line = (organisation, *self.ancestors(organisation.id))
        return next((each for each in reversed(line) if each.kind is OrganisationKind.MUNICIPALITY), None)

    def region_of(self, organisation: Organisation, day: date) -> Organisation | None:
        """The region that an organisation lies in on a day; of a region, itself or the one that succeeded it."""
        region = self._by_id.get(
            organisation.id if organisation.kind is OrganisationKind.REGION else organisation.region or ""
        )
        while region is not None and not region.valid_on(day):
            region = self._by_id.get(self._successors.get(region.id, ""))
        return region

    def delegated(self, region: Organisation, municipality: Organisation) -> bool:
        """True when the region has registered that the municipality runs specialised rehabilitation for it."""
        return municipality.id in self._delegates.get(region.id, ())

    def resolve(self, party: Party, day: date | None = None) -> Organisation | None:
        """Whom a message means: by location number, then SOR, SHAK, ydernummer, kommunekode, regionskode."""
        if party.gln and (found := self.find(IdentifierKind.GLN, party.gln, day)):
            return found
        for stated in sorted(party.identifiers, key=_by_precedence):
            if stated.kind in _PRECEDENCE and (found := self.find(stated.kind, stated.value, day)):
                return found
        return None

    def municipality_meant(self, party: Party, day: date | None = None) -> Organisation | None:
        """The municipality that a party is or is a unit of, by number, else the one it names ("Odder kommune")."""
        known = self.resolve(party, day)
        if known and (above := self.municipality_above(known)):
            return above
        names = (party.name, party.department, party.unit)
        return next((named for name in names if name and (named := self.municipality_named(name, day))), None)

    def region_meant(self, party: Party) -> Organisation | None:
        """The region that a party is, by number, else the one it names; also a region that has ended."""
        known = self.resolve(party)
        if known and known.kind is OrganisationKind.REGION:
            return known
        text = f" {_plain(' '.join(filter(None, (party.name, party.department, party.unit))))} "
        named = [region for name, region in self._regions if f" {name} " in text]
        return named[0] if len(named) == 1 else None

    def identifier_conflict(self, party: Party, day: date | None = None) -> bool:
        """True when the location number is known and another identifier of the party is not that organisation's.

        The number of a unit above or below it is no conflict, nor is a SOR or SHAK number that nobody here has.
        """
        named = self.find(IdentifierKind.GLN, party.gln, day) if party.gln else None
        if named is None:
            return False
        line = (named, *self.ancestors(named.id))
        related = self.subtree(named.id) | {each.id for each in line}
        for stated in party.identifiers:
            found = self.find(stated.kind, stated.value, day)
            if found is not None and found.id not in related:
                return True
            if found is None and stated.kind in _EXHAUSTIVE and any(each.identifier(stated.kind) for each in line):
                return True
        return False

    def ancestors(self, id: str) -> tuple[Organisation, ...]:
        """The units above, nearest first."""
        return self._above.get(id, ())

    def subtree(self, id: str) -> frozenset[str]:
        """The ids of an organisation and of all units below it; empty when it is not known."""
        return self._below.get(id, frozenset())

    @staticmethod
    def _valid(found: tuple[Organisation, ...], day: date | None) -> Organisation | None:
        if day is None:
            return found[-1] if found else None
        for each in found:
            if each.valid_on(day):
                return each
        return None


def _by_precedence(identifier: Identifier) -> int:
    return _PRECEDENCE.get(identifier.kind, len(_PRECEDENCE))


def _normal(kind: IdentifierKind, value: str) -> str:
    match kind:
        case IdentifierKind.KOMMUNEKODE:
            return kommunekode(value)
        case IdentifierKind.YDERNUMMER:
            return value.strip().zfill(6)
        case IdentifierKind.SHAK:
            return value.strip().upper()
        case _:
            return value.strip()


def _plain(text: str) -> str:
    """A name as people may write it: case, hyphens and the spelling of å make no difference."""
    return " ".join(_WORD.findall(text.casefold().replace("å", "aa")))


def _short(name: str) -> str:
    """The name of a municipality without the word for it: "Københavns Kommune" is "københavns"."""
    return re.sub(r" (regions)?kommune$", "", _plain(name))


# --- Loading ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Stated:
    """What the files say, as far as each entry can be read alone."""

    organisations: list[Entry]
    endpoints: list[tuple[EndpointEntry, Endpoint | None]]  #: None: it cannot be used, as `faults` say
    agreements: list[AgreementEntry]
    faults: list[str]


def _read(path: Path) -> _Stated:
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    stated = _Stated([], [], [], [] if files else [f"{path} holds no TOML file"])
    for file in files:
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            stated.faults.append(f"{file.name} cannot be read ({error})")
            continue
        tables = ("organisations", "endpoints", "agreements")
        stated.faults.extend(f"{file.name}: unknown table {name}" for name in content if name not in tables)
        stated.organisations.extend(_entries(Entry, content, "organisations", file, stated.faults))
        stated.agreements.extend(_entries(AgreementEntry, content, "agreements", file, stated.faults))
        for entry in _entries(EndpointEntry, content, "endpoints", file, stated.faults):
            made = endpoint_of(entry, file.parent)
            if isinstance(made, list):
                stated.faults.extend(f"{file.name}, {fault}" for fault in made)
            stated.endpoints.append((entry, made if isinstance(made, Endpoint) else None))
    return stated


def _entries(
    model: type[Model], content: Mapping[str, Any], table: str, file: Path, faults: list[str]
) -> Iterator[Model]:
    """The readable entries of a table; what is wrong with the others is added to the faults."""
    rows = content.get(table, [])
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        try:
            yield model.model_validate(row)
        except ValidationError as error:
            name = row.get("id", f"entry {number}") if isinstance(row, dict) else f"entry {number}"
            faults.extend(
                f"{file.name}, {name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )


def _endpoint_faults(stated: _Stated) -> Iterator[str]:
    """What is wrong with end-points, taken together and with the organisations."""
    times = Counter(entry.id for entry, _ in stated.endpoints)
    yield from (f"{id}: the id is used for {count} end-points" for id, count in times.items() if count > 1)
    defaults = [entry.id for entry, _ in stated.endpoints if entry.default_for]
    if len(defaults) > 1:
        yield f"{' and '.join(defaults)}: only one end-point can be the default for vans"
    for entry in stated.organisations:
        if entry.endpoint is not None and entry.endpoint not in times:
            yield f"{entry.id}: endpoint {entry.endpoint} is not in the directory"


def _agreement_faults(stated: _Stated) -> Iterator[str]:
    """What is wrong with the lists of providers, taken together with the organisations."""
    known = {entry.id for entry in stated.organisations}
    for entry in stated.agreements:
        if entry.provider_id not in known:
            yield f"agreement with {entry.kept_by}: provider {entry.provider_id} is not in the directory"
        if entry.valid_from and entry.valid_until and entry.valid_from > entry.valid_until:
            yield f"{entry.provider_id}: the agreement with {entry.kept_by} ends before it begins"


def _faults(entries: list[Entry]) -> list[str]:
    """What is wrong with readable entries, taken together."""
    by_id = {entry.id: entry for entry in entries}
    faults: list[str] = []
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            faults.append(f"{entry.id}: the id is used twice")
        seen.add(entry.id)
        if entry.valid_from and entry.valid_until and entry.valid_from > entry.valid_until:
            faults.append(f"{entry.id}: ends before it begins")
        faults += _reference_faults(entry, by_id)
        for field in ("parent", "succeeded_by"):
            if entry in _chain(entry, field, by_id):
                faults.append(f"{entry.id}: is its own {field.replace('_', ' ')} in the end")
        if entry.kind is OrganisationKind.MUNICIPALITY and entry.parent is None:
            faults += [f"{entry.id}: lacks {field}" for field in ("kommunekode", "region") if not getattr(entry, field)]
        if entry.receives is Receives.FHIR and (
            missing := [name for name in ("gln", "sor") if not getattr(entry, name)]
        ):
            faults.append(f"{entry.id}: takes FHIR, and lacks {' and '.join(missing)}")  # MedCom, COMM 050
    return [*faults, *_identifier_faults(entries)]


def _reference_faults(entry: Entry, by_id: Mapping[str, Entry]) -> Iterator[str]:
    region, municipality = OrganisationKind.REGION, OrganisationKind.MUNICIPALITY
    references: list[tuple[str, str | None, OrganisationKind | None]] = [
        ("parent", entry.parent, None),
        ("region", entry.region, region),
        ("succeeded_by", entry.succeeded_by, region),
        *(("delegates", each, municipality) for each in entry.delegates),
    ]
    for field, id, kind in references:
        if id is None:
            continue
        if id not in by_id:
            yield f"{entry.id}: {field} {id} is not in the directory"
        elif kind and by_id[id].kind is not kind:
            yield f"{entry.id}: {field} {id} is no {kind}"
    if entry.kind is not region:
        yield from (f"{entry.id}: only a region has {f}" for f in ("succeeded_by", "delegates") if getattr(entry, f))


def _identifier_faults(entries: list[Entry]) -> Iterator[str]:
    owners: dict[tuple[IdentifierKind, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        for identifier in entry.identifiers:
            if identifier.kind in _NAMING:
                owners[identifier.kind, identifier.value].append(entry)
    for (kind, value), having in owners.items():
        for number, entry in enumerate(having):
            yield from (
                f"{kind} {value} is both {entry.id} and {other.id} at the same time"
                for other in having[number + 1 :]
                if (entry.valid_from or date.min) <= (other.valid_until or date.max)
                and (other.valid_from or date.min) <= (entry.valid_until or date.max)
            )


def _chain(entry: Entry, field: str, by_id: Mapping[str, Entry]) -> list[Entry]:
    """The entries that a reference leads to, nearest first; a circle is walked once."""
    found: list[Entry] = []
    following = by_id.get(getattr(entry, field) or "")
    while following and following not in found:
        found.append(following)
        following = by_id.get(getattr(following, field) or "")
    return found


def _index(stated: _Stated) -> Directory:
    entries = stated.organisations
    by_handle = {entry.id: entry for entry in entries}
    above = {entry.id: _chain(entry, "parent", by_handle) for entry in entries}
    operator = next((entry.id for entry, _ in stated.endpoints if entry.default_for), None)
    by_id = {entry.id: _organisation(entry, above[entry.id], operator) for entry in entries}
    everyone = tuple(by_id.values())
    below: dict[str, set[str]] = {id: {id} for id in by_id}
    for id, line in above.items():
        for each in line:
            below[each.id].add(id)
    by_identifier: dict[tuple[IdentifierKind, str], tuple[Organisation, ...]] = {}
    by_name: dict[str, tuple[Organisation, ...]] = {}
    for organisation in sorted(everyone, key=lambda each: each.valid_from or date.min):
        for identifier in organisation.identifiers:
            key = (identifier.kind, identifier.value)
            by_identifier[key] = (*by_identifier.get(key, ()), organisation)
        if organisation.identifier(IdentifierKind.KOMMUNEKODE):
            short = _short(organisation.name)
            # "Københavns Kommune" is also København, "Odense Kommune" is also "Odenses"
            for name in {short, short.removesuffix("s"), short + "s"}:
                by_name[name] = (*by_name.get(name, ()), organisation)
    return Directory(
        all=everyone,
        endpoints={endpoint.id: endpoint for _, endpoint in stated.endpoints if endpoint},
        agreements=tuple(Agreement(**entry.model_dump()) for entry in stated.agreements),
        _by_id=by_id,
        _by_identifier=by_identifier,
        _above={id: tuple(by_id[each.id] for each in line) for id, line in above.items()},
        _below={id: frozenset(ids) for id, ids in below.items()},
        _successors={entry.id: entry.succeeded_by for entry in entries if entry.succeeded_by},
        _delegates={entry.id: frozenset(entry.delegates) for entry in entries if entry.delegates},
        _by_name=by_name,
        _name_lengths=tuple({len(name.split()) for name in by_name}),
        _regions=tuple((_plain(each.name), each) for each in everyone if each.kind is OrganisationKind.REGION),
    )


def _organisation(entry: Entry, above: list[Entry], operator: str | None) -> Organisation:
    """`operator`: the end-point of whatever goes in a VANSEnvelope and has none of its own."""
    endpoint = next((each.endpoint for each in (entry, *above) if each.endpoint), operator if entry.vans else None)
    return Organisation(
        id=entry.id,
        kind=entry.kind,
        name=entry.name,
        identifiers=entry.identifiers,
        parent=entry.parent,
        valid_from=entry.valid_from,
        valid_until=entry.valid_until,
        region=next((each.region for each in (entry, *above) if each.region), None),
        receives=entry.receives,
        vans=entry.vans,
        special_hospital=entry.special_hospital,
        telephone=entry.telephone,
        email=entry.email,
        case=entry.case,
        sends_copies=entry.sends_copies,
        endpoint=None if entry.receives is Receives.PULL else endpoint,
        local_contact_days=entry.local_contact_days,
        local_start_days=entry.local_start_days,
    )
