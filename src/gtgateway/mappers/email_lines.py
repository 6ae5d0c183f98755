"""One thing per line of a clinical e-mail: an organisation, a person, a diagnosis; written and read back here.

We write `Label: value, Label: value`, so that a reader of the mail and the gateway both know what is what. MedCom's own
converter writes most values without labels (`Arta Masoumi, Almen Lægehjælp, Slotsbryggen 18, 5120 Nykøbing Falster`);
such lines are read by the look of their pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from gtgateway.mappers.medcom_xml_from_plan import identifier_code
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.plan import (
    Address,
    Coded,
    ContactDetails,
    LocalMoment,
    Party,
    Patient,
    Professional,
    Reference,
    Relative,
    Telephone,
)
from gtgateway.parsers.medcom_xml import IDENTIFIER_KINDS

_ADDRESS = {"Adresse": "street", "Bydel": "suburb", "Postnr.": "postcode", "By": "district"}
_PARTY = {"Navn": "name", "Afdeling": "department", "Enhed": "unit"}
_PARTY_END = {"Tlf.": "telephone", "E-mail": "email", "Speciale": "speciality"}
_NAME = {"Fornavn": "given", "Efternavn": "family"}
_PROFESSIONAL_END = {"Tlf.": "telephone", "Afdeling": "department"}
_REFERENCE_KINDS = {"URL": "url", "SUP": "sup", "BIN": "bin"}

#: Labels whose value may hold a comma; the others (numbers) end at the next comma.
_LONG = frozenset(
    {*_ADDRESS, *_PARTY, *_PARTY_END, *_NAME, "Titel", "Relation", "Stilling", "Ingen tlf", "Beskrivelse"}
    | set(_REFERENCE_KINDS)
)
_NUMBERS = ("EAN", "CPR-nummer", "Erstatningsnummer", "Dato")
_TELEPHONES = ("mobil", "fastnet", "arbejde")
_LABEL = re.compile(
    "("
    + "|".join(map(re.escape, (*_LONG, *_NUMBERS, *_TELEPHONES, *IDENTIFIER_KINDS)))
    + r"|Tlf\. \([^()]*\)|ID \([^()]*\)): "
)
_EMAIL = re.compile(r"\S+@\S+")
_NUMBER = re.compile(r"\+?[0-9][0-9 ]{5,}")
_POSTCODE = re.compile(r"([0-9]{4}) (\S.*)")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\s+(?:Kl\.\s*)?([0-9]{2}:[0-9]{2}))?", re.IGNORECASE)
_CODE = re.compile(r"(.*?) ?\(([^\s(),]+)(?:, ([^(),]+))?\)")
_SKS_CODE = re.compile(r"[A-Z]{1,2}[0-9][0-9A-Z.]*")


@dataclass(frozen=True)
class Pieces:
    """A line taken apart: labelled values, and values without a label in their order."""

    labelled: tuple[tuple[str, str], ...]
    plain: tuple[str, ...]

    def first(self, label: str) -> str | None:
        return next((value for name, value in self.labelled if name == label), None)

    def fields(self, labels: dict[str, str]) -> dict[str, str]:
        """Field -> value for the labels that occur."""
        return {field: value for label, field in labels.items() if (value := self.first(label)) is not None}

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        return tuple(
            Identifier(IDENTIFIER_KINDS[label], value)
            if label in IDENTIFIER_KINDS
            else Identifier(IdentifierKind.OTHER, value, label[4:-1] or None)
            for label, value in self.labelled
            if label in IDENTIFIER_KINDS or label.startswith("ID (")
        )


def take_apart(line: str) -> Pieces:
    """Split a line at its commas and labels."""
    labelled: list[tuple[str, str]] = []
    plain: list[str] = []
    for piece in line.split(", "):
        if match := _LABEL.match(piece):
            labelled.append((match[1], piece[match.end() :]))
        elif _EMAIL.fullmatch(piece):
            labelled.append(("E-mail", piece))
        elif labelled and not plain and labelled[-1][0] in _LONG:
            labelled[-1] = (labelled[-1][0], f"{labelled[-1][1]}, {piece}")
        else:
            plain.append(piece)
    return Pieces(tuple(labelled), tuple(piece.strip() for piece in plain if piece.strip()))


def after_label(line: str, label: str) -> str | None:
    """What stands after a label that begins the line and its colon, or None; case does not matter."""
    stated, colon, rest = line.partition(":")
    return rest.strip() if colon and stated.strip().casefold() == label.casefold() else None


def _join(pieces: Iterable[tuple[str, str | None]]) -> str:
    return ", ".join(f"{label}: {' '.join(value.split())}" for label, value in pieces if value)


def _labelled(source: Any, labels: dict[str, str]) -> list[tuple[str, str | None]]:
    return [(label, getattr(source, field)) for label, field in labels.items()]


def _identifier(identifier: Identifier) -> tuple[str, str]:
    word = identifier_code(identifier) or ""
    return (word if word in IDENTIFIER_KINDS else f"ID ({word})"), identifier.value


# --- organisations ----------------------------------------------------------------------------------------------------
def party_line(party: Party) -> str:
    return _join(
        [
            ("EAN", party.gln),
            *map(_identifier, party.identifiers),
            *_labelled(party, _PARTY),
            *_labelled(party.address, _ADDRESS),
            *_labelled(party, _PARTY_END),
        ]
    )


def read_party(line: str) -> Party:
    pieces = take_apart(line)
    names, address, telephone = _by_look(pieces.plain)
    fields = dict(zip(("name", "department", "unit"), names, strict=False))
    if telephone:
        fields["telephone"] = telephone
    return Party(
        gln=pieces.first("EAN"),
        identifiers=pieces.identifiers,
        address=Address(**address, **pieces.fields(_ADDRESS)),
        **{**fields, **pieces.fields(_PARTY | _PARTY_END)},
    )


def _by_look(pieces: Iterable[str]) -> tuple[list[str], dict[str, str], str | None]:
    """Values without labels, by their look: names, then address, then telephone."""
    names: list[str] = []
    address: dict[str, str] = {}
    telephone = None
    for piece in pieces:
        if _NUMBER.fullmatch(piece):
            telephone = piece
        elif match := _POSTCODE.fullmatch(piece):
            address |= {"postcode": match[1], "district": match[2]}
        elif names and any(letter.isdigit() for letter in piece):
            address["street"] = f"{address['street']}, {piece}" if "street" in address else piece
        elif "street" in address:
            address["suburb"] = piece
        else:
            names.append(piece)
    return [*names[:2], ", ".join(names[2:])] if len(names) > 3 else names, address, telephone


# --- persons ----------------------------------------------------------------------------------------------------------
def professional_line(person: Professional) -> str:
    return _join(
        [
            *_labelled(person, _NAME),
            ("Titel", person.title),
            *([_identifier(person.identifier)] if person.identifier else ()),
            *_labelled(person, _PROFESSIONAL_END),
        ]
    )


def read_professional(line: str) -> Professional:
    pieces = take_apart(line)
    names, address, telephone = _by_look(pieces.plain)
    fields = _split_name(names[0]) if names else {}
    if names[1:]:
        fields["title"] = names[1]
    if department := ", ".join((*names[2:], *address.values())):
        fields["department"] = department
    if telephone:
        fields["telephone"] = telephone
    identifier = next(iter(pieces.identifiers), None)
    return Professional(
        identifier=identifier, **{**fields, **pieces.fields(_NAME | {"Titel": "title"} | _PROFESSIONAL_END)}
    )


def _split_name(name: str) -> dict[str, str]:
    """Given names and the last word as family name; the mail does not tell them apart."""
    given, _, family = name.rpartition(" ")
    return {"given": given, "family": family} if given else {"family": family}


def person_address_line(person: Relative | Any) -> str:
    """Names and address of a relative or a c/o address."""
    return _join([*_labelled(person, _NAME), *_labelled(person.address, _ADDRESS)])


def relative_line(relative: Relative) -> str:
    identity = _join([("Relation", relative.relation)])
    return ", ".join(part for part in (identity, person_address_line(relative), contact_line(relative.contact)) if part)


def read_relative(line: str) -> Relative:
    pieces = take_apart(line)
    names, address, _ = _by_look(pieces.plain)
    fields = _split_name(names[0]) if names else {}
    if names[1:]:
        fields["relation"] = ", ".join(names[1:])
    return Relative(
        address=Address(**{**address, **pieces.fields(_ADDRESS)}),
        contact=read_contact(line),
        **{**fields, **pieces.fields(_NAME | {"Relation": "relation"})},
    )


def patient_line(patient: Patient) -> str:
    """Who the patient is, for what does not fit in the mail's own fields."""
    number = patient.identifier
    label = "Erstatningsnummer" if isinstance(number, ReplacementNumber) else "CPR-nummer"
    return _join(
        [
            (label, number.reveal() if number else None),
            *_labelled(patient, _NAME),
            *_labelled(patient.address, _ADDRESS),
            ("Stilling", patient.occupation),
        ]
    )


