"""What an answer to one of our messages means: one table, and the receipt in the answer where there is one.

A receipt of ours decides, whatever the status. Otherwise the trouble or the HTTP status does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gtgateway.model.delivery import Answer, Conclusion, Outgoing, Trouble
from gtgateway.model.message import OriginalRef
from gtgateway.model.reasons import REASONS, refusal_reason
from gtgateway.parsers.detect import NS_FHIR
from gtgateway.parsers.envelope import read_envelope
from gtgateway.parsers.fhir import items, obj, string, words_of
from gtgateway.parsers.fhir_codec import from_xml
from gtgateway.parsers.fhir_json import parse_json
from gtgateway.parsers.hardened import Limits, parse_xml
from gtgateway.parsers.medcom_xml import namespace_of
from gtgateway.parsers.refusals import refusal_text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one try came to."""

    conclusion: Conclusion
    reason: str  #: code, as `model/reasons.py` has it
    detail: str | None = None  #: at most 500 characters that the peer wrote for people


#: Without a proper HTTP answer. Nothing of the message was taken, or nobody knows.
TROUBLES: Mapping[Trouble, Conclusion] = {
    Trouble.NO_CONNECTION: Conclusion.TRANSIENT,
    Trouble.NAME: Conclusion.ENDPOINT,
    Trouble.CERTIFICATE: Conclusion.ENDPOINT,
    Trouble.FORBIDDEN_ADDRESS: Conclusion.ENDPOINT,
    Trouble.NO_TOKEN: Conclusion.ENDPOINT,
    Trouble.CUT: Conclusion.AMBIGUOUS,
    Trouble.TIMED_OUT: Conclusion.AMBIGUOUS,
    Trouble.TOO_LARGE: Conclusion.AMBIGUOUS,
}

#: Statuses that do not follow their class.
STATUSES: Mapping[int, Conclusion] = {
    **dict.fromkeys((401, 403, 404, 405, 406, 407, 410, 421, 426), Conclusion.ENDPOINT),
    **dict.fromkeys((408, 425, 429), Conclusion.TRANSIENT),
}
#: By the first digit. Another status is no HTTP, and nobody knows what it means.
CLASSES: Mapping[int, Conclusion] = {
    3: Conclusion.ENDPOINT,  # never followed: the address in the directory is wrong
    4: Conclusion.REFUSED,
    5: Conclusion.TRANSIENT,
}
#: "I have it and will answer later", whatever else they say.
LATER = frozenset({202, 204})

#: Receipts and statuses 2xx: reason, what is seen, what it means.
RECEIPTS: Mapping[str, tuple[str, Conclusion]] = {
    "positive_receipt": ("a positive receipt of ours: XCTL03, FHIR `ok`", Conclusion.DELIVERED),
    "negative_receipt": (
        "a negative receipt of ours: XCTL01, XCTL02, NegativeVans, NegativeMessage, FHIR `fatal-error`",
        Conclusion.REFUSED,
    ),
    "transient-error": ("FHIR `transient-error`", Conclusion.TRANSIENT),
    "envelope_receipt": ("PositiveMessage: the VANSEnvelope was carried, the letter not yet answered", Conclusion.SENT),
    "later": ("202 or 204, or another 2xx without a body", Conclusion.SENT),
    "taken": ("2xx, where the receiver's format knows no receipt", Conclusion.DELIVERED),
    "no_receipt": ("2xx with a body that is no receipt, or quotes other ids than ours", Conclusion.AMBIGUOUS),
}

_LIMITS = Limits()
_STATUS_NOTED = "`http_` and the status"


def answers() -> Iterator[tuple[str, Conclusion, str]]:
    """The table for people: what comes, what it means, and which reason is noted."""
    noted = {"negative_receipt": "`capacity`, the receipt's code, else `negative_receipt`", "later": _STATUS_NOTED}
    for reason, (what, conclusion) in RECEIPTS.items():
        yield what, conclusion, noted.get(reason, f"`{reason}`")
    for conclusion in dict.fromkeys(STATUSES.values()):
        yield ", ".join(str(each) for each in STATUSES if STATUSES[each] is conclusion), conclusion, _STATUS_NOTED
    for digit, conclusion in CLASSES.items():
        yield f"any other {digit}xx", conclusion, _STATUS_NOTED
    yield "any other status", Conclusion.AMBIGUOUS, _STATUS_NOTED
    for trouble, conclusion in TROUBLES.items():
        yield REASONS[trouble].en, conclusion, f"`{trouble}`"


def read_receipt_of(answer: Answer) -> OriginalRef | None:
    """The receipt that an answer holds, in any format, bare or in a VANSEnvelope; None when it holds none."""
    return read_envelope(answer.body, _LIMITS).receipt if answer.body else None


def classify(answer: Answer, receipt: OriginalRef | None, outgoing: Outgoing) -> Verdict:
    """What an answer to a message means. A receipt that quotes other ids than the message's is none of ours."""
    if answer.trouble is not None:
        return Verdict(TROUBLES[answer.trouble], str(answer.trouble))
    if receipt is not None and receipt.envelope_id in (outgoing.envelope_id, outgoing.vans_id, outgoing.message_id):
        return _by_receipt(receipt)
    status = answer.status or 0
    if 200 <= status < 300:
        reason = _without_receipt(answer, outgoing)
        return Verdict(RECEIPTS[reason][1], f"http_{status}" if reason == "later" else reason)
    conclusion = STATUSES.get(status) or CLASSES.get(status // 100, Conclusion.AMBIGUOUS)
    return Verdict(conclusion, f"http_{status}", _said(answer) if receipt is None else None)


def _by_receipt(receipt: OriginalRef) -> Verdict:
    if receipt.positive:
        return _of("envelope_receipt" if receipt.vans else "positive_receipt")
    if receipt.transient:
        return _of("transient-error", receipt.refuse_text)
    return Verdict(RECEIPTS["negative_receipt"][1], refusal_reason(receipt), receipt.refuse_text)


def _without_receipt(answer: Answer, outgoing: Outgoing) -> str:
    if not outgoing.receipt_due:
        return "taken"
    return "later" if answer.status in LATER or not answer.body.strip() else "no_receipt"


def _of(reason: str, detail: str | None = None) -> Verdict:
    return Verdict(RECEIPTS[reason][1], reason, detail)


# --- what a peer says for people --------------------------------------------------------------------------------------


def _said(answer: Answer) -> str | None:
    """The text of an OperationOutcome or a problem (RFC 9457); nothing of any other document."""
    if answer.body.lstrip()[:1] == b"{":
        document, _ = parse_json(answer.body)
    else:
        root, _ = parse_xml(answer.body, _LIMITS)
        document = from_xml(root) if root is not None and namespace_of(root) == NS_FHIR else None
    return refusal_text(_texts(document)) if document else None


def _texts(document: Mapping[str, Any]) -> Iterator[str | None]:
    if document.get("resourceType") == "OperationOutcome":
        for issue in items(document.get("issue")):
            yield words_of(obj(issue).get("details"))
            yield string(obj(issue).get("diagnostics"))
    elif "resourceType" not in document:
        yield string(document.get("detail")) or string(document.get("title"))
