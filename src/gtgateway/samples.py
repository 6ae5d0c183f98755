"""Lawful, varied, reproducible plans for the demo, `gtgateway sample` and load, with official test persons."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from gtgateway.convert import Target, fhir_message
from gtgateway.data import packaged
from gtgateway.mappers.clinical_email_from_plan import clinical_email_from_plan
from gtgateway.mappers.formatted_text import plain_text
from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.message import Envelope
from gtgateway.model.plan import (
    Address,
    Coded,
    Consent,
    ContactDetails,
    DiagnosisGroup,
    HospitalContact,
    Level,
    LocalMoment,
    Party,
    Patient,
    Professional,
    RehabilitationPlan,
    Relative,
    StartDeadline,
    Telephone,
)
from gtgateway.parsers.fhir_codec import to_xml
from gtgateway.routing.directory import Directory

_SHAK, _KOMMUNE, _YDER = IdentifierKind.SHAK, IdentifierKind.KOMMUNEKODE, IdentifierKind.YDERNUMMER

#: Official test persons of MedCom and CPR; all live in Odense here.
PERSONS = (
    Patient(Cpr("2512489996"), "Berggren", "Nancy Ann Test", Address("Testparken 48, 2. tv", None, "Odense C", "5000")),
    Patient(Cpr("2911829996"), "Berggren", "Kirsten Test", Address("Testvænget 3", None, "Odense C", "5000")),
    Patient(Cpr("2311143995"), "Østergård", "Cæsar Test", Address("Testhjemmet 1", None, "Odense M", "5230")),
    Patient(Cpr("0505059996"), "Berggren", "Pia Test", Address("Testgaden 1", None, "Odense M", "5230")),
)


@dataclass(frozen=True, slots=True)
class Case:
    """What a plan is about: the clinical part of a sample."""

    level: Level
    diagnosis: Coded
    health: str
    ability: str
    extended: str
    need: str
    safety: str
    practical: str


CASES = (
    Case(
        Level.ALMEN,
        Coded("DM169", "ICD10kode", "Hofteledsartrose UNS"),
        "Indsat hoftealloplastik på højre side uden komplikationer.",
        "Går 50 meter med albuestok. Trapper med støtte ved gelænder. Klarer personlig hygiejne selv.",
        "",
        "Nedsat muskelstyrke omkring hoften og nedsat gangdistance. Potentiale for selvstændig gang ude.",
        "Faldrisiko de første uger. Må ikke flektere hoften over 90 grader.",
        "Kan selv komme til træningsstedet. Ingen tolk.",
    ),
    Case(
        Level.ALMEN,
        Coded("DS525", "ICD10kode", "Brud på distale ende af radius"),
        "Konservativt behandlet håndledsbrud, gips fjernet ved udskrivningen.",
        "Kan ikke løfte over et kilo med højre hånd. Klarer påklædning langsomt, men selv.",
        "",
        "Nedsat bevægelighed og gribekraft i højre håndled hæmmer madlavning og arbejde.",
        "Må ikke belaste håndleddet med vægt.",
        "Er i arbejde og ønsker tider efter klokken 15.",
    ),
    Case(
        Level.SPECIALISERET,
        Coded("DS720", "ICD10kode", "Fraktur af lårbenshals"),
        "Opereret for hoftenært brud, efterfølgende infektion med behov for lægelig opfølgning.",
        "Går få skridt i talerstol med hjælp af to. Sidder selv på sengekanten i ti minutter.",
        "",
        "Svær nedsættelse af standfunktion og gang, kræver samtidig speciallægelig vurdering af belastning.",
        "Må kun støtte på tåspidsen. Sår under behandling.",
        "Skal have liggende kørsel.",
    ),
    Case(
        Level.REHABILITERING,
        Coded("DI639", "ICD10kode", "Hjerneinfarkt UNS"),
        "Hjerneinfarkt i venstre hemisfære, medicinsk stabil.",
        "Forstår korte beskeder, finder ikke ord. Går med støtte af en person, har brug for hjælp til bad og mad.",
        "8a. Kroppens funktioner og anatomi: Nedsat kraft i højre side, afasi, nedsat opmærksomhed og træthed. "
        "8b. Aktiviteter og deltagelse: Kan ikke læse, skrive eller færdes alene ude; deltager ikke i familielivet. "
        "8c. Omgivelsesfaktorer: Bor med ægtefælle i hus med trapper.",
        "Samlet behov for rehabiliteringsindsatser: sprog, gang, kognition, støtte til ægtefælle og til arbejdslivet.",
        "Faldrisiko. Må ikke køre bil.",
        "Ægtefællen deltager gerne.",
    ),
)

OUH = Party(
    gln="5790001354145",
    identifiers=(Identifier(_SHAK, "4202360"),),
    name="Odense Universitetshospital",
    department="Ortopædkirurgisk Afdeling",
    address=Address("J. B. Winsløws Vej 4", None, "Odense C", "5000"),
    telephone="+4566131372",
)
ODENSE = Party(
    gln="5790000121441",
    identifiers=(Identifier(_KOMMUNE, "461"),),
    name="Odense Kommune",
    department="Myndighed genoptræning",
)


GP = Party(
    gln="5790999400015",
    identifiers=(Identifier(_YDER, "990002"),),
    name="Lægehuset Odense Midtby",
)
NYBORG = Party(
    gln="5790999104500",
    identifiers=(Identifier(_KOMMUNE, "450"),),
    name="Nyborg Kommune",
)
CHOSEN_HOSPITAL = Party(
    gln="5790999300025",
    identifiers=(Identifier(_SHAK, "4202370"),),
    name="Odense Universitetshospital",
    department="Rehabiliteringsafdelingen",
)


def sample_plan(
    level: Level,
    discharged_on: date,
    *,
    number: int = 0,
    seed: int = 0,
) -> RehabilitationPlan:
    """A lawful plan of a level, for a patient discharged on a day. Same arguments, same plan.

    A specialised plan goes to the chosen hospital, with a copy to the municipality.
    """
    random_ = random.Random(f"{seed}/{number}/{level}/{discharged_on}")
    case = random_.choice([case for case in CASES if case.level is level])
    patient = replace(
        random_.choice(PERSONS), contact=ContactDetails((Telephone(f"+45876543{random_.randrange(10, 99)}", "mobil"),))
    )
    admitted = discharged_on - timedelta(days=random_.randrange(1, 9))
    letter_id = f"GOP{discharged_on:%y%m%d}{seed % 10}{number:04d}"
    to_hospital = level is Level.SPECIALISERET
    return RehabilitationPlan(
        plan_id=letter_id,
        written_at=LocalMoment(discharged_on, time(10, random_.randrange(60))),
        statistical_code={Level.ALMEN: "GGOP1", Level.SPECIALISERET: "GGOP2", Level.REHABILITERING: "GGOP3"}[level],
        sender=OUH,
        author=Professional("Ane", "Prøve", "Fysioterapeut", telephone="+4566136421", department="Terapien"),
        receiver=CHOSEN_HOSPITAL if to_hospital else ODENSE,
        copy_receivers=(ODENSE,) if to_hospital else (),
        gp=GP,
        patient=patient,
        relatives=(Relative("aegtefaelle", patient.family, "Otto", contact=patient.contact),),
        level=level,
        level_stated=level,
        consent=Consent(given=True, stated="ja"),
        information_for_patient=plain_text("Kommunen ringer til dig om tid og sted."),
        practical_information=plain_text(case.practical),
        patient_safety=plain_text(case.safety),
        start_deadline=StartDeadline(),
        hospital_contact=HospitalContact(LocalMoment(admitted, time(8, 15)), LocalMoment(discharged_on, time(13, 0))),
        discharged_on=discharged_on,
        health_summary=plain_text(case.health),
        function_at_discharge=plain_text(case.ability),
        function_extended=plain_text(case.extended) if case.extended else None,
        rehabilitation_need=plain_text(case.need),
        diagnoses=(DiagnosisGroup(case.diagnosis),),
        contact_region=Party(name="Region Syddanmark", department="Sundhedssamarbejde", telephone="+4576631000"),
        contact_municipality=Party(name="Odense Kommune", department="Genoptræning", telephone="+4566131372"),
        final_result_deselected=True,
    )


#: Faults that `gtgateway sample --faults` can plant, by the rule that finds them.
FAULTS: dict[str, Callable[[RehabilitationPlan], RehabilitationPlan]] = {
    "GOP-PAT-01": lambda plan: replace(plan, patient=replace(plan.patient, identifier=Cpr("9999999999"))),
    "GOP-PAT-05": lambda plan: replace(plan, consent=Consent(given=False, stated="nej")),
    "GOP-CONTENT-02": lambda plan: replace(plan, level=None, level_stated="ukendt"),
    "GOP-CONTENT-04": lambda plan: replace(plan, function_at_discharge=None, function_extended=None),
    "GOP-CONTENT-05": lambda plan: replace(plan, rehabilitation_need=None),
    "GOP-CONTENT-07": lambda plan: replace(plan, rehabilitation_need=plain_text("Genoptræning anbefales.")),
    "GOP-ROUTE-04": lambda plan: replace(
        plan, level=Level.SPECIALISERET, level_stated="specialiseret", receiver=ODENSE, copy_receivers=()
    ),
}


def sent_at(plan: RehabilitationPlan) -> datetime:
    """When the plan's letter would leave the hospital: a few minutes after it was signed."""
    assert plan.written_at is not None
    return plan.written_at.aware() + timedelta(minutes=7)


