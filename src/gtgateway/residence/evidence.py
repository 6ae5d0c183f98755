"""Where the patient lives, by evidence, best first: register, address, receiver, contact.

MedCom XML has no field for the municipality of residence, so what the message names is weighed. The kind of evidence is
kept: a certain residence overrules the stated receiver, an uncertain one does not (GOP-ROUTE-08).
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from gtgateway.errors import ConfigurationError
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.plan import Party, RehabilitationPlan
from gtgateway.model.route import Evidence, Organisation, Residence
from gtgateway.routing.directory import Directory

#: Postcode -> the kommunekoder of the municipalities that it lies in.
Postcodes = Mapping[str, frozenset[str]]


def find_residence(
    plan: RehabilitationPlan,
    directory: Directory,
    day: date,
    register_kommunekode: str | None,
    postcodes: Postcodes,
) -> Residence:
    """Municipality and region of residence on a day, by the best evidence there is.

    `register_kommunekode` is what the residence register answered; `postcodes` the operator's table of municipalities
    by postcode. A municipality that is not valid on the day does not count.
    """
    address = plan.patient.address
    for evidence, code in ((Evidence.REGISTER, register_kommunekode), (Evidence.ADDRESS, address.kommunekode)):
        if code and (municipality := directory.municipality(code, day)):
            return Residence(municipality, directory.region_of(municipality, day), evidence, certain=True)

    contact = directory.municipality_meant(plan.contact_municipality, day) if plan.contact_municipality else None
    by_postcode = postcodes.get(address.postcode or "")
    stated = {each.id: each for party in plan.receivers for each in _municipalities(party, directory, day)}
    if stated:
        municipality = next(iter(stated.values()))
        against = (contact is not None and contact != municipality, _elsewhere(municipality, by_postcode))
        certain = len(stated) == 1 and not all(against)
        doubtful = len(stated) > 1 or any(against)
        region = directory.region_of(municipality, day)
        return Residence(municipality, region, Evidence.RECEIVER, certain=certain, doubtful=doubtful)
    if contact is not None:
        region = directory.region_of(contact, day)
        return Residence(contact, region, Evidence.CONTACT, doubtful=_elsewhere(contact, by_postcode))
    return Residence()


def _municipalities(party: Party, directory: Directory, day: date) -> Iterator[Organisation]:
    """The municipalities that a receiver names: by kommunenummer, and by its location number or another number."""
    if (code := party.identifier(IdentifierKind.KOMMUNEKODE)) and (found := directory.municipality(code, day)):
        yield found
    known = directory.resolve(party, day)
    municipality = directory.municipality_above(known) if known else None
    if municipality and municipality.valid_on(day):
        yield municipality


def _elsewhere(municipality: Organisation, by_postcode: frozenset[str] | None) -> bool:
    """True when the postcode is in the table and lies in other municipalities only."""
    return by_postcode is not None and municipality.identifier(IdentifierKind.KOMMUNEKODE) not in by_postcode


def load_postcodes(path: Path | None) -> Postcodes:
    """The operator's postcode table: CSV (UTF-8) with the columns postcode and kommunekode, a row for each pair.

    None: no table, nothing is contradicted. Raises ConfigurationError that names every row that cannot be read.
    """
    if path is None:
        return {}
    table: dict[str, set[str]] = defaultdict(set)
    faults: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                postcode, code = row.get("postcode") or "", row.get("kommunekode") or ""
                if re.fullmatch(r"\d{4}", postcode) and re.fullmatch(r"\d{4}", code):
                    table[postcode].add(code)
                else:
                    faults.append(f"row {number}: four digits are needed in postcode and kommunekode")
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"The postcode table {path.name} cannot be read ({error}).") from None
    if faults:
        raise ConfigurationError(f"Postcode table {path.name}: {'; '.join(faults)}.")
    return {postcode: frozenset(codes) for postcode, codes in table.items()}
