"""The municipal record: projection of a plan's latest version, its law and its case (legal-rules 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Finding
from gtgateway.model.identifiers import Cpr
from gtgateway.model.message import TraceRow
from gtgateway.model.plan import (
    ContactDetails,
    FormattedText,
    HospitalContact,
    HospitalControl,
    LocalMoment,
    OtherContent,
    Party,
    Professional,
    Reference,
    Relative,
    StartDeadline,
)


@dataclass(frozen=True, slots=True)
class RecordOrganisation:
    """An organisation as the record names it."""

    gln: str | None
    code: str | None  #: kommunekode, regionskode, ydernummer or SHAK
    name: str


@dataclass(frozen=True, slots=True)
class RecordRecipient:
    role: str
    kind: str
    organisation: RecordOrganisation
    deliver: bool
    phase: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class RecordPatient:
    identifier: Cpr | None
    identifier_kind: str  #: cpr or replacement
    given: str | None
    family: str | None
    birth_date: date | None
    street: str | None
    suburb: str | None
    district: str | None
    postcode: str | None
    co_address: str | None
    contact: ContactDetails
    occupation: str | None
    address_protected: bool
    gender: str | None = None


@dataclass(frozen=True, slots=True)
class RecordDiagnosis:
    """A code as stated, without repeats.

    `rank` of a diagnosis: primary, secondary or text (free text without a code); of ICF: icf, or gradient of the
    one before.
    """

    rank: str
    code: str | None
    system: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class RecordSection:
    """One text of the plan under its official Danish heading."""

    key: str  #: field of the plan, e.g. `function_at_discharge` or `journal_excerpts[0]`
    heading: str
    text: FormattedText
    signed_by: Professional | None = None  #: of a journal excerpt
    signed_on: date | None = None


@dataclass(frozen=True, slots=True)
class RecordConsent:
    given: bool | None
    given_by: str | None
    given_at: datetime | None
    refusals: tuple[str, ...]
    stated: str | None = None  #: the sender's own word
    send_agreed: bool | None = None


@dataclass(frozen=True, slots=True)
class MunicipalRecord:
    """One per plan, same id for ever; `version` counts up. The case's events are added by the office (cases/)."""

    schema_version: str
    plan_id: str
    plan_version: int
    replaces: str | None
    message_digest: str  #: of the received bytes: reference to the raw message
    format: str
    received_at: datetime
    reconstructed: bool
    # order
    order: str
    order_basis: str
    authority: RecordOrganisation | None
    # residence
    residence_municipality: RecordOrganisation | None
    residence_region: RecordOrganisation | None
    residence_evidence: str | None
    residence_doubtful: bool
    paying_municipality: str | None
    # plan
    patient: RecordPatient
    relatives: tuple[Relative, ...]
    plan_type: str
    level: str | None
    level_stated: str | None
    hospital_suggestion: str | None
    phases: tuple[str, ...]
    phase2_from: date | None
    sender: Party
    author: Professional | None
    co_authors: tuple[Professional, ...]
    plan_date: LocalMoment | None
    sections: tuple[RecordSection, ...]
    diagnoses: tuple[RecordDiagnosis, ...]
    icf: tuple[RecordDiagnosis, ...]
    contact_region: Party | None
    contact_municipality: Party | None
    gp: Party | None
    gp_deselected: bool
    care_team: tuple[Professional, ...]
    final_result_receivers: tuple[Party, ...]
    other: tuple[OtherContent, ...]
    consent: RecordConsent
    # dates
    admitted_on: date | None
    discharged_on: date | None
    discharge_source: str  #: plan, text, plan_date, receipt
    start_deadline: StartDeadline
    hospital_control: HospitalControl | None
    late_days: int | None
    deadlines: Deadlines
    # what follows
    route: tuple[RecordRecipient, ...]
    findings: tuple[Finding, ...]
    quality_score: int | None
    quality_missing: tuple[str, ...]
    flags: tuple[str, ...]  #: e.g. residence_doubtful, estimated_dates, missing_diagnosis, unread_deadline_text
    transport_need: bool
    source_paths: tuple[TraceRow, ...]
    # the rest of what the hospital wrote
    episode_of_care_id: str | None = None
    receiver: Party | None = None
    copy_receivers: tuple[Party, ...] = ()
    final_result_deselected: bool = False
    hospital_contact: HospitalContact | None = None
    references: tuple[Reference, ...] = ()
