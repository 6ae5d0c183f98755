"""What callers may say of a case: which kinds of event are taken, who may post which, and what each must tell.

The table grows with what is taken; what the law says of an event is a guard's (`cases/guards.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gtgateway.model.case import CaseEvent, EventKind
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.route import Organisation, Role
from gtgateway.routing.directory import Directory


class Poster(StrEnum):
    """In which capacity somebody says something of a case."""

    RECIPIENT = "recipient"  #: it is sent the plan
    ACTION = "action"  #: it delivers or organises the training
    SENDER = "sender"
    RESIDENCE = "residence"  #: municipality of residence


WHO_MAY_POST: Mapping[EventKind, frozenset[Poster]] = {
    EventKind.ACKNOWLEDGED: frozenset((Poster.RECIPIENT,)),
    EventKind.REFUSED_CAPACITY: frozenset((Poster.ACTION,)),
    EventKind.HOSPITAL_CHOSEN: frozenset((Poster.SENDER, Poster.RESIDENCE)),
}

#: The fields of its own that a kind has; it must have them all, and no other.
FIELDS: Mapping[EventKind, frozenset[str]] = {EventKind.HOSPITAL_CHOSEN: frozenset(("hospital",))}


class EventEntry(BaseModel):
    """An event as it is posted. Organisations are named by id, GLN or `shak:4202370` (any kind of identifier)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID = Field(description="The client's own; the same one again is the same event.")
    kind: EventKind
    at: AwareDatetime = Field(description="When it happened.")
    by: str = Field(max_length=100, description="The organisation that says so.")
    hospital: str | None = Field(None, max_length=100, description="hospital_chosen: the hospital that was chosen.")

    @property
    def misplaced(self) -> frozenset[str]:
        """The fields that the kind lacks or does not have."""
        stated = frozenset(self.model_fields_set - {"id", "kind", "at", "by"})
        return stated ^ FIELDS.get(self.kind, frozenset())


def organisation_named(text: str, directory: Directory) -> Organisation | None:
    """Whom a text names: `gln:5790000121441`, `sor:…`, `shak:…`, `kommunekode:…` …; a bare one is an id or a GLN."""
    kind, colon, value = text.partition(":")
    if not colon:
        return directory.by_id(text) or directory.find(IdentifierKind.GLN, text)
    return directory.find(IdentifierKind(kind), value) if kind in list(IdentifierKind) else None


def posters(
    by: Organisation,
    directory: Directory,
    *,
    recipients: Mapping[str, Collection[str]],
    sender: Organisation | None,
    municipality: Organisation | None,
) -> frozenset[Poster]:
    """In which capacities an organisation, with the units below it, may speak. `recipients`: id -> roles."""
    line = directory.subtree(by.id)
    mine = [roles for id, roles in recipients.items() if id in line]
    holds = {
        Poster.RECIPIENT: bool(mine),
        Poster.ACTION: any(Role.ACTION in roles for roles in mine),
        Poster.SENDER: sender is not None and sender.id in line,
        Poster.RESIDENCE: municipality is not None and municipality.id in line,
    }
    return frozenset(poster for poster, held in holds.items() if held)


def event_of(entry: EventEntry, by: Organisation, hospital: Organisation | None) -> CaseEvent:
    """The event that an entry tells of."""
    return CaseEvent(str(entry.id), entry.kind, entry.at, by.id, provider_id=hospital.id if hospital else None)
