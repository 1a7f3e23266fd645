"""`manage.py realtime kafka --brokers`: what Kafka itself knows."""

from __future__ import annotations

import json
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, free_port
from tests.realtime.conftest import channel_layers
from tests.realtime.management.output import lines_of

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def without_redis(settings: Settings) -> None:
    """No Redis has a part in this."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.3
    )


@pytest.fixture
def topic(kafka_broker: EmbeddedTansu, settings: Settings) -> str:
    """A topic that nobody reads."""
    name = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(name, partitions=2)
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": [kafka_broker.bootstrap_servers],
        "KAFKA_TOPICS": [name, "not-there-yet"],
        "KAFKA_GROUP": name,
        "CHECK_TIMEOUT": 5.0,
    }
    return name


def test_partitions_without_a_pool(topic: str) -> None:
    """Each is there, and says that nobody reads it."""
    missing, _, *rows, _, lag = lines_of("realtime", "kafka", "--brokers")
    assert missing == "There is no topic not-there-yet yet."
    assert [row.split()[0] for row in rows] == [f"{topic}/0", f"{topic}/1"]
    assert all("no pool reads this" in row for row in rows)
    assert lag.split() == ["Lag", "0"]


def test_partitions_as_json(topic: str) -> None:
    """For programs: one object."""
    [line] = lines_of("realtime", "kafka", "--brokers", "--json")
    found = json.loads(line)
    assert [each["state"] for each in found["partitions"]] == ["unread", "unread"]
    assert (found["lag"], found["missing"]) == (0, ["not-there-yet"])


def test_dead_kafka_is_one_line(settings: Settings) -> None:
    """It fails, says why in a line, and shows nothing that is not known."""
    settings.REALTIME = {"KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"]}
    out = StringIO()
    with pytest.raises(CommandError, match="Kafka at 127") as failed:
        call_command("realtime", "kafka", "--brokers", stdout=out)
    assert "\n" not in str(failed.value)
    assert "Lag  ?" in out.getvalue()
