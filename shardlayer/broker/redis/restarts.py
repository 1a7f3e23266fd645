"""Finds out what a server that was started again, or replaced, has lost, and who must be told.

Redis writes to its disk later than it answers, unless it is told to write at once, and a promoted
replica may lack the last of what was acknowledged. Both then hold a *prefix* of what was written:
an append-only file is a log in order, a snapshot and a replica are states that it went through.

So a room that may have lost something goes on as it is, but no offset is given twice: its offsets
leap into the next *generation*, 2^40 further on, and its `meta` says where the last one ended. So
every position shows by itself whether it was lost, for good and without anybody being asked:

  in the generation that ended, at its end or before   nothing is missing: what follows is next
  in it, behind its end                                 that was lost: its member is told
  in a generation whose end is not known                its member is told

A restart that lost nothing is therefore invisible. If no member had a lost publication, only its
publisher knows of it. On each new connection it looks for its newest acknowledged batch on the
bundles of the server. If that is there, so is all that it published before. If not, the server's
*life* is marked as one that lost something, the ends of its rooms' generations count as not known,
and all their members are told. So is a room whose node comes back with a position that the server
lost.

A life is a run of the server that may have lost something before. The process that is connected
first begins it, before it sends anything else over that connection. So nobody is given an offset of
the old generation. Each room follows when a script touches it next.

(Rejected: a new epoch for each room, which told everybody of every restart, and sent again all that
was kept. To stop publishing until all processes have said what they know: one that died with the
server would have held up all.)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from shardlayer.broker.redis.calls import Argument
from shardlayer.broker.redis.keys import ShardKeys, run_key, tag_of
from shardlayer.broker.redis.pipeline import Execute
from shardlayer.broker.redis.scripts import script
from shardlayer.broker.redis.server_report import ServerReport
from shardlayer.broker.values import WRITER_TTL
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions

logger = logging.getLogger("shardlayer.broker.redis")

LIFE_LENGTH = 8  # characters
EVIDENCE = 0.8 * WRITER_TTL  # seconds in which a batch that is gone was not merely forgotten


class Lives:
    """What this process knows of the servers' runs, and of what they acknowledged to it."""

    def __init__(self, options: LayerOptions) -> None:
        self._options = options
        self._runs: dict[str, str] = {}  # address -> the run that was last talked to
        self._newest: dict[str, tuple[int, float]] = {}  # writer's key -> batch, when

    def acknowledged(self, writer_key: str, number: int) -> None:
        """Note a writer's newest batch that a server acknowledged."""
        self._newest[writer_key] = (number, time.monotonic())

    async def recognise(
        self, execute: Execute, report: ServerReport, host: Host, shards: Sequence[ShardKeys]
    ) -> None:
        """Compare a server's run with the one that wrote last; begin a new life where that is due.

        Raises:
            RedisError, OSError: If the server does not answer; it is to be asked again.
        """
        key = run_key(self._options.prefix)
        run = f"{report.run_id} {report.asked_at:.0f}"
        (known,) = await ask_one(execute, "MGET", key)  # None, too, if something else is kept there
        run_id, _, seen = (known or b"").decode(errors="replace").partition(" ")
        is_other = self._runs.get(host.address, report.run_id) != report.run_id
        lost = is_other and await self._lacks_something(execute, shards)
        if known is None and not lost:
            await ask_one(execute, "SET", key, run, "NX")
        elif lost or (
            run_id != report.run_id and not await self._has_all(execute, report, host, seen)
        ):
            await self._doubt(execute, report, shards, run, lost=lost)
        elif run_id != report.run_id:
            await ask_one(execute, "SET", key, run)
        self._runs[host.address] = report.run_id

    async def _doubt(
        self,
        execute: Execute,
        report: ServerReport,
        shards: Sequence[ShardKeys],
        run: str,
        *,
        lost: bool,
    ) -> None:
        if lost:
            logger.warning(
                "%s was started again or replaced, and lost publications that it had acknowledged. "
                "The members of all its rooms are told.",
                report.address,
            )
        else:
            logger.info(
                "%s was started again or replaced. Whoever had what it may have lost is told.",
                report.address,
            )
        doubt = script("doubt")
        keys = [*(each.life for each in shards), run_key(self._options.prefix)]
        life = report.run_id[:LIFE_LENGTH]  # the same for all who notice
        await ask_one(execute, "EVAL", doubt.source, len(keys), *keys, life, int(lost), run)

    async def _lacks_something(self, execute: Execute, shards: Sequence[ShardKeys]) -> bool:
        """Tell whether a batch is gone that a server had acknowledged to this process."""
        tags, since = {keys.tag for keys in shards}, time.monotonic() - EVIDENCE
        newest = {
            key: number
            for key, (number, when) in self._newest.items()
            if when > since and tag_of(key) in tags
        }
        if not newest:
            return False
        found = await ask_one(execute, "MGET", *newest)
        return any(
            _number((value or b"").partition(b" ")[0]) < number
            for value, number in zip(found, newest.values(), strict=True)
        )

    async def _has_all(self, execute: Execute, report: ServerReport, host: Host, seen: str) -> bool:
        """Tell whether another run than the last can't have lost what was acknowledged."""
        if host.master_name:
            # A replica that ran already when the last one wrote, and whose writes were waited for.
            return self._options.wait_replicas > 0 and report.started < _number(seen.encode())
        return await _appends_always(execute)


async def _appends_always(execute: Execute) -> bool:
    # Not INFO's aof_enabled, which is 0 for a moment after the file was loaded.
    try:
        answer = await ask_one(execute, "CONFIG", "GET", "appendonly", "appendfsync")
    except RedisError:  # not allowed to ask: then it can't be relied on
        return False
    configured = dict(zip(answer[::2], answer[1::2], strict=True))
    return configured == {b"appendonly": b"yes", b"appendfsync": b"always"}


async def ask_one(execute: Execute, *command: Argument) -> Any:
    """Send one command and return its reply; raises one that is an error."""
    (reply,) = await execute([command])
    if isinstance(reply, Exception):
        raise reply
    return reply


def _number(text: bytes) -> int:
    """Return the number that a text is; -1 if it is none."""
    return int(text) if text.isdigit() else -1
