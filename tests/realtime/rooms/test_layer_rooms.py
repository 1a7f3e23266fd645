"""What ROOMS says of histories reaches the layer."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pytest_django import Settings

from realtime import apublish
from realtime.rooms.layer_rooms import options_of_rooms
from realtime.sharded_layer import sharded_layer
from shardlayer import ConfigurationError
from tests.realtime.conftest import channel_layers

ROOMS = {"chat.*": {"history": {"size": 2, "ttl": 60}}, "cursor.*": {"history": None}, "a": {}}


async def test_rooms_remember_what_the_rules_say(settings: Settings) -> None:
    """Each as its rule says, the others as the layer's default is."""
    settings.REALTIME = {"ROOMS": ROOMS}
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    layer = sharded_layer()
    try:
        for number in range(3):
            assert await apublish("cursor.a", number) is None
            await apublish("chat.a", number)
            await apublish("other", number)
        held = [item.data for item in await layer.history("chat.a")]
        assert held == [b"1", b"2"]
        assert len(await layer.history("other")) == 3
    finally:
        await layer.close()


def test_the_layers_own_history_counts(settings: Settings) -> None:
    """Where CONFIG says something, that counts; the check refuses two that differ."""
    settings.REALTIME = {"ROOMS": ROOMS}
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://own"], history={"*": {"size": 9}})
    assert sharded_layer().options.policy_of("cursor.a").size == 9


def test_wrong_settings_make_no_layer(settings: Settings) -> None:
    """Rather than one that remembers something else."""
    settings.REALTIME = {"ROOMS": {"*": "anyone"}}
    with pytest.raises(ConfigurationError, match="ROOMS"):
        options_of_rooms()
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://wrong"])
    with pytest.raises(ConfigurationError, match="ROOMS"):
        sharded_layer()
