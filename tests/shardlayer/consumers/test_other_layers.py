"""The consumers run on layers that only have `receive`, as channels_redis's two."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import get_channel_layer
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from tests.shardlayer.consumers.client import Client


# One round on core, whose receivers hand each other the connection and now and then wait for it.
@pytest.mark.parametrize(
    ("backend", "rounds"), [("core.RedisChannelLayer", 1), ("pubsub.RedisPubSubChannelLayer", 10)]
)
async def test_consumer_runs_on_channels_redis(
    bases: Any, backend: str, rounds: int, settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """Messages to the group and to the channel arrive, in between those of the client."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": f"channels_redis.{backend}",
            "CONFIG": {"hosts": [redis_server.url]},
        }
    }

    class Echo(bases.AsyncJsonWebsocketConsumer):  # type: ignore[misc]
        groups = ["g"]

        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.send_json(content)

        async def group_message(self, event: dict[str, Any]) -> None:
            await self.send_json(event["number"])

    layer = get_channel_layer()
    consumer = Echo()
    client = Client(consumer)
    await client.connect()
    for number in range(0, 3 * rounds, 3):
        await layer.group_send("g", {"type": "group.message", "number": number})
        assert await client.receive_json_from() == number
        await client.send_json_to(number + 1)
        assert await client.receive_json_from() == number + 1
        await layer.send(consumer.channel_name, {"type": "group.message", "number": number + 2})
        assert await client.receive_json_from() == number + 2
    await client.disconnect()
    await layer.flush()
    if hasattr(layer, "close_pools"):  # pubsub has none
        await layer.close_pools()
