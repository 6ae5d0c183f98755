"""Step 1 of the corridor: bytes to envelope and letters."""

from __future__ import annotations

from datetime import date, time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggop import CPR, NS104, emessage, ggop, letter
from gtgateway.model.findings import Severity
from gtgateway.model.message import Format, OriginalRef
from gtgateway.model.plan import LocalMoment
from gtgateway.parsers.envelope import ParsedMessage, read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.parsers.medcom_xml import NS_RECEIPT, NS_XDIS91, RECEIPT_NAMESPACES

LIMITS = Limits()


def read(body: bytes) -> ParsedMessage:
    return read_envelope(body, LIMITS)


def rules(message: ParsedMessage) -> list[str]:
    return [found.rule for found in (*message.findings, *(each for one in message.letters for each in one.findings))]


def receipt(kind: str, version: str, namespace: str = NS_RECEIPT, refusal: str = "", letter_refusal: str = "") -> bytes:
    return (
        f'<Emessage xmlns="{namespace}"><Envelope><Identifier>KVT1</Identifier></Envelope><{kind}>'
        f"<Letter><Identifier>KVB1</Identifier><VersionCode>{version}</VersionCode></Letter>"
        "<Sender><EANIdentifier>5790000121441</EANIdentifier></Sender>"
        "<Receiver><EANIdentifier>5790001354145</EANIdentifier></Receiver><OriginalEmessage>"
        "<OriginalEnvelopeIdentifier>KUV1</OriginalEnvelopeIdentifier>"
        "<OriginalSender><EANIdentifier>5790001354145</EANIdentifier></OriginalSender>"
        f"<OriginalReceiver><EANIdentifier>5790000121441</EANIdentifier></OriginalReceiver>{refusal}"
        f"<OriginalLetter><OriginalLetterIdentifier>A</OriginalLetterIdentifier>{letter_refusal}</OriginalLetter>"
        "<OriginalLetter><OriginalLetterIdentifier>B</OriginalLetterIdentifier></OriginalLetter>"
        f"</OriginalEmessage></{kind}></Emessage>"
    ).encode()


def email(subject: str = "Genoptræningsplan (almen)", version: str = "XD9134L", namespace: str = NS_XDIS91) -> bytes:
    return (
        f'<Emessage xmlns="{namespace}"><Envelope><Sent><Date>2026-11-06</Date><Time>11:05</Time></Sent>'
        "<Identifier>KUV1</Identifier><AcknowledgementCode>pluspositivkvitt</AcknowledgementCode></Envelope>"
        f"<ClinicalEmail><Letter><Identifier>BRV1</Identifier><VersionCode>{version}</VersionCode>"
        "<StatisticalCode>KORR</StatisticalCode><TypeCode>XDIS91</TypeCode></Letter>"
        "<Sender><EANIdentifier>5790001354145</EANIdentifier></Sender>"
        "<Receiver><EANIdentifier>5790000121441</EANIdentifier></Receiver>"
        f"<AdditionalInformation><Subject>{subject}</Subject></AdditionalInformation></ClinicalEmail></Emessage>"
    ).encode()


# --- plans ------------------------------------------------------------------------------------------------------------


def test_the_official_sample(shared: Path) -> None:
    """Appendix E 1: mark, default-namespace switch, instruction, comment; only its five bad GLNs are warned of."""
    body = (shared / "data/ggop-official-sample.xml").read_bytes()
    message = read(body)
    assert (message.format, message.digest, message.size) == (Format.GGOP, sha256(body).hexdigest(), len(body))
    assert message.envelope is not None
    assert message.envelope.envelope_id == "54382645943294"
    assert message.envelope.sent_at == LocalMoment(date(2009, 9, 4), time(10, 43))
    assert message.envelope.wants_positive_receipt
    (plan,) = message.letters
    assert (plan.head.letter_id, plan.head.statistical_code) == ("45249877239313", "GGOP2")
    assert (plan.source_path, plan.line) == ("/Emessage/RehabilitationPlan", 15)
    assert [(each.rule, each.severity, each.line) for each in plan.findings] == [
        ("GOP-MSG-10", Severity.WARNING, 67),
        ("GOP-MSG-10", Severity.WARNING, 78),
        ("GOP-MSG-10", Severity.WARNING, 169),
        ("GOP-MSG-10", Severity.WARNING, 301),
        ("GOP-MSG-10", Severity.WARNING, 358),
    ]


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "UTF-16"])
def test_the_official_sample_in_other_encodings(shared: Path, encoding: str) -> None:
    """Appendix E 2: the same content, hence the same digest of the letter."""
    body = (shared / "data/ggop-official-sample.xml").read_bytes()
    text = body.decode("utf-8-sig")
    # The sample's one character outside Latin-1 would be another content as a reference only in bytes, not in the tree.
    other = text.replace("UTF-8", encoding, 1).encode(encoding, "xmlcharrefreplace")
    assert read(other).letters[0].digest == read(body).letters[0].digest


