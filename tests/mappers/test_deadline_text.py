"""Dates in free text: what is read, how surely, and that nothing a sender writes can hurt."""

from __future__ import annotations

import time
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.mappers.deadline_text import TEXT_LIMIT, DeadlineReading, read_deadline, read_discharge
from gtgateway.model.findings import QUOTE_LIMIT
from gtgateway.model.plan import Confidence, UnderstoodDate

DISCHARGE = date(2027, 3, 5)
TEXTS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("deadline_texts.toml").read_text(encoding="utf-8")
)["text"]


@pytest.mark.parametrize("case", TEXTS, ids=[case["text"] for case in TEXTS])
def test_deadline_as_hospitals_write_it(case: dict[str, Any]) -> None:
    reading = read_deadline(case["text"], DISCHARGE)
    assert (reading.latest, reading.earliest, reading.deferral_stated, str(reading.confidence)) == (
        case.get("latest"),
        case.get("earliest"),
        case.get("deferral_stated", False),
        case["confidence"],
    )


def test_there_are_enough_texts_and_each_stands_once() -> None:
    assert len({case["text"] for case in TEXTS}) == len(TEXTS) >= 80


@pytest.mark.parametrize(
    "text, words",
    [
        ("Opstart må IKKE ske før d. 28. Marts 2027 (sårheling)", "IKKE ske før d. 28. Marts 2027"),
        ("Opstart Tidligst fra 28/3-2027.", "Tidligst fra 28/3-2027"),
        ("Inden for 14 dage efter Udskrivelsen, tak", "Inden for 14 dage efter Udskrivelsen"),
    ],
)
def test_words_it_was_read_from(text: str, words: str) -> None:
    assert read_deadline(text, DISCHARGE).understood[0].words == words


def test_doubtful_date_is_shown_but_moves_nothing() -> None:
    reading = read_deadline("ca. 14.03.2027", DISCHARGE)
    assert reading == DeadlineReading(
        understood=(UnderstoodDate("latest", date(2027, 3, 14), "14.03.2027", Confidence.DOUBTFUL),),
        confidence=Confidence.DOUBTFUL,
    )


def test_doubtful_part_beside_a_sure_one_is_kept() -> None:
    reading = read_deadline("Start i uge 14, dog senest 12.04.2027", DISCHARGE)
    assert reading.understood == (
        UnderstoodDate("latest", None, "uge 14", Confidence.DOUBTFUL),
        UnderstoodDate("latest", date(2027, 4, 12), "senest 12.04.2027", Confidence.HIGH),
    )


def test_contradictory_dates_are_all_shown_and_move_nothing() -> None:
    reading = read_deadline("Senest 14.03.2027. Opstart senest d. 20/3-2027.", DISCHARGE)
    assert [(entry.day, entry.confidence) for entry in reading.understood] == [
        (date(2027, 3, 14), Confidence.DOUBTFUL),
        (date(2027, 3, 20), Confidence.DOUBTFUL),
    ]
    assert reading.latest is None


def test_without_discharge_only_whole_dates_are_read() -> None:
    assert read_deadline("senest 14.03.2027", None).latest == date(2027, 3, 14)
    for text in ("senest d. 14/3", "inden for 5 dage", "tidligst om 6 uger"):
        reading = read_deadline(text, None)
        assert (reading.latest, reading.earliest, reading.confidence) == (None, None, Confidence.DOUBTFUL), text


def test_working_days_skip_weekends_and_holidays() -> None:
    # 25 and 26 March 2027 are skærtorsdag and langfredag, 29 March is 2. påskedag
    assert read_deadline("inden for 3 hverdage", date(2027, 3, 23)).latest == date(2027, 3, 31)


def test_months_end_on_their_last_day() -> None:
    assert read_deadline("inden for en måned", date(2027, 1, 31)).latest == date(2027, 2, 28)


def test_date_without_year_is_the_next_one_and_trusted_only_when_near() -> None:
    assert read_deadline("senest 2/1", date(2026, 12, 28)).latest == date(2027, 1, 2)
    assert read_deadline("senest 27/12", date(2026, 12, 28)).latest is None


def test_too_long_text_is_not_read() -> None:
    reading = read_deadline("senest 14.03.2027 " + "x" * TEXT_LIMIT, DISCHARGE)
    assert (reading.latest, reading.confidence) == (None, Confidence.NONE)
    assert reading.understood[0].words.endswith("…")


@pytest.mark.parametrize(
    "text, day",
    [
        ("20.12.2027", date(2027, 12, 20)),
        ("Forventes udskrevet d. 20. december 2027 kl. 10", date(2027, 12, 20)),
        ("Indlagt 1/3-2027, udskrives 5/3-2027", date(2027, 3, 5)),
        ("udskrives 5/3-2027, kontrol 20/3-2027", date(2027, 3, 5)),
        ("Ambulant forløb afsluttet 05-03-2027", date(2027, 3, 5)),
        ("mandag den 8. marts 2027", date(2027, 3, 8)),
        ("2027-03-05T10:00", date(2027, 3, 5)),
    ],
)
def test_discharge_read_in_text(text: str, day: date) -> None:
    found = read_discharge(text)
    assert found is not None
    assert (found.meaning, found.day, found.confidence) == ("discharge", day, Confidence.HIGH)


@pytest.mark.parametrize("text", ["d. 5/3", "ca. 5.3.2027", "5.-7. marts 2027", "5.3.2027 eller 6.3.2027", "31.2.2027"])
def test_doubtful_discharge_has_no_day(text: str) -> None:
    found = read_discharge(text)
    assert found is not None
    assert (found.day, found.confidence) == (None, Confidence.DOUBTFUL)


@pytest.mark.parametrize(
    "text", ["", "Ukendt", "uge 12", "Opereret 1/3-2027", "inden for en uge", "5.3.2027" + "x" * TEXT_LIMIT]
)
def test_no_discharge_in_text(text: str) -> None:
    assert read_discharge(text) is None


WORDS = st.sampled_from(
    [word for case in TEXTS for word in case["text"].split()]
    + [
        "(",
        ")",
        ",",
        ".",
        "\n",
        "-",
        "999 uger",
        "999 mdr",
        "0/0",
        "99.99.9999",
        "31/12-9999",
        "1/1-0001",
        "İ",
        "ß",
        "２",
    ]
)


@given(
    st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=200),
    st.none() | st.dates(date(1900, 1, 2), date(2199, 12, 31)),
)
def test_never_raises_and_dates_are_plausible(text: str, discharged_on: date | None) -> None:
    reading = read_deadline(text, discharged_on)
    for entry in reading.understood:
        assert len(entry.words) <= QUOTE_LIMIT
        assert entry.day is None or entry.day.year > 1899
    sure = {(entry.meaning, entry.day) for entry in reading.understood if entry.confidence is Confidence.HIGH}
    assert reading.latest is None or ("latest", reading.latest) in sure
    assert reading.earliest is None or ("earliest", reading.earliest) in sure
    assert all(day is not None for _, day in sure)
    found = read_discharge(text)
    assert found is None or (found.confidence is Confidence.HIGH) == (found.day is not None)


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "1.", "1-", "14/3-2027 ", "ikke ", "1 til ", "(", "2 uger efter ", "mellem 1/1 ", "mandag ", " ", "\n"],
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    for length in (TEXT_LIMIT, 1_000_000):
        text = (piece * length)[:length]
        read_deadline(text, DISCHARGE)
        read_discharge(text)
    assert time.process_time() - started < 1
