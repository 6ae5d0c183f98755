"""The world of a fault run: gateways and delivery workers as processes that are killed, and peers that misbehave."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from gtgateway.peers import Behaviour, Peer
from gtgateway.samples import GP, ODENSE, OUH, sample_directory

#: How often a peer does what, for each try by itself.
BEHAVIOURS = {
    Behaviour.OK: 58,
    Behaviour.NEGATIVE: 3,
    Behaviour.LATE: 8,
    Behaviour.TWICE: 5,
    Behaviour.NEVER: 2,
    Behaviour.ERROR: 8,
    Behaviour.BUSY: 3,
    Behaviour.DENIED: 1,
    Behaviour.CUT_AFTER: 5,
    Behaviour.TRICKLE: 2,
}
#: How often it hangs up on a request before it has read the message.
HANGS_UP = 0.05
HOSPITAL, MUNICIPALITY, PRACTICE = "ouh-rehabilitering", "nyborg-kommune", "laegehuset-odense-midtby"
#: Organisation -> its location number, for its receipts.
GLNS = {HOSPITAL: "5790999300025", MUNICIPALITY: "5790999104500", PRACTICE: GP.gln or ""}
#: The municipality that fetches from its feed.
PULLER = "odense-kommune"
#: The figures that take half an hour in earnest. Nothing else differs from an installation.
SETTINGS = {
    "GTGATEWAY_DELIVERY_RETRY_FIRST": "0.2",
    "GTGATEWAY_DELIVERY_RETRY_LONGEST": "2",
    "GTGATEWAY_DELIVERY_RECEIPT_WAIT": "4",
    "GTGATEWAY_DELIVERY_LEASE": "3",
    "GTGATEWAY_WORKERS": "0",
}


def misbehaving_peers(seed: int) -> dict[str, Peer]:
    """Organisation -> peer. What one does is drawn, the same for the same seed and the same try or request."""

    def peer(name: str) -> Peer:
        def behave(message_id: str, before: int) -> Behaviour:
            chance = random.Random(f"{seed}/{name}/{message_id}/{before}")
            return chance.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()))[0]

        return Peer(name, behave, lambda before: random.Random(f"{seed}/{name}/{before}").random() < HANGS_UP)

    return {name: peer(name) for name in (HOSPITAL, MUNICIPALITY, PRACTICE)}


def directory_for(peers: Mapping[str, Peer], folder: Path) -> Path:
    takes = {HOSPITAL: ("fhir", False), MUNICIPALITY: ("ggop", False), PRACTICE: ("xdis91", True)}
    # Odense pulls. A receiver of FHIR messages needs a SOR code, which the sample directory has not for Nyborg.
    changes: dict[str, dict[str, Any]] = {
        name: {"receives": takes[name][0], "vans": takes[name][1], "endpoint": name} for name in peers
    }
    changes[MUNICIPALITY]["sor"] = "9990999104500"
    endpoints = [{"id": name, "url": each.address, "timeout": 3.0} for name, each in peers.items()]
    return sample_directory(folder, changes, endpoints)


def clients_for(folder: Path) -> Path:
    """A clients file; each token is the client's name."""
    clients = {
        "hospital-sends": (OUH.gln, "messages:send"),
        "odense-pulls": (ODENSE.gln, "records:receive"),
        **{name: (gln, "receipts:send") for name, gln in GLNS.items()},
    }
    lines = []
    for name, (gln, scope) in clients.items():
        digest = hashlib.sha256(name.encode()).hexdigest()
        lines += [f'[[client]]\nname = "{name}"\ntoken_sha256 = "{digest}"']
        lines += [f'acts_for = ["gln:{gln}"]\nscopes = ["{scope}"]']
    file = folder / "clients.toml"
    file.write_text("\n".join(lines), "utf-8")
    return file


class Process:
    """One process of ours that can be killed and comes back."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "gtgateway", *arguments]
        self._environment = dict(environment)
        self._log = folder / f"{name}.log"
        self.killed: list[datetime] = []
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """As a power cut would, and again from the start."""
        self._process.kill()
        self.killed.append(datetime.now(UTC))
        self._process.wait()
        self.start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def processes(database: str, directory: Path, clients: Path, folder: Path) -> Iterator[tuple[list[str], list[Process]]]:
    """Two gateways and two delivery workers; the addresses of the gateways and all four."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GTGATEWAY_")}
    environment |= SETTINGS | {
        "GTGATEWAY_STORE": database,
        "GTGATEWAY_DIRECTORY": str(directory),
        "GTGATEWAY_CLIENTS": str(clients),
        "GTGATEWAY_DELIVER": "false",
    }
    ports = [_free_port() for _ in range(2)]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    running = [
        *(Process(f"serve-{port}", ["serve", "--port", str(port)], environment, folder) for port in ports),
        *(Process(f"deliver-{number}", ["deliver"], environment, folder) for number in range(2)),
    ]
    try:
        for address in addresses:
            _wait_until_ready(address, folder)
        yield addresses, running
    finally:
        for each in running:
            each.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(address: str, folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    logs = "\n".join(file.read_text()[-1500:] for file in sorted(folder.glob("*.log")))
    raise RuntimeError(f"the gateway does not start:\n{logs}")


@contextmanager
def killer(running: list[Process], seed: int, pause: tuple[float, float]) -> Iterator[None]:
    """Kills one of the processes after the other, at random, for as long as this lasts."""
    over = threading.Event()
    chance = random.Random(seed)

    def work() -> None:
        while not over.wait(chance.uniform(*pause)):
            chance.choice(running).kill()

    thread = threading.Thread(target=work, name="killer")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
