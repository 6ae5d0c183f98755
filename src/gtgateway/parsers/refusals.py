"""What a recipient writes when it refuses: kept for people, so without what could be a citizen's number, and short."""

from __future__ import annotations

from collections.abc import Iterable

from gtgateway.model.identifiers import NUMBER_IN_TEXT, Cpr

LONGEST = 500


def refusal_text(parts: Iterable[str | None]) -> str | None:
    """The parts on one line, at most 500 characters, citizens' numbers as `••••••-••••`; None when all is empty."""
    said = " ".join(" ".join(filter(None, parts)).split())
    masked = NUMBER_IN_TEXT.sub(Cpr.MASK, said)
    return (masked if len(masked) <= LONGEST else masked[: LONGEST - 1] + "…") or None
