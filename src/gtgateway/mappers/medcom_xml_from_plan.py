"""A rehabilitation plan as MedCom XML (GGOP100): the 27 sections in their order and namespaces.

Texts are never cut: a name longer than the schema allows is written whole. What GGOP has no element for stands in a
last `JournalExcerpt` called "Øvrige oplysninger"; read back it is an excerpt, so writing it again changes nothing.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable
from datetime import datetime
from typing import cast

from lxml import etree

from gtgateway.mappers.formatted_text import plain_text, to_medcom
from gtgateway.mappers.headings import HEADINGS
from gtgateway.mappers.remainder import LETTER_ID_LIMIT, remainder, sections_without_element
from gtgateway.model.identifiers import Identifier, ReplacementNumber
from gtgateway.model.plan import (
    COPENHAGEN,
    Address,
    Coded,
    ContactDetails,
    FormattedText,
    HospitalContact,
    JournalExcerpt,
    Level,
    LocalMoment,
    Party,
    Patient,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Relative,
    StartDeadline,
)
from gtgateway.parsers.medcom_xml import IDENTIFIER_KINDS, NS100, NS104

_100 = f"{{{NS100}}}"
_104 = f"{{{NS104}}}"
_IDENTIFIER_CODES = {kind: code for code, kind in IDENTIFIER_KINDS.items()}
STATISTICAL_CODES = {Level.ALMEN: "GGOP1", Level.SPECIALISERET: "GGOP2", Level.REHABILITERING: "GGOP3"}


def medcom_xml_from_plan(
    plan: RehabilitationPlan,
    *,
    envelope_id: str,
    sent_at: datetime,
    wants_positive_receipt: bool = True,
    receiver: Party | None = None,
    encoding: str = "UTF-8",
) -> bytes:
    """The GGOP100 message of a plan, in `encoding` (characters outside it as references).

    `sent_at` is an aware instant, written as Danish local time; `receiver` replaces the receiver that the plan states.
    """
    root = etree.Element(f"{_104}Emessage", nsmap={None: NS104, "m": NS100})  # type: ignore[dict-item]
    add_envelope(root, _100, envelope_id, sent_at, wants_positive_receipt)
    _plan(etree.SubElement(root, f"{_104}RehabilitationPlan"), plan, receiver or plan.receiver)
    return cast(bytes, etree.tostring(root, encoding=encoding, xml_declaration=True))


def add_envelope(root: etree._Element, ns: str, envelope_id: str, sent_at: datetime, wants_receipt: bool) -> None:
    """The Envelope, the same in every family of MedCom XML; `ns` is `{namespace}`."""
    sent = sent_at.astimezone(COPENHAGEN)
    envelope = etree.SubElement(root, f"{ns}Envelope")
    add_moment(envelope, f"{ns}Sent", LocalMoment(sent.date(), sent.time()), ns)
    _add(envelope, f"{ns}Identifier", envelope_id)
    _add(envelope, f"{ns}AcknowledgementCode", "pluspositivkvitt" if wants_receipt else "minuspositivkvitt")


def add_moment(parent: etree._Element, tag: str, moment: LocalMoment | None, ns: str) -> None:
    """An element with Date and, where it is known, Time in `ns` (`{namespace}`); nothing for None."""
    if moment is not None:
        element = etree.SubElement(parent, tag)
        _add(element, f"{ns}Date", moment.day.isoformat())
        _add(element, f"{ns}Time", moment.clock.isoformat("minutes") if moment.clock else None)


def letter_id(plan: RehabilitationPlan) -> str | None:
    """The plan's id as the id of a letter: a longer one (FHIR) becomes 14 characters made from it, always the same."""
    if plan.plan_id is None or len(plan.plan_id) <= LETTER_ID_LIMIT:
        return plan.plan_id
    return b32encode(hashlib.sha256(plan.plan_id.encode()).digest())[:LETTER_ID_LIMIT].decode()


def type_word(plan: RehabilitationPlan) -> str | None:
    """TypeOfRehabilitationPlan: MedCom's word for the level as the sender spelt it, else the sender's own word.

    Other words for a level (`almindelig`, `basal`) become MedCom's; the remainder tells what the sender wrote.
    """
    word = "egentræning" if plan.plan_type is PlanType.EGENTRAENING else plan.level
    if word is None or (plan.level_stated and plan.level_stated.casefold() == word):
        return plan.level_stated
    return word


