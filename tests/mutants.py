"""Random small changes to FHIR messages: what leaves, what doubles, what turns into something else."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

Json = dict[str, Any]

JUNK: list[Any] = [
    *(None, "", [], {}, 0, -1, 1.5, True, False, "x", "2026-02-30", "  ", "#a", "urn:uuid:1", "a b", "\x00", 10**20),
    *(["x"], [None], [{}], [["x"]], {"a": 1}, {"id": "a"}, {"extension": []}, {"coding": []}),
    *({"coding": [{"system": []}]}, {"reference": 5}, {"reference": "#x"}, {"reference": "Patient/404"}),
    {"extension": [{"url": "http://example.test/unknown", "valueString": "a"}]},
]
NAMES = ["foo", "extension", "modifierExtension", "id", "contained", "valueString", "valueCode", "text", "status"]


def mutant(message: Json, random: Random, changes: int = 1) -> Json:
    """A copy of a message with some random changes."""
    made = copy.deepcopy(message)
    for _ in range(changes):
        _change(made, random)
    return made


def _change(message: Json, random: Random) -> None:
    places = _places(message)
    if not places:
        return
    holder, key = random.choice(places)
    kind = random.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = copy.deepcopy(random.choice(JUNK))
    elif kind == 2 and isinstance(holder, dict):
        name = f"_{key}" if random.random() < 0.7 else random.choice(NAMES)
        holder[name] = copy.deepcopy(random.choice(JUNK))
    elif kind == 3:
        other, place = random.choice(places)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 4 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif kind == 5 and isinstance(holder[key], str):
        text = holder[key]
        holder[key] = random.choice([text + "x", text[:-1], text.upper(), " " + text, text[::-1]])
    elif kind == 6 and isinstance(holder, list):
        random.shuffle(holder)
    elif kind == 7 and isinstance(holder, dict):
        name = random.choice(list(holder))
        holder[name] = holder.pop(key)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a message, as its holder and the key or index in it."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    places = [(value, key) for key, _ in items]
    for _, item in items:
        places += _places(item)
    return places