@cache
def _directory() -> Directory:
    """The packaged directory, read once for many samples."""
    return Directory.load()


def sample_message(
    level: Level, discharged_on: date, to: Target, *, number: int = 0, seed: int = 0, fault: str | None = None
) -> bytes:
    """The message of a sample plan, as a hospital would send it. `fault`: a key of `FAULTS` to plant."""
    plan = sample_plan(level, discharged_on, number=number, seed=seed)
    if fault is not None:
        plan = FAULTS[fault](plan)
    return written(plan, to, _directory())


def written(plan: RehabilitationPlan, to: Target, directory: Directory) -> bytes:
    """A plan as the message that a hospital would send; `directory` knows SOR codes and location numbers."""
    envelope_id = f"K{plan.plan_id}"[:14]
    if to in (Target.FHIR, Target.FHIR_XML):
        assert plan.written_at is not None
        # What only FHIR has an element for, and the order wants to see there.
        plan = replace(plan, rehabilitation_focus=plan.rehabilitation_need, handed_out_at=plan.written_at.aware())
        envelope = Envelope(plan.sender, plan.receiver or ODENSE, envelope_id, None, wants_positive_receipt=True)
        bundle = fhir_message(plan, envelope, sent_at(plan), directory)
        return orjson.dumps(bundle) if to is Target.FHIR else to_xml(bundle)
    if to is Target.XDIS91:
        return clinical_email_from_plan(plan, envelope_id=envelope_id, sent_at=sent_at(plan))
    return medcom_xml_from_plan(plan, envelope_id=envelope_id, sent_at=sent_at(plan))


