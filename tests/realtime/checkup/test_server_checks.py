"""What is said of Redis, the layer, Kafka and the database: each with the real thing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from realtime.checkup.database_check import check_database
from realtime.checkup.finding import CheckRequest, Finding, Level
from realtime.checkup.kafka_check import check_kafka
from realtime.checkup.layer_check import check_layer
from realtime.checkup.redis_check import check_redis, judged
from realtime.checkup.secrets_check import check_secrets
from realtime.checkup.settings_check import check_settings
from realtime.models import OutboxEntry
from shardlayer import ServerReport, ServerSurvey
from tests.realtime.conftest import channel_layers

ASKED = CheckRequest(timeout=20.0)
DEAD = "redis://127.0.0.1:1"


def texts(found: Sequence[Finding], level: Level) -> str:
    """Return what was found of a level, and its hints."""
    return "\n".join(f"{each.text} -> {each.hint}" for each in found if each.level is level)


@pytest.fixture
def never_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is called slow, however busy this machine is."""
    monkeypatch.setattr("realtime.checkup.redis_check.SLOW", 60.0)


@pytest.mark.usefixtures("never_slow")
def test_redis_of_tests_keeps_nothing(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A server in memory alone works, and forgets."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    [finding] = check_redis(ASKED)
    assert finding.level is Level.WARNING
    assert "keeps nothing on its disk" in finding.text
    assert "appendonly yes" in finding.hint


@pytest.mark.usefixtures("never_slow")
def test_redis_that_is_well(settings: Settings, tmp_path: Path) -> None:
    """With a file and a password that is right: what it is, in a line without the password."""
    with EmbeddedValkey(directory=tmp_path, persistent=True, password="tabasco1") as server:
        settings.CHANNEL_LAYERS = channel_layers(hosts=[server.url])
        [finding] = check_redis(ASKED)
        assert finding.level is Level.OK, finding
        assert "append-only file" in finding.text
        assert "of 1.0 GiB, noeviction" in finding.text
        assert "tabasco1" not in finding.text
        settings.CHANNEL_LAYERS = channel_layers(hosts=[server.url.replace("tabasco1", "wrong")])
        [finding] = check_redis(ASKED)
    assert finding.level is Level.FAULT
    assert "lets nobody in" in finding.text
    assert "wrong" not in finding.text.replace("WRONGPASS", "")


def test_redis_that_evicts_and_knows_no_bound(settings: Settings, tmp_path: Path) -> None:
    """Each thing that is wrong is a line of its own; scripts may be forbidden."""
    options = ("--maxmemory-policy", "allkeys-lru", "--maxmemory", "0", "--cluster-enabled", "yes")
    acl = ("--user", "default", "on", "nopass", "~*", "&*", "+@all", "-eval")
    with EmbeddedValkey(directory=tmp_path, options=(*options, *acl)) as server:
        settings.CHANNEL_LAYERS = channel_layers(hosts=[server.url])
        found = list(check_redis(ASKED))
    faults, warnings = texts(found, Level.FAULT), texts(found, Level.WARNING)
    assert "is a node of a Redis Cluster" in faults
    assert "some slots have no server" in faults
    assert "does not run scripts" in faults
    assert "noeviction" in warnings
    assert "maxmemory 0" in warnings


def test_replica_is_a_fault(
    settings: Settings, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """It takes no writes."""
    primary = redis_server.address.replace(":", " ").split()
    with EmbeddedValkey(directory=tmp_path, options=("--replicaof", " ".join(primary))) as server:
        settings.CHANNEL_LAYERS = channel_layers(hosts=[server.url])
        found = list(check_redis(ASKED))
    assert "is a replica" in texts(found, Level.FAULT)


def survey_of(**facts: object) -> ServerSurvey:
    """Return a survey of a server that is well but for these facts."""
    report = ServerReport(
        address="redis://h:1",
        software=str(facts.pop("software", "redis")),
        version=str(facts.pop("version", "7.4.0")),
        maxmemory=1000,
        maxmemory_policy="noeviction",
    )
    return ServerSurvey(report=report, is_append_only=True, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "level", "says"),
    [
        ({}, Level.OK, "redis 7.4.0 answers"),
        ({"version": "6.2.1"}, Level.FAULT, "too old"),
        ({"clock_ahead": -3.5}, Level.WARNING, "3.5 s behind"),
        ({"clock_ahead": 3.5}, Level.WARNING, "3.5 s ahead of"),
        ({"used_memory": 900}, Level.WARNING, "uses 900 B of 1000 B"),
        ({"used_memory": 1000}, Level.FAULT, "refuses publications"),
        ({"clients": 90, "max_clients": 100}, Level.WARNING, "90 of 100 connections"),
        ({"seconds": 0.2}, Level.WARNING, "200.0 ms"),
        ({"disk_error": "writing a snapshot"}, Level.FAULT, "writing a snapshot"),
    ],
)
def test_judgement_of_a_server(facts: dict[str, object], level: Level, says: str) -> None:
    """One fact that is wrong is one line."""
    [finding] = judged(survey_of(**facts), is_cluster=False)
    assert finding.level is level
    assert says in finding.text
    assert bool(finding.hint) == (level is not Level.OK)


def test_dead_redis(settings: Settings) -> None:
    """Both say so, and end."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[DEAD])
    assert "does not answer" in texts(list(check_redis(ASKED)), Level.FAULT)
    assert "No message was sent" in texts(list(check_layer(ASKED)), Level.FAULT)


def test_layer_in_memory(settings: Settings) -> None:
    """Enough for development; in production processes do not hear each other."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    settings.DEBUG = True
    assert [each.level for each in check_redis(ASKED)] == [Level.OK]
    settings.DEBUG = False
    assert "do not hear each other" in texts(list(check_redis(ASKED)), Level.WARNING)
    assert [each.level for each in check_layer(ASKED)] == [Level.OK]


def test_message_goes_through_the_layer(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """Over the real server and back."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    [finding] = check_layer(ASKED)
    assert finding.level is Level.OK, finding
    assert "came back in" in finding.text


def test_server_that_forbids_to_listen(settings: Settings, tmp_path: Path) -> None:
    """All parts are well, and no message comes back."""
    acl = ("--user", "default", "on", "nopass", "~*", "resetchannels", "+@all")
    with EmbeddedValkey(directory=tmp_path, options=acl) as server:
        settings.CHANNEL_LAYERS = channel_layers(hosts=[server.url])
        found = list(check_layer(CheckRequest(timeout=0.3)))
    assert texts(found, Level.FAULT)


def test_somebody_elses_layer(settings: Settings) -> None:
    """Rooms need ours."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    assert list(check_redis(ASKED)) == []
    assert "InMemoryChannelLayer" in texts(list(check_layer(ASKED)), Level.FAULT)


def test_kafka_that_is_not_used(settings: Settings) -> None:
    """A project that names none is not bothered."""
    settings.REALTIME = {}
    assert [each.level for each in check_kafka(ASKED)] == [Level.OK]


def test_kafka(settings: Settings, kafka_broker: EmbeddedTansu, kafka_topic: str) -> None:
    """A topic that is there and one that is not; nobody reads."""
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": [kafka_broker.address],
        "KAFKA_TOPICS": [kafka_topic, "nowhere"],
        "KAFKA_GROUP": f"group-{uuid4().hex[:8]}",
    }
    found = list(check_kafka(ASKED))
    assert "no topic 'nowhere'" in texts(found, Level.FAULT)
    assert f"Nobody reads 8 partitions of {kafka_topic}" in texts(found, Level.WARNING)


def test_dead_kafka(settings: Settings) -> None:
    """It says where it was looked for."""
    settings.REALTIME = {"KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"]}
    assert "Kafka at 127.0.0.1" in texts(list(check_kafka(ASKED)), Level.FAULT)


