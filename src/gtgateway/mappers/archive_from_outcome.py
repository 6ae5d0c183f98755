"""The documents that the archive keeps as JSON: a record, and the summary that a sender may see."""

from __future__ import annotations

import orjson

from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.mappers.json_from_model import to_json
from gtgateway.model.outcome import Outcome
from gtgateway.model.record import MunicipalRecord


def record_document(record: MunicipalRecord) -> bytes:
    """A record as its recipients see it, without the id that the archive gives it."""
    return to_json(record)


def summary_document(outcome: Outcome) -> bytes:
    """An outcome without plan, record and bodies: the assessments of its letters."""
    return orjson.dumps(assessments(outcome, content=False))
