"""What a recipient writes when it refuses: kept for people, so without what could be a citizen's number, and short."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 500

#: Ten digits, or six and four: a CPR number or a replacement for one. A location number has more.
_NUMBER = re.compile(r"(?<![\w-])\d{6}[- ]?[0-9A-Z]{4}(?![\w-])")


def refusal_text(parts: Iterable[str | None]) -> str | None:
    """The parts on one line, at most 500 characters, citizens' numbers as `••••••-••••`; None when all is empty."""
    said = " ".join(" ".join(filter(None, parts)).split())
    masked = _NUMBER.sub("••••••-••••", said)
    return (masked if len(masked) <= LONGEST else masked[: LONGEST - 1] + "…") or None
