"""The machine quality score: one point for each thing that a good plan holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gtgateway.model.message import Format, Trace
from gtgateway.model.outcome import QualityHints
from gtgateway.validators.quality import quality
from gtgateway.validators.registry import Facts, check_rules

FactsOf = Callable[..., Facts]

FULL = (
    "Nedsat styrke i højre ben efter fald i hjemmet. Går 50 m med albuestok, går på trapper med støtte af gelænder og "
    "en person. "
    "Var før indlæggelsen selvhjulpen og på arbejde som tømrer."
)


def hints(facts_of: FactsOf, case: dict[str, Any]) -> QualityHints:
    """What `quality` says of the lawful plan with a full description, changed as a case says."""
    case = {**case, "set": {"plan.function_at_discharge": FULL, **case.get("set", {})}}
    facts = facts_of("BEK-918-2018", Format.GGOP, case)
    return quality(facts.plan, check_rules(facts, Trace()))


def test_a_good_plan_has_ten_points(facts_of: FactsOf) -> None:
    assert hints(facts_of, {}) == QualityHints(10)


@pytest.mark.parametrize(
    "case, missing",
    [
        (
            {"set": {"plan.function_at_discharge": "Nedsat styrke, går 50 m. Tidligere rask, i arbejde."}},
            "fyldig beskrivelse af funktionsevnen",
        ),
        (
            {"set": {"plan.rehabilitation_need": "Behov for genoptræning"}},
            "funktionsevnenedsættelser, som træningen skal rette sig imod",
        ),
        ({"clear": ["plan.patient_safety"]}, "restriktioner"),
        ({"set": {"plan.start_deadline.text": "hurtigst muligt"}}, "læsbar frist"),
        ({"clear": ["plan.diagnoses"]}, "hoveddiagnose"),
        ({"clear": ["plan.contact_region"]}, "kontaktoplysninger"),
        ({"set": {"plan.contact_municipality": {"name": "Nyborg Kommune", "telephone": "1"}}}, "kontaktoplysninger"),
        ({"set": {"plan.function_at_discharge": FULL.replace("Var før indlæggelsen", "Er")}}, "vanlig funktionsevne"),
        (
            {"set": {"plan.function_at_discharge": FULL.replace(" og på arbejde som tømrer", "")}},
            "krop, aktivitet og deltagelse",
        ),
    ],
)
def test_what_is_missing_is_named(case: dict[str, Any], missing: str, facts_of: FactsOf) -> None:
    assert hints(facts_of, case) == QualityHints(9, (missing,))


def test_restrictions_may_stand_in_the_need(facts_of: FactsOf) -> None:
    case = {
        "clear": ["plan.patient_safety"],
        "set": {"plan.rehabilitation_need": "Nedsat gang. Må ikke løfte over 5 kg."},
    }
    assert hints(facts_of, case).score == 10


def test_empty_phrases_give_no_points(facts_of: FactsOf) -> None:
    case = {"set": {"plan.function_at_discharge": "se epikrise", "plan.rehabilitation_need": "Genoptræning anbefales"}}
    assert hints(facts_of, case) == QualityHints(
        4,
        (
            "funktionsevne",
            "fyldig beskrivelse af funktionsevnen",
            "genoptræningsbehov",
            "funktionsevnenedsættelser, som træningen skal rette sig imod",
            "krop, aktivitet og deltagelse",
            "vanlig funktionsevne",
        ),
    )
