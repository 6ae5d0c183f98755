"""Free choice (§§ 7 and 8): who may be chosen, when the right opens, and what keeps the public offer open."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.case import Case, CaseEvent, ChoiceKind, EventKind
from gtgateway.model.findings import Bilingual
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import (
    BEK_918,
    BEK_2027,
    ERROR,
    INFORMATION,
    WARNING,
    Hit,
    Rule,
    danish_date,
    live,
    of_case,
)


def _free_choice_not_told(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.posted(EventKind.INFORMED)
    if event and facts.has_clocks:
        told = facts.case.free_choice_info_at or event.free_choice_info_at
        if told is None or told > event.at:
            yield Hit()


def _no_start_in_time(facts: CaseFacts) -> Iterator[Hit]:
    limit = facts.clocks.deadlines.seven_day
    offering = facts.offering
    if offering and offering.offered_start and limit and offering.offered_start > limit:
        yield Hit("late_offer", date=danish_date(limit))
    elif facts.standing and limit and facts.free_choice_open:
        yield Hit("late_offer" if facts.case.offer else "no_offer", date=danish_date(limit))
    choice = facts.posted(EventKind.CHOICE)
    if choice and choice.choice_kind is ChoiceKind.PRIVATE and not facts.free_choice_open:
        yield Hit("not_open", "choice_kind")


def _private_provider(facts: CaseFacts) -> CaseEvent | None:
    """The event, when it names a private provider that the citizen chose or agreed a start with."""
    event = facts.posted(EventKind.CHOICE, EventKind.CITIZEN_REPORTED)
    private = event and (event.kind is EventKind.CITIZEN_REPORTED or event.choice_kind is ChoiceKind.PRIVATE)
    return event if private else None


def _provider_without_agreement(facts: CaseFacts) -> Iterator[Hit]:
    event, lists = _private_provider(facts), facts.order.choice
    if event and event.provider_id and lists and facts.authority:
        kept_by = lists.provider_lists[facts.authority]
        if not any(
            each.provider_id == event.provider_id and each.kept_by == kept_by and each.valid_on(facts.day)
            for each in facts.agreements
        ):
            yield Hit(kept_by=_IN_BOTH.get(kept_by, kept_by))


def _private_start_too_late(facts: CaseFacts) -> Iterator[Hit]:
    event, offer = _private_provider(facts), facts.case.offer
    if event and event.private_start and offer and offer.offered_start:
        if event.private_start > offer.offered_start:
            yield Hit("later", date=danish_date(offer.offered_start))
        elif (
            event.private_start == offer.offered_start
            and facts.order.choice
            and facts.order.choice.private_start_when_equal == "warning"
        ):
            yield Hit("equal", date=danish_date(offer.offered_start))


def _offer_not_kept_open(facts: CaseFacts) -> Iterator[Hit]:
    if not facts.free_choice_open:
        return
    closing = facts.posted(EventKind.CLOSED)
    if closing and not (closing.closed_reason and closing.closed_reason.is_citizens_own):
        yield Hit()
    moved, offer = facts.offering, facts.case.offer
    if moved and moved.offered_start and offer and offer.offered_start and moved.offered_start > offer.offered_start:
        yield Hit(path="offered_start")


def _forwarded_too_early_or_late(facts: CaseFacts) -> Iterator[Hit]:
    case, report = facts.case, facts.case.report
    if event := facts.posted(EventKind.FORWARDED):
        if _goes_to_a_public_institution(case, event):
            return
        if report is None or event.provider_id is None or event.provider_id != report.provider_id:
            yield Hit("too_early")
            return
    elif not facts.standing or case.forwarded or case.started:
        return
    days = facts.order.parameters.forward_working_days.value
    if report and facts.calendar.working_days(report.on, facts.day) > days:
        yield Hit("not_forwarded_within_1_working_day", date=danish_date(report.on), days=days)


def _goes_to_a_public_institution(case: Case, event: CaseEvent) -> bool:
    """Forwarded to what the citizen chose under § 7, stk. 1, or to the municipality's own supplier."""
    choice = case.choice
    return bool(
        choice
        and choice.choice_kind is not ChoiceKind.PRIVATE
        and choice.provider_id
        and choice.provider_id == event.provider_id
    )


