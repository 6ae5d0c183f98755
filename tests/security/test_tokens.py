"""Access tokens of an identity provider: what a good one says, and every way to cheat that is known."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from gtgateway.errors import ConfigurationError
from gtgateway.security.tokens import (
    ASK_AGAIN_SECONDS,
    KEYS_HOLD_SECONDS,
    AddressKeys,
    FileKeys,
    TokenRefused,
    TokenVerifier,
    open_keys,
    usable_keys,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


ISSUER, AUDIENCE = "https://login.example.dk/", "https://gateway.example.dk"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
NOW = int(time.time()) - 3_600  # the clock stands still: a suite takes its time


def jwks(*keys: RSAKey | ECKey | OKPKey) -> bytes:
    return json.dumps(KeySet(list(keys)).as_dict(private=False)).encode()


def claims(**other: Any) -> dict[str, Any]:
    stated = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ouh-integration",
        "client_id": "ouh-integration",
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "1",
        "scope": "messages:send check",
        "acts_for": ["gln:5790001354145"],
    }
    return {name: value for name, value in {**stated, **other}.items() if value is not None}


def token(key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **other: Any) -> str:
    stated = {"alg": alg, "typ": "at+jwt", "kid": key.kid, **(header or {})}
    return jwt.encode({name: value for name, value in stated.items() if value is not None}, claims(**other), key, [alg])


def by_hand(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(RSA, EC))
    return path


@pytest.fixture
def verifier(file: Path) -> TokenVerifier:
    return TokenVerifier(FileKeys(file), issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)


async def refused(verifier: TokenVerifier, text: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await verifier.verify(text)
    return caught.value.reason


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")])
async def test_a_good_token_says_who_and_for_whom(verifier: TokenVerifier, key: Any, alg: str) -> None:
    found = await verifier.verify(token(key, alg))
    assert found.subject == found.client_id == "ouh-integration"
    assert found.scopes == {"messages:send", "check"}
    assert found.acts_for == ("gln:5790001354145",)


async def test_organisations_may_stand_in_one_text(verifier: TokenVerifier) -> None:
    found = await verifier.verify(token(acts_for="gln:1 sor:2"))
    assert found.acts_for == ("gln:1", "sor:2")


async def test_ed25519(tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    (tmp_path / "k").write_bytes(jwks(key))
    verifier = TokenVerifier(FileKeys(tmp_path / "k"), issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)
    assert (await verifier.verify(token(key, "Ed25519"))).client_id == "ouh-integration"


async def test_alg_none(verifier: TokenVerifier) -> None:
    for alg in ("none", "None", "NONE", ""):
        forged = by_hand({"alg": alg, "typ": "at+jwt", "kid": "rsa-1"}, claims())
        assert await refused(verifier, forged) == "algorithm"


async def test_hs256_with_the_public_key(verifier: TokenVerifier) -> None:
    public = RSA.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = by_hand({"alg": "HS256", "typ": "at+jwt", "kid": "rsa-1"}, claims()).rpartition(".")[0]
    signature = hmac.new(public, unsigned.encode(), hashlib.sha256).digest()
    forged = f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert await refused(verifier, forged) == "algorithm"


async def test_a_symmetric_key_in_the_set_is_not_used(tmp_path: Path) -> None:
    secret = OctKey.generate_key(256, {"kid": "oct"})
    document = json.loads(jwks(RSA))
    document["keys"].append(secret.as_dict(private=True))
    (tmp_path / "k").write_text(json.dumps(document))
    verifier = TokenVerifier(FileKeys(tmp_path / "k"), issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)
    assert await refused(verifier, token(secret, "HS256")) == "algorithm"
    assert [key.kid for key in usable_keys((tmp_path / "k").read_bytes()).keys] == ["rsa-1"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"exp": NOW - 120}, "expired"),
        ({"nbf": NOW + 600}, "claim_nbf"),
        ({"iat": NOW + 600}, "claim_iat"),
        ({"aud": "https://another.example.dk"}, "claim_aud"),
        ({"aud": None}, "claim_aud"),
        ({"iss": "https://login.example.dk"}, "claim_iss"),
        ({"iss": None}, "claim_iss"),
        ({"exp": None}, "claim_exp"),
        ({"jti": None}, "claim_jti"),
        ({"sub": None}, "claim_sub"),
        ({"client_id": None}, "claim_client_id"),
        ({"cnf": {"x5t#S256": "x"}}, "bound"),
        ({"scope": ["check"]}, "claim_type"),
        ({"acts_for": {"gln": "1"}}, "claim_type"),
        ({"acts_for": [1]}, "claim_type"),
    ],
)
async def test_claims_that_are_not_good(verifier: TokenVerifier, other: dict[str, Any], reason: str) -> None:
    assert await refused(verifier, token(**other)) == reason


async def test_clocks_may_differ_by_a_minute(verifier: TokenVerifier) -> None:
    await verifier.verify(token(exp=NOW - 30))


async def test_the_audience_may_be_one_of_several(verifier: TokenVerifier) -> None:
    await verifier.verify(token(aud=["https://another.example.dk", AUDIENCE]))


@pytest.mark.parametrize("typ", ["JWT", None, "id+jwt"])
async def test_an_id_token_is_no_access_token(verifier: TokenVerifier, typ: str | None) -> None:
    assert await refused(verifier, token(header={"typ": typ})) == "type"


async def test_another_key_under_a_known_name(verifier: TokenVerifier) -> None:
    assert await refused(verifier, token(RSAKey.generate_key(2048, {"kid": "rsa-1"}))) == "signature"


async def test_an_unknown_key(verifier: TokenVerifier) -> None:
    assert await refused(verifier, token(RSAKey.generate_key(2048, {"kid": "other"}))) == "unknown_key"


async def test_a_key_of_the_sender_is_not_used(verifier: TokenVerifier) -> None:
    mine = RSAKey.generate_key(2048, {"kid": "mine"})
    with_key = token(mine, header={"jwk": mine.as_dict(private=False)})
    assert await refused(verifier, with_key) in ("unknown_key", "no_jwt")
    assert await refused(verifier, token(mine, header={"jku": "http://127.0.0.1:1/k"})) == "unknown_key"


async def test_without_a_key_id_only_the_one_key_there_is(tmp_path: Path, verifier: TokenVerifier) -> None:
    nameless = token(header={"kid": None})
    assert await refused(verifier, nameless) == "unknown_key"
    (tmp_path / "k").write_bytes(jwks(RSA))
    await TokenVerifier(FileKeys(tmp_path / "k"), issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW).verify(nameless)


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "a.b.c.d.e", "æ.ø.å", "..", by_hand({}, {})])
async def test_what_is_no_token(verifier: TokenVerifier, text: str) -> None:
    assert await refused(verifier, text) in ("no_jwt", "algorithm")


async def test_a_huge_token(verifier: TokenVerifier) -> None:
    assert await refused(verifier, token(scope="x" * 20_000)) == "too_long"


async def test_a_changed_payload(verifier: TokenVerifier) -> None:
    header, _, signature = token().split(".")
    other = by_hand({}, claims(acts_for=["gln:5790000121441"])).split(".")[1]
    assert await refused(verifier, f"{header}.{other}.{signature}") == "signature"


async def test_a_remembered_token_ends_with_its_time(file: Path) -> None:
    now = [float(NOW)]
    verifier = TokenVerifier(FileKeys(file), issuer=ISSUER, audience=AUDIENCE, clock=lambda: now[0])
    text = token()
    await verifier.verify(text)
    now[0] += 300 + 59
    await verifier.verify(text)
    now[0] += 2
    assert await refused(verifier, text) == "expired"


async def test_a_changed_file_is_read_when_a_key_is_unknown(file: Path, verifier: TokenVerifier) -> None:
    new = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    assert await refused(verifier, token(new)) == "unknown_key"
    file.write_bytes(jwks(new))  # noqa: ASYNC240
    os.utime(file, ns=(1, 1))  # a copy may be older than what it replaces
    await verifier.verify(token(new))
    assert await refused(verifier, token(EC, "ES256")) == "unknown_key"  # withdrawn


async def test_a_broken_file_leaves_the_keys_that_hold(file: Path, verifier: TokenVerifier) -> None:
    file.write_bytes(b"{")  # noqa: ASYNC240
    assert await refused(verifier, token(RSAKey.generate_key(2048, {"kid": "x"}))) == "unknown_key"
    await verifier.verify(token())


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": []}', b'{"keys": [1]}', b'{"keys": [{"kty": "RSA"}]}'])
def test_a_set_without_a_key_is_a_fault_at_start(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "k").write_bytes(document)
    with pytest.raises(ConfigurationError, match="k"):
        open_keys(str(tmp_path / "k"))


def test_weak_and_foreign_keys_are_left_out() -> None:
    weak = {"kty": "RSA", "kid": "weak", "n": base64.urlsafe_b64encode(b"\xc1" + b"\x01" * 127).decode(), "e": "AQAB"}
    for_encryption = {**RSA.as_dict(private=False), "use": "enc", "kid": "enc"}
    document = json.dumps({"keys": [weak, for_encryption, RSA.as_dict(private=False)]}).encode()
    assert [key.kid for key in usable_keys(document).keys] == ["rsa-1"]


@pytest.mark.parametrize("setting", ["http://login.example.dk/keys", "ftp://x/keys", "no-such-file.json"])
def test_where_keys_cannot_come_from(setting: str) -> None:
    with pytest.raises(ConfigurationError):
        open_keys(setting)


class Provider:
    """A real HTTP server that publishes keys."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = jwks(RSA), 200, 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(provider.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(provider.body)))
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, *_: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = Thread(target=provider.server.serve_forever)
    thread.start()
    yield provider
    provider.server.shutdown()
    thread.join()
    provider.server.server_close()


