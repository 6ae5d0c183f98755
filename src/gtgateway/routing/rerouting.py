"""A plan whose patient chose another hospital after it came: no new plan, other recipients (GOP-CHOICE-13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gtgateway.model.outcome import Rerouted
from gtgateway.model.plan import Party, RehabilitationPlan
from gtgateway.model.route import Organisation
from gtgateway.routing.directory import Directory


def rerouted_plan(
    plan: RehabilitationPlan, rerouted: Rerouted, directory: Directory, received_on: date
) -> RehabilitationPlan:
    """The plan with the hospital that was chosen since, wherever it names the one before.

    As it is when it names another hospital than that one: then its sender has made a choice known itself.
    """
    hospital = directory.by_id(rerouted.hospital)
    if hospital is None or not _names(plan, rerouted.instead_of, directory, received_on):
        return plan
    party = Party(gln=hospital.gln, identifiers=hospital.identifiers, name=hospital.name)
    others = tuple(each for each in plan.copy_receivers if not _is_hospital(each, directory, received_on))
    addressed = plan.receiver is not None and _is_hospital(plan.receiver, directory, received_on)
    return replace(plan, chosen_hospital=party, receiver=party if addressed else plan.receiver, copy_receivers=others)


def _names(plan: RehabilitationPlan, id: str, directory: Directory, day: date) -> bool:
    """Whether the plan names a hospital: as the chosen one, else among its receivers."""
    named = (plan.chosen_hospital,) if plan.chosen_hospital else plan.receivers
    return any((found := directory.resolve(party, day)) is not None and found.id == id for party in named)


def _is_hospital(party: Party, directory: Directory, day: date) -> bool:
    found: Organisation | None = directory.resolve(party, day)
    return found is not None and found.is_hospital
