"""`gtgateway deliver` as a process of its own on PostgreSQL: it sends, and stops when it is asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from answering import peer
from rooms import HOSPITAL, MUNICIPALITY, PRACTICE, accept, posting_directory

from gtgateway.bootstrap import store_from, tools_from
from gtgateway.convert import Target
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

sys.path.append(str(Path(__file__).parents[1] / "store"))
from servers import databases

pytestmark = pytest.mark.slow


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with databases(tmp_path, os.environ.get("GTGATEWAY_TEST_POSTGRES")) as made, made.empty() as address:
        yield address


def deliverer(database: str, directory: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GTGATEWAY_")}
    environment |= {"GTGATEWAY_STORE": database, "GTGATEWAY_DIRECTORY": str(directory)}
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-m", "gtgateway", "deliver"], env=environment, stderr=output)


async def received(settings: Settings, number: int) -> str:
    yesterday = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    body = sample_message(Level.SPECIALISERET, yesterday, Target.GGOP, number=number)
    store = store_from(settings)
    await store.open()
    try:
        return await accept(store, tools_from(settings), body, datetime.now(UTC))
    finally:
        await store.close()


async def states(settings: Settings, message_id: str) -> dict[str, str]:
    store = store_from(settings)
    await store.open()
    try:
        stored = await store.message(message_id)
        assert stored is not None
        return {each.organisation_id: str(each.state) for each in stored.deliveries}
    finally:
        await store.close()


def test_two_of_them_share_the_work_and_stop_when_asked(database: str, tmp_path: Path) -> None:
    with peer() as recipients:
        directory = posting_directory(tmp_path, recipients.address)
        settings = Settings(store=database, directory=directory, workers=0)
        workers = [deliverer(database, directory, tmp_path / "deliver.log") for _ in range(2)]
        try:
            messages = [asyncio.run(received(settings, number)) for number in range(6)]
            until = time.monotonic() + 60
            while len(recipients.got) < 18 and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.5)
        finally:
            for each in workers:
                each.send_signal(signal.SIGTERM)
            log = (tmp_path / "deliver.log").read_text
            assert [each.wait(timeout=30) for each in workers] == [0, 0], log()
        assert len(recipients.got) == 18, log()
        for message_id in messages:
            assert asyncio.run(states(settings, message_id)) == dict.fromkeys(
                (HOSPITAL, MUNICIPALITY, PRACTICE), "delivered"
            )
