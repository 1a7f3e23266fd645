"""The layers of CHANNEL_LAYERS that are shardlayer's, as far as they can be made at all."""

from __future__ import annotations

from collections.abc import Iterator

from channels.layers import channel_layers

from shardlayer import Host, ShardedChannelLayer


def our_layers() -> Iterator[ShardedChannelLayer]:
    """Yield them; of one that can't be made, check_settings says why."""
    for alias in channel_layers.configs:
        try:
            layer = channel_layers[alias]
        except Exception:  # noqa: S112 - whatever a BACKEND's import raises
            continue
        if isinstance(layer, ShardedChannelLayer):
            yield layer


def our_servers() -> list[tuple[Host, bool]]:
    """Return their Redis servers, each once, with whether it is expected to be of a Cluster."""
    found = {
        host.address: (host, layer.options.cluster)
        for layer in our_layers()
        for host in layer.options.hosts
        if host.is_redis
    }
    return list(found.values())
