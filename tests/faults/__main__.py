"""`make faults`: thousands of plans while gateways and workers are killed and the peers misbehave; then the count.

Judged from the outside: by the answers, by what the peers took, and by what a municipality pulled. It fails when a plan
was lost, reached somebody whom the order does not name, counted twice, or came out of order, and when what was sent
breaks the official definitions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from gtgateway.api.feeds import Feed, position_of
from gtgateway.bootstrap import tools_from
from gtgateway.model.outcome import Verdict
from gtgateway.peers import Peer, peers_running
from gtgateway.pipeline import Tools, assess
from gtgateway.settings import Settings

TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[1] / "shared"
sys.path[:0] = [str(TESTS / "faults"), str(TESTS / "store"), str(TESTS)]
from judging import FAULTS, Count, Evidence, Pulled, judge  # noqa: E402
from servers import databases  # noqa: E402
from traffic import Key, Sending, courses  # noqa: E402
from world import PULLER, Process, clients_for, directory_for, killer, misbehaving_peers, processes  # noqa: E402

from official import Official  # noqa: E402

#: So many messages of a kind go by until one is examined again.
EXAMINED_EVERY = 20


class Run:
    """A run as the clients of the gateways see it, while it goes on."""

    def __init__(self, addresses: Sequence[str], evidence: Evidence) -> None:
        self.addresses = addresses
        self.evidence = evidence
        self.places: dict[Key, str] = {}
        self.resent = 0
        self.over = False


async def send_all(run: Run, senders: int, seed: int) -> None:
    """Every course, its messages in order; a message whose answer got lost is sent again, as it is."""
    waiting = iter(run.evidence.plans)

    async def sender(index: int) -> None:
        chance = random.Random(f"{seed}/sender/{index}")
        async with httpx.AsyncClient(timeout=20, headers={"Authorization": "Bearer hospital-sends"}) as client:
            for course in waiting:
                for sending in course:
                    answer = await _answered(run, client, sending, chance)
                    run.evidence.answers[sending.key] = answer.status_code
                    if answer.status_code != 201:
                        break
                    run.places[sending.key] = answer.headers["Location"]

    await asyncio.gather(*(sender(index) for index in range(senders)))


async def _answered(run: Run, client: httpx.AsyncClient, sending: Sending, chance: random.Random) -> httpx.Response:
    while True:
        with suppress(httpx.TransportError):
            answer = await client.post(
                f"{chance.choice(run.addresses)}/messages",
                content=sending.body,
                headers={"Content-Type": sending.media_type},
            )
            if answer.status_code < 500 and answer.status_code != 429:
                return answer
        run.resent += 1
        await asyncio.sleep(0.2)


async def pull(run: Run) -> None:
    """The municipality that fetches, as its record system would: on from the cursor of the last page."""
    cursor: str | None = None
    last = False
    async with httpx.AsyncClient(timeout=30, headers={"Authorization": "Bearer odense-pulls"}) as client:
        while True:
            with suppress(httpx.TransportError):
                parameters = {"wait": "1", "limit": "200", **({"after": cursor} if cursor else {})}
                answer = await client.get(f"{random.choice(run.addresses)}/records", params=parameters)
                if answer.status_code == 200:
                    page = answer.json()
                    run.evidence.pulled += [_pulled(entry) for entry in page["records"]]
                    cursor = page["next"]
                    if last and not page["records"]:
                        return
                    last = run.over
                    continue
            await asyncio.sleep(0.1)


def _pulled(entry: dict[str, Any]) -> Pulled:
    position = position_of(Feed.RECORDS, entry["position"])
    return Pulled(entry["record_id"], entry["change"], entry["version"], position)


async def settle(database: str, peers: Sequence[Peer], minutes: float) -> None:
    """Wait until nothing moves by itself any more, and no peer has a receipt left to bring."""
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            found = await connection.execute(
                "SELECT count(*) FROM delivery WHERE endpoint IS NOT NULL "
                "AND state IN ('pending', 'claimed', 'inflight', 'sent')"
            )
            ((left,),) = await found.fetchall()
        if not left and not any(each.owes for each in peers):
            return
        await asyncio.sleep(0.5)


def recipients(sending: Sending, tools: Tools) -> frozenset[str]:
    """Whom the order names, worked out without the gateways that are tested."""
    outcome = assess(sending.body, tools, datetime.now(UTC))
    if outcome.verdict is not Verdict.ACCEPTED or outcome.letters[0].route is None:
        return frozenset()
    return frozenset(each.id for each in outcome.letters[0].route.recipients)


async def ask_what_became(run: Run) -> None:
    """What the gateways say of every accepted message."""
    async with httpx.AsyncClient(timeout=30, headers={"Authorization": "Bearer hospital-sends"}) as client:
        for key, place in run.places.items():
            while key not in run.evidence.states:
                with suppress(httpx.TransportError):  # one was killed just now
                    answer = await client.get(f"{random.choice(run.addresses)}{place}")
                    run.evidence.states[key] = answer.raise_for_status().json()


def faults(
    plans_count: int, seed: int, *, pause: tuple[float, float], senders: int = 8
) -> tuple[Count, dict[str, Any]]:
    """One run; what was counted, and its figures. `pause`: seconds between two kills, at least and at most."""
    with tempfile.TemporaryDirectory(prefix="gtgateway-faults-") as made:
        folder = Path(made)
        given = os.environ.get("GTGATEWAY_TEST_POSTGRES")
        with databases(folder / "postgres", given) as server, server.empty() as database:
            return _faults(plans_count, seed, pause, senders, database, folder)


def _faults(
    plans_count: int, seed: int, pause: tuple[float, float], senders: int, database: str, folder: Path
) -> tuple[Count, dict[str, Any]]:
    began = time.monotonic()
    official = Official(SHARED, EXAMINED_EVERY) if (SHARED / "data").is_dir() else None
    if official is None:
        print("../shared is not beside this checkout: what is sent is not examined by the official definitions")
    peers = misbehaving_peers(seed)
    with peers_running(*peers.values()):
        directory = directory_for(peers, folder)
        tools = tools_from(Settings(directory=directory))
        plans = courses(plans_count, seed, tools.directory)
        evidence = Evidence(plans, {each[0].key[0]: recipients(each[0], tools) for each in plans}, puller=PULLER)
        with processes(database, directory, clients_for(folder), folder) as (addresses, running):
            for name, each in peers.items():
                each.receipts_to, each.token = [f"{address}/receipts" for address in addresses], name
                each.examine = official
            run = Run(addresses, evidence)

            async def whole() -> None:
                pulling = asyncio.create_task(pull(run))
                with killer(running, seed, pause):
                    await send_all(run, senders, seed)
                    print(
                        f"{len(evidence.answers)} messages answered after {time.monotonic() - began:.0f} s", flush=True
                    )
                    await settle(database, list(peers.values()), minutes=5)
                run.over = True
                await pulling
                await ask_what_became(run)

            asyncio.run(whole())
        evidence.got = {name: each.got for name, each in peers.items()}
        evidence.hung_up = {name: each.hung_up for name, each in peers.items()}
        evidence.faults = [fault for each in peers.values() for fault in each.faults]
        evidence.worker_killed = [at for each in running if each.name.startswith("deliver") for at in each.killed]
    count = judge(evidence)
    figures = {
        "plans": plans_count,
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "killed": _kills(running),
        "sent_again_by_senders": run.resent,
        "peers_behaved": dict(Counter(str(got.behaviour) for peer in peers.values() for got in peer.got)),
        "hung_up": sum(evidence.hung_up.values()),
        "examined": dict(official.examined) if official else None,
        **{name: value for name, value in asdict(count).items() if name not in ("bad", "complaints")},
        **{name: count.bad[name] for name in FAULTS},
        "good": not count.bad,
    }
    return count, figures


def _kills(running: Sequence[Process]) -> dict[str, int]:
    kills: Counter[str] = Counter()
    for each in running:
        kills[each.name.split("-")[0]] += len(each.killed)
    return dict(kills)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a small run of less than a minute")
    parser.add_argument("--senders", type=int, default=8)
    stated = parser.parse_args()
    plans, pause = (120, (3.0, 5.0)) if stated.quick else (stated.plans, (4.0, 8.0))
    count, figures = faults(plans, stated.seed, pause=pause, senders=stated.senders)
    for name, value in figures.items():
        print(f"{name:<24} {value}")
    print(*count.complaints, sep="\n")
    print(json.dumps(figures))
    return 1 if count.bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
