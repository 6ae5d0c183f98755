"""MedCom XML (OIOXML): namespaces, tolerant look-up, and the identity of a letter: who, to whom, which, what kind.

Elements are looked up by namespace and local name, and by local name alone where that finds nothing: a slip between the
two municipality namespaces is the likeliest defect in practice. Prefixes never matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time

from lxml import etree

from gtgateway.model import faults
from gtgateway.model.findings import Finding
from gtgateway.model.identifiers import Identifier, IdentifierKind, gln_check_digit_ok, kommunekode
from gtgateway.model.message import LetterHead, OriginalRef
from gtgateway.model.plan import LocalMoment, Party
from gtgateway.parsers.hardened import line_of
from gtgateway.parsers.refusals import refusal_text

NS100 = "urn:oio:medcom:municipality:1.0.0"
NS104 = "urn:oio:medcom:municipality:1.0.4"
NS_XDIS91 = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2006/07/01/"
NS_RECEIPT = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"
#: The three receipts stand unchanged in these; we send the first.
RECEIPT_NAMESPACES = (
    NS_RECEIPT,
    "http://rep.oio.dk/medcom.dk/xml/schemas/2018/08/06/",
    "http://rep.oio.dk/medcom.dk/xml/schemas/2020/05/06/",
)
POSITIVE_RECEIPT = "PositiveReceipt"
RECEIPTS = frozenset({POSITIVE_RECEIPT, "NegativeReceipt", "NegativeVansReceipt"})

#: What a receipt can quote (String_1_14, String_1_7, String_1_35 of the receipt schemas).
ID_LENGTH, VERSION_LENGTH, GLN_LENGTH = 14, 7, 35


@dataclass(frozen=True, slots=True)
class LetterType:
    """A kind of letter that is read: its element, where its names live, and how it calls itself."""

    element: str
    namespace: str
    leaves: str  #: namespace of shared leaf elements
    type_code: str
    version_code: str
    tolerated: frozenset[str]  #: wrong namespaces of the letter that are read with a warning


GGOP = LetterType("RehabilitationPlan", NS104, NS100, "GGOP", "GGOP100", frozenset({NS100, ""}))
CLINICAL_EMAIL = LetterType("ClinicalEmail", NS_XDIS91, NS_XDIS91, "XDIS91", "XD9134L", frozenset({""}))

#: IdentifierCode of an organisation, in lower case, and what it says.
IDENTIFIER_KINDS = {
    "kommunenummer": IdentifierKind.KOMMUNEKODE,
    "lokationsnummer": IdentifierKind.GLN,
    "region": IdentifierKind.REGIONSKODE,
    "sorkode": IdentifierKind.SOR,
    "sygehusafdelingsnummer": IdentifierKind.SHAK,
    "ydernummer": IdentifierKind.YDERNUMMER,
    "amt": IdentifierKind.AMT,
}

_LEVEL_OF_STATISTICAL_CODE = {"ggop1": "almen", "ggop2": "specialiseret", "ggop3": "rehabilitering"}
_LETTERS = frozenset({GGOP.element, CLINICAL_EMAIL.element, *RECEIPTS})
_LEVELS = frozenset(_LEVEL_OF_STATISTICAL_CODE.values())
_DATE, _TIME = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), re.compile(r"\d\d:\d\d", re.ASCII)

#: The children of an element by tag (see `index`).
Index = dict[str, list[etree._Element]]


# --- look-up ----------------------------------------------------------------------------------------------------------


def local_name(element: etree._Element) -> str:
    """Name without namespace."""
    return element.tag.rpartition("}")[2]


def namespace_of(element: etree._Element) -> str:
    """Namespace, or an empty text."""
    return element.tag[1:].partition("}")[0] if element.tag[0] == "{" else ""


def index(element: etree._Element | None) -> Index:
    """Children by tag, in order: one pass over them for any number of look-ups. None has no children."""
    found: Index = {}
    for each in element if element is not None else ():
        tag = each.tag
        if tag in found:
            found[tag].append(each)
        else:
            found[tag] = [each]
    return found


def children(index: Index, namespace: str, name: str) -> list[etree._Element]:
    """Children of that name: those in the namespace, or where there is none, those of the local name."""
    exact = index.get(f"{{{namespace}}}{name}")
    if exact is not None:
        return exact
    suffix = "}" + name
    return [each for tag, found in index.items() if tag.endswith(suffix) or tag == name for each in found]


def child(index: Index, namespace: str, name: str) -> etree._Element | None:
    """The first child of that name (see `children`), or None."""
    found = children(index, namespace, name)
    return found[0] if found else None


def text(element: etree._Element | None) -> str | None:
    """The element's own text without surrounding blanks; None when it is missing or empty."""
    stated = None if element is None else element.text
    return stated.strip() or None if stated else None


