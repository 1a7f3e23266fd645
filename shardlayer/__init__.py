"""Shardlayer: a sharded, batching, history-keeping channel layer and broadcast server for Django.

What stands here is the public API; the modules below are where it lives.
"""

from shardlayer.backends.probe import ServerReport, probe
from shardlayer.commands import PAGE, Page
from shardlayer.exceptions import (
    ConfigurationError,
    MessageTooLarge,
    ScriptFailed,
    ShardLayerError,
    ShardUnavailable,
    WireError,
    WireVersionError,
)
from shardlayer.frames import Broadcast
from shardlayer.hosts import Host
from shardlayer.joined import Joined
from shardlayer.layer import ShardedChannelLayer
from shardlayer.node import Node
from shardlayer.options import LayerOptions
from shardlayer.tasks import Tasks
from shardlayer.types import (
    BEGINNING,
    HistoryPolicy,
    Mark,
    NodeId,
    Position,
    Publication,
    RoomInfo,
    Sink,
)

__version__ = "0.1.0"

__all__ = [
    "BEGINNING",
    "PAGE",
    "Broadcast",
    "ConfigurationError",
    "HistoryPolicy",
    "Host",
    "Joined",
    "LayerOptions",
    "Mark",
    "MessageTooLarge",
    "Node",
    "NodeId",
    "Page",
    "Position",
    "Publication",
    "RoomInfo",
    "ScriptFailed",
    "ServerReport",
    "ShardLayerError",
    "ShardUnavailable",
    "ShardedChannelLayer",
    "Sink",
    "Tasks",
    "WireError",
    "WireVersionError",
    "probe",
]
