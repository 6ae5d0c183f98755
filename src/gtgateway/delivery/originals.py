"""The message that a plan came in, read anew from the bytes that were received (decision 0005)."""

from __future__ import annotations

from gtgateway.delivery.rendering import Original
from gtgateway.model.delivery import DueDelivery
from gtgateway.model.message import Reading
from gtgateway.pipeline import plan_now
from gtgateway.reading_pool import ReadingPool
from gtgateway.routing.directory import Directory
from gtgateway.store.base import Store


async def read_again(message_id: str, store: Store, pool: ReadingPool) -> tuple[bytes, Reading] | None:
    """The bytes and what they say; None when they are kept no longer. Raises StoreUnavailable, Overloaded."""
    body = await store.body(message_id)
    return None if body is None else (body, await pool.read(body))


def original_of(body: bytes, reading: Reading, due: DueDelivery, directory: Directory) -> Original | None:
    """The plan of a delivery, with the discharge date and the hospital as they are known now.

    None when the message holds no such plan.
    """
    letter = next((each for each in reading.letters if each.head.letter_id == due.letter_id), None)
    if letter is None or letter.plan is None:
        return None
    plan = plan_now(
        letter.plan, reading, directory, due.received_at, discharged_on=due.discharged_on, rerouted=due.rerouted
    )
    return Original(body, reading, letter, plan)
