"""What goes into which table."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

import pytest
from outcomes import (
    CPR,
    OTHER_CPR,
    RECEIVED_AT,
    accepted,
    letter_of,
    reading_of,
    record_document,
    rejected,
    summary_document,
    unreadable,
)

from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Severity
from gtgateway.model.identifiers import ReplacementNumber
from gtgateway.model.outcome import Repeat
from gtgateway.store.saving import ACKNOWLEDGEMENT, Patience, patient_of, plan_id_of, rows_from

KEY = b"k" * 32
PATIENCE = Patience(timedelta(7), timedelta(30))


def rows(outcome):  # type: ignore[no-untyped-def]
    return rows_from(outcome, b"body", "ouh", KEY, summary_document(outcome), record_document, PATIENCE)


def test_findings_of_the_message_and_of_each_letter() -> None:
    made = rows(rejected(reading_of(letter_of("L1"), letter_of("L2"))))
    assert [(row["ordinal"], row["letter_id"], row["rule"], row["severity"]) for row in made.findings] == [
        (0, None, "GOP-MSG-10", Severity.WARNING),
        (1, "L1", "GOP-MSG-06", Severity.ERROR),
        (2, "L2", "GOP-MSG-06", Severity.ERROR),
    ]
    assert made.message["body"] is None


@pytest.mark.parametrize("repeat", [Repeat.CHANGED_AFTER_OK, Repeat.VANS_ID_REUSED])
def test_a_refused_repeat_takes_no_key(repeat: Repeat) -> None:
    assert rows(rejected(reading_of(letter_of("L1")), repeat=repeat)).message["message_key"] is None
    assert rows(rejected(reading_of(letter_of("L1")))).message["message_key"] is not None
    assert rows(unreadable(reading_of(letter_of("L1"), vans_id="V1"))).message["message_key"] is None


def test_the_patient_is_a_keyed_pseudonym() -> None:
    patient = patient_of(letter_of("L1"), KEY)
    assert patient == patient_of(letter_of("L2"), KEY)
    assert patient != patient_of(letter_of("L1", cpr=OTHER_CPR), KEY)
    assert patient != patient_of(letter_of("L1"), b"x" * 32)
    assert patient != patient_of(letter_of("L1", cpr=ReplacementNumber("251248XX96")), KEY)
    made = rows(accepted(reading_of(letter_of("L1"))))
    assert CPR.reveal() not in repr(made)


def test_a_letter_without_a_readable_plan_is_known_by_its_own_id() -> None:
    letter = letter_of("L1", plan_id="P1")
    assert plan_id_of(letter) == "P1"
    bare = type(letter)(**{field.name: getattr(letter, field.name) for field in fields(letter)} | {"plan": None})
    assert plan_id_of(bare) == "L1"
    assert patient_of(bare, KEY) is None


@pytest.mark.parametrize("made", [accepted, rejected])
def test_an_acknowledgement_comes_back_as_it_was(made) -> None:  # type: ignore[no-untyped-def]
    acknowledgement = made(reading_of(letter_of("L1"))).acknowledgement
    assert ACKNOWLEDGEMENT.validate_json(ACKNOWLEDGEMENT.dump_json(acknowledgement)) == acknowledgement


@pytest.mark.parametrize(
    ("start_by", "gives_up_at"),
    [
        (date(2026, 11, 13), datetime(2026, 11, 20, 22, 59, 59, 999999, UTC)),  # the end of a day in Copenhagen
        (date(2026, 10, 1), datetime(2026, 11, 13, 9, 30, tzinfo=UTC)),  # received late
        (None, datetime(2026, 12, 6, 9, 30, tzinfo=UTC)),
    ],
)
def test_how_long_a_delivery_is_tried(start_by: date | None, gives_up_at: datetime) -> None:
    assert PATIENCE.gives_up_at(Deadlines(start_by=start_by), RECEIVED_AT) == gives_up_at
    assert PATIENCE.gives_up_at(None, RECEIVED_AT) == datetime(2026, 12, 6, 9, 30, tzinfo=UTC)
