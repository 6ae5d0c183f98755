"""The checklist of MedCom XML messages that every gateway meets, line by line, judged end to end.

The numbers are those of the checklist (medcom-xml.md, Appendix E). Where a line is about what came before, the
messages go over HTTP to a gateway with an archive; else `assess` judges them as received on a fixed day.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from lxml import etree

from ggop import CPR, DISCHARGED, NS104, RECEIVER_GLN, Role, emessage, ggop, letter
from gtgateway.bootstrap import tools_from
from gtgateway.convert import Target, render
from gtgateway.demo import in_vans_envelope
from gtgateway.model.findings import Severity
from gtgateway.model.identifiers import Cpr, ReplacementNumber
from gtgateway.model.outcome import LetterOutcome, OrderBasis, Outcome, Verdict
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.pipeline import assess
from gtgateway.settings import Settings

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
ODENSE = {"Authorization": "Bearer dev:5790000121441"}
RECEIVED = datetime(2026, 11, 7, 9, 30, tzinfo=COPENHAGEN)
TOOLS = tools_from(Settings())
OTHER_HOSPITAL = Role("5790999300063", "9901370", "sygehusafdelingsnummer", "Sygehus Trekanten")


def judged(body: bytes, received: datetime = RECEIVED) -> Outcome:
    return assess(body, TOOLS, received)


def only(outcome: Outcome) -> LetterOutcome:
    (letter_outcome,) = outcome.letters
    return letter_outcome


def plan_of(outcome: Outcome):
    plan = only(outcome).letter.plan
    assert plan is not None
    return plan


def rules(outcome: Outcome, severity: Severity) -> set[str]:
    return {finding.rule for finding in outcome.all_findings if finding.severity is severity}


def errors(outcome: Outcome) -> set[str]:
    return rules(outcome, Severity.ERROR)


def warnings(outcome: Outcome) -> set[str]:
    return rules(outcome, Severity.WARNING)


def refuse_code(outcome: Outcome) -> str | None:
    assert outcome.reply.body is not None
    return etree.fromstring(outcome.reply.body).findtext(".//{*}OriginalLetter/{*}RefuseCode")


@pytest.fixture(scope="module")
def official(shared: Path) -> bytes:
    return (shared / "data" / "ggop-official-sample.xml").read_bytes()


# --- 1 and 2: bytes ---------------------------------------------------------------------------------------------------


def test_1_official_sample_with_bom_namespace_switch_instruction_and_comment(official: bytes) -> None:
    assert official.startswith(b"\xef\xbb\xbf<?xml")
    assert b"<?xml-stylesheet" in official
    assert b"<!--" in official
    assert re.search(rb'<mm104:AbilityAtDischargeExtended [^>]*\bxmlns="urn:oio:medcom:municipality:1.0.0"', official)
    outcome = judged(official)
    places = {f.rule: (f.source_path, f.line) for f in outcome.all_findings if f.severity is Severity.ERROR}
    stay = "/Emessage/RehabilitationPlan/CurrentHospitalContact/ExpectedEnd/Date"
    assert places == {"GOP-REGIME-02": (stay, 159), "GOP-ROUTE-04": ("/Emessage/RehabilitationPlan/Receiver", 55)}
    assert not any(finding.rule.startswith("GOP-SCHEMA") for finding in outcome.all_findings)
    assert only(outcome).order_basis is OrderBasis.EARLIEST_LIVE
    extended = plan_of(outcome).function_extended
    assert extended is not None
    assert extended.plain.startswith("8a. Kroppens funktioner og anatomi\n- Mentale funktioner")
    assert extended.html.startswith("<strong>8a. Kroppens funktioner og anatomi</strong>")


DANISH = "Æblegrød på øen: gang – 50 m, “stok” 5 €"


@pytest.mark.parametrize(
    "encoding, bom", (("UTF-8", False), ("UTF-8", True), ("ISO-8859-1", False), ("windows-1252", False))
)
def test_2_every_declared_encoding_gives_the_same_plan(encoding: str, bom: bool) -> None:
    outcome = judged(ggop(need=DANISH, encoding=encoding, bom=bom))
    assert outcome.verdict is Verdict.ACCEPTED
    reference = judged(ggop(need=DANISH))
    assert plan_of(outcome) == plan_of(reference)
    assert outcome.reading.content_digest == reference.reading.content_digest
    need = plan_of(outcome).rehabilitation_need
    assert need is not None
    assert need.plain == DANISH


def test_2_the_official_sample_in_other_encodings_is_the_same_letter(official: bytes) -> None:
    text = official.decode("utf-8-sig")
    reference = judged(official)
    for encoding in ("ISO-8859-1", "windows-1252"):
        body = text.replace("UTF-8", encoding, 1).replace("utf-8", encoding, 1).encode(encoding, "xmlcharrefreplace")
        outcome = judged(body)
        assert outcome.reading.content_digest == reference.reading.content_digest
        assert [f.rule for f in outcome.all_findings] == [f.rule for f in reference.all_findings]


def test_2_utf_8_that_says_latin_1_is_told_of() -> None:
    assert "GOP-XML-05" in warnings(judged(ggop(need="Nedsat styrke på højre side", declared="ISO-8859-1")))


@pytest.mark.parametrize("encoding", ("ISO-8859-1", "windows-1252"))
def test_2_latin_1_that_says_utf_8_is_refused(encoding: str) -> None:
    outcome = judged(ggop(encoding=encoding, declared="UTF-8"))
    assert outcome.verdict is Verdict.UNREADABLE
    assert errors(outcome) == {"GOP-XML-04"}


# --- 3: type of plan --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "level, receiver, kind",
    (
        (Level.ALMEN, (RECEIVER_GLN, "461"), "kommunenummer"),
        (Level.SPECIALISERET, (OTHER_HOSPITAL.gln, OTHER_HOSPITAL.number), "sygehusafdelingsnummer"),
        (Level.REHABILITERING, (RECEIVER_GLN, "461"), "kommunenummer"),
    ),
)
def test_3_every_level(level: Level, receiver: tuple[str, str], kind: str) -> None:
    outcome = judged(ggop(level=level, receiver=receiver, receiver_kind=kind))
    assert errors(outcome) == set()
    assert plan_of(outcome).level is level
    assert "GOP-MSG-09" not in warnings(outcome)


def test_3_an_unknown_level_is_refused_by_its_own_word() -> None:
    outcome = judged(ggop(level="udvidet"))
    assert errors(outcome) == {"GOP-CONTENT-02"}
    assert refuse_code(outcome) == "ikke_specificeret"
    assert b'"udvidet"' in (outcome.reply.body or b"")


def test_3_no_level_is_refused() -> None:
    assert errors(judged(ggop(level=None))) == {"GOP-CONTENT-01"}


@pytest.mark.parametrize("level, statistical", (("almen", "GGOP2"), ("rehabilitering", "GGOP1"), ("almen", "GGOP9")))
def test_3_a_statistical_code_that_contradicts_the_type_warns_and_the_type_decides(
    level: str, statistical: str
) -> None:
    outcome = judged(ggop(level=level, statistical=statistical))
    assert outcome.verdict is Verdict.ACCEPTED
    assert "GOP-MSG-09" in warnings(outcome)
    assert plan_of(outcome).level == level


# --- 4: the patient's number ------------------------------------------------------------------------------------------


def test_4_a_replacement_number() -> None:
    outcome = judged(ggop(replacement="251248ABC1"))
    assert outcome.verdict is Verdict.ACCEPTED
    assert plan_of(outcome).patient.identifier == ReplacementNumber("251248ABC1")


def test_4_a_replacement_number_without_a_birth_date_is_no_fault() -> None:
    assert judged(ggop(replacement="UKENDT0001")).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("cpr", (CPR, "1205829995", "2911829996", "0201609996"))
def test_4_a_number_that_fails_modulus_11_is_no_fault(cpr: str) -> None:
    weights = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    assert sum(weight * int(digit) for weight, digit in zip(weights, cpr, strict=True)) % 11 != 0
    outcome = judged(ggop(cpr=cpr))
    assert outcome.verdict is Verdict.ACCEPTED
    assert plan_of(outcome).patient.identifier == Cpr(cpr)


def test_4_a_number_with_a_dash_breaks_the_core() -> None:
    outcome = judged(ggop(cpr="251248-9996"))
    assert outcome.verdict is Verdict.REJECTED
    assert "GOP-PAT-01" in errors(outcome)
    assert b"251248-9996" not in (outcome.reply.body or b"")


# --- 5 and 6: slips of form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "right, wrong",
    (
        ("<m:PersonSurnameName>Berggren</m:PersonSurnameName>", "<PersonSurnameName>Berggren</PersonSurnameName>"),
        (
            "<IdentifierCode>sygehusafdelingsnummer</IdentifierCode>",
            "<m:IdentifierCode>sygehusafdelingsnummer</m:IdentifierCode>",
        ),
        (f"<ExpectedEnd><Date>{DISCHARGED}</Date>", f"<ExpectedEnd><m:Date>{DISCHARGED}</m:Date>"),
        (f"<m:Date>{DISCHARGED}</m:Date><m:Time>10:58", f"<Date>{DISCHARGED}</Date><m:Time>10:58"),
        ("<m:PatientHealthSummary>Hoft", "<PatientHealthSummary>Hoft"),
    ),
)
def test_5_a_wrong_namespace_warns_and_nothing_is_lost(right: str, wrong: str) -> None:
    body = ggop().decode()
    assert body.count(right) == 1
    slip = body.replace(right, wrong)
    if "PatientHealthSummary" in right:
        slip = slip.replace("</m:PatientHealthSummary>", "</PatientHealthSummary>")
    outcome = judged(slip.encode())
    assert outcome.verdict is Verdict.ACCEPTED
    assert "GOP-SCHEMA-04" in warnings(outcome)
    assert plan_of(outcome) == plan_of(judged(ggop()))


def test_6_another_order_warns_and_nothing_is_lost() -> None:
    consent = "<ConsentInformed>ja</ConsentInformed>"
    body = ggop().decode().replace(consent, "")
    body = body.replace("<TypeOfRehabilitationPlan>", consent + "<TypeOfRehabilitationPlan>")
    outcome = judged(body.encode())
    assert outcome.verdict is Verdict.ACCEPTED
    (finding,) = (f for f in outcome.all_findings if f.rule == "GOP-SCHEMA-03")
    assert finding.source_path is not None
    assert finding.source_path.startswith("/Emessage/RehabilitationPlan/")
    assert plan_of(outcome) == plan_of(judged(ggop()))


# --- 7: diagnoses -----------------------------------------------------------------------------------------------------


def diagnosis(code: str, kind: str = "ICD10kode", rank: str = "Primary") -> str:
    return (
        f"<{rank}Diagnosis><Code>{code}</Code><TypeCode>{kind}</TypeCode><Text>Diagnose {code}</Text></{rank}Diagnosis>"
    )


def with_diagnoses(*groups: str, text: str = "") -> Outcome:
    inner = "".join(f"<ICD10Diagnose>{group}</ICD10Diagnose>" for group in groups)
    return judged(ggop(sections={"ICD10Diagnoses": f"<ICD10Diagnoses>{inner}{text}</ICD10Diagnoses>"}))


def recorded_diagnoses(outcome: Outcome) -> list[tuple[str, str | None]]:
    record = only(outcome).record
    assert record is not None
    return [(each.rank, each.code or each.text) for each in record.diagnoses]


def test_7_no_diagnoses_warns() -> None:
    outcome = judged(ggop(sections={"ICD10Diagnoses": None}))
    assert outcome.verdict is Verdict.ACCEPTED
    assert "GOP-CONTENT-19" in warnings(outcome)
    assert recorded_diagnoses(outcome) == []


def test_7_a_diagnosis_in_words_only() -> None:
    outcome = with_diagnoses(text="<Text>Slidgigt i hoften</Text>")
    assert outcome.verdict is Verdict.ACCEPTED
    assert "GOP-CONTENT-19" in warnings(outcome)
    assert recorded_diagnoses(outcome) == [("text", "Slidgigt i hoften")]


def test_7_one_primary_and_ten_secondary() -> None:
    secondary = [f"DZ50{number}" for number in range(10)]
    outcome = with_diagnoses(diagnosis("DM169") + "".join(diagnosis(code, rank="Secondary") for code in secondary))
    assert outcome.verdict is Verdict.ACCEPTED
    assert recorded_diagnoses(outcome) == [("primary", "DM169"), *(("secondary", code) for code in secondary)]


def test_7_a_code_said_twice_stands_once_in_the_record_and_twice_in_the_plan() -> None:
    outcome = with_diagnoses(diagnosis("DM169") + diagnosis("DM169", rank="Secondary"), diagnosis("DM169"))
    assert recorded_diagnoses(outcome) == [("primary", "DM169")]
    assert len(plan_of(outcome).diagnoses) == 2


@pytest.mark.parametrize("kind", ("icd10kode", "ICD10Kode", "SKSdiagnosekode"))
def test_7_the_type_of_code_is_read_in_any_spelling(kind: str) -> None:
    outcome = with_diagnoses(diagnosis("DM169", kind))
    assert outcome.verdict is Verdict.ACCEPTED
    assert not any(finding.rule.startswith("GOP-MAP") for finding in outcome.all_findings)
    assert recorded_diagnoses(outcome) == [("primary", "DM169")]


# --- 8: the deadline in words -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deadline:
    """A text, what is read in it, and the day that training must start by."""

    text: str
    start_by: date
    latest: date | None = None
    earliest: date | None = None
    warning: str | None = None


SEVENTH_DAY = date(2026, 11, 13)
DEADLINES = (
    Deadline("", SEVENTH_DAY),
    Deadline("hurtigst muligt", SEVENTH_DAY, warning="GOP-DATE-04"),
    Deadline("Senest 10.11.2026 af hensyn til heling.", date(2026, 11, 10), latest=date(2026, 11, 10)),
    Deadline("Tidligst om 6 uger, når bruddet er helet.", date(2026, 12, 25), earliest=date(2026, 12, 18)),
    Deadline("Inden 5 hverdage på grund af stivhed.", SEVENTH_DAY, latest=date(2026, 11, 13)),
    # The faulty deadline moves no clock; the deferral does.
    Deadline(
        "Tidligst 01.12.2026 på grund af sår, senest 20.11.2026.",
        date(2026, 12, 8),
        latest=date(2026, 11, 20),
        earliest=date(2026, 12, 1),
        warning="GOP-DATE-09",
    ),
)


@pytest.mark.parametrize("case", DEADLINES, ids=lambda case: case.text or "empty")
def test_8_deadline_texts(case: Deadline) -> None:
    outcome = judged(ggop(deadline=case.text))
    assert outcome.verdict is Verdict.ACCEPTED
    deadline, clocks = plan_of(outcome).start_deadline, only(outcome).deadlines
    assert clocks is not None
    assert (deadline.latest, deadline.earliest, clocks.start_by) == (case.latest, case.earliest, case.start_by)
    assert (deadline.text.plain if deadline.text else "") == case.text
    about_deadline = {rule for rule in warnings(outcome) if rule.startswith("GOP-DATE")}
    assert about_deadline == ({case.warning} if case.warning else set())


# --- 9: the stay ------------------------------------------------------------------------------------------------------


def test_9_an_end_in_words_is_read() -> None:
    outcome = judged(ggop(discharged=None, end_text="Forventes udskrevet 06.11.2026"))
    assert outcome.verdict is Verdict.ACCEPTED
    assert only(outcome).order_basis is OrderBasis.EXPECTED_DISCHARGE
    assert plan_of(outcome).discharged_on == DISCHARGED
    assert "GOP-DATE-01" in warnings(outcome)


def test_9_an_end_in_words_without_a_date_is_estimated_from_the_plan_date() -> None:
    outcome = judged(ggop(discharged=None, written=DISCHARGED, end_text="når hjemmet er klar"))
    assert outcome.verdict is Verdict.ACCEPTED
    assert only(outcome).order_basis is OrderBasis.PLAN_DATE
    assert "GOP-DATE-01" in warnings(outcome)
    deadlines = only(outcome).deadlines
    assert deadlines is not None
    assert deadlines.estimated
    assert deadlines.start_by == DISCHARGED + timedelta(days=7)


def test_9_no_stay_at_all_is_estimated_or_refused_by_setting() -> None:
    body = ggop(sections={"CurrentHospitalContact": None})
    outcome = judged(body)
    assert outcome.verdict is Verdict.ACCEPTED
    assert only(outcome).order_basis is OrderBasis.PLAN_DATE
    record = only(outcome).record
    assert record is not None
    assert "estimated_dates" in record.flags
    strict = assess(body, tools_from(Settings(xml_without_discharge="refuse")), RECEIVED)
    assert errors(strict) == {"GOP-DATE-01"}


def test_9_an_end_before_the_start_warns() -> None:
    body = ggop().replace(b"<Start><Date>2026-11-02</Date>", b"<Start><Date>2026-11-12</Date>")
    outcome = judged(body)
    assert outcome.verdict is Verdict.ACCEPTED
    assert any(f.severity is Severity.WARNING and "ExpectedEnd" in (f.source_path or "") for f in outcome.all_findings)


# --- 10: copies -------------------------------------------------------------------------------------------------------

GP = Role("5790999400015", "990002", "ydernummer", "Lægehuset Odense Midtby")


def recipients(outcome: Outcome) -> list[tuple[str, str]]:
    route = only(outcome).route
    assert route is not None
    return [(entry.role, entry.organisation.id) for entry in route.entries if entry.deliver]


MUNICIPALITY = [("action", "odense-kommune"), ("authority", "odense-kommune")]


def test_10_a_gp_gets_a_copy() -> None:
    assert recipients(judged(ggop(gp=GP))) == [*MUNICIPALITY, ("copy", "laegehuset-odense-midtby")]


def test_10_a_deselected_gp_gets_none() -> None:
    outcome = judged(ggop())
    assert recipients(outcome) == MUNICIPALITY
    assert plan_of(outcome).gp_deselected
    assert "GOP-PAT-06" in rules(outcome, Severity.INFORMATION)


def test_10_no_word_of_a_gp_is_told() -> None:
    outcome = judged(ggop(sections={"GPCCReceiver": None}))
    assert recipients(outcome) == MUNICIPALITY
    assert not plan_of(outcome).gp_deselected
    assert "GOP-ROUTE-06" in rules(outcome, Severity.INFORMATION)


def test_10_five_receivers_of_the_final_result_are_shown_and_sent_nothing() -> None:
    five = [Role(f"579099940{n:04}", f"99000{n}", "ydernummer", f"Lægehus {n}") for n in range(5)]
    section = "".join(f"<ResultReceiver>{role.xml()}</ResultReceiver>" for role in five)
    outcome = judged(ggop(sections={"FinalResult": f"<FinalResult>{section}</FinalResult>"}))
    assert outcome.verdict is Verdict.ACCEPTED
    assert recipients(outcome) == MUNICIPALITY
    record = only(outcome).record
    assert record is not None
    assert [party.name for party in record.final_result_receivers] == [role.name for role in five]


# --- 11: receiver and residence ---------------------------------------------------------------------------------------


def test_11_an_unknown_receiver() -> None:
    outcome = judged(ggop(receiver=("5790009999999", "461")))
    assert "GOP-MSG-04" in errors(outcome)
    assert refuse_code(outcome) == "ukendt_lokationsnummer"


def test_11_a_known_location_number_with_the_number_of_another_municipality() -> None:
    outcome = judged(ggop(receiver=(RECEIVER_GLN, "751")))
    assert "GOP-MSG-05" in errors(outcome)
    assert refuse_code(outcome) == "problem_med_modtagerID"


def test_11_a_contact_elsewhere_is_told_and_the_receiver_gets_the_plan() -> None:
    outcome = judged(ggop(municipality="Aarhus Kommune"))
    assert outcome.verdict is Verdict.ACCEPTED
    assert {"GOP-CONTENT-12", "GOP-ROUTE-08"} <= warnings(outcome)
    assert recipients(outcome) == MUNICIPALITY
    record = only(outcome).record
    assert record is not None
    assert record.residence_doubtful
    assert "residence_doubtful" in record.flags


def test_11_contact_and_postcode_elsewhere_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "postcodes.csv"
    table.write_text("postcode,kommunekode\n8000,0751\n", encoding="utf-8")
    tools = tools_from(Settings(postcodes=table))
    body = ggop(municipality="Aarhus Kommune", district=("8000", "Aarhus C"))
    assert "GOP-ROUTE-08" in errors(assess(body, tools, RECEIVED))


# --- 12: what came before ---------------------------------------------------------------------------------------------


def yesterday() -> date:
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    return client.post("/messages", content=body, headers=HOSPITAL)


def pulled(client: httpx.Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get("/records", headers=ODENSE).json()["records"]
    return found


def stated(answer: httpx.Response, name: str) -> str | None:
    return etree.fromstring(answer.content).findtext(f".//{{*}}{name}")


def refusal(answer: httpx.Response) -> str:
    return " ".join("".join(each.itertext()) for each in etree.fromstring(answer.content).iterfind(".//{*}RefuseText"))


def test_12_an_exact_resend_and_the_same_letter_in_a_new_envelope(client: httpx.Client) -> None:
    first = post(client, ggop(discharged=yesterday(), envelope_id="KUV1"))
    again = post(client, ggop(discharged=yesterday(), envelope_id="KUV1"))
    moved = post(client, ggop(discharged=yesterday(), envelope_id="KUV2"))
    assert [each.status_code for each in (first, again, moved)] == [201, 201, 201]
    place = first.headers["Location"]
    assert again.headers["Duplicate-Of"] == moved.headers["Duplicate-Of"] == place
    assert [stated(each, "OriginalEnvelopeIdentifier") for each in (first, again, moved)] == ["KUV1", "KUV1", "KUV2"]
    own = {etree.fromstring(each.content).findtext("{*}Envelope/{*}Identifier") for each in (first, again, moved)}
    assert len(own) == 3
    assert len(pulled(client)) == 1


def test_12_changed_text_under_an_accepted_letter_id(client: httpx.Client) -> None:
    post(client, ggop(discharged=yesterday(), envelope_id="KUV1"))
    (before,) = pulled(client)
    changed = post(client, ggop(discharged=yesterday(), envelope_id="KUV2", need="Behov for gangtræning i stedet for."))
    assert changed.status_code == 422
    assert "GOP-MSG-06" in refusal(changed)
    assert stated(changed, "OriginalEnvelopeIdentifier") == "KUV2"
    assert pulled(client) == [before]


def test_12_changed_text_under_a_refused_letter_id(client: httpx.Client) -> None:
    assert post(client, ggop(discharged=yesterday(), envelope_id="KUV1", need="")).status_code == 422
    changed = post(client, ggop(discharged=yesterday(), envelope_id="KUV2"))
    assert changed.status_code == 201
    state = client.get(changed.headers["Location"], headers=HOSPITAL).json()
    assert "GOP-MSG-07" in {finding["rule"] for each in state["letters"] for finding in each["findings"]}
    assert len(pulled(client)) == 1


def test_12_a_reused_vans_envelope_id(client: httpx.Client) -> None:
    first = in_vans_envelope(ggop(discharged=yesterday(), letter_id="BREV1"))
    envelope_id = re.search(rb"<EnvelopeIdentifier>.*?</EnvelopeIdentifier>", first)
    assert envelope_id is not None
    second = in_vans_envelope(ggop(discharged=yesterday(), letter_id="BREV2"))
    second = re.sub(rb"<EnvelopeIdentifier>.*?</EnvelopeIdentifier>", envelope_id[0], second)
    assert post(client, first).status_code == 201
    answer = post(client, second)
    assert answer.status_code == 422
    payload = etree.fromstring(base64.b64decode(stated(answer, "Data") or ""))
    assert "GOP-VANS-05" in "".join(payload.find(".//{*}RefuseText").itertext())  # type: ignore[union-attr]
    assert len(pulled(client)) == 1


def test_12_the_same_letter_to_another_receiver_is_a_copy(client: httpx.Client) -> None:
    post(client, ggop(discharged=yesterday(), envelope_id="KUV1"))
    copy = post(client, ggop(discharged=yesterday(), envelope_id="KUV2", receiver=("5790001659592", "461")))
    assert copy.status_code == 201
    state = client.get(copy.headers["Location"], headers=HOSPITAL).json()
    assert [each["action"] for each in state["letters"]] == ["copy"]
    assert len(pulled(client)) == 1


def test_12_a_new_letter_for_the_same_stay_is_a_new_plan_and_says_so(client: httpx.Client) -> None:
    post(client, ggop(discharged=yesterday(), letter_id="BREV1", envelope_id="KUV1"))
    new = post(client, ggop(discharged=yesterday(), letter_id="BREV2", envelope_id="KUV2"))
    assert new.status_code == 201
    state = client.get(new.headers["Location"], headers=HOSPITAL).json()
    assert "GOP-SCOPE-05" in {finding["rule"] for each in state["letters"] for finding in each["findings"]}
    assert len({each["record_id"] for each in pulled(client)}) == 2


def test_12_two_plans_one_of_them_faulty_all_or_nothing(client: httpx.Client) -> None:
    sound = letter(discharged=yesterday(), letter_id="BREV1")
    faulty = letter(discharged=yesterday(), letter_id="BREV2", need="")
    answer = post(client, emessage(sound, faulty, envelope_id="KUV1"))
    assert answer.status_code == 422
    found = {
        each.findtext("{*}OriginalLetterIdentifier"): "".join(each.find("{*}RefuseText").itertext())
        for each in etree.fromstring(answer.content).iterfind(".//{*}OriginalLetter")
    }
    assert "Ikke behandlet: en anden plan i samme kuvert er afvist" in found["BREV1"]
    assert "GOP-CONTENT-05" in found["BREV2"]
    assert pulled(client) == []
    mended = post(client, emessage(sound, letter(discharged=yesterday(), letter_id="BREV2"), envelope_id="KUV2"))
    assert mended.status_code == 201
    assert len(pulled(client)) == 2


# --- 13: other messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version, kind", (("GGOP101", "GGOP"), ("GGOP100", "DGOP"), ("D1GOP10", "DGOP")))
def test_13_another_version_or_type_is_refused_as_such(version: str, kind: str) -> None:
    outcome = judged(ggop(version=version, type_code=kind))
    assert errors(outcome) == {"GOP-MSG-02"}
    assert refuse_code(outcome) == "problem_med_version"


def test_13_a_plan_converted_to_clinical_email_is_read_and_marked() -> None:
    first = judged(ggop())
    envelope = first.reading.envelope
    assert envelope is not None
    mail = render(only(first), envelope, Target.XDIS91, RECEIVED, TOOLS.directory)
    assert mail is not None
    outcome = judged(mail)
    assert outcome.reading.format_name == "xdis91"
    assert outcome.verdict is Verdict.ACCEPTED
    record = only(outcome).record
    assert record is not None
    assert record.reconstructed
    assert plan_of(outcome).rehabilitation_need == plan_of(first).rehabilitation_need


@pytest.mark.parametrize("name", ("xctl02-negative-receipt.xml", "xctl03-positive-receipt.xml"))
def test_13_a_receipt_sent_as_a_plan_is_taken_and_never_acknowledged(
    client: httpx.Client, shared: Path, name: str
) -> None:
    answer = post(client, (shared / "data" / "samples" / name).read_bytes())
    assert (answer.status_code, answer.content) == (204, b"")


# --- 14: attacks (test_hostile.py sends them, and more, to a real server) ---------------------------------------------

PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
ATTACKS = {
    "dtd": (f'{PROLOGUE}<!DOCTYPE Emessage SYSTEM "http://192.0.2.1/x.dtd"><Emessage xmlns="{NS104}"/>', "GOP-XML-02"),
    "external entity": (
        f'{PROLOGUE}<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Emessage xmlns="{NS104}">&f;</Emessage>',
        "GOP-XML-02",
    ),
    "entity expansion": (f'{PROLOGUE}<!DOCTYPE x [{LAUGHS}]><Emessage xmlns="{NS104}">&l9;</Emessage>', "GOP-XML-02"),
    "huge text": (ggop(need="x" * 1_000_001).decode(), "GOP-XML-03"),
    "deep nesting": (f'{PROLOGUE}<Emessage xmlns="{NS104}">{"<a>" * 1000}{"</a>" * 1000}</Emessage>', "GOP-XML-03"),
    "crowd of elements": (f'{PROLOGUE}<Emessage xmlns="{NS104}">{"<a/>" * 50_001}</Emessage>', "GOP-XML-03"),
    "inclusion": (
        f'{PROLOGUE}<Emessage xmlns="{NS104}" xmlns:xi="http://www.w3.org/2001/XInclude">'
        '<xi:include href="file:///etc/passwd"/></Emessage>',
        "GOP-XML-07",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_14_attacks_are_unreadable(attack: str) -> None:
    body, rule = ATTACKS[attack]
    outcome = judged(body.encode())
    assert outcome.verdict is Verdict.UNREADABLE
    assert errors(outcome) == {rule}
    assert (outcome.reply.status, outcome.reply.body) == (400, None)


@pytest.mark.parametrize(
    "pattern, lie, rule",
    (
        (rb"<Data>.*?</Data>", b"<Data>*not base64*</Data>", "GOP-VANS-02"),
        (rb"<SizeInBytes>\d+", b"<SizeInBytes>12", "GOP-VANS-03"),
    ),
)
def test_14_a_vans_envelope_that_lies_gets_a_negative_receipt(pattern: bytes, lie: bytes, rule: str) -> None:
    outcome = judged(re.sub(pattern, lie, in_vans_envelope(ggop()), flags=re.DOTALL))
    assert errors(outcome) == {rule}
    assert outcome.reply.status == 422
    answer = etree.fromstring(outcome.reply.body or b"")
    assert answer.find("{*}Receipt/{*}NegativeMessage/{*}Error") is not None


# --- 15: wanted receipts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wants, lawful, status", ((True, True, 201), (False, True, 204), (True, False, 422), (False, False, 422))
)
def test_15_a_positive_receipt_only_when_asked_for_a_negative_one_always(
    client: httpx.Client, wants: bool, lawful: bool, status: int
) -> None:
    answer = post(client, ggop(discharged=yesterday(), wants_positive=wants, need="Gang." * 9 if lawful else ""))
    assert answer.status_code == status
    if status == 204:
        assert answer.content == b""
        assert answer.headers["Location"].startswith("/messages/")
    else:
        assert stated(answer, "StatisticalCode") == ("XCTL03" if lawful else "XCTL02")
        assert stated(answer, "AcknowledgementCode") == "minuspositivkvitt"
    assert len(pulled(client)) == lawful
