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
_CONSENT = {code: row["given"] == "yes" for code, row in codes("consent").items()}
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


def _cpr(element: etree._Element) -> Cpr | None:
    """The CPR number as stated, also an impossible one."""
    stated = text_of(element)
    return Cpr(stated) if stated else None


def _replacement_number(element: etree._Element) -> ReplacementNumber | None:
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
    return _CONSENT.get((text_of(element) or "").casefold())


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


def _text(target: str, source: str) -> Row:
    return Row(target, source, text_of)


def _section(target: str, source: str) -> Row:
    return Row(target, source, _formatted, _markup)


def _moment(target: str, source: str, prefix: str = "") -> tuple[Row, ...]:
    return (
        Row(f"{target}.day", f"{source}/{prefix}Date", _day, _CHECK_DATE),
        Row(f"{target}.clock", f"{source}/{prefix}Time", _clock, _CHECK_TIME),
    )


def _address(target: str, source: str) -> tuple[Row, ...]:
    return (
        _text(f"{target}.address.street", f"{source}/100:StreetName"),
        _text(f"{target}.address.suburb", f"{source}/100:SuburbName"),
        _text(f"{target}.address.district", f"{source}/100:DistrictName"),
        _text(f"{target}.address.postcode", f"{source}/100:PostCodeIdentifier"),
    )


def _identifier(target: str, source: str, prefix: str) -> tuple[Row, ...]:
    return (
        _text(f"{target}.value", f"{source}/100:Identifier"),
        Row(f"{target}.kind", f"{source}/{prefix}IdentifierCode", _identifier_kind, _CHECK_CODE),
        Row(f"{target}.stated_kind", f"{source}/{prefix}IdentifierCode", _unknown_identifier_kind),
    )


def _role(target: str, source: str, prefix: str = "") -> tuple[Row, ...]:
    return (
        _text(f"{target}.gln", f"{source}/100:EANIdentifier"),
        *_identifier(f"{target}.identifiers[0]", source, prefix),
        _text(f"{target}.name", f"{source}/100:OrganisationName"),
        _text(f"{target}.department", f"{source}/100:DepartmentName"),
        _text(f"{target}.unit", f"{source}/100:UnitName"),
        *_address(target, source),
    )


def _contact_point(target: str, source: str) -> tuple[Row, ...]:
    return (
        *_role(target, source, prefix="100:"),
        _text(f"{target}.telephone", f"{source}/100:TelephoneSubscriberIdentifier"),
    )


def _contact(target: str, source: str) -> tuple[Row, ...]:
    telephone, subscriber = f"{target}.contact.telephones[]", f"{source}/TelephoneSubscriber[]"
    return (
        _text(f"{telephone}.number", f"{subscriber}/100:TelephoneSubscriberIdentifier"),
        Row(
            f"{telephone}.kind",
            f"{subscriber}/TelephoneSubscriberCode",
            text_of,
            partial(_unlisted, codes("telephone_kinds")),
        ),
        _text(f"{target}.contact.no_telephone_reason", f"{source}/NoTelephoneReason"),
        _text(f"{target}.contact.email", f"{source}/EmailAddressIdentifier"),
    )


def _professional(target: str, source: str) -> tuple[Row, ...]:
    return (
        *_identifier(f"{target}.identifier", source, "100:"),
        _text(f"{target}.given", f"{source}/PersonGivenName"),
        _text(f"{target}.family", f"{source}/PersonSurnameName"),
        _text(f"{target}.title", f"{source}/PersonTitle"),
        _text(f"{target}.telephone", f"{source}/100:TelephoneSubscriberIdentifier"),
        _text(f"{target}.department", f"{source}/100:DepartmentName"),
    )


def _coded(target: str, source: str, systems: str) -> tuple[Row, ...]:
    return (
        _text(f"{target}.code", f"{source}/Code"),
        Row(f"{target}.system", f"{source}/TypeCode", text_of, partial(_unlisted, codes(systems))),
        _text(f"{target}.text", f"{source}/Text"),
    )


# --- the table, in the order of the message ---------------------------------------------------------------------------

