"""The rehabilitation plan (genoptræningsplan): what the hospital says, in one form for every format.

Fields that the law may require are optional here: what is required is law, changes by date and belongs to rules.
Nothing that a hospital wrote is dropped: what has no field of its own is in `RehabilitationPlan.other`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def danish_day(instant: datetime) -> date:
    """The local date of an instant (Europe/Copenhagen): 23:30 UTC on 31 December is New Year's Day."""
    return instant.astimezone(COPENHAGEN).date()


class Level(StrEnum):
    """The hospital's level (§ 2, stk. 1). Basal and avanceret belong to the case, never to the plan."""

    ALMEN = "almen"
    SPECIALISERET = "specialiseret"  #: genoptræning på specialiseret niveau
    REHABILITERING = "rehabilitering"  #: rehabilitering på specialiseret niveau


class PlanType(StrEnum):
    """Egentræning is a type for information, not a level (GOP-ROUTE-12)."""

    GENOPTRAENING = "genoptraening"
    EGENTRAENING = "egentraening"


@dataclass(frozen=True, slots=True)
class FormattedText:
    """A text as the hospital formatted it: readable as plain text and as safe HTML (only our own tags)."""

    plain: str
    html: str

    @property
    def blank(self) -> bool:
        return not self.plain.strip()


@dataclass(frozen=True, slots=True)
class LocalMoment:
    """A Danish wall-clock date with an optional time of day, as MedCom XML states them."""

    day: date
    clock: time | None = None

    def aware(self) -> datetime:
        """The instant in Europe/Copenhagen (midnight when no time is stated)."""
        return datetime.combine(self.day, self.clock or time(), COPENHAGEN)


@dataclass(frozen=True, slots=True)
class Address:
    street: str | None = None
    suburb: str | None = None
    district: str | None = None
    postcode: str | None = None
    kommunekode: str | None = None  #: FHIR only: municipality extension of the patient's address, four digits


@dataclass(frozen=True, slots=True)
class Telephone:
    number: str
    kind: str | None = None  #: mobil, fastnet, arbejde, or as stated


@dataclass(frozen=True, slots=True)
class ContactDetails:
    telephones: tuple[Telephone, ...] = ()
    no_telephone_reason: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation as the message states it: sender, receiver, copy receiver, contact, location."""

    gln: str | None = None  #: EANIdentifier as stated; not always 13 digits
    identifiers: tuple[Identifier, ...] = ()
    name: str | None = None
    department: str | None = None
    unit: str | None = None
    address: Address = Address()
    telephone: str | None = None
    email: str | None = None
    speciality: str | None = None  #: MedicalSpecialityCode (sender only)

    def identifier(self, kind: IdentifierKind) -> str | None:
        """The first identifier of a kind, or None."""
        return next((entry.value for entry in self.identifiers if entry.kind is kind), None)

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        return self.name or self.department or self.unit or self.gln or "ukendt"

    @property
    def reachable(self) -> bool:
        """Says how it can be contacted: telephone, e-mail or unit (GOP-CONTENT-10, -11)."""
        return any((self.telephone, self.email, self.unit, self.department))


@dataclass(frozen=True, slots=True)
class Professional:
    """A named member of staff."""

    given: str | None = None
    family: str | None = None
    title: str | None = None
    identifier: Identifier | None = None
    telephone: str | None = None
    department: str | None = None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.given, self.family) if part)


@dataclass(frozen=True, slots=True)
class CoAddress:
    family: str | None = None
    given: str | None = None
    address: Address = Address()


@dataclass(frozen=True, slots=True)
class Patient:
    identifier: Cpr | None = None  #: Cpr or ReplacementNumber
    family: str | None = None
    given: str | None = None
    address: Address = Address()
    occupation: str | None = None
    contact: ContactDetails = ContactDetails()
    co_address: CoAddress | None = None
    birth_date: date | None = None  #: as stated (FHIR); XML has none, see `born_on`
    gender: str | None = None
    address_protected: bool = False
    paying_municipality: str | None = None  #: kommunekode that issued the special health card (GOP-PAT-03)

    @property
    def born_on(self) -> date | None:
        """Stated birth date, else the one in the CPR or replacement number."""
        return self.birth_date or (self.identifier.born_on if self.identifier else None)

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.given, self.family) if part)


@dataclass(frozen=True, slots=True)
class Relative:
    relation: str | None = None
    family: str | None = None
    given: str | None = None
    address: Address = Address()
    contact: ContactDetails = ContactDetails()


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with the system that the sender names (`ICD10kode`, `SKSdiagnosekode`, `ICFKode` …) and its text."""

    code: str
    system: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class DiagnosisGroup:
    """A primary diagnosis (aktionsdiagnose) with its secondary ones (bidiagnoser)."""

    primary: Coded | None = None
    secondary: tuple[Coded, ...] = ()


@dataclass(frozen=True, slots=True)
class IcfClassification:
    code: Coded
    gradient: Coded | None = None


@dataclass(frozen=True, slots=True)
class JournalExcerpt:
    kind: str | None
    comment: FormattedText
    signer: Professional | None = None
    signed_on: date | None = None


@dataclass(frozen=True, slots=True)
class HospitalContact:
    """Aktuel sygehuskontakt."""

    start: LocalMoment | None = None
    expected_end: LocalMoment | None = None
    expected_end_text: str | None = None
    kind: str | None = None  #: FHIR Encounter.class; MedCom XML has none (GOP-SCOPE-03)


