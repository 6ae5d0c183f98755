"""The message that a plan came in, read anew from the bytes that were received (decision 0005)."""

from __future__ import annotations

from datetime import date

from gtgateway.delivery.rendering import Original
from gtgateway.model.message import Reading
from gtgateway.pipeline import with_discharge
from gtgateway.reading_pool import ReadingPool
from gtgateway.store.base import Store


async def read_again(message_id: str, store: Store, pool: ReadingPool) -> tuple[bytes, Reading] | None:
    """The bytes and what they say; None when they are kept no longer. Raises StoreUnavailable, Overloaded."""
    body = await store.body(message_id)
    return None if body is None else (body, await pool.read(body))


def original_of(body: bytes, reading: Reading, letter_id: str, discharged_on: date | None) -> Original | None:
    """One plan of a message with the discharge date as it is known now; None when it holds no such plan."""
    letter = next((each for each in reading.letters if each.head.letter_id == letter_id), None)
    if letter is None or letter.plan is None:
        return None
    plan = letter.plan
    if discharged_on not in (None, plan.discharged_on):
        plan = with_discharge(plan, reading, discharged_on)
    return Original(body, reading, letter, plan)
