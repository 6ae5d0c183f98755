"""A rehabilitation plan as a clinical e-mail (XDIS91, XD9134L), for receivers that take no GGOP.

Parties and patient stand in the mail's own fields, everything else in one text under the Danish headings of the plan.
What does not fit a field of the mail (lengths, code lists of the 2006/07/01 schema) is cut there and whole in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, time
from typing import cast

from lxml import etree

from gtgateway.mappers.email_lines import (
    coded_line,
    contact_line,
    moment_words,
    party_line,
    patient_line,
    person_address_line,
    professional_line,
    reference_line,
    relative_line,
)
from gtgateway.mappers.formatted_text import from_medcom, to_medcom
from gtgateway.mappers.headings import HEADINGS, field_of_heading
from gtgateway.mappers.medcom_xml_from_plan import (
    add_envelope,
    add_moment,
    consent_word,
    deadline_text,
    hospital_contact,
    identifier_code,
    letter_id,
    statistical_code,
    type_word,
)
from gtgateway.mappers.remainder import remainder
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.plan import (
    COPENHAGEN,
    Address,
    FormattedText,
    JournalExcerpt,
    LocalMoment,
    Party,
    Patient,
    Reference,
    RehabilitationPlan,
)
from gtgateway.parsers.medcom_xml import NS_XDIS91

_NS = f"{{{NS_XDIS91}}}"
_BREAK = f"{_NS}Break"
_BOLD = f"{_NS}Bold"
_BLOCKS = tuple(f"{_NS}{name}" for name in ("Right", "Center", "Bold", "Italic", "Underline"))
_FIXED = f"{_NS}FixedFont"

SUBJECT = "Genoptræningsplan"
#: Subject and heading of a mail that takes a plan back; it is no plan.
WITHDRAWN = "Annulleret: genoptræningsplan er trukket tilbage"
#: Stands where the mail's schema demands a value that the plan does not have.
UNKNOWN = "ukendt"
NO_CPR = "0000000000"
SUBJECT_LIMIT = 70

#: IdentifierCodes of the 2006/07/01 schema that a plan's organisations can have; a region is an `amt` there.
_IDENTIFIER_KINDS = frozenset(
    {
        IdentifierKind.SHAK,
        IdentifierKind.YDERNUMMER,
        IdentifierKind.GLN,
        IdentifierKind.KOMMUNEKODE,
        IdentifierKind.AMT,
        IdentifierKind.SOR,
    }
)


def clinical_email_from_plan(
    plan: RehabilitationPlan,
    *,
    envelope_id: str,
    sent_at: datetime,
    wants_positive_receipt: bool = True,
    receiver: Party | None = None,
    corrects: bool = False,
) -> bytes:
    """The clinical e-mail of a plan in ISO-8859-1, valid against MedCom's 2006/07/01 schema.

    `envelope_id` is the envelope's id (1 to 14 characters) and `sent_at` an aware instant; `receiver` replaces the
    receiver that the plan states; `corrects` says in the subject that it is a corrected one. Ids and StatisticalCode
    are the plan's, so the plan is known again.
    """
    if receiver:
        plan = replace(plan, receiver=receiver)
    subject = f"Rettet: {_subject(plan)}" if corrects else _subject(plan)
    mail = _mail(plan, subject, text_of_plan(plan), envelope_id, sent_at, wants_positive_receipt)
    element = mail.find(f"{_NS}ClinicalEmail")
    assert element is not None
    for reference in [entry for entry in plan.references if _fits(entry)][:10]:
        link = etree.SubElement(element, f"{_NS}Reference")
        _add(link, "RefDescription", reference.description)
        _add(link, "URL", reference.value)
    return _written(mail)


def withdrawal_email(plan: RehabilitationPlan, *, envelope_id: str, sent_at: datetime, receiver: Party) -> bytes:
    """A clinical e-mail that takes a plan back: MedCom XML has no other form for it. Otherwise as the plan's own."""
    text = _Text()
    text.heading(WITHDRAWN)
    written = plan.written_at.day.isoformat() if plan.written_at else UNKNOWN
    text.line(f"Genoptræningsplanen af {written} fra {plan.sender.label or UNKNOWN} er trukket tilbage af afsenderen.")
    text.line("Planen må ikke længere bruges.")
    plan = replace(plan, receiver=receiver, statistical_code="XDIS91")  # it must not be read as a plan
    return _written(_mail(plan, WITHDRAWN, text.element, envelope_id, sent_at, wants_positive_receipt=True))


