"""One of several serving processes (`serve --workers N`): each makes the application anew from the environment."""

from __future__ import annotations

from fastapi import FastAPI

from gtgateway.app import create_app
from gtgateway.bootstrap import gateway_from
from gtgateway.logs import configure_logs
from gtgateway.settings import load_settings


def app_from_environment() -> FastAPI:
    """The application that uvicorn runs in a process of its own. Raises ConfigurationError."""
    configure_logs(readable=False)
    return create_app(gateway_from(load_settings()))
