"""The dates that a plan sets running: notice (§ 6), start and free choice (§ 7; sundhedsloven § 140).

Calendar days from day zero, the day of discharge. The order says how many, for which levels and who owes them; the
hospital may set a deadline or defer the start (§ 3). Working days never move a legal date.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache

from gtgateway.law.calendar import Calendar
from gtgateway.law.governing import Governing
from gtgateway.law.orders import AuthorityChange
from gtgateway.model.deadlines import ClockOwner, Deadlines, LocalClock
from gtgateway.model.findings import Bilingual
from gtgateway.model.outcome import OrderBasis
from gtgateway.model.plan import Level, PlanType, RehabilitationPlan
from gtgateway.model.route import Organisation


def compute_deadlines(
    plan: RehabilitationPlan,
    governing: Governing,
    received_on: date,
    calendar: Calendar,
    residence: Organisation | None = None,
    offered_start: date | None = None,
    notified_on: date | None = None,
    accepted_on: date | None = None,
) -> Deadlines:
    """The dates of a plan's first phase by its order; a clock that does not run has None.

    `received_on`, `offered_start`, `notified_on` and `accepted_on` (the authority that takes over accepted the case)
    are local dates (Europe/Copenhagen). `residence` is the municipality whose own service targets count from receipt;
    they never replace a legal date.
    """
    if plan.plan_type is PlanType.EGENTRAENING:
        return Deadlines(estimated=governing.estimated, explanation=_EGENTRAENING)
    clocks = governing.order.clocks
    discharge, deferred = governing.day, plan.start_deadline.earliest
    hospital = _usable_hospital_deadline(plan, discharge)
    deferred_base = max(discharge, deferred) if deferred else discharge
    base = deferred_base if "start" in clocks.deferral_moves else discharge

    owner = clocks.owners.get(plan.level) if plan.level else None
    notify_by = notify_effective = seven_day = free_choice_from = None
    owners: tuple[ClockOwner, ...] = ()
    if owner is not None:
        notify_by = _after(deferred_base if "notice" in clocks.deferral_moves else discharge, clocks.notify_days)
        notify_effective = min(notify_by, hospital or notify_by)
        seven_day = _after(base, clocks.start_days)
        free_choice_from = _free_choice_from(seven_day, offered_start, notified_on)
        owners = (ClockOwner(owner, discharge),)
        change = _change_that_matters(plan, governing, received_on, seven_day)
        if change and accepted_on:  # until then the old authority owes everything
            owners += (ClockOwner(change.kind, max(change.since, accepted_on)),)
    start_by = min(filter(None, (seven_day, hospital)), default=None)

    notify_working = calendar.last_working_day(discharge, notify_effective) if notify_effective else None
    start_working = calendar.last_working_day(base, start_by) if start_by else None
    deadlines = Deadlines(
        notify_by=notify_by,
        notify_effective=notify_effective,
        notify_by_operational=notify_working or notify_effective,
        earliest_start=base if start_by else None,
        seven_day=seven_day,
        start_by=start_by,
        start_by_operational=start_working or start_by,
        free_choice_from=free_choice_from,
        estimated=governing.estimated,
        no_working_day=bool((notify_effective and not notify_working) or (start_by and not start_working)),
        late_at_receipt=any(limit is not None and received_on > limit for limit in (notify_by, start_by)),
        local=_local_clock(residence, received_on) if owner else LocalClock(),
        owners=owners,
    )
    return replace(deadlines, explanation=_explain(plan, governing, received_on, deadlines, hospital, offered_start))


def _after(day: date, days: int) -> date:
    """`days` calendar days later, at the latest the last day that a date can be."""
    return date.fromordinal(min(day.toordinal() + days, date.max.toordinal()))


def _change_that_matters(
    plan: RehabilitationPlan, governing: Governing, received_on: date, seven_day: date | None
) -> AuthorityChange | None:
    """The change of authority that comes before the clocks have run out, or had come when the plan was received."""
    change = governing.order.authority_change(plan.level) if plan.level else None
    return change if change and seven_day and change.since <= max(seven_day, received_on) else None


def _usable_hospital_deadline(plan: RehabilitationPlan, discharge: date) -> date | None:
    """The hospital's deadline unless it is faulty (GOP-DATE-05, -09): then it is shown but moves no clock.

    A deferral later than the deadline still counts: the law counts the seven days from it whatever else the plan says
    (sundhedsloven § 140, stk. 4), and training before it could harm the patient. A person is warned and must ask.
    """
    latest, earliest = plan.start_deadline.latest, plan.start_deadline.earliest
    return latest if latest and latest >= max(discharge, earliest or discharge) else None


def _free_choice_from(seven_day: date, offered_start: date | None, notified_on: date | None) -> date | None:
    """The day a private provider may be chosen: when a late start is offered, or when nothing came by day seven."""
    if offered_start and offered_start <= seven_day:
        return None
    unanswered = _after(seven_day, 1)
    return min(notified_on, unanswered) if offered_start and notified_on else unanswered


def _local_clock(residence: Organisation | None, received_on: date) -> LocalClock:
    if residence is None:
        return LocalClock()
    contact, start = residence.local_contact_days, residence.local_start_days
    return LocalClock(
        _after(received_on, contact) if contact is not None else None,
        _after(received_on, start) if start is not None else None,
    )


# --- explanation ------------------------------------------------------------------------------------------------------

_EGENTRAENING = Bilingual(
    "Planen gælder kun egentræning; den starter ingen frister.",
    "The plan covers self-training only; it starts no deadlines.",
)
_AUTHORITY = {"municipality": ("Kommunen", "The municipality"), "region": ("Regionen", "The region")}
_WEEKDAYS_DA = ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag")
_MONTHS_DA = (
    *("januar", "februar", "marts", "april", "maj", "juni"),
    *("juli", "august", "september", "oktober", "november", "december"),
)
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@lru_cache
def _in_danish(day: date) -> str:
    return f"{_WEEKDAYS_DA[day.weekday()]} den {day.day}. {_MONTHS_DA[day.month - 1]} {day.year}"


@lru_cache
def _in_english(day: date) -> str:
    return f"{_WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS_EN[day.month - 1]} {day.year}"


class _Account:
    """Sentences in both languages; `{}` takes a date in its language's own words."""

    def __init__(self) -> None:
        self._da: list[str] = []
        self._en: list[str] = []

    def say(self, da: str, en: str, *days: date) -> None:
        self._da.append(da.format(*map(_in_danish, days)))
        self._en.append(en.format(*map(_in_english, days)))

    def both(self) -> Bilingual:
        return Bilingual(" ".join(self._da), " ".join(self._en))


