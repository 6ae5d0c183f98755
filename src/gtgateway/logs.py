"""Logs: events with fields, JSON in production. No CPR number and no clinical text is ever given to it."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TypedDict

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("gtgateway")


def configure_logs(*, readable: bool, level: int = logging.INFO) -> None:
    """One line an event on standard error: for people (`readable`) or JSON. Third parties log warnings only."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if readable
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Tracebacks name places, never values: no locals.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # asked for at each event: who replaces standard error is respected
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


class Told(TypedDict):
    kind: str
    places: list[str]


def told(error: Exception) -> Told:
    """What a log may say of a fault of ours: its kind and the last places, never its text or values."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"kind": type(error).__name__, "places": places[-6:]}