def _written(root: etree._Element) -> bytes:
    return cast(bytes, etree.tostring(root, encoding="ISO-8859-1", xml_declaration=True))


def _mail(
    plan: RehabilitationPlan,
    subject: str,
    text: etree._Element,
    envelope_id: str,
    sent_at: datetime,
    wants_positive_receipt: bool,
) -> etree._Element:
    """The Emessage of a mail about a plan."""
    root = etree.Element(f"{_NS}Emessage", nsmap={None: NS_XDIS91})  # type: ignore[dict-item]
    add_envelope(root, _NS, envelope_id, sent_at, wants_positive_receipt)
    mail = etree.SubElement(root, f"{_NS}ClinicalEmail")

    written = plan.written_at or LocalMoment(sent_at.astimezone(COPENHAGEN).date())
    letter = etree.SubElement(mail, f"{_NS}Letter")
    _add(letter, "Identifier", letter_id(plan) or envelope_id)
    _add(letter, "VersionCode", "XD9134L")
    _add(letter, "StatisticalCode", statistical_code(plan)[:8])
    add_moment(letter, f"{_NS}Authorisation", LocalMoment(written.day, written.clock or time()), _NS)
    _add(letter, "TypeCode", "XDIS91")
    _add(letter, "StatusCode", "nytbrev")
    _add(letter, "EpisodeOfCareIdentifier", (plan.episode_of_care_id or "")[:35])

    _party(mail, "Sender", _short_party(plan.sender, named=True))
    add_receiver(mail, plan.receiver or Party())
    _patient(mail, _short_patient(plan.patient))
    additional = etree.SubElement(mail, f"{_NS}AdditionalInformation")
    _add(additional, "Priority", "rutine")
    _add(additional, "Subject", _cut(subject, SUBJECT_LIMIT))
    etree.SubElement(mail, f"{_NS}ClinicalInformation").append(text)
    return root


def add_receiver(mail: etree._Element, party: Party) -> None:
    """The mail's Receiver, as the schema takes a party."""
    _party(mail, "Receiver", _short_party(party, named=False))


# --- the mail's own fields --------------------------------------------------------------------------------------------
def _add(parent: etree._Element, name: str, text: str | None) -> None:
    if text:
        etree.SubElement(parent, f"{_NS}{name}").text = text


def _cut(text: str | None, limit: int) -> str | None:
    return text[:limit] if text else None


def _party(mail: etree._Element, name: str, short: Party) -> None:
    element = etree.SubElement(mail, f"{_NS}{name}")
    _add(element, "EANIdentifier", short.gln)
    for identifier in short.identifiers:
        _add(element, "Identifier", identifier.value)
        _add(element, "IdentifierCode", identifier_code(identifier))
    _add(element, "OrganisationName", short.name)
    _add(element, "DepartmentName", short.department)
    _add(element, "UnitName", short.unit)
    _address(element, short.address)
    _add(element, "TelephoneSubscriberIdentifier", short.telephone)


def _short_party(party: Party, *, named: bool) -> Party:
    """A party as the schema takes it; the sender is `named` and has a telephone."""
    allowed = (entry for entry in party.identifiers if entry.kind in _IDENTIFIER_KINDS and len(entry.value) <= 17)
    location = Identifier(IdentifierKind.GLN, (party.gln or UNKNOWN)[:17])
    identifier = next(allowed, location)
    return Party(
        gln=_cut(party.gln, 35) or identifier.value,
        identifiers=(identifier,),
        name=_cut(party.name, 35) or (UNKNOWN if named else None),
        department=_cut(party.department, 35),
        unit=_cut(party.unit, 35),
        address=_short_address(party.address),
        telephone=_cut(party.telephone, 25) if named else None,
    )


def _short_address(address: Address) -> Address:
    return Address(
        _cut(address.street, 35), _cut(address.suburb, 35), _cut(address.district, 35), _cut(address.postcode, 9)
    )


def _address(element: etree._Element, address: Address) -> None:
    _add(element, "StreetName", address.street)
    _add(element, "SuburbName", address.suburb)
    _add(element, "DistrictName", address.district)
    _add(element, "PostCodeIdentifier", address.postcode)


