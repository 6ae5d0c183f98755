"""What a caller may do. One place decides; another's object is answered as if it did not exist (404)."""

from __future__ import annotations

from collections.abc import Collection

from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Envelope
from gtgateway.model.plan import LocalMoment
from gtgateway.routing.directory import Directory
from gtgateway.security.identity import Caller, Scope


def holds(caller: Caller, *scopes: Scope) -> bool:
    """True when the caller has one of the scopes; a missing scope is a 403."""
    return any(scope in caller.scopes for scope in scopes)


def may_send(caller: Caller, envelope: Envelope, directory: Directory, day: LocalMoment | None = None) -> bool:
    """The sender in a message must be one that the client acts for (readings no. 8).

    A unit that the directory does not know is allowed under a hospital that the client acts for.
    """
    if envelope.sender.gln in caller.glns:
        return True
    sender = directory.resolve(envelope.sender, day.day if day else None)
    return sender is not None and sender.id in caller.organisations


def may_see_message(caller: Caller, sender_gln: str, client: str, directory: Directory) -> bool:
    """A message is its sender's own, and of the client that sent it: its unit may be one that the directory lacks."""
    if sender_gln in caller.glns or client == caller.name:
        return True
    sender = directory.find(IdentifierKind.GLN, sender_gln)
    return sender is not None and sender.id in caller.organisations


def may_see_record(caller: Caller, organisations: Collection[str]) -> bool:
    """A record is seen by those whom the order makes its recipients, and only while it does."""
    return not caller.organisations.isdisjoint(organisations)
