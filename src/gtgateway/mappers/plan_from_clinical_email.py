"""A rehabilitation plan recovered from a clinical e-mail (XDIS91) that we or MedCom's converter made from one.

Sender, receiver, patient and letter come from the mail's own fields, by a table; everything else is found in the one
text of the mail by its bold headings. What is not recognised stays readable in `other`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

from lxml import etree

from gtgateway.mappers.clinical_email_from_plan import NO_CPR, SUBJECT, UNKNOWN, text_of_plan
from gtgateway.mappers.codes import codes
from gtgateway.mappers.email_lines import (
    after_label,
    professional_line,
    read_coded,
    read_contact,
    read_moment,
    read_party,
    read_patient,
    read_professional,
    read_reference,
    read_relative,
    take_apart,
)
from gtgateway.mappers.formatted_text import collapse, from_medcom
from gtgateway.mappers.headings import FORMATTED_SECTIONS, HEADINGS, field_of_heading
from gtgateway.mappers.medcom_xml_from_plan import STATISTICAL_CODES
from gtgateway.mappers.plan_from_medcom_xml import (
    CONSENT,
    address_rows,
    check_contact,
    check_diagnoses,
    cpr_of,
    derive_discharge,
    moment_rows,
    replacement_number_of,
    role_rows,
    text_row,
    understood_deadline,
)
from gtgateway.mappers.plan_from_medcom_xml import ROWS as MEDCOM_ROWS
from gtgateway.mappers.table import Mapped, Read, Row, Table, text_of
from gtgateway.model import faults
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import Trace, TraceRow
from gtgateway.model.plan import (
    CoAddress,
    Consent,
    ContactDetails,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    HospitalControl,
    IcfClassification,
    JournalExcerpt,
    Level,
    OtherContent,
    Party,
    Patient,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Relative,
    StartDeadline,
)
from gtgateway.parsers.envelope import ParsedLetter
from gtgateway.parsers.hardened import line_of
from gtgateway.parsers.medcom_xml import NS_XDIS91, local_name

_FORM = "the form of a clinical e-mail; a plan has nothing like it"
_BY_HAND = "read below, beside the text"

#: The mail's own fields. Both prefixes of the shared rows stand for the one namespace of the mail.
ROWS: tuple[Row, ...] = (
    text_row("plan_id", "Letter/Identifier"),
    Row(None, "Letter/VersionCode", reason=_FORM),
    text_row("statistical_code", "Letter/StatisticalCode"),
    *moment_rows("written_at", "Letter/Authorisation"),
    Row(None, "Letter/TypeCode", reason=_FORM),
    Row(None, "Letter/StatusCode", reason=_BY_HAND),
    text_row("episode_of_care_id", "Letter/EpisodeOfCareIdentifier"),
    *role_rows("sender", "Sender"),
    text_row("sender.telephone", "Sender/TelephoneSubscriberIdentifier"),
    text_row("sender.speciality", "Sender/MedicalSpecialityCode"),
    *role_rows("receiver", "Receiver"),
    Row("patient.identifier", "Patient/CivilRegistrationNumber", cpr_of),
    Row("patient.identifier", "Patient/AlternativeIdentifier", replacement_number_of),
    text_row("patient.family", "Patient/PersonSurnameName"),
    text_row("patient.given", "Patient/PersonGivenName"),
    *address_rows("patient", "Patient"),
    text_row("patient.occupation", "Patient/OccupancyText"),
    Row(None, "Patient/EpisodeOfCareStatusCode", reason=_FORM),
    Row(None, "AdditionalInformation/Priority", reason=_BY_HAND),
    Row(None, "AdditionalInformation/Subject", reason=_BY_HAND),
    Row(None, "ClinicalInformation[]/Text01", reason="read by its headings"),
    *(row for row in MEDCOM_ROWS if row.source.startswith("Reference[]")),
)

TABLE = Table(ROWS, {"": NS_XDIS91, "100": NS_XDIS91})

_TEXT = "/ClinicalInformation/Text01"
_SUBJECT = "/AdditionalInformation/Subject"

#: Heading of the mail -> fields of the plan that it fills, where they are called otherwise.
_FILLS = {
    "author": ("author", "co_authors"),
    "copy_receivers": ("gp", "gp_deselected", "copy_receivers"),
    "diagnoses": ("diagnoses", "diagnosis_texts"),
    "final_result_receivers": ("final_result_receivers", "final_result_deselected"),
    "hospital_contact": ("hospital_contact", "discharged_on"),
    "patient": ("consent", "patient.contact", "patient.co_address"),
    "start_deadline": ("start_deadline.text",),
}
#: Elements that say nothing when they hold the value that every converted plan has.
_SILENT = (("Letter", "StatusCode", "nytbrev"), ("AdditionalInformation", "Priority", "rutine"))
_STATED_TYPE = re.compile(rf"{SUBJECT}(?: \((.*?)\)?)?", re.IGNORECASE)
_SIGNED_BY_CONVERTER = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}), ([A-ZÆØÅÉ][^,]* [A-ZÆØÅÉ][^ ,]*, .+)")
_WORD = re.compile(r"\w+")
_STATISTICAL_LEVEL = {code.casefold(): level for level, code in STATISTICAL_CODES.items()}


def plan_from_clinical_email(letter: ParsedLetter) -> Mapped:
    """The plan in a ClinicalEmail element, with what was found wrong in values and where each field came from."""
    read = TABLE.read(letter.element, letter.source_path)
    mail = _Mail(letter, read)
    for information in letter.element.iterchildren("{*}ClinicalInformation"):
        for text in information.iterchildren("{*}Text01"):
            for section in _split(text):
                mail.take(section)
    mail.parties()
    mail.plan_type()
    mail.patient()
    mail.stay()
    mail.codes()
    mail.references()
    mail.check()
    plan = RehabilitationPlan(**read.values, reconstructed=True)
    mail.remaining(plan)
    plan = replace(plan, other=tuple(mail.other))
    findings = (faults.MAP_RECONSTRUCTED.at("", letter.source_path + _TEXT, letter.line), *read.findings)
    return Mapped(plan, findings, Trace(tuple(read.rows), _expected(letter.source_path), letter.line))


@lru_cache(maxsize=128)
def _expected(letter_path: str) -> tuple[tuple[str, str], ...]:
    in_fields = ((target, letter_path + source) for target, source in (*TABLE.places, ("level", _SUBJECT)))
    in_text = ((target, letter_path + _TEXT) for name in HEADINGS for target in _FILLS.get(name, (name,)))
    return (*in_fields, *in_text)


# --- the text, section by section -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Section:
    field: str  #: key of HEADINGS; empty before the first heading
    kind: str  #: what stands after the heading's colon
    line: int | None
    body: etree._Element


def _split(text: etree._Element) -> Iterator[_Section]:
    """The sections of a formatted text: each from a bold line that is a heading of a plan to the next."""
    title, line, body = ("", ""), line_of(text), _body(text, text.text)
    for element in text.iterchildren("*"):
        bold = local_name(element) == "Bold" and _at_line_start(body)
        if bold and (found := field_of_heading(from_medcom(element).plain)):
            yield _Section(*title, line, _trimmed(body, 2))
            title, line, body = found, line_of(element), _body(text, element.tail)
        else:
            body.append(copy(element))
    yield _Section(*title, line, _trimmed(body, 1))


def _body(text: etree._Element, start: str | None) -> etree._Element:
    body = etree.Element(text.tag)
    body.text = start
    return body


def _at_line_start(body: etree._Element) -> bool:
    before = body[-1].tail if len(body) else body.text
    return not collapse(before) and (not len(body) or local_name(body[-1]) == "Break")


def _trimmed(body: etree._Element, after: int) -> etree._Element:
    """Without the Break that ends the heading and the `after` ones that end the section."""
    if len(body) and local_name(body[0]) == "Break" and not collapse(body.text):
        body.text = body[0].tail
        del body[0]
    for _ in range(after):
        if len(body) and local_name(body[-1]) == "Break" and not collapse(body[-1].tail):
            del body[-1]
    return body


def _lines(body: etree._Element) -> list[str]:
    return [line for line in map(str.strip, from_medcom(body).plain.split("\n")) if line]


def _excerpt(section: _Section) -> JournalExcerpt:
    """The excerpt, with the first line as signature where it is one."""
    body = section.body
    signer, signed_on = None, None
    if not len(body) or local_name(body[0]) == "Break":
        line = collapse(body.text)
        signer, signed_on = _signature(line)
        if not _bag([line]) <= _bag(["Underskrevet Dato", str(signed_on), professional_line(signer or Professional())]):
            signer, signed_on = None, None  # something else begins with a date
    if signer or signed_on:
        body.text = body[0].tail if len(body) else None
        del body[:1]
    return JournalExcerpt(section.kind or None, from_medcom(body), signer, signed_on)


def _signature(line: str) -> tuple[Professional | None, date | None]:
    who = after_label(line, "Underskrevet")
    day = take_apart(who).first("Dato") if who else None
    if who is None and (match := _SIGNED_BY_CONVERTER.fullmatch(line)):
        day, who = match[1], match[2]
    signed = read_moment(day) if day else None
    signer = read_professional(who) if who else Professional()
    return signer if signer != Professional() else None, signed.day if signed else None


# --- what the sections say of the plan --------------------------------------------------------------------------------


class _Mail:
    """One mail being read: what its fields gave, and its text by section."""

    def __init__(self, letter: ParsedLetter, read: Read) -> None:
        self.element = letter.element
        self.path = letter.source_path
        self.read = read
        self.values: dict[str, Any] = read.values
        self.other = list(read.other)
        self.texts: dict[str, FormattedText] = {}
        self.excerpts: list[JournalExcerpt] = []
        self.lines: defaultdict[str, list[str]] = defaultdict(list)
        self.line_numbers: dict[str, int | None] = {}

    def take(self, section: _Section) -> None:
        """Keep a section for the fields that it fills; one that comes twice is one text."""
        name = section.field
        self.line_numbers.setdefault(name, section.line)
        for target in _FILLS.get(name, (name,) if name else ()):
            self.row(target, name)
        if name in FORMATTED_SECTIONS:
            text, before = from_medcom(section.body), self.texts.get(name)
            if before:
                text = FormattedText(f"{before.plain}\n{text.plain}", f"{before.html}<br>{text.html}")
            if text.html:
                self.texts[name] = text
        elif name == "journal_excerpts":
            self.excerpts.append(_excerpt(section))
        else:
            self.lines[name] += _lines(section.body)

    def row(self, target: str, section: str) -> None:
        self.read.rows.append(TraceRow(target, self.path + _TEXT, self.line_numbers.get(section)))

    def keep(self, source: str, words: str) -> None:
        self.other.append(OtherContent(self.path + source, words))

    def parties(self) -> None:
        values, lines = self.values, self.lines
        for role in ("sender", "receiver"):
            if lines[role]:
                values[role] = read_party(lines[role][0])
            elif role in values:
                values[role] = _known_party(values[role])
        # MedCom's converter prints copy receivers without a heading where there is no GP
        lines["copy_receivers"] += (line for line in lines[""] if line.startswith("EAN:"))
        lines[""] = [line for line in lines[""] if not line.startswith("EAN:")]
        copies = []
        for line in lines["copy_receivers"]:
            gp = after_label(line, "Kopi til egen læge")
            if gp is None:
                copies.append(line)
            elif gp.casefold() == "fravalgt":
                values["gp_deselected"] = True
            else:
                values["gp"] = read_party(gp)
        authors = tuple(map(read_professional, lines["author"]))
        final = [line for line in lines["final_result_receivers"] if line.casefold() != "fravalgt"]
        self.values |= {
            "author": authors[0] if authors else None,
            "co_authors": authors[1:],
            "copy_receivers": tuple(map(read_party, copies)),
            "relatives": _relatives(lines["relatives"]),
            "contact_region": _contact(lines["contact_region"]),
            "contact_municipality": _contact(lines["contact_municipality"]),
            "care_team": tuple(map(read_professional, lines["care_team"])),
            "final_result_receivers": tuple(map(read_party, final)),
            "final_result_deselected": len(final) < len(lines["final_result_receivers"]),
            "journal_excerpts": tuple(self.excerpts),
        }

    def plan_type(self) -> None:
        """Level and plan type by the word in the text or the subject, else by the StatisticalCode."""
        subject = self.element.find("{*}AdditionalInformation/{*}Subject")
        stated = text_of(subject) if subject is not None else None
        match = _STATED_TYPE.fullmatch(stated or "")
        if stated and match is None:
            self.keep(_SUBJECT, stated)
        word = self.lines["level"][0] if self.lines["level"] else match[1] if match else None
        if word:
            meaning = codes("levels").get(word.casefold(), {})
            self.values |= {
                "level_stated": word,
                "level": Level(meaning["level"]) if meaning.get("level") else None,
                "plan_type": PlanType(meaning.get("plan_type") or PlanType.GENOPTRAENING),
                "hospital_suggestion": meaning.get("hospital_suggestion") or None,
            }
            if subject is not None and not self.lines["level"]:
                self.read.rows.append(TraceRow("level", self.path + _SUBJECT, line_of(subject)))
        elif level := _STATISTICAL_LEVEL.get(self.values.get("statistical_code", "").casefold()):
            self.values["level"] = level
            code = next(row for row in self.read.rows if row.target == "statistical_code")
            self.read.rows.append(replace(code, target="level"))

    def patient(self) -> None:
        patient: Patient = self.values.get("patient", Patient())
        number = patient.identifier
        patient = replace(
            patient,
            identifier=None if number == Cpr(NO_CPR) else number,
            family=_known(patient.family),
        )
        for line in self.lines["patient"]:
            fields, address = read_patient(line)
            contact = read_contact(line)
            if (stated := after_label(line, "Informeret samtykke")) is not None:
                self.consent(stated)
            elif (words := after_label(line, "c/o adresse")) is not None:
                person = read_relative(words)
                patient = replace(patient, co_address=CoAddress(person.family, person.given, person.address))
            elif fields or address:
                patient = replace(patient, **fields, address=replace(patient.address, **address))
            elif contact != ContactDetails():
                patient = replace(patient, contact=contact)
        self.values["patient"] = patient

    def consent(self, stated: str) -> None:
        given = CONSENT.get(stated.casefold())
        self.values["consent"] = Consent(given, stated)
        if given is None:
            place = self.path + _TEXT, self.line_numbers["patient"]
            finding = faults.MAP_UNKNOWN_CODE.at("consent.given", *place, value=stated, field="Informeret samtykke")
            self.read.findings.append(finding)

    def stay(self) -> None:
        """Hospital contact, check-up and discharge date, and the deadline, which counts from it."""
        stay, control = HospitalContact(), HospitalControl()
        for line in self.lines["hospital_contact"]:
            if (words := after_label(line, "Start")) is not None and (start := read_moment(words)):
                stay = replace(stay, start=start)
            elif (words := after_label(line, "Forventet Afslutning")) is not None:
                end = read_moment(words)
                stay = replace(stay, expected_end=end, expected_end_text=None if end else words)
                self.row(
                    "hospital_contact.expected_end.day" if end else "hospital_contact.expected_end_text",
                    "hospital_contact",
                )
                if end:
                    self.values["discharged_on"] = end.day
        for line in self.lines["control"]:
            if (words := after_label(line, "Dato for kontrol")) is not None:
                day = read_moment(words)
                control = replace(control, expected_start=day, expected_start_text=None if day else words)
            else:
                control = replace(control, location=read_party(line))
        if stay != HospitalContact():
            self.values["hospital_contact"] = stay
        if control != HospitalControl():
            self.values["control"] = control
        derive_discharge(self.read)
        if deadline := self.texts.pop("start_deadline", None):
            self.values["start_deadline"] = understood_deadline(
                StartDeadline(deadline), self.values.get("discharged_on")
            )
        self.values |= self.texts

    def codes(self) -> None:
        groups: list[DiagnosisGroup] = []
        texts: list[str] = []
        for line in self.lines["diagnoses"]:
            primary, secondary = after_label(line, "Aktionsdiagnose"), after_label(line, "Bidiagnose")
            words = primary or secondary
            code = read_coded(words or line, certain=words is not None)
            if code is None:
                texts.append(line)
            elif primary or not (groups or secondary):
                groups.append(DiagnosisGroup(code))
            else:
                last = groups.pop() if groups else DiagnosisGroup()
                groups.append(replace(last, secondary=(*last.secondary, code)))
        icf: list[IcfClassification] = []
        for line in self.lines["icf"]:
            gradient = after_label(line, "Grad")
            code = read_coded(gradient or line, certain=True)
            if code and gradient and icf:
                icf[-1] = replace(icf[-1], gradient=code)
            elif code:
                icf.append(IcfClassification(code))
        self.values |= {"diagnoses": tuple(groups), "diagnosis_texts": tuple(texts), "icf": tuple(icf)}

    def check(self) -> None:
        """What is wrong with values, as in MedCom XML."""
        remarks = (
            *check_contact(self.values.get("hospital_contact")),
            *check_diagnoses(self.values["diagnoses"]),
        )
        for path, (fault, filling) in remarks:
            line = self.line_numbers.get(path.partition(".")[0].partition("[")[0])
            self.read.findings.append(fault.at(path, self.path + _TEXT, line, **filling))

    def references(self) -> None:
        """Those in the text, which are all of them in our own mails, then those in the mail's fields alone."""
        found = [reference for line in self.lines["references"] if (reference := read_reference(line))]
        fields: tuple[Reference, ...] = self.values.get("references", ())
        self.values["references"] = (*found, *(reference for reference in fields if reference not in found))

    def remaining(self, plan: RehabilitationPlan) -> None:
        """Keep what the plan does not say: lines with a word that would not be in its own mail, and odd fields."""
        said = {section.field: _bag(_lines(section.body)) for section in _split(text_of_plan(plan))}
        said.setdefault("level", _bag([plan.level_stated or ""]))
        for name, lines in self.lines.items():
            for line in lines:
                if not _bag([line]) <= said.get(name, set()):
                    self.keep(_TEXT, line)
        for parent, name, silent in _SILENT:
            element = self.element.find(f"{{*}}{parent}/{{*}}{name}")
            if element is not None and (words := text_of(element)) and words != silent:
                self.keep(f"/{parent}/{name}", words)


def _bag(lines: Iterable[str]) -> set[str]:
    """The words of lines, to see whether one line is said by others."""
    return {word for line in lines for word in _WORD.findall(line.casefold())}


def _known(words: str | None) -> str | None:
    return None if words == UNKNOWN else words


def _known_party(party: Party) -> Party:
    known = tuple(identifier for identifier in party.identifiers if identifier.value != UNKNOWN)
    return replace(party, gln=_known(party.gln), name=_known(party.name), identifiers=known)


def _contact(lines: list[str]) -> Party | None:
    return read_party(", ".join(lines)) if lines else None


def _relatives(lines: Iterable[str]) -> tuple[Relative, ...]:
    """One relative per line; a line with nothing but ways to reach one belongs to the one before."""
    relatives: list[Relative] = []
    for line in lines:
        relative = read_relative(line)
        if relatives and relative == Relative(contact=relative.contact):
            relatives[-1] = replace(relatives[-1], contact=relative.contact)
        else:
            relatives.append(relative)
    return tuple(relatives)
