"""Receiving a message for real: read → look up → judge → save → answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from gtgateway.acknowledgements.reply import unavailable_reply
from gtgateway.bootstrap import Gateway
from gtgateway.errors import NotAllowed, Overloaded, SendAgain, StoreUnavailable
from gtgateway.model.message import Reading
from gtgateway.model.outcome import Known, Outcome, Repeat
from gtgateway.model.plan import COPENHAGEN
from gtgateway.pipeline import judge
from gtgateway.residence.register import ResidenceRegister
from gtgateway.security.identity import Caller
from gtgateway.security.permissions import may_send


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message. `duplicate_of` names the first one when the same message came before."""

    outcome: Outcome
    message_id: str | None  #: None: nothing was kept
    duplicate_of: str | None = None
    answers_ours: bool = False  #: a receipt for something that we sent


async def receive(body: bytes, gateway: Gateway, caller: Caller, now: Callable[[], datetime]) -> Received:
    """Judge a message, keep it durably, and conclude its answer.

    Raises NotAllowed when the sender is not one that the caller acts for; StoreUnavailable, Overloaded, and SendAgain
    where the sender's format has an answer for that.
    """
    received_at = now()
    reading = await gateway.pool.read(body)
    if reading.receipt is not None:
        ours = await gateway.store.save_receipt(reading.receipt, reading.digest, received_at, caller.name)
        return Received(judge(reading, Known(), gateway.tools, received_at), None, answers_ours=ours)
    if reading.envelope is None and reading.vans is None:
        return Received(judge(reading, Known(), gateway.tools, received_at), None)
    if reading.envelope is not None and not may_send(caller, reading.envelope, gateway.tools.directory):
        raise NotAllowed("The sender of the message is not one that this client acts for.")
    try:
        return await _judged_and_kept(reading, body, gateway, caller, received_at)
    except (StoreUnavailable, Overloaded) as error:
        if (reply := unavailable_reply(reading, received_at)) is None:
            raise
        raise SendAgain(reply) from error


async def _judged_and_kept(
    reading: Reading, body: bytes, gateway: Gateway, caller: Caller, received_at: datetime
) -> Received:
    known = await look_up(reading, gateway, received_at)
    while True:
        outcome = judge(reading, known, gateway.tools, received_at)
        saved = await gateway.store.save(outcome, body, caller.name)
        if saved.earlier is None:
            return Received(outcome, saved.message_id, saved.message_id if outcome.repeat is Repeat.REPLAY else None)
        # Another request with the same message won the race: judged again, knowing how that one was answered.
        known = replace(known, answer=saved.earlier)


async def look_up(reading: Reading, gateway: Gateway, received_at: datetime) -> Known:
    """What the archive and the residence register know of a reading, looked up side by side."""
    known, residence = await asyncio.gather(
        gateway.store.known(reading), _residences(reading, gateway.register, received_at)
    )
    return replace(known, residence=residence)


async def _residences(reading: Reading, register: ResidenceRegister, received_at: datetime) -> dict[str, str]:
    """Kommunekode per letter, on the day of discharge (of receipt where none is stated)."""
    today = received_at.astimezone(COPENHAGEN).date()
    patients = [
        (letter.head.letter_id, letter.plan.patient.identifier, letter.plan.discharged_on or today)
        for letter in reading.letters
        if letter.plan is not None
    ]
    asked = [(letter_id, number, day) for letter_id, number, day in patients if number is not None]
    found = await asyncio.gather(*(register.residence(number.reveal(), day) for _, number, day in asked))
    return {letter_id: code for (letter_id, _, _), code in zip(asked, found, strict=True) if code is not None}
