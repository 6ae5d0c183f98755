"""Small judged messages for tests of the archive, made without the pipeline. The person is an official test person."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from gtgateway.model import faults
from gtgateway.model.acknowledgement import Acknowledgement, AcknowledgementCode, LetterAnswer, Reply
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Layer, LayerResult
from gtgateway.model.identifiers import Cpr, Identifier, IdentifierKind
from gtgateway.model.message import (
    Action,
    Envelope,
    FhirEnvelope,
    Format,
    HospitalNotification,
    Letter,
    LetterHead,
    Reading,
    VansDocument,
    VansEnvelope,
)
from gtgateway.model.outcome import Correction, LetterOutcome, OrderBasis, Outcome, Repeat, Verdict
from gtgateway.model.plan import (
    Coded,
    ContactDetails,
    DiagnosisGroup,
    Party,
    Patient,
    RehabilitationPlan,
    StartDeadline,
)
from gtgateway.model.record import MunicipalRecord, RecordConsent, RecordPatient
from gtgateway.model.route import Organisation, OrganisationKind, Residence, Role, Route, RouteEntry
from gtgateway.store.postgres import PostgresStore
from gtgateway.store.sqlite import SqliteStore

SENDER = "5790000120017"
ODENSE_GLN = "5790001359999"
AARHUS_GLN = "5790001358888"
CPR = Cpr("2512489996")
OTHER_CPR = Cpr("1205829995")
RECEIVED_AT = datetime(2026, 11, 6, 9, 30, tzinfo=UTC)

ODENSE = Organisation(
    "odense-kommune",
    OrganisationKind.MUNICIPALITY,
    "Odense Kommune",
    (Identifier(IdentifierKind.GLN, ODENSE_GLN), Identifier(IdentifierKind.KOMMUNEKODE, "0461")),
)
AARHUS = Organisation("aarhus-kommune", OrganisationKind.MUNICIPALITY, "Aarhus Kommune", ())
GP = Organisation("laegerne-torvet", OrganisationKind.GP, "Lægerne på Torvet", ())
REGION = Organisation("region-syddanmark", OrganisationKind.REGION, "Region Syddanmark", ())


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def letter_of(letter_id: str, content: str = "first", cpr: Cpr = CPR, plan_id: str | None = None) -> Letter:
    """A letter whose content digest follows from its id and `content`."""
    plan = RehabilitationPlan(
        plan_id=plan_id or letter_id,
        sender=Party(gln=SENDER),
        patient=Patient(identifier=cpr),
        episode_of_care_id=f"episode-{letter_id}",
        discharged_on=date(2026, 11, 6),
        diagnoses=(DiagnosisGroup(Coded("DS72")),),
    )
    head = LetterHead(letter_id, "GGOP100", "XGGOP")
    return Letter(head, sha256(f"{letter_id} {content}"), plan, (LayerResult.of(Layer.ENVELOPE, ()),))


def reading_of(
    *letters: Letter, envelope_id: str = "envelope-1", receiver: str = ODENSE_GLN, vans_id: str | None = None
) -> Reading:
    """A GGOP message with these letters; `vans_id` puts it in a VANSEnvelope."""
    vans = (
        VansEnvelope(
            SENDER, "EAN", receiver, "EAN", vans_id, "2026-11-06T10:30:00", VansDocument("m", "XML", "n", "1", 1)
        )
        if vans_id
        else None
    )
    return Reading(
        digest=sha256(f"{envelope_id} {vans_id}" + "".join(letter.digest for letter in letters)),
        size=100,
        format=Format.GGOP,
        vans=vans,
        envelope=Envelope(Party(gln=SENDER), Party(gln=receiver), envelope_id, None, True),
        letters=letters,
    )


def record_of(letter: Letter, plan_version: int = 1) -> MunicipalRecord:
    """The record of a letter with next to nothing in it."""
    return MunicipalRecord(
        schema_version="1",
        plan_id=letter.head.letter_id,
        plan_version=plan_version,
        replaces=None,
        message_digest=letter.digest,
        format="ggop",
        received_at=RECEIVED_AT,
        reconstructed=False,
        order="BEK-918-2018",
        order_basis="discharge",
        authority=None,
        residence_municipality=None,
        residence_region=None,
        residence_evidence=None,
        residence_doubtful=False,
        paying_municipality=None,
        patient=RecordPatient(
            CPR, "cpr", None, None, None, None, None, None, None, None, ContactDetails(), None, False
        ),
        relatives=(),
        plan_type="genoptraening",
        level="almen",
        level_stated="almen",
        hospital_suggestion=None,
        phases=(),
        phase2_from=None,
        sender=Party(gln=SENDER),
        author=None,
        co_authors=(),
        plan_date=None,
        sections=(),
        diagnoses=(),
        icf=(),
        contact_region=None,
        contact_municipality=None,
        gp=None,
        gp_deselected=False,
        care_team=(),
        final_result_receivers=(),
        other=(),
        consent=RecordConsent(True, None, None, ()),
        admitted_on=None,
        discharged_on=date(2026, 11, 6),
        discharge_source="plan",
        start_deadline=StartDeadline(),
        hospital_control=None,
        late_days=None,
        deadlines=Deadlines(),
        route=(),
        findings=(),
        quality_score=None,
        quality_missing=(),
        flags=(),
        transport_need=False,
        source_paths=(),
    )


def route_to(*recipients: tuple[Organisation, Role]) -> Route:
    """A route that delivers to each, and names the region without sending it anything."""
    entries = [RouteEntry(role, str(each.kind), each, True, "§ 4, stk. 2") for each, role in recipients]
    entries.append(RouteEntry(Role.INFORMATION, "region", REGION, False, "§ 4, stk. 3"))
    return Route(tuple(entries), Residence(ODENSE))


ODENSE_AND_GP = route_to((ODENSE, Role.ACTION), (ODENSE, Role.AUTHORITY), (GP, Role.COPY))


def accepted(
    reading: Reading,
    *,
    action: Action = Action.NEW,
    repeat: Repeat = Repeat.NONE,
    route: Route = ODENSE_AND_GP,
    plan_version: int = 1,
) -> Outcome:
    """The message accepted; every letter goes the same route."""
    letters = tuple(
        LetterOutcome(
            letter,
            Verdict.ACCEPTED,
            action,
            "BEK-918-2018",
            OrderBasis.DISCHARGE,
            letter.layers,
            route=None if action is Action.COPY else route,
            record=None if action is Action.COPY else record_of(letter, plan_version),
        )
        for letter in reading.letters
    )
    return _outcome(reading, Verdict.ACCEPTED, repeat, letters, 201)


def notified(*corrected: Letter, message_id: str = "notification-1") -> Outcome:
    """An accepted HospitalNotification that makes version 2 of each of these plans."""
    fhir = FhirEnvelope(message_id, None, "hospital-notification-message", None, None, "application/fhir+json")
    notification = HospitalNotification("discharge-inpatient-home", CPR, None, None, None, sha256(message_id))
    reading = replace(reading_of(), format=Format.FHIR, fhir=fhir, notification=notification)
    of_plans = accepted(reading_of(*corrected), action=Action.CORRECTION, plan_version=2).letters
    outcome = _outcome(reading, Verdict.ACCEPTED, Repeat.NONE, (), 201)
    return replace(outcome, corrections=tuple(Correction(SENDER, each) for each in of_plans))


def rejected(reading: Reading, *, repeat: Repeat = Repeat.NONE) -> Outcome:
    """The message refused; every letter has one error, the message itself one warning."""
    letters = tuple(
        LetterOutcome(
            letter,
            Verdict.REJECTED,
            Action.NEW,
            "BEK-918-2018",
            OrderBasis.DISCHARGE,
            (LayerResult.of(Layer.ENVELOPE, (faults.MSG_CHANGED_CONTENT.at("letter_id", letter_id="x"),)),),
        )
        for letter in reading.letters
    )
    outcome = _outcome(reading, Verdict.REJECTED, repeat, letters, 422)
    return replace(outcome, findings=(faults.MSG_GLN_CHECK_DIGIT.at("sender.gln", gln=SENDER),))


def unreadable(reading: Reading) -> Outcome:
    """A VANSEnvelope whose content cannot be read."""
    outcome = _outcome(replace(reading, envelope=None, letters=()), Verdict.UNREADABLE, Repeat.NONE, (), 422)
    return replace(outcome, acknowledgement=None, findings=(faults.VANS_BASE64.at("vans.message"),))


def _outcome(
    reading: Reading, verdict: Verdict, repeat: Repeat, letters: Sequence[LetterOutcome], status: int
) -> Outcome:
    envelope_id = reading.envelope.envelope_id if reading.envelope else ""
    positive = verdict is Verdict.ACCEPTED
    return Outcome(
        reading=reading,
        verdict=verdict,
        repeat=repeat,
        letters=tuple(letters),
        findings=(),
        acknowledgement=Acknowledgement(
            AcknowledgementCode.OK if positive else AcknowledgementCode.FATAL_ERROR,
            SENDER,
            reading.envelope.receiver.gln or "" if reading.envelope else "",
            envelope_id,
            tuple(
                LetterAnswer(
                    each.letter.head.letter_id,
                    each.letter.head.version_code,
                    positive,
                    None if positive else "ikke_specificeret",
                    () if positive else each.findings,
                )
                for each in letters
            ),
            due=True,
        ),
        reply=Reply(status, "application/xml", f"<answer>{envelope_id}</answer>".encode("iso-8859-1")),
        envelope_receipt=Reply(201, "application/xml", b"<receipt/>") if reading.vans else None,
        received_at=RECEIVED_AT,
    )


def record_document(record: MunicipalRecord) -> bytes:
    """Enough of a record's JSON to tell it from others."""
    return orjson.dumps({"plan_id": record.plan_id, "plan_version": record.plan_version})


def summary_document(outcome: Outcome) -> bytes:
    return orjson.dumps([{"verdict": outcome.verdict}])


#: What the stores of the tests keep; their clock stands still.
KEEPING: dict[str, Any] = {
    "record_document": record_document,
    "summary_document": summary_document,
    "clock": lambda: RECEIVED_AT,
}


def sqlite_store(path: str | Path, *, queue: int = 256) -> SqliteStore:
    return SqliteStore(path, queue=queue, **KEEPING)


def postgres_store(address: str, *, queue: int = 256, pooler: bool = False) -> PostgresStore:
    return PostgresStore(address, queue=queue, pooler=pooler, **KEEPING)
