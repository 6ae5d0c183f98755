"""The message that a plan came in, read anew from the bytes that were received (decision 0005)."""

from __future__ import annotations

from gtgateway.delivery.rendering import Original
from gtgateway.model.delivery import DueDelivery
from gtgateway.model.message import Reading
from gtgateway.pipeline import plan_now
from gtgateway.routing.directory import Directory


def original_of(body: bytes, reading: Reading, due: DueDelivery, directory: Directory) -> Original | None:
    """The plan of a delivery, with the discharge date and the hospital as they are known now.

    None when the message holds no such plan.
    """
    letter = reading.letter(due.letter_id)
    if letter is None or letter.plan is None:
        return None
    plan = plan_now(
        letter.plan, reading, directory, due.received_at, discharged_on=due.discharged_on, rerouted=due.rerouted
    )
    return Original(body, reading, letter, plan)
