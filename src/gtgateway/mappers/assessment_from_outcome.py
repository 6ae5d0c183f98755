"""The assessment that `check --json`, `POST /check` and `GET /messages/{id}` show: one object per letter."""

from __future__ import annotations

import re
from typing import Any

from gtgateway.mappers.json_from_model import to_data
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Finding
from gtgateway.model.message import Action, Reading
from gtgateway.model.outcome import LetterOutcome, Outcome
from gtgateway.model.route import RouteEntry

_DECLARED = re.compile(rb"encoding=[\"']([A-Za-z0-9._-]+)[\"']")


def assessments(outcome: Outcome, *, content: bool = True) -> list[dict[str, Any]]:
    """One object per letter, or per plan that a notification corrects; a message with neither gives one object.

    `content` False leaves out the plan, the record and the acknowledgement's body (what the archive shows a sender).
    """
    whole = [finding_data(finding) for finding in outcome.findings]
    letters = (*outcome.letters, *(correction.letter for correction in outcome.corrections))
    if not letters:
        action = Action.RECEIPT if outcome.reading.receipt else None
        return [_assessment(outcome, None, whole, action, content)]
    return [_assessment(outcome, letter, whole, letter.action, content) for letter in letters]


def _assessment(
    outcome: Outcome, letter: LetterOutcome | None, whole: list[dict[str, Any]], action: Action | None, content: bool
) -> dict[str, Any]:
    found = [*whole, *(finding_data(finding) for finding in letter.findings)] if letter else whole
    data: dict[str, Any] = {
        "verdict": letter.verdict if letter else outcome.verdict,
        "format": outcome.reading.format_name,
        "action": action,
        "message": _message(outcome.reading, letter),
        "order": letter.order_id if letter else None,
        "order_basis": letter.order_basis if letter else None,
        "layers": [{"layer": each.layer, "validity": each.validity} for each in letter.layers] if letter else [],
        "findings": found,
    }
    if content:
        data["plan"] = to_data(letter.letter.plan) if letter else None
        data["record"] = to_data(letter.record) if letter else None
    data["deadlines"] = deadlines_data(letter.deadlines) if letter and letter.deadlines else None
    if content and letter and letter.deadlines:
        data["deadlines"]["steps"] = to_data(letter.deadline_steps())
    data["route"] = [route_entry_data(entry) for entry in letter.route.entries] if letter and letter.route else []
    data["quality"] = to_data(letter.quality) if letter else None
    data["acknowledgement"] = _acknowledgement(outcome, content)
    return data


def _message(reading: Reading, letter: LetterOutcome | None) -> dict[str, Any]:
    envelope = reading.envelope
    return {
        "sender": {"gln": envelope.sender.gln if envelope else None},
        "receiver": {"gln": envelope.receiver.gln if envelope else None},
        "message_id": envelope.envelope_id if envelope else None,
        "letter_id": letter.letter.head.letter_id if letter else None,
        "sent_at": envelope.sent_at.aware().isoformat() if envelope and envelope.sent_at else None,
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    """A finding as callers see it."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "layer": finding.layer,
        "path": finding.path,
        "source_path": finding.source_path,
        "line": finding.line,
        "text": {"da": finding.text.da, "en": finding.text.en},
        "basis": finding.basis,
    }


def deadlines_data(deadlines: Deadlines) -> dict[str, Any]:
    """The dates as callers see them."""
    data: dict[str, Any] = to_data(deadlines)
    data["owners"] = [{"kind": owner.kind, "from": owner.since.isoformat()} for owner in deadlines.owners]
    return data


def route_entry_data(entry: RouteEntry) -> dict[str, Any]:
    """One recipient in one role as callers see it."""
    organisation = entry.organisation
    return {
        "role": entry.role,
        "kind": entry.kind,
        "organisation": {"gln": organisation.gln, "code": organisation.code, "name": organisation.name},
        "deliver": entry.deliver,
        "phase": entry.phase,
        "basis": entry.basis,
    }


def _acknowledgement(outcome: Outcome, content: bool) -> dict[str, Any] | None:
    if outcome.acknowledgement is None and outcome.reply.body is None:
        return None
    data: dict[str, Any] = {
        "code": outcome.acknowledgement.code if outcome.acknowledgement else None,
        "media_type": outcome.reply.media_type if outcome.reply.body else None,
    }
    if content:
        data["body"] = decoded(outcome.reply.body) if outcome.reply.body else None
    return data


def decoded(body: bytes) -> str:
    """Our own XML as text: by the encoding that it declares."""
    declared = _DECLARED.search(body[:100])
    return body.decode(declared[1].decode("ascii") if declared else "utf-8")
