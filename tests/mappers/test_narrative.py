"""Narratives: readable, safe, and formatting only where it says the same words."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from gtgateway.mappers.formatted_text import plain_text
from gtgateway.mappers.narrative import formatted, narrative, readable, words_in
from gtgateway.model.plan import FormattedText
from plans import any_words
from plans import formatted as formatted_texts

XHTML = "http://www.w3.org/1999/xhtml"


@given(formatted_texts(any_words))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_formatted_text_is_read_back(text: FormattedText) -> None:
    made = narrative(["Overskrift & <mere>"], {"text": text})
    etree.fromstring(made["div"])
    assert formatted(text.plain, made) == text


def block(inside: str) -> dict[str, str]:
    return {"div": f'<div xmlns="{XHTML}"><div class="gop-text">{inside}</div></div>'}


def test_formatting_counts_only_while_it_says_the_same_words() -> None:
    assert formatted("Går frit.", block("<strong>Går frit.</strong>")).html == "<strong>Går frit.</strong>"
    assert formatted("Går ikke.", block("<strong>Går frit.</strong>")) == plain_text("Går ikke.")
    assert formatted("Går frit.", block("<strong>Går frit.</strong>"), "andet") == plain_text("Går frit.")


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<p onclick="alert(1)">a</p>',
        '<a href="javascript:alert(1)">a</a>',
        "<strong>a",
        '<img src="x"/>',
    ],
)
def test_nothing_but_our_own_tags_comes_through(inside: str) -> None:
    for words in ("a", "alert(1)", ""):
        html = formatted(words, block(inside)).html
        assert "<" not in html
        assert "javascript" not in html


@pytest.mark.parametrize("text", [None, 1, "x", {}, {"div": 1}, {"div": "<div>&"}, {"div": 'class="gop-text"'}])
def test_any_narrative_is_looked_at(text: object) -> None:
    assert formatted("a", text) == plain_text("a")


def test_words() -> None:
    assert readable(narrative(["Første & anden", "tredje"])) == "Første & anden tredje"
    assert readable({"div": "<div>a <b>b"}) == "a b"
    assert readable(None) is None
    assert words_in({"system": "urn:x", "code": "A1", "active": True, "list": [{"text": "to"}, 3]}) == "A1 ja to 3"


def test_signs_that_xml_cannot_hold_are_replaced() -> None:
    assert "\ufffd" in narrative(["a\x00b"])["div"]
