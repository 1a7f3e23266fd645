"""What any machine knows of the pool: a real pool on a real Kafka and a real Redis."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, EmbeddedValkey
from realtime.operations import kafka, overview
from tests.realtime.conftest import channel_layers
from tests.realtime.management.output import lines_of
from tests.realtime.operations.deployment import Deployment
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

PARTITIONS = 2


async def send(broker: EmbeddedTansu, topic: str, values: list[bytes]) -> None:
    """Write records for a room, in turn to both partitions."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for number, value in enumerate(values):
            await producer.send_and_wait(
                topic, value, key=b"machine.m", partition=number % PARTITIONS
            )


def test_pool_is_seen(
    kafka_broker: EmbeddedTansu, redis_server: EmbeddedValkey, tmp_path: Path, settings: Settings
) -> None:
    """Its member, each partition's lag, the dead letters; a pool that died is forgotten."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    topic = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(topic, partitions=PARTITIONS)
    asyncio.run(send(kafka_broker, topic, [b"1", b"2", b"3", b"no JSON", b"neither"]))
    assert kafka().members == ()
    command = Deployment(redis_server, tmp_path).command(
        *("runkafka", "--topics", topic, "--group", topic),
        KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap_servers,
    )
    with command:
        wait_until(lambda: command.runs() and len(kafka().partitions) == PARTITIONS)

        def all_read() -> bool:
            return [part.lag for part in kafka().partitions] == [0, 0]

        wait_until(all_read)
        found = kafka()
        [member] = found.members
        assert (member.pid, member.group, member.topics) == (command.pid, topic, (topic,))
        assert (member.consumers, member.skipped) == (1, 2)
        assert found.groups == (topic,)
        assert [(part.topic, part.partition) for part in found.partitions] == [
            (topic, 0),
            (topic, 1),
        ]
        assert [part.position for part in found.partitions] == [3, 2]
        assert {part.node for part in found.partitions} == {member.node}
        assert (found.lag, found.paused) == (0, 0)

        def is_read() -> bool:
            # Each time: a rate is that of the last interval.
            asyncio.run(send(kafka_broker, topic, [b"4"]))
            return (kafka().records or 0) > 0

        wait_until(is_read)
        wait_until(all_read)
        assert overview().pools == 1
        text = "\n".join(lines_of("realtime", "kafka"))
        assert f"{topic}/1" in text
        assert "Lag           0" in text
        # Counted when the pool begins, and then each half minute: by the next pool at once.
    with Deployment(redis_server, tmp_path).command(
        *("runkafka", "--topics", topic, "--group", topic),
        KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap_servers,
    ) as second:
        wait_until(lambda: kafka().dead_letters == {topic: 2})
        assert any(trouble.kind == "letters" for trouble in overview().troubles)
        second.send(signal.SIGKILL)
        wait_until(lambda: kafka().members == ())
    seen = kafka()
    assert (seen.is_known, seen.partitions, seen.lag) == (True, (), None)


def test_paused_partitions_are_told(
    kafka_broker: EmbeddedTansu, tmp_path: Path, settings: Settings
) -> None:
    """A partition that waits for a shard says so, by the server that is there."""
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    topic = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(topic, partitions=PARTITIONS)
    with (
        EmbeddedValkey(directory=tmp_path / "one") as one,
        EmbeddedValkey(directory=tmp_path / "two") as two,
    ):
        hosts = [one.url, two.url]
        settings.CHANNEL_LAYERS = channel_layers(hosts=hosts)
        command = Deployment(one, tmp_path).command(
            *("runkafka", "--topics", topic, "--group", topic),
            KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap_servers,
            REDIS_URL=",".join(hosts),
        )
        with command:
            wait_until(lambda: len(kafka().partitions) == PARTITIONS)
            dead = two if _server_of_room(one, two) is two else one
            dead.stop()
            asyncio.run(send(kafka_broker, topic, [b"1"] * 4))
            wait_until(lambda: kafka().paused == PARTITIONS)
            seen = kafka()
            assert seen.is_known
            assert len(seen.silent) == 1
            assert {trouble.kind for trouble in overview().troubles} >= {"down", "paused"}
            dead.start()
            wait_until(lambda: (kafka().paused, kafka().lag) == (0, 0))


def _server_of_room(one: EmbeddedValkey, two: EmbeddedValkey) -> EmbeddedValkey:
    from shardlayer.core.sharding import shard_of

    return (one, two)[shard_of("machine.m", 32) % 2]
