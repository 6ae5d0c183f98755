"""Formatted text: every tag, white space, safety, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gtgateway.mappers.formatted_text import FORMATTING, collapse, from_medcom, plain_text, to_medcom
from gtgateway.model.plan import FormattedText

NS = "urn:oio:medcom:municipality:1.0.0"


def read(inner: str) -> FormattedText:
    return from_medcom(etree.fromstring(f'<Comment xmlns="{NS}">{inner}</Comment>'))


def there_and_back(text: FormattedText) -> FormattedText:
    parent = etree.Element(f"{{{NS}}}Comment")
    to_medcom(text, parent, NS)
    return from_medcom(etree.fromstring(etree.tostring(parent)))


@pytest.mark.parametrize(
    "inner, plain, html",
    [
        ("", "", ""),
        ("  Fri\n     tekst ", "Fri tekst", "Fri tekst"),
        ("a<Break/>\n   b", "a\nb", "a<br>b"),
        ("a <Break/> <Break/> b", "a\n\nb", "a<br><br>b"),
        ("<Bold>Gang:</Bold> 50 m", "Gang: 50 m", "<strong>Gang:</strong> 50 m"),
        ("x <Bold> a </Bold> b", "x a b", "x <strong>a </strong>b"),
        ("<Italic>a</Italic><Underline>b</Underline>", "ab", "<em>a</em><u>b</u>"),
        ("a<Space/><Space/>b", "a  b", "a&nbsp;&nbsp;b"),
        (
            "<FixedFont>a<Space/>b<Break/><Bold>c</Bold></FixedFont>",
            "a b\nc",
            '<span class="fixed">a&nbsp;b<br><strong>c</strong></span>',
        ),
        ("a <Center>b</Center> c", "a\nb\nc", 'a<div class="center">b</div>c'),
        (
            "<Right>a</Right><Center>b</Center>",
            "a\nb",
            '<div class="right">a</div><div class="center">b</div>',
        ),
        ("<Center>a</Center><Break/>b", "a\n\nb", '<div class="center">a</div><br>b'),
        ("a<!-- note --> b<?pi x?>c", "a bc", "a bc"),
        ("a &lt;Break/&gt; b &amp; c", "a <Break/> b & c", "a &lt;Break/&gt; b &amp; c"),
        ("&lt;script&gt;x&lt;/script&gt;", "<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("a\u00a0b", "a\u00a0b", "a\u00a0b"),
    ],
)
def test_every_tag_and_white_space(inner: str, plain: str, html: str) -> None:
    text = read(inner)
    assert (text.plain, text.html) == (plain, html)
    assert there_and_back(text) == text


def test_unknown_elements_keep_their_text_and_are_told() -> None:
    strange: list[etree._Element] = []
    text = from_medcom(etree.fromstring("<c>a <table><td>b</td></table> c<Break>d</Break></c>"), strange)
    assert (text.plain, text.html) == ("a b c\nd", "a b c<br>d")
    assert [element.tag for element in strange] == ["table", "td"]


def test_other_unicode_spaces_are_no_white_space() -> None:
    assert collapse(" a \n\t b\u00a0 ") == "a b\u00a0"
    assert collapse(None) == ""


@pytest.mark.parametrize(
    "text", ["", "a", "a  b", " a ", "a\n\nb", "  \n  x   y  \n", "1 < 2 & <Break/> &nbsp;", "\u00a0", "a \u00a0 b"]
)
def test_plain_text_stays_as_written(text: str) -> None:
    assert plain_text(text).plain == text
    assert there_and_back(plain_text(text)) == plain_text(text)


XML_TEXT = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff", max_codepoint=0x2FFF
    )
    | st.sampled_from(" \n\t<>&\u00a0"),
    max_size=8,
)


@given(XML_TEXT)
def test_any_plain_text_survives(text: str) -> None:
    assert plain_text(text).plain == text.replace("\t", " ")
    assert there_and_back(plain_text(text)) == plain_text(text)


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> etree._Element:
    element = etree.Element(f"{{{NS}}}{draw(st.sampled_from(sorted(FORMATTING)))}")
    element.text = draw(XML_TEXT)
    if depth:
        for child in draw(st.lists(trees(depth - 1), max_size=3)):  # type: ignore[call-arg]
            child.tail = draw(XML_TEXT)
            element.append(child)
    return element


@given(trees())
def test_any_tree_survives_and_only_our_tags_are_written(tree: etree._Element) -> None:
    text = from_medcom(tree)
    assert there_and_back(text) == text
    for wanted in ("<strong>", "<em>", "<u>", '<span class="fixed">', '<div class="center">', '<div class="right">'):
        text = FormattedText(text.plain, text.html.replace(wanted, ""))
    for wanted in ("</strong>", "</em>", "</u>", "</span>", "</div>", "<br>"):
        text = FormattedText(text.plain, text.html.replace(wanted, ""))
    assert "<" not in text.html
    assert ">" not in text.html
