"""Receives one channel for one consumer, without a task or a future per message.

What is here is taken; the owner is told when to look again. Only a message that waits in the
channel's queue takes a task, which fetches it while the owner does other things.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shardlayer.channels.mailbox import Mailbox
from shardlayer.core.exceptions import UndecodableMessage
from shardlayer.core.serializers import Message


class ChannelReader:
    """The only receiver of a channel, on the mailbox's event loop.

    Args:
        mailbox: Where the channel is received.
        decode: Decodes a message; raises UndecodableMessage.
        notify: Called when there may be something to take, and often enough when there is not.
        on_undecodable: Called for bytes that hold no message; they are dropped.
        on_closed: Called once the channel has no receiver any more.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        decode: Callable[[bytes], Message],
        *,
        notify: Callable[[], None],
        on_undecodable: Callable[[UndecodableMessage], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._mailbox = mailbox
        self._decode = decode
        self._notify = notify
        self._on_undecodable = on_undecodable
        self._on_closed = on_closed
        self._fetching: asyncio.Task[bytes] | None = None
        mailbox.on_arrival = notify

    def take(self) -> Message | None:
        """Return the next message in the channel's order, or None while it is not here.

        Raises:
            ShardUnavailable: If it could not be fetched; it still waits, and is tried again.
        """
        while True:
            if self._fetching is None:
                data = self._mailbox.take()
                if data is None:
                    if not self._mailbox.is_empty:
                        self._fetch()
                    return None
            elif self._fetching.done():
                fetched, self._fetching = self._fetching, None
                data = fetched.result()
            else:
                return None
            try:
                return self._decode(data)
            except UndecodableMessage as error:
                self._on_undecodable(error)

    def handled(self) -> bool:
        """Hear that a message was handled; False, since the next one can be taken already."""
        return False

    def close(self) -> None:
        """Stop receiving and give the channel up: what waits there is for nobody."""
        self._mailbox.on_arrival = None
        if self._fetching is not None:
            self._fetching.cancel()
        self._on_closed()

    async def wait_closed(self) -> None:
        """Wait until a fetch that was under way has ended."""
        if self._fetching is not None:
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _fetch(self) -> None:
        self._fetching = asyncio.create_task(
            self._mailbox.get(), name=f"message of {self._mailbox.channel}"
        )
        self._fetching.add_done_callback(lambda _: self._notify())
