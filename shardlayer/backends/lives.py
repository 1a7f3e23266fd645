"""Notices that a server may have lost what it had acknowledged.

A server that was started again may hold older data than it had: Redis writes to its disk later
than it answers, unless it is told to write at once. So may a replica that was promoted, since
replication is later, too. Offsets that were lost would be given again under the same epoch, and who
had the lost ones would be told that nothing is missing. So such a server begins a new life: each of
its rooms gets a new epoch with the next publication or join, and clients are told.

The key `run` says which run of a server wrote last. It is compared on every new connection for
commands before anything is sent over it, so nobody writes to a server that was not recognised.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from shardlayer.backends.pipeline import Execute
from shardlayer.backends.probe import ServerReport
from shardlayer.hosts import Host
from shardlayer.keys import ShardKeys, run_key
from shardlayer.options import LayerOptions

logger = logging.getLogger("shardlayer.redis")

LIFE_LENGTH = 8  # characters


async def recognise(
    execute: Execute,
    report: ServerReport,
    host: Host,
    shards: Sequence[ShardKeys],
    options: LayerOptions,
) -> None:
    """Compare a server's run with the one that wrote last; begin a new life where that is due.

    Raises:
        RedisError, OSError: If the server does not answer; it is to be asked again.
    """
    key = run_key(options.prefix)
    (known,) = await _one(execute, "MGET", key)  # None, too, if something else is kept there
    run = f"{report.run_id} {report.asked_at:.0f}"
    if known is None:
        await _one(execute, "SET", key, run, "NX")
        return
    run_id, _, seen = known.decode(errors="replace").partition(" ")
    if run_id == report.run_id:
        return
    if not await _has_all(execute, report, host, options, seen=_seconds(seen)):
        logger.warning(
            "%s was started again or replaced, and may lack what it had acknowledged: its rooms "
            "get new epochs, and their clients are told.",
            report.address,
        )
        life = report.run_id[:LIFE_LENGTH]  # the same for all who notice
        for keys in shards:
            await _one(execute, "SET", keys.life, life)
    await _one(execute, "SET", key, run)


async def _has_all(
    execute: Execute, report: ServerReport, host: Host, options: LayerOptions, *, seen: float
) -> bool:
    """Tell whether a server that is another run than the last holds all that was acknowledged."""
    if host.master_name:
        # A replica that ran already when the last one wrote, and whose writes were waited for.
        return options.wait_replicas > 0 and report.started < seen
    return await _appends_always(execute)


def _seconds(text: str) -> float:
    """Return the moment that a text says, or one before everything."""
    return float(text) if text.isdigit() else 0.0


async def _appends_always(execute: Execute) -> bool:
    # Not INFO's aof_enabled, which is 0 for a moment after the file was loaded.
    try:
        answer = await _one(execute, "CONFIG", "GET", "appendonly", "appendfsync")
    except RedisError:  # not allowed to ask: then it can't be relied on
        return False
    configured = dict(zip(answer[::2], answer[1::2], strict=True))
    return configured == {b"appendonly": b"yes", b"appendfsync": b"always"}


async def _one(execute: Execute, *command: str) -> Any:
    (reply,) = await execute([command])
    if isinstance(reply, Exception):
        raise reply
    return reply
