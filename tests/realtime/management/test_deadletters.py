"""The command that shows dead letters and sends them again."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, free_port
from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import DeadLetters, Letter
from realtime.kafka.reading.size_limits import Limits
from tests.realtime.management.output import lines_of, on_terminal

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic(kafka_broker: EmbeddedTansu, settings: Settings) -> str:
    """A topic of which two records are dead letters."""
    name = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(name, partitions=1)
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": [kafka_broker.bootstrap_servers],
        "KAFKA_TOPICS": [name],
        "KAFKA_GROUP": name,
    }
    asyncio.run(write(kafka_broker, name))
    return name


async def write(
    broker: EmbeddedTansu,
    topic: str,
    records: Sequence[tuple[int, bytes | None]] = ((3, b"room.1"), (12, None)),
) -> None:
    """Write letters of records that the topic need not have: their offsets and keys."""
    letters = DeadLetters(
        Brokers(servers=[broker.bootstrap_servers], options={}), suffix=".dlq", limit=Limits.letter
    )
    try:
        await letters.write(
            [
                Letter(
                    topic=topic,
                    partition=0,
                    offset=offset,
                    error="not JSON: why",
                    key=key,
                    value=b"{\x1b[31m" + b"x" * 2000,
                    headers=(),
                )
                for offset, key in records
            ]
        )
    finally:
        await letters.aclose()


def test_list(topic: str) -> None:
    """A line for each: where the record was, its size, its key, why, and how it begins."""
    first, second, total = lines_of("realtime", "deadletters", "list")
    assert first.startswith(rf"{topic}/0 3  2,006 bytes  room.1  not JSON: why  {{\u001b[31mxxx")
    assert len(first) < 200
    assert second.startswith(f"{topic}/0 12  2,006 bytes  no key  not JSON: why")
    assert total == "2 dead letters."


def test_list_is_bounded(topic: str) -> None:
    """--limit shows the oldest, and says how many there are."""
    lines = lines_of("realtime", "deadletters", "list", "--topic", topic, "--limit", "1")
    assert len(lines) == 2
    assert lines[-1] == "2 dead letters, 1 shown."


def test_replay(topic: str) -> None:
    """It says what it did, and the list what was sent again."""
    assert lines_of("realtime", "deadletters", "replay", "--limit", "1") == [
        "Sent 1 dead letters again; 1 are left."
    ]
    first, second, _ = lines_of("realtime", "deadletters", "list")
    assert "(sent again)" in first
    assert "(sent again)" not in second
    assert lines_of("realtime", "deadletters", "replay") == [
        "Sent 1 dead letters again; 0 are left."
    ]


def test_json(topic: str) -> None:
    """A line for each letter, with all of it; of a replay, what it did."""
    errors = StringIO()
    [line] = lines_of("realtime", "deadletters", "list", "--json", "--limit", "1", stderr=errors)
    assert json.loads(line) == {
        "topic": topic,
        "partition": 0,
        "offset": 3,
        "error": "not JSON: why",
        "key": "room.1",
        "value": "{\x1b[31m" + "x" * 2000,
        "size": 2006,
        "replayed": False,
        "letter": {"topic": f"{topic}.dlq", "partition": 0, "offset": 0},
    }
    assert "first 1" in errors.getvalue()
    [line] = lines_of("realtime", "deadletters", "replay", "--json")
    assert json.loads(line) == {"sent": 2, "repeats": 0, "strangers": 0, "left": 0}
    lines = lines_of("realtime", "deadletters", "list", "--json")
    assert [json.loads(line)["replayed"] for line in lines] == [True, True]
    assert json.loads(lines[1])["key"] is None


def test_replay_shows_its_progress_on_a_terminal(topic: str, kafka_broker: EmbeddedTansu) -> None:
    """But not to a program that asks for JSON there."""
    asyncio.run(write(kafka_broker, topic, [(20 + number, None) for number in range(248)]))
    replay = ("realtime", "deadletters", "replay", "--topic", topic)
    environ = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SHARDLAYER_DEMO": "0",
        "KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
    }
    said = on_terminal(*replay, "--limit", "150", environ=environ)
    assert "100/150" in said
    assert "150/150" in said
    assert "Sent 150 dead letters again; 100 are left." in said
    said = on_terminal(*replay, "--json", environ=environ)
    assert json.loads(said.splitlines()[-1])["sent"] == 100
    assert "100/100" not in said
    assert "Dead letters" not in said


def test_other_topics_are_left_alone(topic: str) -> None:
    """--topic names whose dead letters are meant."""
    assert lines_of("realtime", "deadletters", "list", "--topic", "another") == ["0 dead letters."]


def test_kafka_is_away(settings: Settings) -> None:
    """It says where it looked."""
    settings.REALTIME = {"KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"]}
    with pytest.raises(CommandError, match=r"Kafka at 127\.0\.0\.1"):
        lines_of("realtime", "deadletters", "list")


@pytest.mark.parametrize("action", ["list", "replay"])
def test_kafka_hangs(settings: Settings, action: str) -> None:
    """A broker that takes connections and says nothing is given up in seconds, not in 40."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REALTIME = {
            "KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{silent.getsockname()[1]}"],
        }
        begun = time.monotonic()
        with pytest.raises(
            CommandError, match=r"Kafka at 127\.0\.0\.1:\d+: no answer in time"
        ) as failure:
            lines_of("realtime", "deadletters", action)
        doubt = "Some may have been sent; another replay sends the rest."
        assert str(failure.value).endswith(doubt) == (action == "replay")
        assert time.monotonic() - begun < 20


def test_letters_are_switched_off(settings: Settings) -> None:
    """Where none are kept, it says why there are none."""
    settings.REALTIME = {"KAFKA_DEAD_LETTER_SUFFIX": None}
    with pytest.raises(CommandError, match="KAFKA_DEAD_LETTER_SUFFIX"):
        lines_of("realtime", "deadletters", "replay")
