"""Cursors of the feeds: opaque, and each of its own feed only."""

from __future__ import annotations

import pytest

from gtgateway.api.feeds import position_of
from gtgateway.api.problems import ProblemError
from gtgateway.model.feed import Feed, cursor_of


@pytest.mark.parametrize("feed", list(Feed))
def test_cursors_round_trip(feed: Feed) -> None:
    assert position_of(feed, None) == 0
    for position in (0, 1, 12345678901234):
        assert position_of(feed, cursor_of(feed, position)) == position


def test_a_cursor_of_the_other_feed_is_refused() -> None:
    with pytest.raises(ProblemError):
        position_of(Feed.MESSAGES, cursor_of(Feed.RECORDS, 7))
