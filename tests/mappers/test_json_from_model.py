"""JSON of model objects: nothing left out, nothing in another form than promised."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, time
from types import MappingProxyType

import pytest

from gtgateway.mappers.json_from_model import to_data, to_json
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.outcome import ActivePlan, Known
from gtgateway.model.plan import Level, LocalMoment, Party, Patient, RehabilitationPlan

PLAN = RehabilitationPlan(
    patient=Patient(identifier=Cpr("2512484916"), given="Nancy Ann", family="Berggren"),
    level=Level.SPECIALISERET,
    discharged_on=date(2027, 3, 5),
    handed_out_at=datetime(2027, 3, 5, 11, 30, tzinfo=UTC),
    written_at=LocalMoment(date(2027, 3, 4), time(9, 26)),
    sender=Party(gln="5790001354145", identifiers=(Identifier(IdentifierKind.SHAK, "4202360"),)),
)


def test_every_field_is_there_and_absent_ones_are_null() -> None:
    data = to_data(PLAN)
    assert set(data) == {field.name for field in fields(RehabilitationPlan)}
    assert data["episode_of_care_id"] is None
    assert data["relatives"] == []


def test_values_have_their_promised_form() -> None:
    data = to_data(PLAN)
    assert data["patient"]["identifier"] == "2512484916"
    assert data["level"] == "specialiseret"
    assert data["discharged_on"] == "2027-03-05"
    assert data["handed_out_at"] == "2027-03-05T11:30:00+00:00"
    assert data["written_at"] == {"day": "2027-03-04", "clock": "09:26:00"}
    assert data["sender"]["identifiers"] == [{"kind": "shak", "value": "4202360", "stated_kind": None}]


def test_replacement_number_is_revealed_too() -> None:
    assert to_data(Patient(identifier=ReplacementNumber("251248AB12")))["identifier"] == "251248AB12"


def test_danish_letters_are_utf8() -> None:
    assert to_json({"navn": "Åse Ærø"}) == '{"navn":"Åse Ærø"}'.encode()


def test_mappings_and_sets() -> None:
    known = Known(active_plans=MappingProxyType({"1": (ActivePlan("k", None, None, None),)}))
    assert to_data(known)["active_plans"]["1"][0]["plan_key"] == "k"
    assert to_data({"ids": frozenset({"b", "a"})}) == {"ids": ["a", "b"]}


def test_what_is_no_model_object_is_refused_without_its_content() -> None:
    with pytest.raises(TypeError, match="JSON serializable") as caught:
        to_json({"x": object()})
    assert "0x" not in str(caught.value)
