"""What `gtgateway messages` asks of a running gateway, and how it shows the answers to people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import typer

from gtgateway.errors import GatewayError
from gtgateway.model.plan import COPENHAGEN
from gtgateway.settings import TOKEN

_COLOURS = {
    "accepted": "green",
    "delivered": "green",
    "rejected": "red",
    "refused": "red",
    "abandoned": "red",
    "pending": "yellow",
}


class DeskError(GatewayError):
    """The gateway does not do this:"""


class Desk:
    """Calls of an operator's client."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **asked: Any) -> Any:
        """What a call answers. Raises DeskError with the gateway's own words."""
        return self._call("GET", path, params=_stated(asked))

    def post(self, path: str, **asked: Any) -> Any:
        """The same for a body; what is None is not asked."""
        return self._call("POST", path, json=_stated(asked))

    def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = self._client.request(method, f"/operations{path}", **request)
            data = answer.json()
        except httpx.HTTPError as error:
            raise DeskError(f"no answer from {self._client.base_url} ({type(error).__name__}).") from None
        except ValueError:
            raise DeskError(f"{self._client.base_url} is no gateway.") from None
        if answer.is_error:
            raise DeskError(f"{data.get('title', answer.reason_phrase)} ({answer.status_code})")
        return data


@contextmanager
def desk_at(server: str) -> Iterator[Desk]:
    """A desk at a running gateway, with the token of GTGATEWAY_TOKEN. Raises DeskError without one."""
    token = os.environ.get(TOKEN)
    if not token:
        raise DeskError(f"set {TOKEN} to a token with the scope `operate` (development mode: dev:operator).")
    try:
        client = httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    except (httpx.InvalidURL, ValueError):
        raise DeskError("--server is no address, or the token has other characters than ASCII.") from None
    with client:
        yield Desk(client)


def _stated(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


# --- for people -------------------------------------------------------------------------------------------------------


def message_lines(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line per message that was found."""
    return table(
        ("MESSAGE", "RECEIVED", "SENDER", "FORMAT", "VERDICT", "DELIVERIES"),
        (
            (
                each["message_id"],
                moment(each["received_at"]),
                each["sender_gln"],
                each["format"],
                each["verdict"],
                ", ".join(f"{count} {state}" for state, count in each["deliveries"].items()),
            )
            for each in messages
        ),
    )


def delivery_lines(deliveries: Iterable[Mapping[str, Any]], *, of: bool = False) -> Iterator[str]:
    """One line per delivery; `of`: with the message that each is of."""
    return table(
        ("DELIVERY", "RECIPIENT", "STATE", "TRIES", "SINCE", "REASON", *(("MESSAGE",) if of else ())),
        (
            (
                each["delivery_id"],
                each["organisation_id"],
                each["state"],
                each["attempts"],
                moment(each["updated_at"]),
                each["reason"],
                *((each["message_id"],) if of else ()),
            )
            for each in deliveries
        ),
    )


def path_lines(timeline: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line per moment of a message's path."""
    told = ("at", "what", "organisation", "name", "text")
    return table(
        ("AT", "WHAT", "RECIPIENT", "DETAIL"),
        (
            (
                moment(each["at"]),
                each["what"],
                each["organisation"],
                " ".join(f"{name}={value}" for name, value in each.items() if name not in told and value is not None),
            )
            for each in timeline
        ),
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines in columns; states and verdicts in colour (where the lines go to a terminal)."""
    cells = [heads, *(["—" if each is None else str(each) for each in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(_coloured(cell, text) for cell, text in zip(row, padded, strict=True)).rstrip()


def _coloured(cell: str, text: str) -> str:
    return typer.style(text, fg=_COLOURS[cell]) if cell in _COLOURS else text


def moment(text: str) -> str:
    """An instant in Danish time, to the second."""
    return f"{datetime.fromisoformat(text).astimezone(COPENHAGEN):%Y-%m-%d %H:%M:%S}"
