from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.model.identifiers import Identifier, IdentifierKind, gln_check_digit_ok
from gtgateway.model.plan import Party
from gtgateway.model.route import Organisation, OrganisationKind, Receives
from gtgateway.routing.directory import Directory

DAY = date(2026, 6, 1)
NEW_YEAR = date(2027, 1, 1)
GLN, SOR, SHAK = IdentifierKind.GLN, IdentifierKind.SOR, IdentifierKind.SHAK
YDERNUMMER, KOMMUNEKODE = IdentifierKind.YDERNUMMER, IdentifierKind.KOMMUNEKODE

#: Location numbers whose wrong check digit is that of MedCom's own sample.
BAD_CHECK_DIGITS = {"5790002012272", "5790002012274", "5790002012276"}


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.load()


def loaded(folder: Path, text: str) -> Directory:
    path = folder / "directory.toml"
    path.write_text(text, encoding="utf-8")
    return Directory.load(path)


def entry(id: str, kind: str = "hospital", **fields: object) -> str:
    lines = [
        f"{name} = {json.dumps(value) if not isinstance(value, date) else value}" for name, value in fields.items()
    ]
    return "\n".join(["[[organisations]]", f'id = "{id}"', f'kind = "{kind}"', f'name = "{id.title()}"', *lines, ""])


def endpoint(id: str, **fields: object) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in ({"url": "https://eksempel.dk/in"} | fields).items()]
    return "\n".join(["[[endpoints]]", f'id = "{id}"', *lines, ""])


def found(organisation: Organisation | None) -> str | None:
    return organisation.id if organisation else None


# --- the sample directory ---------------------------------------------------------------------------------------------
def test_every_municipality_lies_in_its_region(directory: Directory) -> None:
    municipalities = [each for each in directory.all if each.identifier(KOMMUNEKODE)]
    before = Counter(found(directory.region_of(each, DAY)) for each in municipalities)
    after = Counter(found(directory.region_of(each, NEW_YEAR)) for each in municipalities)
    assert before == {
        "region-hovedstaden": 29,
        "region-midtjylland": 19,
        "region-nordjylland": 11,
        "region-sjaelland": 17,
        "region-syddanmark": 22,
    }
    assert after == {
        "region-oestdanmark": 46,
        "region-midtjylland": 19,
        "region-nordjylland": 11,
        "region-syddanmark": 22,
    }


def test_municipalities_are_those_of_the_code_list(directory: Directory, shared: Path) -> None:
    listed = json.loads((shared / "data/fhir/derived/municipalities-and-regions.json").read_text("utf-8"))
    expected = {each["code"]: each["name"] for each in listed["municipalities"] if each["isMunicipality"]}
    ours = {each.identifier(KOMMUNEKODE): each.name for each in directory.all if each.identifier(KOMMUNEKODE)}
    assert ours.keys() == expected.keys()
    assert all(ours[code] is not None and ours[code].startswith(name) for code, name in expected.items())


def test_location_numbers_have_check_digits(directory: Directory) -> None:
    wrong = {each.gln for each in directory.all if each.gln and not gln_check_digit_ok(each.gln)}
    assert wrong == BAD_CHECK_DIGITS


def test_whoever_acts_can_be_addressed(directory: Directory) -> None:
    units_by_sor_alone = {each.id for each in directory.all if each.gln is None}
    assert units_by_sor_alone == {"sygehus-storbyen-s103", "sygehus-fjorden-medicin"}
    assert {each.kind for each in directory.all} == set(OrganisationKind)
    assert {each.receives for each in directory.all} >= {Receives.PULL, Receives.GGOP, Receives.XDIS91}
    assert [each.id for each in directory.all if each.special_hospital] == ["specialsygehuset-skovbrynet"]


