"""`make bench`: the gateway against the floor and the afternoon version, in one run, as ratios.

The three are started one after another, several times, on an empty archive each; the load is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import load, stages
from gtgateway.samples import OUH

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that can be measured."""

    name: str
    command: tuple[str, ...]


def uvicorn(app: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uvicorn", app, "--log-level", "warning", "--no-access-log", "--port", "{port}")


SUBJECTS = (
    Subject("floor", uvicorn("benchmarks.floor.app:app")),
    Subject("afternoon", uvicorn("benchmarks.peers.afternoon.app:app")),
    Subject("gateway", (sys.executable, "-m", "gtgateway", "serve", "--dev", "--port", "{port}")),
)


@contextmanager
def running(subject: Subject) -> Iterator[tuple[int, int]]:
    """The server on an empty archive; gives its port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "bench.db")
        environment = {**os.environ, "BENCH_STORE": store}
        if subject.name == "gateway":
            environment["GTGATEWAY_STORE"] = f"sqlite:///{store}"
        command = [part.format(port=port) for part in subject.command]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_it_answers(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError("the server ended at once")
        try:
            httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server does not answer")


def cpu_seconds(process: int) -> float:
    """Processor time that a process has used so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an honest small version, under 45 seconds")
    options = parser.parse_args()
    rounds, count, connections = (1, 600, 16) if options.quick else (3, 4000, 16)
    rates: dict[str, list[float]] = {subject.name: [] for subject in SUBJECTS}
    tails: dict[str, list[load.Figures]] = {subject.name: [] for subject in SUBJECTS}
    cpu: dict[str, list[float]] = {subject.name: [] for subject in SUBJECTS}
    for round_ in range(rounds):
        for subject in SUBJECTS:
            share = count if subject.name != "afternoon" else max(count // 8, 200)
            bodies = load.messages(share + 200, str(round_))
            with running(subject) as (port, process):
                load.run(port, f"dev:{OUH.gln}", bodies[:200], connections)
                used = cpu_seconds(process)
                figures = load.run(port, f"dev:{OUH.gln}", bodies[200:], connections)
                spent = cpu_seconds(process) - used
            if set(figures.statuses) != {201}:
                raise SystemExit(f"{subject.name} answered {figures.statuses}")
            rates[subject.name].append(figures.rate)
            tails[subject.name].append(figures)
            cpu[subject.name].append(spent / share * 1000)
    report(rates, tails, cpu, rounds, count, connections, quick=options.quick)


def report(
    rates: dict[str, list[float]],
    tails: dict[str, list[load.Figures]],
    cpu: dict[str, list[float]],
    rounds: int,
    count: int,
    connections: int,
    *,
    quick: bool,
) -> None:
    middle = {name: statistics.median(values) for name, values in rates.items()}
    size = len(load.messages(1, "s")[0])
    print(f"GGOP XML of {size} bytes, {connections} connections, {rounds} × {count} messages, one process each")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print(f"{'':<12}{'msg/s':>9}{'spread':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU-s/1000':>12}")
    for name, values in rates.items():
        spread = (max(values) - min(values)) / middle[name] if len(values) > 1 else 0.0
        p50 = statistics.median(each.p50 for each in tails[name])
        p99 = statistics.median(each.p99 for each in tails[name])
        spent = statistics.median(cpu[name])
        print(f"{name:<12}{middle[name]:>9.0f}{spread:>8.0%} {p50:>9.1f}{p99:>9.1f}{spent:>12.2f}")
    ratios = {
        "gateway/floor": middle["gateway"] / middle["floor"],
        "gateway/afternoon": middle["gateway"] / middle["afternoon"],
    }
    assessed = stages.measure(quick=quick)
    print(
        f"\ngateway is {ratios['gateway/floor']:.0%} of the floor"
        f" and {ratios['gateway/afternoon']:.1f} × the afternoon version"
    )
    stages.report(assessed)
    ratios["rules/assess"] = assessed[stages.RULES] / assessed["assess"]
    ratios["assess/parse+xsd"] = assessed["assess"] / assessed["lxml parse + XSD"]
    print(f"assess is {ratios['assess/parse+xsd']:.1f} × lxml parse + XSD")
    print(json.dumps({"rates": middle, "ratios": ratios, "microseconds": assessed}))


if __name__ == "__main__":
    main()
