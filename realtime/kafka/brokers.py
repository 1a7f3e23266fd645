"""The brokers: how to reach them, by settings, waiting for them, and their topics."""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import TopicAlreadyExistsError, for_code

from realtime.conf import Conf
from realtime.kafka.addresses import address_of, host_and_port
from realtime.kafka.advice import FAILURES, advice_on, reason_of
from realtime.kafka.reading.closing import cancel_start
from realtime.outage import Outage, pause

logger = logging.getLogger(__name__)

PROBE_TIMEOUT = 2.0  # seconds
ANSWER_TIMEOUT = 3000  # milliseconds; aiokafka's own 40 s are for requests that carry data
WATCH_INTERVAL = 2.0  # seconds
TOPIC_EXISTS = TopicAlreadyExistsError.errno


class KafkaSettingsError(ValueError):
    """What was asked for can't be; the message says what."""


def check_arguments(client: type, arguments: Mapping[str, Any], setting: str) -> None:
    """See that a client of aiokafka takes arguments of these names.

    Raises:
        KafkaSettingsError: Names the first that it does not, and the setting that they are from.
    """
    known = inspect.signature(client).parameters
    for name in arguments:
        if name not in known:
            raise KafkaSettingsError(
                f"REALTIME[{setting!r}]: {client.__name__} of aiokafka takes no {name!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """How to reach Kafka.

    Attributes:
        servers: One broker or more, to find the others, each as `host:port`, `host`, or
            `[address]:port` with an IPv6 address. Without a port it is 9092.
        options: More arguments of aiokafka's clients, such as those for TLS and SASL; never
            shown, since a password may be among them.
    """

    servers: Sequence[str]
    options: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what can't be an address.

        Raises:
            ValueError: Says which, and how one looks.
        """
        object.__setattr__(self, "servers", tuple(map(address_of, self.servers)))
        if not self.servers:
            raise ValueError("At least one Kafka broker is needed, to find the others.")

    def __str__(self) -> str:
        return f"Kafka at {', '.join(self.servers)}"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that aiokafka's clients have in common."""
        return {"bootstrap_servers": list(self.servers), **self.options}

    async def probe(self) -> None:
        """Connect to one of the servers, sign in, and hang up.

        What it raises says why: aiokafka's clients would say that they are "unable to bootstrap".

        Raises:
            OSError: None of them takes a connection.
            KafkaError: None of them lets us in.
        """
        last: Exception = OSError("no servers")
        names = inspect.signature(AIOKafkaConnection).parameters.keys() & self.options.keys()
        known = {name: self.options[name] for name in names}
        for server in self.servers:
            connection = AIOKafkaConnection(*host_and_port(server), **known)
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await connection.connect()
            except FAILURES as error:  # TimeoutError is the first
                last = error
            else:
                return
            finally:
                connection.close()
        raise last


async def wait_for_topics(
    brokers: Brokers,
    topics: Sequence[str],
    *,
    stop: asyncio.Event,
    outage: Outage | None = None,
) -> bool:
    """Wait until Kafka answers and has the topics; return False when `stop` came first.

    Args:
        topics: None of them: any Kafka that answers will do.
        outage: Who says that Kafka is away, if somebody may have said so already.
    """
    outage = outage or Outage(str(brokers), logger)
    while not stop.is_set():
        try:
            missing = set(topics) - (await topics_of(brokers)).keys()
        except FAILURES as error:
            why, advice = reason_of(error), advice_on(error)
        else:
            advice = ""
            if not missing:
                outage.over()
                return True
            why = f"it has no topic {', '.join(sorted(missing))} yet"
        await pause(outage.failed(why, advice=advice), unless=stop)
    return False


async def watch(brokers: Brokers, *, stop: asyncio.Event) -> None:
    """Say when Kafka does not answer any more, and when it does again, until `stop`.

    aiokafka's consumers reconnect by themselves, and don't tell.
    """
    outage = Outage(str(brokers), logger)
    wait = WATCH_INTERVAL
    while not await pause(wait, unless=stop):
        try:
            await topics_of(brokers)
        except FAILURES as error:
            wait = outage.failed(reason_of(error), advice=advice_on(error))
        else:
            outage.over()
            wait = WATCH_INTERVAL


class Client(Protocol):
    """What aiokafka's consumers, producers and admins have in common."""

    async def start(self) -> None:
        """Connect."""


async def start_client(client: Client) -> None:
    """Start a client of aiokafka, which its owner stops, also if this raises.

    Raises:
        KafkaError: Kafka does not answer.
    """
    starting = asyncio.create_task(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await cancel_start(starting)
        raise


async def make_topic(
    brokers: Brokers, topic: str, *, partitions: int, configs: Mapping[str, str] | None = None
) -> None:
    """Make a topic if there is none of that name; one that is there stays as it is.

    Args:
        configs: Its settings, by Kafka's names, that differ from the broker's defaults.

    Raises:
        KafkaError: Kafka does not answer or does not allow it.
    """
    new = NewTopic(topic, partitions, 1, topic_configs=dict(configs or {}))
    new.replication_factor = -1  # the broker's default; the constructor does not take it
    admin = admin_client(brokers)
    try:
        await start_client(admin)
        made = await admin.create_topics([new])
    finally:
        await admin.close()
    for _, code, *why in made.topic_errors:
        if code not in (0, TOPIC_EXISTS):
            raise for_code(code)(*why)


async def topics_of(brokers: Brokers) -> dict[str, list[int]]:
    """Return the topics that there are, each with the numbers of its partitions.

    Raises:
        OSError, KafkaError: Kafka does not answer within seconds.
    """
    await brokers.probe()
    admin = admin_client(brokers)
    try:
        await start_client(admin)
        found = await admin.describe_topics()
    finally:
        await admin.close()
    return {
        topic["topic"]: [partition["partition"] for partition in topic["partitions"]]
        for topic in found
    }


def admin_client(brokers: Brokers) -> AIOKafkaAdminClient:
    """Return a client that asks the brokers; to be started and closed. It is not patient."""
    return AIOKafkaAdminClient(**brokers.arguments() | {"request_timeout_ms": ANSWER_TIMEOUT})


def brokers_of(settings: Conf, servers: Sequence[str] | None = None) -> Brokers:
    """Return how to reach Kafka, as the settings say.

    Args:
        settings: Those of realtime.
        servers: Addresses instead of those of the settings.

    Raises:
        KafkaSettingsError: An address, a certificate or an argument in KAFKA_OPTIONS can't be.
    """
    try:
        brokers = Brokers(
            servers=settings.kafka_bootstrap_servers if servers is None else servers,
            options=client_options(settings),
        )
    except ValueError as error:
        raise KafkaSettingsError(str(error)) from error
    except OSError as error:  # ssl's are, too
        raise KafkaSettingsError(f"A certificate for Kafka can't be read: {error}") from error
    for client in (AIOKafkaProducer, AIOKafkaAdminClient):
        check_arguments(client, brokers.arguments(), "KAFKA_OPTIONS")
    return brokers


def client_options(settings: Conf) -> dict[str, Any]:
    """Return the arguments that reach Kafka as the settings say; KAFKA_OPTIONS has the last word.

    Raises:
        OSError: A certificate can't be read.
    """
    protocol = "SASL_" if settings.kafka_sasl_mechanism else ""
    options: dict[str, Any] = {
        "security_protocol": protocol + ("SSL" if settings.kafka_tls else "PLAINTEXT")
    }
    if settings.kafka_tls:
        options["ssl_context"] = _tls(settings)
    if settings.kafka_sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return options | dict(settings.kafka_options)


def _tls(settings: Conf) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if settings.kafka_client_certificate:
        context.load_cert_chain(settings.kafka_client_certificate)
    return context
