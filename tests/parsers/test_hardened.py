"""Bytes to a tree: encodings, limits, and the attack set of medcom-xml.md Appendix E 14."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggop import CPR, ggop
from gtgateway.model.findings import Finding, Severity
from gtgateway.parsers.hardened import Limits, parse_xml

LIMITS = Limits()
LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]>"
)


def attributes(name: str, number: int = 101) -> bytes:
    return " ".join(f'{name}{n}="x"' for n in range(number)).encode()


def refusal(body: bytes, limits: Limits = LIMITS) -> Finding:
    root, findings = parse_xml(body, limits)
    assert root is None
    (finding,) = findings
    assert finding.severity is Severity.ERROR
    return finding


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "windows-1252", "UTF-16", "US-ASCII"])
def test_declared_encodings_are_read(encoding: str) -> None:
    """Appendix E 2: the same document in each encoding, declared as it is."""
    root, findings = parse_xml(ggop(encoding=encoding, sender_name="Ærø Sygehus på øen"), LIMITS)
    assert findings == ()
    assert root is not None
    assert "Ærø Sygehus på øen" in "".join(root.itertext())


def test_byte_order_mark_before_the_declaration() -> None:
    """Appendix E 1: UTF-8 with its mark."""
    root, findings = parse_xml(ggop(bom=True), LIMITS)
    assert (root is not None, findings) == (True, ())


@pytest.mark.parametrize("declared", ["ISO-8859-1", "windows-1252", "iso-8859-1"])
def test_utf8_declared_as_one_byte_is_read_as_utf8_with_a_warning(declared: str) -> None:
    """Appendix E 2: misdeclared, never mojibake."""
    root, findings = parse_xml(ggop(declared=declared, sender_name="Ærø Sygehus"), LIMITS)
    assert root is not None
    assert "Ærø Sygehus" in "".join(root.itertext())
    assert [(found.rule, found.severity) for found in findings] == [("GOP-XML-05", Severity.WARNING)]
    assert findings[0].line == 6


def test_one_byte_letters_declared_as_utf8_are_refused_with_their_line() -> None:
    finding = refusal(ggop(encoding="ISO-8859-1", declared="UTF-8", sender_name="Ærø Sygehus"))
    assert (finding.rule, finding.line) == ("GOP-XML-04", 6)
    assert "UTF-8" in finding.text.da


def test_bytes_outside_windows_1252() -> None:
    assert refusal(b'<?xml version="1.0" encoding="windows-1252"?><a>\x81</a>').rule == "GOP-XML-04"


@pytest.mark.parametrize("encoding", ["UTF-7", "foo-1", "EBCDIC-CP-DK", "UTF-32"])
def test_other_encodings_are_refused_by_name(encoding: str) -> None:
    """UTF-7 can write markup in letters: `+ADw-` is `<`."""
    finding = refusal(b'<?xml version="1.0" encoding="%s"?><a>+ADw-b/+AD4-</a>' % encoding.encode())
    assert finding.rule == "GOP-XML-04"
    assert encoding in finding.text.en


def test_an_encoding_cannot_hide_behind_blanks() -> None:
    body = b'<?xml version="1.0"' + b" " * 5_000 + b'encoding="UTF-7"?><a>+ADw-b/+AD4-</a>'
    assert refusal(body).rule == "GOP-XML-04"


def test_utf16_decides_over_the_declaration() -> None:
    root, _ = parse_xml('<?xml version="1.0" encoding="UTF-7"?><a>+ADw-b/+AD4-</a>'.encode("utf-16"), LIMITS)
    assert root is not None
    assert root.text == "+ADw-b/+AD4-"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<!DOCTYPE a><a/>", id="dtd"),
        pytest.param(b'<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>', id="external dtd"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', id="internal entity"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', id="external entity"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><a/>', id="parameter entity"),
        pytest.param(LAUGHS + b"<a>&a11;</a>", id="billion laughs"),
        pytest.param(LAUGHS + b'<a b="&a11;"/>', id="billion laughs in an attribute"),
        pytest.param(LAUGHS + b"<a>&a11;", id="billion laughs, truncated"),
        pytest.param("<!DOCTYPE a><a>".encode("utf-16"), id="utf-16, truncated"),
        pytest.param(b"<a>&nbsp;</a>", id="undeclared entity"),
    ],
)
def test_dtd_and_entities_are_refused(body: bytes) -> None:
    """Appendix E 14: DTD, external entity, entity expansion."""
    assert refusal(body).rule == "GOP-XML-02"


def test_doctype_in_a_text_is_only_text() -> None:
    root, findings = parse_xml(b"<a><![CDATA[<!DOCTYPE a>]]></a>", LIMITS)
    assert root is not None
    assert (root.text, findings) == ("<!DOCTYPE a>", ())


def test_xinclude_is_refused_under_any_prefix() -> None:
    body = b'<a>\n<b xmlns:z="http://www.w3.org/2001/XInclude"><z:include href="file:///etc/passwd"/></b></a>'
    finding = refusal(body)
    assert (finding.rule, finding.line) == ("GOP-XML-07", 2)


def test_comments_instructions_and_schema_location_are_ignored() -> None:
    """Appendix E 1: processing instruction and comment, also in the middle of a text."""
    body = (
        b'<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?><!-- a --><a xmlns:x="http://www.w3.org/2001/XMLSchema'
        b'-instance" x:schemaLocation="urn:a http://192.0.2.1/a.xsd">be<!-- b --><?p q?>fore</a>'
    )
    root, findings = parse_xml(body, LIMITS)
    assert root is not None
    assert (root.text, list(root), findings) == ("before", [], ())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"x" * 10_000_001, "byte; grænsen er 10000000", id="bytes"),
        pytest.param(b"<a>" * 100_000, "elementer inde i hinanden; grænsen er 64", id="100,000 deep, never closed"),
        pytest.param(b"<a>" * 100_000 + b"</a>" * 100_000, "elementer; grænsen er 50000", id="100,000 deep"),
        pytest.param(b"<a>" * 300 + b"</a>" * 300, "elementer inde i hinanden; grænsen er 64", id="300 deep"),
        pytest.param(b"<a>" * 65 + b"</a>" * 65, "elementer inde i hinanden; grænsen er 64", id="65 deep"),
        pytest.param(b"<a>" + b"<b/>" * 50_000 + b"</a>", "elementer; grænsen er 50000", id="50,001 elements"),
        pytest.param(b"<a>" + b"<b/>" * 2_000_000 + b"</a>", "elementer; grænsen er 50000", id="2,000,001 elements"),
        pytest.param(b"<a " + attributes("a", 100_001) + b"/>", "elementer; grænsen er 50000", id="100,001 attributes"),
        pytest.param(b"<a>" + b"x" * 1_000_001 + b"</a>", "tegn i én tekst; grænsen er 1000000", id="long text"),
        pytest.param(b'<a b="' + b"x" * 1_000_001 + b'"/>', "tegn i én tekst", id="long attribute"),
        pytest.param(
            b"<a><b " + attributes("a") + b"/></a>", "attributter på ét element; grænsen er 100", id="attributes"
        ),
        pytest.param(b"<a><b " + attributes("xmlns:a") + b"/></a>", "attributter på ét element", id="namespaces"),
        pytest.param((b"<a " + attributes("a") + b"/>").decode().encode("utf-16"), "attributter", id="in UTF-16"),
        pytest.param(b"<a><b/>" + b"x" * 1_000_001 + b"</a>", "tegn i én tekst", id="long text after an element"),
    ],
)
def test_limits(body: bytes, words: str) -> None:
    """Appendix E 14: huge text, deep nesting."""
    finding = refusal(body)
    assert finding.rule == "GOP-XML-03"
    assert words in finding.text.da


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<a>" * 64 + b"</a>" * 64, id="64 deep"),
        pytest.param(b"<a>" + b"<b/>" * 49_999 + b"</a>", id="50,000 elements"),
        pytest.param(b"<a>" + b"x" * 1_000_000 + b"</a>", id="1,000,000 characters"),
        pytest.param(b"<a " + attributes("a", 100) + b">=====</a>", id="100 attributes"),
        pytest.param(f"<a>{'æ' * 900_000}</a>".encode(), id="900,000 characters in more bytes"),
    ],
)
def test_at_the_limit_is_read(body: bytes) -> None:
    root, findings = parse_xml(body, LIMITS)
    assert (root is not None, findings) == (True, ())


def test_data_of_a_vans_envelope_is_bytes_not_text() -> None:
    body = b'<V xmlns="urn:oio:medcom:vans-envelope:1.0.4"><Data>' + b"A" * 2_000_000 + b"</Data></V>"
    root, findings = parse_xml(body, LIMITS)
    assert (root is not None, findings) == (True, ())


def test_limits_are_settings() -> None:
    assert refusal(b"<a><b/></a>", Limits(max_depth=1)).rule == "GOP-XML-03"
    assert refusal(b"<a>1234</a>", Limits(max_bytes=10)).rule == "GOP-XML-03"
    assert refusal(b"<a>1234</a>", Limits(max_text=3)).rule == "GOP-XML-03"


def test_hostile_documents_take_no_memory_to_speak_of() -> None:
    tracemalloc.start()
    for body in (b"<a>" * 3_000_000, LAUGHS + b"<a>&a11;</a>"):
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        refusal(body)
        assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n ", id="blank"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", id="jpeg"),
        pytest.param(b"UNB+UNOC:3+5790000121441", id="edifact"),
        pytest.param(b'{"a": 1}', id="json"),
    ],
)
def test_no_xml_at_all(body: bytes) -> None:
    assert refusal(body).rule == "GOP-XML-06"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"<a>\n<b></a>", "start- og slutmærke passer ikke, linje 2", id="mismatch"),
        pytest.param(b"<a>\n<b", "linje 2", id="truncated"),
        pytest.param(b"<a>\n& b</a>", "skrives &amp; og &lt;, linje 2", id="bare ampersand"),
        pytest.param(b"<a>\n\x01</a>", "ugyldigt tegn, linje 2", id="control character"),
        pytest.param(b"<a/>\n<b/>", "indhold efter dokumentets slutning, linje 2", id="two roots"),
        pytest.param(b"<a>\n<x:b/></a>", "præfiks er ukendt, linje 2", id="unknown prefix"),
        pytest.param(b'<a>\n<b c="1" c="2"/></a>', "en attribut står to gange, linje 2", id="attribute twice"),
        pytest.param(b'\n<?xml version="1.0"?><a/>', "XML-erklæringen står ikke først, linje 2", id="late declaration"),
    ],
)
def test_not_well_formed_says_what_and_where(body: bytes, words: str) -> None:
    finding = refusal(body)
    assert (finding.rule, finding.line) == ("GOP-XML-01", 2)
    assert words in finding.text.da


def test_a_finding_never_quotes_the_document() -> None:
    body = f"<Patient><Nummer>{CPR}</Patient>".encode()
    finding = refusal(body)
    assert CPR not in finding.text.da + finding.text.en
    assert "Nummer" not in finding.text.da


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    root, findings = parse_xml(body, LIMITS)
    assert (root is None) == any(found.severity is Severity.ERROR for found in findings)


@given(
    st.binary(max_size=60), st.sampled_from([b"<a>", b'<?xml version="1.0" encoding="ISO-8859-1"?><a>', b"\xff\xfe<\0"])
)
def test_almost_xml_never_raises(inside: bytes, before: bytes) -> None:
    root, findings = parse_xml(before + inside + b"</a>", LIMITS)
    assert (root is None) == any(found.severity is Severity.ERROR for found in findings)
