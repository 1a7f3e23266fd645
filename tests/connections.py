"""The connections that layers have to a Redis server."""

from __future__ import annotations

from redis import Redis

from demo.embedded import EmbeddedValkey


def layer_connections(server: EmbeddedValkey) -> set[str]:
    """Return the ids of those that are there now, other tests' included."""
    with Redis.from_url(server.url) as redis:
        return {entry["id"] for entry in redis.client_list() if entry["name"] == "shardlayer"}
