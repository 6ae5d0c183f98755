"""Golden samples: what is expected of each case of samples/messages, and the way to write it anew.

A case is a folder with case.toml (title, received_at), message.xml, expected.json (the assessment) and, where the
answer has a body, receipt.xml. After a wanted change: `python tests/update_samples.py`, then read the diff.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import orjson

from gtgateway.bootstrap import tools_from
from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.pipeline import assess
from gtgateway.settings import Settings

MESSAGES = Path(__file__).resolve().parents[1] / "samples" / "messages"
TOOLS = tools_from(Settings())


def cases() -> list[Path]:
    """The folders whose outcome is kept; examples without a case.toml are no cases."""
    return sorted(file.parent for file in MESSAGES.glob("*/case.toml"))


def outcome_files(case: Path) -> dict[str, bytes]:
    """What assessing the message gives, by the name of the file that keeps it."""
    about = tomllib.loads((case / "case.toml").read_text("utf-8"))
    outcome = assess((case / "message.xml").read_bytes(), TOOLS, about["received_at"])
    found = assessments(outcome)
    for each in found:
        each["acknowledgement"].pop("body")
    files = {"expected.json": orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)}
    if outcome.reply.body is not None:
        files["receipt.xml"] = outcome.reply.body
    return files


if __name__ == "__main__":
    for case in cases():
        (case / "receipt.xml").unlink(missing_ok=True)
        for name, content in outcome_files(case).items():
            (case / name).write_bytes(content)