ROWS: tuple[Row, ...] = (
    # 1 Letter
    _text("plan_id", "Letter/Identifier"),
    Row(
        None, "Letter/VersionCode", reason="version of the message standard, not of the plan: the letter's head has it"
    ),
    _text("statistical_code", "Letter/StatisticalCode"),
    *_moment("written_at", "Letter/Authorisation", "100:"),
    Row(None, "Letter/TypeCode", reason="kind of message: the letter's head has it"),
    _text("episode_of_care_id", "Letter/EpisodeOfCareIdentifier"),
    # 2 Sender
    *_role("sender", "Sender"),
    _text("sender.telephone", "Sender/100:TelephoneSubscriberIdentifier"),
    _text("sender.speciality", "Sender/100:MedicalSpecialityCode"),
    *_professional("author", "Sender/SignedBy"),
    *_professional("co_authors[]", "Sender/CoWriter[]"),
    # 3-5 Receivers
    *_role("receiver", "Receiver"),
    *_role("gp", "GPCCReceiver/CCReceiver"),
    Row("gp_deselected", "GPCCReceiver/Deselected", _said),
    *_role("copy_receivers[]", "CCReceiver[]"),
    # 6 Patient
    Row("patient.identifier", "Patient/100:CivilRegistrationNumber", _cpr),
    Row("patient.identifier", "Patient/100:AlternativeIdentifier", _replacement_number),
    _text("patient.family", "Patient/100:PersonSurnameName"),
    _text("patient.given", "Patient/100:PersonGivenName"),
    *_address("patient", "Patient"),
    _text("patient.occupation", "Patient/100:Occupation"),
    *_contact("patient", "Patient"),
    _text("patient.co_address.family", "Patient/CoAddress/100:PersonSurnameName"),
    _text("patient.co_address.given", "Patient/CoAddress/100:PersonGivenName"),
    *_address("patient.co_address", "Patient/CoAddress"),
    # 7 Relatives
    Row(
        "relatives[].relation",
        "Relatives/Relative[]/100:RelationCode",
        text_of,
        partial(_unlisted, codes("relations")),
    ),
    _text("relatives[].family", "Relatives/Relative[]/100:PersonSurnameName"),
    _text("relatives[].given", "Relatives/Relative[]/100:PersonGivenName"),
    *_address("relatives[]", "Relatives/Relative[]"),
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
    *_moment("hospital_contact.start", "CurrentHospitalContact/Start"),
    *_moment("hospital_contact.expected_end", "CurrentHospitalContact/ExpectedEnd"),
    Row("discharged_on", "CurrentHospitalContact/ExpectedEnd/Date", _day),
    _text("hospital_contact.expected_end_text", "CurrentHospitalContact/ExpectedEndText"),
    # 15 Control
    *_moment("control.expected_start", "HospitalAmbulatoryControl/ExpectedStart"),
    _text("control.expected_start_text", "HospitalAmbulatoryControl/ExpectedStartText"),
    *_role("control.location", "HospitalAmbulatoryControl/Location"),
    # 16-19
    _section("health_summary", "100:PatientHealthSummary"),
    _section("function_at_discharge", "AbilityAtDischargeSummary"),
    _section("function_extended", "AbilityAtDischargeExtended"),
    _section("rehabilitation_need", "RehabilitationNeedAndPotential"),
    # 20-21 Codes
    *_coded("diagnoses[].primary", "ICD10Diagnoses/ICD10Diagnose[]/PrimaryDiagnosis", "diagnosis_systems"),
    *_coded("diagnoses[].secondary[]", "ICD10Diagnoses/ICD10Diagnose[]/SecondaryDiagnosis[]", "diagnosis_systems"),
    _text("diagnosis_texts[]", "ICD10Diagnoses/Text[]"),
    *_coded("icf[].code", "ICFClassifications/ICFClassification[]/ICFCode", "icf_systems"),
    *_coded("icf[].gradient", "ICFClassifications/ICFClassification[]/ICFGradient", "icf_systems"),
    # 22 Journal
    _text("journal_excerpts[].kind", "JournalExcerpt[]/TypeOfExcerpt"),
    *_professional("journal_excerpts[].signer", "JournalExcerpt[]/Signer/SignedBy"),
    Row("journal_excerpts[].signed_on", "JournalExcerpt[]/Signer/Date", _day, _CHECK_DATE),
    _section("journal_excerpts[].comment", "JournalExcerpt[]/Comment"),
    # 23-27
    *_contact_point("contact_region", "ContactCounty"),
    *_contact_point("contact_municipality", "ContactMunicipality"),
    *_professional("care_team[]", "HealthCareTeam/Member[]"),
    *_role("final_result_receivers[]", "FinalResult/ResultReceiver[]"),
    Row("final_result_deselected", "FinalResult/Deselected", _said),
    _text("references[].description", "Reference[]/RefDescription"),
    _text("references[].value", "Reference[]/URL"),
    Row("references[].kind", "Reference[]/URL", _kind("url")),
    _text("references[].value", "Reference[]/SUP"),
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
    _derive_discharge(read)
    if deadline := values.get("start_deadline"):
        values["start_deadline"] = _understood(deadline, values.get("discharged_on"))
    remarks = [*_check_contact(values.get("hospital_contact")), *_check_diagnoses(values.get("diagnoses", ()))]
    if remarks:
        places = {row.target: row for row in read.rows}
        for path, (fault, filling) in remarks:
            read.findings.append(fault.at(path, places[path].source_path, places[path].line, **filling))
    plan = RehabilitationPlan(**values, other=read.other)
    return Mapped(plan, tuple(read.findings), Trace(tuple(read.rows), _expected(letter.source_path), letter.line))


@lru_cache(maxsize=128)
def _expected(letter_path: str) -> tuple[tuple[str, str], ...]:
    return tuple((target, letter_path + source) for target, source in (*TABLE.places, *_DERIVED))


def _derive_discharge(read: Read) -> None:
    """Without a readable ExpectedEnd the discharge date is the one that ExpectedEndText names, if it is certain."""
    contact: HospitalContact | None = read.values.get("hospital_contact")
    if "discharged_on" in read.values or contact is None or contact.expected_end_text is None:
        return
    understood = read_discharge(contact.expected_end_text)
    if understood and understood.day and understood.confidence is Confidence.HIGH:
        read.values.update(discharged_on=understood.day, discharge_read_from_text=True)
        stated = next(row for row in read.rows if row.target == "hospital_contact.expected_end_text")
        read.rows.append(TraceRow("discharged_on", stated.source_path, stated.line))


def _understood(deadline: StartDeadline, discharged_on: date | None) -> StartDeadline:
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


def _check_contact(contact: HospitalContact | None) -> Iterator[tuple[str, Remark]]:
    if contact and contact.start and contact.expected_end and _before(contact.expected_end, contact.start):
        days = {"end": contact.expected_end.day, "start": contact.start.day}
        yield "hospital_contact.expected_end.day", (faults.MAP_END_BEFORE_START, days)


def _before(one: LocalMoment, other: LocalMoment) -> bool:
    if one.day == other.day and one.clock and other.clock:
        return one.clock < other.clock
    return one.day < other.day


def _check_diagnoses(groups: tuple[DiagnosisGroup, ...]) -> Iterator[tuple[str, Remark]]:
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
