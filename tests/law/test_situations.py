"""What is special about a patient or a plan, from the message to the verdict, the recipients and the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import pytest

from ggop import RECEIVER_GLN, SENDER_GLN, Role, ggop
from gtgateway.bootstrap import tools_from
from gtgateway.model.message import Format
from gtgateway.model.outcome import Known, LetterOutcome, Verdict
from gtgateway.model.plan import COPENHAGEN, Consent, FormattedText, Level, Party, RehabilitationPlan
from gtgateway.model.route import Organisation
from gtgateway.pipeline import assess, judge, read
from gtgateway.settings import load_settings

TOOLS = tools_from(load_settings({}))
BEFORE, AFTER = date(2026, 11, 20), date(2027, 2, 5)
GP = Role("5790999400015", "990002", "ydernummer", "Lægehuset Odense Midtby")
HOSPITAL = Role("5790999300025", "4202370", "sygehusafdelingsnummer", "OUH, Rehabiliteringsafdelingen")
KOMMUNE, REGION, LAEGE = "Odense Kommune", "Region Syddanmark", "Lægehuset Odense Midtby"
UNIT = "Odense Universitetshospital, Rehabiliteringsafdelingen"

Change = Callable[[RehabilitationPlan], RehabilitationPlan]


def _at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), COPENHAGEN).replace(hour=14)


def _in_xml(discharged: date = BEFORE, **changes: object) -> LetterOutcome:
    [letter] = assess(ggop(discharged=discharged, **changes), TOOLS, _at(discharged)).letters
    return letter


def _in_fhir(change: Change, discharged: date = BEFORE, **changes: object) -> LetterOutcome:
    """What MedCom XML has no field for: the plan as FHIR states it, judged as FHIR."""
    reading = read(ggop(discharged=discharged, gp=GP, **changes), TOOLS)
    [letter] = reading.letters
    assert letter.plan
    stated = replace(
        letter.plan,
        consent=Consent(given=True, send_agreed=True, given_by="patient"),
        rehabilitation_focus=FormattedText("Gang og styrke", "Gang og styrke"),
        handed_out_at=_at(discharged),
    )
    stated = replace(reading, format=Format.FHIR, letters=(replace(letter, plan=change(stated)),))
    [outcome] = judge(stated, Known(), TOOLS, _at(discharged)).letters
    return outcome


def _recipients(letter: LetterOutcome) -> set[tuple[str, str, int | None, bool]]:
    assert letter.route
    return {(each.role, each.organisation.name, each.phase, each.deliver) for each in letter.route.entries}


def _found(letter: LetterOutcome) -> dict[str, str]:
    return {each.rule: each.severity for each in letter.findings}


# --- combined plans ---------------------------------------------------------------------------------------------------


def _then_almen(first: Level) -> Change:
    return lambda plan: replace(plan, level=first, next_level=Level.ALMEN)


@pytest.mark.parametrize(
    "first, discharged, expected",
    [
        (
            Level.SPECIALISERET,
            BEFORE,
            {("authority", KOMMUNE, 1, True), ("action", KOMMUNE, 2, True), ("authority", KOMMUNE, 2, True)}
            | {("action", UNIT, 1, True)},
        ),
        (
            Level.SPECIALISERET,
            AFTER,
            {("information", KOMMUNE, 1, True), ("action", KOMMUNE, 2, True), ("authority", KOMMUNE, 2, True)}
            | {("action", UNIT, 1, True), ("authority", REGION, 1, False)},
        ),
        (
            Level.REHABILITERING,
            BEFORE,
            {(role, KOMMUNE, phase, True) for role in ("action", "authority") for phase in (1, 2)},
        ),
        (
            Level.REHABILITERING,
            AFTER,
            {("information", KOMMUNE, 1, True), ("action", KOMMUNE, 2, True), ("authority", KOMMUNE, 2, True)}
            | {("action", REGION, 1, True), ("authority", REGION, 1, True)},
        ),
    ],
)
def test_a_combined_plan_has_recipients_in_both_phases(
    first: Level, discharged: date, expected: set[tuple[str, str, int | None, bool]]
) -> None:
    letter = _in_fhir(_then_almen(first), discharged, copies=[HOSPITAL] if first is Level.SPECIALISERET else [])
    assert letter.verdict is Verdict.ACCEPTED
    assert _recipients(letter) == expected | {("copy", LAEGE, None, True)}
    assert _found(letter)["GOP-COMBI-02"] == "information"
    assert "GOP-COMBI-01" not in _found(letter)
    assert letter.record
    assert letter.record.phases == (first, Level.ALMEN)


def test_phases_in_the_wrong_order_are_a_warning() -> None:
    letter = _in_fhir(lambda plan: replace(plan, next_level=Level.REHABILITERING), AFTER)
    assert (letter.verdict, _found(letter)["GOP-COMBI-01"]) == (Verdict.ACCEPTED, "warning")
    assert {name for role, name, *_ in _recipients(letter) if role == "action"} == {KOMMUNE, REGION}


# --- egentræning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discharged", [BEFORE, AFTER])
def test_egentraening_is_for_information_and_starts_no_clock(discharged: date) -> None:
    letter = _in_xml(discharged, level="egentræning", gp=GP)
    assert letter.verdict is Verdict.ACCEPTED
    assert _recipients(letter) == {("information", KOMMUNE, None, True), ("information", LAEGE, None, True)}
    assert letter.deadlines
    assert (letter.deadlines.notify_by, letter.deadlines.start_by, letter.deadlines.owners) == (None, None, ())
    assert letter.deadline_steps() == ()
    assert _found(letter)["GOP-ROUTE-12"] == "information"


def test_an_operator_may_refuse_egentraening() -> None:
    tools = tools_from(load_settings({"GTGATEWAY_EGENTRAENING": "refuse"}))
    [letter] = assess(ggop(discharged=BEFORE, level="egentræning"), tools, _at(BEFORE)).letters
    assert (letter.verdict, _found(letter)["GOP-ROUTE-12"]) == (Verdict.REJECTED, "error")


# --- patients ---------------------------------------------------------------------------------------------------------


def _born(day: date) -> Change:
    return lambda plan: replace(plan, patient=replace(plan.patient, birth_date=day))


@pytest.mark.parametrize(
    "born, expected",
    [
        (date(2012, 1, 1), {"GOP-PAT-08": "warning"}),
        (date(2011, 11, 21), {"GOP-PAT-08": "warning"}),  # fifteen tomorrow
        (date(2011, 11, 20), {"GOP-PAT-09": "information"}),  # fifteen today
        (date(2008, 11, 21), {"GOP-PAT-09": "information"}),
        (date(2008, 11, 20), {}),  # eighteen today
    ],
)
def test_children(born: date, expected: dict[str, str]) -> None:
    letter = _in_fhir(_born(born))
    assert {rule: each for rule, each in _found(letter).items() if rule in ("GOP-PAT-08", "GOP-PAT-09")} == expected
    assert letter.verdict is Verdict.ACCEPTED
    assert letter.record
    assert ("minor" in letter.record.flags) == (born > date(2008, 11, 20))


def test_a_parent_may_consent_for_a_child() -> None:
    letter = _in_fhir(
        lambda plan: replace(_born(date(2018, 5, 5))(plan), consent=replace(plan.consent, given_by="parent"))
    )
    assert "GOP-PAT-08" not in _found(letter)


@pytest.mark.parametrize(
    "given_by, name, verdict",
    [
        ("patient", None, Verdict.REJECTED),
        (None, None, Verdict.REJECTED),
        ("guardian", None, Verdict.REJECTED),
        ("guardian", "Vera Værge", Verdict.ACCEPTED),
        ("relative", "Ane Prøve", Verdict.ACCEPTED),
        ("proxy", "Ole Prøve", Verdict.ACCEPTED),
    ],
)
def test_a_patient_who_cannot_consent(given_by: str | None, name: str | None, verdict: Verdict) -> None:
    letter = _in_fhir(
        lambda plan: replace(
            plan,
            consent=replace(plan.consent, permanently_lacks_capacity=True, given_by=given_by, given_by_name=name),
        )
    )
    assert letter.verdict is verdict
    assert _found(letter).get("GOP-PAT-07") == ("error" if verdict is Verdict.REJECTED else None)


def test_a_protected_address_is_said_and_marked_on_the_record() -> None:
    letter = _in_fhir(lambda plan: replace(plan, patient=replace(plan.patient, address_protected=True)))
    assert _found(letter)["GOP-PAT-12"] == "information"
    assert letter.record
    assert letter.record.patient.address_protected


# --- refusals per recipient -------------------------------------------------------------------------------------------


def _refusing(*glns: str) -> Change:
    return lambda plan: replace(plan, consent=replace(plan.consent, refused=tuple(Party(gln=gln) for gln in glns)))


def test_a_refused_copy_is_left_out_and_the_others_served() -> None:
    letter = _in_fhir(_refusing(GP.gln))
    assert letter.verdict is Verdict.ACCEPTED
    assert _recipients(letter) == {("action", KOMMUNE, None, True), ("authority", KOMMUNE, None, True)}
    [said] = [each for each in letter.findings if each.rule == "GOP-PAT-06"]
    assert LAEGE in said.text.da


def test_refusing_who_would_act_refuses_the_plan() -> None:
    letter = _in_fhir(_refusing(RECEIVER_GLN))
    assert (letter.verdict, _found(letter)["GOP-PAT-05"]) == (Verdict.REJECTED, "error")
    assert letter.record is None


def test_refusing_who_is_only_informed_does_not() -> None:
    letter = _in_fhir(lambda plan: replace(_refusing(RECEIVER_GLN)(plan), level=Level.REHABILITERING), AFTER)
    assert letter.verdict is Verdict.ACCEPTED
    assert KOMMUNE not in {name for _, name, *_ in _recipients(letter)}


# --- hospitals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hospital, expected",
    [
        (Role("5790999300193", "9951", "sygehusafdelingsnummer", "Privathospitalet Bakken"), "warning"),
        (Role("5790999300209", "9952", "sygehusafdelingsnummer", "Specialsygehuset Skovbrynet"), None),
        (HOSPITAL, None),
    ],
)
def test_a_private_hospital_that_is_no_special_hospital_is_a_warning(hospital: Role, expected: str | None) -> None:
    letter = _in_xml(level="specialiseret", copies=[hospital])
    assert letter.verdict is Verdict.ACCEPTED
    assert _found(letter).get("GOP-ROUTE-04") == expected
    assert letter.route
    assert letter.route.chosen_hospital
    assert letter.route.chosen_hospital.gln == hospital.gln


@pytest.mark.parametrize(
    "funding, expected",
    [("self-paid", "error"), (None, "warning"), ("public", None)],
)
def test_a_private_hospital_sends_after_publicly_funded_treatment_only(
    funding: str | None, expected: str | None
) -> None:
    letter = _in_fhir(lambda plan: replace(plan, funding=funding), sender_gln="5790999300193")
    assert _found(letter).get("GOP-SCOPE-02") == expected
    assert letter.verdict is (Verdict.REJECTED if expected == "error" else Verdict.ACCEPTED)


def test_a_hospital_of_another_region_may_be_chosen() -> None:
    other = Role("5790999300186", "9906370", "sygehusafdelingsnummer", "Sygehus Limfjorden, Fysio- og Ergoterapi")
    letter = _in_xml(AFTER, level="specialiseret", copies=[other])
    assert (letter.verdict, _found(letter)["GOP-ROUTE-05"]) == (Verdict.ACCEPTED, "information")
    assert ("action", other.name, None, True) in _recipients(letter)


# --- who receives -----------------------------------------------------------------------------------------------------


def test_no_gp_is_a_note_and_no_obstacle() -> None:
    letter = _in_xml(sections={"GPCCReceiver": None})
    assert (letter.verdict, _found(letter)["GOP-ROUTE-06"]) == (Verdict.ACCEPTED, "information")
    assert _recipients(letter) == {("action", KOMMUNE, None, True), ("authority", KOMMUNE, None, True)}


@pytest.mark.parametrize("discharged, acting", [(BEFORE, "Aarhus Kommune"), (AFTER, "Region Midtjylland")])
def test_residence_decides_not_the_senders_region(discharged: date, acting: str) -> None:
    aarhus = next(each for each in TOOLS.directory.all if each.id == "aarhus-kommune")
    letter = _in_xml(
        discharged,
        level="rehabilitering",
        sender_gln=SENDER_GLN,
        receiver=(_gln(aarhus), "751"),
        receiver_name="Aarhus Kommune",
        municipality="Aarhus Kommune",
        region="Region Midtjylland",
        district=("8000", "Aarhus C"),
    )
    assert (letter.verdict, _found(letter)["GOP-ROUTE-07"]) == (Verdict.ACCEPTED, "information")
    assert {name for role, name, *_ in _recipients(letter) if role == "action"} == {acting}


def _gln(organisation: Organisation) -> str:
    assert organisation.gln
    return organisation.gln


def test_a_late_plan_of_specialised_training_after_new_year() -> None:
    body = ggop(discharged=date(2026, 12, 29), level="specialiseret", gp=GP, copies=[HOSPITAL])
    [letter] = assess(body, TOOLS, _at(date(2027, 1, 5))).letters
    assert (letter.order_id, letter.verdict) == ("BEK-918-2018", Verdict.ACCEPTED)
    assert _recipients(letter) == {
        ("authority", KOMMUNE, None, True),
        ("copy", LAEGE, None, True),
        ("action", UNIT, None, True),
        ("authority", REGION, None, False),
    }
    [late] = [each for each in letter.findings if each.rule == "GOP-DATE-03"]
    assert late.text.da == "Planen er modtaget 7 dage efter udskrivningen; den skal sendes, når den udleveres."
