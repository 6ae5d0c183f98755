"""Code lists as data: one CSV per list in `codes/`, its first column the code in lower case."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def codes(name: str) -> Mapping[str, Mapping[str, str]]:
    """The rows of a code list (`levels`, `consent`, `relations` …) by code; compare with `casefold()`."""
    text = files("gtgateway").joinpath("mappers", "codes", f"{name}.csv").read_text("utf-8")
    return MappingProxyType({row["code"]: MappingProxyType(row) for row in csv.DictReader(text.splitlines())})
