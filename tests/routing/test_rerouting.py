"""A plan with another hospital than the one that it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.outcome import Rerouted
from gtgateway.model.plan import Party, RehabilitationPlan
from gtgateway.routing.directory import Directory
from gtgateway.routing.rerouting import rerouted_plan

DIRECTORY = Directory.load()
DAY = date(2026, 11, 6)
TO = Rerouted("sygehus-aadalen-neurorehabilitering", "ouh-rehabilitering")
FIRST, SECOND, THIRD = Party(gln="5790999300025"), Party(gln="5790999300148"), Party(gln="5790999300117")
TOWN, PRACTICE = Party(gln="5790000121441"), Party(gln="5790999000001")


def rerouted(plan: RehabilitationPlan, to: Rerouted = TO) -> RehabilitationPlan:
    return rerouted_plan(plan, to, DIRECTORY, DAY)


def test_a_hospital_among_the_copy_receivers() -> None:
    plan = rerouted(RehabilitationPlan(receiver=TOWN, copy_receivers=(PRACTICE, FIRST)))
    assert plan.receiver == TOWN
    assert plan.copy_receivers == (PRACTICE,)
    assert plan.chosen_hospital == Party(
        gln="5790999300148",
        identifiers=(
            Identifier(IdentifierKind.GLN, "5790999300148"),
            Identifier(IdentifierKind.SOR, "9990999300148"),
            Identifier(IdentifierKind.SHAK, "9905220"),
        ),
        name="Sygehus Ådalen, Neurorehabilitering",
    )


def test_a_hospital_that_is_the_receiver() -> None:
    plan = rerouted(RehabilitationPlan(receiver=FIRST, copy_receivers=(TOWN,)))
    assert plan.receiver is plan.chosen_hospital
    assert plan.copy_receivers == (TOWN,)


def test_a_plan_that_names_another_hospital_is_left_as_it_is() -> None:
    for plan in (
        RehabilitationPlan(receiver=TOWN, copy_receivers=(THIRD,)),
        RehabilitationPlan(receiver=TOWN, copy_receivers=(FIRST,), chosen_hospital=THIRD),
        RehabilitationPlan(receiver=TOWN),
    ):
        assert rerouted(plan) is plan


@pytest.mark.parametrize("id", ["gone", ""])
def test_a_hospital_that_the_directory_knows_no_longer(id: str) -> None:
    plan = RehabilitationPlan(receiver=TOWN, copy_receivers=(FIRST,))
    assert rerouted(plan, replace(TO, hospital=id)) is plan