def read_patient(line: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Fields of the patient, and of the patient's address, that a line states with labels."""
    pieces = take_apart(line)
    fields: dict[str, Any] = dict(pieces.fields(_NAME | {"Stilling": "occupation"}))
    if number := pieces.first("CPR-nummer"):
        fields["identifier"] = Cpr(number)
    if number := pieces.first("Erstatningsnummer"):
        fields["identifier"] = ReplacementNumber(number)
    return fields, pieces.fields(_ADDRESS)


def contact_line(contact: ContactDetails) -> str:
    return _join(
        [
            *(
                (phone.kind if phone.kind in _TELEPHONES else f"Tlf. ({phone.kind or 'uoplyst'})", phone.number)
                for phone in contact.telephones
            ),
            ("Ingen tlf", contact.no_telephone_reason),
            ("E-mail", contact.email),
        ]
    )


def read_contact(line: str) -> ContactDetails:
    pieces = take_apart(line)
    return ContactDetails(
        telephones=tuple(
            Telephone(value, _telephone_kind(label))
            for label, value in pieces.labelled
            if label in _TELEPHONES or label.startswith("Tlf.")
        ),
        no_telephone_reason=pieces.first("Ingen tlf"),
        email=pieces.first("E-mail"),
    )


def _telephone_kind(label: str) -> str | None:
    kind = label.removeprefix("Tlf. (").removesuffix(")")
    return None if kind in ("uoplyst", "Tlf.") else kind


# --- codes, dates, references -----------------------------------------------------------------------------------------
def coded_line(code: Coded) -> str:
    """`Kræft i tyktarmen (DC189, ICD10kode)`."""
    return " ".join(
        part for part in (code.text, f"({', '.join(filter(None, (code.code, code.system)))})") if part is not None
    )


def read_coded(text: str, *, certain: bool) -> Coded | None:
    """The code at the end of a line. Not `certain` (no label says so): only what looks like an SKS code is one."""
    match = _CODE.fullmatch(text)
    if match is None or not (certain or _SKS_CODE.fullmatch(match[2])):
        return None
    return Coded(match[2], match[3], match[1].strip() or None)


def moment_words(moment: LocalMoment | None, text: str | None) -> str:
    """`2026-11-06 Kl. 13:45`, or the text that stands in its place."""
    if moment is None:
        return " ".join((text or "").split())
    return moment.day.isoformat() + (f" Kl. {moment.clock:%H:%M}" if moment.clock else "")


def read_moment(words: str) -> LocalMoment | None:
    """The moment, or None where the words are a text."""
    if match := _MOMENT.fullmatch(words):
        try:
            return LocalMoment(date.fromisoformat(match[1]), time.fromisoformat(match[2]) if match[2] else None)
        except ValueError:
            return None
    return None


def reference_line(reference: Reference) -> str:
    return _join([("Beskrivelse", reference.description), (reference.kind.upper(), reference.value)])


def read_reference(line: str) -> Reference | None:
    pieces = take_apart(line)
    for label, kind in _REFERENCE_KINDS.items():
        if (value := pieces.first(label)) is not None:
            return Reference(pieces.first("Beskrivelse"), kind, value)
    return None
