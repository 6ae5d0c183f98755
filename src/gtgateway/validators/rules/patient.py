"""Patient, consent and agreement (§ 1, stk. 2; § 4; sundhedsloven §§ 15 to 18 and 41 to 42)."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.findings import Bilingual
from gtgateway.model.identifiers import ReplacementNumber
from gtgateway.model.message import Format
from gtgateway.model.plan import COPENHAGEN
from gtgateway.model.route import Evidence, Role
from gtgateway.validators.rule import (
    ERROR,
    INFORMATION,
    ORDER_OF_2018,
    WARNING,
    Condition,
    Facts,
    Hit,
    Rule,
    always,
    every_order,
    guidance,
    live,
)

#: Who may consent for a patient who permanently cannot (sundhedsloven § 18).
_SUBSTITUTES = frozenset({"relative", "guardian", "proxy"})


def _not_identified(facts: Facts) -> Iterator[Hit]:
    patient = facts.plan.patient
    if patient.identifier is None or not patient.identifier.valid:
        yield Hit("number")
    elif isinstance(patient.identifier, ReplacementNumber):
        if facts.format is not Format.FHIR:  # XML has no birth date beside the number
            if not patient.name:
                yield Hit("replacement_xml")
        elif not patient.name or patient.born_on is None:
            yield Hit("replacement")


def _no_residence(facts: Facts) -> Iterator[Hit]:
    residence = facts.route.residence
    if residence.municipality is None and residence.evidence is None:
        yield Hit()


def _lives_abroad(facts: Facts) -> Iterator[Hit]:
    patient = facts.plan.patient
    if (
        isinstance(patient.identifier, ReplacementNumber)
        and patient.paying_municipality is None
        and facts.route.residence.evidence not in (Evidence.REGISTER, Evidence.ADDRESS)
    ):
        yield Hit()


def _no_consent(facts: Facts) -> Iterator[Hit]:
    given = facts.plan.consent.given
    if given is None:
        yield Hit("missing")
    elif not given:
        yield Hit("no")


def _not_agreed_to_sending(facts: Facts) -> Iterator[Hit]:
    consent = facts.plan.consent
    agreed = consent.send_agreed
    if facts.format is not Format.FHIR and agreed is None:
        agreed = consent.given  # ConsentInformed covers both
    if agreed is None:
        yield Hit("missing")
    elif not agreed or _acting_recipient_refused(facts):
        yield Hit("no")


def _acting_recipient_refused(facts: Facts) -> bool:
    route = facts.route
    if not route.refused:
        return False
    resolved = {
        "municipality": route.residence.municipality,
        "region": route.residence.region,
        "hospital": route.chosen_hospital,
    }
    rows = facts.governing.order.recipients_of(facts.plan, facts.received_on)
    acting = (resolved.get(row.kind) for row in rows if Role.ACTION in row.roles)
    return any(organisation is not None and organisation.name in route.refused for organisation in acting)


def _recipient_refused(facts: Facts) -> Iterator[Hit]:
    if facts.plan.gp_deselected:
        yield Hit(path="gp_deselected", recipient=Bilingual("egen læge", "the GP"))
    for label in facts.route.refused:
        yield Hit(recipient=label)


def _nobody_consented_for_the_patient(facts: Facts) -> Iterator[Hit]:
    consent = facts.plan.consent
    if consent.permanently_lacks_capacity and not (consent.given_by in _SUBSTITUTES and consent.given_by_name):
        yield Hit()


def _age(facts: Facts) -> int | None:
    """Whole years on the day that chose the order: the discharge, as far as it is known."""
    born, day = facts.plan.patient.born_on, facts.governing.day
    return None if born is None else day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _child_without_parent(facts: Facts) -> Iterator[Hit]:
    age = _age(facts)
    consented = facts.plan.consent.given_by not in (None, "patient")
    limit = facts.parameters.age_of_consent.value
    if age is not None and age < limit and not consented:
        yield Hit(age=limit)


def _minor_who_may_consent(facts: Facts) -> Iterator[Hit]:
    age, consents, of_age = _age(facts), facts.parameters.age_of_consent.value, facts.parameters.age_of_majority.value
    if age is not None and consents <= age < of_age:
        yield Hit(youngest=consents, oldest=of_age - 1)


def _relative_without_contact(facts: Facts) -> Iterator[Hit]:
    for index, relative in enumerate(facts.plan.relatives):
        named = relative.family or relative.given
        if not named or not (relative.contact.telephones or relative.contact.email):
            yield Hit(path=f"relatives[{index}]")


def _not_handed_out(facts: Facts) -> Iterator[Hit]:
    handed_out, discharged = facts.plan.handed_out_at, facts.plan.discharged_on
    if handed_out is None or (discharged and handed_out.astimezone(COPENHAGEN).date() > discharged):
        yield Hit()


def _address_protected(facts: Facts) -> Iterator[Hit]:
    if facts.plan.patient.address_protected:
        yield Hit()


RULES = (
    Rule(
        "GOP-PAT-01",
        "patient.identifier",
        every_order("§ 1"),
        (
            Condition(
                "number",
                Bilingual(
                    "Patientens CPR-nummer mangler eller er ugyldigt.",
                    "The patient's CPR number is missing or invalid.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "replacement",
                Bilingual(
                    "Patienten har et erstatnings-CPR-nummer; angiv også navn og fødselsdato.",
                    "The patient has a replacement number; state the name and birth date as well.",
                ),
                ERROR,
                None,
            ),
            Condition(
                "replacement_xml",
                Bilingual(
                    "Patienten har et erstatnings-CPR-nummer; angiv også navnet.",
                    "The patient has a replacement number; state the name as well.",
                ),
                None,
                ERROR,
            ),
        ),
        Bilingual(
            "Ti cifre, der begynder med en dato; modulus 11 bruges aldrig. Et erstatningsnummer kræver også navn "
            "(FHIR: og fødselsdato).",
            "Ten digits that begin with a date; modulus 11 is never used. A replacement number also needs the name "
            "(FHIR: "
            "and the birth date).",
        ),
        _not_identified,
    ),
    Rule(
        "GOP-PAT-02",
        "patient.identifier",
        live(ORDER_OF_2018, "§ 4"),
        always(
            "Patientens bopælskommune kan ikke findes; angiv kommunen eller kontrollér CPR-nummeret.",
            "The patient's municipality of residence cannot be found; state it or check the CPR number.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Bopælskommunen findes i et register, i adressen (FHIR), blandt modtagerne eller i kontaktoplysningerne "
            "for kommunen; "
            "her siger ingen af dem noget.",
            "Residence is found in a register, in the address (FHIR), among the receivers or in the contact of the "
            "municipality; here none of them tells.",
        ),
        _no_residence,
    ),
    Rule(
        "GOP-PAT-03",
        "patient.paying_municipality",
        live(guidance("2.1")),
        always(
            "Patienten har ikke bopæl i Danmark; angiv den kommune, der har udstedt det særlige sundhedskort.",
            "The patient has no Danish residence; state the municipality that issued the special health card.",
            WARNING,
            None,
        ),
        Bilingual(
            "Gælder patienter med et erstatningsnummer og uden bopæl i et register. MedCom XML har intet felt.",
            "For patients with a replacement number and no residence in a register. MedCom XML has no field for it.",
        ),
        _lives_abroad,
    ),
    Rule(
        "GOP-PAT-04",
        "consent.given",
        live("§ 1, stk. 2"),
        (
            Condition(
                "missing",
                Bilingual(
                    "Planen mangler oplysning om, at patienten har givet samtykke.",
                    "The plan lacks a statement that the patient has consented.",
                ),
                ERROR,
                WARNING,
            ),
            Condition(
                "no",
                Bilingual(
                    "Patienten har ikke givet samtykke til planen; den kan ikke modtages.",
                    "The patient has not consented to the plan; it cannot be received.",
                ),
                ERROR,
                None,
            ),
        ),
        Bilingual(
            "Planen udarbejdes i samarbejde med patienten. I MedCom XML står samtykket i ConsentInformed; »nej« er "
            "GOP-PAT-05.",
            "The plan is made with the patient. In MedCom XML consent is ConsentInformed; `nej` is GOP-PAT-05.",
        ),
        _no_consent,
    ),
    Rule(
        "GOP-PAT-05",
        "consent.send_agreed",
        live("sundhedsloven § 41", "§ 4, stk. 2-4; sundhedsloven § 41"),
        (
            Condition(
                "no",
                Bilingual(
                    "Patienten har ikke sagt ja til, at planen sendes; planen må kun udleveres til patienten.",
                    "The patient has not agreed to sending; the plan may only be handed to the patient.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "missing",
                Bilingual(
                    "Planen siger ikke, om patienten har sagt ja til, at den sendes; angiv det.",
                    "The plan does not say whether the patient agreed to sending; state it.",
                ),
                ERROR,
                None,
            ),
        ),
        Bilingual(
            "Et nej skal følges, også når det gælder den, der skal træne. MedCom XML: ConsentInformed = ja dækker det.",
            "A no must be followed, also when it is about whoever should train. MedCom XML: ConsentInformed = ja "
            "covers it.",
        ),
        _not_agreed_to_sending,
    ),
    Rule(
        "GOP-PAT-06",
        "consent.refused",
        live("sundhedsloven § 41, stk. 3", "§ 4, stk. 2-4; sundhedsloven § 41, stk. 3"),
        always(
            "Patienten ønsker ikke planen sendt til {recipient}, som derfor ikke får den.",
            "The patient does not want the plan sent to {recipient}, who therefore does not get it.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "De øvrige modtagere får planen som ellers. MedCom XML: GPCCReceiver/Deselected.",
            "The other recipients get the plan as usual. MedCom XML: GPCCReceiver/Deselected.",
        ),
        _recipient_refused,
    ),
    Rule(
        "GOP-PAT-07",
        "consent.given_by",
        live("§ 1, stk. 2; sundhedsloven § 18"),
        always(
            "Patienten kan varigt ikke give samtykke; angiv hvem der har givet det (nærmeste pårørende, værge eller "
            "fremtidsfuldmægtig).",
            "The patient permanently lacks capacity; state who consented (nearest relative, guardian or proxy).",
            ERROR,
            None,
        ),
        Bilingual(
            "Angiv både hvem og navnet. MedCom XML har intet felt.",
            "State both who and the name. MedCom XML has no field for it.",
        ),
        _nobody_consented_for_the_patient,
    ),
    Rule(
        "GOP-PAT-08",
        "consent.given_by",
        live("sundhedsloven § 17"),
        always(
            "Patienten er under {age} år; angiv at forældremyndighedens indehaver har givet samtykke.",
            "The patient is under {age}; state that the holder of parental authority has consented.",
            WARNING,
            None,
        ),
        Bilingual(
            "Alderen regnes på udskrivningsdagen. MedCom XML har intet felt for, hvem der gav samtykket.",
            "Age is counted on the day of discharge. MedCom XML has no field for who consented.",
        ),
        _child_without_parent,
    ),
    Rule(
        "GOP-PAT-09",
        "patient",
        live("sundhedsloven § 17, stk. 1"),
        always(
            "Patienten er {youngest}-{oldest} år; forældremyndighedens indehaver skal også informeres.",
            "The patient is {youngest}-{oldest}; the parent must also be informed.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Den unge kan selv give samtykke. Alderen regnes på udskrivningsdagen.",
            "The young person may consent alone. Age is counted on the day of discharge.",
        ),
        _minor_who_may_consent,
    ),
    Rule(
        "GOP-PAT-10",
        "relatives",
        live("§ 1, stk. 2"),
        always(
            "Pårørende er nævnt uden kontaktoplysninger.",
            "A relative is named without contact details.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Pårørende er ikke et krav; nævnes de, hører navn og telefon eller e-mail med.",
            "Relatives are not required; when named, name and telephone or e-mail belong there.",
        ),
        _relative_without_contact,
    ),
    Rule(
        "GOP-PAT-11",
        "handed_out_at",
        live(ORDER_OF_2018, "§ 4, stk. 1"),
        always(
            "Det fremgår ikke, at planen er udleveret til patienten senest ved udskrivningen.",
            "It is not shown that the plan was handed to the patient by discharge.",
            WARNING,
            None,
        ),
        Bilingual(
            "Angiv hvornår planen blev udleveret. MedCom XML har intet felt.",
            "State when the plan was handed out. MedCom XML has no field for it.",
        ),
        _not_handed_out,
    ),
    Rule(
        "GOP-PAT-12",
        "patient.address_protected",
        every_order("Databeskyttelsesforordningen, artikel 5"),
        always(
            "Patienten har adressebeskyttelse; adressen er ikke vist for alle modtagere.",
            "The patient has address protection; the address is hidden from some recipients.",
            INFORMATION,
            None,
        ),
        Bilingual(
            "Adressen udelades for modtagere, der ikke har brug for den. MedCom XML har intet felt.",
            "The address is left out for recipients who do not need it. MedCom XML has no field for it.",
        ),
        _address_protected,
    ),
)