def _patient(mail: etree._Element, short: Patient) -> None:
    element = etree.SubElement(mail, f"{_NS}Patient")
    number = short.identifier
    name = "AlternativeIdentifier" if isinstance(number, ReplacementNumber) else "CivilRegistrationNumber"
    _add(element, name, number.reveal() if number else NO_CPR)
    _add(element, "PersonSurnameName", short.family)
    _add(element, "PersonGivenName", short.given)
    _address(element, short.address)
    _add(element, "OccupancyText", short.occupation)
    _add(element, "EpisodeOfCareStatusCode", "inaktiv")


def _short_patient(patient: Patient) -> Patient:
    """Who the patient is, as the schema takes it."""
    return Patient(
        _short_number(patient.identifier),
        _cut(patient.family, 70) or UNKNOWN,
        _cut(patient.given, 70),
        _short_address(patient.address),
        _cut(patient.occupation, 35),
    )


def _short_number(number: Cpr | None) -> Cpr | None:
    """The number where the schema takes it: ten digits, or ten characters of a replacement number."""
    if number is None:
        return None
    stated = number.reveal()
    if len(stated) == 10 and (isinstance(number, ReplacementNumber) or (stated.isascii() and stated.isdigit())):
        return number
    return None


def _subject(plan: RehabilitationPlan) -> str:
    word = " ".join((type_word(plan) or "").split())
    return f"{SUBJECT} ({word})" if word else SUBJECT


def _fits(reference: Reference) -> bool:
    """A link that the mail has a field for; every reference is in the text as well."""
    return reference.kind == "url" and 0 < len(reference.description or "") <= 70 and 0 < len(reference.value) <= 350


# --- the text ---------------------------------------------------------------------------------------------------------
class _Text:
    """The one formatted text of the mail, written from top to bottom."""

    def __init__(self) -> None:
        self.element = etree.Element(f"{_NS}Text01")

    def heading(self, title: str) -> None:
        if len(self.element):
            etree.SubElement(self.element, _BREAK)
        etree.SubElement(self.element, _BOLD).text = title
        etree.SubElement(self.element, _BREAK)

    def line(self, words: str) -> None:
        self._say(words)
        etree.SubElement(self.element, _BREAK)

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """A section of lines; none at all without a line that says something."""
        if said := [line for line in lines if line]:
            self.heading(title)
            for line in said:
                self.line(line)

    def formatted(self, text: FormattedText) -> None:
        body = etree.Element(f"{_NS}Text01")
        to_medcom(text, body, NS_XDIS91)
        _flatten(body)
        for line in body.iterchildren(_BOLD):
            if field_of_heading(from_medcom(line).plain):  # bold words of the text that would begin a section
                line.tag = f"{_NS}Underline"
        self._say(body.text or "")
        self.element.extend(list(body))
        etree.SubElement(self.element, _BREAK)

    def _say(self, words: str) -> None:
        if len(self.element):
            self.element[-1].tail = (self.element[-1].tail or "") + words
        else:
            self.element.text = (self.element.text or "") + words


def _flatten(body: etree._Element) -> None:
    """Formatting inside formatting, which the mail's schema does not know, becomes its outermost one."""
    for element in list(body.iterdescendants(*_BLOCKS)):
        etree.strip_tags(element, *_BLOCKS, _FIXED)
    for element in list(body.iterdescendants(_FIXED)):
        etree.strip_tags(element, _FIXED)


