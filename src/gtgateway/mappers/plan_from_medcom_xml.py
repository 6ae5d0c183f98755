"""MedCom XML (GGOP100) to a rehabilitation plan: one table with a row for every element of the schema.

Unprefixed names are of municipality 1.0.4, those with `100:` of 1.0.0. A wrong namespace, another order and unknown
elements are read all the same; what the plan has no field for stays readable in `other`. Dates are Danish local ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from functools import lru_cache, partial
from html import escape

from lxml import etree

from gtgateway.mappers.codes import codes
from gtgateway.mappers.deadline_text import read_deadline, read_discharge
from gtgateway.mappers.formatted_text import FORMATTING, from_medcom
from gtgateway.mappers.table import Mapped, Read, Remark, Row, Table, text_of
from gtgateway.model import faults
from gtgateway.model.findings import Fault
from gtgateway.model.identifiers import Cpr, IdentifierKind, ReplacementNumber
from gtgateway.model.message import Trace, TraceRow
from gtgateway.model.plan import (
    Coded,
    Confidence,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    Level,
    LocalMoment,
    PlanType,
    RehabilitationPlan,
    StartDeadline,
)
from gtgateway.parsers.envelope import ParsedLetter
from gtgateway.parsers.medcom_xml import IDENTIFIER_KINDS, NS100, NS104, local_name

# --- values: what one element says ------------------------------------------------------------------------------------

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d)?", re.ASCII)
_SKS = re.compile(r"D[A-Z]\d\d[0-9A-Z]*", re.ASCII)
_LITERAL_MARKUP = re.compile(r"</?(?:br|b|i|u|p|" + "|".join(FORMATTING) + r")\s*/?>", re.IGNORECASE)

_LEVELS = codes("levels")
CONSENT = {code: row["given"] == "yes" for code, row in codes("consent").items()}
_DIAGNOSIS_SYSTEMS = codes("diagnosis_systems")


def _formatted(element: etree._Element) -> FormattedText | None:
    """Formatted text; None for an empty element."""
    text = from_medcom(element)
    return text if text.html else None


def _day(element: etree._Element) -> date | None:
    """A date yyyy-mm-dd, None when it is none. xs:date allows a time zone; the day is the one that is written."""
    stated = _DATE.fullmatch(text_of(element) or "")
    try:
        return date.fromisoformat(stated[1]) if stated else None
    except ValueError:
        return None


def _clock(element: etree._Element) -> time | None:
    """A time of day hh:mm (seconds are let pass); None when it is none."""
    stated = text_of(element) or ""
    try:
        return time.fromisoformat(stated) if _TIME.fullmatch(stated) else None
    except ValueError:
        return None


def cpr_of(element: etree._Element) -> Cpr | None:
    """The CPR number as stated, also an impossible one."""
    stated = text_of(element)
    return Cpr(stated) if stated else None


def replacement_number_of(element: etree._Element) -> ReplacementNumber | None:
    """The replacement number as stated."""
    stated = text_of(element)
    return ReplacementNumber(stated) if stated else None


def _identifier_kind(element: etree._Element) -> IdentifierKind | None:
    """The kind that an IdentifierCode names; None for an unknown one."""
    return IDENTIFIER_KINDS.get((text_of(element) or "").casefold())


def _unknown_identifier_kind(element: etree._Element) -> str | None:
    """The sender's own word for a kind of identifier that is not known."""
    return None if _identifier_kind(element) else text_of(element)


def _level_row(element: etree._Element) -> Mapping[str, str]:
    return _LEVELS.get((text_of(element) or "").casefold(), {})


def _level(element: etree._Element) -> Level | None:
    """The level that a plan type or one of its aliases names; None for egentræning and unknown words."""
    stated = _level_row(element).get("level")
    return Level(stated) if stated else None


def _plan_type(element: etree._Element) -> PlanType | None:
    """Egentræning, or a plan for training at a level."""
    stated = _level_row(element).get("plan_type")
    return PlanType(stated) if stated else None


def _suggestion(element: etree._Element) -> str | None:
    """Basal or avanceret, which the hospital may suggest but not decide."""
    return _level_row(element).get("hospital_suggestion") or None


