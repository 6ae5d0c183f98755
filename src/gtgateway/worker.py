"""Processes of their own: one of several that serve (`serve --workers N`), and one that only delivers (`deliver`)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from gtgateway.bootstrap import Gateway, gateway_from, post_room_from
from gtgateway.logs import configure_logs, log
from gtgateway.settings import load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def app_from_environment() -> FastAPI:
    """The application that uvicorn runs in a process of its own. Raises ConfigurationError."""
    from gtgateway.app import create_app

    configure_logs(readable=False)
    return create_app(gateway_from(load_settings()))


async def deliver_until_stopped(gateway: Gateway) -> None:
    """Send what is due, and tell who has a webhook, until the process is asked to stop.

    By SIGTERM or SIGINT; tries under way end first.
    """
    await gateway.open()
    try:
        work = asyncio.gather(post_room_from(gateway).run(), gateway.webhooks.run())
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, work.cancel)
        log.info("post_room_opened")
        with contextlib.suppress(asyncio.CancelledError):
            await work
        log.info("post_room_closed")
    finally:
        await gateway.close()
