"""Renderings: whatever came in, each recipient gets a message of the gateway's own, in its form, with nothing lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gtgateway.bootstrap import tools_from
from gtgateway.delivery.rendering import Original, render
from gtgateway.model.delivery import DueDelivery, Endpoint, Outgoing
from gtgateway.model.findings import Severity
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.message import Action, Format, Letter, Reading
from gtgateway.model.plan import RehabilitationPlan
from gtgateway.model.route import Organisation, Receives
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from gtgateway.pipeline import Tools, read, with_discharge
from gtgateway.settings import Settings

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "messages"
AT = datetime(2026, 11, 6, 9, 30, tzinfo=UTC)
MESSAGE_ID = "11111111-2222-4333-8444-555555555555"
ENDPOINT = Endpoint("e", "https://peer.example.dk/in")
XML_CASES = sorted(path.parent.name for path in SAMPLES.glob("xml-*/message.xml") if "afvist" not in str(path))
FHIR_CASES = sorted(path.parent.name for path in SAMPLES.glob("*/message.json"))
CASES = [*(f"{case}/message.xml" for case in XML_CASES), *(f"{case}/message.json" for case in FHIR_CASES)]


@pytest.fixture(scope="module")
def tools() -> Tools:
    return tools_from(Settings())


def letters(case: str, tools: Tools) -> Iterator[tuple[bytes, Reading, Letter, RehabilitationPlan]]:
    body = (SAMPLES / case).read_bytes()
    reading = read(body, tools)
    for letter in reading.letters:
        assert letter.plan is not None
        yield body, reading, letter, letter.plan


def due(
    letter: Letter, plan: RehabilitationPlan, roles: tuple[str, ...] = ("action",), version: int = 1
) -> DueDelivery:
    return DueDelivery(
        delivery_id=1,
        message_uuid=MESSAGE_ID,
        endpoint="e",
        organisation_id="x",
        record_id="r",
        plan_id=plan.plan_id or "",
        sender_gln=plan.sender.gln or "",
        plan_version=version,
        action={1: Action.NEW, 2: Action.CORRECTION, 3: Action.WITHDRAWAL}[version],
        message_id="m",
        letter_id=letter.head.letter_id,
        received_at=AT,
        discharged_on=None,
        roles=roles,
        attempts=0,
        resends=0,
        give_up_at=AT,
    )


def rendered(
    case: tuple[bytes, Reading, Letter, RehabilitationPlan],
    receiver: Organisation,
    tools: Tools,
    *,
    plan: RehabilitationPlan | None = None,
    endpoint: Endpoint = ENDPOINT,
    **of_delivery: Any,
) -> Outgoing:
    body, reading, letter, stated = case
    original = Original(body, reading, letter, plan or stated)
    delivery = due(letter, stated, **of_delivery)
    return render(original, delivery, receiver, endpoint, tools.identity, "https://gw", tools.directory, AT)


def receiver_of(plan: RehabilitationPlan, tools: Tools, receives: Receives, *, vans: bool = False) -> Organisation:
    """The plan's own receiver, as if it took a form."""
    assert plan.receiver is not None
    found = tools.directory.resolve(plan.receiver, plan.discharged_on)
    assert found is not None
    return replace(found, receives=receives, vans=vans)


def errors(reading: Reading) -> list[str]:
    found = (*reading.findings, *(each for letter in reading.letters for each in letter.findings))
    return [f"{each.rule} {each.source_path}" for each in found if each.severity is Severity.ERROR]


def told(plan: RehabilitationPlan) -> RehabilitationPlan:
    """What a plan says, without what a new message changes."""
    return replace(plan, receiver=None, copy_receivers=())


