"""Copies that a sender sends itself and that came before their plan: they wait for it, a day at most."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from gtgateway.errors import GatewayError
from gtgateway.logs import log
from gtgateway.store.base import Store

PATIENCE = timedelta(hours=24)
EVERY_SECONDS = 3600.0


async def look_after_copies(store: Store, now: datetime) -> None:
    """Link what can be linked, and alarm for copies whose plan is still not here."""
    if not await store.waiting_copies(now):
        return
    await store.link_copies()
    for message_id, received_at in await store.waiting_copies(now - PATIENCE):
        log.warning("copy_without_plan", message_id=message_id, received_at=received_at.isoformat())


async def keep_looking(store: Store) -> None:
    """Look every hour, for as long as the gateway runs; an archive that is away is asked again then."""
    while True:
        try:
            await look_after_copies(store, datetime.now(UTC))
        except GatewayError as error:
            log.warning("copies_not_looked_after", reason=type(error).__name__)
        await asyncio.sleep(EVERY_SECONDS)
