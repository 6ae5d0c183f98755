"""MedCom XML against the schemas of `xsd/`: advice (warnings) by default, refusals in strict mode.

The schema of the rehabilitation plan is our reconstruction, and official samples break obvious "rules" of it; the hard
core is checked by the parsers. Findings name elements, never their content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Finding
from gtgateway.model.message import Format
from gtgateway.parsers.envelope import ParsedMessage
from gtgateway.parsers.hardened import line_of
from gtgateway.parsers.medcom_xml import local_name, source_path

#: Most findings about one letter; the first say it all.
MOST = 20
#: Most children of one element; each error of the validator costs as many steps as its element has siblings before it.
MOST_CHILDREN = 5_000

_LENIENT, _STRICT = "municipality/1.0.4/EMessage.xsd", "municipality/1.0.4/strict.xsd"
_CLINICAL_EMAIL = "2006/07/01/EMessage.xsd"

_XS = "{http://www.w3.org/2001/XMLSchema}"
_GROUPING = frozenset(
    _XS + name for name in ("sequence", "choice", "all", "complexContent", "extension", "restriction")
)
_EXPECTED = re.compile(r"Expected is (?:one of )?\( ([^()]*) \)\.$")
_MAXIMUM = re.compile(r"maximum length of '(\d+)'\.$")
_TYPE = re.compile(r"atomic type '(xs:\w+)'\.$")

_Error = etree.ErrorTypes
_REASONS = {
    _Error.SCHEMAV_CVC_MINLENGTH_VALID: ("{element} er for kort eller tom", "{element} is too short or empty"),
    _Error.SCHEMAV_CVC_LENGTH_VALID: ("{element} har ikke den rette længde", "{element} has not the right length"),
    _Error.SCHEMAV_CVC_PATTERN_VALID: ("{element} har ikke den rette form", "{element} has not the right form"),
    _Error.SCHEMAV_CVC_ENUMERATION_VALID: ("{element} er ikke på listen", "{element} is not in the list"),
    _Error.SCHEMAV_CVC_ELT_5_2_2_2_2: ("{element} har ikke sin faste værdi", "{element} has not its fixed value"),
    _Error.SCHEMAV_CVC_COMPLEX_TYPE_2_1: ("{element} skal være tom", "{element} must be empty"),
    _Error.SCHEMAV_CVC_COMPLEX_TYPE_2_3: ("{element} må ikke indeholde tekst", "{element} must not hold text"),
    _Error.SCHEMAV_CVC_TYPE_3_1_2: ("{element} må kun indeholde tekst", "{element} must hold only text"),
    _Error.SCHEMAV_CVC_COMPLEX_TYPE_3_2_1: ("{element} har en ukendt attribut", "{element} has an unknown attribute"),
}
_TOO_LONG = ("{element} er længere end {more} tegn", "{element} is longer than {more} characters")
_NOT_OF_TYPE = ("{element} er ikke en gyldig {more}", "{element} is not a valid {more}")
_MISSING_AT_END = ("{more} mangler i {element}", "{more} is missing in {element}")
_MISSING_BEFORE = ("{more} mangler før {element}", "{more} is missing before {element}")
_TOO_MANY = ("{element} står for mange gange", "{element} occurs too often")
_WRONG_NAMESPACE = ("{element} står i et forkert navnerum", "{element} is in the wrong namespace")
_UNKNOWN = ("{element} hører ikke til her", "{element} does not belong here")
_OTHER = ("{element} følger ikke skemaet", "{element} does not follow the schema")
_CROWDED = ("{element} har flere end {more} elementer", "{element} has more than {more} elements")
_OUT_OF_ORDER = ("{element} står ikke på sin plads", "{element} is out of order")
#: What the mapper tells of every such element, not only of the first in its parent as a schema does.
_MAPPER_TELLS = (_WRONG_NAMESPACE, _UNKNOWN)

_Reason = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema, and the child elements of each of its types in order."""

    compiled: etree.XMLSchema
    sequences: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Schemas:
    """The schemas of the letters that are read, compiled once at start-up."""

    by_format: Mapping[Format, Schema]
    strict: bool

    @classmethod
    def load(cls, override: Path | None = None, mode: str = "advise") -> Schemas:
        """Compile the packaged schemas, or those of the same names in the folder `override`.

        `mode`: `advise` or `strict`. Raises ConfigurationError for a schema that does not compile.
        """
        ours, strict = packaged("xsd"), mode == "strict"

        def entry(name: str) -> Path | None:
            return override / name if override and (override / name).is_file() else None

        plan = entry(_STRICT) if strict else None
        plan = plan or entry(_LENIENT) or ours / (_STRICT if strict else _LENIENT)
        email = entry(_CLINICAL_EMAIL) or ours / _CLINICAL_EMAIL
        return cls({Format.GGOP: _compile(plan), Format.XDIS91: _compile(email)}, strict)


def check_structure(message: ParsedMessage, schemas: Schemas) -> tuple[tuple[Finding, ...], ...]:
    """What differs from the schema, per letter; what lies outside the letters stands on the first one."""
    schema = schemas.by_format.get(message.format) if message.format else None
    nothing: tuple[tuple[Finding, ...], ...] = ((),) * len(message.letters)
    if schema is None or message.root is None or not message.letters:
        return nothing
    # The shortest element has four bytes: an ordinary message is not walked for this.
    if message.size > 4 * MOST_CHILDREN and (crowd := _crowd(message.root)) is not None:
        return (tuple(_finding(crowd, (_CROWDED, str(MOST_CHILDREN)), message.format, schemas.strict)), *nothing[1:])
    if schema.compiled.validate(message.root):
        return nothing
    found: list[list[Finding]] = [[] for _ in message.letters]
    number = {letter.element: index for index, letter in enumerate(message.letters)}
    letter_at: dict[str, int] = {}
    for error in schema.compiled.error_log:  # type: ignore[attr-defined]  # iterable, the stubs do not say so
        top = "/".join(error.path.split("/")[:3])
        if top not in letter_at:
            letter_at[top] = number.get(_element_at(message.root, top), 0)
        mine = found[letter_at[top]]
        # Looking an element up costs its siblings: a faulty giant is not looked at beyond the first findings.
        if len(mine) < MOST:
            element = _element_at(message.root, error.path)
            mine += _finding(element, _reason(error, element, schema), message.format, schemas.strict)
    return tuple(tuple(findings) for findings in found)


