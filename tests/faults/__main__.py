"""`make faults`: thousands of plans while gateways and workers are killed and the peers misbehave; then the count.

Judged from the outside: by the answers, by what the peers took, and by what a municipality pulled. It fails when a plan
was lost, reached somebody whom the order does not name, counted twice, or came out of order.
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
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psycopg

from gtgateway.bootstrap import tools_from
from gtgateway.model.outcome import Verdict
from gtgateway.peers import Behaviour, Got, Peer, peers_running
from gtgateway.pipeline import Tools, assess
from gtgateway.settings import Settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "store")]
from servers import databases  # noqa: E402
from traffic import Sending, courses  # noqa: E402
from world import clients_for, directory_for, killer, misbehaving_peers, processes  # noqa: E402

#: Nothing reached the recipient, and that is right: a later version took its place, or it was taken back unsent.
REPLACED = ("cancelled",)


@dataclass
class Run:
    """What the outside sees of a run."""

    answers: dict[int, int] = field(default_factory=dict)  #: number of the sending -> status
    places: dict[int, str] = field(default_factory=dict)
    resent: int = 0
    pulled: Counter[tuple[str, str, int]] = field(default_factory=Counter)  #: record id, change, version
    over: bool = False


async def send_all(run: Run, addresses: list[str], plans: list[tuple[Sending, ...]], senders: int, seed: int) -> None:
    """Every course, its messages in order; a message whose answer got lost is sent again, as it is."""
    waiting = iter(plans)
    numbers = {id(each): number for number, each in enumerate(each for course in plans for each in course)}

    async def sender(index: int) -> None:
        chance = random.Random(f"{seed}/sender/{index}")
        async with httpx.AsyncClient(timeout=20, headers={"Authorization": "Bearer hospital-sends"}) as client:
            for course in waiting:
                for sending in course:
                    number = numbers[id(sending)]
                    answer = await _answered(run, client, addresses, sending, chance)
                    run.answers[number] = answer.status_code
                    if "Location" in answer.headers:
                        run.places[number] = answer.headers["Location"]
                    if answer.status_code not in (200, 201):
                        break

    await asyncio.gather(*(sender(index) for index in range(senders)))


async def _answered(
    run: Run, client: httpx.AsyncClient, addresses: list[str], sending: Sending, chance: random.Random
) -> httpx.Response:
    while True:
        with suppress(httpx.TransportError):
            answer = await client.post(
                f"{chance.choice(addresses)}/messages",
                content=sending.body,
                headers={"Content-Type": sending.media_type},
            )
            if answer.status_code < 500 and answer.status_code != 429:
                return answer
        run.resent += 1
        await asyncio.sleep(0.2)


async def pull(run: Run, addresses: list[str]) -> None:
    """The municipality that fetches, as its record system would: on from the cursor of the last page."""
    cursor: str | None = None
    async with httpx.AsyncClient(timeout=30, headers={"Authorization": "Bearer odense-pulls"}) as client:
        last = False
        while True:
            with suppress(httpx.TransportError):
                parameters = {"wait": "1", "limit": "200", **({"after": cursor} if cursor else {})}
                answer = await client.get(f"{random.choice(addresses)}/records", params=parameters)
                if answer.status_code == 200:
                    page = answer.json()
                    for each in page["records"]:
                        run.pulled[each["record_id"], each["change"], each["version"]] += 1
                    cursor = page["next"]
                    if last and not page["records"]:
                        return
                    last = run.over
                    continue
            await asyncio.sleep(0.1)


async def settle(database: str, minutes: float) -> None:
    """Wait until nothing moves by itself any more."""
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            found = await connection.execute(
                "SELECT count(*) FROM delivery WHERE endpoint IS NOT NULL "
                "AND state IN ('pending', 'claimed', 'inflight', 'sent')"
            )
            ((left,),) = await found.fetchall()
        if not left:
            return
        await asyncio.sleep(0.5)


@dataclass
class Count:
    """What is counted; what stands below `lost` must be 0."""

    accepted: int = 0
    rejected: int = 0
    delivered: int = 0  #: to a lawful recipient, exactly once in effect
    pulled: int = 0
    refused: int = 0
    abandoned: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    retried: int = 0  #: tries beyond the first, all under the same message id
    lost: int = 0
    misrouted: int = 0
    doubled: int = 0
    inversions: int = 0
    unanswered: int = 0
    wrong_verdicts: int = 0
    unsettled: int = 0
    untold: int = 0  #: the gateway says delivered or refused, and the peer knows nothing of it, or the reverse

    @property
    def good(self) -> bool:
        return not any(
            (
                self.lost,
                self.misrouted,
                self.doubled,
                self.inversions,
                self.unanswered,
                self.wrong_verdicts,
                self.unsettled,
                self.untold,
            )
        )


async def judge(
    run: Run, addresses: list[str], plans: list[tuple[Sending, ...]], peers: dict[str, Peer], tools: Tools
) -> Count:
    count = Count()
    taken = {name: _by_version(peer, plans) for name, peer in peers.items()}
    number = -1
    async with httpx.AsyncClient(timeout=30, headers={"Authorization": "Bearer hospital-sends"}) as client:
        for course in plans:
            lawful = _recipients(course[0], tools)
            going_on = True
            for sending in course:
                number += 1
                if not going_on:
                    continue
                status = run.answers.get(number)
                if status is None:
                    count.unanswered += 1
                    going_on = False
                elif status == 422:
                    count.rejected += 1
                    count.wrong_verdicts += sending.lawful
                    going_on = False
                elif status != 201:
                    count.wrong_verdicts += 1
                    going_on = False
                else:
                    count.accepted += 1
                    count.wrong_verdicts += not sending.lawful
                    state = await _message(client, addresses, run.places[number])
                    _count_message(count, run, sending, state, lawful, taken)
            for name in peers.keys() - lawful:
                count.misrouted += len({got.message_id for sending in course for got in taken[name][_key(sending)]})
            count.inversions += sum(_inverted(course, found) for found in taken.values())
    count.misrouted += sum(len(found[_UNKNOWN]) for found in taken.values())
    count.retried = sum(len(peer.got) - len({got.message_id for got in peer.got}) for peer in peers.values())
    return count


def _count_message(
    count: Count,
    run: Run,
    sending: Sending,
    state: dict[str, Any],
    lawful: frozenset[str],
    taken: dict[str, dict[tuple[str, int], list[Got]]],
) -> None:
    """One accepted message: what became of it at each lawful recipient."""
    told = {each["organisation_id"]: each for each in state["deliveries"]}
    count.misrouted += len(told.keys() - lawful)
    for organisation in lawful:
        delivery = told.get(organisation)
        if delivery is None:
            count.lost += 1
            continue
        now = delivery["state"]
        if organisation not in taken:
            _count_pulled(count, run, state, now)
            continue
        tries = taken[organisation][_key(sending)]
        verdicts = {got.behaviour is Behaviour.NEGATIVE for got in tries[:1]}
        messages = {got.message_id for got in tries}
        count.doubled += len(messages) > 1
        if now == "delivered":
            count.delivered += 1
            count.untold += verdicts != {False}
        elif now == "refused":
            count.refused += 1
            count.untold += verdicts != {True}
        elif now == "abandoned":
            count.abandoned[delivery["reason"] or "?"] += 1
            count.lost += not delivery["reason"]
        elif now in REPLACED:
            count.replaced += 1
            count.lost += sending.action == "new" and not state_of_later(delivery)
        else:
            count.unsettled += 1


def state_of_later(delivery: dict[str, Any]) -> bool:
    """Cancelled for a reason that says what took its place."""
    return delivery["reason"] in ("superseded", "never_sent")


def _count_pulled(count: Count, run: Run, state: dict[str, Any], now: str) -> None:
    seen = {record for record, _, _ in run.pulled}
    if now in REPLACED or (now == "delivered" and set(state["record_ids"]) <= seen):
        count.pulled += now == "delivered"
        count.replaced += now in REPLACED
    elif set(state["record_ids"]) <= seen:
        count.untold += 1  # it was fetched, and the gateway does not know
    else:
        count.lost += 1


_UNKNOWN = ("", 0)


def _key(sending: Sending) -> tuple[str, int]:
    return sending.plan.plan_id or "", sending.version


def _by_version(peer: Peer, plans: list[tuple[Sending, ...]]) -> dict[tuple[str, int], list[Got]]:
    """What a peer took, by plan and version; what belongs to none stands under `_UNKNOWN`."""
    by_letter = {letter_id: _key(sending) for course in plans for sending in course for letter_id in sending.letter_ids}
    by_action = {(_key(each)[0], each.action): _key(each) for course in plans for each in course}
    found: dict[tuple[str, int], list[Got]] = defaultdict(list)
    for got in peer.got:
        if got.taken:
            # A forwarded FHIR message names the hospital with the plan's id: it is no longer the sender.
            in_fhir = by_action.get((got.letter_id.rpartition("#")[2], got.action))
            found[in_fhir if got.format == "fhir" and in_fhir else by_letter.get(got.letter_id, _UNKNOWN)].append(got)
    return found


def _inverted(course: tuple[Sending, ...], taken: dict[tuple[str, int], list[Got]]) -> int:
    """How often a version was taken before an earlier one of the same plan."""
    firsts = [min(got.at for got in found) for sending in course if (found := taken[_key(sending)])]
    return sum(later < earlier for earlier, later in pairwise(firsts))


def _recipients(sending: Sending, tools: Tools) -> frozenset[str]:
    """Whom the order names, worked out without the gateways that are tested."""
    outcome = assess(sending.body, tools, datetime.now(UTC))
    if outcome.verdict is not Verdict.ACCEPTED or outcome.letters[0].route is None:
        return frozenset()
    return frozenset(each.id for each in outcome.letters[0].route.recipients)


async def _message(client: httpx.AsyncClient, addresses: list[str], place: str) -> dict[str, Any]:
    while True:
        with suppress(httpx.TransportError):
            answer = await client.get(f"{random.choice(addresses)}{place}")
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        await asyncio.sleep(0.2)


async def play(
    run: Run, addresses: list[str], plans: list[tuple[Sending, ...]], database: str, senders: int, seed: int
) -> asyncio.Task[None]:
    """Send everything; the task that goes on pulling."""
    pulling = asyncio.create_task(pull(run, addresses))
    await send_all(run, addresses, plans, senders, seed)
    return pulling


def faults(plans_count: int, seed: int, pause: tuple[float, float], senders: int) -> tuple[Count, dict[str, Any]]:
    """One run; what was counted, and its figures."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gtgateway-faults-") as made:
        folder = Path(made)
        given = os.environ.pop("GTGATEWAY_TEST_POSTGRES", None)
        with databases(folder / "postgres", given) as server, server.empty() as database:
            return _faults(plans_count, seed, pause, senders, database, folder, began)


