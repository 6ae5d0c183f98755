"""What each stage of judging costs, in microseconds of one hot core."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from gtgateway.mappers.json_from_model import to_json
from lxml import etree

from benchmarks import load
from gtgateway.bootstrap import tools_from
from gtgateway.data import packaged
from gtgateway.model.outcome import Known
from gtgateway.pipeline import assess, judge, read
from gtgateway.settings import Settings

T = TypeVar("T")


def measure(*, quick: bool) -> dict[str, float]:
    """Median microseconds per message and stage."""
    tools = tools_from(Settings())
    bodies = load.messages(50, "m")
    now = datetime.now(UTC)
    readings = [read(body, tools) for body in bodies]
    records = [judge(reading, Known(), tools, now).letters[0].record for reading in readings]
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    schema = etree.XMLSchema(etree.parse(packaged("xsd", "municipality", "1.0.4", "EMessage.xsd")))
    rounds = 10 if quick else 60
    return {
        "lxml parse + XSD": per_call(lambda body: schema.validate(etree.fromstring(body, parser)), bodies, rounds),
        "read": per_call(lambda body: read(body, tools), bodies, rounds),
        "judge": per_call(lambda reading: judge(reading, Known(), tools, now), readings, rounds),
        "assess": per_call(lambda body: assess(body, tools, now), bodies, rounds),
        "record to JSON": per_call(to_json, records, rounds),
    }


def per_call(work: Callable[[T], object], inputs: list[T], rounds: int) -> float:
    """Median over the rounds of the mean time of one call."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        for each in inputs:
            work(each)
        times.append((time.perf_counter() - began) / len(inputs))
    return sorted(times)[len(times) // 2] * 1e6
