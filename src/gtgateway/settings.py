"""One frozen `Settings`: one environment variable per field, prefix `GTGATEWAY_`; unknown ones are refused by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from gtgateway.errors import ConfigurationError

PREFIX = "GTGATEWAY_"

#: Of `gtgateway messages`, which calls a running gateway: no setting of ours.
TOKEN = PREFIX + "TOKEN"


class Settings(BaseModel):
    """Every setting of the gateway. The description is the reference page's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = Field(
        "sqlite:///gtgateway.db",
        description="Archive: `sqlite:///path` (embedded, one process), `postgresql://user@host/database` (any number "
        "of processes; the password from `PGPASSWORD` or a password file), or `sqlite:///:memory:` for tests.",
    )
    connections: int = Field(8, ge=1, description="Most connections of a process to PostgreSQL; one more listens.")
    pooler: bool = Field(
        False,
        description="PostgreSQL is reached through a pooler in transaction mode (PgBouncer): nothing is prepared.",
    )
    directory: Path | None = Field(None, description="Organisation directory (TOML file or folder); `serve` needs it.")
    clients: Path | None = Field(None, description="Clients file (TOML); without it `serve` runs only with `--dev`.")
    token_keys: str | None = Field(
        None,
        description="Public keys of the identity provider (JWKS: a file or an https address): its access tokens "
        "(JWT, RFC 9068) are accepted beside the clients file, or without one.",
    )
    token_issuer: str = Field("", description="`iss` of its tokens, exactly; needed with GTGATEWAY_TOKEN_KEYS.")
    token_audience: str = Field("", description="`aud` that its tokens for this gateway name; needed as well.")
    token_organisations: str = Field(
        "acts_for", description="Claim that names the organisations that the client acts for, as in the clients file."
    )
    token_leeway: int = Field(60, ge=0, le=600, description="Seconds that the provider's clock may differ.")
    residence: str | None = Field(
        None,
        description="Residence register: a `.csv` (columns `identifier`, `kommunekode`) or `.json` file (array of "
        "objects with them), or the address of an HTTP service that is POSTed `identifier` and `day` and answers "
        "`kommunekode`.",
    )
    postcodes: Path | None = Field(
        None, description="The operator's postcode table (CSV: postcode, kommunekode); contradicts a stated receiver."
    )
    fhir_packages: Path | None = Field(None, description="Folder of official FHIR packages to validate against.")
    fhir_validator: str | None = Field(
        None, description="FHIR base address of an external validator (`$validate`), asked as a second line."
    )
    xsd: Path | None = Field(None, description="Folder of schemas that overrides the packaged `xsd/`.")
    xsd_mode: Literal["advise", "strict"] = Field(
        "advise", description="`advise`: schema faults are warnings; `strict`: they refuse, against the strict schema."
    )
    xml_without_discharge: Literal["estimate", "refuse"] = Field(
        "estimate",
        description="MedCom XML without a discharge date: estimate from the plan date, or refuse (GOP-DATE-01).",
    )
    egentraening: Literal["accept", "refuse"] = Field(
        "accept", description="Plans for egentræning only: accept for information, or refuse (GOP-ROUTE-12)."
    )
    orders: Path | None = Field(
        None, description="Orders file (TOML, as the packaged `law/orders.toml`): a new order is a new table."
    )
    shadow_order: str | None = Field(
        None,
        description="Id of an order not yet in force, e.g. `BEK-2027`: it judges what is received as well, and what it "
        "would newly refuse or warn of is returned as information (GOP-SHADOW-01). Verdict and recipients stay.",
    )
    gln: str = Field("5790000000012", description="The gateway's own GLN as sender.")
    sor: str = Field("1000000000000", description="The gateway's own SOR code as sender.")
    name: str = Field("gtgateway", description="The gateway's own name as sender.")
    url: str = Field("http://127.0.0.1:8000", description="The gateway's own address as callers see it.")
    max_body: int = Field(10_000_000, gt=0, description="Largest body in bytes; above it `413`.")
    max_depth: int = Field(64, gt=0, description="Deepest nesting of an XML document.")
    max_elements: int = Field(50_000, gt=0, description="Most elements in an XML document.")
    max_text: int = Field(1_000_000, gt=0, description="Longest text of one element, in characters.")
    max_letters: int = Field(99, gt=0, description="Most letters in one Emessage (a receipt can name 99).")
    closed_by_custom: tuple[str, ...] = Field(
        ("12-24", "12-31", "06-05"), description="Days (MM-DD) that count as closed for operational dates, by custom."
    )
    workers: int = Field(2, ge=0, description="Processes that judge large bodies; 0 judges them in place.")
    inline_limit: int = Field(64_000, gt=0, description="Bodies up to this many bytes are judged in place.")
    queue: int = Field(256, gt=0, description="Most messages waiting to be judged or stored before `503`.")
    deliver: bool = Field(
        True, description="`serve` sends what is due; False where `gtgateway deliver` runs for itself (PostgreSQL)."
    )
    webhooks_private: bool = Field(
        False, description="Webhooks may be called at private addresses: closed networks, tests."
    )
    alarm_webhook: str | None = Field(
        None, description="Where alarms are POSTed as signed notices with ids only, besides the log; https."
    )
    alarm_webhook_secret: SecretStr | None = Field(
        None, description="Secret that they are signed with: `whsec_` and 24 to 64 bytes in base64."
    )
    delivery_retry_first: float = Field(5, gt=0, description="Seconds before the second try of a delivery.")
    delivery_retry_longest: float = Field(900, gt=0, description="Longest pause between two tries, in seconds.")
    delivery_receipt_wait: float = Field(
        1800, gt=0, description="Seconds that a receipt may take; then the same message is sent again."
    )
    delivery_resends: int = Field(
        2, ge=0, description="How often a message without a receipt is sent again; then a person decides."
    )
    delivery_lease: float = Field(
        60, gt=0, description="Seconds until another worker takes what one has claimed and not sent."
    )
    delivery_give_up_days_after_start: int = Field(
        7, ge=0, description="A delivery is tried until so many days after the plan's start deadline."
    )
    delivery_give_up_days: int = Field(
        30, ge=0, description="The same from receipt, for a plan without a start deadline."
    )
    delivery_unserved_after: float = Field(
        900, gt=0, description="Seconds after which a recipient that nothing has reached is alarmed for."
    )
    delivery_unserved_pulled_after: float = Field(
        3600, gt=0, description="The same for a recipient that fetches from its feed."
    )


def variable(field: str) -> str:
    """Name of the environment variable of a field."""
    return PREFIX + field.upper()


def load_settings(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from the environment; `overrides` (from the command line) win.

    Raises ConfigurationError that names every unknown or impossible variable at once.
    """
    source = os.environ if environment is None else environment
    known = {variable(name): name for name in Settings.model_fields}
    given = {name: value for name, value in source.items() if name.startswith(PREFIX) and name != TOKEN}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigurationError(f"Unknown setting: {', '.join(unknown)}.")
    values: dict[str, object] = {known[name]: value for name, value in given.items()}
    if isinstance(days := values.get("closed_by_custom"), str):
        values["closed_by_custom"] = tuple(day.strip() for day in days.split(",") if day.strip())
    values.update(overrides)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors())
        raise ConfigurationError(faults) from None
