"""Names of process-local channels: `PREFIX.NODE!ID`, and the node's begins with its process's.

A node is one event loop of a process; see "Channels" in the channel layer specification.
"""

from __future__ import annotations

import secrets

from shardlayer.core.types import NodeId

PROCESS_BYTES = 4
LOOP_BYTES = 4
CHANNEL_ID_BYTES = 8


def new_process() -> str:
    """Return a new name for what a layer is in one process."""
    return secrets.token_hex(PROCESS_BYTES)


def new_node(process: str) -> NodeId:
    """Return a new name for an event loop of a process."""
    return NodeId(process + secrets.token_hex(LOOP_BYTES))


def new_channel(prefix: str, node: NodeId) -> str:
    """Return a new name for a channel that a node receives."""
    return f"{prefix}.{node}!{secrets.token_hex(CHANNEL_ID_BYTES)}"


def is_process_local(channel: str) -> bool:
    """Tell whether a channel belongs to one node."""
    return "!" in channel


def node_of(channel: str) -> str:
    """Return the node that receives a process-local channel."""
    return channel.partition("!")[0].rpartition(".")[2]


def is_of(node: str, process: str) -> bool:
    """Tell whether a node is one of a process."""
    return node.startswith(process)
