"""Narratives: what FHIR allows in a div, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.validators.structure.profile.narrative import _is_parsed, narrative_is_sound

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


@pytest.mark.parametrize(
    "content",
    [
        "Tekst &amp; mere &#229;&lt;",
        '<p class="a" id="b">a<br/>b</p><table><tr><td colspan="2">x</td></tr></table>',
        '<a href="https://example.test/x">x</a>',
        '<img src="#billede" alt="x"/>',
        "<div>inde i <b>hinanden</b></div>",
        "<!-- note -->x",
    ],
)
def test_sound(content: str) -> None:
    assert narrative_is_sound(DIV.format(content))


@pytest.mark.parametrize(
    "div",
    [
        DIV.format(""),
        DIV.format("<p> \n </p>"),
        DIV.format("<p>a</div>"),
        DIV.format("<script>x</script>"),
        DIV.format('<p onclick="x">a</p>'),
        DIV.format('<a href="JavaScript:x()">a</a>'),
        DIV.format('<a href=" java\tscript:x()">a</a>'),
        DIV.format("<form>a</form>"),
        DIV.format("a&nbsp;b"),
        DIV.format("<p>a</p>") + "<p>b</p>",
        DIV.format('<p xmlns="urn:x">a</p>').replace(' xmlns="http://www.w3.org/1999/xhtml"', ""),
        '<!DOCTYPE div [<!ENTITY a "b">]>' + DIV.format("&a;"),
        "<div>uden navnerum</div>",
        '<p xmlns="http://www.w3.org/1999/xhtml">a</p>',
        "bare tekst",
        "",
    ],
)
def test_unsound(div: str) -> None:
    assert not narrative_is_sound(div)


PIECES = [
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<br/>",
    "<div>",
    "</div>",
    "a",
    " ",
    "\u00a0",
    "\x01",
    "&",
    "&lt;",
    "<",
    ">",
    "]]>",
]


@given(st.lists(st.sampled_from([*PIECES, "<p>x</p>", "<h1>y</h1>", "<b> </b>"]), max_size=6))
def test_the_quick_way_says_what_the_parser_says(pieces: list[str]) -> None:
    div = DIV.format("".join(pieces))
    assert narrative_is_sound(div) is _is_parsed(div)
