"""The level in a case (§ 5): the hospital's stands, the municipality chooses basal or avanceret within almen."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.case import ClosedReason, EventKind
from gtgateway.model.findings import Bilingual
from gtgateway.model.plan import Level
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import ERROR, INFORMATION, ORDER_OF_2018, WARNING, Hit, Rule, guidance, live, of_case


def _changes_the_hospitals_level(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.event
    by_hospital = facts.actor is not None and facts.actor.is_hospital
    if event and event.hospital_level and event.hospital_level is not facts.case.level and not by_hospital:
        yield Hit()


def _level_without_almen_training(facts: CaseFacts) -> Iterator[Hit]:
    event, plan = facts.posted(EventKind.LEVEL_SET), facts.case.plan
    if event and event.municipal_level and Level.ALMEN not in (plan.level, plan.next_level):
        yield Hit()


def _informed_before_the_level_is_set(facts: CaseFacts) -> Iterator[Hit]:
    if facts.posted(EventKind.INFORMED) and facts.case.level is Level.ALMEN and facts.case.municipal_level is None:
        yield Hit()


def _assessed_by_no_health_person(facts: CaseFacts) -> Iterator[Hit]:
    if event := facts.posted(EventKind.LEVEL_SET):
        if event.assessed_at is None:
            yield Hit(path="assessed_at")
        elif event.assessor_role is None or not event.assessor_role.is_health_person:
            yield Hit()


def _level_changed(facts: CaseFacts) -> Iterator[Hit]:
    event, before = facts.posted(EventKind.LEVEL_SET), facts.case.municipal_level
    if event and before and event.municipal_level and event.municipal_level is not before:
        yield Hit(old=before, new=event.municipal_level)


def _self_training_instead_of_an_offer(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.posted(EventKind.CLOSED)
    if event and event.closed_reason is ClosedReason.SELF_TRAINING and facts.case.started is None:
        yield Hit()


RULES = (
    Rule(
        "GOP-LEVEL-01",
        "hospital_level",
        live(ORDER_OF_2018, "§ 5, stk. 2"),
        (
            of_case(
                "Niveauet er fastsat af sygehuset og kan ikke ændres af kommunen eller regionen; kontakt sygehuset.",
                "The level is set by the hospital and cannot be changed by the municipality or region; contact the "
                "hospital.",
                ERROR,
            ),
        ),
        Bilingual(
            "Kun sygehuset kan ændre niveauet, og det sker med en ny plan.",
            "Only the hospital can change the level, and does so with a new plan.",
        ),
        guard=_changes_the_hospitals_level,
    ),
    Rule(
        "GOP-LEVEL-02",
        "municipal_level",
        live(ORDER_OF_2018, "§ 5, stk. 3; bilag 1"),
        (
            of_case(
                "Basalt eller avanceret niveau kan kun vælges ved almen genoptræning.",
                "Basic or advanced applies only to general training.",
                ERROR,
            ),
        ),
        Bilingual(
            "I en plan med to faser kan niveauet for den almene fase vælges, allerede før den begynder.",
            "In a plan with two phases the level of the general phase may be set before that phase begins.",
        ),
        guard=_level_without_almen_training,
    ),
    Rule(
        "GOP-LEVEL-03",
        "municipal_level",
        live(ORDER_OF_2018, "§ 5, stk. 3; § 6, stk. 1"),
        (
            of_case(
                "Vælg basalt eller avanceret niveau, før borgeren informeres.",
                "Choose basic or advanced before informing the citizen.",
                ERROR,
            ),
        ),
        Bilingual(
            "Typen er en del af beskeden til borgeren, så niveauet vælges senest samme dag.",
            "The type is part of the notice to the citizen, so the level is set on the same day at the latest.",
        ),
        guard=_informed_before_the_level_is_set,
    ),
    Rule(
        "GOP-LEVEL-04",
        "assessor_role",
        live(ORDER_OF_2018, "§ 5, stk. 3"),
        (
            of_case(
                "Angiv hvilken sundhedsperson der har vurderet niveauet.",
                "State which health professional assessed the level.",
                WARNING,
            ),
        ),
        Bilingual(
            "Niveauet hviler på en sundhedsfaglig vurdering: angiv rolle og tidspunkt.",
            "The level rests on a health professional's assessment: state role and time.",
        ),
        guard=_assessed_by_no_health_person,
    ),
    Rule(
        "GOP-LEVEL-05",
        "municipal_level",
        live("KL: niveauet kan ændre sig over tid"),
        (of_case("Niveauet er ændret fra {old} til {new}.", "The level changed from {old} to {new}.", INFORMATION),),
        Bilingual(
            "Tidligere niveauer bliver stående i sagens hændelser.",
            "Earlier levels stay among the events of the case.",
        ),
        guard=_level_changed,
    ),
    Rule(
        "GOP-LEVEL-06",
        "closed_reason",
        live(guidance("4.5.2")),
        (
            of_case(
                "Genoptræning kan ikke erstattes af en instruks til egentræning.",
                "The right to training cannot be replaced by self-training instructions.",
                WARNING,
            ),
        ),
        Bilingual(
            "Egentræning kan indgå i et forløb, der er begyndt, men ikke træde i stedet for det.",
            "Self-training may be part of a course that has started, but not take its place.",
        ),
        guard=_self_training_instead_of_an_offer,
    ),
)
