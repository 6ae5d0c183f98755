"""A load of GGOP messages over keep-alive connections, cheap enough that the server is what is measured."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime, timedelta

from gtgateway.mappers.medcom_xml_from_plan import medcom_xml_from_plan
from gtgateway.model.identifiers import ReplacementNumber
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_plan, sent_at


@dataclass(frozen=True, slots=True)
class Figures:
    """What one load came to. Latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    statuses: dict[int, int]


def messages(count: int, salt: str) -> list[bytes]:
    """Distinct lawful plans. Patients have replacement numbers with letters, never a CPR number; four plans each."""
    day = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    plan = sample_plan(Level.ALMEN, day)
    plan = replaced(
        plan, plan_id="LETTER-ID-HERE", patient=replaced(plan.patient, identifier=ReplacementNumber("PATIENTNUM"))
    )
    body = medcom_xml_from_plan(plan, envelope_id="ENVEL-ID-HERE1", sent_at=sent_at(plan))
    return [
        body.replace(b"LETTER-ID-HERE", f"L{salt}{number:09d}".encode()[:14])
        .replace(b"ENVEL-ID-HERE1", f"E{salt}{number:09d}".encode()[:14])
        .replace(b"PATIENTNUM", f"{day:%d%m%y}{_letters(number // 4)}".encode())
        for number in range(count)
    ]


def _letters(number: int) -> str:
    """Four letters that stand for a number."""
    alphabet = "ABCDEFGHJKLMNPRSTUVWXYZ"
    letters = ""
    for _ in range(4):
        number, rest = divmod(number, len(alphabet))
        letters += alphabet[rest]
    return letters


def run(port: int, token: str, bodies: Sequence[bytes], connections: int) -> Figures:
    """POST every body once over `connections` connections."""
    return asyncio.run(_run(port, token, bodies, connections))


async def _run(port: int, token: str, bodies: Sequence[bytes], connections: int) -> Figures:
    waiting = iter(bodies)
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in waiting:
            began = time.perf_counter()
            writer.write(
                b"POST /messages HTTP/1.1\r\nHost: bench\r\nContent-Type: application/xml\r\n"
                b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), len(body)) + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            if (at := lowered.find(b"content-length:")) >= 0:
                await reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r\n", at)]))
            latencies.append(time.perf_counter() - began)
            status = int(head[9:12])
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    took = time.perf_counter() - began
    milliseconds = [each * 1000 for each in latencies]
    cuts = statistics.quantiles(milliseconds, n=100) if len(milliseconds) > 1 else [milliseconds[0]] * 99
    return Figures(len(bodies) / took, cuts[49], cuts[98], statuses)
