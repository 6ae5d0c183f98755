"""The adapter to a FHIR validator elsewhere: what it says becomes a layer; when it is silent, the layer is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from gtgateway.model.findings import Layer, LayerResult, Severity, Validity
from gtgateway.validators.structure.external import ExternalValidator

Json = dict[str, Any]
PATIENT: Json = {"resourceType": "Patient", "id": "p"}
Handler = Callable[[httpx.Request], httpx.Response]


def outcome(*issues: Json) -> Json:
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def ask(handler: Handler, times: int = 1, clock: Callable[[], float] = lambda: 0.0) -> list[LayerResult]:
    async def run() -> list[LayerResult]:
        validator = ExternalValidator(
            "https://fhir.example.test/r4", transport=httpx.MockTransport(handler), clock=clock
        )
        answers = [await validator.validate(PATIENT) for _ in range(times)]
        await validator.close()
        return answers

    return asyncio.run(run())


def test_what_is_asked_and_what_its_issues_become() -> None:
    asked: list[httpx.Request] = []
    issues = [
        {
            "severity": "error",
            "code": "invalid",
            "diagnostics": "Bad CPR 2512489996",
            "expression": ["Patient.identifier[0]"],
        },
        {"severity": "warning", "details": {"text": "Odd"}, "location": ["Patient.name"]},
        {"severity": "information", "code": "informational"},
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=outcome(*issues))

    (result,) = ask(handler)
    assert str(asked[0].url) == "https://fhir.example.test/r4/Patient/$validate"
    assert asked[0].headers["Content-Type"] == "application/fhir+json"
    assert orjson.loads(asked[0].content) == PATIENT
    assert (result.layer, result.validity) == (Layer.EXTERNAL, Validity.INVALID)
    error, warning, information = result.findings
    assert (error.rule, error.severity, error.source_path) == ("GOP-FHIR-26", Severity.ERROR, "Patient.identifier[0]")
    assert error.text.en == "The external validator reports an error: Bad CPR ••••••-••••"
    assert (warning.rule, warning.source_path) == ("GOP-FHIR-27", "Patient.name")
    assert warning.text.da == "Den eksterne validator advarer: Odd"
    assert (information.rule, information.source_path) == ("GOP-FHIR-28", None)


def test_an_invalid_resource_may_come_with_another_status() -> None:
    (result,) = ask(lambda _: httpx.Response(422, json=outcome({"severity": "fatal", "code": "structure"})))
    assert result.validity is Validity.INVALID
    (result,) = ask(lambda _: httpx.Response(200, json=outcome()))
    assert result == LayerResult(Layer.EXTERNAL, Validity.VALID)


def _timeout(_request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late")


@pytest.mark.parametrize(
    "handler",
    [
        _timeout,
        lambda _: httpx.Response(503, text="no"),
        lambda _: httpx.Response(500, json=outcome()),
        lambda _: httpx.Response(200, json={"resourceType": "Patient"}),
        lambda _: httpx.Response(200, json=[]),
    ],
)
def test_no_answer_is_a_skipped_layer(handler: Handler) -> None:
    assert ask(handler) == [LayerResult(Layer.EXTERNAL, Validity.SKIPPED)]


def test_after_three_failures_it_is_left_in_peace_for_a_minute() -> None:
    calls = 0
    now = 0.0

    def handler(_request: httpx.Request) -> httpx.Response:
        nonlocal calls, now
        calls += 1
        if calls <= 3:
            raise httpx.ConnectError("away")
        return httpx.Response(200, json=outcome())

    def clock() -> float:
        nonlocal now
        now += 5.0  # read once or twice a call
        return now

    results = ask(handler, 25, clock)
    assert [result.validity for result in results[:3]] == [Validity.SKIPPED] * 3
    assert results[3].validity is Validity.SKIPPED
    assert results[-1].validity is Validity.VALID
    assert calls < 25 - 8  # some minute passed without a call
