"""The deadline algorithm: the worked examples, the edges, and what holds for every plan."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.plan import Level, LocalMoment, PlanType, RehabilitationPlan, StartDeadline
from gtgateway.model.route import Organisation, OrganisationKind

ORDERS = Orders.load()
CALENDAR = Calendar(("12-24", "12-31", "06-05"))
MUNICIPALITY = Organisation(
    "odense-kommune", OrganisationKind.MUNICIPALITY, "Odense Kommune", (), local_contact_days=4, local_start_days=7
)
LEVELS = {"ALMEN": Level.ALMEN, "SPEC_REHAB": Level.REHABILITERING, "SPEC_GENOPTRAENING": Level.SPECIALISERET}


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _deadlines(
    discharged: date | None,
    *,
    level: Level | None = Level.ALMEN,
    earliest: date | None = None,
    latest: date | None = None,
    received: date | None = None,
    written: date | None = None,
    plan_type: PlanType = PlanType.GENOPTRAENING,
    next_level: Level | None = None,
    residence: Organisation | None = None,
    offered_start: date | None = None,
    notified_on: date | None = None,
    accepted_on: date | None = None,
    archive: bool = False,
) -> Deadlines:
    plan = RehabilitationPlan(
        level=level,
        plan_type=plan_type,
        next_level=next_level,
        discharged_on=discharged,
        written_at=LocalMoment(written) if written else None,
        start_deadline=StartDeadline(latest=latest, earliest=earliest),
    )
    received_on = received or discharged or date(2026, 11, 23)
    governing = govern(plan, received_on, ORDERS, archive=archive)
    return compute_deadlines(plan, governing, received_on, CALENDAR, residence, offered_start, notified_on, accepted_on)


# discharge, deferred until, hospital's deadline, received | notify_by, operational, start_by, operational, free choice
EXAMPLES = """
2026-11-06 -          -          -          | 2026-11-10 2026-11-10 2026-11-13 2026-11-13 2026-11-14
2027-02-05 -          -          -          | 2027-02-09 2027-02-09 2027-02-12 2027-02-12 2027-02-13
2026-12-18 -          -          -          | 2026-12-22 2026-12-22 2026-12-25 2026-12-23 2026-12-26
2026-12-23 -          -          -          | 2026-12-27 2026-12-23 2026-12-30 2026-12-30 2026-12-31
2027-12-23 -          -          -          | 2027-12-27 2027-12-27 2027-12-30 2027-12-30 2027-12-31
2027-03-24 -          -          -          | 2027-03-28 2027-03-24 2027-03-31 2027-03-31 2027-04-01
2027-03-19 -          -          -          | 2027-03-23 2027-03-23 2027-03-26 2027-03-24 2027-03-27
2027-06-12 -          -          -          | 2027-06-16 2027-06-16 2027-06-19 2027-06-18 2027-06-20
2026-10-05 2026-11-16 -          -          | 2026-10-09 2026-10-09 2026-11-23 2026-11-23 2026-11-24
2027-04-05 2027-05-17 -          -          | 2027-04-09 2027-04-09 2027-05-24 2027-05-24 2027-05-25
2027-03-02 -          2027-03-04 -          | 2027-03-06 2027-03-04 2027-03-04 2027-03-04 2027-03-10
2027-08-02 -          2027-08-16 -          | 2027-08-06 2027-08-06 2027-08-09 2027-08-09 2027-08-10
2026-09-07 -          -          2026-09-14 | 2026-09-11 2026-09-11 2026-09-14 2026-09-14 2026-09-15
2022-05-24 -          -          2022-05-23 | 2022-05-28 2022-05-27 2022-05-31 2022-05-31 2022-06-01
2026-12-28 -          -          2027-01-06 | 2027-01-01 2026-12-30 2027-01-04 2027-01-04 2027-01-05
2026-12-29 -          -          -          | 2027-01-02 2026-12-30 2027-01-05 2027-01-05 2027-01-06
2026-12-31 -          -          -          | 2027-01-04 2027-01-04 2027-01-07 2027-01-07 2027-01-08
2027-01-04 -          -          -          | 2027-01-08 2027-01-08 2027-01-11 2027-01-11 2027-01-12
2026-12-14 2027-01-11 -          -          | 2026-12-18 2026-12-18 2027-01-18 2027-01-18 2027-01-19
2027-03-25 -          -          -          | 2027-03-29 2027-03-29 2027-04-01 2027-04-01 2027-04-02
"""


@pytest.mark.parametrize("example", EXAMPLES.strip().splitlines())
def test_worked_examples(example: str) -> None:
    days = [_day(text.replace("-", "") and text) for text in example.replace("|", " ").split() if text]
    discharged, earliest, latest, received, *expected = days
    found = _deadlines(discharged, earliest=earliest, latest=latest, received=received)
    assert [
        found.notify_by,
        found.notify_by_operational,
        found.start_by,
        found.start_by_operational,
        found.free_choice_from,
    ] == expected


def test_every_row_of_the_reference_table(shared: Path) -> None:
    with (shared / "data" / "deadline-examples.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 25)]
    for row in rows:
        # Row 22 holds for any discharge date; row 23 is an offer that came too late.
        offer = (date(2027, 2, 17), date(2027, 2, 8)) if row["id"] == "23" else (None, None)
        found = _deadlines(
            _day(row["discharge"]) or date(2026, 11, 6),
            level=LEVELS[row["level"]],
            earliest=_day(row["deferred_until"]),
            latest=_day(row["hospital_deadline"]),
            received=_day(row["received"]),
            offered_start=offer[0],
            notified_on=offer[1],
        )
        names = ("notify_by", "notify_by_operational", "start_by", "start_by_operational", "free_choice_from")
        assert {name: getattr(found, name) for name in names} == {name: _day(row[name]) for name in names}, row["id"]
        owners = [
            owner.kind if not index else f"{owner.kind} from {owner.since}" for index, owner in enumerate(found.owners)
        ]
        # Row 17: the region owes nothing before it has accepted (readings no. 6).
        expected = "municipality" if row["id"] == "17" else row["authority_notify"]
        assert "; ".join(owners) == expected, row["id"]


def test_the_hospitals_deadline_before_day_four_and_seven() -> None:
    found = _deadlines(date(2027, 3, 2), latest=date(2027, 3, 4))
    assert found.notify_by == date(2027, 3, 6)
    assert found.notify_effective == date(2027, 3, 4)
    assert found.seven_day == date(2027, 3, 9)
    assert found.start_by == date(2027, 3, 4)


def test_a_span_without_a_working_day_is_flagged() -> None:
    assert _deadlines(date(2027, 3, 25)).no_working_day
    assert not _deadlines(date(2027, 3, 24)).no_working_day
    weekend = _deadlines(date(2026, 11, 21), latest=date(2026, 11, 22), received=date(2026, 11, 21))
    assert (weekend.start_by_operational, weekend.no_working_day) == (date(2026, 11, 22), True)


@pytest.mark.parametrize(
    "earliest, latest",
    [
        (None, date(2026, 11, 5)),  # before discharge (GOP-DATE-05)
        (date(2026, 11, 20), date(2026, 11, 10)),  # before the earliest start (GOP-DATE-09)
    ],
)
def test_a_faulty_hospital_deadline_moves_no_clock(earliest: date | None, latest: date) -> None:
    faulty = _deadlines(date(2026, 11, 6), earliest=earliest, latest=latest)
    without = _deadlines(date(2026, 11, 6), earliest=earliest)
    assert (faulty.notify_effective, faulty.start_by) == (without.notify_effective, without.start_by)
    assert "er ikke brugt" in faulty.explanation.da
    assert "is not used" in faulty.explanation.en


def test_a_deferral_after_the_deadline_still_counts() -> None:
    """Readings no. 3 ignores the faulty deadline; the seven days count from the deferral all the same (§ 140)."""
    found = _deadlines(date(2026, 11, 6), earliest=date(2026, 11, 20), latest=date(2026, 11, 10))
    assert (found.earliest_start, found.seven_day, found.start_by) == (
        date(2026, 11, 20),
        date(2026, 11, 27),
        date(2026, 11, 27),
    )


def test_a_deadline_on_the_day_of_discharge_counts() -> None:
    found = _deadlines(date(2026, 11, 6), latest=date(2026, 11, 6))
    assert found.notify_effective == found.start_by == date(2026, 11, 6)


def test_deferral_before_discharge_changes_nothing() -> None:
    assert _deadlines(date(2026, 11, 6), earliest=date(2026, 11, 1)).seven_day == date(2026, 11, 13)


def test_specialised_training_has_only_the_hospitals_deadline() -> None:
    none = _deadlines(date(2026, 11, 6), level=Level.SPECIALISERET)
    assert (none.notify_by, none.seven_day, none.start_by, none.free_choice_from) == (None, None, None, None)
    assert (none.owners, none.late_at_receipt) == ((), False)
    assert "gælder ikke genoptræning på sygehus" in none.explanation.da
    found = _deadlines(date(2026, 11, 6), level=Level.SPECIALISERET, latest=date(2026, 11, 15))
    assert (found.start_by, found.start_by_operational) == (date(2026, 11, 15), date(2026, 11, 13))
    assert (found.notify_by, found.seven_day, found.free_choice_from) == (None, None, None)


def test_egentraening_starts_nothing() -> None:
    found = _deadlines(date(2026, 11, 6), plan_type=PlanType.EGENTRAENING, latest=date(2026, 11, 8))
    assert found == Deadlines(explanation=found.explanation)
    assert found.explanation.da == "Planen gælder kun egentræning; den starter ingen frister."


def test_a_plan_without_a_level_has_no_clock() -> None:
    assert _deadlines(date(2026, 11, 6), level=None).notify_by is None


EVE, NEW_YEAR = date(2026, 12, 30), date(2027, 1, 1)


@pytest.mark.parametrize(
    "discharged, received, accepted, owners",
    [
        # the clocks reach past New Year, or all limits passed before the plan came: the municipality until accepted
        (EVE, EVE, None, [("municipality", EVE)]),
        (date(2026, 12, 1), date(2027, 1, 5), None, [("municipality", date(2026, 12, 1))]),
        (EVE, EVE, date(2027, 1, 4), [("municipality", EVE), ("region", date(2027, 1, 4))]),
        (EVE, EVE, date(2026, 12, 31), [("municipality", EVE), ("region", NEW_YEAR)]),  # accepted beforehand
        # over long before
        (date(2026, 11, 6), date(2026, 11, 6), None, [("municipality", date(2026, 11, 6))]),
        (NEW_YEAR, NEW_YEAR, None, [("region", NEW_YEAR)]),
    ],
)
def test_owners_of_rehabilitation(
    discharged: date, received: date, accepted: date | None, owners: list[tuple[str, date]]
) -> None:
    found = _deadlines(discharged, level=Level.REHABILITERING, received=received, accepted_on=accepted)
    assert [(owner.kind, owner.since) for owner in found.owners] == owners


def test_late_at_receipt_never_moves_a_date() -> None:
    discharged = date(2026, 9, 7)
    in_time, late = (_deadlines(discharged, received=day) for day in (date(2026, 9, 11), date(2026, 9, 12)))
    assert (in_time.late_at_receipt, late.late_at_receipt) == (False, True)
    assert (in_time.notify_by, in_time.start_by) == (late.notify_by, late.start_by)


def test_local_clock_counts_from_receipt() -> None:
    found = _deadlines(date(2026, 9, 7), received=date(2026, 9, 14), residence=MUNICIPALITY)
    assert (found.local.contact_by, found.local.start_by) == (date(2026, 9, 18), date(2026, 9, 21))
    assert found.start_by == date(2026, 9, 14)
    without = _deadlines(date(2026, 9, 7), received=date(2026, 9, 14))
    assert (without.local.contact_by, without.local.start_by) == (None, None)


@pytest.mark.parametrize(
    "offered_start, notified_on, expected",
    [
        (date(2027, 2, 12), date(2027, 2, 8), None),  # offered in time
        (date(2027, 2, 17), date(2027, 2, 8), date(2027, 2, 8)),  # known that day to be too late
        (date(2027, 2, 17), date(2027, 2, 20), date(2027, 2, 13)),  # nothing was offered by day seven
        (date(2027, 2, 17), None, date(2027, 2, 13)),
        (None, date(2027, 2, 8), date(2027, 2, 13)),
    ],
)
def test_free_choice(offered_start: date | None, notified_on: date | None, expected: date | None) -> None:
    found = _deadlines(date(2027, 2, 5), offered_start=offered_start, notified_on=notified_on)
    assert found.free_choice_from == expected


def test_estimated_dates_say_so() -> None:
    found = _deadlines(None, written=date(2026, 11, 20))
    assert (found.estimated, found.notify_by) == (True, date(2026, 11, 24))
    assert found.explanation.da.startswith(
        "Udskrivningsdatoen mangler; datoerne er skønnet ud fra plandatoen fredag den 20. november 2026 som dag nul."
    )
    by_receipt = _deadlines(None, received=date(2026, 11, 23))
    assert "skønnet ud fra modtagelsen mandag den 23. november 2026" in by_receipt.explanation.da


def test_orders_before_2018_know_only_the_hospitals_deadline() -> None:
    found = _deadlines(date(2016, 4, 4), latest=date(2016, 4, 20), archive=True)
    assert (found.notify_by, found.seven_day, found.start_by) == (None, None, date(2016, 4, 20))


def test_explanation_in_both_languages() -> None:
    found = _deadlines(date(2026, 12, 18), received=date(2026, 12, 18))
    assert found.explanation.da == (
        "Udskrivningen fredag den 18. december 2026 er dag nul. "
        "Kommunen skal informere patienten senest tirsdag den 22. december 2026 (dag 4). "
        "Opstart skal ske senest fredag den 25. december 2026 (dag 7). "
        "Sidste arbejdsdag for opstarten er onsdag den 23. december 2026. "
        "Er intet tilbudt, kan patienten vælge en privat leverandør fra lørdag den 26. december 2026."
    )
    assert found.explanation.en == (
        "Discharge on Friday 18 December 2026 is day zero. "
        "The municipality must inform the patient by Tuesday 22 December 2026 (day 4). "
        "Training must start by Friday 25 December 2026 (day 7). "
        "The last working day for the start is Wednesday 23 December 2026. "
        "If nothing has been offered, the patient may choose a private provider from Saturday 26 December 2026."
    )


@pytest.mark.parametrize(
    "case, danish",
    [
        (
            {"earliest": date(2026, 11, 16)},
            "Opstart er udskudt til mandag den 16. november 2026 og skal ske senest 7 dage",
        ),
        ({"latest": date(2026, 11, 9)}, "Sygehusets frist for opstart er mandag den 9. november 2026."),
        ({"latest": date(2026, 11, 9)}, "Sygehusets frist kommer før, så patienten bør være informeret senest mandag"),
        ({"latest": date(2026, 11, 20)}, "Sygehusets frist fredag den 20. november 2026 er senere og flytter ikke"),
        ({"received": date(2026, 11, 12)}, "Planen blev modtaget torsdag den 12. november 2026, efter at en frist"),
        ({"received": date(2026, 11, 1)}, "Forventet udskrivning fredag den 6. november 2026 er dag nul."),
        ({"residence": MUNICIPALITY}, "Kommunens eget mål er kontakt senest tirsdag den 10. november 2026."),
        ({"offered_start": date(2026, 11, 30)}, "Den tilbudte start mandag den 30. november 2026 er for sen"),
        ({"next_level": Level.ALMEN}, "Datoerne gælder første fase"),
    ],
)
def test_explanation_names_what_moved_a_date(case: dict[str, object], danish: str) -> None:
    assert danish in _deadlines(date(2026, 11, 6), **case).explanation.da  # type: ignore[arg-type]


def test_explanation_names_the_change_of_authority() -> None:
    found = _deadlines(EVE, level=Level.REHABILITERING)
    assert (
        "Regionen overtager ansvaret tidligst fredag den 1. januar 2027; kommunen har det, indtil regionen har taget "
        "imod forløbet."
    ) in found.explanation.da
    assert "the municipality is responsible until the region has accepted the case." in found.explanation.en
    accepted = _deadlines(EVE, level=Level.REHABILITERING, accepted_on=date(2027, 1, 4))
    assert "Regionen har ansvaret fra mandag den 4. januar 2027." in accepted.explanation.da
    assert "overtager" not in _deadlines(EVE).explanation.da


# --- what holds for every plan ----------------------------------------------------------------------------------------

days = st.dates(date(2018, 7, 1), date(2035, 12, 31))
near = st.none() | st.integers(-30, 200)


@given(days, near, near, st.integers(-60, 400), st.sampled_from([None, *Level]))
def test_properties(
    discharged: date, earliest: int | None, latest: int | None, received: int, level: Level | None
) -> None:
    def later(offset: int | None) -> date | None:
        return None if offset is None else discharged + timedelta(days=offset)

    arrival = discharged + timedelta(days=received)
    found = _deadlines(discharged, level=level, earliest=later(earliest), latest=later(latest), received=arrival)
    on_time = _deadlines(discharged, level=level, earliest=later(earliest), latest=later(latest))
    clocked = level in (Level.ALMEN, Level.REHABILITERING)
    assert (found.notify_by is not None) == (found.seven_day is not None) == bool(found.owners) == clocked
    if clocked:
        assert found.notify_by == discharged + timedelta(days=4)
        assert found.seven_day is not None
        assert found.start_by is not None
        assert found.notify_effective is not None
        assert found.earliest_start is not None
        assert discharged <= found.notify_effective <= found.notify_by
        assert found.earliest_start <= found.start_by <= found.seven_day
        assert found.free_choice_from == found.seven_day + timedelta(days=1)
    for operational, legal in (
        (found.notify_by_operational, found.notify_effective),
        (found.start_by_operational, found.start_by),
    ):
        assert (operational is None) == (legal is None)
        if operational and legal:
            assert discharged <= operational <= legal
            assert CALENDAR.is_working_day(operational) or (operational == legal and found.no_working_day)
    # receipt never moves a legal date
    assert (found.notify_by, found.start_by, found.seven_day) == (
        on_time.notify_by,
        on_time.start_by,
        on_time.seven_day,
    )
    assert found.explanation.da
    assert found.explanation.en


@given(days, st.integers(1, 60))
def test_a_later_discharge_never_gives_an_earlier_date(discharged: date, days_later: int) -> None:
    first, second = _deadlines(discharged), _deadlines(discharged + timedelta(days=days_later))
    for name in ("notify_by", "notify_by_operational", "start_by", "start_by_operational", "free_choice_from"):
        assert getattr(first, name) <= getattr(second, name)


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_time_are_no_exception(day: date) -> None:
    found = _deadlines(day, earliest=day, latest=day, received=day, residence=MUNICIPALITY)
    assert found.notify_by is not None
    assert found.notify_by >= day


offsets = st.integers(-30, 200)


@given(days, offsets, offsets, near, st.sampled_from([Level.ALMEN, Level.REHABILITERING]))
def test_the_seven_days_count_from_the_later_of_discharge_and_deferral(
    discharged: date, one: int, other: int, latest: int | None, level: Level
) -> None:
    sooner, later = (discharged + timedelta(days=each) for each in sorted((one, other)))
    limit = None if latest is None else discharged + timedelta(days=latest)
    first, second = (_deadlines(discharged, level=level, earliest=each, latest=limit) for each in (sooner, later))
    for found, deferral in ((first, sooner), (second, later)):
        assert found.earliest_start == max(discharged, deferral)
        assert found.seven_day == max(discharged, deferral) + timedelta(days=7)
        assert found.notify_by == discharged + timedelta(days=4)  # a deferral never moves the notice
    # a later deferral never gives an earlier start, and never an earlier free choice
    assert first.seven_day is not None
    assert second.seven_day is not None
    assert first.seven_day <= second.seven_day
    assert first.free_choice_from is not None
    assert second.free_choice_from is not None
    assert first.free_choice_from <= second.free_choice_from


@given(days, near, offsets, offsets, st.sampled_from([*Level]))
def test_a_later_deadline_of_the_hospital_never_gives_an_earlier_start(
    discharged: date, earliest: int | None, one: int, other: int, level: Level
) -> None:
    deferred = None if earliest is None else discharged + timedelta(days=earliest)
    usable_from = max(discharged, deferred or discharged)
    sooner, later = (usable_from + timedelta(days=abs(each)) for each in sorted((one, other), key=abs))
    first, second = (_deadlines(discharged, level=level, earliest=deferred, latest=each) for each in (sooner, later))
    assert first.start_by is not None
    assert second.start_by is not None
    assert first.start_by <= second.start_by
    assert first.start_by <= sooner
    # it moves neither the legal notice nor free choice
    assert (first.notify_by, first.seven_day, first.free_choice_from) == (
        second.notify_by,
        second.seven_day,
        second.free_choice_from,
    )


@given(days, st.integers(-60, 400), st.integers(0, 60))
def test_receipt_decides_lateness_alone(discharged: date, received: int, more: int) -> None:
    earlier, later = (
        _deadlines(discharged, received=discharged + timedelta(days=each)) for each in (received, received + more)
    )
    assert later.late_at_receipt or not earlier.late_at_receipt
    assert earlier.late_at_receipt == (received > 4)
    for name in ("notify_by", "notify_effective", "earliest_start", "seven_day", "start_by", "free_choice_from"):
        assert getattr(earlier, name) == getattr(later, name)


@given(days, st.integers(0, 40), st.none() | st.integers(0, 40))
def test_free_choice_comes_with_a_late_offer_or_after_day_seven(
    discharged: date, offered: int, notified: int | None
) -> None:
    found = _deadlines(
        discharged,
        offered_start=discharged + timedelta(days=offered),
        notified_on=None if notified is None else discharged + timedelta(days=notified),
    )
    if offered <= 7:
        assert found.free_choice_from is None
    else:
        day = 8 if notified is None else min(notified, 8)
        assert found.free_choice_from == discharged + timedelta(days=day)


anything = st.none() | st.dates()


@given(anything, anything, anything, st.dates(), anything, anything, st.sampled_from([None, *Level]), st.booleans())
def test_no_dates_raise(
    discharged: date | None,
    earliest: date | None,
    latest: date | None,
    received: date,
    offered: date | None,
    notified: date | None,
    level: Level | None,
    archive: bool,
) -> None:
    found = _deadlines(
        discharged,
        level=level,
        earliest=earliest,
        latest=latest,
        received=received,
        offered_start=offered,
        notified_on=notified,
        residence=MUNICIPALITY,
        archive=archive,
    )
    day_zero = discharged or received
    assert found.estimated == (discharged is None)
    for name in ("notify_by", "notify_effective", "earliest_start", "seven_day", "start_by"):
        day = getattr(found, name)
        assert day is None or day >= day_zero, name
