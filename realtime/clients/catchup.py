"""How a client that missed much gets it: page by page, each after it has read the one before.

What a room's history holds may be a thousand times what the client's subscribe was. So an answer
has only a part; the rest is pushed as fast as the client reads, and the room's new publications
after it. A process holds one page for each client, however much all of them missed.
"""

from __future__ import annotations

import asyncio
import logging

from realtime.clients.client_counters import counters
from realtime.clients.protocol.commands import CLOSE_FAILED
from realtime.clients.queued_sink import ClientSink
from shardlayer import ErrorLog, Joined, Node, ShardUnavailable

log_failure = ErrorLog(logging.getLogger(__name__))

RETRY_PAUSE = 0.5  # seconds until a room whose shard did not answer is asked again


class CatchUp:
    """The rooms that one client is behind in. The owner must await `aclose`.

    Args:
        node: Of the client's rooms.
        sink: Where the client is written.
        max_text: Bytes of one message that the client's server sends; 0: any amount.
    """

    __slots__ = ("_behind", "_max_text", "_node", "_sink", "_task")

    def __init__(self, node: Node, sink: ClientSink, max_text: int) -> None:
        self._node = node
        self._sink = sink
        self._max_text = max_text
        self._behind: dict[str, Joined] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, joined: Joined) -> None:
        """Read on for a member that is behind, and release it at last."""
        self._behind[joined.room] = joined
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="realtime: a client catches up")

    def drop(self, room: str) -> None:
        """Read on in this room no more."""
        self._behind.pop(room, None)

    async def aclose(self) -> None:
        """Stop."""
        self._behind.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._behind:
                await self._sink.wait_drained()
                for joined in list(self._behind.values())[:1]:  # none, if all were left meanwhile
                    await self._read_on(joined)
        except Exception as error:
            message = "A client can't be given what it missed; it is asked to come back."
            log_failure(message, exc_info=error)
            self._sink.close(CLOSE_FAILED, "history can't be read")

    async def _read_on(self, joined: Joined) -> None:
        """Write the next page of a room, which then goes behind the others that wait."""
        try:
            page = await self._node.read_on(joined, max_text=self._max_text)
        except ShardUnavailable:
            page = []
            await asyncio.sleep(RETRY_PAUSE)
        else:
            counters.pages += 1
        if self._behind.get(joined.room) is not joined:
            return  # it was left, or joined again
        for broadcast in page:
            self._sink.write(broadcast)
        del self._behind[joined.room]
        if joined.is_behind:
            self._behind[joined.room] = joined
        else:
            joined.release()
