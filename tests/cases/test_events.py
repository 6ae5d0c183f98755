"""Who may say what of a case, and how organisations are named."""

from __future__ import annotations

from uuid import uuid4

import pytest
from courses import DIRECTORY
from pydantic import ValidationError

from gtgateway.cases.events import FIELDS, WHO_MAY_POST, EventEntry, Poster, event_of, organisation_named, posters
from gtgateway.model.case import EventKind
from gtgateway.model.route import Organisation


def known(id: str) -> Organisation:
    found = DIRECTORY.by_id(id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("ouh-rehabilitering", "ouh-rehabilitering"),
        ("5790999300025", "ouh-rehabilitering"),
        ("gln:5790999300025", "ouh-rehabilitering"),
        ("sor:9990999300025", "ouh-rehabilitering"),
        ("shak:4202370", "ouh-rehabilitering"),
        ("shak:4202", "ouh"),
        ("kommunekode:0461", "odense-kommune"),
        ("4202", None),  # a kommunekode looks the same
        ("sor", None),
        ("name:OUH", None),
        ("", None),
    ],
)
def test_how_organisations_are_named(text: str, id: str | None) -> None:
    found = organisation_named(text, DIRECTORY)
    assert (found.id if found else None) == id


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("ouh-rehabilitering", {Poster.RECIPIENT, Poster.ACTION}),
        ("ouh", {Poster.RECIPIENT, Poster.ACTION, Poster.SENDER}),  # the whole speaks for its units
        ("ouh-ortopaedkirurgi", {Poster.SENDER}),
        ("odense-kommune", {Poster.RECIPIENT, Poster.RESIDENCE}),
        ("aarhus-kommune", set()),
        ("region-syddanmark", set()),  # a hospital lies in it and is no unit of it
    ],
)
def test_in_which_capacity_somebody_speaks(by: str, expected: set[Poster]) -> None:
    recipients = {"ouh-rehabilitering": ("action",), "odense-kommune": ("authority", "copy")}
    found = posters(
        known(by),
        DIRECTORY,
        recipients=recipients,
        sender=known("ouh-ortopaedkirurgi"),
        municipality=known("odense-kommune"),
    )
    assert found == expected


def test_a_unit_does_not_speak_for_the_whole() -> None:
    recipients = {"ouh": ("action",)}
    assert not posters(
        known("ouh-rehabilitering"), DIRECTORY, recipients=recipients, sender=known("ouh"), municipality=None
    )


def test_fields_of_a_kind() -> None:
    assert FIELDS.keys() <= WHO_MAY_POST.keys()
    common = {"id": str(uuid4()), "at": "2026-11-20T10:00:00+01:00", "by": "odense-kommune"}
    chosen = EventEntry.model_validate({**common, "kind": "hospital_chosen", "hospital": "ouh"})
    assert chosen.misplaced == frozenset()
    assert EventEntry.model_validate({**common, "kind": "hospital_chosen"}).misplaced == {"hospital"}
    assert EventEntry.model_validate({**common, "kind": "acknowledged", "hospital": "ouh"}).misplaced == {"hospital"}
    with pytest.raises(ValidationError):
        EventEntry.model_validate({**common, "kind": "acknowledged", "at": "2026-11-20T10:00:00"})  # of which zone?


def test_an_event_names_organisations_by_their_id() -> None:
    entry = EventEntry.model_validate(
        {
            "id": "1BA302DE-629F-4F7F-8DA5-35C9872B5ACC",
            "kind": "hospital_chosen",
            "at": "2026-11-20T23:30:00Z",
            "by": "kommunekode:0461",
            "hospital": "shak:4202370",
        }
    )
    event = event_of(entry, known("odense-kommune"), known("ouh-rehabilitering"))
    assert event.id == "1ba302de-629f-4f7f-8da5-35c9872b5acc"
    assert (event.kind, event.by, event.provider_id) == (
        EventKind.HOSPITAL_CHOSEN,
        "odense-kommune",
        "ouh-rehabilitering",
    )
    assert str(event.on) == "2026-11-21"