def source_path(element: etree._Element) -> str:
    """Path by local names, e.g. `/Emessage/RehabilitationPlan/JournalExcerpt[2]`; `[n]` from the second one on."""
    steps = []
    here: etree._Element | None = element
    while here is not None:
        name = local_name(here)
        nth = 1 + sum(1 for _ in here.itersiblings(f"{{*}}{name}", preceding=True))
        steps.append(name if nth == 1 else f"{name}[{nth}]")
        here = here.getparent()
    return "/" + "/".join(reversed(steps))


# --- Emessage ---------------------------------------------------------------------------------------------------------


def letters_of(root: etree._Element) -> tuple[etree._Element, ...]:
    """The letters of an Emessage, in order, of whatever kind: the known ones, and every child that has a Letter."""
    return tuple(
        element
        for element in root
        if local_name(element) in _LETTERS or next(element.iterchildren("{*}Letter"), None) is not None
    )


def read_sent(envelope: Index) -> LocalMoment | None:
    """`Sent` of the Envelope; None when it is missing or no date. A time that cannot be read is left out."""
    sent = index(child(envelope, NS100, "Sent"))
    day, clock = text(child(sent, NS100, "Date")) or "", text(child(sent, NS100, "Time")) or ""
    try:
        return LocalMoment(
            date.fromisoformat(day if _DATE.fullmatch(day) else ""),
            time.fromisoformat(clock) if _TIME.fullmatch(clock) else None,
        )
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class LetterIdentity:
    """What a letter says of itself. `quotable` False: no receipt can name it."""

    head: LetterHead
    sender: Party
    receiver: Party
    findings: tuple[Finding, ...]
    quotable: bool


def read_identity(element: etree._Element, kind: LetterType | None, path: str) -> LetterIdentity:
    """Identity of a letter with every fault in it at once; `kind` None: a letter that is not known here.

    `path` is the letter's source path.
    """
    line = line_of(element)
    structure = kind.namespace if kind else namespace_of(element)
    leaves = kind.leaves if kind else structure
    parts = index(element)
    letter = index(child(parts, structure, "Letter"))
    sender = index(child(parts, structure, "Sender"))
    receiver = index(child(parts, structure, "Receiver"))
    findings: list[Finding] = []
    quotable = True

    def stated(block: Index, namespace: str, place: str, field: str, limit: int) -> str:
        nonlocal quotable
        found = child(block, namespace, place.rpartition("/")[2])
        value = text(found)
        if value is not None and len(value) <= limit:
            return value
        quotable = False
        at = (f"{path}/{place}", line if found is None else line_of(found))
        if value is None:
            findings.append(faults.MSG_FIELD_MISSING.at(field, *at, field=place))
            return ""
        findings.append(faults.MSG_TOO_LONG.at(field, *at, field=place, limit=limit))
        return value

    letter_id = stated(letter, structure, "Letter/Identifier", "letter_id", ID_LENGTH)
    version = stated(letter, structure, "Letter/VersionCode", "version_code", VERSION_LENGTH)
    sender_gln = stated(sender, leaves, "Sender/EANIdentifier", "sender.gln", GLN_LENGTH)
    receiver_gln = stated(receiver, leaves, "Receiver/EANIdentifier", "receiver.gln", GLN_LENGTH)
    type_code = text(child(letter, structure, "TypeCode"))
    statistical = text(child(letter, structure, "StatisticalCode"))
    if kind is None:
        name = " ".join(filter(None, (type_code, version))) or local_name(element)
        findings.append(faults.MSG_UNKNOWN_ROOT.at("type_code", path, line, name=name))
    else:
        if type_code is None:
            place = f"{path}/Letter/TypeCode"
            findings.append(faults.MSG_FIELD_MISSING.at("type_code", place, line, field="Letter/TypeCode"))
        if other := _other_version(element, kind, type_code, version):
            findings.append(faults.MSG_VERSION.at("version_code", path, line, expected=kind.version_code, stated=other))
        findings += _gln_findings(parts, sender, receiver, kind, path)
    if kind is GGOP:
        findings += _statistical_finding(parts, statistical, path, line)
    return LetterIdentity(
        LetterHead(letter_id, version, type_code or "", statistical),
        _party(sender, structure, leaves, sender_gln),
        _party(receiver, structure, leaves, receiver_gln),
        tuple(findings),
        quotable,
    )


def _other_version(element: etree._Element, kind: LetterType, type_code: str | None, version: str) -> str | None:
    """What the letter says it is, when that is not the one version that is read."""
    namespace = namespace_of(element)
    if namespace != kind.namespace and namespace not in kind.tolerated:
        return namespace
    if (type_code or kind.type_code, version or kind.version_code) != (kind.type_code, kind.version_code):
        return " ".join(filter(None, (type_code, version)))
    return None


