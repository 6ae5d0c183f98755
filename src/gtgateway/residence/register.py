"""The residence register: a port, and the adapters that a deployment may name (`GTGATEWAY_RESIDENCE`).

It is looked up before judging and is the best evidence there is. A register that fails or is slow answers None: the
message is judged by the evidence in it. No CPR number is ever in a log line, an address or an exception text.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog

from gtgateway.errors import ConfigurationError
from gtgateway.model.identifiers import kommunekode

#: Longest wait for a register, in seconds.
PATIENCE = 1.0

_log = structlog.get_logger(__name__)


class ResidenceRegister(Protocol):
    """Who lives where. `failures` counts the look-ups that came to nothing because the register did."""

    failures: int

    async def residence(self, identifier: str, day: date) -> str | None:
        """The kommunekode (four digits) where the person with a CPR or replacement number lived on a day, or None."""
        ...

    async def close(self) -> None: ...


class NoRegister:
    """Without a register nothing is known beforehand."""

    failures = 0

    async def residence(self, identifier: str, day: date) -> str | None:  # noqa: ARG002 - the port's signature
        return None

    async def close(self) -> None:
        return None


class FileRegister:
    """A register in a file that is read once.

    JSON: an array of objects; CSV (UTF-8): a header and rows. Fields: `identifier`, `kommunekode` and, where the
    person moved, `from` and `until` (yyyy-mm-dd, both inclusive).
    """

    failures = 0

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError that names every row that cannot be read, by its number."""
        self._periods: dict[str, list[tuple[date, date, str]]] = defaultdict(list)
        faults: list[str] = []
        for number, row in enumerate(_rows(path), 1):
            try:
                first = date.fromisoformat(row["from"]) if row.get("from") else date.min
                last = date.fromisoformat(row["until"]) if row.get("until") else date.max
                self._periods[row["identifier"]].append((first, last, _code(row["kommunekode"])))
            except (AttributeError, KeyError, TypeError, ValueError):
                faults.append(str(number))
        if faults:
            raise ConfigurationError(f"Residence register {path.name}: rows that cannot be read: {', '.join(faults)}.")

    async def residence(self, identifier: str, day: date) -> str | None:
        periods = self._periods.get(identifier, ())
        return next((code for first, last, code in periods if first <= day <= last), None)

    async def close(self) -> None:
        return None


class HttpRegister:
    """A register behind HTTP: `POST {address}` with `{"identifier", "day"}` answers `{"kommunekode": "0461" or null}`.

    Answers, not failures, are remembered for a while, so that a resent message does not ask again.
    """

    def __init__(
        self,
        address: str,
        *,
        patience: float = PATIENCE,
        remember_seconds: float = 300.0,
        remember_most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ConfigurationError for an impossible address."""
        self.failures = 0
        try:
            self._address = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"Residence register: {error}.") from None
        self._patience = patience
        self._client = httpx.AsyncClient(timeout=patience)
        self._remember_seconds = remember_seconds
        self._remember_most = remember_most
        self._clock = clock
        #: oldest first: (identifier, day) -> (until when it holds, kommunekode)
        self._answers: OrderedDict[tuple[str, date], tuple[float, str | None]] = OrderedDict()

    async def residence(self, identifier: str, day: date) -> str | None:
        key = (identifier, day)
        if (remembered := self._answers.get(key)) and remembered[0] > self._clock():
            return remembered[1]
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._client.post(self._address, json={"identifier": identifier, "day": day.isoformat()})
            answer.raise_for_status()
            stated = answer.json()["kommunekode"]
            code = None if stated is None else _code(stated)
        except (httpx.HTTPError, TimeoutError, KeyError, TypeError, AttributeError, ValueError) as error:
            self.failures += 1
            _log.warning("residence register failed", reason=type(error).__name__)
            return None
        self._answers.pop(key, None)
        self._answers[key] = (self._clock() + self._remember_seconds, code)
        if len(self._answers) > self._remember_most:
            self._answers.popitem(last=False)
        return code

    async def close(self) -> None:
        await self._client.aclose()


def open_register(setting: str | None) -> ResidenceRegister:
    """The register that a setting names: None, an `http(s)://` address, or a `.json` or `.csv` file.

    Raises ConfigurationError for an impossible address or a file that cannot be read.
    """
    if setting is None:
        return NoRegister()
    if setting.startswith(("http://", "https://")):
        return HttpRegister(setting)
    return FileRegister(Path(setting))


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else json.loads(text)
    except (OSError, ValueError) as error:
        # a decoding error quotes the text, which holds CPR numbers
        raise ConfigurationError(f"Residence register {path.name} cannot be read ({type(error).__name__}).") from None
    if not isinstance(rows, list):
        raise ConfigurationError(f"Residence register {path.name}: an array of objects is needed.")
    return rows


def _code(stated: str) -> str:
    code = kommunekode(stated)
    if len(code) != 4 or not code.isdigit():
        raise ValueError("no kommunekode")
    return code
