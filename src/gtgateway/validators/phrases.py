"""What the rules look for in Danish free text. The words and the reason for each are data: `phrases.toml` beside this.

Everything is linear in the length of the text, whatever the text: no pattern can be made to run away.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

_WORD = re.compile(r"[^\W\d_]+")
#: A sentence ends at a new line, at a semicolon, or at a full stop before a capital ("pr. uge" does not end one).
_SENTENCE_END = re.compile(r"[\n;]|(?<=[.!?])\s+(?=[A-ZÆØÅ•*-])")
_NUMBER = r"\d{1,2}|en|én|et|ét|to|tre|fire|fem|seks|syv|otte|ni|ti|elleve|tolv"

Rows = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class _Node:
    """A place in the tree of phrases, one word a step."""

    following: dict[str, _Node] = field(default_factory=dict)
    ends: bool = False


class Phrases:
    """Whole phrases; tells whether a text is made of nothing else."""

    def __init__(self, *rows: Rows) -> None:
        self._start = _Node()
        for row in (each for group in rows for each in group):
            for phrase in row["phrases"]:
                node = self._start
                for word in words(phrase):
                    node = node.following.setdefault(word, _Node())
                node.ends = True

    def cover(self, text: str) -> bool:
        """True when the text holds only these phrases, one or several; digits and punctuation do not count.

        So it is for a text without any letter, an empty one too.
        """
        start = self._start
        reached = [start]
        for match in _WORD.finditer(text):
            word = match.group().casefold()
            reached = [node for at in reached if (node := at.following.get(word)) is not None]
            if not reached:
                return False
            if any(node.ends for node in reached):
                reached.append(start)
        return start in reached


class Cues:
    """Words that tell that a text speaks of something, unless an excuse stands in the same sentence."""

    def __init__(self, rows: Rows, excuses: Rows = ()) -> None:
        self._cues = _compiled(rows)
        self._excuses = _compiled(excuses)

    def find(self, text: str) -> str | None:
        """The words that gave it away, in small letters, or None."""
        found = _first(self._cues, text.lower())
        if not found or not self._excuses:
            return found
        for sentence in _SENTENCE_END.split(text):
            small = sentence.lower()
            if (found := _first(self._cues, small)) and not _first(self._excuses, small):
                return found
        return None


#: A part of a word, and the pattern to try in a text that holds the part: looking for the part is the quick way to no.
_Compiled = tuple[tuple[str, re.Pattern[str]], ...]


def _compiled(rows: Rows) -> _Compiled:
    return tuple(
        (cue, re.compile(rf"\b(?:{row.get('pattern', re.escape(cue)).replace('NUMBER', _NUMBER)})"))
        for row in rows
        for cue in row["cues"]
    )


def _first(cues: _Compiled, small: str) -> str | None:
    for cue, pattern in cues:
        if cue in small and (match := pattern.search(small)):
            return match.group()
    return None


def words(text: str) -> list[str]:
    """The words of a text in one case, without digits and punctuation."""
    return _WORD.findall(text.casefold())


def has_letters(text: str, count: int) -> bool:
    """True when a text holds at least `count` letters."""
    return next(islice(filter(str.isalpha, text), count - 1, None), None) is not None


_DATA = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8"))

EMPTY = Phrases(_DATA["empty"], _DATA["date"])
#: Also the headings and placeholders of the form itself.
UNFILLED = Phrases(_DATA["empty"], _DATA["date"], _DATA["heading"])
#: Also words that ask for training without saying for what.
UNNAMED = Phrases(_DATA["empty"], _DATA["date"], _DATA["heading"], _DATA["unnamed"])
NO_DEADLINE = Phrases(_DATA["no_deadline"])
#: A deadline text of these gives no reason.
WITHOUT_REASON = Phrases(_DATA["no_deadline"], _DATA["date"], _DATA["frame"])
NO_HEALTH_REASON = Cues(_DATA["no_health_reason"])
METHOD = Cues(_DATA["method"], [*_DATA["restriction"], *_DATA["other_amount"]])
RESTRICTION = Cues(_DATA["restriction"])
TRANSPORT = Cues(_DATA["transport"], _DATA["own_transport"])
PRIOR = Cues(_DATA["prior"])
#: Parts of functional ability, in ICF's order.
DOMAINS: Mapping[str, Cues] = {name: Cues(_DATA[name]) for name in ("body", "activity", "participation")}
