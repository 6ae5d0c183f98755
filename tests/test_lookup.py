"""The external validator as a second line: a layer of its own, asked over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from gtgateway.convert import Target
from gtgateway.demo import served
from gtgateway.model.plan import Level
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

HOSPITAL = {"Authorization": "Bearer dev:5790001354145"}
AT = {"received_at": "2026-11-25T10:00:00"}


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A `$validate` service that finds one fault in everything."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/fhir/Bundle/$validate"
            self.rfile.read(int(self.headers["Content-Length"]))
            issue = {
                "severity": "error",
                "code": "invalid",
                "details": {"text": "No"},
                "expression": ["Bundle.entry[1]"],
            }
            body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/fhir"
        server.shutdown()


def layers_of(url: str, folder: Path) -> dict[str, str]:
    settings = Settings(store=f"sqlite:///{folder}/test.db", workers=0, fhir_validator=url)
    body = sample_message(Level.ALMEN, date(2026, 11, 24), Target.FHIR)
    with served(settings) as address:
        found = httpx.post(f"{address}/check", params=AT, content=body, headers=HOSPITAL).json()
    return {layer["layer"]: layer["validity"] for layer in found["layers"]}


def test_what_it_finds_is_a_layer_of_its_own(elsewhere: str, tmp_path: Path) -> None:
    layers = layers_of(elsewhere, tmp_path)
    assert layers["external"] == "invalid"
    assert layers["structure"] == "valid"


def test_when_it_does_not_answer_the_layer_is_skipped(tmp_path: Path) -> None:
    layers = layers_of("http://127.0.0.1:9/fhir", tmp_path)
    assert layers["external"] == "skipped"
    assert set(layers.values()) == {"valid", "skipped"}


def test_without_one_there_is_no_such_layer(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path}/test.db", workers=0)
    with served(settings) as address:
        body = sample_message(Level.ALMEN, date(2026, 11, 24), Target.FHIR)
        found = httpx.post(f"{address}/check", params=AT, content=body, headers=HOSPITAL).json()
    assert "external" not in {layer["layer"] for layer in found["layers"]}