def test_every_number_in_the_reference_material_is_known(directory: Directory, shared: Path) -> None:
    sor = r"urn:oid:1\.2\.208\.176\.1\.1"
    patterns = (
        re.compile(r"\b(57\d{11})\b"),
        re.compile(r"dsdn\.dk/#id=(\d{11,})"),
        re.compile(rf'"{sor}"\s*,\s*"value"\s*:\s*"(\d+)"'),
        re.compile(rf'<system value="{sor}"\s*/>\s*<value value="(\d+)"'),
    )
    ydernummer = re.compile(r"Identifier>(\d{6})</mm100:Identifier>")
    named: dict[str, str] = {}
    for path in (shared / "data").rglob("*"):
        if path.suffix in {".xml", ".json"}:
            text = path.read_text(encoding="utf-8-sig")
            for pattern in (*patterns, ydernummer):
                named.update(dict.fromkeys(pattern.findall(text), path.name))
    assert "5790001354145" in named
    assert "1037801000016003" in named
    kinds = (GLN, SOR, YDERNUMMER)
    unknown = {number: file for number, file in named.items() if not any(directory.find(k, number) for k in kinds)}
    # 57001231231 (ContactCounty of MedCom's sample) has eleven digits and is no location number
    assert unknown == {}


def test_published_examples_are_who_they_are(directory: Directory) -> None:
    assert found(directory.find(GLN, "5790000121441")) == found(directory.municipality("461")) == "odense-kommune"
    assert (
        found(directory.find(GLN, "5790001354145")) == found(directory.find(SHAK, "4202360")) == "ouh-ortopaedkirurgi"
    )
    assert found(directory.find(SOR, "311000016009")) == "aarhus-kommune"
    assert found(directory.find(GLN, "5790000209354")) == "hilleroed-kommune"
    assert [each.id for each in directory.ancestors("ouh-ortopaedkirurgi")] == ["ouh"]
    for gln in ("5790002282157", "5790000184552", "5790002006159", "5790001352721", "5790001373283", "5790000184293"):
        assert directory.find(GLN, gln).is_hospital  # type: ignore[union-attr]


# --- looking up -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "value", "id"),
    [
        (KOMMUNEKODE, "461", "odense-kommune"),
        (KOMMUNEKODE, " 0461 ", "odense-kommune"),
        (KOMMUNEKODE, "0411", None),
        (YDERNUMMER, "24015", "laege-arta-masoumi"),
        (SHAK, "4202999", "ouh"),
        (SHAK, "4202", "ouh"),
        (SHAK, "4203360", None),
        (SHAK, "420", None),
        (GLN, "5790999999999", None),
        (IdentifierKind.OTHER, "34", None),
    ],
)
def test_find(directory: Directory, kind: IdentifierKind, value: str, id: str | None) -> None:
    assert found(directory.find(kind, value, DAY)) == id


def test_find_respects_validity(directory: Directory) -> None:
    assert found(directory.find(IdentifierKind.REGIONSKODE, "1084", date(2026, 12, 31))) == "region-hovedstaden"
    assert directory.find(IdentifierKind.REGIONSKODE, "1084", NEW_YEAR) is None
    assert found(directory.find(IdentifierKind.REGIONSKODE, "1084")) == "region-hovedstaden"


