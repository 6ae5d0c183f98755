"""One process owns a database file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gtgateway.errors import ConfigurationError
from gtgateway.store.ownership import take_ownership

HOLDER = """
import sys
from pathlib import Path
from gtgateway.store.ownership import take_ownership
take_ownership(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_named_and_its_death_lets_go(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError, match=f"belongs to the running process {process.pid}"):
            take_ownership(database)
        process.kill()
    os.close(take_ownership(database))


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        take_ownership(tmp_path / "missing" / "gateway.db")
