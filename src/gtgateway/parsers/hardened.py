"""Bytes to an XML tree, hardened: no DTD, entities, outside content or network; limits before and after building.

Bytes are parsed as they came: a byte order mark and the XML declaration say the encoding, never the transport.
A finding names the kind of fault with line and column; text of the document is never quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lxml import etree

from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Finding

NS_VANS = "urn:oio:medcom:vans-envelope:1.0.4"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may come to; settings of the same names."""

    max_bytes: int = 10_000_000
    max_depth: int = 64  #: elements inside each other
    max_elements: int = 50_000
    max_text: int = 1_000_000  #: characters in one text
    max_letters: int = 99  #: letters in one Emessage


def _parser(encoding: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
    )


_AS_DECLARED, _AS_UTF8 = _parser(), _parser("utf-8")
#: Markup in one byte a letter, after a mark and blanks, or UTF-16 with its mark or without.
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<|\xff\xfe|\xfe\xff|\0<")
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")
_ONE_BYTE = ("ISO-8859-1", "WINDOWS-1252")
#: Other encodings are refused: some (UTF-7) hide markup from whoever looks at the bytes.
_ENCODINGS = ("UTF-8", "US-ASCII", "UTF-16", *_ONE_BYTE)

_DOCTYPE = re.compile(rb"<\0?!\0?D\0?O\0?C\0?T\0?Y\0?P\0?E")
_XINCLUDE = "{http://www.w3.org/2001/XInclude}*"
_DATA = f"{{{NS_VANS}}}Data"

#: Attributes, or namespaces in scope, of one element. MedCom XML has a handful; looking at n of them costs n² steps.
_MAX_ATTRIBUTES = 100
_ATTRIBUTES = Bilingual("attributter på ét element", "attributes of one element")
_ELEMENTS = Bilingual("elementer", "elements")
_NESTED = Bilingual("elementer inde i hinanden", "nested elements")
_TEXT = Bilingual("tegn i én tekst", "characters in one text")
#: The parser's own limit for one text; its error does not tell a long text from deep nesting.
_PARSER_MAX_TEXT = 10_000_000

_Error = etree.ErrorTypes
_ENCODING_ERRORS = (_Error.ERR_INVALID_ENCODING, _Error.ERR_UNSUPPORTED_ENCODING, _Error.I18N_CONV_FAILED)
_ENTITY_ERRORS = (_Error.ERR_UNDECLARED_ENTITY, _Error.ERR_ENTITY_LOOP)
_REASONS = {
    _Error.ERR_TAG_NAME_MISMATCH: Bilingual("start- og slutmærke passer ikke", "start and end tag do not match"),
    _Error.ERR_GT_REQUIRED: Bilingual("et mærke er ikke afsluttet", "a tag is not finished"),
    _Error.ERR_TAG_NOT_FINISHED: Bilingual("dokumentet slutter for tidligt", "the document ends too early"),
    _Error.ERR_DOCUMENT_END: Bilingual("indhold efter dokumentets slutning", "content after the document's end"),
    _Error.ERR_INVALID_CHAR: Bilingual("ugyldigt tegn", "invalid character"),
    _Error.ERR_NAME_REQUIRED: Bilingual("& eller < skrives &amp; og &lt;", "& or < is written &amp; and &lt;"),
    _Error.ERR_ATTRIBUTE_REDEFINED: Bilingual("en attribut står to gange", "an attribute occurs twice"),
    _Error.ERR_RESERVED_XML_NAME: Bilingual("XML-erklæringen står ikke først", "the XML declaration is not first"),
    _Error.NS_ERR_UNDEFINED_NAMESPACE: Bilingual("navnerummets præfiks er ukendt", "unknown namespace prefix"),
}
_OTHER_REASON = Bilingual("fejl i opmærkningen", "fault in the markup")


