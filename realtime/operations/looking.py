"""What the admin and the commands ask: of all machines, each in limited time.

Every function has an asynchronous twin, whose name begins with `a`. Each returns within about
`CHECK_TIMEOUT`, whatever is away, and says what it does not know with None, or with `is_known`.
They ask Redis alone, and no process; so they work wherever the project's settings are.
"""

from __future__ import annotations

import asyncio

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.conf import conf
from realtime.operations.kafka_list import kafka_status
from realtime.operations.kafka_status import KafkaStatus
from realtime.operations.node_status import NodesStatus
from realtime.operations.overview_list import overview_status
from realtime.operations.overview_status import Overview
from realtime.operations.shard_list import servers_status, shards_status
from realtime.operations.shard_status import ShardsStatus
from realtime.operations.told import nodes_status, read_all
from realtime.sharded_layer import sharded_layer
from shardlayer import KnownReports, ShardedChannelLayer


async def anodes(*, using: str = DEFAULT_CHANNEL_LAYER) -> NodesStatus:
    """Return all processes that tell of themselves, on whichever machine."""
    known = await _reports(sharded_layer(using))
    return nodes_status(known, read_all(known), is_on=_is_on())


async def ashards(*, using: str = DEFAULT_CHANNEL_LAYER) -> ShardsStatus:
    """Return how the shards are, and the servers that hold them."""
    _, shards = await _look(sharded_layer(using))
    return shards


async def akafka(*, using: str = DEFAULT_CHANNEL_LAYER) -> KafkaStatus:
    """Return what the pool reads, and what waits."""
    known = await _reports(sharded_layer(using))
    return kafka_status(known, read_all(known), is_on=_is_on())


async def aoverview(*, using: str = DEFAULT_CHANNEL_LAYER) -> Overview:
    """Return the whole deployment at a glance."""
    known, shards = await _look(sharded_layer(using))
    told = read_all(known)
    nodes = nodes_status(known, told, is_on=_is_on())
    return overview_status(known, nodes, shards, kafka_status(known, told, is_on=_is_on()))


nodes = async_to_sync(anodes)
shards = async_to_sync(ashards)
kafka = async_to_sync(akafka)
overview = async_to_sync(aoverview)


async def _reports(layer: ShardedChannelLayer) -> KnownReports:
    return await layer.process_reports(within=conf().check_timeout)


async def _look(layer: ShardedChannelLayer) -> tuple[KnownReports, ShardsStatus]:
    within = conf().check_timeout
    known, answers, memory = await asyncio.gather(
        layer.process_reports(within=within),
        layer.ping(within),
        layer.server_memory(within=within),
    )
    places = await layer.shard_places()  # a Cluster tells where they are with its first answer
    servers = servers_status(places, answers, memory)
    return known, shards_status(places, servers, read_all(known))


def _is_on() -> bool:
    return conf().node_interval > 0
