"""Where the packaged files lie: profiles/, xsd/ and samples/, in a checkout or in an installed wheel."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path


def packaged(*parts: str) -> Path:
    """Path of a packaged file or folder, e.g. `packaged("samples", "directory")`.

    In the wheel they lie in `gtgateway/data/`; in a checkout at the project's root.
    """
    inside = files("gtgateway") / "data"
    if inside.is_dir():
        with as_file(inside.joinpath(*parts)) as path:
            return path
    return Path(__file__).resolve().parents[2].joinpath(*parts)
