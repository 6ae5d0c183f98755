"""Who may see what: a message is its sender's, and of the client that sent it."""

from __future__ import annotations

import pytest

from gtgateway.routing.directory import Directory
from gtgateway.security.identity import Caller, Scope
from gtgateway.security.permissions import may_see_message

OUH, UNIT = "5790001354145", "5790000000005"


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.load()


@pytest.mark.parametrize(
    ("sender_gln", "client", "seen"),
    [
        (OUH, "another-engine-of-the-hospital", True),
        (UNIT, "engine", True),  # a unit that the directory lacks, sent by this very client
        (UNIT, "another-engine-of-the-hospital", False),
        ("5790000121441", "odense", False),
    ],
)
def test_a_message_is_seen_by_its_sender_and_by_the_client_that_sent_it(
    directory: Directory, sender_gln: str, client: str, seen: bool
) -> None:
    hospital = next(each for each in directory.all if each.gln == OUH)
    caller = Caller("engine", (hospital.id,), directory.subtree(hospital.id), frozenset({Scope.MESSAGES_SEND}))
    assert may_see_message(caller, sender_gln, client, directory) is seen
