"""Look-up, source paths, and the identity of a letter."""

from __future__ import annotations

from datetime import date, time

import pytest
from lxml import etree

from ggop import NS100, NS104, Role, letter
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.plan import LocalMoment
from gtgateway.parsers.medcom_xml import (
    CLINICAL_EMAIL,
    GGOP,
    NS_XDIS91,
    LetterIdentity,
    child,
    children,
    index,
    letters_of,
    local_name,
    organisation_identifier,
    read_identity,
    read_sent,
    source_path,
    text,
)


def plan(xml: str) -> etree._Element:
    return etree.fromstring(f'<Emessage xmlns="{NS104}" xmlns:m="{NS100}">{xml}</Emessage>')[0]


def identity(xml: str) -> LetterIdentity:
    return read_identity(plan(xml), GGOP, "/Emessage/RehabilitationPlan")


def test_look_up_prefers_the_namespace_and_falls_back_on_the_name() -> None:
    root = etree.fromstring(f'<a xmlns="{NS100}"><b>1</b><b xmlns="{NS104}">2</b><c>3</c><c>4</c></a>')
    named = index(root)
    assert [text(each) for each in children(named, NS104, "b")] == ["2"]
    assert [text(each) for each in children(named, NS104, "c")] == ["3", "4"]
    assert text(child(named, NS100, "b")) == "1"
    assert child(named, NS100, "B") is None
    assert child(named, NS100, "bb") is None
    assert index(None) == {}


def test_look_up_without_any_namespace() -> None:
    assert text(child(index(etree.fromstring("<a><b> 1 </b></a>")), NS104, "b")) == "1"


@pytest.mark.parametrize("xml", ["<a/>", "<a></a>", "<a> \n </a>"])
def test_an_empty_text_is_none(xml: str) -> None:
    assert text(etree.fromstring(xml)) is None


def test_source_paths_count_from_the_second_of_a_name() -> None:
    root = etree.fromstring(f'<a xmlns="{NS104}" xmlns:m="{NS100}"><b/><m:b><c/></m:b><c/><b><c/><c/></b></a>')
    assert source_path(root) == "/a"
    assert [source_path(each) for each in root] == ["/a/b", "/a/b[2]", "/a/c", "/a/b[3]"]
    assert source_path(root[3][1]) == "/a/b[3]/c[2]"


def test_letters_are_known_ones_and_whatever_has_a_letter() -> None:
    root = etree.fromstring(
        "<Emessage><Envelope/><Local_Elements/><X><Letter/></X><RehabilitationPlan/><Y/></Emessage>"
    )
    assert [local_name(each) for each in letters_of(root)] == ["X", "RehabilitationPlan"]


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("<Date>2025-03-14</Date><Time>11:05</Time>", LocalMoment(date(2025, 3, 14), time(11, 5))),
        ("<Date>2025-03-14</Date>", LocalMoment(date(2025, 3, 14))),
        ("<Date>2025-03-14</Date><Time>11:05:10</Time>", LocalMoment(date(2025, 3, 14))),
        ("<Date>2025-02-30</Date><Time>11:05</Time>", None),
        ("<Date>2025-W01-1</Date>", None),
        ("<Date>14.03.2025</Date>", None),
        ("<Date>2025-03-14</Date><Time>29:05</Time>", None),
        ("", None),
    ],
)
def test_sent(sent: str, moment: LocalMoment | None) -> None:
    envelope = etree.fromstring(f'<Envelope xmlns="{NS100}"><Sent>{sent}</Sent></Envelope>')
    assert read_sent(index(envelope)) == moment


def test_identity_of_a_sound_letter() -> None:
    found = identity(letter())
    assert found.findings == ()
    assert found.quotable
    assert (found.head.letter_id, found.head.version_code, found.head.type_code) == (
        "BRV20261106001",
        "GGOP100",
        "GGOP",
    )
    assert found.sender.gln == "5790001354145"
    assert found.sender.identifiers == (Identifier(IdentifierKind.SHAK, "4202360"),)
    assert found.receiver.identifiers == (Identifier(IdentifierKind.KOMMUNEKODE, "0461"),)
    assert found.receiver.name == "Odense Kommune"


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [
        ("461", "kommunenummer", Identifier(IdentifierKind.KOMMUNEKODE, "0461")),
        ("0461", "Kommunenummer", Identifier(IdentifierKind.KOMMUNEKODE, "0461")),
        ("024015", "ydernummer", Identifier(IdentifierKind.YDERNUMMER, "024015")),
        ("311000016009", "sorkode", Identifier(IdentifierKind.SOR, "311000016009")),
        ("1", "nyt_nummer", Identifier(IdentifierKind.OTHER, "1", "nyt_nummer")),
        ("1", None, Identifier(IdentifierKind.OTHER, "1")),
    ],
)
def test_organisation_identifiers(number: str, code: str | None, expected: Identifier) -> None:
    assert organisation_identifier(number, code) == expected


def test_every_missing_field_at_once_with_its_path() -> None:
    found = identity("<RehabilitationPlan><Letter/><Sender/></RehabilitationPlan>")
    assert not found.quotable
    assert {each.rule for each in found.findings} == {"GOP-MSG-03"}
    assert [each.source_path for each in found.findings] == [
        f"/Emessage/RehabilitationPlan/{place}"
        for place in (
            "Letter/Identifier",
            "Letter/VersionCode",
            "Sender/EANIdentifier",
            "Receiver/EANIdentifier",
            "Letter/TypeCode",
        )
    ]


