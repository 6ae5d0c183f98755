"""Plan to MedCom XML: order and namespaces, valid by the schemas, and read back the same plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lxml import etree

from ggop import ggop
from gtgateway.data import packaged
from gtgateway.mappers.formatted_text import plain_text
from gtgateway.mappers.medcom_xml_from_plan import letter_id, medcom_xml_from_plan
from gtgateway.mappers.plan_from_medcom_xml import plan_from_medcom_xml
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.plan import Level, OtherContent, Party, PlanType, Reference, RehabilitationPlan, StartDeadline
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.hardened import Limits
from plans import plans, without_reading

AT = datetime(2026, 11, 6, 9, 59, 30, tzinfo=UTC)
N4, N0 = "{urn:oio:medcom:municipality:1.0.4}", "{urn:oio:medcom:municipality:1.0.0}"


def read(body: bytes) -> RehabilitationPlan:
    message = read_envelope(body, Limits())
    assert message.envelope is not None
    return plan_from_medcom_xml(message.letters[0]).plan


def write(plan: RehabilitationPlan, **options: object) -> bytes:
    return medcom_xml_from_plan(plan, envelope_id="KUV1", sent_at=AT, **options)  # type: ignore[arg-type]


def schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path))


@pytest.fixture(scope="module")
def ours() -> etree.XMLSchema:
    return schema(packaged("xsd", "municipality", "1.0.4", "EMessage.xsd"))


@given(plans())
@settings(
    max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
def test_any_plan_is_valid_and_reads_back_the_same(ours: etree.XMLSchema, plan: RehabilitationPlan) -> None:
    written = write(plan)
    ours.assertValid(etree.fromstring(written))
    assert without_reading(read(written)) == plan


@pytest.mark.parametrize("sample", ["ggop-official-sample.xml", "samples/ggop-synthetic-almen.xml"])
def test_samples_read_back_the_same_and_are_valid(shared: Path, ours: etree.XMLSchema, sample: str) -> None:
    plan = read((shared / "data" / sample).read_bytes())
    written = write(plan)
    assert read(written) == plan
    document = etree.fromstring(written)
    ours.assertValid(document)
    schema(shared / "data" / "xsd-draft" / "municipality-1.0.4.xsd").assertValid(document)


def test_writing_the_official_sample_keeps_order_and_namespaces(shared: Path) -> None:
    original = etree.fromstring((shared / "data" / "ggop-official-sample.xml").read_bytes())
    plan = read((shared / "data" / "ggop-official-sample.xml").read_bytes())
    written = etree.fromstring(write(plan))
    tags = [element.tag for element in original[1].iter("*")]
    assert [element.tag for element in written[1].iter("*")] == tags
    assert len(tags) > 250


def test_envelope_is_danish_local_time() -> None:
    root = etree.fromstring(write(read(ggop()), wants_positive_receipt=False))
    envelope = root[0]
    assert [element.text for element in envelope.iter(f"{N0}Date", f"{N0}Time")] == ["2026-11-06", "10:59"]
    assert envelope.findtext(f"{N0}Identifier") == "KUV1"
    assert envelope.findtext(f"{N0}AcknowledgementCode") == "minuspositivkvitt"


def test_another_receiver_takes_the_place_of_the_stated_one() -> None:
    region = Party("5790000000012", (Identifier(IdentifierKind.REGIONSKODE, "1083"),), "Region Syddanmark")
    plan = read(write(read(ggop()), receiver=region))
    assert plan.receiver == region


def test_other_encoding_loses_no_character() -> None:
    plan = replace(read(ggop()), health_summary=plain_text("Træning ≥ 3 måneder – 5 €"))
    body = write(plan, encoding="ISO-8859-1")
    assert b"encoding='ISO-8859-1'" in body.partition(b"\n")[0]
    assert read(body).health_summary == plan.health_summary


def test_too_long_names_are_written_whole() -> None:
    plan = replace(read(ggop()), contact_region=Party(name="Region Syddanmark, " * 5))
    assert f">{plan.contact_region.name}<".encode() in write(plan)


def test_a_level_in_other_words_becomes_medcoms_word_and_stays_readable() -> None:
    plan = read(ggop(level="basal"))
    written = etree.fromstring(write(plan))
    assert written[1].findtext(f"{N4}TypeOfRehabilitationPlan") == "almen"
    excerpt = read(write(plan)).journal_excerpts[-1]
    assert (excerpt.kind, excerpt.comment.plain) == ("Øvrige oplysninger", "Niveau som skrevet af sygehuset: basal")


def test_a_word_that_is_no_level_is_kept() -> None:
    assert read(write(read(ggop(level="andet niveau")))).level_stated == "andet niveau"


def test_what_has_no_element_stands_in_a_last_excerpt_and_stays_there() -> None:
    plan = replace(
        read(ggop()),
        other=(OtherContent("/Emessage/RehabilitationPlan/Diaet", "Sukkerfri kost"),),
        next_level=Level.ALMEN,
        phase2_from=date(2027, 2, 1),
        function_prior=plain_text("Gik frit."),
    )
    first = read(write(plan))
    assert [(excerpt.kind, excerpt.comment.plain) for excerpt in first.journal_excerpts] == [
        ("Funktionsevne før aktuelle sygdom", "Gik frit."),
        ("Øvrige oplysninger", "Derefter niveau: almen fra 2027-02-01\nDiaet: Sukkerfri kost"),
    ]
    assert read(write(first)) == first


def test_structured_deadlines_become_words_that_read_back() -> None:
    deadline = StartDeadline(earliest=date(2026, 11, 20), latest=date(2026, 12, 4), reason="Sårheling.")
    read_back = read(write(replace(read(ggop()), start_deadline=deadline))).start_deadline
    assert read_back.text is not None
    assert read_back.text.plain == "Opstart tidligst 2026-11-20. Opstart senest 2026-12-04. Sårheling."
    assert (read_back.earliest, read_back.latest) == (deadline.earliest, deadline.latest)


def test_a_long_id_becomes_a_stable_short_one() -> None:
    plan = RehabilitationPlan(plan_id="0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f4")
    assert letter_id(plan) == letter_id(plan)
    assert len(letter_id(plan) or "") == 14
    assert letter_id(replace(plan, plan_id="0c8f6c9e-6f0b-4a52-9d7c-0a8de31bb1f5")) != letter_id(plan)
    assert letter_id(RehabilitationPlan(plan_id="BRV1")) == "BRV1"


def test_self_training_has_its_own_word() -> None:
    plan = RehabilitationPlan(plan_type=PlanType.EGENTRAENING)
    assert etree.fromstring(write(plan))[1].findtext(f"{N4}TypeOfRehabilitationPlan") == "egentræning"


def test_a_binary_reference_keeps_its_content() -> None:
    inner = f'<ObjectIdentifier xmlns="{N0[1:-1]}">A1</ObjectIdentifier>'
    plan = replace(read(ggop()), references=(Reference("Bilag", "bin", inner),))
    once = read(write(plan))
    assert once.references[0].kind == "bin"
    assert [element.text for element in etree.fromstring(write(once)).iter(f"{N0}ObjectIdentifier")] == ["A1"]
    assert read(write(once)) == once
