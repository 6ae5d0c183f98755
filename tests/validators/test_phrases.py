"""What is found in Danish sentences, what is known to be missed, and that no text makes it slow."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gtgateway.validators import phrases
from gtgateway.validators.phrases import DOMAINS, EMPTY, METHOD, NO_HEALTH_REASON, PRIOR, TRANSPORT, UNFILLED, UNNAMED

SENTENCES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text("utf-8"))
FINDS: dict[str, Callable[[str], bool]] = {
    "method": lambda text: METHOD.find(text) is not None,
    "transport": lambda text: TRANSPORT.find(text) is not None,
    "prior": lambda text: PRIOR.find(text) is not None,
    "empty": EMPTY.cover,
    "unnamed": UNNAMED.cover,
}
CASES = [(name, sentence, True) for name in FINDS for sentence in SENTENCES[name]] + [
    (name, sentence, False)
    for name in FINDS
    for sentence in SENTENCES[f"no{'t' if name in ('empty', 'unnamed') else ''}_{name}"]
]


@pytest.mark.parametrize("find, sentence, expected", CASES)
def test_sentence(find: str, sentence: str, expected: bool) -> None:
    assert FINDS[find](sentence) is expected


def test_there_are_enough_sentences() -> None:
    assert len(CASES) + len(SENTENCES["known"]) >= 60


def test_known_weaknesses_are_still_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A weakness that has gone belongs among the sentences that are right."""
    counted: Counter[str] = Counter()
    for known in SENTENCES["known"]:
        found = FINDS[known["find"]](known["sentence"])
        assert found is (known["kind"] == "false_hit"), known["sentence"]
        counted[known["kind"]] += 1
    with capsys.disabled():
        print(f"\nsentences: {len(CASES)} right, {counted['false_hit']} false hits, {counted['missed']} missed")


def test_the_words_found_are_returned() -> None:
    assert METHOD.find("Nedsat styrke. Træning 2 gange om ugen.") == "2 gange om ugen"
    assert TRANSPORT.find("Kan selv gå. Skal have KØRSEL.") == "kørsel"


def test_an_excuse_counts_in_its_own_sentence_only() -> None:
    assert METHOD.find("Må ikke løfte. Holdtræning anbefales.") == "holdtræning"
    assert METHOD.find("Må ikke løfte\nholdtræning") == "holdtræning"
    assert METHOD.find("Må ikke gå på holdtræning pr. dag.") is None


@pytest.mark.parametrize(
    "reason, expected",
    [
        ("Patienten skal på ferie", True),
        ("patienten ønsker selv at vente", True),
        ("manglende kapacitet i kommunen", True),
        ("sårheling", False),
        ("kan endnu ikke rejse sig", False),
    ],
)
def test_no_health_reason(reason: str, expected: bool) -> None:
    assert (NO_HEALTH_REASON.find(reason) is not None) is expected


def test_the_headings_of_the_form_are_not_a_description() -> None:
    form = "8a. Kroppens funktioner og anatomi\n- Mentale funktioner\n- Sanser og smerter\n8c. Omgivelsesfaktorer"
    assert UNFILLED.cover(form)
    assert not UNFILLED.cover(form + "\n- nedsat følesans i foden")
    assert not EMPTY.cover(form)


@pytest.mark.parametrize(
    "name, text",
    [
        ("body", "Smerter i højre skulder."),
        ("activity", "Forflytter sig med hjælp af en person."),
        ("participation", "Vil gerne tilbage til sit arbejde som tømrer."),
    ],
)
def test_each_part_of_functional_ability_is_recognised_alone(name: str, text: str) -> None:
    assert {each for each, cues in DOMAINS.items() if cues.find(text)} == {name}


def test_every_list_has_a_reason_and_no_phrase_stands_twice() -> None:
    data = tomllib.loads(Path(phrases.__file__).with_name("phrases.toml").read_text("utf-8"))
    for name, rows in data.items():
        assert all(row["why"] for row in rows), name
        said = [each for row in rows for each in row.get("phrases", [])]
        assert len(said) == len(set(said)), (name, [each for each, count in Counter(said).items() if count > 1])


HOSTILE = {
    "one word": "træning" * 40_000,
    "spaces": "2" + " " * 300_000 + "gange om ugen",
    "full stops": ". " * 150_000,
    "numbers": "2-" * 150_000,
    "empty phrases": "se epikrise se " * 20_000,
    "excused": "Må ikke træne 2 gange om ugen, i 6 uger, pr. uge, " * 6_000,
    "sentences": "Må ikke træne 2 gange om ugen. " * 10_000,
    "weekly": "træning ugentli " * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_it_slow(text: str) -> None:
    started = time.process_time()
    for cues in (METHOD, TRANSPORT, PRIOR, *DOMAINS.values()):
        cues.find(text)
    for listed in (EMPTY, UNFILLED, UNNAMED):
        listed.cover(text)
    # linear work on 300 kB takes some hundredths of a second; anything quadratic takes minutes
    assert time.process_time() - started < 3