@pytest.mark.parametrize("vans", [False, True])
@pytest.mark.parametrize("case", [f"{case}/message.xml" for case in XML_CASES])
def test_a_plan_letter_goes_on_as_it_came(case: str, vans: bool, tools: Tools) -> None:
    for each in letters(case, tools):
        _, reading, letter, plan = each
        form = Receives.XDIS91 if reading.format is Format.XDIS91 else Receives.GGOP
        outgoing = rendered(each, receiver_of(plan, tools, form, vans=vans), tools)
        back = read(outgoing.body, tools)
        assert errors(back) == errors(reading)
        assert [other.head.letter_id for other in back.letters] == [letter.head.letter_id]
        assert back.letters[0].plan is not None
        assert back.letters[0].head == letter.head
        assert told(back.letters[0].plan) == told(plan)
        assert back.envelope is not None
        assert reading.envelope is not None
        assert back.envelope.envelope_id == outgoing.envelope_id != reading.envelope.envelope_id
        assert len(outgoing.envelope_id) == 14
        assert back.envelope.wants_positive_receipt
        assert back.envelope.sender.gln == plan.sender.gln
        assert back.envelope.sent_at is not None
        assert back.envelope.sent_at.day == date(2026, 11, 6)


@pytest.mark.parametrize("case", CASES)
def test_every_form_says_what_the_plan_says(case: str, tools: Tools) -> None:
    for each in letters(case, tools):
        _, _, _, plan = each
        for receives in (Receives.FHIR, Receives.GGOP):
            back = read(rendered(each, receiver_of(plan, tools, receives), tools).body, tools).letters[0].plan
            assert back is not None
            assert back.level is plan.level
            assert back.patient.identifier == plan.patient.identifier
            assert back.sender.gln == plan.sender.gln or receives is Receives.FHIR
            assert back.rehabilitation_need == plan.rehabilitation_need
            assert back.function_at_discharge == plan.function_at_discharge
            if not plan.reconstructed:
                assert back.primary_diagnosis is not None
                assert plan.primary_diagnosis is not None
                assert back.primary_diagnosis.code == plan.primary_diagnosis.code


