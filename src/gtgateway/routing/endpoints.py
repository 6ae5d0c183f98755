"""End-points as the directory's files state them. Their secrets stand in the environment or in files of their own."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from gtgateway.model.delivery import Endpoint

#: Handle of an entry of the directory.
Handle = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class EndpointEntry(BaseModel):
    """An end-point as the file states it. Paths are relative to the file's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Handle = Field(description="Stable handle, for `endpoint` of organisations.")
    url: str = Field(description="Where messages are POSTed; https, unless it is this machine.")
    default_for: Literal["vans"] | None = Field(
        None,
        description="`vans`: the operator that carries what goes in VANSEnvelopes and has no end-point of its own.",
    )
    concurrency: int = Field(4, ge=1, description="Most tries at a time.")
    rate: float | None = Field(None, gt=0, description="Most tries a second.")
    timeout: float = Field(30, gt=0, description="Seconds for one try, all in all.")
    fhir_xml: bool = Field(False, description="FHIR as XML.")
    bearer_env: Variable | None = Field(None, description="Environment variable that holds a fixed token.")
    bearer_file: Path | None = Field(None, description="File that holds a fixed token.")
    token_url: str | None = Field(None, description="Token end-point (OAuth2 client credentials).")
    client_id: str | None = Field(None, description="Who asks for the token.")
    client_secret_env: Variable | None = Field(None, description="Environment variable that holds the client's secret.")
    client_secret_file: Path | None = Field(None, description="File that holds the client's secret.")
    scope: str | None = Field(None, description="What the token is asked for.")
    certificate: Path | None = Field(None, description="Own certificate with its chain (PEM), for mutual TLS.")
    key: Path | None = Field(None, description="Its private key (PEM, without passphrase), if not in the same file.")
    authorities: Path | None = Field(None, description="Authorities to trust instead of the usual ones (PEM).")


def endpoint_of(entry: EndpointEntry, folder: Path) -> Endpoint | list[str]:
    """The end-point that can be used, or everything that is wrong with it."""
    faults = list(_faults(entry))

    def secret(field: str) -> str | None:
        found, wrong = read_secret(field, getattr(entry, f"{field}_env"), getattr(entry, f"{field}_file"), folder)
        faults.extend(wrong)
        return found

    def beside(path: Path | None) -> Path | None:
        return path and folder / path

    made = Endpoint(
        id=entry.id,
        url=entry.url,
        concurrency=entry.concurrency,
        rate=entry.rate,
        timeout=entry.timeout,
        fhir_xml=entry.fhir_xml,
        bearer=secret("bearer"),
        token_url=entry.token_url,
        client_id=entry.client_id,
        client_secret=secret("client_secret"),
        scope=entry.scope,
        certificate=beside(entry.certificate),
        key=beside(entry.key),
        authorities=beside(entry.authorities),
    )
    try:
        tls_context(made)
    except OSError as error:
        what = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        faults.append(f"certificate, key or authorities cannot be used ({what})")
    return [f"{entry.id}: {fault}" for fault in faults] or made


def read_secret(
    field: str, variable: str | None, file: Path | None, folder: Path
) -> tuple[str | None, tuple[str, ...]]:
    """The secret of a field `<field>_env` or `<field>_file`, and everything that is wrong with it."""
    found = ""
    faults: list[str] = []
    if variable is not None:
        if variable.startswith("GTGATEWAY_"):
            faults.append(f"{field}_env: {variable} would be taken for a setting")
        found = os.environ.get(variable, "")
        if not found:
            faults.append(f"{field}_env: the variable {variable} is not set")
    elif file is not None:
        try:
            found = (folder / file).read_text("utf-8").strip()
            if not found:
                faults.append(f"{field}_file: {file} is empty")
        except (OSError, ValueError):
            faults.append(f"{field}_file: {file} cannot be read")
    return found or None, tuple(faults)


def _faults(entry: EndpointEntry) -> Iterator[str]:
    for field in ("url", "token_url"):
        if (url := getattr(entry, field)) is not None and (fault := address_fault(url)):
            yield f"{field}: {fault}"
    for field in ("bearer", "client_secret"):
        if getattr(entry, f"{field}_env") is not None and getattr(entry, f"{field}_file") is not None:
            yield f"{field}_env and {field}_file: one of them"
    stated = {
        "token_url": entry.token_url is not None,
        "client_id": entry.client_id is not None,
        "client_secret_env or client_secret_file": bool(entry.client_secret_env or entry.client_secret_file),
    }
    if any(stated.values()) and not all(stated.values()):
        yield f"lacks {' and '.join(name for name, there in stated.items() if not there)}"
    if entry.scope is not None and not entry.token_url:
        yield "scope: only with token_url"
    if entry.token_url and (entry.bearer_env or entry.bearer_file):
        yield "token_url and a fixed token: one of them"
    if entry.key is not None and entry.certificate is None:
        yield "key: without a certificate"


def address_fault(url: str) -> str | None:
    """What is wrong with an address to call; https is wanted, unless it is this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or any(map(str.isspace, url)):
        return "is no http address"
    if "@" in parts.netloc or parts.fragment:
        return "has a user, a password or a fragment"
    if parts.scheme == "http" and not is_loopback(host):
        return "is not https"
    return None


def is_loopback(host: str) -> bool:
    """True when a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    """How an end-point is known and how we are known to it; None where no TLS is spoken.

    Raises OSError (ssl.SSLError is one) for files that cannot be used.
    """
    if not any(url.startswith("https:") for url in (endpoint.url, endpoint.token_url or "")):
        return None
    context = ssl.create_default_context(cafile=endpoint.authorities)
    if endpoint.certificate is not None:
        # an empty passphrase: a key that needs one is a fault, not a question on the terminal
        context.load_cert_chain(endpoint.certificate, endpoint.key, password="")
    return context
