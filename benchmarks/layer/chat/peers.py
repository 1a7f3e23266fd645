"""The three ways in which the chat is served."""

from __future__ import annotations

import sys

from benchmarks.greeting import Greeting
from benchmarks.peers.base import Peer

BASE = "BENCHMARK_CONSUMER"  # the variable that names the consumer's base class

_CHANNELS = "channels.generic.websocket:AsyncJsonWebsocketConsumer"
_OURS = "shardlayer.consumers:AsyncJsonWebsocketConsumer"


def _chat(name: str, title: str, what: str, *, server: str, layer: str, base: str) -> Peer:
    return Peer(
        name=name,
        title=title,
        what=what,
        command=(
            *(sys.executable, "-m", server, "-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
            "benchmarks.layer.chat.app:application",
        ),
        greeting=Greeting(path="/"),
        emitter="benchmarks.peers.stock.emitter:StockEmitter",
        redis=True,
        environment={
            "DJANGO_SETTINGS_MODULE": "benchmarks.layer.chat.settings",
            "BENCHMARK_LAYER": layer,
            BASE: base,
        },
        versions=("channels", "daphne", "autobahn", "twisted", "redis", "django"),
    )


CHATS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        _chat(
            "ours-base",
            "Shardlayer, our base class",
            "A consumer on shardlayer.consumers, our layer, shardlayer-daphne.",
            server="shardlayer.server",
            layer="shardlayer.ShardedChannelLayer",
            base=_OURS,
        ),
        _chat(
            "ours",
            "Shardlayer, Channels' consumer",
            "The same consumer on Channels' base class, our layer, shardlayer-daphne.",
            server="shardlayer.server",
            layer="shardlayer.ShardedChannelLayer",
            base=_CHANNELS,
        ),
        _chat(
            "pubsub",
            "channels_redis pub/sub, Daphne",
            "The same consumer on Channels' base class, channels_redis' pub/sub layer, Daphne.",
            server="daphne",
            layer="channels_redis.pubsub.RedisPubSubChannelLayer",
            base=_CHANNELS,
        ),
    )
}
"""By name, in the order of the tables."""
