"""Findings: faults in the sender's document, collected and never raised (house rule: say every fault at once)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: How much of the sender's own text a finding may quote (GOP-DATA-04).
QUOTE_LIMIT = 80


class Severity(StrEnum):
    """How a finding counts, in FHIR words. Only `error` rejects."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


class Layer(StrEnum):
    """The step that found it, in running order."""

    ENVELOPE = "envelope"  #: bytes, VANS envelope, Emessage envelope, identity
    STRUCTURE = "structure"  #: schema or profile
    MAPPING = "mapping"  #: codes, numbers and dates that cannot be read
    LAW = "law"  #: the order in force
    ROUTING = "routing"  #: recipients and the directory
    EXTERNAL = "external"  #: a FHIR validator elsewhere; only where one is set up


class Validity(StrEnum):
    """How a layer ended. `skipped` says honestly that it did not run."""

    VALID = "valid"
    INVALID = "invalid"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One sentence in Danish and in English."""

    da: str
    en: str

    def filled(self, **values: object) -> Bilingual:
        """The sentence with its `{placeholders}` filled; each value is cut at `QUOTE_LIMIT` characters.

        A value that is itself bilingual is filled in in each language.
        """
        danish = {
            name: quote(value.da if isinstance(value, Bilingual) else str(value)) for name, value in values.items()
        }
        english = {
            name: quote(value.en if isinstance(value, Bilingual) else str(value)) for name, value in values.items()
        }
        return Bilingual(self.da.format_map(danish), self.en.format_map(english))


def quote(text: str) -> str:
    """`text` on one line, cut to what a finding may quote (GOP-DATA-04)."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTE_LIMIT else line[: QUOTE_LIMIT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or note: which rule, how grave, where in the plan and in the sender's document, and what to do."""

    rule: str  #: stable id, `GOP-<TOPIC>-<NN>`
    severity: Severity
    layer: Layer
    path: str  #: path in the canonical plan, e.g. `level`; for envelope faults the envelope's field
    text: Bilingual
    source_path: str | None = None  #: XPath or FHIRPath in the sender's own document
    line: int | None = None  #: line in the sender's document, 1 = first
    basis: str | None = None  #: the paragraph, in Danish, or the standard


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of technical finding, declared once in `faults.py` (legal rules are declared in `validators/rules`)."""

    rule: str
    severity: Severity
    layer: Layer
    text: Bilingual
    basis: str | None = None
    #: MedCom RefuseCode when this fault refuses a letter (XCTL02, medcom table of RefuseCode)
    refuse_code: str = "ikke_specificeret"

    def at(self, path: str, source_path: str | None = None, line: int | None = None, **values: object) -> Finding:
        """The finding at a place; `values` fill the placeholders of the text."""
        return Finding(
            self.rule, self.severity, self.layer, path, self.text.filled(**values), source_path, line, self.basis
        )


@dataclass(frozen=True, slots=True)
class LayerResult:
    """How one layer ended for one letter, with what it found."""

    layer: Layer
    validity: Validity
    findings: tuple[Finding, ...] = ()

    @staticmethod
    def of(layer: Layer, findings: Iterable[Finding]) -> LayerResult:
        """Invalid when any finding is an error, else valid."""
        found = tuple(findings)
        bad = any(finding.severity is Severity.ERROR for finding in found)
        return LayerResult(layer, Validity.INVALID if bad else Validity.VALID, found)