def test_misdeclared_has_the_content_of_the_rightly_declared() -> None:
    """Appendix E 2: misdeclared, warned of and never mojibake."""
    right, wrong = read(ggop()), read(ggop(declared="ISO-8859-1"))
    assert rules(wrong) == ["GOP-XML-05"]
    assert wrong.letters[0].digest == right.letters[0].digest


def test_minuspositivkvitt_wants_no_positive_receipt() -> None:
    """Appendix E 15."""
    message = read(ggop(wants_positive=False))
    assert message.envelope is not None
    assert not message.envelope.wants_positive_receipt


def test_content_digest_knows_content_from_form() -> None:
    digest = read(ggop()).letters[0].digest
    assert read(ggop(envelope_id="KUV2", encoding="ISO-8859-1", sent=date(2026, 11, 7))).letters[0].digest == digest
    assert read(ggop().replace(b"<ConsentInformed>", b"<!-- x --><ConsentInformed  >")).letters[0].digest == digest
    assert read(ggop(need="Noget andet, som ikke stod der.")).letters[0].digest != digest
    assert read(ggop(letter_id="BRV2")).letters[0].digest != digest


def test_a_relative_namespace_has_a_digest_too() -> None:
    message = read(email().replace(b"http://rep", b"h//rep"))
    assert message.envelope is not None
    assert "GOP-MSG-02" in rules(message)
    assert len(message.letters[0].digest) == 64


def test_several_plans_are_letters_of_one_message() -> None:
    """Appendix E 12: two plans in one Emessage, one of them faulty."""
    message = read(emessage(letter(letter_id="A"), letter(letter_id="B", version="GGOP101")))
    assert message.envelope is not None
    assert [one.head.letter_id for one in message.letters] == ["A", "B"]
    assert [one.source_path for one in message.letters] == [
        "/Emessage/RehabilitationPlan",
        "/Emessage/RehabilitationPlan[2]",
    ]
    assert [[each.rule for each in one.findings] for one in message.letters] == [[], ["GOP-MSG-02"]]


def test_a_repeated_letter_id_is_said_of_each() -> None:
    message = read(emessage(letter(letter_id="A"), letter(letter_id="B"), letter(letter_id="A")))
    assert [[each.rule for each in one.findings] for one in message.letters] == [["GOP-MSG-13"], [], ["GOP-MSG-13"]]


def test_letters_of_other_parties_do_not_ride_along() -> None:
    other = letter(letter_id="B", sender_gln="5790002282157")
    message = read(emessage(letter(letter_id="A"), other))
    assert message.envelope is not None
    assert message.envelope.sender.gln == "5790001354145"
    assert [[each.rule for each in one.findings] for one in message.letters] == [[], ["GOP-MSG-14"]]


def test_more_letters_than_a_receipt_can_name() -> None:
    message = read(emessage(*(letter(letter_id=f"B{number}") for number in range(100))))
    assert (rules(message), message.envelope, message.letters) == (["GOP-XML-03"], None, ())
    assert "letters in the envelope; the limit is 99" in message.findings[0].text.en


def test_no_letter() -> None:
    assert rules(read(emessage())) == ["GOP-MSG-11"]