def statistical_code(plan: RehabilitationPlan) -> str:
    """GGOP1 to GGOP3 as stated or by the level; `GGOP` where neither tells."""
    return plan.statistical_code or (STATISTICAL_CODES[plan.level] if plan.level else "GGOP")


def identifier_code(identifier: Identifier) -> str | None:
    """IdentifierCode: MedCom's word for the kind, or the sender's own."""
    return identifier.stated_kind or _IDENTIFIER_CODES.get(identifier.kind)


def deadline_text(deadline: StartDeadline) -> FormattedText | None:
    """The hospital's deadline in words: its own text, else a sentence made from its dates (FHIR)."""
    if deadline.text:
        return deadline.text
    sentences = (
        f"Opstart tidligst {deadline.earliest}." if deadline.earliest else None,
        f"Opstart senest {deadline.latest}." if deadline.latest else None,
        deadline.reason,
    )
    words = " ".join(sentence for sentence in sentences if sentence)
    return plain_text(words) if words else None


def hospital_contact(plan: RehabilitationPlan) -> HospitalContact | None:
    """The current hospital contact; a discharge date without one (FHIR) is the end of the contact."""
    contact = plan.hospital_contact or HospitalContact()
    if contact.expected_end is None and contact.expected_end_text is None and plan.discharged_on:
        return HospitalContact(contact.start, LocalMoment(plan.discharged_on))
    return plan.hospital_contact


def _plan(element: etree._Element, plan: RehabilitationPlan, receiver: Party | None) -> None:
    letter = etree.SubElement(element, f"{_104}Letter")
    _add(letter, f"{_104}Identifier", letter_id(plan))
    _add(letter, f"{_104}VersionCode", "GGOP100")
    _add(letter, f"{_104}StatisticalCode", statistical_code(plan))
    add_moment(letter, f"{_104}Authorisation", plan.written_at, _100)
    _add(letter, f"{_104}TypeCode", "GGOP")
    _add(letter, f"{_104}EpisodeOfCareIdentifier", plan.episode_of_care_id)

    sender = etree.SubElement(element, f"{_104}Sender")
    _role(sender, plan.sender)
    _add(sender, f"{_100}TelephoneSubscriberIdentifier", plan.sender.telephone)
    _add(sender, f"{_100}MedicalSpecialityCode", plan.sender.speciality)
    if plan.author:
        _professional(sender, "SignedBy", plan.author)
    for author in plan.co_authors:
        _professional(sender, "CoWriter", author)

    add_roles(element, "Receiver", (receiver,) if receiver else ())
    if plan.gp:
        add_roles(etree.SubElement(element, f"{_104}GPCCReceiver"), "CCReceiver", (plan.gp,))
    elif plan.gp_deselected:
        etree.SubElement(etree.SubElement(element, f"{_104}GPCCReceiver"), f"{_104}Deselected")
    add_roles(element, "CCReceiver", plan.copy_receivers)
    _patient(element, plan.patient)
    if plan.relatives:
        relatives = etree.SubElement(element, f"{_104}Relatives")
        for relative in plan.relatives:
            _relative(relatives, relative)

    _add(element, f"{_104}TypeOfRehabilitationPlan", type_word(plan))
    _formatted(element, f"{_104}InformationForPatientAndRelatives", plan.information_for_patient)
    _add(element, f"{_104}ConsentInformed", consent_word(plan))
    _formatted(element, f"{_104}PracticalInformation", plan.practical_information)
    _formatted(element, f"{_104}PatientSafetyAspects", plan.patient_safety)
    _formatted(element, f"{_104}RehabilitationDeadline", deadline_text(plan.start_deadline))
    if contact := hospital_contact(plan):
        stay = etree.SubElement(element, f"{_104}CurrentHospitalContact")
        add_moment(stay, f"{_104}Start", contact.start, _104)
        add_moment(stay, f"{_104}ExpectedEnd", contact.expected_end, _104)
        _add(stay, f"{_104}ExpectedEndText", contact.expected_end_text)
    if plan.control:
        control = etree.SubElement(element, f"{_104}HospitalAmbulatoryControl")
        add_moment(control, f"{_104}ExpectedStart", plan.control.expected_start, _104)
        _add(control, f"{_104}ExpectedStartText", plan.control.expected_start_text)
        add_roles(control, "Location", (plan.control.location,) if plan.control.location else ())

    _formatted(element, f"{_100}PatientHealthSummary", plan.health_summary)
    _formatted(element, f"{_104}AbilityAtDischargeSummary", plan.function_at_discharge)
    _formatted(element, f"{_104}AbilityAtDischargeExtended", plan.function_extended)
    _formatted(element, f"{_104}RehabilitationNeedAndPotential", plan.rehabilitation_need)
    _diagnoses(element, plan)
    if plan.icf:
        classifications = etree.SubElement(element, f"{_104}ICFClassifications")
        for classification in plan.icf:
            pair = etree.SubElement(classifications, f"{_104}ICFClassification")
            _coded(pair, "ICFCode", classification.code)
            _coded(pair, "ICFGradient", classification.gradient)
    for excerpt in (*plan.journal_excerpts, *sections_without_element(plan)):
        _excerpt(element, excerpt)
    if lines := remainder(plan):
        _excerpt(element, JournalExcerpt(HEADINGS["other"], plain_text("\n".join(lines))))

    _contact_point(element, "ContactCounty", plan.contact_region)
    _contact_point(element, "ContactMunicipality", plan.contact_municipality)
    if plan.care_team:
        team = etree.SubElement(element, f"{_104}HealthCareTeam")
        for member in plan.care_team:
            _professional(team, "Member", member)
    if plan.final_result_receivers:
        add_roles(etree.SubElement(element, f"{_104}FinalResult"), "ResultReceiver", plan.final_result_receivers)
    elif plan.final_result_deselected:
        etree.SubElement(etree.SubElement(element, f"{_104}FinalResult"), f"{_104}Deselected")
    for reference in plan.references:
        _reference(element, reference)


