"""The channel layer that applications use, and the engine and node that it has per event loop.

Imports all packages but `consumers` and `server`. Importing it registers the system checks.
"""

from shardlayer.layer import layer_checks  # noqa: F401  # registers itself
from shardlayer.layer.channel_layer import ShardedChannelLayer

__all__ = ["ShardedChannelLayer"]
