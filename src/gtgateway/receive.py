"""Receiving a message for real: read → look up → judge → save → answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from gtgateway.acknowledgements.reply import unavailable_reply
from gtgateway.bootstrap import Gateway
from gtgateway.casework import take_up_refusals
from gtgateway.errors import NotAllowed, Overloaded, SendAgain, StoreUnavailable
from gtgateway.lookup import look_up, validated_elsewhere
from gtgateway.model.message import Reading
from gtgateway.model.outcome import Known, Outcome, Repeat
from gtgateway.notification import with_corrections
from gtgateway.pipeline import judge
from gtgateway.security.identity import Caller, Scope
from gtgateway.security.permissions import holds, may_send


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
        kept = await gateway.store.save_receipt(
            reading.receipt, reading.digest, received_at, caller.name, caller.organisations
        )
        if kept.refused:  # its words are the recipient's: they stand in the archive, not in a log
            gateway.alarms.sound("delivery_refused", delivery_id=kept.delivery_id, client=caller.name)
        if kept.ours and reading.receipt.lacks_capacity:
            await take_up_refusals(gateway, received_at)
        return Received(judge(reading, Known(), gateway.tools, received_at), None, answers_ours=kept.ours)
    if reading.envelope is None and reading.vans is None:
        return Received(judge(reading, Known(), gateway.tools, received_at), None)
    if not holds(caller, Scope.MESSAGES_SEND):
        raise NotAllowed("Whoever may only send receipts sends nothing else.")
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
    known, external = await asyncio.gather(
        look_up(reading, gateway, received_at), validated_elsewhere(reading, body, gateway)
    )
    known = replace(known, external=external)
    while True:
        outcome = await with_corrections(judge(reading, known, gateway.tools, received_at), gateway)
        saved = await gateway.store.save(outcome, body, caller.name)
        if saved.earlier is None:
            return Received(outcome, saved.message_id, saved.message_id if outcome.repeat is Repeat.REPLAY else None)
        # Another request with the same message won the race: judged again, knowing how that one was answered.
        known = replace(known, answer=saved.earlier)