@dataclass(frozen=True, slots=True)
class HospitalControl:
    """Aftaler om kontrol og opfølgning."""

    expected_start: LocalMoment | None = None
    expected_start_text: str | None = None
    location: Party | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What is said of consent to the plan and of agreement to sending it (§ 1, stk. 2; § 4)."""

    given: bool | None = None  #: consent to the plan; None = not stated or not understood
    stated: str | None = None  #: the sender's own word
    send_agreed: bool | None = None  #: agreement to sending; XML: covered by `given`
    given_by: str | None = None  #: patient, relative, guardian, proxy, parent
    given_by_name: str | None = None
    given_at: datetime | None = None
    permanently_lacks_capacity: bool = False
    refused: tuple[Party, ...] = ()  #: recipients that the patient does not want


class Confidence(StrEnum):
    """How sure the reading of a free text is. Only `high` moves a clock (readings no. 2)."""

    HIGH = "high"
    DOUBTFUL = "doubtful"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class UnderstoodDate:
    """One date or span read in a free text: what it means, the words it was read from, how sure."""

    meaning: str  #: `earliest` (deferral) or `latest` (deadline) or `discharge`
    day: date | None
    words: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class StartDeadline:
    """Tidsfrist for start af genoptræning: structured in FHIR, free text in MedCom XML (§ 3)."""

    text: FormattedText | None = None
    latest: date | None = None  #: start deadline set by the hospital; high confidence only
    earliest: date | None = None  #: deferred until; high confidence only
    reason: str | None = None
    deferral_stated: bool = False  #: the words say deferral, with or without a readable date (GOP-DATE-07)
    understood: tuple[UnderstoodDate, ...] = ()
    confidence: Confidence = Confidence.NONE
    latest_first_contact: date | None = None  #: R0 content only (GOP-CONTENT-14)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference beside the plan; never fetched. `kind`: url, sup, bin."""

    description: str | None
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class OtherContent:
    """Something that the hospital wrote and that has no field of its own, kept readable."""

    source_path: str
    text: str


@dataclass(frozen=True, slots=True)
class RehabilitationPlan:
    """Genoptræningsplan as the hospital states it. Danish headings and GGOP elements: docs/reference/mappings.md."""

    # who and when
    plan_id: str | None = None  #: stable over versions; GGOP Letter/Identifier
    written_at: LocalMoment | None = None  #: plan date (GGOP Letter/Authorisation)
    episode_of_care_id: str | None = None
    statistical_code: str | None = None  #: GGOP1, GGOP2, GGOP3
    sender: Party = Party()
    author: Professional | None = None  #: SignedBy
    co_authors: tuple[Professional, ...] = ()
    receiver: Party | None = None  #: the stated receiver
    gp: Party | None = None
    gp_deselected: bool = False
    copy_receivers: tuple[Party, ...] = ()
    patient: Patient = Patient()
    relatives: tuple[Relative, ...] = ()
    # what
    level: Level | None = None
    level_stated: str | None = None  #: the sender's own word
    hospital_suggestion: str | None = None  #: `basal` or `avanceret` where the hospital wrote it (GOP-CONTENT-03)
    plan_type: PlanType = PlanType.GENOPTRAENING
    next_level: Level | None = None  #: phase 2 of a combined plan (FHIR only)
    phase2_from: date | None = None
    consent: Consent = Consent()
    information_for_patient: FormattedText | None = None
    practical_information: FormattedText | None = None
    patient_safety: FormattedText | None = None
    start_deadline: StartDeadline = StartDeadline()
    hospital_contact: HospitalContact | None = None
    discharged_on: date | None = None  #: local date; governs the order. None = not stated or unreadable
    discharge_read_from_text: bool = False  #: read in ExpectedEndText (GOP-DATE-01 warns)
    control: HospitalControl | None = None
    health_summary: FormattedText | None = None
    function_at_discharge: FormattedText | None = None
    function_extended: FormattedText | None = None  #: 8a body, 8b activity and participation, 8c environment
    function_prior: FormattedText | None = None
    rehabilitation_need: FormattedText | None = None
    rehabilitation_focus: FormattedText | None = None  #: FHIR only
    diagnoses: tuple[DiagnosisGroup, ...] = ()
    diagnosis_texts: tuple[str, ...] = ()
    icf: tuple[IcfClassification, ...] = ()
    journal_excerpts: tuple[JournalExcerpt, ...] = ()
    contact_region: Party | None = None  #: GGOP ContactCounty
    contact_municipality: Party | None = None
    care_team: tuple[Professional, ...] = ()
    final_result_receivers: tuple[Party, ...] = ()
    final_result_deselected: bool = False
    references: tuple[Reference, ...] = ()
    chosen_hospital: Party | None = None  #: FHIR: performer; XML: found by the directory among the receivers
    replaces: str | None = None
    funding: str | None = None  #: public, self-paid (GOP-SCOPE-02)
    handed_out_at: datetime | None = None
    municipal_help: bool | None = None
    other: tuple[OtherContent, ...] = ()
    reconstructed: bool = False  #: recovered from a clinical e-mail (XDIS91)

    @property
    def receivers(self) -> tuple[Party, ...]:
        """Stated receiver first, then the copy receivers (without the GP)."""
        return (*((self.receiver,) if self.receiver else ()), *self.copy_receivers)

    @property
    def primary_diagnosis(self) -> Coded | None:
        return next((group.primary for group in self.diagnoses if group.primary), None)

    @property
    def all_diagnoses(self) -> tuple[Coded, ...]:
        return tuple(
            code
            for group in self.diagnoses
            for code in (*((group.primary,) if group.primary else ()), *group.secondary)
        )