def test_a_number_may_change_hands(tmp_path: Path) -> None:
    gln = "5790001354145"
    directory = loaded(
        tmp_path,
        entry("new", gln=gln, valid_from=NEW_YEAR) + entry("old", gln=gln, valid_until=date(2026, 12, 31)),
    )
    assert found(directory.find(GLN, gln, date(2026, 12, 31))) == "old"
    assert found(directory.find(GLN, gln, NEW_YEAR)) == "new"
    assert found(directory.find(GLN, gln)) == "new"


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("Odense Kommune, Genoptræning", "odense-kommune"),
        ("Odder kommune", "odder-kommune"),
        ("ODDER", "odder-kommune"),
        ("Københavns Kommune", "koebenhavn-kommune"),
        ("København", "koebenhavn-kommune"),
        ("Genoptræningen i Århus Kommune", "aarhus-kommune"),
        ("Fåborg-Midtfyn kommune", "faaborg-midtfyn-kommune"),
        ("Lyngby Tårbæk Kommune", "lyngby-taarbaek-kommune"),
        ("Bornholms Regionskommune", "bornholm-kommune"),
        ("Nordfyns Kommune", "nordfyns-kommune"),
        ("Vejen Kommune", "vejen-kommune"),
        ("Vejle Kommune, Vejen 12", "vejle-kommune"),
        ("Odense Kommune eller Vejle Kommune", None),
        ("Odense Universitetshospital", None),
        ("Region Øst", None),
        ("kommune", None),
        ("", None),
    ],
)
def test_municipality_named(directory: Directory, text: str, id: str | None) -> None:
    assert found(directory.municipality_named(text, DAY)) == id


def test_region_meant(directory: Directory) -> None:
    assert found(directory.region_meant(Party(department="Region Sjælland, Genoptræning"))) == "region-sjaelland"
    assert directory.region_meant(Party(gln="57001231231", department="Region Øst")) is None
    assert found(directory.region_meant(Party(name="Region Østdanmark"))) == "region-oestdanmark"
    assert directory.region_meant(Party(name="Region Nordjylland og Region Midtjylland")) is None
    code = Identifier(IdentifierKind.REGIONSKODE, "1083")
    assert found(directory.region_meant(Party(identifiers=(code,), name="Region Sjælland"))) == "region-syddanmark"


def test_municipality_meant(directory: Directory) -> None:
    unit = directory.by_id("odense-genoptraening")
    assert unit is not None
    assert found(directory.municipality_meant(Party(gln=unit.gln, name="Vejle Kommune"), DAY)) == "odense-kommune"
    assert found(directory.municipality_meant(Party(department="Odder kommune"), DAY)) == "odder-kommune"
    assert directory.municipality_meant(Party(gln="5790001354145"), DAY) is None


def test_resolve_prefers_the_location_number(directory: Directory) -> None:
    yder = Identifier(YDERNUMMER, "037974")
    assert found(directory.resolve(Party(gln="5790000121441", identifiers=(yder,)))) == "odense-kommune"
    assert found(directory.resolve(Party(gln="5790999999999", identifiers=(yder,)))) == "laegerne-agertoft-petersen"
    as_identifier = Identifier(GLN, "5790001354145")
    assert found(directory.resolve(Party(identifiers=(yder, as_identifier)))) == "ouh-ortopaedkirurgi"
    assert directory.resolve(Party(name="Odense Kommune")) is None


@pytest.mark.parametrize(
    ("gln", "kind", "value", "conflict"),
    [
        ("5790000121441", KOMMUNEKODE, "461", False),
        ("5790000121441", KOMMUNEKODE, "751", True),
        ("5790000121441", KOMMUNEKODE, "999", True),
        ("5790001659592", KOMMUNEKODE, "461", False),  # a unit under its municipality's number
        ("5790001659592", KOMMUNEKODE, "621", True),
        ("5790001354145", SHAK, "4202360", False),
        ("5790001354145", SHAK, "4202", False),
        ("5790001354145", SHAK, "9901", True),
        ("5790001354145", SHAK, "1301", False),  # nobody here has it
        ("5790001354145", KOMMUNEKODE, "461", True),
        ("5790002012276", YDERNUMMER, "37974", False),
        ("5790002012276", YDERNUMMER, "000001", True),
        ("5790999999999", KOMMUNEKODE, "461", False),  # an unknown location number is another fault
        ("5790000121441", IdentifierKind.OTHER, "x", False),
    ],
)
def test_identifier_conflict(directory: Directory, gln: str, kind: IdentifierKind, value: str, conflict: bool) -> None:
    assert directory.identifier_conflict(Party(gln=gln, identifiers=(Identifier(kind, value),)), DAY) is conflict


