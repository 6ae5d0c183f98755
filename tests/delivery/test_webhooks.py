"""Webhooks against real receivers, good and bad ones: signed, told once, sent again with the same id until taken."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from rooms import MUNICIPALITY, World, accept, specialised
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from structlog.testing import capture_logs

from gtgateway.app import create_app
from gtgateway.bootstrap import gateway_from
from gtgateway.delivery import webhooks
from gtgateway.delivery.alarms import Alarms
from gtgateway.delivery.client import Client
from gtgateway.delivery.schedule import Schedule
from gtgateway.delivery.webhooks import LEASE, Hook, Webhooks
from gtgateway.errors import ConfigurationError, StoreUnavailable
from gtgateway.model.feed import Feed, cursor_of
from gtgateway.settings import Settings
from gtgateway.store.base import DueNotice

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()
SENDER_GLN = "5790001354145"
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


def saying(answer: bytes) -> Answering:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


@dataclass
class Receiver:
    """A client's own server; what it got, and how it answers."""

    port: int = 0
    answering: Answering = field(default_factory=lambda: saying(TAKEN))
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def told(self) -> list[Any]:
        return [orjson.loads(body) for _, body in self.got]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
                self.came.set()
                await self.answering(writer)
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    calls: set[asyncio.Task[None]] = set()

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        calls.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await receiver(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(call, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with serving() as made:
        yield made


def hook(receiver: Receiver, *feeds: Feed, name: str = "odense", host: str = "127.0.0.1") -> Hook:
    url = f"http://{host}:{receiver.port}/news"
    return Hook(name, url, SECRET, frozenset(feeds), frozenset({MUNICIPALITY}), frozenset({SENDER_GLN}))


@asynccontextmanager
async def telling(
    world: World, *hooks: Hook, alarm: Hook | None = None, private: bool = True, store: Any = None
) -> AsyncIterator[Webhooks]:
    """Webhooks with the world's clock."""
    client = Client(private=private)
    schedule = Schedule(retry_first=timedelta(seconds=5))
    made = Webhooks(
        store or world.store, client, hooks, alarm, schedule, clock=lambda: world.now, chance=random.Random(0)
    )
    try:
        yield made
    finally:
        await client.close()


def verified(receiver: Receiver, secret: str = SECRET) -> list[Any]:
    return [Webhook(secret).verify(body, headers) for headers, body in receiver.got]


@pytest.fixture
def today(world: World) -> World:
    world.now = datetime.now(UTC)  # the library refuses signatures that are older than five minutes
    return world


async def test_a_recipient_is_told_that_its_feed_has_grown(today: World, receiver: Receiver) -> None:
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        assert await telling_them.once(today.now) == 0
        await today.accept(specialised())
        assert await telling_them.once(today.now) == 1
        assert await telling_them.once(today.now) == 0
    (told,) = verified(receiver)
    assert told == {
        "type": "records.changed",
        "timestamp": today.now.isoformat(),
        "data": {"feed": "/records", "after": cursor_of(Feed.RECORDS, 0)},
    }
    with pytest.raises(WebhookVerificationError):
        verified(receiver, OTHER)
    ((headers, _),) = receiver.got
    assert headers["content-type"] == "application/json"


async def test_a_sender_is_told_of_its_messages(today: World, receiver: Receiver) -> None:
    message_id = await today.accept(specialised())
    stored = await today.store.message(message_id)
    assert stored is not None
    news = replace(hook(receiver, Feed.MESSAGES), glns=frozenset({stored.sender_gln}))
    strange = replace(hook(receiver, Feed.MESSAGES, name="other"), glns=frozenset({"5790000000005"}))
    async with telling(today, news, strange) as telling_them:
        assert await telling_them.once(today.now) == 1
    (told,) = verified(receiver)
    assert (told["type"], told["data"]["feed"]) == ("messages.changed", "/messages")


async def test_one_notice_stands_for_many_changes_and_says_from_where(today: World, receiver: Receiver) -> None:
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        for number in range(3):
            await today.accept(specialised(number))
        assert await telling_them.once(today.now) == 1
        upto = await today.store.newest([MUNICIPALITY])
        await today.accept(specialised(3))
        assert await telling_them.once(today.now) == 1
    assert [each["data"]["after"] for each in receiver.told] == [
        cursor_of(Feed.RECORDS, 0),
        cursor_of(Feed.RECORDS, upto),
    ]
    assert len(set(receiver.ids)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        BUSY,
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"not HTTP\r\n\r\n",
    ],
)
async def test_what_is_not_taken_is_sent_again_unchanged(today: World, receiver: Receiver, answer: bytes) -> None:
    receiver.answering = saying(answer)
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        await today.accept(specialised())
        with capture_logs() as logs:
            assert await telling_them.once(today.now) == 1
        assert [each["event"] for each in logs] == ["webhook_failed"]
        assert await telling_them.once(today.now + timedelta(seconds=4)) == 0
        await today.accept(specialised(1))
        receiver.answering = saying(TAKEN)
        assert await telling_them.once(today.now + timedelta(seconds=15)) == 1
        assert await telling_them.once(today.now + timedelta(seconds=15)) == 1  # what came meanwhile
    (first, _), (second, _), (third, _) = zip(receiver.ids, receiver.told, strict=True)
    assert first == second != third
    assert receiver.told[0] == receiver.told[1]
    verified(receiver)


async def test_a_receiver_may_ask_for_a_pause(today: World, receiver: Receiver) -> None:
    receiver.answering = saying(b"HTTP/1.1 429 Too Many\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        await today.accept(specialised())
        await telling_them.once(today.now)
        assert await telling_them.once(today.now + timedelta(seconds=119)) == 0
        assert await telling_them.once(today.now + timedelta(seconds=121)) == 1


async def test_it_is_tried_for_ever_at_the_longest_pause(today: World, receiver: Receiver) -> None:
    receiver.answering = saying(BUSY)
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        await today.accept(specialised())
        for _ in range(40):
            assert await telling_them.once(today.now) == 1
            today.now += timedelta(minutes=15)
    assert len(set(receiver.ids)) == 1


async def test_who_hangs_keeps_nobody_waiting(
    today: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.3)

    async def hang(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    receiver.answering = hang
    async with serving() as good:
        hooks = hook(receiver, Feed.RECORDS), hook(good, Feed.RECORDS, name="good")
        async with telling(today, *hooks) as telling_them:
            await today.accept(specialised())
            running = asyncio.create_task(telling_them.once(today.now))
            await asyncio.wait_for(good.came.wait(), 5)
            assert not running.done()
            with capture_logs() as logs:
                assert await running == 2
    assert [(each["client"], each["reason"]) for each in logs] == [("odense", "timed_out")]


async def test_of_a_gigabyte_a_little_is_read(today: World, receiver: Receiver) -> None:
    written = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(10_000):
            writer.write(bytes(100_000))
            await writer.drain()
            written += 100_000

    receiver.answering = pour
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        await today.accept(specialised())
        with capture_logs() as logs:
            await telling_them.once(today.now)
    assert [each["reason"] for each in logs] == ["too_large"]
    assert written < 50_000_000


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_called(today: World, receiver: Receiver, host: str) -> None:
    async with telling(today, hook(receiver, Feed.RECORDS, host=host), private=False) as telling_them:
        await today.accept(specialised())
        with capture_logs() as logs:
            await telling_them.once(today.now)
    assert [each["reason"] for each in logs] == ["forbidden_address"]
    assert receiver.got == []


async def test_a_name_that_turns_private_leads_nowhere(
    today: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection goes to addresses that were checked for it; nothing is resolved twice."""
    answers = iter([["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]])
    asked = 0

    async def resolve(host: str, port: int, **_: Any) -> Sequence[Any]:
        nonlocal asked
        asked += 1
        assert host == "rebinding.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in next(answers)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    news = hook(receiver, Feed.RECORDS, host="rebinding.example")
    async with telling(today, news, private=False) as telling_them:
        await today.accept(specialised())
        with capture_logs() as logs:
            await telling_them.once(today.now)
            await telling_them.once(today.now + timedelta(minutes=1))
    assert [each["reason"] for each in logs] == ["forbidden_address"] * 2
    assert (asked, receiver.got) == (2, [])


async def test_killed_between_sending_and_noting_the_same_notice_goes_again(today: World, receiver: Receiver) -> None:
    class Dying:
        """An archive to which the note never comes."""

        def __getattr__(self, name: str) -> Any:
            return getattr(today.store, name)

        async def notice_taken(self, *_: object) -> None:
            raise StoreUnavailable("It is away.")

    await today.accept(specialised())
    async with telling(today, hook(receiver, Feed.RECORDS), store=Dying()) as killed:
        assert await killed.once(today.now) == 1
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        assert await telling_them.once(today.now) == 0
        assert await telling_them.once(today.now + LEASE) == 1
        assert await telling_them.once(today.now + LEASE) == 0
    assert len(receiver.got) == 2
    assert receiver.got[0][1] == receiver.got[1][1]
    assert len(set(receiver.ids)) == 1


async def test_it_is_woken_by_news_and_ends_when_it_is_cancelled(today: World, receiver: Receiver) -> None:
    async with telling(today, hook(receiver, Feed.RECORDS)) as telling_them:
        running = asyncio.create_task(telling_them.run())
        await asyncio.sleep(0.1)
        assert receiver.got == []
        await today.accept(specialised())
        await asyncio.wait_for(receiver.came.wait(), 5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert receiver.told[0]["type"] == "records.changed"


async def test_an_archive_that_is_away_is_waited_for(
    today: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.02)
    away = 3

    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(today.store, name)

        async def claim_notice(self, *arguments: Any) -> DueNotice | None:
            nonlocal away
            away -= 1
            if away >= 0:
                raise StoreUnavailable("It is away.")
            return await today.store.claim_notice(*arguments)

    await today.accept(specialised())
    async with telling(today, hook(receiver, Feed.RECORDS), store=Away()) as telling_them:
        with capture_logs() as logs:
            running = asyncio.create_task(telling_them.run())
            await asyncio.wait_for(receiver.came.wait(), 5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert [each["event"] for each in logs] == ["webhooks_wait"]


async def test_alarms_are_sent_signed_in_their_order_until_taken(
    today: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([BUSY, TAKEN, TAKEN])
    done = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        await saying(next(answers))(writer)
        if len(receiver.got) == 3:
            done.set()

    receiver.answering = answer
    client = Client()
    pauses = Schedule(retry_first=timedelta(milliseconds=10))
    sending = Webhooks(today.store, client, (), hook(receiver), pauses, clock=lambda: today.now)
    alarms = Alarms(sending.hear)
    with capture_logs() as logs:
        running = asyncio.create_task(sending.run())
        alarms.sound("delivery_refused", delivery_id=17, reason="http_400")
        alarms.sound("endpoint_at_fault", endpoint="ouh", reason="certificate")
        await asyncio.wait_for(done.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    first, second, third = verified(receiver)
    assert (
        first
        == second
        == {
            "type": "alarm.delivery_refused",
            "timestamp": today.now.isoformat(),
            "data": {"delivery_id": 17, "reason": "http_400"},
        }
    )
    assert third["type"] == "alarm.endpoint_at_fault"
    assert receiver.ids[0] == receiver.ids[1] != receiver.ids[2]
    assert [each["status"] for each in logs if each["event"] == "alarm_notice_failed"] == [503]


async def test_of_too_many_alarms_the_oldest_give_way(
    today: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_ALARMS", 2)
    async with telling(today, alarm=hook(receiver)) as sending:
        with capture_logs() as logs:
            for number in range(3):
                sending.hear("delivery_refused", {"delivery_id": number})
        running = asyncio.create_task(sending.send_alarms())
        while len(receiver.got) < 2:
            await asyncio.wait_for(receiver.came.wait(), 5)
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [each["event"] for each in logs] == ["alarm_notice_dropped"]
    assert [each["data"]["delivery_id"] for each in receiver.told] == [1, 2]


@pytest.mark.parametrize("deliver", [True, False])
async def test_a_gateway_tells_by_its_settings(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deliver: bool
) -> None:
    """As it is wired: clients file, application and alarms. What delivers not tells no client, but its alarms."""
    monkeypatch.setenv("NEWS_SECRET", SECRET)
    url = f"http://127.0.0.1:{receiver.port}/news"
    clients = tmp_path / "clients.toml"
    clients.write_text(
        f"""
[[client]]
name = "odense"
token_sha256 = "{"0" * 64}"
acts_for = ["kommunekode:0461"]
scopes = ["records:receive"]
webhook = {{url = "{url}", secret_env = "NEWS_SECRET", events = ["records"]}}
"""
    )
    settings = Settings(
        store="sqlite:///:memory:",
        clients=clients,
        workers=0,
        webhooks_private=True,
        alarm_webhook=url,
        alarm_webhook_secret=SecretStr(SECRET),
        deliver=deliver,
    )
    gateway = gateway_from(settings, development=True)
    app = create_app(gateway)
    expected = {"alarm.delivery_refused"} | ({"records.changed"} if deliver else set())
    async with app.router.lifespan_context(app):
        await accept(gateway.store, gateway.tools, specialised(), datetime.now(UTC))
        gateway.alarms.sound("delivery_refused", delivery_id=1)
        async with asyncio.timeout(5):
            while {each["type"] for each in receiver.told} < expected:
                receiver.came.clear()
                await receiver.came.wait()
        await asyncio.sleep(0.2)  # what should not come would have come
    assert sorted(each["type"] for each in verified(receiver)) == sorted(expected)


@pytest.mark.parametrize(
    "wrong, variable",
    [
        ({"alarm_webhook": "http://a.example"}, "GTGATEWAY_ALARM_WEBHOOK"),
        ({"alarm_webhook_secret": SecretStr("whsec_c2hvcnQ=")}, "GTGATEWAY_ALARM_WEBHOOK_SECRET"),
        ({"alarm_webhook_secret": None}, "GTGATEWAY_ALARM_WEBHOOK_SECRET"),
    ],
)
def test_an_alarm_webhook_that_cannot_be_used_is_refused(wrong: dict[str, Any], variable: str) -> None:
    good = Settings(
        store="sqlite:///:memory:", alarm_webhook="https://a.example", alarm_webhook_secret=SecretStr(SECRET)
    )
    with pytest.raises(ConfigurationError, match=f" {variable}: ") as caught:
        gateway_from(good.model_copy(update=wrong), development=True)
    assert "c2hvcnQ" not in str(caught.value)


def test_a_secret_never_shows() -> None:
    assert SECRET not in repr(hook(Receiver(), Feed.RECORDS))
