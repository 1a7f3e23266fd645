"""`manage.py realtime shards`: the shards, and the servers that hold them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from realtime.management.figures_text import (
    UNKNOWN,
    duration,
    milliseconds,
    number,
    rate,
    size,
)
from realtime.management.looking_command import LookingCommand, not_answering
from realtime.management.tables import table
from realtime.operations import ServerStatus, ShardsStatus, ShardStatus, shards

SERVER_HEAD = ("Server", "Shards", "Answers in", "Memory", "Limit")
SHARD_HEAD = (
    *("Shard", "Server", "State", "Since", "Rooms", "Subscriptions", "Publications/s"),
    *("Deliveries/s", "Batch p50", "p99", "Call p50", "p99"),
)


class ShardsCommand(LookingCommand):
    """Looks at every Redis server, and at no process."""

    help = "Show the state and the load of each shard, and the servers that hold the shards."

    def look(self, **options: Any) -> ShardsStatus:
        """Return the shards."""
        return shards()

    def why_unknown(self, found: ShardsStatus) -> str:
        """Say which servers did not answer."""
        return not_answering(found.silent)

    def lines(self, found: ShardsStatus) -> Iterator[str]:
        """Yield a table of servers and one of shards."""
        head, *rows = table(SERVER_HEAD, [_server(server) for server in found.servers])
        yield head
        for server, row in zip(found.servers, rows, strict=True):
            yield self.style.ERROR(row) if server.why else row
        yield ""
        head, *rows = table(SHARD_HEAD, [_shard(shard) for shard in found.shards])
        yield head
        for shard, row in zip(found.shards, rows, strict=True):
            yield row if shard.state == "up" else self.style.ERROR(row)


def _server(server: ServerStatus) -> tuple[str, ...]:
    limit = "none" if server.memory_limit == 0 else size(server.memory_limit, none=UNKNOWN)
    return (
        server.address,
        str(len(server.shards)),
        milliseconds(server.seconds, none="does not"),
        size(server.memory, none=UNKNOWN),
        limit,
    )


def _shard(shard: ShardStatus) -> tuple[str, ...]:
    since = "-" if shard.since is None else duration(time.time() - shard.since)
    rooms = number(shard.rooms, none=UNKNOWN)
    if shard.rooms != shard.rooms_most:
        rooms = f"{rooms} to {number(shard.rooms_most, none=UNKNOWN)}"
    return (
        str(shard.shard),
        shard.server,
        shard.state,
        since,
        rooms,
        number(shard.subscriptions, none=UNKNOWN),
        rate(shard.publications, none=UNKNOWN),
        rate(shard.deliveries, none=UNKNOWN),
        number(shard.batch_p50, digits=1),
        number(shard.batch_p99, digits=1),
        milliseconds(shard.call_p50),
        milliseconds(shard.call_p99),
    )
