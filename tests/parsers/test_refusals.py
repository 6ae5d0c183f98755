"""What a recipient writes when it refuses."""

from __future__ import annotations

import pytest

from gtgateway.parsers.refusals import LONGEST, refusal_text


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), None),
        ((None, " \n "), None),
        (("to\nlinjer ", None, "og\ten"), "to linjer og en"),
        (("251248-9996",), "••••••-••••"),
        (("cpr:2512489996.",), "cpr:••••••-••••."),
        (("251248 9996",), "••••••-••••"),
        (("070392-1VJ4 er ukendt",), "••••••-•••• er ukendt"),
        (("lokationsnummer 5790001354145",), "lokationsnummer 5790001354145"),
        (("1ba302de-629f-5f7f-8da5-35c9872b5acc",), "1ba302de-629f-5f7f-8da5-35c9872b5acc"),
        (("x" * LONGEST,), "x" * LONGEST),
        (("x" * (LONGEST + 1),), "x" * (LONGEST - 1) + "…"),
    ],
)
def test_on_one_line_short_and_without_numbers(parts: tuple[str | None, ...], expected: str | None) -> None:
    assert refusal_text(parts) == expected
