from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.plan import Address, Party, Patient, RehabilitationPlan
from gtgateway.model.route import Evidence, Residence
from gtgateway.residence.evidence import find_residence, load_postcodes
from gtgateway.routing.directory import Directory

DAY = date(2026, 6, 1)
POSTCODES = {"5000": frozenset({"0461"}), "8300": frozenset({"0727"}), "5260": frozenset({"0461", "0430"})}

ODENSE = Party(gln="5790000121441")
ODENSE_UNIT = Party(gln="5790001659592")
ODENSE_BY_NUMBER = Party(identifiers=(Identifier(IdentifierKind.KOMMUNEKODE, "461"),))
AARHUS = Party(gln="5790000123117")
HOSPITAL = Party(gln="5790001354145")
ODDER_CONTACT = Party(department="Odder kommune")
ODENSE_CONTACT = Party(name="Odense Kommune", department="Genoptræning")


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.load()


def found(
    directory: Directory,
    *receivers: Party,
    contact: Party | None = None,
    postcode: str | None = None,
    address: str | None = None,
    register: str | None = None,
    day: date = DAY,
) -> Residence:
    plan = RehabilitationPlan(
        receiver=receivers[0] if receivers else None,
        copy_receivers=receivers[1:],
        contact_municipality=contact,
        patient=Patient(address=Address(postcode=postcode, kommunekode=address)),
    )
    return find_residence(plan, directory, day, register, POSTCODES)


def summary(residence: Residence) -> tuple[str | None, str | None, bool, bool]:
    name = residence.municipality.id.removesuffix("-kommune") if residence.municipality else None
    return name, residence.evidence, residence.certain, residence.doubtful


def test_best_evidence_wins(directory: Directory) -> None:
    def best(register: str | None) -> tuple[str | None, str | None, bool, bool]:
        return summary(
            found(directory, ODENSE, contact=ODDER_CONTACT, postcode="8300", address="0219", register=register)
        )

    assert best("0101") == ("koebenhavn", Evidence.REGISTER, True, False)
    assert best(None) == ("hilleroed", Evidence.ADDRESS, True, False)


@pytest.mark.parametrize(
    "receivers",
    [(ODENSE,), (ODENSE_UNIT,), (ODENSE_BY_NUMBER,), (HOSPITAL, ODENSE), (ODENSE, ODENSE_UNIT, ODENSE_BY_NUMBER)],
)
def test_a_municipality_among_the_receivers_is_certain(directory: Directory, receivers: tuple[Party, ...]) -> None:
    residence = found(directory, *receivers)
    assert summary(residence) == ("odense", Evidence.RECEIVER, True, False)
    assert residence.region
    assert residence.region.id == "region-syddanmark"


@pytest.mark.parametrize(
    ("contact", "postcode", "certain", "doubtful"),
    [
        (None, None, True, False),
        (ODENSE_CONTACT, "5000", True, False),
        (ODENSE_CONTACT, "5260", True, False),  # a postcode of two municipalities
        (ODENSE_CONTACT, "9999", True, False),  # not in the table
        (Party(department="Visitationen"), "5000", True, False),  # names nobody
        (ODDER_CONTACT, "5000", True, True),
        (ODDER_CONTACT, None, True, True),
        (None, "8300", True, True),
        (ODENSE_CONTACT, "8300", True, True),
        (ODDER_CONTACT, "8300", False, True),
        (AARHUS, "8300", False, True),
    ],
)
def test_contact_and_postcode_together_contradict_a_receiver(
    directory: Directory, contact: Party | None, postcode: str | None, certain: bool, doubtful: bool
) -> None:
    residence = found(directory, ODENSE, contact=contact, postcode=postcode)
    assert summary(residence) == ("odense", Evidence.RECEIVER, certain, doubtful)


def test_two_municipalities_are_uncertain_and_the_receiver_is_taken(directory: Directory) -> None:
    assert summary(found(directory, ODENSE, AARHUS)) == ("odense", Evidence.RECEIVER, False, True)
    other_number = Party(gln="5790000121441", identifiers=(Identifier(IdentifierKind.KOMMUNEKODE, "751"),))
    assert summary(found(directory, other_number))[2:] == (False, True)


@pytest.mark.parametrize(
    ("contact", "name"),
    [
        (ODDER_CONTACT, "odder"),
        (ODENSE_CONTACT, "odense"),
        (ODENSE_UNIT, "odense"),
        (ODENSE_BY_NUMBER, "odense"),
        (Party(name="Visitationen", unit="Københavns Kommune"), "koebenhavn"),
    ],
)
def test_the_contact_is_uncertain(directory: Directory, contact: Party, name: str) -> None:
    assert summary(found(directory, HOSPITAL, contact=contact)) == (name, Evidence.CONTACT, False, False)


def test_a_contact_against_the_postcode_is_doubtful(directory: Directory) -> None:
    assert summary(found(directory, contact=ODDER_CONTACT, postcode="5000")) == ("odder", Evidence.CONTACT, False, True)


def test_nothing_tells(directory: Directory) -> None:
    assert found(directory, HOSPITAL, contact=Party(department="Region Øst"), postcode="5000") == Residence()


def test_an_unknown_municipality_does_not_count(directory: Directory) -> None:
    # Greenland, and Christiansø, which belongs to no municipality
    assert summary(found(directory, ODENSE, register="0955", address="0411"))[1] is Evidence.RECEIVER


def test_a_municipality_of_another_time_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "directory.toml"
    path.write_text(
        """
        [[organisations]]
        id = "region-ny"
        kind = "region"
        name = "Region Ny"

        [[organisations]]
        id = "ny-kommune"
        kind = "municipality"
        name = "Ny Kommune"
        kommunekode = "0999"
        gln = "5790000121441"
        region = "region-ny"
        valid_from = 2026-07-01
        """,
        encoding="utf-8",
    )
    directory = Directory.load(path)
    for evidence in ({"register": "0999"}, {"address": "0999"}, {"contact": Party(name="Ny Kommune")}):
        assert found(directory, **evidence) == Residence()
        assert found(directory, **evidence, day=date(2026, 7, 1)).municipality
    assert found(directory, ODENSE) == Residence()
    assert found(directory, ODENSE, day=date(2026, 7, 1)).certain


def test_the_region_is_that_of_the_day(directory: Directory) -> None:
    before = found(directory, register="0400", day=date(2026, 12, 31)).region
    after = found(directory, register="0400", day=date(2027, 1, 1)).region
    assert before
    assert after
    assert (before.id, after.id) == ("region-hovedstaden", "region-oestdanmark")


# --- the postcode table -----------------------------------------------------------------------------------------------
def test_the_sample_postcode_table_agrees_with_the_directory(root: Path, directory: Directory) -> None:
    table = load_postcodes(root / "samples" / "directory" / "postcodes.csv")
    assert table["5260"] == {"0430", "0461"}
    assert all(directory.municipality(code) for codes in table.values() for code in codes)


def test_without_a_table_nothing_is_contradicted() -> None:
    assert load_postcodes(None) == {}


def test_faulty_rows_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "postcodes.csv"
    path.write_text("postcode,kommunekode\n5000,0461\n500,0461\n5000,461\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"row 3: .*; row 4: "):
        load_postcodes(path)
    path.write_text("postnr;kommune\n5000;0461\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="row 2"):
        load_postcodes(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_postcodes(tmp_path / "none.csv")
