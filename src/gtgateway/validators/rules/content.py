"""What a plan must say: level, ability, need, contacts (§ 2, bilag 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gtgateway.model.findings import Bilingual
from gtgateway.model.message import Format
from gtgateway.model.plan import FormattedText, Level, Party, RehabilitationPlan
from gtgateway.validators.phrases import (
    DOMAINS,
    EMPTY,
    METHOD,
    PRIOR,
    UNFILLED,
    UNNAMED,
    has_letters,
)
from gtgateway.validators.rule import (
    BEK_1266,
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
    guidance,
    live,
)

#: SKS procedure codes of surgery: K, three more letters or two, digits (KNFB20).
_SURGERY = re.compile(r"K[A-ZÆØÅ]{2,3}\d")
#: ICF codes, also in their SKS form with an F before: b and s body, d1-d6 activity, d7-d9 participation.
_ICF = re.compile(r"F?([BSD])(\d)")


def _is_blank(text: FormattedText | None) -> bool:
    return text is None or text.blank


def _level_missing(facts: Facts) -> Iterator[Hit]:
    if facts.plan.level is None and not facts.plan.level_stated and not facts.only_egentraening:
        yield Hit()


def _level_unknown(facts: Facts) -> Iterator[Hit]:
    if facts.plan.level is None and facts.plan.level_stated and not facts.only_egentraening:
        yield Hit(value=facts.plan.level_stated)


def _municipal_level_stated(facts: Facts) -> Iterator[Hit]:
    if facts.plan.hospital_suggestion:
        yield Hit()


def extended_filled(plan: RehabilitationPlan) -> bool:
    """True when the extended description says more than the headings of the form."""
    text = plan.function_extended
    return text is not None and not UNFILLED.cover(text.plain)


def _ability_not_described(facts: Facts) -> Iterator[Hit]:
    ability = facts.plan.function_at_discharge
    if extended_filled(facts.plan):
        return
    few = facts.parameters.ability_letters.value
    if ability is None or ability.blank:
        yield Hit("blank")
    elif not has_letters(ability.plain, few) and not EMPTY.cover(ability.plain):
        yield Hit("under_20_letters", letters=few)


def _need_blank(facts: Facts) -> Iterator[Hit]:
    if _is_blank(facts.plan.rehabilitation_need):
        yield Hit()


def _impairments_not_named(facts: Facts) -> Iterator[Hit]:
    if facts.format is Format.FHIR:
        if _is_blank(facts.plan.rehabilitation_focus):
            yield Hit(path="rehabilitation_focus")
        return
    need = facts.plan.rehabilitation_need
    if need and not need.blank and UNNAMED.cover(need.plain) and not EMPTY.cover(need.plain):
        yield Hit()


def _says_nothing(facts: Facts) -> Iterator[Hit]:
    for path in ("function_at_discharge", "rehabilitation_need"):
        text: FormattedText | None = getattr(facts.plan, path)
        if text and not text.blank and EMPTY.cover(text.plain):
            yield Hit(path=path, text=text.plain)


def _total_ability_not_described(facts: Facts) -> Iterator[Hit]:
    if not facts.has_level(Level.REHABILITERING):
        return
    if _is_blank(facts.plan.function_at_discharge) and not extended_filled(facts.plan):
        yield Hit("blank")
    elif len(domains(facts.plan)) < len(DOMAINS):
        yield Hit("one_domain_missing")


def _total_need_blank(facts: Facts) -> Iterator[Hit]:
    if facts.has_level(Level.REHABILITERING) and _is_blank(facts.plan.rehabilitation_need):
        yield Hit()


def _region_not_reachable(facts: Facts) -> Iterator[Hit]:
    if not _reachable(facts.plan.contact_region):
        yield Hit()


def _municipality_not_reachable(facts: Facts) -> Iterator[Hit]:
    if not _reachable(facts.plan.contact_municipality):
        yield Hit()


def _reachable(contact: Party | None) -> bool:
    return contact is not None and contact.reachable


def _contact_of_another_place(facts: Facts) -> Iterator[Hit]:
    route = facts.route
    named, lives_in = route.contact_municipality, route.residence.municipality
    if named and lives_in and named.id != lives_in.id:
        yield Hit(path="contact_municipality", found=named.name, residence=lives_in.name)
    region, lives_in_region = route.contact_region, route.residence.region
    day = facts.governing.organisations_on
    ended = region is not None and region.valid_until is not None and region.valid_until < day
    if region and lives_in_region and region.id != lives_in_region.id and not ended:  # an ended one is GOP-ROUTE-09
        yield Hit(path="contact_region", found=region.name, residence=lives_in_region.name)


def _usual_ability_not_described(facts: Facts) -> Iterator[Hit]:
    if not describes_usual_ability(facts.plan):
        yield Hit()


def describes_usual_ability(plan: RehabilitationPlan) -> bool:
    """True when the ability before the illness is told: in its own field or in words among the others."""
    if not _is_blank(plan.function_prior):
        return True
    texts = (plan.function_at_discharge, plan.function_extended, plan.rehabilitation_need, plan.health_summary)
    return any(text is not None and PRIOR.find(text.plain) is not None for text in texts)


def _first_contact_stated(facts: Facts) -> Iterator[Hit]:
    day = facts.plan.start_deadline.latest_first_contact
    if day is not None:
        yield Hit(date=danish_date(day))


def _method_fixed(facts: Facts) -> Iterator[Hit]:
    if not facts.only_egentraening and facts.plan.level in (Level.ALMEN, Level.SPECIALISERET):
        yield from _method_stated(facts.plan)


def _method_recommended(facts: Facts) -> Iterator[Hit]:
    if not facts.only_egentraening and facts.plan.level is Level.REHABILITERING:
        yield from _method_stated(facts.plan)


def _method_stated(plan: RehabilitationPlan) -> Iterator[Hit]:
    for path in ("rehabilitation_need", "practical_information"):
        text: FormattedText | None = getattr(plan, path)
        if text and METHOD.find(text.plain):
            yield Hit(path=path)


def domains(plan: RehabilitationPlan) -> frozenset[str]:
    """Which of body, activity and participation the description of ability covers, in words or in ICF codes."""
    found = set()
    for row in plan.icf:
        if match := _ICF.match(row.code.code.upper()):
            letter, chapter = match.groups()
            found.add("body" if letter != "D" else "activity" if chapter < "7" else "participation")
    texts = [plan.function_at_discharge]
    if extended_filled(plan):
        texts.append(plan.function_extended)
    for name, cues in DOMAINS.items():
        if name not in found and any(text is not None and cues.find(text.plain) for text in texts):
            found.add(name)
    return frozenset(found)


def _domains_missing(facts: Facts) -> Iterator[Hit]:
    plan = facts.plan
    if facts.has_level(Level.REHABILITERING) or (_is_blank(plan.function_at_discharge) and not extended_filled(plan)):
        return  # said by GOP-CONTENT-08, GOP-CONTENT-04
    if len(domains(plan)) < len(DOMAINS):
        yield Hit()


def _main_diagnosis_missing(facts: Facts) -> Iterator[Hit]:
    if facts.plan.primary_diagnosis is None:
        yield Hit()


def _restrictions_not_mentioned(facts: Facts) -> Iterator[Hit]:
    plan = facts.plan
    if not _is_blank(plan.patient_safety):
        return
    deferred = plan.start_deadline.earliest is not None or plan.start_deadline.deferral_stated
    if deferred or any(_SURGERY.match(code.code) for code in plan.all_diagnoses):
        yield Hit()


RULES = (
    Rule(
        "GOP-CONTENT-01",
        "level",
        live("§ 2, stk. 1"),
        always(
            "Planen mangler niveau; vælg almen genoptræning, genoptræning på specialiseret niveau eller "
            "rehabilitering på "
            "specialiseret niveau.",
            "The level is missing; choose general, specialised training or specialised rehabilitation.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Niveauet afgør modtagere, frister og rettigheder. En plan om egentræning har intet niveau.",
            "The level decides recipients, deadlines and rights. A plan for egentræning has none.",
        ),
        _level_missing,
    ),
    Rule(
        "GOP-CONTENT-02",
        "level",
        live("§ 2, stk. 1", "§ 2, stk. 1; bilag 1"),
        always(
            'Niveauet "{value}" findes ikke; brug et af de tre gældende niveauer.',
            'The level "{value}" does not exist; use one of the three valid levels.',
            ERROR,
            ERROR,
        ),
        Bilingual(
            "MedCom XML: almen, specialiseret eller rehabilitering i TypeOfRehabilitationPlan.",
            "MedCom XML: almen, specialiseret or rehabilitering in TypeOfRehabilitationPlan.",
        ),
        _level_unknown,
    ),
    Rule(
        "GOP-CONTENT-03",
        "level",
        live(ORDER_OF_2018, "§ 5, stk. 3; bilag 1"),
        always(
            "Sygehuset skal kun angive almen genoptræning; kommunen vurderer selv basalt eller avanceret niveau.",
            "The hospital states general training only; the municipality sets basic or advanced.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Læses som almen; sygehusets ord vises for kommunen som et forslag.",
            "Read as almen; the hospital's word is shown to the municipality as a suggestion.",
        ),
        _municipal_level_stated,
    ),
    Rule(
        "GOP-CONTENT-04",
        "function_at_discharge",
        live("§ 2, stk. 2"),
        (
            Condition(
                "blank",
                Bilingual(
                    "Beskriv patientens funktionsevne ved udskrivningen.",
                    "Describe the patient's functional ability at discharge.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "under_20_letters",
                Bilingual(
                    "Funktionsevnen ved udskrivningen er beskrevet med under {letters} bogstaver; beskriv den nærmere.",
                    "The functional ability at discharge is described in fewer than {letters} letters; say more.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "AbilityAtDischargeSummary eller AbilityAtDischargeExtended. Formularens egne overskrifter er ingen "
            "beskrivelse.",
            "AbilityAtDischargeSummary or AbilityAtDischargeExtended. The form's own headings describe nothing.",
        ),
        _ability_not_described,
    ),
    Rule(
        "GOP-CONTENT-05",
        "rehabilitation_need",
        live("§ 2, stk. 2"),
        always(
            "Beskriv patientens genoptræningsbehov ved udskrivningen.",
            "Describe the patient's training need at discharge.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "MedCom XML: RehabilitationNeedAndPotential.",
            "MedCom XML: RehabilitationNeedAndPotential.",
        ),
        _need_blank,
    ),
    Rule(
        "GOP-CONTENT-06",
        "rehabilitation_need",
        live("§ 2, stk. 2"),
        always(
            "Angiv hvilke funktionsevnenedsættelser genoptræningen skal rette sig imod.",
            "State which impairments the training should address.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "FHIR: fokus for genoptræningen. MedCom XML: behovet skal nævne mere end, at der er behov for "
            "genoptræning.",
            "FHIR: the focus of the training. MedCom XML: the need must name more than that training is needed.",
        ),
        _impairments_not_named,
    ),
    Rule(
        "GOP-CONTENT-07",
        "rehabilitation_need",
        live("§ 2, stk. 2"),
        always(
            'Teksten "{text}" er ikke en beskrivelse; skriv funktionsevne og behov i planen.',
            'The text "{text}" is not a description; write ability and need in the plan.',
            ERROR,
            ERROR,
        ),
        Bilingual(
            "Teksten består kun af vendinger som »genoptræning anbefales«, »se epikrise« eller »-«. Listen står i "
            "phrases.toml.",
            "The text holds only phrases such as »genoptræning anbefales«, »se epikrise« or »-«. The list is "
            "phrases.toml.",
        ),
        _says_nothing,
    ),
    Rule(
        "GOP-CONTENT-08",
        "function_at_discharge",
        live("§ 2, stk. 3", "§ 2, stk. 3; bilag 1, nr. 4"),
        (
            Condition(
                "blank",
                Bilingual(
                    "Ved rehabilitering på specialiseret niveau skal patientens samlede funktionsevne beskrives.",
                    "For specialised rehabilitation describe the patient's total functional ability.",
                ),
                ERROR,
                ERROR,
            ),
            Condition(
                "one_domain_missing",
                Bilingual(
                    "Ved rehabilitering på specialiseret niveau skal den samlede funktionsevne beskrives: både krop, "
                    "aktivitet "
                    "og deltagelse; ikke alle tre ser ud til at være med.",
                    "For specialised rehabilitation describe the total functional ability: body, activity and "
                    "participation; "
                    "not all three seem to be there.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Læses af ICF-koder eller af ord i beskrivelsen (phrases.toml).",
            "Read from ICF codes or from words in the description (phrases.toml).",
        ),
        _total_ability_not_described,
    ),
    Rule(
        "GOP-CONTENT-09",
        "rehabilitation_need",
        live("§ 2, stk. 3"),
        always(
            "Ved rehabilitering på specialiseret niveau skal patientens samlede behov for rehabiliteringsindsatser "
            "beskrives.",
            "For specialised rehabilitation describe the total need for rehabilitation efforts.",
            ERROR,
            ERROR,
        ),
        Bilingual(
            "MedCom XML: RehabilitationNeedAndPotential.",
            "MedCom XML: RehabilitationNeedAndPotential.",
        ),
        _total_need_blank,
    ),
    Rule(
        "GOP-CONTENT-10",
        "contact_region",
        live("§ 2, stk. 4"),
        always(
            "Angiv hvordan bopælsregionen kan kontaktes.",
            "State how the region of residence can be contacted.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "Telefon, e-mail eller enhed. MedCom XML: ContactCounty.",
            "Telephone, e-mail or unit. MedCom XML: ContactCounty.",
        ),
        _region_not_reachable,
    ),
    Rule(
        "GOP-CONTENT-11",
        "contact_municipality",
        live("§ 2, stk. 4"),
        always(
            "Angiv hvordan bopælskommunen kan kontaktes.",
            "State how the municipality of residence can be contacted.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "Telefon, e-mail eller enhed. MedCom XML: ContactMunicipality.",
            "Telephone, e-mail or unit. MedCom XML: ContactMunicipality.",
        ),
        _municipality_not_reachable,
    ),
    Rule(
        "GOP-CONTENT-12",
        "contact_municipality",
        live("§ 2, stk. 4"),
        always(
            "Kontaktoplysningerne er for {found}, men patienten bor i {residence}.",
            "The contact details are for {found}, but the patient lives in {residence}.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Ofte en skabelon, der ikke er rettet for patienter fra andre kommuner eller regioner.",
            "Often a template that was not corrected for patients from other municipalities or regions.",
        ),
        _contact_of_another_place,
    ),
    Rule(
        "GOP-CONTENT-13",
        "function_prior",
        {BEK_1266: guidance("4.5.2"), **live(guidance("4.5.2"))},
        always(
            "Tip: beskriv gerne patientens vanlige funktionsevne før sygdommen.",
            "Tip: consider describing the usual ability before the illness.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Ikke et krav siden 2015, men terapeuter savner den. MedCom XML har intet felt; ord i de øvrige tekster "
            "tæller.",
            "No duty since 2015, but therapists miss it. MedCom XML has no field; words in the other texts count.",
        ),
        _usual_ability_not_described,
    ),
    Rule(
        "GOP-CONTENT-14",
        "start_deadline.latest_first_contact",
        {BEK_1266: guidance("4.5.2"), **live(guidance("4.5.2"))},
        always(
            "Planen angiver en seneste dato for første kontakt ({date}); den er vist for kommunen.",
            "The plan states a latest first-contact date ({date}); it is shown to the municipality.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Vises, men erstatter ikke fristen på fire dage.",
            "Shown, but it does not replace the limit of four days.",
        ),
        _first_contact_stated,
    ),
    Rule(
        "GOP-CONTENT-15",
        "rehabilitation_need",
        live(guidance("4.5.2")),
        always(
            "Planen ser ud til at fastlægge metode eller omfang af træningen; det afgør kommunen eller sygehuset, der "
            "træner.",
            "The plan seems to fix method or amount of training; the provider decides that.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Læses af ord i behov og praktiske oplysninger (phrases.toml). Restriktioner er ikke metode og er ønskede.",
            "Read from words in need and practical information (phrases.toml). Restrictions are no method and are "
            "wanted.",
        ),
        _method_fixed,
    ),
    Rule(
        "GOP-CONTENT-16",
        "rehabilitation_need",
        live(ORDER_OF_2018, "bilag 1, nr. 4"),
        always(
            "Anbefalinger til metode og omfang er modtaget som vejledende.",
            "Recommendations on method and amount are received as advisory.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Kun ved rehabilitering på specialiseret niveau må planen anbefale metode og omfang.",
            "Only for specialised rehabilitation may the plan recommend method and amount.",
        ),
        _method_recommended,
    ),
    Rule(
        "GOP-CONTENT-17",
        "rehabilitation_need",
        live(guidance("4.5.2")),
        (),
        Bilingual(
            "Løfte: et forventet resultat kræves aldrig, og et potentiale kritiseres aldrig.",
            "A promise: an expected result is never demanded, and a potential is never criticised.",
        ),
    ),
    Rule(
        "GOP-CONTENT-18",
        "function_extended",
        live(guidance("4.5.2")),
        always(
            "Beskrivelsen dækker ikke både krop, aktivitet og deltagelse.",
            "The description does not cover body, activity and participation.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Læses af ICF-koder eller af ord i beskrivelsen (phrases.toml). Rehabilitering: GOP-CONTENT-08.",
            "Read from ICF codes or from words in the description (phrases.toml). Rehabilitation: GOP-CONTENT-08.",
        ),
        _domains_missing,
    ),
    Rule(
        "GOP-CONTENT-19",
        "diagnoses",
        live("Praksis: ikke et krav i § 2"),
        always(
            "Planen har ingen hoveddiagnose; angiv den, hvis den kendes.",
            "The plan has no main diagnosis; state it if known.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Bruges til statistik og leverandørpakker, ikke til at vurdere niveauet.",
            "Used for statistics and supplier packages, not to judge the level.",
        ),
        _main_diagnosis_missing,
    ),
    Rule(
        "GOP-CONTENT-20",
        "patient_safety",
        live("Ældre Sagens hæfte 2015: ikke et krav i § 2"),
        always(
            "Er der restriktioner, fx belastning eller sår? Feltet er tomt.",
            "Are there restrictions, for example load or wound? The field is empty.",
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Spørges ved udskudt opstart eller en operationskode. MedCom XML: PatientSafetyAspects.",
            "Asked when start is deferred or an operation code is there. MedCom XML: PatientSafetyAspects.",
        ),
        _restrictions_not_mentioned,
    ),
    Rule(
        "GOP-CONTENT-21",
        "rehabilitation_need",
        live(guidance("4.5.1")),
        (),
        Bilingual(
            "Planen erstatter ikke epikrisen og kan ikke nøjes med at henvise til den: dømmes af GOP-CONTENT-07.",
            "The plan does not replace the discharge letter and cannot merely refer to it: judged by GOP-CONTENT-07.",
        ),
    ),
)