@pytest.mark.parametrize("receives", list(Receives))
@pytest.mark.parametrize("case", CASES)
def test_a_resend_is_the_same_letter(
    case: str, receives: Receives, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is the same, so its content must be, or the recipient refuses it as changed."""
    for each in letters(case, tools):
        receiver = receiver_of(each[3], tools, receives)
        first = rendered(each, receiver, tools)
        monkeypatch.setattr("test_rendering.AT", AT + timedelta(minutes=30))
        again = rendered(each, receiver, tools)
        monkeypatch.undo()
        assert again.envelope_id != first.envelope_id
        (one,), (other,) = (read_envelope(sent.body, Limits()).letters for sent in (first, again))
        assert (one.head, one.digest) == (other.head, other.digest)


@pytest.mark.parametrize("case", [f"{case}/message.xml" for case in XML_CASES])
def test_mails_are_valid_by_the_official_schema(case: str, tools: Tools, shared: Path) -> None:
    official = etree.XMLSchema(etree.parse(shared / "data" / "xsd-official" / "2006" / "07" / "01" / "EMessage.xsd"))
    for each in letters(case, tools):
        for version in (1, 3):
            outgoing = rendered(each, receiver_of(each[3], tools, Receives.XDIS91), tools, version=version)
            official.assertValid(etree.fromstring(outgoing.body))


@pytest.mark.parametrize("receives", [Receives.FHIR, Receives.GGOP, Receives.XDIS91])
def test_a_vans_envelope_is_ours_and_valid(receives: Receives, tools: Tools, shared: Path) -> None:
    official = etree.XMLSchema(
        etree.parse(shared / "data" / "xsd-official" / "vans-envelope-1.0.4" / "VANSEnvelope.xsd")
    )
    each = next(letters("xml-almen-2026/message.xml", tools))
    receiver = receiver_of(each[3], tools, receives, vans=True)
    outgoing = rendered(each, receiver, tools)
    root = etree.fromstring(outgoing.body)
    official.assertValid(root)
    assert root.findtext("{*}SenderID") == tools.identity.gln
    assert root.findtext("{*}ReceiverID") == receiver.gln
    assert root.findtext("{*}EnvelopeIdentifier") == outgoing.vans_id
    payload = base64.b64decode(root.findtext(".//{*}Data") or "")
    assert root.findtext(".//{*}SizeInBytes") == str(len(payload))
    expected = {
        Receives.FHIR: ("HL7", "MCM:FGGOP"),
        Receives.GGOP: ("XML", "MCM:GGOP1"),
        Receives.XDIS91: ("XML", "MCM:XDIS91"),
    }
    assert (root.findtext(".//{*}Format"), root.findtext(".//{*}Name")) == expected[receives]
    tags = {tag.get("name"): tag.text for tag in root.iterfind(".//{*}ServiceTag")}
    assert tags == ({"MCM:MIME": "application/fhir+json"} if receives is Receives.FHIR else {})


# --- FHIR -------------------------------------------------------------------------------------------------------------


def resources(bundle: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type_]


@pytest.mark.parametrize("form", ["message.json", "message.xml"])
@pytest.mark.parametrize("case", FHIR_CASES)
@pytest.mark.parametrize("xml", [False, True])
def test_a_fhir_message_keeps_every_other_entry(case: str, form: str, xml: bool, tools: Tools) -> None:
    (each,) = letters(f"{case}/{form}", tools)
    body, reading, _, plan = each
    version = {Action.NEW: 1, Action.CORRECTION: 2, Action.WITHDRAWAL: 3}[each[2].action]
    received = read_envelope(body, Limits()).document
    receiver = receiver_of(plan, tools, Receives.FHIR)
    outgoing = rendered(each, receiver, tools, endpoint=replace(ENDPOINT, fhir_xml=xml), version=version)
    assert outgoing.media_type == f"application/fhir+{'xml' if xml else 'json'}"
    bundle = read_envelope(outgoing.body, Limits()).document
    assert bundle is not None
    assert received is not None
    assert bundle["entry"][0]["resource"]["resourceType"] == "MessageHeader"
    assert bundle["entry"][1 : len(received["entry"])] == received["entry"][1:]

    back = read(outgoing.body, tools)
    assert errors(back) == errors(reading)
    assert back.letters[0].action is each[2].action
    assert back.fhir is not None
    assert reading.fhir is not None
    assert back.fhir.message_id == MESSAGE_ID == outgoing.message_id
    assert back.fhir.bundle_id == outgoing.envelope_id != reading.fhir.bundle_id
    assert back.fhir.earlier == (reading.fhir.message_id,)
    assert back.envelope is not None
    assert back.envelope.sender.gln == tools.identity.gln
    assert back.envelope.receiver.gln == receiver.gln
    assert reading.fhir.message_id not in json.dumps(bundle["entry"][0])
    (header,) = resources(bundle, "MessageHeader")
    assert header["source"]["endpoint"] == "https://gw/receipts"


@pytest.mark.parametrize(
    ("roles", "activity", "role"),
    [
        (("action",), "forward-message", "revision"),
        (("authority", "copy"), "forward-message", "revision"),
        (("copy",), "carboncopy-message", "source"),
        (("information",), "carboncopy-message", "source"),
    ],
)
def test_what_we_did_stands_in_a_provenance(roles: tuple[str, ...], activity: str, role: str, tools: Tools) -> None:
    (each,) = letters("specialiseret-2026-skulder/message.json", tools)
    gp = tools.directory.by_id("laegehuset-odense-midtby")
    assert gp is not None
    bundle = json.loads(rendered(each, replace(gp, receives=Receives.FHIR, vans=False), tools, roles=roles).body)
    *before, ours = resources(bundle, "Provenance")
    assert len(before) == 1
    assert ours["activity"]["coding"][0]["code"] == activity
    assert ours["target"] == [{"reference": f"MessageHeader/{MESSAGE_ID}"}]
    (entity,) = ours["entity"]
    assert each[1].fhir is not None
    assert entity == {"role": role, "what": {"reference": f"MessageHeader/{each[1].fhir.message_id}"}}
    uses = [to["extension"][0]["valueCoding"]["code"] for to in resources(bundle, "MessageHeader")[0]["destination"]]
    assert uses.count("primary") == 1
    primary = read_envelope(json.dumps(bundle).encode(), Limits()).envelope
    assert primary is not None
    hospital = each[3].receiver
    assert hospital is not None
    assert primary.receiver.gln == (gp.gln if "action" in roles else hospital.gln)


def test_a_letter_in_fhir_names_the_letter_that_it_was(tools: Tools) -> None:
    (each,) = letters("xml-almen-2026/message.xml", tools)
    plan = each[3]
    bundle = json.loads(rendered(each, receiver_of(plan, tools, Receives.FHIR), tools).body)
    (provenance,) = resources(bundle, "Provenance")
    assert provenance["entity"][0]["what"] == {"identifier": {"value": f"{plan.sender.gln}#{plan.plan_id}"}}
    assert provenance["agent"][0]["who"] == resources(bundle, "MessageHeader")[0]["sender"]


def test_bundles_that_name_entries_by_urn_go_on_doing_so(tools: Tools) -> None:
    text = (SAMPLES / "almen-2026-hofte/message.json").read_text()
    bundle = json.loads(text)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        text = text.replace(entry["fullUrl"], f"urn:uuid:{resource['id']}")
        text = text.replace(f'"{resource["resourceType"]}/{resource["id"]}"', f'"urn:uuid:{resource["id"]}"')
    reading = read(text.encode(), tools)
    (letter,) = reading.letters
    assert letter.plan is not None
    each = (text.encode(), reading, letter, letter.plan)
    outgoing = rendered(each, receiver_of(letter.plan, tools, Receives.FHIR), tools)
    back = read(outgoing.body, tools)
    assert errors(back) == errors(reading)
    assert back.envelope is not None
    assert back.envelope.sender.gln == tools.identity.gln
    assert all(entry["fullUrl"].startswith("urn:uuid:") for entry in json.loads(outgoing.body)["entry"])


# --- what has changed since -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receives", [Receives.FHIR, Receives.GGOP])
@pytest.mark.parametrize("case", ["xml-almen-2026/message.xml", "almen-2026-hofte/message.json"])
def test_a_corrected_discharge_date_is_what_goes_out(case: str, receives: Receives, tools: Tools) -> None:
    (each,) = letters(case, tools)
    plan = with_discharge(each[3], each[1], date(2026, 11, 2))
    outgoing = rendered(each, receiver_of(plan, tools, receives), tools, plan=plan)
    back = read(outgoing.body, tools).letters[0].plan
    assert back is not None
    assert back.discharged_on == date(2026, 11, 2)


def test_a_correction_in_xml_says_what_it_replaces_and_has_an_id_of_its_own(tools: Tools) -> None:
    (each,) = letters("almen-2026-hofte/message.json", tools)
    receiver = receiver_of(each[3], tools, Receives.GGOP)
    first, again, corrected = (
        read(rendered(each, receiver, tools, version=version).body, tools).letters[0] for version in (1, 1, 2)
    )
    assert first.head.letter_id == again.head.letter_id != corrected.head.letter_id
    assert corrected.plan is not None
    assert corrected.plan.practical_information is not None
    assert corrected.plan.practical_information.plain.startswith("RETTET PLAN. Erstatter")
    assert first.head.letter_id in corrected.plan.practical_information.plain
    mail = etree.fromstring(rendered(each, replace(receiver, receives=Receives.XDIS91), tools, version=2).body)
    assert mail.findtext(".//{*}Subject") == "Rettet: Genoptræningsplan (almen)"


def test_a_letter_whose_discharge_date_was_corrected_is_a_letter_of_its_own(tools: Tools) -> None:
    (each,) = letters("xml-almen-2026/message.xml", tools)
    plan = with_discharge(each[3], each[1], date(2026, 11, 2))
    outgoing = rendered(each, receiver_of(plan, tools, Receives.GGOP), tools, plan=plan, version=2)
    (letter,) = read(outgoing.body, tools).letters
    assert letter.head.letter_id != each[2].head.letter_id
    assert letter.plan is not None
    assert letter.plan.practical_information is not None
    assert letter.plan.practical_information.plain.startswith("RETTET PLAN")


def test_a_receiver_is_named_by_the_number_that_its_system_knows(tools: Tools) -> None:
    (each,) = letters("xml-almen-2026/message.xml", tools)
    municipality = receiver_of(each[3], tools, Receives.GGOP)
    back = read(rendered(each, municipality, tools).body, tools).letters[0].plan
    assert back is not None
    assert back.receiver is not None
    assert back.receiver.identifiers[0].kind is IdentifierKind.KOMMUNEKODE


@pytest.mark.parametrize("receives", [Receives.GGOP, Receives.XDIS91])
def test_a_withdrawal_in_xml_is_a_mail_that_is_no_plan(receives: Receives, tools: Tools) -> None:
    (each,) = letters("tilbagetraekning-almen-2026-knae/message.json", tools)
    outgoing = rendered(each, receiver_of(each[3], tools, receives), tools, version=3)
    mail = etree.fromstring(outgoing.body)
    words = " ".join(mail.itertext())
    assert "Annulleret: genoptræningsplan er trukket tilbage" in words
    assert "må ikke længere bruges" in words
    number = each[3].patient.identifier
    assert number is not None
    assert mail.findtext(".//{*}Patient/{*}CivilRegistrationNumber") == number.reveal()
    assert read(outgoing.body, tools).format is None  # nobody takes it for a plan


def test_the_hospital_that_was_addressed_stays_known_to_the_others(tools: Tools) -> None:
    """Who acts is found among the receivers (readings no. 10)."""
    (each,) = letters("xml-specialiseret-2026/message.xml", tools)
    hospital = each[3].receiver
    municipality = tools.directory.by_id("odense-kommune")
    assert municipality is not None
    assert hospital is not None
    for receives in (Receives.GGOP, Receives.FHIR):
        receiver = replace(municipality, receives=receives)
        back = read(rendered(each, receiver, tools, roles=("authority",)).body, tools).letters[0].plan
        assert back is not None
        assert hospital.gln in {party.gln for party in back.receivers}


def test_several_plans_in_one_envelope_go_out_each_alone(tools: Tools) -> None:
    found = list(letters("xml-to-planer-2026/message.xml", tools))
    assert len(found) == 2
    for each in found:
        back = read(rendered(each, receiver_of(each[3], tools, Receives.GGOP), tools).body, tools)
        assert [letter.head.letter_id for letter in back.letters] == [each[2].head.letter_id]


def test_every_try_has_envelope_ids_of_its_own(tools: Tools) -> None:
    (each,) = letters("xml-almen-2026/message.xml", tools)
    for receives in (Receives.FHIR, Receives.GGOP, Receives.XDIS91):
        receiver = receiver_of(each[3], tools, receives, vans=True)
        first, second = rendered(each, receiver, tools), rendered(each, receiver, tools)
        assert first.envelope_id != second.envelope_id
        assert first.vans_id != second.vans_id
        assert first.message_id == second.message_id


def test_the_encoding_stays(tools: Tools) -> None:
    (each,) = letters("xml-windows-1252-2026/message.xml", tools)
    body = rendered(each, receiver_of(each[3], tools, Receives.GGOP), tools).body
    assert b"windows-1252" in body[:60].lower()


def test_nothing_of_the_plan_shows_in_its_text(tools: Tools) -> None:
    (each,) = letters("xml-almen-2026/message.xml", tools)
    assert "RehabilitationPlan" not in repr(rendered(each, receiver_of(each[3], tools, Receives.GGOP), tools))
