"""Who is calling: bearer tokens of the clients file, or `dev:<GLN>` in development mode (contract, section 2).

`dev:operator` is the operator there, and acts for nobody.

The clients file is TOML; a token is known by its SHA-256 only:

    [[client]]
    name = "ouh-integration"
    token_sha256 = "9f86d081…"                       # 64 hex digits: printf %s "$TOKEN" | sha256sum
    acts_for = ["gln:5790001354145"]                  # gln:, sor:, kommunekode:, regionskode:; units below are included
    scopes = ["messages:send"]

and, where it is told of news instead of asking for them, with a secret as in standardwebhooks.com (`whsec_…`):

    webhook = {url = "https://ouh.example/gtgateway", secret_env = "OUH_WEBHOOK", events = ["messages"]}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gtgateway.errors import ConfigurationError
from gtgateway.logs import log
from gtgateway.model.feed import Feed
from gtgateway.model.identifiers import IdentifierKind
from gtgateway.model.route import Organisation
from gtgateway.routing.directory import Directory
from gtgateway.routing.endpoints import address_fault, read_secret
from gtgateway.security.tokens import Claims, TokenRefused, TokenVerifier


class Scope(StrEnum):
    """What a client may do for the organisations that it acts for."""

    MESSAGES_SEND = "messages:send"  #: POST plans, see their state, follow the sender's feed
    RECORDS_RECEIVE = "records:receive"  #: pull the feed and thereby move deliveries; one client per organisation
    RECORDS_READ = "records:read"  #: read records without moving deliveries (screens, reports)
    RECEIPTS_SEND = "receipts:send"  #: receipts for what was delivered
    CHECK = "check"  #: check and convert; nothing stored
    OPERATE = "operate"  #: search, trace, dead letters: states of all messages, content of none


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a client is told that one of its feeds has grown."""

    url: str
    secret: str = field(repr=False)  #: `whsec_` and base64
    feeds: frozenset[Feed]


@dataclass(frozen=True, slots=True)
class Caller:
    """An identified client. `organisations` are directory ids, units below included; `glns` what it named itself."""

    name: str
    acts_for: tuple[str, ...]  #: directory ids of the organisations named for it
    organisations: frozenset[str]
    scopes: frozenset[Scope]
    glns: frozenset[str] = frozenset()
    development: bool = False
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients that may call, by the SHA-256 of their token."""

    directory: Directory
    by_token: Mapping[str, Caller] = field(default_factory=dict)
    development: bool = False
    tokens: TokenVerifier | None = None  #: of the identity provider, where there is one

    async def caller(self, authorization: str | None) -> Caller | None:
        """The caller of an `Authorization` header: by the clients file, else by a token of the identity provider.

        None never says why; why a token was refused is in the log.
        """
        if (known := self.identify(authorization)) is not None or self.tokens is None:
            return known
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or token.count(".") < 2:
            return None
        try:
            return self._of_token(await self.tokens.verify(token.strip()))
        except TokenRefused as refused:
            log.warning("token_refused", reason=refused.reason)
            return None

    def _of_token(self, claims: Claims) -> Caller:
        """Raises TokenRefused when the token names an organisation that the directory lacks, or none that it needs."""
        scopes = frozenset(scope for scope in Scope if scope in claims.scopes)
        named = [_organisation(text, self.directory) for text in claims.acts_for]
        if None in named or (not named and scopes != {Scope.OPERATE}):
            raise TokenRefused("organisation")
        ids = tuple(dict.fromkeys(each.id for each in named if each is not None))
        below = frozenset(unit for each in ids for unit in self.directory.subtree(each))
        return Caller(f"token:{claims.client_id}", ids, below, scopes)

    def identify(self, authorization: str | None) -> Caller | None:
        """The caller of an `Authorization` header, or None. Never says why not."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > 4096:
            return None
        if self.development and (match := _DEVELOPMENT.fullmatch(token)):
            return self._development_caller(match[1])
        # Looked up by its hash: how long that takes tells nothing of a token.
        return self.by_token.get(hashlib.sha256(token.encode("utf-8", "replace")).hexdigest())

    def _development_caller(self, gln: str) -> Caller:
        if gln == "operator":
            return Caller("dev:operator", (), frozenset(), frozenset((Scope.OPERATE,)), development=True)
        organisation = self.directory.find(IdentifierKind.GLN, gln)
        return Caller(
            name=f"dev:{gln}",
            acts_for=(organisation.id,) if organisation else (),
            organisations=self.directory.subtree(organisation.id) if organisation else frozenset(),
            scopes=frozenset(Scope) - {Scope.OPERATE},
            glns=frozenset((gln,)),
            development=True,
        )


