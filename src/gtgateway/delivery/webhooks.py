"""Webhooks: clients are told that a feed has grown, and the operator of alarms.

A notice says that there is news, never what: the client fetches that from its feed. It is signed as
standardwebhooks.com describes. A client's notices are kept in the archive: one stands for all that came since the last,
one process sends at a time, and what is not taken is sent again with the same id, for ever.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import orjson
from standardwebhooks import Webhook

from gtgateway.delivery.client import Client
from gtgateway.delivery.grouped import first_of
from gtgateway.delivery.schedule import Schedule
from gtgateway.errors import GatewayError
from gtgateway.logs import log, told
from gtgateway.model.delivery import Answer, Endpoint, Outgoing
from gtgateway.model.feed import Feed, cursor_of
from gtgateway.security.identity import Caller, Clients
from gtgateway.store.base import DueNotice, Store

GATHER_SECONDS = 0.05  #: what comes so close together is one notice
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 15.0  #: for a receiver to answer
LEASE = timedelta(seconds=60)  #: then another process sends what one has claimed and left
MOST_ALARMS = 1000  #: that wait to be sent; the oldest give way


@dataclass(frozen=True)
class Hook:
    """Where notices go, and the feeds that they are of: of organisations, and of senders by their location numbers."""

    name: str  #: of the client
    url: str
    secret: str = field(repr=False)  #: `whsec_` and base64
    feeds: frozenset[Feed] = frozenset()
    organisations: frozenset[str] = frozenset()
    glns: frozenset[str] = frozenset()

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"webhook {self.name}", self.url, timeout=TIMEOUT_SECONDS)


def hooks_of(clients: Clients) -> tuple[Hook, ...]:
    """The webhooks of a clients file."""
    return tuple(_hook(caller, clients) for caller in clients.by_token.values() if caller.webhook)


def _hook(caller: Caller, clients: Clients) -> Hook:
    assert caller.webhook is not None
    units = (clients.directory.by_id(each) for each in caller.organisations)
    return Hook(
        caller.name,
        caller.webhook.url,
        caller.webhook.secret,
        caller.webhook.feeds,
        caller.organisations,
        frozenset(each.gln for each in units if each and each.gln),
    )


def notice(type: str, at: datetime, **data: str | int | None) -> bytes:
    """The body of a notice."""
    return orjson.dumps({"type": type, "timestamp": at.isoformat(), "data": data})


class Webhooks:
    """Sends notices until cancelled. `client` is closed then."""

    def __init__(
        self,
        store: Store,
        client: Client,
        hooks: tuple[Hook, ...],
        alarm: Hook | None,
        schedule: Schedule,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: random.Random | None = None,
    ) -> None:
        """`alarm`: where alarms go. The pauses between tries are those of the schedule."""
        self._store = store
        self._client = client
        self._hooks = hooks
        self._alarm = alarm
        self._schedule = schedule
        self._clock = clock
        self._chance = chance or random.Random()
        self._name = uuid.uuid4().hex
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken = asyncio.Event()  #: a notice was taken: there may be more news for that client
        self._alarms: deque[tuple[str, bytes]] = deque()
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Tell clients and the operator, until cancelled. Nothing that a receiver does ends this."""
        telling = [asyncio.create_task(self._send_alarms())]
        if self._hooks:
            telling.append(asyncio.create_task(self._tell_clients()))
        await self._until_cancelled(telling)

    async def send_alarms(self) -> None:
        """The alarms only: for a process that delivers nothing."""
        await self._until_cancelled([asyncio.create_task(self._send_alarms())])

    async def _until_cancelled(self, telling: list[asyncio.Task[None]]) -> None:
        try:
            await asyncio.gather(*telling)
        finally:
            # a notice under way is void: it is sent again with the same id when its lease is over
            for task in (*telling, *self._tasks):
                task.cancel()
            await asyncio.gather(*telling, *self._tasks, return_exceptions=True)
            await self._client.close()

    # --- news for clients ---------------------------------------------------------------------------------------------

    async def _tell_clients(self) -> None:
        away = False
        while True:
            try:
                self._taken.clear()
                # before looking: nothing falls in between
                record = (await self._store.feed((), 0, 1)).next
                event = (await self._store.events((), 0, 1)).next
                await self._start(self._clock())
                away = False
            except Exception as error:
                if not away:
                    log.warning("webhooks_wait", **told(error))
                away = True
                await asyncio.sleep(POLL_SECONDS)
            else:
                await self._wait(record, event)
                await asyncio.sleep(GATHER_SECONDS)

    async def once(self, now: datetime) -> int:
        """One round: each notice that is due at `now` is sent; how many. Raises StoreUnavailable."""
        started = await self._start(now)
        while self._tasks:
            await asyncio.wait(self._tasks)
        return started

    async def _start(self, now: datetime) -> int:
        """Claim what is due and send it in the background: who hangs keeps nobody waiting."""
        started = 0
        for hook in self._hooks:
            for feed in sorted(hook.feeds):
                newest = await (
                    self._store.newest(hook.organisations)
                    if feed is Feed.RECORDS
                    else self._store.newest_event(hook.glns)
                )
                kind = feed.name.lower()
                due = await self._store.claim_notice(self._name, hook.name, kind, newest, now, now + LEASE)
                if due is not None:
                    started += 1
                    task = asyncio.create_task(self._tell(hook, feed, due))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        return started

    async def _wait(self, record: int, event: int) -> None:
        """Until a feed has grown, a notice was taken, or for a second."""
        await first_of(
            self._store.wait_for_feed(record, POLL_SECONDS),
            self._store.wait_for_events(event, POLL_SECONDS),
            self._taken.wait(),
        )

    async def _tell(self, hook: Hook, feed: Feed, due: DueNotice) -> None:
        """One try, until it is noted what came of it."""
        body = notice(f"{due.feed}.changed", due.noticed_at, feed=f"/{due.feed}", after=cursor_of(feed, due.told))
        answer = await self._send(hook, due.notice_id, body)
        with suppress(GatewayError):  # then it is sent again after its lease
            if _is_taken(answer):
                await self._store.notice_taken(self._name, due, self._clock())
                self._taken.set()
            else:
                log.warning(
                    "webhook_failed", client=hook.name, feed=due.feed, failures=due.failures + 1, **_why(answer)
                )
                await self._store.notice_failed(self._name, due, self._clock() + self._pause(due.failures + 1, answer))

    async def _send(self, hook: Hook, notice_id: str, body: bytes) -> Answer:
        """Signed anew each time: a receiver refuses old signatures."""
        at = self._clock()
        signature = Webhook(hook.secret).sign(notice_id, at, body.decode())
        headers = (
            (b"webhook-id", notice_id.encode()),
            (b"webhook-timestamp", b"%d" % at.timestamp()),
            (b"webhook-signature", signature.encode()),
        )
        return await self._client.send(hook.endpoint, Outgoing(body, "application/json", notice_id), headers)

    def _pause(self, failures: int, answer: Answer) -> timedelta:
        return self._schedule.backoff(failures, self._chance, answer.retry_after)

    # --- alarms -------------------------------------------------------------------------------------------------------

    def hear(self, event: str, ids: Mapping[str, str | int | None]) -> None:
        """Take an alarm to be sent; a listener of `Alarms`."""
        if len(self._alarms) == MOST_ALARMS:
            self._alarms.popleft()
            log.warning("alarm_notice_dropped")
        self._alarms.append((f"msg_{uuid.uuid4().hex}", notice(f"alarm.{event}", self._clock(), **ids)))
        self._heard.set()

    async def _send_alarms(self) -> None:
        """In their order, each until it is taken. They wait in memory: the log has them anyway."""
        failures = 0
        while True:
            self._heard.clear()
            while self._alarm is not None and self._alarms:
                first = self._alarms[0]
                answer = await self._send(self._alarm, *first)
                if _is_taken(answer):
                    failures = 0
                    if self._alarms[0] is first:  # else it gave way to newer ones meanwhile
                        self._alarms.popleft()
                else:
                    failures += 1
                    log.warning("alarm_notice_failed", failures=failures, **_why(answer))
                    await asyncio.sleep(self._pause(failures, answer).total_seconds())
            await self._heard.wait()


def _is_taken(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def _why(answer: Answer) -> dict[str, str | int | None]:
    return {"status": answer.status, "reason": answer.trouble}
