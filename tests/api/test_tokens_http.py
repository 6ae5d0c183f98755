"""Access tokens of an identity provider over HTTP: who gets in, for whom, and what a refusal tells."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from gtgateway.bootstrap import gateway_from
from gtgateway.convert import Target
from gtgateway.data import packaged
from gtgateway.demo import served
from gtgateway.errors import ConfigurationError
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.samples import sample_message
from gtgateway.settings import Settings

ISSUER, AUDIENCE = "https://login.example.dk/", "https://gateway.example.dk"
KEY = RSAKey.generate_key(2048, {"kid": "k1"})
OUH, ODENSE = "gln:5790001354145", "kommunekode:0461"
YESTERDAY = datetime.now(COPENHAGEN).date() - timedelta(days=1)
PLAN = sample_message(Level.ALMEN, YESTERDAY, Target.GGOP, number=77)


def with_keys(folder: Path, **other: Any) -> Settings:
    keys = folder / "keys.json"
    keys.write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    given: dict[str, Any] = {
        "store": f"sqlite:///{folder}/test.db",
        "workers": 0,
        "directory": packaged("samples", "directory"),
        "token_keys": str(keys),
        "token_issuer": ISSUER,
        "token_audience": AUDIENCE,
    }
    return Settings(**{**given, **other})


def token(scope: str, *acts_for: str, **other: Any) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "engine",
        "client_id": "engine",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        "scope": scope,
        "acts_for": list(acts_for),
        **other,
    }
    text = jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": KEY.kid}, claims, KEY, ["RS256"])
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway without a clients file and without development tokens."""
    settings = with_keys(tmp_path_factory.mktemp("tokens"))
    with served(settings, development=False) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_a_hospital_sends_and_a_municipality_fetches(client: httpx.Client) -> None:
    answer = client.post("/messages", content=PLAN, headers=token("messages:send", OUH))
    assert answer.status_code == 201
    assert client.get(answer.headers["Location"], headers=token("messages:send", OUH)).status_code == 200
    page = client.get("/records", headers=token("records:receive", ODENSE)).json()
    assert len(page["records"]) == 1


def test_a_token_opens_what_its_scope_and_organisations_open(client: httpx.Client) -> None:
    assert client.post("/messages", content=PLAN, headers=token("messages:send", ODENSE)).status_code == 403
    assert client.get("/records", headers=token("messages:send", OUH)).status_code == 403
    assert client.get("/operations/circuits", headers=token("operate")).status_code == 200
    assert client.get("/operations/circuits", headers=token("records:read", ODENSE)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic a.b.c"},
        {"Authorization": f"Bearer {'a' * 9_000}.b.c"},
        token("records:read", "gln:0000000000000"),
        token("records:read"),
        token("records:read", ODENSE, aud="https://another.example.dk"),
        token("records:read", ODENSE, exp=int(time.time()) - 120),
    ],
)
def test_every_other_token_is_nobody_and_is_not_told_why(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.get("/records", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("/unidentified")
    assert set(answer.json()) == set(client.get("/records").json())


def test_why_stands_in_the_log(client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/records", headers=token("records:read", ODENSE, iss="https://elsewhere.example.dk"))
    logged = capsys.readouterr()
    assert "token_refused" in logged.err + logged.out
    assert "claim_iss" in logged.err + logged.out


def test_tokens_count_beside_the_clients_file(tmp_path: Path) -> None:
    settings = with_keys(tmp_path, clients=packaged("samples", "clients.toml"))
    with served(settings, development=False) as address, httpx.Client(base_url=address) as client:
        for headers in (token("records:read", ODENSE), {"Authorization": "Bearer sample-odense"}):
            assert client.get("/records", headers=headers).status_code == 200


@pytest.mark.parametrize("missing", ["token_issuer", "token_audience"])
def test_keys_without_issuer_or_audience_are_a_fault_at_start(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigurationError, match="GTGATEWAY_TOKEN_ISSUER"):
        gateway_from(with_keys(tmp_path, **{missing: ""}))


def test_without_clients_and_keys_there_is_nobody_to_serve(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GTGATEWAY_TOKEN_KEYS"):
        gateway_from(with_keys(tmp_path, token_keys=None))