async def test_keys_behind_an_address_rotate(provider: Provider) -> None:
    now = [0.0]
    source = AddressKeys(provider.address, clock=lambda: now[0])
    verifier = TokenVerifier(source, issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)
    await verifier.verify(token())
    new = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    provider.body = jwks(RSA, new)
    assert await refused(verifier, token(new)) == "unknown_key"  # just asked: not again for every bad token
    assert provider.asked == 1
    now[0] += ASK_AGAIN_SECONDS
    await verifier.verify(token(new))
    provider.body = jwks(new)  # the old one is withdrawn
    now[0] += KEYS_HOLD_SECONDS
    assert await refused(verifier, token(jti="2")) == "unknown_key"
    await verifier.close()


@pytest.mark.parametrize(("status", "body"), [(500, b""), (302, b""), (200, b"{}"), (200, b" " * 300_000)])
async def test_while_the_provider_fails_the_known_keys_hold(provider: Provider, status: int, body: bytes) -> None:
    now = [0.0]
    source = AddressKeys(provider.address, clock=lambda: now[0])
    verifier = TokenVerifier(source, issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)
    await verifier.verify(token())
    provider.status, provider.body = status, body
    now[0] += KEYS_HOLD_SECONDS
    await verifier.verify(token(jti="2"))
    assert provider.asked == 2
    await verifier.close()
