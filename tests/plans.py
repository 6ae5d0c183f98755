"""Generated rehabilitation plans for property tests: whatever a GGOP letter can carry, with official test persons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, time

from hypothesis import strategies as st
from lxml import etree

from gtgateway.mappers.formatted_text import collapse, from_medcom
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind, ReplacementNumber
from gtgateway.model.plan import (
    Address,
    CoAddress,
    Coded,
    Consent,
    ContactDetails,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    HospitalControl,
    IcfClassification,
    JournalExcerpt,
    Level,
    LocalMoment,
    Party,
    Patient,
    PlanType,
    Professional,
    Reference,
    RehabilitationPlan,
    Relative,
    StartDeadline,
    Telephone,
)

PERSONS = ("2512489996", "2512484916", "1205829995", "2911829996", "0201609996")
NS100 = "urn:oio:medcom:municipality:1.0.0"

Words = Callable[[int], st.SearchStrategy[str]]  #: texts of one line, up to a length

#: Every character that XML can carry.
_ANY = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
#: Danish letters, digits and what stands in names and addresses; none of the signs that structure a clinical e-mail.
_PROSE = st.sampled_from("abcdefghijklmnopqrstuvwxyzæøåABCÆØÅ0123456789 -./&<é€")

KINDS = {
    "sygehusafdelingsnummer": IdentifierKind.SHAK,
    "kommunenummer": IdentifierKind.KOMMUNEKODE,
    "ydernummer": IdentifierKind.YDERNUMMER,
    "region": IdentifierKind.REGIONSKODE,
    "lokationsnummer": IdentifierKind.GLN,
    "sorkode": IdentifierKind.SOR,
    "amt": IdentifierKind.AMT,
}
TYPES = (
    *((level, level.value, PlanType.GENOPTRAENING) for level in Level),
    (Level.ALMEN, "Almen", PlanType.GENOPTRAENING),
    (None, "egentræning", PlanType.EGENTRAENING),
    (None, "noget andet", PlanType.GENOPTRAENING),
)


def any_words(limit: int) -> st.SearchStrategy[str]:
    """Any text that survives MedCom's white space rules."""
    return st.text(_ANY, min_size=1, max_size=min(limit, 40)).map(collapse).filter(bool)


def prose(limit: int) -> st.SearchStrategy[str]:
    """Plain Danish words."""
    return st.text(_PROSE, min_size=1, max_size=min(limit, 40)).map(collapse).filter(bool)


def _maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


def _moments() -> st.SearchStrategy[LocalMoment]:
    clock = st.none() | st.builds(time, st.integers(0, 23), st.integers(0, 59))
    return st.builds(LocalMoment, st.dates(date(2019, 1, 1), date(2030, 1, 1)), clock)


def formatted(words: Words) -> st.SearchStrategy[FormattedText]:
    """Formatted text that says something."""
    tags = st.sampled_from(("Bold", "Italic", "Underline", "Center", "Right", "FixedFont"))
    pieces = st.lists(
        st.tuples(st.none() | tags, words(40), st.sampled_from(("Break", "Space", None))), min_size=1, max_size=5
    )
    return pieces.map(_format)


def _format(pieces: list[tuple[str | None, str, str | None]]) -> FormattedText:
    element = etree.Element("Text")
    for tag, words, after in pieces:
        holder = etree.SubElement(element, f"{{{NS100}}}{tag or 'Space'}")
        if tag:
            holder.text = words
        else:
            holder.tail = words
        if after:
            etree.SubElement(element, f"{{{NS100}}}{after}")
    return from_medcom(element)