def _consent(element: etree._Element) -> bool | None:
    """Ja or nej; None for anything else."""
    return CONSENT.get((text_of(element) or "").casefold())


def _said(_element: etree._Element) -> bool:
    """True: the element is there."""
    return True


def _inner_xml(element: etree._Element) -> str | None:
    """The content as XML, so that it can be written again."""
    parts = (escape(element.text or "", quote=False), *(etree.tostring(child, encoding="unicode") for child in element))
    return "".join(parts).strip() or None


def _kind(name: str) -> Callable[[etree._Element], str]:
    def kind(_element: etree._Element) -> str:
        return name

    kind.__doc__ = f"Always `{name}`."
    return kind


# --- checks: what is wrong with one element ---------------------------------------------------------------------------


def _unreadable(fault: Fault, element: etree._Element, value: object) -> Iterator[Remark]:
    if value is None and (stated := text_of(element)):
        yield fault, {"value": stated, "field": local_name(element)}


def _unlisted(known: Iterable[str], element: etree._Element, value: str | None) -> Iterator[Remark]:
    if value is not None and value.casefold() not in known:
        yield faults.MAP_UNKNOWN_CODE, {"value": value, "field": local_name(element)}


def _markup(element: etree._Element, text: FormattedText | None) -> Iterator[Remark]:
    if text is not None and "<" in text.plain and (literal := _LITERAL_MARKUP.search(text.plain)):
        yield faults.MAP_LITERAL_MARKUP, {"element": local_name(element), "value": literal.group()}
    for fault, name in dict.fromkeys(_slips(element)) if len(element) else ():
        yield fault, {"element": name}


def _slips(element: etree._Element) -> Iterator[tuple[Fault, str]]:
    for child in element.iterdescendants("*"):
        name = local_name(child)
        if name not in FORMATTING:
            yield faults.SCHEMA_UNKNOWN_ELEMENT, name
        elif child.tag != f"{{{NS100}}}{name}":
            yield faults.SCHEMA_NAMESPACE, name


_CHECK_DATE = partial(_unreadable, faults.MAP_DATE)
_CHECK_TIME = partial(_unreadable, faults.MAP_TIME)
_CHECK_CODE = partial(_unreadable, faults.MAP_UNKNOWN_CODE)


# --- blocks that the schema uses again --------------------------------------------------------------------------------


def text_row(target: str, source: str) -> Row:
    """A row of plain text."""
    return Row(target, source, text_of)


def _section(target: str, source: str) -> Row:
    return Row(target, source, _formatted, _markup)


def moment_rows(target: str, source: str, prefix: str = "") -> tuple[Row, ...]:
    """Date and Time of an element."""
    return (
        Row(f"{target}.day", f"{source}/{prefix}Date", _day, _CHECK_DATE),
        Row(f"{target}.clock", f"{source}/{prefix}Time", _clock, _CHECK_TIME),
    )


def address_rows(target: str, source: str) -> tuple[Row, ...]:
    """The address block."""
    return (
        text_row(f"{target}.address.street", f"{source}/100:StreetName"),
        text_row(f"{target}.address.suburb", f"{source}/100:SuburbName"),
        text_row(f"{target}.address.district", f"{source}/100:DistrictName"),
        text_row(f"{target}.address.postcode", f"{source}/100:PostCodeIdentifier"),
    )


def _identifier(target: str, source: str, prefix: str) -> tuple[Row, ...]:
    return (
        text_row(f"{target}.value", f"{source}/100:Identifier"),
        Row(f"{target}.kind", f"{source}/{prefix}IdentifierCode", _identifier_kind, _CHECK_CODE),
        Row(f"{target}.stated_kind", f"{source}/{prefix}IdentifierCode", _unknown_identifier_kind),
    )


def role_rows(target: str, source: str, prefix: str = "") -> tuple[Row, ...]:
    """An organisation in a role; `prefix` is the namespace of its IdentifierCode."""
    return (
        text_row(f"{target}.gln", f"{source}/100:EANIdentifier"),
        *_identifier(f"{target}.identifiers[0]", source, prefix),
        text_row(f"{target}.name", f"{source}/100:OrganisationName"),
        text_row(f"{target}.department", f"{source}/100:DepartmentName"),
        text_row(f"{target}.unit", f"{source}/100:UnitName"),
        *address_rows(target, source),
    )