def _explain(
    plan: RehabilitationPlan,
    governing: Governing,
    received_on: date,
    deadlines: Deadlines,
    hospital: date | None,
    offered_start: date | None,
) -> Bilingual:
    """How the dates came about, for people."""
    account = _Account()
    _explain_day_zero(account, plan, governing, received_on)
    _explain_notice(account, plan, governing, deadlines)
    _explain_start(account, plan, governing, deadlines, hospital)
    if deadlines.no_working_day:
        account.say(
            "Der er ingen arbejdsdag inden for fristen, så selve fristdagen er vist.",
            "There is no working day within the limit, so the day of the limit itself is shown.",
        )
    if deadlines.free_choice_from and offered_start:
        account.say(
            "Den tilbudte start {} er for sen, så patienten kan vælge en privat leverandør fra {}.",
            "The start offered on {} is too late, so the patient may choose a private provider from {}.",
            offered_start,
            deadlines.free_choice_from,
        )
    elif deadlines.free_choice_from:
        account.say(
            "Er intet tilbudt, kan patienten vælge en privat leverandør fra {}.",
            "If nothing has been offered, the patient may choose a private provider from {}.",
            deadlines.free_choice_from,
        )
    _explain_change_of_authority(account, plan, governing, received_on, deadlines)
    if deadlines.late_at_receipt:
        account.say(
            "Planen blev modtaget {}, efter at en frist var udløbet.",
            "The plan was received on {}, after a limit had passed.",
            received_on,
        )
    if deadlines.local.contact_by:
        account.say(
            "Kommunens eget mål er kontakt senest {}.",
            "The municipality's own target is contact by {}.",
            deadlines.local.contact_by,
        )
    if deadlines.local.start_by:
        account.say(
            "Kommunens eget mål er opstart senest {}.",
            "The municipality's own target is a start by {}.",
            deadlines.local.start_by,
        )
    if plan.next_level:
        account.say(
            "Datoerne gælder første fase; næste fase får sine egne, når den begynder.",
            "The dates are those of the first phase; the next phase gets its own when it begins.",
        )
    return account.both()


