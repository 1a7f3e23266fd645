"""Cache rooms and calm rooms, as `REALTIME["ROOMS"]` asks for them, from end to end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import apublish, apublish_many
from realtime.checks import check_realtime
from realtime.rooms.layer_rooms import options_of_rooms
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.conftest import channel_layers
from tests.waiting import until

ROOMS: dict[str, dict[str, Any]] = {
    "now.*": {"subscribe": "anyone", "latest": True, "history": {"size": 1, "ttl": 0.05}},
    "prices": {"subscribe": "anyone", "max_rate": 0.2, "conflate": "symbol"},
    "*": {"subscribe": "anyone"},
}


@pytest.fixture
async def layer(
    settings: Settings, redis_server: EmbeddedValkey
) -> AsyncIterator[ShardedChannelLayer]:
    """A layer whose rooms do what ROOMS says."""
    settings.REALTIME = {"ROOMS": ROOMS}
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    layer = sharded_layer()
    yield layer
    await layer.close()


async def test_subscriber_gets_the_newest_value(layer: ShardedChannelLayer) -> None:
    """At once and without an endpoint, after its history has gone; then each that follows."""
    await apublish("now.weather", {"celsius": 20})
    await apublish("now.weather", {"celsius": 21})

    async def is_gone() -> bool:
        return not await layer.history("now.weather")

    await until(is_gone)
    async with Client() as client:
        answer = await client.ask(1, subscribe={"room": "now.weather"})
        assert answer["subscribed"]["publications"] == [{"offset": 2, "data": {"celsius": 21}}]
        assert answer["subscribed"]["offset"] == 2
        await apublish("now.weather", {"celsius": 22})
        assert (await client.receive())["data"] == {"celsius": 22}
        async with Client() as other:
            answer = await other.ask(1, subscribe={"room": "now.weather"})
            assert answer["subscribed"]["publications"] == [{"offset": 3, "data": {"celsius": 22}}]


async def test_calm_room_is_written_to_seldom(layer: ShardedChannelLayer) -> None:
    """The first at once, then the newest of each key after the pause; counted."""
    async with Client() as client:
        position = (await client.ask(1, subscribe={"room": "prices"}))["subscribed"]
        await apublish("prices", {"symbol": "b", "n": 1})
        got = [await client.receive()]
        symbols = enumerate("ababa", 2)
        await apublish_many([("prices", {"symbol": of, "n": number}) for number, of in symbols])
        got += [await client.receive() for _ in range(2)]
        assert [(push["offset"], push.get("after")) for push in got] == [
            (1, None),
            (5, 1),
            (6, None),
        ]
        assert layer.stats()["delayed"] == 5
        assert layer.stats()["conflated"] == 3
    async with Client() as again:
        since = {"room": "prices", "offset": 1, "epoch": position["epoch"]}
        answer = await again.ask(1, subscribe=since)
        assert answer["subscribed"]["recovered"]
        offsets = [item["offset"] for item in answer["subscribed"]["publications"]]
        assert offsets == [2, 3, 4, 5, 6]


def test_layer_is_told_of_each_rule(settings: Settings) -> None:
    """The first glob that matches decides, so the others stand there too."""
    settings.REALTIME = {"ROOMS": ROOMS}
    assert options_of_rooms() == {
        "history": {"now.*": {"size": 1, "ttl": 0.05, "latest": True}, "prices": {}, "*": {}},
        "calm": {"now.*": None, "prices": {"max_rate": 0.2, "conflate": "symbol"}, "*": None},
    }
    settings.REALTIME = {"ROOMS": {"*": {}}}
    assert options_of_rooms() == {}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"latest": "yes"}, r"\['latest'\] must be True or False"),
        ({"latest": True, "history": None}, r"\['latest'\] needs a history"),
        ({"latest": True, "history": {"size": 0}}, r"\['latest'\] needs a history"),
        ({"max_rate": -1}, r"wrong: \['max_rate'\] is -1; it takes 0.01 to 1000 writes a second"),
        ({"max_rate": True}, "max_rate"),
        ({"max_rate": 0.001}, "0.01"),
        ({"conflate": "symbol"}, r"\['conflate'\] needs a 'max_rate'"),
        ({"max_rate": 1, "conflate": 7}, "the name of a member"),
    ],
)
def test_wrong_rules_are_found(settings: Settings, rules: dict[str, Any], words: str) -> None:
    """The system check names the glob and the key."""
    settings.REALTIME = {"ROOMS": {"a.*": rules}}
    found = [message.msg for message in check_realtime(None)]
    assert len(found) == 1
    assert found[0].startswith("REALTIME['ROOMS']['a.*']")
    assert re.search(words, found[0]), found
