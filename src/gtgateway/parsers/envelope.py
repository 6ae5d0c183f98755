"""Step 1 of the corridor: bytes to an envelope and its letters. Faults are findings; nothing is raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any

from lxml import etree

from gtgateway.model import faults
from gtgateway.model.findings import Bilingual, Finding
from gtgateway.model.message import (
    Action,
    Envelope,
    FhirEnvelope,
    Format,
    HospitalNotification,
    LetterHead,
    OriginalRef,
    VansEnvelope,
)
from gtgateway.parsers.detect import Content, content_of, is_fhir_json, letter_type
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.parsers.fhir_json import parse_json
from gtgateway.parsers.fhir_message import read_fhir_message
from gtgateway.parsers.hardened import Limits, line_of, parse_xml
from gtgateway.parsers.medcom_xml import (
    CLINICAL_EMAIL,
    GGOP,
    ID_LENGTH,
    NS100,
    LetterIdentity,
    LetterType,
    child,
    index,
    letters_of,
    local_name,
    namespace_of,
    read_identity,
    read_receipt,
    read_sent,
    source_path,
    text,
)
from gtgateway.parsers.vans import differences, read_vans

FHIR_JSON, FHIR_XML = "application/fhir+json", "application/fhir+xml"

_FORMATS: dict[LetterType | None, Format] = {GGOP: Format.GGOP, CLINICAL_EMAIL: Format.XDIS91}


@dataclass(frozen=True, slots=True)
class ParsedLetter:
    """One letter of an Emessage, not yet mapped. An error among the findings refuses it."""

    head: LetterHead
    element: Any  #: RehabilitationPlan, ClinicalEmail, or a letter of an unknown kind; FHIR: the Bundle as JSON
    digest: str  #: SHA-256 (hex) of the exclusive C14N of the element: same content, same digest
    source_path: str
    line: int | None
    findings: tuple[Finding, ...] = ()
    action: Action = Action.NEW


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message as far as its bytes and its envelope tell.

    `envelope` None: no receipt can be formed, and `findings` says why with every fault of the letters included; it is
    also None for a receipt. Where there is an envelope, `findings` holds no error: what refuses stands on a letter.
    """

    digest: str  #: SHA-256 (hex) of the received bytes
    size: int
    format: Format | None = None  #: None: not known, or no standard that is read
    vans: VansEnvelope | None = None
    envelope: Envelope | None = None
    letters: tuple[ParsedLetter, ...] = ()
    findings: tuple[Finding, ...] = ()
    receipt: OriginalRef | None = None
    root: etree._Element | None = None  #: of the payload when it came in a VANSEnvelope
    document: dict[str, Any] | None = None  #: FHIR: the resource as JSON, also when it came as XML
    fhir: FhirEnvelope | None = None
    notification: HospitalNotification | None = None


#: Makes the message of what was received so far: digest, size, and the VANS envelope where there is one.
_Received = Callable[..., ParsedMessage]


def read_envelope(body: bytes, limits: Limits) -> ParsedMessage:
    """Read received bytes: MedCom XML, bare or in a VANSEnvelope, a receipt, or something to refuse clearly."""
    return _read_document(partial(ParsedMessage, sha256(body).hexdigest(), len(body)), (), body, limits)


def _read_document(
    received: _Received, findings: tuple[Finding, ...], body: bytes, limits: Limits, vans: bool = False
) -> ParsedMessage:
    """What a document says, the received one or (`vans`) the payload of its VANSEnvelope."""
    if is_fhir_json(body):
        if len(body) > limits.max_bytes:
            what = Bilingual(f"{len(body)} byte", f"{len(body)} bytes")
            too_large = faults.XML_TOO_LARGE.at("format", what=what, limit=limits.max_bytes)
            return received(format=Format.FHIR, findings=(*findings, too_large))
        document, found = parse_json(body)
        return _read_fhir(received, (*findings, *found), document, FHIR_JSON)
    root, found = parse_xml(body, limits)
    findings += found
    if root is None:
        return received(findings=findings)
    match content_of(root):
        case Content.VANS if not vans:
            return _read_vans(received, findings, root, limits)
        case Content.EMESSAGE:
            return _read_emessage(partial(received, root=root), findings, root, limits)
        case Content.RECEIPT:
            return _read_receipt(partial(received, root=root, format=Format.RECEIPT), findings, root)
        case Content.FHIR:
            return _read_fhir(partial(received, root=root), findings, from_xml(root), FHIR_XML)
    return received(root=root, findings=(*findings, _unknown(local_name(root))))


def _read_fhir(
    received: _Received, findings: tuple[Finding, ...], document: dict[str, Any] | None, media_type: str
) -> ParsedMessage:
    if document is None:
        return received(format=Format.FHIR, findings=findings)
    message = read_fhir_message(document, media_type)
    received = partial(received, document=document, fhir=message.fhir)
    if message.receipt is not None:
        return received(format=Format.RECEIPT, findings=findings, receipt=message.receipt)
    if message.envelope is None or message.head is None:
        return received(
            format=Format.FHIR,
            findings=(*findings, *message.findings),
            envelope=message.envelope,
            notification=message.notification,
        )
    letter = ParsedLetter(message.head, document, message.digest, message.path, None, message.findings, message.action)
    return received(format=Format.FHIR, findings=findings, envelope=message.envelope, letters=(letter,))


def _unknown(name: str) -> Finding:
    return faults.MSG_UNKNOWN_ROOT.at("format", name=name)


