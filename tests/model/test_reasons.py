"""Reasons of deliveries in words."""

from __future__ import annotations

from gtgateway.delivery.answers import RECEIPTS
from gtgateway.model.delivery import Trouble
from gtgateway.model.message import OriginalRef
from gtgateway.model.reasons import CAPACITY, REASONS, refusal_reason, words_of_reason


def test_every_reason_has_words_in_both_languages() -> None:
    assert set(Trouble) | set(RECEIPTS) <= set(REASONS)
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


def test_a_code_that_nobody_declared_is_not_kept() -> None:
    def reason(code: str | None, text: str | None = None) -> str:
        return refusal_reason(OriginalRef("e", (), None, None, False, code, text))

    assert reason("syntaksfejl", "Nej.") == "syntaksfejl"
    assert reason("fatal-error") == "fatal-error"
    assert reason("ikke_specificeret", "GOP-CHOICE-13: Der er ikke plads.") == CAPACITY
    for code in ("17", "2512489996", "", None):
        assert reason(code) == "negative_receipt"