@pytest.mark.parametrize(
    ("old", "new", "rule", "field"),
    [
        ("<m:Identifier>KUV20261106001</m:Identifier>", "", "GOP-MSG-03", "envelope_id"),
        ("KUV20261106001", "KUV202611060001", "GOP-MSG-12", "envelope_id"),
        ("<Identifier>BRV20261106001</Identifier>", "<Identifier/>", "GOP-MSG-03", "letter_id"),
        ("<VersionCode>GGOP100</VersionCode>", "", "GOP-MSG-03", "version_code"),
        ("<m:EANIdentifier>5790001354145</m:EANIdentifier>", "", "GOP-MSG-03", "sender.gln"),
        ("<m:EANIdentifier>5790000121441</m:EANIdentifier>", "", "GOP-MSG-03", "receiver.gln"),
    ],
)
def test_without_what_a_receipt_quotes_there_is_no_envelope(old: str, new: str, rule: str, field: str) -> None:
    message = read(ggop().replace(old.encode(), new.encode()))
    assert (message.format, message.envelope, message.letters) == (Format.GGOP, None, ())
    assert [(found.rule, found.path) for found in message.findings] == [(rule, field)]
    assert message.findings[0].line is not None


def test_every_fault_of_every_letter_stands_on_an_unreadable_message() -> None:
    message = read(emessage(letter(letter_id=""), letter(letter_id="B", version="GGOP101"), envelope_id=""))
    assert rules(message) == ["GOP-MSG-03", "GOP-MSG-03", "GOP-MSG-02"]


def test_a_missing_type_code_is_an_error_on_the_letter() -> None:
    message = read(ggop().replace(b"<TypeCode>GGOP</TypeCode>", b""))
    assert message.envelope is not None
    assert rules(message) == ["GOP-MSG-03"]


@pytest.mark.parametrize("number", ["251248-9996", ""])
def test_the_citizens_number_is_left_to_the_law(number: str) -> None:
    """Appendix E 4: a CPR with a dash, or none, refuses by GOP-PAT-01, not here."""
    message = read(ggop(cpr=number))
    assert message.envelope is not None
    assert rules(message) == []


def test_root_and_envelope_in_the_wrong_namespace_are_read_with_warnings() -> None:
    """Appendix E 5: namespace slips outside the letter."""
    body = ggop().replace(b"m:Envelope>", b"Envelope>").replace(f'xmlns="{NS104}"'.encode(), b"", 1)
    message = read(body)
    assert message.envelope is not None
    assert message.envelope.envelope_id == "KUV20261106001"
    assert [(found.rule, found.severity, found.source_path) for found in message.findings] == [
        ("GOP-SCHEMA-04", Severity.WARNING, path)
        for path in ("/Emessage", "/Emessage/RehabilitationPlan", "/Emessage/Envelope")
    ]


def test_another_namespace_is_another_version() -> None:
    message = read(ggop().replace(NS104.encode(), b"urn:oio:medcom:municipality:1.0.5"))
    assert message.envelope is not None
    assert [found.rule for found in message.letters[0].findings] == ["GOP-MSG-02"]
    assert "urn:oio:medcom:municipality:1.0.5" in message.letters[0].findings[0].text.da


# --- other letters ----------------------------------------------------------------------------------------------------


def test_a_clinical_email_that_carries_a_plan() -> None:
    """Appendix E 13: XDIS91-converted plan."""
    message = read(email())
    assert (message.format, rules(message)) == (Format.XDIS91, [])
    assert message.envelope is not None
    assert message.letters[0].head.letter_id == "BRV1"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (email(version="XD9133L"), "GOP-MSG-02"),
        (email(namespace="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2012/03/28/"), "GOP-MSG-02"),
        (email(subject="Spørgsmål om hjælpemidler"), "GOP-MSG-01"),
        (email().replace(b"ClinicalEmail", b"DischargeLetter"), "GOP-MSG-01"),
    ],
)
def test_other_letters_are_refused_with_an_envelope_to_answer_to(body: bytes, rule: str) -> None:
    """Appendix E 13: what is not ours gets XCTL02 `problem_med_version`."""
    message = read(body)
    assert message.envelope is not None
    assert message.envelope.receiver.gln == "5790000121441"
    assert [found.rule for found in message.letters[0].findings] == [rule]
    assert message.letters[0].head.letter_id == "BRV1"