def consent_word(plan: RehabilitationPlan) -> str | None:
    """ConsentInformed: the sender's own word, else ja or nej."""
    if plan.consent.stated is not None or plan.consent.given is None:
        return plan.consent.stated
    return "ja" if plan.consent.given else "nej"


def _add(parent: etree._Element, tag: str, text: str | None) -> None:
    if text is not None:
        etree.SubElement(parent, tag).text = text


def _formatted(parent: etree._Element, tag: str, text: FormattedText | None) -> None:
    if text is not None:
        to_medcom(text, etree.SubElement(parent, tag), NS100)


def add_roles(parent: etree._Element, name: str, parties: Iterable[Party]) -> None:
    for party in parties:
        _role(etree.SubElement(parent, f"{_104}{name}"), party)


def _role(element: etree._Element, party: Party) -> None:
    _add(element, f"{_100}EANIdentifier", party.gln)
    _identifier(element, party, _104)
    _names(element, party)


def _contact_point(parent: etree._Element, name: str, party: Party | None) -> None:
    if party is not None:
        element = etree.SubElement(parent, f"{_104}{name}")
        _add(element, f"{_100}EANIdentifier", party.gln)
        _identifier(element, party, _100)
        _names(element, party)
        _add(element, f"{_100}TelephoneSubscriberIdentifier", party.telephone)


def _identifier(element: etree._Element, party: Party, code_ns: str) -> None:
    for identifier in party.identifiers[:1]:
        _add(element, f"{_100}Identifier", identifier.value)
        _add(element, f"{code_ns}IdentifierCode", identifier_code(identifier))


def _names(element: etree._Element, party: Party) -> None:
    _add(element, f"{_100}OrganisationName", party.name)
    _add(element, f"{_100}DepartmentName", party.department)
    _add(element, f"{_100}UnitName", party.unit)
    _address(element, party.address)


def _address(element: etree._Element, address: Address) -> None:
    _add(element, f"{_100}StreetName", address.street)
    _add(element, f"{_100}SuburbName", address.suburb)
    _add(element, f"{_100}DistrictName", address.district)
    _add(element, f"{_100}PostCodeIdentifier", address.postcode)