def plans(words: Words = any_words) -> st.SearchStrategy[RehabilitationPlan]:
    """Plans as reading a valid GGOP letter gives them, without the dates that are read in the deadline text."""
    text = formatted(words)
    addresses = st.builds(Address, *(_maybe(words(35)) for _ in range(3)), _maybe(st.sampled_from(("5000", "0999"))))
    known = st.builds(Identifier, st.sampled_from(tuple(KINDS.values())), words(17))
    own = st.builds(Identifier, st.just(IdentifierKind.OTHER), words(17), st.sampled_from(("praksis", "min egen")))
    identifiers = known | own
    roles = st.builds(
        Party,
        gln=words(13),
        identifiers=st.tuples(identifiers),
        name=_maybe(words(35)),
        department=_maybe(words(35)),
        unit=_maybe(words(35)),
        address=addresses,
    )
    senders = st.builds(
        lambda role, name, telephone, speciality: replace(role, name=name, telephone=telephone, speciality=speciality),
        roles,
        words(35),
        _maybe(words(25)),
        _maybe(st.just("neurologi")),
    )
    contact_points = st.builds(
        Party,
        gln=_maybe(words(13)),
        identifiers=st.just(()) | st.tuples(identifiers),
        name=words(35),
        department=_maybe(words(35)),
        address=addresses,
        telephone=_maybe(words(25)),
    )
    professionals = st.builds(
        Professional,
        given=words(35),
        family=words(35),
        title=words(35),
        identifier=_maybe(identifiers),
        telephone=_maybe(words(25)),
        department=_maybe(words(35)),
    )
    telephones = st.builds(Telephone, words(25), st.sampled_from(("mobil", "fastnet", "arbejde", "sommerhus")))
    reachable = st.lists(telephones, max_size=3).map(tuple)
    email = st.none() | st.just("nancy@eksempel.dk")
    contacts = st.builds(ContactDetails, telephones=reachable, email=email) | st.builds(
        ContactDetails, no_telephone_reason=words(35), email=email
    )
    patients = st.builds(
        Patient,
        identifier=st.sampled_from([*map(Cpr, PERSONS), ReplacementNumber("251248ABC1")]),
        family=words(70),
        given=_maybe(words(70)),
        address=addresses,
        occupation=_maybe(words(25)),
        contact=contacts,
        co_address=st.none() | st.builds(CoAddress, words(70), _maybe(words(70)), addresses),
    )
    relatives = st.builds(
        Relative,
        relation=_maybe(st.sampled_from(("mor", "nabo"))),
        family=words(70),
        given=_maybe(words(70)),
        address=addresses,
        contact=contacts,
    )
    diagnosis = st.builds(Coded, st.sampled_from(("DM169", "DS720", "dz501a")), st.just("ICD10kode"), _maybe(words(60)))
    groups = st.builds(DiagnosisGroup, diagnosis, st.lists(diagnosis, max_size=3).map(tuple))
    icf_code = st.builds(Coded, st.just("FB799"), st.just("ICFKode"), _maybe(words(60)))
    signed = st.builds(JournalExcerpt, words(40), text, professionals, st.dates(date(2019, 1, 1), date(2030, 1, 1)))
    excerpts = st.builds(JournalExcerpt, words(40), text) | signed
    links = st.builds(Reference, words(70), st.just("url"), st.just("https://eksempel.dk/plan?a=1&b=2"))
    references = links | st.builds(Reference, words(70), st.just("sup"), st.just("true"))
    stays = st.builds(HospitalContact, _moments(), _maybe(_moments())) | st.builds(
        HospitalContact, _moments(), expected_end_text=st.sampled_from(("når hjemmet er klar", "ukendt endnu"))
    )
    controls = st.builds(HospitalControl, _moments(), location=_maybe(roles)) | st.builds(
        HospitalControl, expected_start_text=words(40), location=_maybe(roles)
    )

    def few(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
        return st.lists(strategy, max_size=2).map(tuple)

    drawn = st.builds(
        RehabilitationPlan,
        plan_id=st.text("ABC123", min_size=1, max_size=14),
        written_at=st.builds(lambda moment: replace(moment, clock=moment.clock or time(9, 26)), _moments()),
        episode_of_care_id=_maybe(words(35)),
        statistical_code=st.sampled_from(("GGOP1", "GGOP2", "GGOP3")),
        sender=senders,
        author=professionals,
        co_authors=few(professionals),
        receiver=roles,
        gp=st.none() | roles,
        copy_receivers=few(roles),
        patient=patients,
        relatives=few(relatives),
        consent=st.sampled_from((Consent(True, "ja"), Consent(False, "Nej"), Consent(None, "måske"))),
        information_for_patient=_maybe(text),
        practical_information=_maybe(text),
        patient_safety=_maybe(text),
        start_deadline=st.builds(StartDeadline, _maybe(text)),
        hospital_contact=_maybe(stays),
        control=_maybe(controls),
        health_summary=_maybe(text),
        function_at_discharge=_maybe(text),
        function_extended=_maybe(text),
        rehabilitation_need=_maybe(text),
        diagnoses=few(groups),
        diagnosis_texts=few(words(60)),
        icf=few(st.builds(IcfClassification, icf_code, _maybe(icf_code))),
        journal_excerpts=few(excerpts),
        contact_region=_maybe(contact_points),
        contact_municipality=_maybe(contact_points),
        care_team=few(professionals),
        final_result_receivers=few(roles),
        references=few(references),
    )
    return st.builds(_complete, drawn, st.sampled_from(TYPES), st.booleans())


def _complete(
    plan: RehabilitationPlan, kind: tuple[Level | None, str, PlanType], deselected: bool
) -> RehabilitationPlan:
    """What follows from what was drawn."""
    level, stated, plan_type = kind
    end = plan.hospital_contact.expected_end if plan.hospital_contact else None
    return replace(
        plan,
        level=level,
        level_stated=stated,
        plan_type=plan_type,
        gp_deselected=deselected and plan.gp is None,
        final_result_deselected=deselected and not plan.final_result_receivers,
        discharged_on=end.day if end else None,
    )


def without_reading(plan: RehabilitationPlan) -> RehabilitationPlan:
    """The plan without the dates read in the deadline text, to compare with a drawn one."""
    return replace(plan, start_deadline=StartDeadline(plan.start_deadline.text))
