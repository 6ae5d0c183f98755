"""Discharge date, start deadline and deferral (§ 3; sundhedsloven § 140, stk. 4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gtgateway.model.case import EventKind
from gtgateway.model.findings import Bilingual
from gtgateway.model.message import Format
from gtgateway.model.outcome import OrderBasis
from gtgateway.model.plan import Confidence, Level, StartDeadline
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.phrases import NO_DEADLINE, NO_HEALTH_REASON, WITHOUT_REASON
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
    danish_date,
    live,
)


def _discharge_missing(facts: Facts) -> Iterator[Hit]:
    plan = facts.plan
    if plan.discharged_on is not None:
        if plan.discharge_read_from_text:
            yield Hit("read_from_text", date=danish_date(plan.discharged_on))
    elif facts.format is Format.FHIR:
        yield Hit("missing")
    elif facts.policy.xml_without_discharge == "refuse":
        yield Hit("refused")
    else:
        yield Hit("estimated", date=danish_date(facts.governing.day))


def _discharge_implausible(facts: Facts) -> Iterator[Hit]:
    discharged = facts.plan.discharged_on
    if discharged is None or facts.governing.basis is OrderBasis.EARLIEST_LIVE:  # GOP-REGIME-02 says it
        return
    born, limits = facts.plan.patient.born_on, facts.parameters
    ahead = (discharged - facts.received_on).days
    if born and discharged < born:
        yield Hit("before_birth", date=danish_date(discharged))
    elif ahead > limits.ahead_refuses_days.value:
        yield Hit("future_over_60_days", date=danish_date(discharged))
    elif ahead >= limits.ahead_warns_days.value:
        yield Hit("future_15_to_60_days", date=danish_date(discharged))
    elif -ahead > limits.past_refuses_days.value:
        yield Hit("past_over_365_days", date=danish_date(discharged))
    elif -ahead >= limits.past_warns_days.value:
        yield Hit("past_61_to_365_days", date=danish_date(discharged))


def _received_late(facts: Facts) -> Iterator[Hit]:
    discharged = facts.plan.discharged_on
    if discharged is None or facts.governing.basis is OrderBasis.EARLIEST_LIVE:
        return
    late, owners, limits = (facts.received_on - discharged).days, facts.deadlines.owners, facts.parameters
    if late <= limits.in_time_days.value:
        return
    if not owners:
        yield Hit("no_clock", days=late)
    elif late > limits.late_alert_days.value:
        yield Hit("over_7_days", days=late, authority=_AUTHORITY[owners[0].kind])
    else:
        yield Hit(owners[0].kind, days=late)


_AUTHORITY = {
    "municipality": Bilingual("kommunen", "the municipality"),
    "region": Bilingual("regionen", "the region"),
}


def _deadline_not_read(facts: Facts) -> Iterator[Hit]:
    deadline = facts.plan.start_deadline
    text = deadline.text
    if text is None or text.blank or NO_DEADLINE.cover(text.plain):
        return
    doubtful = [each.day for each in deadline.understood if each.day and each.confidence is Confidence.DOUBTFUL]
    if doubtful:
        yield Hit("doubtful", text=text.plain, dates=", ".join(map(danish_date, doubtful)))
    if deadline.latest or deadline.earliest:
        yield Hit("understood", understood=_as_understood(deadline))
    elif not doubtful:
        yield Hit("unread", text=text.plain)


def _as_understood(deadline: StartDeadline) -> Bilingual:
    danish, english = [], []
    if deadline.earliest:
        danish.append(f"opstart tidligst {danish_date(deadline.earliest)}")
        english.append(f"start {danish_date(deadline.earliest)} at the earliest")
    if deadline.latest:
        danish.append(f"opstart senest {danish_date(deadline.latest)}")
        english.append(f"start {danish_date(deadline.latest)} at the latest")
    return Bilingual(", ".join(danish), ", ".join(english))


def _deadline_before_discharge(facts: Facts) -> Iterator[Hit]:
    latest, discharged = facts.plan.start_deadline.latest, facts.plan.discharged_on
    if latest and discharged and latest < discharged:
        yield Hit()


def _deadline_without_reason(facts: Facts) -> Iterator[Hit]:
    deadline = facts.plan.start_deadline
    if deadline.latest and not _reason(deadline):
        yield Hit()


def _reason(deadline: StartDeadline) -> str:
    """The reason given: its own field, or a free text that says more than when."""
    if deadline.reason and deadline.reason.strip():
        return deadline.reason
    text = deadline.text.plain if deadline.text else ""
    return "" if WITHOUT_REASON.cover(text) else text


def _deferral_without_date(facts: Facts) -> Iterator[Hit]:
    deadline, discharged = facts.plan.start_deadline, facts.plan.discharged_on
    if deadline.earliest is None:
        if deadline.deferral_stated:
            yield Hit("without_date")
    elif discharged and deadline.earliest <= discharged:
        yield Hit("not_after_discharge", deferred=danish_date(deadline.earliest))


def _deferral_without_health_reason(facts: Facts) -> Iterator[Hit]:
    deadline = facts.plan.start_deadline
    if deadline.earliest or deadline.deferral_stated:
        reason = _reason(deadline)
        if not reason or NO_HEALTH_REASON.find(reason):
            yield Hit()


def _deferral_after_deadline(facts: Facts) -> Iterator[Hit]:
    deadline = facts.plan.start_deadline
    if deadline.earliest and deadline.latest and deadline.earliest > deadline.latest:
        yield Hit(deferred=danish_date(deadline.earliest), deadline=danish_date(deadline.latest))


def _deadline_after_seven_days(facts: Facts) -> Iterator[Hit]:
    plan, deadline = facts.plan, facts.plan.start_deadline
    if plan.level is Level.SPECIALISERET or facts.only_egentraening or deadline.earliest or deadline.deferral_stated:
        return
    days = facts.governing.order.clocks.start_days
    if deadline.latest and plan.discharged_on and deadline.latest > plan.discharged_on + timedelta(days):
        yield Hit(days=days)


def _discharge_corrected(facts: Facts) -> Iterator[Hit]:
    old, new = facts.known.corrected_from.get(facts.letter_id), facts.plan.discharged_on
    if old and new and old != new:
        yield Hit(old=danish_date(old), new=danish_date(new))


def _discharge_corrected_in_the_case(facts: CaseFacts) -> Iterator[Hit]:
    old, event = facts.case.discharged_on, facts.posted(EventKind.DISCHARGE_CORRECTED)
    if event and event.discharged_on and old and old != event.discharged_on:
        yield Hit(old=danish_date(old), new=danish_date(event.discharged_on))


def _deferred_without_health_reason(facts: CaseFacts) -> Iterator[Hit]:
    if event := facts.posted(EventKind.DEFERRED):
        reason = event.deferral_reason
        if not reason or not reason.strip() or NO_HEALTH_REASON.find(reason):
            yield Hit(path="deferral_reason")


def _implausible(name: str, severity_error: bool) -> Condition:
    severity = ERROR if severity_error else WARNING
    text = Bilingual(
        "Udskrivningsdatoen {date} ligger usandsynligt langt fra i dag; kontrollér den.",
        "The discharge date {date} is implausibly far from today; check it.",
    )
    return Condition(name, text, severity, severity)


RULES = (
    Rule(
        "GOP-DATE-01",
        "discharged_on",
        live("sundhedsloven § 140, stk. 4", "§§ 4, 6 og 7"),
        (
            Condition(
                "missing",
                Bilingual(
                    "Udskrivningsdato mangler; den bruges til at beregne fristerne.",
                    "The discharge date is missing; it is needed to compute the deadlines.",
                ),
                ERROR,
                None,
            ),
            Condition(
                "refused",
                Bilingual(
                    "Udskrivningsdato mangler; den bruges til at beregne fristerne. Angiv den i ExpectedEnd.",
                    "The discharge date is missing; it is needed to compute the deadlines. State it in ExpectedEnd.",
                ),
                None,
                ERROR,
            ),
            Condition(
                "estimated",
                Bilingual(
                    "Udskrivningsdato mangler; fristerne er skønnet ud fra {date}. Angiv datoen i ExpectedEnd.",
                    "The discharge date is missing; the deadlines are estimated from {date}. State the date in "
                    "ExpectedEnd.",
                ),
                None,
                WARNING,
            ),
            Condition(
                "read_from_text",
                Bilingual(
                    "Udskrivningsdato mangler som dato; {date} er læst i teksten. Angiv datoen i ExpectedEnd.",
                    "The discharge date is missing as a date; {date} was read in the text. State the date in "
                    "ExpectedEnd.",
                ),
                None,
                WARNING,
            ),
        ),
        Bilingual(
            "FHIR: afvises. MedCom XML: datoen læses i teksten, ellers skønnes den efter plandatoen eller "
            "modtagelsen, medmindre "
            "gatewayen er sat til at afvise.",
            "FHIR: refused. MedCom XML: the date is read in the text, else estimated from the plan date or the "
            "receipt, unless "
            "the gateway is set to refuse.",
        ),
        _discharge_missing,
    ),
    Rule(
        "GOP-DATE-02",
        "discharged_on",
        live("sundhedsloven § 140, stk. 4", "§§ 4, 6 og 7"),
        (
            Condition(
                "before_birth",
                Bilingual(
                    "Udskrivningsdatoen {date} ligger før patientens fødsel; kontrollér den.",
                    "The discharge date {date} lies before the patient's birth; check it.",
                ),
                ERROR,
                ERROR,
            ),
            _implausible("future_over_60_days", severity_error=True),
            _implausible("future_15_to_60_days", severity_error=False),
            _implausible("past_over_365_days", severity_error=True),
            _implausible("past_61_to_365_days", severity_error=False),
        ),
        Bilingual(
            "Langt fra i dag: fejl; noget fra i dag: advarsel. Antallet af dage er parametre (orders).",
            "Far ahead or ago: error; somewhat ahead or ago: warning. How many days are parameters (orders).",
        ),
        _discharge_implausible,
    ),
    Rule(
        "GOP-DATE-03",
        "discharged_on",
        live(ORDER_OF_2018, "§ 4"),
        (
            Condition(
                "municipality",
                Bilingual(
                    "Planen er modtaget {days} dage efter udskrivningen; kommunens frister løber allerede.",
                    "The plan arrived {days} days after discharge; the municipality's deadlines are already running.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "region",
                Bilingual(
                    "Planen er modtaget {days} dage efter udskrivningen; regionens frister løber allerede.",
                    "The plan arrived {days} days after discharge; the region's deadlines are already running.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "over_7_days",
                Bilingual(
                    "Planen er modtaget {days} dage efter udskrivningen; fristerne løber allerede, og {authority} skal "
                    "se på den straks.",
                    "The plan arrived {days} days after discharge; the deadlines are already running, and {authority} "
                    "must look at it at once.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "no_clock",
                Bilingual(
                    "Planen er modtaget {days} dage efter udskrivningen; den skal sendes, når den udleveres.",
                    "The plan arrived {days} days after discharge; it should be sent when it is handed out.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Fristerne løber fra udskrivningen, ikke fra modtagelsen. Dømmes ikke efter en skønnet dato. En plan, der "
            "kommer meget sent (parametre), får også flaget arrived_very_late på posten hos modtagerne.",
            "The deadlines run from discharge, not from receipt. Not judged from an estimated date. A plan that comes "
            "very late (parameters) also has the flag arrived_very_late on its recipients' record.",
        ),
        _received_late,
    ),
    Rule(
        "GOP-DATE-04",
        "start_deadline.text",
        live("§ 3, stk. 1"),
        (
            Condition(
                "unread",
                Bilingual(
                    "Tidsfristen \"{text}\" kan ikke læses som en dato; skriv fx 'senest 14.03.2027'.",
                    "The deadline \"{text}\" cannot be read as a date; write for example 'senest 14.03.2027'.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "doubtful",
                Bilingual(
                    'Tidsfristen "{text}" er tvivlsom; den er læst som {dates} og flytter ingen frist. Skriv fx '
                    "'senest "
                    "14.03.2027'.",
                    'The deadline "{text}" is doubtful; it was read as {dates} and moves no deadline. Write for '
                    "example "
                    "'senest 14.03.2027'.",
                ),
                WARNING,
                WARNING,
            ),
            Condition(
                "understood",
                Bilingual(
                    "Tidsfristen er forstået som: {understood}.", "The deadline was understood as: {understood}."
                ),
                None,
                INFORMATION,
            ),
        ),
        Bilingual(
            "Teksten vises altid. Kun en sikker læsning flytter en frist.",
            "The text is always shown. Only a certain reading moves a deadline.",
        ),
        _deadline_not_read,
    ),
    Rule(
        "GOP-DATE-05",
        "start_deadline.text",
        live("§ 3, stk. 1"),
        always(
            "Tidsfristen for opstart ligger før udskrivningen.",
            "The start deadline lies before discharge.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "MedCom XML: vises, men ingen frist regnes efter den.",
            "MedCom XML: shown, but no deadline is computed from it.",
        ),
        _deadline_before_discharge,
    ),
    Rule(
        "GOP-DATE-06",
        "start_deadline.text",
        live("§ 3, stk. 1"),
        always(
            "Angiv den sundhedsfaglige grund til tidsfristen for opstart.",
            "Give the health reason for the start deadline.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "En frist skal være sundhedsfagligt begrundet. MedCom XML: skriv grunden i samme tekst.",
            "A deadline must have a health reason. MedCom XML: write it in the same text.",
        ),
        _deadline_without_reason,
    ),
    Rule(
        "GOP-DATE-07",
        "start_deadline.text",
        live("sundhedsloven § 140, stk. 4", "§ 3, stk. 2; sundhedsloven § 140"),
        (
            Condition(
                "without_date",
                Bilingual(
                    "Planen siger udskudt opstart, men mangler datoen for, hvornår træningen må begynde.",
                    "The plan states deferred start but not the date from which training may begin.",
                ),
                ERROR,
                WARNING,
            ),
            Condition(
                "not_after_discharge",
                Bilingual(
                    "Udskudt opstart {deferred} ligger ikke efter udskrivningen; ret datoen.",
                    "The deferred start {deferred} is not after discharge; correct the date.",
                ),
                WARNING,
                WARNING,
            ),
        ),
        Bilingual(
            "Uden en dato flytter udskydelsen ingen frist.",
            "Without a date the deferral moves no deadline.",
        ),
        _deferral_without_date,
    ),
    Rule(
        "GOP-DATE-08",
        "start_deadline.text",
        live("sundhedsloven § 140, stk. 4", "§ 3, stk. 2"),
        always(
            "Udskudt opstart kræver en sundhedsfaglig grund; angiv den.",
            "Deferred start requires a health reason; state it.",
            WARNING,
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Ferie, eget ønske og manglende kapacitet er ingen sundhedsfaglig grund (phrases.toml).",
            "Holidays, the patient's wish and lack of capacity are no health reason (phrases.toml).",
        ),
        _deferral_without_health_reason,
        guard=_deferred_without_health_reason,
    ),
    Rule(
        "GOP-DATE-09",
        "start_deadline.text",
        live("§ 3, stk. 1; sundhedsloven § 140, stk. 4", "§ 3, stk. 1 og 2"),
        always(
            "Træningen må tidligst starte {deferred}, men fristen er {deadline}; ret datoerne.",
            "Training may start {deferred} at the earliest, but the deadline is {deadline}; correct the dates.",
            ERROR,
            WARNING,
        ),
        Bilingual(
            "MedCom XML: fristen vises, men bruges ikke; de syv dage regnes fra den udskudte start (§ 140), for "
            "træning før den kan skade patienten.",
            "MedCom XML: the deadline is shown but not used; the seven days count from the deferred start (§ 140), as "
            "training before it could harm the patient.",
        ),
        _deferral_after_deadline,
    ),
    Rule(
        "GOP-DATE-10",
        "start_deadline.text",
        live("§ 3, stk. 1; sundhedsloven § 140, stk. 4", "§ 3; § 7, stk. 3"),
        always(
            "Fristen er senere end {days} dage efter udskrivningen; skal starten udskydes, så angiv det tydeligt.",
            "The deadline is later than {days} days after discharge; if start should be deferred, say so.",
            WARNING,
            WARNING,
        ),
        Bilingual(
            "Dagene efter udskrivningen gælder stadig. Ikke ved genoptræning på specialiseret niveau og ikke ved "
            "egentræning.",
            "The days after discharge still apply. Not for specialised training and not for egentræning.",
        ),
        _deadline_after_seven_days,
    ),
    Rule(
        "GOP-DATE-11",
        "discharged_on",
        live("sundhedsloven § 140, stk. 4", "§§ 6 og 7"),
        always(
            "Udskrivningsdatoen er rettet fra {old} til {new}; fristerne er beregnet på ny.",
            "The discharge date changed from {old} to {new}; deadlines were recomputed.",
            INFORMATION,
            INFORMATION,
            INFORMATION,
        ),
        Bilingual(
            "Siges, når en rettet udskrivningsdato er modtaget: bekendtgørelse, modtagere og frister er fundet på ny.",
            "Said when a corrected discharge date was received: order, recipients and deadlines were found anew.",
        ),
        _discharge_corrected,
        guard=_discharge_corrected_in_the_case,
    ),
)
