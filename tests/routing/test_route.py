from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.data import packaged
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.plan import Consent, Level, Party, Patient, PlanType, RehabilitationPlan
from gtgateway.model.route import Evidence, Organisation, OrganisationKind, Residence, Role, Route, RouteEntry
from gtgateway.residence.evidence import find_residence
from gtgateway.routing.directory import Directory
from gtgateway.routing.route import route

BEFORE, LAST, NEW_YEAR, AFTER = date(2026, 6, 1), date(2026, 12, 31), date(2027, 1, 1), date(2027, 2, 1)
DIRECTORY = Directory.load()
ORDERS = Orders.load()


def party(id: str, directory: Directory = DIRECTORY) -> Party:
    """The party as a message names an organisation of the directory."""
    organisation = directory.by_id(id)
    assert organisation is not None
    return Party(gln=organisation.gln, name=organisation.name)


SENDER, GP = party("ouh-ortopaedkirurgi"), party("laegehuset-odense-midtby")
HOSPITAL, OTHER_HOSPITAL = party("ouh-rehabilitering"), party("sygehus-limfjorden-terapi")
ODENSE, AARHUS = party("odense-kommune"), party("aarhus-kommune")


def plan(level: Level | None, discharged_on: date = BEFORE, **fields: object) -> RehabilitationPlan:
    base = RehabilitationPlan(
        level=level, discharged_on=discharged_on, sender=SENDER, receiver=ODENSE, gp=GP, consent=Consent(given=True)
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def routed(
    plan: RehabilitationPlan,
    home: str | None = "0461",
    received_on: date | None = None,
    directory: Directory = DIRECTORY,
    *,
    gp_is_copied: bool = False,
) -> Route:
    received_on = received_on or plan.discharged_on or BEFORE
    governing = govern(plan, received_on, ORDERS)
    residence = find_residence(plan, directory, governing.day, home, {}) if home else Residence()
    return route(plan, governing, directory, residence, received_on, gp_is_copied=gp_is_copied)


def rows(route: Route) -> list[tuple[str, str, str, bool, int | None]]:
    return [(each.kind, each.organisation.id, each.role, each.deliver, each.phase) for each in route.entries]


def ids(organisations: tuple[Organisation, ...]) -> list[str]:
    return [each.id for each in organisations]


# --- the two orders ---------------------------------------------------------------------------------------------------
def test_almen() -> None:
    result = routed(plan(Level.ALMEN))
    assert rows(result) == [
        ("municipality", "odense-kommune", Role.ACTION, True, None),
        ("municipality", "odense-kommune", Role.AUTHORITY, True, None),
        ("gp", "laegehuset-odense-midtby", Role.COPY, True, None),
    ]
    assert ids(result.recipients) == ["odense-kommune", "laegehuset-odense-midtby"]
    assert (result.missing, result.refused, result.unlisted) == ((), (), ())
    assert result.entries[0].basis == "sundhedslovens § 140"
    assert routed(plan(Level.ALMEN, AFTER)).entries[0].basis == "§ 4, stk. 2"


def test_specialised_rehabilitation_changes_hands_at_new_year() -> None:
    assert rows(routed(plan(Level.REHABILITERING, LAST)))[:2] == [
        ("municipality", "odense-kommune", Role.ACTION, True, None),
        ("municipality", "odense-kommune", Role.AUTHORITY, True, None),
    ]
    assert rows(routed(plan(Level.REHABILITERING, NEW_YEAR))) == [
        ("region", "region-syddanmark", Role.ACTION, True, None),
        ("region", "region-syddanmark", Role.AUTHORITY, True, None),
        ("municipality", "odense-kommune", Role.INFORMATION, True, None),
        ("gp", "laegehuset-odense-midtby", Role.COPY, True, None),
    ]


def test_specialised_training_does_not_send_to_the_region() -> None:
    result = routed(plan(Level.SPECIALISERET, AFTER, receiver=HOSPITAL))
    assert ("region", "region-syddanmark", Role.AUTHORITY, False, None) in rows(result)
    assert ids(result.recipients) == ["ouh-rehabilitering", "odense-kommune", "laegehuset-odense-midtby"]


def test_late_plan_of_the_old_order_names_the_region_that_exists_now() -> None:
    result = routed(plan(Level.REHABILITERING, LAST), home="0101", received_on=date(2027, 1, 5))
    assert ("region", "region-oestdanmark", Role.AUTHORITY, False, None) in rows(result)
    assert result.residence.region
    assert result.residence.region.id == "region-hovedstaden"
    assert ids(result.recipients) == ["koebenhavn-kommune", "laegehuset-odense-midtby"]


def test_egentraening_is_for_information() -> None:
    result = routed(plan(None, plan_type=PlanType.EGENTRAENING))
    assert rows(result) == [
        ("municipality", "odense-kommune", Role.INFORMATION, True, None),
        ("gp", "laegehuset-odense-midtby", Role.INFORMATION, True, None),
    ]


def test_without_a_level_nobody_gets_it() -> None:
    result = routed(plan(None, copy_receivers=(AARHUS,)))
    assert (result.entries, result.missing, result.unlisted) == ((), (), ())


# --- every cell of the routing table ----------------------------------------------------------------------------------
LEVELS = {
    "ALMEN": {"level": Level.ALMEN},
    "SPEC_REHAB": {"level": Level.REHABILITERING},
    "SPEC_GENOPTRAENING": {"level": Level.SPECIALISERET},
    "SPEC_GENOPTRAENING>ALMEN": {"level": Level.SPECIALISERET, "next_level": Level.ALMEN},
    "SPEC_REHAB>ALMEN": {"level": Level.REHABILITERING, "next_level": Level.ALMEN},
    "EGENTRAENING": {"level": None, "plan_type": PlanType.EGENTRAENING},
}
ROLES = {"ACTION": Role.ACTION, "AUTHORITY": Role.AUTHORITY, "COPY": Role.COPY, "INFO": Role.INFORMATION}
KINDS = {
    "municipality_of_residence": "municipality",
    "region_of_residence": "region",
    "chosen_hospital": "hospital",
    "gp": "gp",
}
#: What a plan on arrival can be; the other situations are events of a case, or plans that a rule refuses (self-paid).
SITUATIONS = {
    "standard",
    "combined plan",
    "child",
    "cross-region patient",
    "private hospital, publicly funded",
    "no GP",
    "patient refuses GP copy",
    "region lets municipality run it",
    "received on or after 2027-01-01",
    "resident of former Hovedstaden or Sjælland",
}
Cell = tuple[str, Role, bool, int | None]


@pytest.fixture(scope="module")
def delegating(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    """The sample directory, but Region Syddanmark lets Odense Kommune run specialised rehabilitation."""
    folder = tmp_path_factory.mktemp("directory") / "delegating"
    shutil.copytree(packaged("samples", "directory"), folder)
    regions = folder / "regions.toml"
    text = regions.read_text("utf-8")
    regions.write_text(text.replace('"1083"', '"1083"\ndelegates = ["odense-kommune"]'), encoding="utf-8")
    return Directory.load(folder)


def expected_cells(table: list[dict[str, str]], order: str, level: str, situation: str) -> set[Cell]:
    """The cells of a level, with what a situation changes in them."""

    def of(situation: str) -> list[dict[str, str]]:
        return [
            row
            for row in table
            if row["regime"] == order
            and (row["level"] == "any" or level in row["level"].split(" "))
            and row["situation"].partition(", phase")[0] == situation
        ]

    cells: set[Cell] = set()
    for row in of("combined plan" if ">" in level else "standard"):
        cells |= cells_of(row)
    if situation in ("standard", "combined plan"):
        return cells
    changes = of(situation)
    assert changes
    for row in changes:
        if row["role"] != "AS_LEVEL" and (kind := KINDS.get(row["recipient"])):
            cells = {cell for cell in cells if cell[0] != kind} | cells_of(row)
    return cells


def cells_of(row: dict[str, str]) -> set[Cell]:
    if row["role"] == "NONE":
        return set()
    phase = row["situation"].partition(", phase ")[2]
    deliver = not row["note"].startswith("not sent")
    return {
        (KINDS[row["recipient"]], ROLES[role], deliver, int(phase) if phase else None)
        for role in row["role"].split("+")
    }


def situated(order: str, level: str, situation: str) -> tuple[RehabilitationPlan, str, date]:
    """A plan in a situation, the municipality it should go to, and the day it is received."""
    discharged_on = BEFORE if order == "R1" else AFTER
    changes: dict[str, object] = dict(LEVELS[level])
    if level.startswith("SPEC_GENOPTRAENING"):
        changes["copy_receivers"] = (HOSPITAL,)
    home, received_on = "0461", discharged_on
    match situation:
        case "child":
            changes["patient"] = Patient(birth_date=date(2020, 5, 5))
        case "cross-region patient":
            home, changes["receiver"] = "0751", AARHUS
            if "copy_receivers" in changes:
                changes["copy_receivers"] = (OTHER_HOSPITAL,)
        case "private hospital, publicly funded":
            changes["sender"] = party("privathospitalet-bakken")
            if "copy_receivers" in changes:
                changes["copy_receivers"] = (party("specialsygehuset-skovbrynet"),)
        case "no GP":
            changes |= {"gp": None, "gp_deselected": True}
        case "patient refuses GP copy":
            changes["consent"] = Consent(given=True, refused=(GP,))
        case "received on or after 2027-01-01":
            discharged_on, received_on = LAST, date(2027, 1, 5)
        case "resident of former Hovedstaden or Sjælland":
            home, changes["receiver"] = "0316", party("holbaek-kommune")
    return replace(plan(None, discharged_on), **changes), home, received_on  # type: ignore[arg-type]


def test_every_cell_of_the_routing_table(shared: Path, delegating: Directory) -> None:
    with (shared / "data" / "routing-table.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    tried = set()
    for row in table:
        situation = row["situation"].partition(", phase")[0]
        if situation not in SITUATIONS:
            continue
        levels = ["ALMEN", "SPEC_REHAB", "SPEC_GENOPTRAENING"] if row["level"] == "any" else row["level"].split(" ")
        for level in levels:
            subject, home, received_on = situated(row["regime"], level, situation)
            directory = delegating if situation == "region lets municipality run it" else DIRECTORY
            result = routed(subject, home, received_on, directory)
            cells = {(each.kind, each.role, each.deliver, each.phase) for each in result.entries}
            assert cells == expected_cells(table, row["regime"], level, situation), (row["regime"], level, situation)
            assert result.missing == ()
            tried.add((row["regime"], level, situation))
    assert {situation for _, _, situation in tried} == SITUATIONS
    assert len(tried) == 47


def test_delegation_is_for_specialised_rehabilitation_of_that_municipality_alone(delegating: Directory) -> None:
    delegated = routed(plan(Level.REHABILITERING, AFTER), directory=delegating)
    assert ("municipality", "odense-kommune", Role.ACTION, True, None) in rows(delegated)
    for other, home in ((Level.REHABILITERING, "0621"), (Level.ALMEN, "0461")):
        undelegated = plan(other, AFTER)
        assert rows(routed(undelegated, home, directory=delegating)) == rows(routed(undelegated, home))


# --- the chosen hospital ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("receivers", "chosen", "choices"),
    [
        ((HOSPITAL,), "ouh-rehabilitering", ["ouh-rehabilitering"]),
        ((ODENSE, HOSPITAL), "ouh-rehabilitering", ["ouh-rehabilitering"]),
        ((HOSPITAL, OTHER_HOSPITAL), "ouh-rehabilitering", ["ouh-rehabilitering", "sygehus-limfjorden-terapi"]),
        ((ODENSE, HOSPITAL, OTHER_HOSPITAL), None, ["ouh-rehabilitering", "sygehus-limfjorden-terapi"]),
        ((ODENSE, party("ouh"), HOSPITAL), "ouh-rehabilitering", ["ouh-rehabilitering"]),
        ((ODENSE, HOSPITAL, HOSPITAL), "ouh-rehabilitering", ["ouh-rehabilitering"]),
        ((ODENSE, SENDER), "ouh-ortopaedkirurgi", ["ouh-ortopaedkirurgi"]),
        ((ODENSE, AARHUS), None, []),
    ],
)
def test_chosen_hospital_of_the_receivers(receivers: tuple[Party, ...], chosen: str | None, choices: list[str]) -> None:
    result = routed(plan(Level.SPECIALISERET, receiver=receivers[0], copy_receivers=receivers[1:]))
    assert (result.chosen_hospital and result.chosen_hospital.id) == chosen
    assert ids(result.hospital_choices) == choices
    assert result.missing == (() if chosen else ("hospital",))
    assert ("hospital", chosen, Role.ACTION, True, None) in rows(result) or chosen is None


@pytest.mark.parametrize(
    ("kind", "value", "chosen"),
    [
        (IdentifierKind.SOR, "325421000016001", "sygehus-nordkysten-terapi"),
        (IdentifierKind.SHAK, "9902370", "sygehus-nordkysten-terapi"),
        (IdentifierKind.GLN, "5798002472264", "sygehus-nordkysten-terapi"),
        (IdentifierKind.KOMMUNEKODE, "461", None),
    ],
)
def test_a_stated_chosen_hospital_goes_before_the_receivers(
    kind: IdentifierKind, value: str, chosen: str | None
) -> None:
    stated = Party(identifiers=(Identifier(kind, value),))
    result = routed(plan(Level.SPECIALISERET, receiver=HOSPITAL, chosen_hospital=stated))
    assert (result.chosen_hospital and result.chosen_hospital.id) == chosen


# --- GP, refusals, further receivers ----------------------------------------------------------------------------------
def test_unknown_gp_is_missing_but_a_deselected_one_is_not() -> None:
    unknown = Party(gln="5790999499999", identifiers=(Identifier(IdentifierKind.YDERNUMMER, "000000"),))
    assert routed(plan(Level.ALMEN, gp=unknown)).missing == ("gp",)
    assert routed(plan(Level.ALMEN, gp=HOSPITAL)).missing == ("gp",)
    assert routed(plan(Level.ALMEN, gp=None)).missing == ()
    deselected = routed(plan(Level.ALMEN, gp_deselected=True))
    assert deselected.missing == ()
    assert ids(deselected.recipients) == ["odense-kommune"]


def test_without_residence_authority_is_missing() -> None:
    assert routed(plan(Level.REHABILITERING, AFTER), home=None).missing == ("region", "municipality")


def test_refused_recipients_are_left_out() -> None:
    refused = Consent(given=True, refused=(GP, ODENSE))
    result = routed(plan(Level.SPECIALISERET, receiver=HOSPITAL, copy_receivers=(GP, ODENSE), consent=refused))
    assert ids(result.recipients) == ["ouh-rehabilitering"]
    assert result.refused == ("Odense Kommune", "Lægehuset Odense Midtby")
    assert result.unlisted == ()
    assert result.missing == ()


def test_refusing_somebody_else_changes_nothing() -> None:
    # refusing a unit of the municipality is not refusing the municipality
    consent = Consent(given=True, refused=(AARHUS, party("odense-hjemmepleje"), Party(name="Søster")))
    result = routed(plan(Level.ALMEN, consent=consent))
    assert rows(result) == rows(routed(plan(Level.ALMEN)))
    assert result.refused == ()


UNKNOWN = Party(gln="5790999999999", name="Fysioterapi Ukendt")
UNKNOWN_GP = Party(identifiers=(Identifier(IdentifierKind.YDERNUMMER, "000000"),), name="Ukendt læge")


@pytest.mark.parametrize(
    ("level", "fields", "unlisted"),
    [
        (Level.ALMEN, {"copy_receivers": (AARHUS, UNKNOWN)}, ("Aarhus Kommune", "Fysioterapi Ukendt")),
        (Level.ALMEN, {"copy_receivers": (GP, SENDER, party("ouh"), party("odense-hjemmepleje"))}, ()),
        (Level.ALMEN, {"copy_receivers": (party("laegerne-havnegade"),)}, ("Lægerne Havnegade, Odense",)),
        (Level.ALMEN, {"copy_receivers": (GP,), "gp_deselected": True}, ("Lægehuset Odense Midtby",)),
        (Level.ALMEN, {"copy_receivers": (UNKNOWN_GP,), "gp": UNKNOWN_GP}, ()),
        (Level.ALMEN, {"copy_receivers": (HOSPITAL,)}, (HOSPITAL.name,)),
        (Level.SPECIALISERET, {"copy_receivers": (HOSPITAL,)}, ()),
        (Level.SPECIALISERET, {"copy_receivers": (HOSPITAL, OTHER_HOSPITAL)}, ()),
        (
            Level.SPECIALISERET,
            {"receiver": HOSPITAL, "copy_receivers": (ODENSE, OTHER_HOSPITAL)},
            (OTHER_HOSPITAL.name,),
        ),
    ],
)
def test_unlisted_copy_receivers(level: Level, fields: dict[str, object], unlisted: tuple[str, ...]) -> None:
    assert routed(plan(level, **fields)).unlisted == unlisted


def test_region_that_is_named_but_not_sent_to_is_unlisted() -> None:
    region = party("region-syddanmark")
    result = routed(plan(Level.SPECIALISERET, AFTER, receiver=HOSPITAL, copy_receivers=(region,)))
    assert result.unlisted == ("Region Syddanmark",)


def test_region_that_has_ended_is_its_successor() -> None:
    old = party("region-hovedstaden")
    result = routed(
        plan(Level.REHABILITERING, AFTER, receiver=old, copy_receivers=(old,), contact_region=old), home="0101"
    )
    assert result.stated_receiver
    assert result.stated_receiver.id == "region-oestdanmark"
    assert result.contact_region
    assert result.contact_region.id == "region-hovedstaden"
    assert result.unlisted == ()


# --- what else is known -----------------------------------------------------------------------------------------------
def test_who_sent_it_and_whom_it_names() -> None:
    result = routed(
        plan(
            Level.SPECIALISERET,
            sender=Party(identifiers=(Identifier(IdentifierKind.SHAK, "4202999"),)),
            receiver=OTHER_HOSPITAL,
            contact_municipality=Party(department="Odder kommune"),
            contact_region=Party(department="Region Midtjylland"),
        )
    )
    named = (
        result.sender,
        result.sender_region,
        result.hospital_region,
        result.stated_receiver,
        result.contact_municipality,
        result.contact_region,
    )
    assert [each.id if each else None for each in named] == [
        "ouh",
        "region-syddanmark",
        "region-nordjylland",
        "sygehus-limfjorden-terapi",
        "odder-kommune",
        "region-midtjylland",
    ]
    assert result.residence.evidence is Evidence.REGISTER


def test_sender_that_is_no_hospital() -> None:
    result = routed(plan(Level.ALMEN, sender=party("fysioterapien-stranden")))
    assert result.sender
    assert result.sender.kind is OrganisationKind.PROVIDER
    assert routed(plan(Level.ALMEN, sender=UNKNOWN)).sender is None


# --- senders that serve their copy receivers --------------------------------------------------------------------------
@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    """The sample directory, where the hospital above the sender sends copies itself."""
    folder = tmp_path_factory.mktemp("copying")
    shutil.copytree(packaged("samples", "directory"), folder, dirs_exist_ok=True)
    hospitals = folder / "hospitals.toml"
    text = hospitals.read_text("utf-8")
    hospitals.write_text(text.replace('id = "ouh",', 'id = "ouh", sends_copies = true,'), "utf-8")
    return Directory.load(folder)


def served_by(route: Route) -> dict[str, str]:
    return {each.organisation.id: "sender" if each.by_sender else "us" for each in route.entries if _served(each)}


def _served(entry: RouteEntry) -> bool:
    assert not (entry.deliver and entry.by_sender)
    return entry.deliver or entry.by_sender


def test_copy_receivers_that_the_message_names_are_served_by_the_sender(copying: Directory) -> None:
    named = plan(Level.SPECIALISERET, receiver=HOSPITAL, copy_receivers=(ODENSE, AARHUS))
    result = routed(named, directory=copying, gp_is_copied=True)
    assert served_by(result) == {
        "ouh-rehabilitering": "us",
        "odense-kommune": "sender",
        "laegehuset-odense-midtby": "sender",
    }
    assert ids(result.recipients) == ["ouh-rehabilitering"]
    assert [label.split(",")[0] for label in result.unlisted] == [AARHUS.label]
    # FHIR tells who the GP is, not that it gets a copy
    assert served_by(routed(named, directory=copying))["laegehuset-odense-midtby"] == "us"
    # whoever does not send copies has them sent
    assert set(served_by(routed(named, gp_is_copied=True)).values()) == {"us"}


def test_the_receiver_and_whoever_is_not_named_are_always_served_by_us(copying: Directory) -> None:
    twice = plan(Level.SPECIALISERET, receiver=HOSPITAL, copy_receivers=(HOSPITAL,))
    assert served_by(routed(twice, directory=copying)) == {
        "ouh-rehabilitering": "us",
        "odense-kommune": "us",
        "laegehuset-odense-midtby": "us",
    }


def test_whom_the_order_does_not_let_have_it_is_not_served_by_the_sender_either(copying: Directory) -> None:
    region = party("region-syddanmark")
    result = routed(plan(Level.SPECIALISERET, AFTER, receiver=HOSPITAL, copy_receivers=(region,)), directory=copying)
    assert [(each.deliver, each.by_sender) for each in result.entries if each.kind == "region"] == [(False, False)]
    assert "region-syddanmark" not in served_by(result)


def test_other_hospitals_do_not_send_copies(copying: Directory) -> None:
    sender = party("sygehus-trekanten-terapi")
    result = routed(plan(Level.ALMEN, sender=sender, receiver=HOSPITAL, copy_receivers=(ODENSE,)), directory=copying)
    assert served_by(result)["odense-kommune"] == "us"


# --- what always holds ------------------------------------------------------------------------------------------------
PARTIES = st.sampled_from([party(each.id) for each in DIRECTORY.all if each.gln] + [UNKNOWN, UNKNOWN_GP])
HOMES = st.sampled_from([each.code for each in DIRECTORY.all if each.identifier(IdentifierKind.KOMMUNEKODE)])
PLANS = st.builds(
    RehabilitationPlan,
    level=st.sampled_from(list(Level)),
    next_level=st.sampled_from([None, None, Level.ALMEN]),
    plan_type=st.sampled_from([PlanType.GENOPTRAENING, PlanType.GENOPTRAENING, PlanType.EGENTRAENING]),
    discharged_on=st.dates(date(2018, 7, 1), date(2028, 12, 31)),
    sender=PARTIES,
    receiver=PARTIES,
    copy_receivers=st.lists(PARTIES, max_size=4).map(tuple),
    gp=st.none() | PARTIES,
    gp_deselected=st.booleans(),
    consent=st.builds(Consent, refused=st.lists(PARTIES, max_size=2).map(tuple)),
)


@given(PLANS, HOMES, PARTIES)
def test_the_sender_decides_no_recipient(plan: RehabilitationPlan, home: str, other_sender: Party) -> None:
    assert rows(routed(plan, home)) == rows(routed(replace(plan, sender=other_sender), home))


@given(PLANS, HOMES, st.integers(0, 400))
def test_the_order_decides_every_recipient(plan: RehabilitationPlan, home: str, days: int) -> None:
    assert plan.discharged_on
    received_on = date.fromordinal(plan.discharged_on.toordinal() + days)
    result = routed(plan, home, received_on)
    allowed = {
        (row.kind, role, row.deliver, row.phase)
        for row in govern(plan, received_on, ORDERS).order.recipients_of(plan, received_on)
        for role in row.roles
    }
    assert {(each.kind, each.role, each.deliver, each.phase) for each in result.entries} <= allowed
    once = Counter((each.organisation.id, each.role, each.phase) for each in result.entries)
    assert not once or max(once.values()) == 1
    for each in result.entries:
        if each.kind == "municipality":
            assert each.organisation.code == home
        assert each.organisation.valid_on(max(plan.discharged_on, received_on))


@given(PLANS, HOMES)
def test_nobody_refused_is_served(plan: RehabilitationPlan, home: str) -> None:
    served = {each.id for each in routed(plan, home).recipients}
    assert not served & {found.id for each in plan.consent.refused if (found := DIRECTORY.resolve(each))}
