"""The webhooks' part of the archive: how far each client was told of each feed, and the notice that is under way."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from gtgateway.store.base import DueNotice
from gtgateway.store.database import Database
from gtgateway.store.saving import Row, instant


class WebhookArchive(Database):
    """What `Store` says of webhooks."""

    async def newest_event(self, sender_glns: Collection[str]) -> int:
        """Position of the newest event for any of the senders, 0 when there is none."""
        ((newest,),) = await self._read("newest_event_for", sender_glns=self._several(sender_glns))
        return int(newest)

    async def claim_notice(
        self, worker: str, client: str, feed: str, newest: int, now: datetime, until: datetime
    ) -> DueNotice | None:
        """Take the notice that is due; see `Store.claim_notice`."""
        asked: Row = {"client": client, "feed": feed, "newest": newest, "now": instant(now)}
        if newest == 0 or not (await self._read("notice_due", **asked))[0][0]:
            return None
        row = {**asked, "notice": f"msg_{uuid.uuid4().hex}", "until": instant(until), "worker": worker}
        for notice, noticed_at, told, failures in await self._write_apart(lambda db: db.ask("claim_notice", row)):
            return DueNotice(client, feed, notice, datetime.fromisoformat(noticed_at), told, failures)
        return None

    async def notice_taken(self, worker: str, due: DueNotice, now: datetime) -> None:
        """The client has taken a notice."""
        row = {**_key(worker, due), "now": instant(now)}
        await self._write_apart(lambda db: db.put("notice_taken", row))

    async def notice_failed(self, worker: str, due: DueNotice, next_at: datetime) -> None:
        """The client has not taken a notice; it is sent again."""
        row = {**_key(worker, due), "next_at": instant(next_at)}
        await self._write_apart(lambda db: db.put("notice_failed", row))


def _key(worker: str, due: DueNotice) -> Row:
    return {"worker": worker, "client": due.client, "feed": due.feed, "notice": due.notice_id}
