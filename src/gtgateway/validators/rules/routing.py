"""Recipients (§ 4). They are computed in `routing/`; these rules say what was wrong about those that were stated."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.delivery import DeliveryState
from gtgateway.model.findings import Bilingual, Layer
from gtgateway.model.message import Format
from gtgateway.model.plan import Level
from gtgateway.model.route import Evidence, Organisation, OrganisationKind, Receives
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import (
    BEK_918,
    BEK_2027,
    ERROR,
    INFORMATION,
    ORDER_OF_2018,
    WARNING,
    Condition,
    Facts,
    Hit,
    Rule,
    always,
    guidance,
    live,
)


def _rehabilitation_by_the_municipality(facts: Facts) -> bool:
    owners = facts.governing.order.clocks.owners
    return owners.get(Level.REHABILITERING) == "municipality" and facts.has_level(Level.REHABILITERING)


def _municipality_missing(facts: Facts) -> Iterator[Hit]:
    if not _rehabilitation_by_the_municipality(facts):
        yield from _no_municipality(facts)


def _municipality_of_rehabilitation_missing(facts: Facts) -> Iterator[Hit]:
    if _rehabilitation_by_the_municipality(facts):
        yield from _no_municipality(facts)


def _no_municipality(facts: Facts) -> Iterator[Hit]:
    residence = facts.route.residence
    municipality = residence.municipality
    if municipality is None:
        if residence.evidence is not None:  # without any evidence it is GOP-PAT-02
            yield Hit()
    elif _cannot_be_reached(municipality):
        yield Hit()


def _cannot_be_reached(organisation: Organisation) -> bool:
    """True for one that does not fetch its plans and has no address to send them to."""
    return organisation.receives is not Receives.PULL and organisation.gln is None


def _region_missing(facts: Facts) -> Iterator[Hit]:
    route = facts.route
    if "region" in route.missing and route.residence.municipality is not None:  # else it is GOP-PAT-02
        yield Hit()


def _chosen_hospital_missing(facts: Facts) -> Iterator[Hit]:
    if not facts.has_level(Level.SPECIALISERET):
        return
    route = facts.route
    hospital = route.chosen_hospital
    if hospital is None:
        if len(route.hospital_choices) > 1:
            yield Hit("several", hospitals=", ".join(each.name for each in route.hospital_choices))
        elif facts.plan.chosen_hospital is not None:
            yield Hit("unknown", hospital=facts.plan.chosen_hospital.label)
        else:
            yield Hit("missing" if facts.format is Format.FHIR else "missing_in_xml")
    elif hospital.kind is OrganisationKind.PRIVATE_HOSPITAL and not hospital.special_hospital:
        yield Hit("private_not_special_hospital", hospital=hospital.name)


def _hospital_of_another_region(facts: Facts) -> Iterator[Hit]:
    route = facts.route
    if facts.has_level(Level.SPECIALISERET) and _differ(route.hospital_region, route.residence.region):
        yield Hit()


def _differ(one: Organisation | None, other: Organisation | None) -> bool:
    return one is not None and other is not None and one.id != other.id


def _gp_unknown(facts: Facts) -> Iterator[Hit]:
    if "gp" in facts.route.missing:
        yield Hit("not_in_directory", gp=facts.plan.gp.label if facts.plan.gp else "")
    elif facts.plan.gp is None and not facts.plan.gp_deselected:
        yield Hit("not_stated")


def _lives_in_another_region(facts: Facts) -> Iterator[Hit]:
    residence = facts.route.residence
    if residence.municipality and _differ(facts.route.sender_region, residence.region):
        yield Hit(municipality=residence.municipality.name)


def _another_receiver_stated(facts: Facts) -> Iterator[Hit]:
    route = facts.route
    residence, stated = route.residence, route.stated_receiver
    if residence.municipality is None or stated is None:
        return
    values = {"stated": stated.name, "computed": residence.municipality.name}
    if residence.evidence is Evidence.RECEIVER and not residence.certain:
        yield Hit("residence_contradicted", **values)
    elif residence.evidence is Evidence.RECEIVER and residence.doubtful:
        yield Hit("residence_doubtful", **values)
    elif route.entries and stated.name not in route.refused and not _lawful(stated, facts):
        yield Hit("residence_certain" if residence.certain else "residence_uncertain", **values)


def _lawful(stated: Organisation, facts: Facts) -> bool:
    """True for a recipient that the order names, and for a unit of one."""
    lawful = {entry.organisation.id for entry in facts.route.entries}
    if facts.has_level(Level.SPECIALISERET):
        lawful.update(each.id for each in facts.route.hospital_choices)
    return stated.id in lawful or stated.parent in lawful


def _region_that_has_ended(facts: Facts) -> Iterator[Hit]:
    region = facts.route.contact_region
    if region and region.valid_until and region.valid_until < facts.governing.organisations_on:
        yield Hit(name=region.name.removeprefix("Region "))


def _unlisted_recipient(facts: Facts) -> Iterator[Hit]:
    for label in facts.route.unlisted:
        index = next((i for i, party in enumerate(facts.plan.copy_receivers) if party.label == label), None)
        yield Hit(path=None if index is None else f"copy_receivers[{index}]", recipient=label)


def _egentraening(facts: Facts) -> Iterator[Hit]:
    if facts.only_egentraening:
        if facts.policy.egentraening == "refuse":
            yield Hit("refused")
        elif facts.plan.level is not None:
            yield Hit("level_also_stated", level=facts.plan.level)
        else:
            yield Hit("information")


def _egentraening_without_municipal_help(facts: Facts) -> Iterator[Hit]:
    if facts.only_egentraening and facts.plan.municipal_help is False:
        yield Hit()


_NO_ADDRESS = always(
    "Planen kan ikke sendes, fordi bopælskommunens modtageradresse mangler.",
    "The plan cannot be sent because the municipality's address is missing.",
    ERROR,
    ERROR,
)
_NO_ADDRESS_HELP = Bilingual(
    "Kommunen er fundet, men gatewayens organisationskatalog siger ikke, hvor den kan nås. Kontakt gatewayens drift.",
    "The municipality was found, but the directory of the gateway does not say where to reach it. Contact its "
    "operator.",
)


def _delivered_in_part(facts: CaseFacts) -> Iterator[Hit]:
    """Some have the plan and others still wait for it; what was cancelled is owed to nobody."""
    owed = [each.state for each in facts.deliveries if each.state is not DeliveryState.CANCELLED]
    delivered = sum(state.has_arrived for state in owed)
    if facts.standing and delivered and any(state in _RETRIED for state in owed):
        yield Hit(count=delivered, total=len(owed))


#: States in which a delivery is tried again.
_RETRIED = (DeliveryState.PENDING, DeliveryState.SENT)

RULES = (
    Rule(
        "GOP-ROUTE-01",
        "receiver",
        live("§ 4", "§ 4, stk. 2"),
        _NO_ADDRESS,
        _NO_ADDRESS_HELP,
        _municipality_missing,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-02",
        "receiver",
        {BEK_2027: "§ 4, stk. 3"},
        always(
            "Rehabilitering på specialiseret niveau skal fra 1. januar 2027 sendes til bopælsregionen; regionen kunne "
            "ikke "
            "findes.",
            "From 1 January 2027 specialised rehabilitation goes to the region of residence; the region could not be "
            "found.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Regionen findes ud fra bopælskommunen og udskrivningsdagen, aldrig ud fra kontaktoplysningerne.",
            "The region follows from the municipality and the day of discharge, never from the contact.",
        ),
        _region_missing,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-03",
        "receiver",
        {BEK_918: "sundhedsloven § 140"},
        _NO_ADDRESS,
        _NO_ADDRESS_HELP,
        _municipality_of_rehabilitation_missing,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-04",
        "chosen_hospital",
        live(ORDER_OF_2018, "§ 4, stk. 4"),
        (
            Condition(
                "missing",
                Bilingual(
                    "Ved genoptræning på specialiseret niveau skal det valgte sygehus angives.",
                    "For specialised training state the hospital the patient has chosen.",
                ),
                ERROR,
                None,
            ),
            Condition(
                "missing_in_xml",
                Bilingual(
                    "Ved genoptræning på specialiseret niveau skal det valgte sygehus angives: som Receiver (eller "
                    "CCReceiver) "
                    "med sygehusets EAN-nummer eller med IdentifierCode sygehusafdelingsnummer eller sorkode.",
                    "For specialised training state the hospital the patient has chosen: as Receiver (or CCReceiver) "
                    "with its "
                    "EAN number or with IdentifierCode sygehusafdelingsnummer or sorkode.",
                ),
                None,
                ERROR,
            ),
            Condition(
                "several",
                Bilingual(
                    "Flere sygehuse er angivet ({hospitals}); angiv ét, nemlig det, som patienten har valgt, som "
                    "Receiver.",
                    "Several hospitals are stated ({hospitals}); state one as receiver: the one the patient has "
                    "chosen.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "unknown",
                Bilingual(
                    "Det valgte sygehus {hospital} kendes ikke; angiv det med lokationsnummer, SOR-kode eller "
                    "sygehusafdelingsnummer.",
                    "The chosen hospital {hospital} is not known; state its location number, SOR code or SHAK number.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "private_not_special_hospital",
                Bilingual(
                    "{hospital} er et privathospital, som ikke er registreret som specialsygehus; kontrollér, at "
                    "patienten "
                    "kan vælge det.",
                    "{hospital} is a private hospital that is not registered as a special hospital; check that the "
                    "patient "
                    "may choose it.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Det valgte sygehus træner patienten; uden det ville ingen handle. Receiver går forud for CCReceiver.",
            "The chosen hospital trains the patient; without it nobody would act. Receiver goes before CCReceiver.",
        ),
        _chosen_hospital_missing,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-05",
        "chosen_hospital",
        live("sundhedsloven § 86", "§ 7, stk. 6; sundhedsloven § 86"),
        always(
            "Patienten har valgt et sygehus i en anden region; det er tilladt.",
            "The patient chose a hospital in another region; this is allowed.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Ethvert sygehus må vælges; regionen er aldrig en grund til at afvise.",
            "Any hospital may be chosen; the region is never a reason to refuse.",
        ),
        _hospital_of_another_region,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-06",
        "gp",
        live(ORDER_OF_2018, "§ 4"),
        (
            Condition(
                "not_stated",
                Bilingual(
                    "Patientens egen læge er ikke kendt; lægen får ingen kopi af planen.",
                    "The patient's GP is unknown; the GP gets no copy of the plan.",
                ),
                INFORMATION,
                INFORMATION,
            ),
            Condition(
                "not_in_directory",
                Bilingual(
                    "Patientens egen læge ({gp}) findes ikke i organisationskataloget; lægen får ingen kopi af planen.",
                    "The patient's GP ({gp}) is not in the directory; the GP gets no copy of the plan.",
                ),
                INFORMATION,
                INFORMATION,
            ),
        ),
        Bilingual(
            "Behandlingen venter ikke på kopien. En fravalgt læge er GOP-PAT-06.",
            "Treatment does not wait for the copy. A deselected GP is GOP-PAT-06.",
        ),
        _gp_unknown,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-07",
        "sender",
        live(ORDER_OF_2018, "§ 4"),
        always(
            "Patienten bor uden for jeres region; bopælskommunen er {municipality}.",
            "The patient lives outside your region; the municipality of residence is {municipality}.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Bopælen afgør, hvem der får planen; afsenderens region er uden betydning.",
            "Residence decides who gets the plan; the sender's region does not matter.",
        ),
        _lives_in_another_region,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-08",
        "receiver",
        live(ORDER_OF_2018, "§ 4"),
        (
            Condition(
                "residence_certain",
                Bilingual(
                    "Planen er adresseret til {stated}, men patienten bor i {computed}; bopælen afgør, hvem der får "
                    "den.",
                    "The plan is addressed to {stated} but the patient lives in {computed}; residence decides who "
                    "gets it.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "residence_uncertain",
                Bilingual(
                    "Planen er adresseret til {stated}, men patienten ser ud til at bo i {computed}, og bopælen er "
                    "ikke sikker; "
                    "angiv bopælskommunen som modtager.",
                    "The plan is addressed to {stated} but the patient seems to live in {computed}, and that is not "
                    "certain; "
                    "state the municipality of residence as receiver.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "residence_contradicted",
                Bilingual(
                    "Planen nævner {computed} som modtager, men planens øvrige oplysninger peger på en anden "
                    "bopælskommune; "
                    "kontrollér modtageren.",
                    "The plan names {computed} as a receiver, but the rest of it points to another municipality of "
                    "residence; "
                    "check the receiver.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "residence_doubtful",
                Bilingual(
                    "Planen nævner {computed} som modtager, men en anden oplysning i planen peger på en anden "
                    "bopælskommune; "
                    "kontrollér modtageren.",
                    "The plan names {computed} as a receiver, but something else in it points to another municipality "
                    "of residence; "
                    "check the receiver.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Er bopælen sikker, følges den. Er den usikker, afvises planen, så den ikke havner et forkert sted. Det "
            "valgte "
            "sygehus er altid en lovlig modtager af en plan på specialiseret niveau.",
            "A certain residence is followed. With an uncertain one the plan is refused, lest it go astray. The "
            "chosen hospital "
            "is always a lawful receiver of a specialised plan.",
        ),
        _another_receiver_stated,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-09",
        "contact_region",
        {BEK_2027: "Lov nr. 699 af 20/06/2025, § 126"},
        always(
            "Region {name} er fra 1. januar 2027 en del af Region Østdanmark; ret kontaktoplysningerne.",
            "Region {name} is part of Region Østdanmark from 1 January 2027; correct the contact details.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Bopælsregionen er i alle tilfælde den, der findes på udskrivningsdagen.",
            "The region of residence is in any case the one that exists on the day of discharge.",
        ),
        _region_that_has_ended,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-10",
        "copy_receivers",
        live("sundhedsloven § 41", "§ 4, stk. 2-4; sundhedsloven § 41"),
        always(
            "{recipient} er ikke modtager efter reglerne og har ikke fået planen.",
            "{recipient} is not a lawful recipient and did not get the plan.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Kredsen af modtagere er udtømmende. Det valgte sygehus hører altid til den.",
            "The list of recipients is closed. The chosen hospital always belongs to it.",
        ),
        _unlisted_recipient,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-11",
        "",
        live(ORDER_OF_2018, "§ 4"),
        always(
            "Planen er leveret til {count} af {total} modtagere; de øvrige forsøges igen.",
            "Delivered to {count} of {total} recipients; the rest are retried.",
            INFORMATION,
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Kendes først, når planen er leveret: se leveringerne i GET /messages/{id}.",
            "Known only when the plan is delivered: see the deliveries in GET /messages/{id}.",
        ),
        layer=Layer.ROUTING,
        guard=_delivered_in_part,
    ),
    Rule(
        "GOP-ROUTE-12",
        "plan_type",
        live(guidance("4.6")),
        (
            Condition(
                "information",
                Bilingual(
                    "Planen gælder kun egentræning; den er til orientering og starter ingen frister.",
                    "The plan covers self-training only; it is for information and starts no deadlines.",
                ),
                INFORMATION,
                INFORMATION,
            ),
            Condition(
                "level_also_stated",
                Bilingual(
                    "Planen gælder egentræning, men angiver også niveauet {level}; den er læst som egentræning og "
                    "starter ingen "
                    "frister. Send en ny plan, hvis patienten skal have genoptræning.",
                    "The plan is for self-training but also states the level {level}; it was read as self-training "
                    "and starts "
                    "no deadlines. Send a new plan if the patient should have training.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "refused",
                Bilingual(
                    "Planen gælder kun egentræning; sådanne planer modtages ikke her.",
                    "The plan covers self-training only; such plans are not received here.",
                ),
                ERROR,
                ERROR,
            ),
        ),
        Bilingual(
            "Egentræning er ikke et niveau. Operatøren kan vælge ikke at modtage sådanne planer.",
            "Egentræning is no level. The operator may choose not to receive such plans.",
        ),
        _egentraening,
        Layer.ROUTING,
    ),
    Rule(
        "GOP-ROUTE-13",
        "municipal_help",
        {BEK_918: guidance("4.6")},
        always(
            "Patienten modtager ikke kommunal hjælp; planen om egentræning er kun til orientering.",
            "The patient gets no municipal help; the self-training plan is for information only.",
            INFORMATION,
            None,
        ),
        Bilingual(
            "En plan om egentræning laves kun til patienter, der får eller har brug for hjælp fra kommunen. MedCom "
            "XML har intet "
            "felt.",
            "A plan for egentræning is made only for patients who get or need municipal help. MedCom XML has no field "
            "for it.",
        ),
        _egentraening_without_municipal_help,
        Layer.ROUTING,
    ),
)