def _gln_findings(parts: Index, sender: Index, receiver: Index, kind: LetterType, path: str) -> Iterator[Finding]:
    """A warning for every location number of the letter without a right check digit, in whatever role."""

    def inside(name: str) -> Index:
        return index(child(parts, kind.namespace, name))

    def each(block: Index, field: str, name: str, place: str = "") -> Iterator[tuple[str, str, Index]]:
        for n, role in enumerate(children(block, kind.namespace, name)):
            yield f"{field}[{n}]", f"{place}{name}[{n + 1}]" if n else f"{place}{name}", index(role)

    gp, control = inside("GPCCReceiver"), inside("HospitalAmbulatoryControl")
    roles = (
        ("sender", "Sender", sender),
        ("receiver", "Receiver", receiver),
        ("gp", "GPCCReceiver/CCReceiver", index(child(gp, kind.namespace, "CCReceiver"))),
        *each(parts, "copy_receivers", "CCReceiver"),
        ("control.location", "HospitalAmbulatoryControl/Location", index(child(control, kind.namespace, "Location"))),
        ("contact_region", "ContactCounty", inside("ContactCounty")),
        ("contact_municipality", "ContactMunicipality", inside("ContactMunicipality")),
        *each(inside("FinalResult"), "final_result_receivers", "ResultReceiver", "FinalResult/"),
    )
    for field, place, role in roles:
        found = child(role, kind.leaves, "EANIdentifier")
        gln = text(found)
        if found is not None and gln and not gln_check_digit_ok(gln):
            at = (f"{path}/{place}/EANIdentifier", line_of(found))
            yield faults.MSG_GLN_CHECK_DIGIT.at(f"{field}.gln", *at, gln=gln)


def _statistical_finding(parts: Index, statistical: str | None, path: str, line: int | None) -> Iterator[Finding]:
    """A warning when StatisticalCode says another plan type than the plan."""
    level = text(child(parts, NS104, "TypeOfRehabilitationPlan")) or ""
    means = _LEVEL_OF_STATISTICAL_CODE.get((statistical or "").casefold())
    if statistical and level.casefold() in _LEVELS and means != level.casefold():
        place = f"{path}/Letter/StatisticalCode"
        yield faults.MSG_STATISTICAL_CODE.at("statistical_code", place, line, stated=statistical, level=level)


def _party(role: Index, structure: str, leaves: str, gln: str) -> Party:
    """Sender or receiver as far as it is needed to know who it is; the mapper reads the whole block."""
    number, code = text(child(role, leaves, "Identifier")), text(child(role, structure, "IdentifierCode"))
    return Party(
        gln=gln or None,
        identifiers=(organisation_identifier(number, code),) if number else (),
        name=text(child(role, leaves, "OrganisationName")),
        department=text(child(role, leaves, "DepartmentName")),
    )


def organisation_identifier(number: str, code: str | None) -> Identifier:
    """Identifier and IdentifierCode of an organisation; a kommunenummer in its four-digit form."""
    kind = IDENTIFIER_KINDS.get((code or "").casefold(), IdentifierKind.OTHER)
    value = kommunekode(number) if kind is IdentifierKind.KOMMUNEKODE else number
    return Identifier(kind, value, code if kind is IdentifierKind.OTHER else None)


def read_receipt(receipt: etree._Element) -> OriginalRef | None:
    """What an XCTL01, XCTL02 or XCTL03 points back to; None when it does not name the original envelope.

    Where envelope and letters are refused apart, the envelope's code comes first, then the first letter's.
    """
    namespace = namespace_of(receipt)
    original = index(child(index(receipt), namespace, "OriginalEmessage"))
    letters = [index(letter) for letter in children(original, namespace, "OriginalLetter")]

    def stated(block: Index, name: str) -> str | None:
        return text(child(block, namespace, name))

    envelope_id = stated(original, "OriginalEnvelopeIdentifier")
    if envelope_id is None:
        return None
    return OriginalRef(
        envelope_id=envelope_id,
        letter_ids=tuple(filter(None, (stated(letter, "OriginalLetterIdentifier") for letter in letters))),
        sender_gln=stated(index(child(original, namespace, "OriginalSender")), "EANIdentifier"),
        receiver_gln=stated(index(child(original, namespace, "OriginalReceiver")), "EANIdentifier"),
        positive=local_name(receipt) == POSITIVE_RECEIPT,
        refuse_code=next(filter(None, (stated(block, "RefuseCode") for block in (original, *letters))), None),
        refuse_text=refusal_text(
            str(part)
            for block in (original, *letters)
            if (refused := child(block, namespace, "RefuseText")) is not None
            for part in refused.itertext()
        ),
    )