def later_message(body: bytes, message_id: str, activity: str) -> bytes:
    """A correction (`modified-message`) or withdrawal (`retract-message`) of a FHIR plan, as its hospital sends it."""
    bundle = orjson.loads(body)
    header = bundle["entry"][0]["resource"]["id"]
    bundle = orjson.loads(body.replace(header.encode(), message_id.encode()))
    bundle["id"] = message_id[:-1] + ("0" if message_id[-1] != "0" else "1")
    for resource in (entry["resource"] for entry in bundle["entry"]):
        if resource["resourceType"] == "Provenance" and _activity(resource)["code"] == "new-message":
            _activity(resource)["code"] = activity
            role = "removal" if activity == "retract-message" else "revision"
            resource["entity"] = [{"role": role, "what": {"reference": f"MessageHeader/{header}"}}]
        if resource["resourceType"] == "ServiceRequest" and activity == "retract-message":
            resource["status"] = "entered-in-error"
    return orjson.dumps(bundle)


def _activity(provenance: dict[str, Any]) -> dict[str, Any]:
    coding: dict[str, Any] = provenance["activity"]["coding"][0]
    return coding


def sample_directory(
    folder: Path, changes: Mapping[str, Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]]
) -> Path:
    """The packaged directory as a file in a folder, with other fields for some organisations, and with end-points."""
    entries = [
        {**entry, **changes.get(entry["id"], {})}
        for file in sorted(packaged("samples", "directory").glob("*.toml"))
        for entry in tomllib.loads(file.read_text("utf-8")).get("organisations", ())
    ]
    lines = ["organisations = [", *(f"  {{ {_fields(each, ', ')} }}," for each in entries), "]"]
    for each in endpoints:
        lines += ["[[endpoints]]", _fields(each, "\n")]
    file = folder / "directory.toml"
    file.write_text("\n".join(lines), "utf-8")
    return file


def _fields(entry: Mapping[str, Any], between: str) -> str:
    return between.join(
        f"{name} = {value if isinstance(value, date) else json.dumps(value, ensure_ascii=False)}"
        for name, value in entry.items()
    )
