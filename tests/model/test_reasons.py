"""Reasons of deliveries in words."""

from __future__ import annotations

from gtgateway.model.delivery import Trouble
from gtgateway.model.reasons import REASONS, words_of_reason


def test_every_trouble_has_words_in_both_languages() -> None:
    assert set(Trouble) <= set(REASONS)
    for reason, words in REASONS.items():
        assert words.da.endswith("."), reason
        assert words.en.endswith("."), reason


def test_http_codes_are_named() -> None:
    words = words_of_reason("http_503")
    assert words is not None
    assert (words.da, words.en) == (
        "Modtagerens system svarede med HTTP 503.",
        "The recipient's system answered with HTTP 503.",
    )


def test_what_nobody_has_declared_has_no_words() -> None:
    for reason in (None, "", "http_", "http_x", "17"):
        assert words_of_reason(reason) is None
