"""Scope, sender and form: who may send a plan, and when (§ 1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from gtgateway.model.findings import Bilingual
from gtgateway.model.message import Action
from gtgateway.model.outcome import ActivePlan
from gtgateway.model.plan import RehabilitationPlan
from gtgateway.model.route import OrganisationKind
from gtgateway.validators.rule import ERROR, INFORMATION, WARNING, Condition, Facts, Hit, Rule, always, guidance, live

#: Encounter kinds that say the patient went to another ward.
_TRANSFERS = frozenset({"transfer", "overflytning", "overflyttet"})


def _sender_is_no_hospital(facts: Facts) -> Iterator[Hit]:
    sender = facts.route.sender
    if sender is None or not sender.is_hospital:
        yield Hit("no_hospital")
    elif not facts.route.sender_unit_known:
        yield Hit("unit_unknown", hospital=sender.name)


def _private_and_not_publicly_funded(facts: Facts) -> Iterator[Hit]:
    sender = facts.route.sender
    if sender is not None and sender.kind is OrganisationKind.PRIVATE_HOSPITAL:
        if facts.plan.funding == "self-paid":
            yield Hit("self_paid", "funding")
        elif facts.plan.funding is None:
            yield Hit("unknown", "funding")


def _transferred(facts: Facts) -> Iterator[Hit]:
    contact = facts.plan.hospital_contact
    if contact and contact.kind and contact.kind.casefold() in _TRANSFERS:
        yield Hit()


def _author_not_named(facts: Facts) -> Iterator[Hit]:
    author = facts.plan.author
    if author is None or not author.name or not author.title:
        yield Hit()


def _another_active_plan(facts: Facts) -> Iterator[Hit]:
    plan = facts.plan
    others = facts.known.active_plans.get(facts.letter_id, ())
    days = facts.parameters.same_course_days.value
    if any(other.plan_key != plan.replaces and _same_course(plan, other, days) for other in others):
        yield Hit()


def _withdrawn(facts: Facts) -> Iterator[Hit]:
    if facts.action is Action.WITHDRAWAL:
        yield Hit("known_plan_id" if facts.letter_id in facts.known.stored_plans else "unknown_plan_id")


def _same_course(plan: RehabilitationPlan, other: ActivePlan, within_days: int) -> bool:
    if plan.episode_of_care_id and plan.episode_of_care_id == other.episode_of_care_id:
        return True
    main = plan.primary_diagnosis
    if main is None or main.code != other.main_diagnosis or not plan.discharged_on or not other.discharged_on:
        return False
    return abs((plan.discharged_on - date.fromisoformat(other.discharged_on)).days) <= within_days


RULES = (
    Rule(
        "GOP-SCOPE-01",
        "sender",
        live("§ 1, stk. 1"),
        (
            Condition(
                "no_hospital",
                Bilingual(
                    "Afsenderen er ikke registreret som sygehus; en genoptræningsplan kan kun sendes fra et sygehus.",
                    "The sender is not registered as a hospital; only a hospital may send a rehabilitation plan.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "unit_unknown",
                Bilingual(
                    "Afsenderens afdeling er ikke registreret, kun sygehuset over den ({hospital}); få afdelingens "
                    "numre meldt ind.",
                    "The sending unit is not registered, only the hospital above it ({hospital}); have the unit's "
                    "numbers registered.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Afsenderens lokationsnummer, SOR-kode eller sygehusafdelingsnummer skal høre til et sygehus i "
            "organisationskataloget. En ukendt afdeling findes ved begyndelsen af sit sygehusafdelingsnummer; den, der "
            "sender for den, skal handle for sygehuset.",
            "The sender's location number, SOR code or SHAK number must belong to a hospital in the directory. An "
            "unknown unit is found by the beginning of its SHAK number; whoever sends it must act for the hospital.",
        ),
        _sender_is_no_hospital,
    ),
    Rule(
        "GOP-SCOPE-02",
        "sender",
        live(guidance("4.4.2")),
        (
            Condition(
                "self_paid",
                Bilingual(
                    "Et privathospital kan ikke udstede genoptræningsplan efter behandling, som patienten selv har "
                    "betalt; "
                    "henvis patienten til bopælsregionens sygehus.",
                    "A private hospital cannot issue a plan after self-paid treatment; refer the patient to a "
                    "hospital in "
                    "the region of residence.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "unknown",
                Bilingual(
                    "Afsenderen er et privathospital; angiv om behandlingen er betalt af det offentlige.",
                    "The sender is a private hospital; state whether the treatment was publicly funded.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Privathospitaler udsteder kun planer efter behandling, som det offentlige har betalt.",
            "Private hospitals issue plans only after publicly funded treatment.",
        ),
        _private_and_not_publicly_funded,
    ),
    Rule(
        "GOP-SCOPE-03",
        "hospital_contact.kind",
        live(guidance("3.2")),
        always(
            "Patienten ser ud til at være flyttet til en anden afdeling og ikke udskrevet; kontrollér, om planen skal "
            "sendes nu.",
            "The patient seems transferred, not discharged; check whether the plan should be sent now.",
            WARNING,
            None,
        ),
        Bilingual(
            "Planen følger udskrivningen fra sengeafdeling, ambulatorium, skadestue eller dagafsnit. MedCom XML har "
            "intet felt.",
            "The plan follows discharge from ward, clinic, emergency room or day unit. MedCom XML has no field for it.",
        ),
        _transferred,
    ),
    Rule(
        "GOP-SCOPE-04",
        "author",
        live("§ 1, stk. 1"),
        always(
            "Planen mangler navn og stilling på den, der har udarbejdet den.",
            "The plan lacks the name and role of its author.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "Nogen skal svare for planen. Stillingen behøver ikke være læge: arbejdet kan være overladt til en "
            "terapeut.",
            "Someone must answer for the plan. It need not be a doctor: the work may be delegated to a therapist.",
        ),
        _author_not_named,
    ),
    Rule(
        "GOP-SCOPE-05",
        "replaces",
        live(guidance("4.5.2")),
        always(
            "Der findes allerede en aktiv genoptræningsplan for samme forløb; angiv, om denne plan erstatter den "
            "tidligere.",
            "An active plan for the same course exists; state whether this plan replaces it.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Samme patient og samme forløb, eller samme hoveddiagnose og udskrivning inden for få dage "
            "(same_course_days). Kan være et reelt ekstra behov; et menneske afgør det.",
            "Same patient and course, or same main diagnosis and discharge within a few days "
            "(same_course_days). It may be a real second need; a person decides.",
        ),
        _another_active_plan,
    ),
    Rule(
        "GOP-SCOPE-06",
        "",
        live("§ 1, stk. 2"),
        always(
            "Meddelelsen kan ikke læses som en genoptræningsplan; kontrollér formatet og send igen.",
            "The message cannot be read as a rehabilitation plan; check the format and resend.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Afgøres, når meddelelsen læses: fundene hedder GOP-XML, GOP-VANS, GOP-MSG og GOP-SCHEMA og siger, hvad "
            "der er galt.",
            "Decided when the message is read: the findings are GOP-XML, GOP-VANS, GOP-MSG and GOP-SCHEMA and say "
            "what is "
            "wrong.",
        ),
    ),
    Rule(
        "GOP-SCOPE-07",
        "level",
        live(guidance("3.3")),
        (),
        Bilingual(
            "Løfte: niveauet vurderes aldrig ud fra diagnosen. Ingen regel sammenligner dem.",
            "A promise: the level is never judged by the diagnosis. No rule compares the two.",
        ),
    ),
    Rule(
        "GOP-SCOPE-08",
        "plan_id",
        live("KL: statuskoden Fejl (fejlafsendt)"),
        (
            Condition(
                "known_plan_id",
                Bilingual(
                    "Planen er trukket tilbage af afsenderen og skal ikke behandles.",
                    "The sender has withdrawn the plan; do not act on it.",
                ),
                INFORMATION,
                INFORMATION,
            ),
            Condition(
                "unknown_plan_id",
                Bilingual(
                    "Den plan, der trækkes tilbage, kendes ikke; kontrollér planens id.",
                    "The plan that is withdrawn is not known; check its id.",
                ),
                ERROR,
                ERROR,
            ),
        ),
        Bilingual(
            "Afgøres, når en tilbagetrækning modtages. MedCom XML kan ikke trække en plan tilbage.",
            "Decided when a withdrawal is received. MedCom XML cannot withdraw a plan.",
        ),
        _withdrawn,
    ),
)
