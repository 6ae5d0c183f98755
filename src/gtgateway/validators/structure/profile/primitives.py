"""FHIR's primitive types: what a JSON value must be. Formats as R4 states them, dates as the calendar has them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from typing import Any

Test = Callable[[Any], bool]

#: XML 1.0 cannot carry these, so that a text with one of them could not be the same in both formats.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MAX_TEXT = 1_048_576
_WHITE = re.compile(r"\s", re.ASCII)
_YEAR = r"(?!0000)\d{4}"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"


def is_text(value: Any) -> bool:
    """A string or markdown."""
    return type(value) is str and 0 < len(value) <= MAX_TEXT and (_is_plain(value) or _CONTROL.search(value) is None)


def _is_plain(text: str) -> bool:
    """A quick yes for most texts: nothing but what is printed, and line ends."""
    return text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable()


def is_uri(value: Any) -> bool:
    """A uri, url or canonical: anything without white space."""
    return type(value) is str and value != "" and _WHITE.search(value) is None


def _matching(pattern: str) -> Test:
    match = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: type(value) is str and match(value) is not None


def _dated(pattern: str) -> Test:
    """A date or time whose day exists in its month."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def test(value: Any) -> bool:
        if type(value) is not str or match(value) is None:
            return False
        day = value[8:10]
        return day < "29" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]

    return test


def _whole(least: int) -> Test:
    return lambda value: type(value) is int and least <= value <= 2_147_483_647


#: Test of each type, by its name.
PRIMITIVES: dict[str, Test] = {
    "base64Binary": _matching(r"(?:\s*[0-9a-zA-Z+/]){2,}\s*(?:=\s*){0,2}"),
    "boolean": lambda value: value is True or value is False,
    "canonical": is_uri,
    "code": _matching(r"[^\s]+(?:\s[^\s]+)*"),
    "date": _dated(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-{_DAY})?)?"),
    "dateTime": _dated(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-{_DAY}(?:T{_TIME}{_ZONE})?)?)?"),
    "decimal": lambda value: type(value) is float or type(value) is int,
    "id": _matching(r"[A-Za-z0-9.-]{1,64}"),
    "instant": _dated(rf"{_YEAR}-(?:0[1-9]|1[0-2])-{_DAY}T{_TIME}{_ZONE}"),
    "integer": _whole(-2_147_483_648),
    "markdown": is_text,
    "oid": _matching(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+"),
    "positiveInt": _whole(1),
    "string": is_text,
    "time": _matching(_TIME),
    "unsignedInt": _whole(0),
    "uri": is_uri,
    "url": is_uri,
    "uuid": _matching(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "xhtml": lambda value: type(value) is str and value != "",
}
