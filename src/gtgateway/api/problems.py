"""Problems for people and programs: `application/problem+json` (RFC 9457) with a stable `type`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gtgateway.acknowledgements.as_fhir import issue_of
from gtgateway.mappers.assessment_from_outcome import finding_data
from gtgateway.model.findings import Bilingual, Finding

MEDIA_TYPE = "application/problem+json"
#: Stable prefix of every problem type.
TYPES = "https://gtgateway.example/problems/"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem, declared once. Its page is docs/reference/problems.md."""

    name: str
    status: int
    title: Bilingual


UNIDENTIFIED = Problem(
    "unidentified",
    401,
    Bilingual("Kalderen er ikke kendt; send et gyldigt token.", "The caller is not known; send a valid token."),
)
SCOPE_MISSING = Problem(
    "scope-missing",
    403,
    Bilingual("Klienten har ikke adgang til dette kald.", "The client does not have the scope for this call."),
)
SENDER_NOT_YOURS = Problem(
    "sender-not-yours",
    403,
    Bilingual(
        "Klienten sender ikke på vegne af meddelelsens afsender; intet er modtaget.",
        "The client does not act for the sender of the message; nothing was received.",
    ),
)
NOT_FOUND = Problem("not-found", 404, Bilingual("Findes ikke.", "There is no such object."))
NOT_ALLOWED_METHOD = Problem("method-not-allowed", 405, Bilingual("Metoden findes ikke her.", "No such method here."))
NOT_ACCEPTABLE = Problem(
    "not-acceptable",
    406,
    Bilingual("Posten findes ikke i det format.", "The record does not exist in that format."),
)
TOO_LARGE = Problem(
    "too-large",
    413,
    Bilingual(
        "Meddelelsen er for stor; grænsen er {limit} byte.", "The message is too large; the limit is {limit} bytes."
    ),
)
UNREADABLE = Problem(
    "unreadable",
    400,
    Bilingual("Meddelelsen kan ikke læses; intet er modtaget.", "The message cannot be read; nothing was received."),
)
NO_ASYNC = Problem(
    "no-async",
    501,
    Bilingual(
        "Svar gives kun samtidig; kald uden async=true.", "Answers are synchronous only; call without async=true."
    ),
)
BAD_REQUEST = Problem("bad-request", 400, Bilingual("Kaldet er forkert: {reason}.", "The call is wrong: {reason}."))
UNSUPPORTED_FORMAT = Problem(
    "unsupported-format",
    415,
    Bilingual(
        "Formatet kendes ikke; send MedCom XML (GGOP), klinisk e-mail med en plan eller en VANSEnvelope.",
        "The format is not known; send MedCom XML (GGOP), a clinical e-mail with a plan or a VANSEnvelope.",
    ),
)
CANNOT_CONVERT = Problem(
    "cannot-convert",
    422,
    Bilingual("Meddelelsen kan ikke omdannes til {to}.", "The message cannot be converted to {to}."),
)
NO_KL_REPORT = Problem(
    "no-kl-report",
    422,
    Bilingual("Indberetningen kan ikke dannes: {da}.", "The report cannot be made: {en}."),
)
EVENT_KIND_NOT_TAKEN = Problem(
    "event-kind-not-taken",
    422,
    Bilingual(
        "Hændelser af den art modtages ikke her endnu; de mulige er {kinds}.",
        "Events of that kind are not taken here yet; the possible ones are {kinds}.",
    ),
)
EVENT_NOT_YOURS = Problem(
    "event-not-yours",
    403,
    Bilingual("Klienten kan ikke melde denne hændelse for den organisation.", "The client may not post this event."),
)
EVENT_ID_USED = Problem(
    "event-id-used",
    409,
    Bilingual(
        "En anden hændelse har dette id; en ny hændelse skal have et nyt.",
        "Another event has this id; a new event needs a new one.",
    ),
)
EVENT_FORBIDDEN = Problem(
    "event-forbidden",
    409,
    Bilingual("Reglerne tillader ikke hændelsen.", "The order does not allow the event."),
)
RECORD_CHANGED = Problem(
    "record-changed",
    412,
    Bilingual("Posten er ændret siden; hent den igen.", "The record has changed since; fetch it again."),
)
PLAN_WITHDRAWN = Problem(
    "plan-withdrawn",
    409,
    Bilingual("Planen er trukket tilbage.", "The plan was withdrawn."),
)
NO_HOSPITAL = Problem(
    "no-hospital",
    422,
    Bilingual(
        "Det angivne er ikke et kendt sygehus, eller planen går ikke til et sygehus.",
        "What is named is no known hospital, or the plan goes to no hospital.",
    ),
)
NOT_AS_EXPECTED = Problem(
    "not-as-expected",
    409,
    Bilingual(
        "Filteret omfatter et andet antal leveringer: {matching}; intet er gjort.",
        "The filter matches another number of deliveries: {matching}; nothing was done.",
    ),
)
UNAVAILABLE = Problem(
    "unavailable", 503, Bilingual("Prøv igen om lidt; intet er modtaget.", "Try again shortly; nothing was received.")
)
INTERNAL = Problem(
    "internal",
    500,
    Bilingual("Der er en fejl hos os; intet er modtaget.", "There is a fault on our side; nothing was received."),
)

PROBLEMS = tuple(value for value in list(globals().values()) if isinstance(value, Problem))


class ProblemError(Exception):
    """Ends a call with a problem."""

    def __init__(self, problem: Problem, **values: object) -> None:
        self.problem = problem
        self.values = values
        super().__init__(problem.name)


def wants_fhir(request: Request) -> bool:
    """A FHIR call, or a caller that asks for FHIR: its problems are OperationOutcomes."""
    return request.url.path.startswith("/fhir/") or "fhir+" in request.headers.get("accept", "")


def answer(request: Request, problem: Problem, findings: Sequence[Finding] = (), **values: object) -> Response:
    """The problem in the caller's own form."""
    response = problem_response(problem, findings, **values)
    if wants_fhir(request):
        title = problem.title.filled(**values)
        issue = {"severity": "error", "code": "processing", "details": {"text": title.da}, "diagnostics": title.en}
        issues = [issue_of(finding) for finding in findings] or [issue]
        body = orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})
        headers = {
            name: value for name, value in response.headers.items() if name in ("retry-after", "www-authenticate")
        }
        return Response(body, problem.status, headers, "application/fhir+json")
    return response


def problem_response(problem: Problem, findings: Sequence[Finding] = (), **values: object) -> Response:
    """The problem as an answer, with its findings; `503` says when to try again."""
    title = problem.title.filled(**values)
    body: dict[str, Any] = {
        "type": TYPES + problem.name,
        "title": title.en,
        "status": problem.status,
        "text": {"da": title.da, "en": title.en},
    }
    if findings:
        body["findings"] = [finding_data(finding) for finding in findings]
    headers = {"Retry-After": "5"} if problem.status == 503 else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), problem.status, headers, MEDIA_TYPE)
