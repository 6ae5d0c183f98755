"""The orders as data: what they say, and that what does not hold together is refused."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.law.orders import Orders, Situation
from gtgateway.model.plan import Level, PlanType, RehabilitationPlan

ORDERS = Orders.load()

ORDER_OF = {"R1": "BEK-918-2018", "R2": "BEK-2027"}
COURSE_OF = {
    "ALMEN": "almen",
    "SPEC_GENOPTRAENING": "specialiseret",
    "SPEC_REHAB": "rehabilitering",
    "EGENTRAENING": "egentraening",
}
KIND_OF = {
    "municipality_of_residence": "municipality",
    "region_of_residence": "region",
    "gp": "gp",
    "chosen_hospital": "hospital",
    "private_provider": "provider",
    "other_municipality_institution": "provider",
    "chosen_public_institution": "provider",
}
SITUATION_OF = {
    "standard": Situation.STANDARD,
    "combined plan": Situation.STANDARD,
    "combined plan, phase 1": Situation.STANDARD,
    "combined plan, phase 2": Situation.STANDARD,
    "received on or after 2027-01-01": Situation.RECEIVED_AFTER_CHANGE,
    "region lets municipality run it": Situation.DELEGATED,
    "free choice triggered, private provider agreed": Situation.PRIVATE_PROVIDER,
    "other municipality chosen": Situation.PUBLIC_INSTITUTION,
    "other municipality or region institution chosen": Situation.PUBLIC_INSTITUTION,
}
ROLE_OF = {"ACTION": "action", "AUTHORITY": "authority", "COPY": "copy", "INFO": "information"}


def _cells(table: Path) -> dict[tuple[str, str, Situation], set[tuple[str, int | None, tuple[str, ...], bool]]]:
    """The reference table in our words. What no row of an order can say is left out: `any` level and open cases."""
    cells: dict[tuple[str, str, Situation], set[tuple[str, int | None, tuple[str, ...], bool]]] = {}
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["level"] == "any" or row["situation"] not in SITUATION_OF or row["role"] == "NONE":
                continue
            situation = SITUATION_OF[row["situation"]]
            phase = int(row["situation"][-1]) if "phase" in row["situation"] else None
            for level in row["level"].split():
                course = ">".join(COURSE_OF[part] for part in level.split(">"))
                order, kind = ORDER_OF[row["regime"]], KIND_OF[row["recipient"]]
                if row["role"] == "AS_LEVEL":
                    entries = [entry for entry in cells[order, course, Situation.STANDARD] if entry[0] == kind]
                else:
                    roles = tuple(ROLE_OF[role] for role in row["role"].split("+"))
                    entries = [(kind, phase, roles, not row["note"].startswith("not sent"))]
                cells.setdefault((order, course, situation), set()).update(entries)
    return cells


def _ours(order: str, course: str, situation: Situation) -> set[tuple[str, int | None, tuple[str, ...], bool]]:
    rows = ORDERS.by_id(order).rows(course, situation)
    return {(row.kind, row.phase, tuple(map(str, row.roles)), row.deliver) for row in rows}


def test_routing_is_the_reference_table_cell_by_cell(shared: Path) -> None:
    cells = _cells(shared / "data" / "routing-table.csv")
    assert len(cells) == 22
    for (order, course, situation), expected in cells.items():
        assert _ours(order, course, situation) == expected, (order, course, situation)


def test_nothing_beyond_the_reference_table(shared: Path) -> None:
    cells = _cells(shared / "data" / "routing-table.csv")
    ours = {
        (order, row.course, situation)
        for order in ORDER_OF.values()
        for row in ORDERS.by_id(order).recipients
        for situation in row.situations
    }
    # A reading: rehabilitation followed by almen before 2027 has the municipality in both phases.
    # And what arrives late as a combined plan is told to the region like the single level is.
    assert ours - set(cells) == {
        ("BEK-918-2018", "rehabilitering>almen", Situation.STANDARD),
        ("BEK-918-2018", "rehabilitering>almen", Situation.RECEIVED_AFTER_CHANGE),
        ("BEK-918-2018", "specialiseret>almen", Situation.RECEIVED_AFTER_CHANGE),
    }


def test_standard_recipients_without_the_reference_table() -> None:
    assert _ours("BEK-918-2018", "specialiseret", Situation.STANDARD) == {
        ("municipality", None, ("authority",), True),
        ("gp", None, ("copy",), True),
        ("hospital", None, ("action",), True),
    }
    assert _ours("BEK-2027", "specialiseret", Situation.STANDARD) == {
        ("municipality", None, ("information",), True),
        ("gp", None, ("copy",), True),
        ("hospital", None, ("action",), True),
        ("region", None, ("authority",), False),
    }
    assert _ours("BEK-2027", "rehabilitering", Situation.STANDARD) == {
        ("region", None, ("action", "authority"), True),
        ("municipality", None, ("information",), True),
        ("gp", None, ("copy",), True),
    }
    assert _ours("BEK-918-2018", "rehabilitering>almen", Situation.STANDARD) == {
        ("municipality", 1, ("action", "authority"), True),
        ("municipality", 2, ("action", "authority"), True),
        ("gp", None, ("copy",), True),
    }


@pytest.mark.parametrize(
    "day, order",
    [
        (date(2006, 12, 31), None),
        (date(2007, 1, 1), "BEK-1266-2006"),
        (date(2014, 12, 31), "BEK-1266-2006"),
        (date(2015, 1, 1), "BEK-1088-2014"),
        (date(2018, 6, 30), "BEK-1088-2014"),
        (date(2018, 7, 1), "BEK-918-2018"),
        (date(2026, 12, 31), "BEK-918-2018"),
        (date(2027, 1, 1), "BEK-2027"),
        (date.max, "BEK-2027"),
    ],
)
def test_governing(day: date, order: str | None) -> None:
    found = ORDERS.governing(day)
    assert (found and found.id) == order


def test_only_the_last_two_are_live() -> None:
    assert [order.id for order in ORDERS.all if order.live] == ["BEK-918-2018", "BEK-2027"]
    assert ORDERS.earliest_live().id == "BEK-918-2018"


def test_by_id_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"BEK-1\b.*BEK-1266-2006.*BEK-2027"):
        ORDERS.by_id("BEK-1")


def test_every_row_has_a_basis_and_a_source() -> None:
    rows = [row for order in ORDERS.all for row in order.recipients]
    assert all(row.basis and row.source for row in rows)
    # Paragraphs of the order of 2018 beyond §§ 1-3 have not been read: they are not shown.
    shown = {row.basis for row in ORDERS.by_id("BEK-918-2018").recipients}
    assert shown == {
        "BEK nr. 918 af 22/06/2018",
        "sundhedslovens § 140",
        "sundhedslovens § 139 b",
        "Vejledning om træning i kommuner og regioner (2009), afsnit 4.6",
    }


def _recipients(order: str, received_on: date, **plan: object) -> list[tuple[str, int | None, bool]]:
    rows = ORDERS.by_id(order).recipients_of(RehabilitationPlan(**plan), received_on)  # type: ignore[arg-type]
    return [(row.kind, row.phase, row.deliver) for row in rows]


def test_recipients_of_plans_received_after_new_year() -> None:
    late = date(2027, 1, 4)
    before = _recipients("BEK-918-2018", date(2026, 12, 31), level=Level.REHABILITERING)
    assert before == [("municipality", None, True), ("gp", None, True)]
    after = _recipients("BEK-918-2018", date(2027, 1, 1), level=Level.REHABILITERING)
    assert after == [*before, ("region", None, False)]
    assert ("region", None, False) in _recipients("BEK-918-2018", late, level=Level.SPECIALISERET)
    assert _recipients("BEK-918-2018", late, level=Level.ALMEN) == [("municipality", None, True), ("gp", None, True)]


def test_recipients_of_special_plans() -> None:
    day = date(2027, 3, 1)
    assert _recipients("BEK-2027", day) == []
    assert _recipients("BEK-2027", day, next_level=Level.ALMEN) == []
    egentraening = {"plan_type": PlanType.EGENTRAENING, "level": Level.ALMEN}
    assert _recipients("BEK-2027", day, **egentraening) == [("municipality", None, True), ("gp", None, True)]
    combined = _recipients("BEK-2027", day, level=Level.SPECIALISERET, next_level=Level.ALMEN)
    assert combined == [
        ("hospital", 1, True),
        ("municipality", 1, True),
        ("municipality", 2, True),
        ("gp", None, True),
        ("region", 1, False),
    ]


def test_phases_in_the_wrong_order_get_the_recipients_of_both() -> None:
    found = _recipients("BEK-2027", date(2027, 3, 1), level=Level.ALMEN, next_level=Level.REHABILITERING)
    assert found == [
        ("municipality", 1, True),
        ("gp", 1, True),
        ("region", 2, True),
        ("municipality", 2, True),
        ("gp", 2, True),
    ]


def test_clocks() -> None:
    old, new = ORDERS.by_id("BEK-918-2018"), ORDERS.by_id("BEK-2027")
    assert (old.clocks.notify_days, old.clocks.start_days, old.clocks.counted_from) == (4, 7, "discharge")
    assert old.clocks.owners == {Level.ALMEN: "municipality", Level.REHABILITERING: "municipality"}
    assert new.clocks.owners == {Level.ALMEN: "municipality", Level.REHABILITERING: "region"}
    assert old.clocks.deferral_moves == new.clocks.deferral_moves == ("start",)
    change = old.authority_change(Level.SPECIALISERET)
    assert change is not None
    assert (change.kind, change.since) == ("region", date(2027, 1, 1))
    assert old.authority_change(Level.ALMEN) is None
    assert new.authority_change(Level.SPECIALISERET) is None


# --- loading ----------------------------------------------------------------------------------------------------------

ORDER = """
[[order]]
id = "{id}"
number = "BEK"
title = "Bekendtgørelse"
in_force_from = {start}
{end}
live = true
source = "prøve"
levels = {{ almen = "almen genoptræning" }}
[order.clocks]
counted_from = "discharge"
owners = {{ almen = "region" }}
notify_days = 4
start_days = 7
source = ""
[order.clocks.basis]
day_zero = "§ 7"
notify = "§ 6"
start = "§ 7"
deferral = "§ 3"
hospital_deadline = "§ 3"
free_choice = "§ 7"
[[order.routing]]
course = "{course}"
basis = "§ 4"
source = "prøve"
recipients = [{{ kind = "{kind}", roles = ["{role}"] }}]
"""


def _order(
    id: str, start: str, end: str | None = None, *, course: str = "almen", kind: str = "gp", role: str = "copy"
) -> str:
    stated_end = f"in_force_until = {end}" if end else ""
    return ORDER.format(id=id, start=start, end=stated_end, course=course, kind=kind, role=role)


def _load(tmp_path: Path, *orders: str) -> Orders:
    path = tmp_path / "orders.toml"
    path.write_text("\n".join(orders), "utf-8")
    return Orders.load(path)


def test_a_third_order_is_a_new_table(tmp_path: Path, root: Path) -> None:
    packaged = (root / "src" / "gtgateway" / "law" / "orders.toml").read_text("utf-8")
    closed = packaged.replace("in_force_from = 2027-01-01", "in_force_from = 2027-01-01\nin_force_until = 2029-12-31")
    orders = _load(tmp_path, closed, _order("BEK-2030", "2030-01-01"))
    assert [order.id for order in orders.all][-2:] == ["BEK-2027", "BEK-2030"]
    found = orders.governing(date(2030, 1, 1))
    assert found is not None
    assert found.id == "BEK-2030"
    assert [row.kind for row in found.rows("almen")] == ["gp"]


@pytest.mark.parametrize(
    "orders, faults",
    [
        ([], ["No order is live"]),
        (
            [_order("A", "2018-01-01", "2019-12-31"), _order("B", "2020-01-02")],
            ["No order is in force from 2020-01-01 until 2020-01-02"],
        ),
        (
            [_order("A", "2018-01-01", "2020-01-01"), _order("B", "2020-01-01")],
            ["A and B overlap on 2020-01-01"],
        ),
        ([_order("A", "2018-01-01"), _order("B", "2020-01-01")], ["A and B overlap on 2020-01-01"]),
        ([_order("A", "2018-01-01", "2019-12-31")], ["A ends on 2019-12-31 and nothing follows it"]),
        ([_order("A", "2018-01-01", role="kopi")], ["A: recipients.0.roles.0: Input should be 'action'"]),
        ([_order("A", "2018-01-01", kind="nabo")], ["A: recipients.0.kind: Input should be 'municipality'"]),
        ([_order("A", "2018-01-01", course="basal")], ["unknown course basal", "almen has no recipients"]),
        (
            [_order("A", "2018-01-01", role="kopi"), _order("B", "2020-01-01", kind="nabo")],
            ["A: recipients.0.roles.0", "B: recipients.0.kind"],
        ),
        (
            [_order("A", "2018-01-01", "2019-01-01"), _order("A", "2020-01-01", "2020-12-31", course="basal")],
            ["No order is in force", "A is used more than once", "unknown course", "nothing follows"],
        ),
        ([_order("A", "2018-01-01").replace("notify_days = 4\n", "")], ["clocks with owners need notify_days"]),
        ([_order("A", "2018-01-01").replace("live", "alive")], ["A: live: ", "A: alive: "]),
        (["not = [toml"], ["orders.toml: "]),
    ],
)
def test_loading_names_every_fault(tmp_path: Path, orders: list[str], faults: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        _load(tmp_path, *orders)
    for fault in faults:
        assert fault in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        Orders.load(tmp_path / "none.toml")