_DEVELOPMENT = re.compile(r"dev:([0-9A-Za-z]{1,35})")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _organisation(text: str, directory: Directory) -> Organisation | None:
    """The organisation of `gln:…`, `sor:…`, `kommunekode:…` or `regionskode:…`."""
    kind, _, value = text.partition(":")
    return directory.find(IdentifierKind(kind), value) if kind in _KINDS else None


def load_clients(
    path: Path | None, directory: Directory, *, development: bool = False, tokens: TokenVerifier | None = None
) -> Clients:
    """Clients of a file. Raises ConfigurationError that names every fault of the file at once."""
    if path is None:
        return Clients(directory, development=development, tokens=tokens)
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("client", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"Clients file {path}: {type(error).__name__}.") from None
    faults: list[str] = []
    callers: dict[str, Caller] = {}
    receivers: dict[str, str] = {}
    told: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        name = str(entry.get("name") or f"client {number}")
        unknown = sorted(set(entry) - {"name", "token_sha256", "acts_for", "scopes", "webhook"})
        faults += [f"{name}: unknown field {key}" for key in unknown]
        digest = str(entry.get("token_sha256", "")).lower()
        if not _DIGEST.fullmatch(digest):
            faults.append(f"{name}: token_sha256 is not a SHA-256 in hex")
        elif digest in callers:
            faults.append(f"{name}: the same token as {callers[digest].name}")
        scopes = frozenset(scope for scope in Scope if scope in entry.get("scopes", ()))
        faults += [f"{name}: unknown scope {scope}" for scope in entry.get("scopes", ()) if scope not in list(Scope)]
        named: list[str] = []
        for text in entry.get("acts_for", ()):
            found = _organisation(str(text), directory)
            if found is None:
                faults.append(f"{name}: acts_for {text} is not in the directory")
            else:
                named.append(found.id)
                if Scope.RECORDS_RECEIVE in scopes and receivers.setdefault(found.id, name) != name:
                    faults.append(f"{name}: {receivers[found.id]} already receives for {text}")
        if not named and scopes != {Scope.OPERATE}:
            faults.append(f"{name}: acts for nobody")
        below = frozenset(unit for each in named for unit in directory.subtree(each))
        webhook = None
        if (stated := entry.get("webhook")) is not None:
            webhook, wrong = _webhook(stated, scopes, path.parent)
            faults += [f"{name}: webhook: {fault}" for fault in wrong]
            if name in told:
                faults.append(f"{name}: a second webhook under this name")
            told.add(name)
        callers[digest] = Caller(name, tuple(dict.fromkeys(named)), below, scopes, webhook=webhook)
    if faults:
        raise ConfigurationError(f"Clients file {path}: {'; '.join(faults)}.")
    return Clients(directory, callers, development, tokens)


_KINDS = ("gln", "sor", "kommunekode", "regionskode")

#: The scopes of which a client needs one to read a feed.
_MAY_READ = {
    Feed.RECORDS: {Scope.RECORDS_RECEIVE, Scope.RECORDS_READ},
    Feed.MESSAGES: {Scope.MESSAGES_SEND},
}


def _webhook(entry: object, scopes: frozenset[Scope], folder: Path) -> tuple[Webhook | None, list[str]]:
    """The webhook of a client's entry, and everything that is wrong with it."""
    if not isinstance(entry, dict):
        return None, ["is no table"]
    faults = [f"unknown field {key}" for key in sorted(set(entry) - {"url", "secret_env", "secret_file", "events"})]
    url = str(entry.get("url", ""))
    if fault := address_fault(url):
        faults.append(f"url: {fault}")
    variable, file = entry.get("secret_env"), entry.get("secret_file")
    if (variable is None) == (file is None):
        faults.append("secret_env or secret_file: one of them")
    found, wrong = read_secret("secret", variable and str(variable), Path(str(file)) if file else None, folder)
    faults += wrong
    if found and (fault := secret_fault(found)):
        faults.append(f"secret: {fault}")
    by_name = {feed.name.lower(): feed for feed in Feed}
    stated = entry.get("events")
    names = [str(each) for each in stated] if isinstance(stated, list) else []
    if not names:
        faults.append(f"events: a list of {', '.join(by_name)}")
    faults += [f"events: unknown {each}" for each in names if each not in by_name]
    feeds = frozenset(by_name[each] for each in names if each in by_name)
    unread = sorted(feed.name.lower() for feed in feeds if not scopes & _MAY_READ[feed])
    faults += [f"events: its scopes do not let it read {each}" for each in unread]
    return Webhook(url, found or "", feeds), faults


def secret_fault(secret: str) -> str | None:
    """What is wrong with a secret of a webhook; it is never quoted."""
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        return "is no base64"
    return None if 24 <= size <= 64 else "has not 24 to 64 bytes"
