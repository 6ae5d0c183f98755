"""The verdict as an acknowledgement, decided once for one content and rendered as often as it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.faults import FAULTS
from gtgateway.model.findings import Finding, Severity
from gtgateway.model.message import Envelope, LetterHead

#: MedCom's RefuseCodes; of several that apply the first is stated (readings no. 12). All faults stand in the text.
REFUSE_CODES = (
    "syntaksfejl",
    "problem_med_version",
    "ukendt_lokationsnummer",
    "problem_med_modtagerID",
    "ikke_specificeret",
)


def decide(envelope: Envelope, letters: Sequence[tuple[LetterHead, bool, tuple[Finding, ...]]]) -> Acknowledgement:
    """The acknowledgement of a message: positive when every letter (head, accepted, findings) is accepted.

    Of the findings only the errors of refused letters travel. A positive one is due only where the sender asked for it.
    """
    answers = tuple(_answer(*letter) for letter in letters)
    accepted = all(answer.accepted for answer in answers)
    return Acknowledgement(
        code=AcknowledgementCode.OK if accepted else AcknowledgementCode.FATAL_ERROR,
        sender_gln=envelope.sender.gln or "",
        receiver_gln=envelope.receiver.gln or "",
        envelope_id=envelope.envelope_id,
        letters=answers,
        due=not accepted or envelope.wants_positive_receipt,
    )


def _answer(head: LetterHead, accepted: bool, findings: tuple[Finding, ...]) -> LetterAnswer:
    if accepted:
        return LetterAnswer(head.letter_id, head.version_code, accepted=True)
    errors = tuple(finding for finding in findings if finding.severity is Severity.ERROR)
    return LetterAnswer(head.letter_id, head.version_code, False, refuse_code(errors), errors)


def refuse_code(errors: Iterable[Finding]) -> str:
    """MedCom's RefuseCode for these faults; a legal rule is `ikke_specificeret`."""
    codes = {FAULTS[error.rule].refuse_code for error in errors if error.rule in FAULTS}
    return next((code for code in REFUSE_CODES if code in codes), REFUSE_CODES[-1])
