"""The notice to the citizen and the start of the training (§ 6): in time, with everything it must say."""

from __future__ import annotations

from collections.abc import Iterator

from gtgateway.model.case import EventKind, Meeting
from gtgateway.model.findings import Bilingual
from gtgateway.model.plan import Level
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import (
    BEK_2027,
    ERROR,
    INFORMATION,
    ORDER_OF_2018,
    WARNING,
    Guard,
    Hit,
    Rule,
    danish_date,
    live,
    of_case,
)


def _late_notice(level: Level) -> Guard:
    def late(facts: CaseFacts) -> Iterator[Hit]:
        limit = facts.clocks.deadlines.notify_by
        due = facts.case.notice is None and (facts.standing or facts.posted(EventKind.INFORMED))
        if due and facts.case.level is level and limit and facts.day > limit:
            yield Hit(date=danish_date(limit))

    return late


def _notice_incomplete(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.posted(EventKind.INFORMED)
    if event is None:
        return
    untyped = facts.case.level is Level.ALMEN and not (event.municipal_level or facts.case.municipal_level)
    if not event.place or not event.place.strip():
        yield Hit()
    elif event.offered_start is None:
        yield Hit(path="offered_start")
    elif untyped:
        yield Hit(path="municipal_level")


def _reply_deadline_too_short(facts: CaseFacts) -> Iterator[Hit]:
    event = facts.posted(EventKind.INFORMED, EventKind.OFFERED, EventKind.REPLY_DEADLINE_SET)
    if event and event.reply_by:
        # a deadline of its own counts from the offer that it belongs to
        offer = facts.case.offer if event.kind is EventKind.REPLY_DEADLINE_SET else None
        asked_on = offer.on if offer else event.on
        days = facts.order.parameters.reply_working_days.value
        if facts.calendar.working_days(asked_on, event.reply_by) < days:
            yield Hit(days=days)


def _start_without_a_health_person(facts: CaseFacts) -> Iterator[Hit]:
    if event := facts.posted(EventKind.STARTED):
        if event.performer_role is None or not event.performer_role.is_health_person:
            yield Hit()
        elif event.meeting is Meeting.BOOKING_CALL:
            yield Hit(path="meeting")


def _no_limits_at_hospital(facts: CaseFacts) -> Iterator[Hit]:
    if facts.case.level is Level.SPECIALISERET and (facts.standing or facts.offering):
        clocks = facts.order.clocks
        yield Hit(notice=clocks.notify_days, start=clocks.start_days)


RULES = (
    Rule(
        "GOP-NOTIFY-01",
        "notify_by",
        live(ORDER_OF_2018, "§ 6, stk. 1"),
        (
            of_case(
                "Borgeren skulle være informeret senest {date}.",
                "The citizen should have been informed by {date}.",
                WARNING,
            ),
        ),
        Bilingual(
            "Almen genoptræning: senest fire dage efter udskrivningen. Sagen minder om det dagen før.",
            "General training: within four days of discharge. The case reminds of it the day before.",
        ),
        guard=_late_notice(Level.ALMEN),
    ),
    Rule(
        "GOP-NOTIFY-02",
        "notify_by",
        live(ORDER_OF_2018, "§ 6, stk. 2"),
        (
            of_case(
                "Borgeren skulle være informeret om rehabilitering senest {date}.",
                "The citizen should have been informed about rehabilitation by {date}.",
                WARNING,
            ),
        ),
        Bilingual(
            "Rehabilitering på specialiseret niveau: samme frist. Pligten er den myndigheds, som har ansvaret i dag.",
            "Specialised rehabilitation: the same limit. The duty is that of the authority responsible today.",
        ),
        guard=_late_notice(Level.REHABILITERING),
    ),
    Rule(
        "GOP-NOTIFY-03",
        "place",
        live(ORDER_OF_2018, "§ 6, stk. 1"),
        (
            of_case(
                "Meddelelsen skal indeholde sted, starttidspunkt og type af genoptræning.",
                "The notice must contain place, start time and type.",
                ERROR,
            ),
        ),
        Bilingual(
            "Typen er det basale eller avancerede niveau og kræves kun ved almen genoptræning.",
            "The type is the basic or advanced level and required for general training only.",
        ),
        guard=_notice_incomplete,
    ),
    Rule(
        "GOP-NOTIFY-04",
        "reply_by",
        {BEK_2027: "§ 6, stk. 3"},
        (
            of_case(
                "Svarfristen er under {days} hverdage; vurder om den er rimelig.",
                "The reply deadline is under {days} working days; consider whether it is reasonable.",
                WARNING,
            ),
        ),
        Bilingual(
            "Bekendtgørelsen kræver en rimelig frist; antallet af hverdage er gatewayens egen læsning (parametre).",
            "The order asks for a reasonable deadline; the number of working days is our own reading (parameters).",
        ),
        guard=_reply_deadline_too_short,
    ),
    Rule(
        "GOP-NOTIFY-05",
        "performer_role",
        live(ORDER_OF_2018, "§ 6, stk. 4"),
        (
            of_case(
                "Opstart er første møde med en sundhedsperson, der skal varetage genoptræningen.",
                "Start means the first meeting with a health person who carries out the training.",
                ERROR,
            ),
        ),
        Bilingual(
            "Også på video. Et opkald om tid er ingen opstart.",
            "Also on video. A call about booking is no start.",
        ),
        guard=_start_without_a_health_person,
    ),
    Rule(
        "GOP-NOTIFY-06",
        "level",
        live("sundhedsloven § 140, stk. 4", "§ 6; § 7, stk. 6"),
        (
            of_case(
                "Fristerne på {notice} og {start} dage gælder ikke genoptræning på sygehus.",
                "The {notice}- and {start}-day limits do not apply to hospital training.",
                INFORMATION,
            ),
        ),
        Bilingual(
            "Forklarer, hvorfor sagen ingen frister har. En frist, som sygehuset selv har sat, gælder stadig.",
            "Explains why the case has no limits. A deadline that the hospital itself set still counts.",
        ),
        guard=_no_limits_at_hospital,
    ),
)
