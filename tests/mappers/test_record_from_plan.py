"""The municipal record: every part of the plan in it, diagnoses once, and flags that are true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.mappers.record_from_plan import FLAGS, record_from_plan
from gtgateway.model.findings import Bilingual, Finding, Layer, Severity
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.message import Letter, LetterHead, Trace, TraceRow
from gtgateway.model.outcome import QualityHints
from gtgateway.model.plan import (
    Address,
    CoAddress,
    Coded,
    Confidence,
    Consent,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    IcfClassification,
    JournalExcerpt,
    Level,
    LocalMoment,
    Party,
    Patient,
    Professional,
    RehabilitationPlan,
    StartDeadline,
    UnderstoodDate,
)
from gtgateway.model.record import MunicipalRecord, RecordDiagnosis, RecordOrganisation
from gtgateway.model.route import Evidence, Organisation, OrganisationKind, Residence, Role, Route, RouteEntry

ORDERS = Orders.load()
ODENSE = Organisation(
    "odense-kommune",
    OrganisationKind.MUNICIPALITY,
    "Odense Kommune",
    (Identifier(IdentifierKind.GLN, "5790000121441"), Identifier(IdentifierKind.KOMMUNEKODE, "0461")),
)
HOME_CARE = replace(ODENSE, id="odense-hjemmeplejen", parent="odense-kommune")
NYBORG = Organisation(
    "nyborg-kommune",
    OrganisationKind.MUNICIPALITY,
    "Nyborg Kommune",
    (Identifier(IdentifierKind.KOMMUNEKODE, "0450"),),
)
ROUTE = Route(
    (
        RouteEntry(Role.ACTION, "municipality", ODENSE, True, "§ 4, stk. 2"),
        RouteEntry(Role.AUTHORITY, "municipality", ODENSE, True, "§ 4, stk. 2"),
    ),
    Residence(ODENSE, None, Evidence.RECEIVER, certain=True),
    stated_receiver=ODENSE,
)


def text(words: str) -> FormattedText:
    return FormattedText(words, words)


PLAN = RehabilitationPlan(
    plan_id="45249877239313",
    written_at=LocalMoment(date(2026, 11, 6)),
    discharged_on=date(2026, 11, 6),
    hospital_contact=HospitalContact(start=LocalMoment(date(2026, 10, 30))),
    level=Level.ALMEN,
    patient=Patient(Cpr("2512484916"), "Berggren", "Nancy Ann", Address("Hindbærvej 23", postcode="5260")),
    diagnoses=(DiagnosisGroup(Coded("DS720", "SKSdiagnosekode", "Fraktur")),),
    function_at_discharge=text("Går med rollator."),
    rehabilitation_need=text("Gang og balance."),
    practical_information=text(" "),
    consent=Consent(given=True, stated="ja", refused=(Party(name="Lægerne Torvet"),)),
)


def record(plan: RehabilitationPlan = PLAN, *, received: date = date(2026, 11, 6), **given: object) -> MunicipalRecord:
    governing = govern(plan, received, ORDERS)
    route = given.pop("route", ROUTE)
    assert isinstance(route, Route)
    arguments: dict[str, object] = {
        "format": "ggop",
        "digest": "ab" * 32,
        "received_at": datetime(received.year, received.month, received.day, 12, tzinfo=UTC),
        "governing": governing,
        "deadlines": compute_deadlines(plan, governing, received, Calendar()),
        "route": route,
        "findings": (),
        "quality": QualityHints(8, ("function_prior",)),
    }
    trace = Trace((TraceRow("level", "/Emessage/RehabilitationPlan/TypeOfRehabilitationPlan", 87),))
    letter = Letter(LetterHead("LETTER1", "GGOP100", "GGOP"), "cd" * 32, plan, (), trace)
    return record_from_plan(letter, **(arguments | given))  # type: ignore[arg-type]


def note(rule: str, severity: Severity) -> Finding:
    return Finding(rule, severity, Layer.LAW, "level", Bilingual("da", "en"))


def test_who_when_and_what_follows() -> None:
    made = record()
    odense = RecordOrganisation("5790000121441", "0461", "Odense Kommune")
    assert (made.plan_id, made.plan_version, made.message_digest, made.format) == (
        "45249877239313",
        1,
        "ab" * 32,
        "ggop",
    )
    assert (made.order, made.order_basis) == ("BEK-918-2018", "discharge")
    assert (made.authority, made.residence_municipality, made.residence_evidence) == (odense, odense, "receiver")
    assert [(entry.role, entry.organisation.code, entry.deliver) for entry in made.route] == [
        ("action", "0461", True),
        ("authority", "0461", True),
    ]
    assert (made.admitted_on, made.discharged_on, made.discharge_source) == (
        date(2026, 10, 30),
        date(2026, 11, 6),
        "plan",
    )
    assert made.deadlines.start_by == date(2026, 11, 13)
    assert (made.consent.given, made.consent.stated, made.consent.refusals) == (True, "ja", ("Lægerne Torvet",))
    assert (made.quality_score, made.quality_missing) == (8, ("function_prior",))
    assert made.source_paths[0].line == 87
    assert made.phases == ("almen",)


def test_plan_without_an_id_of_its_own_goes_by_its_letter() -> None:
    assert record(replace(PLAN, plan_id=None)).plan_id == "LETTER1"


def test_sections_stand_under_official_headings_and_blank_ones_are_left_out() -> None:
    signer = Professional("Ellinor", "Strøm")
    plan = replace(
        PLAN,
        journal_excerpts=(
            JournalExcerpt("Fysioterapi", text("Øvet trapper."), signer, date(2026, 11, 5)),
            JournalExcerpt(None, text("Ingen smerter.")),
        ),
        start_deadline=StartDeadline(text("senest 10.11.2026"), confidence=Confidence.HIGH),
    )
    made = record(plan).sections
    assert [(section.key, section.heading) for section in made] == [
        ("start_deadline", "Tidsfrist for start af genoptræning"),
        ("function_at_discharge", "Helbredsrelateret funktionsevne på udskrivningstidspunktet - Sammenfatning"),
        ("rehabilitation_need", "Patientens genoptræningsbehov og potentiale"),
        ("journal_excerpts[0]", "Uddrag fra journal: Fysioterapi"),
        ("journal_excerpts[1]", "Uddrag fra journal"),
    ]
    assert (made[3].signed_by, made[3].signed_on) == (signer, date(2026, 11, 5))


def test_diagnoses_stand_once_primary_first() -> None:
    plan = replace(
        PLAN,
        diagnoses=(
            DiagnosisGroup(Coded("DS720", "ICD10kode", "Fraktur"), (Coded("DI109", "ICD10kode"),)),
            DiagnosisGroup(
                Coded("DZ501", "ICD10kode"), (Coded("ds720", "icd10kode"), Coded("DS720", "SKSdiagnosekode"))
            ),
        ),
        diagnosis_texts=("Brud på hoften", "Brud på hoften"),
        icf=(IcfClassification(Coded("d450", "ICFKode", "Gå"), Coded("3", "ICFGradient")),),
    )
    made = record(plan)
    assert [(entry.rank, entry.code, entry.system) for entry in made.diagnoses] == [
        ("primary", "DS720", "ICD10kode"),
        ("primary", "DZ501", "ICD10kode"),
        ("secondary", "DI109", "ICD10kode"),
        ("secondary", "DS720", "SKSdiagnosekode"),
        ("text", None, None),
    ]
    assert made.icf == (
        RecordDiagnosis("icf", "d450", "ICFKode", "Gå"),
        RecordDiagnosis("gradient", "3", "ICFGradient", None),
    )


def test_patient() -> None:
    plan = replace(
        PLAN,
        patient=replace(
            PLAN.patient,
            identifier=ReplacementNumber("251248AB12"),
            co_address=CoAddress("Andersen", "Rosa", Address("Skovgård 3", "Hjallese", "Odense SØ", "5220")),
        ),
    )
    made = record(plan).patient
    assert (made.identifier_kind, made.birth_date) == ("replacement", date(1948, 12, 25))
    assert made.co_address == "Rosa Andersen, Skovgård 3, Hjallese, 5220 Odense SØ"
    assert (record().patient.identifier_kind, record().patient.co_address) == ("cpr", None)


@pytest.mark.parametrize(
    "received, days", [(date(2026, 11, 5), None), (date(2026, 11, 6), None), (date(2026, 11, 9), 3)]
)
def test_late_days(received: date, days: int | None) -> None:
    assert record(received=received).late_days == days


def test_day_of_receipt_is_the_danish_one() -> None:
    made = record(received_at=datetime(2026, 11, 6, 23, 30, tzinfo=UTC))
    assert made.late_days == 1


@pytest.mark.parametrize(
    "plan, source",
    [
        (replace(PLAN, discharge_read_from_text=True), "text"),
        (replace(PLAN, discharged_on=None), "plan_date"),
        (replace(PLAN, discharged_on=None, written_at=None), "receipt"),
    ],
)
def test_discharge_source(plan: RehabilitationPlan, source: str) -> None:
    assert record(plan).discharge_source == source


def test_a_plain_plan_raises_no_flag() -> None:
    assert record().flags == ()


FLAGGED: dict[str, MunicipalRecord] = {
    "arrived_very_late": record(replace(PLAN, level=Level.SPECIALISERET), received=date(2026, 11, 14)),
    "late": record(received=date(2026, 11, 11)),
    "lives_elsewhere": record(route=replace(ROUTE, stated_receiver=NYBORG)),
    "residence_doubtful": record(route=replace(ROUTE, residence=Residence(ODENSE, doubtful=True))),
    "estimated_dates": record(replace(PLAN, discharged_on=None)),
    "expected_discharge": record(received=date(2026, 11, 5)),
    "unread_deadline_text": record(findings=(note("GOP-DATE-04", Severity.WARNING),)),
    "deferral_without_date": record(replace(PLAN, start_deadline=StartDeadline(deferral_stated=True))),
    "no_working_day": record(replace(PLAN, discharged_on=date(2027, 3, 25)), received=date(2027, 3, 25)),
    "missing_diagnosis": record(replace(PLAN, diagnoses=())),
    "minor": record(replace(PLAN, patient=Patient(birth_date=date(2008, 11, 7)))),
    "address_protected": record(replace(PLAN, patient=replace(PLAN.patient, address_protected=True))),
    "reconstructed": record(replace(PLAN, reconstructed=True)),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_flag(flag: str) -> None:
    assert FLAGGED[flag].flags == (flag,)


def test_a_plan_of_a_week_ago_is_not_very_late() -> None:
    assert record(replace(PLAN, level=Level.SPECIALISERET), received=date(2026, 11, 13)).flags == ()


def test_a_unit_of_the_municipality_of_residence_is_not_elsewhere() -> None:
    assert record(route=replace(ROUTE, stated_receiver=HOME_CARE)).flags == ()


def test_eighteenth_birthday_is_grown_up() -> None:
    assert record(replace(PLAN, patient=Patient(birth_date=date(2008, 11, 6)))).flags == ()


def test_doubtful_part_of_a_deadline_text_is_flagged_although_the_rest_is_sure() -> None:
    understood = (
        UnderstoodDate("latest", date(2026, 11, 12), "senest 12/11", Confidence.HIGH),
        UnderstoodDate("latest", None, "uge 46", Confidence.DOUBTFUL),
    )
    assert record(replace(PLAN, start_deadline=StartDeadline(understood=understood))).flags == ("unread_deadline_text",)


def test_how_a_deadline_text_was_read_raises_no_flag() -> None:
    assert record(findings=(note("GOP-DATE-04", Severity.INFORMATION),)).flags == ()


def test_transport_need_follows_its_rule() -> None:
    assert record(findings=(note("GOP-TRANS-01", Severity.INFORMATION),)).transport_need
    assert not record().transport_need
