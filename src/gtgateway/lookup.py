"""What is looked up before a reading is judged: advice, the unique keys of the archive decide."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from gtgateway.bootstrap import Gateway
from gtgateway.model.findings import LayerResult
from gtgateway.model.message import Reading
from gtgateway.model.outcome import Known
from gtgateway.model.plan import danish_day
from gtgateway.parsers.envelope import read_envelope
from gtgateway.residence.register import ResidenceRegister


async def look_up(reading: Reading, gateway: Gateway, received_at: datetime) -> Known:
    """What the archive and the residence register know of a reading, looked up side by side."""
    known, residence = await asyncio.gather(
        gateway.store.known(reading), _residences(reading, gateway.register, received_at)
    )
    return replace(known, residence=residence)


async def validated_elsewhere(reading: Reading, body: bytes, gateway: Gateway) -> LayerResult | None:
    """What the external validator says of a FHIR message; None where none is set up."""
    if gateway.validator is None or reading.fhir is None:
        return None
    document = read_envelope(body, gateway.tools.limits).document
    return await gateway.validator.validate(document) if document else None


async def _residences(reading: Reading, register: ResidenceRegister, received_at: datetime) -> dict[str, str]:
    """Kommunekode per letter, on the day of discharge (of receipt where none is stated)."""
    today = danish_day(received_at)
    patients = [
        (letter.head.letter_id, letter.plan.patient.identifier, letter.plan.discharged_on or today)
        for letter in reading.letters
        if letter.plan is not None
    ]
    asked = [(letter_id, number, day) for letter_id, number, day in patients if number is not None]
    found = await asyncio.gather(*(register.residence(number.reveal(), day) for _, number, day in asked))
    return {letter_id: code for (letter_id, _, _), code in zip(asked, found, strict=True) if code is not None}