def test_subtree_and_ancestors(directory: Directory) -> None:
    assert directory.subtree("odense-kommune") == {"odense-kommune", "odense-genoptraening", "odense-hjemmepleje"}
    assert directory.subtree("odense-genoptraening") == {"odense-genoptraening"}
    assert directory.subtree("nobody") == frozenset()
    assert directory.ancestors("nobody") == ()
    # what a hospital receives is not the region's to read
    assert directory.subtree("region-syddanmark") == {"region-syddanmark"}


def test_units_lie_in_the_region_of_their_parent(directory: Directory) -> None:
    unit = directory.by_id("sygehus-nordkysten-terapi")
    assert unit is not None
    assert unit.region == "region-hovedstaden"
    assert found(directory.region_of(unit, NEW_YEAR)) == "region-oestdanmark"


# --- loading ----------------------------------------------------------------------------------------------------------
def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(entry("one", gln="5790001354145"), encoding="utf-8")
    (tmp_path / "b.toml").write_text(entry("two", parent="one"), encoding="utf-8")
    (tmp_path / "c.csv").write_text("ignored", encoding="utf-8")
    assert [each.id for each in Directory.load(tmp_path).all] == ["one", "two"]


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    text = (
        entry("a", gln="5790001354145", parent="nobody")
        + entry("b", gln="5790001354145", valid_from=date(2027, 1, 1), valid_until=date(2026, 1, 1))
        + entry("c", parent="d")
        + entry("d", parent="c")
        + entry("e", "municipality", delegates=["a"])
        + entry("f", "region", succeeded_by="f", delegates=["a"])
        + entry("g", "clinic")
        + entry("h", gln="123", colour="blue")
        + entry("i", region="a")
        + entry("i")
        + '[[organisations]]\nid = "j"\nkind = "gp"\nname = "J"\nvalid_from = "yesterday"\n'
        + "[other]\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, text)
    detail = raised.value.detail
    for fault in (
        "a: parent nobody is not in the directory",
        "c: is its own parent in the end",
        "d: is its own parent in the end",
        "e: lacks kommunekode",
        "e: lacks region",
        "e: only a region has delegates",
        "f: is its own succeeded by in the end",
        "f: delegates a is no municipality",
        "directory.toml, g: kind: Input should be",
        "directory.toml, h: gln: String should match",
        "directory.toml, h: colour: Extra inputs are not permitted",
        "i: region a is no region",
        "i: the id is used twice",
        "directory.toml, j: valid_from: ",
        "b: ends before it begins",
        "unknown table other",
    ):
        assert fault in detail


def test_one_number_for_two_at_the_same_time_is_refused(tmp_path: Path) -> None:
    text = entry("a", gln="5790001354145", valid_until=date(2026, 12, 31)) + entry("b", gln="5790001354145")
    with pytest.raises(ConfigurationError, match="gln 5790001354145 is both a and b at the same time"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "words"), [("organisations = [", "cannot be read"), ("organisations = 1", "entry 1"), (None, "no TOML")]
)
def test_unreadable_files_are_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "broken.toml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words):
        Directory.load(tmp_path)


def test_delegation(tmp_path: Path) -> None:
    directory = loaded(
        tmp_path,
        entry("nord", "region", delegates=["skagen"])
        + entry("skagen", "municipality", kommunekode="0841", region="nord")
        + entry("hals", "municipality", kommunekode="0821", region="nord"),
    )
    nord, skagen, hals = directory.all
    assert directory.delegated(nord, skagen)
    assert not directory.delegated(nord, hals)


# --- who can be sent to -----------------------------------------------------------------------------------------------
def test_nobody_of_the_sample_directory_is_sent_to(directory: Directory) -> None:
    assert directory.endpoints == {}
    assert {each.endpoint for each in directory.all} == {None}
    assert {each.receives for each in directory.unreachable} == {Receives.GGOP, Receives.XDIS91}


