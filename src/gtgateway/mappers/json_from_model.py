"""Model objects as JSON: the plan, the record and everything that goes with them, field for field.

Names are the fields' own. Dates, times and instants are ISO 8601; what is absent is null; sets are sorted arrays.
A citizen's number is revealed here, so the result belongs in an answer or the archive, never in a log line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gtgateway.model.identifiers import Cpr

# Mappings that are no dict and sets are rare; keys of a dict may be dates or enums.
_OPTIONS = orjson.OPT_NON_STR_KEYS


def to_json(value: object) -> bytes:
    """`value` as UTF-8 JSON. Raises TypeError (orjson.JSONEncodeError) for what is no model object."""
    return orjson.dumps(value, _plain, _OPTIONS)


def to_data(value: object) -> Any:
    """`value` as dicts, lists, strings, numbers, booleans and None, the same as reading `to_json` back."""
    return orjson.loads(to_json(value))


def _plain(value: object) -> object:
    if isinstance(value, Cpr):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no part of the model")
