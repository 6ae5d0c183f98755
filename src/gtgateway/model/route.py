"""Who gets the plan, in which role, by which paragraph; and the organisations that the directory knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gtgateway.model.identifiers import Identifier, IdentifierKind


class Role(StrEnum):
    ACTION = "action"  #: delivers or organises the training
    AUTHORITY = "authority"  #: owes the offer, the notice, the payment
    COPY = "copy"  #: named by the order without a duty to act
    INFORMATION = "information"


class OrganisationKind(StrEnum):
    MUNICIPALITY = "municipality"
    REGION = "region"
    HOSPITAL = "hospital"  #: public hospital or unit of one
    PRIVATE_HOSPITAL = "private_hospital"
    GP = "gp"
    PROVIDER = "provider"  #: private or municipal training provider


class Receives(StrEnum):
    """What an organisation takes."""

    PULL = "pull"  #: fetches from its feed
    GGOP = "ggop"
    XDIS91 = "xdis91"
    FHIR = "fhir"


@dataclass(frozen=True, slots=True)
class Organisation:
    """An entry of the organisation directory, valid from a day until a day (both inclusive, None = open)."""

    id: str  #: stable handle of the entry, e.g. `odense-kommune`
    kind: OrganisationKind
    name: str
    identifiers: tuple[Identifier, ...]
    parent: str | None = None  #: id of the unit above
    valid_from: date | None = None
    valid_until: date | None = None
    region: str | None = None  #: id of the region it lies in, where the kind has one (dated table for municipalities)
    receives: Receives = Receives.PULL
    vans: bool = False  #: its messages go in a VANSEnvelope
    special_hospital: bool = False  #: private hospital under § 79 stk. 2
    telephone: str | None = None
    email: str | None = None
    case: str = "here"  #: `elsewhere` when the authority keeps its cases in another system (GOP-DATA-04)
    sends_copies: bool = False  #: it serves the copy receivers that its messages name itself
    endpoint: str | None = None  #: id of the end-point that its messages are sent to; None: it pulls
    local_contact_days: int | None = None  #: a municipality's own clock: days from receipt to contact
    local_start_days: int | None = None

    def identifier(self, kind: IdentifierKind) -> str | None:
        return next((entry.value for entry in self.identifiers if entry.kind is kind), None)

    @property
    def gln(self) -> str | None:
        return self.identifier(IdentifierKind.GLN)

    @property
    def code(self) -> str | None:
        """The public number that people know it by: kommunekode, regionskode, ydernummer or SHAK."""
        for kind in (
            IdentifierKind.KOMMUNEKODE,
            IdentifierKind.REGIONSKODE,
            IdentifierKind.YDERNUMMER,
            IdentifierKind.SHAK,
        ):
            if found := self.identifier(kind):
                return found
        return None

    def valid_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )

    @property
    def is_hospital(self) -> bool:
        return self.kind in (OrganisationKind.HOSPITAL, OrganisationKind.PRIVATE_HOSPITAL)


class Evidence(StrEnum):
    """What told the municipality of residence, best first."""

    REGISTER = "register"
    ADDRESS = "address"
    RECEIVER = "receiver"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Residence:
    """Municipality and region of residence with the evidence for them, or None when nothing tells."""

    municipality: Organisation | None = None
    region: Organisation | None = None
    evidence: Evidence | None = None
    certain: bool = False
    doubtful: bool = False  #: something speaks against it (flag `residence_doubtful`)


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One recipient in one role. `deliver` False = named by law but sent nothing."""

    role: Role
    kind: str  #: municipality, gp, region, hospital, provider
    organisation: Organisation
    deliver: bool
    basis: str
    phase: int | None = None  #: 1 or 2 in combined plans
    by_sender: bool = False  #: the sender serves it itself (`sends_copies`): it may read, and is sent nothing


@dataclass(frozen=True, slots=True)
class Route:
    """The lawful recipients of one plan, and how residence was found."""

    entries: tuple[RouteEntry, ...]
    residence: Residence
    chosen_hospital: Organisation | None = None
    hospital_choices: tuple[
        Organisation, ...
    ] = ()  #: every hospital named among the receivers; two different = unclear
    sender: Organisation | None = None  #: the sending unit as the directory knows it
    sender_unit_known: bool = True  #: False: it was found by the number of the hospital above the unit (GOP-SCOPE-01)
    sender_region: Organisation | None = None  #: region that the sender lies in on the day that chose the order
    hospital_region: Organisation | None = None  #: the same for the chosen hospital
    stated_receiver: Organisation | None = None  #: the stated receiver as the directory knows it
    contact_municipality: Organisation | None = None  #: whom ContactMunicipality names (the municipality, not a unit)
    contact_region: Organisation | None = None  #: whom ContactCounty names, also a region that has ended (GOP-ROUTE-09)
    unlisted: tuple[str, ...] = ()  #: labels of stated copy receivers that the order does not name (GOP-ROUTE-10)
    refused: tuple[str, ...] = ()  #: labels of recipients left out because the patient said no (GOP-PAT-06)
    missing: tuple[
        str, ...
    ] = ()  #: kinds the order names that could not be resolved: municipality, region, gp, hospital

    @property
    def recipients(self) -> tuple[Organisation, ...]:
        """The distinct organisations that are sent something, in order."""
        seen: dict[str, Organisation] = {}
        for entry in self.entries:
            if entry.deliver:
                seen.setdefault(entry.organisation.id, entry.organisation)
        return tuple(seen.values())
