"""Numbers that name a person or an organisation in Denmark. A citizen's number cannot leak by accident."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

_CPR = re.compile(r"[0-9]{10}")

#: What could be a citizen's number in free text: ten digits, or six and four. A location number has more.
NUMBER_IN_TEXT = re.compile(r"(?<![\w-])\d{6}[- ]?[0-9A-Z]{4}(?![\w-])")


def cpr_birth_date(number: str) -> date | None:
    """Birth date of a ten-digit CPR number by the century rule of CPR (7th digit), or None when it is no date.

    Modulus 11 is never looked at: numbers without it are issued.
    """
    if not _CPR.fullmatch(number):
        return None
    day, month, year, seventh = int(number[0:2]), int(number[2:4]), int(number[4:6]), int(number[6])
    if seventh <= 3:
        century = 1900
    elif seventh in (4, 9):
        century = 2000 if year <= 36 else 1900
    else:
        century = 2000 if year <= 57 else 1800
    try:
        return date(century + year, month, day)
    except ValueError:
        return None


class Cpr:
    """A citizen's CPR number as stated. `str` and `repr` are masked; only mappers call `reveal`."""

    __slots__ = ("_number",)
    MASK = "••••••-••••"

    def __init__(self, number: str) -> None:
        self._number = number

    def reveal(self) -> str:
        """The number itself: ten digits when valid. Never for logs, URLs, metrics or exceptions."""
        return self._number

    @property
    def born_on(self) -> date | None:
        return cpr_birth_date(self._number)

    @property
    def valid(self) -> bool:
        """Ten digits that begin with a date."""
        return self.born_on is not None

    def pseudonym(self, key: bytes) -> bytes:
        """HMAC-SHA256 of the number: the same for the same person and key, and nothing else without the key."""
        return hmac.digest(key, self._number.encode(), "sha256")

    def __str__(self) -> str:
        return self.MASK

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._number == self._number

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._number))


class ReplacementNumber(Cpr):
    """A replacement for a CPR number (AlternativeIdentifier, x-eCPR, d-eCPR): ten characters, letters allowed.

    Its birth date is the first six characters where they are a date; that is no condition (GOP-PAT-01).
    """

    __slots__ = ()

    @property
    def born_on(self) -> date | None:
        number = self._number
        if not number[:6].isascii() or not number[:6].isdigit():
            return None
        # Without a century digit the person is taken to be born in the latest century that is not the future's.
        seventh = number[6:7]
        return cpr_birth_date(number[:6] + (seventh if seventh.isascii() and seventh.isdigit() else "0") + "000")

    @property
    def valid(self) -> bool:
        return len(self._number) == 10 and self._number.isalnum()


class IdentifierKind(StrEnum):
    """Kinds of organisation or staff identifier, in the field's own words."""

    GLN = "gln"  #: lokationsnummer (GLN/EAN), 13 digits with check digit
    SOR = "sor"  #: SOR-kode
    SHAK = "shak"  #: sygehus- og afdelingsnummer
    KOMMUNEKODE = "kommunekode"  #: four digits, "0461"
    REGIONSKODE = "regionskode"  #: four digits, "1083"
    YDERNUMMER = "ydernummer"  #: six digits
    AMT = "amt"  #: staff identifier of a region (former amt)
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as stated, with its kind; `stated_kind` keeps the sender's own word where the kind is `other`."""

    kind: IdentifierKind
    value: str
    stated_kind: str | None = None


def kommunekode(value: str) -> str:
    """A kommunenummer in its four-digit form: "461" and "0461" are both "0461". Other texts come back unchanged."""
    text = value.strip()
    return text.zfill(4) if text.isascii() and text.isdigit() and len(text) in (3, 4) else text


@lru_cache(maxsize=4096)  # the same parties write again and again
def gln_check_digit_ok(gln: str) -> bool:
    """True when `gln` has 13 digits and the right GS1 check digit (MedCom: a wrong one is only a warning)."""
    if len(gln) != 13 or not gln.isascii() or not gln.isdigit():
        return False
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(gln[:12]))
    return (10 - total % 10) % 10 == int(gln[12])
