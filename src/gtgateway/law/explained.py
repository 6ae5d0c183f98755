"""Each date of a plan by itself: the sentence, the arithmetic and the paragraph behind it, in Danish and English.

`Deadlines.explanation` tells the whole in one text; this is for whoever asks about one date.
"""

from __future__ import annotations

from datetime import date

from gtgateway.law.governing import Governing
from gtgateway.model.deadlines import Deadlines, DeadlineStep
from gtgateway.model.findings import Bilingual
from gtgateway.model.plan import RehabilitationPlan


def deadline_steps(
    plan: RehabilitationPlan, governing: Governing, received_on: date, deadlines: Deadlines
) -> tuple[DeadlineStep, ...]:
    """A step for day zero and for every date that is set, in the order in which they are worked out."""
    clocks, bases = governing.order.clocks, governing.order.clocks.basis
    zero, base = governing.day, deadlines.earliest_start
    hospital = plan.start_deadline.latest
    steps: list[DeadlineStep] = []

    def step(field: str, day: date | None, da: str, en: str, basis: str) -> None:
        if day is not None:
            steps.append(DeadlineStep(field, day, Bilingual(f"{da} {day}.", f"{en} {day}."), basis))

    if deadlines.notify_by is None and deadlines.start_by is None:
        return ()
    step("day_zero", zero, *_day_zero(plan, governing), bases.day_zero)
    step(
        "notify_by",
        deadlines.notify_by,
        f"Besked til patienten: {zero} + {clocks.notify_days} dage =",
        f"Notice to the patient: {zero} + {clocks.notify_days} days =",
        bases.notify,
    )
    if deadlines.notify_effective != deadlines.notify_by:
        step(
            "notify_effective",
            deadlines.notify_effective,
            f"Sygehusets frist {hospital} ligger før {deadlines.notify_by}, "
            "og patienten skal vide besked inden da: senest",
            f"The hospital's deadline {hospital} is before {deadlines.notify_by}, "
            "and the patient must know by then: by",
            bases.hospital_deadline,
        )
    else:
        step(
            "notify_effective",
            deadlines.notify_effective,
            "Ingen frist fra sygehuset kommer før beskeden, som skal være givet senest",
            "No deadline of the hospital comes before the notice, which is due by",
            bases.notify,
        )
    step(
        "notify_by_operational",
        deadlines.notify_by_operational,
        *_working_day(zero, deadlines.notify_effective),
        _CALENDAR,
    )
    if base != zero:
        step(
            "earliest_start",
            base,
            f"Træningen er udskudt: det seneste af udskrivningen {zero} "
            f"og udskydelsen {plan.start_deadline.earliest} =",
            f"Training is deferred: the later of discharge {zero} and the deferral {plan.start_deadline.earliest} =",
            bases.deferral,
        )
    else:
        step(
            "earliest_start",
            base,
            "Træningen er ikke udskudt og kan begynde",
            "Training is not deferred and may begin on",
            bases.start,
        )
    step(
        "seven_day",
        deadlines.seven_day,
        f"Opstart: {base} + {clocks.start_days} dage =",
        f"Start: {base} + {clocks.start_days} days =",
        bases.start,
    )
    if deadlines.seven_day is None:
        step(
            "start_by",
            deadlines.start_by,
            "Syvdagesfristen gælder ikke, kun sygehusets frist",
            "The seven days do not apply, only the hospital's deadline",
            bases.hospital_deadline,
        )
    elif deadlines.start_by != deadlines.seven_day:
        step(
            "start_by",
            deadlines.start_by,
            f"Det tidligste af {deadlines.seven_day} og sygehusets frist {hospital} =",
            f"The earlier of {deadlines.seven_day} and the hospital's deadline {hospital} =",
            bases.hospital_deadline,
        )
    else:
        step(
            "start_by",
            deadlines.start_by,
            "Ingen brugbar frist fra sygehuset er tidligere; opstart senest",
            "No usable deadline of the hospital is earlier; start by",
            bases.start,
        )
    step("start_by_operational", deadlines.start_by_operational, *_working_day(base, deadlines.start_by), _CALENDAR)
    step(
        "free_choice_from",
        deadlines.free_choice_from,
        f"Frit valg, hvis intet er tilbudt til og med {deadlines.seven_day}: fra dagen efter,",
        f"Free choice if nothing was offered by {deadlines.seven_day}: from the day after,",
        bases.free_choice,
    )
    local = deadlines.local
    step("local.contact_by", local.contact_by, *_local(received_on, local.contact_by), _LOCAL)
    step("local.start_by", local.start_by, *_local(received_on, local.start_by), _LOCAL)
    return tuple(steps)


_CALENDAR = "Arbejdsdage; en fridag flytter aldrig den lovbestemte frist"
_LOCAL = "Kommunens eget servicemål; aldrig den lovbestemte frist"


def _day_zero(plan: RehabilitationPlan, governing: Governing) -> tuple[str, str]:
    if governing.estimated:
        if plan.written_at is None:
            return "Udskrivningsdatoen mangler; dag nul er skønnet til modtagelsen", _ESTIMATED + "the receipt"
        return "Udskrivningsdatoen mangler; dag nul er skønnet til plandatoen", _ESTIMATED + "the plan date"
    return "Dag nul er udskrivningsdagen", "Day zero is the day of discharge"


_ESTIMATED = "The discharge date is missing; day zero is estimated as "


def _working_day(first: date | None, legal: date | None) -> tuple[str, str]:
    return (
        f"Sidste arbejdsdag fra {first} til {legal} (er der ingen: {legal} selv) =",
        f"The last working day from {first} to {legal} (if there is none: {legal} itself) =",
    )


def _local(received_on: date, day: date | None) -> tuple[str, str]:
    days = (day - received_on).days if day else 0
    return f"Modtaget {received_on} + {days} dage =", f"Received {received_on} + {days} days ="