@pytest.mark.parametrize(
    ("changes", "field", "limit"),
    [
        ({"letter_id": "BRV202611060001"}, "Letter/Identifier", 14),
        ({"version": "GGOP1000"}, "Letter/VersionCode", 7),
        ({"sender_gln": "5" * 36}, "Sender/EANIdentifier", 35),
    ],
)
def test_what_a_receipt_cannot_quote_is_too_long(changes: dict[str, str], field: str, limit: int) -> None:
    found = identity(letter(**changes))  # type: ignore[arg-type]
    assert not found.quotable
    too_long = [each for each in found.findings if each.rule == "GOP-MSG-12"]
    assert [each.text.en for each in too_long] == [
        f"{field} is longer than {limit} characters and cannot be acknowledged; shorten it."
    ]


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        ({"version": "GGOP101"}, "GGOP GGOP101"),
        ({"type_code": "DGOP", "version": "D1GOP10"}, "DGOP D1GOP10"),
        ({"type_code": "XDIS91"}, "XDIS91 GGOP100"),
    ],
)
def test_other_versions_are_refused_as_such(changes: dict[str, str], stated: str) -> None:
    """Appendix E 13: wrong VersionCode, DGOP."""
    found = identity(letter(**changes))  # type: ignore[arg-type]
    assert found.quotable
    (finding,) = found.findings
    assert finding.rule == "GOP-MSG-02"
    assert finding.text.da == f"Kun GGOP100 kan modtages; meddelelsen er {stated}."


@pytest.mark.parametrize(
    ("level", "statistical", "warned"),
    [
        ("almen", "GGOP1", False),
        ("Almen", "ggop1", False),
        ("specialiseret", "GGOP2", False),
        ("rehabilitering", "GGOP3", False),
        ("almen", "GGOP2", True),
        ("specialiseret", "GGOP1", True),
        ("rehabilitering", "XYZ", True),
        ("egentræning", "GGOP1", False),
        ("noget andet", "GGOP2", False),
    ],
)
def test_statistical_code_against_the_plan_type(level: str, statistical: str, warned: bool) -> None:
    """Appendix E 3: StatisticalCode contradicting the type."""
    found = identity(letter(level=level, statistical=statistical)).findings
    assert [each.rule for each in found] == (["GOP-MSG-09"] if warned else [])


def test_check_digits_are_looked_at_in_every_role() -> None:
    gp, copies = Role("5790002012274", "024015", "ydernummer"), [Role("57001231231", "1"), Role("5790000123117", "751")]
    bad, good = (f"<m:EANIdentifier>{gln}</m:EANIdentifier>" for gln in ("5790002012272", "5790000123117"))
    control = "HospitalAmbulatoryControl"
    sections = {
        control: f"<{control}><Location>{bad}</Location></{control}>",
        "ContactCounty": f"<ContactCounty>{bad}</ContactCounty>",
        "ContactMunicipality": f"<ContactMunicipality>{bad}</ContactMunicipality>",
        "FinalResult": f"<FinalResult><ResultReceiver>{good}</ResultReceiver><ResultReceiver>{bad}</ResultReceiver>"
        "</FinalResult>",
    }
    receiver = ("DKKMDKMDNET", "461")
    found = identity(letter(sender_gln="5790001354146", receiver=receiver, gp=gp, copies=copies, sections=sections))
    assert found.quotable
    assert [(each.rule, each.path, each.source_path) for each in found.findings] == [
        ("GOP-MSG-10", field, f"/Emessage/RehabilitationPlan/{role}/EANIdentifier")
        for field, role in (
            ("sender.gln", "Sender"),
            ("receiver.gln", "Receiver"),
            ("gp.gln", "GPCCReceiver/CCReceiver"),
            ("copy_receivers[0].gln", "CCReceiver"),
            ("control.location.gln", "HospitalAmbulatoryControl/Location"),
            ("contact_region.gln", "ContactCounty"),
            ("contact_municipality.gln", "ContactMunicipality"),
            ("final_result_receivers[1].gln", "FinalResult/ResultReceiver[2]"),
        )
    ]


def test_identity_across_namespace_slips() -> None:
    """Appendix E 5: 104 EANIdentifier, 100 IdentifierCode and Letter are still found."""
    slipped = (
        letter()
        .replace("m:EANIdentifier", "EANIdentifier")
        .replace("IdentifierCode>", "m:IdentifierCode>")
        .replace("Letter>", "m:Letter>")
    )
    assert identity(slipped).head == identity(letter()).head
    assert identity(slipped).receiver == identity(letter()).receiver


def test_identity_of_a_letter_in_another_family() -> None:
    email = etree.fromstring(
        f'<ClinicalEmail xmlns="{NS_XDIS91}"><Letter><Identifier>A</Identifier></Letter></ClinicalEmail>'
    )
    assert read_identity(email, CLINICAL_EMAIL, "/x").head.letter_id == "A"
    unknown = etree.fromstring('<Nyt xmlns="urn:nyt"><Letter><TypeCode>XNYT</TypeCode></Letter></Nyt>')
    assert "GOP-MSG-01" in {each.rule for each in read_identity(unknown, None, "/x").findings}
