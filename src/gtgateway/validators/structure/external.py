"""A FHIR validator elsewhere, as second line: MedCom asks vendors for one built on what HL7 maintains.

The resource is posted to its `$validate` operation (HAPI, Firely, HL7's validator wrapper); what it finds becomes a
layer of its own. When it does not answer, the layer is skipped: a plan never waits longer than the time-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson

from gtgateway.model import faults
from gtgateway.model.findings import Finding, Layer, LayerResult, Validity
from gtgateway.validators.structure.profile.explain import masked

Json = dict[str, Any]

_MEDIA_TYPE = "application/fhir+json"
_FAULTS = {
    "fatal": faults.FHIR_EXTERNAL_ERROR,
    "error": faults.FHIR_EXTERNAL_ERROR,
    "warning": faults.FHIR_EXTERNAL_WARNING,
    "information": faults.FHIR_EXTERNAL_INFORMATION,
}
_SKIPPED = LayerResult(Layer.EXTERNAL, Validity.SKIPPED)
#: Failures in a row after which it is left in peace, and for how many seconds.
_MOST_FAILURES = 3
_PAUSE = 60.0


class ExternalValidator:
    """`url` is the FHIR base of the service, `seconds` how long one answer may take."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=seconds, transport=transport)
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0

    async def validate(self, resource: Json) -> LayerResult:
        """What the service finds; skipped when it does not answer in time, answers nonsense or has failed too often."""
        if self._clock() < self._closed_until:
            return _SKIPPED
        try:
            outcome = await self._ask(resource)
        except (httpx.HTTPError, ValueError, KeyError):
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                self._closed_until = self._clock() + _PAUSE
            return _SKIPPED
        self._failures = 0
        return LayerResult.of(Layer.EXTERNAL, _findings(outcome))

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, resource: Json) -> Json:
        answer = await self._client.post(
            f"{resource['resourceType']}/$validate",
            content=orjson.dumps(resource),
            headers={"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE},
        )
        outcome = orjson.loads(answer.content)
        # Services disagree on the status of an invalid resource; the outcome says it in any case.
        if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome" or answer.is_server_error:
            raise ValueError
        return outcome


def _findings(outcome: Json) -> Iterator[Finding]:
    for issue in outcome.get("issue", ()):
        fault = _FAULTS.get(issue.get("severity"), faults.FHIR_EXTERNAL_ERROR)
        places = issue.get("expression") or issue.get("location") or [""]
        text = issue.get("details", {}).get("text") or issue.get("diagnostics") or issue.get("code", "")
        yield fault.at("", masked(str(places[0])) or None, text=masked(str(text)))
