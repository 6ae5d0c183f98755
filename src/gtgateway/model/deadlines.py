"""The dates that a plan sets running (§§ 6 and 7; sundhedsloven § 140)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gtgateway.model.findings import Bilingual

NO_EXPLANATION = Bilingual("", "")


@dataclass(frozen=True, slots=True)
class ClockOwner:
    """Who owes the notice and the start, from a day on. `kind`: municipality or region."""

    kind: str
    since: date


@dataclass(frozen=True, slots=True)
class LocalClock:
    """A municipality's own service target, counted from receipt; never the legal date."""

    contact_by: date | None = None
    start_by: date | None = None


@dataclass(frozen=True, slots=True)
class DeadlineStep:
    """How one date came about: the sentence with its arithmetic, and the paragraph."""

    field: str  #: name of the date in `Deadlines`, e.g. `start_by`, or `day_zero`
    day: date
    text: Bilingual
    basis: str  #: in Danish


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Local calendar dates (Europe/Copenhagen); None = that clock does not run."""

    notify_by: date | None = None  #: legal: discharge + 4, § 6
    notify_effective: date | None = None  #: not later than the hospital's own deadline
    notify_by_operational: date | None = None  #: last working day up to it
    earliest_start: date | None = None
    seven_day: date | None = None
    start_by: date | None = None  #: earlier of day 7 and the hospital's deadline, § 7
    start_by_operational: date | None = None
    free_choice_from: date | None = None  #: if nothing has been offered
    estimated: bool = False  #: counted from the plan date, not from a discharge date (GOP-DATE-01)
    no_working_day: bool = False  #: no working day in a span: the operational date is the legal one
    late_at_receipt: bool = False
    local: LocalClock = LocalClock()
    owners: tuple[ClockOwner, ...] = ()
    explanation: Bilingual = NO_EXPLANATION