def _crowd(root: etree._Element) -> etree._Element | None:
    """An element with more children than are validated."""
    return next((element for element in root.iter() if len(element) > MOST_CHILDREN), None)


def _finding(
    element: etree._Element, reason: tuple[_Reason, str], format: Format | None, strict: bool
) -> Iterator[Finding]:
    wording, more = reason
    name, at = local_name(element), ("structure", source_path(element), line_of(element))
    if strict:
        fault = faults.SCHEMA_STRICT
    elif wording is _OUT_OF_ORDER:
        yield faults.SCHEMA_ORDER.at(*at, element=name)
        return
    elif wording in _MAPPER_TELLS and format is Format.GGOP:
        return
    else:
        fault = faults.SCHEMA_ADVICE
    yield fault.at(*at, reason=Bilingual(*(text.format(element=name, more=more) for text in wording)))


def _reason(error: etree._LogEntry, element: etree._Element, schema: Schema) -> tuple[_Reason, str]:
    """Our wording of the validator's error, from its type and the schema's own words in it, never from content."""
    match error.type:
        case _Error.SCHEMAV_ELEMENT_CONTENT:
            return _content_reason(error.message, element, schema)
        case _Error.SCHEMAV_CVC_MAXLENGTH_VALID if maximum := _MAXIMUM.search(error.message):
            return _TOO_LONG, maximum[1]
        case _Error.SCHEMAV_CVC_DATATYPE_VALID_1_2_1 if name := _TYPE.search(error.message):
            return _NOT_OF_TYPE, name[1]
        case _Error.SCHEMAV_CVC_ELT_1:
            return _WRONG_NAMESPACE, ""
    return _REASONS.get(error.type, _OTHER), ""


def _content_reason(message: str, element: etree._Element, schema: Schema) -> tuple[_Reason, str]:
    """Why an element is not expected: missing before it, out of order, repeated, wrong namespace, or unknown."""
    listed = _EXPECTED.search(message)
    expected = [name.rpartition("}")[2] for name in listed[1].split(", ")] if listed else []
    if "Missing child element" in message:
        return _MISSING_AT_END, expected[-1] if expected else ""
    name = local_name(element)
    if name in expected:
        return _WRONG_NAMESPACE, ""
    before = {local_name(each) for each in element.itersiblings(preceding=True)}
    after = {local_name(each) for each in element.itersiblings()} & set(expected)
    for sequence in schema.sequences:
        if name in sequence:
            place = sequence.index(name)
            if before & set(sequence[place + 1 :]) or after & set(sequence[:place]):
                return _OUT_OF_ORDER, ""
            # Optional elements are listed before the one that must come.
            if expected and expected[-1] in sequence[:place]:
                return _MISSING_BEFORE, expected[-1]
    return (_TOO_MANY if name in before else _UNKNOWN), ""


def _element_at(root: etree._Element, path: str) -> etree._Element:
    """The element at a path of libxml2, e.g. `/*/*[2]/m:Identifier`; `*` counts all elements, a name its own."""
    here = root
    for step in path.split("/")[2:]:
        name, _, nth = step.rstrip("]").partition("[")
        prefix, _, local = name.rpartition(":")
        same = [each for each in here if name == "*" or (local_name(each) == local and (each.prefix or "") == prefix)]
        here = same[int(nth or 1) - 1]
    return here


def _compile(entry: Path) -> Schema:
    try:
        documents = list(_documents(entry.resolve(), set()))
        return Schema(etree.XMLSchema(documents[0]), tuple(_sequences(documents)))
    except (OSError, etree.LxmlError) as error:
        raise ConfigurationError(f"The schema {entry} does not compile: {error}") from None


def _documents(path: Path, seen: set[Path]) -> Iterator[etree._ElementTree]:
    """The schema document and those that it includes or imports by relative path, each once."""
    seen.add(path)
    document = etree.parse(str(path), etree.XMLParser(no_network=True, resolve_entities=False))
    yield document
    for reference in document.getroot().iterchildren(_XS + "include", _XS + "import"):
        other = (path.parent / reference.get("schemaLocation", "")).resolve()
        if other.is_file() and other not in seen:
            yield from _documents(other, seen)


def _sequences(documents: list[etree._ElementTree]) -> Iterator[tuple[str, ...]]:
    """The child elements of every complex type, in order, groups written out."""
    named = {group.get("name"): group for document in documents for group in document.getroot().iter(_XS + "group")}

    def children(node: etree._Element) -> Iterator[str]:
        for part in node.iterchildren("{*}*"):
            stated = (part.get("name") or part.get("ref") or "").rpartition(":")[2]
            if part.tag == _XS + "element":
                yield stated
            elif part.tag == _XS + "group":
                yield from children(named[stated])
            elif part.tag in _GROUPING:
                yield from children(part)

    for document in documents:
        for complex_type in document.getroot().iter(_XS + "complexType"):
            yield tuple(children(complex_type))