def _read_vans(
    received: _Received, findings: tuple[Finding, ...], root: etree._Element, limits: Limits
) -> ParsedMessage:
    vans = read_vans(root)
    findings += vans.findings
    received = partial(received, vans=vans.envelope)
    if vans.receipt is not None:
        return received(findings=findings, format=Format.RECEIPT, receipt=vans.receipt)
    if vans.envelope is None or vans.payload is None:
        return received(findings=findings)
    inside = _read_document(received, findings, vans.payload, limits, vans=True)
    head = inside.letters[0].head if inside.letters else None
    different = differences(vans.envelope, inside.format, head, inside.envelope)
    return replace(inside, findings=(*inside.findings, *different))


def _read_receipt(received: _Received, findings: tuple[Finding, ...], root: etree._Element) -> ParsedMessage:
    """A receipt is never acknowledged: it has no envelope here."""
    first, *others = letters_of(root)
    if others:
        found = faults.MSG_SEVERAL_RECEIPTS.at("receipt", source_path(others[0]), line_of(others[0]))
        return received(findings=(*findings, found))
    receipt = read_receipt(first)
    if receipt is None:
        field = "OriginalEmessage/OriginalEnvelopeIdentifier"
        found = faults.MSG_FIELD_MISSING.at("receipt", f"{source_path(first)}/{field}", line_of(first), field=field)
        return received(findings=(*findings, found))
    return received(findings=findings, receipt=receipt)


def _read_emessage(
    received: _Received, findings: tuple[Finding, ...], root: etree._Element, limits: Limits
) -> ParsedMessage:
    elements = letters_of(root)
    if not elements:
        found = faults.MSG_NO_LETTER.at("letters", source_path(root), line_of(root))
        return received(findings=(*findings, found))
    if len(elements) > limits.max_letters:
        what = Bilingual("breve i kuverten", "letters in the envelope")
        found = faults.XML_TOO_LARGE.at("letters", source_path(root), what=what, limit=limits.max_letters)
        return received(findings=(*findings, found))
    kinds = [letter_type(element) for element in elements]
    known = next(filter(None, kinds), None)
    paths = [source_path(element) for element in elements]
    identities = [read_identity(*each) for each in zip(elements, kinds, paths, strict=True)]
    ids = [identity.head.letter_id for identity in identities]
    repeated = {letter_id for letter_id, times in Counter(ids).items() if times > 1} if len(ids) > 1 else ()
    letters = tuple(
        _letter(element, path, identity, identities[0], identity.head.letter_id in repeated)
        for element, path, identity in zip(elements, paths, identities, strict=True)
    )
    element = child(index(root), NS100, "Envelope")
    envelope = index(element)
    envelope_id = text(child(envelope, NS100, "Identifier"))
    findings += _unquotable(envelope_id, line_of(root if element is None else element))
    if known is not None:
        findings += tuple(_namespace_slips(root, element, elements, known))
    format = _FORMATS.get(known)
    if envelope_id is None or len(envelope_id) > ID_LENGTH or not all(identity.quotable for identity in identities):
        found_in_letters = (finding for letter in letters for finding in letter.findings)
        return received(format=format, findings=(*findings, *found_in_letters))
    return received(
        format=format,
        findings=findings,
        letters=letters,
        envelope=Envelope(
            identities[0].sender,
            identities[0].receiver,
            envelope_id,
            read_sent(envelope),
            text(child(envelope, NS100, "AcknowledgementCode")) == "pluspositivkvitt",
        ),
    )


def _letter(
    element: etree._Element, path: str, identity: LetterIdentity, first: LetterIdentity, repeated: bool
) -> ParsedLetter:
    """The letter with what its identity says, alone and beside the other letters of its envelope."""
    line = line_of(element)
    findings = list(identity.findings)
    if repeated and identity.head.letter_id:
        findings.append(faults.MSG_LETTER_REPEATED.at("letter_id", path, line, letter_id=identity.head.letter_id))
    if (identity.sender.gln, identity.receiver.gln) != (first.sender.gln, first.receiver.gln):
        findings.append(faults.MSG_PARTIES_DIFFER.at("sender.gln", path, line))
    return ParsedLetter(identity.head, element, sha256(_canonical(element)).hexdigest(), path, line, tuple(findings))


def _canonical(element: etree._Element) -> bytes:
    """Exclusive C14N of a letter; its plain XML where C14N has none, for it knows no relative namespace names."""
    try:
        return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    except etree.C14NError:
        return etree.tostring(element, encoding="UTF-8", with_tail=False)


def _unquotable(envelope_id: str | None, line: int | None) -> tuple[Finding, ...]:
    """Why no receipt can quote the envelope's id."""
    place, field = "/Emessage/Envelope/Identifier", "Envelope/Identifier"
    if envelope_id is None:
        return (faults.MSG_FIELD_MISSING.at("envelope_id", place, line, field=field),)
    if len(envelope_id) > ID_LENGTH:
        return (faults.MSG_TOO_LONG.at("envelope_id", place, line, field=field, limit=ID_LENGTH),)
    return ()


def _namespace_slips(
    root: etree._Element, envelope: etree._Element | None, letters: Iterable[etree._Element], kind: LetterType
) -> Iterator[Finding]:
    """Warnings for what stands in the wrong namespace outside the letters; the mapper warns of what is inside."""
    expected = [(root, kind.namespace), *((letter, kind.namespace) for letter in letters)]
    if envelope is not None:
        expected += [(envelope, kind.leaves), *((part, kind.leaves) for part in islice(envelope, 3))]
    for element, namespace in expected:
        if namespace_of(element) != namespace:
            place = source_path(element)
            yield faults.SCHEMA_NAMESPACE.at("envelope", place, line_of(element), element=local_name(element))