def _contact_point(target: str, source: str) -> tuple[Row, ...]:
    return (
        *role_rows(target, source, prefix="100:"),
        text_row(f"{target}.telephone", f"{source}/100:TelephoneSubscriberIdentifier"),
    )


def _contact(target: str, source: str) -> tuple[Row, ...]:
    telephone, subscriber = f"{target}.contact.telephones[]", f"{source}/TelephoneSubscriber[]"
    return (
        text_row(f"{telephone}.number", f"{subscriber}/100:TelephoneSubscriberIdentifier"),
        Row(
            f"{telephone}.kind",
            f"{subscriber}/TelephoneSubscriberCode",
            text_of,
            partial(_unlisted, codes("telephone_kinds")),
        ),
        text_row(f"{target}.contact.no_telephone_reason", f"{source}/NoTelephoneReason"),
        text_row(f"{target}.contact.email", f"{source}/EmailAddressIdentifier"),
    )


def _professional(target: str, source: str) -> tuple[Row, ...]:
    return (
        *_identifier(f"{target}.identifier", source, "100:"),
        text_row(f"{target}.given", f"{source}/PersonGivenName"),
        text_row(f"{target}.family", f"{source}/PersonSurnameName"),
        text_row(f"{target}.title", f"{source}/PersonTitle"),
        text_row(f"{target}.telephone", f"{source}/100:TelephoneSubscriberIdentifier"),
        text_row(f"{target}.department", f"{source}/100:DepartmentName"),
    )


def _coded(target: str, source: str, systems: str) -> tuple[Row, ...]:
    return (
        text_row(f"{target}.code", f"{source}/Code"),
        Row(f"{target}.system", f"{source}/TypeCode", text_of, partial(_unlisted, codes(systems))),
        text_row(f"{target}.text", f"{source}/Text"),
    )


# --- the table, in the order of the message ---------------------------------------------------------------------------

