"""The two feeds, and the cursors by which a caller says how far it has come in one."""

from __future__ import annotations

import base64
from enum import StrEnum


class Feed(StrEnum):
    """Which feed a cursor is of; the digit is the version of its form."""

    RECORDS = "r1"
    MESSAGES = "m1"


def cursor_of(feed: Feed, position: int) -> str:
    """The opaque cursor of a position."""
    return base64.urlsafe_b64encode(b"%s:%d" % (feed.encode("ascii"), position)).decode("ascii").rstrip("=")
