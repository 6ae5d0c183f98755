"""kill -9 of a delivering process at every point, on a real file: nothing is lost, and at most sent again as itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from rooms import HOSPITAL, MUNICIPALITY, PRACTICE, accept, posting_directory, posting_store, posting_tools, specialised

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: Killed after: how many minutes later all is delivered, and how often a message was sent at most.
POINTS = {"claim": (2, {1}), "begin": (31, {1}), "send": (31, {2}), "conclude": (31, {1, 2})}


def deliver(folder: Path, minutes: int, point: str) -> int:
    """Exit code of a process that delivers at so many minutes after receipt."""
    program = Path(__file__).with_name("delivering.py")
    files = (folder / "gateway.db", folder / "directory.toml", folder / "sent.log")
    return subprocess.run([sys.executable, str(program), *map(str, files), str(minutes), point]).returncode


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_every_point(tmp_path: Path, point: str) -> None:
    minutes, most = POINTS[point]
    tools = posting_tools(posting_directory(tmp_path))
    store = posting_store(tmp_path / "gateway.db")
    await store.open()
    message_id = await accept(store, tools, specialised())
    await store.close()

    assert deliver(tmp_path, 0, point) == -signal.SIGKILL
    assert deliver(tmp_path, minutes, "never") == 0

    await store.open()
    stored = await store.message(message_id)
    await store.close()
    assert stored is not None
    assert {each.organisation_id: str(each.state) for each in stored.deliveries} == dict.fromkeys(
        (HOSPITAL, MUNICIPALITY, PRACTICE), "delivered"
    )
    sent: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in (tmp_path / "sent.log").read_text().splitlines():
        endpoint, message, envelope = line.split()
        sent[endpoint].append((message, envelope))
    assert sent.keys() == {"hospital", "municipality", "vans"}
    for tries in sent.values():
        assert len({message for message, _ in tries}) == 1
        assert len({envelope for _, envelope in tries}) == len(tries)
    assert max(map(len, sent.values())) in most
