"""Golden samples: what is expected of each case of samples/messages, and the way to write it anew.

A case is a folder with a message (message.xml with a case.toml: title, received_at; or message.json and the same as
message.xml, FHIR, received when it was sent), expected.json (the assessment) and, where the answer has a body,
receipt.xml or receipt.json. After a wanted change: `python tests/update_samples.py`, then read the diff.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from gtgateway.bootstrap import tools_from
from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.model.message import Action, Letter
from gtgateway.model.outcome import Known, Outcome
from gtgateway.pipeline import judge, read
from gtgateway.settings import Settings

MESSAGES = Path(__file__).resolve().parents[1] / "samples" / "messages"
TOOLS = tools_from(Settings())


def cases() -> list[Path]:
    """The folders of all cases."""
    return sorted({file.parent for name in ("case.toml", "message.json") for file in MESSAGES.glob(f"*/{name}")})


def outcome_of(message: Path) -> Outcome:
    """The message judged when it was received; a correction or withdrawal with its plan known."""
    reading = read(message.read_bytes(), TOOLS)
    about = message.parent / "case.toml"
    if about.exists():
        received_at = tomllib.loads(about.read_text("utf-8"))["received_at"]
    else:
        assert reading.fhir is not None
        assert reading.fhir.occurred_at is not None
        received_at = datetime.fromisoformat(reading.fhir.occurred_at)
    known = Known()
    for letter in reading.letters:
        if letter.action in (Action.CORRECTION, Action.WITHDRAWAL):
            known = _known_of(letter)
    return judge(reading, known, TOOLS, received_at)


def _known_of(letter: Letter) -> Known:
    """What the archive knows of a plan whose first version is another case."""
    letter_id = letter.head.letter_id
    messages = (read(file.read_bytes(), TOOLS) for file in sorted(MESSAGES.glob("*/message.json")))
    (first,) = (
        each.plan
        for reading in messages
        for each in reading.letters
        if each.head.letter_id == letter_id and each.action is Action.NEW and each.plan
    )
    changed = letter.plan and letter.plan.discharged_on != first.discharged_on
    return Known(
        stored_plans={letter_id: 1},
        corrected_from={letter_id: first.discharged_on} if changed and first.discharged_on else {},
    )


def expected_of(outcome: Outcome) -> list[dict[str, Any]]:
    """The assessment without the answer, which stands beside it."""
    found = assessments(outcome)
    for each in found:
        each["acknowledgement"].pop("body")
    return found


def outcome_files(case: Path) -> dict[str, bytes]:
    """What assessing the message gives, by the name of the file that keeps it."""
    message = case / "message.json"
    outcome = outcome_of(message if message.exists() else case / "message.xml")
    indented = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    files = {"expected.json": orjson.dumps(expected_of(outcome), option=indented)}
    body = outcome.reply.body
    if body is not None and message.exists():
        files["receipt.json"] = orjson.dumps(orjson.loads(body), option=indented)
    elif body is not None:
        files["receipt.xml"] = body
    return files


if __name__ == "__main__":
    for case in cases():
        for kept in ("receipt.json", "receipt.xml"):
            (case / kept).unlink(missing_ok=True)
        for name, content in outcome_files(case).items():
            (case / name).write_bytes(content)
