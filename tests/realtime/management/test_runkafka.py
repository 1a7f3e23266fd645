"""What runkafka says about what it can't do, before it does anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, free_port
from realtime.checks import check_realtime
from tests.realtime.conftest import channel_layers
from tests.realtime.management.world import World
from tests.waiting import PATIENCE

NOT_A_FUNCTION = ["a"]


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    """A layer that needs no server."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://runkafka"])


@pytest.mark.parametrize("servers", ["kafka:ninety", "kafka://kafka:1", "a:1,", "[::1"])
def test_address_that_can_not_be(servers: str) -> None:
    """It is one line that names it."""
    with pytest.raises(CommandError, match="is no broker's address") as caught:
        call_command("runkafka", "--bootstrap", servers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"KAFKA_TLS": True, "KAFKA_CA_FILE": "/nowhere.pem"}, "certificate for Kafka can't be"),
        ({"KAFKA_OPTIONS": {"securty": "x"}}, r"\['KAFKA_OPTIONS'\].* takes no 'securty'"),
        ({"KAFKA_CONSUMER_OPTIONS": {"sesion": 1}}, r"AIOKafkaConsumer .* takes no 'sesion'"),
        ({"KAFKA_ROUTE": "nowhere.route"}, r"\['KAFKA_ROUTE'\]: No module named 'nowhere'"),
        ({"KAFKA_ROUTE": f"{__name__}.NOT_A_FUNCTION"}, "NOT_A_FUNCTION is not a function"),
    ],
)
def test_settings_that_can_not_be(values: dict[str, Any], why: str, settings: Settings) -> None:
    """Each is one line that names the setting."""
    settings.REALTIME = values
    with pytest.raises(CommandError, match=why) as caught:
        call_command("runkafka")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("command", ["deadletters", "demofeed"])
def test_other_commands(command: str, settings: Settings) -> None:
    """Those that reach Kafka in other ways say the same."""
    settings.REALTIME = {"KAFKA_OPTIONS": {"securty": "x"}}
    with pytest.raises(CommandError, match="takes no 'securty'"):
        call_command(command, *(["list"] if command == "deadletters" else []))


@pytest.mark.parametrize("servers", [["kafka:x"], [""], [], "kafka:1"])
def test_system_check_names_the_address(servers: object, settings: Settings) -> None:
    """`manage.py check` finds it, before a pool is started."""
    settings.REALTIME = {"KAFKA_BOOTSTRAP_SERVERS": servers}
    [problem] = check_realtime(None)
    assert problem.id == "realtime.E002"
    assert "host:port" in problem.msg


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A Redis that is up, and no Kafka."""
    found = World(tmp_path, EmbeddedTansu(directory=tmp_path / "kafka", port=free_port()))
    found.redis.start()
    yield found
    found.redis.kill()


@pytest.mark.parametrize("server", ["no-such-host.invalid", "[::1]:1", "::1"])
def test_address_where_nobody_is(server: str, world: World) -> None:
    """The pool says in one line why it waits, and ends when it is told to."""
    with world.run("runkafka", "--bootstrap", server) as pool:
        pool.says("is not available, waiting for it: ")
        assert pool.stop() == 0
        assert "Traceback" not in pool.output()
        assert pool.output().count("is not available") == 1


@pytest.mark.kafka
@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(world: World) -> None:
    """An IPv6 address is connected to as such."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        server.settimeout(PATIENCE)
        port = server.getsockname()[1]
        with world.run("runkafka", "--bootstrap", f"[::1]:{port}") as pool:
            connection, _ = server.accept()
            connection.close()
            assert pool.stop() == 0