def test_units_have_the_end_point_of_the_nearest_above(tmp_path: Path) -> None:
    directory = loaded(
        tmp_path,
        entry("house", endpoint="one", receives="ggop")
        + entry("ward", parent="house", receives="fhir", gln="5790001354145", sor="9990001354145")
        + entry("room", parent="ward", receives="ggop", endpoint="two")
        + entry("bed", parent="room", receives="ggop")
        + entry("archive", parent="house")
        + endpoint("one")
        + endpoint("two"),
    )
    assert {each.id: each.endpoint for each in directory.all} == {
        "house": "one",
        "ward": "one",
        "room": "two",
        "bed": "two",
        "archive": None,  # it pulls
    }
    assert directory.unreachable == ()


def test_the_operator_carries_what_has_no_end_point_of_its_own(tmp_path: Path) -> None:
    directory = loaded(
        tmp_path,
        entry("gp", "gp", receives="xdis91", vans=True)
        + entry("bare", "gp", receives="xdis91")
        + entry("own", receives="ggop", vans=True, endpoint="direct")
        + entry("unit", receives="ggop", vans=True, parent="own")
        + entry("pulls", vans=True)
        + endpoint("operator", default_for="vans")
        + endpoint("direct"),
    )
    assert {each.id: each.endpoint for each in directory.all} == {
        "gp": "operator",
        "bare": None,
        "own": "direct",
        "unit": "direct",
        "pulls": None,
    }
    assert [each.id for each in directory.unreachable] == ["bare"]


# --- the lists of private providers -----------------------------------------------------------------------------------
AGREEMENT = '[[agreements]]\nprovider_id = "klinik"\nkept_by = "KL"\nsource = "invented"\n'


def test_the_lists_of_the_sample_directory_are_invented_providers(directory: Directory) -> None:
    listed = {(each.provider_id, each.kept_by) for each in directory.agreements}
    assert listed == {
        ("fysioterapien-stranden", "KL"),
        ("klinik-for-fysioterapi-soeerne", "KL"),
        ("rehabiliteringscenter-heden", "Danske Regioner"),
    }
    assert {each.source for each in directory.agreements} == {"opdigtet eksempel"}
    for each in directory.agreements:
        provider = directory.by_id(each.provider_id)
        assert provider
        assert provider.kind is OrganisationKind.PROVIDER
        assert (provider.gln or "").startswith("57909995")


def test_an_agreement_has_its_days(tmp_path: Path) -> None:
    dates = "valid_from = 2027-01-01\nvalid_until = 2027-06-30\n"
    [agreement] = loaded(tmp_path, entry("klinik", "provider") + AGREEMENT + dates).agreements
    days = (date(2026, 12, 31), date(2027, 1, 1), date(2027, 6, 30), date(2027, 7, 1))
    assert [agreement.valid_on(day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    "text, fault",
    [
        (AGREEMENT, "agreement with KL: provider klinik is not in the directory"),
        (AGREEMENT.replace('source = "invented"\n', ""), "agreements|klinik|entry 1: source: Field required"),
        (AGREEMENT + "valid_from = 2027-02-01\nvalid_until = 2027-01-31\n", "KL ends before it begins"),
    ],
)
def test_what_is_wrong_with_an_agreement_is_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ('receives = "fhir", gln = "5790001354145"', "takes FHIR, and lacks sor"),
        ('receives = "fhir"', "takes FHIR, and lacks gln and sor"),
    ],
)
def test_a_receiver_of_fhir_messages_has_both_numbers(tmp_path: Path, fields: str, fault: str) -> None:
    file = tmp_path / "directory.toml"
    file.write_text(f'organisations = [ {{ id = "x", kind = "hospital", name = "X", {fields} }} ]')
    with pytest.raises(ConfigurationError, match=fault):
        Directory.load(file)