def _explain_change_of_authority(
    account: _Account, plan: RehabilitationPlan, governing: Governing, received_on: date, deadlines: Deadlines
) -> None:
    change = _change_that_matters(plan, governing, received_on, deadlines.seven_day)
    if change is None:
        return
    da, en = _AUTHORITY[change.kind]
    if taken_over := deadlines.owners[1:]:
        account.say(f"{da} har ansvaret fra {{}}.", f"{en} is responsible from {{}}.", taken_over[0].since)
    else:
        old_da, old_en = _AUTHORITY[deadlines.owners[0].kind]
        account.say(
            f"{da} overtager ansvaret tidligst {{}}; {old_da.lower()} har det, indtil {da.lower()} har taget imod "
            "forløbet.",
            f"{en} takes over on {{}} at the earliest; {old_en.lower()} is responsible until {en.lower()} has accepted "
            "the case.",
            change.since,
        )


def _explain_day_zero(account: _Account, plan: RehabilitationPlan, governing: Governing, received_on: date) -> None:
    if governing.estimated and plan.written_at:
        account.say(
            "Udskrivningsdatoen mangler; datoerne er skønnet ud fra plandatoen {} som dag nul.",
            "The discharge date is missing; the dates are estimated with the plan date {} as day zero.",
            governing.day,
        )
    elif governing.estimated:
        account.say(
            "Udskrivningsdatoen mangler; datoerne er skønnet ud fra modtagelsen {} som dag nul.",
            "The discharge date is missing; the dates are estimated with the receipt on {} as day zero.",
            governing.day,
        )
    elif governing.basis is OrderBasis.EXPECTED_DISCHARGE or governing.day > received_on:
        account.say("Forventet udskrivning {} er dag nul.", "The expected discharge on {} is day zero.", governing.day)
    else:
        account.say("Udskrivningen {} er dag nul.", "Discharge on {} is day zero.", governing.day)


def _explain_notice(account: _Account, plan: RehabilitationPlan, governing: Governing, deadlines: Deadlines) -> None:
    notify_by, effective = deadlines.notify_by, deadlines.notify_effective
    working = deadlines.notify_by_operational
    if notify_by is None or effective is None or working is None:
        if plan.level is Level.SPECIALISERET:
            account.say(
                "Fristerne for besked og opstart gælder ikke genoptræning på sygehus.",
                "The limits for notice and start do not apply to hospital training.",
            )
        return
    da, en = _AUTHORITY[deadlines.owners[0].kind]
    account.say(
        f"{da} skal informere patienten senest {{}} (dag {governing.order.clocks.notify_days}).",
        f"{en} must inform the patient by {{}} (day {governing.order.clocks.notify_days}).",
        notify_by,
    )
    if effective < notify_by:
        account.say(
            "Sygehusets frist kommer før, så patienten bør være informeret senest {}.",
            "The hospital's deadline comes first, so the patient should be informed by {}.",
            effective,
        )
    if working < effective:
        account.say("Sidste arbejdsdag for beskeden er {}.", "The last working day for the notice is {}.", working)


def _explain_start(
    account: _Account, plan: RehabilitationPlan, governing: Governing, deadlines: Deadlines, hospital: date | None
) -> None:
    start_by, seven_day, working = deadlines.start_by, deadlines.seven_day, deadlines.start_by_operational
    base, days = deadlines.earliest_start, governing.order.clocks.start_days
    if start_by and seven_day and base and base > governing.day:
        account.say(
            f"Opstart er udskudt til {{}} og skal ske senest {days} dage derefter, {{}}.",
            f"The start is deferred until {{}} and is due within {days} days of it, {{}}.",
            base,
            seven_day,
        )
    elif seven_day:
        account.say(
            f"Opstart skal ske senest {{}} (dag {days}).", f"Training must start by {{}} (day {days}).", seven_day
        )
    if hospital and hospital == start_by:
        account.say("Sygehusets frist for opstart er {}.", "The hospital's deadline for the start is {}.", hospital)
    elif hospital:
        account.say(
            "Sygehusets frist {} er senere og flytter ikke datoen.",
            "The hospital's deadline {} is later and does not move the date.",
            hospital,
        )
    elif stated := plan.start_deadline.latest:
        account.say(
            "Sygehusets frist {} er ikke brugt, fordi den ligger før udskrivningen eller før den tidligste start.",
            "The hospital's deadline {} is not used, as it lies before discharge or before the earliest start.",
            stated,
        )
    if start_by and working and working < start_by:
        account.say("Sidste arbejdsdag for opstarten er {}.", "The last working day for the start is {}.", working)
