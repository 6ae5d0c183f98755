"""What the two feeds have in common: opaque cursors, and whose feed is asked for."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Query

from gtgateway.api.problems import BAD_REQUEST, NOT_FOUND, ProblemError
from gtgateway.bootstrap import Gateway
from gtgateway.model.feed import Feed
from gtgateway.security.identity import Caller

MAX_PAGE = 500
MAX_WAIT = 60.0

After = Annotated[str | None, Query(description="Cursor of the last page; none is the beginning.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to hold the call until something arrives.")]
For = Annotated[str | None, Query(alias="for", description="Whose feed, for a client that acts for several.")]


def position_of(feed: Feed, cursor: str | None) -> int:
    """The position of a cursor of this feed; none is the beginning."""
    if not cursor:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).partition(b":")
        if kind != feed.encode("ascii") or not 1 <= len(number) <= 18 or not number.isdigit():
            raise ValueError
        return int(number)
    except (ValueError, binascii.Error):
        raise ProblemError(BAD_REQUEST, reason="after") from None


def whose_feed(caller: Caller, wanted: str | None, gateway: Gateway) -> frozenset[str]:
    """The organisations whose feed is asked for, units below included."""
    if wanted is None:
        if len(caller.acts_for) != 1:
            raise ProblemError(BAD_REQUEST, reason="for")
        return caller.organisations
    for each in caller.acts_for:
        organisation = gateway.tools.directory.by_id(each)
        if organisation and (wanted == each or wanted in {identifier.value for identifier in organisation.identifiers}):
            return gateway.tools.directory.subtree(each)
    raise ProblemError(NOT_FOUND)
