"""FHIR narratives (Resource.text): what a resource says, readable, and where a text keeps its formatting.

FHIR's own elements hold plain text. The formatted form stands in the narrative, in a `div` with a class of its own per
field, and is read back from there: only our tags, and only while it says the same words as the element.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from lxml import etree

from gtgateway.mappers.formatted_text import from_medcom, plain_text, to_medcom
from gtgateway.model.plan import FormattedText

XHTML = "http://www.w3.org/1999/xhtml"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
#: What XML cannot hold.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BLANK = '<span class="blank">\u00a0</span>'

#: Tag and class of our own formatting and MedCom's name for it.
_MEDCOM = {
    ("strong", None): "Bold",
    ("b", None): "Bold",
    ("em", None): "Italic",
    ("i", None): "Italic",
    ("u", None): "Underline",
    ("span", "fixed"): "FixedFont",
    ("div", "center"): "Center",
    ("div", "right"): "Right",
    ("br", None): "Break",
}


def narrative(lines: Iterable[str], texts: Mapping[str, FormattedText | None] | None = None) -> dict[str, str]:
    """A narrative of one paragraph a line, then the formatted texts by field; status `generated`."""
    paragraphs = "".join(f"<p>{escape(_xml(line), quote=False)}</p>" for line in lines)
    blocks = "".join(f'<div class="gop-{field}">{_xhtml(text)}</div>' for field, text in (texts or {}).items() if text)
    return {"status": "generated", "div": f'<div xmlns="{XHTML}">{paragraphs}{blocks}</div>'}


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _xhtml(text: FormattedText) -> str:
    return _xml(text.html).replace("<br>", "<br/>").replace("&nbsp;", _BLANK)


def formatted(words: str, text: object, field: str = "text") -> FormattedText:
    """An element's words with the formatting that the resource's `text` keeps for the field, if it has any."""
    div = text.get("div") if isinstance(text, dict) else None
    if isinstance(div, str) and f'class="gop-{field}"' in div:
        kept = _kept(div, field)
        if kept is not None and kept.plain == words:
            return kept
    return plain_text(words)


def _kept(div: str, field: str) -> FormattedText | None:
    try:
        root = etree.fromstring(div, _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return None
    block = next((each for each in root.iter(f"{{{XHTML}}}div") if each.get("class") == f"gop-{field}"), None)
    if block is None:
        return None
    for element in block.iter("*"):
        name, kind = str(element.tag).removeprefix(f"{{{XHTML}}}"), element.get("class")
        if (name, kind) == ("span", "blank"):
            element.tag, element.text = "Space", None
        elif medcom := _MEDCOM.get((name, kind)):
            element.tag = medcom
    return from_medcom(block)


def readable(text: object) -> str | None:
    """The words of a resource's narrative on one line; None without one."""
    div = text.get("div") if isinstance(text, dict) else None
    if not isinstance(div, str):
        return None
    try:
        words = " ".join(map(str, etree.fromstring(div, _PARSER).itertext()))
    except (etree.XMLSyntaxError, ValueError):
        words = re.sub(r"<[^>]*>", " ", div)
    return " ".join(words.split()) or None


def normalised(html: str) -> FormattedText:
    """A text put together from the HTML of others, its plain form made anew."""
    block = etree.Element("Text")
    to_medcom(FormattedText("", html), block, XHTML)
    return from_medcom(block)


def words_in(value: Any) -> str:
    """Every word in a JSON value, without systems, urls and references."""
    return " ".join(_words(value))


#: Properties that name things for machines.
_TECHNICAL = frozenset(
    ("system", "url", "reference", "id", "profile", "fullUrl", "use", "status", "resourceType", "div")
)


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in _TECHNICAL:
                yield from _words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)
    elif isinstance(value, bool):
        yield "ja" if value else "nej"
    elif value is not None:
        yield str(value)
