"""Acknowledgement: the answer that we give, or one that we get (MedCom XML: kvittering, receipt)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gtgateway.model.findings import Finding


class AcknowledgementCode(StrEnum):
    OK = "ok"
    TRANSIENT_ERROR = "transient-error"
    FATAL_ERROR = "fatal-error"


@dataclass(frozen=True, slots=True)
class LetterAnswer:
    """The verdict on one letter. Only refused letters carry findings; a sound one says why it was not processed."""

    letter_id: str
    version_code: str
    accepted: bool
    refuse_code: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What is decided, once, for one content; it can be rendered again in a new envelope for a resend."""

    code: AcknowledgementCode
    sender_gln: str  #: of the original message
    receiver_gln: str
    envelope_id: str  #: of the original message
    letters: tuple[LetterAnswer, ...]
    due: bool  #: False: the sender asked for no positive receipt


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that leave as the answer. `body` None: nothing is due (204)."""

    status: int
    media_type: str
    body: bytes | None
