"""The narrative of a resource: XHTML of the few elements that FHIR allows (invariants txt-1 and txt-2).

Entities are those of XML only: a document type cannot stand inside `div`, so that none can be declared.
"""

from __future__ import annotations

import re
from functools import lru_cache
from xml.parsers import expat

_NAMESPACE = "http://www.w3.org/1999/xhtml"
_ELEMENTS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
    ]
)
_ATTRIBUTES = frozenset(
    [
        "abbr",
        "accesskey",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "colspan",
        "compact",
        "coords",
        "dir",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "hspace",
        "id",
        "lang",
        "longdesc",
        "name",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
        "xml:lang",
        "xmlns",
    ]
)
#: Named entities that senders write although XML does not know them.
_NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)[A-Za-z]\w*;")
#: Paragraphs and the like that hold nothing but text: what most senders write, told without a parser.
_FLAT = re.compile(
    rf'<div xmlns="{_NAMESPACE}">(?:[^<>&\x00-\x08\x0b\x0c\x0e-\x1f]++|<br ?/>'
    r"|<(p|b|i|em|strong|h[1-6]|span|div)>[^<>&\x00-\x08\x0b\x0c\x0e-\x1f]*+</\1>)*+</div>"
)
_SOMETHING = re.compile(r">\s*[^<\s]")


class _Forbidden(Exception):
    """An element or attribute that a narrative may not hold."""


# A resource that claims two profiles is judged twice, its narrative once.
@lru_cache(maxsize=512)
def narrative_is_sound(div: str) -> bool:
    """Well-formed, of allowed elements and attributes only, and with something to read (text or a picture)."""
    if _FLAT.fullmatch(div) and div.isprintable():
        return _SOMETHING.search(div) is not None
    return _is_parsed(div)


def _is_parsed(div: str) -> bool:
    if not div.lstrip().startswith("<div") or _NAMED.search(div):
        return False
    filled = False
    parser = expat.ParserCreate()

    def root(name: str, attributes: dict[str, str]) -> None:
        if attributes.get("xmlns") != _NAMESPACE:
            raise _Forbidden
        parser.StartElementHandler = start
        start(name, attributes)

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal filled
        if name not in _ELEMENTS:
            raise _Forbidden
        for attribute in attributes:
            if attribute not in _ATTRIBUTES or (attribute in ("href", "src") and _runs(attributes[attribute])):
                raise _Forbidden
        if name == "img":
            filled = True

    def text(data: str) -> None:
        nonlocal filled
        if not data.isspace():
            filled = True
            parser.CharacterDataHandler = None

    parser.StartElementHandler = root
    parser.CharacterDataHandler = text
    try:
        parser.Parse(div, True)
    except (expat.ExpatError, _Forbidden):
        return False
    return filled


def _runs(address: str) -> bool:
    """Whether following the address would run something."""
    return re.sub(r"[\x00-\x20]", "", address).lower().startswith(("javascript:", "vbscript:", "data:text"))
