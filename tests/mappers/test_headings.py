"""Headings: every key is a field of the plan, no heading stands for two fields."""

from __future__ import annotations

from dataclasses import fields

from gtgateway.mappers.headings import FORMATTED_SECTIONS, HEADINGS
from gtgateway.model.plan import RehabilitationPlan


def test_every_key_is_a_field_of_the_plan() -> None:
    assert set(HEADINGS) <= {field.name for field in fields(RehabilitationPlan)}
    assert set(FORMATTED_SECTIONS) <= set(HEADINGS)


def test_a_heading_names_one_field() -> None:
    assert len({heading.casefold() for heading in HEADINGS.values()}) == len(HEADINGS)


def test_headings_are_those_of_medcoms_converter() -> None:
    assert HEADINGS["start_deadline"] == "Tidsfrist for start af genoptræning"
    assert HEADINGS["contact_region"] == "Spørgsmål til Regionen"