ROWS: tuple[Row, ...] = (
    # 1 Letter
    text_row("plan_id", "Letter/Identifier"),
    Row(
        None, "Letter/VersionCode", reason="version of the message standard, not of the plan: the letter's head has it"
    ),
    text_row("statistical_code", "Letter/StatisticalCode"),
    *moment_rows("written_at", "Letter/Authorisation", "100:"),
    Row(None, "Letter/TypeCode", reason="kind of message: the letter's head has it"),
    text_row("episode_of_care_id", "Letter/EpisodeOfCareIdentifier"),
    # 2 Sender
    *role_rows("sender", "Sender"),
    text_row("sender.telephone", "Sender/100:TelephoneSubscriberIdentifier"),
    text_row("sender.speciality", "Sender/100:MedicalSpecialityCode"),
    *_professional("author", "Sender/SignedBy"),
    *_professional("co_authors[]", "Sender/CoWriter[]"),
    # 3-5 Receivers
    *role_rows("receiver", "Receiver"),
    *role_rows("gp", "GPCCReceiver/CCReceiver"),
    Row("gp_deselected", "GPCCReceiver/Deselected", _said),
    *role_rows("copy_receivers[]", "CCReceiver[]"),
    # 6 Patient
    Row("patient.identifier", "Patient/100:CivilRegistrationNumber", cpr_of),
    Row("patient.identifier", "Patient/100:AlternativeIdentifier", replacement_number_of),
    text_row("patient.family", "Patient/100:PersonSurnameName"),
    text_row("patient.given", "Patient/100:PersonGivenName"),
    *address_rows("patient", "Patient"),
    text_row("patient.occupation", "Patient/100:Occupation"),
    *_contact("patient", "Patient"),
    text_row("patient.co_address.family", "Patient/CoAddress/100:PersonSurnameName"),
    text_row("patient.co_address.given", "Patient/CoAddress/100:PersonGivenName"),
    *address_rows("patient.co_address", "Patient/CoAddress"),
    # 7 Relatives
    Row(
        "relatives[].relation",
        "Relatives/Relative[]/100:RelationCode",
        text_of,
        partial(_unlisted, codes("relations")),
    ),
    text_row("relatives[].family", "Relatives/Relative[]/100:PersonSurnameName"),
    text_row("relatives[].given", "Relatives/Relative[]/100:PersonGivenName"),
    *address_rows("relatives[]", "Relatives/Relative[]"),
    *_contact("relatives[]", "Relatives/Relative[]"),
    # 8 Type; a word that is no level is refused by a rule of law (GOP-CONTENT-02)
    Row("level", "TypeOfRehabilitationPlan", _level),
    Row("level_stated", "TypeOfRehabilitationPlan", text_of),
    Row("plan_type", "TypeOfRehabilitationPlan", _plan_type),
    Row("hospital_suggestion", "TypeOfRehabilitationPlan", _suggestion),
    # 9-13
    _section("information_for_patient", "InformationForPatientAndRelatives"),
    Row("consent.given", "ConsentInformed", _consent, _CHECK_CODE),
    Row("consent.stated", "ConsentInformed", text_of),
    _section("practical_information", "PracticalInformation"),
    _section("patient_safety", "PatientSafetyAspects"),
    _section("start_deadline.text", "RehabilitationDeadline"),
    # 14 Current hospital contact
    *moment_rows("hospital_contact.start", "CurrentHospitalContact/Start"),
    *moment_rows("hospital_contact.expected_end", "CurrentHospitalContact/ExpectedEnd"),
    Row("discharged_on", "CurrentHospitalContact/ExpectedEnd/Date", _day),
    text_row("hospital_contact.expected_end_text", "CurrentHospitalContact/ExpectedEndText"),
    # 15 Control
    *moment_rows("control.expected_start", "HospitalAmbulatoryControl/ExpectedStart"),
    text_row("control.expected_start_text", "HospitalAmbulatoryControl/ExpectedStartText"),
    *role_rows("control.location", "HospitalAmbulatoryControl/Location"),
    # 16-19
    _section("health_summary", "100:PatientHealthSummary"),
    _section("function_at_discharge", "AbilityAtDischargeSummary"),
    _section("function_extended", "AbilityAtDischargeExtended"),
    _section("rehabilitation_need", "RehabilitationNeedAndPotential"),
    # 20-21 Codes
    *_coded("diagnoses[].primary", "ICD10Diagnoses/ICD10Diagnose[]/PrimaryDiagnosis", "diagnosis_systems"),
    *_coded("diagnoses[].secondary[]", "ICD10Diagnoses/ICD10Diagnose[]/SecondaryDiagnosis[]", "diagnosis_systems"),
    text_row("diagnosis_texts[]", "ICD10Diagnoses/Text[]"),
    *_coded("icf[].code", "ICFClassifications/ICFClassification[]/ICFCode", "icf_systems"),
    *_coded("icf[].gradient", "ICFClassifications/ICFClassification[]/ICFGradient", "icf_systems"),
    # 22 Journal
    text_row("journal_excerpts[].kind", "JournalExcerpt[]/TypeOfExcerpt"),
    *_professional("journal_excerpts[].signer", "JournalExcerpt[]/Signer/SignedBy"),
    Row("journal_excerpts[].signed_on", "JournalExcerpt[]/Signer/Date", _day, _CHECK_DATE),
    _section("journal_excerpts[].comment", "JournalExcerpt[]/Comment"),
    # 23-27
    *_contact_point("contact_region", "ContactCounty"),
    *_contact_point("contact_municipality", "ContactMunicipality"),
    *_professional("care_team[]", "HealthCareTeam/Member[]"),
    *role_rows("final_result_receivers[]", "FinalResult/ResultReceiver[]"),
    Row("final_result_deselected", "FinalResult/Deselected", _said),
    text_row("references[].description", "Reference[]/RefDescription"),
    text_row("references[].value", "Reference[]/URL"),
    Row("references[].kind", "Reference[]/URL", _kind("url")),
    text_row("references[].value", "Reference[]/SUP"),
    Row("references[].kind", "Reference[]/SUP", _kind("sup")),
    Row("references[].value", "Reference[]/BIN", _inner_xml),
    Row("references[].kind", "Reference[]/BIN", _kind("bin")),
)

