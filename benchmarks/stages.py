"""What each stage of judging costs, in microseconds of one hot core. `python -m benchmarks.stages` prints it alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import orjson
from fhir.resources.R4B.bundle import Bundle
from lxml import etree

from benchmarks import load
from gtgateway.bootstrap import tools_from
from gtgateway.convert import Target
from gtgateway.data import packaged
from gtgateway.law.governing import govern
from gtgateway.mappers.json_from_model import to_json
from gtgateway.model.message import Format
from gtgateway.model.outcome import Known, LetterOutcome
from gtgateway.model.plan import Level, danish_day
from gtgateway.pipeline import Tools, assess, judge, read
from gtgateway.samples import sample_message
from gtgateway.settings import Settings
from gtgateway.validators.registry import Facts, check_rules

T = TypeVar("T")
RULES = "all rules"


def measure(*, quick: bool) -> dict[str, float]:
    """Median microseconds per message and stage."""
    tools = tools_from(Settings())
    bodies = load.messages(50, "m")
    now = datetime.now(UTC)
    readings = [read(body, tools) for body in bodies]
    letters = [judge(reading, Known(), tools, now).letters[0] for reading in readings]
    records = [letter.record for letter in letters]
    facts = [facts_of(letter, now, tools) for letter in letters]
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    schema = etree.XMLSchema(etree.parse(packaged("xsd", "municipality", "1.0.4", "EMessage.xsd")))
    rounds = 10 if quick else 60
    trace = letters[0].letter.trace
    fhir, fhir_xml = (sample_message(Level.ALMEN, danish_day(now), to) for to in (Target.FHIR, Target.FHIR_XML))
    data = orjson.loads(fhir)
    few = max(rounds // 5, 3)
    return {
        "lxml parse + XSD": per_call(lambda body: schema.validate(etree.fromstring(body, parser)), bodies, rounds),
        "read": per_call(lambda body: read(body, tools), bodies, rounds),
        "judge": per_call(lambda reading: judge(reading, Known(), tools, now), readings, rounds),
        RULES: per_call(lambda each: check_rules(each, trace), facts, rounds),
        "assess": per_call(lambda body: assess(body, tools, now), bodies, rounds),
        "record to JSON": per_call(to_json, records, rounds),
        f"FHIR JSON of {len(fhir)} bytes: orjson": per_call(orjson.loads, [fhir], rounds),
        "  fhir.resources": per_call(Bundle.model_validate_json, [fhir], few),
        "  profiles, fast path": per_call(tools.profiles.accepts, [data], rounds),
        "  profiles, explaining path": per_call(tools.profiles.check, [data], few),
        "  assess FHIR JSON": per_call(lambda body: assess(body, tools, now), [fhir], few),
        "  assess FHIR XML": per_call(lambda body: assess(body, tools, now), [fhir_xml], few),
    }


def facts_of(letter: LetterOutcome, received_at: datetime, tools: Tools) -> Facts:
    """What the rules are given about an assessed letter."""
    plan, route, deadlines = letter.letter.plan, letter.route, letter.deadlines
    assert plan
    assert route
    assert deadlines
    governing = govern(plan, danish_day(received_at), tools.orders)
    id = letter.letter.head.letter_id
    return Facts(plan, governing, received_at, Format.GGOP, route, deadlines, Known(), id, tools.policy)


def report(stages: dict[str, float]) -> None:
    """A line per stage, and the share of all rules together."""
    for name, microseconds in stages.items():
        print(f"{name:<34}{microseconds:>9.0f} µs")
    fast = stages["  profiles, fast path"]
    json_parse = next(value for name, value in stages.items() if name.endswith("orjson"))
    share = fast / stages["  fhir.resources"]
    print(f"profiles, fast path: {fast / json_parse:.1f} × orjson, {share:.2f} × fhir.resources")
    print(f"all rules together are {stages[RULES] / stages['assess']:.0%} of assess")


def per_call(work: Callable[[T], object], inputs: list[T], rounds: int) -> float:
    """Median over the rounds of the mean processor time of one call."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for each in inputs:
            work(each)
        times.append((time.process_time() - began) / len(inputs))
    return sorted(times)[len(times) // 2] * 1e6


if __name__ == "__main__":
    report(measure(quick=True))
