"""Access tokens of an outside identity provider: JWT as RFC 9068 describes them, with asymmetric keys only.

The keys are a JWKS in a file or behind an address, and may change at any time: a token with a key id that is not known
has them read again. A verified token is remembered until it expires, so that the signature is checked once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from gtgateway.errors import ConfigurationError
from gtgateway.logs import log

#: Nothing symmetric: whoever verifies must not be able to sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
#: An access token says what it is: an ID token must not pass for one (RFC 9068, 4).
TYPES = ("at+jwt", "application/at+jwt")
LONGEST = 8_192
MOST_REMEMBERED = 10_000
SMALLEST_RSA = 2_048  #: bits

KEYS_HOLD_SECONDS = 600.0
ASK_AGAIN_SECONDS = 10.0
MOST_KEY_BYTES = 256_000


class TokenRefused(Exception):
    """A token that is not good, with a code for the log; the caller never learns it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    acts_for: tuple[str, ...]  #: `gln:…`, `sor:…`, `kommunekode:…`, `regionskode:…`
    expires: int  #: seconds since 1970


class KeySource(Protocol):
    """Where the provider's public keys come from."""

    async def keys(self, *, anew: bool = False) -> KeySet:
        """The keys as they are known; `anew`: read again first, unless that was just done."""
        ...

    async def close(self) -> None: ...


class FileKeys:
    """A JWKS in a file, read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError when the file is no JWKS with a usable key."""
        self._path = path
        self._changed_at = 0
        self._keys = KeySet([])
        try:
            self._read()
        except OSError as error:
            raise ConfigurationError(f"Token keys {path}: {type(error).__name__}.") from None
        except ValueError as error:
            raise ConfigurationError(f"Token keys {path}: {error}.") from None

    def _read(self) -> None:
        changed_at = self._path.stat().st_mtime_ns
        if changed_at != self._changed_at:
            self._keys = usable_keys(self._path.read_bytes())
            self._changed_at = changed_at

    async def keys(self, *, anew: bool = False) -> KeySet:
        if anew:
            try:
                self._read()
            except (OSError, ValueError) as error:
                log.warning("token_keys_unreadable", reason=type(error).__name__)
        return self._keys

    async def close(self) -> None:
        return None


class AddressKeys:
    """A JWKS behind an address: read when first needed, every ten minutes, and for a key that is not known.

    While the provider does not answer, the keys read last go on to hold.
    """

    def __init__(self, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=5.0, follow_redirects=False)
        self._keys = KeySet([])
        self._read_at = self._asked_at = float("-inf")

    async def keys(self, *, anew: bool = False) -> KeySet:
        now = self._clock()
        due = anew or now - self._read_at >= KEYS_HOLD_SECONDS
        if due and now - self._asked_at >= ASK_AGAIN_SECONDS:
            self._asked_at = now
            try:
                self._keys = usable_keys(await self._fetched())
                self._read_at = now
            except (httpx.HTTPError, ValueError) as error:
                log.warning("token_keys_unreadable", reason=type(error).__name__)
        return self._keys

    async def _fetched(self) -> bytes:
        async with self._client.stream("GET", self._address, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_KEY_BYTES:
                    raise ValueError("too large")
            return body

    async def close(self) -> None:
        await self._client.aclose()


def usable_keys(document: bytes) -> KeySet:
    """The keys of a JWKS that may verify a token. Raises ValueError when there is none."""
    try:
        stated = json.loads(document)["keys"]
        found = [key for each in stated if (key := _usable(each)) is not None]
    except (TypeError, KeyError) as error:
        raise ValueError("it is no JWKS") from error
    if not found:
        raise ValueError("it holds no public key for signatures")
    return KeySet(found)


def _usable(stated: Any) -> Key | None:
    kinds: dict[object, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    if not isinstance(stated, dict) or stated.get("use", "sig") != "sig" or stated.get("kty") not in kinds:
        return None
    try:
        key = kinds[stated["kty"]].import_key({name: value for name, value in stated.items() if name not in _PRIVATE})
    except (JoseError, ValueError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < SMALLEST_RSA:
        return None
    return key


#: Members of a JWK that only the signer may hold; a provider that publishes them by mistake gains nothing here.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops"})


def open_keys(setting: str) -> KeySource:
    """The keys that a setting names: a file, or an `https://` address (`http://` on this machine only)."""
    if setting.startswith(("https://", "http://localhost", "http://127.0.0.1", "http://[::1]")):
        return AddressKeys(setting)
    if "://" in setting:
        raise ConfigurationError("Token keys: a file, or an https:// address.")
    return FileKeys(Path(setting))


class TokenVerifier:
    """Says what a token says, or refuses it."""

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        leeway: int = 60,
        organisations_claim: str = "acts_for",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`leeway`: seconds that clocks may differ. `organisations_claim`: the claim that names organisations."""
        self._source = keys
        self._leeway = leeway
        self._organisations_claim = organisations_claim
        self._clock = clock
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=leeway,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            client_id={"essential": True},
            jti={"essential": True},
        )
        self._remembered: OrderedDict[bytes, Claims] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """Raises TokenRefused."""
        if len(token) > LONGEST:
            raise TokenRefused("too_long")
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._remembered.get(digest)
        if known is not None:
            if known.expires + self._leeway <= self._clock():
                del self._remembered[digest]
                raise TokenRefused("expired")
            return known
        claims = await self._verified(token)
        self._remembered[digest] = claims
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return claims

    async def _verified(self, token: str) -> Claims:
        try:
            header = jws.extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError) as error:
            raise TokenRefused("no_jwt") from error
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefused("algorithm")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise TokenRefused("type")
        key = await self._key(header.get("kid"))
        try:
            decoded = jwt.decode(token, key, algorithms=ALGORITHMS)
            self._registry.validate(decoded.claims)
        except BadSignatureError as error:
            raise TokenRefused("signature") from error
        except ExpiredTokenError as error:
            raise TokenRefused("expired") from error
        except (InvalidClaimError, MissingClaimError) as error:
            raise TokenRefused(f"claim_{error.claim}") from error
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused("no_jwt") from error
        return self._claims(decoded.claims)

    async def _key(self, kid: object) -> Key:
        """The key that a token names; without a name the only one there is."""
        for anew in (False, True):
            keys = (await self._source.keys(anew=anew)).keys
            found = [key for key in keys if key.kid == kid] if kid is not None else list(keys)
            if len(found) == 1:
                return found[0]
        raise TokenRefused("unknown_key")

    def _claims(self, claims: dict[str, Any]) -> Claims:
        if "cnf" in claims:  # bound to a certificate or key that this edge does not see: RFC 8705 forbids to ignore it
            raise TokenRefused("bound")
        scope, stated = claims.get("scope", ""), claims.get(self._organisations_claim, [])
        acts_for = stated.split() if isinstance(stated, str) else stated
        texts = (claims["sub"], claims["client_id"], scope, *(acts_for if isinstance(acts_for, list) else (None,)))
        if not all(isinstance(text, str) for text in texts):
            raise TokenRefused("claim_type")
        return Claims(claims["sub"], claims["client_id"], frozenset(scope.split()), tuple(acts_for), int(claims["exp"]))

    async def close(self) -> None:
        await self._source.close()
