"""What judging FHIR by its profiles costs, beside parsing the same bytes: `python -m benchmarks.profile [PACKAGES]`.

PACKAGES is a folder of official FHIR packages; without it the packaged profiles judge alone. Processor time of one
core, the best of many runs; narratives are looked at anew each time, as those of real messages are.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from fhir.resources.R4B.bundle import Bundle

from gtgateway.data import packaged
from gtgateway.parsers.fhir_json import parse_json
from gtgateway.validators.structure.profile import Profiles
from gtgateway.validators.structure.profile.narrative import narrative_is_sound

Row = dict[str, Any]


def measure(file: Path, profiles: Profiles) -> Row:
    """Microseconds for one message: parsing, both paths, and a message whose last element is wrong."""
    message = orjson.loads(file.read_bytes())
    body = orjson.dumps(message)
    broken = orjson.loads(body)
    broken["entry"][-1]["resource"]["unknown"] = True
    assert profiles.accepts(message), file

    def valid() -> None:
        narrative_is_sound.cache_clear()
        profiles.accepts(message)

    def invalid() -> None:
        narrative_is_sound.cache_clear()
        profiles.accepts(broken)
        profiles.check(broken)

    return {
        "message": file.parent.name if file.stem == "message" else file.stem,
        "bytes": len(body),
        "orjson": best(lambda: orjson.loads(body), 400),
        "parse_json": best(lambda: parse_json(body), 200),
        "fhir.resources": best(lambda: Bundle.model_validate_json(body), 20),
        "accepts": best(valid, 200),
        "invalid": best(invalid, 20),
    }


def best(work: Callable[[], object], runs: int) -> float:
    """Microseconds of the best run."""
    times = []
    for _ in range(runs):
        began = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - began)
    return min(times) / 1e3


def main(packages: Path | None) -> None:
    began = time.process_time()
    profiles = Profiles.load([packages] if packages else [])
    loaded = time.process_time() - began
    files = sorted(packaged("samples", "messages").glob("*/message.json"))
    if packages is not None:
        files += sorted((packages.parent / "corpus").glob("good-*.json"))
    rows = [measure(file, profiles) for file in files]
    print(f"loaded in {loaded:.2f} s; with every profile compiled: {compiled(profiles):.2f} s more")
    print(f"{'µs':<34}{'bytes':>7}{'orjson':>8}{'f.resources':>12}", end="")
    print(f"{'accepts':>9}{'× orjson':>9}{'× f.r.':>8}{'invalid':>9}")
    for row in rows:
        ratios = row["accepts"] / row["orjson"], row["accepts"] / row["fhir.resources"]
        print(
            f"{row['message']:<34}{row['bytes']:>7}{row['orjson']:>8.0f}{row['fhir.resources']:>12.0f}"
            f"{row['accepts']:>9.0f}{ratios[0]:>9.1f}{ratios[1]:>8.2f}{row['invalid'] / row['accepts']:>8.1f}×"
        )
    print(json.dumps(rows))


def compiled(profiles: Profiles) -> float:
    began = time.process_time()
    profiles.compile()
    return time.process_time() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