def test_a_mistake_is_told_once(settings: Settings) -> None:
    """What a system check finds is found by no other look."""
    settings.DEBUG = True
    settings.REALTIME = {
        "JWT_ALGORITHM": "HS256",
        "JWT_KEYS": ["x" * 32, "short"],
        "KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"],
        "KAFKA_ROUTE": "nowhere.route",
    }
    looks = (check_settings, check_secrets, check_kafka)
    faults = texts([each for look in looks for each in look(ASKED)], Level.FAULT).splitlines()
    [key] = [each for each in faults if "JWT_KEYS" in each]
    assert "number 2" in key
    assert "guessed" in key
    [route] = [each for each in faults if "nowhere" in each]
    assert "KAFKA_ROUTE" in route


@pytest.mark.django_db
def test_database() -> None:
    """Migrated and empty, then with entries of the outbox that wait and that failed."""
    [finding] = check_database(ASKED)
    assert finding.level is Level.OK
    OutboxEntry.objects.create(layer="default", room="a", data="1")
    OutboxEntry.objects.create(layer="default", room="a", data="1", failed_at=timezone.now())
    warnings = texts(list(check_database(ASKED)), Level.WARNING)
    assert "1 entries of the outbox wait" in warnings
    assert "1 entries of the outbox could not be published" in warnings
