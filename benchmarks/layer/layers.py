"""The channel layers that are compared, and how each is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CAPACITY = 1_000_000
"""Messages that may wait in a channel, where a layer bounds it: a sender that is faster than the
receiver is to cost time here, not messages."""

LEASE = 5.0
"""Seconds of `lease_ttl`, of ours: so long a layer in an empty Redis tells all nodes everything,
since nodes that it doesn't know yet may be there. What is measured comes after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A channel layer.

    Attributes:
        name: As in arguments and results.
        title: As in the tables.
        what: One sentence for docs and results: what is made, and of what.
        make: Makes it; takes the URL of a Redis.
        versions: Distributions whose versions belong in the results.
    """

    name: str
    title: str
    what: str
    make: Callable[[str], Any]
    versions: tuple[str, ...]


# Each process imports only the one that it uses.


def _ours(url: str) -> Any:
    from shardlayer import ShardedChannelLayer

    return ShardedChannelLayer(hosts=[url], capacity=CAPACITY, lease_ttl=LEASE)


def _pubsub(url: str) -> Any:
    from channels_redis.pubsub import RedisPubSubChannelLayer

    return RedisPubSubChannelLayer(hosts=[url])


def _core(url: str) -> Any:
    from channels_redis.core import RedisChannelLayer

    return RedisChannelLayer(hosts=[url], capacity=CAPACITY)


LAYERS: dict[str, Layer] = {
    layer.name: layer
    for layer in (
        Layer(
            name="ours",
            title="Shardlayer",
            what="ShardedChannelLayer with 32 shards on one server.",
            make=_ours,
            versions=("shardlayer", "channels", "redis", "hiredis", "msgpack", "asgiref"),
        ),
        Layer(
            name="pubsub",
            title="channels_redis pub/sub",
            what="channels_redis.pubsub.RedisPubSubChannelLayer.",
            make=_pubsub,
            versions=("channels", "channels_redis", "redis", "msgpack", "asgiref"),
        ),
        Layer(
            name="core",
            title="channels_redis core",
            what="channels_redis.core.RedisChannelLayer.",
            make=_core,
            versions=("channels", "channels_redis", "redis", "msgpack", "asgiref"),
        ),
    )
}
"""By name, in the order of the tables."""
