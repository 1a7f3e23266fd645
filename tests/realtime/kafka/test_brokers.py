"""TLS and SASL: from the settings to a real broker, and no password in a log."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from demo.embedded import EmbeddedTansu
from demo.embedded.ports import LOOPBACK
from realtime.conf import Conf, conf
from realtime.kafka.brokers import Brokers, client_options, start_client
from shardlayer import ShardedChannelLayer
from tests.realtime.kafka.bad import records_in, write_bad
from tests.realtime.kafka.numbered import PARTITIONS, arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.secure import PASSWORD, USER, SecureKafka
from tests.waiting import PATIENCE, until

TOPIC = "events"


@pytest.mark.parametrize(
    ("values", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"kafka_tls": True}, "SSL"),
        ({"kafka_sasl_mechanism": "PLAIN"}, "SASL_PLAINTEXT"),
        ({"kafka_tls": True, "kafka_sasl_mechanism": "SCRAM-SHA-512"}, "SASL_SSL"),
    ],
)
def test_protocol(values: dict[str, Any], protocol: str) -> None:
    """TLS and SASL may be switched on each for itself."""
    assert client_options(Conf(**values))["security_protocol"] == protocol


def test_certificates_are_checked() -> None:
    """The server's, and its name in it."""
    context = client_options(Conf(kafka_tls=True))["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_own_options_have_the_last_word() -> None:
    """KAFKA_OPTIONS may say what the settings can't."""
    options = client_options(Conf(kafka_options={"security_protocol": "SSL", "api_version": "2.1"}))
    assert options == {"security_protocol": "SSL", "api_version": "2.1"}


def test_password_is_never_shown(settings: Settings) -> None:
    """Not where settings or brokers are printed, and not in what is wrong with them."""
    secret = Conf(kafka_password=PASSWORD, kafka_options={"sasl_plain_password": PASSWORD})
    brokers = Brokers(servers=["a:1"], options=client_options(secret))
    assert PASSWORD not in f"{secret} {secret!r} {brokers} {brokers!r}"
    for wrong in ({"KAFKA_OPTIONS": [PASSWORD]}, {"KAFKA_PASSWORD": PASSWORD.encode()}):
        settings.REALTIME = wrong
        with pytest.raises(ImproperlyConfigured) as caught:
            conf()
        assert PASSWORD not in str(caught.value)


@pytest.fixture
def secure_kafka(tmp_path: Path) -> Iterator[SecureKafka]:
    """A broker of this test's own."""
    with SecureKafka(directory=tmp_path) as broker:
        broker.create_topic(TOPIC, partitions=PARTITIONS)
        yield broker


def brokers_of(kafka: SecureKafka, password: str) -> Brokers:
    """Return how a pool reaches it that knows this password."""
    settings = Conf(
        kafka_tls=True,
        kafka_ca_file=str(kafka.ca_file),
        kafka_sasl_mechanism="PLAIN",
        kafka_username=USER,
        kafka_password=password,
    )
    return Brokers(servers=[kafka.secure_servers], options=client_options(settings))


@pytest.mark.kafka
@pytest.mark.needs("java", "mvn")
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("apache-kafka")
async def test_pool_by_tls_and_password(
    secure_kafka: SecureKafka, redis_layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """All clients of a pool get in: those that read, write letters, and make topics."""
    caplog.set_level("DEBUG")
    brokers = brokers_of(secure_kafka, PASSWORD)
    await produce(brokers, TOPIC, 0, 50)
    await write_bad(brokers, TOPIC, start=0, count=1)
    caplog.clear()  # aiokafka tells all, unless it is silenced as the pool does
    async with Pools(brokers=brokers, topic=TOPIC, layer=redis_layer).running():
        await arrived(redis_layer, 50)
        await records_in(brokers, TOPIC + ".dlq", 1)
    assert await published(redis_layer) == expected(50)

    assert PASSWORD not in caplog.text
    wrong = brokers_of(secure_kafka, "wrong-" + PASSWORD)
    caplog.clear()
    async with Pools(brokers=wrong, topic=TOPIC, layer=redis_layer).running():
        await until(lambda: "Waiting will not help" in caplog.text, within=PATIENCE)
    assert "see KAFKA_SASL_MECHANISM, KAFKA_USERNAME and KAFKA_PASSWORD" in caplog.text
    assert "is not available" not in caplog.text
    assert PASSWORD not in caplog.text
    # aiokafka does not wait until a connection is closed on which it could not sign in.
    await until(lambda: not connections_to(secure_kafka.secure_servers))


def connections_to(address: str) -> list[Any]:
    """Return this process's connections to a port of this machine."""
    port = int(address.rpartition(":")[2])
    connections = psutil.Process().net_connections("tcp")
    return [each for each in connections if each.raddr and each.raddr.port == port]


async def test_start_that_is_cancelled_leaves_no_connection(kafka_broker: EmbeddedTansu) -> None:
    """Whenever a client's start is cancelled, what it had opened is closed with it."""
    for turns in range(0, 40, 3):
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka_broker.bootstrap_servers)
        starting = asyncio.ensure_future(start_client(consumer))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await consumer.stop()
        del consumer, starting
        gc.collect()  # a connection that was forgotten warns here, which fails the test


async def test_connection_that_a_cancelled_start_waits_on_is_closed(
    kafka_broker: EmbeddedTansu,
) -> None:
    """The broker says which requests it takes, and then nothing."""
    was_asked, hung_up = asyncio.Event(), asyncio.Event()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker = kafka_broker.bootstrap_servers.split(":")
        its_reader, its_writer = await asyncio.open_connection(*broker)
        its_writer.write(await message(reader))
        writer.write(await message(its_reader))
        its_writer.close()
        await message(reader)
        was_asked.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(answer_once, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        consumer = AIOKafkaConsumer(bootstrap_servers=f"{LOOPBACK}:{port}")
        starting = asyncio.ensure_future(start_client(consumer))
        await asyncio.wait_for(was_asked.wait(), PATIENCE)
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await asyncio.wait_for(hung_up.wait(), PATIENCE)
        await consumer.stop()


async def message(reader: asyncio.StreamReader) -> bytes:
    """Return the next message of Kafka's protocol, with its length."""
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length))
