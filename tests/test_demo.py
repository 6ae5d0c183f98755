"""`gtgateway demo --once` plays every step and ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from gtgateway.demo import run_demo
from gtgateway.settings import Settings


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """The demo keeps quiet about everything but errors, for the whole process."""
    yield
    structlog.reset_defaults()


def test_every_step_is_told_and_ends_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(Settings, once=True) == 0
    said = capsys.readouterr().out
    for number in range(1, 15):
        assert f"\n{number}. " in said
    assert "the chosen hospital has it once, as the FHIR message that it asked for" in said
    assert "its feed says: answered, and delivered three times" in said
    assert "Every step ended as expected." in said
    assert "✗" not in said
    assert "Try:" not in said  # once: it serves no longer
