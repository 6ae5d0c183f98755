"""Combined plans, transport, the order that judged, and promises about data."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.findings import Bilingual
from gtgateway.model.outcome import OrderBasis
from gtgateway.model.plan import Level
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.phrases import TRANSPORT
from gtgateway.validators.rule import (
    BEK_918,
    ERROR,
    INFORMATION,
    ORDER_OF_2018,
    WARNING,
    Condition,
    Facts,
    Hit,
    Rule,
    always,
    danish_date,
    every_order,
    guidance,
    live,
    of_case,
)


def _phases_out_of_order(facts: Facts) -> Iterator[Hit]:
    plan = facts.plan
    if plan.next_level and not (plan.next_level is Level.ALMEN and plan.level in _FIRST_PHASES):
        yield Hit()


_FIRST_PHASES = (Level.SPECIALISERET, Level.REHABILITERING)


def _shift_not_dated(facts: Facts) -> Iterator[Hit]:
    if facts.plan.next_level and facts.plan.phase2_from is None:
        yield Hit()


def _transport_mentioned(facts: Facts) -> Iterator[Hit]:
    practical = facts.plan.practical_information
    if practical and TRANSPORT.find(practical.plain):
        yield Hit()


def _judged_by(facts: Facts) -> Iterator[Hit]:
    governing = facts.governing
    if governing.basis is not OrderBasis.EARLIEST_LIVE:
        yield Hit(governing.basis, date=danish_date(governing.day))


def _before_live_orders(facts: Facts) -> Iterator[Hit]:
    if facts.governing.basis is OrderBasis.EARLIEST_LIVE:
        yield Hit()


def _passed_to_the_region(facts: CaseFacts) -> Iterator[Hit]:
    handover = facts.handover
    if facts.standing and handover and not handover.accepted and facts.region:
        passed = facts.authority == handover.to
        yield Hit("passed" if passed else "not_accepted", region=facts.region.name, since=danish_date(handover.since))


def _judged(basis: OrderBasis, da: str, en: str) -> Condition:
    return Condition(basis, Bilingual(da, en), INFORMATION, INFORMATION)


def _promise(rule: str, basis: str, da: str, en: str) -> Rule:
    """A rule of the design, kept by the program and its tests; no plan can break it."""
    return Rule(rule, "", every_order(basis), (), Bilingual(da, en))


RULES = (
    Rule(
        "GOP-COMBI-01",
        "next_level",
        live(guidance("4.5.2")),
        always(
            "Planen har to faser; rækkefølgen skal være specialiseret først og derefter almen.",
            "The plan has two phases; the order must be specialised first, then general.",
            WARNING,
            None,
        ),
        Bilingual(
            "Begge fasers modtagere får planen. MedCom XML har ingen form for to faser.",
            "The recipients of both phases get the plan. MedCom XML has no form for two phases.",
        ),
        _phases_out_of_order,
    ),
    Rule(
        "GOP-COMBI-02",
        "phase2_from",
        live(guidance("4.5.2")),
        always(
            "Angiv forventet dato for skift til almen genoptræning.",
            "State the expected date for the shift to general training.",
            INFORMATION,
            None,
        ),
        Bilingual(
            "Datoen starter fristerne for anden fase. MedCom XML har intet felt.",
            "The date starts the deadlines of the second phase. MedCom XML has no field for it.",
        ),
        _shift_not_dated,
    ),
    Rule(
        "GOP-TRANS-01",
        "practical_information",
        live(guidance("10.1")),
        always(
            "Planen nævner behov for kørsel; kommunen vurderer retten til befordring.",
            "The plan mentions transport; the municipality decides the right.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Læses af ord i de praktiske oplysninger (phrases.toml). Gatewayen afgør intet.",
            "Read from words in the practical information (phrases.toml). The gateway decides nothing.",
        ),
        _transport_mentioned,
    ),
    Rule(
        "GOP-REGIME-01",
        "discharged_on",
        live(ORDER_OF_2018, "§ 9"),
        (
            _judged(
                OrderBasis.DISCHARGE,
                "Planen er vurderet efter reglerne, der gælder for udskrivning den {date}.",
                "The plan was judged by the rules for discharge on {date}.",
            ),
            _judged(
                OrderBasis.EXPECTED_DISCHARGE,
                "Planen er vurderet efter reglerne, der gælder for den forventede udskrivning den {date}.",
                "The plan was judged by the rules for the expected discharge on {date}.",
            ),
            _judged(
                OrderBasis.PLAN_DATE,
                "Planen er vurderet efter reglerne, der gælder på plandatoen {date}, fordi udskrivningsdatoen mangler.",
                "The plan was judged by the rules for the plan date {date}, because the discharge date is missing.",
            ),
            _judged(
                OrderBasis.RECEIPT,
                "Planen er vurderet efter reglerne, der gælder ved modtagelsen {date}, fordi udskrivningsdatoen "
                "mangler.",
                "The plan was judged by the rules for the day of receipt {date}, because the discharge date is "
                "missing.",
            ),
        ),
        Bilingual(
            "Meddelelsen siger ikke selv, hvilken bekendtgørelse der gælder; udskrivningsdagen afgør det.",
            "The message does not say which order applies; the day of discharge decides.",
        ),
        _judged_by,
    ),
    Rule(
        "GOP-REGIME-02",
        "discharged_on",
        {BEK_918: ORDER_OF_2018},
        always(
            "Udskrivningsdatoen ligger før de gældende regler; kontrollér datoen.",
            "The discharge date is before the current rules; check it.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Resten af planen er vurderet efter bekendtgørelsen fra 2018, så alle fejl kommer med. Arkivlæsning "
            "tillader ældre planer.",
            "The rest of the plan was judged by the order of 2018, so that all faults come at once. Archive reading "
            "allows "
            "older plans.",
        ),
        _before_live_orders,
    ),
    Rule(
        "GOP-REGIME-03",
        "",
        {BEK_918: "sundhedsloven § 139 b; lov nr. 699 af 20/06/2025"},
        (
            of_case(
                "Ansvaret for forløbet er overgået til {region} den {since}.",
                "Responsibility passed to {region} on {since}.",
                INFORMATION,
                "passed",
            ),
            of_case(
                "{region} overtager ansvaret for forløbet fra den {since}; kommunen har det, indtil regionen har taget "
                "imod det.",
                "{region} takes over the case from {since} on; the municipality is responsible until the region has "
                "accepted it.",
                INFORMATION,
                "not_accepted",
            ),
        ),
        Bilingual(
            "Siges dagligt om en åben sag, indtil regionen har taget imod den. Træning på sygehus går over ved en "
            "meddelelse; ved rehabilitering har kommunen ansvaret så længe.",
            "Said daily of an open case, until the region has accepted it. Training at a hospital passes by a notice; "
            "for rehabilitation the municipality is responsible until then.",
        ),
        guard=_passed_to_the_region,
    ),
    _promise(
        "GOP-DATA-01",
        "Databeskyttelsesforordningen, artikel 5 og 32",
        "Løfte: enhver adgang og videresendelse logges uden klinisk tekst.",
        "A promise: every access and forwarding is logged, without clinical text.",
    ),
    _promise(
        "GOP-DATA-02",
        "Datatilsynet 2021",
        "Løfte: loggen gemmes i fem år og slettes derefter.",
        "A promise: the log is kept for five years and then deleted.",
    ),
    _promise(
        "GOP-DATA-03",
        "Journalføringsreglerne",
        "Løfte: den kommunale post gemmes i mindst ti år, medmindre den dataansvarlige har sat fem.",
        "A promise: the municipal record is kept for at least ten years, unless its controller set five.",
    ),
    _promise(
        "GOP-DATA-04",
        "Databeskyttelsesforordningen, artikel 5",
        "Løfte: en afvist meddelelses indhold skrives aldrig, og fund citerer højst 80 tegn.",
        "A promise: the body of a refused message is never written, and findings quote at most 80 characters.",
    ),
    _promise(
        "GOP-DATA-05",
        "sundhedsloven § 42",
        "Løfte: af samtykket gemmes kun, om det er givet, af hvem og hvornår.",
        "A promise: of the consent only whether, by whom and when is kept.",
    ),
)
