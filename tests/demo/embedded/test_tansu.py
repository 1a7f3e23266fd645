"""The embedded Kafka broker, as tests and bin/dev use it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from demo.embedded import EmbeddedTansu
from demo.embedded.tansu import tansu_binary


def partitions_of(broker: EmbeddedTansu, topic: str) -> int:
    """Return how many partitions a topic has, as the broker lists it."""
    listed = subprocess.run(
        [tansu_binary(), "topic", "list", "--broker", f"tcp://{broker.address}"],
        cwd=broker.directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {one["name"]: len(one["partitions"]) for one in json.loads(listed)}.get(topic, 0)


async def test_record_comes_back(kafka_broker: EmbeddedTansu, kafka_topic: str) -> None:
    """What a producer sends a consumer gets, with key and headers."""
    servers = kafka_broker.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=False) as producer:
        headers = [("room", b"general")]
        await producer.send_and_wait(kafka_topic, b"value", key=b"key", headers=headers)
    consumer = AIOKafkaConsumer(
        kafka_topic,
        bootstrap_servers=servers,
        group_id=f"group-{uuid4().hex}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    async with consumer:
        record = await consumer.getone()
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("room", b"general"),))


def test_topic_has_the_partitions_asked_for(kafka_broker: EmbeddedTansu) -> None:
    """A topic is made once; making it again changes nothing and says so."""
    name = f"topic-{uuid4().hex}"
    assert kafka_broker.create_topic(name, partitions=3)
    assert not kafka_broker.create_topic(name, partitions=5)
    assert partitions_of(kafka_broker, name) == 3


def test_topics_are_made_at_every_start(tmp_path: Path) -> None:
    """The broker forgets everything when it stops, so its topics are made again."""
    with EmbeddedTansu(directory=tmp_path, topics={"events": 8}) as broker:
        broker.stop()
        broker.start()
        assert partitions_of(broker, "events") == 8


def test_settings_of_an_outer_folder_do_not_reach_it(tmp_path: Path) -> None:
    """A project's own .env, which the broker would read, does not change it."""
    (tmp_path / ".env").write_text("SCHEMA_REGISTRY=bogus://registry\n")
    with EmbeddedTansu(directory=tmp_path / "var" / "kafka") as broker:
        assert broker.is_up()