def text_of_plan(plan: RehabilitationPlan) -> etree._Element:
    """Text01: what a plan says beyond the mail's own fields, and what does not fit in them, under Danish headings."""
    text = _Text()
    for field, party in (("sender", plan.sender), ("receiver", plan.receiver or Party())):
        if party != _short_party(party, named=field == "sender"):
            text.lines(HEADINGS[field], [party_line(party)])
    gp = "Fravalgt" if plan.gp is None and plan.gp_deselected else party_line(plan.gp) if plan.gp else ""
    text.lines(
        HEADINGS["copy_receivers"],
        [f"Kopi til egen læge: {gp}" if gp else "", *map(party_line, plan.copy_receivers)],
    )
    authors = (*((plan.author,) if plan.author else ()), *plan.co_authors)
    text.lines(HEADINGS["author"], map(professional_line, authors))
    patient, consent = plan.patient, consent_word(plan)
    who = Patient(patient.identifier, patient.family, patient.given, patient.address, patient.occupation)
    text.lines(
        HEADINGS["patient"],
        [
            "" if who == _short_patient(patient) else patient_line(patient),
            contact_line(patient.contact),
            f"c/o adresse: {person_address_line(patient.co_address)}" if patient.co_address else "",
            f"Informeret samtykke: {consent}" if consent else "",
        ],
    )
    text.lines(HEADINGS["relatives"], map(relative_line, plan.relatives))
    if len(_subject(plan)) > SUBJECT_LIMIT:
        text.lines(HEADINGS["level"], [type_word(plan) or ""])
    for field in ("information_for_patient", "practical_information", "patient_safety"):
        _formatted(text, HEADINGS[field], getattr(plan, field))
    _formatted(text, HEADINGS["start_deadline"], deadline_text(plan.start_deadline))
    _stay(text, plan)
    for field in (
        "health_summary",
        "function_prior",
        "function_at_discharge",
        "function_extended",
        "rehabilitation_need",
        "rehabilitation_focus",
    ):
        _formatted(text, HEADINGS[field], getattr(plan, field))
    text.lines(HEADINGS["diagnoses"], _diagnoses(plan))
    text.lines(
        HEADINGS["icf"],
        (
            line
            for entry in plan.icf
            for line in (coded_line(entry.code), f"Grad: {coded_line(entry.gradient)}" if entry.gradient else "")
        ),
    )
    for excerpt in plan.journal_excerpts:
        _excerpt(text, excerpt)
    for field in ("contact_region", "contact_municipality"):
        contact: Party | None = getattr(plan, field)
        text.lines(HEADINGS[field], [party_line(contact)] if contact else ())
    text.lines(HEADINGS["care_team"], map(professional_line, plan.care_team))
    final = ["Fravalgt"] if plan.final_result_deselected else []
    text.lines(HEADINGS["final_result_receivers"], [*map(party_line, plan.final_result_receivers), *final])
    text.lines(HEADINGS["references"], map(reference_line, plan.references))
    others = (*_too_long(plan), *remainder(plan))
    text.lines(HEADINGS["other"], [line for entry in others for line in entry.split("\n")])
    return text.element


def _formatted(text: _Text, title: str, content: FormattedText | None) -> None:
    if content is not None:
        text.heading(title)
        text.formatted(content)


def _stay(text: _Text, plan: RehabilitationPlan) -> None:
    if contact := hospital_contact(plan):
        start = moment_words(contact.start, None)
        end = moment_words(contact.expected_end, contact.expected_end_text)
        text.lines(
            HEADINGS["hospital_contact"],
            [f"Start: {start}" if start else "", f"Forventet Afslutning: {end}" if end else ""],
        )
    if control := plan.control:
        day = moment_words(control.expected_start, control.expected_start_text)
        text.lines(
            HEADINGS["control"],
            [f"Dato for kontrol: {day}" if day else "", party_line(control.location) if control.location else ""],
        )


def _diagnoses(plan: RehabilitationPlan) -> Iterator[str]:
    for group in plan.diagnoses:
        if group.primary:
            yield f"Aktionsdiagnose: {coded_line(group.primary)}"
        for code in group.secondary:
            yield f"Bidiagnose: {coded_line(code)}"
    yield from plan.diagnosis_texts


def _excerpt(text: _Text, excerpt: JournalExcerpt) -> None:
    text.heading(f"{HEADINGS['journal_excerpts']}: {excerpt.kind or ''}".rstrip())
    signed = [
        f"Dato: {excerpt.signed_on}" if excerpt.signed_on else "",
        professional_line(excerpt.signer) if excerpt.signer else "",
    ]
    if any(signed):
        text.line(f"Underskrevet: {', '.join(part for part in signed if part)}")
    text.formatted(excerpt.comment)


def _too_long(plan: RehabilitationPlan) -> Iterator[str]:
    """Ids of the letter that the mail's own fields hold only in part."""
    if len(plan.episode_of_care_id or "") > 35:
        yield f"Forløbs-id: {plan.episode_of_care_id}"
    if len(plan.statistical_code or "") > 8:
        yield f"StatisticalCode: {plan.statistical_code}"
