"""The one composition root: settings in, everything wired out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from gtgateway.delivery.alarms import Alarms
from gtgateway.delivery.schedule import Schedule
from gtgateway.errors import ConfigurationError
from gtgateway.law.calendar import Calendar
from gtgateway.law.orders import Orders
from gtgateway.mappers.archive_from_outcome import record_document, summary_document
from gtgateway.model.identifiers import Identifier, IdentifierKind
from gtgateway.model.message import Reading
from gtgateway.model.plan import Party
from gtgateway.parsers.hardened import Limits
from gtgateway.pipeline import Tools
from gtgateway.reading_pool import ReadingPool, read_again
from gtgateway.residence.evidence import load_postcodes
from gtgateway.residence.register import ResidenceRegister, open_register
from gtgateway.routing.directory import Directory
from gtgateway.routing.endpoints import address_fault
from gtgateway.security.identity import Clients, load_clients, secret_fault
from gtgateway.security.tokens import TokenVerifier, open_keys
from gtgateway.settings import Settings
from gtgateway.store.base import Store
from gtgateway.store.postgres import PostgresStore
from gtgateway.store.sqlite import SqliteStore
from gtgateway.validators.registry import Policy, check_orders
from gtgateway.validators.structure.external import ExternalValidator
from gtgateway.validators.structure.profile import Profiles
from gtgateway.validators.structure.xsd import Schemas

if TYPE_CHECKING:
    from gtgateway.delivery.metrics import Metrics
    from gtgateway.delivery.webhooks import Webhooks
    from gtgateway.delivery.worker import PostRoom


def tools_from(settings: Settings) -> Tools:
    """What reading and judging need, compiled once. Raises ConfigurationError."""
    orders = Orders.load(settings.orders)
    check_orders(orders.all)
    if settings.shadow_order is not None:
        orders.by_id(settings.shadow_order)
    directory = Directory.load(settings.directory)
    lists = {name for order in orders.all if order.choice for name in order.choice.provider_lists.values()}
    if unknown := {each.kept_by for each in directory.agreements} - lists:
        raise ConfigurationError(f"Organisation directory: no order knows the list of {', '.join(sorted(unknown))}.")
    return Tools(
        limits=Limits(
            max_bytes=settings.max_body,
            max_depth=settings.max_depth,
            max_elements=settings.max_elements,
            max_text=settings.max_text,
            max_letters=settings.max_letters,
        ),
        schemas=Schemas.load(settings.xsd, settings.xsd_mode),
        profiles=Profiles.load((settings.fhir_packages,) if settings.fhir_packages else ()),
        identity=Party(
            gln=settings.gln, identifiers=(Identifier(IdentifierKind.SOR, settings.sor),), name=settings.name
        ),
        orders=orders,
        directory=directory,
        calendar=Calendar(settings.closed_by_custom),
        postcodes=load_postcodes(settings.postcodes),
        policy=Policy(xml_without_discharge=settings.xml_without_discharge, egentraening=settings.egentraening),
        shadow_order=settings.shadow_order,
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A wired gateway: what the front door works with."""

    settings: Settings
    tools: Tools
    store: Store
    clients: Clients
    register: ResidenceRegister
    pool: ReadingPool
    alarms: Alarms
    metrics: Metrics
    schedule: Schedule
    webhooks: Webhooks
    validator: ExternalValidator | None = None

    async def open(self) -> None:
        await self.store.open()

    async def read_again(self, message_id: str) -> Reading | None:
        """A message that was received, as it is read now; None when its bytes are kept no longer."""
        found = await read_again(message_id, self.store, self.pool)
        return found[1] if found else None

    async def close(self) -> None:
        """Finish what is under way, then let go of the archive."""
        self.pool.stop()
        await self.register.close()
        if self.clients.tokens is not None:
            await self.clients.tokens.close()
        if self.validator is not None:
            await self.validator.close()
        await self.store.close()


