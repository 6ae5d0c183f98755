"""Bytes to JSON, as FHIR wants it: UTF-8, no key twice, one object, no more than a message can need."""

from __future__ import annotations

import json
from typing import Any

import orjson

from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Finding

Json = dict[str, Any]

MAX_DEPTH = 64
MAX_ENTRIES = 1_000
_BOM = b"\xef\xbb\xbf"

_NOT_UTF8 = Bilingual("teksten er ikke UTF-8", "the text is not UTF-8")
_NUMBER = Bilingual("et tal er for stort", "a number is too large")
_SYNTAX = Bilingual("fejl i linje {line}, tegn {column}", "error in line {line}, character {column}")
_NO_OBJECT = Bilingual("indholdet er ikke et objekt", "the content is not an object")
_DEPTH = Bilingual("indlejring", "nesting")
_ENTRIES = Bilingual("antal ressourcer", "number of resources")


def parse_json(body: bytes) -> tuple[Json | None, tuple[Finding, ...]]:
    """The object that the bytes hold. None when an error finding says why not; nothing is raised."""
    body = body.removeprefix(_BOM)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return None, (_unreadable(body, error),)
    if not isinstance(value, dict):
        return None, (faults.FHIR_JSON.at("", reason=_NO_OBJECT),)
    try:
        if _may_repeat_a_key(body, value) and (key := _repeated_key(body)) is not None:
            return None, (faults.FHIR_KEY_REPEATED.at("", key=key),)
    except (orjson.JSONEncodeError, RecursionError):
        return None, (faults.FHIR_TOO_LARGE.at("", what=_DEPTH, limit=MAX_DEPTH),)
    entries = value.get("entry")
    if isinstance(entries, list) and len(entries) > MAX_ENTRIES:
        return None, (faults.FHIR_TOO_LARGE.at("Bundle.entry", "Bundle.entry", what=_ENTRIES, limit=MAX_ENTRIES),)
    return value, ()


def _unreadable(body: bytes, error: orjson.JSONDecodeError) -> Finding:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return faults.FHIR_JSON.at("", reason=_NOT_UTF8)
    if "depth limit" in error.msg:
        return faults.FHIR_TOO_LARGE.at("", what=_DEPTH, limit=MAX_DEPTH)
    if "infinity" in error.msg:
        return faults.FHIR_JSON.at("", reason=_NUMBER)
    return faults.FHIR_JSON.at("", line=error.lineno, reason=_SYNTAX.filled(line=error.lineno, column=error.colno))


def _may_repeat_a_key(body: bytes, value: Json) -> bool:
    """False proves that no key is repeated, for a fraction of what looking costs.

    A repeated key is lost in `value`, and with it at least two quotes when that is written anew. Only an escaped quote
    (`\\u0022`) can add one.
    """
    return orjson.dumps(value).count(b'"') != body.count(b'"') or b"\\u0022" in body


def _repeated_key(body: bytes) -> str | None:
    found: list[str] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(body, object_pairs_hook=keep, parse_int=str, parse_float=str)
    return found[0] if found else None
