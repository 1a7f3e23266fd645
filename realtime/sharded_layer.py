"""The channel layer that realtime works on."""

from __future__ import annotations

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import get_channel_layer

from shardlayer import ShardedChannelLayer

BACKEND = "shardlayer.layer.ShardedChannelLayer"


def sharded_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> ShardedChannelLayer:
    """Return a channel layer of CHANNEL_LAYERS.

    Raises:
        TypeError: There is none of that alias, or it is not shardlayer's.
    """
    layer = get_channel_layer(alias)
    if layer is None:
        raise TypeError(f"CHANNEL_LAYERS has no layer {alias!r}.")
    if not isinstance(layer, ShardedChannelLayer):
        raise TypeError(foreign_layer(alias, type(layer)))
    return layer


def foreign_layer(alias: str, backend: type) -> str:
    """Return what is wrong with a layer that is not shardlayer's, as a sentence."""
    return f"CHANNEL_LAYERS[{alias!r}] must have the BACKEND '{BACKEND}', not {backend.__name__}."
