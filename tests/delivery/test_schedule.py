"""The clocks of the post room: pauses grow, within their limits, and a recipient's own wish is respected."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtgateway.delivery.schedule import LONGEST_ASKED, Schedule

SCHEDULE = Schedule()
SECOND = timedelta(seconds=1)


class Extreme(random.Random):
    """Chance that always takes the shortest (0) or the longest (1)."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end

    def uniform(self, a: float, b: float) -> float:
        return (a, b)[self._end]


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [(1, 5, 10), (2, 10, 20), (3, 20, 40), (7, 320, 640), (8, 450, 900), (9, 450, 900), (100_000, 450, 900)],
)
def test_pauses_double_up_to_the_longest(failures: int, shortest: int, longest: int) -> None:
    assert SCHEDULE.backoff(failures, Extreme(0)) == shortest * SECOND
    assert SCHEDULE.backoff(failures, Extreme(1)) == longest * SECOND


@given(st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_every_pause_is_between_the_first_and_the_longest(failures: int, chance: random.Random) -> None:
    assert SCHEDULE.retry_first <= SCHEDULE.backoff(failures, chance) <= SCHEDULE.retry_longest


def test_chance_spreads_the_tries() -> None:
    chance = random.Random(1)
    assert len({SCHEDULE.backoff(5, chance) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(0.0, 5 * SECOND), (4.0, 5 * SECOND), (120.0, 120 * SECOND), (3600.0, 3600 * SECOND), (1e300, LONGEST_ASKED)],
)
def test_a_recipient_may_ask_for_a_longer_pause_of_a_day_at_most(asked: float, pause: timedelta) -> None:
    assert SCHEDULE.backoff(1, Extreme(0), asked) == pause
