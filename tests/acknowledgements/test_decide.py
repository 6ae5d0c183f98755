"""The verdict as an acknowledgement."""

from __future__ import annotations

import pytest

from gtgateway.acknowledgements.decide import REFUSE_CODES, decide, refuse_code
from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer
from gtgateway.model.faults import FAULTS
from gtgateway.model.findings import Bilingual, Finding, Layer, Severity
from gtgateway.model.message import Envelope, LetterHead
from gtgateway.model.plan import Party

LEGAL = Finding("GOP-CONTENT-01", Severity.ERROR, Layer.LAW, "level", Bilingual("Planen mangler niveau.", "No level."))
WARNING = faults.MSG_GLN_CHECK_DIGIT.at("receiver.gln", gln="5790000121440")
RECEIVER = faults.MSG_RECEIVER_UNKNOWN.at("receiver.gln", gln="5790000121440")
RECEIVER_ID = faults.MSG_RECEIVER_ID.at("receiver.identifiers", gln="5790000121441", identifier="101")
VERSION = faults.MSG_VERSION.at("version", expected="GGOP100", stated="GGOP101")
SYNTAX = faults.MSG_FIELD_MISSING.at("patient.identifier", field="CPR")
HEAD, OTHER = LetterHead("BRV1", "GGOP100", "GGOP"), LetterHead("BRV2", "GGOP100", "GGOP")


def _envelope(*, wants_positive_receipt: bool = True) -> Envelope:
    return Envelope(Party(gln="5790001354145"), Party(gln="5790000121441"), "KUV1", None, wants_positive_receipt)


def test_accepted() -> None:
    assert decide(_envelope(), [(HEAD, True, (WARNING,)), (OTHER, True, ())]) == Acknowledgement(
        AcknowledgementCode.OK,
        sender_gln="5790001354145",
        receiver_gln="5790000121441",
        envelope_id="KUV1",
        letters=(LetterAnswer("BRV1", "GGOP100", True), LetterAnswer("BRV2", "GGOP100", True)),
        due=True,
    )


def test_a_positive_one_is_due_only_when_asked_for_and_a_negative_one_always() -> None:
    envelope = _envelope(wants_positive_receipt=False)
    assert not decide(envelope, [(HEAD, True, ())]).due
    assert decide(envelope, [(HEAD, False, (LEGAL,))]).due


def test_refused_letters_carry_their_errors_and_nothing_else() -> None:
    neighbour = faults.MSG_OTHER_LETTER_REFUSED.at("letter_id")
    found = decide(_envelope(), [(HEAD, False, (WARNING, LEGAL, RECEIVER)), (OTHER, False, (neighbour,))])
    assert found.code is AcknowledgementCode.FATAL_ERROR
    assert found.letters == (
        LetterAnswer("BRV1", "GGOP100", False, "ukendt_lokationsnummer", (LEGAL, RECEIVER)),
        LetterAnswer("BRV2", "GGOP100", False, "ikke_specificeret", (neighbour,)),
    )


@pytest.mark.parametrize(
    "errors, code",
    [
        ([], "ikke_specificeret"),
        ([LEGAL], "ikke_specificeret"),
        ([LEGAL, RECEIVER_ID], "problem_med_modtagerID"),
        ([RECEIVER_ID, RECEIVER], "ukendt_lokationsnummer"),
        ([LEGAL, RECEIVER, VERSION], "problem_med_version"),
        ([VERSION, SYNTAX, LEGAL], "syntaksfejl"),
    ],
)
def test_refuse_code_is_the_first_that_applies(errors: list[Finding], code: str) -> None:
    assert refuse_code(errors) == code


def test_every_declared_fault_has_a_refuse_code_of_medcom() -> None:
    assert {fault.refuse_code for fault in FAULTS.values()} <= set(REFUSE_CODES)