def _faults(
    plans_count: int,
    seed: int,
    pause: tuple[float, float],
    senders: int,
    database: str,
    folder: Path,
    began: float,
) -> tuple[Count, dict[str, Any]]:
    peers = misbehaving_peers(seed)
    with peers_running(*peers.values()):
        directory = directory_for(peers, folder)
        tools = tools_from(Settings(directory=directory))
        plans = courses(plans_count, seed, tools.directory)
        run = Run()
        with processes(database, directory, clients_for(folder), folder) as (addresses, running):
            for name, each in peers.items():
                each.receipts_to, each.token = f"{addresses[0]}/receipts", name

            async def whole() -> Count:
                with killer(running, seed, pause):
                    pulling = await play(run, addresses, plans, database, senders, seed)
                    sent = time.monotonic() - began
                    print(f"{len(run.answers)} messages answered after {sent:.0f} s", flush=True)
                await settle(database, minutes=5)
                run.over = True
                await pulling
                await asyncio.sleep(1)
                return await judge(run, addresses, plans, peers, tools)

            count = asyncio.run(whole())
            kills = {each.name.split("-")[0]: 0 for each in running}
            for each in running:
                kills[each.name.split("-")[0]] += each.kills
    behaved = Counter(str(got.behaviour) for peer in peers.values() for got in peer.got)
    figures = {
        "plans": plans_count,
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "killed": kills,
        "sent_again_by_senders": run.resent,
        "peers_behaved": dict(behaved),
        **{name: value for name, value in vars(count).items() if name != "abandoned"},
        "abandoned": dict(count.abandoned),
        "good": count.good,
    }
    return count, figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="an honest small run of at most 45 seconds")
    parser.add_argument("--senders", type=int, default=8)
    stated = parser.parse_args()
    plans, pause = (120, (3.0, 5.0)) if stated.quick else (stated.plans, (4.0, 8.0))
    count, figures = faults(plans, stated.seed, pause, stated.senders)
    for name, value in figures.items():
        print(f"{name:<24} {value}")
    print(json.dumps(figures))
    return 0 if count.good else 1


if __name__ == "__main__":
    raise SystemExit(main())