def test_dgop_is_refused_as_another_version() -> None:
    """Appendix E 13: DGOP."""
    message = read(ggop(type_code="DGOP", version="D1GOP10"))
    assert message.envelope is not None
    assert rules(message) == ["GOP-MSG-02"]


@pytest.mark.parametrize(
    ("body", "format", "rule"),
    [
        (b'{"resourceType": "Bundle"}', Format.FHIR, "GOP-MSG-01"),
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', Format.FHIR, "GOP-MSG-01"),
        (b"<html/>", None, "GOP-MSG-01"),
        (b"\xff\xd8\xff\xe0", None, "GOP-XML-06"),
        (b"<!DOCTYPE a><a/>", None, "GOP-XML-02"),
        (b"", None, "GOP-XML-06"),
    ],
)
def test_what_is_no_medcom_xml(body: bytes, format: Format | None, rule: str) -> None:
    message = read(body)
    assert (message.format, rules(message), message.envelope, message.letters) == (format, [rule], None, ())


# --- receipts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", RECEIPT_NAMESPACES)
@pytest.mark.parametrize(
    ("kind", "version", "positive"),
    [
        ("PositiveReceipt", "XC0330Q", True),
        ("NegativeReceipt", "XC0230Q", False),
        ("NegativeVansReceipt", "XC0130Q", False),
    ],
)
def test_receipts_point_back(namespace: str, kind: str, version: str, positive: bool) -> None:
    """Appendix E 13: a receipt sent to the plan endpoint; never acknowledged, so there is no envelope."""
    message = read(receipt(kind, version, namespace))
    assert (message.format, message.envelope, message.letters, message.findings) == (Format.RECEIPT, None, (), ())
    assert message.receipt == OriginalRef("KUV1", ("A", "B"), "5790001354145", "5790000121441", positive)


def test_the_envelopes_refusal_comes_before_the_letters() -> None:
    whole, one = "<RefuseCode>syntaksfejl</RefuseCode>", "<RefuseCode>problem_med_version</RefuseCode>"
    both, letter_only = (read(receipt("NegativeReceipt", "XC0230Q", NS_RECEIPT, each, one)) for each in (whole, ""))
    assert both.receipt is not None
    assert letter_only.receipt is not None
    assert (both.receipt.refuse_code, letter_only.receipt.refuse_code) == ("syntaksfejl", "problem_med_version")


def test_a_receipt_that_names_no_envelope() -> None:
    message = read(receipt("PositiveReceipt", "XC0330Q").replace(b"OriginalEnvelopeIdentifier", b"Original"))
    assert (message.format, message.receipt, rules(message)) == (Format.RECEIPT, None, ["GOP-MSG-03"])


def test_several_receipts_in_one_envelope_are_refused_not_half_read() -> None:
    body = receipt("PositiveReceipt", "XC0330Q")
    start, end = body.index(b"<PositiveReceipt>"), body.index(b"</Emessage>")
    message = read(body[:end] + body[start:end] + body[end:])
    assert (message.receipt, rules(message)) == (None, ["GOP-MSG-15"])


# --- anything ---------------------------------------------------------------------------------------------------------


def envelope_and_errors_agree(message: ParsedMessage) -> bool:
    """An envelope, and no error but on its letters; or none, and an error that says why (or a receipt)."""
    errors = [found for found in message.findings if found.severity is Severity.ERROR]
    return bool(errors) == (message.envelope is None and message.receipt is None)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    assert envelope_and_errors_agree(read(body))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([ggop(), email(), receipt("NegativeReceipt", "XC0230Q")]),
    st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=4),
)
def test_mutated_messages_never_raise_nor_quote_the_citizen(body: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for start, length, inserted in cuts:
        body = body[:start] + inserted + body[start + length :]
    message = read(body)
    assert envelope_and_errors_agree(message)
    for found in (*message.findings, *(each for one in message.letters for each in one.findings)):
        assert CPR not in found.text.da + found.text.en
