"""Letters in MedCom XML that the gateway sends on: the received one in a new envelope, or what is said of a new one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import cast

from lxml import etree

from gtgateway.mappers.clinical_email_from_plan import add_receiver
from gtgateway.mappers.formatted_text import plain_text
from gtgateway.mappers.medcom_xml_from_plan import add_envelope, add_roles, letter_id
from gtgateway.model.delivery import DueDelivery
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Action, Format
from gtgateway.model.plan import FormattedText, Party, RehabilitationPlan
from gtgateway.model.route import Organisation
from gtgateway.parsers.envelope import ParsedLetter, ParsedMessage
from gtgateway.parsers.medcom_xml import child, children, index, namespace_of, text

#: Characters of an OrganisationName.
NAME_LIMIT = 35
#: A letter has room for one number beside the location number: the one that the organisation's own system knows.
_KNOWN_BY = {
    kind: place
    for place, kind in enumerate(
        (IdentifierKind.KOMMUNEKODE, IdentifierKind.YDERNUMMER, IdentifierKind.SHAK, IdentifierKind.SOR)
    )
}


def party_of_organisation(organisation: Organisation) -> Party:
    """An organisation of the directory as a message names it."""
    known = sorted(organisation.identifiers, key=lambda each: _KNOWN_BY.get(each.kind, len(_KNOWN_BY)))
    return Party(organisation.gln, tuple(known), organisation.name[:NAME_LIMIT])


def changed_plan(plan: RehabilitationPlan, due: DueDelivery, receiver: Party) -> RehabilitationPlan:
    """The plan as a new letter states it, which names who else was addressed, and a correction what it corrects.

    MedCom XML has no code for a correction: it is a letter of its own, with an id of its own.
    """
    stated = plan.receiver
    if (
        stated is not None
        and stated.gln != receiver.gln
        and all(stated.gln != each.gln for each in plan.copy_receivers)
    ):
        # Who acts is read from the receivers (readings no. 10): the stated one must not disappear.
        plan = replace(plan, copy_receivers=(*plan.copy_receivers, stated))
    if due.plan_version == 1:
        return plan
    versioned = replace(plan, plan_id=f"{plan.plan_id}#{due.plan_version}")
    if due.action is not Action.CORRECTION:
        return versioned
    note = plain_text(f"RETTET PLAN. Erstatter den genoptræningsplan, der tidligere er sendt (plan {letter_id(plan)}).")
    said = plan.practical_information
    both = FormattedText(f"{note.plain}\n{said.plain}", f"{note.html}<br>{said.html}") if said else note
    return replace(versioned, practical_information=both)


def forwarded_letter(
    message: ParsedMessage, wanted: str, receiver: Party, envelope_id: str, sent_at: datetime
) -> bytes:
    """One letter of a received Emessage to another receiver: Letter, Sender and all content as received.

    `wanted` is the letter's id, `sent_at` an aware instant. The encoding stays.
    """
    root = message.root
    assert root is not None  # it was read as MedCom XML
    letter = next(each for each in message.letters if each.head.letter_id == wanted)
    for other in message.letters:
        if other is not letter:
            root.remove(other.element)
    _new_envelope(root, envelope_id, sent_at)
    _new_receiver(letter, message.format, receiver)
    encoding = root.getroottree().docinfo.encoding or "UTF-8"
    return cast(bytes, etree.tostring(root, encoding=encoding, xml_declaration=True))


def _new_envelope(root: etree._Element, envelope_id: str, sent_at: datetime) -> None:
    old = next(each for each in root.iterchildren("{*}Envelope"))
    namespace = namespace_of(old[0] if len(old) else old)
    add_envelope(root, f"{{{namespace}}}", envelope_id, sent_at, wants_receipt=True)
    new = root[-1]
    new.tag, new.tail = old.tag, old.tail
    root.replace(old, new)


def _new_receiver(letter: ParsedLetter, form: Format | None, receiver: Party) -> None:
    """Replace the Receiver; in a plan the one before stays known as a copy receiver, for it may be who acts."""
    element = letter.element
    namespace, leaves = namespace_of(element), namespace_of(element[0][0])
    parts = index(element)
    old = child(parts, namespace, "Receiver")
    count = len(element)
    if form is Format.XDIS91:
        add_receiver(element, receiver)
    else:
        add_roles(element, "Receiver", (receiver,))
    new = element[count]
    if old is None:
        sender = child(parts, namespace, "Sender")
        element.insert(1 if sender is None else element.index(sender) + 1, new)
        return
    new.tail = old.tail
    element.replace(old, new)
    gln = text(child(index(old), leaves, "EANIdentifier"))
    copies = children(parts, namespace, "CCReceiver")
    known = {text(child(index(each), leaves, "EANIdentifier")) for each in copies}
    if form is Format.XDIS91 or gln is None or gln == receiver.gln or gln in known:
        return
    old.tag = f"{{{namespace}}}CCReceiver"
    gp = child(parts, namespace, "GPCCReceiver")
    before = copies[-1] if copies else gp if gp is not None else new
    before.addnext(old)