def parse_xml(body: bytes, limits: Limits) -> tuple[etree._Element | None, tuple[Finding, ...]]:
    """The root element of `body` and what was found; the root is None exactly when a finding is an error.

    UTF-8 (with or without byte order mark), US-ASCII, ISO-8859-1, windows-1252 and UTF-16 are read. Comments and
    processing instructions are left out, schemaLocation is never followed. UTF-8 that is declared as a one-byte
    encoding is read as UTF-8, with a warning. Raises nothing.
    """
    if len(body) > limits.max_bytes:
        return None, (_too_large(Bilingual("byte", "bytes"), limits.max_bytes),)
    # Every element, comment and instruction has a "<", every attribute a "=". Twice the limit leaves room for end tags.
    if max(body.count(b"<"), body.count(b"=")) > 2 * limits.max_elements:
        return None, (_too_large(_ELEMENTS, limits.max_elements),)
    if not _START.match(body):
        return None, (faults.XML_NOT_XML.at("body"),)
    declared = _DECLARED.match(body)
    encoding = declared[1].decode("ascii") if declared else "UTF-8"
    if encoding.upper() not in _ENCODINGS:
        return None, (faults.XML_ENCODING.at("body", line=1, encoding=encoding),)
    misdeclared = _line_of_utf8(body) if encoding.upper() in _ONE_BYTE else None
    try:
        root = etree.fromstring(body, _AS_DECLARED if misdeclared is None else _AS_UTF8)
    except etree.XMLSyntaxError as error:
        return None, (_refusal(error, body, encoding, limits),)
    if refusal := _forbidden(root, body, limits):
        return None, (refusal,)
    if misdeclared is None:
        return root, ()
    return root, (faults.XML_MOJIBAKE.at("body", line=misdeclared, encoding=encoding),)


def _line_of_utf8(body: bytes) -> int | None:
    """Line of the first letter that is written in UTF-8, None when the bytes are plain ASCII or no UTF-8.

    Danish text in a one-byte encoding is never valid UTF-8 by chance: each of its letters would need another after it.
    """
    if body.isascii():
        return None
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    first = next(re.finditer(rb"[\x80-\xff]", body)).start()
    return body.count(b"\n", 0, first) + 1


def _refusal(error: etree.XMLSyntaxError, body: bytes, encoding: str, limits: Limits) -> Finding:
    """The finding for the parser's error, by its kind and place alone: its message may quote the document."""
    code: int = error.code  # type: ignore[attr-defined]  # missing in the stubs
    line, column = error.position
    if code in _ENTITY_ERRORS or _DOCTYPE.search(body):
        return faults.XML_DOCTYPE.at("body", line=line)
    if code in _ENCODING_ERRORS:
        return faults.XML_ENCODING.at("body", line=line, encoding=encoding)
    if code == _Error.ERR_RESOURCE_LIMIT:
        if len(body) > _PARSER_MAX_TEXT:
            return _too_large(_TEXT, _PARSER_MAX_TEXT)
        return _too_large(_NESTED, limits.max_depth, line)
    reason = _REASONS.get(code, _OTHER_REASON)
    where = Bilingual(f"{reason.da}, linje {line}, tegn {column}", f"{reason.en}, line {line}, column {column}")
    return faults.XML_NOT_WELL_FORMED.at("body", line=line, reason=where)


def _forbidden(root: etree._Element, body: bytes, limits: Limits) -> Finding | None:
    """What is well-formed and yet refused: a DTD, XInclude, too deep, too many, too long."""
    if root.getroottree().docinfo.internalDTD is not None:
        return faults.XML_DOCTYPE.at("body")
    include = next(root.iter(_XINCLUDE), None)
    if include is not None:
        return faults.XML_XINCLUDE.at("body", line=line_of(include))
    if _deeper_than(limits.max_depth)(root):
        return _too_large(_NESTED, limits.max_depth)
    # The bytes bound the rest: an attribute has a "=", the shortest element four bytes, a text a byte a character.
    if body.count(b"=") > _MAX_ATTRIBUTES:
        for element in root.iter():
            if max(len(element.attrib), len(element.nsmap)) > _MAX_ATTRIBUTES:
                return _too_large(_ATTRIBUTES, _MAX_ATTRIBUTES, line_of(element))
    size = len(body)
    if size > 4 * limits.max_elements and sum(1 for _ in root.iter()) > limits.max_elements:
        return _too_large(_ELEMENTS, limits.max_elements)
    if size > limits.max_text:
        return next((_too_large(_TEXT, limits.max_text, line) for line in _long_texts(root, limits.max_text)), None)
    return None


@lru_cache
def _deeper_than(depth: int) -> etree.XPath:
    """Whether an element lies deeper than `depth`; one walk inside libxml2, far cheaper than one in Python."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def _long_texts(root: etree._Element, limit: int) -> list[int | None]:
    """Lines of the elements with a text or attribute over the limit. Data of a VANSEnvelope is bytes, not text."""
    return [
        line_of(element)
        for element in root.iter()
        if element.tag != _DATA
        and any(len(text) > limit for text in (element.text or "", element.tail or "", *element.values()))
    ]


def line_of(element: etree._Element) -> int | None:
    """Line of an element in the sender's document, 1 = first."""
    return cast("int | None", element.sourceline)


def _too_large(what: Bilingual, limit: int, line: int | None = None) -> Finding:
    return faults.XML_TOO_LARGE.at("body", line=line, what=what, limit=limit)
