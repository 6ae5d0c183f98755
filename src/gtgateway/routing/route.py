"""Who gets a plan: the rows of the order in force, resolved to organisations of the directory.

The stated receivers decide nothing but the chosen hospital and what is said about them; residence decides the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from gtgateway.law.governing import Governing
from gtgateway.law.orders import RecipientRow, Situation
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.plan import Party, PlanType, RehabilitationPlan
from gtgateway.model.route import Organisation, OrganisationKind, Residence, Route, RouteEntry
from gtgateway.routing.directory import Directory


def route(
    plan: RehabilitationPlan,
    governing: Governing,
    directory: Directory,
    residence: Residence,
    received_on: date,
    *,
    gp_is_copied: bool = False,
) -> Route:
    """The lawful recipients of a plan on the day of receipt, with what could not be resolved or must be left out.

    A plan without a level has no recipients. Residence is the one of the governing day; its region is here the one
    that has taken over by the day of receipt, since that is where something can be sent.

    A sender that `sends_copies` serves the copy receivers that its message names, and of these none that is also its
    Receiver. `gp_is_copied`: the format names the GP as one (FHIR tells who the GP is, not that it gets a copy).
    """
    receivers = [(party, _recognised(party, directory, received_on)) for party in plan.receivers]
    choices = _hospitals_named((found for _, found in receivers), directory, received_on)
    hospital = _chosen_hospital(plan, directory, received_on, choices)
    region = residence.region and directory.region_of(residence.region, max(governing.organisations_on, received_on))
    gp = _gp(plan, directory, received_on)
    sender = _sender(plan, directory, received_on)
    resolved = {"municipality": residence.municipality, "region": region, "hospital": hospital, "gp": gp}
    unwanted = _refused(plan, directory, received_on)
    stated = receivers[0][1] if plan.receiver else None
    copies = receivers[1:] if plan.receiver else receivers
    by_sender = set()
    if _sends_copies(plan, directory, received_on):
        by_sender = {found.id for found in (*(found for _, found in copies), gp if gp_is_copied else None) if found}
        by_sender.discard(stated.id if stated else "")
    rows = _rows(plan, governing, directory, residence.municipality, region, received_on)

    entries: list[RouteEntry] = []
    refused: dict[str, str] = {}
    missing: dict[str, None] = {}
    for row in rows:
        organisation = resolved.get(row.kind)
        if organisation is None:
            if row.kind != "gp" or _gp_stated(plan):
                missing[row.kind] = None
        elif organisation.id in unwanted:
            refused[organisation.id] = organisation.name
        else:
            copied = row.deliver and organisation.id in by_sender
            entries += (
                RouteEntry(role, row.kind, organisation, row.deliver and not copied, row.basis, row.phase, copied)
                for role in row.roles
            )

    unlisted: tuple[str, ...] = ()
    if rows and copies:
        served = (entry.organisation for entry in entries if entry.deliver or entry.by_sender)
        # while it is unclear which hospital was chosen, that is what the sender is told, not that one is too many
        unclear = choices if "hospital" in missing else ()
        expected = _related(directory, (*served, *unclear, gp, sender)) | unwanted
        unlisted = tuple(_unlisted(plan, copies, expected))
    return Route(
        entries=tuple(entries),
        residence=residence,
        chosen_hospital=hospital,
        hospital_choices=choices,
        sender=sender,
        sender_unit_known=_unit_known(plan.sender, directory, received_on),
        sender_region=directory.region_of(sender, governing.organisations_on) if sender else None,
        hospital_region=directory.region_of(hospital, governing.organisations_on) if hospital else None,
        stated_receiver=stated,
        contact_municipality=(
            directory.municipality_meant(plan.contact_municipality, governing.organisations_on)
            if plan.contact_municipality
            else None
        ),
        contact_region=directory.region_meant(plan.contact_region) if plan.contact_region else None,
        unlisted=unlisted,
        refused=tuple(refused.values()),
        missing=tuple(missing),
    )


def _rows(
    plan: RehabilitationPlan,
    governing: Governing,
    directory: Directory,
    municipality: Organisation | None,
    region: Organisation | None,
    received_on: date,
) -> tuple[RecipientRow, ...]:
    order = governing.order
    delegable = plan.level is not None and plan.next_level is None and plan.plan_type is PlanType.GENOPTRAENING
    if delegable and municipality and region and directory.delegated(region, municipality):
        return order.rows(str(plan.level), Situation.DELEGATED) or order.recipients_of(plan, received_on)
    return order.recipients_of(plan, received_on)


def _hospitals_named(known: Iterable[Organisation | None], directory: Directory, day: date) -> tuple[Organisation, ...]:
    """The hospitals among the receivers, the stated receiver first; of a hospital and its unit, the unit."""
    named = {each.id: each for each in known if each and each.is_hospital and each.valid_on(day)}
    above = {upper.id for id in named for upper in directory.ancestors(id)}
    return tuple(each for id, each in named.items() if id not in above)


def _chosen_hospital(
    plan: RehabilitationPlan, directory: Directory, day: date, choices: tuple[Organisation, ...]
) -> Organisation | None:
    """The hospital that the plan says was chosen; else the stated receiver; else the only one among the copies."""
    stated = plan.chosen_hospital or plan.receiver
    found = directory.resolve(stated, day) if stated else None
    if found and found.is_hospital:
        return found
    return choices[0] if len(choices) == 1 and plan.chosen_hospital is None else None


def _gp_stated(plan: RehabilitationPlan) -> bool:
    return plan.gp is not None and not plan.gp_deselected


def _gp(plan: RehabilitationPlan, directory: Directory, day: date) -> Organisation | None:
    found = directory.resolve(plan.gp, day) if plan.gp and _gp_stated(plan) else None
    return found if found and found.kind is OrganisationKind.GP else None


def _sender(plan: RehabilitationPlan, directory: Directory, day: date) -> Organisation | None:
    """The sending unit; when that is no hospital itself, the hospital above it, if any."""
    found = directory.resolve(plan.sender, day)
    line = (found, *directory.ancestors(found.id)) if found else ()
    return next((each for each in line if each.is_hospital), found)


def _unit_known(party: Party, directory: Directory, day: date) -> bool:
    """False when a party was found by the beginning of its SHAK number, which names the hospital above it."""
    found = directory.resolve(party, day)
    stated = {(IdentifierKind.GLN, party.gln), *((each.kind, each.value.strip().upper()) for each in party.identifiers)}
    return found is None or any((each.kind, each.value) in stated for each in found.identifiers)


def _sends_copies(plan: RehabilitationPlan, directory: Directory, day: date) -> bool:
    """True when the sending unit, or one above it, serves copy receivers itself."""
    unit = directory.resolve(plan.sender, day)
    return unit is not None and any(each.sends_copies for each in (unit, *directory.ancestors(unit.id)))


def _recognised(party: Party, directory: Directory, day: date) -> Organisation | None:
    """Whom a receiver is, also when it has ended; of a region, the one that has taken over."""
    found = directory.resolve(party, day) or directory.resolve(party)
    return directory.region_of(found, day) if found and found.kind is OrganisationKind.REGION else found


def _refused(plan: RehabilitationPlan, directory: Directory, day: date) -> frozenset[str]:
    """The ids of whom the patient does not want, units included."""
    found = (directory.resolve(party, day) for party in plan.consent.refused)
    return frozenset().union(*(directory.subtree(each.id) for each in found if each))


def _related(directory: Directory, organisations: Iterable[Organisation | None]) -> frozenset[str]:
    """The ids of the organisations, their units and the units above them."""
    related: set[str] = set()
    for each in organisations:
        if each:
            related |= directory.subtree(each.id)
            related.update(upper.id for upper in directory.ancestors(each.id))
    return frozenset(related)


def _unlisted(
    plan: RehabilitationPlan, copies: Iterable[tuple[Party, Organisation | None]], expected: frozenset[str]
) -> Iterator[str]:
    """What the message calls the copy receivers that get nothing although nobody refused them."""
    for party, found in copies:
        if found:
            if found.id not in expected:
                yield party.label
        # the GP or the sender again, unknown to the directory, is no further recipient
        elif not any(other and _same(party, other) for other in (plan.gp, plan.sender)):
            yield party.label


def _same(one: Party, other: Party) -> bool:
    return (one.gln is not None and one.gln == other.gln) or bool({*one.identifiers} & {*other.identifiers})
