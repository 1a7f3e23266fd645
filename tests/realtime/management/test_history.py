"""`manage.py realtime history ROOM`."""

from __future__ import annotations

import json
import re
import socket
import time

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import publish
from realtime.sharded_layer import sharded_layer
from shardlayer import Mark
from tests.realtime.conftest import channel_layers
from tests.realtime.management.output import lines_of

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d"


@pytest.fixture
def layer(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A layer on a real server without rooms."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = {"CHECK_TIMEOUT": 10}  # seconds: a busy machine is no dead server


@pytest.mark.usefixtures("layer")
class TestHistory:
    """On a server that answers."""

    def test_shows_the_room(self) -> None:
        """First where it stands, then what it remembers, oldest first, with offsets."""
        position = None
        for number in range(12):
            position = publish("news", {"n": number})
        assert position is not None
        facts, _, publications = "\n".join(lines_of("realtime", "history", "news")).partition(
            "\n\n"
        )
        assert [line.split(maxsplit=1) for line in facts.splitlines()] == [
            ["Room", "news"],
            ["Shard", str(sharded_layer().shard_of("news"))],
            ["Members", "0"],
            ["Nodes", "none"],
            ["Last", f"offset  12 in epoch {position.epoch}"],
            ["History", "12 publications"],
        ]
        first, *_, last = publications.splitlines()
        assert re.fullmatch(rf' 1  {TIME}  {{"n":0}}', first)
        assert re.fullmatch(rf'12  {TIME}  {{"n":11}}', last)

    def test_limit(self) -> None:
        """The newest are shown."""
        for number in range(5):
            publish("news", number)
        lines = lines_of("realtime", "history", "news", "--limit", "2")[-2:]
        assert [(line.split()[0], line.split()[-1]) for line in lines] == [("4", "3"), ("5", "4")]

    def test_source(self) -> None:
        """What came of Kafka is shown with its partition and the record's offset."""
        layer, mark = sharded_layer(), Mark("events/0@0a1b2c", 17)
        layer.wait_for(lambda: layer.publish_marked([("news", b"1", mark)]))
        assert re.fullmatch(
            rf"1  {TIME}  events/0:17  1", lines_of("realtime", "history", "news")[-1]
        )
        [line] = lines_of("realtime", "history", "news", "--json")
        item = json.loads(line)["publications"][0]
        assert (item["source"], item["source_offset"]) == ("events/0", 17)

    def test_json(self) -> None:
        """With --json it is one object, with the data byte by byte as they were published."""
        position = publish("news", orjson.Fragment('{"a": 1.0}'))
        assert position is not None
        [line] = lines_of("realtime", "history", "news", "--json")
        assert '"data":{"a": 1.0}' in line
        read = json.loads(line)
        assert (read["room"], read["offset"], read["history_length"]) == ("news", 1, 1)
        [item] = read["publications"]
        assert item["epoch"] == position.epoch
        assert abs(item["time"] - time.time()) < 60
        assert (item["source"], item["source_offset"]) == (None, None)

    def test_what_is_not_json(self) -> None:
        """What a careless publisher sent is shown as a text, and can do nothing to a terminal."""
        publish("news", orjson.Fragment("{\x1b[2J\x9b2J}"))
        assert lines_of("realtime", "history", "news")[-1].endswith(r"  {\u001b[2J\u009b2J}")
        [line] = lines_of("realtime", "history", "news", "--json")
        assert json.loads(line)["publications"][0]["data"] == "{\x1b[2J\x9b2J}"

    def test_unknown_room(self) -> None:
        """A name that nobody used is a room without anything."""
        lines = lines_of("realtime", "history", "nobody")
        assert "Last offset  none" in lines
        assert lines[-1] == "History      0 publications"


def test_bad_name() -> None:
    """A name that no room can have is told the rule, in a line."""
    with pytest.raises(CommandError, match="'no room' can't name a room"):
        call_command("realtime", "history", "no room")


def test_dead_server(settings: Settings) -> None:
    """A server that is not there is named."""
    host = f"redis://127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[host], publish_timeout=0.2)
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    with pytest.raises(CommandError, match=rf"{host} is not available"):
        call_command("realtime", "history", "news")


def test_silent_server(settings: Settings) -> None:
    """A server that takes connections and answers nothing is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        settings.CHANNEL_LAYERS = channel_layers(hosts=[host], publish_timeout=30)
        settings.REALTIME = {"CHECK_TIMEOUT": 0.2}
        with pytest.raises(CommandError, match=rf"did not answer within 0\.2 s\..*{host}"):
            call_command("realtime", "history", "news")