def gateway_from(settings: Settings, *, development: bool = False, serving: bool = True) -> Gateway:
    """A gateway of its settings. `development`: the packaged sample directory and `dev:<GLN>` tokens.

    `serving` False: nobody calls it, and no clients file is needed.

    Raises ConfigurationError when a needed setting or file is missing or faulty.
    """
    from gtgateway.delivery.metrics import Metrics  # what `check` and `convert` can do without

    if settings.directory is None and not development:
        raise ConfigurationError(
            "Set GTGATEWAY_DIRECTORY to the organisation directory, or use --dev for the sample one."
        )
    if serving and settings.clients is None and settings.token_keys is None and not development:
        raise ConfigurationError(
            "Set GTGATEWAY_CLIENTS to the clients file, or GTGATEWAY_TOKEN_KEYS to the keys of an identity provider; "
            "without either `serve` runs only with --dev."
        )
    tools = tools_from(settings)
    store = store_from(settings)
    tokens = tokens_from(settings)
    clients = load_clients(settings.clients, tools.directory, development=development, tokens=tokens)
    schedule = schedule_from(settings)
    webhooks = webhooks_from(settings, store, clients, schedule)
    return Gateway(
        settings=settings,
        tools=tools,
        store=store,
        clients=clients,
        register=open_register(settings.residence),
        pool=pool_from(settings, tools),
        alarms=Alarms(*((webhooks.hear,) if settings.alarm_webhook else ())),
        metrics=Metrics(),
        schedule=schedule,
        webhooks=webhooks,
        validator=ExternalValidator(settings.fhir_validator) if settings.fhir_validator else None,
    )


def pool_from(settings: Settings, tools: Tools) -> ReadingPool:
    return ReadingPool(
        tools,
        partial(tools_from, settings),
        workers=settings.workers,
        inline_limit=settings.inline_limit,
        queue=settings.queue,
    )


def schedule_from(settings: Settings) -> Schedule:
    return Schedule(
        retry_first=timedelta(seconds=settings.delivery_retry_first),
        retry_longest=timedelta(seconds=settings.delivery_retry_longest),
        receipt_wait=timedelta(seconds=settings.delivery_receipt_wait),
        resends=settings.delivery_resends,
        lease=timedelta(seconds=settings.delivery_lease),
        unserved_after=timedelta(seconds=settings.delivery_unserved_after),
        unserved_pulled_after=timedelta(seconds=settings.delivery_unserved_pulled_after),
    )


def tokens_from(settings: Settings) -> TokenVerifier | None:
    """Who verifies the identity provider's tokens; None where there is none. Raises ConfigurationError."""
    if settings.token_keys is None:
        return None
    if not settings.token_issuer or not settings.token_audience:
        raise ConfigurationError("GTGATEWAY_TOKEN_KEYS needs GTGATEWAY_TOKEN_ISSUER and GTGATEWAY_TOKEN_AUDIENCE.")
    return TokenVerifier(
        open_keys(settings.token_keys),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        leeway=settings.token_leeway,
        organisations_claim=settings.token_organisations,
    )


def webhooks_from(settings: Settings, store: Store, clients: Clients, schedule: Schedule) -> Webhooks:
    """Who tells clients of news, and the operator of alarms. Raises ConfigurationError."""
    from gtgateway.delivery.client import Client
    from gtgateway.delivery.webhooks import Hook, Webhooks, hooks_of

    alarm = None
    if settings.alarm_webhook:
        secret = settings.alarm_webhook_secret.get_secret_value() if settings.alarm_webhook_secret else ""
        if fault := address_fault(settings.alarm_webhook):
            raise ConfigurationError(f"GTGATEWAY_ALARM_WEBHOOK: {fault}.")
        if fault := secret_fault(secret):
            raise ConfigurationError(f"GTGATEWAY_ALARM_WEBHOOK_SECRET: {fault}.")
        alarm = Hook("alarms", settings.alarm_webhook, secret)
    client = Client(private=settings.webhooks_private)
    return Webhooks(store, client, hooks_of(clients), alarm, schedule)


def post_room_from(gateway: Gateway) -> PostRoom:
    """The worker that sends what is due of an open gateway."""
    from gtgateway.delivery.client import Client
    from gtgateway.delivery.worker import PostRoom

    return PostRoom(
        gateway.store,
        gateway.pool,
        Client(),
        gateway.tools.directory,
        identity=gateway.tools.identity,
        url=gateway.settings.url,
        schedule=gateway.schedule,
        alarms=gateway.alarms,
        metrics=gateway.metrics,
    )


def store_from(settings: Settings) -> Store:
    """The archive of GTGATEWAY_STORE. Raises ConfigurationError for one that is not known."""
    scheme, _, path = settings.store.partition("://")
    keeping: dict[str, Any] = {
        "record_document": record_document,
        "summary_document": summary_document,
        "queue": settings.queue,
        "give_up_days_after_start": settings.delivery_give_up_days_after_start,
        "give_up_days": settings.delivery_give_up_days,
    }
    if scheme == "postgresql":
        return PostgresStore(settings.store, connections=settings.connections, pooler=settings.pooler, **keeping)
    if scheme == "sqlite" and len(path) > 1 and path.startswith("/"):
        return SqliteStore(path[1:], **keeping)
    raise ConfigurationError("GTGATEWAY_STORE: use sqlite:///path or postgresql://user@host/database.")
