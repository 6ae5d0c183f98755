"""How sure the paragraph of a rule is, and what is still to be confirmed. The marks are data: `verification.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from gtgateway.law.orders import Mark, Order
from gtgateway.validators.rule import Rule


class Verification(NamedTuple):
    """A mark (V read, S supported, I inferred) and, in Danish, what to confirm; empty when there is nothing."""

    verified: Mark
    confirm: str


def _load() -> Mapping[str, Mapping[str, Verification]]:
    tables = tomllib.loads(Path(__file__).with_name("verification.toml").read_text("utf-8"))
    marks = {rule: {order: tuple(mark.values()) for order, mark in orders.items()} for rule, orders in tables.items()}
    return TypeAdapter(dict[str, dict[str, Verification]]).validate_python(marks)


#: Rule id -> order id -> mark, for what was not read.
MARKS = _load()
_READ = Verification("V", "")


def verification(rule: Rule, order: Order) -> Verification:
    """The mark of a rule under an order; an order with another's rules has its marks, where it names no paragraph."""
    marks = MARKS.get(rule.id, {})
    if order.rules is None:
        return marks.get(order.id, _READ)
    return _READ if rule.id in order.rules.basis else marks.get(order.rules.like, _READ)