TABLE = Table(ROWS, {"": NS104, "100": NS100})

#: Fields that no element holds alone, and the element to look at.
_DERIVED = (("chosen_hospital", "/Receiver"),)


def plan_from_medcom_xml(letter: ParsedLetter) -> Mapped:
    """The plan in a `RehabilitationPlan` element. Faults of values and stray content are findings, never raised."""
    read = TABLE.read(letter.element, letter.source_path)
    values = read.values
    derive_discharge(read)
    if deadline := values.get("start_deadline"):
        values["start_deadline"] = understood_deadline(deadline, values.get("discharged_on"))
    remarks = [*check_contact(values.get("hospital_contact")), *check_diagnoses(values.get("diagnoses", ()))]
    if remarks:
        places = {row.target: row for row in read.rows}
        for path, (fault, filling) in remarks:
            read.findings.append(fault.at(path, places[path].source_path, places[path].line, **filling))
    plan = RehabilitationPlan(**values, other=read.other)
    return Mapped(plan, tuple(read.findings), Trace(tuple(read.rows), _expected(letter.source_path), letter.line))


@lru_cache(maxsize=128)
def _expected(letter_path: str) -> tuple[tuple[str, str], ...]:
    return tuple((target, letter_path + source) for target, source in (*TABLE.places, *_DERIVED))


def derive_discharge(read: Read) -> None:
    """Without a readable ExpectedEnd the discharge date is the one that ExpectedEndText names, if it is certain."""
    contact: HospitalContact | None = read.values.get("hospital_contact")
    if "discharged_on" in read.values or contact is None or contact.expected_end_text is None:
        return
    understood = read_discharge(contact.expected_end_text)
    if understood and understood.day and understood.confidence is Confidence.HIGH:
        read.values.update(discharged_on=understood.day, discharge_read_from_text=True)
        stated = next(row for row in read.rows if row.target == "hospital_contact.expected_end_text")
        read.rows.append(TraceRow("discharged_on", stated.source_path, stated.line))


def understood_deadline(deadline: StartDeadline, discharged_on: date | None) -> StartDeadline:
    """The deadline with what its text says; relative dates count from the discharge date."""
    if deadline.text is None:
        return deadline
    reading = read_deadline(deadline.text.plain, discharged_on)
    return StartDeadline(
        deadline.text,
        latest=reading.latest,
        earliest=reading.earliest,
        deferral_stated=reading.deferral_stated,
        understood=reading.understood,
        confidence=reading.confidence,
    )


def check_contact(contact: HospitalContact | None) -> Iterator[tuple[str, Remark]]:
    """A contact that ends before it starts, with the path of the field."""
    if contact and contact.start and contact.expected_end and _before(contact.expected_end, contact.start):
        days = {"end": contact.expected_end.day, "start": contact.start.day}
        yield "hospital_contact.expected_end.day", (faults.MAP_END_BEFORE_START, days)


def _before(one: LocalMoment, other: LocalMoment) -> bool:
    if one.day == other.day and one.clock and other.clock:
        return one.clock < other.clock
    return one.day < other.day


def check_diagnoses(groups: tuple[DiagnosisGroup, ...]) -> Iterator[tuple[str, Remark]]:
    """Codes that are not in SKS form or come again, each with its path."""
    seen: set[str] = set()
    for path, coded in _diagnoses(groups):
        code = {"value": coded.code}
        if (coded.system is None or coded.system.casefold() in _DIAGNOSIS_SYSTEMS) and not _SKS.fullmatch(coded.code):
            yield path, (faults.MAP_SKS_FORM, code)
        if coded.code.casefold() in seen:
            yield path, (faults.MAP_DUPLICATE_CODE, code)
        seen.add(coded.code.casefold())


def _diagnoses(groups: tuple[DiagnosisGroup, ...]) -> Iterator[tuple[str, Coded]]:
    for number, group in enumerate(groups):
        if group.primary:
            yield f"diagnoses[{number}].primary.code", group.primary
        for index, coded in enumerate(group.secondary):
            yield f"diagnoses[{number}].secondary[{index}].code", coded