def _contact(element: etree._Element, contact: ContactDetails) -> None:
    for telephone in contact.telephones:
        subscriber = etree.SubElement(element, f"{_104}TelephoneSubscriber")
        _add(subscriber, f"{_100}TelephoneSubscriberIdentifier", telephone.number)
        _add(subscriber, f"{_104}TelephoneSubscriberCode", telephone.kind)
    _add(element, f"{_104}NoTelephoneReason", contact.no_telephone_reason)
    _add(element, f"{_104}EmailAddressIdentifier", contact.email)


def _patient(parent: etree._Element, patient: Patient) -> None:
    element = etree.SubElement(parent, f"{_104}Patient")
    if number := patient.identifier:
        name = "AlternativeIdentifier" if isinstance(number, ReplacementNumber) else "CivilRegistrationNumber"
        _add(element, f"{_100}{name}", number.reveal())
    _add(element, f"{_100}PersonSurnameName", patient.family)
    _add(element, f"{_100}PersonGivenName", patient.given)
    _address(element, patient.address)
    _add(element, f"{_100}Occupation", patient.occupation)
    _contact(element, patient.contact)
    if care_of := patient.co_address:
        other = etree.SubElement(element, f"{_104}CoAddress")
        _add(other, f"{_100}PersonSurnameName", care_of.family)
        _add(other, f"{_100}PersonGivenName", care_of.given)
        _address(other, care_of.address)


def _relative(parent: etree._Element, relative: Relative) -> None:
    element = etree.SubElement(parent, f"{_104}Relative")
    _add(element, f"{_100}RelationCode", relative.relation)
    _add(element, f"{_100}PersonSurnameName", relative.family)
    _add(element, f"{_100}PersonGivenName", relative.given)
    _address(element, relative.address)
    _contact(element, relative.contact)


def _professional(parent: etree._Element, name: str, person: Professional) -> None:
    element = etree.SubElement(parent, f"{_104}{name}")
    if person.identifier:
        _add(element, f"{_100}Identifier", person.identifier.value)
        _add(element, f"{_100}IdentifierCode", identifier_code(person.identifier))
    _add(element, f"{_104}PersonGivenName", person.given)
    _add(element, f"{_104}PersonSurnameName", person.family)
    _add(element, f"{_104}PersonTitle", person.title)
    _add(element, f"{_100}TelephoneSubscriberIdentifier", person.telephone)
    _add(element, f"{_100}DepartmentName", person.department)


def _coded(parent: etree._Element, name: str, code: Coded | None) -> None:
    if code is not None:
        element = etree.SubElement(parent, f"{_104}{name}")
        _add(element, f"{_104}Code", code.code)
        _add(element, f"{_104}TypeCode", code.system)
        _add(element, f"{_104}Text", code.text)


def _diagnoses(parent: etree._Element, plan: RehabilitationPlan) -> None:
    if not plan.diagnoses and not plan.diagnosis_texts:
        return
    element = etree.SubElement(parent, f"{_104}ICD10Diagnoses")
    for group in plan.diagnoses:
        diagnose = etree.SubElement(element, f"{_104}ICD10Diagnose")
        _coded(diagnose, "PrimaryDiagnosis", group.primary)
        for code in group.secondary:
            _coded(diagnose, "SecondaryDiagnosis", code)
    for text in plan.diagnosis_texts:
        _add(element, f"{_104}Text", text)


def _excerpt(parent: etree._Element, excerpt: JournalExcerpt) -> None:
    element = etree.SubElement(parent, f"{_104}JournalExcerpt")
    _add(element, f"{_104}TypeOfExcerpt", excerpt.kind)
    if excerpt.signer or excerpt.signed_on:
        signer = etree.SubElement(element, f"{_104}Signer")
        if excerpt.signer:
            _professional(signer, "SignedBy", excerpt.signer)
        _add(signer, f"{_104}Date", excerpt.signed_on.isoformat() if excerpt.signed_on else None)
    _formatted(element, f"{_104}Comment", excerpt.comment)


def _reference(parent: etree._Element, reference: Reference) -> None:
    element = etree.SubElement(parent, f"{_104}Reference")
    _add(element, f"{_104}RefDescription", reference.description)
    if reference.kind == "bin":
        element.append(_binary(reference.value))
    else:
        _add(element, f"{_104}{reference.kind.upper()}", reference.value)


def _binary(value: str) -> etree._Element:
    """The BIN element around the inner XML that reading kept."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(f'<BIN xmlns="{NS104}">{value}</BIN>', parser)