def _agreement_not_documented(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.posted(EventKind.CITIZEN_REPORTED)
    if event and not event.documentation_ref:
        yield Hit()


def _other_municipalitys_supplier(facts: CaseFacts) -> Iterator[Hit]:
    choice = facts.posted(EventKind.CHOICE)
    if choice and choice.choice_kind is ChoiceKind.OTHER_PUBLIC and facts.provider and not facts.provider_is_public:
        yield Hit()


def _seven_days_end_with_another_municipality(facts: CaseFacts) -> Iterator[Hit]:
    choice = facts.posted(EventKind.CHOICE)
    if choice and choice.choice_kind is ChoiceKind.OTHER_PUBLIC and facts.clocks.deadlines.seven_day:
        yield Hit()


def _postponed_by_the_citizen(facts: CaseFacts) -> Iterator[Hit]:
    if facts.posted(EventKind.PATIENT_POSTPONED) and facts.has_clocks:
        yield Hit()


def _hospital_refuses(facts: CaseFacts) -> Iterator[Hit]:
    if facts.posted(EventKind.REFUSED_CAPACITY) and facts.actor and facts.actor.is_hospital:
        yield Hit("own_region" if facts.in_own_region else "elsewhere")


#: Names of lists that are said differently in the two languages.
_IN_BOTH = {"Danske Regioner": Bilingual("Danske Regioner", "Danish Regions")}

RULES = (
    Rule(
        "GOP-CHOICE-01",
        "free_choice_info_at",
        live("sundhedsloven § 140", "§ 7, stk. 4"),
        (
            of_case(
                "Oplys borgeren om det frie valg af genoptræningssted.",
                "Tell the citizen about the free choice of provider.",
                WARNING,
            ),
        ),
        Bilingual(
            "Senest sammen med beskeden om sted, tid og type.",
            "No later than with the notice of place, time and type.",
        ),
        guard=_free_choice_not_told,
    ),
    Rule(
        "GOP-CHOICE-02",
        "offered_start",
        live("sundhedsloven § 140, stk. 4", "§ 7, stk. 3"),
        (
            of_case(
                "Opstart kan ikke tilbydes senest {date}; borgeren har ret til at vælge en privat leverandør.",
                "Start cannot be offered by {date}; the citizen may choose a private provider.",
                WARNING,
                "late_offer",
            ),
            of_case(
                "Opstart er ikke tilbudt senest {date}; borgeren har ret til at vælge en privat leverandør.",
                "No start was offered by {date}; the citizen may choose a private provider.",
                WARNING,
                "no_offer",
            ),
            of_case(
                "Retten til at vælge en privat leverandør er ikke indtrådt; kontrollér tilbuddet og fristen.",
                "The right to choose a private provider has not begun; check the offer and the limit.",
                WARNING,
                "not_open",
            ),
        ),
        Bilingual(
            "Retten begynder, når den tilbudte start er senere end dag syv, eller når dag syv er gået uden tilbud. "
            "Den gælder ikke genoptræning på sygehus, og ikke når borgeren har udsat starten eller valgt en anden "
            "kommune.",
            "The right begins when the offered start is later than day seven, or when day seven passed without an "
            "offer. It does not cover hospital training, nor a citizen who postponed or chose another municipality.",
        ),
        guard=_no_start_in_time,
    ),
    Rule(
        "GOP-CHOICE-03",
        "discharged_on",
        live("sundhedsloven § 140, stk. 4", "§ 7, stk. 3"),
        (),
        Bilingual(
            "Løfte: udskrivningsdagen tæller som dag nul i alle frister.",
            "A promise: the day of discharge counts as day zero in every deadline.",
        ),
    ),
    Rule(
        "GOP-CHOICE-04",
        "provider_id",
        live("sundhedsloven § 140", "§ 7, stk. 3"),
        (
            of_case(
                "Leverandøren har ikke aftale med {kept_by} og kan ikke vælges.",
                "The provider has no agreement with {kept_by} and cannot be chosen.",
                ERROR,
            ),
        ),
        Bilingual(
            "Den liste gælder, som hører til den myndighed, der har ansvaret den dag: KL for kommuner, Danske Regioner "
            "for regioner. Listerne står i organisationskataloget (agreements) med dato og kilde.",
            "The list is that of the authority responsible that day: KL for municipalities, Danish Regions for "
            "regions. The lists stand in the directory (agreements) with dates and source.",
        ),
        guard=_provider_without_agreement,
    ),
    Rule(
        "GOP-CHOICE-05",
        "private_start",
        live("sundhedsloven § 140", "§ 7, stk. 3"),
        (
            of_case(
                "Den private leverandør skal kunne starte senest {date}, som er det offentlige tilbud.",
                "The private provider must start by {date}, the public offer.",
                ERROR,
                "later",
            ),
            of_case(
                "Den private leverandør starter samme dag som det offentlige tilbud, {date}; kontrollér kommunens "
                "krav om tidligere opstart.",
                "The private provider starts on the day of the public offer, {date}; check whether the municipality "
                "asks for an earlier start.",
                WARNING,
                "equal",
            ),
        ),
        Bilingual(
            "Uden et offentligt tilbud er der intet at sammenligne med, og reglen er opfyldt.",
            "Without a public offer there is nothing to compare with, and the rule holds.",
        ),
        guard=_private_start_too_late,
    ),
    Rule(
        "GOP-CHOICE-06",
        "closed_reason",
        {BEK_2027: "§ 8, stk. 1"},
        (
            of_case(
                "Tilbuddet skal holdes åbent, indtil borgeren har meddelt aftale med en privat leverandør.",
                "Keep the offer open until the citizen reports an agreement with a private provider.",
                ERROR,
            ),
        ),
        Bilingual(
            "Mens borgeren har frit valg, kan sagen ikke lukkes og tilbuddet ikke udsættes, medmindre borgeren selv "
            "ophører.",
            "While the citizen has the free choice, the case cannot be closed nor the offer moved later, unless the "
            "citizen opts out.",
        ),
        guard=_offer_not_kept_open,
    ),
    Rule(
        "GOP-CHOICE-07",
        "provider_id",
        {BEK_2027: "§ 8, stk. 2"},
        (
            of_case(
                "Planen kan først sendes til den private leverandør, når borgeren har meddelt aftalen.",
                "The plan may go to the private provider only after the citizen reports the agreement.",
                ERROR,
                "too_early",
            ),
            of_case(
                "Borgeren meddelte aftalen {date}; send planen til den private leverandør inden for {days} hverdag.",
                "The citizen reported the agreement on {date}; forward the plan to the private provider within {days} "
                "working day.",
                WARNING,
                "not_forwarded_within_1_working_day",
            ),
        ),
        Bilingual(
            "Kun til den leverandør, som borgeren har nævnt. Hvor mange hverdage er gatewayens egen læsning "
            "(parametre).",
            "Only to the provider that the citizen named. How many working days is the gateway's own reading "
            "(parameters).",
        ),
        guard=_forwarded_too_early_or_late,
    ),
    Rule(
        "GOP-CHOICE-08",
        "documentation_ref",
        {BEK_2027: "§ 8, stk. 3"},
        (
            of_case(
                "Kommunen kan kræve dokumentation for den aftalte opstart.",
                "Documentation of the agreed start may be required.",
                INFORMATION,
            ),
        ),
        Bilingual(
            "Siges, når borgeren meddeler en aftale uden henvisning til dokumentation.",
            "Said when the citizen reports an agreement without a reference to documentation.",
        ),
        guard=_agreement_not_documented,
    ),
    Rule(
        "GOP-CHOICE-09",
        "provider_id",
        live("sundhedsloven § 140", "§ 7, stk. 1 og 2"),
        (
            of_case(
                "Borgeren kan vælge en anden kommunes institution, men ikke dens private leverandører.",
                "The citizen may choose another municipality's institution but not its private suppliers.",
                ERROR,
            ),
        ),
        Bilingual(
            "Organisationskataloget siger, om institutionen er kommunens eller regionens egen; hvem der er på en liste "
            "over private leverandører, er privat. Institutionen må sige nej, når den ikke har plads.",
            "The directory says whether the institution is the municipality's or region's own; whoever is on a list of "
            "private providers is private. The institution may refuse for lack of capacity.",
        ),
        guard=_other_municipalitys_supplier,
    ),
    Rule(
        "GOP-CHOICE-10",
        "choice_kind",
        {BEK_918: "sundhedsloven § 140, stk. 4"},
        (
            of_case(
                "Borgeren har valgt en anden kommune; syvdagesfristen gælder ikke længere.",
                "Another municipality was chosen; the seven-day limit no longer applies.",
                INFORMATION,
            ),
        ),
        Bilingual(
            "Afviser institutionen borgeren, gælder fristen igen.",
            "When the institution refuses the citizen, the limit applies again.",
        ),
        guard=_seven_days_end_with_another_municipality,
    ),
    Rule(
        "GOP-CHOICE-11",
        "kind",
        live("sundhedsloven § 140", "§ 7, stk. 3"),
        (
            of_case(
                "Borgeren har selv udsat opstarten; det udløser ikke frit valg.",
                "The citizen postponed the start; this does not trigger free choice.",
                INFORMATION,
            ),
        ),
        Bilingual(
            "Syvdagesfristen standser og begynder ikke igen i samme fase.",
            "The seven-day limit stops and does not begin again in the same phase.",
        ),
        guard=_postponed_by_the_citizen,
    ),
    Rule(
        "GOP-CHOICE-12",
        "",
        {BEK_2027: "§ 7, stk. 5"},
        (),
        Bilingual(
            "Løfte: en privat leverandør må vælges i hele landet; intet geografisk filter.",
            "A promise: a private provider anywhere in the country may be chosen; there is no geographic filter.",
        ),
    ),
    Rule(
        "GOP-CHOICE-13",
        "kind",
        live("sundhedsloven § 86, stk. 2", "§ 7, stk. 6; sundhedsloven § 86, stk. 2"),
        (
            of_case(
                "Det valgte sygehus kan ikke modtage patienten; patienten skal vælge et andet sygehus.",
                "The chosen hospital cannot receive the patient; the patient must choose another.",
                WARNING,
                "elsewhere",
            ),
            of_case(
                "Det valgte sygehus ligger i patientens egen region, men kan ikke modtage patienten; kun patienter fra "
                "andre regioner kan afvises, fordi der ikke er plads.",
                "The chosen hospital lies in the patient's own region but cannot receive the patient; only patients "
                "from elsewhere may be refused for lack of capacity.",
                WARNING,
                "own_region",
            ),
        ),
        Bilingual(
            "Afvisningen registreres under alle omstændigheder; afsenderen og bopælskommunen får besked.",
            "The refusal is recorded in any case; sender and municipality of residence are told.",
        ),
        guard=_hospital_refuses,
    ),
)
