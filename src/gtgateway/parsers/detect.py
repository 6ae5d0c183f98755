"""What a document is. The content decides: its root and its first letter, never a media type or an envelope's word."""

from __future__ import annotations

import re
from enum import StrEnum

from lxml import etree

from gtgateway.parsers.medcom_xml import (
    CLINICAL_EMAIL,
    GGOP,
    RECEIPTS,
    LetterType,
    child,
    index,
    letters_of,
    local_name,
    namespace_of,
    text,
)

NS_FHIR = "http://hl7.org/fhir"
_JSON_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_PLAN_CODE = re.compile(r"GGOP\d", re.IGNORECASE | re.ASCII)
_PLAN_SUBJECT = "genoptræningsplan"


class Content(StrEnum):
    VANS = "vans"
    EMESSAGE = "emessage"  #: letters, of known and unknown kinds
    RECEIPT = "receipt"  #: an Emessage with nothing but receipts
    FHIR = "fhir"
    UNKNOWN = "unknown"


def is_fhir_json(body: bytes) -> bool:
    """A JSON object that names a resource type."""
    return _JSON_OBJECT.match(body) is not None and b'"resourceType"' in body


def content_of(root: etree._Element) -> Content:
    """What the root element and its children say the document is."""
    match local_name(root):
        case "VANSEnvelope":
            return Content.VANS
        case "Emessage":
            letters = letters_of(root)
            all_receipts = letters and all(local_name(letter) in RECEIPTS for letter in letters)
            return Content.RECEIPT if all_receipts else Content.EMESSAGE
    return Content.FHIR if namespace_of(root) == NS_FHIR else Content.UNKNOWN


def letter_type(letter: etree._Element) -> LetterType | None:
    """The kind of a letter by its element; None for one that is not read, a clinical e-mail without a plan included."""
    match local_name(letter):
        case GGOP.element:
            return GGOP
        case CLINICAL_EMAIL.element if _carries_plan(letter):
            return CLINICAL_EMAIL
    return None


def _carries_plan(email: etree._Element) -> bool:
    """MedCom's converter keeps the plan's StatisticalCode and calls the subject "Genoptræningsplan (<type>)"."""
    namespace, parts = CLINICAL_EMAIL.namespace, index(email)
    code = text(child(index(child(parts, namespace, "Letter")), namespace, "StatisticalCode")) or ""
    subject = text(child(index(child(parts, namespace, "AdditionalInformation")), namespace, "Subject")) or ""
    return _PLAN_CODE.fullmatch(code) is not None or subject.casefold().startswith(_PLAN_SUBJECT)
